"""What a model says that it can do, it has methods for."""

import pytest

from zoo import registry
from zoo.families import capabilities
from zoo.families.base import ImageModel


@pytest.mark.parametrize("name", registry.list_models())
def test_every_model_has_the_methods_of_what_it_can_do(name):
    cls = registry.model_class(name)
    assert cls.can
    for capability in cls.can:
        for method in capabilities.METHODS[capability]:
            assert callable(getattr(cls, method))


def test_a_class_without_the_method_is_an_error_at_once():
    with pytest.raises(TypeError, match="Mine.can has 'encode', and there is no method encode"):
        type("Mine", (ImageModel,), {"can": frozenset({"encode"})})
    with pytest.raises(TypeError, match="'fly', which is none of sample, draw"):
        type("Mine", (ImageModel,), {"can": frozenset({"fly"})})

"""Configurations: what is refused, and that flags see what the models have."""

import dataclasses
import typing

import pytest

from zoo import registry
from zoo.core import config
from zoo.errors import InputError
from zoo.recipes import Run


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"latent": 3}, "unknown setting 'latent'"),
        ({"latent_dim": "3"}, "latent_dim must be of type int"),
        ({"latent_dim": 2.5}, "latent_dim must be of type int"),
        ({"latent_dim": True}, "latent_dim must be of type int"),
        ({"latent_dim": 0}, "latent_dim must be at least 1"),
        ({"beta": float("nan")}, "beta must be finite"),
        ({"likelihood": "laplace"}, "likelihood must be one of"),
        ({"hidden": (10, -1)}, "hidden must be at least 1"),
        ({"hidden": 7}, "hidden must be a list"),
    ],
)
def test_wrong_settings_are_one_clear_line(values, message):
    with pytest.raises(InputError, match=message) as error:
        config.make(registry.config_class("vae"), values)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", registry.list_models())
def test_config_read_without_tensorflow_is_the_models_own(name):
    read, own = registry.config_class(name), registry.model_class(name).Config
    assert read is not own
    describe = lambda cls: [(f.name, f.default, dict(f.metadata)) for f in dataclasses.fields(cls)]  # noqa: E731
    assert describe(read) == describe(own)
    assert typing.get_type_hints(read) == typing.get_type_hints(own)
    assert all(f.metadata["help"] for f in dataclasses.fields(own))


@pytest.mark.parametrize("name", registry.trainable())
def test_no_setting_of_a_model_is_called_as_one_of_its_training(name):
    # each is a flag of train.py
    model, recipe, run = (
        {f.name for f in dataclasses.fields(c)}
        for c in (registry.config_class(name), registry.recipe(name), Run)
    )
    assert not model & recipe and not model & run and not recipe & run

"""A missing library is named with the command that installs it, in a clone and elsewhere."""

import importlib.metadata

import pytest

from zoo.core import extras
from zoo.errors import InputError

REQUIRES = [
    "numpy<3,>=2",
    'datasets<6,>=5.2; extra == "hf"',
    'importlib_resources>=6; extra == "tfds"',
    'tensorflow-datasets<5,>=4.9; extra == "tfds"',
]


def said(extra):
    with pytest.raises(InputError) as error:
        extras.library("no_such_module", extra, "this")
    return str(error.value)


def test_what_is_there_is_given():
    assert extras.library("json", "hf", "this").loads("1") == 1


def test_the_command_installs_what_the_extra_asks_for(monkeypatch):
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: REQUIRES)
    assert said("hf") == "this needs no_such_module: pip install 'datasets<6,>=5.2'"
    both = "pip install 'importlib_resources>=6' 'tensorflow-datasets<5,>=4.9'"
    assert said("tfds") == f"this needs no_such_module: {both}"


def test_a_library_that_does_not_start_says_why(monkeypatch, tmp_path):
    (tmp_path / "broken_one.py").write_text("import no_such_part")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        InputError, match="this needs broken_one, which does not start: .*such_part"
    ):
        extras.library("broken_one", "hf", "this")


def test_an_extra_that_the_installed_package_has_not_is_the_clones(monkeypatch):
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: REQUIRES)
    assert said("plots") == "this needs no_such_module: pip install -e '.[plots]' in the clone"


def test_a_clone_installs_itself(monkeypatch):
    def requires(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", requires)
    assert said("hf") == "this needs no_such_module: pip install -e '.[hf]' in the clone"

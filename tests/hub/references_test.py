"""A reference is parsed once into what it is."""

import pathlib

import numpy as np
import pytest

import zoo
from zoo import InputError
from zoo.hub import folders, references
from zoo.hub.references import Composed, Packaged, Remote


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("vae", Packaged("vae")),
        (pathlib.Path("vae"), pathlib.Path("vae")),
        ("./vae", pathlib.Path("vae")),
        ("runs/vae", pathlib.Path("runs/vae")),
        ("~/x", pathlib.Path("~/x").expanduser()),
        ("hf://user/name", Remote("user/name")),
        ("hf://user/na.me-1@v1.0", Remote("user/na.me-1", "v1.0")),
        (Packaged("vae"), Packaged("vae")),
        (Composed("bayes_conditional", {}), Composed("bayes_conditional", {})),
    ],
)
def test_what_it_is(source, expected):
    found = references.parse(source)
    assert found == expected and type(found) is type(expected)
    if not isinstance(found, Composed):
        assert references.parse(str(found)) in (found, Packaged("vae"))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("hf://user", "is not like hf://USER/NAME"),
        ("hf://user/name/more", "is not like hf://USER/NAME"),
        ("gs://bucket/run", "is an address"),
        (3, "by a name or a path, not 3"),
        (None, "by a name or a path, not None"),
        ("a\0b", "is no path"),
    ],
)
def test_what_can_be_none_is_one_line(source, message):
    with pytest.raises(InputError, match=message) as error:
        references.parse(source)
    assert "\n" not in str(error.value)


def test_an_address_is_refused_before_tensorflow_is_imported(run_python):
    run_python(
        "import sys, zoo\n"
        "try:\n    zoo.load('gs://bucket/run')\n"
        "except zoo.InputError:\n    assert 'tensorflow' not in sys.modules\n"
        "else:\n    raise SystemExit(1)",
        fresh=True,
    )


def test_a_folder_never_shadows_a_pretrained_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "classifier").mkdir()
    (tmp_path / "classifier" / folders.CONFIG).write_text("{}")
    assert zoo.load("classifier").name == "classifier"
    for other in ("./classifier", pathlib.Path("classifier")):
        with pytest.raises(InputError, match="is not of train.py"):
            zoo.load(other)


def test_weights_keep_their_shapes_and_names():
    arrays = {"weights/a/b": np.float32(2.0), "weights/c": np.zeros((0, 3), np.float32)}
    content = folders.content_of(arrays, "x", half=True)
    found = folders.arrays_of(content, "x")
    assert {k: v.shape for k, v in found.items()} == {"weights/a/b": (), "weights/c": (0, 3)}
    assert found["weights/a/b"] == 2 and found["weights/a/b"].dtype == np.float32
    assert content == folders.content_of(dict(reversed(arrays.items())), "x", half=True)
    with pytest.raises(InputError, match="a of x does not fit into half precision"):
        folders.content_of({"a": np.float32(1e6)}, "x", half=True)

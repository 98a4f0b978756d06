"""Settings of Keras that other projects have left are overruled, or refused in one line."""

import importlib
import json
import os
import subprocess
import sys

import keras
import pytest
from forked import Forked

from zoo.core import backend
from zoo.errors import InputError

OTHERS = {"image_data_format": "channels_first", "floatx": "float64", "epsilon": 1e-3}
CODE = """
import zoo
model = zoo.create("classifier", (8, 8, 1), width=2)
import keras
settings = keras.config
assert (settings.backend(), settings.floatx()) == ("tensorflow", "float32")
assert settings.image_data_format() == "channels_last" and settings.max_epochs() is None
assert {w.dtype for w in model.trainable_variables} == {"float32"}
"""


@pytest.mark.parametrize("name", OTHERS)
def test_a_setting_of_another_project_is_overruled_in_one_line(name, capsys):
    before = getattr(keras.config, name)()
    getattr(keras.config, f"set_{name}")(OTHERS[name])
    backend.settle()
    assert getattr(keras.config, name)() == before == backend._NEEDED[name]
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and f"{name}={OTHERS[name]}" in said[0] and "overruled" in said[0]
    backend.settle()
    assert capsys.readouterr().err == ""


@pytest.mark.slow
def test_all_of_them_at_once_in_a_process_of_its_own(tmp_path):
    (tmp_path / "keras.json").write_text(json.dumps({**OTHERS, "backend": "torch"}))
    environment = {**os.environ, "KERAS_HOME": str(tmp_path), "KERAS_BACKEND": "jax"}
    environment |= {"KERAS_MAX_EPOCHS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", CODE], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
    assert len(said) == 6 and all("overruled: zoo needs " in line for line in said)
    for setting in ("KERAS_BACKEND=jax", "backend=torch", "floatx=float64", "max_epochs=1"):
        assert sum(setting in line for line in said) == 1


def test_keras_of_another_backend_is_refused(monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    with pytest.raises(InputError, match="imported with the backend jax.* import zoo before keras"):
        backend._import_keras()


@pytest.mark.parametrize(
    "error", [ValueError("Invalid `floatx`\nconfiguration"), AttributeError("'list' has no 'get'")]
)
def test_broken_settings_are_one_line(monkeypatch, error):
    def fails(name):
        raise error

    monkeypatch.setattr(importlib, "import_module", fails)
    with pytest.raises(InputError, match="^Keras does not start .*keras.json") as e:
        backend._import_keras()
    assert "\n" not in str(e.value)


SAID = """
import os
from zoo.core import backend
with backend._without_notices():
    os.write(2, b"I0000 00:00:1795.1    1590 cudart_stub.cc:31] no GPU\\nsomething is wrong\\n")
    os.write(2, b"E0000 00:00:1795.2    1590 pool.cc:7] no memory\\n")
os.write(2, b"I0000 00:00:1795.3    1590 x.cc:1] later\\n")
"""


def test_notices_of_the_import_are_kept_back_and_nothing_else(fork_server):
    process = Forked(fork_server, ["-c"], code=SAID)
    _, said = process.communicate(timeout=120)
    assert said.splitlines() == [
        "something is wrong",
        "E0000 00:00:1795.2    1590 pool.cc:7] no memory",
        "I0000 00:00:1795.3    1590 x.cc:1] later",
    ]

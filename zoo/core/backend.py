"""TensorFlow and Keras, imported in the order that is fastest, with the settings that zoo needs.

Keras takes its settings from the environment and from `keras.json`, where another project may have
left its own. Whoever imports Keras imports this first.
"""

import contextlib
import importlib
import json
import os
import pathlib
import re
import sys
import tempfile
from typing import Any

from zoo.errors import InputError, reason

_FILE = os.path.join(os.environ.get("KERAS_HOME") or os.path.join("~", ".keras"), "keras.json")
_NEEDED = {
    "image_data_format": "channels_last",
    "floatx": "float32",
    "epsilon": 1e-7,
    "max_epochs": None,
    "max_steps_per_epoch": None,
}


# of TensorFlow's C++: notices, the second line of one, and that there is no driver of a GPU
_NOTICE = re.compile(
    rb"WARNING: All log messages before absl|[IW]\d{4} [\d:.]+ |To enable the following instr"
    rb"|E\d{4} .*cuInit.*303"
)


@contextlib.contextmanager
def _without_notices():
    """Keeps back what is written to stderr, and then writes all of it that is no mere notice."""
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2") in ("0", "1"):  # somebody wants to know
        yield
        return
    try:
        shown = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    stopping = sys.modules.get("zoo.core.stopping")  # Ctrl-C is to be said at once
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        if stopping:
            stopping.stderr = shown
        try:
            yield
        finally:
            os.dup2(shown, 2)
            if stopping:
                stopping.stderr = 2
            os.close(shown)
            kept.seek(0)
            for line in kept:
                if not _NOTICE.match(line):
                    os.write(2, line)


def _import_keras():
    """The module.

    Raises:
      InputError: it was imported with another backend, or its settings are broken.
    """
    if first := "keras" not in sys.modules:
        with _without_notices():
            import tensorflow_probability  # noqa: F401  (before TensorFlow, which is then faster)
            import tensorflow as tf  # isort: skip

            tf.config.list_physical_devices()  # it looks for GPUs, and says what it does not find
    try:
        keras = importlib.import_module("keras")
    except ImportError:
        raise
    except Exception as e:
        raise InputError(
            f"Keras does not start with its settings ({reason(e)}): correct or delete {_FILE}, and "
            "the environment variables KERAS_*"
        ) from None
    if keras.config.backend() != "tensorflow":
        raise InputError(
            f"Keras was imported with the backend {keras.config.backend()}, and zoo needs "
            "TensorFlow: import zoo before keras, or set KERAS_BACKEND=tensorflow"
        )
    if first:
        with contextlib.suppress(OSError, ValueError):  # there need be no such file
            file = pathlib.Path(_FILE).expanduser().read_text(encoding="utf-8")
            if (found := json.loads(file).get("backend", "tensorflow")) != "tensorflow":
                _overruled("backend", found, "tensorflow")
    return keras


def _overruled(name: str, found, needed) -> None:
    print(
        f"warning: Keras' setting {name}={found} (in {_FILE} or the environment) is overruled: zoo "
        f"needs {needed}",
        file=sys.stderr,
    )


def settle() -> None:
    """Overrules those of Keras' settings with which models would be others, and says so."""
    for name, needed in _NEEDED.items():
        if (found := getattr(keras.config, name)()) != needed:
            getattr(keras.config, f"set_{name}")(needed)
            _overruled(name, found, needed)


@contextlib.contextmanager
def precision(policy: Any):
    """Keras' global dtype policy, set for the length of the block."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


keras = _import_keras()
settle()

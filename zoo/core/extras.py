"""Libraries that not everybody needs, which come with an extra of the package (see `setup.py`)."""

import importlib
import importlib.metadata
import shlex
from types import ModuleType

from zoo.errors import InputError


def library(module: str, extra: str, use: str) -> ModuleType:
    """The module.

    Args:
      module: its name.
      extra: with which it is installed.
      use: what needs it, such as `--dataset=tfds:NAME`.

    Raises:
      InputError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as e:
        if e.name != module:  # it is there, and something that it needs is not
            raise InputError(f"{use} needs {module}, which does not start: {e}") from e
        raise InputError(f"{use} needs {module}: {_command(extra)}") from None


def _command(extra: str) -> str:
    """What installs the libraries of an extra, wherever this package came from."""
    try:
        every = importlib.metadata.requires("generative-zoo") or []
    except importlib.metadata.PackageNotFoundError:
        every = []
    parts = (requirement.partition(";") for requirement in every)
    wanted = [name.strip() for name, _, marker in parts if f'"{extra}"' in marker]
    if not wanted:  # a clone that was never installed, or not since there is the extra
        return f"pip install -e '.[{extra}]' in the clone"
    return f"pip install {shlex.join(wanted)}"

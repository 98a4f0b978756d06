"""Files that are read whole or refused, and are written whole or not at all."""

import json
import os
import pathlib
import shutil
from collections.abc import Callable
from typing import Any, BinaryIO

from zoo.errors import InputError


def read_json(path: pathlib.Path) -> Any:
    """What a JSON file holds.

    Raises:
      InputError: it cannot be read.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        raise InputError(f"{path} cannot be read: {e}") from None


def remove(path: pathlib.Path) -> None:
    """Deletes a file, a link (not what it leads to) or a folder with all in it, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_json(path: pathlib.Path, value: Any) -> None:
    """Writes one JSON document atomically."""
    text = json.dumps(value, indent=2) + "\n"
    write_atomically(path, lambda f: f.write(text.encode()))


def write_atomically(path: pathlib.Path, write: Callable[[BinaryIO], Any]) -> None:
    """Calls `write(file)` on a new binary file that takes the place of `path` once it is on disk.

    Whatever happens in between, even a loss of power or a full disk, `path` is the old file or the
    new one.
    """
    temporary = path.with_name(f".{path.name}.partial")
    try:
        with open(temporary, "wb") as f:
            write(f)
            f.flush()
            os.fsync(f.fileno())
        os.replace(temporary, path)
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
    finally:
        temporary.unlink(missing_ok=True)

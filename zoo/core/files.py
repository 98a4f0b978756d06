"""Files that are read whole or refused, and are written whole or not at all."""

import contextlib
import json
import os
import pathlib
import secrets
import shutil
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from zoo.errors import InputError

_unfinished: set[pathlib.Path] = set()  # what a process that is stopped must not leave behind


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
    write_text(path, json.dumps(value, indent=2) + "\n")


def write_text(path: pathlib.Path, text: str) -> None:
    """Writes text as UTF-8, atomically; what UTF-8 has no code for is escaped."""
    write_atomically(path, lambda f: f.write(text.encode(errors="backslashreplace")))


def write_atomically(path: pathlib.Path, write: Callable[[BinaryIO], Any]) -> None:
    """Calls `write(file)` on a new binary file that takes the place of `path` once it is on disk.

    Whatever happens in between, even a loss of power, a full disk or another process that writes
    the same file, `path` is the old file or a new one, and whole.

    Raises:
      OSError: it cannot be written; `filename` says where.
    """
    try:
        with unfinished(path) as temporary:
            with open(temporary, "xb") as f:  # no link is followed; the umask's permissions
                write(f)
                f.flush()
                os.fsync(f.fileno())
            os.replace(temporary, path)
    except OSError as e:
        e.filename, e.filename2 = str(path), None  # not a name that nobody has heard of
        raise
    _sync(path.parent)


def write_folder(path: pathlib.Path, write: Callable[[pathlib.Path], Any], replace: bool) -> None:
    """Calls `write(folder)` on a new folder that is moved to `path` once all of it is on disk.

    Args:
      path: the folder; those above it are made, and removed again if nothing comes of it.
      write: fills an empty folder.
      replace: whether what lies at `path` is deleted then.

    Raises:
      FileExistsError: something lies there, and is not to be replaced.
      OSError: it cannot be written.
    """
    above = [folder for folder in path.parents if not folder.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with unfinished(path) as temporary:
            temporary.mkdir()
            write(temporary)
            for file in temporary.rglob("*"):
                if file.is_file():
                    with open(file, "rb+") as f:
                        os.fsync(f.fileno())
            if replace:
                remove(path)
            elif path.is_symlink() or path.exists():
                raise FileExistsError(f"{path} exists")
            try:
                os.rename(temporary, path)
            except OSError as e:  # another process was faster
                if path.exists():
                    raise FileExistsError(f"{path} exists") from e
                raise
    except BaseException:
        for folder in above:
            with contextlib.suppress(OSError):  # another process has put something there
                folder.rmdir()
        raise
    _sync(path.parent)


@contextlib.contextmanager
def unfinished(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A name beside `path` that nobody can foresee, for what is to be moved there.

    What bears it in the end is removed, also when a signal stops the process (see `abandon`).
    """
    temporary = path.with_name(f".{path.name[:50]}.{secrets.token_hex(8)}.partial")
    _unfinished.add(temporary)
    try:
        yield temporary
    finally:
        with contextlib.suppress(FileNotFoundError):
            remove(temporary)
        _unfinished.discard(temporary)


def abandon() -> None:
    """Removes what this process has not finished writing. It must write no more."""
    for temporary in list(_unfinished):
        with contextlib.suppress(OSError):
            remove(temporary)


def remove_leftovers(folder: pathlib.Path, name: str = "*") -> None:
    """Removes what processes that were killed have left of files of a name, a glob pattern.

    No process may be writing such a file.
    """
    for path in folder.glob(f".{name}.partial"):
        remove(path)


def writable(folder: pathlib.Path) -> None:
    """Raises OSError where no file can be made in a folder. Permissions alone do not tell."""
    with unfinished(folder / "try") as temporary, open(temporary, "xb"):
        pass


def _sync(folder: pathlib.Path) -> None:
    """Puts a folder's names on disk, where the system knows of such a thing."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

"""Files that are read whole or refused, and are written whole or not at all."""

import contextlib
import hashlib
import json
import os
import pathlib
import re
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from zoo.core import schemas
from zoo.errors import InputError, brief

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # gs://, s3://, file:///; not C:/
_DIGITS = 300
_DATA = re.compile("folder:|hf:(?!//)")  # before the path of a data set

_unfinished: set[pathlib.Path] = set()  # what a process that is stopped must not leave behind


def expanded(text: str | os.PathLike, name: str = "", remote: bool = False) -> str:
    """A path as a user gave it, or a name that may be one, with the home folder in place of `~`.

    Args:
      text: the path, or `folder:` or `hf:` and the path.
      name: what a message calls it.
      remote: whether the address of a repository, hf://USER/NAME, may stand in its place.

    Raises:
      InputError: it is an address, as gs://bucket/run, or can be no path at all.
    """
    try:
        text = os.fsdecode(text)
    except TypeError:
        raise InputError(f"{brief(text)} is no path") from None
    said = f"{name}={text}" if name else text
    if "\0" in text:
        raise InputError(f"{brief(said)} is no path")
    found = _DATA.match(text)
    prefix = found[0] if found else ""
    path = text.removeprefix(prefix)
    if remote and path.startswith("hf://"):
        return path
    if _ADDRESS.match(path):
        raise InputError(f"{said} is an address: give a path of this machine's file system")
    if path.startswith("~"):
        path = os.path.expanduser(path)
        if path.startswith("~"):
            user = path.split("/")[0]
            raise InputError(f"{said}: there is no home folder of {user}; a file called so is ./~")
    return prefix + path


def local_path(text: str | os.PathLike, name: str = "") -> pathlib.Path:
    """The path of a file or folder of this machine that a user gave; see `expanded`.

    Raises:
      InputError: it is an address, or can be no path.
    """
    return pathlib.Path(expanded(text, name))


def check_utf8(path: pathlib.Path) -> None:
    """Raises InputError for a path that TensorFlow cannot write to: its name is not UTF-8."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise InputError(
            f"{path} is not UTF-8, and TensorFlow cannot write to such a folder: choose "
            "another name"
        ) from None


def read_json(path: pathlib.Path, schema: dict[str, Any] | None = None) -> Any:
    """What a JSON file holds.

    Args:
      path: of the file.
      schema: what it must hold (`zoo.core.schemas`); anything where it is left out.

    Raises:
      InputError: it cannot be read, or does not hold that.
    """
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise ValueError("it is no file")
        content = path.read_bytes()
        if not content.strip():
            raise ValueError("it is empty")
        value = parse_json(content)
    except (OSError, ValueError, RecursionError) as e:
        raise InputError(f"{path} cannot be read: {e}") from None
    if schema is not None:
        schemas.check(value, schema, path)
    return value


def read_asset(path: pathlib.Path, sha256: str) -> bytes:
    """A file that comes with the package.

    Raises:
      InputError: it is missing, or another than it was.
    """
    try:
        content = path.read_bytes()
    except OSError as e:
        raise InputError(f"{path}: {e.strerror}: install zoo anew") from None
    if hashlib.sha256(content).hexdigest() != sha256:
        raise InputError(f"{path}: checksum mismatch: the file is damaged, install zoo anew")
    return content


def parse_json(content: bytes | str) -> Any:
    """The value of a JSON document.

    Raises:
      ValueError: it is none, an object has a key twice, or a number is greater than any float.
      RecursionError: it is nested too deeply.
    """
    return json.loads(content, object_pairs_hook=_each_once, parse_int=_whole)


def _whole(digits: str) -> int:
    if len(digits) > _DIGITS:
        raise ValueError(f"a number has {len(digits)} digits")
    return int(digits)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"it has {brief(twice)} twice")
    return found


def warn(line: str) -> None:
    """Says on stderr what was found and is no reason to stop."""
    print(f"warning: {line}.", file=sys.stderr, flush=True)


def set_aside(path: pathlib.Path, *, folder: bool) -> None:
    """Makes way for a folder, or a file, where something of another kind lies: it is renamed."""
    if not os.path.lexists(path) or (path.is_dir() if folder else path.is_file()):
        return
    number = 1
    while os.path.lexists(other := path.with_name(f"{path.name}.aside{number}")):
        number += 1
    path.rename(other)
    kind = "folder" if folder else "file"
    warn(f"{path} was no {kind}: it is called {other.name} now, and {path.name} is made again")


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

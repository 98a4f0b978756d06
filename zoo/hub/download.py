"""Weights that do not come with an installation: fetched once, by their SHA-256, into a cache.

`ZOO_WEIGHTS_URL` is the address of the folder that has the files, and `ZOO_CACHE` the folder where
they are kept, ~/.cache/zoo when left out. A download that was broken off is continued.
"""

import contextlib
import hashlib
import http.client
import os
import pathlib
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator

from zoo.errors import InputError, one_line

URL, CACHE = "ZOO_WEIGHTS_URL", "ZOO_CACHE"
_BLOCK = 1 << 18  # bytes
_TIMEOUT = 30.0  # seconds without an answer
_TRIES = 3  # of which each goes on where the last one was broken off


def path_of(file: str, sha256: str, size: int, base: str = "") -> pathlib.Path:
    """A file in the cache that has this digest; it is fetched where it is not there yet.

    Args:
      file: its name at the address, NAME/model.safetensors.
      sha256: of its content.
      size: in bytes.
      base: the address of the folder that has it; `ZOO_WEIGHTS_URL` when left out.

    Raises:
      InputError: no address is set; the file cannot be fetched; or what came is another file.
    """
    folder = pathlib.Path(os.environ.get(CACHE) or "~/.cache/zoo").expanduser()
    path = folder / f"{sha256}-{file.replace('/', '-')}"
    if path.is_file() and _digest(path) == sha256:
        return path
    base = (base or os.environ.get(URL, "")).rstrip("/")
    if not base:
        raise InputError(
            f"the weights {file} ({size / 1e6:.1f} MB) do not come with this installation. A clone "
            f"of the project has them in zoo/pretrained; or set {URL} to an address that has them"
        )
    import filelock

    folder.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(f"{path}.lock"):
        if path.is_file() and _digest(path) == sha256:  # another process was faster
            return path
        part = path.with_name(f"{path.name}.part")
        _fetch(f"{base}/{file}", part, size)
        if _digest(part) != sha256:
            part.unlink()
            raise InputError(
                f"{base}/{file} is not the file of these weights: its SHA-256 is another"
            )
        os.replace(part, path)
    return path


def _digest(path: pathlib.Path) -> str:
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def _fetch(address: str, part: pathlib.Path, size: int) -> None:
    """Brings `part` to its whole size.

    Raises:
      InputError: it cannot be brought to that.
    """
    if part.exists() and part.stat().st_size > size:
        part.unlink()
    reason = ""
    for _ in range(_TRIES):
        begun = part.stat().st_size if part.exists() else 0
        if begun == size:
            return
        try:
            request = urllib.request.Request(address, headers={"Range": f"bytes={begun}-"})
            with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
                resumed = answer.status == 206  # others send the whole file again
                with open(part, "ab" if resumed else "wb") as f, _progress(part.name, size) as said:
                    while block := answer.read(_BLOCK):
                        f.write(block)
                        said(f.tell())
                        if f.tell() > size:
                            break
        except urllib.error.HTTPError as e:
            raise InputError(f"{address} cannot be fetched: {e.code} {e.reason}") from None
        except (OSError, ValueError, http.client.HTTPException) as e:
            reason = one_line(str(getattr(e, "reason", e))) or type(e).__name__
            continue
        found = part.stat().st_size
        reason = f"{found:,} of {size:,} bytes came"
        if found > size:
            part.unlink()
            raise InputError(f"{address} is not the file of these weights: it is longer")
    if not (part.exists() and part.stat().st_size == size):
        raise InputError(f"{address} cannot be fetched: {reason}. Try again: it is continued then")


@contextlib.contextmanager
def _progress(name: str, size: int) -> Iterator:
    """Says how much has come, where somebody may be looking."""
    if not sys.stderr.isatty():
        yield lambda done: None
        return

    def said(done: int) -> None:
        width = 30 * min(done, size) // size
        bar = "=" * width + " " * (30 - width)
        print(f"\r[{bar}] {done / 1e6:.1f} of {size / 1e6:.1f} MB", end="", file=sys.stderr)

    print(f"fetching {name}", file=sys.stderr)
    try:
        yield said
    finally:
        print(file=sys.stderr)

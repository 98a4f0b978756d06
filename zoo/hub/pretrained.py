"""Weights that come with the package: named in a manifest, verified before they are used.

`zoo/pretrained/manifest.json` has an entry for each name: the file with its SHA-256 and size, all
settings of the run that made it (those of a workdir's `config.json`), the command, and what the
run reported. Weights are kept in half precision; every published number is of what is loaded. A
model that is made of others has their names in place of a file, and a digest of their digests.
"""

import hashlib
import io
import os
import pathlib
import re
from typing import Any

import numpy as np

from zoo.core import files, schemas
from zoo.errors import InputError
from zoo.hub import download

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "pretrained"


class Name(str):
    """A name that means the pretrained model, whatever folders there are."""


def sha256(content: bytes) -> str:
    """The digest of a file's content that the manifest and the records name."""
    return hashlib.sha256(content).hexdigest()


def _read(schema: dict[str, Any]) -> dict[str, Any]:
    path = FOLDER / "manifest.json"
    try:
        return files.read_json(path, schema) if path.exists() else {}
    except InputError as e:
        raise InputError(f"{e}; install zoo anew") from None


def names() -> list[str]:
    """The names of all entries.

    Raises:
      InputError: the manifest cannot be read.
    """
    entries = _read(None)
    if not isinstance(entries, dict):  # without the time that it takes to import a library
        raise InputError(f"{FOLDER / 'manifest.json'} is no manifest; install zoo anew")
    return list(entries)


def manifest() -> dict[str, Any]:
    """All entries by name.

    Raises:
      InputError: the manifest cannot be read, or is not what it must be.
    """
    return _read(schemas.MANIFEST)


def entry(name: str) -> dict[str, Any]:
    """The entry of one name.

    Raises:
      InputError: there is none, or the manifest is not what it must be.
    """
    check_known(name)
    return manifest()[name]


def check_known(name: str) -> None:
    """Raises InputError where no pretrained model has this name."""
    if name not in names():
        raise InputError(f"no pretrained model named {name!r}; there are {', '.join(names())}")


def weights(name: str) -> dict[str, np.ndarray]:
    """The arrays of a pretrained model, float32, by the names that checkpoints give them.

    A file that did not come with this installation is fetched: see `zoo/hub/download.py`.

    Raises:
      InputError: no such name, or the file cannot be had or is not the one of the manifest.
    """
    known = entry(name)
    if "file" not in known:
        raise InputError(f"{name} is made of {' and '.join(known['parts'])}, and has no weights")
    path = FOLDER / known["file"]
    if not os.path.lexists(path):
        if type(size := known.get("bytes")) is not int or size < 1:
            raise InputError(f"the manifest has no size of {known['file']}: install zoo anew")
        path = download.path_of(known["file"], known["sha256"], size)
    try:
        content = path.read_bytes()
    except OSError as e:
        raise InputError(f"{path} cannot be read ({e.strerror}): install zoo anew") from None
    if sha256(content) != known["sha256"]:
        raise InputError(
            f"{path} is not the file of the manifest: its SHA-256 differs; install zoo anew"
        )
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        return {key: archive[key].astype(np.float32) for key in archive.files}


def name_of(sha256: str) -> str | None:
    """The name of the pretrained model whose weights' file has this digest, if one has."""
    found = (n for n, known in manifest().items() if known["sha256"] == sha256 and "file" in known)
    return next(found, None)


def publish(name: str, arrays: dict[str, np.ndarray], about: dict[str, Any]) -> None:
    """Writes the weights of a model and its entry in the manifest.

    Args:
      name: what it is asked for by.
      arrays: its weights.
      about: the rest of the entry; `settings` at the least.

    Raises:
      InputError: a weight does not fit into half precision.
    """
    with np.errstate(over="ignore"):
        halves = {key: np.asarray(a).astype(np.float16) for key, a in arrays.items()}
    for key, a in halves.items():
        if not np.isfinite(a).all():
            raise InputError(f"{key} of {name} does not fit into half precision")
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **halves)
    content = buffer.getvalue()
    FOLDER.mkdir(exist_ok=True)
    files.write_atomically(FOLDER / f"{name}.npz", lambda f: f.write(content))
    known = {"file": f"{name}.npz", "sha256": sha256(content), "bytes": len(content)}
    _enter(name, {**known, **about})


def publish_composed(name: str, parts: list[str], about: dict[str, Any]) -> None:
    """Writes the entry of a model that is made of others to the manifest.

    Args:
      name: what it is asked for by.
      parts: names of pretrained models.
      about: the rest of the entry; `settings` at the least.
    """
    _enter(name, {"parts": parts, "sha256": _sha256_of(parts), **about})


def check_parts(name: str) -> None:
    """Raises InputError where the parts of a composed model are not those it was published with."""
    known = entry(name)
    if _sha256_of(known.get("parts", [])) != known["sha256"]:
        parts = " or ".join(known.get("parts", ["model"]))
        raise InputError(f"{name} was made of another {parts}: publish and evaluate it again")


def _sha256_of(parts: list[str]) -> str:
    return sha256("\n".join(entry(part)["sha256"] for part in parts).encode())


def check_name(name: str) -> None:
    """Raises InputError where a name cannot be that of files."""
    if not re.fullmatch("[a-z0-9_]+", name):
        raise InputError(f"--name={name}: small letters, digits and _ make a name")


def _enter(name: str, about: dict[str, Any]) -> None:
    entries = manifest()
    entries[name] = about
    files.write_json(FOLDER / "manifest.json", dict(sorted(entries.items())))

"""The pretrained models of the zoo: a folder each in `zoo/pretrained`, verified before use.

Their weights are kept in half precision, and every published number is of what is loaded. A model
that is made of others has their names in place of weights, and a digest of their digests. Weights
that did not come with an installation are fetched: see `zoo/hub/download.py`.
"""

import os
import pathlib
import re
from typing import Any

import numpy as np

from zoo.core import files, schemas
from zoo.errors import InputError
from zoo.hub import download, folders

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "pretrained"


def training_minutes(summary: dict[str, Any]) -> float:
    """Of a run; `paused_seconds`, a person's entry, are those in which the process stood."""
    return (summary["training_seconds"] - summary.get("paused_seconds", 0)) / 60


def names() -> list[str]:
    """The names of all of them."""
    return _names(FOLDER)


def _names(folder: pathlib.Path) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted(p.name for p in folder.iterdir() if (p / folders.CONFIG).is_file())


def manifest(folder: pathlib.Path | None = None) -> dict[str, Any]:
    """All entries by name, of a folder of such folders.

    Raises:
      InputError: one cannot be read, or is not what it must be.
    """
    of = FOLDER if folder is None else folder
    return {name: _entry(of / name) for name in _names(of)}


def entry(name: str) -> dict[str, Any]:
    """What is known of one: its `settings`, `command`, `summary`, and the `sha256` of its weights.

    Raises:
      InputError: there is none, or it is not what it must be.
    """
    check_known(name)
    return _entry(FOLDER / name)


def _entry(folder: pathlib.Path) -> dict[str, Any]:
    try:
        settings = files.read_json(folder / folders.CONFIG, schemas.HUB_CONFIG)
        published = settings.pop("published")
        found = {**published, "settings": settings}
        if (path := folder / folders.SUMMARY).exists():
            found["summary"] = files.read_json(path, {"type": "object"})
    except InputError as e:
        raise InputError(f"{e}; install zoo anew") from None
    return found


def check_known(name: str) -> None:
    """Raises InputError where no pretrained model has this name."""
    if name not in (known := names()):
        raise InputError(f"no pretrained model named {name!r}; there are {', '.join(known)}")


def weights(name: str) -> dict[str, np.ndarray]:
    """The arrays of a pretrained model, float32, by the names that checkpoints give them.

    Raises:
      InputError: no such name, or the file cannot be had or is not the right one.
    """
    known = entry(name)
    if "parts" in known:
        raise InputError(f"{name} is made of {' and '.join(known['parts'])}, and has no weights")
    path = FOLDER / name / folders.WEIGHTS
    if not os.path.lexists(path):
        path = download.path_of(f"{name}/{folders.WEIGHTS}", known["sha256"], known["bytes"])
    try:
        content = path.read_bytes()
    except OSError as e:
        raise InputError(f"{path} cannot be read ({e.strerror}): install zoo anew") from None
    if folders.sha256(content) != known["sha256"]:
        raise InputError(f"{path} is another file: its SHA-256 differs; install zoo anew")
    return folders.arrays_of(content, path)


def name_of(sha256: str) -> str | None:
    """The name of the pretrained model whose weights' file has, or had, this digest, if one has."""
    for name, known in manifest().items():
        if "parts" not in known and sha256 in (known["sha256"], *known.get("earlier", ())):
            return name
    return None


def publish(name: str, arrays: dict[str, np.ndarray], about: dict[str, Any]) -> None:
    """Writes the folder of a model: its weights, and its entry.

    Args:
      name: what it is asked for by.
      arrays: its weights.
      about: the rest of the entry: `settings` at the least, `command`, `summary`.

    Raises:
      InputError: a weight does not fit into half precision.
    """
    _write(name, folders.content_of(arrays, name, half=True), about)


def publish_composed(name: str, parts: list[str], about: dict[str, Any]) -> None:
    """Writes the folder of a model that is made of others.

    Args:
      name: what it is asked for by.
      parts: names of pretrained models.
      about: the rest of the entry; `settings` at the least.
    """
    _write(name, None, {**about, "parts": parts, "sha256": _sha256_of(parts)})


def _write(name: str, content: bytes | None, about: dict[str, Any]) -> None:
    published = {k: v for k, v in about.items() if k not in ("settings", "summary")}
    folders.write(FOLDER / name, about["settings"], published, content, about.get("summary"))


def check_parts(name: str) -> None:
    """Raises InputError where the parts of a composed model are not those it was published with."""
    known = entry(name)
    if _sha256_of(known.get("parts", [])) != known["sha256"]:
        parts = " or ".join(known.get("parts", ["model"]))
        raise InputError(f"{name} was made of another {parts}: publish and evaluate it again")


def _sha256_of(parts: list[str]) -> str:
    return folders.sha256("\n".join(entry(part)["sha256"] for part in parts).encode())


def check_name(name: str) -> None:
    """Raises InputError where a name cannot be that of a folder."""
    if not re.fullmatch("[a-z0-9_]+", name):
        raise InputError(f"--name={name}: small letters, digits and _ make a name")

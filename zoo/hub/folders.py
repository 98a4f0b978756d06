"""One folder a model, laid out as a repository of a hub: what is in it, and how it is read.

| file | what it holds |
|---|---|
| `config.json` | all settings, as in a workdir; under `published` the digest of the weights |
| `model.safetensors` | the weights, each under the attribute path of its layer |
| `summary.json` | how the training ended, as in a workdir |
| `record.json` | an evaluation, as `zoo evaluate --out` writes it |
| `README.md`, `samples.png`, `neighbors.png` | the card and its pictures |

The first two are enough to load a model.
"""

import hashlib
import pathlib
from typing import Any

import numpy as np

from zoo.core import files, schemas
from zoo.errors import InputError, one_line

CONFIG, WEIGHTS, SUMMARY, RECORD = "config.json", "model.safetensors", "summary.json", "record.json"
CARD, SAMPLES, NEIGHBORS = "README.md", "samples.png", "neighbors.png"
_PREFIX = "weights/"  # of the names that checkpoints give to weights


def sha256(content: bytes) -> str:
    """The digest of a file's content."""
    return hashlib.sha256(content).hexdigest()


def is_one(folder: pathlib.Path) -> bool:
    """Whether a folder holds a model in this way, and is not a workdir."""
    return (folder / WEIGHTS).is_file() and not (folder / "checkpoints").exists()


def content_of(arrays: dict[str, np.ndarray], where: object, half: bool = False) -> bytes:
    """The file of weights, which are called as in a checkpoint.

    Args:
      arrays: weights by name.
      where: what a message calls them.
      half: whether they are written in half precision.

    Raises:
      InputError: a weight does not fit into half precision.
    """
    from safetensors.numpy import save

    found = {}
    for name, array in arrays.items():
        array = np.asarray(array, order="C")
        if half:
            with np.errstate(over="ignore"):
                array = array.astype(np.float16)
            if not np.isfinite(array).all():
                raise InputError(f"{name} of {where} does not fit into half precision")
        found[name.removeprefix(_PREFIX)] = array
    return save(found)


def arrays_of(content: bytes, where: object) -> dict[str, np.ndarray]:
    """The inverse of `content_of`, in float32.

    Raises:
      InputError: it is no such file.
    """
    import safetensors
    from safetensors.numpy import load

    try:
        found = load(content)
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as e:
        raise InputError(f"{where} is no file of weights: {one_line(str(e))}") from None
    if odd := [name for name, array in found.items() if array.dtype.kind != "f"]:
        raise InputError(f"{where}: {odd[0]} is not of real numbers")
    return {_PREFIX + name: array.astype(np.float32) for name, array in found.items()}


def weights(folder: pathlib.Path) -> dict[str, np.ndarray]:
    """The weights of a model in a folder, float32, by the names that checkpoints give them.

    Raises:
      InputError: they cannot be read, or are not those that `config.json` names.
    """
    path = folder / WEIGHTS
    try:
        content = path.read_bytes()
    except OSError as e:
        raise InputError(f"{path} cannot be read: {e.strerror}") from None
    known = files.read_json(folder / CONFIG, schemas.HUB_CONFIG)["published"]
    if sha256(content) != known.get("sha256"):
        raise InputError(f"{path} is not the file that {CONFIG} names: its SHA-256 differs")
    return arrays_of(content, path)


def write(
    folder: pathlib.Path,
    settings: dict[str, Any],
    published: dict[str, Any],
    content: bytes | None,
    summary: dict[str, Any] | None,
) -> None:
    """Writes a model's folder anew: settings, weights and summary.

    What else was in it, a card or an evaluation, was of other weights and goes.

    Args:
      folder: where.
      settings: of the run.
      published: what else `config.json` says of the model, such as its `command`.
      content: of the file of weights; None of a model made of others.
      summary: how the training ended.
    """
    if content is not None:
        published = {"sha256": sha256(content), "bytes": len(content), **published}

    def write_files(place: pathlib.Path) -> None:
        files.write_json(place / CONFIG, {**settings, "published": published})
        if summary is not None:
            files.write_json(place / SUMMARY, summary)
        if content is not None:
            (place / WEIGHTS).write_bytes(content)

    files.write_folder(folder, write_files, replace=True)

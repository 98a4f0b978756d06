"""A trained model as files for others: SavedModel, ONNX, LiteRT and Keras."""

import os
import pathlib
from typing import Any

from zoo.core import files
from zoo.hub import runtimes


def saved_model(model: Any, path: pathlib.Path, replace: bool = True) -> list[str]:
    """Writes a model as a SavedModel with its declared endpoints as signatures.

    `serving_default` is `sample`, or `classify` for a classifier. The folder is whole when it
    appears.

    Args:
      model: has `endpoints()`; float32, so that any device can serve it.
      path: the folder.
      replace: whether it takes the place of what is there.

    Returns:
      The endpoints' names.

    Raises:
      FileExistsError: something is there, and is not to be replaced.
    """
    files.write_folder(path, model.export, replace)
    return list(model.endpoints())


def keras_file(model: Any, path: pathlib.Path, replace: bool = True) -> list[str]:
    """Writes a model as a `.keras` file, whole when it appears: arguments as `saved_model`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.unfinished(path) as folder:
        folder.mkdir()
        model.save(folder / "model.keras")
        if not replace and path.exists():
            raise FileExistsError(f"{path} exists")
        os.replace(folder / "model.keras", path)
    return []


WRITE = {
    "saved_model": saved_model,
    "onnx": runtimes.onnx,
    "litert": runtimes.litert,
    "keras": keras_file,
}

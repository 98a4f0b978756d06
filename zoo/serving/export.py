"""SavedModels that need TensorFlow alone."""

import pathlib
import shutil

from zoo.core import files


def saved_model(model, path: pathlib.Path) -> None:
    """Writes a model as a SavedModel with its declared endpoints as signatures.

    `serving_default` is `sample`, or `classify` for a classifier. The folder is whole when it
    appears; one that was there is replaced.

    Args:
      model: has `endpoints()`; float32, so that any device can serve it.
      path: the folder.
    """
    temporary = path.with_name(f".{path.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()  # where it cannot be, Python says so more clearly than TensorFlow
    try:
        model.export(temporary)
        files.remove(path)
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)

"""SavedModels that need TensorFlow alone."""

import pathlib

from zoo.core import files


def saved_model(model, path: pathlib.Path, replace: bool = True) -> None:
    """Writes a model as a SavedModel with its declared endpoints as signatures.

    `serving_default` is `sample`, or `classify` for a classifier. The folder is whole when it
    appears.

    Args:
      model: has `endpoints()`; float32, so that any device can serve it.
      path: the folder.
      replace: whether it takes the place of what is there.

    Raises:
      FileExistsError: something is there, and is not to be replaced.
    """
    files.write_folder(path, model.export, replace)

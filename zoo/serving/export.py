"""SavedModels that need TensorFlow alone."""

import pathlib

import keras

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
    archive = keras.export.ExportArchive()
    archive.track(model)
    endpoints = model.endpoints()
    first = next(iter(endpoints))
    for name, (function, signature) in [*endpoints.items(), ("serving_default", endpoints[first])]:
        archive.add_endpoint(name, function, input_signature=signature)
    files.write_folder(path, lambda folder: archive.write_out(str(folder), verbose=False), replace)

"""SavedModels that need TensorFlow alone."""

import pathlib
import shutil

import keras

from zoo.core import files


def saved_model(model, path: pathlib.Path) -> None:
    """Writes a model as a SavedModel with its declared endpoints as signatures.

    `serving_default` is `sample`, or `classify` for a classifier. The folder is whole when it
    appears; one that was there is replaced.

    Args:
      model: has `endpoints()`; float32, so that any device can serve it.
      path: the folder.
    """
    archive = keras.export.ExportArchive()
    archive.track(model)
    endpoints = model.endpoints()
    first = next(iter(endpoints))
    for name, (function, signature) in [*endpoints.items(), ("serving_default", endpoints[first])]:
        archive.add_endpoint(name, function, input_signature=signature)
    temporary = path.with_name(f".{path.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()  # where it cannot be, Python says so more clearly than TensorFlow
    try:
        archive.write_out(str(temporary), verbose=False)
        files.remove(path)
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)

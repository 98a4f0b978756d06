"""A trained model as the folder that is pushed to a hub."""

import pathlib

import numpy as np

from zoo import data, registry
from zoo.core import files
from zoo.drawing import pictures
from zoo.errors import InputError
from zoo.evaluation import features, records
from zoo.hub import card, checkpoints, folders, loading, pretrained, references
from zoo.training import defaults

_OF_THIS_MACHINE = ("workdir", "data_dir", "init_from", "classifier")


def write(source, folder: pathlib.Path, repository: str, license: str | None) -> None:
    """Writes the folder of a trained model: weights in float32, settings, record, samples and card.

    No path of this machine is in it.

    Args:
      source: what `zoo.load` takes.
      folder: where; it must not exist.
      repository: USER/NAME, for the card.
      license: of the weights, for the card.

    Raises:
      InputError: the source cannot be loaded, or is made of other models.
    """
    reference = references.parse(source)
    settings = loading.read_config(reference)
    if settings["model"] in registry.COMPOSED:
        raise InputError(f"{source} is made of other models: push its parts")
    model, run = loading.load(reference), settings["run"]
    dataset = data.name_of(run["dataset"], run["data_dir"])
    name = pathlib.PurePath(dataset.removeprefix("folder:")).name
    of_folder = dataset.startswith("folder:")
    settings["run"] = {
        **run,
        **{k: "" for k in _OF_THIS_MACHINE if k in run},
        "dataset": f"folder:{name}" if of_folder else name,
    }
    content = folders.content_of(checkpoints.weights_of(model), reference)
    command = defaults.command(settings)
    folders.write(folder, settings, {"command": command}, content, None)
    record = None
    if (path := _record_of(reference)).is_file():
        record = records.read_record(path)
        files.write_json(folder / folders.RECORD, record)
    if "sample" in model.can and min(model.image_shape[:2]) > 1:
        images = model.sample(64, features.labels_in_turn(model, 64), seed=0)
        pictures.save_png(folder / folders.SAMPLES, pictures.grid(np.asarray(images)))
    with_samples = (folder / folders.SAMPLES).exists()
    text = card.of_run(repository, settings, name, command, record, license, with_samples)
    files.write_text(folder / folders.CARD, text)


def _record_of(reference: references.Reference) -> pathlib.Path:
    if isinstance(reference, references.Packaged):
        return pretrained.FOLDER / reference.name / folders.RECORD
    return reference / ("record.json" if folders.is_one(reference) else "evaluation.json")

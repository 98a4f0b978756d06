"""A trained model as the folder that is pushed to a hub."""

import pathlib
from typing import Any

import numpy as np

from zoo import data, registry
from zoo.core import files
from zoo.drawing import pictures
from zoo.errors import InputError
from zoo.evaluation import features, records
from zoo.hub import card, checkpoints, folders, loading, pretrained, references
from zoo.training import defaults


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
    reference = loading.local(references.parse(source))
    settings = loading.read_config(reference)
    if settings["model"] in registry.COMPOSED:
        raise InputError(f"{source} is made of other models: push its parts")
    model = loading.load(reference)
    run = settings["run"]
    settings["run"] = _without_paths(run)
    dataset = settings["run"]["dataset"].removeprefix("folder:")
    content = folders.content_of(checkpoints.weights_of(model), reference)
    command = defaults.command(settings)
    folders.write(folder, settings, {"command": command}, content, None)
    if record := _record(reference, model, dataset):
        files.write_json(folder / folders.RECORD, record)
    if "sample" in model.can and min(model.image_shape[:2]) > 1:
        images = model.sample(64, features.labels_in_turn(model, 64), seed=0)
        pictures.save_png(folder / folders.SAMPLES, pictures.grid(np.asarray(images)))
    text = card.of_run(
        repository,
        settings,
        dataset,
        "`zoo.train` in Python" if dataset == data.sources.ARRAYS else f"`{command}`",
        record,
        license,
        classifies="classify" in model.can,
        with_samples=(folder / folders.SAMPLES).exists(),
    )
    files.write_text(folder / folders.CARD, text)


def _without_paths(run: dict[str, Any]) -> dict[str, Any]:
    """Settings of a run in which data are named as on the card, and paths are left out."""
    dataset = data.without_path(data.name_of(run["dataset"], run["data_dir"]))
    named = {
        key: run[key]
        for key in ("init_from", "classifier")
        if run.get(key) and not isinstance(references.parse(run[key]), pathlib.Path)
    }
    blank = {k: "" for k in ("workdir", "data_dir", "init_from", "classifier") if k in run}
    return {**run, **blank, **named, "dataset": dataset}


def _record(reference: references.Reference, model, dataset: str) -> dict[str, Any] | None:
    """The evaluation of a model, if there is one of these weights."""
    if isinstance(reference, references.Packaged):
        path = pretrained.FOLDER / reference.name / folders.RECORD
    else:
        path = reference / (folders.RECORD if folders.is_one(reference) else "evaluation.json")
    if not path.is_file():
        return None
    record = records.read_record(path)
    if not loading.same_weights(record["weights_sha256"], loading.weights_sha256(reference, model)):
        files.warn(f"{path} is of other weights, and is left out: evaluate the model again")
        return None
    net = record["features"]
    if net and net["name"].startswith("workdir "):
        net = {**net, "name": "a classifier of these images"}
    command = f"zoo evaluate --split={record['split']}"
    return {**record, "dataset": dataset, "features": net, "command": command}

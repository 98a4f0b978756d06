"""From settings to a compiled model, and from a reference to a trained one."""

import dataclasses
import functools
import json
import os
import pathlib
import textwrap
from typing import Any

from zoo.core import backend  # isort: skip  (first: it imports the others)
import numpy as np
import tensorflow as tf

from zoo import registry
from zoo.core import config, files, schemas
from zoo.core.arrays import digest
from zoo.core.backend import precision
from zoo.errors import InputError
from zoo.families import optimizers
from zoo.hub import checkpoints, folders, pretrained, references
from zoo.hub.references import Composed, Packaged, Remote
from zoo.recipes import Recipe, Run

PARTS = ("config", "recipe", "run")  # of settings, each of a dataclass


def create(
    name: str,
    image_shape: tuple[int, int, int],
    num_classes: int,
    values: dict[str, Any],
    *,
    seed: int = 0,
    recipe: Recipe | None = None,
    num_steps: int | None = None,
    **compile_options,
):
    """A new model, compiled by a recipe (its own, when left out); see `zoo.create`.

    One that is composed takes shape and classes from its trained parts, and is ready for use.
    `num_steps` is the length of the training, without which step sizes do not decay, and
    `compile_options` are those of Keras' `compile`.
    """
    backend.settle()  # a program may have changed them since
    cls = registry.model_class(name)
    settings = config.make(cls.Config, values)
    if name in registry.COMPOSED:
        sources = [getattr(settings, part) for part in cls.parts]
        known = {source: read_config(source) for source in sources}
        if unlabeled := [source for source in sources if not known[source]["num_classes"]]:
            raise InputError(
                f"{name} needs labels, and {unlabeled[0]} learnt from images without them: train "
                "its parts on a folder with a folder for each class, PATH/CLASS/*.png"
            )
        if len({settings["dataset_digest"] for settings in known.values()}) > 1:
            raise InputError(f"{' and '.join(map(str, sources))} learnt from different images")
        parts = dict(zip(cls.parts, map(load, sources), strict=True))
        return cls(settings, seed=seed, name=name, **parts)
    recipe = recipe or registry.recipe(name)
    parts = {part: load(getattr(settings, f)) for part, f in cls.trained_parts.items()}
    model = cls(
        settings, image_shape=image_shape, num_classes=num_classes, seed=seed, name=name, **parts
    )

    replicas = model.distribute_strategy.num_replicas_in_sync
    new = functools.partial(optimizers.adam, recipe=recipe, num_steps=num_steps, replicas=replicas)
    model.compile(**model.optimizers(recipe, new), **compile_options)
    if decay := getattr(recipe, "average_decay", 0.0):
        model.average_weights(decay)
    return model


def read_config(source) -> dict[str, Any]:
    """The settings of a trained model; see `zoo.load`.

    A run of before there was a setting has what held until then: `formerly` of the field, or the
    default of its class; those of a recipe or of 2-D toy data need not be.

    Raises:
      InputError: the folder or its `config.json` is missing, not readable or not what this version
        can have written.
    """
    reference = references.parse(source)
    if isinstance(reference, Composed):
        return _settings_of(reference)
    if isinstance(reference, Packaged):
        settings = pretrained.entry(reference.name)["settings"]
        usual, *_ = _checked(settings, f"the pretrained model {reference}")
        return {**settings, "config": {**usual, **settings["config"]}}
    path = local(reference) / folders.CONFIG
    if not os.path.exists(path):
        also = ""
        if isinstance(source, str):
            also = f", and no pretrained model; of those there are {', '.join(pretrained.names())}"
        raise InputError(f"{path} does not exist: {source} is no workdir of train.py{also}")
    settings = files.read_json(path)
    _check_is_of_run(path, settings)
    schemas.check(settings, schemas.SETTINGS, path)
    settings.pop("published", None)  # of the file of weights beside it
    if settings["model"] in registry.COMPOSED:
        raise InputError(f"{path}: {settings['model']} is made of trained parts, and is not a run")
    usual = _checked(settings, path)
    for part, values in zip(PARTS, usual, strict=True):
        settings[part] = {**values, **settings[part]}
    return settings


def _settings_of(composed: Composed) -> dict[str, Any]:
    """Settings as those of a workdir; data and classes are those of the parts.

    Raises:
      InputError: a setting is wrong.
    """
    name = composed.model
    settings = config.make(registry.config_class(name), composed.config)
    *_, part = registry.model_class(name).parts  # all are of the same data, as `create` checks
    known = read_config(getattr(settings, part))
    return {**known, "model": name, "config": dataclasses.asdict(settings)}


def local(reference: references.Reference) -> references.Reference:
    """A reference to what is on this machine: a repository is fetched, and is its folder.

    Raises:
      InputError: it cannot be fetched; or a path is none.
    """
    if isinstance(reference, Remote):
        from zoo.hub import huggingface

        return huggingface.fetch(reference)
    return files.local_path(reference) if isinstance(reference, pathlib.Path) else reference


def _checked(settings: dict[str, Any], where: object) -> list[dict[str, Any]]:
    """What parts of settings were before they were written, once these are known to be right.

    Raises:
      InputError: a setting is unknown, or not what it must be.
    """
    name = settings["model"]
    try:
        recipe = Recipe() if name in registry.COMPOSED else registry.recipe(name)
        classes = [registry.config_class(name), type(recipe), Run]
    except InputError as e:
        raise InputError(f"{where}: {e}") from None
    for part, cls in zip(PARTS, classes, strict=True):
        if name in registry.COMPOSED and part == "recipe":  # that of one of its parts
            continue
        try:
            config.make(cls, settings[part])
        except InputError as e:
            raise InputError(f"{where}: {part}: {e}") from None
    names, number = settings.get("class_names"), settings["num_classes"]
    if names is not None and len(names) != number:
        raise InputError(f"{where}: class_names are {len(names)}, and num_classes is {number}")
    if any(name.encode(errors="replace").decode() != name for name in names or ()):
        raise InputError(f"{where}: class_names must be UTF-8")
    return json.loads(json.dumps([config.formerly(cls()) for cls in classes]))


def check_is_of_run(path: pathlib.Path) -> None:
    """Raises InputError where a `config.json` is another program's; a damaged one may be ours."""
    try:
        settings = files.read_json(path)
    except InputError:
        return
    _check_is_of_run(path, settings)


def _check_is_of_run(path: pathlib.Path, settings: Any) -> None:
    needed = schemas.SETTINGS["required"]
    known = settings if isinstance(settings, dict) else {}
    if missing := [key for key in needed if key not in known]:
        raise InputError(
            f"{path} is not of train.py: it lacks {missing[0]}, and {path.parent} is no workdir"
        )


def load(source):
    """The model that a reference names, with trained weights, in float32; see `zoo.load`."""
    reference = local(references.parse(source))  # once: a repository may change
    given = isinstance(source, str) and not isinstance(references.parse(source), Remote)
    settings = read_config(source if given else reference)  # as it was spelled, for messages
    folder = manager = None
    if isinstance(reference, pathlib.Path):
        folder = reference
        if not folders.is_one(folder):
            manager = checkpoints.Manager(folder / "checkpoints")
            manager.check_settings(settings)
    arguments = [settings[k] for k in ("model", "image_shape", "num_classes", "config")]
    try:
        with precision("float32"):
            model = create(*arguments)
    except (ValueError, TypeError, ArithmeticError, MemoryError, tf.errors.OpError) as e:
        if folder is None or isinstance(e, InputError):
            raise
        huge = isinstance(e, MemoryError | tf.errors.OpError)  # TensorFlow's say it in many ways
        reason = "it is too large" if huge else textwrap.shorten(str(e), 200)
        raise InputError(f"{source}/{folders.CONFIG}: no model can be made of it: {reason}") from e
    if settings["model"] in registry.COMPOSED:
        if isinstance(reference, Packaged):
            pretrained.check_parts(reference.name)
        return model
    if manager is not None:
        manager.restore_weights(model)
    else:
        of_file = pretrained.weights(reference.name) if folder is None else folders.weights(folder)
        try:
            checkpoints.assign_weights(source, model, of_file)
        except checkpoints.Damaged as e:
            raise InputError(str(e)) from None
    model.from_noise = False  # `fit` goes on from these
    return model


def weights_sha256(source, model) -> str:
    """Of the file of the weights of a pretrained model, else of the weights."""
    reference = references.parse(source)
    if isinstance(reference, Packaged):
        return pretrained.entry(reference.name)["sha256"]
    if isinstance(reference, Composed):
        return digest({f"{i:04d}": np.asarray(w) for i, w in enumerate(model.weights)})
    return checkpoints.weights_digest(model)


def same_weights(one: str, other: str) -> bool:
    """Whether two digests, each of `weights_sha256`, are of the same weights.

    Those of a pretrained model are known by its file, and by themselves in a workdir.
    """

    def of_arrays(sha256: str) -> str:
        name = pretrained.name_of(sha256)
        return checkpoints.weights_digest(load(Packaged(name))) if name else sha256

    return one == other or of_arrays(one) == of_arrays(other)

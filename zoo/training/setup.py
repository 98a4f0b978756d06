"""From settings to a compiled model, and from a workdir to a trained one."""

import dataclasses
import functools
import json
import os
import pathlib
import shlex
import textwrap
from typing import Any

from zoo.core import backend  # isort: skip  (first: it imports the others)
import keras
import numpy as np
import tensorflow as tf

from zoo import data, registry
from zoo.core import config, files, schemas
from zoo.core.arrays import digest
from zoo.core.backend import precision
from zoo.data import pipeline
from zoo.errors import InputError
from zoo.evaluation import features, records
from zoo.hub import checkpoints, pretrained
from zoo.recipes import Recipe, Run
from zoo.training import defaults

CONFIG_FILE = "config.json"
_PARTS = ("config", "recipe", "run")


def create(
    name: str,
    image_shape: tuple[int, int, int],
    num_classes: int,
    values: dict[str, Any],
    *,
    seed: int = 0,
    recipe: Recipe | None = None,
    num_steps: int | None = None,
    published: bool = False,
    **compile_options,
):
    """A new model, compiled by a recipe (its own, when left out); see `zoo.create`.

    One that is composed takes shape and classes from its trained parts, and is ready for use.
    `num_steps` is the length of the training, without which step sizes do not decay; `published`
    says that the parts of a composed one are pretrained ones, whatever folders there are; and
    `compile_options` are those of Keras' `compile`.
    """
    backend.settle()  # a program may have changed them since
    cls = registry.model_class(name)
    settings = config.make(cls.Config, values)
    if name in registry.COMPOSED:
        of = pretrained.Name if published else str
        sources = [of(getattr(settings, part)) for part in cls.parts]
        known = {source: read_config(source) for source in sources}
        if unlabelled := [source for source in sources if not known[source]["num_classes"]]:
            raise InputError(
                f"{name} needs labels, and {unlabelled[0]} learnt from images without them: train "
                "its parts on a folder with a folder for each class, PATH/CLASS/*.png"
            )
        if len({settings["dataset_digest"] for settings in known.values()}) > 1:
            raise InputError(f"{' and '.join(map(str, sources))} learnt from different images")
        parts = dict(zip(cls.parts, map(load, sources), strict=True))
        return cls(settings, seed=seed, name=name, **parts)
    recipe = recipe or registry.recipe(name)
    model = cls(settings, image_shape=image_shape, num_classes=num_classes, seed=seed, name=name)

    replicas = model.distribute_strategy.num_replicas_in_sync
    new = functools.partial(_adam, recipe=recipe, num_steps=num_steps, replicas=replicas)
    model.compile(**model.optimizers(recipe, new), **compile_options)
    if decay := getattr(recipe, "average_decay", 0.0):
        model.average_weights(decay)
    return model


def _adam(
    learning_rate: float,
    updates: int = 1,
    *,
    recipe: Recipe,
    num_steps: int | None,
    replicas: int,
) -> keras.optimizers.Adam:
    """Adam, or AdamW where weights decay, with so many updates in a training step.

    It scales down the gradient of its replica, a part of the whole; see `ImageModel._descend`.
    """
    schedules, warmup = keras.optimizers.schedules, recipe.warmup_steps * updates
    if recipe.decay == "cosine" and num_steps:
        if warmup:
            rest = max(1, num_steps * updates - warmup)
            learning_rate = schedules.CosineDecay(
                0.0, rest, warmup_target=learning_rate, warmup_steps=warmup
            )
        else:
            learning_rate = schedules.CosineDecay(learning_rate, num_steps * updates)
    elif warmup:
        learning_rate = schedules.PolynomialDecay(0.0, warmup, learning_rate)
    return keras.optimizers.Adam(
        learning_rate,
        recipe.beta_1,
        recipe.beta_2,
        weight_decay=recipe.weight_decay or None,
        global_clipnorm=recipe.clip_norm / replicas if recipe.clip_norm else None,
    )


def _settings_of(composed: registry.Composed) -> dict[str, Any]:
    """Settings as those of a workdir; data and classes are those of the parts.

    Raises:
      InputError: a setting is wrong.
    """
    name = composed.model
    settings = config.make(registry.config_class(name), composed.config)
    *_, part = registry.model_class(name).parts  # all are of the same data, as `create` checks
    known = read_config(getattr(settings, part))
    return {**known, "model": name, "config": dataclasses.asdict(settings)}


def is_pretrained(source) -> bool:
    """Whether `source` is, or can only be, the name of a pretrained model.

    A `pathlib.Path` never is one, and a `pretrained.Name` always; of any other string a folder of
    that name with a run goes first.
    """
    if isinstance(source, registry.Composed):
        return False
    if isinstance(source, pretrained.Name):
        return True
    if not isinstance(source, str) or os.path.lexists(os.path.join(source, CONFIG_FILE)):
        return False  # a folder needs no manifest
    return source in pretrained.names()


def read_config(source) -> dict[str, Any]:
    """The settings of a workdir or of a pretrained model.

    A run of before there was a setting has what held until then: `formerly` of the field, or the
    default of its class; those of a recipe or of 2-D toy data need not be.

    Raises:
      InputError: the folder or its `config.json` is missing, not readable or not what this version
        can have written.
    """
    if isinstance(source, registry.Composed):
        return _settings_of(source)
    if is_pretrained(source):
        settings = pretrained.entry(source)["settings"]
        usual, *_ = _checked(settings, f"{source} in the manifest of pretrained models")
        return {**settings, "config": {**usual, **settings["config"]}}
    path = files.local_path(source) / CONFIG_FILE
    if not os.path.exists(path):
        also = ""
        if isinstance(source, str):
            also = f", and no pretrained model; of those there are {', '.join(pretrained.names())}"
        raise InputError(f"{path} does not exist: {source} is no workdir of train.py{also}")
    settings = files.read_json(path)
    _check_is_of_run(path, settings)
    schemas.check(settings, schemas.SETTINGS, path)
    if settings["model"] in registry.COMPOSED:
        raise InputError(f"{path}: {settings['model']} is made of trained parts, and is not a run")
    usual = _checked(settings, path)
    for part, values in zip(_PARTS, usual, strict=True):
        settings[part] = {**values, **settings[part]}
    return settings


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
    for part, cls in zip(_PARTS, classes, strict=True):
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
    """The model of that name or of a workdir, with trained weights, in float32; see `zoo.load`."""
    settings = read_config(source)
    manager = None
    if not isinstance(source, registry.Composed) and not is_pretrained(source):
        manager = checkpoints.Manager(files.local_path(source) / "checkpoints")
        manager.check_settings(settings)
    arguments = [settings[k] for k in ("model", "image_shape", "num_classes", "config")]
    try:
        with precision("float32"):
            model = create(*arguments, published=is_pretrained(source))
    except (ValueError, TypeError, ArithmeticError, MemoryError, tf.errors.OpError) as e:
        if manager is None or isinstance(e, InputError):
            raise
        huge = isinstance(e, MemoryError | tf.errors.OpError)  # TensorFlow's say it in many ways
        reason = "it is too large" if huge else textwrap.shorten(str(e), 200)
        raise InputError(f"{source}/{CONFIG_FILE}: no model can be made of it: {reason}") from e
    if settings["model"] in registry.COMPOSED:
        if is_pretrained(source):
            pretrained.check_parts(source)
        return model
    if manager is None:
        checkpoints.assign_weights(source, model, pretrained.weights(source))
    else:
        manager.restore_weights(model)
    model.from_noise = False  # `fit` goes on from these
    return model


def start_from(source: str, model) -> str:
    """Gives a new model the weights of a trained one, maybe of another name; their SHA-256.

    Args:
      source: a workdir or the name of a pretrained model.
      model: of networks of the same shapes, made in the same order.

    Raises:
      InputError: the source cannot be loaded, or its networks are of other shapes.
    """
    if read_config(source)["model"] in registry.COMPOSED:
        raise InputError(f"--init_from: {source} is made of other models, and has no weights")
    trained = load(source)
    try:
        checkpoints.assign_weights(source, model, checkpoints.weights_of(trained))
    except checkpoints.Damaged as e:
        raise InputError(f"--init_from: {e}; give this model the settings of that one") from None
    model.restart_schedules()
    if model.weight_average is not None:
        model.weight_average.restart()
    return weights_sha256(source, trained)


def weights_sha256(source, model) -> str:
    """Of the file of the weights, where they come with the package, else of the weights."""
    if is_pretrained(source):
        return pretrained.entry(source)["sha256"]
    if isinstance(source, registry.Composed):
        return digest({f"{i:04d}": np.asarray(w) for i, w in enumerate(model.weights)})
    return checkpoints.weights_digest(model)


def same_weights(one: str, other: str) -> bool:
    """Whether two digests, each of `weights_sha256`, are of the same weights.

    Those of a pretrained model are known by its file, and by themselves in a workdir.
    """

    def of_arrays(sha256: str) -> str:
        name = pretrained.name_of(sha256)
        return checkpoints.weights_digest(load(pretrained.Name(name))) if name else sha256

    return one == other or of_arrays(one) == of_arrays(other)


def pretrained_classifier(dataset_digest: str) -> pretrained.Name | None:
    """The pretrained classifier, first by name, that learnt from these images; else None."""
    name = records.usual_judge(pretrained.manifest(), dataset_digest)
    return name and pretrained.Name(name)


def feature_net(source) -> features.FeatureNet:
    """The classifier of a workdir or of that name, as what sees samples.

    Raises:
      InputError: it cannot be loaded, or is no classifier.
    """
    classifier = load(source)
    kind = "pretrained" if is_pretrained(source) else "workdir"
    return features.of_classifier(
        classifier, f"{kind} {source}", weights_sha256(source, classifier)
    )


def judge(source, dataset_digest: str) -> features.FeatureNet:
    """`feature_net` of a classifier that must have learnt from these images.

    Raises:
      InputError: it did not, cannot be loaded, or is no classifier.
    """
    if read_config(source)["dataset_digest"] != dataset_digest:
        raise InputError(f"--classifier={source} learnt from other images")
    return feature_net(source)


def split_of(source, name: str, data_dir: str | None = None, seed: int = 0) -> data.Split:
    """A split of the data that a model was trained on, as it sees it in evaluation.

    Args:
      source: a workdir or the name of a pretrained model.
      name: `train`, `validation` or `test`.
      data_dir: where the data lies now, if it has moved.
      seed: of stochastic binarization.

    Raises:
      InputError: it cannot be read, or is not what it was.
    """
    settings = read_config(source)
    run = {**dataclasses.asdict(Run()), **settings["run"]}
    dataset, folder = run["dataset"], data_dir or run["data_dir"]
    if dataset.startswith("folder:") and data_dir:
        dataset, folder = f"folder:{data_dir}", None
    try:
        found = data.load(
            dataset or None,
            folder or None,
            run["image_size"] or None,
            run["skip_broken"],
            settings["dataset_digest"],
        )
    except InputError as e:
        if data_dir or not (folder or dataset.startswith("folder:")):
            raise
        raise InputError(f"{e}; where the data lies elsewhere now, name it by --data_dir") from None
    if found.digest != settings["dataset_digest"]:
        raise InputError(f"{found.description}: not the images that {source} was trained on")
    shape = tuple(settings["image_shape"])
    if (shape, settings["num_classes"]) != (found.image_shape, found.num_classes):
        raise InputError(
            f"{found.description}, {found.num_classes} classes: not the image_shape={shape} and "
            f"num_classes={settings['num_classes']} of {source}"
        )
    return pipeline.as_seen(getattr(found, name), name, run["binarization"], seed)


def command(settings: dict[str, Any]) -> str:
    """The shortest command that trains with the settings of a `config.json`.

    Of a model that is made of trained parts, the one that evaluates it.
    """
    name = settings["model"]
    config_class = registry.config_class(name)
    if name in registry.COMPOSED:
        script, parts = "evaluate.py", [(config_class(), settings["config"])]
    else:
        script, given = "train.py", [settings[part] for part in _PARTS]
        options, *others = defaults.settings(name, settings["run"]["dataset"])
        options = config.resolved(options, settings["image_shape"])
        parts = zip((options, *others), given, strict=True)
    words = []
    for default, values in parts:
        then = config.formerly(default)
        for f in dataclasses.fields(default):
            usual = getattr(default, f.name)
            value = values.get(f.name, then[f.name])  # of before there was such a setting
            value = tuple(value) if isinstance(value, list) else value
            if f.name == "monitor" and usual == "val_fid" and not value:  # as 0.1 was told
                words.append("--eval_every=0")
            elif value != usual:
                text = ",".join(map(str, value)) if isinstance(value, tuple) else value
                words.append(shlex.quote(f"--{f.name}={text}"))
    return " ".join([f"python scripts/{script}", f"--model={name}", *words])

"""What holds where nothing else is asked for, and the command that asks for the rest."""

import dataclasses
import shlex
from collections.abc import Collection
from typing import Any

from zoo import registry
from zoo.core import config
from zoo.data import Dataset, toy
from zoo.recipes import Recipe, Run

EPOCH = 55_000  # training images, of Fashion-MNIST, on which recipes were measured

_PARTS = ("config", "recipe", "run")
# of 2-D toy data: perceptrons, and many small steps in less than a minute
_POINTS = {
    "network": "mlp",
    "hidden": (128, 128, 128),
    "batch_size": 128,
    "epochs": 5,
    "steps_per_epoch": 700,
    "steps_per_execution": 50,
}
_DENOISED = {"hidden": (256, 256, 256), "epochs": 20, "guidance": 1.0}
_POINTS_OF = {
    "flow_matching": _DENOISED,
    "diffusion": _DENOISED,
    "hierarchical_vae": {"hidden": (128, 128, 128, 128)},  # as many for each of two levels
    "mean_flow": _DENOISED,
    "wgan_gp": {"penalty_weight": 0.1, "discriminator_steps": 2},
    "sngan": {"discriminator_steps": 2, "beta_1": 0.0, "beta_2": 0.9},
}


def settings_of(model: str, dataset: str, preset: str = "") -> tuple[Any, Recipe, Run]:
    """What holds where nothing else is asked for: configuration, recipe and run.

    Args:
      model: one that is trained.
      dataset: its name; 2-D toy data have settings of their own.
      preset: of the model; what it does not name stays as it is.

    Raises:
      InputError: the model has no such preset.
    """
    found = (registry.config_class(model)(), registry.recipe(model), Run())
    points = {**_POINTS, **_POINTS_OF.get(model, {})} if dataset in toy.MIXTURES else {}
    other = {**points, **registry.preset(model, preset)}

    def changed(default):
        names = other.keys() & {f.name for f in dataclasses.fields(default)}
        return dataclasses.replace(default, **{name: other[name] for name in names})

    return tuple(map(changed, found))


def of_preset(model: str, preset: str, asked: Collection[str]) -> str:
    """A line that says what a preset changes, but for the settings that somebody asked for."""
    values = registry.preset(model, preset)
    words = [_flag(name, value) for name, value in values.items() if name not in asked]
    return f"preset {preset}: {' '.join(words) or 'all of its settings are given'}"


def for_data(dataset: Dataset, batch_size: int, batches: int) -> dict[str, int]:
    """The settings that are left to the data, where these ask for others than the defaults.

    The length of a recipe is in images seen, not in passes: an epoch sees about as many images
    whatever the size of the set, and a batch is no larger than the set.

    Args:
      dataset: the images.
      batch_size: that holds where nothing else is asked for.
      batches: in a step: those of `discriminator_steps`, or one.

    Returns:
      Setting -> value.
    """
    if dataset.name in toy.MIXTURES:
        return {}
    count = len(dataset.train)
    found = {}
    if batch_size * batches > count >= batches:
        found["batch_size"] = batch_size = count // batches
    if not EPOCH / 2 <= count <= 2 * EPOCH:
        steps = max(1, EPOCH // (batch_size * batches))
        found["steps_per_epoch"] = steps - steps % 10 or steps  # steps_per_execution divides it
    return found


FEW = 50  # images, of fewer than which none is held out
SPLITS = ("validation", "test")
FOR_DATA = ("batch_size", "steps_per_epoch", *SPLITS)  # what is left to the data


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
        options, *others = settings_of(name, settings["run"]["dataset"])
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
            elif f.name == "budget":  # what came of it is in the epochs
                continue
            elif value != usual:
                words.append(_flag(f.name, value))
    return " ".join([f"python scripts/{script}", f"--model={name}", *words])


def _flag(name: str, value: Any) -> str:
    text = ",".join(map(str, value)) if isinstance(value, tuple) else value
    return shlex.quote(f"--{name}={text}")

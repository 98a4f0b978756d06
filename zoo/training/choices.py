"""What nobody asked for: chosen by the data at the start of a run, and kept when it goes on."""

import dataclasses
import gc
import re
import statistics
import time
from collections.abc import Callable, Collection
from typing import Any

import keras

from zoo import data, registry
from zoo.core import config
from zoo.data import pipeline
from zoo.errors import InputError
from zoo.recipes import Recipe, Run
from zoo.training import defaults, inputs

_UNITS = {"s": 1, "m": 60, "h": 3600}
_WARM_UP, _MEASURED = 3, 10  # steps
_FOR_STEPS = 0.85  # share of a budget: pictures, measurements and the export take the rest


@dataclasses.dataclass(frozen=True)
class Settled:
    """The settings of a run, and its images.

    Attributes:
      dataset: the images.
      model_config: fields of the model's configuration.
      options: the configuration itself.
      recipe: with what was chosen.
      run: likewise.
      chosen: setting -> value that the data have chosen now.
    """

    dataset: data.Dataset
    model_config: dict[str, Any]
    options: Any
    recipe: Recipe
    run: Run
    chosen: dict[str, Any]

    @property
    def batch(self) -> int:
        """Images of a step."""
        return self.recipe.batch_size * getattr(self.options, "discriminator_steps", 1)


def settle(
    model_name: str,
    model_config: dict[str, Any],
    recipe: Recipe,
    run: Run,
    dataset: data.Dataset | None,
    asked: Collection[str] | None,
    before: dict[str, Any] | None,
) -> Settled:
    """Reads the images, and fills in what is left to them.

    Args:
      model_name: a registered model.
      model_config: fields of its configuration.
      recipe: as it was asked for, or by default.
      run: likewise.
      dataset: the images, if they come from Python.
      asked: names of the settings that somebody asked for; None: all of them.
      before: settings of the run that goes on, if it does: what was chosen then stays.

    Raises:
      InputError: the images cannot be read, or a setting is wrong.
    """
    chosen: dict[str, Any] = {}
    free = () if asked is None else [name for name in defaults.FOR_DATA if name not in asked]
    if before and asked is not None:
        known = {**before["recipe"], **before["run"]}
        kept = [*free, *(n for n in ("epochs", "budget") if known["budget"] and n not in asked)]
        recipe, run = _with({name: known[name] for name in kept}, recipe, run)
    if dataset is None:
        dataset = inputs.read(run, before and before["dataset_digest"])
        few = len(dataset.train) + len(dataset.validation) + len(dataset.test) < defaults.FEW
        splits = [name for name in defaults.SPLITS if name in free]
        if few and splits and not before and data.is_pictures(dataset.name):
            chosen = dict.fromkeys(splits, 0.0)
            [run] = _with(chosen, run)
            dataset = inputs.read(run)
    config_class = registry.config_class(model_name)
    if before:
        model_config = config.kept(config_class, model_config, before["config"])
    options = config.make(config_class, model_config)
    if free and not before:
        batches = getattr(options, "discriminator_steps", 1)
        found = defaults.for_data(dataset, recipe.batch_size, batches)
        chosen |= {name: value for name, value in found.items() if name in free}
        recipe, run = _with(chosen, recipe, run)
    return Settled(dataset, model_config, options, recipe, run, chosen)


def _with(values: dict[str, Any], *parts: Any) -> list[Any]:
    """Settings with these values in place of theirs."""
    found = []
    for part in parts:
        own = {f.name for f in dataclasses.fields(part)}
        changed = {name: value for name, value in values.items() if name in own}
        found.append(config.make(type(part), dataclasses.asdict(part) | changed))
    return found


def seconds_of(budget: str) -> float:
    """The seconds of a budget such as 90s, 15m or 1.5h.

    Raises:
      InputError: it is none.
    """
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smh])", budget)
    if not found or not float(found[1]):
        raise InputError(f"budget is {budget!r}: write a time such as 90s, 15m or 2h")
    return float(found[1]) * _UNITS[found[2]]


class _Clock(keras.callbacks.Callback):
    """The seconds of each step."""

    def __init__(self):
        super().__init__()
        self.seconds: list[float] = []

    def on_train_batch_begin(self, batch, logs=None):
        self.start = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self.seconds.append(time.perf_counter() - self.start)


def within_budget(
    settled: Settled, steps_per_epoch: int, create: Callable[[int], Any]
) -> tuple[Settled, int]:
    """Settings whose training takes the time of `run.budget` on this machine.

    A few steps of a model that is then thrown away tell how long one takes.

    Args:
      settled: the settings.
      steps_per_epoch: as they are now.
      create: makes the model of a run of so many steps.

    Returns:
      The settings with other epochs, and fewer steps an epoch where the time is not enough for one;
      and the steps of an epoch.
    """
    run, seconds = settled.run, seconds_of(settled.run.budget)
    executions = _WARM_UP + _MEASURED
    count = executions * run.steps_per_execution
    model, clock = create(count), _Clock()
    batches = pipeline.train_batches(
        settled.dataset.train,
        settled.batch,
        seed=run.seed,
        stop=count,
        binarization=run.binarization,
        flip=run.flip,
    )
    model.fit(batches, steps_per_epoch=count, callbacks=[clock], verbose=0, shuffle=False)
    del model, batches
    gc.collect()  # the run needs the memory of both, which refer to themselves
    a_step = statistics.median(clock.seconds[_WARM_UP:]) / run.steps_per_execution
    total = max(1, int(_FOR_STEPS * seconds / a_step))
    if total < steps_per_epoch:  # not one epoch
        steps_per_epoch = max(run.steps_per_execution, total - total % run.steps_per_execution)
    chosen = {"epochs": max(1, total // steps_per_epoch), "steps_per_epoch": steps_per_epoch}
    recipe, run = _with(chosen, settled.recipe, run)
    print(
        f"{1000 * a_step:.0f} ms a step: {run.budget} are enough for --epochs={recipe.epochs} of "
        f"{steps_per_epoch} steps",
        flush=True,
    )
    return dataclasses.replace(settled, recipe=recipe, run=run), steps_per_epoch

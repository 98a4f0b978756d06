"""What holds where nothing else is asked for."""

import dataclasses
from typing import Any

from zoo import registry
from zoo.data import toy
from zoo.recipes import Recipe, Run

# of 2-D toy data: perceptrons, and many small steps in less than a minute
_POINTS = {
    "network": "mlp",
    "hidden": (128, 128, 128),
    "batch_size": 128,
    "epochs": 5,
    "steps_per_epoch": 700,
    "steps_per_execution": 50,
}
_POINTS_OF = {
    "wgan_gp": {"penalty_weight": 0.1, "discriminator_steps": 2},
    "sngan": {"discriminator_steps": 2, "beta_1": 0.0, "beta_2": 0.9},
}


def settings(model: str, dataset: str) -> tuple[Any, Recipe, Run]:
    """What holds where nothing else is asked for: configuration, recipe and run.

    Args:
      model: one that is trained.
      dataset: its name; 2-D toy data have settings of their own.
    """
    found = (registry.config_class(model)(), registry.recipe(model), Run())
    if dataset not in toy.MIXTURES:
        return found
    points = {**_POINTS, **_POINTS_OF.get(model, {})}

    def of_points(default):
        names = points.keys() & {f.name for f in dataclasses.fields(default)}
        return dataclasses.replace(default, **{name: points[name] for name in names})

    return tuple(map(of_points, found))

"""Trains a model of the zoo: python scripts/train.py --model=cgan.

Run again on the same workdir, it goes on where it was stopped. `--help --model=NAME` lists that
model's own settings.
"""

import dataclasses

from absl import flags

from zoo import cli, registry
from zoo.core import config
from zoo.training.recipes import RECIPES, Recipe, Run

_MODEL = flags.DEFINE_enum("model", None, registry.trainable(), "Which model.", required=True)
_SKIP = ("monitor",)
cli.define(Run)


def define_flags(model: str | None) -> None:
    """The flags that depend on the model: its configuration and its recipe."""
    recipe = RECIPES.get(model, Recipe())
    cli.define(type(recipe), recipe, skip=_SKIP)
    if model in RECIPES:
        cli.define(registry.config_class(model))


def main(argv: list[str]) -> int:
    """Reads the flags and trains."""
    default = RECIPES[_MODEL.value]
    given = {**dataclasses.asdict(default), **cli.values(type(default))}
    recipe = config.make(type(default), given)
    settings = config.make(Run, cli.values(Run))
    model_config = cli.values(registry.config_class(_MODEL.value))

    from zoo.training import run  # TensorFlow, once the settings are known to be good

    return run.train(_MODEL.value, model_config, recipe, settings)


if __name__ == "__main__":
    cli.run(main, cli.parser(define_flags))

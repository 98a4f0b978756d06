"""Trains a model of the zoo: python scripts/train.py --model=cgan.

Run again on the same workdir, it goes on where it was stopped. `--help --model=NAME` lists that
model's own settings.
"""

import dataclasses

from absl import flags

from zoo import cli, registry
from zoo.training.recipes import RECIPES, Recipe, Run

_MODEL = flags.DEFINE_enum("model", None, registry.list_models(), "Which model.", required=True)
_SKIP = ("monitor",)
cli.define(Run)


def define_flags(model: str) -> None:
    """The flags that depend on the model: its configuration and its recipe."""
    cli.define(registry.config_class(model))
    cli.define(Recipe, RECIPES[model], skip=_SKIP)


def main(argv: list[str]) -> int:
    """Reads the flags and trains."""
    from zoo.training import run

    recipe = dataclasses.replace(RECIPES[_MODEL.value], **cli.values(Recipe))
    config = cli.values(registry.config_class(_MODEL.value))
    return run.train(_MODEL.value, config, recipe, Run(**cli.values(Run)))


if __name__ == "__main__":
    cli.run(main, cli.parser(define_flags))

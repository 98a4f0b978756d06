"""Trains a model, or continues a run: zoo train --model=cgan.

Run again on the same workdir, it goes on where it was stopped. `--help --model=NAME` lists that
model's own settings and defaults. Without a model, generic ones are shown.
"""

import dataclasses
import sys

from absl import flags

from zoo import registry
from zoo.commands import cli
from zoo.core import config
from zoo.recipes import Recipe, Run
from zoo.training import defaults

_MODEL = flags.DEFINE_enum("model", None, registry.trainable(), "Which model.", required=True)


def define_flags(model: str | None, dataset: str, preset: str) -> None:
    """The flags, of which many or their defaults depend on the model, the data and the preset."""
    known = registry.presets(model) if model in registry.trainable() else ()
    of_model = f" {model} has {', '.join(known) or 'none'}." if model else ""
    flags.DEFINE_string(
        "preset",
        "",
        f"Named settings of a model, such as samples or likelihood; other flags override them."
        f"{of_model}",
        module_name=sys.argv[0],
    )
    if model not in registry.trainable():
        cli.define(Run)
        cli.define(Recipe)
        return
    # one that does not exist is refused once all flags are read
    options, recipe, run = defaults.settings_of(model, dataset, preset if preset in known else "")
    cli.define(Run, run)
    cli.define(type(recipe), recipe)
    cli.define(type(options), options)


def main(argv: list[str]) -> int:
    """Reads the flags and trains."""
    preset = flags.FLAGS.preset
    registry.preset(_MODEL.value, preset)
    usual = registry.recipe(_MODEL.value)
    recipe = config.make(type(usual), {**dataclasses.asdict(usual), **cli.values(type(usual))})
    settings = config.make(Run, cli.values(Run))
    model_config = cli.values(registry.config_class(_MODEL.value))

    if preset:
        print(defaults.of_preset(_MODEL.value, preset, cli.present()))

    from zoo.training import loop  # TensorFlow, once the settings are known to be good

    return loop.train(_MODEL.value, model_config, recipe, settings, asked=cli.present())


def run() -> None:
    """Reads the command line and ends the process."""
    cli.run(main, cli.parser(define_flags, "dataset", "preset"))

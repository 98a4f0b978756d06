"""Default settings of models and of data."""

import dataclasses

from zoo import registry
from zoo.core import config
from zoo.recipes import Run
from zoo.training import defaults

SHAPE = [28, 28, 1]


def settings(model, dataset):
    """As `config.json` has them where nothing was asked for."""
    options, *others = defaults.settings_of(model, dataset)
    parts = map(dataclasses.asdict, (config.resolved(options, SHAPE), *others))
    found = dict(zip(("config", "recipe", "run"), parts, strict=True))
    found["run"]["dataset"] = dataset
    return {"model": model, "image_shape": SHAPE, **found}


def test_on_images_they_are_those_of_the_classes_and_the_recipe():
    for model in registry.trainable():
        config_class = registry.config_class(model)
        assert defaults.settings_of(model, "mnist") == (
            config_class(),
            registry.recipe(model),
            Run(),
        )


def test_what_is_usual_for_the_data_is_not_in_the_command():
    for model in ("gan", "wgan_gp", "vae"):
        asked = settings(model, "ring")
        assert asked["config"]["network"] == "mlp" and asked["run"]["steps_per_epoch"] == 700
        assert defaults.command(asked) == f"python scripts/train.py --model={model} --dataset=ring"
    moved = {**asked, "run": {**asked["run"], "dataset": "mnist"}}
    assert "--network=mlp" in defaults.command(moved)
    assert "--steps_per_epoch=700" in defaults.command(moved)


def test_the_command_of_a_gan_that_kept_its_last_weights_asks_for_them():
    last = settings("cgan", "mnist")
    last["recipe"]["monitor"] = ""
    words = defaults.command(last).split()
    assert words[2:] == ["--model=cgan", "--eval_every=0", "--dataset=mnist"]

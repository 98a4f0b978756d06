"""Default settings of models and of data."""

import dataclasses

import numpy as np
import pytest

import zoo
from zoo import registry
from zoo.core import config
from zoo.data import Dataset, Split
from zoo.hub import loading
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


def of_size(count, name="folder:PATH"):
    """A data set of so many training images, without any pixels."""
    few = Split(np.zeros((1, 0, 0, 1), np.uint8), np.zeros(1, np.int32))
    train = Split(np.zeros((count, 0, 0, 1), np.uint8), np.zeros(count, np.int32))
    return Dataset(name, train, few, few, (), "", "")


@pytest.mark.parametrize(
    ("model", "count", "expected"),
    [
        ("vae", 55_000, {}),
        ("vae", 45_000, {}),
        ("vae", 1_500, {"steps_per_epoch": 420}),  # of 128
        ("vae", 1_000_000, {"steps_per_epoch": 420}),
        ("vae", 50, {"batch_size": 50, "steps_per_epoch": 1100}),
        ("wgan_gp", 1_500, {"steps_per_epoch": 170}),  # 5 steps of D with 64 each
        ("wgan_gp", 60, {"batch_size": 12, "steps_per_epoch": 910}),
        ("wgan_gp", 4, {"steps_per_epoch": 170}),  # too few, as will be said
    ],
)
def test_an_epoch_sees_as_many_images_whatever_the_size_of_the_set(model, count, expected):
    usual = registry.recipe(model).batch_size, 5 if model == "wgan_gp" else 1
    assert defaults.for_data(of_size(count), *usual) == expected
    assert defaults.for_data(of_size(count, "ring"), *usual) == {}
    assert set(expected) <= set(defaults.FOR_DATA)


def test_what_the_data_choose_is_said_and_kept_and_any_setting_overrides_it(
    tmp_path, capsys, no_steps, monkeypatch
):
    monkeypatch.setattr(defaults, "EPOCH", 400)
    images = np.random.default_rng(0).integers(0, 256, (100, 8, 8, 1), np.uint8)
    small = {"network": "mlp", "hidden": (4,), "latent_dim": 2, "epochs": 1}

    def recipe_of(place, **more):
        zoo.train("vae", images, tmp_path / place, **small, **more)
        settings = loading.read_config(tmp_path / place)
        line = "chosen by the number of images: --batch_size=81 --steps_per_epoch=4"
        said = line in capsys.readouterr().out.replace(",", "")
        return settings["recipe"]["batch_size"], settings["run"]["steps_per_epoch"], said

    assert recipe_of("chosen") == (81, 4, True)
    monkeypatch.setattr(defaults, "EPOCH", 1)  # what was chosen stays
    small["epochs"] = 2
    assert recipe_of("chosen") == (81, 4, False)
    monkeypatch.setattr(defaults, "EPOCH", 400)
    assert recipe_of("asked", batch_size=20, steps_per_epoch=3) == (20, 3, False)
    assert recipe_of("a pass", batch_size=20, steps_per_epoch=0) == (20, 0, False)

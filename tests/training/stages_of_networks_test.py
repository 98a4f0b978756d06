"""The number of stages: chosen by the images, written down, and what it was in version 0.1."""

import dataclasses
import json

import numpy as np
import pytest

import zoo
from zoo import registry
from zoo.core import config, files
from zoo.hub import checkpoints, loading
from zoo.training import defaults

CONFIG = {"width": 2, "latent_dim": 2}
IMAGES = np.random.default_rng(0).integers(0, 256, (24, 32, 32, 3), np.uint8)


def train(workdir, count=1, **options):
    settings = {"epochs": count, "batch_size": 4, "steps_per_epoch": 1, **CONFIG, **options}
    return zoo.train("vae", IMAGES, workdir=workdir, **settings)


@pytest.fixture
def of_version_0_1(tmp_path, no_export, monkeypatch):
    """A workdir of 32x32 pixels and two stages that knows of no number of stages."""
    settings_of = checkpoints.settings_of

    def without(model):
        settings = settings_of(model)
        for name in ("num_stages", "residual"):
            del settings["config"][name]
        return settings

    with monkeypatch.context() as then:
        then.setattr(checkpoints, "settings_of", without)
        train(tmp_path, num_stages=2)
    path = tmp_path / "config.json"
    settings = json.loads(path.read_text())
    assert settings["config"].pop("num_stages") == 2
    del settings["config"]["residual"]
    files.write_json(path, settings)
    return tmp_path


def test_the_images_choose_and_the_choice_is_written(tmp_path, no_export, request):
    train(tmp_path)
    request.getfixturevalue("no_steps")
    settings = loading.read_config(tmp_path)
    assert settings["config"]["num_stages"] == 3
    assert "num_stages" not in defaults.command(settings)
    assert loading.load(tmp_path).config.num_stages == 3
    assert train(tmp_path, 2, num_stages=3).status == "done"
    with pytest.raises(zoo.InputError, match="num_stages: 3 then, 2 now"):
        train(tmp_path, 2, num_stages=2)


def test_a_run_of_before_goes_on_with_two_stages(of_version_0_1):
    model = loading.load(of_version_0_1)
    assert model.config.num_stages == 2
    assert model.encoder.layers[-2].output.shape[1] == 8 * 8 * 4  # flat
    assert train(of_version_0_1, 2).status == "done"  # the command of then
    settings = loading.read_config(of_version_0_1)
    assert settings["config"]["num_stages"] == 2
    assert "--num_stages=2" in defaults.command(settings)
    assert loading.load(of_version_0_1).config.num_stages == 2


@pytest.mark.slow
def test_a_run_of_before_can_be_started_afresh_with_stages(of_version_0_1):
    train(of_version_0_1, overwrite=True)
    assert loading.read_config(of_version_0_1)["config"]["num_stages"] == 3


def test_a_model_file_of_before_has_two_stages():
    model = zoo.create("vae", (32, 32, 3), **CONFIG)
    values = model.get_config()
    assert values["num_stages"] == 3
    assert type(model).from_config(values).config.num_stages == 3
    del values["num_stages"], values["residual"]
    assert type(model).from_config(values).config.num_stages == 2


@pytest.mark.parametrize("name", ["vae", "gan", "classifier", "vqvae"])
def test_at_28_pixels_there_are_two_as_ever(name):
    options = registry.config_class(name)()
    assert config.resolved(options, (28, 28, 1)).num_stages == 2
    assert config.formerly(options)["num_stages"] == 2


def test_a_grid_of_codes_stays_larger():
    options = registry.config_class("vqvae")()
    sides = (28, 32, 64, 128, 256)
    grids = [side // 2 ** config.resolved(options, (side, side, 3)).num_stages for side in sides]
    assert grids == [7, 8, 16, 16, 16]


def test_a_u_net_of_large_images_has_larger_patches_and_more_channels():
    options = registry.config_class("flow_matching")()
    found = [config.resolved(options, (side, side, 3)) for side in (28, 32, 48, 56, 64, 128)]
    assert [c.patch_size for c in found] == [2, 2, 2, 4, 4, 4]
    assert [c.width for c in found] == [44, 44, 44, 64, 64, 64]
    assert [c.predict for c in found] == ["velocity"] * 3 + ["image"] * 3
    assert [c.shift for c in found] == [1, 1, 1, 56 / 32, 2, 4]
    before = config.formerly(options)
    assert (before["patch_size"], before["width"], before["predict"]) == (2, 44, "velocity")
    assert before["shift"] == 1


def test_what_was_chosen_stays_unless_something_else_is_asked_for():
    cls = registry.config_class("vae")
    assert config.kept(cls, {"width": 3}, {"num_stages": 2}) == {"width": 3, "num_stages": 2}
    assert config.kept(cls, {"num_stages": 0}, {"num_stages": 2})["num_stages"] == 2
    assert config.kept(cls, {"num_stages": 4}, {"num_stages": 2})["num_stages"] == 4
    assert config.kept(cls, {}, {}) == {}
    asked = dataclasses.replace(cls(), num_stages=5)
    assert config.resolved(asked, (32, 32, 3)) == asked


@pytest.mark.parametrize("residual", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_convolutional_models_of_64_pixels_start_from_4(residual):
    for name in ("dcgan", "projection_cgan", "bigan", "cvae"):
        more = {"network": "conv", "width": 1, "latent_dim": 2, "residual": residual}
        model = zoo.create(name, (64, 64, 3), 3, **more)
        assert model.config.num_stages == 4
        labels = {"labels": [0, 2]} if model.conditional else {}
        assert model.sample(2, **labels).shape == (2, 64, 64, 3)

"""What a run writes when it is started again."""

import dataclasses

import pytest
from written import epochs

from zoo.core import files
from zoo.models import gan
from zoo.training import recipes, run

CONFIG = {"hidden": (8,), "latent_dim": 2}


@pytest.fixture
def train(data_dir, tmp_path):
    """Trains in `tmp_path` for that many epochs of two steps."""

    def train(count, config=CONFIG, **more):
        recipe = dataclasses.replace(recipes.RECIPES["gan"], epochs=count, batch_size=32)
        settings = {"data_dir": str(data_dir), "workdir": str(tmp_path), "eval_every": 0}
        settings = recipes.Run(steps_per_epoch=2, **settings, **more)
        assert run.train("gan", config, recipe, settings) == 0

    return train


def test_settings_are_of_what_was_trained_and_versions_of_all_that_took_part(
    train, tmp_path, capsys
):
    path = tmp_path / "config.json"
    train(2)
    first = files.read_json(path)
    files.write_json(path, {**first, "versions": {"commit": "of another day"}})
    before = path.read_bytes()
    for count in (2, 1):  # nothing is left to do
        train(count)
        assert "already trained for 2 epochs" in capsys.readouterr().out
        assert path.read_bytes() == before
    train(3)
    now = files.read_json(path)
    assert now["recipe"]["epochs"] == 3 and now["versions"] == first["versions"]
    assert now["earlier_versions"] == [{"commit": "of another day"}]
    train(4)
    assert files.read_json(path)["earlier_versions"] == now["earlier_versions"]
    assert len(epochs(tmp_path)) == 4


def test_each_step_of_d_has_a_whole_batch(train, monkeypatch):
    sizes = []
    original = gan.GAN.d_losses

    def watch(self, images, *rest, training):
        if training:
            sizes.append(images.shape[0])
        return original(self, images, *rest, training=training)

    monkeypatch.setattr(gan.GAN, "d_losses", watch)
    train(1, {**CONFIG, "discriminator_steps": 3})
    assert set(sizes) == {32} and len(sizes) % 3 == 0


def test_to_start_afresh_takes_the_old_evaluation_along(train, tmp_path):
    train(1)
    (tmp_path / "evaluation.json").write_text("{}")
    (tmp_path / "notes.txt").write_text("mine")
    train(1, overwrite=True)
    assert not (tmp_path / "evaluation.json").exists() and (tmp_path / "notes.txt").exists()

"""What a run writes when it is started again."""

import dataclasses
import shutil
import signal

import numpy as np
import pytest
from PIL import Image
from written import epochs

from zoo import InputError, recipes, registry
from zoo.core import files
from zoo.core.arrays import digest
from zoo.hub import checkpoints, loading
from zoo.models import gan
from zoo.training import callbacks, loop

CONFIG = {"hidden": (8,), "latent_dim": 2}


@pytest.fixture
def train(data_dir, tmp_path, no_export):
    """Trains in `tmp_path` for that many epochs of two steps."""

    def train(count, config=CONFIG, code=0, **more):
        recipe = dataclasses.replace(registry.recipe("gan"), epochs=count, batch_size=32)
        settings = {"data_dir": str(data_dir), "workdir": str(tmp_path), "eval_every": 0}
        settings = recipes.Run(**{**settings, "steps_per_epoch": 2, **more})
        assert loop.train("gan", config, recipe, settings) == code

    return train


@pytest.mark.slow
def test_an_average_that_begins_with_trained_weights_keeps_them(train, tmp_path):
    train(1, {**CONFIG, "ema_decay": 0.9})
    trained = loading.load(tmp_path)
    old = [v.numpy() for v in trained.average.weights]
    new = tmp_path / "new"
    more = {"init_from": str(tmp_path), "workdir": str(new), "steps_per_epoch": 1}
    train(1, {**CONFIG, "ema_decay": 0.9}, **more)
    model = loading.load(new)
    for a, b, w in zip(model.average.weights, old, model.generator.weights, strict=True):
        np.testing.assert_allclose(a, 0.9 * b + 0.1 * w.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"classifier": "classifier"}, "whose samples are watched"),  # --eval_every=0
        ({"classifier": "classifier", "dataset": "ring", "data_dir": ""}, "judged by modes"),
        ({"classifier": "classifier", "eval_every": 1}, "learnt from other images"),
    ],
)
def test_a_classifier_that_has_nothing_to_judge_is_refused(train, tmp_path, more, message):
    with pytest.raises(InputError, match=message):
        train(1, **more)
    assert not (tmp_path / "config.json").exists()


@pytest.mark.slow
def test_settings_are_of_what_was_trained_and_versions_of_all_that_took_part(
    train, tmp_path, capsys
):
    path = tmp_path / "config.json"
    train(2)
    first = files.read_json(path)
    for part, name in (("config", "ema_decay"), ("recipe", "decay"), ("run", "init_from")):
        del first[part][name]  # a run of before there were these settings
    files.write_json(path, {**first, "versions": {"commit": "of another day"}})
    before = path.read_bytes()
    for count in (2, 1):  # nothing is left to do
        train(count)
        assert "already trained for 2 epochs" in capsys.readouterr().out
        assert path.read_bytes() == before
    train(3)
    now = files.read_json(path)
    assert now["recipe"]["epochs"] == 3 and now["run"]["init_from"] == ""
    assert now["versions"] == first["versions"]
    assert now["earlier_versions"] == [{"commit": "of another day"}]
    train(4)
    assert files.read_json(path)["earlier_versions"] == now["earlier_versions"]
    assert len(epochs(tmp_path)) == 4


def test_a_finished_run_is_left_alone_and_one_that_lacks_something_is_finished(train, tmp_path):
    train(2)
    summary, saved = (tmp_path / name for name in ("summary.json", "saved_model/saved_model.pb"))
    first = [path.stat().st_mtime_ns for path in (summary, saved)]
    train(2)
    assert [path.stat().st_mtime_ns for path in (summary, saved)] == first
    for missing in (summary, saved.parent):
        files.remove(missing)
        train(2)
        assert summary.exists() and saved.exists()
    summary.write_text("{")
    train(2)
    assert files.read_json(summary)["epochs"] == 2


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


def test_the_step_of_an_epoch_half_done_is_that_of_the_export(train, tmp_path, capsys):
    def stop_at(step):
        def save(self, model, at, *rest, **more):
            whole(self, model, at, *rest, **more)
            if at == step:
                raise callbacks.Interrupted(signal.SIGTERM, at)

        return save

    whole = checkpoints.Manager.save
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints.Manager, "save", stop_at(3))
        train(2, code=128 + signal.SIGTERM, checkpoint_steps=1)
    train(1)  # that is enough
    assert files.read_json(tmp_path / "summary.json")["exported_step"] == 3
    assert "with the weights of step 3" in capsys.readouterr().out


@pytest.mark.slow
def test_the_default_data_spelled_out_are_the_same_run(train, capsys):
    train(1, dataset="fashion_mnist", data_dir="")
    for name in ("", "fashion_mnist"):
        train(1, dataset=name, data_dir="")
        assert "already trained for 1 epochs" in capsys.readouterr().out


@pytest.mark.slow
def test_a_killed_overwrite_can_be_overwritten_again(train, tmp_path):
    train(1)
    whole = shutil.rmtree

    def killed(path, *rest, **more):
        whole(path, *rest, **more)
        if path.parent == tmp_path:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            train(1, overwrite=True)
    train(1, overwrite=True)
    assert len(epochs(tmp_path)) == 1


def test_to_start_afresh_takes_the_old_evaluation_along(train, tmp_path):
    train(1)
    (tmp_path / "evaluation.json").write_text("{}")
    (tmp_path / "notes.txt").write_text("mine")
    train(1, overwrite=True)
    assert not (tmp_path / "evaluation.json").exists() and (tmp_path / "notes.txt").exists()


def test_what_is_not_ours_is_not_overwritten(train, tmp_path):
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(InputError, match="holds checkpoints but no config.json"):
        train(1, overwrite=True)
    (tmp_path / "config.json").write_text('{"model_type": "of another program"}')
    for overwrite in (False, True):
        with pytest.raises(InputError, match="config.json is not of train.py"):
            train(1, overwrite=overwrite)
    assert {p.name for p in tmp_path.iterdir()} == {"checkpoints", "config.json"}
    (tmp_path / "config.json").write_text('{"model": "gan", ')  # a damaged one of ours
    train(1, overwrite=True)
    assert len(epochs(tmp_path)) == 1


def test_a_run_is_not_overwritten_by_one_that_starts_from_it(train, tmp_path):
    train(1)
    before = digest(checkpoints.weights_of(loading.load(tmp_path)))
    with pytest.raises(InputError, match="--overwrite would delete --init_from="):
        train(1, overwrite=True, init_from=f"{tmp_path}/../{tmp_path.name}")
    assert digest(checkpoints.weights_of(loading.load(tmp_path))) == before


@pytest.mark.slow
def test_folders_that_are_links_are_replaced_and_what_they_lead_to_stays(train, tmp_path):
    train(1)
    for name in ("logs", "saved_model"):
        (tmp_path / name).rename(tmp_path / f"my_{name}")
        (tmp_path / name).symlink_to(tmp_path / f"my_{name}")
    train(2)  # exports anew
    assert not (tmp_path / "saved_model").is_symlink() and (tmp_path / "my_saved_model").exists()
    train(1, overwrite=True)
    assert not (tmp_path / "logs").is_symlink() and any((tmp_path / "my_logs").iterdir())


def test_what_goes_on_after_an_overwrite_is_the_command_without_it(train, monkeypatch, capsys):
    def stop(*_, **__):
        raise callbacks.Interrupted(signal.SIGTERM, 2)

    monkeypatch.setattr(loop, "finish", stop)
    for overwrite, said in (
        (True, "the same command, but without --overwrite, goes on"),
        (False, "the same command goes on"),
    ):
        train(1, code=128 + signal.SIGTERM, overwrite=overwrite)
        assert said in capsys.readouterr().out


@pytest.mark.slow
def test_a_folder_of_images_that_has_moved_is_the_same_data(train, tmp_path, capsys):
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / "here" / name).mkdir(parents=True)
        for i in range(50):
            image = Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8))
            image.save(tmp_path / "here" / name / f"{i}.png")
    there = {"data_dir": "", "workdir": str(tmp_path / "run")}
    train(1, dataset=f"folder:{tmp_path / 'here'}", **there)
    (tmp_path / "here").rename(tmp_path / "moved")
    train(2, dataset=f"folder:{tmp_path / 'moved'}/", **there)
    assert len(epochs(tmp_path / "run")) == 2
    (tmp_path / "moved" / "a" / "0.png").unlink()
    with pytest.raises(InputError, match="dataset_digest"):
        train(3, dataset=f"folder:{tmp_path / 'moved'}", **there)


VAE = {"network": "mlp", "hidden": (8,), "latent_dim": 2}


@pytest.fixture
def weights(data_dir, monkeypatch):
    """Trains a VAE for so many epochs of two steps: `weights(workdir, name)`, as exported."""
    monkeypatch.setattr(loop, "finish", lambda *_: None)  # nobody looks at the export

    def weights(workdir, name, epochs=1, learning_rate=1e-3, config=VAE, **more):
        recipe = dataclasses.replace(
            registry.recipe("vae"), epochs=epochs, batch_size=32, learning_rate=learning_rate
        )
        where = {"data_dir": str(data_dir), "workdir": str(workdir)}
        settings = recipes.Run(steps_per_epoch=2, **where, **more)
        assert loop.train(name, config, recipe, settings) == 0
        return checkpoints.weights_of(loading.load(workdir))

    return weights


@pytest.mark.slow
def test_training_starts_from_the_weights_of_another_model(weights, tmp_path):
    start = weights(tmp_path / "vae", "vae")
    source = {"init_from": str(tmp_path / "vae")}
    # steps too small to be seen: what is exported is what it started from
    still = weights(tmp_path / "still", "iwae", learning_rate=1e-9, seed=1, **source)
    for name, weight in start.items():
        np.testing.assert_allclose(still[name], weight, atol=1e-7)
    settings = files.read_json(tmp_path / "still" / "config.json")
    trained = loading.load(tmp_path / "vae")
    assert settings["initial_weights_sha256"] == checkpoints.weights_digest(trained)

    # a run that goes on has weights of its own, and needs no others
    at_once = weights(tmp_path / "at_once", "iwae", epochs=2, **source)
    weights(tmp_path / "resumed", "iwae", epochs=1, **source)
    shutil.rmtree(tmp_path / "vae")
    resumed = weights(tmp_path / "resumed", "iwae", epochs=2, **source)
    for name, weight in at_once.items():
        np.testing.assert_array_equal(resumed[name], weight)


@pytest.mark.slow
def test_a_temperature_falls_anew_from_where_it_is_asked_to(weights, tmp_path):
    config = {"network": "mlp", "hidden": (8,), "num_latents": 2, "num_categories": 3}
    config |= {"anneal_rate": 0.01, "min_temperature": 0.1}
    for name, temperature, more in (
        ("old", 0.9, {}),
        ("new", 0.8, {"init_from": str(tmp_path / "old")}),
    ):
        config["temperature"] = temperature
        weights(tmp_path / name, "categorical_vae", config=config, **more)
        reached = float(loading.load(tmp_path / name).temperature)
        assert reached == pytest.approx(temperature * np.exp(-0.02), rel=1e-4)  # two steps


@pytest.mark.slow
def test_weights_of_other_networks_are_refused_and_nothing_is_written(weights, tmp_path):
    weights(tmp_path / "vae", "vae")
    for source, config, reason in (
        (
            "vae",
            {**VAE, "hidden": (9,)},
            "--init_from: .*vae is of another model: .*% of the weights",
        ),
        ("none", VAE, "none is no workdir of train.py, and no pretrained model.* vae_mnist"),
    ):
        with pytest.raises(InputError, match=reason):
            weights(tmp_path / "new", "vae", config=config, init_from=str(tmp_path / source))
        assert not (tmp_path / "new").exists()
    with pytest.raises(InputError, match="bayes_conditional is made of other models"):
        weights(tmp_path / "new", "vae", init_from="bayes_conditional")

"""Runs on a folder of pictures: without labels, with broken files, with numbers for classes."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

import zoo
from zoo import InputError, data, recipes, registry
from zoo.core import files
from zoo.data import folder
from zoo.drawing import views
from zoo.evaluation import evaluate
from zoo.hub import loading
from zoo.training import defaults, inputs, loop

VAE = {"network": "mlp", "hidden": (8,), "latent_dim": 2}
GAN = {"network": "mlp", "hidden": (8,), "latent_dim": 2}
UNCONDITIONAL = {  # one of each kind, beside the VAE
    "pixelcnn": {"width": 4, "num_layers": 1, "kernel_size": 3, "head": 4},
    "vqvae": {
        "codebook_size": 4,
        "code_dim": 2,
        "width": 4,
        "num_blocks": 1,
        "prior_width": 4,
        "prior_layers": 1,
    },
    "infogan": {**GAN, "num_categories": 3},
    "bigan": GAN,
}
NEED_LABELS = {
    "classifier": {"width": 4},
    "cvae": VAE,
    "cgan": GAN,
    "acgan": GAN,
    "projection_cgan": {"width": 8, "latent_dim": 2},
    "pixelcnn": {"width": 4, "num_layers": 1, "kernel_size": 3, "head": 4, "conditional": True},
}


def fill(root, names, count=20):
    """Pictures in a folder of each name (or, of the name "", in the root); the root."""
    rng = np.random.default_rng(0)
    for name in names:
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            pixels = rng.integers(0, 256, (8, 8, 3), np.uint8)
            Image.fromarray(pixels).save(root / name / f"{i}.png")
    return root


def train(model, config, source, workdir, epochs=1, **more):
    recipe = dataclasses.replace(registry.recipe(model), epochs=epochs, batch_size=8)
    if hasattr(recipe, "prior_epochs"):
        recipe = dataclasses.replace(recipe, prior_epochs=0)
    settings = {"dataset": f"folder:{source}", "workdir": str(workdir), "steps_per_epoch": 2}
    return loop.train(model, config, recipe, recipes.Run(**{**settings, **more}))


def check_unlabeled(model_name, config, source, workdir):
    """Trains, loads, draws and measures."""
    assert train(model_name, config, source, workdir) == 0
    settings = files.read_json(workdir / "config.json")
    assert settings["num_classes"] == 0 and settings["class_names"] == []
    assert (workdir / "saved_model").exists() and any((workdir / "samples").iterdir())
    model = zoo.load(workdir)
    drawn = views.draw(
        model,
        "neighbors",
        num=2,
        train_images=lambda: inputs.split_of(workdir, "train").images,
    )
    assert drawn.images.shape == (4, 8, 8, 3)
    config = workdir / "logs" / "train" / "projector_config.pbtxt"
    if hasattr(model, "encode"):
        assert "latents.tsv" in config.read_text() and "metadata_path" not in config.read_text()
        views.draw(model, "reconstruct", num=2, real=inputs.split_of(workdir, "test").first)
    if hasattr(model, "log_prob"):
        found = evaluate.evaluate(model, lambda name: inputs.split_of(workdir, name))
        assert found["likelihood"]["num_images"] == 4


@pytest.mark.slow
def test_a_vae_of_pictures_without_labels(tmp_path):
    source = fill(tmp_path / "set", [""], count=40)
    check_unlabeled("vae", VAE, source, tmp_path / "run")
    # the others say what they need, and write nothing
    for name, config in NEED_LABELS.items():
        with pytest.raises(InputError, match=f"{name} needs labels, so num_classes"):
            train(name, config, source, tmp_path / "other")
    for name, part in (("bayes_conditional", "p_x"), ("bayes_classifier", "p_x_given_y")):
        with pytest.raises(InputError, match=f"{name} needs labels, and .*run learnt from images"):
            loading.create(name, None, 0, {part: str(tmp_path / "run")})
    assert not (tmp_path / "other").exists()


@pytest.mark.weekly
@pytest.mark.parametrize("name", UNCONDITIONAL)
def test_unconditional_models_learn_from_pictures_without_labels(tmp_path, name):
    source = fill(tmp_path / "set", [""], count=40)
    check_unlabeled(name, UNCONDITIONAL[name], source, tmp_path / "run")


def test_a_run_of_version_0_1_0_goes_on_with_its_order_of_classes(
    tmp_path, monkeypatch, no_steps, capsys
):
    source, workdir = fill(tmp_path / "set", ["2", "10"]), tmp_path / "run"
    load, read = data.load, folder.read
    with monkeypatch.context() as then:
        then.setattr(
            folder, "read", lambda path, how: read(path, dataclasses.replace(how, before=True))
        )
        assert train("vae", VAE, source, workdir) == 0
    before = files.read_json(workdir / "config.json")
    assert before["class_names"] == ["10", "2"]
    assert "classes: 0 = 10, 1 = 2" in capsys.readouterr().out
    del before["broken_files"], before["run"]["skip_broken"]
    files.write_json(workdir / "config.json", before)
    assert train("vae", VAE, source, workdir, 2) == 0
    now = files.read_json(workdir / "config.json")
    for fact in ("class_names", "dataset_digest"):
        assert now[fact] == before[fact]
    assert now["broken_files"] == 0
    of_ten = np.asarray(Image.open(source / "10" / "0.png"))
    split = inputs.split_of(workdir, "train")
    found = [y for x, y in zip(split.images, split.labels, strict=True) if (x == of_ten).all()]
    assert found in ([0], [])
    assert load(f"folder:{source}").class_names == ("2", "10")


def test_broken_files_are_skipped_where_that_is_asked_for_and_counted(tmp_path, no_steps):
    source, workdir = fill(tmp_path / "set", [""], count=40), tmp_path / "run"
    (source / "broken.png").write_text("<html>")
    with pytest.raises(InputError, match="1 of 41 images cannot be decoded: .*--skip_broken$"):
        train("vae", VAE, source, workdir)
    assert not workdir.exists()
    assert train("vae", VAE, source, workdir, skip_broken=True) == 0
    settings = files.read_json(workdir / "config.json")
    assert settings["broken_files"] == 1 and settings["run"]["skip_broken"]
    assert len(inputs.split_of(workdir, "test")) == 4
    (source / "broken.png").unlink()  # the images stay what they are
    assert train("vae", VAE, source, workdir) == 0
    assert "--skip_broken=True" in defaults.command(settings)


def test_of_a_very_small_folder_nothing_is_held_out_and_what_that_costs_is_said(
    tmp_path, capsys, no_export, request
):
    source = fill(tmp_path / "set", [""], count=30)
    given = {"steps_per_epoch": 2, "epochs": 1, **VAE}
    result = zoo.train("vae", f"folder:{source}", tmp_path / "run", **given)
    out = capsys.readouterr().out
    assert "30 train, 0 validation, 0 test images" in out
    assert "no validation images: the last checkpoint is exported" in out
    assert "no test images: nothing can be evaluated" in out
    assert "--validation=0.0, --test=0.0, --batch_size=30" in out
    assert result.status == "done" and (tmp_path / "run" / "samples" / "epoch_0001.png").exists()
    assert "val_loss" not in result.history[0]
    again = zoo.train("vae", f"folder:{source}", tmp_path / "run", **{**given, "epochs": 2})
    assert again.status == "done" and len(again.history) == 2
    assert len(inputs.split_of(tmp_path / "run", "train")) == 30
    request.getfixturevalue("no_steps")
    asked = {**given, "test": 0.1, "validation": 0.2}
    zoo.train("vae", f"folder:{source}", tmp_path / "asked", **asked)
    assert "22 train, 5 validation, 3 test images" in capsys.readouterr().out

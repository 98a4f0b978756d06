"""Weights that come with the package are what the manifest says, or are refused."""

import dataclasses
import hashlib

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo import InputError, registry
from zoo.core import files
from zoo.evaluation import records
from zoo.hub import checkpoints, folders, loading, pretrained, references
from zoo.recipes import Run
from zoo.training import defaults

CONFIG = {"hidden": (16,), "latent_dim": 3}
SHARED = {"image_shape": [28, 28, 1], "num_classes": 10, "dataset_digest": "of both"}
SHARED |= {"recipe": {}, "run": {}}


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A model that is published as `tiny`, in a folder of its own."""
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path / "pretrained")
    model = zoo.create("gan", **CONFIG)
    settings = {"model": "gan", "config": CONFIG, **SHARED}
    pretrained.publish("tiny", checkpoints.weights_of(model), {"settings": settings})
    return model


def test_what_is_loaded_is_what_was_published_in_half_precision(model):
    loaded = zoo.load("tiny")
    for old, new in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(old.astype(np.float16).astype(old.dtype), new)
    known = pretrained.entry("tiny")
    content = (pretrained.FOLDER / "tiny" / folders.WEIGHTS).read_bytes()
    assert known["sha256"] == hashlib.sha256(content).hexdigest()
    assert known["bytes"] == len(content) < 2.2 * model.count_params() + 4000


@pytest.mark.parametrize("damage", ["a bit", "its end", "all of it"])
def test_a_damaged_file_is_refused(model, damage):
    path = pretrained.FOLDER / "tiny" / folders.WEIGHTS
    content = bytearray(path.read_bytes())
    if damage == "a bit":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif damage == "its end":
        path.write_bytes(content[:-10])
    else:
        path.unlink()
    said = "install zoo anew" if path.exists() else "do not come with this installation"
    with pytest.raises(InputError, match=f"tiny/model.safetensors .*{said}"):
        zoo.load("tiny")


def test_damaged_settings_are_one_clear_line(model):
    (pretrained.FOLDER / "tiny" / folders.CONFIG).write_text('{"tiny": ')
    with pytest.raises(InputError, match="config.json cannot be read: .*; install zoo anew"):
        zoo.load("tiny")


def test_unknown_names_and_weights_that_do_not_fit(model):
    with pytest.raises(InputError, match="no pretrained model named 'huge'; there are tiny"):
        pretrained.entry("huge")
    with pytest.raises(InputError, match="does not fit into half precision"):
        pretrained.publish("huge", {"weights/a": np.array([1e6])}, {})
    assert "huge" not in pretrained.names()


def test_the_command_names_what_differs_from_the_recipe():
    settings = {
        "model": "gan",
        "image_shape": [28, 28, 1],
        "config": dataclasses.asdict(registry.config_class("gan")())
        | {"hidden": [16, 8], "num_stages": 2},
        "recipe": dataclasses.asdict(registry.recipe("gan")) | {"epochs": 3},
        "run": dataclasses.asdict(Run()),
    }
    expected = "python scripts/train.py --model=gan --hidden=16,8 --epochs=3"
    assert defaults.command(settings) == expected


def test_a_model_made_of_others_follows_them_or_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path / "pretrained")
    small = {"network": "mlp", "hidden": [16], "latent_dim": 3}
    for seed in (1, 2):
        keras.utils.set_random_seed(seed)
        for name, config in (("classifier", {"width": 4}), ("vae", small)):
            model = zoo.create(name, **config)
            settings = {"model": name, "config": config, **SHARED}
            pretrained.publish(name, checkpoints.weights_of(model), {"settings": settings})
        if seed == 1:
            source = references.Composed("bayes_conditional", {"p_x": "vae", "num_candidates": 50})
            settings = loading.read_config(source)
            pretrained.publish_composed("both", ["classifier", "vae"], {"settings": settings})
            drawn = zoo.load("both").sample(4, [0, 1, 2, 3], seed=1)
            assert drawn.shape == (4, 28, 28, 1)
    with pytest.raises(InputError, match="both was made of another classifier or vae"):
        zoo.load("both")


def test_what_is_published_has_all_that_belongs_to_it():
    entries = pretrained.manifest()
    # a new model needs no weights yet
    assert {e["settings"]["model"] for e in entries.values()} <= set(registry.list_models())
    assert sum(e.get("bytes", 0) for e in entries.values()) <= 130e6  # all are in each clone
    for name, about in entries.items():
        settings = about["settings"]
        fields = dataclasses.fields(registry.config_class(settings["model"]))
        # a new field with a default needs no new weights
        assert set(settings["config"]) <= {f.name for f in fields}, name
        assert about["command"] == defaults.command(settings), name
        if source := settings["run"].get("init_from"):
            assert settings["initial_weights_sha256"] == entries[source]["sha256"], name
        assert settings["run"].get("classifier", "") in {"", *entries}, name
        home = pretrained.FOLDER / name
        record = records.read_record(home / folders.RECORD)
        files = [folders.CARD]
        if "samples" in record["figures"]:
            files += [folders.SAMPLES, folders.NEIGHBORS]
        assert all((home / file).is_file() for file in files), name
        if "parts" not in about:
            assert (home / folders.WEIGHTS).stat().st_size == about["bytes"] <= 5.5e6, name


def test_weights_are_known_by_the_digest_that_their_file_had():
    known = pretrained.entry("classifier")
    assert known["earlier"] and known["sha256"] not in known["earlier"]
    for sha256 in (known["sha256"], *known["earlier"]):
        assert pretrained.name_of(sha256) == "classifier"
    assert loading.same_weights(known["earlier"][0], known["sha256"])
    assert pretrained.name_of("of nothing") is None


BY_DEFAULT = {"cgan", "classifier", "vae"}  # the others are slow


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in BY_DEFAULT else pytest.mark.slow)
        for name in pretrained.manifest()
    ],
)
def test_every_published_model_loads_and_answers(name, fashion_mnist):
    model = zoo.load(name)
    settings = pretrained.entry(name)["settings"]
    images, labels = fashion_mnist.test.images[:1000], fashion_mnist.test.labels[:1000]
    if hasattr(model, "sample"):
        made = np.asarray(model.sample(64, seed=0, **model.watched_options))
        assert made.shape == (64, *settings["image_shape"]) and made.std() > 0.2  # no gray mush
    if settings["dataset_digest"] != fashion_mnist.digest:
        # what was learnt from digits finds clothing strange
        if hasattr(model, "classify"):
            hits = np.argmax(model.classify(images), -1) == labels
            assert hits.mean() < 0.5
        return
    if hasattr(model, "classify"):
        composed = "parts" in pretrained.entry(name)
        few = 100 if composed else 1000  # a pass for each class
        hits = np.argmax(model.classify(images[:few]), -1) == labels[:few]
        record = files.read_json(pretrained.FOLDER / name / folders.RECORD)
        assert hits.mean() > (0.6 if composed else 0.9)
        share = record["figures"]["classification"]["accuracy"]["mean"]
        assert hits.mean() == pytest.approx(share, abs=4 * (share * (1 - share) / few) ** 0.5)
    if hasattr(model, "log_prob"):
        # flow_matching is not trained by a likelihood, and takes hundreds of network calls
        few, most = (8, 5.5) if model.num_measured else (200, 3.7)
        given = labels[:few] if model.conditional else None
        bits = model.bits_per_dim(model.log_prob(images[:few], given, seed=0))
        assert np.mean(bits) < most


@pytest.mark.parametrize("name", ["pixelcnn", "pixelrnn"])
def test_drawing_meets_the_logits_that_the_likelihood_has(name, fashion_mnist):
    model = zoo.load(name)
    images = tf.constant(fashion_mnist.test.images[:3] / np.float32(255))
    kept, met = model.walk(images, tf.constant(28), None, tf.constant([0, 0]), with_features=True)
    np.testing.assert_allclose(kept, images, atol=1e-6)
    nothing = tf.zeros([*images.shape[:3], 0])
    found, expected = (
        model.p_channel(features, nothing).logits for features in (met, model.features(images))
    )
    np.testing.assert_allclose(found, expected, atol=1e-4)

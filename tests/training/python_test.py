"""Training from Python: arrays, callbacks, results, and models of other packages."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import zoo
from zoo import registry
from zoo.core.config import field
from zoo.data import sources
from zoo.families.likelihood import LikelihoodModel
from zoo.hub import checkpoints
from zoo.training import api

SMALL = {"network": "mlp", "hidden": (8,), "latent_dim": 2, "batch_size": 16, "steps_per_epoch": 2}


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (100, 8, 8, 3), np.uint8)


def test_arrays_are_trained_on_and_a_run_goes_on(images, tmp_path, no_export, capsys):
    labels = np.arange(100) % 3
    seen = []
    watch = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(logs))
    settings = {"workdir": tmp_path, "callbacks": [watch], **SMALL}
    result = zoo.train("vae", (images, labels), epochs=1, **settings)
    assert (result.status, len(result.history), result.workdir) == ("done", 1, tmp_path)
    assert seen[0]["val_loss"] == result.history[0]["val_loss"]
    [line] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("2/2 - ")]
    shown = [part.split(":")[0] for part in line.split(" - ")[3:]]
    assert shown == ["loss", "val_loss", "val_bits_per_dim", "val_kl_nats"]
    whole = zoo.train("vae", (images, labels), epochs=2, **settings)
    assert whole.history[0] == result.history[0] and len(whole.history) == len(seen) == 2
    assert whole.load().sample(2).shape == (2, 8, 8, 3)
    with pytest.raises(zoo.InputError, match="dataset_digest"):  # other images
        zoo.train("vae", (images[::-1], labels), epochs=3, **settings)
    with pytest.raises(zoo.InputError, match="came from Python: give them to zoo.train"):
        sources.load(sources.ARRAYS)


@pytest.mark.slow
def test_a_callback_may_end_the_training(images, tmp_path, no_export):
    enough = keras.callbacks.EarlyStopping("val_loss", min_delta=1e9, patience=1)
    settings = {"workdir": tmp_path, "epochs": 5, "network": "mlp", **SMALL}
    result = zoo.train("vae", images, callbacks=[enough], **settings)
    assert result.status == "done" and len(result.history) == 2
    assert checkpoints.Manager(tmp_path / "checkpoints").steps()[0] == 4
    assert result.load().num_classes == 0


def test_a_dataset_is_gathered_and_split_once_for_all(images):
    labels = np.arange(100, dtype=np.int64) % 4
    whole = sources.of_arrays((images, labels))
    assert [len(s) for s in (whole.train, whole.validation, whole.test)] == [81, 9, 10]
    assert whole.class_names == ("0", "1", "2", "3")
    together = np.concatenate([s.images for s in (whole.train, whole.validation, whole.test)])
    assert sorted(map(bytes, together)) == sorted(map(bytes, images))
    one_by_one = tf.data.Dataset.from_tensor_slices((images, labels))
    for data in (one_by_one, one_by_one.batch(7), (images / 255.0, labels[:, None])):
        assert sources.of_arrays(data).digest == whole.digest
    unlabeled = sources.of_arrays(tf.data.Dataset.from_tensor_slices(images).batch(16))
    assert unlabeled.num_classes == 0
    np.testing.assert_array_equal(unlabeled.test.images, whole.test.images)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros((50, 8, 8)), r"images are float64 \(50, 8, 8\): they must be \[N, H, W, C\]"),
        (np.full((50, 8, 8, 1), 255.0), r"must be uint8, or floating point numbers in \[0, 1\]"),
        (np.full((50, 8, 8, 1), np.nan), "must be uint8, or floating point"),
        ((np.zeros((50, 8, 8, 1)), np.zeros(49, int)), r"labels are int64 \(49,\): an integer for"),
        ((np.zeros((50, 8, 8, 1)), np.full(50, -1)), "labels must be 0, 1, ..., and one is -1"),
        (np.zeros((5, 8, 8, 1)), "are too few"),
    ],
)
def test_arrays_that_are_no_images_are_refused(data, message):
    with pytest.raises(zoo.InputError, match=message):
        sources.of_arrays(data)


def test_endless_data_are_refused():
    endless = tf.data.Dataset.from_tensors(np.zeros((8, 8, 1), np.uint8)).repeat()
    with pytest.raises(zoo.InputError, match="never ends"):
        sources.of_arrays(endless)


def test_a_setting_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(zoo.InputError, match="no setting 'learing_rate'; did you mean learning_"):
        zoo.train("vae", workdir=tmp_path / "x", learing_rate=1.0)
    assert not (tmp_path / "x").exists()


@dataclasses.dataclass(frozen=True)
class Config:
    width: int = field(4, "Units of the one hidden layer.", lower=1)


class Means(LikelihoodModel):
    """Images are their mean and noise of one scale."""

    Config = Config

    def __init__(self, config=None, **kwargs):
        super().__init__(config, **kwargs)
        self.hidden = layers.Dense(self.config.width)
        self.hidden.build((None, 1))
        self.build()

    def losses(self, images, labels, training):
        x = tf.reduce_mean(images, [1, 2])[:, :1]
        return {"loss": tf.reduce_sum((self.hidden(x) - x) ** 2, 1)}

    def endpoints(self):
        def loss(images):
            return {"loss": self.losses(images, None, False)["loss"]}

        return {"loss": (loss, [self.images_spec])}


@pytest.fixture
def registered():
    """What a test registers is gone after it."""
    places = (registry.MODELS, registry._CLASSES)
    before = [dict(place) for place in places]
    yield
    for place, old in zip(places, before, strict=True):
        place.clear()
        place.update(old)
    registry.config_class.cache_clear()


def test_a_model_of_another_package_is_created_and_trained(registered, images, tmp_path):
    zoo.register("means", Means)
    assert "means" in zoo.list_models() and zoo.create("means", width=3).config.width == 3
    small = {"epochs": 2, "batch_size": 16, "steps_per_epoch": 0}
    result = zoo.train("means", images, tmp_path, width=5, **small)
    assert result.status == "done" and result.load().config.width == 5
    assert isinstance(result, api.Result)


def described(**attributes):
    return type("Other", (Means,), attributes)


@pytest.mark.parametrize(
    ("name", "attributes", "message"),
    [
        ("vae", {}, "there is a model named vae already"),
        ("My Model", {}, "small letters"),
        ("mine", {"Config": object}, "must be a dataclass with frozen=True"),
        (
            "mine",
            {"Config": dataclasses.make_dataclass("C", [("w", int, 3)], frozen=True)},
            "Config.w has no help text",
        ),
        (
            "mine",
            {
                "Config": dataclasses.make_dataclass(
                    "C", [("seed", int, field(3, "A seed."))], frozen=True
                )
            },
            "every run has a setting of that name",
        ),
    ],
)
def test_what_is_wrong_with_a_model_is_said_at_registration(registered, name, attributes, message):
    with pytest.raises(zoo.InputError, match=message):
        zoo.register(name, described(**attributes))
    assert "mine" not in zoo.list_models()


def test_a_class_of_no_family_is_refused():
    with pytest.raises(zoo.InputError, match="is no subclass of a family"):
        zoo.register("mine", dict)


def test_what_is_tracked_and_not_given_is_said(images):
    model = described(tracked=("loss", "kl_nats"))(image_shape=(8, 8, 3))
    model.compile(keras.optimizers.Adam())
    with pytest.raises(zoo.InputError, match="tracked has 'kl_nats', and losses.. gives loss"):
        model.fit(images, batch_size=10, verbose=0)

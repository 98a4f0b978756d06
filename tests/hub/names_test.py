"""Weights are found by name; files of version 0.1, in which they went by position, are read."""

import dataclasses
import json
import pathlib
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import zoo
from zoo.core.arrays import digest
from zoo.families.likelihood import LikelihoodModel
from zoo.hub import checkpoints, names

OF_0_1 = pathlib.Path(__file__).parent / "version_0_1" / "step_000000004.npz"


@dataclasses.dataclass(frozen=True)
class Config:
    pass


class Pair(LikelihoodModel):
    """Two layers of the same shape, a list and a dictionary of others."""

    Config = Config
    order = ("first", "second")

    def __init__(self, config=None, **kwargs):
        super().__init__(config, **kwargs)
        for name in self.order:
            setattr(self, name, built())
        self.several = [built(), built()]
        self.by_key = {name: built() for name in self.order}
        self.build()

    def losses(self, images, labels, training):
        return {"loss": tf.reduce_sum(images, [1, 2, 3])}


class Other(Pair):
    order = ("second", "first")


def built():
    layer = layers.Dense(3)
    layer.build((None, 3))
    return layer


@pytest.fixture
def pair():
    keras.utils.set_random_seed(0)
    models = Pair(image_shape=(2, 2, 1)), Other(image_shape=(2, 2, 1))
    for model in models:
        model.compile(keras.optimizers.Adam())
    return models


def values(variables):
    return {name: np.asarray(v) for name, v in variables.items()}


def assert_equal(one, other):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def test_equal_layers_that_are_made_in_another_order_keep_their_weights(pair, tmp_path):
    model, other = pair
    for i, v in enumerate(model.optimizer.variables):  # each moment is to find its weight
        v.assign(tf.cast(tf.fill(v.shape, i), v.dtype))
    manager = checkpoints.Manager(tmp_path)
    manager.save(model, 1)
    manager.restore(other)
    np.testing.assert_array_equal(other.first.kernel, model.first.kernel)
    assert np.ptp(model.first.kernel - model.second.kernel)
    assert_equal(values(checkpoints.state(model)), values(checkpoints.state(other)))


def test_a_name_is_the_attribute_path(pair):
    expected = {"first", "second", "several/0", "several/1", "by_key/first", "by_key/second"}
    expected = {f"{layer}/{v}" for layer in expected for v in ("kernel", "bias")}
    assert set(names.of_weights(pair[0])) == set(names.of_weights(pair[1])) == expected


def test_layers_of_a_network_are_named_whatever_was_made_before():
    one = names.of_weights(zoo.create("gan", (8, 8, 1), hidden=(4, 4), latent_dim=2))
    keras.Sequential([layers.Dense(3), layers.Dense(3)])
    two = names.of_weights(zoo.create("gan", (8, 8, 1), hidden=(4, 4), latent_dim=2))
    assert list(one) == list(two)
    assert {"generator/dense/kernel", "generator/dense_2/bias"} <= set(one)


class Twice(Pair):
    """Both paths to a kernel are written `by_key/a/b/kernel`."""

    def build(self, input_shape=None):
        self.by_key = {"a/b": built(), "a": {"b": built()}}
        super().build()


def test_two_variables_of_one_name_are_an_error():
    with pytest.raises(ValueError, match="two variables are both 'by_key/a/b/"):
        names.of_weights(Twice(image_shape=(2, 2, 1)))


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16"])
def test_a_checkpoint_of_the_old_kind_is_read(tmp_path, dtype):
    def create():
        return zoo.create("gan", (8, 8, 1), hidden=(4,), latent_dim=2, ema_decay=0.9, seed=3)

    keras.config.set_dtype_policy(dtype)
    try:
        model, other = create(), create()
    finally:
        keras.config.set_dtype_policy("float32")
    model.fit(np.zeros((8, 8, 8, 1), np.uint8), batch_size=4, verbose=0)
    arrays = values(checkpoints.state_by_position(model))
    assert all(re.fullmatch(r"\w+/\d{4}", name) for name in arrays)
    meta = {"step": 2, "score": None, "sha256": digest(arrays)}
    (tmp_path / "checkpoints").mkdir()
    path = tmp_path / "checkpoints" / "step_000000002.npz"
    np.savez(path, **arrays, meta=np.array(json.dumps(meta)))
    assert checkpoints.Manager(path.parent).restore(other) == (2, 0.0)
    assert_equal(values(checkpoints.state(model)), values(checkpoints.state(other)))


def test_a_checkpoint_that_version_0_1_wrote_is_read():
    model = zoo.create("gan", (4, 4, 1), num_classes=2, hidden=(4,), latent_dim=2)
    assert checkpoints.Manager(OF_0_1.parent).restore(model) == (4, 0.0)
    _, written = checkpoints.read(OF_0_1)
    assert_equal(written, values(checkpoints.state_by_position(model)))
    assert checkpoints.weights_digest(model) == digest(
        {name: a for name, a in written.items() if name.startswith("weights/")}
    )
    assert int(model.optimizer.iterations) == 4


def test_of_no_file_of_both_kinds_a_part_is_taken(tmp_path):
    model = zoo.create("gan", (4, 4, 1), num_classes=2, hidden=(4,), latent_dim=2)
    _, arrays = checkpoints.read(OF_0_1)
    arrays["weights/more"] = arrays["weights/0000"]
    with pytest.raises(checkpoints.Damaged, match="of another model"):
        checkpoints.assign_weights(OF_0_1, model, arrays)

"""The classifier's truths."""

import json

import keras
import numpy as np
import pytest

import zoo
from zoo import InputError


def test_probabilities_and_loss(fashion_mnist):
    model = zoo.create("classifier", width=4)
    x, y = fashion_mnist.test.images[:50], fashion_mnist.test.labels[:50]
    p = model.classify(x).numpy()
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-5)
    values = model.losses(x / np.float32(255), y, training=False)
    np.testing.assert_allclose(values["loss"], -np.log(p[np.arange(50), y]), rtol=1e-4)
    np.testing.assert_array_equal(values["accuracy"], p.argmax(1) == y)


def test_it_learns_real_images(fashion_mnist):
    keras.utils.set_random_seed(0)
    model = zoo.create("classifier", width=8, dropout=0.0)
    train, test = fashion_mnist.train, fashion_mnist.test
    model.fit(train.images[:4096], train.labels[:4096], batch_size=64, epochs=6, verbose=0)
    hits = model.classify(test.images[:1000]).numpy().argmax(1) == test.labels[:1000]
    assert hits.mean() > 0.7  # a tenth by chance


def test_dropout_is_for_training_only(fashion_mnist):
    model = zoo.create("classifier", width=4)
    x = fashion_mnist.test.images[:8]
    np.testing.assert_array_equal(model(x), model(x))
    assert np.abs(model(x, training=True) - model(x)).max() > 1e-3


@pytest.mark.parametrize("setting", [{"dropout": 1.5}, {"width": 0}])
def test_bad_settings(setting):
    with pytest.raises(zoo.InputError, match=next(iter(setting))):
        zoo.create("classifier", **setting)


def test_images_that_cannot_be_halved_twice_are_refused():
    with pytest.raises(InputError, match="sides of 4 pixels"):
        zoo.create("classifier", image_shape=(3, 3, 1))


@pytest.mark.weekly
def test_the_recipe_reaches_its_accuracy(run, tmp_path):
    code, _, err = run("train", "--model=classifier", f"--workdir={tmp_path}", timeout=1800)
    assert code == 0, err
    assert json.loads((tmp_path / "summary.json").read_text())["test"]["accuracy"] >= 0.91

"""Numbers of before: a move or a rename changes none of them.

`golden.json` has, for each model and for each published one, what version 0.1 computed. After a
change that is meant to change numbers: `python tests/conformance/golden_test.py`, and say why.
A model that is not in it, a new one, is not looked at.
"""

import json
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from conformance_test import BY_DEFAULT, SHAPE, of_its_pixels
from small_models import SMALL, VARIANTS, small

import zoo
from zoo.data import sources
from zoo.hub import pretrained

FILE = pathlib.Path(__file__).with_name("golden.json")
# of the published ones one of each family in CI, all weekly
OF_FAMILIES = {"vae", "flow_vae", "vqvae", "pixelcnn", "cgan", "projection_cgan", "classifier"}
GOLDEN = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}


def of_a_new_model(name, fashion_mnist):
    """Means over a batch of what a seeded model minimizes, before any step."""
    keras.utils.set_random_seed(5)
    model_name, settings = small(name)
    model = zoo.create(model_name, SHAPE, **settings)
    images = of_its_pixels(model, fashion_mnist.train.images[:32, 8:20, 8:20])
    images = tf.constant(images / 255, tf.float32)
    labels = tf.constant(fashion_mnist.train.labels[:32], tf.int32)
    if hasattr(model, "discriminate"):
        latents = model.draw_prior(32, seed=1)
        losses = model.d_losses(images, labels, latents, training=False)
        losses |= model.g_losses(images, labels, latents, training=False)
    else:
        losses = model.losses(images, labels, training=False)
    weights = {"weights": sum(float(np.abs(w).sum()) for w in model.get_weights())}
    return weights | {k: float(np.mean(losses[k])) for k in sorted(losses)}


def of_a_published_model(name, fashion_mnist):
    """What it draws, or what it thinks of the first test images."""
    model = zoo.load(name)
    images, labels = fashion_mnist.test.images[:8], np.int32(fashion_mnist.test.labels[:8])
    if hasattr(model, "classify"):
        return {"classify": np.asarray(model.classify(images)).round(6).tolist()}
    if hasattr(model, "discriminate"):
        return {"sample": np.mean(model.sample(8, seed=1), (1, 2, 3)).tolist()}
    given = labels if model.conditional else None
    return {
        "log_prob": np.asarray(model.log_prob(of_its_pixels(model, images), given, seed=1)).tolist()
    }


def cases(names):
    return [pytest.param(n, marks=[] if n in BY_DEFAULT else pytest.mark.slow) for n in names]


@pytest.mark.parametrize("name", cases(GOLDEN.get("new", ())))
def test_a_new_model_is_what_it_was(name, fashion_mnist):
    found = of_a_new_model(name, fashion_mnist)
    assert found == pytest.approx(GOLDEN["new"][name], rel=1e-4, abs=1e-5)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=pytest.mark.slow if n in OF_FAMILIES else pytest.mark.weekly)
        for n in GOLDEN.get("published", ())
    ],
)
def test_a_published_model_is_what_it_was(name, fashion_mnist):
    found = of_a_published_model(name, fashion_mnist)
    for key, value in GOLDEN["published"][name].items():
        np.testing.assert_allclose(found[key], value, rtol=1e-4, atol=1e-4)


if __name__ == "__main__":
    data = sources.load()
    golden = {
        "new": {n: of_a_new_model(n, data) for n in [*SMALL, *VARIANTS]},
        "published": {
            n: of_a_published_model(n, data)
            for n, entry in pretrained.manifest().items()
            if "parts" not in entry
        },
    }
    FILE.write_text(json.dumps(golden, indent=1) + "\n", encoding="utf-8")

"""The bidirectional GAN: its pairs, its two halves, and whose weights they move."""

import dataclasses
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo.math import gan_losses
from zoo.models import gan

SMALL = {"network": "mlp", "hidden": (16,), "latent_dim": 3}


@pytest.fixture
def images(fashion_mnist):
    return tf.constant(fashion_mnist.train.images[:12] / np.float32(255))


@pytest.mark.parametrize("loss", list(gan_losses.GAMES))
def test_losses_are_those_of_pairs(loss, images):
    model = zoo.create("bigan", ema_decay=0.0, loss=loss, penalty="r1", **SMALL)
    z = model.draw_prior(12, seed=0)
    codes, fake = model.encoder(2 * images - 1), model.generate(z)
    joint = [model.discriminator([2 * x - 1, c]) for x, c in ((images, codes), (fake, z))]
    real, made = (v.numpy()[:, 0].astype(np.float64) for v in joint)
    d = [1 / (1 + np.exp(-v)) for v in (real, made)]
    value = np.log(d[0]) + np.log(1 - d[1])
    # G has D take (G(z), z) for real, and E has D take (x, E(x)) for made
    value, expected = {
        "non_saturating": (value, -np.log(d[1]) - np.log(1 - d[0])),
        "saturating": (value, np.log(1 - d[1]) + np.log(d[0])),
        "wasserstein": (real - made, real - made),
        "hinge": (np.minimum(0, real - 1) + np.minimum(0, -made - 1), real - made),
        "relativistic": (-np.log1p(np.exp(made - real)), np.log1p(np.exp(real - made))),
        "least_squares": (-((real - 1) ** 2) / 2 - made**2 / 2, (made - 1) ** 2 / 2 + real**2 / 2),
    }[loss]
    values = model.d_losses(images, None, z, training=False)
    np.testing.assert_allclose(values["value"], value, rtol=1e-4, atol=1e-6)
    g_loss = model.g_losses(images, None, z, training=False)["g_loss"]
    np.testing.assert_allclose(g_loss, expected, rtol=1e-4, atol=1e-6)


def test_slopes_that_cost_are_those_in_image_and_code(images):
    model = zoo.create("bigan", penalty="r1", penalty_weight=3.0, **SMALL)
    z = model.draw_prior(12, seed=0)
    pixels, codes = 2 * images - 1, model.encoder(2 * images - 1)
    made, share = 2 * model.fake_images(z, None, training=True) - 1, tf.linspace(0.1, 0.9, 12)
    places = {  # of D, as its network sees them
        "r1": (pixels, codes),
        "gradient": tuple(
            tf.reshape(share, [-1] + [1] * (a.shape.rank - 1)) * (a - b) + b
            for a, b in ((pixels, made), (codes, z))
        ),
    }
    for penalty, of in {"r1": lambda s: s**2 / 2, "gradient": lambda s: (s - 1) ** 2}.items():
        with tf.GradientTape() as tape:
            tape.watch(places[penalty])
            scores = model.discriminator(list(places[penalty]))
        parts = [tf.reshape(g, [12, -1]) for g in tape.gradient(scores, places[penalty])]
        assert all(np.linalg.norm(g, axis=1).min() > 1e-3 for g in parts)
        expected = of(np.linalg.norm(np.concatenate(parts, 1), axis=1))
        model.config = dataclasses.replace(model.config, penalty=penalty)
        with mock.patch.object(gan, "standard_uniform", lambda *_: share):
            values = model.d_losses(images, None, z, training=True)
        np.testing.assert_allclose(values["penalty"], expected, rtol=1e-3)
        np.testing.assert_allclose(
            values["d_loss"], -values["value"] + 3 * values["penalty"], rtol=1e-5
        )


@pytest.mark.parametrize("still", ["optimizer", "discriminator_optimizer"])
def test_encoder_moves_with_the_generator(still, images):
    model = zoo.create("bigan", **SMALL)
    getattr(model, still).learning_rate = 0.0
    players = (model.generator, model.encoder, model.discriminator)
    before = [[v.numpy() for v in p.trainable_variables] for p in players]
    model.train_step((images, None))
    stood = [
        all(np.array_equal(a, v) for a, v in zip(old, p.trainable_variables, strict=True))
        for old, p in zip(before, players, strict=True)
    ]
    assert stood == [still == "optimizer"] * 2 + [still == "discriminator_optimizer"]


def test_encoding_is_a_point_and_reconstruction_its_image(images):
    model = zoo.create("bigan", **SMALL)
    q = model.encode(images)
    model.encoder_average.set_weights([0.9 * w for w in model.encoder.get_weights()])
    q = model.encode(images)
    np.testing.assert_allclose(q.mean(), model.encoder_average(2 * images - 1), rtol=1e-5)
    np.testing.assert_array_equal(q.stddev(), np.zeros((12, 3)))
    np.testing.assert_array_equal(model.reconstruct(images), model.generate(q.mean()))


def test_at_a_d_that_is_mute_both_halves_are_at_the_equilibrium(images):
    model = zoo.create("bigan", **SMALL)
    model.pair_logits = lambda x, z, training=False: tf.zeros(len(x))
    z = model.draw_prior(12, seed=0)
    values = model.d_losses(images, None, z, training=False)
    np.testing.assert_allclose(values["value"], -np.log(4), rtol=1e-6)
    g_loss = model.g_losses(images, None, z, training=False)["g_loss"]
    np.testing.assert_allclose(g_loss, np.log(4), rtol=1e-6)

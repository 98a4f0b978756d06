"""The auxiliary classifier: its log-likelihoods, and whose steps they are in."""

import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo.math import gan_losses

SMALL = {"network": "mlp", "hidden": (16,), "latent_dim": 3}


@pytest.fixture
def batch(fashion_mnist):
    train = fashion_mnist.train.first(12)
    return tf.constant(train.images / np.float32(255)), tf.constant(train.labels)


def test_every_game_has_the_class_term_beside_it(batch):
    x, y = batch
    for loss, game in gan_losses.GAMES.items():
        penalty = "r1" if loss == "wasserstein" else "none"
        model = zoo.create("acgan", class_weight=0.7, loss=loss, penalty=penalty, **SMALL)
        z = model.draw_prior(12, seed=0)
        real, fake = (model.logits_and_log_p(images, y) for images in (x, model.generate(z, y)))
        values = model.d_losses(x, y, z, training=False)
        expected = -game.value(real[0], fake[0]) - 0.7 * (real[1] + fake[1])
        np.testing.assert_allclose(values["d_loss"], expected, rtol=1e-4, err_msg=loss)
        g_loss = model.g_losses(x, y, z, training=False)["g_loss"]
        both = (fake[0], real[0]) if game.paired else (fake[0],)
        expected = game.generator_loss(*both) - 0.7 * fake[1]
        np.testing.assert_allclose(g_loss, expected, rtol=1e-4, err_msg=loss)


def test_losses_are_those_of_the_formulas(batch):
    x, y = batch
    model = zoo.create("acgan", class_weight=0.7, **SMALL)
    z = model.draw_prior(12, seed=0)
    fake = model.generate(z, y)
    outputs = [
        model.discriminator(2 * images - 1).numpy().astype(np.float64) for images in (x, fake)
    ]
    d = [1 / (1 + np.exp(-o[:, 0])) for o in outputs]
    log_p = []
    for o in outputs:
        classes = o[:, 1:]
        all_classes = np.log(np.exp(classes).sum(1))
        log_p.append(classes[np.arange(12), y.numpy()] - all_classes)
    values = model.d_losses(x, y, z, training=False)
    l_s = np.log(d[0]) + np.log(1 - d[1])
    np.testing.assert_allclose(values["value"], l_s, rtol=1e-4)
    np.testing.assert_allclose(values["d_loss"], -(l_s + 0.7 * (log_p[0] + log_p[1])), rtol=1e-4)
    g_loss = model.g_losses(x, y, z, training=False)["g_loss"]
    np.testing.assert_allclose(g_loss, -np.log(d[1]) - 0.7 * log_p[1], rtol=1e-4)


def test_d_is_not_told_the_label(batch):
    x, y = batch
    model = zoo.create("acgan", **SMALL)
    np.testing.assert_array_equal(model.discriminate(x, y), model.discriminate(x, 9 - y))

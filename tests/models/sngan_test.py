"""Spectral normalization keeps D's slope in bounds, whatever its weights are."""

import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo.math import gan_losses
from zoo.nn.layers import SelfAttention, SpectralNormalization


@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_d_has_a_bounded_slope_however_large_its_weights(network):
    model = zoo.create("sngan", network=network, width=4, hidden=(16, 8), latent_dim=3)
    for v in model.discriminator.trainable_variables:
        if v.name == "kernel":
            v.assign(v * 1000)
    x = tf.constant(np.random.default_rng(0).random((16, 28, 28, 1)), tf.float32)
    for _ in range(50):
        model.discriminate(x, training=True)

    def d(scaled):
        return model.discriminator(scaled)[:, 0]

    slopes = gan_losses.slopes(d, x)
    # a 4x4 kernel with stride 2 meets each pixel 4 times, a 3x3 kernel 9 times: the root of it
    bound = 1.0 if network == "mlp" else 2.0**2 * 3.0**3
    assert float(tf.reduce_max(slopes)) <= bound * 1.001
    assert float(tf.reduce_max(slopes)) > 1e-4


def test_each_layer_of_d_is_normalized_and_none_of_g():
    model = zoo.create("sngan", width=4, latent_dim=3)
    with_kernels = [v for v in model.discriminator.trainable_variables if v.name == "kernel"]
    layers = [v for v in model.discriminator.layers if isinstance(v, SpectralNormalization)]
    assert len(with_kernels) == len(layers) == 6
    assert not any(isinstance(v, SpectralNormalization) for v in model.generator.layers)


def test_attention_of_d_is_normalized_and_that_of_g_is_not():
    model = zoo.create("sngan", width=8, latent_dim=3, attention=True)
    for network, normalized in ((model.discriminator, True), (model.generator, False)):
        [attention] = [v for v in network.layers if isinstance(v, SelfAttention)]
        for part in (attention.q, attention.k, attention.h, attention.v):
            assert isinstance(part, SpectralNormalization) == normalized


def test_hinge_value_at_a_mute_d(fashion_mnist):
    model = zoo.create("sngan", width=4, latent_dim=3)
    model.run_discriminator = lambda images, *a, **k: tf.zeros(len(images))
    x = tf.constant(fashion_mnist.train.images[:4] / np.float32(255))
    values = model.d_losses(x, None, model.draw_prior(4, seed=0), training=False)
    np.testing.assert_array_equal(values["value"], [model.equilibrium] * 4)

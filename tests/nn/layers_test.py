"""Layers of GANs against NumPy: singular values, per-class normalization, attention."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from zoo.nn.layers import ConditionalBatchNormalization, SelfAttention, SpectralNormalization


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (lambda: layers.Dense(7, use_bias=False), (12,)),
        (lambda: layers.Conv2D(5, 3, use_bias=False), (6, 6, 4)),
    ],
)
def test_spectral_norm_is_the_greatest_singular_value(layer, shape):
    keras.utils.set_random_seed(0)
    x = tf.random.stateless_normal([3, *shape], [0, 1])
    normalized = SpectralNormalization(layer())
    normalized(x)
    kernel = normalized.layer.kernel.numpy()
    singular = np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]), compute_uv=False)
    before = float(normalized.sigma())
    assert before < 0.99 * singular[0]  # an estimate from a random u, and from below
    for _ in range(200):
        normalized(x, training=True)
    assert float(normalized.sigma()) == pytest.approx(singular[0], rel=1e-4)
    np.testing.assert_array_equal(kernel, normalized.layer.kernel)  # the weights are untouched
    normalized.bias.assign(np.arange(kernel.shape[-1]))
    plain = normalized.layer(x).numpy() / singular[0] + np.arange(kernel.shape[-1])
    np.testing.assert_allclose(normalized(x), plain, rtol=1e-3, atol=1e-3)


def test_gradient_knows_of_sigma():
    # d/dW of a W / sigma(W) x in the direction of W itself is 0: scaling W changes nothing
    keras.utils.set_random_seed(1)
    layer = SpectralNormalization(layers.Dense(4, use_bias=False))
    x = tf.random.stateless_normal([6, 5], [0, 2])
    for _ in range(100):
        layer(x, training=True)
    kernel = layer.layer.kernel
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(layer(x) ** 3)
    gradient = tape.gradient(y, kernel.value)
    along = tf.reduce_sum(gradient * kernel) / tf.norm(gradient) / tf.norm(kernel.value)
    assert abs(float(along)) < 1e-4
    # and in any other direction that of the exact norm, by finite differences
    direction = np.random.default_rng(0).normal(size=kernel.shape)
    w = kernel.numpy().astype(np.float64)

    def exact(w):
        return ((x.numpy() @ w / np.linalg.norm(w, 2)) ** 3).sum()

    step = 1e-5
    slope = (exact(w + step * direction) - exact(w - step * direction)) / (2 * step)
    assert float(tf.reduce_sum(gradient * direction)) == pytest.approx(slope, rel=1e-3)


@pytest.mark.parametrize("shape", [(64, 3), (64, 4, 4, 3)])
def test_conditional_batch_norm_is_a_scale_and_shift_a_class_after_a_common_norm(shape):
    rng = np.random.default_rng(0)
    x = rng.normal(2.0, 3.0, shape).astype(np.float32)
    labels = rng.integers(0, 5, shape[0])
    layer = ConditionalBatchNormalization()
    one_hot = tf.one_hot(labels, 5)
    layer(x, one_hot)
    gamma, beta = rng.normal(size=(2, 5, 3)).astype(np.float32)
    layer.gamma.assign(gamma)
    layer.beta.assign(beta)
    axes = tuple(range(len(shape) - 1))
    norm = (x - x.mean(axes)) / np.sqrt(x.var(axes) + 1e-3)
    expected = np.stack([gamma[y] * v + beta[y] for v, y in zip(norm, labels, strict=True)])
    np.testing.assert_allclose(layer(x, one_hot, training=True), expected, rtol=1e-3, atol=1e-4)
    # when it draws, by the averages of training
    layer.norm.moving_mean.assign([1.0, 2.0, 3.0])
    layer.norm.moving_variance.assign([4.0, 9.0, 0.25])
    norm = (x - [1, 2, 3]) / np.sqrt(np.array([4, 9, 0.25]) + 1e-3)
    expected = np.stack([gamma[y] * v + beta[y] for v, y in zip(norm, labels, strict=True)])
    np.testing.assert_allclose(layer(x, one_hot), expected, rtol=1e-3, atol=1e-4)


def test_self_attention_starts_as_the_identity_and_is_that_of_the_formula():
    keras.utils.set_random_seed(0)
    x = tf.random.stateless_normal([2, 3, 4, 16], [0, 3])
    layer = SelfAttention()
    np.testing.assert_array_equal(layer(x), x)
    layer.gamma.assign(0.7)
    flat = x.numpy().reshape(2, 12, 16)
    q, k, h, v = (w.kernel.numpy()[0, 0] for w in (layer.q, layer.k, layer.h, layer.v))
    scores = np.einsum("bic,bjc->bij", flat @ q, flat @ k)
    weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    expected = flat + 0.7 * (weights @ (flat @ h) @ v)
    np.testing.assert_allclose(layer(x).numpy().reshape(2, 12, 16), expected, atol=1e-5)

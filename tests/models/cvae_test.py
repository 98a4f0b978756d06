"""The conditional VAE's truths: the label reaches both networks, and the bound is on log p(x|y)."""

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

import zoo

SMALL = {"network": "mlp", "hidden": (16,), "latent_dim": 3}


@pytest.fixture(scope="module")
def data(fashion_mnist):
    return fashion_mnist.test.images[:40], fashion_mnist.test.labels[:40]


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    return zoo.create("cvae", **SMALL)


@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_the_label_reaches_both_networks(data, network):
    model = zoo.create("cvae", **{**SMALL, "network": network, "width": 4})
    images, labels = data[0][:5], data[1][:5]
    others = (labels + 1) % 10
    z = np.zeros([5, 3], np.float32)
    assert (
        np.abs(model.encode(images, labels).mean() - model.encode(images, others).mean()).max() > 0
    )
    assert np.abs(model.generate(z, labels) - model.generate(z, others)).max() > 0


def test_elbo_and_the_bound_are_of_the_same_label(model, data):
    x, y = data[0][:1].repeat(3000, 0), data[1][:1].repeat(3000, 0)
    elbo = model.losses(x / np.float32(255), y, False)["elbo_nats"].numpy()
    one = model.log_prob(x, y, num_samples=1, seed=3).numpy()
    error = np.sqrt((one.var() + elbo.var()) / len(x))
    assert one.mean() == pytest.approx(elbo.mean(), abs=float(5 * error))
    other = model.log_prob(x[:50], (y[:50] + 1) % 10, num_samples=1, seed=3).numpy()
    assert np.abs(other - one[:50]).max() > 0


def test_without_weights_on_the_label_it_decodes_as_the_vae(data):
    # the same networks, and zeros where the label comes in
    keras.utils.set_random_seed(1)
    plain = zoo.create("vae", network="mlp", hidden=(), latent_dim=3)
    model = zoo.create("cvae", network="mlp", hidden=(), latent_dim=3)
    kernel, bias = plain.decoder.get_weights()
    model.decoder.set_weights([np.concatenate([kernel, np.zeros([10, kernel.shape[1]])]), bias])
    z = plain.draw_prior(4, seed=2)
    for y in (0, 7):
        np.testing.assert_allclose(
            model.generate(z, tf.fill([4], y)), plain.generate(z), rtol=1e-5, atol=1e-6
        )


def test_every_bound_is_exact_where_the_posterior_is():
    # a linear decoder x = W z + V y + b + s e, and q(z|x, y) its posterior
    keras.utils.set_random_seed(3)
    settings = {"network": "mlp", "hidden": (), "latent_dim": 1}
    model = zoo.create("cvae", (2, 2, 1), 3, likelihood="gaussian", scale="shared", **settings)
    kernel, b = model.decoder.get_weights()
    w, v = kernel[:1], kernel[1:]  # [1, 4] and [3, 4]
    s = float(tf.nn.softplus(model.raw_scale)) + 1e-2 / 255
    variance = 1 / (1 + (w**2).sum() / s**2)
    of_x = variance * w.T / s**2  # [4, 1]
    features, shift, joint, no_shift, last, last_shift = map(
        np.zeros_like, model.encoder.get_weights()
    )
    # one path through both hidden layers, so far above 0 that they are linear
    features[:, :1], shift[0], joint[0, 0], last[0, 0] = of_x, 10, 1, 1
    joint[-3:, :1] = -v @ of_x
    last_shift[:] = -10 - (b @ of_x)[0], np.log(np.expm1(np.sqrt(variance) - 1e-4))
    model.encoder.set_weights([features, shift, joint, no_shift, last, last_shift])
    x = np.random.default_rng(0).random((12, 2, 2, 1)).astype(np.float32)
    y = np.arange(12) % 3
    covariance = w.T @ w + s**2 * np.eye(4)
    rest = x.reshape(12, 4) - v[y] - b
    expected = scipy.stats.multivariate_normal(cov=covariance).logpdf(rest)
    for k in (1, 20):
        np.testing.assert_allclose(model.log_prob(x, y, num_samples=k, seed=1), expected, atol=2e-3)
    other = model.log_prob(x, (y + 1) % 3, num_samples=20, seed=1).numpy()
    assert np.abs(other - expected).max() > 0.1


@pytest.mark.parametrize("name", ["cvae", "cgan", "pixelcnn"])
def test_labels_are_integers_of_any_type(name):
    small = {"pixelcnn": {"width": 4, "num_layers": 1, "conditional": True}}.get(name, SMALL)
    model, labels = zoo.create(name, (4, 4, 1), **small), [1, 0, 1]
    for dtype in (tf.int64, tf.uint8):
        of_type = tf.constant(labels, dtype)
        images = model.sample(3, of_type, seed=1)
        np.testing.assert_array_equal(images, model.sample(3, labels, seed=1))
        if hasattr(model, "log_prob"):
            found, expected = (model.log_prob(images, y, seed=1) for y in (of_type, labels))
            np.testing.assert_array_equal(found, expected)


def test_it_draws_uniform_labels_and_refuses_none_elsewhere(model, data):
    assert model.sample(3, seed=0).shape == (3, 28, 28, 1)
    counts = np.bincount(model.labels_for(10_000, None, (0, 0)), minlength=10)
    assert scipy.stats.chisquare(counts).pvalue > 1e-4
    for num, labels in ((np.int64(3), [1, 2]), (1, 3)):
        with pytest.raises(zoo.InputError, match=f"{num} samples need as many labels, not"):
            model.sample(num, labels, seed=0)
    with pytest.raises(zoo.InputError, match="give it labels"):
        model.encode(data[0])
    with pytest.raises(zoo.InputError, match="give it labels"):
        model.log_prob(data[0])

"""The VAE's truths: its bound, its terms, and a linear one that reaches the exact likelihood."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.decomposition import PCA

import zoo
from zoo.core import checks
from zoo.math.noise import standard_normal

SHAPE = (4, 4, 1)


@pytest.fixture(scope="module")
def images(fashion_mnist):
    return fashion_mnist.test.images[:40]


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    return zoo.create("vae", network="mlp", hidden=(16,), latent_dim=3)


def test_elbo_is_its_two_terms_and_beta_is_in_the_loss_alone(images):
    losses = []
    for beta in (1.0, 4.0):
        keras.utils.set_random_seed(1)
        model = zoo.create("vae", network="mlp", hidden=(16,), latent_dim=3, beta=beta)
        losses.append(model.losses(images / np.float32(255), None, training=False))
    one, four = losses
    np.testing.assert_array_equal(one["elbo_nats"], four["elbo_nats"])
    np.testing.assert_allclose(
        one["elbo_nats"], one["reconstruction_nats"] - one["kl_nats"], rtol=1e-6
    )
    np.testing.assert_allclose(one["loss"], -one["elbo_nats"], rtol=1e-6)
    np.testing.assert_allclose(four["loss"], one["loss"] + 3 * one["kl_nats"], rtol=1e-6)
    np.testing.assert_allclose(
        one["bits_per_dim"], -one["elbo_nats"] / (784 * np.log(2)), rtol=1e-6
    )


def test_kl_per_dim_sums_to_the_kl_of_the_closed_form(model, images):
    q = model.encode(images)
    m, s = q.mean().numpy(), q.stddev().numpy()
    closed = -0.5 * (1 + np.log(s**2) - m**2 - s**2)
    np.testing.assert_allclose(model.kl_per_dim(images), closed, rtol=1e-4, atol=1e-5)
    kl = model.losses(images / np.float32(255), None, False)["kl_nats"]
    np.testing.assert_allclose(kl, closed.sum(-1), rtol=1e-4, atol=1e-5)


def test_log_prob_of_one_sample_has_the_elbo_as_its_mean(model, images):
    x = images[:1].repeat(4000, 0)
    one = model.log_prob(x, num_samples=1, seed=3).numpy()
    elbo = model.losses(x / np.float32(255), None, False)["elbo_nats"].numpy()
    error = np.sqrt((one.var() + elbo.var()) / len(x))
    assert one.mean() == pytest.approx(elbo.mean(), abs=float(5 * error))


def test_log_prob_grows_with_the_samples_and_repeats_by_seed(model, images):
    bound = [model.log_prob(images, num_samples=k, seed=0).numpy().mean() for k in (1, 10, 300)]
    assert bound[0] < bound[1] < bound[2]
    np.testing.assert_array_equal(
        model.log_prob(images, num_samples=5, seed=7), model.log_prob(images, num_samples=5, seed=7)
    )


def test_log_prob_is_the_log_mean_of_its_weights(model, images):
    x, k = images[:5] / np.float32(255), 4
    q, log_w = model.encode(x), []
    seed = tf.constant([9, 0])
    for i in range(k):
        noise = standard_normal([5, 3], tf.random.experimental.stateless_fold_in(seed, i))
        z = q.mean() + q.stddev() * noise
        log_w.append(model.decode(z).log_prob(x) + model.p_z().log_prob(z) - q.log_prob(z))
    expected = tf.reduce_logsumexp(tf.stack(log_w), 0) - np.log(k)
    np.testing.assert_allclose(model.log_prob(x, num_samples=k, seed=9), expected, rtol=1e-5)


def test_a_linear_vae_reaches_the_likelihood_of_probabilistic_pca(monkeypatch):
    monkeypatch.setattr(checks, "images", lambda x, _: x)  # a Gaussian's are of any number
    # Tipping & Bishop 1999: with linear maps the best bound is the exact log-likelihood
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(2, 16)) * 0.3
    x = rng.normal(size=(4096, 2)) @ mixing + 0.2 * rng.normal(size=(4096, 16)) + 0.5
    x = x.astype(np.float32)
    exact = PCA(n_components=2).fit(x).score(x)
    keras.utils.set_random_seed(0)
    model = zoo.create(
        "vae",
        image_shape=SHAPE,
        network="mlp",
        hidden=(),
        latent_dim=2,
        likelihood="gaussian",
        scale="shared",
    )
    model.compile(keras.optimizers.Adam(0.01))
    data = tf.data.Dataset.from_tensor_slices((x.reshape(-1, *SHAPE), np.zeros(4096, np.int32)))
    schedule = keras.callbacks.LearningRateScheduler(lambda e: 0.02 * 0.96**e)
    model.fit(
        data.cache().shuffle(4096, seed=1).batch(256),
        epochs=100,
        verbose=0,
        shuffle=False,
        callbacks=[schedule],
    )
    bound = model.log_prob(x.reshape(-1, *SHAPE), num_samples=100, seed=0).numpy().mean()
    elbo = model.losses(x.reshape(-1, *SHAPE), None, False)["elbo_nats"].numpy().mean()
    assert exact - 0.25 < elbo <= bound <= exact + 0.01
    assert bound > exact - 0.1


def test_observation_is_the_mean_unless_a_draw_is_asked_for(model, images):
    z = model.encode(images).mean()
    mean = np.clip(model.decode(z).mean(), 0, 1)
    np.testing.assert_allclose(model.reconstruct(images), mean, atol=1e-6)
    drawn = model.reconstruct(images, observation="sample", seed=1).numpy()
    np.testing.assert_allclose(drawn * 255, np.round(drawn * 255), atol=1e-3)
    assert np.abs(drawn - mean).max() > 0.05
    with pytest.raises(zoo.InputError, match="observation must be"):
        model.sample(2, observation="mode")


def test_bernoulli_likelihood_of_binary_images(images):
    model = zoo.create("vae", network="mlp", hidden=(16,), latent_dim=3, likelihood="bernoulli")
    x = (images > 127).astype(np.float32)
    z = tf.zeros([len(x), 3])
    p = np.asarray(model.decode(z).mean(), np.float64)
    expected = (x * np.log(p) + (1 - x) * np.log1p(-p)).sum((1, 2, 3))
    np.testing.assert_allclose(model.decode(z).log_prob(x), expected, rtol=1e-5)

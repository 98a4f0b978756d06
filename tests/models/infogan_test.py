"""InfoGAN: the bound on the mutual information, its codes and their traversals."""

import math

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

import zoo
from zoo.evaluation.metrics import categories

SMALL = {"network": "mlp", "hidden": (16,), "latent_dim": 3, "num_categories": 4}


def test_latents_are_a_category_uniform_codes_and_noise():
    model = zoo.create("infogan", **SMALL)
    z = model.draw_prior(4000, seed=1).numpy()
    assert z.shape == (4000, 4 + 2 + 3) == (4000, model.latent_dim)
    assert set(np.unique(z[:, :4])) == {0.0, 1.0} and (z[:, :4].sum(1) == 1).all()
    assert scipy.stats.chisquare(z[:, :4].sum(0)).pvalue > 1e-4
    uniform = scipy.stats.uniform(-1, 2)
    for j in (4, 5):
        assert scipy.stats.kstest(z[:, j], uniform.cdf).pvalue > 1e-4
    assert scipy.stats.kstest(z[:, 6:].ravel(), "norm").pvalue > 1e-4
    correlation = np.corrcoef(z[:, 4:].T) - np.eye(5)
    assert np.abs(correlation).max() < 0.08
    truncated = model.draw_prior(200, 1, truncation=0.5).numpy()
    assert np.abs(truncated[:, 6:]).max() <= 0.5 < np.abs(truncated[:, 4:6]).max()


def test_bound_is_0_for_a_q_that_knows_nothing_and_the_entropy_for_one_that_knows_all():
    model = zoo.create("infogan", num_continuous=0, **SMALL)
    z = model.draw_prior(50, seed=0)
    output = tf.zeros([50, 1 + 4])
    model.discriminator = lambda x, training: output
    np.testing.assert_allclose(
        sum(model.bounds(model.logits_and_codes(tf.zeros([50, 28, 28, 1]))[1], z)), 0, atol=1e-6
    )
    output = tf.concat([tf.zeros([50, 1]), 100 * z[:, :4]], 1)
    bound = sum(model.bounds(model.logits_and_codes(tf.zeros([50, 28, 28, 1]))[1], z))
    np.testing.assert_allclose(bound, math.log(4), rtol=1e-5)


def test_bound_is_tight_where_q_is_the_posterior():
    # c uniform in [-1, 1], seen as c + noise of scale s, small: I = log 2 - log(s sqrt(2 pi e))
    s = 0.01
    model = zoo.create("infogan", num_continuous=1, **SMALL)
    z = model.draw_prior(20000, seed=3)
    noise = tf.random.stateless_normal([20000, 1], [1, 2]) * s
    raw_scale = tf.fill([20000, 1], math.log(math.expm1(s - 1e-4)))
    output = tf.concat([tf.zeros([20000, 1 + 4]), z[:, 4:5] + noise, raw_scale], 1)
    model.discriminator = lambda x, training: output
    bound = float(
        tf.reduce_mean(model.bounds(model.logits_and_codes(tf.zeros([1, 28, 28, 1]))[1], z)[1])
    )
    expected = math.log(2) - math.log(s * math.sqrt(2 * math.pi * math.e))
    assert bound == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("loss", ["non_saturating", "saturating", "hinge", "least_squares"])
def test_both_players_ascend_the_bound(loss):
    settings = {"info_weight": 0.5, "continuous_weight": 0.2, "ema_decay": 0.0, "loss": loss}
    model = zoo.create("infogan", **settings, **SMALL)
    z, x = model.draw_prior(12, seed=0), tf.zeros([12, 28, 28, 1])
    values = model.d_losses(x, None, z, training=False)
    category, continuous = model.bounds(model.logits_and_codes(model.generate(z))[1], z)
    mi = 0.5 * category + 0.2 * continuous
    np.testing.assert_allclose(values["mi_nats"], category + continuous, rtol=1e-5)
    np.testing.assert_array_equal(values["mi_category_nats"], category)
    np.testing.assert_allclose(values["d_loss"], -values["value"] - mi, rtol=1e-5)
    logits = model.discriminate(model.generate(z))
    g_loss = model.g_losses(x, None, z, training=False)["g_loss"]
    expected = {
        "non_saturating": tf.nn.softplus(-logits),
        "saturating": -tf.nn.softplus(logits),
        "hinge": -logits,
        "least_squares": (logits - 1) ** 2 / 2,
    }[loss]
    np.testing.assert_allclose(g_loss, expected - mi, rtol=1e-5, atol=1e-6)


def test_traversals_change_one_code_each():
    model = zoo.create("infogan", **SMALL)
    z = model.draw_prior(1, seed=5)
    paths, names = model.traversals(z, 7)
    assert names == ["category", "code 0", "code 1"]
    paths = paths.numpy()
    assert paths.shape == (3, 7, 9) and model.traversals(z, 2)[0].shape == (3, 4, 9)
    np.testing.assert_array_equal(paths[0, :, :4], np.eye(4)[[0, 1, 2, 3, 0, 1, 2]])
    np.testing.assert_array_equal(paths[0, :, 4:], np.repeat(z[:, 4:], 7, 0))
    for row, j in ((1, 4), (2, 5)):
        np.testing.assert_allclose(paths[row, :, j], np.linspace(-2, 2, 7), rtol=1e-6, atol=1e-6)
        kept = np.delete(np.asarray(z), j, 1)
        np.testing.assert_array_equal(np.delete(paths[row], j, 1), np.repeat(kept, 7, 0))


def test_categories_are_named_by_training_images(fashion_mnist):
    model = zoo.create("infogan", **SMALL)
    train, real = fashion_mnist.train.first(300), fashion_mnist.test.first(200)
    of = {}  # what Q is to see in each image: 0 in T-shirts and trousers, 1 in bags, else 2
    for split in (train, real):
        for image, label in zip(split.images, split.labels, strict=True):
            of[image.tobytes()] = {0: 0, 1: 0, 8: 1}.get(int(label), 2)

    def categorize(images):
        seen = np.round(np.asarray(images) * (255 if images.dtype != np.uint8 else 1))
        return np.eye(4)[[of[image.tobytes()] for image in seen.astype(np.uint8)]]

    model.categorize = categorize
    found = categories.categories(model, train, real)
    counts = np.bincount(train.labels, minlength=10)
    first = 0 if counts[0] >= counts[1] else 1
    others = [k for k in range(2, 10) if k != 8]
    last = max(others, key=lambda k: (counts[k], -k))
    share = np.isin(real.labels, [first, 8, last]).mean()
    assert found["accuracy_of_categories"]["mean"] == pytest.approx(share)
    assert found["classes_found"] == 3


def test_categorize_is_q():
    model = zoo.create("infogan", **SMALL)
    x = np.random.default_rng(0).random((5, 28, 28, 1)).astype(np.float32)
    output = model.discriminator(2 * x - 1)
    np.testing.assert_allclose(model.categorize(x), tf.nn.softmax(output[:, 1:5]), rtol=1e-5)
    of_codes = model.endpoints()["categorize"][0](x)
    np.testing.assert_array_equal(of_codes["probabilities"], model.categorize(x))
    np.testing.assert_allclose(of_codes["loc"], output[:, 5:7], rtol=1e-5)
    scale = np.log1p(np.exp(output[:, 7:])) + 1e-4
    np.testing.assert_allclose(of_codes["scale"], scale, rtol=1e-5)

"""Quantized distributions against scipy, against its own sum, and against its limits."""

import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf

from zoo.math.distributions import (
    Bernoulli,
    Levels,
    QuantizedLogistic,
    QuantizedNormal,
    image_distribution,
    logistic_mixture,
)

LEVELS = np.arange(256) / 255.0
CASES = [(0.5, 0.1), (0.02, 0.3), (1.2, 0.05), (-0.4, 0.02), (0.3, 0.001), (0.7, 3.0)]
FAMILIES = {QuantizedNormal: scipy.stats.norm, QuantizedLogistic: scipy.stats.logistic}
every_family = pytest.mark.parametrize("family", FAMILIES)


def log_probs(loc, scale, dtype=np.float64, family=QuantizedNormal):
    loc, scale = (np.full(256, v, dtype) for v in (loc, scale))
    return family(loc, scale).log_prob(LEVELS.astype(dtype)).numpy()


@every_family
@pytest.mark.parametrize(("loc", "scale"), CASES)
def test_probabilities_of_all_levels_sum_to_one(loc, scale, family):
    for dtype, error in ((np.float64, 1e-9), (np.float32, 1e-4)):
        total = float(np.exp(log_probs(loc, scale, dtype, family)).sum())
        assert total == pytest.approx(1, abs=error)


@every_family
@pytest.mark.parametrize(("loc", "scale"), CASES)
def test_mass_of_each_level_is_a_difference_of_cdfs(loc, scale, family):
    edges = (np.arange(257) - 0.5) / 255
    edges[0], edges[-1] = -np.inf, np.inf
    cdf = FAMILIES[family](loc, scale).cdf(edges)
    mass = np.diff(cdf)
    seen = mass > 1e-12  # scipy's own difference has no digits below
    found = np.exp(log_probs(loc, scale, family=family))
    np.testing.assert_allclose(found[seen], mass[seen], rtol=1e-3)


@pytest.mark.parametrize(
    ("x", "loc", "scale"),
    [
        (0.1, 0.9, 4e-3),  # 200 standard deviations away
        (0.1, 0.9, 4e-5),  # 20,000
        (0.9, 0.1, 4e-5),
        (1.0, 0.0, 4e-5),  # and at the open ends
        (0.0, 1.0, 4e-5),
    ],
)
def test_tails_keep_their_logarithm_and_their_gradient(x, loc, scale):
    variables = loc, scale = tf.Variable(loc), tf.Variable(scale)
    with tf.GradientTape() as tape:
        log_p = QuantizedNormal(loc, scale).log_prob(tf.constant(x))
    # almost all of the mass lies at the level's nearer edge: log p ~ -1/2 (distance / scale)^2
    signed = np.sign(x - loc.numpy()) * (abs(x - loc.numpy()) - 1 / 510)
    assert float(log_p) == pytest.approx(-0.5 * (signed / scale.numpy()) ** 2, rel=1e-3)
    slopes = tape.gradient(log_p, variables)
    assert float(slopes[0]) == pytest.approx(signed / scale.numpy() ** 2, rel=1e-2)
    assert float(slopes[1]) == pytest.approx(signed**2 / scale.numpy() ** 3, rel=1e-2)


@pytest.mark.parametrize(
    ("x", "loc", "scale"), [(0.1, 0.9, 4e-4), (0.9, 0.1, 4e-5), (1.0, 0.0, 4e-5)]
)
def test_tails_of_logistics_keep_their_logarithm_and_their_gradient(x, loc, scale):
    variables = loc, scale = tf.Variable(loc), tf.Variable(scale)
    with tf.GradientTape() as tape:
        log_p = QuantizedLogistic(loc, scale).log_prob(tf.constant(x))
    # as above, with a density that falls as exp(-distance / scale)
    signed = np.sign(x - loc.numpy()) * (abs(x - loc.numpy()) - 1 / 510)
    assert float(log_p) == pytest.approx(-abs(signed) / scale.numpy(), rel=1e-3)
    slopes = tape.gradient(log_p, variables)
    assert float(slopes[0]) == pytest.approx(np.sign(signed) / scale.numpy(), rel=1e-2)
    assert float(slopes[1]) == pytest.approx(abs(signed) / scale.numpy() ** 2, rel=1e-2)


def test_wide_gaussian_tends_to_density_times_bin():
    inside = slice(1, 255)
    density = scipy.stats.norm(0.5, 0.3).logpdf(LEVELS) - np.log(255)
    np.testing.assert_allclose(log_probs(0.5, 0.3)[inside], density[inside], atol=1e-4)


@every_family
@pytest.mark.parametrize(("loc", "scale"), CASES)
def test_mean_is_the_sum_over_levels_to_half_a_level(loc, scale, family):
    exact = (np.exp(log_probs(loc, scale, family=family)) * LEVELS).sum()
    assert float(family(loc, scale).mean()) == pytest.approx(exact, abs=0.5 / 255)


def test_samples_follow_the_probabilities():
    draws = QuantizedNormal(0.02, 0.05).sample(200_000, seed=[1, 2]).numpy()
    counts = np.bincount(np.round(draws * 255).astype(int), minlength=256)
    expected = np.exp(log_probs(0.02, 0.05)) * len(draws)
    seen = expected > 20
    chi2 = ((counts - expected) ** 2 / expected)[seen].sum()
    assert chi2 < scipy.stats.chi2(seen.sum()).ppf(0.9999)


def test_image_distribution_sums_over_pixels():
    loc = tf.random.stateless_uniform([2, 3, 3, 1], [0, 1])
    x = tf.round(tf.random.stateless_uniform([2, 3, 3, 1], [0, 2]) * 255) / 255
    whole = image_distribution("quantized_gaussian", loc, tf.constant(0.1)).log_prob(x)
    pixels = QuantizedNormal(loc, tf.fill(loc.shape, 0.1)).log_prob(x)
    np.testing.assert_allclose(whole, tf.reduce_sum(pixels, [1, 2, 3]), rtol=1e-6)
    binary = image_distribution("bernoulli", loc, None).log_prob(tf.ones_like(loc))
    np.testing.assert_allclose(binary, -tf.reduce_sum(tf.nn.softplus(-loc), [1, 2, 3]), rtol=1e-6)


def test_bernoulli_is_the_logarithm_of_a_sigmoid_even_at_large_logits():
    logits = np.array([-200, -30, -3, -0.5, 0, 0.5, 3, 30, 200], np.float32)
    for x in (0.0, 1.0):
        variable, sign = tf.Variable(logits), 2 * x - 1
        with tf.GradientTape() as tape:
            log_p = Bernoulli(logits=variable).log_prob(x)
        np.testing.assert_allclose(log_p, scipy.special.log_expit(sign * logits), atol=2e-6)
        slope = sign * scipy.special.expit(-sign * logits)  # d log p / dl = x - p(1)
        np.testing.assert_allclose(tape.gradient(log_p, variable), slope, atol=1e-6)


def test_levels_are_a_softmax():
    logits = np.random.default_rng(0).standard_normal([5, 4])
    p = Levels(logits=tf.constant(logits))
    for k in range(4):
        expected = logits[:, k] - np.log(np.exp(logits).sum(-1))
        np.testing.assert_allclose(p.log_prob(np.full(5, np.float32(k / 3))), expected, rtol=1e-6)
    drawn = p.sample(20_000, seed=[1, 2]).numpy()
    for k in range(4):
        share = (np.round(3 * drawn) == k).mean(0)
        np.testing.assert_allclose(share, np.exp(p.log_prob(k / 3)), atol=0.02)


@pytest.mark.parametrize("levels", [2, 5, 256])
def test_a_mixture_of_logistics_is_the_weighted_sum_of_their_masses(levels):
    raw = np.random.default_rng(0).standard_normal([9]).astype(np.float32)
    p = logistic_mixture(tf.constant(raw), levels)
    values = np.float32(np.arange(levels) / (levels - 1))
    weights, components = p.mixture_distribution.probs_parameter(), p.components_distribution
    expected = 0
    for k in range(3):
        edges = np.append(np.append(-np.inf, values[:-1] + 0.5 / (levels - 1)), np.inf)
        cdf = scipy.stats.logistic(components.loc[k], components.scale[k]).cdf(edges)
        expected += float(weights[k]) * np.diff(cdf)
    found = np.exp([float(p.log_prob(v)) for v in values])
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-6)
    assert found.sum() == pytest.approx(1, abs=1e-5)

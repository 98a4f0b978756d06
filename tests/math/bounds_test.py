"""Bounds against closed forms and against a model whose log p(x) is known exactly."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from zoo.math import bounds, pixels

tfd = tfp.distributions

# p(z) = N(0, 1), p(x|z) = N(a z, s^2)  =>  p(x) = N(0, a^2 + s^2), p(z|x) = N(m x, v)
A, S = 1.7, 0.6
X = tf.constant([-2.0, 0.3, 1.1])
P_X = tfd.Normal(0.0, np.float32(np.sqrt(A**2 + S**2)))
V = 1 / (1 + A**2 / S**2)
POSTERIOR = tfd.Normal(V * A / S**2 * X, np.float32(np.sqrt(V)))


def log_w(q, num_samples, seed=0):
    z = q.sample(num_samples, seed=seed)
    return tfd.Normal(A * z, S).log_prob(X) + tfd.Normal(0.0, 1.0).log_prob(z) - q.log_prob(z)


def test_kl_of_gaussians_keeps_the_factor_one_half():
    loc, scale = np.array([0.5, -1.0, 2.0]), np.array([0.3, 1.0, 2.5])
    q = tfd.MultivariateNormalDiag(tf.constant(loc), tf.constant(scale))
    p = tfd.MultivariateNormalDiag(tf.zeros(3, tf.float64), tf.ones(3, tf.float64))
    closed = -0.5 * np.sum(1 + np.log(scale**2) - loc**2 - scale**2)
    assert float(bounds.kl(q, p).numpy()) == pytest.approx(closed, rel=1e-12)


def test_kl_of_known_values():
    a = np.array([1, 2, 3, 1.5, 2.5, 3.5])
    b = np.array([0.5, 1, 1.5, 2, 2.5, 3])
    expected = [72.80685, 18.80685, 8.80685, 4.56893, 2.88, 2.02640]
    np.testing.assert_allclose(
        bounds.kl(tfd.Normal(np.float64(3), a), tfd.Normal(np.float64(-3), b)), expected, atol=1e-5
    )


def test_kl_without_a_closed_form_is_sampled():
    q = tfd.Mixture(tfd.Categorical(probs=[1.0, 0.0]), [tfd.Normal(1.0, 0.5), tfd.Normal(9.0, 1.0)])
    p = tfd.Normal(0.0, 1.0)
    exact = tfd.kl_divergence(tfd.Normal(1.0, 0.5), p).numpy()
    estimate = bounds.kl(q, p, draws=q.sample(40_000, seed=[1, 2])).numpy()
    assert float(estimate) == pytest.approx(exact, abs=0.03)
    with pytest.raises(NotImplementedError):
        bounds.kl(q, p)


def test_kl_of_given_draws_is_their_weighted_mean():
    q = tfd.Mixture(tfd.Categorical(probs=[0.5, 0.5]), [tfd.Normal(1.0, 0.5), tfd.Normal(2.0, 1.0)])
    p, z, weights = tfd.Normal(0.0, 1.0), np.float32([0.3, 2.0]), np.float32([0.9, 0.1])
    log_ratio = q.log_prob(z) - p.log_prob(z)
    np.testing.assert_allclose(bounds.kl(q, p, draws=z), np.mean(log_ratio), rtol=1e-6)
    weighted = bounds.kl(q, p, draws=z, weights=weights)
    np.testing.assert_allclose(weighted, np.sum(weights * log_ratio), rtol=1e-6)
    closed = bounds.kl(p, tfd.Normal(1.0, 1.0), draws=z, weights=weights)
    assert float(closed) == pytest.approx(0.5)  # a closed form needs no draws


def test_iwae_with_the_exact_posterior_is_log_p_x():
    for num_samples in (1, 7):
        np.testing.assert_allclose(
            bounds.iwae(log_w(POSTERIOR, num_samples)), P_X.log_prob(X), atol=2e-5
        )


def test_iwae_of_one_sample_is_the_integrand_of_the_elbo():
    q = tfd.Normal(tf.constant([0.1, 0.0, 0.4]), 0.9)
    w = log_w(q, 1)
    np.testing.assert_array_equal(bounds.iwae(w), w[0])


def test_elbo_below_iwae_below_log_p_x():
    q = tfd.Normal(0.8 * POSTERIOR.mean(), 1.6 * POSTERIOR.stddev())
    samples = log_w(q, 200_000)
    elbo = tf.reduce_mean(samples, 0)
    kl = bounds.kl(q, tfd.Normal(0.0, 1.0))
    z = q.sample(200_000, seed=5)
    analytic = bounds.elbo(tf.reduce_mean(tfd.Normal(A * z, S).log_prob(X), 0), kl)
    np.testing.assert_allclose(elbo, analytic, atol=0.03)
    # log p(x) - ELBO = KL(q || p(z|x)), exactly
    np.testing.assert_allclose(P_X.log_prob(X) - elbo, bounds.kl(q, POSTERIOR), atol=0.02)
    means = [tf.reduce_mean(bounds.iwae(tf.reshape(samples[:60_000], [k, -1]))) for k in (1, 5, 50)]
    assert means[0] < means[1] < means[2] < tf.reduce_mean(P_X.log_prob(X)) + 0.01


def test_bits_per_dim_of_a_fair_coin_a_dimension():
    assert float(
        pixels.bits_per_dim(tf.constant(10 * np.log(0.5), tf.float32), 10)
    ) == pytest.approx(1.0)

"""Couplings: an inverse that undoes, a determinant that is autodiff's, a density that learns."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from zoo.families import priors
from zoo.nn import flows

tfd = tfp.distributions


def moved(size=2, number=4, hidden=(16,), by=0.3, kind=flows.Flowed, shuffled=False):
    """N(0, I) moved by a flow that is not the identity, and its networks."""
    keras.utils.set_random_seed(1)
    networks, rng = flows.couplings(size, number, hidden, name="f"), np.random.default_rng(0)
    for v in [v for network in networks for v in network.trainable_variables]:
        v.assign(v + by * rng.normal(size=v.shape))
    return of(networks, size, kind, shuffled), networks


def of(networks, size, kind=flows.Flowed, shuffled=False):
    standard = tfd.MultivariateNormalDiag(tf.zeros(size), tf.ones(size))
    return kind(standard, flows.chain(networks, size, shuffled=shuffled))


@pytest.mark.parametrize(("size", "shuffled"), [(2, False), (3, False), (5, True)])
def test_the_inverse_undoes_and_the_log_determinant_is_autodiffs(size, shuffled):
    p, _ = moved(size, number=8 if shuffled else 4, shuffled=shuffled)
    u = tf.constant(np.random.default_rng(1).normal(size=(20, size)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(u)
        z = p.bijector.forward(u)
    jacobian = tape.batch_jacobian(z, u)
    sign, log_det = np.linalg.slogdet(jacobian)
    assert (sign == 1).all() and np.abs(log_det).max() > 0.1
    assert (np.abs(jacobian) > 1e-6).all()  # each depends on all
    z = tf.identity(z)  # TFP remembers where it came from
    np.testing.assert_allclose(p.bijector.inverse(z), u, atol=1e-4)
    np.testing.assert_allclose(p.log_prob(z), p.distribution.log_prob(u) - log_det, atol=1e-3)


@pytest.mark.parametrize("shuffled", [False, True])
def test_a_new_flow_is_the_identity(shuffled):
    p = of(flows.couplings(3, 4, (8,), name="f"), 3, shuffled=shuffled)
    z = tf.random.stateless_normal([9, 3], [1, 2])
    np.testing.assert_array_equal(p.bijector.forward(z), z)
    np.testing.assert_array_equal(p.log_prob(z), p.distribution.log_prob(z))
    np.testing.assert_allclose(p.mean(), np.zeros(3), atol=1e-6)
    np.testing.assert_allclose(p.stddev(), np.ones(3), rtol=1e-5)


def test_density_has_an_integral_of_1_and_its_moments_are_near():
    p, _ = moved(by=0.2, kind=priors.FlowPrior)
    side = np.linspace(-12, 12, 601, dtype=np.float32)
    grid = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)
    weight = np.exp(np.float64(p.log_prob(grid))) * (side[1] - side[0]) ** 2
    assert weight.sum() == pytest.approx(1, abs=1e-3)
    mean = weight @ grid
    stddev = np.sqrt(weight @ (grid - mean) ** 2)
    assert np.abs(stddev - 1).max() > 0.1  # it moves
    np.testing.assert_allclose(p.mean(), mean, atol=5 * stddev.max() / 4096**0.5)
    np.testing.assert_allclose(p.stddev(), stddev, rtol=0.1)


@pytest.mark.slow
def test_samples_of_a_trained_flow_are_those_of_what_it_learned():
    # two Gaussians that lie apart: N(0, I) is 0.9 nats from them
    target = tfd.MixtureSameFamily(
        tfd.Categorical(probs=[0.3, 0.7]),
        tfd.MultivariateNormalDiag([[-1.5, -1.0], [1.0, 0.5]], [[0.4, 0.6], [0.5, 0.3]]),
    )
    data = target.sample(4000, seed=1)
    keras.utils.set_random_seed(1)
    networks = flows.couplings(2, 6, (32,), name="f")
    weights = [v for network in networks for v in network.trainable_variables]
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(5e-3, 400))
    optimizer.build(weights)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(of(networks, 2).log_prob(data))
        optimizer.apply(tape.gradient(loss, weights), weights)
        return loss

    for _ in range(400):
        step()
    p, new = of(networks, 2), target.sample(4000, seed=2)
    gap = (target.log_prob(new) - p.log_prob(new)).numpy()  # KL(target || p)
    far = (target.log_prob(new) - p.distribution.log_prob(new)).numpy()
    assert gap.mean() < 0.1 < 0.5 < far.mean()
    drawn = p.sample(4000, seed=3).numpy()
    np.testing.assert_allclose(drawn.mean(0), target.mean(), atol=0.1)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(new.numpy().T), atol=0.15)
    back = (p.log_prob(tf.constant(drawn)) - target.log_prob(drawn)).numpy()  # KL(p || target)
    assert -0.02 < back.mean() < 0.2


def test_random_halves_are_always_the_same_and_two_couplings_move_all():
    """Trained weights are of these halves."""
    p = of(flows.couplings(6, 4, (8,), name="f"), 6, shuffled=True)
    orders = [np.asarray(m.bijectors[2].permutation) for m in p.bijector.bijectors[::-1]]
    assert [list(order) for order in orders[::2]] == [[5, 2, 1, 3, 0, 4], [2, 1, 4, 0, 3, 5]]
    np.testing.assert_array_equal(orders[::2], orders[1::2])
    for size in (2, 7, 64):
        p, _ = moved(size, number=2, shuffled=True)
        u = np.random.default_rng(0).normal(size=(50, size)).astype(np.float32)
        assert (np.abs(p.bijector.forward(u) - u).max(0) > 1e-3).all()

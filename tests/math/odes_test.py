"""The adaptive solver and the densities it carries, against equations whose solution is known."""

import math

import numpy as np
import pytest
import tensorflow as tf

from zoo.math import odes

MATRIX = np.float32([[0.5, -1.2, 0.3], [0.7, -0.4, 0.0], [0.1, 0.2, 0.9]])


def linear(x, t):
    """A field A x cos t, whose divergence is tr A cos t."""
    return tf.linalg.matvec(MATRIX, x) * tf.cos(t)


@pytest.mark.parametrize("tolerance", [1e-2, 1e-4])
def test_the_error_is_below_the_tolerance(tolerance):
    times = tf.constant([0.0, 0.5, 2.0])
    states, calls = odes.solve(lambda t, x: x * tf.cos(t), tf.ones([1]), times, tolerance)
    error = np.abs(states[:, 0] - np.exp(np.sin([0.5, 2.0]))).max()
    assert error < 30 * tolerance
    assert 10 < calls < 400


def test_time_may_fall():
    there, _ = odes.solve(lambda t, x: linear(x, t), tf.ones([1, 3]), tf.constant([0.2, 1.0]))
    back, _ = odes.solve(lambda t, x: linear(x, t), there[0], tf.constant([1.0, 0.2]))
    np.testing.assert_allclose(back[0], tf.ones([1, 3]), atol=1e-3)


def test_a_smaller_tolerance_takes_more_calls():
    def calls(tolerance):
        v = lambda t, x: tf.cos(20 * t) * x  # noqa: E731
        solve = tf.function(lambda x: odes.solve(v, x, tf.constant([0.0, 1.0]), tolerance))
        return int(solve(tf.ones([1]))[1])

    assert calls(1e-2) < calls(1e-4) < calls(1e-6)


def test_divergence_is_the_trace_of_the_jacobian():
    x = tf.random.stateless_normal([4, 3], [0, 1])
    v, exact = odes.divergence(linear, x, tf.constant(0.6))
    np.testing.assert_allclose(v, linear(x, 0.6), rtol=1e-6)
    np.testing.assert_allclose(exact, np.full(4, np.trace(MATRIX) * np.cos(0.6)), rtol=1e-5)
    # all signs there are: their mean is the trace to the last digit
    signs = np.float32(2 * np.indices((2, 2, 2)).reshape(3, 8).T - 1)
    _, each = odes.divergence(linear, tf.repeat(x[:1], 8, 0), tf.constant(0.6), signs)
    assert each.numpy().mean() == pytest.approx(float(exact[0]), rel=1e-5)
    assert each.numpy().std() > 0.1


@pytest.mark.parametrize("exact", [True, False])
def test_a_linear_field_changes_the_density_by_its_trace(exact):
    x = tf.random.stateless_normal([8, 3], [0, 1])
    signs = None if exact else tf.sign(tf.random.stateless_normal([8, 3], [0, 2]))
    carried = tf.function(lambda x: odes.carried(linear, x, 1.0, 0.0, signs, 1e-5))
    x_end, change = carried(x)
    expected = np.trace(MATRIX) * math.sin(1)  # -int_1^0 tr A cos t dt
    estimate = np.full(8, expected)
    if not exact:  # e^T A e in place of the trace
        estimate = math.sin(1) * np.einsum("bi,ij,bj->b", signs, MATRIX, signs)
        assert np.abs(estimate - expected).max() > 0.1
    np.testing.assert_allclose(change, estimate, atol=1e-3)
    flow = np.asarray(tf.linalg.expm(-MATRIX * math.sin(1)))
    np.testing.assert_allclose(x_end, x @ flow.T, atol=1e-3)

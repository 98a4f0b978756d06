"""Solvers against an equation whose solution is known."""

import math

import numpy as np
import pytest
import tensorflow as tf

from zoo.math import odes


def error(solver, num_steps):
    """Of dx/dt = x cos t from 1 at 0, whose solution is exp(sin t), at t = 1."""
    times = tf.linspace(0.0, 1.0, num_steps + 1)
    x = odes.solve(lambda x, t: x * tf.cos(t), tf.ones([1]), times, solver)
    return abs(float(x[0]) - math.exp(math.sin(1)))


@pytest.mark.parametrize(("name", "order"), [("euler", 1), ("heun", 2)])
def test_the_error_falls_with_the_order_of_the_solver(name, order):
    errors = [error(odes.SOLVERS[name], steps) for steps in (8, 16, 32)]
    falls = [math.log2(a / b) for a, b in zip(errors, errors[1:], strict=False)]
    np.testing.assert_allclose(falls, order, atol=0.15)


@pytest.mark.parametrize("solver", odes.SOLVERS.values())
def test_a_step_calls_the_field_as_often_as_it_says(solver):
    calls = []
    solver.step(lambda x, t: calls.append(t) or x, tf.ones([1]), tf.constant(0.0), tf.constant(1.0))
    assert len(calls) == solver.calls


@pytest.mark.parametrize("solver", odes.SOLVERS.values())
def test_straight_paths_are_exact_in_one_step(solver):
    x = odes.solve(lambda x, t: tf.fill([3], 2.0), tf.zeros([3]), tf.constant([0.0, 1.0]), solver)
    np.testing.assert_array_equal(x, 2)


def test_steps_need_not_be_even():
    times = tf.constant([0.0, 0.1, 0.5, 1.0])
    x = odes.solve(lambda x, t: 2 * tf.fill([1], t), tf.zeros([1]), times, odes.SOLVERS["heun"])
    np.testing.assert_allclose(x, 1, atol=1e-6)  # of t squared Heun makes no error


def test_the_last_step_may_be_of_another_solver():
    """Of dx/dt = 2 t Heun makes no error, and Euler the square of its step."""
    times = tf.constant([0.0, 0.5, 0.9, 1.0])
    euler, heun = odes.SOLVERS["euler"], odes.SOLVERS["heun"]
    x = odes.solve(lambda x, t: 2 * tf.fill([1], t), tf.zeros([1]), times, heun, euler)
    np.testing.assert_allclose(x, 1 - 0.1**2, atol=1e-6)

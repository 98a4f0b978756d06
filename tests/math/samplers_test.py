"""Samplers against an equation whose solution is known."""

import math

import numpy as np
import pytest
import tensorflow as tf

from zoo.math.samplers import SAMPLERS, solve


def error(sampler, num_steps):
    """Of dx/dt = x cos t from 1 at 0, whose solution is exp(sin t), at t = 1."""
    times = tf.linspace(0.0, 1.0, num_steps + 1)
    x = solve(lambda x, t: x * tf.cos(t), tf.ones([1]), times, sampler)
    return abs(float(x[0]) - math.exp(math.sin(1)))


@pytest.mark.parametrize(("name", "order"), [("euler", 1), ("heun", 2)])
def test_the_error_falls_with_the_order_of_the_sampler(name, order):
    errors = [error(SAMPLERS[name], steps) for steps in (8, 16, 32)]
    falls = [math.log2(a / b) for a, b in zip(errors, errors[1:], strict=False)]
    np.testing.assert_allclose(falls, order, atol=0.15)


FIXED = [sampler for sampler in SAMPLERS.values() if sampler.calls]


@pytest.mark.parametrize("sampler", FIXED)
def test_a_step_calls_the_field_as_often_as_it_says(sampler):
    calls = []
    seed = tf.constant([0, 0])
    sampler.step(
        lambda x, *times: calls.append(times) or x,
        tf.ones([1]),
        *map(tf.constant, (0.0, 1.0)),
        seed,
    )
    assert len(calls) == sampler.calls


@pytest.mark.parametrize("sampler", SAMPLERS.values())
def test_straight_paths_are_exact_in_one_step(sampler):
    x = solve(
        lambda x, *times: tf.fill([3], 2.0),
        tf.zeros([3]),
        tf.constant([0.0, 1.0]),
        sampler,
        seed=[0, 0],
    )
    np.testing.assert_allclose(x, 2, rtol=1e-6)


def test_an_adaptive_sampler_tells_x_at_all_times():
    times = tf.linspace(0.0, 1.0, 5)
    x = solve(lambda x, t: x * tf.cos(t), tf.ones([1]), times, SAMPLERS["adaptive"], every=True)
    np.testing.assert_allclose(x[:, 0], np.exp(np.sin(times)), atol=1e-3)


def test_steps_need_not_be_even():
    times = tf.constant([0.0, 0.1, 0.5, 1.0])
    x = solve(lambda x, t: 2 * tf.fill([1], t), tf.zeros([1]), times, SAMPLERS["heun"])
    np.testing.assert_allclose(x, 1, atol=1e-6)  # of t squared Heun makes no error


def test_the_last_step_may_be_of_another_sampler():
    """Of dx/dt = 2 t Heun makes no error, and Euler the square of its step."""
    times = tf.constant([0.0, 0.5, 0.9, 1.0])
    euler, heun = SAMPLERS["euler"], SAMPLERS["heun"]
    x = solve(lambda x, t: 2 * tf.fill([1], t), tf.zeros([1]), times, heun, euler)
    np.testing.assert_allclose(x, 1 - 0.1**2, atol=1e-6)

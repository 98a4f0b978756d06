"""Errors of means against theirs in closed form."""

import numpy as np
import pytest

from zoo.evaluation import intervals


def test_the_error_of_a_mean():
    values = np.random.default_rng(0).normal(3, 2, 10_000)
    measured = intervals.mean_and_error(values)
    assert measured["standard_error"] == pytest.approx(2 / 100, rel=0.05)
    assert abs(measured["mean"] - 3) < 4 * measured["standard_error"]


def test_bootstrap_error_of_a_mean():
    x = np.random.default_rng(0).normal(size=500)
    error = intervals.bootstrap_error(lambda a: a.mean(), x, repeats=400)
    assert error == pytest.approx(x.std() / np.sqrt(500), rel=0.15)


def test_jackknife_error_of_a_mean_is_that_of_its_groups():
    groups = np.random.default_rng(0).normal(size=(10, 30))
    without = [np.delete(groups, g, axis=0).mean() for g in range(10)]
    expected = groups.mean(1).std(ddof=1) / np.sqrt(10)
    assert intervals.jackknife_error(without) == pytest.approx(expected, rel=1e-9)

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
    draws = intervals.bootstrap(lambda a: a.mean(), x, repeats=400)
    found = intervals.of_bootstrap(x.mean(), draws)
    assert found["standard_error"] == pytest.approx(x.std() / np.sqrt(500), rel=0.15)


def test_jackknife_error_of_a_mean_is_that_of_its_groups():
    groups = np.random.default_rng(0).normal(size=(10, 30))
    without = [np.delete(groups, g, axis=0).mean() for g in range(10)]
    expected = groups.mean(1).std(ddof=1) / np.sqrt(10)
    found = intervals.of_jackknife(groups.mean(), without)
    assert found["standard_error"] == pytest.approx(expected, rel=1e-9)


def statistics():
    """Figures of a model's own images and of real ones that all share, in three ways."""
    rng = np.random.default_rng(0)
    real = rng.normal(size=400)
    for _ in range(2):
        own = rng.normal(size=400) / 10
        apart = own.mean() - real.mean()
        draws = intervals.bootstrap(lambda r, o: o.mean() - r.mean(), real, own, repeats=300)
        parts = (own - real).reshape(20, 20)
        without = [np.delete(parts, g, axis=0).mean() for g in range(20)]
        yield {
            "bootstrap": intervals.of_bootstrap(apart, draws),
            "parts": intervals.mean_and_error(own - real, draws=True),
            "jackknife": intervals.of_jackknife(apart, without),
        }


def test_a_difference_is_surer_where_both_share_the_real_images():
    one, other = statistics()
    expected = np.sqrt(2) / 10 / 20  # of own images alone
    for kind in one:
        found = intervals.difference(one[kind], other[kind])
        assert found["paired"] and found["mean"] == one[kind]["mean"] - other[kind]["mean"]
        assert found["standard_error"] == pytest.approx(expected, rel=0.4), kind
        assert one[kind]["standard_error"] > 5 * found["standard_error"]


def test_a_difference_without_common_draws_is_of_independent_sides():
    a, b = {"mean": 3.0, "standard_error": 0.3}, {"mean": 1.0, "standard_error": 0.4}
    assert intervals.difference(a, b) == {"mean": 2.0, "standard_error": 0.5, "paired": False}
    draws = {"draws": {"parts": [1.0, 2.0]}}
    for other in ({"draws": {"parts": [1.0]}}, {"draws": {"bootstrap": [1.0, 2.0]}}, {}):
        assert not intervals.difference({**a, **draws}, {**b, **other})["paired"]
    nothing = intervals.difference(a, {"mean": 1.0, "standard_error": None})
    assert nothing["standard_error"] is None


def test_real_images_are_drawn_alike_for_every_model_and_own_ones_not():
    real, seen = np.arange(50.0), []
    for own in (np.zeros(50), np.ones(50), np.zeros(50)):
        draws = []
        intervals.bootstrap(lambda r, o, d=draws: d.append(r.copy()) or 0.0, real, own, repeats=3)
        seen.append(draws)
    np.testing.assert_array_equal(seen[0], seen[1])
    np.testing.assert_array_equal(seen[0], seen[2])

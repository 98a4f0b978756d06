"""The errors beside the sample metrics are how far independent draws lie apart."""

import numpy as np
import pytest

from zoo.data import Split
from zoo.evaluation.metrics import fid, fid_per_class, kid, neighbors


def compare(real, fake):
    return {"fid": fid.fid(real, fake), "kid": kid.kid(real, fake), **neighbors.compare(real, fake)}


def normal(n, seed, shift=0.0):
    return np.random.default_rng(seed).normal(shift, 1, (n, 8))


def test_errors_are_the_spread_of_independent_draws():
    found = [compare(normal(600, i), normal(600, i + 100, 1.0)) for i in range(25)]
    for name in found[0]:
        spread = np.std([f[name]["mean"] for f in found], ddof=1)
        reported = np.mean([f[name]["standard_error"] for f in found])
        # as if images were independent it would be 0.3 for precision; of 25 draws the ratio has an
        # error of a fifth
        assert 0.5 < reported / spread < 2.5, (name, reported, spread)


def few_samples_far_out(n, seed):
    """Fakes that meet real ones in a corner only, where what holds for a part is not for all."""
    x = normal(n, seed, 1.5)
    x[n // 20 :] += 4
    return x


def test_errors_of_rare_neighbors_are_not_too_small():
    pairs = [(normal(600, i), few_samples_far_out(600, i + 100)) for i in range(25)]
    found = [compare(*pair) for pair in pairs]
    for name in found[0].keys() - {"fid", "kid"}:
        spread = np.std([f[name]["mean"] for f in found], ddof=1)
        reported = np.mean([f[name]["standard_error"] for f in found])
        assert 0.45 < reported / spread < 4, (name, reported, spread)


def test_a_collapsed_generator_has_no_wild_errors():
    found = compare(normal(600, 0), np.repeat(normal(1, 1), 600, 0) + 1e-7 * normal(600, 2))
    assert found["recall"]["mean"] == 0 and found["recall"]["standard_error"] < 0.01
    found = compare(normal(600, 0), np.repeat(normal(2, 1), 300, 0))
    assert found["recall"]["mean"] < 0.01 and found["recall"]["standard_error"] < 0.01


def test_the_order_of_a_set_does_not_matter_but_for_chance():
    real, fake = normal(1000, 0), normal(1000, 1)
    mixed = np.concatenate([real[:500], real[500:] + 2])  # as if by two writers
    same = np.concatenate([fake[:500], fake[500:] + 2])[::-1]
    mixed, same = (Split(x, np.zeros(1000)).subset(1000).images for x in (mixed, same))
    found = kid.kid(mixed, same)
    assert abs(found["mean"]) < 4 * found["standard_error"]


def test_the_floor_of_fid_is_the_spread_of_real_sets():
    real = normal(500, 0)
    floor = fid.floor(real, normal(20_000, 1))
    singles = [fid.floor(real, normal(1000, i))["mean"] for i in range(2, 42)]
    assert floor["mean"] == pytest.approx(np.mean(singles), rel=0.15)
    # a mean of two sets spreads by sqrt(2) less than one; of 40 each the ratio has an error of 0.17
    assert 0.5 < floor["standard_error"] / (np.std(singles) * np.sqrt(2)) < 2
    one = normal(900, 1)
    assert fid.floor(real, one) == fid.fid(real, one[:500])


def test_fid_of_a_class_is_of_equally_many_images():
    real, fake = normal(100, 0), normal(300, 1, 0.5)
    expected = fid.fid(real, fake[:100])
    assert fid_per_class.of_class(real, fake) == expected
    assert fid_per_class.of_class(real[:8], fake) is None

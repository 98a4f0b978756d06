"""Sums over an epoch against their definition."""

import numpy as np
import pytest

from zoo.families.metrics import Perplexity


def test_perplexity_is_the_number_of_alternatives_in_use():
    metric = Perplexity([4], "used")
    metric.update_state(np.eye(4, dtype=np.float32)[[1, 1, 1]])
    assert float(metric.result()) == pytest.approx(1.0)
    metric.update_state(np.eye(4, dtype=np.float32)[[3, 3, 3]])  # as a whole both are as frequent
    assert float(metric.result()) == pytest.approx(2.0)
    metric.reset_state()
    metric.update_state(np.full((5, 4), 0.25, np.float32))
    assert float(metric.result()) == pytest.approx(4.0)
    metric.reset_state()
    p = np.array([0.7, 0.1, 0.2, 0.0], np.float32)
    metric.update_state(np.stack([p, p]))
    assert float(metric.result()) == pytest.approx(np.exp(-sum(v * np.log(v) for v in p[:3])))


def test_the_perplexity_of_several_choices_is_their_mean():
    metric = Perplexity([2, 3], "used")
    first, other = np.eye(3, dtype=np.float32)[[0, 1, 2]], np.eye(3, dtype=np.float32)[[1, 1, 1]]
    for both in np.stack([first, other], 1):  # [2, 3]
        metric.update_state(both[None])
    assert float(metric.result()) == pytest.approx((3 + 1) / 2)

"""The Parzen window against scikit-learn's kernel density, and its choice of a width."""

import numpy as np
import pytest
from sklearn.neighbors import KernelDensity

from zoo.evaluation import parzen


def test_log_likelihood_against_kernel_density():
    rng = np.random.default_rng(0)
    images, samples = rng.normal(size=(230, 5)), rng.normal(size=(70, 5))
    expected = KernelDensity(bandwidth=0.4).fit(samples).score_samples(images)
    np.testing.assert_allclose(
        parzen.log_likelihood(images, samples, 0.4), expected, rtol=1e-4, atol=1e-4
    )


def test_it_falls_with_noise_and_with_dropped_modes():
    rng = np.random.default_rng(0)
    modes = np.repeat(np.arange(4) * 2.0, 100)[:, None]
    images, samples = rng.normal(size=(2, 400, 5)) * 0.3 + modes
    noise = rng.normal(size=samples.shape)
    for damaged in (
        lambda d: samples + 0.5 * d * noise,
        lambda d: samples - modes + np.minimum(modes, 2.0 * (3 - d)),
    ):
        found = [parzen.log_likelihood(images, damaged(d), 0.3).mean() for d in range(4)]
        assert (np.diff(found) < 0).all(), found


def test_the_width_of_least_surprise_is_chosen():
    rng = np.random.default_rng(0)
    # one sample at the origin: the likeliest width is the images' own standard deviation
    images = rng.normal(scale=0.3, size=(5000, 4))
    chosen = parzen.choose_sigma(images, np.zeros((1, 4)), np.linspace(0.1, 0.6, 51))
    assert chosen == pytest.approx(0.3, abs=0.011)

"""Gaussians in the plane: where they are, how wide, and always the same points."""

import numpy as np
import pytest

from zoo.data import sources, toy
from zoo.errors import InputError

DIGESTS = {
    "ring": "51341610c07cc4d10e042dac8e95f083ab81ac43da1a8cd8f7d8c509a8a552da",
    "grid": "08463b80ec5f1d60a132f318a815596d2103ab4baa27c5acfcd194404daf8ac6",
}


def test_the_centres_are_those_of_the_papers():
    ring = toy.MIXTURES["ring"].centers - 127.5
    np.testing.assert_allclose(np.linalg.norm(ring, axis=1), 102)
    chords = np.linalg.norm(ring - np.roll(ring, 1, axis=0), axis=1)
    np.testing.assert_allclose(chords, 2 * 102 * np.sin(np.pi / 8))  # of a regular octagon
    grid = (toy.MIXTURES["grid"].centers - 127.5) / 25.5
    expected = {(x, y) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)}
    assert set(map(tuple, np.round(grid, 9))) == expected and len(grid) == 25
    assert toy.MIXTURES["ring"].sigma / 102 == pytest.approx(0.02)
    assert toy.MIXTURES["grid"].sigma / 25.5 == pytest.approx(0.05)


@pytest.mark.parametrize("name", toy.MIXTURES)
def test_points_have_the_moments_of_the_mixture(name):
    mixture, (x, modes, more, more_modes) = toy.MIXTURES[name], toy.read(name)
    points = np.concatenate([x, more]).reshape(-1, 2).astype(float)
    modes = np.concatenate([modes, more_modes])
    n, k = len(points), mixture.num_modes
    counts = np.bincount(modes, minlength=k)
    chi_square = ((counts - n / k) ** 2 / (n / k)).sum()
    assert len(counts) == k and chi_square < k - 1 + 5 * np.sqrt(2 * (k - 1))
    rest = points - mixture.centers[modes]
    for mode in range(k):
        mean = rest[modes == mode].mean(0)
        assert (np.abs(mean) < 5 * mixture.sigma / np.sqrt(counts[mode])).all(), mode
    variance = mixture.sigma**2 + 1 / 12  # Sheppard's: rounding adds a uniform's
    assert (np.abs((rest**2).mean(0) - variance) < 5 * variance * np.sqrt(2 / n)).all()
    assert abs(np.mean(rest[:, 0] * rest[:, 1])) < 5 * variance / np.sqrt(n)


@pytest.mark.parametrize("name", toy.MIXTURES)
def test_a_set_is_always_the_same_and_its_splits_are_not(name):
    found = sources.load(name)
    assert found.digest == DIGESTS[name]
    assert (len(found.train), len(found.validation), len(found.test)) == (45_000, 5000, 10_000)
    assert found.image_shape == (1, 2, 1) and found.description.endswith("images of 1x2x1")
    assert found.class_names[-1] == str(found.num_classes - 1) == str(found.test.labels.max())
    assert (found.test.images != found.train.images[:10_000]).mean() > 0.9


def test_points_that_are_drawn_are_not_read():
    with pytest.raises(InputError, match="ring is drawn, not read: leave --data_dir out"):
        sources.load("ring", data_dir="/y")
    with pytest.raises(
        InputError, match="choose fashion_mnist, mnist, .*, ring, grid, folder:PATH"
    ):
        sources.load("rings")

"""How many modes of a known mixture samples cover, and how many samples lie in one.

The counts of Srivastava et al. 2017 (VEEGAN, arXiv:1705.07761, section 4.1): a sample is of high
quality within 3 sigma of the center nearest to it, and a mode is covered where at least one
high-quality sample out of 2,500 is nearest to it. Read the two together: `noise`, spread evenly
over the plane, covers nearly all modes, with 1.5 (`ring`) or 2.0% (`grid`) of high quality. Of the
mixture's own draws 1 - exp(-9/2) = 98.9% are; rounded to whole levels, as data are, a little less.
"""

from typing import Any

import numpy as np

from zoo.data.toy import Mixture
from zoo.evaluation.intervals import mean_and_error

SET = 2500  # samples among which a mode is looked for: more of them find more
RADIUS = 3.0  # sigma
SCALARS = ("modes_covered", "high_quality")
PROTOCOL = {
    "modes": f"covered by a sample within {RADIUS:g} sigma of the center nearest to it, of {SET}",
    "images": "samples are rounded to 8 bits",
}


def nearest(points: np.ndarray, mixture: Mixture) -> tuple[np.ndarray, np.ndarray]:
    """The mode whose center is nearest, int [N], and whether it is near enough, bool [N].

    Args:
      points: [N, 2], in levels.
      mixture: has centers [K, 2] and sigma, in levels.
    """
    distance = np.linalg.norm(points[:, None] - mixture.centers, axis=-1)
    return distance.argmin(1), distance.min(1) <= RADIUS * mixture.sigma


def figures(points: np.ndarray, mixture: Mixture) -> dict[str, Any]:
    """Modes covered and share of high-quality samples.

    Args:
      points: [N, 2], in levels, in no order; modes are counted in each `SET` of them, as many as
        there are whole ones (in all of fewer).
      mixture: has centers [K, 2] and sigma, in levels.

    Returns:
      `modes_covered` and `high_quality`, each with its standard error (over the sets, and over the
      samples), and `high_quality_per_mode`, the counts [K] among all samples.
    """
    mode, good = nearest(points, mixture)
    size = min(SET, len(points))
    whole = len(points) // size * size
    sets = np.where(good, mode, -1)[:whole].reshape(-1, size)
    return {
        "modes_covered": mean_and_error([len(set(s) - {-1}) for s in sets]),
        "high_quality": mean_and_error(good),
        "high_quality_per_mode": np.bincount(mode[good], minlength=mixture.num_modes).tolist(),
    }


def noise(mixture: Mixture) -> dict[str, float]:
    """What `scalars` gives on average for points spread evenly over all levels of the plane."""
    levels = np.arange(256)
    mode, good = nearest(np.stack(np.meshgrid(levels, levels), -1).reshape(-1, 2), mixture)
    hit = np.bincount(mode[good], minlength=mixture.num_modes) / len(mode)  # by one point
    return {"modes_covered": (1 - (1 - hit) ** SET).sum(), "high_quality": hit.sum()}


def sample(
    model, num: int, seed: int = 0, labels: np.ndarray | None = None, **options
) -> np.ndarray:
    """Samples of a model as points [num, 2], in whole levels; `options` are those of `sample`."""
    from zoo.evaluation import features  # imports TensorFlow, which reports need not

    drawn = np.concatenate(list(features.samples(model, num, seed, labels, **options)))
    return in_levels(features.in_bytes(drawn))


def in_levels(images: np.ndarray) -> np.ndarray:
    """Points float64 [N, 2] of images [N, 1, 2, 1] whose pixels are levels."""
    return images.reshape(-1, 2).astype(np.float64)


def scalars(found: dict[str, Any]) -> dict[str, float]:
    """The modes covered and the share of high-quality samples, of `figures`, without errors."""
    return {name: found[name]["mean"] for name in SCALARS}


def of_one_set(model, mixture: Mixture) -> dict[str, Any]:
    """`figures` of one set of samples, always of the same seed."""
    return figures(sample(model, SET), mixture)

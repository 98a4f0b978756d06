"""The share of samples that are nearer to a training image than another training image is.

    |x - t| < min_{t' != t} |t - t'|,   t the training image nearest to x

Alaa et al. 2022 (arXiv:2102.08921), section 3.2, whose authenticity is 1 less this, here by the
distance of pixels. The floor is of real images that were not trained on: more than that are copies.
"""

import numpy as np

from zoo.evaluation import distances
from zoo.evaluation.intervals import mean_and_error
from zoo.evaluation.metric import QUERIES, Comparison, OfSamples


def copies(index: np.ndarray, distance: np.ndarray, train: np.ndarray) -> dict:
    """The share, with its error.

    Args:
      index: which training image is the nearest to each image, int [N].
      distance: to it, [N].
      train: uint8 [M, H, W, C], M of at least 2.
    """
    nearest, which = np.unique(index, return_inverse=True)
    to_other = distances.to_nearest_other(nearest, train)
    return mean_and_error(distance < to_other[which])


def _of(c: Comparison, nearest: tuple[np.ndarray, np.ndarray]) -> dict:
    return {"copies": copies(*nearest, c.train.images)}


METRIC = OfSamples(
    names=("copies",),
    of_samples=lambda c: _of(c, c.nearest_to_fake),
    of_floor=lambda c: _of(c, c.nearest_to_real),
    protocol={"queries": QUERIES},
)

"""How far samples are from the training image that is nearest to each: a copy is at 0.

Euclidean distances of pixels in [0, 1]. Samples much nearer than the floor, which is of real images
that were not trained on, speak of memorization.
"""

import numpy as np

from zoo.evaluation.intervals import mean_and_error
from zoo.evaluation.metric import QUERIES, OfSamples

QUANTILES = (0.01, 0.1, 0.5, 0.9, 0.99)


def nearest_training_images(distance: np.ndarray) -> dict:
    """Mean, error and quantiles of the distances [N] of images to the nearest training images."""
    return {**mean_and_error(distance), "quantiles": np.quantile(distance, QUANTILES).tolist()}


def _of(nearest: tuple[np.ndarray, np.ndarray]) -> dict:
    return {"nearest_training_distance": nearest_training_images(nearest[1])}


METRIC = OfSamples(
    names=("nearest_training_distance",),
    of_samples=lambda c: _of(c.nearest_to_fake),
    of_floor=lambda c: _of(c.nearest_to_real),
    protocol={"queries": QUERIES},
)

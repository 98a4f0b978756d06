"""How far samples are from the training image that is nearest to each: a copy is at 0.

Euclidean distances of pixels in [0, 1]. Samples much nearer than the floor, which is of real images
that were not trained on, speak of memorization.
"""

import numpy as np

from zoo.evaluation import distances
from zoo.evaluation.intervals import mean_and_error
from zoo.evaluation.metric import Comparison, OfSamples

QUERIES = 2000  # samples that are held against training images
QUANTILES = (0.01, 0.1, 0.5, 0.9, 0.99)


def nearest_training_images(images: np.ndarray, train: np.ndarray) -> dict:
    """Mean, error and quantiles of the distances of images uint8 [N, H, W, C] to training images.

    Args:
      images: uint8 [N, H, W, C].
      train: uint8 [M, H, W, C].
    """
    _, distance = distances.nearest_images(images, train)
    return {**mean_and_error(distance), "quantiles": np.quantile(distance, QUANTILES).tolist()}


def _of(c: Comparison, images: np.ndarray) -> dict:
    found = nearest_training_images(images[:QUERIES], c.train.images)
    return {"nearest_training_distance": found}


METRIC = OfSamples(
    names=("nearest_training_distance",),
    of_samples=lambda c: _of(c, c.fake.images),
    of_floor=lambda c: _of(c, c.real.images),
    protocol={"queries": QUERIES},
)

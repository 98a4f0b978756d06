"""Sharpness: the variance of the Laplacian of an image (Pech-Pacheco et al. 2000).

Blurred images have less of it than real ones, whose own is the floor. Noise counts as sharpness
too, so that only a value near the floor speaks for a model.
"""

import numpy as np

from zoo.evaluation.intervals import mean_and_error
from zoo.evaluation.metric import OfSamples


def sharpness(images: np.ndarray) -> np.ndarray:
    """Variance of the Laplacian of each image, [N].

    Args:
      images: uint8 [N, H, W, C]; the unit is that of squared gray levels in [0, 1].
    """
    x = images / np.float32(255)
    inner = x[:, 1:-1, 1:-1]
    laplacian = x[:, :-2, 1:-1] + x[:, 2:, 1:-1] + x[:, 1:-1, :-2] + x[:, 1:-1, 2:] - 4 * inner
    return laplacian.var(axis=(1, 2, 3))


METRIC = OfSamples(
    names=("sharpness",),
    of_samples=lambda c: {"sharpness": mean_and_error(sharpness(c.fake.images))},
    of_floor=lambda c: {"sharpness": mean_and_error(sharpness(c.real.images))},
)

"""The share of distinct samples: those that are no near copy of an earlier one.

Higher is better; the floor is that of real images. Near is half of the usual distance between
neighboring real images, in pixels.
"""

import numpy as np

from zoo.evaluation import distances
from zoo.evaluation.metric import QUERIES, Comparison, OfSamples


def _of(c: Comparison, images: np.ndarray) -> dict:
    radius = distances.copy_radius(c.real.images[:QUERIES])
    share = distances.distinct(images[:QUERIES], radius)
    return {"distinct": {"mean": share, "standard_error": None}}


METRIC = OfSamples(
    names=("distinct",),
    of_samples=lambda c: _of(c, c.fake.images),
    of_floor=lambda c: _of(c, c.real.images),
    protocol={"images": QUERIES},
)

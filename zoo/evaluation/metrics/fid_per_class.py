"""The FID of each class: samples that were asked for it against real images that are of it.

Lower is better. A class of which there are no more images than features has none.
"""

import numpy as np

from zoo.evaluation.metric import Comparison, OfSamples
from zoo.evaluation.metrics import fid


def of_class(real: np.ndarray, fake: np.ndarray, seed: int = 0) -> dict | None:
    """The FID of as many images on each side; None where they are too few for a covariance."""
    count = min(len(real), len(fake))
    return fid.fid(real[:count], fake[:count], seed) if count > real.shape[1] else None


def _of(c: Comparison, features: np.ndarray, labels: np.ndarray) -> dict:
    of_real = c.of_real[0]
    found = [
        of_class(of_real[c.real.labels == k], features[labels == k], c.seed)
        for k in range(c.model.num_classes)
    ]
    if few := found.count(None):
        size = of_real.shape[1]
        c.left_out.add(
            f"{few} of {len(found)} classes have too few images for {size} features "
            f"({size + 1} at least)",
            "fid_per_class",
        )
    found = [of and {k: of[k] for k in ("mean", "standard_error")} for of in found]
    return {"fid_per_class": found} if any(found) else {}


def _of_samples(c: Comparison) -> dict:
    return _of(c, c.of_fake[0], c.fake.labels)


def _of_floor(c: Comparison) -> dict:
    return _of(c, c.of_others[0][: len(c.real)], c.first_others.labels)


METRIC = OfSamples(
    names=("fid_per_class",),
    of_samples=_of_samples,
    of_floor=_of_floor,
    protocol=fid.METRIC.protocol,
    in_features=True,
    of_labels=True,
)

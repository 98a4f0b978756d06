"""What is left of images that are encoded and decoded again.

Euclidean distances of pixels in [0, 1] from an image to its reconstruction and, to compare, to that
of the next image; and how often a classifier sees an image's class in its reconstruction, and in
itself. Errors are of the images.
"""

from typing import Any

import numpy as np

from zoo.data import Split
from zoo.evaluation import distances, features
from zoo.evaluation.features import FeatureNet
from zoo.evaluation.intervals import mean_and_error
from zoo.evaluation.left_out import LeftOut, unless_measured
from zoo.evaluation.metric import OfModel, Question

CLASSES_SEEN = ("class_seen_in_reconstruction", "class_seen_in_image")


def reconstruction(
    model, net: FeatureNet | None, real: Split, left_out: LeftOut | None = None
) -> dict[str, Any]:
    """The figures of reconstructions.

    Args:
      model: has `reconstruct`.
      net: a classifier; without one how well classes are kept is not measured.
      real: the images.
      left_out: takes what cannot be measured, and why.

    Raises:
      InputError: reconstructions are not images; or a figure cannot be measured, and no `left_out`
        is given.
    """
    parts = zip(*(features.batches(a) for a in (real.images, real.labels)), strict=True)
    rebuilt = [
        features.in_bytes(np.asarray(model.reconstruct(x, *([y] if model.conditional else []))))
        for x, y in parts
    ]
    x, own = distances.flat(real.images), distances.flat(np.concatenate(rebuilt))
    found = {"num_images": len(real)}
    for name, of_images in (("own", own), ("next", np.roll(own, -1, axis=0))):
        distance = np.linalg.norm(x - of_images, axis=-1)
        found[f"distance_to_{name}_reconstruction"] = mean_and_error(distance, draws=True)
    if net is None:
        return found
    with unless_measured(left_out, *CLASSES_SEEN):
        features.check_classifies(net, model)
        sides = (rebuilt, features.batches(real.images))
        for name, images in zip(CLASSES_SEEN, sides, strict=True):
            hits = np.argmax(net.see(images)[1], -1) == real.labels
            found[name] = mean_and_error(hits, draws=True)
    return found


def _measure(of: Question) -> dict:
    if of.net is None:
        of.left_out.add(of.no_net, *CLASSES_SEEN)
    return reconstruction(of.model, of.net, of.real, of.left_out)


METRIC = OfModel("reconstruction", "reconstruct", _measure, of_points=False)

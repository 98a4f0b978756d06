"""Class fidelity: how often a classifier sees in a sample the class that was asked for.

Higher is better. The floor is how often it sees the class of a real image.
"""

import numpy as np

from zoo.evaluation import features
from zoo.evaluation.intervals import mean_and_error, of_each_class
from zoo.evaluation.metric import Comparison, OfSamples


def class_fidelity(probabilities: np.ndarray, labels: np.ndarray) -> dict:
    """How often a classifier sees in an image the class that was asked for.

    Args:
      probabilities: the classifier's p(y|x), [N, K].
      labels: asked for, int [N].
    """
    hits = np.argmax(probabilities, -1) == labels
    per_class = of_each_class(hits, labels, probabilities.shape[1])
    return {"class_fidelity": mean_and_error(hits), "class_fidelity_per_class": per_class}


def _of_samples(c: Comparison) -> dict:
    features.check_classifies(c.net, c.model)
    return class_fidelity(c.of_fake[1], c.fake.labels)


def _of_floor(c: Comparison) -> dict:
    return class_fidelity(c.of_real[1], c.real.labels)


METRIC = OfSamples(
    names=("class_fidelity",),
    of_samples=_of_samples,
    of_floor=_of_floor,
    in_features=True,
    of_labels=True,
)

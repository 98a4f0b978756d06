"""Accuracy: the share of images whose likeliest label under p(y|x) is theirs."""

import math

import numpy as np

from zoo.data import Split, pipeline
from zoo.errors import InputError
from zoo.evaluation.intervals import mean_and_error, of_each_class
from zoo.evaluation.metric import BATCH, OfModel, Question


def accuracy(model, split: Split) -> dict:
    """The accuracy of a model that has `classify`, over all images and of each class.

    Raises:
      InputError: a probability is not finite.
    """
    batch = pipeline.EXACT_BATCH if getattr(model, "exact", False) else BATCH
    parts = np.array_split(np.arange(len(split)), math.ceil(len(split) / batch))
    p = np.concatenate([model.classify(split.images[i]) for i in parts])
    if not np.isfinite(p).all():
        raise InputError("the classifier's probabilities are not finite")
    hits = np.argmax(p, -1) == split.labels
    return {
        "num_images": len(hits),
        "accuracy": mean_and_error(hits, draws=True),
        "accuracy_per_class": of_each_class(hits, split.labels, model.num_classes),
    }


def _measure(of: Question) -> dict:
    of.model.seed = of.seed  # of a bound's noise, where p(y|x) is made of one
    return accuracy(of.model, of.real)


METRIC = OfModel("classification", "classify", _measure)

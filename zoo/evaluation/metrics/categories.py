"""How well categories that were found without labels tell classes apart.

Each category stands for the class of most of its training images (Chen et al. 2016,
arXiv:1606.03657, section 7.2). Chance is the share of the largest class.
"""

from typing import Any

import numpy as np

from zoo.data import Split
from zoo.evaluation import features
from zoo.evaluation.intervals import mean_and_error
from zoo.evaluation.metric import OfModel, Question


def categories(model, train: Split, real: Split) -> dict[str, Any]:
    """The accuracy of labels that are guessed by categories.

    Args:
      model: has `categorize`.
      train: images, and labels by which categories are named.
      real: those whose labels are guessed so.
    """

    def category(images):
        found = [np.argmax(model.categorize(b), -1) for b in features.batches(images)]
        return np.concatenate(found)

    of_train = category(train.images)
    counts = np.zeros((of_train.max() + 1, train.labels.max() + 1), int)
    np.add.at(counts, (of_train, train.labels), 1)
    stands_for = {c: counts[c].argmax() for c in np.unique(of_train)}
    hits = np.array([stands_for.get(c, -1) for c in category(real.images)]) == real.labels
    return {
        "num_train": len(train),
        "num_images": len(real),
        "classes_found": len(set(stands_for.values())),
        "accuracy_of_categories": mean_and_error(hits, draws=True),
    }


def _measure(of: Question) -> dict:
    return categories(of.model, of.train(), of.real)


METRIC = OfModel("categories", "categorize", _measure, of_labels=True, of_points=False)

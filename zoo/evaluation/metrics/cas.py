"""The classification accuracy score (Ravuri & Vinyals 2019, arXiv:1905.10887).

The accuracy on real images of a classifier that saw only samples, with the labels that they were
asked for. Higher is better; the floor is that of a classifier that saw as many training images. Its
error is of the images, and not of the one training.
"""

from collections.abc import Callable

import keras

from zoo.data import Split
from zoo.errors import InputError
from zoo.evaluation.metric import Comparison, OfSamples
from zoo.evaluation.metrics import classification

EPOCHS, BATCH = 8, 128


def score(new_classifier: Callable[[], keras.Model], fake: Split, real: Split, seed: int) -> dict:
    """Accuracy on real images of a classifier that saw only others.

    Args:
      new_classifier: gives an untrained one, compiled.
      fake: images to learn from, with the labels that they were asked for.
      real: images to classify.
      seed: of weights and order.
    """
    keras.utils.set_random_seed(seed)
    classifier = new_classifier()
    classifier.fit(
        fake.images, fake.labels, batch_size=BATCH, epochs=EPOCHS, shuffle=True, verbose=0
    )
    return classification.accuracy(classifier, real)["accuracy"]


def _of_samples(c: Comparison) -> dict:
    if c.new_classifier is None:
        raise InputError("there is no new classifier to be trained on samples")
    return {"cas": score(c.new_classifier, c.fake, c.real, c.seed)}


def _of_floor(c: Comparison) -> dict:
    return {"cas": score(c.new_classifier, c.first_others, c.real, c.seed)}


METRIC = OfSamples(
    names=("cas",),
    of_samples=_of_samples,
    of_floor=_of_floor,
    protocol={"classifier": f"the zoo's, {EPOCHS} epochs of batches of {BATCH}"},
    of_labels=True,
)

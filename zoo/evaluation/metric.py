"""What a metric is: what it needs, its protocol, how it is computed, its floor and its error.

A metric of samples compares a model's samples with real images; its floor is the same figure of
real images in the samples' place. A metric of a model asks the model about images. Each has a file
in `zoo/evaluation/metrics`, and `zoo/evaluation/evaluate.py` makes a record of them.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from zoo.data import Split
from zoo.evaluation import distances, features
from zoo.evaluation.features import FeatureNet
from zoo.evaluation.left_out import LeftOut

BATCH = 500  # images at a time
QUERIES = 2000  # samples that are held against training images
# name -> {"mean", "standard_error", ...}, or a list of such with one for each class
Figures = dict[str, Any]


class Comparison:
    """A model's samples beside real images, and what several metrics need of both, computed once.

    Attributes:
      model: whose samples they are.
      net: in whose features images are compared, or None.
      fake: samples, and the labels that they were asked for (None: no labels).
      real: N images of the held-out split.
      train: all training images.
      others: training images, a whole number of disjoint sets of N, for floors.
      choosing: images that are neither scored nor samples of a floor, to choose a setting by.
      seed: random seed.
      seconds: that each batch of samples took, and its number of samples.
      diagnostics: what the sampler says of itself, of each batch.
      sampler: what was asked for of a sampler in steps, as `sample` takes it.
      new_classifier: gives an untrained classifier, compiled, or None.
      left_out: takes what cannot be measured, and why.
    """

    def __init__(
        self,
        model,
        net: FeatureNet | None,
        fake: Split,
        real: Split,
        train: Split,
        others: Split,
        choosing: Callable[[], np.ndarray],
        *,
        seed: int = 0,
        speeds=(),
        diagnostics=(),
        sampler: Mapping[str, Any] | None = None,
        new_classifier=None,
        left_out: LeftOut | None = None,
    ):
        self.model, self.net, self.seed = model, net, seed
        self.fake, self.real, self.train, self.others = fake, real, train, others
        self.choosing, self.new_classifier = choosing, new_classifier
        self.speeds, self.diagnostics, self.sampler = speeds, diagnostics, dict(sampler or {})
        self.left_out = LeftOut() if left_out is None else left_out

    @property
    def first_others(self) -> Split:
        """As many training images as there are real ones."""
        return self.others.first(len(self.real))

    def _seen(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        return self.net.see(features.batches(images))

    @functools.cached_property
    def of_real(self) -> tuple[np.ndarray, np.ndarray | None]:
        """Features [N, D] of real images, and p(y|x) [N, K] of a net that classifies."""
        return self._seen(self.real.images)

    @functools.cached_property
    def of_fake(self) -> tuple[np.ndarray, np.ndarray | None]:
        """The same of samples."""
        return self._seen(self.fake.images)

    @functools.cached_property
    def nearest_to_real(self) -> tuple[np.ndarray, np.ndarray]:
        """The training image nearest to each of the first real images: index and distance [Q]."""
        return distances.nearest_images(self.real.images[:QUERIES], self.train.images)

    @functools.cached_property
    def nearest_to_fake(self) -> tuple[np.ndarray, np.ndarray]:
        """The same of samples."""
        return distances.nearest_images(self.fake.images[:QUERIES], self.train.images)

    @functools.cached_property
    def of_others(self) -> tuple[np.ndarray, np.ndarray | None]:
        """The same of the other images."""
        return self._seen(self.others.images)


def _nothing(comparison: Comparison) -> Figures:
    return {}


@dataclasses.dataclass(frozen=True)
class OfSamples:
    """A figure of samples, or several that are computed together.

    Attributes:
      names: of the figures, as in a record.
      of_samples: computes them, each with its standard error.
      of_floor: the same of real images in the samples' place.
      protocol: what they depend on beside the images, for the record.
      in_features: whether a feature net is needed.
      of_labels: whether the model must have been asked for classes.
      asked_for: whether it is measured only where somebody asks for it.
      least_classes: it is of feature nets that tell at least so many classes apart.
    """

    names: tuple[str, ...]
    of_samples: Callable[[Comparison], Figures]
    of_floor: Callable[[Comparison], Figures] = _nothing
    protocol: dict[str, Any] = dataclasses.field(default_factory=dict)
    in_features: bool = False
    of_labels: bool = False
    asked_for: bool = False
    least_classes: int = 0


@dataclasses.dataclass(frozen=True)
class Question:
    """What a metric of a model may ask it about.

    Attributes:
      model: trained.
      real: images of the held-out split.
      train: gives as many training images, when they are needed.
      net: a classifier, or None.
      no_net: why there is none.
      num_samples: K of an importance-weighted bound.
      seed: random seed.
      left_out: takes what cannot be measured, and why.
    """

    model: Any
    real: Split
    train: Callable[[], Split]
    net: FeatureNet | None
    no_net: str
    num_samples: int
    seed: int
    left_out: LeftOut


@dataclasses.dataclass(frozen=True)
class OfModel:
    """A part of the figures, of a model and of real images.

    Attributes:
      part: its name in a record.
      can: what a model must be able to do (`zoo/families/capabilities.py`).
      measure: computes the figures.
      of_labels: whether training images with labels of several classes are needed.
      of_points: whether it makes sense of 2-D toy data.
      if_conditional: whether it makes sense of a model that is told labels.
    """

    part: str
    can: str
    measure: Callable[[Question], Figures]
    of_labels: bool = False
    of_points: bool = True
    if_conditional: bool = True

"""Every figure of a model that applies, and can be measured: what a record is made of."""

from zoo.core import backend  # noqa: F401  isort: skip  (first: it imports Keras)
import functools
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from zoo.data import Split, store
from zoo.data.toy import Mixture
from zoo.errors import InputError
from zoo.evaluation import features, modes
from zoo.evaluation.features import FeatureNet
from zoo.evaluation.left_out import LeftOut
from zoo.evaluation.metric import Comparison, OfModel, OfSamples, Question
from zoo.evaluation.metrics import (
    cas,
    categories,
    class_fidelity,
    classes_covered,
    classification,
    copies,
    distinct,
    fid,
    fid_per_class,
    inception_score,
    kid,
    likelihood,
    nearest_training_image,
    neighbors,
    parzen_window,
    reconstruction,
    representation,
    sampling,
    sharpness,
)

OF_SAMPLES: tuple[OfSamples, ...] = tuple(
    module.METRIC
    for module in (
        sampling,
        fid,
        kid,
        neighbors,
        inception_score,
        class_fidelity,
        classes_covered,
        fid_per_class,
        cas,
        sharpness,
        nearest_training_image,
        copies,
        distinct,
        parzen_window,
    )
)
OF_MODEL: tuple[OfModel, ...] = tuple(
    module.METRIC
    for module in (classification, likelihood, reconstruction, representation, categories)
)
SUBSETS = "the first of a fixed random order"
FLOORS = 100_000  # training images, at most, that are samples of a floor; they are in memory
NO_CLASSIFIER = "no pretrained classifier knows these images (--classifier names one)"
NO_LABELS = "these images have no labels, of which a classifier learns"


def wanted(model, asked_for: tuple[str, ...] = ()) -> list[OfSamples]:
    """The metrics of samples that apply to a model.

    Args:
      model: says whether it is told labels.
      asked_for: names of figures that are measured only where somebody asks for them.
    """
    return [
        metric
        for metric in OF_SAMPLES
        if (model.conditional or not metric.of_labels)
        and (not metric.asked_for or set(metric.names) & set(asked_for))
    ]


def samples(
    model,
    net: FeatureNet | None,
    split: Callable[[str], Split],
    held_out: str,
    num_images: int,
    seed: int,
    left_out: LeftOut,
    new_classifier: Callable[[], keras.Model] | None = None,
    asked_for: tuple[str, ...] = (),
    sampler: Mapping[str, Any] | None = None,
    floors: dict[Any, dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Samples of a model against real images, and the floor: as many training images against them.

    Args:
      model: has `sample`; a conditional one is asked for classes as often as the real images have
        them.
      net: sees the images; without one only what needs none is measured.
      split: gives the images of a split by its name.
      held_out: the split of the real images.
      num_images: at most how many samples, and as many images of each split.
      seed: of the samples and of the metrics' own draws.
      left_out: takes what cannot be measured, and why.
      new_classifier: for the classification accuracy score of a conditional model.
      asked_for: names of figures that are measured only where somebody asks for them.
      sampler: `num_steps` and `guidance` of a model that draws in steps; its own when left out.
      floors: those of another model of the same images and settings, by the names of a metric.

    Raises:
      InputError: samples are not images.
    """
    every, real = split("train"), split(held_out)
    num_images = min(num_images, len(real), len(every))
    # whole sets of training images, for floors
    fit = store.IN_MEMORY // every.images[:1].nbytes
    num_sets = max(1, min(len(every), FLOORS, fit) // num_images)
    real = real.subset(num_images)

    def choosing():
        if held_out == "test":
            return split("validation").subset(len(split("validation"))).images
        return every.subset(len(every)).images[num_images:]

    sampler = dict(sampler or {})
    labels = features.labels_as_often(model, real.labels)
    drawn, speeds, diagnostics = features.timed_draws(model, num_images, seed, labels, **sampler)
    compared = Comparison(
        model,
        net,
        Split(drawn, labels),
        real,
        every,
        every.subset(num_sets * num_images),
        functools.cache(choosing),
        seed=seed,
        speeds=speeds,
        diagnostics=diagnostics,
        sampler=sampler,
        new_classifier=new_classifier,
        left_out=left_out,
    )
    own, floor = {}, {}
    for metric in wanted(model, asked_for):
        if metric.in_features and net is None or metric is cas.METRIC and new_classifier is None:
            continue
        if metric.least_classes and (net.num_classes or 0) < metric.least_classes:
            continue
        with left_out.unless_measured(*metric.names):
            of_samples = metric.of_samples(compared)
            of_floor = (floors or {}).get(metric.names)
            if of_floor is None:
                of_floor = metric.of_floor(compared)
            own.update(of_samples)
            floor.update(of_floor)
            if floors is not None:
                floors[metric.names] = of_floor
    return {
        "num_images": num_images,
        "num_train": len(every),
        "num_floor_sets": num_sets,
        "observation": features.observation(model),
        "model": own,
        "floor": floor,
    }


def figures_in_features(model) -> tuple[str, ...]:
    """What `samples` measures of a model by a feature net, by name."""
    of_any = [m for m in wanted(model) if m.in_features and not m.least_classes]
    return tuple(name for m in of_any for name in m.names)


def mode_coverage(
    model,
    mixture: Mixture,
    split: Callable[[str], Split],
    held_out: str,
    num_images: int,
    seed: int,
    sampler: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Modes that samples cover and the share of good ones, and the floor: as many held-out points.

    Args:
      model: has `sample`; a conditional one is asked for its classes, the modes, as often as the
        held-out points have them.
      mixture: what the data were drawn from.
      split: gives the images of a split by its name.
      held_out: the split of the floor.
      num_images: at most how many samples.
      seed: of the samples.
      sampler: see `evaluate`.
    """
    real = split(held_out).subset(num_images)
    labels = features.labels_as_often(model, real.labels)
    fake = modes.sample(model, len(real), seed, labels, **sampler or {})
    known = modes.in_levels(real.images)
    own, floor = modes.figures(fake, mixture), modes.figures(known, mixture)
    if labels is not None:  # the nearest center is the best classifier that there is
        for into, points, y in ((own, fake, labels), (floor, known, real.labels)):
            nearest, _ = modes.nearest(points, mixture)
            into.update(class_fidelity.class_fidelity(np.eye(mixture.num_modes)[nearest], y))
    return {
        "num_images": len(real),
        "observation": features.observation(model),
        "model": own,
        "floor": floor,
    }


def _keeping_randomness(measure: Callable[..., Any]) -> Callable[..., Any]:
    """Lets a function of a model leave its random seeds as they were, whatever it draws."""

    @functools.wraps(measure)
    def kept(model, *args, **kwargs):
        states = [
            v for v in getattr(model, "variables", ()) if v.path.endswith("seed_generator_state")
        ]
        before, seed = [v.numpy() for v in states], getattr(model, "seed", None)
        try:
            return measure(model, *args, **kwargs)
        finally:
            for state, value in zip(states, before, strict=True):
                state.assign(value)
            if seed is not None:
                model.seed = seed

    return kept


@_keeping_randomness
def evaluate(
    model,
    split: Callable[[str], Split],
    *,
    held_out: str = "test",
    num_images: int = 10_000,
    num_samples: int = 1,
    net: FeatureNet | None = None,
    no_net: str = NO_CLASSIFIER,
    mixture: Mixture | None = None,
    new_classifier: Callable[[], keras.Model] | None = None,
    asked_for: tuple[str, ...] = (),
    sampler: Mapping[str, Any] | None = None,
    seed: int = 0,
    floors: dict[Any, dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Every figure that applies to a model, and can be measured.

    Args:
      model: trained.
      split: gives the images of a split by its name, as the model sees them, when needed.
      held_out: the split to measure on, `validation` or `test`.
      num_images: how many of its images at most, and how many samples.
      num_samples: K of the importance-weighted bound.
      net: sees samples and images; what needs one is left out without it.
      no_net: why there is none.
      mixture: what the data were drawn from, where that is known: samples are measured by its
        modes, without a net.
      new_classifier: gives an untrained classifier, for the classification accuracy score.
      asked_for: names of figures that are measured only where somebody asks for them.
      sampler: `num_steps` and `guidance` of a model that draws in steps; its own when left out.
      seed: random seed.
      floors: see `samples`.

    Returns:
      The parts of the figures by name; and, where a figure or a part that applies could not be
      measured, `left_out`: its name -> why.

    Raises:
      InputError: nothing could be measured.
    """
    real = split(held_out).subset(num_images)
    if not len(real):
        raise InputError(f"there are no {held_out} images to measure on")
    if net is not None and net.image_shape != model.image_shape:
        no_net = (
            f"{net.name} sees images of shape {net.image_shape}, and those of {model.name} are of "
            f"shape {model.image_shape}"
        )
        net = None
    result, left_out = {}, LeftOut()

    def measure(part: str, function: Callable[..., dict], *arguments):
        with left_out.unless_measured(part):
            found = function(*arguments)
            of = found["model"] if part == "samples" else found
            if part != "samples" and ("num_train" in found or len(real) < len(split(held_out))):
                found["subsets"] = SUBSETS
            if any(isinstance(value, dict) for value in of.values()):  # figures with their errors
                result[part] = found

    if "sample" in model.can and mixture is not None:
        of_points = (split, held_out, num_images, seed, sampler)
        measure("samples", mode_coverage, model, mixture, *of_points)
    elif "sample" in model.can:
        if net is None:
            left_out.add(no_net, *figures_in_features(model))
        of_samples = (held_out, num_images, seed, left_out, new_classifier, asked_for)
        measure("samples", samples, model, net, split, *of_samples, sampler, floors)
    train = functools.cache(lambda: split("train").subset(num_images))
    for metric in OF_MODEL:
        if metric.can not in model.can or (mixture is not None and not metric.of_points):
            continue
        if model.conditional and not metric.if_conditional:
            continue
        if metric.of_labels and len(np.unique(train().labels)) < 2:
            left_out.add("the training images are of one class, or without labels", metric.part)
            continue
        of = Question(model, real, train, net, no_net, num_samples, seed, left_out)
        measure(metric.part, metric.measure, of)
    if not result:
        reasons = "; ".join(dict.fromkeys(left_out.values())) or "it has no figures"
        raise InputError(f"nothing of {model.name} could be measured: {reasons}")
    return {**result, "left_out": dict(left_out)} if left_out else result


def protocols(figures: dict[str, Any], net: FeatureNet | None, seed: int) -> dict[str, Any]:
    """What each figure of samples depends on beside the images, for the record: name -> settings.

    Figures compare where these are the same; see `records.differences`.

    Args:
      figures: what `evaluate` returned.
      net: in whose features samples were compared, if there was one.
      seed: random seed.
    """
    of = figures.get("samples", {})
    shared = {k: of[k] for k in ("num_images", "num_train", "num_floor_sets") if k in of}
    shared |= {"subsets": SUBSETS, "seed": seed}
    if "modes_covered" in of.get("model", {}):
        names = (*modes.SCALARS, "class_fidelity")
        return {name: shared | modes.PROTOCOL for name in names if name in of["model"]}
    found = {}
    for metric in OF_SAMPLES:
        settings = {**shared, **metric.protocol}
        if metric.in_features and net is not None:
            settings |= {"features": net.sha256, "resize": net.resize}
        found |= {name: settings for name in metric.names if name in of.get("model", {})}
    return found

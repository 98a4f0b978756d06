"""Every figure of a model: likelihood, accuracy and the quality of samples, with their errors."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from zoo.data import Split, pipeline
from zoo.errors import InputError
from zoo.evaluation import features, quality
from zoo.evaluation.features import FeatureNet
from zoo.evaluation.intervals import mean_and_error

_BATCH = 500


def likelihood(model, split: Split, num_samples: int, seed: int) -> dict:
    """The ELBO (analytic KL where there is one) and the K-sample bound of every image, in nats.

    Args:
      model: has `losses` with `elbo_nats`, `log_prob` and `bits_per_dim`.
      split: the images.
      num_samples: K.
      seed: of the latents.
    """
    bound = tf.function(lambda x, s: model.log_prob(x, None, num_samples, s))
    elbos, bounds = [], []
    batches = pipeline.evaluation_batches(split, _BATCH)
    model.seed_generator.state.assign([seed, 0])
    for i, (images, labels) in enumerate(batches):
        images = tf.cast(images, tf.float32) / 255.0
        elbos.append(model.losses(images, labels, training=False)["elbo_nats"].numpy())
        bounds.append(bound(images, tf.constant([seed, i + 1])).numpy())
    elbos, bounds = np.concatenate(elbos), np.concatenate(bounds)
    return {
        "num_images": len(elbos),
        "num_samples": num_samples,
        "elbo_nats": mean_and_error(elbos),
        "iwae_bound_nats": mean_and_error(bounds),
        "elbo_bits_per_dim": mean_and_error(model.bits_per_dim(elbos)),
        "iwae_bound_bits_per_dim": mean_and_error(model.bits_per_dim(bounds)),
    }


def accuracy(model, split: Split) -> dict:
    """The share of images whose likeliest label is theirs."""
    parts = np.array_split(np.arange(len(split)), math.ceil(len(split) / _BATCH))
    hits = [np.argmax(model.classify(split.images[i]), -1) == split.labels[i] for i in parts]
    hits = np.concatenate(hits)
    return {"num_images": len(hits), "accuracy": mean_and_error(hits)}


def class_fidelity(probabilities: np.ndarray, labels: np.ndarray) -> dict:
    """How often a classifier sees in an image the class that was asked for.

    Args:
      probabilities: the classifier's p(y|x), [N, K].
      labels: asked for, int [N].
    """
    hits = np.argmax(probabilities, -1) == labels
    per_class = [float(hits[labels == k].mean()) for k in range(probabilities.shape[1])]
    return {"class_fidelity": mean_and_error(hits), "class_fidelity_per_class": per_class}


def samples(model, net: FeatureNet, real: Split, train: Split, num_images: int, seed: int) -> dict:
    """Samples of a model against test images, and the floor: as many training images against them.

    Args:
      model: has `sample`; a conditional one is asked for its classes in turn.
      net: sees the images.
      real: test images.
      train: training images; the first `num_images` make the floor.
      num_images: how many samples, and at most how many images of each split.
      seed: of the samples and of the metrics' own draws.
    """
    labels = None
    if model.conditional:
        labels = np.arange(num_images, dtype=np.int32) % model.num_classes
    real, train = _first(real, num_images), _first(train, num_images)
    of_real, p_real = net.see(features.batches(real.images))
    of_train, _ = net.see(features.batches(train.images))
    of_fake, p_fake = net.see(features.samples(model, num_images, seed, labels))
    result = {
        "num_real": len(real),
        "num_fake": num_images,
        "model": quality.compare(of_real, of_fake, seed),
        "floor": quality.compare(of_real, of_train, seed),
    }
    if net.probabilities is not None:  # the floor of these two: real test images themselves
        for name, p, y in (("model", p_fake, labels), ("floor", p_real, real.labels)):
            result[name]["inception_score"] = quality.inception_score(p, seed)
            if labels is not None:
                result[name].update(class_fidelity(p, y))
    if labels is not None:
        for name, x, y in (("model", of_fake, labels), ("floor", of_train, train.labels)):
            result[name]["fid_per_class"] = [
                quality.fid_or_none(of_real[real.labels == k], x[y == k])
                for k in range(model.num_classes)
            ]
    return result


def evaluate(
    model,
    split: Callable[[str], Split],
    *,
    held_out: str = "test",
    num_images: int = 10_000,
    num_samples: int = 1,
    net: FeatureNet | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Every figure that applies to a model.

    Args:
      model: trained.
      split: gives the images of a split by its name, as the model sees them, when needed.
      held_out: the split to measure on, `validation` or `test`.
      num_images: how many of its images at most, and how many samples.
      num_samples: K of the importance-weighted bound.
      net: sees samples and images; None leaves the sample metrics out.
      seed: of all noise.

    Raises:
      InputError: nothing here applies to the model, or the net sees other images or classes.
    """
    result = {}
    if hasattr(model, "classify"):
        result["classification"] = accuracy(model, _first(split(held_out), num_images))
    if hasattr(model, "log_prob"):
        images = _first(split(held_out), num_images)
        result["likelihood"] = likelihood(model, images, num_samples, seed)
    if net is not None and hasattr(model, "sample"):
        if net.image_shape != model.image_shape:
            raise InputError(f"{net.name} does not see images like those of {model.name}")
        if model.conditional and net.num_classes not in (None, model.num_classes):
            raise InputError(f"{net.name} knows other classes than {model.name}")
        if num_images < model.num_classes:
            raise InputError(f"{num_images} images are too few for {model.num_classes} classes")
        result["samples"] = samples(model, net, split(held_out), split("train"), num_images, seed)
    if not result:
        raise InputError(f"{model.name} has nothing to measure without a --classifier")
    return result


def _first(split: Split, count: int) -> Split:
    return Split(split.images[:count], split.labels[:count])


def table(figures: dict[str, Any]) -> str:
    """The figures as text: a row each, with standard errors, and the floor where there is one."""
    rows = [("", "model", "floor" if "samples" in figures else "")]
    for name, part in figures.items():
        own, floor = (part["model"], part["floor"]) if name == "samples" else (part, {})
        for key, value in own.items():
            if isinstance(value, dict):
                rows.append((key, _cell(value), _cell(floor[key]) if key in floor else ""))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def _cell(value: dict[str, float]) -> str:
    return f"{value['mean']:.4f} +- {value['standard_error']:.4f}"

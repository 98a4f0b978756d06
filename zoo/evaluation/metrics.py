"""Likelihood and accuracy of a model on images that it has not seen, with standard errors."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from zoo.data import Split, pipeline
from zoo.errors import InputError
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


def class_fidelity(model, classifier, num_images: int, seed: int) -> dict:
    """How often a classifier sees in a sample the class that was asked for.

    Args:
      model: conditional.
      classifier: of the same classes and image shape.
      num_images: as many for each class as divide evenly, classes in turn.
      seed: of the samples.
    """
    labels = np.arange(num_images, dtype=np.int32) % model.num_classes
    hits = []
    for i in range(0, num_images, _BATCH):
        y = labels[i : i + _BATCH]
        images = model.sample(len(y), y, seed=tf.constant([seed, i + 1]))
        hits.append(np.argmax(classifier.classify(images), -1) == y)
    hits = np.concatenate(hits)
    per_class = [float(hits[labels == k].mean()) for k in range(model.num_classes)]
    return {
        "num_images": num_images,
        "class_fidelity": mean_and_error(hits),
        "class_fidelity_per_class": per_class,
    }


def evaluate(
    model,
    split: Callable[[], Split],
    *,
    num_images: int | None,
    num_samples: int,
    classifier,
    seed: int,
) -> dict[str, Any]:
    """Every figure that applies to a model.

    Args:
      model: trained.
      split: gives the images to measure on, as the model sees them, when they are needed.
      num_images: how many of them; None for all (10,000 samples, for class fidelity).
      num_samples: K of the importance-weighted bound.
      classifier: judges a conditional model's samples; may be None.
      seed: of all noise.

    Raises:
      InputError: nothing here applies to the model.
    """
    if classifier is not None:
        if not model.conditional or not hasattr(model, "sample"):
            raise InputError(f"{model.name} takes no labels: a classifier cannot judge it")
        same = ("image_shape", "num_classes")
        if not hasattr(classifier, "classify") or any(
            getattr(classifier, name) != getattr(model, name) for name in same
        ):
            raise InputError(f"{classifier.name} does not classify the images of {model.name}")
        if num_images is not None and num_images < model.num_classes:
            raise InputError(f"{num_images} images are too few for {model.num_classes} classes")
        return class_fidelity(model, classifier, num_images or 10_000, seed)
    if not hasattr(model, "log_prob") and not hasattr(model, "classify"):
        raise InputError(
            f"{model.name} has no likelihood and no accuracy to measure"
            + ("; give --classifier=WORKDIR" if model.conditional else "")
        )
    whole = split()
    part = Split(whole.images[:num_images], whole.labels[:num_images])
    if hasattr(model, "classify"):
        return accuracy(model, part)
    return likelihood(model, part, num_samples, seed)

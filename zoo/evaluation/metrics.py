"""Every figure of a model: likelihood, accuracy and the quality of samples, with their errors."""

from zoo.core import backend  # noqa: F401  isort: skip  (first: it imports Keras)
import functools
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from zoo.data import Split, pipeline
from zoo.data.toy import Mixture
from zoo.errors import InputError
from zoo.evaluation import distances, features, modes, parzen, probe, quality
from zoo.evaluation.features import FeatureNet
from zoo.evaluation.intervals import mean_and_error
from zoo.evaluation.left_out import LeftOut, unless_measured

_BATCH = 500
EFFECTIVE = "effective_sample_size"
ELBO = ("elbo_nats", "reconstruction_nats", "kl_nats")
NEIGHBOUR_QUERIES = 2000  # samples that are held against training images, and among each other
CAS_EPOCHS, CAS_BATCH = 8, 128
PARZEN_VALIDATION = 1000  # validation images that choose sigma
NO_CLASSIFIER = "no pretrained classifier knows these images (--classifier names one)"
NO_LABELS = "these images have no labels, of which a classifier learns"
CLASSES_SEEN = ("class_seen_in_reconstruction", "class_seen_in_image")
QUANTILES = (0.01, 0.1, 0.5, 0.9, 0.99)


def log_likelihoods(
    model, split: Split, num_samples: int, seed: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Log p(x), or log p(x|y) where the model is conditional, of each image in nats, [N].

    Args:
      model: has `log_prob`, which `exact` says not to be a bound or to be one, and, where it was
        trained by a bound, `losses` with `elbo_nats` and its terms.
      split: the images.
      num_samples: K of a bound.
      seed: of the latents.

    Returns:
      The log-likelihoods or K-sample bounds; and by name, where the model has them, the ELBO, its
      terms, and the effective sample size of K draws.
    """
    weighs = num_samples > 1 and "importance" in model.can
    terms = [name for name in ELBO if name in model.tracked]
    batch = pipeline.EXACT_BATCH if model.exact else _BATCH
    measure = model.importance_bound if weighs else model.log_prob
    bound = tf.function(lambda x, y, s: measure(x, y, num_samples, s))
    found = {name: [] for name in (*terms, *([EFFECTIVE] if weighs else []))}
    log_p = []
    model.seed_generator.state.assign([seed, 0])  # of the ELBO's one draw
    for i, (images, labels) in enumerate(pipeline.evaluation_batches(split, batch)):
        images = tf.cast(images, tf.float32) / 255.0
        if terms:
            losses = model.losses(images, labels, training=False)
            for name in terms:
                found[name].append(losses[name].numpy())
        known = labels if model.conditional else None
        of_images = bound(images, known, tf.constant([seed, i + 1])).numpy()
        log_p.append(of_images[:, 0] if weighs else of_images)
        if weighs:
            found[EFFECTIVE].append(of_images[:, 1])
    return np.concatenate(log_p), {name: np.concatenate(v) for name, v in found.items()}


def likelihood(
    model, split: Split, num_samples: int, seed: int, left_out: LeftOut | None = None
) -> dict:
    """The figures of `log_likelihoods`: means in nats and bits per dimension, with their errors.

    Exact where the model has it; else the ELBO with its two terms and the K-sample bound.

    Args:
      model: as that of `log_likelihoods`.
      split: the images.
      num_samples: K of a bound.
      seed: of the latents.
      left_out: takes what is not finite of these images.

    Raises:
      InputError: a figure is not finite, and no `left_out` is given.
    """
    log_p, found = log_likelihoods(model, split, num_samples, seed)
    config = getattr(model, "unconditional", model).config  # where the pixels' distribution is told
    result = {
        "num_images": len(log_p),
        "num_samples": None if model.exact else num_samples,
        "p_x_given_z": getattr(config, "likelihood", None),
        "p_x_i": getattr(config, "output", None),
        "levels": 2 if model.binary else getattr(config, "levels", 256),
        "given": "labels" if model.conditional else None,
    }
    if (error := getattr(model, "normalizer_error", None)) is not None:
        result["p_y_error_nats_per_class"] = [float(e) for e in error()]
    bits = model.bits_per_dim
    if model.exact:
        values = {"log_prob_nats": log_p, "bits_per_dim": bits(log_p)}
    else:
        values = {"iwae_bound_nats": log_p, "iwae_bound_bits_per_dim": bits(log_p), **found}
        if "elbo_nats" in found:
            values["elbo_bits_per_dim"] = bits(found["elbo_nats"])
    for name, of_images in values.items():
        with unless_measured(left_out, name):
            result[name] = mean_and_error(of_images)
    return result


def accuracy(model, split: Split) -> dict:
    """The share of images whose likeliest label is theirs, of all and of each class."""
    batch = pipeline.EXACT_BATCH if getattr(model, "exact", False) else _BATCH
    parts = np.array_split(np.arange(len(split)), math.ceil(len(split) / batch))
    p = np.concatenate([model.classify(split.images[i]) for i in parts])
    if not np.isfinite(p).all():
        raise InputError("the classifier's probabilities are not finite")
    hits = np.argmax(p, -1) == split.labels
    return {
        "num_images": len(hits),
        "accuracy": mean_and_error(hits),
        "accuracy_per_class": _of_each_class(hits, split.labels, model.num_classes),
    }


def labels_in_turn(model, num: int) -> np.ndarray | None:
    """The labels int32 [num] that a conditional model is asked for: 0 .. K-1, again and again."""
    return np.arange(num, dtype=np.int32) % model.num_classes if model.conditional else None


def labels_as_often(model, labels: np.ndarray) -> np.ndarray | None:
    """The labels int32 [N] that a conditional model is asked for: each as often as in `labels`.

    Classes take turns as evenly as they can: equally frequent ones are 0 .. K-1, again and again.

    Args:
      model: says whether it is conditional.
      labels: of real images, int [N].
    """
    if not model.conditional:
        return None
    counts = np.bincount(labels, minlength=model.num_classes)
    classes = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    turns = np.concatenate([(np.arange(n) + 0.5) / max(n, 1) for n in counts])
    return classes[np.lexsort((classes, turns))]


def class_fidelity(probabilities: np.ndarray, labels: np.ndarray) -> dict:
    """How often a classifier sees in an image the class that was asked for.

    Args:
      probabilities: the classifier's p(y|x), [N, K].
      labels: asked for, int [N].
    """
    hits = np.argmax(probabilities, -1) == labels
    per_class = _of_each_class(hits, labels, probabilities.shape[1])
    return {"class_fidelity": mean_and_error(hits), "class_fidelity_per_class": per_class}


def _of_each_class(hits: np.ndarray, labels: np.ndarray, num_classes: int) -> list[dict | None]:
    """The share of hits of each class; None where it has no image."""
    classes = [hits[labels == k] for k in range(num_classes)]
    return [mean_and_error(h) if len(h) else None for h in classes]


def classification_accuracy_score(
    new_classifier: Callable[[], keras.Model], made: Split, real: Split, seed: int
) -> dict[str, float]:
    """Accuracy on real images of a classifier that saw only made ones (Ravuri & Vinyals 2019).

    Args:
      new_classifier: gives an untrained one, compiled.
      made: images to learn from, with the labels that they were asked for.
      real: images to classify.
      seed: of weights and order.
    """
    keras.utils.set_random_seed(seed)
    classifier = new_classifier()
    classifier.fit(
        made.images, made.labels, batch_size=CAS_BATCH, epochs=CAS_EPOCHS, shuffle=True, verbose=0
    )
    return accuracy(classifier, real)["accuracy"]


def nearest_training_images(images: np.ndarray, train: np.ndarray) -> dict[str, Any]:
    """How far images are from the training image that is nearest to each: a copy is at 0.

    Args:
      images: uint8 [N, H, W, C].
      train: uint8 [M, H, W, C].

    Returns:
      Mean, error and quantiles of Euclidean distances of pixels in [0, 1].
    """
    _, distance = distances.nearest(_flat(images), _flat(train))
    return {**mean_and_error(distance), "quantiles": np.quantile(distance, QUANTILES).tolist()}


def parzen_window(made: np.ndarray, validation: np.ndarray, real: np.ndarray) -> dict[str, float]:
    """The Parzen-window log-likelihood in nats of real images under made ones, all uint8.

    The last of `validation` choose sigma.

    Raises:
      InputError: there is none of them.
    """
    if not len(validation):
        raise InputError("no images are left to choose the width of the window by")
    made = _flat(made)
    sigma = parzen.choose_sigma(_flat(validation[-PARZEN_VALIDATION:]), made)
    return {**mean_and_error(parzen.log_likelihood(_flat(real), made, sigma)), "sigma": sigma}


def representation(
    model, train: Split, real: Split, left_out: LeftOut | None = None
) -> dict[str, Any]:
    """How much of the label a linear classifier reads off q(z|x)'s mean, and off simpler features.

    Args:
      model: has `encode`.
      train: images and labels that the linear classifier learns from.
      real: those that it is tested on.
      left_out: takes what cannot be measured, and why.

    Raises:
      InputError: a probe cannot be measured, and no `left_out` is given.
    """

    def latent_means(images):
        return np.concatenate([model.encode(b).mean() for b in features.batches(images)])

    pixels = _flat(train.images), _flat(real.images)
    num_components = min(model.latent_dim, *pixels[0].shape)
    pairs = {
        "latent_means": lambda: (latent_means(train.images), latent_means(real.images)),
        "pixels": lambda: pixels,
        "principal_components": lambda: probe.principal_components(*pixels, num_components),
    }
    found = {
        "num_train": len(train),
        "num_images": len(real),
        "num_dims": model.latent_dim,
        "num_components": num_components,
        "probe": f"standardized, at most {probe.MAX_ITERATIONS} iterations of lbfgs, C of "
        f"{', '.join(map(str, probe.INVERSE_REGULARIZATION))} by a fifth of the training images",
    }
    for of, pair in pairs.items():
        name = f"probe_of_{of}"
        with unless_measured(left_out, name):
            known, unknown = pair()
            hits = probe.linear_probe(known, train.labels, unknown, real.labels)
            found[name] = mean_and_error(hits)
    return found


def reconstruction(
    model, net: FeatureNet | None, real: Split, left_out: LeftOut | None = None
) -> dict[str, Any]:
    """What is left of images that are encoded and decoded again.

    Args:
      model: has `reconstruct`.
      net: a classifier; without one how well classes are kept is not measured.
      real: the images.
      left_out: takes what cannot be measured, and why.

    Returns:
      Euclidean distances of pixels in [0, 1], from an image to its reconstruction and, to compare,
      to the reconstruction of the next image; and how often the net sees an image's class in its
      reconstruction, and in itself.

    Raises:
      InputError: reconstructions are not images; or a figure cannot be measured, and no `left_out`
        is given.
    """
    parts = zip(*(features.batches(a) for a in (real.images, real.labels)), strict=True)
    made = [
        features.in_bytes(np.asarray(model.reconstruct(x, *([y] if model.conditional else []))))
        for x, y in parts
    ]
    x, rebuilt = _flat(real.images), _flat(np.concatenate(made))
    found = {"num_images": len(real)}
    for name, of_images in (("own", rebuilt), ("next", np.roll(rebuilt, -1, axis=0))):
        distance = np.linalg.norm(x - of_images, axis=-1)
        found[f"distance_to_{name}_reconstruction"] = mean_and_error(distance)
    if net is None:
        return found
    with unless_measured(left_out, *CLASSES_SEEN):
        _check_classifies(net, model)
        for name, images in zip(CLASSES_SEEN, (made, features.batches(real.images)), strict=True):
            found[name] = mean_and_error(np.argmax(net.see(images)[1], -1) == real.labels)
    return found


def of_sampler(diagnostics: Sequence[dict[str, np.ndarray]]) -> dict[str, Any]:
    """What the sampler of a composed model says of itself, averaged over batches of samples.

    Args:
      diagnostics: of each batch: name -> a number, or one of each class, [K] (not finite: unknown).
    """
    found = {}
    for name in diagnostics[0]:
        values = np.array([of_batch[name] for of_batch in diagnostics])
        if values.ndim == 1:
            found[name] = mean_and_error(values)
            continue
        known = [column[np.isfinite(column)] for column in values.T]
        found[f"{name}_per_class"] = [mean_and_error(v) if len(v) else None for v in known]
    return found


def samples(
    model,
    net: FeatureNet | None,
    split: Callable[[str], Split],
    held_out: str,
    num_images: int,
    seed: int,
    left_out: LeftOut,
    new_classifier: Callable[[], keras.Model] | None = None,
    with_parzen: bool = False,
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
      with_parzen: whether the Parzen-window log-likelihood is wanted.

    Raises:
      InputError: samples are not images.
    """
    every, real = split("train"), split(held_out)
    num_images = min(num_images, len(real), len(every))
    real, train = real.first(num_images), every.first(num_images)
    labels = labels_as_often(model, real.labels)
    drawn, speed, diagnostics = [], [], []
    begin = time.perf_counter()
    for batch, of_batch in features.draws(model, num_images, seed, labels):
        speed.append(len(batch) / (time.perf_counter() - begin))
        drawn.append(features.in_bytes(batch))  # less than in floats
        diagnostics.append(of_batch)
        begin = time.perf_counter()
    fake = Split(np.concatenate(drawn), labels)
    own, floor = {}, {}
    own["samples_per_second"] = mean_and_error(speed[1:] or speed)  # the first one warms up
    with left_out.unless_measured(*diagnostics[0]):
        own.update(of_sampler(diagnostics))
    num_sets = len(every) // num_images  # whole ones, for the floor
    if net is not None:
        with left_out.unless_measured(*figures_in_features(model)):
            _in_features(
                own,
                floor,
                model,
                net,
                drawn,
                labels,
                real,
                every.first(num_sets * num_images),
                seed,
                left_out,
            )
    if labels is not None and new_classifier is not None:
        with left_out.unless_measured("cas"):
            for into, made in ((own, fake), (floor, train)):
                into["cas"] = classification_accuracy_score(new_classifier, made, real, seed)
    for into, images in ((own, fake.images), (floor, real.images)):
        with left_out.unless_measured("sharpness"):
            into["sharpness"] = mean_and_error(quality.sharpness(images))
        few = images[:NEIGHBOUR_QUERIES]
        with left_out.unless_measured("nearest_training_distance"):
            into["nearest_training_distance"] = nearest_training_images(few, every.images)
        with left_out.unless_measured("distinct"):
            radius = distances.copy_radius(real.images[:NEIGHBOUR_QUERIES])
            into["distinct"] = {"mean": distances.distinct(few, radius), "standard_error": None}
    if with_parzen:
        # images that are neither scored nor samples of the floor
        choosing = split("validation").images if held_out == "test" else every.images[num_images:]
        with left_out.unless_measured("parzen_nats"):
            for into, made in ((own, fake), (floor, train)):
                into["parzen_nats"] = parzen_window(made.images, choosing, real.images)
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
    of_classes = ("class_fidelity", "fid_per_class") if model.conditional else ()
    return (*quality.IN_FEATURES, "inception_score", *of_classes)


def _in_features(own, floor, model, net, drawn, labels, real, others, seed, left_out) -> None:
    """Adds what a net sees in batches of samples, and in other real images, to both sides."""
    of_real, p_real = net.see(features.batches(real.images))
    of_others, _ = net.see(features.batches(others.images))
    of_train = of_others[: len(real)]
    of_fake, p_fake = net.see(drawn)
    own.update(quality.compare(of_real, of_fake, seed, left_out))
    floor.update(quality.compare(of_real, of_train, seed, left_out))
    if "fid" in floor:
        floor["fid"] = quality.fid_floor(of_real, of_others) or floor["fid"]
    # the floor of these two: real images themselves
    sides = ((own, p_fake, labels), (floor, p_real, real.labels))
    with left_out.unless_measured("inception_score"):
        _check_classifies(net)
        for into, p, _ in sides:
            into["inception_score"] = quality.inception_score(p, seed)
    if labels is None:
        return
    with left_out.unless_measured("class_fidelity"):
        _check_classifies(net, model)
        for into, p, y in sides:
            into.update(class_fidelity(p, y))
    count, least = range(model.num_classes), of_real.shape[1] + 1
    with left_out.unless_measured("fid_per_class"):
        for into, x, y in ((own, of_fake, labels), (floor, of_train, others.labels[: len(real)])):
            found = [
                quality.fid_of_class(of_real[real.labels == k], x[y == k], seed) for k in count
            ]
            if any(found):
                into["fid_per_class"] = found
            if few := found.count(None):
                left_out.add(
                    f"{few} of {len(found)} classes have too few images for {least - 1} features "
                    f"({least} at least)",
                    "fid_per_class",
                )


def _check_classifies(net: FeatureNet, model=None) -> None:
    """Raises InputError where a net tells no classes apart, or others than those of a model."""
    if net.probabilities is None:
        raise InputError(f"{net.name} does not classify")
    if model is not None and net.num_classes != model.num_classes:
        raise InputError(f"{net.name} knows other classes than {model.name}")


def categories(model, train: Split, real: Split) -> dict[str, Any]:
    """How well categories that were found without labels tell classes apart.

    Each stands for the class of most of its training images (Chen et al. 2016, arXiv:1606.03657,
    section 7.2).

    Args:
      model: has `categorize`.
      train: images, and labels by which categories are named.
      real: those whose labels are guessed so.
    """

    def category(images):
        found = [np.argmax(model.categorize(b), -1) for b in features.batches(images)]
        return np.concatenate(found)

    seen = category(train.images)
    counts = np.zeros((seen.max() + 1, train.labels.max() + 1), int)
    np.add.at(counts, (seen, train.labels), 1)
    stands_for = {c: counts[c].argmax() for c in np.unique(seen)}
    hits = np.array([stands_for.get(c, -1) for c in category(real.images)]) == real.labels
    return {
        "num_train": len(train),
        "num_images": len(real),
        "classes_found": len(set(stands_for.values())),
        "accuracy_of_categories": mean_and_error(hits),
    }


def mode_coverage(
    model,
    mixture: Mixture,
    split: Callable[[str], Split],
    held_out: str,
    num_images: int,
    seed: int,
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
    """
    real = split(held_out).first(num_images)
    labels = labels_as_often(model, real.labels)
    made, known = modes.sample(model, len(real), seed, labels), modes.in_levels(real.images)
    own, floor = modes.figures(made, mixture), modes.figures(known, mixture)
    if labels is not None:  # the nearest centre is the best judge that there is
        for into, points, y in ((own, made, labels), (floor, known, real.labels)):
            nearest, _ = modes.nearest(points, mixture)
            into.update(class_fidelity(np.eye(mixture.num_modes)[nearest], y))
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
    with_parzen: bool = False,
    seed: int = 0,
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
      mixture: what the data were drawn from, where that is known: samples are judged by its modes,
        without a net.
      new_classifier: gives an untrained classifier, for the classification accuracy score.
      with_parzen: whether the Parzen-window log-likelihood is wanted.
      seed: random seed.

    Returns:
      The parts of the figures by name; and, where a figure or a part that applies could not be
      measured, `left_out`: its name -> why.

    Raises:
      InputError: nothing could be measured.
    """
    real = split(held_out).first(num_images)
    if not len(real):
        raise InputError(f"there are no {held_out} images to measure on")
    if net is not None and net.image_shape != model.image_shape:
        no_net = (
            f"{net.name} sees images of shape {net.image_shape}, and those of {model.name} are of "
            f"shape {model.image_shape}"
        )
        net = None
    result, left_out = {}, LeftOut()

    def measure(part, function, *arguments):
        with left_out.unless_measured(part):
            found = function(*arguments)
            of = found["model"] if part == "samples" else found
            if any(isinstance(value, dict) for value in of.values()):  # figures with their errors
                result[part] = found

    if "classify" in model.can:
        model.seed = seed  # of a bound's noise, where p(y|x) is made of one
        measure("classification", accuracy, model, real)
    if "log_prob" in model.can:
        measure("likelihood", likelihood, model, real, num_samples, seed, left_out)
    if "sample" in model.can and mixture is not None:
        measure("samples", mode_coverage, model, mixture, split, held_out, num_images, seed)
    elif "sample" in model.can:
        if net is None:
            left_out.add(no_net, *figures_in_features(model))
        of_samples = (held_out, num_images, seed, left_out, new_classifier, with_parzen)
        measure("samples", samples, model, net, split, *of_samples)
    if "reconstruct" in model.can and mixture is None:
        if net is None:
            left_out.add(no_net, *CLASSES_SEEN)
        measure("reconstruction", reconstruction, model, net, real, left_out)
    by_labels = {}
    if "encode" in model.can and not model.conditional:  # codes that were told the label
        by_labels["representation"] = functools.partial(representation, left_out=left_out)
    if "categorize" in model.can and mixture is None:
        by_labels["categories"] = categories
    for part, function in by_labels.items():
        train = split("train").first(num_images)
        if len(np.unique(train.labels)) > 1:
            measure(part, function, model, train, real)
        else:
            left_out.add("the training images are of one class, or without labels", part)
    if not result:
        reasons = "; ".join(dict.fromkeys(left_out.values())) or "it has no figures"
        raise InputError(f"nothing of {model.name} could be measured: {reasons}")
    return {**result, "left_out": dict(left_out)} if left_out else result


def protocol(seed: int, held_out: str, found: dict[str, Any]) -> dict[str, Any]:
    """What figures depend on beside features and numbers of images, for the record.

    Args:
      seed: random seed.
      held_out: the split of the real images.
      found: what `samples` returned.
    """
    choosing = "validation" if held_out == "test" else "further training"
    return {
        **quality.protocol(seed, found["num_floor_sets"]),
        "neighbour_queries": min(NEIGHBOUR_QUERIES, found["num_images"]),
        "cas": f"the zoo's classifier, {CAS_EPOCHS} epochs of batches of {CAS_BATCH}",
        "cas_error": "of the test images, not of the one training",
        "parzen": f"sigma by at most {PARZEN_VALIDATION} {choosing} images out of 10 from 0.1 to 1",
        "images": "samples are rounded to 8 bits",
    }


def _flat(images: np.ndarray) -> np.ndarray:
    """Pixels in [0, 1] as vectors: float32 [N, D]."""
    return images.reshape(len(images), -1) / np.float32(255)

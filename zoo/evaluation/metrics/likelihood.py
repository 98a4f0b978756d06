"""The log-likelihood of images in nats and bits per dimension, or lower bounds on it.

Exact where a model has it; else the ELBO with its terms, and the K-sample bound (Burda et al. 2016,
arXiv:1509.00519, eq. 8), beside which stands how many of its K draws count: where one draw
outweighs all others, more draws would raise the bound. A diffusion has the ELBO alone, a mean over
noise levels, and so has a prior of codes in any order, over orders: some draws are enough. Real
images have no likelihood of their own, which would be a floor. Errors are of the images.
"""

import numpy as np
import tensorflow as tf

from zoo.data import Split, pipeline
from zoo.evaluation.intervals import mean_and_error
from zoo.evaluation.left_out import LeftOut, unless_measured
from zoo.evaluation.metric import BATCH, OfModel, Question

ELBO = ("elbo_nats", "reconstruction_nats", "kl_nats", "diffusion_nats", "prior_nats")
EFFECTIVE = "effective_sample_size"


def log_likelihoods(
    model, split: Split, num_samples: int, seed: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Log p(x), or log p(x|y) where the model is conditional, of each image in nats, [N].

    Args:
      model: has `log_prob`, which `exact` says not to be a bound or to be one, and, where it was
        trained by a bound, `losses` with `elbo_nats` and its terms.
      split: the images.
      num_samples: K of a bound; of a diffusion noise levels.
      seed: of the latents.

    Returns:
      The log-likelihoods or K-sample bounds; and by name, where the model has them, the ELBO, its
      terms, and the effective sample size of K draws.
    """
    weighs = num_samples > 1 and "importance" in model.can
    terms = [name for name in ELBO if name in (*model.tracked, *model.validated)]
    batch = pipeline.EXACT_BATCH if model.exact else BATCH
    measure = model.importance_bound if weighs else model.log_prob
    bound = tf.function(lambda x, y, s: measure(x, y, num_samples, s), autograph=False)
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
    log_p, found = np.concatenate(log_p), {name: np.concatenate(v) for name, v in found.items()}
    if model.averaged:  # the others are the same for all draws, but for next to nothing
        found["elbo_nats"] = log_p
        if "diffusion_nats" in found:
            found["diffusion_nats"] = found["reconstruction_nats"] - found["prior_nats"] - log_p
        elif "kl_nats" in found:
            found["kl_nats"] = found["reconstruction_nats"] - log_p
    return log_p, found


def likelihood(
    model, split: Split, num_samples: int, seed: int, left_out: LeftOut | None = None
) -> dict:
    """The figures of `log_likelihoods`: means in nats and bits per dimension, with their errors.

    Args:
      model: as that of `log_likelihoods`.
      split: the images.
      num_samples: K of a bound; of a diffusion noise levels. At most the model's `most_draws`.
      seed: of the latents.
      left_out: takes what is not finite of these images.

    Raises:
      InputError: a figure is not finite, and no `left_out` is given.
    """
    num_samples = min(num_samples, model.most_draws or num_samples)
    if model.num_measured and model.num_measured < len(split):
        split = split.subset(model.num_measured)
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
        values = found
        if not model.averaged:
            values = {"iwae_bound_nats": log_p, "iwae_bound_bits_per_dim": bits(log_p), **found}
        if "elbo_nats" in found:
            values["elbo_bits_per_dim"] = bits(found["elbo_nats"])
    for name, of_images in values.items():
        with unless_measured(left_out, name):
            result[name] = mean_and_error(of_images, draws=True)
    return result


def _measure(of: Question) -> dict:
    return likelihood(of.model, of.real, of.num_samples, of.seed, of.left_out)


METRIC = OfModel("likelihood", "log_prob", _measure)

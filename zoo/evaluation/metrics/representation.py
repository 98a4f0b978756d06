"""How much of the label a linear classifier reads off a model's codes, and off simpler features.

A probe of q(z|x)'s mean beside one of as many principal components and one of the pixels: what a
code is worth is its gain over these. Errors are of the images.
"""

from typing import Any

import numpy as np

from zoo.data import Split
from zoo.evaluation import distances, features, probe
from zoo.evaluation.intervals import mean_and_error
from zoo.evaluation.left_out import LeftOut, unless_measured
from zoo.evaluation.metric import OfModel, Question


def representation(
    model, train: Split, real: Split, left_out: LeftOut | None = None
) -> dict[str, Any]:
    """The accuracies of three probes.

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

    pixels = distances.flat(train.images), distances.flat(real.images)
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
            found[name] = mean_and_error(hits, draws=True)
    return found


def _measure(of: Question) -> dict:
    return representation(of.model, of.train(), of.real, of.left_out)


# codes that were told the label say nothing of the image
METRIC = OfModel("representation", "encode", _measure, of_labels=True, if_conditional=False)

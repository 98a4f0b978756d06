"""The Parzen-window log-likelihood of the first GAN papers (Goodfellow et al. 2014), in nats.

The log-density of real images under a Gaussian at each sample, whose width is chosen by other
images. Higher is better, but it says little: soft images score higher, and so do samples that real
images in their place do not reach. It is measured where it is asked for.
"""

import numpy as np

from zoo.errors import InputError
from zoo.evaluation import distances, parzen
from zoo.evaluation.intervals import mean_and_error
from zoo.evaluation.metric import Comparison, OfSamples

CHOOSING = 1000  # images that choose sigma


def parzen_window(fake: np.ndarray, choosing: np.ndarray, real: np.ndarray) -> dict:
    """The log-likelihood in nats of real images under others, all uint8 [N, H, W, C].

    Raises:
      InputError: there are no images to choose sigma by.
    """
    if not len(choosing):
        raise InputError("no images are left to choose the width of the window by")
    fake = distances.flat(fake)
    sigma = parzen.choose_sigma(distances.flat(choosing[:CHOOSING]), fake)
    values = parzen.log_likelihood(distances.flat(real), fake, sigma)
    return {**mean_and_error(values, draws=True), "sigma": sigma}


def _of(c: Comparison, fake: np.ndarray) -> dict:
    return {"parzen_nats": parzen_window(fake, c.choosing(), c.real.images)}


METRIC = OfSamples(
    names=("parzen_nats",),
    of_samples=lambda c: _of(c, c.fake.images),
    of_floor=lambda c: _of(c, c.first_others.images),
    protocol={"sigma": f"by at most {CHOOSING} other images, out of 10 from 0.1 to 1"},
    asked_for=True,
)

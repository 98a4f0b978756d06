"""The Parzen-window log-likelihood of the first GAN papers (Breuleux et al. 2011).

A Gaussian of width sigma sits on each sample, and test images are scored by their mixture. Kept to
compare with those papers only: it says little about a model (Theis et al. 2016, section 3.3).
"""

import math
from collections.abc import Sequence

import numpy as np

_CHUNK = 100


def log_likelihood(images: np.ndarray, samples: np.ndarray, sigma: float) -> np.ndarray:
    """Log 1/M sum_j N(x; s_j, sigma^2 I) in nats, [N], of images [N, D] and samples [M, D]."""
    d = images.shape[1]
    images, samples = (np.asarray(a, np.float32) for a in (images, samples))
    norms = (samples**2).sum(1)
    result = []
    for i in range(0, len(images), _CHUNK):
        x = images[i : i + _CHUNK]
        squares = (x**2).sum(1)[:, None] + norms[None] - 2 * x @ samples.T
        exponent = -squares.astype(np.float64) / (2 * sigma**2)
        top = exponent.max(1, keepdims=True)
        total = np.log(np.exp(exponent - top).sum(1)) + top[:, 0]
        result.append(total - math.log(len(samples)))
    return np.concatenate(result) - d / 2 * math.log(2 * math.pi * sigma**2)


def choose_sigma(
    validation: np.ndarray, samples: np.ndarray, candidates: Sequence[float] | None = None
) -> float:
    """The width under which validation images [N, D] are likeliest."""
    candidates = np.logspace(-1, 0, 10) if candidates is None else candidates
    scores = [log_likelihood(validation, samples, s).mean() for s in candidates]
    return float(candidates[int(np.argmax(scores))])

"""The Frechet distance of features (Heusel et al. 2017, arXiv:1706.08500): how far samples are off.

    FID = |m_r - m_g|^2 + tr(C_r + C_g - 2 (C_r^1/2 C_g C_r^1/2)^1/2)

Lower is better. It needs more images on each side than there are features, and is biased upwards by
small sets, so that only figures of equally many images compare. Its error is the bootstrap's over
both sets, and too large where the distance is near 0. The floor is the mean over disjoint sets of
real images, and its error the spread of one such set.
"""

import numpy as np

from zoo.evaluation import distances
from zoo.evaluation.intervals import bootstrap, of_bootstrap
from zoo.evaluation.metric import Comparison, OfSamples

BOOTSTRAPS = 20


def fid(real: np.ndarray, fake: np.ndarray, seed: int = 0) -> dict:
    """The FID of features [N, D] and [M, D], with its error.

    Raises:
      InputError: too few images, or features that are not finite.
    """
    value = distances.fid(real, fake)
    draws = bootstrap(distances.fid, real, fake, repeats=BOOTSTRAPS, seed=seed)
    return of_bootstrap(value, draws)


def floor(real: np.ndarray, others: np.ndarray, seed: int = 0) -> dict:
    """The FID of real images against each of several disjoint sets of others.

    Args:
      real: features [N, D].
      others: features of more real images, [M, D]; as many sets of N as there are.
      seed: of the bootstrap, where there is one set alone.
    """
    n = len(real)
    values = [distances.fid(real, others[i : i + n]) for i in range(0, len(others) - n + 1, n)]
    if len(values) < 2:
        return fid(real, others[:n], seed)
    return {"mean": float(np.mean(values)), "standard_error": float(np.std(values, ddof=1))}


def _of_samples(c: Comparison) -> dict:
    return {"fid": fid(c.of_real[0], c.of_fake[0], c.seed)}


def _of_floor(c: Comparison) -> dict:
    return {"fid": floor(c.of_real[0], c.of_others[0], c.seed)}


METRIC = OfSamples(
    names=("fid",),
    of_samples=_of_samples,
    of_floor=_of_floor,
    protocol={
        "covariance": "unbiased, divided by N - 1",
        "error": f"{BOOTSTRAPS} bootstraps of both sides; floor: spread of disjoint sets",
    },
    in_features=True,
)

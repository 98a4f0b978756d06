"""The kernel distance of features (Binkowski et al. 2018, arXiv:1801.01401): FID without its bias.

    KID = MMD^2 with the kernel k(x, y) = (x.y / D + 1)^3

Lower is better; sets of one distribution have 0 on average, and may have less. It is the mean over
disjoint parts of both sets, and so is its error.
"""

from zoo.evaluation import distances
from zoo.evaluation.intervals import mean_and_error
from zoo.evaluation.metric import Comparison, OfSamples

PARTS = 10


def kid(real, fake) -> dict:
    """The KID of features [N, D] and [M, D] in random order, with its error.

    Raises:
      InputError: as `distances.kid`.
    """
    return mean_and_error(distances.kid(real, fake, PARTS), draws=PARTS)


def _of_samples(c: Comparison) -> dict:
    return {"kid": kid(c.of_real[0], c.of_fake[0])}


def _of_floor(c: Comparison) -> dict:
    return {"kid": kid(c.of_real[0], c.of_others[0][: len(c.real)])}


METRIC = OfSamples(
    names=("kid",),
    of_samples=_of_samples,
    of_floor=_of_floor,
    protocol={"parts": PARTS, "kernel": "(x.y/D + 1)^3"},
    in_features=True,
)

"""The sample metrics of one protocol: two sets of features -> numbers with their intervals."""

import dataclasses
from typing import Any

import numpy as np

from zoo.evaluation import distances
from zoo.evaluation.intervals import bootstrap_error, jackknife_error, mean_and_error
from zoo.evaluation.left_out import LeftOut, unless_measured

NEIGHBOURLY = tuple(field.name for field in dataclasses.fields(distances.Manifold))
IN_FEATURES = ("fid", "kid", *NEIGHBOURLY)  # what `compare` finds
PARTS = 10  # disjoint parts of both sets, for KID and for errors
BOOTSTRAPS = 20


def compare(
    real: np.ndarray, fake: np.ndarray, seed: int = 0, left_out: LeftOut | None = None
) -> dict[str, Any]:
    """FID, KID, precision, recall, density and coverage of features [N, D] and [M, D].

    Each comes with its standard error: of FID by the bootstrap over both sets (too large where the
    distance is near 0); of KID, which is the mean over disjoint parts of both sets, over these; of
    the others by the jackknife that leaves out one part of both sets at a time, because one image
    lies in the balls of many, and the balls grow when images are fewer. In the classifier's
    features of gan, vae and cgan the jackknife gives 0.8 to 2.4 times the spread of independent
    sets, of 1,000 and of 5,000 images, and mostly somewhat too much.

    Args:
      real: features [N, D].
      fake: features [M, D].
      seed: of the order, and of the errors' draws.
      left_out: takes what cannot be measured of these images, and why.

    Raises:
      InputError: too few images, or features that are not finite, and no `left_out` is given.
    """
    rng = np.random.default_rng(seed)  # sets may be ordered: MNIST's test images are, by writers
    real, fake = (np.asarray(x)[rng.permutation(len(x))] for x in (real, fake))
    found = {}
    with unless_measured(left_out, "fid"):
        found["fid"] = fid(real, fake, seed)
    with unless_measured(left_out, "kid"):
        found["kid"] = mean_and_error(distances.kid(real, fake, PARTS))
    with unless_measured(left_out, *NEIGHBOURLY):
        for name, values in dataclasses.asdict(distances.manifold(real, fake, PARTS)).items():
            error = jackknife_error(values[1:])
            found[name] = {"mean": float(values[0]), "standard_error": error}
    return found


def fid(real: np.ndarray, fake: np.ndarray, seed: int = 0) -> dict[str, float]:
    """The FID with its bootstrap error.

    Raises:
      InputError: as `distances.fid`.
    """
    error = bootstrap_error(distances.fid, real, fake, repeats=BOOTSTRAPS, seed=seed)
    return {"mean": distances.fid(real, fake), "standard_error": error}


def fid_floor(real: np.ndarray, others: np.ndarray) -> dict[str, float] | None:
    """The FID of a set of real images against each of several others: mean, and spread of one.

    Args:
      real: features [N, D].
      others: features of more real images, [M, D]; as many disjoint sets of N as there are.

    Returns:
      The mean and, as the error, the standard deviation: what one more set would differ by. None
      where there are not two sets.
    """
    n = len(real)
    values = [distances.fid(real, others[i : i + n]) for i in range(0, len(others) - n + 1, n)]
    if len(values) < 2:
        return None
    return {"mean": float(np.mean(values)), "standard_error": float(np.std(values, ddof=1))}


def inception_score(probabilities: np.ndarray, seed: int = 0) -> dict[str, float]:
    """The score of p(y|x), [N, K], with its bootstrap error."""
    score = distances.inception_score
    error = bootstrap_error(score, probabilities, repeats=BOOTSTRAPS, seed=seed)
    return {"mean": score(probabilities), "standard_error": error}


def fid_of_class(real: np.ndarray, fake: np.ndarray, seed: int = 0) -> dict[str, float] | None:
    """The FID of as many images on each side; None where they are too few for a covariance."""
    count = min(len(real), len(fake))
    return fid(real[:count], fake[:count], seed) if count > real.shape[1] else None


def sharpness(images: np.ndarray) -> np.ndarray:
    """Variance of the Laplacian of each image, [N]: blurred images have less (Pech-Pacheco 2000).

    Noise counts as sharpness too, so only a value near that of real images speaks for a model.

    Args:
      images: uint8 [N, H, W, C]; the unit is that of squared grey levels in [0, 1].
    """
    x = images / np.float32(255)
    inner = x[:, 1:-1, 1:-1]
    laplacian = x[:, :-2, 1:-1] + x[:, 2:, 1:-1] + x[:, 1:-1, :-2] + x[:, 1:-1, 2:] - 4 * inner
    return laplacian.var(axis=(1, 2, 3))


def protocol(seed: int, num_floor_sets: int) -> dict[str, Any]:
    """What the numbers of `compare` depend on beside the features, for the record."""
    of_floor = "; floor: spread of disjoint sets" if num_floor_sets > 1 else ""
    return {
        "covariance": "unbiased, divided by N - 1",
        "fid_error": f"{BOOTSTRAPS} bootstraps of both sides{of_floor}",
        "kid": f"mean of {PARTS} disjoint random parts, kernel (x.y/D + 1)^3",
        "errors_of_neighbours": f"jackknife over {PARTS} parts of both sides, mostly too large",
        "neighbours": distances.NEIGHBOURS,
        "seed": seed,
    }

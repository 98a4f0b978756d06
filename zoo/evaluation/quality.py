"""The sample metrics of one protocol: two sets of features -> numbers with their intervals."""

from typing import Any

import numpy as np

from zoo.evaluation import distances
from zoo.evaluation.intervals import bootstrap_error, mean_and_error

KID_SUBSETS, KID_SIZE = 50, 1000
BOOTSTRAPS = 20


def compare(real: np.ndarray, fake: np.ndarray, seed: int = 0) -> dict[str, Any]:
    """FID, KID, precision, recall, density and coverage of features [N, D] and [M, D].

    Each comes as its mean and standard error: of FID by the bootstrap over both sets; of KID over
    the random subsets; of the others over images, as if the balls were given.

    Raises:
      InputError: too few images, or features that are not finite.
    """
    size = min(KID_SIZE, len(real) // 2, len(fake) // 2)  # subsets must differ to show an error
    found = distances.manifold(real, fake)
    return {
        "fid": {
            "mean": distances.fid(real, fake),
            "standard_error": bootstrap_error(
                distances.fid, real, fake, repeats=BOOTSTRAPS, seed=seed
            ),
        },
        "kid": mean_and_error(distances.kid(real, fake, KID_SUBSETS, size, seed)),
        **{
            name: mean_and_error(getattr(found, name))
            for name in ("precision", "recall", "density", "coverage")
        },
    }


def inception_score(probabilities: np.ndarray, seed: int = 0) -> dict[str, float]:
    """The score of p(y|x), [N, K], with its bootstrap error."""
    score = distances.inception_score
    error = bootstrap_error(score, probabilities, repeats=BOOTSTRAPS, seed=seed)
    return {"mean": score(probabilities), "standard_error": error}


def fid_or_none(real: np.ndarray, fake: np.ndarray) -> float | None:
    """The FID, or None where a set is too small for a covariance."""
    if min(len(real), len(fake)) <= real.shape[1]:
        return None
    return distances.fid(real, fake)


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


def protocol(seed: int) -> dict[str, Any]:
    """What the numbers of `compare` depend on beside the features, for the record."""
    return {
        "covariance": "unbiased, divided by N - 1",
        "fid_error": f"{BOOTSTRAPS} bootstraps of both sides",
        "kid": f"{KID_SUBSETS} subsets of {KID_SIZE} (half a smaller set), kernel (x.y/D + 1)^3",
        "neighbours": distances.NEIGHBOURS,
        "seed": seed,
    }

"""How sure a number is."""

import math
from collections.abc import Callable

import numpy as np

from zoo.errors import InputError


def mean_and_error(values: np.ndarray) -> dict[str, float | None]:
    """The mean of independent values, and its standard error (None of a single value).

    Raises:
      InputError: there is no value, or one is not finite.
    """
    values = np.asarray(values, np.float64)
    if not len(values):
        raise InputError("there are no images")
    if lost := np.count_nonzero(~np.isfinite(values)):
        raise InputError(f"{lost} of {len(values)} values are not finite")
    error = float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else None
    return {"mean": float(values.mean()), "standard_error": error}


def bootstrap_error(
    statistic: Callable[..., float], *sets: np.ndarray, repeats: int = 50, seed: int = 0
) -> float | None:
    """The standard error of `statistic(*sets)`, each set drawn anew with replacement.

    Only the spread is used: resampling biases a distance itself upwards. None where a set is a
    single example, which can only be drawn again.
    """
    if min(map(len, sets)) < 2:
        return None
    rng = np.random.default_rng(seed)
    values = [
        statistic(*(x[rng.integers(len(x), size=len(x))] for x in sets)) for _ in range(repeats)
    ]
    return float(np.std(values, ddof=1))


def jackknife_error(values: np.ndarray) -> float:
    """The standard error of a statistic, from its values without one part of the data each [G].

    The delete-a-group jackknife: (G - 1)/G sum_g (v_g - mean)^2 (Efron & Tibshirani 1993, eq. 11.5,
    with groups in place of single examples).
    """
    values = np.asarray(values, np.float64)
    return float(values.std() * math.sqrt(len(values) - 1))

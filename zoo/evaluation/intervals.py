"""How sure a number is, and how sure a difference of two is.

A figure is a mean with its standard error. Where it depends on real images that other models are
held against too, it keeps `draws`: what it is for several draws of these images. A difference of
two models then is surer than their errors would say, as both are wrong in the same way.
"""

import math
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

from zoo.errors import InputError

PARTS = 50  # of images, whose means a figure keeps


def mean_and_error(values: np.ndarray, draws: bool | int = False) -> dict[str, Any]:
    """The mean of independent values, and its standard error (None of a single value).

    Args:
      values: [N].
      draws: whether they are of real images, in an order that is the same for every model: the
        means of 50 parts are kept. A number: of as many parts they are the means already.

    Raises:
      InputError: there is no value, or one is not finite.
    """
    values = np.asarray(values, np.float64)
    if not len(values):
        raise InputError("there are no images")
    if lost := np.count_nonzero(~np.isfinite(values)):
        raise InputError(f"{lost} of {len(values)} values are not finite")
    error = float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else None
    found = {"mean": float(values.mean()), "standard_error": error}
    if draws and len(values) > 1:
        parts = np.array_split(values, PARTS if draws is True else int(draws))
        found |= _draws("parts", [part.mean() for part in parts if len(part)])
    return found


def of_each_class(values: np.ndarray, labels: np.ndarray, num_classes: int) -> list[dict | None]:
    """The mean of each class, with its error; None where it has no image."""
    classes = [values[labels == k] for k in range(num_classes)]
    return [mean_and_error(v) if len(v) else None for v in classes]


def bootstrap(
    statistic: Callable[..., float],
    real: np.ndarray,
    *own: np.ndarray,
    repeats: int = 50,
    seed: int = 0,
) -> np.ndarray | None:
    """`statistic(real, *own)` of sets that are each drawn anew with replacement, [repeats].

    Real images are drawn alike for every model, and a model's own sets in a way of their own. Only
    the spread is used: resampling biases a distance itself upwards. None where a set is a single
    example, which can only be drawn again.
    """
    if min(map(len, (real, *own))) < 2:
        return None
    of_own = zlib.crc32(b"".join(np.ascontiguousarray(x).tobytes() for x in own))
    common, alone = np.random.default_rng([seed, 0]), np.random.default_rng([seed, 1, of_own])

    def drawn(x, rng):
        return x[rng.integers(len(x), size=len(x))]

    return np.array(
        [statistic(drawn(real, common), *(drawn(x, alone) for x in own)) for _ in range(repeats)]
    )


def of_bootstrap(value: float, draws: np.ndarray | None) -> dict[str, Any]:
    """A figure whose error is the spread of bootstrap draws."""
    if draws is None:
        return {"mean": value, "standard_error": None}
    error = float(np.std(draws, ddof=1))
    return {"mean": value, "standard_error": error, **_draws("bootstrap", draws)}


def of_jackknife(value: float, without: np.ndarray) -> dict[str, Any]:
    """A figure whose error is the delete-a-group jackknife's.

    (G - 1)/G sum_g (v_g - mean)^2 (Efron & Tibshirani 1993, eq. 11.5, with groups in place of
    single examples).

    Args:
      value: of all data.
      without: of the data without one of G groups each, [G].
    """
    error = _ERRORS["jackknife"](np.asarray(without, np.float64))
    return {"mean": value, "standard_error": error, **_draws("jackknife", without)}


_ERRORS = {
    "bootstrap": lambda v: float(v.std(ddof=1)),
    "parts": lambda v: float(v.std(ddof=1) / math.sqrt(len(v))),
    "jackknife": lambda v: float(v.std() * math.sqrt(len(v) - 1)),
}


def _draws(kind: str, values) -> dict[str, Any]:
    """As a record keeps them, to six digits."""
    return {"draws": {kind: [float(f"{v:.6g}") for v in values]}}


def difference(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """One figure minus another, with its standard error.

    Args:
      one: a figure of a record.
      other: the same of another model, measured alike on the same real images.

    Returns:
      `mean`, `standard_error`, and `paired`: whether the error is of the same draws of real images
      on both sides; else the sides count as independent.
    """
    found = {"mean": one["mean"] - other["mean"], "standard_error": None, "paired": False}
    a, b = (of.get("draws") or {} for of in (one, other))
    for kind, error in _ERRORS.items():
        if kind in a and kind in b and len(a[kind]) == len(b[kind]) > 1:
            apart = np.subtract(a[kind], b[kind])
            return {**found, "standard_error": error(apart), "paired": True}
    errors = (one["standard_error"], other["standard_error"])
    if None not in errors:
        found["standard_error"] = math.hypot(*errors)
    return found

"""How sampling goes: samples a second, network calls, and what a sampler says of itself."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from zoo.evaluation.intervals import mean_and_error
from zoo.evaluation.metric import Comparison, OfSamples


def of_sampler(diagnostics: Sequence[dict[str, np.ndarray]]) -> dict[str, Any]:
    """What a sampler says of itself, averaged over batches of samples.

    Args:
      diagnostics: of each batch: name -> a number, or one of each class, [K] (not finite: unknown).
    """
    found = {}
    for name in diagnostics[0]:
        values = np.array([of_batch[name] for of_batch in diagnostics])
        if values.ndim == 1:
            found[name] = mean_and_error(values)
            continue
        known = [column[np.isfinite(column)] for column in values.T]
        found[f"{name}_per_class"] = [mean_and_error(v) if len(v) else None for v in known]
    return found


def per_second(speeds: Sequence[float]) -> dict[str, float]:
    """Samples a second, of batches of which the first warms up."""
    return mean_and_error(speeds[1:] or speeds)


def _of_samples(c: Comparison) -> dict:
    found = {"samples_per_second": per_second(c.speeds)}
    if "calls" in c.model.can:
        calls = c.model.num_calls(**c.sampler)
        found["network_calls"] = {"mean": calls, "standard_error": None}
    with c.left_out.unless_measured(*c.diagnostics[0]):
        found |= of_sampler(c.diagnostics)
    return found


METRIC = OfSamples(
    names=("samples_per_second", "network_calls", "acceptance"), of_samples=_of_samples
)

"""`zoo.train`: from Python all that the command does, and a result in place of an exit code."""

import dataclasses
import difflib
import pathlib
from collections.abc import Sequence
from typing import Any

from zoo.core import config
from zoo.data import sources
from zoo.errors import InputError
from zoo.hub import loading
from zoo.training import callbacks, defaults, loop, workdirs


@dataclasses.dataclass(frozen=True)
class Result:
    """How a run ended.

    Attributes:
      workdir: where everything is written.
      status: "done"; "diverged" (or collapsed, where that ends a run); "stopped" by a signal such
        as Ctrl-C, and the same call goes on; or "disk full".
      history: what each epoch logged, as `metrics.jsonl` has it.
    """

    workdir: pathlib.Path
    status: str
    history: list[dict[str, Any]]

    def load(self) -> Any:
        """The trained model; see `zoo.load`."""
        return loading.load(self.workdir)


def train(
    model: str,
    data: Any = None,
    workdir: Any = "",
    more: Sequence[Any] = (),
    preset: str = "",
    **settings: Any,
) -> Result:
    """See `zoo.train`."""
    dataset = None
    if data is not None and not isinstance(data, str):
        shares = [v if (v := settings.get(n, -1)) >= 0 else None for n in defaults.SPLITS]
        dataset = data if isinstance(data, sources.Dataset) else sources.of_arrays(data, *shares)
        data = sources.ARRAYS
    parts = defaults.settings_of(model, data or "", preset)
    given = {"dataset": data or "", "workdir": str(workdir), **settings}
    known = [{f.name for f in dataclasses.fields(part)} for part in parts]
    for name in given:
        if not any(name in names for names in known):
            near = difflib.get_close_matches(name, set().union(*known), 1)
            also = f"; did you mean {near[0]}?" if near else ""
            raise InputError(f"{model} has no setting {name!r}{also}")
    options, recipe, run = (
        config.make(
            type(part),
            {**dataclasses.asdict(part), **{k: v for k, v in given.items() if k in names}},
        )
        for part, names in zip(parts, known, strict=True)
    )
    if preset:
        print(defaults.of_preset(model, preset, given))
    code = loop.train(model, dataclasses.asdict(options), recipe, run, dataset, more, set(given))
    place = workdirs.of(model, run)
    status = {0: "done", 1: "disk full", loop.DIVERGED: "diverged"}.get(code, "stopped")
    history = callbacks.MetricsFile.read(place / "metrics.jsonl")
    return Result(place, status, history)

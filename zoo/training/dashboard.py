"""Where TensorBoard shows what a run logs, so that what matters comes first.

There are two runs, `train` and `validation`. TensorBoard sorts tags by their names and opens the
first two groups, which are `losses` and `samples`. Scalars that belong together, such as those of
each class, are also lines of one chart under Custom Scalars: elsewhere a chart is one tag, and its
lines are runs, of which there would be as many as classes.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.custom_scalar import summary as custom_scalars
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams import summary as hparams

from zoo.evaluation import modes

RUNS = ("train", "validation")
RUNS_OF_BEFORE = ("floor", "equilibrium")  # which version 0.1 had too
GROUPS = ("losses", "samples", "samples_checks", "samples_floor", "statistics", "weights")
# the first of the hyperparameters, which are sorted by these names -> what is shown
FIRST = {"model": "model", "step_size": "learning_rate", "steps": "steps"}
_SAMPLES = {"fid", "kid", *modes.SCALARS}
_CHECKS = {
    "absent_classes",
    "class_fidelity",
    "class_fidelity_of",
    "class_share",
    "distinct",
    "high_quality_of",
}
_LOSSES = ("loss", "bits_per_dim", "accuracy", "value")  # ends of names
_FIGURES = {  # of HParams, in this order
    "samples/fid": "FID",
    "samples/kid": "KID",
    "losses/loss": "loss",
    "losses/bits_per_dim": "bits per dimension",
    "losses/accuracy": "accuracy",
    "losses/d_loss": "d_loss",
    "losses/g_loss": "g_loss",
}


def is_known(tag: str) -> bool:
    """Whether scalars, pictures or histograms of today have such a tag: version 0.1 had others."""
    group, slash, _ = tag.partition("/")
    return bool(slash) and group in GROUPS


def scalars(values: dict[str, Any], main_run: str) -> Iterator[tuple[str, str, float]]:
    """TensorBoard's run, tag and number of all that an epoch has logged.

    Args:
      values: numbers, or lists or dictionaries of numbers, by the name that is logged.
      main_run: where all that is measured of samples is shown.
    """
    for name, value in values.items():
        grouped = isinstance(value, list | dict)
        run, tag = _place(name, grouped, main_run)
        if isinstance(value, list):
            value = {f"{i:02d}": v for i, v in enumerate(value)}
        for key, v in (value if grouped else {"": value}).items():
            yield run, _in_unicode(f"{tag}/{key}" if grouped else tag), v


def _place(name: str, grouped: bool, main_run: str) -> tuple[str, str]:
    """The run and the tag of a name that is logged, without what a group of numbers adds."""
    if name == "equilibrium_value":
        return "train", "losses/value_equilibrium"
    if name.startswith("floor_"):
        return main_run, f"samples_floor/{name.removeprefix('floor_')}"
    run = "validation" if name.startswith("val_") else "train"
    name = name.removeprefix("val_")
    if name in _SAMPLES:
        return main_run, f"samples/{name}"
    if name in _CHECKS:
        return main_run, f"samples_checks/{name}"
    if name.endswith(_LOSSES) and not grouped:
        return run, f"losses/{name}"
    return run, f"statistics/{name}"


def _in_unicode(name: str) -> str:
    """A name, of a folder for one, in which what UTF-8 has no code for is escaped."""
    return name.encode(errors="backslashreplace").decode()


def layout(tags: Iterable[str]):
    """The summary that puts scalars which belong together into one chart; None if none do.

    Args:
      tags: of all scalars.
    """
    found = set(tags)
    floors, each = "Beside the floor", "Each class, latent dimension, layer or time"
    charts = {floors: {}, each: {}}
    for tag in sorted(found):
        group, name, *keys = tag.split("/", 2)
        if keys:
            title = f"{name}, floor" if group == "samples_floor" else name
            charts[each][title] = [f"{re.escape(f'{group}/{name}')}/"]
        elif f"samples_floor/{name}" in found and group in ("samples", "samples_checks"):
            charts[floors][name] = [f"{tag}$", f"samples_floor/{name}$"]
    if "losses/value_equilibrium" in found:
        charts[floors]["value"] = ["losses/value$", "losses/value_equilibrium$"]
    categories = [
        layout_pb2.Category(
            title=title,
            chart=[
                layout_pb2.Chart(title=name, multiline=layout_pb2.MultilineChartContent(tag=tags))
                for name, tags in of.items()
            ],
        )
        for title, of in charts.items()
        if of
    ]
    return custom_scalars.pb(layout_pb2.Layout(category=categories)) if categories else None


def experiment(settings: dict[str, Any]):
    """The summary that says what HParams shows, and what of that comes first.

    TensorBoard shows what differs first, and then sorts by names.

    Args:
      settings: numbers, strings and booleans, with those of `FIRST`.
    """

    def kind(value):
        if isinstance(value, bool):
            return api_pb2.DATA_TYPE_BOOL
        return api_pb2.DATA_TYPE_STRING if isinstance(value, str) else api_pb2.DATA_TYPE_FLOAT64

    infos = [
        api_pb2.HParamInfo(
            name=name, display_name=FIRST.get(name, name), type=kind(value), differs=name in FIRST
        )
        for name, value in settings.items()
    ]
    figures = [
        api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag), display_name=name)
        for tag, name in _FIGURES.items()
    ]
    return hparams.experiment_pb(infos, figures)

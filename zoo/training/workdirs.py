"""Workdirs: what belongs to a run there, and whether a run may go on in one."""

import contextlib
import json
import os
import pathlib
import shutil
import tempfile
from typing import Any

import filelock

from zoo import data
from zoo.core import files
from zoo.data import toy
from zoo.errors import InputError, brief
from zoo.hub import folders, loading, pretrained
from zoo.recipes import Run
from zoo.training import boards, dashboard, inputs, strategies

# in this order --overwrite deletes: a folder with its settings can be overwritten again
_WRITES = (
    "checkpoints",
    "evaluation.json",  # by evaluate.py, of weights that go
    "metrics.jsonl",
    "summary.json",
    "logs",
    "samples",
    "saved_model",
    "config.json",
)
# what a run that was killed may have left unfinished, by folder; others write only beside these
_UNFINISHED = (
    ("checkpoints", "*"),
    ("samples", "*epoch_*"),
    *((f"logs/{run}", "*") for run in dashboard.RUNS),
    ("", "config.json.*"),
    ("", "metrics.jsonl.*"),
    ("", "summary.json.*"),
    ("", "saved_model*"),
)
# data that has moved is known by its digest; the epochs count where step sizes decay over them, or
# stages are a part of them
_MAY_CHANGE = {
    "epochs",
    "checkpoint_steps",
    "versions",
    "earlier_versions",
    "workdir",
    "overwrite",
    "data_dir",
    "stop_on_collapse",
    "skip_broken",
    "broken_files",
}
_DIGESTS = {  # what is compared by its SHA-256
    "dataset_digest": "dataset_digest, the SHA-256 of images and labels",
    "init_from": "init_from, the SHA-256 of the weights that training began with",
    "classifier": "classifier, the SHA-256 of the weights of the one that judges samples",
}


def of(model_name: str, run: Run) -> pathlib.Path:
    """Where a run writes: as it was told, or by the names of the model and the data."""
    name = data.short_name(data.name_of(run.dataset, run.data_dir))
    return pathlib.Path(run.workdir or f"runs/{model_name}-{name}")


@contextlib.contextmanager
def writable(
    workers: strategies.Workers, workdir: pathlib.Path, settings: dict[str, Any], overwrite: bool
):
    """Where this process writes: the workdir, or, if it is not the chief, a folder for now.

    All workers take part in all that the chief does, because some of it is computed together.

    Raises:
      InputError: the workdir cannot be the chief's.
    """
    with contextlib.ExitStack() as stack:
        if workers.is_chief:
            try:
                stack.enter_context(_prepared(workdir, settings, overwrite))
            except (InputError, OSError):
                workers.all_have(1)
                raise
            workers.all_have(0)
            yield workdir
        else:
            # no worker reads the workdir before the chief is done
            if not workers.all_have(0):
                raise InputError(f"the chief cannot write to {workdir}, and says why")
            place = pathlib.Path(tempfile.gettempdir()) / "worker"
            written = stack.enter_context(files.unfinished(place))
            written.mkdir(mode=0o700)
            if (log := workdir / "metrics.jsonl").is_file():  # alarms count what was before
                shutil.copy(log, written)
            yield written


@contextlib.contextmanager
def _prepared(workdir: pathlib.Path, settings: dict[str, Any], overwrite: bool):
    """The workdir, locked, with `config.json`: new, or of the same settings as before.

    Raises:
      InputError: it belongs to another run, in configuration or in time, or to other software.
    """
    path = workdir / folders.CONFIG
    settings = json.loads(json.dumps(settings))
    if workdir.exists() and not workdir.is_dir():
        raise InputError(f"{workdir} is no folder: choose another --workdir")
    if os.path.lexists(path) and overwrite:
        loading.check_is_of_run(path)
    elif os.path.lexists(path):
        if different := differences(*map(usual, (loading.read_config(workdir), settings))):
            raise InputError(
                f"{workdir} was trained with other settings ({'; '.join(different)}): "
                "choose another --workdir"
            )
    elif strangers := [n for n in _WRITES if (workdir / n).exists()]:
        raise InputError(
            f"{workdir} holds {strangers[0]} but no config.json, so it is no run of train.py: "
            "choose another --workdir"
        )
    workdir.mkdir(parents=True, exist_ok=True)
    files.set_aside(workdir / ".lock", folder=False)
    with contextlib.ExitStack() as locked:
        try:
            locked.enter_context(filelock.FileLock(workdir / ".lock", timeout=0))
        except filelock.Timeout:
            raise InputError(f"another run is writing to {workdir}") from None
        for folder, name in _UNFINISHED:
            files.remove_leftovers(workdir / folder, name)
        if overwrite:
            for name in _WRITES:
                files.remove(workdir / name)
        _set_right(workdir)
        if not path.exists():
            files.write_json(path, settings)
        yield


def _set_right(workdir: pathlib.Path) -> None:
    """Moves aside what lies where a run writes something of another kind."""
    logs, samples = workdir / "logs", workdir / "samples"
    runs = [logs / name for name in (*dashboard.RUNS, *dashboard.RUNS_OF_BEFORE)]
    for path in (workdir / "checkpoints", workdir / "saved_model", samples, logs, *runs):
        files.set_aside(path, folder=True)
    written = [workdir / name for name in ("metrics.jsonl", "summary.json", "evaluation.json")]
    written += [logs / "train" / name for name in boards.PROJECTOR_FILES]
    for path in (*written, *samples.glob("*.png")):
        files.set_aside(path, folder=False)


def write_settings(path: pathlib.Path, settings: dict[str, Any]) -> None:
    """Writes the settings with which a run is trained from now on, and of before the versions."""
    old = files.read_json(path)
    earlier = old.get("earlier_versions", [])
    if "versions" in old and old["versions"] != settings["versions"]:
        earlier = [*earlier, old["versions"]]
    files.write_json(path, {**settings, **({"earlier_versions": earlier} if earlier else {})})


def usual(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings with the digest of data, of first weights and of the judge in place of their names.

    However they are called and wherever they lie, they are the same then. The names of the toy data
    matter, as their mixtures are known.
    """
    run, digest = settings["run"], settings["dataset_digest"]
    judge = settings.get("classifier_sha256") or run["classifier"]
    with contextlib.suppress(InputError):  # a run without a judge needs no manifest
        if not judge and (name := inputs.pretrained_classifier(digest)):
            judge = pretrained.entry(name.name)["sha256"]
    run = {
        **run,
        "dataset": run["dataset"] if run["dataset"] in toy.MIXTURES else "",
        "image_size": 0,
        "init_from": settings.get("initial_weights_sha256") or run["init_from"],
        "classifier": judge,
    }
    return {k: v for k, v in settings.items() if not k.endswith("_sha256")} | {"run": run}


def differences(old: Any, new: Any, name: str = "") -> list[str]:
    """What is not as it was, in words, of that which may not change.

    Args:
      old: settings of before, or one of them.
      new: settings of now, likewise.
      name: of the one.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        fixed = new.get("decay", "none") != "none" or new.get("prior_epochs", 0)
        may_change = _MAY_CHANGE - ({"epochs"} if fixed else set())
        keys = [k for k in {**old, **new} if k not in may_change]
        return [d for k in keys for d in differences(old.get(k), new.get(k), k)]
    if old == new:
        return []
    old, new = (v if isinstance(v, str) and v else brief(v) for v in (old, new))
    return [f"{_DIGESTS.get(name, name)}: {old} then, {new} now"]

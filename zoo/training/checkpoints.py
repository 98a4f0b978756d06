"""Checkpoints from which a run goes on to the same bits: atomic, whole or refused.

One file holds every variable that the next step depends on: weights, both optimizers' state, the
state of every random seed (which no Keras format saves) and the running means. It is a NumPy
archive, so each array carries a checksum, and reading it executes nothing.
"""

import json
import pathlib
import re
from typing import Any

import numpy as np

from zoo.core import files
from zoo.core.arrays import digest
from zoo.errors import InputError

_NAME = "step_{:09d}.npz"
_META = "meta"


class Damaged(InputError):
    """A checkpoint that is truncated, altered or of another model."""


class Diverged(Exception):
    """A weight is not finite: training has diverged, and this state is not worth keeping."""


def state(model) -> dict[str, Any]:
    """All variables of a compiled model that training reads, by a name that is stable.

    Keys start with `weights/`, `seeds/`, `metrics/` or `optimizer<i>/`. They count on, and use no
    paths, because Keras numbers layers by how many the process has made before.
    """
    metrics = [v for m in model.metrics for v in m.variables]
    optimizers = [model.optimizer, getattr(model, "discriminator_optimizer", None)]
    weights = {id(v) for v in model.weights} - {id(v) for v in metrics}
    groups = {
        "weights": [v for v in model.variables if id(v) in weights and not _is_seed(v)],
        "seeds": [v for v in model.variables if _is_seed(v)],
        "metrics": metrics,
        **{f"optimizer{i}": o.variables for i, o in enumerate(optimizers) if o is not None},
    }
    return {f"{group}/{i:04d}": v for group, vs in groups.items() for i, v in enumerate(vs)}


def _is_seed(variable) -> bool:
    return variable.path.endswith("seed_generator_state")


class Manager:
    """The checkpoints of one run: the last `keep`, and the best."""

    def __init__(self, folder: pathlib.Path, keep: int = 3):
        """Args: folder, made when the first checkpoint is written; keep, how many last ones."""
        self.folder = pathlib.Path(folder)
        self.keep = keep
        self.best_path = self.folder / "best.npz"

    def steps(self) -> list[int]:
        """Steps of the checkpoints at hand, newest first."""
        found = [re.fullmatch(r"step_(\d+)\.npz", p.name) for p in self.folder.glob("step_*.npz")]
        return sorted((int(m[1]) for m in found if m), reverse=True)

    def path(self, step: int) -> pathlib.Path:
        """Where the checkpoint of a step lies."""
        return self.folder / _NAME.format(step)

    def save(self, model, step: int, score: float | None = None, *, seconds: float = 0.0) -> None:
        """Writes the state after `step` steps, and drops the oldest beyond `keep`.

        Args:
          model: compiled.
          step: number of training steps done.
          score: what the best checkpoint has least of; None where it was not measured.
          seconds: that an epoch which is not at its end took so far.

        Raises:
          Diverged: a weight is not finite. Nothing is written.
          OSError: the disk is full, say. What was there stays whole.
        """
        arrays = {k: np.asarray(v) for k, v in state(model).items()}
        for name, a in arrays.items():
            if name.startswith("weights/") and not np.isfinite(a).all():
                raise Diverged(f"after step {step} {state(model)[name].path} is not finite")
        self.folder.mkdir(parents=True, exist_ok=True)
        meta = {"step": step, "score": score, "seconds": seconds, "sha256": digest(arrays)}
        content = {**arrays, _META: np.array(json.dumps(meta))}
        # the best one first: a kill in between must not let a run go on past an epoch unjudged
        if score is not None and score < self.best_score():
            files.write_atomically(self.best_path, lambda f: np.savez(f, **content))
        files.write_atomically(self.path(step), lambda f: np.savez(f, **content))
        for old in self.steps()[self.keep :]:
            self.path(old).unlink()

    def best(self) -> dict[str, Any]:
        """`step` and `score` of the best checkpoint; 0 and infinite before there is one."""
        try:
            return read(self.best_path)[0]
        except (FileNotFoundError, Damaged):
            return {"step": 0, "score": float("inf")}

    def best_score(self) -> float:
        """The score of the best checkpoint; infinite before there is one."""
        return float(self.best()["score"])

    def restore(self, model, report=print) -> tuple[int, float]:
        """Brings back the newest whole checkpoint.

        Args:
          model: compiled, as it was when the checkpoint was written.
          report: called with a line for each damaged file that is passed over.

        Returns:
          The number of steps done, 0 when there is no checkpoint, and the seconds that the epoch
          took in which the last one lies, 0 at its end.

        Raises:
          InputError: there are checkpoints, and every one is damaged.
        """
        steps = self.steps()
        try:
            read(self.best_path)
        except FileNotFoundError:
            pass
        except Damaged as e:
            report(f"damaged best checkpoint: {e}; the best of the epochs to come replaces it")
        for step in steps:
            try:
                meta, arrays = read(self.path(step))
                _assign(self.path(step), state(model), arrays)
                return meta["step"], meta.get("seconds", 0.0)
            except Damaged as e:
                report(f"damaged checkpoint passed over: {e}")
        if steps:
            raise InputError(
                f"every checkpoint in {self.folder} is damaged; start with --overwrite"
            )
        return 0, 0.0

    def restore_weights(self, model, report=print) -> int:
        """Brings back only the weights, of the best checkpoint or else of the newest whole one.

        Raises:
          InputError: there is none.
        """
        for path in [self.best_path, *map(self.path, self.steps())]:
            try:
                meta, arrays = read(path)
                assign_weights(path, model, arrays)
                return meta["step"]
            except FileNotFoundError:
                continue
            except Damaged as e:
                report(f"damaged checkpoint passed over: {e}")
        raise InputError(f"{self.folder} holds no whole checkpoint: nothing was trained here yet")


def read(path: pathlib.Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """A checkpoint's meta data and its arrays.

    Raises:
      FileNotFoundError: there is none.
      Damaged: it is not what was written.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {k: archive[k] for k in archive.files}
        meta = json.loads(str(arrays.pop(_META)))
    except FileNotFoundError:
        raise
    except Exception as e:  # a flipped bit can end in any error of zipfile's, zlib's or NumPy's
        raise Damaged(f"{path} cannot be read ({e})") from None
    if digest(arrays) != meta.get("sha256"):
        raise Damaged(f"{path} is not what was written: its checksum differs")
    return meta, arrays


def weights_of(model) -> dict[str, np.ndarray]:
    """The weights among a model's `state`, as arrays."""
    return {k: np.asarray(v) for k, v in state(model).items() if k.startswith("weights/")}


def assign_weights(path, model, arrays: dict[str, np.ndarray]) -> None:
    """Gives a model the weights among `arrays`, which come from `path`.

    Raises:
      Damaged: they are not this model's.
    """
    variables = {k: v for k, v in state(model).items() if k.startswith("weights/")}
    _assign(path, variables, {k: v for k, v in arrays.items() if k.startswith("weights/")})


def _assign(path, variables: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    if unmatched := sorted(set(variables) ^ set(arrays)):
        raise Damaged(f"{path} is of another model: {unmatched[0]} has no counterpart")
    for name, v in variables.items():
        if tuple(v.shape) != arrays[name].shape:
            raise Damaged(f"{path} is of another model: {name} has shape {arrays[name].shape}")
    for name, v in variables.items():
        v.assign(arrays[name])

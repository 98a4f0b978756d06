"""Checkpoints from which a run goes on to the same bits: atomic, whole or refused.

One file holds every variable that the next step depends on: weights, both optimizers' state, the
state of every random seed (which no Keras format saves) and the running means. It is a NumPy
archive, so each array carries a checksum, and reading it executes nothing. It also says which
settings the weights belong to: a likelihood or a loss changes no shape.
"""

import contextlib
import dataclasses
import json
import math
import pathlib
import re
import textwrap
from collections.abc import Callable
from typing import Any

import numpy as np

from zoo import registry
from zoo.core import config, files, schemas
from zoo.core.arrays import digest
from zoo.errors import InputError, brief
from zoo.hub import names

_NAME = "step_{:09d}.npz"
_PATTERN = re.compile(r"step_(\d+)\.npz")
_META = "meta"
_OPTIMIZERS = ("optimizer", "discriminator_optimizer")
_OF_0_1 = re.compile(r"(weights|seeds|metrics|optimizer[01])/\d{4,}")


class Damaged(InputError):
    """A checkpoint that is truncated, altered or of another model."""


class OtherSettings(Damaged):
    """A checkpoint that is whole, and of other settings than those that are asked for."""


class Diverged(Exception):
    """A weight is not finite: training has diverged, and this state is not worth keeping."""


def state(model) -> dict[str, Any]:
    """All variables of a compiled model that training reads, by name (see `zoo/hub/names.py`).

    Names start with `weights/`, `seeds/`, `metrics/`, `optimizer/` or `discriminator_optimizer/`,
    and with `average/` where the weights have a moving average.
    """
    weights = names.of_weights(model)
    groups = {
        "weights": weights,
        "seeds": names.of_seeds(model),
        "metrics": names.of_metrics(model),
    }
    if (average := model.weight_average) is not None:
        name_of = {id(v): name for name, v in weights.items()}
        groups["average"] = {name_of[id(w)]: a for a, w in average.pairs}
    for attribute in _OPTIMIZERS:
        if (optimizer := getattr(model, attribute, None)) is not None:
            groups[attribute] = names.of_optimizer(optimizer, weights)
    return {f"{group}/{name}": v for group, vs in groups.items() for name, v in vs.items()}


def state_by_position(model) -> dict[str, Any]:
    """The same variables as version 0.1 called them: by group and number, in Keras' order."""
    metrics = [v for m in model.metrics for v in m.variables]
    optimizers = [getattr(model, attribute, None) for attribute in _OPTIMIZERS]
    weights = {id(v) for v in model.weights} - {id(v) for v in metrics}
    groups = {
        "weights": [v for v in model.variables if id(v) in weights and not names.is_seed(v)],
        "seeds": [v for v in model.variables if names.is_seed(v)],
        "metrics": metrics,
        **{f"optimizer{i}": o.variables for i, o in enumerate(optimizers) if o is not None},
    }
    return {f"{group}/{i:04d}": v for group, vs in groups.items() for i, v in enumerate(vs)}


def _named(model, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays under the names of `state`, of a file of now or of version 0.1."""
    if not all(map(_OF_0_1.fullmatch, arrays)):
        return arrays
    name_of = {id(v): name for name, v in state(model).items()}
    new = {old: name_of[id(v)] for old, v in state_by_position(model).items()}
    return {new.get(old, old): a for old, a in arrays.items()}


class Manager:
    """The checkpoints of one run: the last `keep`, and the best."""

    def __init__(self, folder: pathlib.Path, keep: int = 3):
        """Args: folder, made when the first checkpoint is written; keep, how many last ones."""
        self.folder = pathlib.Path(folder)
        self.keep = keep
        self.best_path = self.folder / "best.npz"

    def steps(self) -> list[int]:
        """Steps of the checkpoints at hand, newest first, as their names say."""
        names = {p.name for p in self.folder.glob("step_*.npz")}
        steps = {int(m[1]) for m in map(_PATTERN.fullmatch, names) if m}
        return sorted((s for s in steps if self.path(s).name in names), reverse=True)

    def newest_step(self) -> int:
        """The step of the newest checkpoint that is whole; 0 where none is."""
        steps = [0]
        for path in [self.best_path, *map(self.path, self.steps())]:
            with contextlib.suppress(FileNotFoundError, Damaged):
                steps.append(read(path)[0]["step"])
        return max(steps)

    def path(self, step: int) -> pathlib.Path:
        """Where the checkpoint of a step lies."""
        return self.folder / _NAME.format(step)

    def save(self, model, step: int, score: float | None = None, *, seconds: float = 0.0) -> None:
        """Writes the state after `step` steps, and drops the oldest beyond `keep`.

        Those of later steps, which could not be read, do not count; training comes to them again.

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
        settings = settings_of(model)
        meta = {"step": step, "score": score, "seconds": seconds, "sha256": digest(arrays)}
        meta |= {"settings": settings} if settings else {}
        content = {**arrays, _META: np.array(json.dumps(meta))}
        # the best one first: a kill in between must not let a run go on past an epoch unjudged
        if score is not None and score < self.best_score(settings):
            _make_way(self.best_path)
            files.write_atomically(self.best_path, lambda f: np.savez(f, **content))
        _make_way(self.path(step))
        files.write_atomically(self.path(step), lambda f: np.savez(f, **content))
        for old in [s for s in self.steps() if s <= step][self.keep :]:
            if self.path(old).is_file():
                self.path(old).unlink()

    def best_score(self, settings: dict[str, Any] | None = None) -> float:
        """The score of the best checkpoint; infinite before there is one of these settings."""
        try:
            meta = read(self.best_path)[0]
            check_settings(self.best_path, meta, settings)
        except (FileNotFoundError, Damaged):
            return float("inf")
        score = meta["score"]
        return float("inf") if score is None or math.isnan(score) else float(score)

    def restore(self, model, report: Callable[[str], None] = files.warn) -> tuple[int, float]:
        """Brings back the newest whole checkpoint, or the best one where no other is whole.

        Args:
          model: compiled, as it was when the checkpoint was written.
          report: called with a line for each damaged file that is passed over.

        Returns:
          The number of steps done, 0 when there is no checkpoint, and the seconds that the epoch
          took in which the last one lies, 0 at its end.

        Raises:
          InputError: there are checkpoints, and every one is damaged or of other settings.
        """
        found, refused = list(map(self.path, self.steps())), []
        try:
            read(self.best_path)
            found.append(self.best_path)
        except FileNotFoundError:
            pass
        except Damaged as e:
            refused.append(e)
            report(f"damaged best checkpoint: {e}; the best of the epochs to come replaces it")
        for path in found:
            try:
                meta, arrays = read(path)
                check_settings(path, meta, settings_of(model))
                _assign(path, state(model), _named(model, arrays))
            except (FileNotFoundError, Damaged) as e:
                refused.append(e)
                report(_passed_over(path, e))
                continue
            if path == self.best_path:
                report(f"no other is whole: the best checkpoint, of step {meta['step']}, is used")
            return meta["step"], meta.get("seconds", 0.0)
        if refused:
            raise self._none(refused)
        return 0, 0.0

    def restore_weights(self, model, report: Callable[[str], None] = files.warn) -> int:
        """Brings back only the weights, of the best checkpoint or else of the newest whole one.

        Raises:
          InputError: there is none.
        """
        refused = []
        for path in [self.best_path, *map(self.path, self.steps())]:
            try:
                meta, arrays = read(path)
                check_settings(path, meta, settings_of(model))
                assign_weights(path, model, arrays)
                return meta["step"]
            except FileNotFoundError as e:
                if path != self.best_path:
                    report(_passed_over(path, e))
            except Damaged as e:
                refused.append(e)
                report(_passed_over(path, e))
        if refused:
            raise self._none(refused)
        raise InputError(f"{self.folder} holds no whole checkpoint: nothing was trained here yet")

    def check_settings(self, settings: dict[str, Any]) -> None:
        """Raises InputError where all checkpoints that can be read are of other settings.

        That is known before a model of wrong settings, which may be huge, is made.
        """
        refused = []
        for path in [self.best_path, *map(self.path, self.steps())]:
            try:
                return check_settings(path, _read_meta(path), settings)
            except OtherSettings as e:
                refused.append(e)
            except (FileNotFoundError, Damaged):
                continue
        if refused:
            raise self._none(refused)

    def _none(self, refused: list[Exception]) -> InputError:
        """What to say where no checkpoint can be used, by the newest reason that helps."""
        for e in refused:
            if isinstance(e, OtherSettings):
                return InputError(f"{e}. Undo what was changed there, or name another --workdir")
        return InputError(
            f"every checkpoint in {self.folder} is damaged ({refused[-1]}): name another --workdir"
        )


def _passed_over(path: pathlib.Path, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return f"{path} is a link to nothing, and is passed over"
    kind = (
        "checkpoint of other settings" if isinstance(error, OtherSettings) else "damaged checkpoint"
    )
    return f"{kind} passed over: {error}"


def _make_way(path: pathlib.Path) -> None:
    files.set_aside(path, folder=False)


def read(path: pathlib.Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """A checkpoint's meta data and its arrays.

    Raises:
      FileNotFoundError: there is none.
      Damaged: it is not what was written.
    """
    arrays = {}
    meta = _read_meta(path, arrays)
    if digest(arrays) != meta["sha256"]:
        raise Damaged(f"{path} is not what was written: its checksum differs")
    return meta, arrays


def _read_meta(path: pathlib.Path, arrays: dict[str, np.ndarray] | None = None) -> dict[str, Any]:
    """A checkpoint's meta data; its arrays are added to `arrays`, where that is given."""
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise Damaged(f"{path} is no file")
    try:
        with np.load(path, allow_pickle=False) as archive:
            meta = files.parse_json(str(archive[_META]))
            if arrays is not None:
                arrays.update((k, archive[k]) for k in archive.files if k != _META)
        schemas.check(meta, schemas.META, "its meta data")
    except FileNotFoundError:
        raise
    except Exception as e:  # a flipped bit can end in any error of zipfile's, zlib's or NumPy's
        raise Damaged(f"{path} cannot be read ({textwrap.shorten(str(e), 200)})") from None
    name = _PATTERN.fullmatch(path.name)
    if name and int(name[1]) != meta["step"]:
        raise Damaged(f"{path} holds step {meta['step']}, which is not the one of its name")
    return meta


def settings_of(model) -> dict[str, Any] | None:
    """What the weights of a model belong to, as it is written; None of a model from elsewhere."""
    if model.name not in registry.MODELS:
        return None
    shared = {"image_shape": model.image_shape, "num_classes": model.num_classes}
    settings = {"model": model.name, **shared, "config": dataclasses.asdict(model.config)}
    return json.loads(json.dumps(settings))


def check_settings(path, meta: dict[str, Any], settings: dict[str, Any] | None) -> None:
    """Raises OtherSettings where a checkpoint says that its weights belong to other settings.

    A setting that it does not know has what held then; one without settings has any.

    Args:
      path: of the checkpoint.
      meta: its meta data.
      settings: those that are asked for, of a `config.json` or `settings_of` a model.
    """
    then = meta.get("settings")
    if then is None or settings is None:
        return
    pairs = {k: (then[k], settings[k]) for k in ("model", "image_shape", "num_classes")}
    if then["model"] == settings["model"]:
        usual = json.loads(json.dumps(config.formerly(registry.config_class(then["model"])())))
        a, b = ({**usual, **s["config"]} for s in (then, settings))
        pairs |= {k: (a.get(k), b.get(k)) for k in {**a, **b}}
    for name, (old, new) in pairs.items():
        if old != new:
            raise OtherSettings(
                f"the weights in {path} were trained with {name}={brief(old)}, and "
                f"{path.parent.parent / 'config.json'} says {brief(new)}"
            )


def weights_of(model) -> dict[str, np.ndarray]:
    """The weights among a model's `state`, as arrays."""
    return {k: np.asarray(v) for k, v in state(model).items() if k.startswith("weights/")}


def weights_digest(model) -> str:
    """What the weights of a model are known by, whatever their names: a SHA-256.

    It is that of version 0.1, which went by position, so that a run of then goes on.
    """
    weights = state_by_position(model).items()
    return digest({k: np.asarray(v) for k, v in weights if k.startswith("weights/")})


def assign_weights(path, model, arrays: dict[str, np.ndarray]) -> None:
    """Gives a model the weights among `arrays`, which come from `path`: averages go first.

    Raises:
      Damaged: they are not this model's.
    """
    variables = {k: v for k, v in state(model).items() if k.startswith("weights/")}
    found = _named(model, {k: v for k, v in arrays.items() if k.startswith("weights/")})
    averages = {k for k in arrays if k.startswith("average/")}
    found |= {f"weights/{k.removeprefix('average/')}": arrays[k] for k in averages}
    _assign(path, variables, found)


def _part(name: str) -> str:
    """The attribute of a model to which a weight belongs: its encoder, say."""
    return name.split("/")[1]


def assign_fitting(path, model, arrays: dict[str, np.ndarray]) -> list[str]:
    """Gives a model those of the weights among `arrays` that fit by name and shape, from `path`.

    Where classes are others, or the colors of the images, the layers that see them differ.

    Returns:
      What is left as it was, in words: NAME with its shape and the shape there, or a whole part.

    Raises:
      Damaged: less than half of the weights fit, counted as numbers, of the smaller model.
    """
    variables = {k: v for k, v in state(model).items() if k.startswith("weights/")}
    shapes = {k: tuple(v.shape) for k, v in variables.items()}
    fitting = {k for k in variables if k in arrays and arrays[k].shape == shapes[k]}
    known = {_part(k) for k in arrays}

    def in_words(k: str) -> str:
        if _part(k) not in known:
            return f"all of {_part(k)}, not there"
        there = f"{arrays[k].shape} there" if k in arrays else "not there"
        return f"{k.removeprefix('weights/')} {shapes[k]}, {there}"

    left = list(dict.fromkeys(in_words(k) for k in variables if k not in fitting))
    here = sum(map(math.prod, shapes.values()))
    there = sum(a.size for a in arrays.values())  # a new part, such as a prior, may be large
    share = sum(math.prod(shapes[k]) for k in fitting) / min(here, there)
    if share < 0.5:
        raise Damaged(
            f"{path} is of another model: {share:.0%} of the weights fit, and half must ({left[0]})"
        )
    _assign(path, {k: variables[k] for k in fitting}, {k: arrays[k] for k in fitting})
    return left


def _assign(path, variables: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    if unmatched := sorted(set(variables) ^ set(arrays)):
        raise Damaged(f"{path} is of another model: {unmatched[0]} has no counterpart")
    for name, v in variables.items():
        if tuple(v.shape) != arrays[name].shape:
            raise Damaged(f"{path} is of another model: {name} has shape {arrays[name].shape}")
        if not np.can_cast(arrays[name].dtype, np.asarray(v).dtype, "same_kind"):
            raise Damaged(f"{path} is of another model: {name} is of {arrays[name].dtype}")
    for name, v in variables.items():
        v.assign(arrays[name])

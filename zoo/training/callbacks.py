"""What happens around the steps of `fit`: watching, logging, surviving."""

import json
import math
import pathlib
import signal
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from zoo import data
from zoo.core import files, schemas
from zoo.data import toy
from zoo.evaluation import modes
from zoo.hub import checkpoints
from zoo.training import monitor, strategies


class Interrupted(Exception):
    """A signal asked the run to stop; its state is saved."""

    def __init__(self, signal_number: int, step: int):
        super().__init__(f"stopped by {signal.Signals(signal_number).name} after step {step}")
        self.signal_number = signal_number


class StopWhenDiverged(keras.callbacks.Callback):
    """Raises `checkpoints.Diverged` at the first step whose loss is not finite."""

    def __init__(self, first_step: int):
        """Args: first_step, how many steps were done before."""
        super().__init__()
        self.step = first_step

    def on_train_batch_end(self, batch, logs=None):
        """The logged losses are running means: one bad value stays visible."""
        done = self.model.steps_per_execution
        self.step += done
        for name, value in logs.items():
            if name.endswith("loss") and not math.isfinite(float(value)):
                when = f"at step {self.step}"
                if done > 1:
                    when = f"in steps {self.step - done + 1} to {self.step}"
                raise checkpoints.Diverged(f"{when} the {name} is {float(value)}")


class KLPerDimension(keras.callbacks.Callback):
    """Adds `val_kl_per_dim_nats`, a list, to an epoch's logs: collapsed dimensions are near 0.

    And `prior_weights` of a model whose prior is a mixture, `val_posterior_weights` (averaged over
    the images) of one whose posterior is.
    """

    def __init__(self, split: data.Split):
        """Args: split, for validation."""
        super().__init__()
        self.split = split

    def on_epoch_end(self, epoch, logs=None):
        """The KL of each latent dimension, averaged over the images."""
        known = [self.split.images, *([self.split.labels] if self.model.conditional else [])]
        parts = [np.array_split(a, math.ceil(len(a) / 500)) for a in known]
        kl = np.concatenate([self.model.kl_per_dim(*p) for p in zip(*parts, strict=True)]).mean(0)
        logs["val_kl_per_dim_nats"] = [float(v) for v in kl]
        if getattr(self.model, "num_components", 1) > 1:
            pi = np.concatenate([self.model.posterior_weights(x) for x in parts[0]]).mean(0)
            logs["val_posterior_weights"] = [float(v) for v in pi]
        if getattr(self.model, "num_prior_components", 1) > 1:
            logs["prior_weights"] = [float(v) for v in self.model.prior_weights()]


class ErrorByTime(keras.callbacks.Callback):
    """Adds `val_error_by_time`, a list, to an epoch's logs: at ten times from noise to images."""

    NUM_IMAGES = 128

    def __init__(self, split: data.Split):
        """Args: split, for validation, of which the first images are taken."""
        super().__init__()
        self.split = split.first(self.NUM_IMAGES)

    def on_epoch_end(self, epoch, logs=None):
        """The mean error of the network at each of ten times."""
        labels = self.split.labels if self.model.conditional else None
        found = self.model.error_by_time(self.split.images, labels)
        logs["val_error_by_time"] = [float(v) for v in found]


class Modes(keras.callbacks.Callback):
    """Adds `modes_covered` and `high_quality` of 2,500 samples to an epoch's logs.

    And `high_quality_of` each mode: the share of the samples that are good and lie in it.
    """

    def __init__(self, mixture: toy.Mixture):
        """Args: mixture, what the data were drawn from."""
        super().__init__()
        self.mixture = mixture

    def on_epoch_end(self, epoch, logs=None):
        """From the same latents in every epoch."""
        found = modes.of_one_set(self.model, self.mixture)
        logs.update(modes.scalars(found))
        counts = enumerate(found["high_quality_per_mode"])
        logs["high_quality_of"] = {str(mode): count / modes.SET for mode, count in counts}


class Averages(keras.callbacks.Callback):
    """Puts the average of the weights in their place for all that an epoch's end looks at.

    It comes right before the checkpoint, which has both, each in its place.
    """

    swapped = False

    def on_test_begin(self, logs=None):
        """Validation is the first."""
        if not self.swapped:
            self.model.weight_average.swap()
            self.swapped = True

    def on_epoch_end(self, epoch, logs=None):
        """Training goes on with the weights themselves."""
        if self.swapped:
            self.model.weight_average.swap()
            self.swapped = False


class MetricsFile(keras.callbacks.Callback):
    """`metrics.jsonl`: one line an epoch, written anew as a whole so that it is never torn."""

    def __init__(self, path: pathlib.Path, steps_per_epoch: int, seconds: float = 0.0):
        """Keeps the lines that are already there for earlier epochs.

        Args:
          path: of the file.
          steps_per_epoch: of the whole run.
          seconds: that the first epoch took before it was interrupted.
        """
        super().__init__()
        self.path, self.steps_per_epoch, self.before = path, steps_per_epoch, seconds
        self.skipped: list[str] = []  # what was said of lines that are not kept
        self.records = self.read(path, self.skipped.append)
        for line in self.skipped:
            files.warn(line)

    @staticmethod
    def read(path: pathlib.Path, report: Callable[[str], None] = files.warn) -> list[dict]:
        """The records in a file, one an epoch, in their order; lines that are none are left out.

        Args:
          path: of the file, which need not be there.
          report: called with a line that says what was left out.
        """
        try:
            lines = path.read_bytes().split(b"\n") if path.is_file() else []
        except OSError as e:
            report(f"{path} cannot be read ({e.strerror}), and is made again")
            return []
        records, left_out = {}, 0
        for line in filter(bytes.strip, lines):
            try:
                record = files.parse_json(line)
                schemas.check(record, schemas.EPOCH, path)
                records[record["epoch"]] = record
            except (ValueError, RecursionError):
                left_out += 1
        if left_out:
            what = "a line that is" if left_out == 1 else f"{left_out} lines that are"
            report(f"{path} has {what} no record of an epoch: made again without")
        return [records[epoch] for epoch in sorted(records)]

    def write(self) -> None:
        """Writes the records."""
        text = "".join(json.dumps(r) + "\n" for r in self.records)
        files.write_atomically(self.path, lambda f: f.write(text.encode()))

    def on_epoch_begin(self, epoch, logs=None):
        """Starts the clock."""
        self.start, self.before = time.perf_counter() - self.before, 0.0

    def seconds(self) -> float:
        """What the epoch took so far."""
        return round(time.perf_counter() - self.start, 3)

    def on_epoch_end(self, epoch, logs=None):
        """Adds a line."""
        values = {k: v if isinstance(v, list | dict) else float(v) for k, v in logs.items()}
        record = {
            "epoch": epoch + 1,
            "step": (epoch + 1) * self.steps_per_epoch,
            "seconds": self.seconds(),
            **values,
        }
        # an epoch that is run again, because a kill came before its checkpoint, replaces its line
        self.records = [r for r in self.records if r["epoch"] <= epoch] + [record]
        self.write()


class Console(keras.callbacks.ProgbarLogger):
    """Keras' line an epoch, with the few numbers that matter; `metrics.jsonl` has all of them.

    On a terminal there is a bar that moves. Groups of numbers are taken out of an epoch's logs, as
    callbacks from elsewhere expect none.
    """

    NAMES = (  # in this order, as many as a model has of them
        "loss",
        "accuracy",
        "d_loss",
        "g_loss",
        "value",
        "val_loss",
        "val_accuracy",
        "val_fid",
        "val_class_fidelity",
        "modes_covered",
        "high_quality",
        "val_bits_per_dim",
        "val_kl_nats",
        "val_distinct",
    )
    MOST = 5

    def __init__(self, monitor: str, on_terminal: bool):
        """A console.

        Args:
          monitor: the scalar by which the best checkpoint is chosen, which is always shown; or "".
          on_terminal: whether a bar is moved, or a line written at the end of an epoch.
        """
        super().__init__()
        self.monitor, self.on_terminal = monitor, on_terminal

    def set_params(self, params):
        """Keras itself is asked to print nothing."""
        super().set_params({**params, "verbose": 1 if self.on_terminal else 2})

    def shown(self, logs: dict[str, Any]) -> dict[str, Any]:
        """The few of an epoch's or a batch's logs that are printed."""
        few = [name for name in self.NAMES if name in logs][: self.MOST]
        if self.monitor in logs and self.monitor not in few:
            few = [*few[: self.MOST - 1], self.monitor]
        return {name: logs[name] for name in few}

    def on_train_batch_end(self, batch, logs=None):
        """Moves the bar."""
        super().on_train_batch_end(batch, self.shown(logs or {}))

    def on_epoch_end(self, epoch, logs=None):
        """Comes when all that keeps groups of numbers has seen them."""
        super().on_epoch_end(epoch, self.shown(logs))
        for name in [k for k, v in logs.items() if isinstance(v, list | dict)]:
            del logs[name]


class Checkpoint(keras.callbacks.Callback):
    """Saves each epoch and each `every` steps, and when a signal asks to stop. Comes last."""

    def __init__(
        self,
        manager: checkpoints.Manager,
        log: MetricsFile,
        first_step: int,
        every: int,
        monitor: str,
        judged_from: int = 0,
        workers: strategies.Workers | None = None,
    ):
        """A checkpoint callback.

        Args:
          manager: writes the files.
          log: knows the time, and the steps of an epoch.
          first_step: steps done before.
          every: steps between two checkpoints inside an epoch; 0 for none.
          monitor: name of the logged scalar of which the best checkpoint has least, or "". An
            epoch in which it was not measured is not judged.
          judged_from: the first epoch, from 0, that can be the best one.
          workers: all those that take part, of which each is told when one is to stop.
        """
        super().__init__()
        self.manager, self.log, self.step, self.every = manager, log, first_step, every
        self.steps_per_epoch, self.monitor = log.steps_per_epoch, monitor
        self.judged_from = judged_from
        self.workers = workers
        self.restored_means = None
        self.signal_number = 0  # that this worker was sent

    def stop(self, signal_number: int, frame=None):
        """A signal handler: the state is saved after the step that is under way."""
        self.signal_number = signal_number

    def asked(self) -> int:
        """The number of the signal that asks to stop; the same on all workers, 0 for none."""
        own = self.signal_number
        return max(self.workers.numbers(own)) if self.workers else own

    def on_train_begin(self, logs=None):
        """Keras starts each epoch's means afresh; those of an epoch half done are put back."""
        if self.step % self.steps_per_epoch:
            self.restored_means = [v.numpy() for m in self.model.metrics for v in m.variables]

    def on_epoch_begin(self, epoch, logs=None):
        """See `on_train_begin`."""
        if self.restored_means is not None:
            variables = [v for m in self.model.metrics for v in m.variables]
            for variable, value in zip(variables, self.restored_means, strict=True):
                variable.assign(value)
            self.restored_means = None

    def on_train_batch_end(self, batch, logs=None):
        """Inside an epoch; its last step is saved with the epoch's end, after validation."""
        self.step += self.model.steps_per_execution
        if self.step % self.steps_per_epoch == 0:
            return
        signal_number = self.asked()
        if signal_number or (self.every and self.step % self.every == 0):
            self.manager.save(self.model, self.step, seconds=self.log.seconds())
        if signal_number:
            raise Interrupted(signal_number, self.step)

    def on_epoch_end(self, epoch, logs=None):
        """All that an epoch writes is written: this is where a run may go on."""
        judged = self.monitor in logs and epoch >= self.judged_from
        score = monitor.score(self.monitor, float(logs[self.monitor])) if judged else None
        self.manager.save(self.model, self.step, score)
        self.leave_if_asked()

    def leave_if_asked(self):
        """Raises `Interrupted` where a signal has come; the state is saved."""
        if signal_number := self.asked():
            raise Interrupted(signal_number, self.step)

"""What happens around the steps of `fit`: watching, logging, surviving."""

import contextlib
import json
import math
import os
import pathlib
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorboard.plugins import projector

from zoo import data
from zoo.core import files, schemas
from zoo.data import toy
from zoo.drawing import pictures, views
from zoo.errors import no_space, one_line
from zoo.evaluation import modes
from zoo.hub import checkpoints, names
from zoo.training import dashboard, event_files, monitor, strategies

ROWS, COLUMNS = 8, 8
MOST_ROWS = 64  # of a picture with a row for each latent dimension
PROJECTED = 1000  # images in TensorBoard's projector, at most
PROJECTOR_FILES = ("latents.tsv", "classes.tsv", "sprite.png", "projector_config.pbtxt")
SPRITE_SIDE = 8192  # pixels that a side of its picture of them may have


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


class Board(keras.callbacks.Callback):
    """TensorBoard: scalars, weight histograms, the graph, hyperparameters and pictures.

    Keras' own callback touches every scalar at every step, draws no graph of a subclassed model
    and writes no pictures; this one writes at the end of each epoch.
    """

    def __init__(
        self,
        workdir: pathlib.Path,
        hparams: dict[str, Any],
        split: data.Split,
        class_names,
        *,
        epochs: int,
        steps_per_epoch: int,
        finished: int = 0,
        past: Sequence[dict[str, Any]] = (),
    ):
        """A board for one run; what is there of epochs that are to be run again goes.

        Args:
          workdir: has `logs/` and `samples/`.
          hparams: what HParams shows.
          split: images and labels for validation, to reconstruct and to encode.
          class_names: a name for each label.
          epochs: of the whole run.
          steps_per_epoch: of the whole run; TensorBoard counts in steps.
          finished: how many epochs are done.
          past: what `metrics.jsonl` has of those, from which lost scalars are made again.
        """
        super().__init__()
        self.logs, self.samples = workdir / "logs", workdir / "samples"
        self.hparams, self.split, self.class_names = hparams, split, class_names
        self.epochs, self.steps_per_epoch = epochs, steps_per_epoch
        self.finished, self.past = finished, past
        self.writers = {}
        self.tags, self.layout = set(), None
        # where samples are shown, and which run HParams knows, as it takes the figures of one
        self.main_run = "validation" if len(split) else "train"

    def writer(self, run: str) -> tf.summary.SummaryWriter:
        """The writer of one of TensorBoard's runs, made when it is first needed."""
        if run not in self.writers:
            self.writers[run] = tf.summary.create_file_writer(os.fsencode(self.logs / run))
        return self.writers[run]

    def on_train_begin(self, logs=None):
        """The graph of a step's forward pass, and the hyperparameters, once."""
        if self.writers:  # a run is several calls of `fit`
            return
        from tensorboard.plugins.hparams import api

        for folder in (self.logs, self.samples):
            files.set_aside(folder, folder=True)
            folder.mkdir(exist_ok=True)
        for name in PROJECTOR_FILES:
            files.set_aside(self.logs / "train" / name, folder=False)
        last = self.finished * self.steps_per_epoch
        found = {
            run: event_files.prune(self.logs / run, last, dashboard.is_known)
            for run in dashboard.RUNS
        }
        for folder in (self.logs, *(self.logs / run for run in dashboard.RUNS_OF_BEFORE)):
            event_files.clear(folder)
        for run in dashboard.RUNS_OF_BEFORE:
            # it is not there, or holds what others have put there
            with contextlib.suppress(OSError):
                (self.logs / run).rmdir()
        if event_files.GRAPH not in found["train"]:
            spec = (
                tf.TensorSpec([None, *self.split.images.shape[1:]], tf.uint8),
                tf.TensorSpec([None], tf.int32),
            )
            losses = tf.function(lambda *data: self.model.test_step(data))
            graph = losses.get_concrete_function(*spec).graph
            with self.writer("train").as_default(step=0):
                tf.summary.graph(graph)
        self.write(dashboard.experiment(self.hparams))
        with self.writer(self.main_run).as_default(step=0):
            api.hparams(self.hparams)
        again = set()
        for record in self.past:
            values = {k: v for k, v in record.items() if k not in ("step", "seconds")}
            for run, tag, value in dashboard.scalars(values, self.main_run):
                self.tags.add(tag)
                if (tag, record["step"]) not in found[run]:
                    again.add(record["epoch"])
                    self.scalar(run, tag, value, record["step"])
        if again:
            print(
                f"{self.logs} lacked scalars of {len(again)} epochs: they are made again from "
                "metrics.jsonl, pictures and histograms are not",
                file=sys.stderr,
            )
        self.lay_out()
        self.flush()

    def write(self, summary) -> None:
        """Writes a summary of the whole run, as TensorBoard's plugins make them."""
        with self.writer(self.main_run).as_default(step=0):
            tf.summary.experimental.write_raw_pb(summary.SerializeToString(), step=0)

    def lay_out(self) -> None:
        """Says which scalars share a chart, where there are new ones."""
        if (layout := dashboard.layout(self.tags)) not in (self.layout, None):
            self.layout = layout
            self.write(layout)

    def scalar(self, run: str, tag: str, value: float, step: int) -> None:
        """Writes one number."""
        with self.writer(run).as_default(step=step):
            tf.summary.scalar(tag, value)

    def flush(self) -> None:
        """Hands all that was written to the system."""
        for writer in self.writers.values():
            writer.flush()

    def on_epoch_end(self, epoch, logs=None):
        """Everything else."""
        epoch += 1  # as people count, and as the files are named
        step = epoch * self.steps_per_epoch
        for run, tag, value in dashboard.scalars({**logs, "epoch": epoch}, self.main_run):
            self.tags.add(tag)
            self.scalar(run, tag, value, step)
        self.lay_out()
        with self.writer("train").as_default(step=step):
            for name, weight in names.of_weights(self.model).items():
                if weight.trainable:
                    tf.summary.histogram(f"weights/{name}", weight.value)
        self.flush()
        self.finished = epoch

    def on_train_end(self, logs=None):
        """Tells HParams that the session ended well, where that was the last call of `fit`."""
        from tensorboard.plugins.hparams import api_pb2, summary

        if self.finished >= self.epochs:
            self.write(summary.session_end_pb(api_pb2.STATUS_SUCCESS))
            self.flush()


class Pictures(keras.callbacks.Callback):
    """What a model can show, drawn at the end of each epoch, always from the same latents.

    It comes after the checkpoint: a picture that fails is a warning, and costs no work.
    """

    def __init__(self, board: Board, again: bool = False):
        """Pictures beside a board.

        Args:
          board: has the writers, the folders and the images for validation.
          again: whether those of the last epoch that is done are drawn where they are missing, as
            after a kill; its state must be that of the model.
        """
        super().__init__()
        self.board, self.again = board, again

    def on_train_begin(self, logs=None):
        """A kill may have come between a checkpoint and its pictures."""
        epoch, self.again = self.board.finished * self.again, False
        if epoch and not self.path("samples", epoch).exists():
            self.draw(epoch)

    def on_epoch_end(self, epoch, logs=None):
        """The epoch is done, whatever becomes of its pictures."""
        self.draw(epoch + 1)

    def path(self, name: str, epoch: int) -> pathlib.Path:
        """Where a picture of an epoch lies."""
        prefix = "" if name == "samples" else f"{name}_"
        return self.board.samples / f"{prefix}epoch_{epoch:04d}.png"

    def draw(self, epoch: int) -> None:
        """Draws and writes all pictures of an epoch, and what the projector shows."""
        board, model = self.board, self.model
        average = model.weight_average
        with contextlib.nullcontext() if average is None else average.in_place():
            for name, draw in self.kinds().items():
                with _or_warning(f"no picture of {name} at epoch {epoch}"):
                    picture = draw()
                    pictures.save_png(self.path(name, epoch), picture)
                    tag = f"samples/{'images' if name == 'samples' else name}"
                    step = epoch * board.steps_per_epoch
                    with board.writer(board.main_run).as_default(step=step):
                        tf.summary.image(tag, picture[None])
            if "encode" in model.can:
                with _or_warning(f"no latents for the projector at epoch {epoch}"):
                    folder = board.logs / "train"
                    write_projector(folder, model, board.split, board.class_names)
        board.flush()

    def kinds(self) -> dict[str, Callable[[], np.ndarray]]:
        """Name -> what draws the picture: all that makes sense of this model."""
        model, real = self.model, self.board.split.first
        can = model.can if len(self.board.split) else model.can - {"reconstruct", "encode"}
        in_plane = model.image_shape == toy.IMAGE_SHAPE
        labels, rows = None, ROWS
        if model.conditional and not in_plane:  # a row for each class
            rows = model.num_classes
            labels = np.repeat(np.arange(rows), COLUMNS)
        num = views.NUM_POINTS if in_plane else rows * COLUMNS

        def drawn(what: str, **settings) -> np.ndarray:
            return views.picture(what, views.draw(model, what, real=real, **settings), real)

        def samples() -> np.ndarray:
            view = views.draw(model, "prior", real=real, num=num, labels=labels)
            names = () if labels is None else tuple(self.board.class_names)
            return views.picture("prior", views.View(view.images, COLUMNS, rows=names), real)

        found = {}
        if "sample" in model.can:
            found["samples"] = samples
            if getattr(model, "num_prior_components", 1) > 1:
                found["prior_components"] = lambda: drawn("components")
        if "reconstruct" in can:
            count = num if in_plane else ROWS * COLUMNS // 2
            found["reconstructions"] = lambda: drawn("reconstruct", num=count)
        if "traverse" in model.can:
            found["traversals"] = lambda: drawn("traverse", num=ROWS)
        elif {"encode", "generate"} <= can and model.axes and model.latent_dim <= MOST_ROWS:
            found["traversals"] = lambda: drawn("traverse", num=model.latent_dim)
        return found


@contextlib.contextmanager
def _or_warning(what: str):
    """Says that there is no picture, and why, in place of ending the run."""
    try:
        yield
    except Exception as e:
        if no_space(e):
            raise
        files.warn(f"{what}: {one_line(str(e)) or type(e).__name__}")


def write_projector(folder: pathlib.Path, model, split: data.Split, class_names) -> None:
    """Latent means for TensorBoard's projector, with a sprite and a class name for each image.

    Args:
      folder: one that holds an event file, else the projector does not see it.
      model: has `encode`.
      split: images and their labels; the first ones are taken that fit into a sprite.
      class_names: a name for each label, if there are labels.
    """
    _, height, width, channels = split.images.shape
    split = split.first(min(PROJECTED, (SPRITE_SIDE // max(height, width)) ** 2))
    images = split.images
    if not (n := len(images)):
        return
    codes = np.asarray(model.encode(images, split.labels if model.conditional else None).mean())
    rows = ["\t".join(f"{v:.5g}" for v in code) for code in codes]
    files.write_text(folder / "latents.tsv", "\n".join(rows) + "\n")
    if class_names:
        rows = [" ".join(class_names[y].split()) for y in split.labels]  # a line each, without tabs
        files.write_text(folder / "classes.tsv", "\n".join(rows) + "\n")
    side = math.ceil(math.sqrt(n))  # the projector wants a square without gaps
    padded = np.concatenate([images, np.zeros((side**2 - n, *images.shape[1:]), np.uint8)])
    sprite = padded.reshape(side, side, height, width, channels).transpose(0, 2, 1, 3, 4)
    sprite = sprite.reshape(side * height, side * width, channels)
    pictures.save_png(folder / "sprite.png", sprite)
    shown = projector.ProjectorConfig()
    shown.embeddings.add(
        tensor_name="latent means of validation images",
        tensor_path="latents.tsv",
        metadata_path="classes.tsv" if class_names else None,
        sprite=projector.SpriteMetadata(image_path="sprite.png", single_image_dim=[width, height]),
    )
    files.write_text(folder / "projector_config.pbtxt", str(shown))


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

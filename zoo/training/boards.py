"""What TensorBoard shows of a run, and the pictures of each epoch."""

import contextlib
import math
import os
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorboard.plugins import projector

from zoo import data
from zoo.core import files
from zoo.data import toy
from zoo.drawing import pictures, views
from zoo.errors import no_space, one_line
from zoo.hub import names
from zoo.training import dashboard, event_files

ROWS, COLUMNS = 8, 8
MOST_ROWS = 64  # of a picture with a row for each latent dimension
PROJECTED = 1000  # images in TensorBoard's projector, at most
PROJECTOR_FILES = ("latents.tsv", "classes.tsv", "sprite.png", "projector_config.pbtxt")
SPRITE_SIDE = 8192  # pixels that a side of its picture of them may have


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
            losses = tf.function(lambda *data: self.model.test_step(data), autograph=False)
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
        if "steps" in model.can and not in_plane:
            found["paths"] = lambda: drawn("path", num=ROWS, num_steps=COLUMNS)
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

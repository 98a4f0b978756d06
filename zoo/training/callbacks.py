"""What happens around the steps of `fit`: watching, logging, surviving."""

import json
import math
import pathlib
import signal
import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from zoo import data
from zoo.core import files
from zoo.data import toy
from zoo.evaluation import drawing, modes, pictures
from zoo.training import checkpoints

ROWS, COLUMNS = 8, 8
# the run of TensorBoard that a logged quantity belongs to, by its prefix; else it is `train`
RUNS = {"val_": "validation", "floor_": "floor", "equilibrium_": "equilibrium"}
PROJECTED = 1000  # images in TensorBoard's projector


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
        self, workdir: pathlib.Path, hparams: dict[str, Any], split: data.Split, class_names
    ):
        """A board for one run.

        Args:
          workdir: has `logs/` and `samples/`.
          hparams: what HParams shows.
          split: images and labels for validation, to reconstruct and to encode.
          class_names: a name for each label.
        """
        super().__init__()
        self.workdir = workdir
        self.samples = workdir / "samples"
        self.writers = {}
        # HParams takes the metrics of the folders below its own
        self.root_writer = tf.summary.create_file_writer(str(workdir / "logs"))
        self.hparams = hparams
        self.split = split
        self.class_names = class_names

    def writer(self, run: str) -> tf.summary.SummaryWriter:
        """The writer of one of TensorBoard's runs, made when it is first needed."""
        if run not in self.writers:
            self.writers[run] = tf.summary.create_file_writer(str(self.workdir / "logs" / run))
        return self.writers[run]

    def on_train_begin(self, logs=None):
        """The graph of a step's forward pass, and the hyperparameters."""
        from tensorboard.plugins.hparams import api

        spec = (
            tf.TensorSpec([None, *self.split.images.shape[1:]], tf.uint8),
            tf.TensorSpec([None], tf.int32),
        )
        losses = tf.function(lambda *data: self.model.test_step(data))
        graph = losses.get_concrete_function(*spec).graph
        with self.writer("train").as_default(step=0):
            tf.summary.graph(graph)
        with self.root_writer.as_default(step=0):
            api.hparams(self.hparams)
        self.root_writer.flush()

    def on_epoch_end(self, epoch, logs=None):
        """Everything else."""
        epoch += 1  # as people count, and as the files are named
        for name, value in logs.items():
            prefix = next((p for p in RUNS if name.startswith(p)), "")
            name = name.removeprefix(prefix)
            if isinstance(value, list):
                value = {f"{i:02d}": v for i, v in enumerate(value)}
            group = value if isinstance(value, dict) else {"": value}
            with self.writer(RUNS.get(prefix, "train")).as_default(step=epoch):
                for key, v in group.items():
                    tf.summary.scalar(f"{name}/{key}" if key else name, v)
        with self.writer("train").as_default(step=epoch):
            for weight in self.model.trainable_variables:
                tf.summary.histogram(weight.path, weight.value)
            for name, picture in self.draw().items():
                tf.summary.image(name, picture[None])
                prefix = "" if name == "samples" else f"{name}_"
                self.samples.mkdir(exist_ok=True)
                zoom = 2 if self.model.image_shape == toy.IMAGE_SHAPE else 1
                pictures.save_png(self.samples / f"{prefix}epoch_{epoch:04d}.png", picture, zoom)
        for writer in self.writers.values():
            writer.flush()
        if hasattr(self.model, "encode"):
            folder = self.workdir / "logs" / "train"
            write_projector(folder, self.model, self.split.first(PROJECTED), self.class_names)

    def draw(self) -> dict[str, np.ndarray]:
        """Name -> picture: what this model can show, always from the same latents and images."""
        model = self.model
        if not hasattr(model, "sample"):
            return {}
        real, in_plane = self.split.first, model.image_shape == toy.IMAGE_SHAPE
        labels, rows = None, ROWS
        if model.conditional and not in_plane:  # a row for each class
            rows = model.num_classes
            labels = np.repeat(np.arange(rows), COLUMNS)
        num = drawing.NUM_POINTS if in_plane else rows * COLUMNS
        images = drawing.draw(model, "prior", num=num, labels=labels)[0]
        result = {"samples": drawing.picture("prior", images, COLUMNS, real)}
        if hasattr(model, "traversals"):
            images, columns = drawing.draw(model, "traverse", num=ROWS)
            result["traversals"] = drawing.picture("traverse", images, columns, real)
        if getattr(model, "num_prior_components", 1) > 1:
            images, columns = drawing.draw(model, "components")
            result["prior_components"] = drawing.picture("components", images, columns, real)
        if hasattr(model, "encode"):
            for name, what, count in (
                ("reconstructions", "reconstruct", num if in_plane else ROWS * COLUMNS // 2),
                ("traversals", "traverse", model.latent_dim if model.axes else 0),
            ):
                if not count:
                    continue
                images, columns = drawing.draw(model, what, num=count, real=real)
                result[name] = drawing.picture(what, images, columns, real)
        return result

    def on_train_end(self, logs=None):
        """Tells HParams that the session ended well."""
        from tensorboard.plugins.hparams import api_pb2, summary

        end = summary.session_end_pb(api_pb2.STATUS_SUCCESS)
        with self.root_writer.as_default(step=0):
            tf.summary.experimental.write_raw_pb(end.SerializeToString(), step=0)
        self.root_writer.flush()


def write_projector(folder: pathlib.Path, model, split: data.Split, class_names) -> None:
    """Latent means for TensorBoard's projector, with a sprite and a class name for each image.

    Args:
      folder: one that holds an event file, else the projector does not see it.
      model: has `encode`.
      split: N images and their labels.
      class_names: a name for each label, if there are labels.
    """
    images = split.images
    codes = np.asarray(model.encode(images, split.labels if model.conditional else None).mean())
    rows = ["\t".join(f"{v:.5g}" for v in code) for code in codes]
    (folder / "latents.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    if class_names:
        rows = [" ".join(class_names[y].split()) for y in split.labels]
        (folder / "classes.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    n, height, width, channels = images.shape
    side = math.ceil(math.sqrt(n))  # the projector wants a square without gaps
    padded = np.concatenate([images, np.zeros((side**2 - n, *images.shape[1:]), np.uint8)])
    sprite = padded.reshape(side, side, height, width, channels).transpose(0, 2, 1, 3, 4)
    sprite = sprite.reshape(side * height, side * width, channels)
    pictures.save_png(folder / "sprite.png", sprite)
    (folder / "projector_config.pbtxt").write_text(
        "embeddings {\n"
        '  tensor_name: "latent means of validation images"\n'
        '  tensor_path: "latents.tsv"\n'
        + ('  metadata_path: "classes.tsv"\n' if class_names else "")
        + "  sprite {\n"
        '    image_path: "sprite.png"\n'
        f"    single_image_dim: {width}\n    single_image_dim: {height}\n"
        "  }\n}\n",
        encoding="utf-8",
    )


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
        self.records = self.read(path) if path.exists() else []

    @staticmethod
    def read(path: pathlib.Path) -> list[dict[str, Any]]:
        """The records in a file, one an epoch."""
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]

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
        text = "".join(json.dumps(r) + "\n" for r in self.records)
        files.write_atomically(self.path, lambda f: f.write(text.encode()))


class Console(keras.callbacks.Callback):
    """Takes groups of numbers out of an epoch's logs: Keras prints their mean, or knows none."""

    def on_epoch_end(self, epoch, logs=None):
        """Comes when all that keeps such groups has seen them."""
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
        """
        super().__init__()
        self.manager, self.log, self.step, self.every = manager, log, first_step, every
        self.steps_per_epoch, self.monitor = log.steps_per_epoch, monitor
        self.judged_from = judged_from
        self.restored_means = None
        self.signal_number = None

    def stop(self, signal_number: int, frame=None):
        """A signal handler: the state is saved after the step that is under way."""
        self.signal_number = signal_number

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
        if self.signal_number or (self.every and self.step % self.every == 0):
            self.manager.save(self.model, self.step, seconds=self.log.seconds())
        self.leave_if_asked()

    def on_epoch_end(self, epoch, logs=None):
        """All that an epoch writes is written: this is where a run may go on."""
        judged = self.monitor in logs and epoch >= self.judged_from
        self.manager.save(self.model, self.step, float(logs[self.monitor]) if judged else None)
        self.leave_if_asked()

    def leave_if_asked(self):
        """Raises `Interrupted` where a signal has come; the state is saved."""
        if self.signal_number:
            raise Interrupted(self.signal_number, self.step)

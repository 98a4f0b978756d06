"""The steps of a run: Keras' `fit`, and all that watches it."""

import dataclasses
import math
import pathlib
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Any

import keras

from zoo import data
from zoo.core import files, schemas
from zoo.data import pipeline, toy
from zoo.errors import InputError
from zoo.evaluation.features import FeatureNet
from zoo.hub import checkpoints
from zoo.recipes import Recipe, Run
from zoo.training import boards, callbacks, monitor, strategies


def prior_epochs(recipe: Recipe) -> int:
    """The last epochs, of models whose prior then learns on alone."""
    return getattr(recipe, "prior_epochs", 0)


def is_finished(workdir: pathlib.Path, steps: int) -> bool:
    """Whether `finish` has done all that it does, after so many steps."""
    path, saved = workdir / "summary.json", workdir / "saved_model"
    try:
        summary = files.read_json(path, schemas.SUMMARY)  # which it writes last
    except InputError as e:
        if path.exists():
            files.warn(f"{e}: made again")
        return False
    return summary["steps"] == steps and (saved / "saved_model.pb").exists()


@dataclasses.dataclass(frozen=True)
class Session:
    """A run as this process goes on with it.

    Attributes:
      model: with the weights and optimizers of the newest checkpoint.
      dataset: its images.
      recipe: epochs, batch size, step sizes.
      run: everything else.
      workdir: where this process writes.
      log: the epochs before, and the time.
      batch: images a step.
      settings: those of `config.json`.
      done: steps that were done before.
      net: measures samples, or None.
      workers: all that take part.
      more: callbacks from elsewhere, which come last.
    """

    model: Any
    dataset: data.Dataset
    recipe: Recipe
    run: Run
    workdir: pathlib.Path
    log: callbacks.MetricsFile
    batch: int
    settings: dict[str, Any]
    done: int
    net: FeatureNet | None
    workers: strategies.Workers
    more: Sequence[keras.callbacks.Callback] = ()

    def fit(self) -> int:
        """Trains to the end; the number of steps that are done then."""
        model, run, recipe, done = self.model, self.run, self.recipe, self.done
        steps_per_epoch = self.log.steps_per_epoch
        total = recipe.epochs * steps_per_epoch
        validation = pipeline.binarized(
            self.dataset.validation, "validation", run.binarization, run.seed
        )
        board = self._board(validation)
        again = not self.workers.several and done % steps_per_epoch == 0
        drawn = boards.Pictures(board, again)
        if done >= total:
            print(f"already trained for {done // steps_per_epoch} epochs; --epochs=N goes on to N")
            if again and not is_finished(self.workdir, done):  # a kill may have left the last ones
                for callback in (board, drawn):
                    callback.set_model(model)
                    callback.on_train_begin()
                board.on_train_end()
            return done
        if done:
            print(f"continuing after step {done} of {total}", flush=True)
        # each replica's mean weighs the same, so that they see as many images
        even = len(validation) - len(validation) % model.distribute_strategy.num_replicas_in_sync
        validation_batches = None
        if even:
            first = validation.first(even)
            validation_batches = pipeline.evaluation_batches(first, recipe.batch_size)
        looks = []
        if model.watched or run.watch == "on":
            looks = samples(self.dataset, run, recipe, validation, self.net)
        best_by = recipe.monitor
        if best_by == "val_fid" and looks and looks[0].net is not None and not looks[0].has_fid:
            best_by = "val_kid"
        alone = recipe.epochs - prior_epochs(recipe)  # the prior's first epoch alone, if it has one
        checkpoint = callbacks.Checkpoint(
            checkpoints.Manager(self.workdir / "checkpoints"),
            self.log,
            done,
            run.checkpoint_steps,
            best_by,
            judged_from=alone % recipe.epochs,  # what is exported has both stages behind it
            workers=self.workers,
        )
        watchers = self._watchers(validation, looks, board, checkpoint, drawn)
        handlers = {}
        if threading.current_thread() is threading.main_thread():  # another may have none
            signals = (signal.SIGTERM, signal.SIGINT)
            handlers = {s: signal.signal(s, checkpoint.stop) for s in signals}
        try:
            epoch = done // steps_per_epoch
            while epoch < recipe.epochs:
                if epoch >= alone:
                    model.freeze_all_but_prior()
                start = max(done, epoch * steps_per_epoch)
                last = alone if epoch < alone else recipe.epochs
                if start % steps_per_epoch:  # Keras counts whole epochs: the rest of one is a call
                    last = epoch + 1
                model.fit(
                    pipeline.train_batches(
                        self.dataset.train,
                        self.batch,
                        seed=run.seed,
                        start=start,
                        stop=last * steps_per_epoch,
                        binarization=run.binarization,
                        flip=run.flip,
                    ),
                    validation_data=validation_batches,
                    initial_epoch=epoch,
                    epochs=last,
                    steps_per_epoch=(epoch + 1) * steps_per_epoch - start,
                    callbacks=watchers,
                    shuffle=False,
                    verbose=0,  # `Console` prints
                )
                epoch = last
                if model.stop_training:  # one of `more` has asked for it
                    break
            checkpoint.leave_if_asked()
            return checkpoint.step
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)

    @property
    def _past(self) -> list[dict[str, Any]]:
        """The records of epochs that were done before."""
        epochs = self.done // self.log.steps_per_epoch
        return [r for r in self.log.records if r["epoch"] <= epochs]

    def _board(self, validation: data.Split) -> boards.Board:
        """What TensorBoard shows."""
        steps_per_epoch = self.log.steps_per_epoch
        hparams = {**self.settings["config"], **self.settings["recipe"]}
        hparams |= {
            "model": self.settings["model"],
            "step_size": hparams.pop("learning_rate"),
            "steps": self.recipe.epochs * steps_per_epoch,
        }
        return boards.Board(
            self.workdir,
            {k: v if not isinstance(v, tuple) else str(v) for k, v in hparams.items()},
            validation,
            self.dataset.class_names,
            epochs=self.recipe.epochs,
            steps_per_epoch=steps_per_epoch,
            finished=self.done // steps_per_epoch,
            past=self._past if self.workers.is_chief else (),
        )

    def _watchers(
        self, validation, looks, board, checkpoint, drawn
    ) -> list[keras.callbacks.Callback]:
        """All callbacks, in the order in which they need one another's logs."""
        model, run, recipe = self.model, self.run, self.recipe
        measured, alarms, averages = [], [], []
        if "discriminate" in model.can:
            measured.append(monitor.Players())
        if model.watched or run.watch == "on":
            measured += looks
            whole = [r for r in self._past if all(name in r for name in model.tracked)]
            alarms.append(
                monitor.Alarms(
                    run.stop_on_collapse,
                    looks[0].num if looks else monitor.NUM_SAMPLES,
                    whole,
                    math.ceil(monitor.WARM_UP / self.log.steps_per_epoch),
                    recipe.epochs / 2,
                )
            )
        if run.dataset in toy.MIXTURES and "sample" in model.can:
            measured.append(callbacks.Modes(toy.MIXTURES[run.dataset]))
        if "kl_per_dim" in model.can and len(validation):
            measured.append(callbacks.KLPerDimension(validation))
        if "steps" in model.can and len(validation):
            measured.append(callbacks.ErrorByTime(validation))
        if model.weight_average is not None:
            averages.append(callbacks.Averages())
        return [
            callbacks.StopWhenDiverged(self.done),
            *measured,
            board,
            self.log,
            *alarms,
            callbacks.Console(checkpoint.monitor, sys.stdout.isatty()),
            *averages,
            checkpoint,
            drawn,
            *self.more,
        ]


def samples(dataset, run, recipe, validation, net) -> list[monitor.Samples]:
    """What measures samples while a model trains, if anything does, in the features of `net`."""
    why = "" if run.eval_every else "--eval_every=0"
    why = "--watch=off" if run.watch == "off" else why
    if not why and len(validation) < 2:
        why = f"{len(validation)} validation images are too few (2 at least)"
    if why:
        print(f"samples are not watched ({why}), and the last checkpoint is exported", flush=True)
        return []
    found = monitor.Samples(
        validation,
        pipeline.binarized(
            dataset.train.subset(monitor.NUM_SAMPLES), "train", run.binarization, run.seed
        ),
        net,
        every=run.eval_every,
        epochs=recipe.epochs,
        class_names=dataset.class_names,
    )
    if found.unseen and run.dataset not in toy.MIXTURES:
        how = "by their KID"
        if found.net is None:
            how = "without FID and classes, and the last checkpoint is exported"
        print(f"{found.unseen}: samples are watched {how}", flush=True)
    return [found]

"""One training run: from checked settings to a workdir with a trained, exported model."""

import contextlib
import dataclasses
import functools
import os
import pathlib
import sys
from collections.abc import Callable, Collection, Sequence
from typing import Any

from zoo.core import backend  # noqa: F401  isort: skip  (first: it imports the others)
import keras
import tensorflow as tf

from zoo import data, registry
from zoo.core import config, files
from zoo.core.backend import precision
from zoo.data import classes, pipeline, toy
from zoo.errors import InputError, no_space
from zoo.evaluation import modes
from zoo.hub import checkpoints, folders, loading, references
from zoo.recipes import Recipe, Run
from zoo.training import (
    callbacks,
    choices,
    fitting,
    inputs,
    monitor,
    provenance,
    sizing,
    strategies,
    workdirs,
)

DIVERGED = 3


def train(
    model_name: str,
    model_config: dict[str, Any],
    recipe: Recipe,
    run: Run,
    dataset: data.Dataset | None = None,
    more: Sequence[keras.callbacks.Callback] = (),
    asked: Collection[str] | None = None,
) -> int:
    """Trains, continues or finishes a run.

    Args:
      model_name: a registered model.
      model_config: the fields of its configuration.
      recipe: epochs, batch size, step sizes.
      run: everything else.
      dataset: the images, where they come from Python and `run.dataset` does not name them.
      more: Keras callbacks, which see an epoch's logs when all else is done.
      asked: names of the settings that somebody asked for; of the others some are left to the data
        (`defaults.for_data`). When left out all of them were asked for.

    Returns:
      The exit code: 0 done, 1 when the disk is full, 3 diverged or collapsed, 128 + n when signal
      n asked to stop.

    Raises:
      InputError: bad data or settings, or none of the run's checkpoints can be read; what was
        there stays as it was.
    """
    run = config.make(Run, dataclasses.asdict(run))
    strategy, devices = strategies.make(run.strategy)
    workers = strategies.Workers(strategy)
    _check(recipe, run, strategy.num_replicas_in_sync)
    workdir = workdirs.of(model_name, run)
    files.check_utf8(workdir)  # before work is lost that cannot be exported
    before = None  # the settings of the run that goes on
    if not run.overwrite and os.path.lexists(workdir / folders.CONFIG):
        before = loading.read_config(workdir)
    settled = choices.settle(model_name, model_config, recipe, run, dataset, asked, before)
    steps = pipeline.steps_per_epoch(settled.dataset.train, settled.batch)  # too few are an error
    steps_per_epoch = settled.run.steps_per_epoch or steps
    for what, count in (("an epoch", steps_per_epoch), ("checkpoint_steps", run.checkpoint_steps)):
        if count % run.steps_per_execution:
            raise InputError(
                f"steps_per_execution={run.steps_per_execution} divides {what} of {count} steps "
                "with a remainder"
            )

    smaller, needs, fits = sizing.smaller(settled.dataset, settled.options), None, False

    def create(recipe: Recipe, num_steps: int):
        """The model of the run, whose first weights follow its seed alone; its step must fit."""
        nonlocal needs, fits
        keras.utils.set_random_seed(run.seed)
        # memory is looked at once: what a first model gave back is free to this process alone
        guarded = contextlib.nullcontext() if fits else sizing.guarded(smaller)
        with precision(run.precision), strategy.scope(), guarded:
            model = loading.create(
                model_name,
                settled.dataset.image_shape,
                settled.dataset.num_classes,
                settled.model_config,
                seed=run.seed,
                recipe=recipe,
                num_steps=num_steps,
                jit_compile=run.jit_compile == "on",
                steps_per_execution=run.steps_per_execution,
            )
        if run.strategy == "none" and not fits:  # one device
            needs = sizing.check(model, settled.dataset, settled.recipe.batch_size, smaller)
        fits = True
        return model

    if run.budget and not before:
        if workers.several or "epochs" in (asked or ()):
            other = "--strategy=multi_worker" if workers.several else "--epochs"
            raise InputError(f"--budget sets the length of the training: leave {other} out")
        an_epoch = steps_per_epoch
        settled, steps_per_epoch = choices.within_budget(
            settled, steps_per_epoch, functools.partial(create, settled.recipe)
        )
        if steps_per_epoch < an_epoch and "steps_per_epoch" in (asked or ()):
            raise InputError(
                f"--budget={run.budget} is enough for {steps_per_epoch} steps, not for an epoch of "
                f"{an_epoch}: leave --steps_per_epoch out, or give a longer --budget"
            )
    dataset, recipe, run = settled.dataset, settled.recipe, settled.run
    _check(recipe, run, strategy.num_replicas_in_sync)
    batch, chosen = settled.batch, settled.chosen
    total = recipe.epochs * steps_per_epoch
    model = create(recipe, total)
    _check_model(model, run)
    monitor.check_scalar(recipe.monitor, registry.recipe(model_name).monitor, model, run)
    # Not before: Keras would leave XLA out, as on a GPU not all has a deterministic form in it
    # (the gradient of MaxPooling, in TensorFlow 2.21). On CPUs it ends in the same bits.
    tf.config.experimental.enable_op_determinism()

    settings = {
        "model": model_name,
        "image_shape": dataset.image_shape,
        "num_classes": dataset.num_classes,
        "class_names": dataset.class_names,
        "dataset_digest": dataset.digest,
        "broken_files": dataset.num_broken,
        "config": dataclasses.asdict(model.config),
        "recipe": dataclasses.asdict(recipe),
        "run": dataclasses.asdict(run),
        "versions": provenance.versions(),
    }
    manager = checkpoints.Manager(workdir / "checkpoints")
    if run.overwrite:
        for name in ("init_from", "classifier"):
            source = getattr(run, name)
            if source and pathlib.Path(source).resolve() == workdir.resolve():
                raise InputError(f"--overwrite would delete --{name}={source}: choose a --workdir")
    elif before:
        dataset = _with_names(dataset, before)
        settings["class_names"] = dataset.class_names
    if run.init_from:
        begun = before if manager.steps() or manager.best_path.exists() else None
        settings["initial_weights_sha256"] = _first_weights(model, run, begun)
        model.from_noise = False
    net = None
    if monitor.is_watched(model, run):
        net, sha256 = _feature_net(
            dataset.digest, dataset.image_shape, run, before, lambda: manager.newest_step() >= total
        )
        if sha256:  # one that learns on would be another judge
            settings["classifier_sha256"] = sha256
    with contextlib.ExitStack() as stack:
        written = stack.enter_context(workdirs.writable(workers, workdir, settings, run.overwrite))
        print(f"{model_name}: {model.num_parameters():,} parameters; {dataset.description}")
        if not (len(dataset.validation) and len(dataset.test)):
            print(_not_held_out(dataset))
        if chosen:
            said = ", ".join(f"--{name}={value}" for name, value in chosen.items())
            print(f"chosen by the number of images: {said}")
        if dataset.class_names and data.is_pictures(dataset.name):
            print(f"classes: {classes.in_words(dataset.class_names)}")
        print(
            f"device: {', '.join(devices)}; precision: {run.precision}; "
            f"XLA: {'on' if model.jit_compile else 'off'}; workdir: {workdir}",
            flush=True,
        )
        if needs is not None:
            print(needs, flush=True)
        try:
            done, seconds = manager.restore(model)
            if not workers.all_have(done):
                raise InputError(
                    f"the workers found different checkpoints: {workdir} must be one folder, on a "
                    "file system that they share"
                )
            chief = written == workdir
            if chief and done < total:
                workdirs.write_settings(workdir / folders.CONFIG, settings)
            log = callbacks.MetricsFile(written / "metrics.jsonl", steps_per_epoch, seconds)
            if chief and (log.skipped or (done and not log.path.exists())):
                log.write()
            if missing := _missing(log.records, min(done, total) // steps_per_epoch):
                files.warn(f"{log.path} has nothing of {missing}, whose figures are lost")
            session = fitting.Session(
                model, dataset, recipe, run, written, log, batch, settings, done, net, workers, more
            )
            ended = session.fit()
            if chief and not (done >= total and fitting.is_finished(workdir, done)):
                test = pipeline.binarized(dataset.test, "test", run.binarization, run.seed)
                steps = max(done, ended)
                epochs = steps // steps_per_epoch
                finish(workdir, test, toy.MIXTURES.get(run.dataset), steps, epochs)
        except checkpoints.Diverged as e:
            smaller = "--learning_rate"
            if hasattr(recipe, "discriminator_learning_rate"):
                smaller += " or --discriminator_learning_rate"
            _fail(
                f"training diverged: {e}; {_kept(manager)}. Try a smaller {smaller} with another "
                "--workdir"
            )
            return DIVERGED
        except monitor.Collapsed as e:
            _fail(f"stopped, as --stop_on_collapse asks: {e} ({_kept(manager)})")
            return DIVERGED
        except callbacks.Interrupted as e:
            print(f"\n{e}; {_again(run)} goes on from there.")
            return 128 + e.signal_number
        except (OSError, tf.errors.OpError) as e:
            if reason := no_space(e):
                _fail(f"{reason}: {workdir}; {_kept(manager)}. Then {_again(run)} goes on")
            elif workers.several and isinstance(e, tf.errors.OpError):
                _fail(
                    f"another worker has ended, or cannot be reached; {_kept(manager)}. "
                    f"{_again(run).capitalize()} on all of them goes on from there"
                )
            else:
                raise
            return 1
    return 0


def _not_held_out(dataset: data.Dataset) -> str:
    """What cannot be measured without validation or test images."""
    found = []
    if not len(dataset.validation):
        found.append("no validation images: the last checkpoint is exported, not the best one")
    if not len(dataset.test):
        found.append("no test images: nothing can be evaluated on images that were not learnt from")
    return "; ".join(found)


def _check(recipe: Recipe, run: Run, replicas: int) -> None:
    """Raises InputError for settings that do not go together, whatever data and model are."""
    if (alone := fitting.prior_epochs(recipe)) >= recipe.epochs:
        raise InputError(
            f"prior_epochs={alone} of epochs={recipe.epochs} leave none for the rest: set one"
        )
    if recipe.batch_size % replicas:
        raise InputError(f"batch_size={recipe.batch_size} does not divide by {replicas} devices")
    if run.strategy != "none" and (run.jit_compile == "on" or run.steps_per_execution > 1):
        raise InputError(
            f"--jit_compile=on and --steps_per_execution do not go with --strategy={run.strategy}"
        )
    if run.dataset in toy.MIXTURES and run.binarization != "none":
        raise InputError(f"the pixels of {run.dataset} are coordinates: leave --binarization out")
    if run.dataset in toy.MIXTURES and run.classifier:
        raise InputError(f"samples of {run.dataset} are judged by modes: leave --classifier out")


def _check_model(model, run: Run) -> None:
    """Raises InputError for settings that do not go with the model."""
    if run.jit_compile == "on" and not model.jit_compile:
        raise InputError("--jit_compile=on: Keras leaves XLA out after a run in the same process")
    if run.watch == "on" and "sample" not in model.can:
        raise InputError(f"--watch=on: {model.name} draws no samples")
    if not monitor.is_watched(model, run):
        for name in ("stop_on_collapse", "classifier"):
            if getattr(run, name):
                raise InputError(
                    f"--{name} is for models whose samples are watched: add --watch=on"
                )
    if model.binary and run.binarization == "none":
        raise InputError("this model is of black or white pixels: add --binarization=stochastic")


def _with_names(dataset: data.Dataset, before: dict[str, Any]) -> data.Dataset:
    """The data with the names that its classes had before, where then or now they are numbers."""
    names, numbers = before.get("class_names", ()), tuple(map(str, range(dataset.num_classes)))
    unnamed = numbers in (tuple(names), dataset.class_names) and len(names) == len(numbers)
    if unnamed and before["dataset_digest"] == dataset.digest:
        return dataclasses.replace(dataset, class_names=tuple(names))
    return dataset


def _first_weights(model, run: Run, begun: dict[str, Any] | None) -> str:
    """Gives a model those of `run.init_from`, unless its run goes on: their SHA-256.

    Args:
      model: the new one.
      run: settings of now.
      begun: the settings of a run that has checkpoints; it needs the weights no more, which may be
        gone, or have gone on.
    """
    known = begun and begun.get("initial_weights_sha256")
    if not known:
        return inputs.start_from(run.init_from, model)
    source = begun["run"]["init_from"]
    if source and _same_place(source, run.init_from):
        return known
    try:
        found = inputs.start_from(run.init_from, model)
    except InputError as e:
        raise InputError(
            f"{e}. This run began with the weights of {source}: --init_from={source} goes on, "
            "whether they are still there or not"
        ) from None
    return known if loading.same_weights(known, found) else found


def _same_place(one: str, other: str) -> bool:
    one, other = references.parse(one), references.parse(other)
    if isinstance(one, pathlib.Path) and isinstance(other, pathlib.Path):
        return one.resolve() == other.resolve()
    return one == other


def _feature_net(
    digest: str,
    image_shape: Sequence[int],
    run: Run,
    before: dict[str, Any] | None,
    ended: Callable[[], bool],
):
    """What judges samples, if anything does, and its SHA-256, where the run depends on it.

    Args:
      digest: of the data.
      image_shape: of the images.
      run: settings of now.
      before: settings of the run that goes on.
      ended: whether nothing is left to be judged.
    """
    known = before and before.get("classifier_sha256")
    if not run.classifier:
        _, net = inputs.usual_feature_net(run.dataset, digest, image_shape)
        return net, known and net and loading.same_weights(known, net.sha256) and known
    try:
        net = inputs.matching_feature_net(run.classifier, digest)
    except InputError as e:
        if not known:
            raise
        if ended():
            return None, known
        raise InputError(
            f"{e}. This run is judged by a classifier that was {before['run']['classifier']}: name "
            "the place where it lies now"
        ) from None
    same = known and loading.same_weights(known, net.sha256)
    return net, known if same else net.sha256


def _missing(records: list[dict[str, Any]], epochs: int) -> str:
    """The epochs without a record, of so many, in words."""
    missing = sorted(set(range(1, epochs + 1)) - {r["epoch"] for r in records})
    if not missing:
        return ""
    first, last = missing[0], missing[-1]
    if first == last:
        return f"epoch {first}"
    whole = len(missing) == last - first + 1
    return f"epochs {first} to {last}" if whole else f"{len(missing)} epochs from {first} to {last}"


def _fail(line: str) -> None:
    print(f"error: {line}.", file=sys.stderr)


def _again(run: Run) -> str:
    """What continues a run."""
    return f"the same command{', but without --overwrite,' if run.overwrite else ''}"


def _kept(manager: checkpoints.Manager) -> str:
    steps = manager.steps()
    return f"the checkpoint of step {steps[0]} is kept" if steps else "no checkpoint was written"


def finish(
    workdir: pathlib.Path,
    test: data.Split,
    mixture: toy.Mixture | None,
    steps: int,
    epochs: int,
) -> None:
    """Exports the trained model, and writes and prints the final figures.

    Args:
      workdir: of the run.
      test: the images for them, as the model sees them.
      mixture: what the data were drawn from, where that is known.
      steps: that were done.
      epochs: that were done to their ends.
    """
    from zoo.hub import export

    model = loading.load(workdir)
    tested = len(test) > 0 and bool(model.can & {"log_prob", "classify"})
    also = f"; then the figures of {len(test):,} test images" if tested else ""
    print(f"exporting{also}", flush=True)
    manager = checkpoints.Manager(workdir / "checkpoints")
    exported_step = manager.restore_weights(model, lambda line: None)  # `load` has said it
    export.saved_model(model, workdir / "saved_model")
    # it was said what is not there
    records = callbacks.MetricsFile.read(workdir / "metrics.jsonl", lambda line: None)
    records = [r for r in records if r["epoch"] <= epochs]
    last = records[-1] if records and records[-1]["epoch"] == epochs else {}
    figures = {}
    if tested:
        batches = pipeline.evaluation_batches(test, pipeline.EXACT_BATCH)
        figures = model.evaluate(batches, verbose=0, return_dict=True)
    if mixture is not None and "sample" in model.can:
        figures |= modes.scalars(modes.of_one_set(model, mixture))
    apart = ("epoch", "step", "seconds")
    scalars = {k: v for k, v in last.items() if not isinstance(v, list | dict) and k not in apart}
    summary = {
        "epochs": epochs,
        "steps": steps,
        "training_seconds": round(sum(r["seconds"] for r in records), 1),
        "exported_step": exported_step,
        "parameters": model.num_parameters(),
        "machine": provenance.machine(),
        "last_epoch": scalars,
        "test": figures,
    }
    files.write_json(workdir / "summary.json", summary)
    _show(summary, mixture)
    print(
        f"{workdir}/saved_model is ready, with the weights of step {summary['exported_step']}; "
        f"tensorboard --logdir {workdir}/logs shows the run"
    )


def _show(summary: dict[str, Any], mixture: toy.Mixture | None) -> None:
    """Prints the last epoch's figures, and those of the test images or of 2-D toy data."""
    last, figures = summary["last_epoch"], summary["test"]
    floor = {k.removeprefix("floor_"): v for k, v in last.items() if k.startswith("floor_")}
    if last or figures:
        print(f"\n{'':24}{'train':>12}{'validation':>12}{'test' if figures else 'floor':>12}")
    names = [k.removeprefix("val_") for k in last if not k.startswith("floor_")]
    for name in dict.fromkeys([*names, *(k for k in figures if k not in modes.SCALARS)]):
        row = (last.get(name), last.get(f"val_{name}"), (figures or floor).get(name))
        cells = "".join(f"{'' if v is None else format(v, '.4f'):>12}" for v in row)
        print(f"{name:24}{cells}")
    if figures:
        print("(train, validation: the last epoch; test: the weights that are exported)")
    if "modes_covered" in figures:
        covered, good = (figures[name] for name in modes.SCALARS)
        of = f"{covered:.0f} of {mixture.num_modes}"
        print(f"modes covered: {of}; high-quality samples: {good:.2f}")

"""What a run takes from elsewhere: weights to start from, a classifier, images."""

import dataclasses
from collections.abc import Sequence

from zoo import data, registry
from zoo.data import pipeline
from zoo.errors import InputError
from zoo.evaluation import features, records
from zoo.hub import checkpoints, pretrained, references
from zoo.hub.loading import load, read_config, weights_sha256
from zoo.recipes import Run


def start_from(source: str, model) -> str:
    """Gives a new model the weights of a trained one, maybe of another name; their SHA-256.

    A line says which ones do not fit, by name or shape, and stay as they are.

    Args:
      source: a workdir or the name of a pretrained model.
      model: of much the same networks; classes or colors may be others.

    Raises:
      InputError: the source cannot be loaded, or less than half of the weights fit.
    """
    if read_config(source)["model"] in registry.COMPOSED:
        raise InputError(f"--init_from: {source} is made of other models, and has no weights")
    trained = load(source)
    try:
        left = checkpoints.assign_fitting(source, model, checkpoints.weights_of(trained))
    except checkpoints.Damaged as e:
        raise InputError(f"--init_from: {e}; give this model the settings of that one") from None
    if left:
        print(f"--init_from={source}: left at their first values: {'; '.join(left)}")
    model.restart_schedules()
    if model.weight_average is not None:
        model.weight_average.restart()
    return weights_sha256(source, trained)


def pretrained_classifier(dataset_digest: str) -> references.Packaged | None:
    """The pretrained classifier, first by name, that learnt from these images; else None."""
    name = records.classifier_of(pretrained.manifest(), dataset_digest)
    return name and references.Packaged(name)


def feature_net(source) -> features.FeatureNet:
    """The classifier of a workdir or of that name, in whose features samples are measured.

    Raises:
      InputError: it cannot be loaded, or is no classifier.
    """
    classifier = load(source)
    kinds = {references.Packaged: "pretrained", references.Remote: "model"}
    kind = kinds.get(type(references.parse(source)), "workdir")
    return features.of_classifier(
        classifier, f"{kind} {source}", weights_sha256(source, classifier)
    )


def usual_feature_net(
    dataset: str, dataset_digest: str, image_shape: Sequence[int]
) -> tuple[references.Packaged | None, features.FeatureNet | None]:
    """What compares these images where nobody says what: by its name, if it is a classifier.

    A pretrained classifier of the same images (of stacked ones, of each channel); where there is
    none, of pictures in color, EfficientNet-Lite0; else nothing.

    Args:
      dataset: its name.
      dataset_digest: of its images.
      image_shape: of its images.

    Raises:
      InputError: it cannot be loaded.
    """
    if dataset == "stacked_fashion_mnist":
        name = references.Packaged("classifier")
        return name, features.of_each_channel(feature_net(name))
    if (name := pretrained_classifier(dataset_digest)) is not None:
        return name, matching_feature_net(name, dataset_digest)
    return None, features.efficientnet_lite0(image_shape) if image_shape[-1] == 3 else None


def matching_feature_net(source, dataset_digest: str) -> features.FeatureNet:
    """`feature_net` of a classifier that must have learnt from these images.

    Raises:
      InputError: it did not, cannot be loaded, or is no classifier.
    """
    if read_config(source)["dataset_digest"] != dataset_digest:
        raise InputError(f"--classifier={source} learnt from other images")
    return feature_net(source)


def read(run: Run, digest: str | None = None) -> data.Dataset:
    """The images of a run.

    Args:
      run: says which, and how they are read.
      digest: see `data.load`.

    Raises:
      InputError: they cannot be read.
    """

    def share(value: float) -> float | None:
        return None if value < 0 else value

    return data.load(
        run.dataset or None,
        run.data_dir or None,
        run.image_size or None,
        run.skip_broken,
        digest,
        fit=run.fit,
        gray=run.gray,
        validation=share(run.validation),
        test=share(run.test),
    )


def split_of(source, name: str, data_dir: str | None = None, seed: int = 0) -> data.Split:
    """A split of the data that a model was trained on, as it sees it in evaluation.

    Args:
      source: a workdir or the name of a pretrained model.
      name: `train`, `validation` or `test`.
      data_dir: where the data lies now, if it has moved.
      seed: of stochastic binarization.

    Raises:
      InputError: it cannot be read, or is not what it was.
    """
    settings = read_config(source)
    run = Run(**{**dataclasses.asdict(Run()), **settings["run"]})
    kind, _, _ = run.dataset.partition(":")
    is_path = kind in ("folder", "hf")
    if data_dir:
        moved = {"dataset": f"{kind}:{data_dir}"} if is_path else {"data_dir": data_dir}
        run = dataclasses.replace(run, **moved)
    try:
        found = read(run, settings["dataset_digest"])
    except InputError as e:
        if data_dir or not (run.data_dir or is_path):
            raise
        raise InputError(f"{e}; where the data lies elsewhere now, name it by --data_dir") from None
    if found.digest != settings["dataset_digest"]:
        raise InputError(f"{found.description}: not the images that {source} was trained on")
    shape = tuple(settings["image_shape"])
    if (shape, settings["num_classes"]) != (found.image_shape, found.num_classes):
        raise InputError(
            f"{found.description}, {found.num_classes} classes: not the image_shape={shape} and "
            f"num_classes={settings['num_classes']} of {source}"
        )
    return pipeline.binarized(getattr(found, name), name, run.binarization, seed)

"""The evaluation of a trained model as a record: what it is, how it was measured, its figures."""

import dataclasses
import functools
import pathlib
import time
from typing import Any

from zoo import data
from zoo.data import toy
from zoo.errors import InputError
from zoo.evaluation import evaluate, features, inception
from zoo.hub import download, loading
from zoo.training import inputs, provenance


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How a model is measured.

    Attributes:
      split: `test` or `validation`.
      num_images: images of it at most, and as many samples.
      num_samples: K of an importance-weighted bound.
      features: `auto`, `classifier`, `efficientnet`, `inception` or `inception_2015`.
      classifier: a workdir or a name; "": the pretrained one of the same images, and where there is
        none, if `features` are `auto`, EfficientNet.
      parzen: whether the Parzen-window log-likelihood is wanted.
      seed: random seed.
      data_dir: where the data lies now, if it has moved.
      num_steps: of the sampler of a model that draws in steps; None: the model's own.
      guidance: likewise.
      weights: the file of `inception_2015`; "": it is fetched once, and kept in the cache.
    """

    split: str = "test"
    num_images: int = 10_000
    num_samples: int = 100
    features: str = "auto"
    classifier: str = ""
    parzen: bool = False
    seed: int = 0
    data_dir: str = ""
    weights: str = ""
    num_steps: int | None = None
    guidance: float | None = None

    @property
    def sampler(self) -> dict[str, float]:
        """What was asked for of a sampler in steps."""
        asked = {"num_steps": self.num_steps, "guidance": self.guidance}
        return {name: value for name, value in asked.items() if value is not None}


def record_of(
    source,
    protocol: Protocol,
    command: str,
    floors: dict[Any, dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Measures a model.

    Args:
      source: what `zoo.load` takes.
      protocol: how.
      command: what measures it again.
      floors: those of other models of the same images, which are not measured again; what is new is
        added.

    Raises:
      InputError: the model or its data cannot be read, the protocol does not fit, or nothing can be
        measured.
    """
    begin, seed = time.perf_counter(), protocol.seed
    model, settings = loading.load(source), loading.read_config(source)
    if protocol.sampler and "calls" not in model.can:
        raise InputError(
            f"{model.name} does not draw in steps: leave {' and '.join(protocol.sampler)} out"
        )
    if "guidance" in protocol.sampler and "steps" not in model.can:
        raise InputError(f"{model.name} draws without guidance: leave it out")
    mixture, net, no_net = toy.MIXTURES.get(settings["run"]["dataset"]), None, ""
    if protocol.features != "auto" or protocol.classifier or protocol.parzen:
        leave = "leave --features, --classifier and --parzen out"
        if "sample" not in model.can:
            raise InputError(f"{model.name} draws no samples: {leave}")
        if mixture is not None:
            raise InputError(
                f"samples of ring and grid are measured by the modes that they cover: {leave}"
            )
    if mixture is None and "sample" in model.can:
        net, no_net = _feature_net(model, settings, protocol)
    # what is of no matter to a floor
    of_model = {"num_samples": 1, "parzen": False, "num_steps": None, "guidance": None}
    alike = dataclasses.replace(protocol, **of_model)
    of_images = (settings["dataset_digest"], settings["run"].get("binarization"), alike)
    figures = evaluate.evaluate(
        model,
        functools.cache(lambda name: inputs.split_of(source, name, protocol.data_dir, seed)),
        held_out=protocol.split,
        num_images=protocol.num_images,
        num_samples=protocol.num_samples,
        net=net,
        no_net=no_net,
        mixture=mixture,
        new_classifier=lambda: loading.create(
            "classifier", model.image_shape, model.num_classes, {}, seed=seed
        ),
        asked_for=("parzen_nats",) if protocol.parzen else (),
        seed=seed,
        sampler=protocol.sampler,
        floors=None if floors is None else floors.setdefault(of_images, {}),
    )
    return {
        "model": settings["model"],
        "config": settings["config"],
        "weights_sha256": loading.weights_sha256(source, model),
        "dataset": data.name_of(settings["run"]["dataset"], settings["run"]["data_dir"]),
        "dataset_digest": settings["dataset_digest"],
        "split": protocol.split,
        "binarization": settings["run"]["binarization"],
        "seed": seed,
        "features": net and {"name": net.name, "sha256": net.sha256, "resize": net.resize},
        "protocols": evaluate.protocols(figures, net, seed),
        "command": command,
        "seconds": round(time.perf_counter() - begin, 1),
        "peak_memory_gb": provenance.peak_memory_gb(),
        "machine": provenance.machine(),
        "versions": provenance.versions(),
        "figures": figures,
    }


def _inception_2015(weights: str) -> pathlib.Path:
    """The file of the original Inception network: the one that is named, or that of the cache.

    Raises:
      InputError: it cannot be fetched.
    """
    if weights:
        return pathlib.Path(weights)
    file, size = inception.FILE, inception.SIZE
    try:
        return download.path_of(file, inception.SHA256, size, inception.FOLDER)
    except InputError as e:
        raise InputError(f"{e}; or name a copy of that file by --weights") from None


def _feature_net(model, settings: dict[str, Any], protocol: Protocol):
    """In whose features samples are compared, or None and why there is nothing.

    Raises:
      InputError: what was asked for by name cannot be had.
    """
    dataset, digest = settings["run"]["dataset"], settings["dataset_digest"]
    if protocol.features == "inception":
        return features.inception(model.image_shape), ""
    if protocol.features == "inception_2015":
        return features.inception_2015(model.image_shape, _inception_2015(protocol.weights)), ""
    if protocol.features == "efficientnet":
        return features.efficientnet_lite0(model.image_shape), ""
    if protocol.classifier:
        return inputs.matching_feature_net(protocol.classifier, digest), ""
    try:
        name, net = inputs.usual_feature_net(dataset, digest, model.image_shape)
        if net is None or (name is None and protocol.features == "classifier"):
            return None, evaluate.NO_CLASSIFIER if model.num_classes else evaluate.NO_LABELS
        return net, ""
    except InputError as e:  # its file is missing, say; what needs no classifier is measured
        return None, str(e)

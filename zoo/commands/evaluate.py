"""Measures a trained model on images it has not seen: zoo evaluate --pretrained=cgan.

The record names its protocol: split, number of images and of samples, feature net, binarization,
seed, versions. With `--compare=ONE.json,OTHER.json` it shows records side by side with their
differences, figure by figure where these were measured alike.
"""

import functools
import pathlib
import shlex
import time

from absl import flags

from zoo.commands import cli
from zoo.core import files
from zoo.errors import InputError

_COMPARE = flags.DEFINE_list("compare", None, "Records to show side by side, instead.")
cli.define_source("compare")
_SPLIT = flags.DEFINE_enum("split", "test", ["validation", "test"], "Which images.")
_DATA_DIR = flags.DEFINE_string("data_dir", "", "Where the data lies now, if it has moved.")
_NUM_SAMPLES = flags.DEFINE_integer(
    "num_samples", 100, "K, the draws an image of the importance-weighted bound.", lower_bound=1
)
_NUM_IMAGES = flags.DEFINE_integer(
    "num_images", 10_000, "Samples, and images of a split, at most.", lower_bound=1
)
_FEATURES = flags.DEFINE_enum(
    "features",
    "classifier",
    ["classifier", "inception"],
    "What sees the samples: the last hidden layer of --classifier, or Keras' InceptionV3.",
)
_CLASSIFIER = flags.DEFINE_string(
    "classifier",
    "",
    "Workdir or name of the classifier; default: the pretrained one of the same data.",
)
_PARZEN = flags.DEFINE_bool(
    "parzen", False, "Also the Parzen-window log-likelihood of the first GAN papers."
)
_SEED = flags.DEFINE_integer("seed", 0, "Random seed.", lower_bound=0, upper_bound=2**31 - 1)
_OUT = flags.DEFINE_string(
    "out", "", "The record; default evaluation.json, in the workdir where there is one."
)


def main(argv: list[str]) -> None:
    """Reads the flags, measures and writes the record, or compares records."""
    if _COMPARE.value is not None:
        print(side_by_side([pathlib.Path(path) for path in _COMPARE.value]))
        return
    source = cli.source()
    workdir = pathlib.Path(flags.FLAGS.workdir or ".")
    if flags.FLAGS.workdir and not _OUT.value:
        files.set_aside(workdir / "evaluation.json", folder=False)
    out = cli.output_file(_OUT.value or workdir / "evaluation.json", late=True)
    if _FEATURES.value == "inception" and _CLASSIFIER.value:
        raise InputError("--classifier and --features=inception are two feature nets: name one")
    begin = time.perf_counter()

    import zoo
    from zoo import data
    from zoo.data import toy
    from zoo.evaluation import evaluate, records
    from zoo.hub import loading
    from zoo.training import inputs, provenance

    model = zoo.load(source)
    settings = loading.read_config(source)
    mixture, net, no_net = toy.MIXTURES.get(settings["run"]["dataset"]), None, ""
    if _FEATURES.value != "classifier" or _CLASSIFIER.value or _PARZEN.value:
        leave = "leave --features, --classifier and --parzen out"
        if "sample" not in model.can:
            raise InputError(f"{model.name} draws no samples: {leave}")
        if mixture is not None:
            raise InputError(
                f"samples of ring and grid are judged by the modes that they cover: {leave}"
            )
    if mixture is None and "sample" in model.can:
        net, no_net = feature_net(model, settings["dataset_digest"])
    figures = evaluate.evaluate(
        model,
        functools.cache(lambda name: inputs.split_of(source, name, _DATA_DIR.value, _SEED.value)),
        held_out=_SPLIT.value,
        num_images=_NUM_IMAGES.value,
        num_samples=_NUM_SAMPLES.value,
        net=net,
        no_net=no_net,
        mixture=mixture,
        new_classifier=lambda: loading.create(
            "classifier", model.image_shape, model.num_classes, {}, seed=_SEED.value
        ),
        asked_for=("parzen_nats",) if _PARZEN.value else (),
        seed=_SEED.value,
    )
    record = {
        "model": settings["model"],
        "config": settings["config"],
        "weights_sha256": loading.weights_sha256(source, model),
        "dataset": data.name_of(settings["run"]["dataset"], settings["run"]["data_dir"]),
        "dataset_digest": settings["dataset_digest"],
        "split": _SPLIT.value,
        "binarization": settings["run"]["binarization"],
        "seed": _SEED.value,
        "features": net and {"name": net.name, "sha256": net.sha256, "resize": net.resize},
        "protocols": evaluate.protocols(figures, net, _SEED.value),
        "command": shlex.join(["python", "scripts/evaluate.py", *cli.given("out", "data_dir")]),
        "seconds": round(time.perf_counter() - begin, 1),
        "peak_memory_gb": provenance.peak_memory_gb(),
        "machine": provenance.machine(),
        "versions": provenance.versions(),
        "figures": figures,
    }
    print(records.table({"model": figures}), flush=True)  # in any case
    files.write_json(out, record)
    print(f"record: {out}")


def feature_net(model, dataset_digest: str):
    """What sees the samples of a model, or None and why there is nothing.

    Raises:
      InputError: what was asked for by name cannot be had.
    """
    from zoo.evaluation import evaluate, features
    from zoo.training import inputs

    if _FEATURES.value == "inception":
        return features.inception(model.image_shape), ""
    if _CLASSIFIER.value:
        return inputs.matching_feature_net(_CLASSIFIER.value, dataset_digest), ""
    judge = inputs.pretrained_classifier(dataset_digest)
    if judge is None:
        return None, evaluate.NO_CLASSIFIER if model.num_classes else evaluate.NO_LABELS
    try:
        return inputs.matching_feature_net(judge, dataset_digest), ""
    except InputError as e:  # its file is missing, say; what needs no classifier is measured
        return None, str(e)


def side_by_side(paths: list[pathlib.Path]) -> str:
    """The figures of several records as a table.

    Raises:
      InputError: one cannot be read, is of other images, or has no figure that compares.
    """
    from zoo.evaluation import records

    if len(set(paths)) < max(2, len(paths)):
        raise InputError(
            "--compare needs two records at least, each named once: --compare=ONE.json,OTHER.json"
        )
    return records.side_by_side({str(path): records.read_record(path) for path in paths})


def run() -> None:
    """Reads the command line and ends the process."""
    cli.run(main, cli.parser(cli.define_composed))

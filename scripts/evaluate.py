"""Measures a trained model on images it has not seen: python scripts/evaluate.py --workdir=DIR.

The record names its protocol: split, number of images and of samples, binarization, seed, versions.
"""

import pathlib

from absl import flags

from zoo import cli
from zoo.errors import InputError

cli.define_source()
_SPLIT = flags.DEFINE_enum("split", "test", ["validation", "test"], "Which images.")
_DATA_DIR = flags.DEFINE_string("data_dir", "", "Where the data lies now, if it has moved.")
_NUM_SAMPLES = flags.DEFINE_integer(
    "num_samples", 100, "K, the draws an image of the importance-weighted bound.", lower_bound=1
)
_NUM_IMAGES = flags.DEFINE_integer(
    "num_images", 10_000, "Samples, and first images of a split, at most.", lower_bound=1
)
_CLASSIFIER = flags.DEFINE_string(
    "classifier",
    "",
    "Workdir or name of a classifier that sees the samples, the feature net; default: the "
    "pretrained one, where it was trained on the same data.",
)
_SEED = flags.DEFINE_integer("seed", 0, "Of all noise.", lower_bound=0, upper_bound=2**31 - 1)
_OUT = flags.DEFINE_string(
    "out", "", "The record; default evaluation.json, in the workdir where there is one."
)

_DEFAULT_JUDGE = "classifier"


def main(argv: list[str]) -> None:
    """Reads the flags, measures and writes the record."""
    source = cli.source()
    out = pathlib.Path(_OUT.value or pathlib.Path(flags.FLAGS.workdir or ".") / "evaluation.json")
    if not out.parent.is_dir():
        raise InputError(f"{out.parent}: no such folder to write to")

    import zoo
    from zoo import data
    from zoo.core.arrays import digest
    from zoo.evaluation import features, metrics, quality
    from zoo.training import checkpoints, provenance, setup

    model = zoo.load(source)
    settings = setup.read_config(source)
    net, judge = None, _CLASSIFIER.value
    if not judge and setup.is_pretrained(_DEFAULT_JUDGE):
        seen = setup.read_config(_DEFAULT_JUDGE)["dataset_digest"]
        judge = _DEFAULT_JUDGE if seen == settings["dataset_digest"] else ""
    if judge:
        kind = "pretrained" if setup.is_pretrained(judge) else "workdir"
        net = features.of_classifier(zoo.load(judge), f"{kind} {judge}")
    figures = metrics.evaluate(
        model,
        lambda name: setup.split_of(source, name, _DATA_DIR.value, _SEED.value),
        held_out=_SPLIT.value,
        num_images=_NUM_IMAGES.value,
        num_samples=_NUM_SAMPLES.value,
        net=net,
        seed=_SEED.value,
    )
    protocol = quality.protocol(_SEED.value)
    if net is not None:
        protocol |= {"feature_net": net.name, "sha256": net.sha256, "resize": net.resize}
    record = {
        "model": settings["model"],
        "config": settings["config"],
        "weights_sha256": digest(checkpoints.weights_of(model)),
        "dataset": data.name_of(settings["run"]["dataset"], settings["run"]["data_dir"]),
        "dataset_digest": settings["dataset_digest"],
        "split": _SPLIT.value,
        "binarization": settings["run"]["binarization"],
        "seed": _SEED.value,
        "sample_metrics": protocol if net is not None else None,
        "versions": provenance.versions(),
        "figures": figures,
    }
    checkpoints.write_json(out, record)
    print(metrics.table(figures))
    print(f"record: {out}")


if __name__ == "__main__":
    cli.run(main)

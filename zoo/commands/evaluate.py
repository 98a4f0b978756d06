"""Measures a trained model on images it has not seen: zoo evaluate --pretrained=cgan.

The record names its protocol: split, number of images and of samples, feature net, binarization,
seed, versions. With `--compare=ONE.json,OTHER.json` it shows records side by side with their
differences, figure by figure where these were measured alike.
"""

import pathlib
import shlex

from absl import flags

from zoo.commands import cli
from zoo.core import files
from zoo.errors import InputError

_COMPARE = flags.DEFINE_list(
    "compare", None, "Record files to compare, separated by commas, instead of evaluating."
)
cli.define_source("compare")
_SPLIT = flags.DEFINE_enum("split", "test", ["validation", "test"], "The split to evaluate on.")
_DATA_DIR = flags.DEFINE_string("data_dir", "", "Where the data lies now, if it has moved.")
_NUM_SAMPLES = flags.DEFINE_integer(
    "num_samples",
    100,
    "K, the latent draws for each image of the importance-weighted bound.",
    lower_bound=1,
)
_NUM_IMAGES = flags.DEFINE_integer(
    "num_images", 10_000, "The most samples, and real images, to use.", lower_bound=1
)
_FEATURES = flags.DEFINE_enum(
    "features",
    "auto",
    ["auto", "classifier", "efficientnet", "inception", "inception_2015"],
    "The feature extractor of FID and the like: the last hidden layer of --classifier, "
    "EfficientNet-Lite0, Keras' InceptionV3 or the Inception network of 2015 in which papers "
    "measure FID, all trained on ImageNet. auto: a classifier of the same images if there is one, "
    "else, of images in color, EfficientNet-Lite0.",
)
_WEIGHTS = flags.DEFINE_string(
    "weights",
    "",
    "For --features=inception_2015: the file of its weights, "
    "pt_inception-2015-12-05-6726825d.pth. Default: it is fetched once (96 MB) and kept.",
)
_CLASSIFIER = flags.DEFINE_string(
    "classifier",
    "",
    "Workdir, name or hf://USER/NAME of the classifier. Default: the pretrained one of the same "
    "images.",
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
    if _FEATURES.value not in ("auto", "classifier") and _CLASSIFIER.value:
        raise InputError(
            f"--classifier and --features={_FEATURES.value} are two feature nets: name one"
        )
    if _WEIGHTS.value and _FEATURES.value != "inception_2015":
        raise InputError("--weights goes with --features=inception_2015: leave it out")

    from zoo.evaluation import records
    from zoo.training import measuring

    protocol = measuring.Protocol(
        _SPLIT.value,
        _NUM_IMAGES.value,
        _NUM_SAMPLES.value,
        _FEATURES.value,
        _CLASSIFIER.value,
        _PARZEN.value,
        _SEED.value,
        _DATA_DIR.value,
        _WEIGHTS.value,
        **cli.of_sampler(),
    )
    command = shlex.join(["python", "scripts/evaluate.py", *cli.given("out", "data_dir")])
    record = measuring.record_of(source, protocol, command)
    print(records.table({"model": record["figures"]}), flush=True)  # in any case
    files.write_json(out, record)
    print(f"record: {out}")


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
    cli.run(main, cli.parser(cli.define_sampler))

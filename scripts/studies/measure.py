"""Evaluates all pretrained models anew: python scripts/studies/measure.py --mnist_dir=DIR.

Each record is written as soon as it is measured, so that a run which was stopped goes on: a model
whose record is of these weights and of this protocol is passed over. The floors of one data set are
measured once, which halves the time; the figures are those of `scripts/evaluate.py`.
"""

from zoo.core import stopping  # noqa: F401  isort: skip  (first: Ctrl-C during the imports)
from absl import flags

from zoo.commands import cli
from zoo.core import files
from zoo.errors import InputError

_MODELS = flags.DEFINE_list("models", [], "Names of pretrained models; default: all.")
_MNIST_DIR = flags.DEFINE_string("mnist_dir", "", "Folder with the four IDX files of MNIST.")
_AGAIN = flags.DEFINE_bool("again", False, "Also those whose records are up to date.")
_SPEEDS = flags.DEFINE_bool(
    "speeds",
    False,
    "Measure nothing but samples a second anew, in records that are there: other work on the "
    "machine spoils them, and no other figure.",
)


def main(argv: list[str]) -> None:
    """Measures and writes."""
    from zoo.hub import folders, pretrained, references
    from zoo.training import measuring

    if _SPEEDS.value:
        for name in _MODELS.value or pretrained.manifest():
            _measure_speed(pretrained.FOLDER / name / folders.RECORD, name)
        return
    entries, floors = pretrained.manifest(), {}
    for name in _MODELS.value or entries:
        pretrained.check_known(name)
        path, run = pretrained.FOLDER / name / folders.RECORD, entries[name]["settings"]["run"]
        before = _before(path)
        if not _AGAIN.value and _is_up_to_date(before, entries[name]):
            continue
        of_mnist = run["dataset"] == "mnist"
        if of_mnist and not _MNIST_DIR.value:
            print(f"{name} is of MNIST: passed over without --mnist_dir", flush=True)
            continue
        known = before.get("figures", {})
        asked = {
            "num_samples": known.get("likelihood", {}).get("num_samples") or 100,
            "parzen": "parzen_nats" in known.get("samples", {}).get("model", {}),
        }
        given = [f"--pretrained={name}", *(["--parzen"] if asked["parzen"] else [])]
        if asked["num_samples"] != 100:
            given.append(f"--num_samples={asked['num_samples']}")
        protocol = measuring.Protocol(**asked, data_dir=_MNIST_DIR.value if of_mnist else "")
        command = " ".join(["python scripts/evaluate.py", *given])
        record = measuring.record_of(references.Packaged(name), protocol, command, floors)
        files.write_json(path, record)
        print(f"{name}: {record['seconds']:.0f} s", flush=True)


def _measure_speed(path, name: str) -> None:
    """Draws as many samples as for the record, and writes how many there were a second."""
    import zoo
    from zoo.evaluation import features
    from zoo.evaluation.metrics import sampling
    from zoo.training import provenance

    record = _before(path)
    of = record.get("figures", {}).get("samples", {})
    if "samples_per_second" not in of.get("model", {}):
        return
    if (machine := provenance.machine()) != record["machine"]:
        raise InputError(f"{path} is of another machine ({record['machine']}), not of {machine}")
    model = zoo.load(name)
    labels = features.labels_in_turn(model, of["num_images"])
    _, speeds, _ = features.timed_draws(model, of["num_images"], record["seed"], labels)
    found = sampling.per_second(speeds)
    print(f"{name}: {of['model']['samples_per_second']['mean']:.0f} -> {found['mean']:.0f}")
    of["model"]["samples_per_second"] = found
    files.write_json(path, record)


def _before(path) -> dict:
    """The record that is there, or nothing."""
    from zoo.evaluation import records

    try:
        return records.read_record(path)
    except InputError:
        return {}


def _is_up_to_date(record: dict, entry: dict) -> bool:
    from zoo.evaluation.evaluate import SUBSETS

    if record.get("weights_sha256") != entry["sha256"]:
        return False
    protocols = record.get("protocols", {}).values()
    parts = [of for of in record["figures"].values() if "subsets" in of]
    return all(of.get("subsets") == SUBSETS for of in (*protocols, *parts))  # none: of all images


if __name__ == "__main__":
    cli.run(main)

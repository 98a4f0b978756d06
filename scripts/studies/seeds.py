"""Trains models for a short while with several seeds: python scripts/studies/seeds.py.

Does each run find its way, and how far apart do they end? It writes `docs/claims/seeds.json`, from
which `report.py` makes a part of docs/claims.md; with `--dataset=ring` and `--dataset=grid`
`ring.json` and `grid.json`, and a picture of the points that the runs of the first seed draw. Runs
that are interrupted go on when the same command is given again. It takes half an hour with
`--precision=mixed_bfloat16` on two cores that multiply bfloat16 matrices (AMX), and two to three
hours without.
"""

from zoo.core import stopping  # noqa: F401  isort: skip  (first: Ctrl-C during the imports)
import pathlib
import subprocess
import sys
from collections.abc import Sequence

from absl import flags

from zoo import registry
from zoo.commands import cli
from zoo.core import files, schemas
from zoo.data import toy
from zoo.errors import InputError

TRAIN = pathlib.Path(__file__).resolve().parents[1] / "train.py"
KEPT = (
    "val_fid",
    "val_distinct",
    "val_absent_classes",
    "val_class_fidelity",
    "floor_fid",
    "modes_covered",
    "high_quality",
)
IMAGES = ("gan", "dcgan", "wgan_gp", "sngan", "projection_cgan")
POINTS = ("gan", "wgan_gp", "sngan")

_MODELS = flags.DEFINE_list(
    "models",
    None,
    f"Models whose samples are watched; default: {','.join(IMAGES)}, and of points "
    f"{','.join(POINTS)}.",
)
_DATASET = flags.DEFINE_enum("dataset", "", ["", *toy.MIXTURES], "Fashion-MNIST, or points.")
_SEEDS = flags.DEFINE_integer("seeds", 3, "Runs of each, with seeds 0, 1, ...", lower_bound=1)
_EPOCHS = flags.DEFINE_integer(
    "epochs", None, "Default: 2 passes over the images, and of points the usual.", lower_bound=1
)
_PRECISION = flags.DEFINE_string("precision", "float32", "That of `scripts/train.py`.")
_WORKDIR = flags.DEFINE_string("workdir", "runs/seeds", "Folder of the runs.")
_OUT = flags.DEFINE_string("out", "", "The record; default docs/claims/{seeds,ring,grid}.json.")


def _workdir(name: str, seed: int) -> pathlib.Path:
    return pathlib.Path(_WORKDIR.value) / "-".join(filter(None, (name, _DATASET.value, str(seed))))


def run(name: str, seed: int, epochs: int | None) -> dict:
    """What a run ends with: FID of 1,000 samples, the share of distinct ones, classes it lacks.

    Of points the modes covered and the share of good ones, and seconds; of a run that diverges,
    that it does.
    """
    from zoo.hub import loading
    from zoo.training import provenance
    from zoo.training.loop import DIVERGED

    workdir = _workdir(name, seed)
    flags_of_run = {
        "model": name,
        "dataset": _DATASET.value,
        "seed": seed,
        "precision": _PRECISION.value,
        "workdir": workdir,
    }
    if epochs:
        flags_of_run["epochs"] = epochs
    command = [sys.executable, TRAIN, *(f"--{k}={v}" for k, v in flags_of_run.items())]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode == DIVERGED:
        return {"seed": seed, "diverged": True}
    if done.returncode:
        *_, reason = done.stderr.strip().splitlines() or ["?"]
        raise InputError(f"{name} with seed {seed} did not end: {reason}")
    if loading.read_config(workdir).get("versions") != provenance.versions():
        raise InputError(f"{workdir} was trained by another version: name another --workdir")
    summary = files.read_json(workdir / "summary.json", schemas.SUMMARY)
    if epochs and summary["epochs"] != epochs:
        raise InputError(
            f"{workdir} is a run of {summary['epochs']} epochs: name another --workdir"
        )
    last = summary["last_epoch"]
    kept = {key: last[key] for key in KEPT if key in last}
    return {"seed": seed, **kept, "training_seconds": summary["training_seconds"]}


def side_by_side(names: Sequence[str], path: pathlib.Path) -> None:
    """What the first seed's run of each model draws after its last epoch, in one picture."""
    import numpy as np
    from PIL import Image

    from zoo.drawing import pictures

    folders = [_workdir(name, 0) / "samples" for name in names]
    last = [max(folder.glob("epoch_*.png"), default=None) for folder in folders]
    plots = [p and np.asarray(Image.open(p)) for p in last]
    blank = np.full_like(next(p for p in plots if p is not None), 255)  # it diverged at once
    plots = np.stack([blank if p is None else p for p in plots])
    framed = np.pad(plots, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=pictures.REAL[0])
    pictures.save_png(path, pictures.grid(framed, columns=len(names)))


def main(argv: list[str]) -> None:
    """Trains and writes."""
    from zoo import data
    from zoo.hub import pretrained
    from zoo.training import inputs, provenance

    names = _MODELS.value or (POINTS if _DATASET.value else IMAGES)
    for name in names:
        if registry.recipe(name).monitor != "val_fid":
            raise InputError(f"--models names {name}, whose samples are not watched")
    out = cli.output_file(_OUT.value or f"docs/claims/{_DATASET.value or 'seeds'}.json")
    epochs = _EPOCHS.value or (None if _DATASET.value else 2)
    found = {}
    for name in names:
        found[name] = [run(name, seed, epochs) for seed in range(_SEEDS.value)]
        print(name, *found[name], sep="\n", flush=True)
    digest = data.load(_DATASET.value or None).digest
    judge = inputs.pretrained_classifier(digest)
    record = {
        "dataset_digest": digest,
        "classifier": pretrained.entry(judge.name)["sha256"] if judge else None,
        "command": " ".join(["python scripts/studies/seeds.py", *cli.given("workdir", "out")]),
        "epochs": epochs,
        "versions": provenance.versions(),
        "machine": provenance.machine(),
        "runs": found,
    }
    files.write_json(out, record)
    print(f"record: {out}")
    if _DATASET.value and not all("diverged" in runs[0] for runs in found.values()):
        side_by_side(names, out.with_suffix(".png"))


if __name__ == "__main__":
    cli.run(main)

"""Trains GANs for a short while with several seeds: python scripts/seeds.py (about half an hour).

Does each run find its way, and how far apart do they end? It writes `docs/claims/seeds.json`, from
which `scripts/report.py` makes a part of RESULTS.md. Runs that are interrupted go on when the same
command is given again.
"""

import json
import pathlib
import subprocess
import sys

from absl import flags

from zoo import cli
from zoo.core import files
from zoo.errors import InputError
from zoo.training.recipes import RECIPES, AdversarialRecipe

_MODELS = flags.DEFINE_list("models", "gan,dcgan,wgan_gp,sngan,projection_cgan", "GANs.")
_SEEDS = flags.DEFINE_integer("seeds", 3, "Runs of each, with seeds 0, 1, ...", lower_bound=1)
_EPOCHS = flags.DEFINE_integer("epochs", 2, "Passes over the training images.", lower_bound=1)
_PRECISION = flags.DEFINE_string("precision", "float32", "That of `scripts/train.py`.")
_WORKDIR = flags.DEFINE_string("workdir", "runs/seeds", "Folder of the runs.")
_OUT = flags.DEFINE_string("out", "docs/claims/seeds.json", "The record.")

TRAIN = pathlib.Path(__file__).resolve().with_name("train.py")
KEPT = ("val_fid", "val_distinct", "val_absent_classes", "val_class_fidelity", "floor_fid")


def run(name: str, seed: int) -> dict:
    """What a run ends with: FID of 1,000 samples, the share of distinct ones, classes it lacks.

    Of a run that diverges, that it does.
    """
    from zoo.training import provenance
    from zoo.training.run import DIVERGED

    workdir = pathlib.Path(_WORKDIR.value) / f"{name}-{seed}"
    flags_of_run = {
        "model": name,
        "epochs": _EPOCHS.value,
        "seed": seed,
        "precision": _PRECISION.value,
        "workdir": workdir,
    }
    command = [sys.executable, TRAIN, *(f"--{k}={v}" for k, v in flags_of_run.items())]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode == DIVERGED:
        return {"seed": seed, "diverged": True}
    if done.returncode:
        *_, reason = done.stderr.strip().splitlines() or ["?"]
        raise InputError(f"{name} with seed {seed} did not end: {reason}")
    *_, last = (workdir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    if files.read_json(workdir / "config.json")["versions"] != provenance.versions():
        raise InputError(f"{workdir} was trained by another version: name another --workdir")
    found = json.loads(last)
    if found["epoch"] != _EPOCHS.value:
        raise InputError(f"{workdir} is a run of {found['epoch']} epochs: name another --workdir")
    return {"seed": seed, **{key: found[key] for key in KEPT if key in found}}


def main(argv: list[str]) -> None:
    """Trains and writes."""
    from zoo import data
    from zoo.serving import pretrained
    from zoo.training import provenance

    for name in _MODELS.value:
        if not isinstance(RECIPES.get(name), AdversarialRecipe):
            raise InputError(f"--models names {name}, which is no GAN of the zoo")
    out = pathlib.Path(_OUT.value)
    if not out.parent.is_dir():
        raise InputError(f"{out.parent}: no such folder to write to")
    found = {}
    for name in _MODELS.value:
        found[name] = [run(name, seed) for seed in range(_SEEDS.value)]
        print(name, *(f"{r['val_fid']:.1f}" if "val_fid" in r else "-" for r in found[name]))
    record = {
        "dataset_digest": data.load().digest,
        "classifier": pretrained.entry("classifier")["sha256"],
        "epochs": _EPOCHS.value,
        "precision": _PRECISION.value,
        "versions": provenance.versions(),
        "machine": provenance.machine(),
        "runs": found,
    }
    files.write_json(out, record)
    print(f"record: {out}")


if __name__ == "__main__":
    cli.run(main)

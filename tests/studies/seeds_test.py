"""Models trained with several seeds."""

import json
import pathlib

import pytest
from forked import ROOT
from written import epochs


def test_a_model_whose_samples_are_not_watched_is_refused(run, tmp_path):
    code, _, err = run("studies/seeds", "--models=gan,vae", f"--workdir={tmp_path / 'runs'}")
    assert code == 2 and "vae, whose samples are not watched" in err and "Traceback" not in err
    assert not (tmp_path / "runs").exists()


@pytest.mark.weekly
def test_a_record_of_two_seeds(run, tmp_path):
    flags = ["--models=gan", "--seeds=2", "--epochs=1", f"--workdir={tmp_path / 'runs'}"]
    code, _, err = run("studies/seeds", *flags, f"--out={tmp_path / 'seeds.json'}")
    assert code == 0, err
    record = json.loads((tmp_path / "seeds.json").read_text())
    one, two = record["runs"]["gan"]
    assert (one["seed"], two["seed"]) == (0, 1) and one["val_fid"] != two["val_fid"]
    assert one["floor_fid"] == two["floor_fid"] < min(one["val_fid"], two["val_fid"])
    (epoch,) = epochs(tmp_path / "runs" / "gan-1")
    assert epoch["val_fid"] == two["val_fid"]


@pytest.mark.parametrize("study", ["seeds", "benchmark"])
def test_a_study_finds_the_script_that_trains(study):
    source = (ROOT / "scripts" / "studies" / f"{study}.py").read_text(encoding="utf-8")
    names = {"__file__": str(ROOT / "scripts" / "studies" / f"{study}.py"), "pathlib": pathlib}
    for line in source.splitlines():
        if line.startswith(("SCRIPTS =", "TRAIN =")):
            exec(line, names)
    assert pathlib.Path(names["TRAIN"]).is_file()

"""Training and evaluation on Gaussians in the plane, as people run them."""

import json
import re

import numpy as np
import pytest
from PIL import Image
from written import epochs, events

import zoo
from zoo.data import sources, toy
from zoo.drawing import pictures
from zoo.evaluation import records

pytestmark = pytest.mark.xdist_group("points")  # what one fixture trained, for all


@pytest.fixture(scope="module")
def trained(run, tmp_path_factory):
    """A GAN of a few steps: its workdir, and what was printed."""
    workdir = tmp_path_factory.mktemp("gan-ring")
    code, out, err = run(
        "train",
        "--model=gan",
        "--dataset=ring",
        "--hidden=32",
        "--epochs=2",
        "--steps_per_epoch=50",
        f"--workdir={workdir}",
    )
    assert code == 0, err
    return workdir, out


def by_hand(model):
    """Modes covered and the share within 3 sigma, of 2,500 samples."""
    mixture, covered, good = toy.MIXTURES["ring"], set(), 0
    drawn = np.concatenate([model.sample(500, seed=[0, 500 * i + 1]) for i in range(5)])
    for x, y in np.round(drawn.reshape(-1, 2) * 255):
        distance = [np.hypot(x - a, y - b) for a, b in mixture.centers]
        if min(distance) <= 3 * 2.04:
            covered.add(int(np.argmin(distance)))
            good += 1
    return len(covered), good / len(drawn)


def test_a_run_prints_and_records_the_modes(trained):
    workdir, out = trained
    covered, good = by_hand(zoo.load(workdir))
    said = re.search(r"modes covered: (\d+) of 8; high-quality samples: (\d\.\d\d)$", out, re.M)
    assert (int(said[1]), said[2]) == (covered, f"{good:.2f}")
    summary = json.loads((workdir / "summary.json").read_text())
    # all of the last weights
    for found in (summary["test"], summary["last_epoch"], epochs(workdir)[-1]):
        assert found["modes_covered"] == covered
        assert found["high_quality"] == pytest.approx(good)
    tags = events(workdir / "logs" / "validation").Tags()["tensors"]
    assert {f"samples/{name}" for name in ("modes_covered", "high_quality", "images")} <= set(tags)
    shares = [epochs(workdir)[-1]["high_quality_of"][str(mode)] for mode in range(8)]
    assert sum(s > 0 for s in shares) == covered and sum(shares) == pytest.approx(good)
    assert {f"samples_checks/high_quality_of/{mode}" for mode in range(8)} <= set(tags)


def test_the_pictures_show_samples_over_validation_points(trained, run, tmp_path):
    workdir, _ = trained
    shown = np.asarray(Image.open(workdir / "samples" / "epoch_0002.png"))
    made = zoo.load(workdir).sample(1000, seed=0)
    ring = sources.load("ring")
    expected = pictures.scatter(made, ring.validation.images[:1000])
    np.testing.assert_array_equal(shown, expected.repeat(2, 0).repeat(2, 1))
    code, _, err = run("sample", f"--workdir={workdir}", f"--out={tmp_path / 'x.png'}")
    assert code == 0, err
    shown = np.asarray(Image.open(tmp_path / "x.png"))
    expected = pictures.scatter(made, ring.test.images[:1000])
    np.testing.assert_array_equal(shown, expected.repeat(2, 0).repeat(2, 1))


def test_evaluate_judges_by_the_modes(trained, run):
    workdir, _ = trained
    code, out, err = run("evaluate", f"--workdir={workdir}", "--num_images=2500")
    assert code == 0, err
    record = records.read_record(workdir / "evaluation.json")
    covered, good = by_hand(zoo.load(workdir))
    found = record["figures"]["samples"]
    assert found["num_images"] == 2500 and found["floor"]["modes_covered"]["mean"] == 8
    assert found["model"]["modes_covered"]["mean"] == covered
    assert found["model"]["high_quality"]["mean"] == pytest.approx(good)
    assert found["floor"]["high_quality"]["mean"] == pytest.approx(0.989, abs=0.01)
    assert "3 sigma" in record["protocols"]["modes_covered"]["modes"]
    rows = {line.split()[0] for line in out.splitlines()[1:]}
    assert rows == {"modes_covered", "high_quality", "record:"}
    code, _, err = run("evaluate", f"--workdir={workdir}", "--classifier=classifier")
    assert code == 2 and "measured by the modes that they cover" in err and "Traceback" not in err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--model=vae", "--network=conv"], "not 1x2; resize them, or take a model with"),
        (["--model=gan", "--binarization=static"], "the pixels of ring are coordinates"),
    ],
)
def test_what_does_not_go_with_points(run, tmp_path, flags, message):
    code, _, err = run("train", *flags, "--dataset=ring", f"--workdir={tmp_path / 'never'}")
    assert code == 2 and message in err and "Traceback" not in err
    assert not (tmp_path / "never").exists()

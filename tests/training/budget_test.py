"""A time in place of epochs: measured once, written down, and the same bits as by epochs."""

import statistics

import numpy as np
import pytest

import zoo
from zoo.hub import checkpoints, loading
from zoo.training import choices, defaults

IMAGES = np.random.default_rng(0).integers(0, 256, (100, 8, 8, 1), np.uint8)
SMALL = {"network": "mlp", "hidden": (4,), "latent_dim": 2, "batch_size": 16, "decay": "cosine"}


@pytest.mark.parametrize(
    ("budget", "seconds"), [("90s", 90), ("15m", 900), ("2h", 7200), ("1.5h", 5400)]
)
def test_times(budget, seconds):
    assert choices.seconds_of(budget) == seconds


@pytest.mark.parametrize("budget", ["15", "m", "-3m", "0s", "1d", "15 m", "nanm", "1e3s"])
def test_what_is_no_time_is_refused(budget, tmp_path):
    with pytest.raises(zoo.InputError, match="write a time such as 90s, 15m or 2h"):
        zoo.train("vae", IMAGES, tmp_path / "run", budget=budget, steps_per_epoch=2, **SMALL)
    assert not (tmp_path / "run").exists()


@pytest.fixture
def steps_of(monkeypatch):
    """Sets the seconds of a step."""
    return lambda seconds: monkeypatch.setattr(statistics, "median", lambda values: seconds)


def weights_of(workdir):
    return checkpoints.weights_digest(loading.load(workdir))


@pytest.mark.slow
def test_the_length_is_measured_once_and_the_run_is_that_of_its_epochs(
    tmp_path, steps_of, no_export, capsys
):
    steps_of(0.5)  # 17 steps in ten seconds, of which 0.85 are for steps
    settings = {"budget": "10s", "steps_per_epoch": 5, **SMALL}
    result = zoo.train("vae", IMAGES, tmp_path / "timed", **settings)
    assert "500 ms a step: 10s are enough for --epochs=3 of 5 steps" in capsys.readouterr().out
    assert [r["step"] for r in result.history] == [5, 10, 15]
    zoo.train("vae", IMAGES, tmp_path / "counted", epochs=3, steps_per_epoch=5, **SMALL)
    assert weights_of(tmp_path / "timed") == weights_of(tmp_path / "counted")
    steps_of(0.01)  # another machine goes on with what was fixed
    again = zoo.train("vae", IMAGES, tmp_path / "timed", **settings)
    assert len(again.history) == 3
    del settings["budget"]
    assert len(zoo.train("vae", IMAGES, tmp_path / "timed", **settings).history) == 3
    command = defaults.command(loading.read_config(tmp_path / "timed"))
    assert "--epochs=3" in command and "budget" not in command


@pytest.mark.slow
@pytest.mark.parametrize(("a_step", "last"), [(0.42, 10), (2.0, 5)])
def test_a_time_that_is_not_enough_for_an_epoch_is_a_shorter_epoch(
    tmp_path, steps_of, no_export, monkeypatch, a_step, last
):
    monkeypatch.setattr(defaults, "for_data", lambda *args: {"steps_per_epoch": 50})
    steps_of(5 * a_step)  # of an execution; at least one there must be
    settings = {"budget": "5s", "steps_per_execution": 5, **SMALL}
    for _ in range(2):  # and once more, which goes on
        result = zoo.train("vae", IMAGES, tmp_path, **settings)
        assert [r["step"] for r in result.history] == [last]


def test_a_time_that_is_not_enough_for_the_epoch_that_was_asked_for(tmp_path, steps_of):
    steps_of(1.0)
    with pytest.raises(zoo.InputError, match="enough for 4 steps, not for an epoch of 50: leave"):
        zoo.train("vae", IMAGES, tmp_path / "run", budget="5s", steps_per_epoch=50, **SMALL)
    assert not (tmp_path / "run").exists()


def test_a_time_and_epochs_are_two_lengths(tmp_path):
    with pytest.raises(zoo.InputError, match="--budget sets the length.*leave --epochs out"):
        zoo.train("vae", IMAGES, tmp_path / "run", budget="5s", epochs=2, **SMALL)
    assert not (tmp_path / "run").exists()

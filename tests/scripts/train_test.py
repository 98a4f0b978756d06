"""`train.py` as people run it: real processes, real signals, real files."""

import json
import pathlib
import re
import resource
import shutil
import signal
import time

import numpy as np
import pytest
from written import counts, epochs, scalars

import zoo
from zoo.evaluation import distances, features
from zoo.hub import checkpoints
from zoo.training import inputs, monitor

pytestmark = pytest.mark.xdist_group("train")  # what one fixture trained, for all

ROOT = pathlib.Path(__file__).resolve().parents[2]
GAN = ("--model=gan", "--hidden=16", "--latent_dim=4")
SHORT = ("--batch_size=32", "--epochs=3", "--steps_per_epoch=10", "--checkpoint_steps=4")
# as much state as there can be: two optimizers, their loss scales, pixels drawn at each step
STATEFUL = ("--precision=mixed_float16", "--binarization=stochastic")


@pytest.fixture(scope="module")
def flags(data_dir):
    """A run of 30 steps that writes a checkpoint every fourth."""
    return (*GAN, *SHORT, *STATEFUL, f"--data_dir={data_dir}")


def final(workdir):
    """Every variable after the last step."""
    manager = checkpoints.Manager(workdir / "checkpoints")
    return checkpoints.read(manager.path(30))[1]


@pytest.fixture(scope="module")
def uninterrupted(run, flags, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("whole")
    code, out, err = run("train", *flags, f"--workdir={workdir}")
    assert code == 0, err
    assert "signature_serialization" not in err  # absl's INFO lines are for developers
    assert "AutoGraph" not in err  # which warns of a function that it cannot transform
    return workdir


def test_a_workdir_holds_what_is_promised(uninterrupted):
    names = {p.name for p in uninterrupted.iterdir()} - {".lock"}
    assert names == {
        "config.json",
        "checkpoints",
        "logs",
        "samples",
        "saved_model",
        "metrics.jsonl",
        "summary.json",
    }
    lines = epochs(uninterrupted)
    assert [r["epoch"] for r in lines] == [1, 2, 3] and [r["step"] for r in lines] == [10, 20, 30]
    assert {p.name for p in (uninterrupted / "samples").iterdir()} == {
        f"epoch_{i:04d}.png" for i in (1, 2, 3)
    }
    summary = json.loads((uninterrupted / "summary.json").read_text())
    assert summary["steps"] == 30 and summary["last_epoch"]["val_value"] < 0
    assert summary["exported_step"] == 30  # there is no classifier of these images to judge by
    assert not list(uninterrupted.rglob("*.partial"))


def wait_for_step(process, workdir, step):
    """Waits until this process has written a checkpoint of at least `step` steps."""
    manager = checkpoints.Manager(workdir / "checkpoints")
    step = max([step, *(s + 1 for s in manager.steps())])
    limit = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < limit:
        if any(s >= step for s in manager.steps()):
            return
        time.sleep(0.002)
    raise AssertionError(f"no checkpoint of step {step}: {process.communicate()}")


def test_killed_at_any_moment_it_ends_in_the_same_bits(start, run, flags, uninterrupted, tmp_path):
    workdir = tmp_path / "killed"
    for step in (4, 12, 18):  # inside an epoch, wherever the signal finds it
        process = start("train", *flags, f"--workdir={workdir}")
        wait_for_step(process, workdir, step)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    code, out, err = run("train", *flags, f"--workdir={workdir}")
    assert code == 0, err
    assert "continuing after step" in out
    whole, resumed = final(uninterrupted), final(workdir)
    assert whole.keys() == resumed.keys()
    for name in whole:
        np.testing.assert_array_equal(whole[name], resumed[name], err_msg=name)
    for a, b in zip(epochs(uninterrupted), epochs(workdir), strict=True):
        a.pop("seconds"), b.pop("seconds")
        assert a == b
    for part in ("train", "validation"):
        shown = counts(workdir / "logs" / part)
        assert shown == counts(uninterrupted / "logs" / part) and set(shown.values()) == {1}


WATCHED = (
    "--model=gan",
    "--hidden=32",
    "--latent_dim=4",
    "--batch_size=250",
    "--epochs=5",
    "--steps_per_epoch=6",
    "--checkpoint_steps=2",
    "--eval_every=2",
    "--learning_rate=0.01",  # at which samples get worse
    "--jit_compile=on",
)


@pytest.fixture(scope="module")
def watched(run, tmp_path_factory):
    """A GAN on the images that the pretrained classifier knows, compiled by XLA."""
    workdir = tmp_path_factory.mktemp("watched")
    code, out, err = run("train", *WATCHED, f"--workdir={workdir}")
    assert code == 0, err
    assert "XLA: on" in out and "jit_compile" not in err  # Keras says so where it does without
    return workdir


@pytest.mark.slow
def test_the_epoch_of_least_fid_is_kept_through_a_kill(start, run, watched, tmp_path):
    measured = {r["step"]: r["val_fid"] for r in epochs(watched) if "val_fid" in r}
    assert list(measured) == [12, 24, 30]
    best = min(measured, key=measured.get)
    assert best == 12  # not the last, and judged before the kill below
    process = start("train", *WATCHED, f"--workdir={tmp_path}")
    wait_for_step(process, tmp_path, 14)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    code, out, err = run("train", *WATCHED, f"--workdir={tmp_path}")
    assert code == 0 and "continuing after step" in out, err
    for workdir in (watched, tmp_path):
        meta, _ = checkpoints.read(workdir / "checkpoints" / "best.npz")
        assert meta["step"] == best and meta["score"] == measured[best]
        assert json.loads((workdir / "summary.json").read_text())["exported_step"] == best
    for a, b in zip(epochs(watched), epochs(tmp_path), strict=True):
        a.pop("seconds"), b.pop("seconds")
        assert a == b
    a, b = (json.loads((w / "config.json").read_text()) for w in (watched, tmp_path))
    a["run"].pop("workdir"), b["run"].pop("workdir")
    assert a == b


@pytest.mark.slow
def test_what_is_exported_has_the_fid_that_was_logged(watched, fashion_mnist):
    net = inputs.feature_net(inputs.pretrained_classifier(fashion_mnist.digest))
    model = zoo.load(watched)
    images = np.concatenate(list(features.samples(model, monitor.NUM_SAMPLES, 0)))
    images = np.round(images * 255).astype(np.uint8)
    splits = (fashion_mnist.validation, fashion_mnist.train)
    real, train = (split.subset(monitor.NUM_SAMPLES).images for split in splits)
    seen = [net.see([x])[0] for x in (real, images, train)]
    last = epochs(watched)[-1]
    logged = min(r["val_fid"] for r in epochs(watched) if "val_fid" in r)
    assert distances.fid(seen[0], seen[1]) == pytest.approx(logged, rel=1e-4)
    assert distances.fid(seen[0], seen[2]) == pytest.approx(last["floor_fid"], rel=1e-4)


@pytest.mark.slow
def test_tensorboard_draws_a_quantity_beside_its_floor_and_its_equilibrium(watched):
    logs = watched / "logs"
    assert {path.name for path in logs.iterdir()} == {"train", "validation"}
    train, validation = (scalars(logs / run) for run in ("train", "validation"))
    steps = {6, 12, 18, 24, 30}
    assert set(train["losses/value"]) == set(validation["losses/value"]) == steps
    assert train["losses/value_equilibrium"] == dict.fromkeys(steps, pytest.approx(-np.log(4)))
    assert {f"statistics/spectral_norm/{layer}" for layer in ("dense", "dense_1")} <= set(train)
    checks = ("distinct", "class_share/Ankle boot", "class_share/T-shirt/top")
    for tag in ("samples/fid", *(f"samples_checks/{name}" for name in checks)):
        floor = validation[f"samples_floor/{tag.split('/', 1)[1]}"]
        assert set(validation[tag]) == set(floor) == {12, 24, 30}
        assert len(set(floor.values())) == 1


@pytest.mark.slow
def test_a_generator_that_makes_one_image_stops_the_run_where_that_is_asked_for(
    run, data_dir, tmp_path
):
    # looks count from step 500 on
    flags = (*GAN, "--learning_rate=1e-9", "--batch_size=32", "--epochs=9", "--steps_per_epoch=250")
    code, out, err = run(
        "train", *flags, "--stop_on_collapse", f"--data_dir={data_dir}", f"--workdir={tmp_path}"
    )
    assert code == 3 and "Traceback" not in err, err
    assert "epoch 4: the generator has collapsed" in err
    assert "the checkpoint of step 750 is kept" in err
    assert checkpoints.Manager(tmp_path / "checkpoints").steps()[:2] == [750, 500]
    assert [r["epoch"] for r in epochs(tmp_path)] == [1, 2, 3, 4]


@pytest.mark.slow
def test_several_steps_an_execution_are_the_same_steps(run, flags, uninterrupted, tmp_path):
    code, out, err = run("train", *flags, "--steps_per_execution=2", f"--workdir={tmp_path}")
    assert code == 0, err
    for name, value in final(uninterrupted).items():
        np.testing.assert_array_equal(final(tmp_path)[name], value, err_msg=name)


@pytest.mark.parametrize(
    "signal_number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_a_polite_signal_saves_and_says_how_to_go_on(start, flags, tmp_path, signal_number):
    flags = [f for f in flags if not f.startswith("--epochs")] + ["--epochs=1000"]
    process = start("train", *flags, f"--workdir={tmp_path}")
    wait_for_step(process, tmp_path, 4)
    process.send_signal(signal_number)
    out, err = process.communicate(timeout=60)  # the run would take minutes more
    assert process.returncode == 128 + signal_number, err
    said = re.search(r"stopped by (\w+) after step (\d+); the same command goes on from there", out)
    assert said[1] == signal_number.name
    assert int(said[2]) == checkpoints.Manager(tmp_path / "checkpoints").steps()[0]
    assert "Traceback" not in err


def test_a_damaged_newest_checkpoint_is_passed_over(run, flags, uninterrupted, tmp_path):
    workdir = tmp_path / "damaged"
    shutil.copytree(uninterrupted, workdir)
    newest = checkpoints.Manager(workdir / "checkpoints").path(30)
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 0xFF
    newest.write_bytes(content)
    code, out, err = run("train", *flags, f"--workdir={workdir}")
    assert code == 0, err
    assert "damaged checkpoint passed over" in err and newest.name in err
    assert "continuing after step 28 of 30" in out
    for name, value in final(uninterrupted).items():
        np.testing.assert_array_equal(final(workdir)[name], value, err_msg=name)


def test_other_settings_are_refused_with_the_difference(run, flags, uninterrupted):
    before = (uninterrupted / "config.json").read_bytes()
    code, out, err = run("train", *flags, "--latent_dim=5", f"--workdir={uninterrupted}")
    assert code == 2 and "latent_dim: 4 then, 5 now" in err and "Traceback" not in err
    assert (uninterrupted / "config.json").read_bytes() == before


def test_divergence_has_its_own_exit_code_and_keeps_the_last_good_checkpoint(
    run, data_dir, tmp_path
):
    code, out, err = run(
        "train",
        "--model=vae",
        "--network=mlp",
        "--hidden=16",
        "--likelihood=gaussian",
        "--learning_rate=1e18",
        "--steps_per_epoch=10",
        "--checkpoint_steps=1",
        "--batch_size=32",
        f"--data_dir={data_dir}",
        f"--workdir={tmp_path}",
    )
    assert code == 3, err
    assert re.search(r"training diverged: (at|after) step \d+", err) and "Traceback" not in err
    steps = checkpoints.Manager(tmp_path / "checkpoints").steps()
    assert steps and f"the checkpoint of step {steps[0]} is kept" in err
    for step in steps:
        _, arrays = checkpoints.read(checkpoints.Manager(tmp_path / "checkpoints").path(step))
        for name, a in arrays.items():
            if name.startswith("weights/"):
                assert np.isfinite(a).all(), name


@pytest.mark.parametrize("what", [pytest.param("events", marks=pytest.mark.slow), "checkpoint"])
def test_a_full_disk_is_one_line_and_leaves_the_last_checkpoint_whole(
    run, flags, uninterrupted, tmp_path, what
):
    workdir = tmp_path / "full"
    shutil.copytree(uninterrupted, workdir)
    longer = [f for f in flags if not f.startswith("--epochs")] + ["--epochs=4"]
    checkpoint = checkpoints.Manager(workdir / "checkpoints").path(30).stat().st_size
    size = {"events": 5000, "checkpoint": checkpoint // 2}[what]
    limits = [(resource.RLIMIT_FSIZE, size)]  # the same error path as a disk without space
    code, out, err = run("train", *longer, f"--workdir={workdir}", limits=limits)
    assert code == 1 and "Traceback" not in err, err
    assert f"error: File too large: {workdir}; the checkpoint of step 30 is kept" in err
    assert not list((workdir / "checkpoints").glob("*.partial"))
    for name, value in final(uninterrupted).items():
        np.testing.assert_array_equal(final(workdir)[name], value, err_msg=name)


@pytest.mark.parametrize(
    ("wrong", "message", "expected"),
    [
        (["--data_dir=/does/not/exist"], "no such file", 2),
        (["--batch_size=100000"], "too few for a batch", 2),
        (["--learning_rate=nan"], "learning_rate must be finite", 2),
        (["--strategy=mirrored", "--jit_compile=on"], "do not go with --strategy", 2),
        (["--steps_per_epoch=10", "--steps_per_execution=4"], "with a remainder", 2),
        (["stray"], "Unexpected argument 'stray'", 2),
        # absl's own checks
        (["--flagfile=/does/not/exist"], "/does/not/exist", 1),
        (["--hidden=16,x"], "must be positive numbers, separated by commas", 1),
        (["--latent_dim=0"], "not a positive integer", 1),
        (["--likelihood=bernoulli"], "Unknown command line flag 'likelihood'", 1),
        (["--precision=float16"], "should be one of", 1),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(run, wrong, message, expected, tmp_path):
    workdir = tmp_path / "never"
    code, out, err = run("train", *GAN, *wrong, f"--workdir={workdir}")
    assert code == expected and message in out + err and "Traceback" not in err, out + err
    assert not workdir.exists()


HELP = """
import runpy, sys
sys.argv = [sys.argv[1], "--help", *sys.argv[2:]]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as e:
    assert not e.code and not {"tensorflow", "keras"} & set(sys.modules)
"""


def test_help_lists_the_models_own_flags_without_tensorflow(run_python):
    script = ROOT / "scripts" / "train.py"
    of_vae = run_python(HELP, script, "--model=vae", fresh=True)
    of_all = run_python(HELP, script, fresh=True)
    for flag in ("--epochs", "--batch_size", "--precision"):
        assert flag in of_vae and flag in of_all
    assert "--latent_dim" in of_vae and "--likelihood" in of_vae
    assert "--discriminator_steps" not in of_vae and "--latent_dim" not in of_all

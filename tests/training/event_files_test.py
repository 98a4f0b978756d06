"""TensorBoard shows each quantity once at each epoch, whatever became of the run's event files."""

import dataclasses
import shutil
import types

import filelock
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from written import counts, events, scalars

from zoo import data, recipes, registry
from zoo.errors import InputError
from zoo.training import boards, event_files, loop


def write(folder, steps, graph=False):
    """One more event file, with the step as the value of `a` and `b`."""
    writer = tf.summary.create_file_writer(str(folder))
    for step in steps:
        with writer.as_default(step=step):
            tf.summary.scalar("a", float(step))
            tf.summary.scalar("b", float(step))
    if graph:
        with writer.as_default(step=0):
            tf.summary.graph(tf.function(lambda: tf.constant(1)).get_concrete_function().graph)
    writer.close()


def once(*steps):
    return {(tag, step): 1 for tag in "ab" for step in steps}


def test_what_is_to_be_run_again_and_what_is_there_twice_goes(tmp_path):
    for steps in ((1, 2), (2, 3), (3, 4, 5)):
        write(tmp_path, steps, graph=True)
    assert event_files.prune(tmp_path, 4) == {*once(1, 2, 3, 4), event_files.GRAPH}
    assert counts(tmp_path) == {**once(1, 2, 3, 4), ("", 0): 1}
    assert scalars(tmp_path)["a"] == {1: 1.0, 2: 2.0, 3: 3.0, 4: 4.0}
    assert events(tmp_path).Graph() and len(list(tmp_path.iterdir())) == 1


def test_files_that_are_whole_are_left_alone(tmp_path):
    for steps in ((1, 2), (3,)):
        write(tmp_path, steps)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    event_files.prune(tmp_path, 3)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("how", ["torn", "flipped", "empty", "folder"])
def test_what_is_damaged_costs_no_more_than_itself(tmp_path, how, capsys):
    write(tmp_path, (1, 2))
    (path,) = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    path.unlink()
    if how == "folder":
        path.mkdir()
    elif how == "empty":
        path.touch()
    else:
        content = content[:-3] if how == "torn" else content
        content[-10] ^= how == "flipped"
        path.write_bytes(content)
    write(tmp_path, (3,))
    there = event_files.prune(tmp_path, 9)
    kept = set(once(1, 2)) - {("b", 2)} if how in ("torn", "flipped") else set()
    assert there == set(counts(tmp_path)) == kept | set(once(3))
    assert ("is damaged" in capsys.readouterr().err) == (how != "empty")


@pytest.fixture
def train(data_dir, tmp_path):
    """Trains a GAN in `tmp_path` for that many epochs of two steps; the event files by folder."""

    def train(count):
        recipe = dataclasses.replace(registry.recipe("gan"), epochs=count, batch_size=32)
        settings = {"data_dir": str(data_dir), "workdir": str(tmp_path), "eval_every": 0}
        settings = recipes.Run(steps_per_epoch=2, **settings)
        assert loop.train("gan", {"hidden": (8,), "latent_dim": 2}, recipe, settings) == 0
        parts = ("train", "validation")
        assert {path.name for path in (tmp_path / "logs").iterdir()} == set(parts)
        found = {part: counts(tmp_path / "logs" / part) for part in parts}
        assert {n for part in found.values() for n in part.values()} == {1}
        assert sum(("", 0) in part for part in found.values()) == 1
        assert len([tag for tag, _ in found["validation"] if "session_start" in tag]) == 1
        for part in parts:
            value = scalars(tmp_path / "logs" / part)["losses/value"]
            assert list(value) == list(range(2, 2 * count + 1, 2))
        return found

    return train


@pytest.mark.slow
def test_a_run_that_goes_on_is_shown_as_one_that_was_never_killed(
    train, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(loop, "finish", lambda *_: None)  # nobody looks at the export
    logs = tmp_path / "logs"
    first = train(1)
    write(logs / "train", (1, 2))  # as version 0.1 did: tags of its own, by epochs
    write(logs / "floor", (1, 2))
    write(logs, (0,))
    writer = tf.summary.create_file_writer(str(logs / "train"))
    with writer.as_default(step=4):  # after the last checkpoint, and of what is to be run again
        tf.summary.scalar("losses/value", 1e9)
    writer.close()
    left = tmp_path / "checkpoints" / ".step_000000004.npz.0123.partial"
    left.touch()  # by a process that was killed
    (tmp_path / ".saved_model.4567.partial").mkdir()
    (tmp_path / ".evaluation.json.89ab.partial").touch()  # evaluate.py is at it
    with filelock.FileLock(tmp_path / ".lock"), pytest.raises(InputError, match="another run is"):
        train(2)
    assert left.exists()
    capsys.readouterr()
    second = train(2)
    assert "metrics.jsonl" not in capsys.readouterr().err
    unfinished = [path.name for path in tmp_path.rglob("*.partial")]
    assert unfinished == [".evaluation.json.89ab.partial"]
    assert {tag for tag, _ in second["train"]} == {tag for tag, _ in first["train"]}
    assert scalars(logs / "train")["losses/value"][4] < 1e9
    values = scalars(logs / "validation")
    shutil.rmtree(logs)
    logs.write_text("no folder")
    train(3)
    err = capsys.readouterr().err
    assert f"{logs} was no folder" in err and "lacked scalars of 2 epochs" in err
    for tag, value in scalars(logs / "validation").items():
        assert {k: v for k, v in value.items() if k <= 4} == pytest.approx(values[tag])


def test_a_sprite_is_no_larger_than_tensorboard_takes(tmp_path, monkeypatch):
    assert (boards.SPRITE_SIDE // 288) ** 2 == 784  # of 1,000 images of 288 pixels
    monkeypatch.setattr(boards, "SPRITE_SIDE", 100)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, 10, 22, 3), np.uint8)
    split = data.Split(images, np.arange(40, dtype=np.int32) % 2)
    model = types.SimpleNamespace(
        conditional=False, encode=lambda x, _: types.SimpleNamespace(mean=lambda: x[:, 0, :2, 0])
    )
    names = ("with\ttab and\nline", "caf\udce9")
    boards.write_projector(tmp_path, model, split, names)
    assert {path.name for path in tmp_path.iterdir()} == set(boards.PROJECTOR_FILES)
    sprite = np.asarray(Image.open(tmp_path / "sprite.png"))
    assert sprite.shape == (4 * 10, 4 * 22, 3)
    np.testing.assert_array_equal(sprite[10:20, 22:44], images[5])
    classes = (tmp_path / "classes.tsv").read_text().splitlines()
    assert classes == ["with tab and line", "caf\\udce9"] * 8
    assert len((tmp_path / "latents.tsv").read_text().splitlines()) == 16

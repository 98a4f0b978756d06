"""Which checkpoints are kept, and that no kill between two writes loses one."""

import zipfile

import numpy as np
import pytest

import zoo
from zoo.core import files
from zoo.core.arrays import digest
from zoo.errors import InputError
from zoo.hub import checkpoints
from zoo.hub.checkpoints import state
from zoo.training import callbacks


@pytest.fixture(scope="module")
def model():
    return zoo.create("gan", hidden=(4,), latent_dim=2)


def mark(model, number):
    """Makes this state of the model recognizable."""
    model.trainable_variables[0].assign(np.full(model.trainable_variables[0].shape, number))


def marked(model):
    return float(np.asarray(model.trainable_variables[0]).flat[0])


def test_the_last_few_and_the_best_are_kept(model, tmp_path):
    manager = checkpoints.Manager(tmp_path, keep=2)
    for step, score in ((1, 0.5), (2, 0.2), (3, 0.3), (4, float("nan")), (5, 0.4)):
        mark(model, step)
        manager.save(model, step, score)
    assert manager.steps() == [5, 4] and manager.best_score() == 0.2
    assert {p.name for p in tmp_path.iterdir()} == {
        "best.npz",
        "step_000000004.npz",
        "step_000000005.npz",
    }
    assert manager.restore(model) == (5, 0.0) and marked(model) == 5
    assert manager.restore_weights(model) == 2 and marked(model) == 2


def test_the_time_of_an_epoch_half_done_is_kept(model, tmp_path):
    manager = checkpoints.Manager(tmp_path)
    assert manager.restore(model) == (0, 0.0)
    manager.save(model, 7, seconds=12.5)
    assert manager.restore(model) == (7, 12.5)
    log = callbacks.MetricsFile(tmp_path / "metrics.jsonl", 10, 1000.0)
    for epoch, (least, most) in enumerate([(1000, 1100), (0, 100)]):
        log.on_epoch_begin(epoch)
        assert least <= log.seconds() < most
        log.on_epoch_end(epoch, {})
        assert least <= log.records[-1]["seconds"] < most


@pytest.mark.parametrize("bits", [1, pytest.param(8, marks=pytest.mark.slow)])
def test_however_a_bit_is_flipped_it_is_damage(model, tmp_path, bits):
    manager = checkpoints.Manager(tmp_path)
    manager.save(model, 1)
    whole = manager.path(1).read_bytes()
    directory = whole.rindex(b"PK\x01\x02")  # what a reader believes first: of the last array
    with zipfile.ZipFile(manager.path(1)) as archive:
        largest = max(archive.infolist(), key=lambda entry: entry.file_size)
    array = whole.index(b"\x93NUMPY", largest.header_offset)  # read before its checksum is known
    for byte in [*range(64), *range(array, array + 128), *range(directory, len(whole))]:
        for bit in [byte % 8] if bits == 1 else range(8):
            content = bytearray(whole)
            content[byte] ^= 1 << bit
            manager.path(1).write_bytes(content)
            try:
                _, arrays = checkpoints.read(manager.path(1))
            except checkpoints.Damaged:
                continue
            # what says nothing of the content, as times and attributes
            assert digest(arrays) == digest({k: np.asarray(v) for k, v in state(model).items()})


@pytest.mark.parametrize("writes", [0, 1])
def test_an_epoch_that_is_not_run_again_has_been_judged(model, tmp_path, monkeypatch, writes):
    manager = checkpoints.Manager(tmp_path)
    manager.save(model, 1, score=0.5)
    whole, left = files.write_atomically, [writes]

    def killed(path, write):
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        whole(path, write)

    monkeypatch.setattr(files, "write_atomically", killed)
    with pytest.raises(KeyboardInterrupt):
        manager.save(model, 2, score=0.2)
    assert manager.steps() == [1] or manager.best_score() == 0.2


def test_a_damaged_best_checkpoint_is_reported(model, tmp_path):
    manager = checkpoints.Manager(tmp_path)
    mark(model, 1)
    manager.save(model, 1, score=0.5)
    manager.best_path.write_bytes(manager.best_path.read_bytes()[:-100])
    said = []
    assert manager.restore_weights(model, said.append) == 1
    assert len(said) == 1 and "best.npz" in said[0]


def test_a_checkpoint_of_another_model_is_refused(model, tmp_path):
    checkpoints.Manager(tmp_path).save(model, 1)
    other = zoo.create("gan", hidden=(5,), latent_dim=2)
    with pytest.raises(
        InputError, match=r"trained with hidden=\[4\], and .*config.json says \[5\]"
    ):
        checkpoints.Manager(tmp_path).restore(other, report=lambda line: None)

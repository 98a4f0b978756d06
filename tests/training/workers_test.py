"""Several workers: what TF_CONFIG may be, and what happens when one of them is stopped."""

import json
import signal
import socket
import threading
import time

import pytest
from forked import free_ports

from zoo.errors import InputError
from zoo.hub import checkpoints
from zoo.training import callbacks, strategies


def cluster(*workers, kind="worker", index=0, **others):
    return {"cluster": {"worker": list(workers), **others}, "task": {"type": kind, "index": index}}


A, B = "127.0.0.1:2001", "127.0.0.1:2002"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("{", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ([], "it must be of type object"),
        ({}, "it lacks cluster"),
        ({"cluster": {"worker": [A]}}, "it lacks task"),
        ({"cluster": {}, "task": {"type": "worker", "index": 0}}, "cluster: "),
        (cluster(A, B, kind="boss"), "task.type: 'boss' is not one of"),
        (cluster(A, B, index="0"), "task.index must be of type integer, not '0'"),
        (cluster(A, B, index=-1), "task.index: -1 is less than the minimum"),
        (cluster(A, B, index=2), "it has no worker 2"),
        (cluster(A, B, kind="chief"), "it has no chief 0"),
        (cluster(A, chief=[A, B]), "cluster.chief: "),
        (cluster(A, ps=[B]), "'ps' was unexpected"),
        (cluster(A, 5), "cluster.worker.1 must be of type string, not 5"),
        (cluster(A, A), "two of its addresses are the same"),
        (cluster(A, "127.0.0.1"), "'127.0.0.1' is no HOST:PORT"),
        (cluster(A, "127.0.0.1:http"), "is no HOST:PORT"),
        (cluster(A, "127.0.0.1:70000"), "is no HOST:PORT"),
        (cluster(":2001", A), "':2001' is no HOST:PORT"),
        (cluster("192.0.2.1:2001", A), "own address.*192.0.2.1:2001, cannot be used: "),
        (cluster("no.such.host.invalid:2001", A), "own address.*cannot be used: "),
    ],
)
def test_a_wrong_cluster_is_one_line(monkeypatch, value, said):
    text = value if isinstance(value, str) else json.dumps(value)
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(InputError, match=said) as e:
        strategies.make("multi_worker")
    assert "TF_CONFIG" in str(e.value) and "\n" not in str(e.value) and len(str(e.value)) < 400


def test_an_address_that_is_taken_is_one_line(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        own = f"127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("TF_CONFIG", json.dumps(cluster(own, A)))
        with pytest.raises(InputError, match=f"own address.*{own}, cannot be used: .*in use"):
            strategies.make("multi_worker")


def test_a_worker_that_waits_says_so_at_once_and_again(monkeypatch, capsys):
    monkeypatch.setattr(strategies, "_EVERY", 0.5)
    mine, other = (("127.0.0.1", port) for port in free_ports(2))
    meeting = threading.Thread(target=strategies._meet, args=(mine, [other]), daemon=True)
    meeting.start()
    time.sleep(1.2)
    assert meeting.is_alive()
    lines = capsys.readouterr().err.splitlines()
    assert 2 <= len(lines) <= 3
    assert set(lines) == {f"waiting for the other workers: 127.0.0.1:{other[1]}"}
    assert strategies._answers(mine)
    with socket.create_server(other):
        meeting.join(30)
    assert not meeting.is_alive() and not strategies._answers(mine)  # TensorFlow takes its place


def test_a_signal_to_one_worker_is_obeyed_by_this_one(tmp_path):
    class Others:
        def numbers(self, own):
            return [own, number]

    saved = []

    class Manager(checkpoints.Manager):
        def save(self, model, step, *rest, **more):
            saved.append(step)

    log = callbacks.MetricsFile(tmp_path / "metrics.jsonl", steps_per_epoch=10)
    checkpoint = callbacks.Checkpoint(Manager(tmp_path), log, 0, 0, "", workers=Others())
    checkpoint.set_model(type("Model", (), {"steps_per_execution": 1})())
    log.on_epoch_begin(0)
    number = 0
    checkpoint.on_train_batch_end(0)
    number = signal.SIGTERM
    with pytest.raises(callbacks.Interrupted) as e:
        checkpoint.on_train_batch_end(1)
    assert (e.value.signal_number, saved) == (signal.SIGTERM, [2])


GAN = ("--model=gan", "--hidden=16", "--latent_dim=4", "--batch_size=32", "--eval_every=0")


@pytest.fixture
def workers(start, data_dir, tmp_path):
    """Starts both of two workers: `workers(flags)`; those that have not ended are killed."""
    processes = []

    def workers(*flags, which=(0, 1)):
        addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
        flags = (*GAN, "--strategy=multi_worker", f"--data_dir={data_dir}", *flags)
        for i in which:
            environment = {"TF_CONFIG": json.dumps(cluster(*addresses, index=i))}
            processes.append(start("train", *flags, f"--workdir={tmp_path}", env=environment))
        return processes

    yield workers
    for process in processes:
        if process.poll() is None:
            process.kill()


@pytest.mark.parametrize(
    ("which", "number"),
    [
        pytest.param(1, signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param(0, signal.SIGINT, marks=pytest.mark.weekly),
        pytest.param(1, signal.SIGKILL, marks=pytest.mark.slow),
        pytest.param(0, signal.SIGKILL, marks=pytest.mark.weekly),
    ],
)
def test_a_signal_to_one_worker_ends_all(workers, tmp_path, which, number):
    processes = workers("--epochs=1000", "--steps_per_epoch=10", "--checkpoint_steps=5")
    manager = checkpoints.Manager(tmp_path / "checkpoints")
    limit = time.monotonic() + 200
    while not manager.steps() and time.monotonic() < limit:
        time.sleep(0.1)
    processes[which].send_signal(number)
    said = [process.communicate(timeout=200) for process in processes]
    codes = [process.returncode for process in processes]
    newest = manager.steps()[0]
    assert not any("Traceback" in err for _, err in said), said
    if number == signal.SIGKILL:
        assert (codes[which], codes[1 - which]) == (-number, 1), said
        lines = [line for line in said[1 - which][1].splitlines() if line.startswith("error: ")]
        assert len(lines) == 1 and f"the checkpoint of step {newest} is kept" in lines[0]
    else:
        line = f"stopped by {number.name} after step {newest}; the same command goes on from there"
        assert codes == [128 + number] * 2 and all(line in out for out, _ in said), said


@pytest.mark.slow
def test_a_worker_that_is_alone_can_be_stopped(workers, tmp_path):
    (process,) = workers(which=(1,))
    while "waiting for the other workers: 127.0.0.1:" not in process.so_far()[1]:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and err.endswith("\nstopped\n")
    assert len(err.split("\n\n")) == 2  # the line that it waits, and the one that it is stopped
    assert not list(tmp_path.iterdir())

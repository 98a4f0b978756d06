"""Ctrl-C and SIGTERM at any moment: one line, the right exit code, nothing left behind."""

import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUSY = """
from zoo.core import files, stopping
import hashlib, pathlib, sys
print("begun", flush=True)
folder = pathlib.Path(sys.argv[1])

def write(file):
    file.write(b"half")
    file.flush()
    if sys.argv[2] == "waits":
        sys.stdin.read()
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)  # a call that Python cannot interrupt

files.write_atomically(folder / "x", write)
"""
NOISE = ("WARNING: All log", "I0000", "W0000", "E0000")  # of TensorFlow's import


def fresh(*command, **more):
    """A process that has imported nothing yet, unlike those that are forked from a warm one."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipes = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen([sys.executable, *command], env=environment, text=True, **pipes, **more)


def sent(process, delay, number):
    """Sends a signal so long after the process handles it; how it ends, and what it says."""
    for _ in range(10_000):
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        if int(re.search(r"SigCgt:\s+(\w+)", status)[1], 16) >> (signal.SIGTERM - 1) & 1:
            break
        time.sleep(0.003)
    time.sleep(delay)
    process.send_signal(number)
    begin = time.monotonic()
    _, err = process.communicate(timeout=120)
    err = [line for line in err.splitlines() if line and not line.startswith(NOISE)]
    return process.returncode, err, time.monotonic() - begin


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="it reads Linux' /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("how", ["waits", "computes"])
def test_what_is_being_written_is_abandoned(tmp_path, how, number):
    (tmp_path / "x").write_text("old")
    process = fresh("-c", BUSY, tmp_path, how, stdin=subprocess.PIPE)
    assert process.stdout.readline() == "begun\n"
    while not [p for p in tmp_path.iterdir() if p.stat().st_size == 4]:
        time.sleep(0.003)
    code, said, seconds = sent(process, 0, number)
    assert (code, said) == (128 + number, ["stopped"])
    assert seconds < 20  # the call takes minutes
    assert [p.name for p in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_text() == "old"


def stopped_at(tmp_path, delay, number):
    out = tmp_path / "x.png"
    script = ROOT / "scripts" / "sample.py"
    process = fresh(script, "--pretrained=vae", "--num=4", f"--out={out}")
    code, said, _ = sent(process, delay, number)
    assert code == 0 or (code, said) == (128 + number, ["stopped"]), (delay, code, said)
    assert {p.name for p in tmp_path.iterdir()} <= {"x.png"}
    return code


@pytest.mark.parametrize("delay", [0.0, 1.5])
def test_a_script_at_its_start_and_in_its_imports(tmp_path, delay):
    assert stopped_at(tmp_path, delay, signal.SIGINT) == 130


@pytest.mark.parametrize(
    "count",
    [pytest.param(3, marks=pytest.mark.slow), pytest.param(40, marks=pytest.mark.weekly)],
)
def test_a_script_at_any_moment(tmp_path, count):
    rng = random.Random(0)
    for _ in range(count):
        stopped_at(tmp_path, rng.uniform(0, 8), rng.choice([signal.SIGINT, signal.SIGTERM]))

"""What several tests share: a slice of the real data as IDX files, and scripts as processes."""

import os
import pathlib
import subprocess
import sys

import pytest

from zoo.data import idx, sources

ROOT = pathlib.Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def fashion_mnist():
    """The whole embedded set."""
    return sources.load()


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory, fashion_mnist):
    """The first 640 training and 100 test images of Fashion-MNIST, as an IDX quadruple."""
    folder = tmp_path_factory.mktemp("idx")
    train, test = fashion_mnist.train, fashion_mnist.test
    arrays = (train.images[:640], train.labels[:640], test.images[:100], test.labels[:100])
    for name, array in zip(sources.FILES, arrays, strict=True):
        idx.write(folder / f"{name}.gz", array)
    return folder


@pytest.fixture(scope="session")
def start():
    """Starts a script as a process of its own: `start("train", "--model=vae", ...)`."""

    def start(script, *flags, **kwargs):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **kwargs.pop("env", {})}
        return subprocess.Popen(
            [sys.executable, str(ROOT / "scripts" / f"{script}.py"), *map(str, flags)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            **kwargs,
        )

    return start


@pytest.fixture(scope="session")
def run(start):
    """Runs a script to its end: `run(...) -> (exit code, stdout, stderr)`."""

    def run(script, *flags, timeout=240, **kwargs):
        process = start(script, *flags, **kwargs)
        out, err = process.communicate(timeout=timeout)
        return process.returncode, out, err

    return run


@pytest.fixture(scope="session")
def run_python():
    """Runs Python code in a fresh process, which must end well."""

    def run_python(code, *arguments):
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            capture_output=True,
            text=True,
            env=environment,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run_python

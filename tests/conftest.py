"""What several tests share: a slice of the real data as IDX files, and scripts as processes."""

import gc
import os
import subprocess
import sys
import unittest.mock

import forked
import pytest
from forked import ROOT, Forked

from zoo.core import files, memory
from zoo.data import idx, sources
from zoo.hub import export

memory.keep()  # as every script does


def pytest_collection_finish():
    """No collection of garbage looks at a million objects of the imported libraries again."""
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def quick(request):
    """Whether this is the default run, in which TensorFlow does not rewrite graphs."""
    quick = "not slow" in request.config.option.markexpr
    if quick:
        import quick_graphs  # noqa: F401
    return quick


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """What tests keep for later is not among what their user keeps."""
    before = os.environ.get("ZOO_CACHE")
    os.environ["ZOO_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["ZOO_CACHE"]
    else:
        os.environ["ZOO_CACHE"] = before


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
def without_exports():
    """A context in which runs end with an empty SavedModel: one takes longer than a small run."""

    def saved_model(model, path, replace=True):
        files.write_folder(path, lambda folder: (folder / "saved_model.pb").touch(), replace)

    return lambda: unittest.mock.patch.object(export, "saved_model", saved_model)


@pytest.fixture
def no_export(without_exports):
    """The same for a whole test."""
    with without_exports():
        yield


@pytest.fixture
def no_steps(monkeypatch):
    """Runs in this process do all but train and export."""
    from zoo.training import fitting, loop

    monkeypatch.setattr(fitting.Session, "fit", lambda session: 0)
    monkeypatch.setattr(loop, "finish", lambda *arguments: None)


@pytest.fixture(scope="session")
def fork_server(quick):
    """What `Forked` processes come from."""
    return forked.start_server(quick)


@pytest.fixture(scope="session")
def start(fork_server):
    """Starts a script as a process of its own: `start("train", "--model=vae", ...)`.

    An epoch of the small sets of tests is a pass, where nothing else is asked for.
    """

    def start(script, *flags, **kwargs):
        if script == "train" and not {"--dataset=ring", "--dataset=grid"} & set(flags):
            flags = ("--steps_per_epoch=0", *flags)
        return Forked(fork_server, [ROOT / "scripts" / f"{script}.py", *flags], **kwargs)

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
def run_python(fork_server):
    """Runs Python code in a process of its own, which must end well.

    With `fresh` it is one that has imported nothing: where it matters what is imported.
    """

    def run_python(code, *arguments, fresh=False):
        arguments = list(map(str, arguments))
        if fresh:
            process = subprocess.Popen(
                [sys.executable, "-c", code, *arguments],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=forked.environment(),
            )
        else:
            process = Forked(fork_server, ["-c", *arguments], code=code)
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        return out

    return run_python

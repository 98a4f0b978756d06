"""Nothing that only Linux has is needed to train, sample, evaluate or load."""

import ast
import os
import pathlib
import sys

import pytest

from zoo.training import provenance

ROOT = pathlib.Path(__file__).resolve().parents[1]
MODULES = {"fcntl", "resource", "pwd", "grp", "termios", "pty", "tty"}
NAMES = {
    "os": ("fork", "sched_getaffinity", "sysconf", "sysconf_names", "getuid", "geteuid", "mkfifo"),
    "signal": ("SIGKILL", "SIGHUP", "SIGALRM", "setitimer", "pthread_kill", "sigwait"),
}

ELSEWHERE = """
import importlib, os, pathlib, pkgutil, signal, sys, tempfile
import tensorboard.plugins.hparams.api, tensorflow_probability, tensorflow, keras, sklearn, PIL
modules, names = eval(sys.argv[1])
for name in modules:
    sys.modules[name] = None  # importing it is an ImportError from here on
for module, missing in names.items():
    for name in missing:
        delattr(sys.modules[module], name)
opened = os.open

def open_no_folder(path, *rest, **more):
    if os.path.isdir(path):
        raise PermissionError(13, "Permission denied", path)
    return opened(path, *rest, **more)

os.open = open_no_folder
import zoo
from absl import flags
before = set(flags.FLAGS)
for found in pkgutil.walk_packages(zoo.__path__, "zoo."):
    importlib.import_module(found.name)
    for name in set(flags.FLAGS) - before:  # several commands have a flag of one name
        delattr(flags.FLAGS, name)
from zoo.core import files
from zoo.training import provenance
assert provenance.machine()["cores"] and provenance.machine()["memory_gb"] is None
assert provenance.peak_memory_gb() is None
with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder, "x.json")
    files.write_json(path, [1])
    assert files.read_json(path) == [1]
    files.write_folder(pathlib.Path(folder, "y"), lambda f: (f / "z").touch(), replace=True)
    os.open = opened  # which the folder's own end needs
"""


@pytest.mark.slow
def test_what_other_systems_lack_is_not_needed(run_python):
    run_python(ELSEWHERE, (MODULES, NAMES))


def test_a_machine_says_what_it_knows_of_itself(monkeypatch):
    here = provenance.machine()
    assert here["memory_gb"] > 0 and provenance.peak_memory_gb() > 0
    monkeypatch.setitem(sys.modules, "resource", None)
    for name in NAMES["os"]:
        monkeypatch.delattr(os, name)
    assert provenance.machine() == {**here, "cores": os.cpu_count(), "memory_gb": None}
    assert provenance.peak_memory_gb() is None


SOURCES = [p for part in ("zoo", "scripts") for p in sorted((ROOT / part).rglob("*.py"))]
GUARDED = "provenance.py"


@pytest.mark.parametrize("path", [p for p in SOURCES if p.name != GUARDED], ids=lambda p: p.name)
def test_no_other_file_asks_for_it(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            named = {alias.name for alias in node.names} | {getattr(node, "module", None)}
            assert not named & MODULES, named
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert node.attr not in NAMES.get(node.value.id, ()), node.attr

"""What is installed by pip: small enough for PyPI, and whole enough for the first commands."""

import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[1]
PARTS = ("zoo", "setup.py", "pyproject.toml", "README.md", "LICENSE", "MANIFEST.in")
MOST = 65_000_000  # bytes; PyPI takes 100 MB, and color pictures are to come
BUILD = """
import os, sys
from setuptools import build_meta
os.chdir(sys.argv[1])
getattr(build_meta, sys.argv[3])(sys.argv[2])
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A wheel and a source distribution, built from a copy."""
    source, out = (tmp_path_factory.mktemp(name) for name in ("source", "dist"))
    for part in PARTS:
        if (ROOT / part).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / part, source / part, ignore=ignored)
        elif (ROOT / part).exists():
            shutil.copy(ROOT / part, source / part)
    for build in ("build_wheel", "build_sdist"):
        command = [sys.executable, "-c", BUILD, source, out, build]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-2000:]
    return next(out.glob("*.whl")), next(out.glob("*.tar.gz"))


@pytest.mark.slow
def test_both_are_small_enough_and_have_what_is_installed(built):
    wheel, source = built
    assert wheel.stat().st_size < MOST and source.stat().st_size < MOST
    inside = set(zipfile.ZipFile(wheel).namelist())
    for name in ("cgan/model.safetensors", "cgan/record.json", "sngan/config.json", "notes.json"):
        assert f"zoo/pretrained/{name}" in inside
    assert {"zoo/py.typed", "zoo/__main__.py"} <= inside
    assert "zoo/pretrained/sngan/model.safetensors" not in inside  # fetched where it is asked for
    assert not [n for n in inside if n.startswith(("scripts", "tests", "docs"))]
    with tarfile.open(source) as archive:
        assert any(n.endswith("zoo/pretrained/cgan/model.safetensors") for n in archive.getnames())


@pytest.mark.slow
def test_the_wheel_draws_in_an_empty_folder(built, tmp_path):
    installed, place = tmp_path / "installed", tmp_path / "empty"
    place.mkdir()
    with zipfile.ZipFile(built[0]) as archive:  # what pip does with a wheel of Python alone
        archive.extractall(installed)
    env = {k: v for k, v in os.environ.items() if k != "ZOO_WEIGHTS_URL"}
    env |= {"PYTHONPATH": str(installed), "ZOO_CACHE": str(tmp_path / "cache")}

    def zoo(*words):
        return subprocess.run(
            [sys.executable, "-m", "zoo", *words],
            capture_output=True,
            text=True,
            timeout=300,
            cwd=place,
            env=env,
        )

    done = zoo("sample", "--pretrained=cgan", "--num=4")
    assert done.returncode == 0, done.stderr
    assert Image.open(place / "samples.png").size == (912, 912)
    done = zoo("sample", "--pretrained=sngan", "--num=4", "--out=x.png")
    assert done.returncode == 2 and "do not come with this installation" in done.stderr
    assert done.stderr.count("\n") == 1 and [p.name for p in place.iterdir()] == ["samples.png"]

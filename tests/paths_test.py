"""Paths of every script: the home folder is known, and an address is one line, at once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
COMPOSED = ("--model=bayes_conditional", "--out=x.png")
CODE = """
import runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    assert not {"tensorflow", "keras"} & set(sys.modules), "TensorFlow was imported"
"""


def ends(folder, script, *flags):
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(ROOT / "scripts" / f"{script}.py"), *flags],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(folder / "home")},
        cwd=folder,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("script", "flags"),
    [
        ("train", ("--model=gan", "--workdir=gs://bucket/run")),
        ("train", ("--model=gan", "--dataset=folder:s3://b/x")),
        ("train", ("--model=gan", "--init_from=hdfs://x/y")),
        ("sample", ("--workdir=https://x.org/run",)),
        ("sample", ("--pretrained=vae", "--out=gs://bucket/x.png")),
        ("sample", (*COMPOSED, "--p_x=gs://bucket/vae")),
        ("evaluate", ("--pretrained=vae", "--classifier=file:///judge")),
        ("evaluate", ("--compare=a.json,gs://b.json",)),
        ("export", ("--pretrained=vae", "--out=gs://bucket/served")),
    ],
)
def test_an_address_is_refused_at_once_and_nothing_is_written(tmp_path, script, flags):
    code, said = ends(tmp_path, script, *flags)
    assert code == 2 and said.count("\n") == 1 and "is an address" in said, said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("script", "flags", "expected"),
    [
        ("evaluate", ("--compare=~/a.json,~/b.json",), "HOME/a.json cannot be read"),
        ("sample", ("--pretrained=vae", "--out=~/x.png"), "HOME: no such folder"),
        (
            "train",
            ("--model=gan", "--workdir=~nobody-at-all/x"),
            "no home folder of ~nobody-at-all",
        ),
    ],
)
def test_a_tilde_is_the_home_folder_in_every_script(tmp_path, script, flags, expected):
    code, said = ends(tmp_path, script, *flags)
    assert code == 2 and expected.replace("HOME", str(tmp_path / "home")) in said, said
    assert not list(tmp_path.iterdir())

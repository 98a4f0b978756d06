"""The commit of a run names the code that ran."""

import os
import shutil
import subprocess

import pytest

from zoo.training import provenance


@pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
def test_a_checkout_is_dirty_by_its_code_and_not_by_what_scripts_write(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)

    def git(*words):
        who = ("-c", "user.name=a", "-c", "user.email=a@b")
        command = ["git", "-C", tmp_path, *who, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    monkeypatch.setattr(provenance, "_ROOT", tmp_path)
    assert "commit" not in provenance.versions()
    for name in ("zoo/pretrained/vae/config.json", "zoo/commands/cli.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")
    git("init")
    assert "commit" not in provenance.versions()  # there is none yet
    git("add", ".")
    git("commit", "-m", "first")
    head = git("rev-parse", "HEAD")
    assert len(head) == 40
    (tmp_path / "zoo/pretrained/vae/config.json").write_text("2")
    assert provenance.versions()["commit"] == head
    (tmp_path / "zoo/commands/cli.py").write_text("2")
    assert provenance.versions()["commit"] == f"{head}-dirty"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processes cannot be pinned here")
def test_a_pinned_process_has_the_cores_that_it_may_use():
    cores = os.sched_getaffinity(0)
    assert provenance.machine()["cores"] == len(cores)
    try:
        os.sched_setaffinity(0, {min(cores)})
        assert provenance.machine()["cores"] == 1
    finally:
        os.sched_setaffinity(0, cores)

"""What scripts write on a full disk: one line, nothing left over, and the figures in any case."""

import os
import pathlib
import resource

import pytest


def limits(size):
    """A file may not grow past this: the same error path as a disk without space."""
    return [(resource.RLIMIT_FSIZE, size)]


@pytest.mark.parametrize("suffix", ["png", pytest.param("npz", marks=pytest.mark.slow)])
def test_a_picture_that_does_not_fit_is_one_line(run, tmp_path, suffix):
    out = tmp_path / f"x.{suffix}"
    out.write_text("old")
    flags = ("--pretrained=vae", "--num=64", f"--out={out}")
    code, printed, err = run("sample", *flags, limits=limits(1000))
    assert code == 1 and err.endswith(f"error: File too large: {out}\n"), err
    assert "Traceback" not in err and "images in" not in printed
    assert [p.name for p in tmp_path.iterdir()] == [out.name] and out.read_text() == "old"


def test_a_record_that_does_not_fit_costs_no_figure(run, tmp_path):
    flags = ("--pretrained=classifier", "--num_images=50")
    code, printed, err = run("evaluate", *flags, cwd=tmp_path, limits=limits(100))
    assert code == 1 and err.endswith("error: File too large: evaluation.json\n"), err
    assert "accuracy" in printed and "record:" not in printed and "Traceback" not in err
    assert not list(tmp_path.iterdir())


nowhere = pytest.mark.skipif(not pathlib.Path("/proc/self").exists(), reason="there is no /proc")


@nowhere  # where root may not write either
def test_a_picture_that_cannot_be_written_is_refused_at_once(run):
    code, printed, err = run("sample", "--pretrained=vae", cwd="/proc")
    assert (code, printed) == (2, "") and err.startswith("error: samples.png cannot be written: ")
    assert len(err.splitlines()) == 1


@nowhere
@pytest.mark.slow
def test_a_record_that_cannot_be_written_is_said_at_once_and_costs_no_figure(run):
    code, printed, err = run("evaluate", "--pretrained=classifier", "--num_images=50", cwd="/proc")
    assert code == 2 and "accuracy" in printed and "Traceback" not in err, err
    assert err.startswith("warning: evaluation.json cannot be written: ")
    reason = os.strerror(2)
    assert err.endswith(f"error: {reason}: evaluation.json\n")

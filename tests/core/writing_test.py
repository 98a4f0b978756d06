"""Files and folders are written whole or not at all, whoever else writes."""

import os
import pathlib
import threading

import numpy as np
import pytest
from PIL import Image

from zoo.commands import cli
from zoo.core import files
from zoo.drawing import pictures
from zoo.errors import InputError


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_no_link_that_was_planted_is_followed(tmp_path, monkeypatch):
    target = tmp_path / "target"
    target.write_text("mine")
    out = tmp_path / "out"
    out.mkdir()
    monkeypatch.setattr(files.secrets, "token_hex", lambda _: "guessed")
    (out / ".x.guessed.partial").symlink_to(target)
    with pytest.raises(FileExistsError):
        files.write_text(out / "x", "ours")
    assert target.read_text() == "mine" and not (out / "x").exists()
    monkeypatch.undo()
    (out / "x").symlink_to(target)
    files.write_text(out / "x", "ours")  # the link goes, not what it leads to
    assert target.read_text() == "mine" and (out / "x").read_text() == "ours"


@pytest.mark.skipif(os.name != "posix", reason="permissions are other ones elsewhere")
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_results_have_the_permissions_that_the_umask_leaves(tmp_path, umask):
    before = os.umask(umask)
    try:
        files.write_text(tmp_path / "x", "")
        files.write_folder(tmp_path / "y", lambda f: (f / "z").touch(), replace=False)
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o666 & ~umask
    assert (tmp_path / "y").stat().st_mode & 0o777 == 0o777 & ~umask


def test_what_fails_leaves_the_old_and_nothing_else(tmp_path):
    pictures.save_png(tmp_path / "x.png", np.zeros((2, 2, 1), np.uint8))
    before = (tmp_path / "x.png").read_bytes()

    def full(file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match=r"No space left on device: '.*x\.png'"):
        files.write_atomically(tmp_path / "x.png", full)
    assert names(tmp_path) == ["x.png"] and (tmp_path / "x.png").read_bytes() == before

    def half(folder):
        (folder / "a").touch()
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        files.write_folder(tmp_path / "new" / "folder" / "y", half, replace=False)
    assert names(tmp_path) == ["x.png"]


def test_long_names_and_names_that_are_not_utf8_can_be_written(tmp_path):
    for name in ("x" * 255, "ü" * 127, os.fsdecode(b"caf\xe9"), "a\nb"):
        files.write_text(tmp_path / name, "caf\udce9")
        assert (tmp_path / name).read_text() == "caf\\udce9"


def test_of_many_that_write_one_folder_one_is_there_whole(tmp_path):
    ready = threading.Barrier(8)
    ends, refused = [], []

    def export(i):
        def write(folder):
            (folder / "a").write_text(str(i))
            ready.wait()  # each has seen that nothing is there
            (folder / "b").write_text(str(i))

        try:
            files.write_folder(tmp_path / "out", write, replace=False)
            ends.append(i)
        except FileExistsError:
            refused.append(i)

    threads = [threading.Thread(target=export, args=[i]) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert names(tmp_path) == ["out"]
    assert [(tmp_path / "out" / name).read_text() for name in "ab"] == [str(ends[0])] * 2
    assert len(ends) == 1 and len(refused) == 7


def test_a_folder_is_replaced_where_that_is_asked_for_and_not_elsewhere(tmp_path):
    out = tmp_path / "out"
    out.write_text("a file")
    for what in ("a file", "a folder"):
        with pytest.raises(FileExistsError):
            files.write_folder(out, lambda f: (f / "new").touch(), replace=False)
        assert out.is_dir() == (what == "a folder")
        files.write_folder(out, lambda f, what=what: (f / what).touch(), replace=True)
        assert names(out) == [what] and names(tmp_path) == ["out"]


def test_leftovers_of_a_kind_go_and_nothing_else(tmp_path):
    for name in (".step_1.npz.0123.partial", ".x.json.0123.partial", "x.partial", ".x.json"):
        (tmp_path / name).touch()
    (tmp_path / ".step_2.npz.4567.partial").mkdir()
    files.remove_leftovers(tmp_path, "step_*")
    assert names(tmp_path) == [".x.json", ".x.json.0123.partial", "x.partial"]
    files.remove_leftovers(tmp_path)
    assert names(tmp_path) == [".x.json", "x.partial"]


@pytest.fixture
def read_only(monkeypatch, tmp_path):
    """A folder on a file system that is mounted read-only, as it looks to root too."""

    def fails(path, mode="r", *rest, **more):
        if "x" in mode and pathlib.Path(path).parent == tmp_path / "read_only":
            raise OSError(30, os.strerror(30), str(path))
        return opened(path, mode, *rest, **more)

    opened = open
    (tmp_path / "read_only").mkdir()
    monkeypatch.setattr(files, "open", fails, raising=False)
    return tmp_path / "read_only"


def test_an_output_is_looked_at_before_the_work(read_only, tmp_path, capsys):
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    for path, said in (
        (tmp_path / "none" / "x.png", "none: no such folder"),
        (tmp_path / "file" / "x.png", "file: no such folder"),
        (tmp_path, "is a folder"),
        (tmp_path / "pipe", "is a device or a pipe"),
        (os.devnull, "is a device or a pipe"),
        (read_only / "x.png", "x.png cannot be written: Read-only file system"),
    ):
        with pytest.raises(InputError, match=said) as e:
            cli.output_file(path)
        assert "\n" not in str(e.value)
    cli.output_file(read_only / "x.json", late=True)
    assert "warning: " in (err := capsys.readouterr().err) and "Read-only" in err
    for path, said in (
        (tmp_path / "file" / "x" / "y", "file is none"),
        (tmp_path / "file", "file is none"),
        (read_only / "x" / "y", "Read-only file system"),
    ):
        with pytest.raises(InputError, match=said):
            cli.output_folder(path)
    assert cli.output_file(tmp_path / "file") == tmp_path / "file"
    assert cli.output_folder(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert names(tmp_path) == ["file", "pipe", "read_only"] and not names(read_only)


def test_a_picture_is_written_as_it_was(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (3, 5, 3), np.uint8)
    pictures.save_png(tmp_path / "x.png", picture, zoom=2)
    found = np.asarray(Image.open(tmp_path / "x.png"))
    np.testing.assert_array_equal(found, picture.repeat(2, 0).repeat(2, 1))

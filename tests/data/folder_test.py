"""Folders from outside: what is read, what is left out and named, and what is broken."""

import hashlib
import os
import pathlib
import socket
import warnings

import numpy as np
import pytest
from PIL import Image

from zoo import data
from zoo.data import folder, images, pictures, store
from zoo.errors import InputError


def picture(path, value, color=False, side=8):
    """A picture of its own for each value."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((side, side, 3), value, np.uint8)
    pixels[0, 0] = (value * 7 % 256, value * 3 % 256, value) if color else value
    Image.fromarray(pixels if color else pixels[..., 0]).save(path)


def fill(root, names=("cat", "dog"), count=10, start=0):
    """`count` gray pictures in a folder of each name (or, of the name "", in the root)."""
    for k, name in enumerate(names):
        for i in range(count):
            picture(root / name / f"{i}.png", start + count * k + i)
    return root


def values(split):
    """What the pictures of `fill` are told by."""
    return {int(image[1, 1, 0]) for image in split.images}


def everything(found):
    return [found.train, found.validation, found.test]


def load(root, *arguments, **options):
    return data.load(f"folder:{root}", *arguments, **options)


def test_what_is_left_out_is_counted_and_named(tmp_path):
    fill(tmp_path)
    plain = load(tmp_path)
    assert "left out" not in plain.description
    cat = tmp_path / "cat"
    for name in ("a.gif", "b.TIF", "c.tif", "d.HEIC", "LICENSE", "Thumbs.db"):
        (cat / name).write_bytes(b"x")
    picture(cat / "more" / "deep" / "x.png", 9)
    picture(cat / ".hidden.png", 9)
    picture(cat / ".thumbnails" / "x.png", 9)
    picture(tmp_path / "beside.png", 9)
    (tmp_path / "labels.csv").write_text("x")
    (tmp_path / ".git").mkdir()
    os.mkfifo(cat / "pipe.png")
    (cat / "nowhere.png").symlink_to(tmp_path / "nothing.png")
    (cat / "loop.png").symlink_to(cat / "loop.png")
    (cat / "null.png").symlink_to("/dev/null")
    (cat / "folder.png").mkdir()
    (cat / "up").symlink_to(tmp_path)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(cat / "socket.png"))
        found = load(tmp_path)
    assert found.digest == plain.digest
    files_of_up = 2 + 4  # the pictures of the root are not followed further than one link
    said = found.description.partition("; left out: ")[2]
    counts = {kind: int(n) for n, kind in (part.split(" ", 1) for part in said.split(", "))}
    assert counts.pop("in subfolders of class folders") >= files_of_up
    assert counts == {
        "not regular files": 5,
        "beside the class folders": 3,
        "hidden": 2,
        ".tif": 2,
        ".gif": 1,
        ".heic": 1,
        ".db": 1,
        "of other kinds": 1,
    }


def test_links_to_pictures_are_followed_and_all_their_suffixes_read(tmp_path):
    fill(tmp_path / "set")
    plain = load(tmp_path / "set")
    (tmp_path / "set" / "cat").rename(tmp_path / "elsewhere")
    (tmp_path / "set" / "cat").symlink_to(tmp_path / "elsewhere")
    one = tmp_path / "set" / "dog" / "0.png"
    one.rename(tmp_path / "one.png")
    one.symlink_to(tmp_path / "one.png")
    assert load(tmp_path / "set").digest == plain.digest
    for i, name in enumerate(("a.jfif", "b.jpe", "c.JPG", "d.jpeg", "e.webp", "f.BMP")):
        picture(tmp_path / "x.png", 100 + i)
        form = {".webp": "WEBP", ".bmp": "BMP"}.get(pathlib.Path(name).suffix.lower(), "JPEG")
        Image.open(tmp_path / "x.png").save(tmp_path / "set" / "cat" / name, form)
    found = load(tmp_path / "set")
    assert len(found.train) + len(found.validation) + len(found.test) == 26
    assert "left out" not in found.description


def test_a_folder_with_nothing_to_read_says_what_it_holds(tmp_path):
    fill(tmp_path / "set")
    (tmp_path / "set" / "emu").mkdir()
    for name in ("a.gif", "b.gif", "c.tiff"):
        (tmp_path / "set" / "emu" / name).write_bytes(b"x")
    with pytest.raises(InputError) as error:
        load(tmp_path / "set")
    assert str(error.value) == (
        f"{tmp_path / 'set' / 'emu'}: no {images.FORMATS} files in this class folder (it holds "
        "2 .gif, 1 .tiff)"
    )
    (tmp_path / "deep" / "cat" / "more").mkdir(parents=True)
    picture(tmp_path / "deep" / "cat" / "more" / "x.png", 1)
    with pytest.raises(InputError, match=r"deep: no .* files \(it holds 1 in subfolders\)"):
        load(tmp_path / "deep")


def damage(path, count=40):
    path.write_bytes(path.read_bytes()[:-count])


def test_all_broken_files_are_listed_in_one_line_or_skipped(tmp_path):
    fill(tmp_path / "whole", count=20)
    fill(tmp_path / "set", count=20)
    cat, dog = (tmp_path / "set" / name for name in ("cat", "dog"))
    names = ["0.png", "3.png", "7.png"]
    damage(cat / "0.png")
    (cat / "3.png").write_text("<html>")
    (dog / "7.png").write_bytes(b"")
    (dog / "8.png").rename(dog / "two\nlines.png")
    odd = os.fsdecode(b"caf\xe9.png")
    (dog / "9.png").rename(dog / odd)
    for name in ("two\nlines.png", odd):
        damage(dog / name)
    with pytest.raises(InputError) as error:
        load(tmp_path / "set")
    line = str(error.value)
    assert line.startswith("5 of 40 images cannot be decoded: ") and "\n" not in line
    assert all(name in line for name in names) and line.endswith("--skip_broken")
    assert "two\\nlines.png" in line and "caf\\udce9.png" in line
    line.encode()
    for file in (cat / "0.png", cat / "3.png", dog / "7.png", dog / "8.png", dog / "9.png"):
        (tmp_path / "whole" / file.relative_to(tmp_path / "set")).unlink()
    found, whole = load(tmp_path / "set", skip_broken=True), load(tmp_path / "whole")
    assert found.digest == whole.digest and found.num_broken == 5 and whole.num_broken == 0
    assert found.description.endswith("; broken files left out: 5")


@pytest.mark.parametrize("kept", [False, True])
def test_a_broken_file_does_not_tell_the_shape_of_the_others(tmp_path, monkeypatch, kept):
    if kept:
        monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(store, "SMALL", 0)
    tmp_path = tmp_path / "set"
    plain = load(fill(tmp_path))
    picture(tmp_path / "cat" / "color.png", 9, color=True)
    damage(tmp_path / "cat" / "color.png", 30)
    picture(tmp_path / "cat" / "large.png", 9, side=16)
    damage(tmp_path / "cat" / "large.png", 30)
    for _ in range(1 + kept):  # the second time from the store
        found = load(tmp_path, skip_broken=True)
        assert found.digest == plain.digest and found.num_broken == 2
    for size in (None, 8):
        with pytest.raises(InputError, match="2 of 22 images cannot be decoded"):
            load(tmp_path, image_size=size)
    assert load(tmp_path, image_size=8, skip_broken=True).image_shape == (8, 8, 1)
    picture(tmp_path / "cat" / "large.png", 9, side=16)
    with pytest.raises(InputError, match="large.png: is 16x16, .* of one size .8x8 of most"):
        load(tmp_path, skip_broken=True)


def test_of_many_broken_files_some_are_named(tmp_path):
    fill(tmp_path, count=30)
    for file in (tmp_path / "cat").iterdir():
        damage(file)
    with pytest.raises(InputError) as error:
        load(tmp_path)
    line = str(error.value)
    assert line.startswith("30 of 60 images cannot be decoded: ") and line.count(".png") == 20
    assert ") and 10 others. Repair" in line


def test_threads_that_decode_leave_the_filters_of_warnings_as_they_were(tmp_path):
    fill(tmp_path, count=60)
    before = list(warnings.filters)
    for _ in range(40):
        load(tmp_path)
    assert warnings.filters == before


def test_skipping_leaves_no_class_empty(tmp_path):
    fill(tmp_path / "set")
    for file in (tmp_path / "set" / "cat").iterdir():
        damage(file)
    with pytest.raises(InputError, match="cat: every file of this class is broken"):
        load(tmp_path / "set", skip_broken=True)
    for file in (tmp_path / "set" / "dog").iterdir():
        file.write_bytes(b"x")
    with pytest.raises(InputError, match="every file is broken"):
        load(tmp_path / "set", skip_broken=True)
    fill(tmp_path / "both" / "train")
    fill(tmp_path / "both" / "test", names=["dog"], count=1)
    damage(tmp_path / "both" / "test" / "dog" / "0.png")
    with pytest.raises(InputError, match="test: every file is broken"):
        load(tmp_path / "both", skip_broken=True)
    with pytest.raises(InputError, match="skip_broken goes with"):
        data.load("fashion_mnist", skip_broken=True)


def test_names_of_any_bytes_make_one_line(tmp_path):
    root = tmp_path / os.fsdecode(b"a\nb\xe9")
    fill(root)
    description = load(root).description
    assert "\n" not in description and "a\\nb\\udce9" in description
    with pytest.raises(InputError) as error:
        load(root / "cat" / "0.png")
    assert "\n" not in str(error.value)


def test_numbered_classes_are_in_their_order(tmp_path):
    fill(tmp_path / "set", names=[str(k) for k in range(12)], count=2)
    found = load(tmp_path / "set")
    assert found.class_names == tuple(map(str, range(12)))
    for split in everything(found):
        assert all(
            int(x[1, 1, 0]) // 2 == y for x, y in zip(split.images, split.labels, strict=True)
        )
    fill(tmp_path / "signed", names=["-1", "+1", "0", "007"], count=5)
    assert load(tmp_path / "signed").class_names == ("-1", "0", "+1", "007")
    fill(tmp_path / "mixed", names=["10", "2", "x"], count=5)
    assert load(tmp_path / "mixed").class_names == ("10", "2", "x")


def digest_of(*arrays):
    """As version 0.1.0 makes it."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(f"{array.dtype} {array.shape}".encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


def before(root):
    """A folder as version 0.1.0 read it, and its digest."""
    found = folder.read(root, pictures.Reading(before=True))
    arrays = [array for part in ("train", "test") for array in found.parts[part]]
    return found, digest_of(*arrays)


def test_a_run_of_before_has_its_images_and_classes_again(tmp_path):
    numbered = fill(tmp_path / "numbered", names=["2", "10"])
    found, digest = before(numbered)
    assert found.class_names == ("10", "2")
    assert load(numbered).class_names == ("2", "10") and load(numbered).digest != digest
    again = load(numbered, digest=digest)
    assert again.class_names == ("10", "2") and again.digest == digest
    assert load(numbered, digest="another").class_names == ("2", "10")

    more = fill(tmp_path / "more")
    plain = load(more).digest
    Image.new("L", (8, 8)).save(more / "cat" / "x.webp")  # which was not read
    assert load(more).digest != plain and load(more, digest=plain).digest == plain
    (more / "cat" / "x.webp").write_bytes(b"broken")
    assert load(more, digest=plain).digest == plain
    with pytest.raises(InputError, match="cannot be decoded"):
        load(more, digest="another")

    for part in ("train", "test", "val"):
        fill(tmp_path / "three" / part, start={"train": 0, "test": 50, "val": 100}[part])
    _, digest = before(tmp_path / "three")
    then = load(tmp_path / "three", digest=digest)
    assert then.digest == digest and values(then.validation) <= set(range(20))
    assert values(load(tmp_path / "three").validation) == set(range(100, 120))


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
@pytest.mark.parametrize("labeled", [True, False])
@pytest.mark.parametrize("has_test", [True, False])
def test_a_validation_folder_is_the_validation_split(tmp_path, name, labeled, has_test):
    names = ("cat", "dog") if labeled else ("",)
    fill(tmp_path / "train", names, count=20)
    fill(tmp_path / name, names[-1:], count=7, start=100)
    if has_test:
        fill(tmp_path / "test", names[-1:], count=5, start=200)
    found = load(tmp_path)
    assert found.class_names == (names if labeled else ())
    assert values(found.validation) == set(range(100, 107))
    assert set(found.validation.labels) == {int(labeled)}
    if has_test:
        assert values(found.train) == set(range(20 * len(names)))
        assert values(found.test) == set(range(200, 205))
    else:
        assert len(found.test) == 2 * len(names)
        assert values(found.train) | values(found.test) == set(range(20 * len(names)))
    picture(tmp_path / name / names[-1] / "0.png", 99)
    assert load(tmp_path).digest != found.digest
    for other in {"val", "valid", "validation"} - {name}:
        (tmp_path / other).mkdir()
        with pytest.raises(InputError, match="would both be the validation split: keep one"):
            load(tmp_path)
        (tmp_path / other).rmdir()
    picture(tmp_path / "more" / "x.png", 1)
    (tmp_path / "README").write_text("x")
    assert load(tmp_path).description.endswith("left out: 2 beside the folders of the splits")
    (tmp_path / name).rename(tmp_path / "empty")
    (tmp_path / name).mkdir()
    with pytest.raises(InputError, match=f"{name}: no {images.FORMATS} files"):
        load(tmp_path)


GOLDEN = {  # printed by version 0.1.0
    "classes": "bb5abb20c013e97f13e6885fd0e58687251521c163a897b688f39f62d2871254",
    "both": "fe243523a8471cce6a9b0cabb8c98469856486d12969975eb87009fc642f21de",
}


def test_the_digest_of_a_set_without_a_validation_folder_is_what_it_was(tmp_path):
    fill(tmp_path / "set")
    picture(tmp_path / "set" / "cat" / "color.png", 9, color=True)
    assert load(tmp_path / "set").digest == GOLDEN["classes"]
    fill(tmp_path / "both" / "train")
    fill(tmp_path / "both" / "test", names=["dog"])
    assert load(tmp_path / "both").digest == GOLDEN["both"]


def test_pictures_without_class_folders_have_no_labels(tmp_path):
    fill(tmp_path / "set", names=[""], count=20)
    found = load(tmp_path / "set")
    assert found.class_names == () and found.num_classes == 0
    assert [len(s) for s in everything(found)] == [17, 1, 2]
    assert set().union(*map(values, everything(found))) == set(range(20))
    assert all(not s.labels.any() and s.labels.dtype == np.int32 for s in everything(found))
    sizes = "17 train, 1 validation, 2 test images of 8x8x1, without labels"
    assert found.description.endswith(sizes)
    (tmp_path / "set" / "empty").mkdir()
    assert load(tmp_path / "set").digest == found.digest  # no class folder of pictures
    fill(tmp_path / "alone" / "train", names=[""], count=20)
    assert load(tmp_path / "alone").class_names == ()
    fill(tmp_path / "alone" / "test", names=[""], count=5, start=100)
    assert values(load(tmp_path / "alone").test) == set(range(100, 105))


def test_class_folders_go_before_pictures_beside_them(tmp_path):
    fill(tmp_path)
    plain = load(tmp_path)
    fill(tmp_path, names=[""], start=100)
    found = load(tmp_path)
    assert found.class_names == ("cat", "dog") and found.digest == plain.digest
    assert found.description.endswith("; left out: 10 beside the class folders")


def test_splits_must_agree_on_having_classes(tmp_path):
    fill(tmp_path / "a" / "train", names=[""])
    fill(tmp_path / "a" / "test")
    with pytest.raises(InputError, match=r"test: no .* files \(it holds 20 in subfolders\)"):
        load(tmp_path / "a")
    fill(tmp_path / "b" / "train")
    fill(tmp_path / "b" / "test", names=[""])
    with pytest.raises(InputError, match="test: no .* files in class folders .it holds 10 beside"):
        load(tmp_path / "b")

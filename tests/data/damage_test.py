"""Decoders of files from outside given anything: what they say is a picture or one InputError."""

import gzip
import io
import pathlib
import struct
import tempfile
import warnings
import zlib

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from zoo import data
from zoo.data import idx, images, sources
from zoo.errors import InputError

RNG = np.random.default_rng(0)
PICTURE = Image.fromarray(RNG.integers(0, 256, (16, 16, 3), np.uint8))
TURNED = Image.Exif()
TURNED[0x0112] = 6
TURNED[0x010E] = "a text"
TURNED[0x8769] = {0x9003: "2001:01:01 00:00:00", 0xA002: 16}
INFO = PngImagePlugin.PngInfo()
INFO.add_text("Title", "x" * 50, zip=True)
INFO.add_itxt("XML:com.adobe.xmp", '<x:xmpmeta tiff:Orientation="6"/>', zip=True)
INFO.add(b"pHYs", struct.pack(">IIB", 1, 1, 1))


def encoded(image, form, **options):
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def picture_seeds():
    others = [PICTURE.rotate(90)]
    gray = PICTURE.convert("L")
    deep = Image.fromarray(RNG.integers(0, 65536, (16, 16)).astype(np.uint16))
    return {
        "png": encoded(PICTURE, "PNG", exif=TURNED, pnginfo=INFO, icc_profile=b"x" * 20),
        "png of 16 bits": encoded(deep, "PNG", transparency=7),
        "png with a palette": encoded(PICTURE.convert("P"), "PNG", transparency=3),
        "png of two levels": encoded(PICTURE.convert("1"), "PNG"),
        "png with alpha": encoded(gray.convert("LA"), "PNG"),
        "animated png": encoded(PICTURE, "PNG", save_all=True, append_images=others),
        "jpeg": encoded(PICTURE, "JPEG", exif=TURNED, icc_profile=b"x" * 20, comment=b"x"),
        "progressive jpeg": encoded(PICTURE, "JPEG", progressive=True, dpi=(72, 72)),
        "jpeg of cmyk": encoded(PICTURE.convert("CMYK"), "JPEG"),
        "gray jpeg": encoded(gray, "JPEG", xmp=b'<x tiff:Orientation="6"/>'),
        "jpeg of two": encoded(PICTURE, "MPO", save_all=True, append_images=others),
        "webp": encoded(PICTURE, "WEBP", exif=TURNED, xmp=b"<x/>"),
        "webp without loss": encoded(PICTURE.convert("RGBA"), "WEBP", lossless=True),
        "animated webp": encoded(PICTURE, "WEBP", save_all=True, append_images=others),
        "bmp": encoded(PICTURE, "BMP"),
        "bmp with a palette": encoded(PICTURE.convert("P"), "BMP"),
        "bmp of runs": b"BM"
        + struct.pack("<IHHI", 0, 0, 0, 1078)
        + struct.pack("<IiiHHIIiiII", 40, 16, 16, 1, 8, 1, 0, 0, 0, 256, 0)
        + bytes(1024)
        + b"\x10\x05\0\0" * 16
        + b"\0\1",
        "gif": encoded(gray, "GIF"),
        "tiff": encoded(PICTURE, "TIFF"),
        "eps": encoded(PICTURE, "EPS"),
    }


SEEDS = picture_seeds()


def chunks(content):
    """Where the chunks of a PNG begin, and how long each is."""
    at = 8
    while at + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, at)
        yield at, length
        at += 12 + length


def checked(content):
    """A PNG whose checksums are right again, so that damage gets past them."""
    content = bytearray(content)
    for at, length in chunks(bytes(content)):
        if at + 8 + length + 4 <= len(content):
            crc = zlib.crc32(content[at + 4 : at + 8 + length])
            struct.pack_into(">I", content, at + 8 + length, crc)
    return bytes(content)


KINDS = ["byte", "bit", "edge", "number", "cut", "end", "put", "double"]


@st.composite
def damaged(draw, seeds):
    """A file of `seeds` with bytes that are changed, cut out, doubled, moved or put in."""
    content = bytearray(draw(st.sampled_from(sorted(seeds.values()))))
    for _ in range(draw(st.integers(0, 4))):
        if not content:
            break
        # headers are at the beginning
        end = draw(st.sampled_from([min(60, len(content)), len(content)]))
        at = draw(st.integers(0, end - 1))
        kind = draw(
            st.sampled_from(["byte", "bit", "edge", "number", "cut", "end", "put", "double"])
        )
        if kind == "byte":
            content[at] = draw(st.integers(0, 255))
        elif kind == "bit":
            content[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "edge":
            content[at] = draw(st.sampled_from([0, 1, 127, 128, 254, 255]))
        elif kind == "number":
            form = draw(st.sampled_from([">I", "<I", ">H", "<H"]))
            most = 2 ** (8 * struct.calcsize(form)) - 1
            number = draw(st.sampled_from([0, 1, most // 2, most // 2 + 1, most]))
            content[at : at + struct.calcsize(form)] = struct.pack(form, number)
        elif kind == "cut":
            del content[at : at + draw(st.integers(1, 40))]
        elif kind == "end":
            del content[at:]
        elif kind == "put":
            content[at:at] = draw(st.binary(max_size=20))
        else:
            part = content[at : at + draw(st.integers(1, 60))]
            content[at:at] = part
    content = bytes(content)
    if content.startswith(b"\x89PNG") and draw(st.booleans()):
        content = checked(content)
    return content


@pytest.fixture(scope="module")
def class_folder():
    """A folder with twelve good pictures and room for another."""
    with tempfile.TemporaryDirectory() as root:
        (pathlib.Path(root) / "a").mkdir()
        for i in range(12):
            PICTURE.save(pathlib.Path(root) / "a" / f"{i}.png")
        yield pathlib.Path(root)


def read_picture(root, content):
    """The folder with a file of this content: the number of images, or None for an InputError."""
    path = root / "a" / "x.png"
    path.write_bytes(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = data.load(f"folder:{root}", image_size=8)
    except InputError as e:
        assert "x.png" in str(e) and is_a_line(str(e)) and str(e).endswith("--skip_broken")
        found = data.load(f"folder:{root}", image_size=8, skip_broken=True)
        assert found.num_broken == 1 and sum(map(len, splits(found))) == 12
        return None
    assert sum(map(len, splits(found))) == 13
    return 13


def is_a_line(text):
    return len(text.splitlines()) == 1 and text.encode()


def splits(found):
    return found.train, found.validation, found.test


def decided(examples):
    return hypothesis.settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )


@pytest.mark.parametrize("name", SEEDS)
def test_each_file_before_it_is_damaged(class_folder, name):
    read = read_picture(class_folder, SEEDS[name])
    assert (read is None) == (name in ("gif", "tiff", "eps"))


def _folders(content_of):
    """A folder of any names, which holds files of any content."""
    with tempfile.TemporaryDirectory() as root:
        root = pathlib.Path(root)
        for (*folders, name), content in content_of:
            try:
                (root / pathlib.Path(*folders)).mkdir(parents=True, exist_ok=True)
                (root / pathlib.Path(*folders) / name).write_bytes(content)
            except OSError:  # a file where a folder is to be, or the other way round
                continue
        for skip_broken in (False, True):
            try:
                found = data.load(f"folder:{root}", image_size=4, skip_broken=skip_broken)
            except InputError as e:
                assert is_a_line(str(e))
                continue
            assert is_a_line(found.description)
            for split in splits(found):
                assert split.images.dtype == np.uint8 and len(split.images) == len(split.labels)
                assert split.labels.min(initial=0) >= 0
                assert split.labels.max(initial=0) < max(1, found.num_classes)


GOOD = encoded(PICTURE.convert("L"), "PNG")
NAMES = st.one_of(
    st.sampled_from(["train", "test", "val", "valid", "validation", "a", "b", "2", "10", ".h"]),
    st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=8),
).filter(lambda name: name not in (".", ".."))
SUFFIX = st.sampled_from(["", ".png", ".PNG", ".jpg", ".webp", ".gif", ".bmp", ".jfif", ".txt"])
CONTENT = st.sampled_from([GOOD, GOOD, GOOD, GOOD[:50], b""])
LAYOUTS = ["", "train", "train test", "train val", "train test valid", "train val valid", "train a"]


@st.composite
def folders(draw):
    """Files as a person might lay them out, and some more: their folders and names, and content."""
    splits = draw(st.sampled_from(LAYOUTS)).split() or [""]
    classes = draw(st.lists(NAMES, max_size=3)) or [""]
    places = [(split, name) for split in splits for name in classes]
    files = [(*place, f"{i}.png") for place in places for i in range(draw(st.integers(0, 14)))]
    content = [(path, GOOD) for path in files]
    for _ in range(draw(st.integers(0, 5))):
        place = draw(st.sampled_from([(), *places, *((*place, "more") for place in places)]))
        content.append(((*place, f"{draw(st.integers(0, 9))}{draw(SUFFIX)}"), draw(CONTENT)))
    return content


IMAGES = struct.pack(">4I", idx.IMAGES, 12, 4, 4) + bytes(range(192))
LABELS = struct.pack(">2I", idx.LABELS, 12) + bytes(range(12))
IDX_SEEDS = {
    "images": IMAGES,
    "labels": LABELS,
    "gzipped images": gzip.compress(IMAGES, mtime=0),
    "gzipped labels": gzip.compress(LABELS, mtime=0),
}


def _idx(which, dotted, gzipped, content):
    """An MNIST-like set, one of whose files has this content."""
    with tempfile.TemporaryDirectory() as root:
        root = pathlib.Path(root)
        for i, name in enumerate(sources.FILES):
            (root / name).write_bytes(LABELS if i % 2 else IMAGES)
        name = sources.FILES[which]
        (root / name).unlink()
        name = name.replace("-idx", ".idx") if dotted else name
        (root / f"{name}{'.gz' if gzipped else ''}").write_bytes(content)
        try:
            found = data.load(data_dir=str(root))
        except InputError as e:
            assert is_a_line(str(e)) and str(root) in str(e)
            return
        assert sum(map(len, splits(found))) == 24


WHICH = (st.integers(0, 3), st.booleans(), st.booleans(), damaged(IDX_SEEDS) | st.binary())


@decided(40)
@hypothesis.given(content=damaged(SEEDS))
def test_a_damaged_picture(class_folder, content):
    read_picture(class_folder, content)


@decided(10)
@hypothesis.given(folders())
def test_a_folder_of_anything(content_of):
    _folders(content_of)


@decided(40)
@hypothesis.given(*WHICH)
def test_a_damaged_idx_file(which, dotted, gzipped, content):
    _idx(which, dotted, gzipped, content)


@pytest.mark.slow
@decided(2000)
@hypothesis.given(content=damaged(SEEDS), mode=st.sampled_from(["L", "RGB"]))
def test_thousands_of_damaged_pictures(class_folder, content, mode):
    path = class_folder / "x.png"
    path.write_bytes(content)
    try:
        width, height = images.header(path).size
        pixels = images.decode(path, mode, None)
        resized = images.decode(path, mode, 4)
    except images.Unreadable as e:
        assert str(e)
        return
    assert sorted(pixels.shape[:2]) == sorted((width, height))  # it may be turned
    assert pixels.dtype == resized.dtype == np.uint8 and resized.shape[:2] == (4, 4)


@pytest.mark.slow
@decided(500)
@hypothesis.given(folders())
def test_hundreds_of_folders_of_anything(content_of):
    _folders(content_of)


@pytest.mark.slow
@decided(1000)
@hypothesis.given(*WHICH)
def test_thousands_of_damaged_idx_files(which, dotted, gzipped, content):
    _idx(which, dotted, gzipped, content)

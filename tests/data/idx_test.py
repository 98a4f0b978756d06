"""The IDX reader: what it reads is what was written, and what it refuses."""

import gzip
import struct
import tracemalloc

import numpy as np
import pytest

from zoo.data import idx
from zoo.errors import InputError

IMAGES = np.arange(5 * 4 * 4, dtype=np.uint8).reshape(5, 4, 4)
LABELS = np.array([3, 1, 4, 1, 5])


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_round_trip(tmp_path, suffix):
    idx.write(tmp_path / f"x{suffix}", IMAGES)
    idx.write(tmp_path / f"y{suffix}", LABELS)
    np.testing.assert_array_equal(idx.read_images(tmp_path / f"x{suffix}")[..., 0], IMAGES)
    np.testing.assert_array_equal(idx.read_labels(tmp_path / f"y{suffix}"), LABELS)


def header(magic=2051, n=5, h=4, w=4):
    return struct.pack(">4I", magic, n, h, w)


BODY = IMAGES.tobytes()
BAD = {
    "missing header": (b"\0\0", "truncated"),
    "wrong magic": (header(magic=2049) + BODY, "wrong magic number 2049"),
    "truncated": (header() + BODY[:-1], "truncated"),
    "more claimed than held": (header(n=6) + BODY, "truncated, the header claims 6 items"),
    "terabytes claimed": (header(n=2**32 - 1, h=2**16, w=2**16) + BODY, "more than can be read"),
    "gigabytes claimed": (header(n=10**6, h=80, w=80) + BODY, "truncated"),
    "trailing bytes": (header() + BODY + b"\0", "more data"),
    "not square": (header(n=10, h=4, w=2) + BODY, "not square"),
}


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_named(tmp_path, case, zipped):
    content, message = BAD[case]
    path = tmp_path / ("bad.gz" if zipped else "bad")
    path.write_bytes(gzip.compress(content) if zipped else content)
    with pytest.raises(InputError, match=message) as error:
        idx.read_images(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


BAD_GZIP = {
    "not gzip": (header() + BODY, "not a gzip file"),
    "truncated": (gzip.compress(header() + BODY)[:-20], "truncated or damaged"),
    "missing": (None, "no such file"),
}


@pytest.mark.parametrize("case", BAD_GZIP)
def test_bad_gzip_files_are_named(tmp_path, case):
    content, message = BAD_GZIP[case]
    path = tmp_path / "bad.gz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        idx.read_images(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_file_is_held_in_memory_once(tmp_path, suffix):
    path, size = tmp_path / f"x{suffix}", 8_000_000
    idx.write(path, np.zeros((size // 100, 10, 10), np.uint8))
    tracemalloc.start()
    images = idx.read_images(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert images.nbytes == size and peak < 1.5 * size + 2_000_000
    assert not images.flags.writeable


def test_damage_of_any_kind_is_an_input_error(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "x.gz"
    for content in (header() + BODY, gzip.compress(header() + BODY)):
        for path in (tmp_path / "x", tmp_path / "x.gz"):
            for _ in range(100):
                damaged = bytearray(content[: rng.integers(0, 2 * len(content))])
                for position in rng.integers(0, max(1, len(damaged)), rng.integers(0, 4)):
                    damaged[position : position + 1] = rng.bytes(1)
                path.write_bytes(damaged)
                try:
                    assert idx.read_images(path).ndim == 4
                except InputError as e:
                    assert str(path) in str(e)

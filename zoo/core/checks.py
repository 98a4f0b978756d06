"""What callers may give: one gate for images, labels, latents, numbers and seeds.

Arrays and eager tensors are looked at at once, and what is wrong is an InputError. In a graph, type
and shape are known when it is traced; the values are checked by an assertion in it, in the same
words. (XLA drops assertions, so `fit` looks at its data before.)
"""

from zoo.core import backend  # noqa: F401  isort: skip  (first: it imports TensorFlow)
import numbers
import secrets
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from zoo.errors import InputError

IMAGES = "images must be uint8, or floating point numbers in [0, 1]"
_assertions: set[str] = set()


def provided(condition: tf.Tensor, message: str, value: tf.Tensor) -> tf.Tensor:
    """`value`, provided that a condition holds.

    Raises:
      InputError: it does not; in a graph that is InvalidArgumentError, where it runs.
    """
    if not tf.is_symbolic_tensor(condition):
        if not bool(condition):
            raise InputError(message)
        return value
    _assertions.add(message)
    check = tf.debugging.Assert(condition, [message])
    with tf.control_dependencies([check] if check is not None else []):
        return tf.identity(value)


def said(error: Exception) -> str | None:
    """The line of the assertion, or of the InputError in a generator, that TensorFlow tells of."""
    text = str(error)
    found = [m for m in _assertions if m in text]
    found += [t.partition("\n")[0] for t in text.split("InputError: ")[1:]]
    return max(found, key=len, default=None)


def images(values: Any, image_shape: Sequence[int]) -> Any:
    """Images, as they came, once they are known to be some: [N, *image_shape].

    Raises:
      InputError: they are not uint8 or floating point in [0, 1], or of another shape.
    """
    expected, values = tuple(image_shape), array(values, "images")
    dtype, shape = values.dtype, tf.TensorShape(values.shape)
    floating = _is_floating(dtype)
    if not floating and dtype != np.uint8:
        raise InputError(f"{IMAGES}, not {_name(dtype)}")
    if not shape.is_compatible_with([None, *expected]):
        hint = "; a single image needs an axis for the batch: images[None]"
        raise InputError(
            f"images must be of shape {_written(['N', *expected])}, not {_written(shape)}"
            + (hint if shape.is_compatible_with(expected) else "")
        )
    if not tf.is_symbolic_tensor(values):
        if floating and shape.num_elements():
            low, high = _range(values)
            if not (low >= 0 and high <= 1):
                found = f"numbers from {low:g} to {high:g}" if low <= high else "NaN"
                raise InputError(f"{IMAGES}, not {found}")
        return values
    if not shape[1:].is_fully_defined():
        of_shape = tf.reduce_all(tf.shape(values)[1:] == list(expected))
        message = f"images must be of shape {_written(['N', *expected])}"
        values = tf.ensure_shape(provided(of_shape, message, values), [None, *expected])
    if floating:
        values = provided(tf.reduce_all((values >= 0) & (values <= 1)), IMAGES, values)
    return values


def labels(values: Any, num_classes: int, count: Any = None) -> tf.Tensor:
    """Labels as int32 [N], of integers [N] or [N, 1].

    Args:
      values: what was given.
      num_classes: K.
      count: of what there must be a label for each: a number, or None.

    Raises:
      InputError: they are no integers in 0..K-1, or not one for each image.
    """
    values = array(values, "labels")
    dtype, shape = values.dtype, tf.TensorShape(values.shape)
    if not any(shape.is_compatible_with(s) for s in ([None], [None, 1])):
        hint = "; of one-hot labels take their argmax" if shape.rank == 2 else ""
        raise InputError(f"labels must be of shape [N] or [N, 1], not {_written(shape)}{hint}")
    if not tf.as_dtype(dtype).is_integer and shape.num_elements() != 0:
        raise InputError(f"labels must be integers in 0..{num_classes - 1}, not {_name(dtype)}")
    message = f"labels must be in 0..{num_classes - 1}"
    if tf.is_symbolic_tensor(values):
        wide = tf.cast(values, tf.int64)  # before anything is cut off; unsigned ones turn negative
        known = tf.reduce_all((wide >= 0) & (wide < num_classes))
        values = tf.reshape(tf.cast(provided(known, message, values), tf.int32), [-1])
    else:
        values = np.asarray(values).reshape(-1) if shape.num_elements() else np.zeros(0, int)
        if values.size and not 0 <= int(values.min()) <= int(values.max()) < num_classes:
            wrong = next(v for v in values.tolist() if not 0 <= v < num_classes)
            raise InputError(f"{message}, not {wrong}")
        values = tf.convert_to_tensor(values.astype(np.int32))
    if count is None:
        return values
    message = "there must be a label for each image"
    if isinstance(count, numbers.Integral) and values.shape[0] is not None:
        if count != values.shape[0]:
            raise InputError(f"{message}: there are {values.shape[0]} for {count}")
        return values
    values = provided(tf.size(values) == count, message, values)
    return tf.ensure_shape(values, [count if isinstance(count, numbers.Integral) else None])


def latents(values: Any, latent_dim: int) -> tf.Tensor:
    """Latents as float32 [N, latent_dim].

    Raises:
      InputError: they are of another shape, or no finite numbers (in a graph they may be any).
    """
    values = array(values, "latents")
    dtype, shape = tf.as_dtype(values.dtype), tf.TensorShape(values.shape)
    if not (_is_floating(dtype) or dtype.is_integer):
        raise InputError(f"latents must be numbers, not {_name(values.dtype)}")
    if not shape.is_compatible_with([None, latent_dim]):
        raise InputError(
            f"latents must be of shape {_written(['N', latent_dim])}, not {_written(shape)}"
        )
    if not tf.is_symbolic_tensor(values) and shape.num_elements():
        if not np.isfinite(_range(values)).all():
            raise InputError("latents must be finite numbers")
    return tf.cast(values, tf.float32)


def weights(values: Any, count: Any) -> tf.Tensor:
    """Weights of examples as float32 [N], of numbers [N] or [N, 1].

    Raises:
      InputError: they are not finite numbers, or not one for each image.
    """
    values = array(values, "sample_weight")
    dtype, shape = tf.as_dtype(values.dtype), tf.TensorShape(values.shape)
    if not (_is_floating(dtype) or dtype.is_integer or dtype.is_bool):
        raise InputError(f"sample_weight must be numbers, not {_name(values.dtype)}")
    if not any(shape.is_compatible_with(s) for s in ([None], [None, 1])):
        raise InputError(f"sample_weight must be of shape [N] or [N, 1], not {_written(shape)}")
    values = tf.reshape(tf.cast(values, tf.float32), [-1])
    finite = tf.reduce_all(tf.math.is_finite(values))
    values = provided(finite, "sample_weight must be finite numbers", values)
    return provided(tf.size(values) == count, "sample_weight must have one for each image", values)


def whole(name: str, value: Any, least: int = 0, most: int | None = None) -> Any:
    """A whole number: as an int, or as an int32 tensor of a graph.

    Raises:
      InputError: it is none, is below `least`, or above `most`.
    """
    bounds = f"at least {least}" if most is None else f"in {least}..{most}"
    greatest = 2**31 - 1 if most is None else most  # int32, of what TensorFlow counts
    if tf.is_symbolic_tensor(value):
        if not value.dtype.is_integer or value.shape.rank not in (0, None):
            raise InputError(f"{name} must be a whole number, not {value.dtype.name}")
        inside = (value >= least) & (tf.cast(value, tf.int64) <= greatest)
        return tf.cast(provided(inside, f"{name} must be {bounds}", value), tf.int32)
    array = np.asarray(value) if tf.is_tensor(value) or isinstance(value, np.ndarray) else value
    if isinstance(array, np.ndarray) and array.ndim == 0:
        array = array[()]
    if not isinstance(array, numbers.Integral) or isinstance(array, bool | np.bool_):
        raise InputError(f"{name} must be a whole number, not {value!r}")
    number = int(array)
    if not least <= number <= greatest:
        bounds = f"at most {greatest}" if most is None and number > greatest else bounds
        raise InputError(f"{name} must be {bounds}, not {number}")
    return number


def image_shape(value: Any) -> tuple[int, int, int]:
    """(H, W, C), of three positive integers.

    Raises:
      InputError: it is something else.
    """
    try:
        height, width, channels = value
        return tuple(whole("a side", v, 1) for v in (height, width, channels))
    except (TypeError, ValueError):
        raise InputError(
            f"image_shape must be three positive numbers (height, width, channels), not {value!r}"
        ) from None


def seed(value: Any) -> tf.Tensor:
    """The int32 [2] seed of TensorFlow's stateless functions.

    Args:
      value: an integer of at most 64 bits, two of at most 32, or None, which draws one.

    Raises:
      InputError: it is something else.
    """
    if value is None:
        value = secrets.randbelow(2**31 - 1)
    if tf.is_symbolic_tensor(value):
        value = tf.cast(value, tf.int32)
        return tf.stack([value, 0]) if value.shape.rank == 0 else value
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, NotImplementedError):  # a list with a tensor of a graph in it
        return tf.cast(tf.convert_to_tensor(value), tf.int32)
    words = array.reshape(-1).tolist()
    whole_numbers = all(isinstance(v, int) and not isinstance(v, bool) for v in words)
    least, most, shape = (-(2**63), 2**63, ()) if array.ndim == 0 else (-(2**31), 2**32, (2,))
    if not whole_numbers or array.shape != shape or not all(least <= v < most for v in words):
        raise InputError(f"seed must be an integer of at most 64 bits, not {value!r}")
    if array.ndim == 0:
        number = words[0]
        if -(2**31) <= number < 2**31:
            words = [number, 0]
        else:  # a second word that no small seed has
            words = [number, (number >> 32) + (number > 0)]
    return tf.constant(np.array(words, np.int64).astype(np.int32))


def array(values: Any, what: str) -> Any:
    """A tensor as it is, and anything else as an array."""
    if tf.is_tensor(values):
        return values
    try:
        array = np.asarray(values)
        if array.dtype == object:
            raise TypeError
        if array.dtype == np.longdouble:  # which TensorFlow does not know
            array = array.astype(np.float64)
        tf.as_dtype(array.dtype)
        return array
    except NotImplementedError:  # a list with a tensor of a graph in it
        return tf.convert_to_tensor(values)
    except (TypeError, ValueError):
        kind = type(values).__name__
        raise InputError(f"{what} must be an array of numbers, not {kind}") from None


def _is_floating(dtype: Any) -> bool:
    return tf.as_dtype(dtype).is_floating


def _range(values: Any) -> tuple[float, float]:
    """The least and the greatest number; NaN where there is one."""
    array = np.asarray(values)
    return float(array.min()), float(array.max())


def _name(dtype: Any) -> str:
    return tf.as_dtype(dtype).name


def _written(shape: Any) -> str:
    if isinstance(shape, tf.TensorShape):
        shape = ["..."] if shape.rank is None else shape.as_list()
    return "[" + ", ".join("N" if s is None else str(s) for s in shape) + "]"

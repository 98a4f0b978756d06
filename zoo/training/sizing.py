"""What a run needs in memory: told, and refused where there is not as much, before it is taken.

The estimate of a step is by a trace of the forward pass: a share of what its operations give, the
gradient, and what TensorFlow needs for the graph. In the first steps on two cores resident memory
grew by 1.34 GB of an estimated 1.51 (dcgan, 128 pixels, 64 images), 1.43 of 1.55 (dcgan, 256
pixels, 16 images), 0.41 of 0.40 (flow_matching, 32 pixels, 64 images) and 0.58 of 0.73 (vae, 64
pixels, 128 images). Of other models it may be wrong by a factor of two: loops count as one turn,
and a gradient penalty is not in it.
"""

import contextlib
import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow as tf

from zoo import data
from zoo.core import memory
from zoo.data import store
from zoo.errors import InputError
from zoo.hub import checkpoints

HELD = 0.5  # of what the operations of a forward pass give: the most that a step holds at a time
GRAPH = 150 << 20  # bytes of the graph and the threads that run it
# a step of fewer pixels, or of fewer weights, takes less than a gigabyte, and is not looked at
_FEW_PIXELS, _FEW_WEIGHTS = 1 << 17, 1 << 24
_VIEWS = {"Identity", "Reshape", "StopGradient", "ExpandDims", "Squeeze", "ReadVariableOp"}


@dataclasses.dataclass(frozen=True)
class Needs:
    """Bytes that a run takes, beside the process itself.

    Attributes:
      weights: of the model, its optimizers and its averages, which are there already.
      step: of a training step, an estimate: gradients and activations.
      images: of the data set, once more for the input.
      free: what is available for the last two.
    """

    weights: int
    step: int
    images: int
    free: int | None

    def __str__(self) -> str:
        parts = f"weights and optimizers {_gb(self.weights)}, a step about {_gb(self.step)}"
        free = "" if self.free is None else f"; {_gb(self.free)} are free"
        return f"memory: {parts}, images {_gb(self.images)}{free}"


def smaller(dataset: data.Dataset, options: Any) -> list[str]:
    """The settings that make a model, or its images, smaller.

    Args:
      dataset: the images.
      options: the model's configuration.
    """
    resized = data.is_pictures(dataset.name) or dataset.name == "emoji"
    fields = {f.name for f in dataclasses.fields(options)}
    perceptron = getattr(options, "network", None) == "mlp"
    widths = [name for name in ("hidden" if perceptron else "width", "hidden") if name in fields]
    return [*(["image_size"] if resized else []), *widths[:1]]


def check(
    model: Any, dataset: data.Dataset, batch_size: int, smaller: Sequence[str]
) -> Needs | None:
    """What a run of this model takes; None where that is little.

    Args:
      model: a new one, with its optimizers.
      dataset: its images.
      batch_size: images that one step of an optimizer sees.
      smaller: the settings that make its step smaller.

    Raises:
      InputError: it is more than there is. The line names what would fit.
    """
    parameters = model.num_parameters()
    pixels = batch_size * math.prod(dataset.image_shape[:2])
    if pixels <= _FEW_PIXELS and parameters <= _FEW_WEIGHTS:
        return None
    variables = checkpoints.state(model).values()
    held = [s.images for s in (dataset.train, dataset.validation) if not store.is_on_disk(s.images)]
    on_gpu = tf.config.list_physical_devices("GPU")  # whose memory is another
    by_batch, alone = int(HELD * activations(model, batch_size)), 4 * parameters + GRAPH
    needs = Needs(
        weights=sum(_num_bytes(v.shape, tf.as_dtype(v.dtype)) for v in variables),
        step=by_batch + alone,
        images=sum(images.nbytes for images in held),
        free=None if on_gpu else memory.available(),
    )
    if needs.free is None or needs.step + needs.images <= needs.free:
        return needs
    fits = int(batch_size * (needs.free - needs.images - alone) / by_batch)
    fits -= fits % 8 if fits > 8 else 0
    instead = [f"--batch_size={fits}"] if fits > 0 else []
    raise InputError(
        f"training by {batch_size} images a step takes about {_gb(needs.step + needs.images)} of "
        f"memory, and {_gb(needs.free)} are free{_give(instead, smaller)}"
    )


@contextlib.contextmanager
def guarded(smaller: Sequence[str]) -> Iterator[None]:
    """Makes no model whose weights and optimizers would not fit.

    Args:
      smaller: the settings that make it smaller.

    Raises:
      InputError: so it is; from where the first weight is made that is one too many.
    """
    on_gpu = tf.config.list_physical_devices("GPU")  # whose memory is another
    free, made = None if on_gpu else memory.available(), 0

    def create(make, **values):
        nonlocal made
        variable = make(**values)
        made += _num_bytes(variable.shape, variable.dtype)
        if free is not None and made > free:
            raise InputError(
                f"the weights and their optimizer take more than the {_gb(free)} of memory that "
                f"are free{_give([], smaller)}"
            )
        return variable

    with tf.variable_creator_scope(create):
        yield


def activations(model: Any, batch_size: int) -> int:
    """Bytes of what all operations of a forward pass of so many images give, views apart.

    Loops count as one turn.
    """
    images = tf.TensorSpec((batch_size, *model.image_shape), tf.uint8)
    labels = tf.TensorSpec((batch_size,), tf.int32)
    traced = tf.function(model.test_step, autograph=False).get_concrete_function((images, labels))
    operations = (op for op in traced.graph.get_operations() if op.type not in _VIEWS)
    return sum(_num_bytes(x.shape, x.dtype) for op in operations for x in op.outputs)


def _num_bytes(shape: Sequence[int] | tf.TensorShape, dtype: tf.DType) -> int:
    """0 where the shape is not known, or there are no numbers, as of resources."""
    shape = tf.TensorShape(shape)
    known = shape.is_fully_defined() and dtype not in (tf.resource, tf.variant, tf.string)
    return shape.num_elements() * dtype.size if known else 0


def _give(instead: Sequence[str], smaller: Sequence[str]) -> str:
    either = " or ".join([*instead, *(f"a smaller --{name}" for name in smaller)])
    return f": give {either}" if either else ""


def _gb(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:.1f} GB"

"""Stacks of layers. Output layers compute in float32 whatever the precision policy.

Convolutional networks have stages: each halves the sides of an image, or doubles them, and has
twice the channels of the one before, up to a bound (`zoo/core/stages.py`).
"""

import dataclasses
import functools
import math
from collections.abc import Iterable, Iterator, Sequence

import keras
from keras import layers

from zoo.core import stages as numbers
from zoo.errors import InputError
from zoo.nn.layers import (
    ConditionalBatchNormalization,
    Dropout,
    ResidualBlock,
    SelfAttention,
    linear_layer,
)

_ATTENTION_SIDE = 32  # the longest side of an image with attention between all of its places


@dataclasses.dataclass(frozen=True)
class Stages:
    """How a convolutional network is made.

    Attributes:
      width: channels of the stage next to the image; further ones have up to 8 times as many (of
        more than five stages: see `zoo/core/stages.py`).
      number: of stages, each of which halves or doubles the sides.
      residual: whether a stage is a residual block, and not one strided convolution.
      batch_norm: whether hidden layers are normalized by the statistics of the batch (of the global
        batch, when several devices share it); on the way down not the first.
      dropout: share of the activations dropped after each stage on the way down.
      spectral: whether each layer is spectrally normalized, on the way down.
      attention: whether places attend to one another, where sides are first at most 32.
      unstrided: whether a 3x3 convolution comes before each strided one, and after the last.
      initializer: of all kernels, by its name or Keras' description; no instance, which would draw
        the same numbers for each layer.
    """

    width: int
    number: int = 2
    residual: bool = False
    batch_norm: bool = False
    dropout: float = 0.0
    spectral: bool = False
    attention: bool = False
    unstrided: bool = False
    initializer: str | dict = "glorot_uniform"

    @property
    def widths(self) -> list[int]:
        """Channels of each stage, from the image inwards."""
        return numbers.widths(self.width, self.number)

    def grid(self, image_shape: Sequence[int]) -> tuple[int, int]:
        """Sides (h, w) of what is left after all stages of images (H, W, C).

        Raises:
          InputError: the sides cannot be halved so often.
        """
        height, width = image_shape[:2]
        times = 2**self.number
        if height % times or width % times:
            raise InputError(
                f"a convolutional network of {self.number} stages needs images whose sides are "
                f"multiples of {times}, not {height}x{width}; resize them, or take a model with "
                "--network=mlp"
            )
        return height // times, width // times

    def attends(self, image_shape: Sequence[int]) -> int:
        """The stage, from the image inwards, with attention between its places; -1: none.

        Raises:
          InputError: attention is asked for, and all stages are too large for it.
        """
        if not self.attention:
            return -1
        sides = [max(image_shape[:2]) // 2 ** (i + 1) for i in range(self.number)]
        found = next((i for i, side in enumerate(sides) if side <= _ATTENTION_SIDE), -1)
        if found < 0:
            raise InputError(
                f"attention is between the places of a grid of at most {_ATTENTION_SIDE} a side, "
                f"and {self.number} stages end at {sides[-1]}: raise num_stages"
            )
        return found


def mlp(
    input_shape: Sequence[int],
    hidden: Sequence[int],
    output_shape: Sequence[int] | None,
    *,
    activation: str = "relu",
    last: str = "glorot_uniform",
    spectral: bool = False,
    num_classes: int = 0,
    name: str,
) -> keras.Model:
    """Dense layers from [B, *input_shape] to [B, *output_shape], linear at the end.

    Args:
      input_shape: without the batch.
      hidden: units of the hidden layers.
      output_shape: without the batch; None: no last layer, the result is that of the hidden ones,
        in the policy's precision.
      activation: of the hidden layers.
      last: initializes the last layer's weights.
      spectral: whether each layer is spectrally normalized.
      num_classes: K; a network of [x, y], one-hot labels [B, K], with a batch norm in each hidden
        layer that is told the label. 0: a network of x.
      name: of the network.
    """
    dense = functools.partial(linear_layer, layers.Dense, spectral=spectral)

    def stack() -> Iterator[layers.Layer]:
        yield layers.Flatten()
        for units in hidden:
            yield dense(units, use_bias=not num_classes)  # batch norm has a bias of its own
            yield from _norm(False, num_classes)
            yield layers.Activation(activation)
        if output_shape is None:
            return
        yield dense(math.prod(output_shape), kernel_initializer=last, dtype="float32")
        yield layers.Reshape(output_shape, dtype="float32")

    return _network(input_shape, stack(), num_classes, name)


def conv_down(
    image_shape: Sequence[int],
    stages: Stages,
    output_size: int | None,
    *,
    hidden: Sequence[int] = (),
    name: str,
) -> keras.Model:
    """Stages that halve an image, from [B, H, W, C] to [B, output_size], linear at the end.

    Args:
      image_shape: (H, W, C).
      stages: how they are made.
      output_size: of the result; None: no dense layers, the result is [B, h, w, F] after all
        stages, of a leaky ReLU, in the policy's precision.
      hidden: units of dense layers after the stages.
      name: of the network.

    Raises:
      InputError: the sides cannot be halved so often.
    """
    stages.grid(image_shape)  # which checks the sides
    linear = functools.partial(
        linear_layer, spectral=stages.spectral, kernel_initializer=stages.initializer
    )
    stack = []

    def same_size(filters: int) -> list[layers.Layer]:
        if not stages.unstrided or stages.residual:
            return []
        return [linear(layers.Conv2D, filters, 3, padding="same"), layers.LeakyReLU(0.2)]

    for i, filters in enumerate(stages.widths):
        norm = i > 0 and stages.batch_norm
        if stages.residual:
            stack.append(_residual(filters, "down", stages, norm, first=i == 0))
            if i == stages.number - 1:
                stack.append(layers.LeakyReLU(0.2))
        else:
            # batch norm has a bias of its own
            conv = {"strides": 2, "padding": "same", "use_bias": not norm}
            stack += [*same_size(max(filters // 2, 1)), linear(layers.Conv2D, filters, 4, **conv)]
            if norm:
                stack.append(layers.BatchNormalization(synchronized=True))
            stack.append(layers.LeakyReLU(0.2))
        if stages.dropout:
            stack.append(Dropout(stages.dropout))
        if i == stages.attends(image_shape):
            stack.append(SelfAttention(stages.spectral))
    dense = []
    if output_size is not None:
        dense.append(layers.Flatten())
        for units in hidden:
            dense += [linear(layers.Dense, units), layers.LeakyReLU(0.2)]
        dense.append(linear(layers.Dense, output_size, dtype="float32"))
    return _network(image_shape, [*stack, *same_size(stages.widths[-1]), *dense], 0, name)


def conv_up(
    input_size: int,
    stages: Stages,
    output_shape: Sequence[int],
    *,
    num_classes: int = 0,
    name: str,
) -> keras.Model:
    """A dense layer and stages that double its grid, [B, input_size] -> [B, H, W, C].

    Linear at the end.

    Args:
      input_size: of the latents.
      stages: how they are made.
      output_shape: (H, W, C).
      num_classes: K; a network of [z, y], one-hot labels [B, K], whose batch norms are told the
        label. 0: a network of z.
      name: of the network.

    Raises:
      InputError: the sides cannot be halved so often.
    """
    grid, widths = stages.grid(output_shape), stages.widths
    of = {"kernel_initializer": stages.initializer}
    # batch norm has a bias of its own
    hidden = {**of, "use_bias": not (stages.batch_norm or num_classes)}
    last = {**of, "dtype": "float32"}
    reshape = layers.Reshape((*grid, widths[-1]))

    def active() -> Iterator[layers.Layer]:
        yield from _norm(stages.batch_norm, num_classes)
        yield layers.ReLU()

    def stack() -> Iterator[layers.Layer]:
        yield layers.Dense(math.prod(grid) * widths[-1], **hidden)
        if stages.residual:
            yield reshape
        elif num_classes:  # a label's scale is that of a channel, and the same at all places
            yield from (reshape, *active())
        else:
            yield from (*active(), reshape)
        if stages.attends(output_shape) == stages.number - 1:
            yield SelfAttention()
        for i in range(stages.number - 1, -1, -1):
            if stages.residual:
                yield _residual(widths[i], "up", stages, stages.batch_norm, num_classes)
            elif i:
                yield layers.Conv2DTranspose(widths[i - 1], 4, 2, "same", **hidden)
                yield from active()
            if i - 1 == stages.attends(output_shape) >= 0:
                yield SelfAttention()
        if stages.residual:
            yield from active()
            yield layers.Conv2D(output_shape[-1], 3, padding="same", **last)
        else:
            yield layers.Conv2DTranspose(output_shape[-1], 4, 2, "same", **last)

    return _network((input_size,), stack(), num_classes, name)


def joined_with_vector(
    features: keras.Model, size: int, output_size: int, *, name: str
) -> keras.Model:
    """A network of [x, y]: `features` of x and the vector y meet in a hidden layer.

    Args:
      features: a network from [B, H, W, C] to [B, D], linear at the end.
      size: of the vectors y, [B, size]: one-hot labels, or codes.
      output_size: of the result, [B, output_size], linear at the end.
      name: of the network.
    """
    x, y = keras.Input(features.input_shape[1:]), keras.Input((size,))
    of_x = layers.LeakyReLU(0.2)(features(x))
    joint = layers.Dense(256)(layers.Concatenate()([of_x, y]))
    output = layers.Dense(output_size, dtype="float32")(layers.LeakyReLU(0.2)(joint))
    return keras.Model([x, y], output, name=name)


def grid_down(
    image_shape: Sequence[int], stages: Stages, depth: int, num_blocks: int, *, name: str
) -> keras.Model:
    """Strided convolutions and residual blocks, [B, H, W, C] -> [B, h, w, depth].

    Args:
      image_shape: (H, W, C).
      stages: how many there are, and their widths.
      depth: channels of the result.
      num_blocks: residual blocks after the convolutions.
      name: of the network.

    Raises:
      InputError: the sides cannot be halved so often.
    """
    stages.grid(image_shape)
    x = image = keras.Input(image_shape)
    for filters in stages.widths:
        x = layers.ReLU()(layers.Conv2D(filters, 4, strides=2, padding="same")(x))
    x = _residual_blocks(x, num_blocks)
    return keras.Model(image, layers.Conv2D(depth, 1, dtype="float32")(x), name=name)


def grid_up(
    grid_shape: Sequence[int], stages: Stages, output_depth: int, num_blocks: int, *, name: str
) -> keras.Model:
    """The mirror image of `grid_down`: [B, h, w, depth] -> [B, H, W, output_depth]."""
    grid, (*widths, deepest) = keras.Input(grid_shape), stages.widths
    x = _residual_blocks(layers.Conv2D(deepest, 3, padding="same")(grid), num_blocks)
    for filters in reversed(widths):
        x = layers.ReLU()(layers.Conv2DTranspose(filters, 4, 2, "same")(x))
    output = layers.Conv2DTranspose(output_depth, 4, 2, "same", dtype="float32")(x)
    return keras.Model(grid, output, name=name)


def grid_residual(
    grid_shape: Sequence[int],
    width: int,
    num_blocks: int,
    output_depth: int,
    *,
    last: str = "zeros",
    name: str,
) -> keras.Model:
    """Residual blocks on a grid that keeps its sides, [B, h, w, F] -> [B, h, w, output_depth].

    Args:
      grid_shape: (h, w, F).
      width: channels of the hidden layers.
      num_blocks: residual blocks of two convolutions.
      output_depth: channels of the result, which is linear.
      last: initializes the last convolution, which is without an activation.
      name: of the network.
    """
    x = grid = keras.Input(grid_shape)
    x = layers.Conv2D(width, 3, padding="same")(x)
    for _ in range(num_blocks):
        inner = layers.Conv2D(width, 3, padding="same")(layers.ReLU()(x))
        inner = layers.Conv2D(width, 3, padding="same")(layers.ReLU()(inner))
        x = layers.Add()([x, inner])
    output = layers.Conv2D(
        output_depth, 3, padding="same", kernel_initializer=last, dtype="float32"
    )
    return keras.Model(grid, output(layers.ReLU()(x)), name=name)


def _network(
    input_shape: Sequence[int], stack: Iterable[layers.Layer], num_classes: int, name: str
) -> keras.Model:
    """Layers one after the other; with classes a network of [x, y], some layers being told y."""
    if not num_classes:
        return keras.Sequential([keras.Input(input_shape), *stack], name=name)
    first, label = keras.Input(input_shape), keras.Input((num_classes,))
    x = first
    for layer in stack:
        told = isinstance(layer, ConditionalBatchNormalization | ResidualBlock)
        x = layer(x, label) if told else layer(x)
    return keras.Model([first, label], x, name=name)


def _norm(batch_norm: bool, num_classes: int) -> list[layers.Layer]:
    if num_classes:
        return [ConditionalBatchNormalization()]
    return [layers.BatchNormalization(synchronized=True)] if batch_norm else []


def _residual(
    filters: int,
    direction: str,
    stages: Stages,
    norm: bool,
    num_classes: int = 0,
    first: bool = False,
) -> ResidualBlock:
    kind = "conditional" if num_classes else "batch" if norm else "none"
    spectral = stages.spectral and direction == "down"
    return ResidualBlock(filters, direction, kind, spectral, stages.initializer, first)


def _residual_blocks(x, num_blocks: int):
    filters = x.shape[-1]
    for _ in range(num_blocks):
        inner = layers.Conv2D(filters // 2, 3, padding="same")(layers.ReLU()(x))
        x = layers.Add()([x, layers.Conv2D(filters, 1)(layers.ReLU()(inner))])
    return layers.ReLU()(x)

"""Stacks of layers. Output layers compute in float32 whatever the precision policy."""

import functools
import math
from collections.abc import Sequence

import keras
from keras import layers

from zoo.errors import InputError
from zoo.nn.layers import (
    ConditionalBatchNormalization,
    Dropout,
    SelfAttention,
    SpectralNormalization,
)


def linear_layer(
    kind: type, *args, use_bias: bool = True, spectral: bool = False, **kwargs
) -> layers.Layer:
    """A layer of that kind, its weights spectrally normalized if so asked."""
    if spectral:
        return SpectralNormalization(kind(*args, use_bias=False, **kwargs), use_bias)
    return kind(*args, use_bias=use_bias, **kwargs)


def mlp(
    input_shape: Sequence[int],
    hidden: Sequence[int],
    output_shape: Sequence[int],
    *,
    activation: str = "relu",
    last: str = "glorot_uniform",
    spectral: bool = False,
    name: str,
) -> keras.Sequential:
    """Dense layers from [B, *input_shape] to [B, *output_shape], linear at the end.

    `last` initializes the last layer's weights; `spectral` normalizes each layer.
    """
    size = math.prod(output_shape)
    linear = functools.partial(linear_layer, spectral=spectral)
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Flatten(),
            *[
                layer
                for units in hidden
                for layer in (linear(layers.Dense, units), layers.Activation(activation))
            ],
            linear(layers.Dense, size, kernel_initializer=last, dtype="float32"),
            layers.Reshape(output_shape, dtype="float32"),
        ],
        name=name,
    )


def conv_down(
    image_shape: Sequence[int],
    width: int,
    output_size: int | None,
    *,
    hidden: Sequence[int] = (),
    dropout: float = 0.0,
    batch_norm: bool = False,
    spectral: bool = False,
    attention: bool = False,
    unstrided: bool = False,
    initializer: str | dict = "glorot_uniform",
    name: str,
) -> keras.Sequential:
    """Two strided convolutions from [B, H, W, C] to [B, output_size], linear at the end.

    Args:
      image_shape: (H, W, C), sides that are multiples of 4.
      width: channels of the first strided convolution; the second has twice as many.
      output_size: of the result; None: no dense layers, the result is [B, H/4, W/4, 2 width], of a
        leaky ReLU, in the policy's precision.
      hidden: units of dense layers after the convolutions.
      dropout: share of the activations dropped after each convolution.
      batch_norm: whether the second convolution is normalized by the batch's statistics.
      spectral: whether each layer is spectrally normalized.
      attention: whether places look at one another after the first strided convolution.
      unstrided: whether a 3x3 convolution comes before each strided one and after the last.
      initializer: of all kernels, by its name or Keras' description; no instance, which would draw
        the same numbers for each layer.
      name: of the network.
    """
    _check_size(image_shape)
    linear = functools.partial(linear_layer, spectral=spectral, kernel_initializer=initializer)
    stages = []

    def same_size(filters: int) -> list[layers.Layer]:
        if not unstrided:
            return []
        return [linear(layers.Conv2D, filters, 3, padding="same"), layers.LeakyReLU(0.2)]

    for i, filters in enumerate((width, 2 * width)):
        norm = i > 0 and batch_norm
        # batch norm has a bias of its own
        conv = {"strides": 2, "padding": "same", "use_bias": not norm}
        stages += [*same_size(max(filters // 2, 1)), linear(layers.Conv2D, filters, 4, **conv)]
        if norm:
            stages.append(layers.BatchNormalization(synchronized=True))
        stages.append(layers.LeakyReLU(0.2))
        if dropout:
            stages.append(Dropout(dropout))
        if attention and i == 0:
            stages.append(SelfAttention(spectral))
    dense = []
    if output_size is not None:
        dense.append(layers.Flatten())
        for units in hidden:
            dense += [linear(layers.Dense, units), layers.LeakyReLU(0.2)]
        dense.append(linear(layers.Dense, output_size, dtype="float32"))
    return keras.Sequential(
        [keras.Input(image_shape), *stages, *same_size(2 * width), *dense], name=name
    )


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
    seen = layers.LeakyReLU(0.2)(features(x))
    joint = layers.Dense(256)(layers.Concatenate()([seen, y]))
    output = layers.Dense(output_size, dtype="float32")(layers.LeakyReLU(0.2)(joint))
    return keras.Model([x, y], output, name=name)


def conv_up(
    input_size: int,
    width: int,
    output_shape: Sequence[int],
    *,
    batch_norm: bool = False,
    attention: bool = False,
    initializer: str | dict = "glorot_uniform",
    name: str,
) -> keras.Sequential:
    """A dense layer and two strided transposed convolutions, [B, input_size] -> [B, H, W, C].

    Linear at the end. With `batch_norm` each hidden layer is normalized by the statistics of the
    batch (of the global batch, when several devices share it); with `attention` places look at one
    another before the last convolution.
    """
    _check_size(output_shape)
    height, depth = output_shape[0] // 4, output_shape[1] // 4

    def hidden(layer: layers.Layer) -> list[layers.Layer]:
        norm = [layers.BatchNormalization(synchronized=True)] if batch_norm else []
        return [layer, *norm, layers.ReLU()]

    # batch norm has a bias of its own
    of = {"use_bias": not batch_norm, "kernel_initializer": initializer}
    last = {"dtype": "float32", "kernel_initializer": initializer}
    return keras.Sequential(
        [
            keras.Input((input_size,)),
            *hidden(layers.Dense(height * depth * 2 * width, **of)),
            layers.Reshape((height, depth, 2 * width)),
            *hidden(layers.Conv2DTranspose(width, 4, 2, "same", **of)),
            *([SelfAttention()] if attention else []),
            layers.Conv2DTranspose(output_shape[-1], 4, 2, "same", **last),
        ],
        name=name,
    )


def conditional_mlp(
    input_size: int,
    num_classes: int,
    hidden: Sequence[int],
    output_shape: Sequence[int],
    *,
    name: str,
) -> keras.Model:
    """As `mlp`, with batch norms that are told the label: [B, input_size], [B, K] -> output."""
    z, y = keras.Input((input_size,)), keras.Input((num_classes,))
    x = z
    for units in hidden:
        x = ConditionalBatchNormalization()(layers.Dense(units, use_bias=False)(x), y)
        x = layers.ReLU()(x)
    x = layers.Dense(math.prod(output_shape), dtype="float32")(x)
    return keras.Model([z, y], layers.Reshape(output_shape, dtype="float32")(x), name=name)


def conditional_conv_up(
    input_size: int,
    num_classes: int,
    width: int,
    output_shape: Sequence[int],
    *,
    attention: bool = False,
    name: str,
) -> keras.Model:
    """As `conv_up`, told the label in each batch norm: [B, input_size], [B, K] -> [B, H, W, C].

    `attention` is that of `conv_up`.
    """
    _check_size(output_shape)
    height, depth = output_shape[0] // 4, output_shape[1] // 4
    z, y = keras.Input((input_size,)), keras.Input((num_classes,))

    def hidden(x):
        return layers.ReLU()(ConditionalBatchNormalization()(x, y))

    x = layers.Dense(height * depth * 2 * width, use_bias=False)(z)
    x = hidden(layers.Reshape((height, depth, 2 * width))(x))
    x = hidden(layers.Conv2DTranspose(width, 4, 2, "same", use_bias=False)(x))
    x = SelfAttention()(x) if attention else x
    output = layers.Conv2DTranspose(output_shape[-1], 4, 2, "same", dtype="float32")(x)
    return keras.Model([z, y], output, name=name)


def grid_down(
    image_shape: Sequence[int], width: int, depth: int, num_blocks: int, *, name: str
) -> keras.Model:
    """Two strided convolutions and residual blocks, [B, H, W, C] -> [B, H/4, W/4, depth]."""
    _check_size(image_shape)
    x = image = keras.Input(image_shape)
    for filters in (width, 2 * width):
        x = layers.ReLU()(layers.Conv2D(filters, 4, strides=2, padding="same")(x))
    x = _residual_blocks(x, num_blocks)
    return keras.Model(image, layers.Conv2D(depth, 1, dtype="float32")(x), name=name)


def grid_up(
    grid_shape: Sequence[int], width: int, output_depth: int, num_blocks: int, *, name: str
) -> keras.Model:
    """Residual blocks and two strided transposed convolutions, [B, h, w, D] -> [B, 4h, 4w, C]."""
    grid = keras.Input(grid_shape)
    x = _residual_blocks(layers.Conv2D(2 * width, 3, padding="same")(grid), num_blocks)
    x = layers.ReLU()(layers.Conv2DTranspose(width, 4, 2, "same")(x))
    output = layers.Conv2DTranspose(output_depth, 4, 2, "same", dtype="float32")(x)
    return keras.Model(grid, output, name=name)


def _residual_blocks(x, num_blocks: int):
    filters = x.shape[-1]
    for _ in range(num_blocks):
        inner = layers.Conv2D(filters // 2, 3, padding="same")(layers.ReLU()(x))
        x = layers.Add()([x, layers.Conv2D(filters, 1)(layers.ReLU()(inner))])
    return layers.ReLU()(x)


def _check_size(image_shape: Sequence[int]) -> None:
    if image_shape[0] % 4 or image_shape[1] % 4:
        raise InputError(
            f"a convolutional network needs images whose sides are multiples of 4, not "
            f"{image_shape[0]}x{image_shape[1]}; resize them, or take a model with --network=mlp"
        )

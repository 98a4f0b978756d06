"""Stacks of layers. The last layer of each computes in float32 whatever the precision policy."""

from collections.abc import Sequence

import keras
from keras import layers

from zoo.errors import InputError


def mlp(
    input_shape: Sequence[int],
    hidden: Sequence[int],
    output_shape: Sequence[int],
    *,
    activation: str = "relu",
    last: str = "glorot_uniform",
    name: str,
) -> keras.Sequential:
    """Dense layers from [B, *input_shape] to [B, *output_shape], linear at the end.

    `last` initializes the last layer's weights.
    """
    size = 1
    for d in output_shape:
        size *= d
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Flatten(),
            *[layers.Dense(units, activation=activation) for units in hidden],
            layers.Dense(size, kernel_initializer=last, dtype="float32"),
            layers.Reshape(output_shape, dtype="float32"),
        ],
        name=name,
    )


def conv_down(
    image_shape: Sequence[int],
    width: int,
    output_size: int,
    *,
    hidden: Sequence[int] = (),
    dropout: float = 0.0,
    name: str,
) -> keras.Sequential:
    """Two strided convolutions from [B, H, W, C] to [B, output_size], linear at the end.

    Between the two are dense layers of `hidden` units.
    """
    _check_size(image_shape)
    stages = []
    for filters in (width, 2 * width):
        stages += [
            layers.Conv2D(filters, 4, strides=2, padding="same"),
            layers.LeakyReLU(0.2),
        ]
        if dropout:
            stages.append(layers.Dropout(dropout))
    dense = [layer for n in hidden for layer in (layers.Dense(n), layers.LeakyReLU(0.2))]
    return keras.Sequential(
        [
            keras.Input(image_shape),
            *stages,
            layers.Flatten(),
            *dense,
            layers.Dense(output_size, dtype="float32"),
        ],
        name=name,
    )


def joined_with_label(
    features: keras.Model, num_classes: int, output_size: int, *, name: str
) -> keras.Model:
    """A network of [x, y]: `features` of x and the one-hot y meet in a hidden layer.

    Args:
      features: a network from [B, H, W, C] to [B, D], linear at the end.
      num_classes: K of the one-hot labels [B, K].
      output_size: of the result, [B, output_size], linear at the end.
      name: of the network.
    """
    x, y = keras.Input(features.input_shape[1:]), keras.Input((num_classes,))
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
    name: str,
) -> keras.Sequential:
    """A dense layer and two strided transposed convolutions, [B, input_size] -> [B, H, W, C].

    Linear at the end. With `batch_norm` each hidden layer is normalised by the statistics of the
    batch (of the global batch, when several devices share it).
    """
    _check_size(output_shape)
    height, depth = output_shape[0] // 4, output_shape[1] // 4

    def hidden(layer: layers.Layer) -> list[layers.Layer]:
        norm = [layers.BatchNormalization(synchronized=True)] if batch_norm else []
        return [layer, *norm, layers.ReLU()]

    bias = not batch_norm  # batch norm has its own
    return keras.Sequential(
        [
            keras.Input((input_size,)),
            *hidden(layers.Dense(height * depth * 2 * width, use_bias=bias)),
            layers.Reshape((height, depth, 2 * width)),
            *hidden(layers.Conv2DTranspose(width, 4, 2, "same", use_bias=bias)),
            layers.Conv2DTranspose(output_shape[-1], 4, 2, "same", dtype="float32"),
        ],
        name=name,
    )


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
            f"{image_shape[0]}x{image_shape[1]}; resize them, or choose --network=mlp"
        )

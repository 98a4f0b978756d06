"""The U-Net of models that take noise away: it sees a noisy image and the time (and a label).

Ronneberger et al. 2015 (arXiv:1505.04597) for the shape: down to a small grid and up again, with
skips between grids of one size. Dhariwal & Nichol 2021 (arXiv:2105.05233), section 3, for the
blocks: group norms whose scale and shift are those of time and label.
"""

import math
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from zoo.errors import InputError
from zoo.nn.layers import SMALL, Dropout, registered

_ATTENTION_SIDE = 8  # the longest side of a grid whose places all attend to one another
_GROUPS = 8
_OF_SLOPES = 20.0


@registered
class FourierFeatures(layers.Layer):
    """Times t [B] in [0, 1] as cosines and sines of many frequencies, float32 [B, size]."""

    def __init__(self, size: int = 32, highest: float = math.exp(6), **kwargs):
        """A layer of frequencies from 1 to the highest, even in their logarithms; size is even."""
        super().__init__(**kwargs)
        self.size, self.highest = size, highest

    def get_config(self):
        """What the constructor was given."""
        return {**super().get_config(), "size": self.size, "highest": self.highest}

    def call(self, t):
        """[B] -> [B, size]."""
        logarithms = np.linspace(0, math.log(self.highest), self.size // 2)
        frequencies = np.exp(logarithms).astype(np.float32)
        angles = t[:, None] * frequencies
        return tf.concat([tf.sin(angles), tf.cos(angles)], axis=-1)


@registered
class ModulatedBlock(layers.Layer):
    """A residual block that is told time and label by one vector e.

        y = shortcut(x) + conv(silu(norm(h) (1 + scale(e)) + shift(e))),  h = conv(silu(norm(x)))

    The shortcut is x itself, or a 1x1 convolution where the number of channels changes.
    """

    def __init__(self, filters: int, dropout: float = 0.0, **kwargs):
        """A block.

        Args:
          filters: F, channels of the result.
          dropout: share of the activations before the last convolution that is dropped.
          **kwargs: Keras' own.
        """
        super().__init__(**kwargs)
        self.filters, self.dropout = filters, dropout

    def get_config(self):
        """What the constructor was given."""
        return {**super().get_config(), "filters": self.filters, "dropout": self.dropout}

    def build(self, x_shape, e_shape):
        """Builds all layers."""
        inside = (*x_shape[:-1], self.filters)
        self.norm_1, self.norm_2 = norm(x_shape[-1]), norm(self.filters)
        self.conv_1 = layers.Conv2D(self.filters, 3, padding="same", name="conv_1")
        self.conv_2 = layers.Conv2D(
            self.filters, 3, padding="same", kernel_initializer=SMALL, name="conv_2"
        )
        self.modulation = layers.Dense(2 * self.filters, name="modulation")
        self.drop = Dropout(self.dropout)
        self.shortcut = layers.Identity()
        if x_shape[-1] != self.filters:
            self.shortcut = layers.Conv2D(self.filters, 1, name="shortcut")
        for layer, shape in (
            (self.norm_1, x_shape),
            (self.conv_1, x_shape),
            (self.shortcut, x_shape),
            (self.modulation, e_shape),
            (self.norm_2, inside),
            (self.conv_2, inside),
        ):
            layer.build(shape)

    def call(self, x, e, training=False):
        """X [B, H, W, C] and e [B, E] -> [B, H, W, F]."""
        h = self.conv_1(tf.nn.silu(self.norm_1(x)))
        scale, shift = tf.split(self.modulation(e)[:, None, None], 2, axis=-1)
        h = tf.nn.silu(self.norm_2(h) * (1 + scale) + shift)
        return self.shortcut(x) + self.conv_2(self.drop(h, training=training))


def norm(channels: int) -> layers.Layer:
    """A group norm of at most 8 groups."""
    return layers.GroupNormalization(math.gcd(_GROUPS, channels))


def u_net(
    image_shape: Sequence[int],
    *,
    width: int,
    num_stages: int,
    patch_size: int,
    num_blocks: int,
    dropout: float = 0.0,
    num_labels: int = 0,
    to: bool = False,
    name: str,
) -> keras.Model:
    """A network of [x, t] or [x, t, y]: noisy images [B, H, W, C], times [B], labels int32 [B].

    With `to` it is one of [x, t, r] or [x, t, r, y], of the way from time t to time r. The result
    is float32 [B, H, W, C], small at first.

    Args:
      image_shape: (H, W, C).
      width: channels of the first grid; those after it have 2 and 4 times as many, and never more.
      num_stages: how often sides are halved, patches included.
      patch_size: side p of the patches of the image that are the places of the first grid, with
        p p C numbers each; a power of 2.
      num_blocks: residual blocks of each grid on the way down, and as many on the way up.
      dropout: share of activations that each block drops.
      num_labels: labels 0..num_labels - 1; 0: the network takes none.
      to: whether it is told a second time.
      name: of the network.

    Raises:
      InputError: the sides cannot be halved so often, or the patch is no power of 2 of at most as
        many halvings.
    """
    height, width_of_image, channels = image_shape
    times = 2**num_stages
    if height % times or width_of_image % times:
        raise InputError(
            f"a U-Net of {num_stages} stages needs images whose sides are multiples of {times}, "
            f"not {height}x{width_of_image}; resize them, or set num_stages"
        )
    folds = patch_size.bit_length() - 1
    if 2**folds != patch_size or folds > num_stages:
        raise InputError(
            f"patch_size must be a power of 2 of at most {times}, the sides' divisor by "
            f"num_stages={num_stages}, not {patch_size}"
        )
    widths = [width * min(2**i, 4) for i in range(num_stages - folds + 1)]

    x, inputs, e = _inputs(image_shape, 4 * width, num_labels, to)
    h = layers.Conv2D(width, 3, padding="same")(_folded(x, patch_size))
    skips = [h]
    for i, filters in enumerate(widths):
        if i:
            h = layers.Conv2D(filters, 3, strides=2, padding="same")(h)
        for _ in range(num_blocks):
            h = ModulatedBlock(filters, dropout)(h, e)
            skips.append(h)
    h = ModulatedBlock(widths[-1], dropout)(h, e)
    if max(h.shape[1:3]) <= _ATTENTION_SIDE:
        h = _attended(h)
    for i, filters in reversed(list(enumerate(widths))):
        for _ in range(num_blocks + (i == 0)):
            h = ModulatedBlock(filters, dropout)(layers.Concatenate()([h, skips.pop()]), e)
        if i:
            h = layers.Conv2D(widths[i - 1], 3, padding="same")(layers.UpSampling2D(2)(h))
    h = layers.Activation("silu")(norm(width)(h))
    h = layers.Conv2D(
        channels * patch_size**2, 3, padding="same", kernel_initializer=SMALL, dtype="float32"
    )(h)
    return keras.Model(inputs, _unfolded(h, patch_size), name=name)


def perceptron(
    image_shape: Sequence[int],
    hidden: Sequence[int],
    num_labels: int = 0,
    *,
    to: bool = False,
    name: str,
) -> keras.Model:
    """The same of dense layers, for 2-D toy data; each is told time and label.

    Args:
      image_shape: (H, W, C).
      hidden: units of the layers.
      num_labels: as for `u_net`.
      to: likewise.
      name: of the network.

    Raises:
      InputError: there are no layers.
    """
    if not hidden:
        raise InputError("hidden is empty: a perceptron needs at least one layer")
    x, inputs, e = _inputs(image_shape, hidden[0], num_labels, to)
    h = layers.Flatten()(x)
    for units in hidden:
        h = layers.Add()([layers.Dense(units)(h), layers.Dense(units)(e)])
        h = layers.Activation("silu")(h)
    h = layers.Dense(math.prod(image_shape), kernel_initializer=SMALL, dtype="float32")(h)
    return keras.Model(inputs, layers.Reshape(image_shape, dtype="float32")(h), name=name)


def _inputs(image_shape: Sequence[int], size: int, num_labels: int, to: bool):
    """The noisy image; all inputs of a network; and what all blocks are told, [B, size]."""
    x, t = keras.Input(image_shape, name="x"), keras.Input((), name="t")
    inputs = [x, t]
    if to:  # of a network that is differentiated by t: fast waves have steep slopes
        inputs.append(keras.Input((), name="r"))
        length = layers.Subtract(dtype="float32")([inputs[-1], t])
        told = [FourierFeatures(highest=_OF_SLOPES, dtype="float32")(v) for v in (t, length)]
        e = layers.Add()([layers.Dense(size)(v) for v in told])
    else:
        e = layers.Dense(size)(FourierFeatures(dtype="float32")(t))
    if num_labels:
        inputs.append(keras.Input((), dtype="int32", name="y"))
        e = layers.Add()([e, layers.Embedding(num_labels, size)(inputs[-1])])
    e = layers.Dense(size, activation="silu")(layers.Activation("silu")(e))
    return x, inputs, e


def _folded(x, p: int):
    """[B, H, W, C] -> [B, H/p, W/p, p p C]: each place has the pixels of a patch."""
    if p == 1:
        return x
    _, height, width, channels = x.shape
    x = layers.Reshape((height // p, p, width // p, p, channels))(x)
    x = layers.Permute((1, 3, 2, 4, 5))(x)
    return layers.Reshape((height // p, width // p, p * p * channels))(x)


def _unfolded(x, p: int):
    """The inverse of `_folded`."""
    if p == 1:
        return x
    _, height, width, size = x.shape
    x = layers.Reshape((height, width, p, p, size // p**2), dtype="float32")(x)
    x = layers.Permute((1, 3, 2, 4, 5), dtype="float32")(x)
    return layers.Reshape((height * p, width * p, size // p**2), dtype="float32")(x)


def _attended(x):
    """Each place looks at all others, with two heads, and adds what it finds."""
    _, height, width, channels = x.shape
    places = layers.Reshape((height * width, channels))(norm(channels)(x))
    found = layers.MultiHeadAttention(2, max(1, channels // 2))(places, places)
    return layers.Add()([x, layers.Reshape((height, width, channels))(found)])

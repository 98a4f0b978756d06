"""The gated PixelCNN (van den Oord et al. 2016, arXiv:1606.05328).

    p(x) = prod_i p(x_i | x_1, ..., x_{i-1})                                               (eq. 1)

Pixels come row by row, the channels of one in turn. A stack of causal convolutions computes all the
conditionals of an image at once, so the likelihood is exact and is what is maximized. Each
conditional is a softmax over the gray levels, a mixture of logistics' mass on them (Salimans et al.
2017, arXiv:1701.05517, section 2.1), or Bernoulli. Given a label, its embedding is added inside
every gate (eq. 4). Deviations: residual connections in both stacks; a channel sees the earlier ones
of its pixel in the last layers alone.
"""

import dataclasses
from typing import Literal

import tensorflow as tf
from keras import layers

from zoo.core.config import field
from zoo.errors import InputError
from zoo.families.autoregressive import AutoregressiveModel
from zoo.math import distributions
from zoo.nn.layers import GatedCausalBlock


@dataclasses.dataclass(frozen=True)
class Config:
    """Architecture and objective of the PixelCNN."""

    output: Literal["categorical", "logistic_mixture", "bernoulli"] = field(
        "categorical",
        "Each conditional: a softmax over the levels, a mixture of logistics' mass on them, or "
        "Bernoulli (binarized data).",
    )
    levels: int = field(256, "Gray levels (bernoulli has two).", lower=2, upper=65536)
    num_components: int = field(10, "Logistics of the mixture (logistic_mixture).", lower=1)
    width: int = field(32, "Channels of both stacks.", lower=1)
    num_layers: int = field(8, "Gated layers.", lower=1)
    kernel_size: int = field(5, "Side of the causal kernels; odd.", lower=3, upper=15)
    head: int = field(128, "Units of the layer before the output.", lower=1)
    pixels: Literal["intensity", "one_hot"] = field(
        "intensity", "As what the network sees a pixel; one_hot: levels without an order."
    )
    conditional: bool = field(False, "Whether the model is given labels: p(x|y).")

    def __post_init__(self):
        if self.kernel_size % 2 == 0:
            raise InputError(f"kernel_size must be odd, not {self.kernel_size}")


class PixelCNN(AutoregressiveModel):
    """A PixelCNN of images [N, H, W, C]."""

    Config = Config

    def __init__(self, config=None, **kwargs):
        super().__init__(config, **kwargs)
        c, channels = self.config, self.image_shape[-1]
        self.num_features = c.width
        self.levels = 2 if self.binary else c.levels
        self.depth = (
            channels * (self.levels if c.pixels == "one_hot" else 1) + 1
        )  # see `network_input`
        self.make_layers()
        self.label_biases = []
        for i in range(c.num_layers if c.conditional else 0):
            bias = layers.Dense(4 * c.width, use_bias=False, name=f"label_bias_{i}")
            bias.build((None, self.num_classes))
            self.label_biases.append(bias)
        outputs = {
            "categorical": self.levels,
            "logistic_mixture": 3 * c.num_components,
            "bernoulli": 1,
        }
        self.hidden, self.outputs = [], []
        for channel in range(channels):
            self.hidden.append(layers.Dense(c.head, activation="relu", name=f"hidden_{channel}"))
            self.hidden[-1].build((None, c.width + channel))
            size = outputs[c.output]
            self.outputs.append(layers.Dense(size, dtype="float32", name=f"output_{channel}"))
            self.outputs[-1].build((None, c.head))
        self.build()

    def make_layers(self) -> None:
        """Builds the causal layers."""
        c = self.config
        self.blocks = []
        for i in range(c.num_layers):
            self.blocks.append(
                GatedCausalBlock(c.width, c.kernel_size, first=i == 0, name=f"block_{i}")
            )
            shape = (None, None, None, c.width if i else self.depth)
            self.blocks[-1].build(shape, shape)

    @property
    def conditional(self) -> bool:
        """Whether it is p(x|y)."""
        return self.config.conditional

    @property
    def binary(self) -> bool:
        """Bernoulli pixels are black or white."""
        return self.config.output == "bernoulli"

    def p_channel(self, features, earlier):
        """p(x_i | x_1, ..., x_{i-1}) of one channel, from the features and the earlier channels."""
        c, channel = self.config, earlier.shape[-1]
        known = tf.concat([tf.nn.relu(features), 2 * earlier - 1], -1)
        raw = self.outputs[channel](self.hidden[channel](known))
        if self.binary:
            return distributions.Bernoulli(logits=raw[..., 0], dtype=tf.float32)
        if c.output == "categorical":
            return distributions.Levels(logits=raw)
        return distributions.logistic_mixture(raw, self.levels)

    def on_levels(self, images):
        """Images in [0, 1] rounded to the model's gray levels; black and white ones as they are."""
        if self.binary:
            return images
        return tf.round(images * (self.levels - 1)) / (self.levels - 1)

    def features(self, images, labels=None, training=False):
        """The last layer of the horizontal stack, [B, H, W, width]."""
        v = h = self.network_input(images)
        for block, bias in zip(self.blocks, self._biases(labels), strict=True):
            v, h = block(v, h, bias)
        return tf.cast(h, tf.float32)

    def network_input(self, values):
        """Pixels [..., C] as the network sees them, with a 1 that tells them from the padding."""
        if self.config.pixels == "one_hot":
            levels = tf.cast(tf.round(values * (self.levels - 1)), tf.int32)
            seen = tf.one_hot(levels, self.levels)
            seen = tf.reshape(seen, [*tf.unstack(tf.shape(values)[:-1]), self.depth - 1])
        else:
            seen = 2 * values - 1
        return tf.cast(tf.concat([seen, tf.ones_like(values[..., :1])], -1), self.compute_dtype)

    def _biases(self, labels):
        """What the label adds to the gates of each block: two of [B, 1, 1, 2 width], or None."""
        if not self.conditional:
            return [(None, None)] * len(self.blocks)
        y = self.one_hot(labels)[:, None, None]
        return [tf.split(bias(y), 2, axis=-1) for bias in self.label_biases]

    def begin(self, batch_size, labels):
        """Empty windows of rows for each block, and what the label adds to its gates."""
        windows = []
        for i, block in enumerate(self.blocks):
            width = self.image_shape[1] + 2 * block.side
            depth = self.config.width if i else self.depth
            windows.append(tf.zeros([batch_size, block.side, width, depth], self.compute_dtype))
        return windows, self._biases(labels) if self.conditional else []

    def begin_row(self, above):
        """The v of the row in every block; h has nothing on its left yet."""
        windows, biases = above
        context, below, v = [], [], None
        for i, block in enumerate(self.blocks):
            window = windows[i]
            if not block.first:  # the row itself is known: its inputs were made of rows above
                padded = tf.pad(v, [[0, 0], [0, 0], [block.side] * 2, [0, 0]])
                window = tf.concat([window, padded], 1)
                below.append(window[:, 1:])
            v, to_h = block.vertical(window, biases[i][0] if biases else None)
            context.append(to_h if not biases else to_h + tf.cast(biases[i][1], to_h.dtype))
        batch = tf.shape(v)[0]
        left = [
            tf.zeros([batch, 1, block.side, window.shape[-1]], self.compute_dtype)
            for block, window in zip(self.blocks, windows, strict=True)
        ]
        return (windows[0], below, biases, context), left

    def pixel(self, context, left, column):
        """The h of the pixel in every block, from the last few on its left."""
        found, h = [], None
        for block, window, to_h in zip(self.blocks, left, context[3], strict=True):
            if not block.first:
                window = tf.concat([window, h], 2)
                found.append(window[:, :, 1:])
            h = block.horizontal(window, to_h[:, :, column][:, :, None])
        return tf.cast(h[:, 0, 0], tf.float32), [left[0], *found]

    def after_pixel(self, left, value):
        """The pixel joins what is left of the next one."""
        return [
            tf.concat([left[0][:, :, 1:], self.network_input(value)[:, None, None]], 2),
            *left[1:],
        ]

    def end_row(self, context, left, row):
        """The row joins what is above the next one."""
        first, below, biases, _ = context
        side = self.blocks[0].side
        padded = tf.pad(self.network_input(row)[:, None], [[0, 0], [0, 0], [side, side], [0, 0]])
        return [tf.concat([first[:, 1:], padded], 1), *below], biases

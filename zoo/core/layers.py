"""Layers that more than one model is made of."""

import tensorflow as tf
from keras import layers


def gate(raw: tf.Tensor) -> tf.Tensor:
    """Tanh(a) * sigmoid(b) of raw = [a, b]: [..., 2 F] -> [..., F]."""
    a, b = tf.split(raw, 2, axis=-1)
    return tf.tanh(a) * tf.sigmoid(b)


class GatedCausalBlock(layers.Layer):
    """A layer of the gated PixelCNN (van den Oord et al. 2016, arXiv:1606.05328, figure 2).

    Two stacks that together see every earlier pixel in reach, without a blind spot: v(i, j) sees
    the rows above i, to both sides, and h(i, j) what is left of it in row i, and v(i, j). Padding
    above and on the left alone does what masks on the kernels do, and wastes no weight.

    `call` serves a whole image; `vertical` a row and `horizontal` a pixel from the window of inputs
    that their kernels cover, for drawing.
    """

    def __init__(self, filters: int, kernel_size: int, first: bool = False, **kwargs):
        """A block.

        Args:
          filters: F, channels of both stacks.
          kernel_size: k, odd: the masked kernel would be k x k.
          first: whether the inputs are pixels, of which h(i, j) must not see its own and v(i, j)
            not its own row; else they are features that know them not.
          **kwargs: Keras' own.
        """
        super().__init__(**kwargs)
        self.first, self.side = first, kernel_size // 2
        self.reach = self.side + (0 if first else 1)  # rows, or pixels of a row, of a window
        self.v_conv = layers.Conv2D(2 * filters, (self.reach, kernel_size), name="v_conv")
        self.h_conv = layers.Conv2D(2 * filters, (1, self.reach), name="h_conv")
        self.v_to_h = layers.Conv2D(2 * filters, 1, name="v_to_h")
        self.h_out = layers.Conv2D(filters, 1, name="h_out")

    def build(self, v_shape, h_shape):
        """Builds the convolutions for inputs of these shapes."""
        filters = self.h_out.filters
        self.v_conv.build((*v_shape[:-1], v_shape[-1]))
        self.h_conv.build((*h_shape[:-1], h_shape[-1]))
        self.v_to_h.build((*v_shape[:-1], 2 * filters))
        self.h_out.build((*h_shape[:-1], filters))

    def vertical(self, window, label_bias=None) -> tuple[tf.Tensor, tf.Tensor]:
        """The vertical stack: v, and what it tells h.

        Args:
          window: inputs [B, R + reach - 1, W + 2 side, F], padded on both sides.
          label_bias: None or [B, 1, 1, 2 F].

        Returns:
          v [B, R, W, F] and what goes to h, [B, R, W, 2 F].
        """
        raw = self.v_conv(window)
        if label_bias is not None:
            raw += tf.cast(label_bias, raw.dtype)
        v = gate(raw)
        if not self.first:
            v += tf.cast(window[:, self.reach - 1 :, self.side : -self.side or None], v.dtype)
        return v, self.v_to_h(raw)

    def horizontal(self, window, from_v, label_bias=None) -> tf.Tensor:
        """The horizontal stack.

        Args:
          window: inputs [B, R, W + reach - 1, F], padded on the left.
          from_v: what the vertical stack tells, [B, R, W, 2 F].
          label_bias: None or [B, 1, 1, 2 F].

        Returns:
          h [B, R, W, F].
        """
        raw = self.h_conv(window) + from_v
        if label_bias is not None:
            raw += tf.cast(label_bias, raw.dtype)
        h = self.h_out(gate(raw))
        return h if self.first else h + tf.cast(window[:, :, self.reach - 1 :], h.dtype)

    def call(self, v, h, label_bias=(None, None)):
        """Both stacks of a whole image, [B, H, W, F] each; `label_bias` [B, 1, 1, 2 F] each."""
        ahead, last = self.reach - 1, None
        if self.first:  # the window ends before the pixel itself
            ahead, last = self.reach, -1
        v, to_h = self.vertical(
            tf.pad(v, [[0, 0], [ahead, 0], [self.side] * 2, [0, 0]])[:, :last], label_bias[0]
        )
        window = tf.pad(h, [[0, 0], [0, 0], [ahead, 0], [0, 0]])[:, :, :last]
        return v, self.horizontal(window, to_h, label_bias[1])

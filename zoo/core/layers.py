"""Layers that more than one model is made of."""

import keras
import tensorflow as tf
from keras import layers

from zoo.core.base import whole_batch


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


class VectorQuantizer(layers.Layer):
    """A codebook of vectors, to the nearest of which inputs are moved (arXiv:1711.00937, eq. 1-2).

    The codebook follows the means of what it stands for (appendix A.1):

        n_k <- g n_k + (1 - g) |S_k|,    m_k <- g m_k + (1 - g) sum_{z in S_k} z,    e_k = m_k / n_k

    where S_k are a batch's vectors that are nearest to e_k. A code whose n_k falls below `revive`
    is dead and moves to a vector of the batch, drawn at random; n_k starts at 0.
    """

    def __init__(self, size: int, depth: int, decay: float = 0.99, revive: float = 0.5, **kwargs):
        """A codebook.

        Args:
          size: K, its number of codes.
          depth: D, the size of a code.
          decay: g.
          revive: the least n_k, in vectors a batch, of a code that is alive.
          **kwargs: Keras' own.
        """
        super().__init__(dtype="float32", **kwargs)
        self.size, self.depth, self.decay, self.revive = size, depth, decay, revive
        # apart at the start, so that codes are told from one another before the first step
        codes = keras.initializers.RandomNormal(0.05, seed=0)
        same = {"trainable": False, "autocast": False, "aggregation": "only_first_replica"}
        self.codebook = self.add_weight((size, depth), codes, name="codebook", **same)
        self.counts = self.add_weight((size,), "zeros", name="counts", **same)
        self.sums = self.add_weight((size, depth), "zeros", name="sums", **same)
        self.built = True

    def nearest(self, z: tf.Tensor) -> tf.Tensor:
        """The index, int32 [...], of the code that is nearest to each vector [..., D]."""
        e = tf.convert_to_tensor(self.codebook)
        flat = tf.reshape(z, [-1, self.depth])
        # |z - e|^2 without |z|^2, which is the same for all e
        distance = tf.reduce_sum(e**2, 1) - 2 * tf.matmul(flat, e, transpose_b=True)
        return tf.reshape(tf.argmin(distance, 1, tf.int32), tf.shape(z)[:-1])

    def embed(self, codes: tf.Tensor) -> tf.Tensor:
        """The codes' vectors [..., D], of indices int32 [...]."""
        return tf.gather(tf.convert_to_tensor(self.codebook), codes)

    def straight_through(self, z: tf.Tensor, codes: tf.Tensor) -> tf.Tensor:
        """The codes' vectors, with the gradient of z in their place: [..., D]."""
        return z + tf.stop_gradient(self.embed(codes) - z)

    def follow(self, z: tf.Tensor, codes: tf.Tensor, seed: tf.Tensor) -> None:
        """One step of the codebook after a batch.

        Args:
          z: vectors [B, ..., D] of this replica's part of the batch.
          codes: their indices, int32 [B, ...].
          seed: int32 [2], draws what dead codes become.
        """
        z = tf.reshape(whole_batch(tf.stop_gradient(z)), [-1, self.depth])
        chosen = tf.one_hot(tf.reshape(whole_batch(codes), [-1]), self.size)
        blend = lambda old, new: self.decay * old + (1 - self.decay) * new  # noqa: E731
        counts = blend(tf.convert_to_tensor(self.counts), tf.reduce_sum(chosen, 0))
        sums = blend(tf.convert_to_tensor(self.sums), tf.matmul(chosen, z, transpose_a=True))
        order = tf.argsort(tf.random.stateless_uniform([tf.shape(z)[0]], seed, alg="philox"))
        drawn = tf.gather(z, tf.gather(order, tf.range(self.size) % tf.shape(z)[0]))
        dead = counts < self.revive
        counts = tf.where(dead, 1.0, counts)
        sums = tf.where(dead[:, None], drawn, sums)
        self.counts.assign(counts)
        self.sums.assign(sums)
        self.codebook.assign(sums / counts[:, None])

"""The PixelRNN with row LSTMs (van den Oord et al. 2016, arXiv:1601.06759).

    p(x) = prod_i p(x_i | x_1, ..., x_{i-1})                                               (eq. 1)
    [o, f, i, g] = sigma(K_ss * h_above + K_is * u)    (tanh for g)
    c = f c_above + i g        h = o tanh(c)                                               (eq. 3)

An LSTM goes down the rows with a state for each pixel of a row. K_ss convolves the states of the
row above, K_is the layer's input u of the same row, up to the pixel itself. What a pixel knows is a
triangle above it, wider with every row, and what is left of it; the first layer, a causal
convolution, widens its tip. Outputs, labels and residual connections are as in the PixelCNN.
"""

import dataclasses

import tensorflow as tf
from keras import layers

from zoo.core.config import field
from zoo.models import pixelcnn
from zoo.nn.layers import convolve, registered


@dataclasses.dataclass(frozen=True)
class Config(pixelcnn.Config):
    """Architecture and objective of the PixelRNN."""

    num_layers: int = field(4, "Row LSTMs.", lower=1)
    kernel_size: int = field(7, "Side of the first layer's causal kernel; odd.", lower=3, upper=15)


@registered
class RowLSTM(layers.Layer):
    """One LSTM down the rows of [B, H, W, F], with its residual connection."""

    reach = 2  # pixels of a row that K_is covers: the one on the left and the pixel itself

    def __init__(self, width: int, **kwargs):
        """Args: width, F, of inputs and of states."""
        super().__init__(**kwargs)
        self.input_to_state = layers.Conv2D(4 * width, (1, self.reach), name="input_to_state")
        self.state_to_state = layers.Conv1D(
            4 * width, 3, padding="same", use_bias=False, name="state_to_state"
        )
        self.up = layers.Conv2D(width, 1, name="up")
        shape = (None, None, None, width)
        for layer in (self.input_to_state, self.up):
            layer.build(shape)
        self.state_to_state.build(shape[1:])
        self.built = True

    def get_config(self):
        """What the constructor was given."""
        return {**super().get_config(), "width": self.up.filters}

    @staticmethod
    def step(gates, c_above) -> tuple[tf.Tensor, tf.Tensor]:
        """The h and c, float32 [..., F], of the gates' raw values [..., 4 F] and the c above."""
        o, f, i, g = tf.split(tf.cast(gates, tf.float32), 4, axis=-1)
        c = tf.sigmoid(f) * c_above + tf.sigmoid(i) * tf.tanh(g)
        return tf.sigmoid(o) * tf.tanh(c), c

    def call(self, u, label_bias=None):
        """All rows, one after another: [B, H, W, F] -> [B, H, W, F]."""
        gates = self.input_to_state(tf.pad(u, [[0, 0], [0, 0], [self.reach - 1, 0], [0, 0]]))
        if label_bias is not None:
            gates += label_bias
        start = tf.zeros_like(u[:, 0], tf.float32)
        h, _ = tf.scan(
            lambda above, row: self.step(row + self.state_to_state(above[0]), above[1]),
            tf.transpose(gates, [1, 0, 2, 3]),
            (start, start),
        )
        return u + self.up(tf.transpose(h, [1, 0, 2, 3]))


class PixelRNN(pixelcnn.PixelCNN):
    """A PixelRNN of images [N, H, W, C]."""

    Config = Config

    def make_layers(self):
        """Builds the first convolution, in its two parts, and the LSTMs."""
        c = self.config
        self.side = c.kernel_size // 2
        self.from_above = layers.Conv2D(c.width, (self.side, c.kernel_size), name="from_above")
        self.from_left = layers.Conv2D(c.width, (1, self.side), use_bias=False, name="from_left")
        for layer in (self.from_above, self.from_left):
            layer.build((None, None, None, self.depth))
        self.lstms = [RowLSTM(c.width, name=f"lstm_{i}") for i in range(c.num_layers)]

    def features(self, images, labels=None, training=False):
        """What the last LSTM gives, [B, H, W, width]."""
        x, s = self.network_input(images), self.side
        u = self.from_above(tf.pad(x, [[0, 0], [s, 0], [s, s], [0, 0]])[:, :-1])
        u += self.from_left(tf.pad(x, [[0, 0], [0, 0], [s, 0], [0, 0]])[:, :, :-1])
        for lstm, bias in zip(self.lstms, self._biases(labels), strict=True):
            u = lstm(u, bias)
        return tf.cast(u, tf.float32)

    def _biases(self, labels):
        """What the label adds to the gates of each LSTM: [B, 1, 1, 4 width], or None."""
        if not self.conditional:
            return [None] * len(self.lstms)
        y = self.one_hot(labels)[:, None, None]
        return [bias(y) for bias in self.label_biases]

    def begin(self, batch_size, labels):
        """No rows, states of zeros, and what the label adds."""
        width = self.image_shape[1]
        rows = tf.zeros(
            [batch_size, self.side, width + 2 * self.side, self.depth], self.compute_dtype
        )
        nothing = [tf.zeros([batch_size, width, self.config.width])] * len(self.lstms)
        return rows, nothing, nothing, self._biases(labels) if self.conditional else []

    def begin_row(self, above):
        """What the rows and the states above tell each pixel of the row."""
        rows, h_above, c_above, biases = above
        from_above = self.from_above(rows)[:, 0]
        gates = [lstm.state_to_state(h) for lstm, h in zip(self.lstms, h_above, strict=True)]
        if biases:
            gates = [g + tf.cast(b[:, 0], g.dtype) for g, b in zip(gates, biases, strict=True)]
        batch, dtype = tf.shape(rows)[0], self.compute_dtype
        pixels = tf.zeros([batch, 1, self.side, self.depth], dtype)
        inputs = [tf.zeros([batch, 1, 1, self.config.width], dtype)] * len(self.lstms)
        # the states of the row are filled in pixel by pixel
        return (rows, from_above, gates, c_above, biases), (pixels, inputs, h_above, c_above)

    def pixel(self, context, left, column):
        """One step of every LSTM at the pixel."""
        _, from_above, gates, c_above, _ = context
        pixels, inputs, h_row, c_row = left
        here = tf.one_hot(column, self.image_shape[1])[:, None]
        u = convolve(self.from_left, pixels) + from_above[:, column][:, None, None]
        before, h_new, c_new = [], [], []
        for i, lstm in enumerate(self.lstms):
            raw = convolve(lstm.input_to_state, tf.concat([inputs[i], u], 2))[:, 0, 0]
            h, c = lstm.step(raw + gates[i][:, column], c_above[i][:, column])
            before.append(u)
            h_new.append((1 - here) * h_row[i] + here * h[:, None])
            c_new.append((1 - here) * c_row[i] + here * c[:, None])
            u += convolve(lstm.up, tf.cast(h[:, None, None], u.dtype))
        return tf.cast(u[:, 0, 0], tf.float32), (pixels, before, h_new, c_new)

    def after_pixel(self, left, value):
        """The pixel joins what is left of the next one."""
        pixels, *rest = left
        seen = self.network_input(value)[:, None, None]
        return (tf.concat([pixels[:, :, 1:], seen], 2), *rest)

    def end_row(self, context, left, row):
        """The row and its states are what is above the next one."""
        rows, *_, biases = context
        padded = tf.pad(self.network_input(row)[:, None], [[0, 0], [0, 0], [self.side] * 2, [0, 0]])
        return tf.concat([rows[:, 1:], padded], 1), left[2], left[3], biases

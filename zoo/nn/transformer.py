"""A transformer over a sequence of codes (Vaswani et al. 2017, arXiv:1706.03762).

    x <- x + attention(norm(x)),   x <- x + mlp(norm(x))         in each block

    attention(x) = softmax(Q K^T / sqrt(D)) V                    (eq. 1, in several heads)

Norms stand before what they are of, and the hidden layer is a GELU, as in GPT-2. A causal network
sees the codes before each place, and any other network all that are known.
"""

from collections.abc import Sequence

import tensorflow as tf
from keras import layers

from zoo.errors import InputError
from zoo.nn.layers import registered

Past = Sequence[tuple[tf.Tensor, tf.Tensor]]  # keys and values [B, H, P, D] of each block
_SMALL = {"class_name": "RandomNormal", "config": {"stddev": 0.02}}


@registered
class TransformerBlock(layers.Layer):
    """Attention and a perceptron, each beside a shortcut."""

    def __init__(self, num_heads: int, causal: bool, **kwargs):
        """A block.

        Args:
          num_heads: H, which divides the channels.
          causal: whether a place sees those before it and itself alone.
          **kwargs: Keras' own.
        """
        super().__init__(**kwargs)
        self.num_heads, self.causal = num_heads, causal

    def get_config(self):
        """What the constructor was given."""
        return {**super().get_config(), "num_heads": self.num_heads, "causal": self.causal}

    def build(self, input_shape):
        """Builds all layers, for inputs [B, N, W]."""
        width = input_shape[-1]

        def dense(units, inputs, name, **options):
            layer = layers.Dense(units, kernel_initializer=_SMALL, name=name, **options)
            layer.build((None, inputs))
            return layer

        self.norm_1, self.norm_2 = (layers.LayerNormalization(epsilon=1e-5) for _ in range(2))
        for norm in (self.norm_1, self.norm_2):
            norm.build(input_shape)
        self.qkv = dense(3 * width, width, "qkv", use_bias=False)
        self.out = dense(width, width, "out")
        self.hidden, self.back = dense(4 * width, width, "hidden"), dense(width, 4 * width, "back")

    def call(self, x, past=None):
        """Of places that follow those in the past.

        Args:
          x: [B, N, W].
          past: keys and values [B, H, P, D] of the places before, or None.

        Returns:
          [B, N, W], and keys and values [B, H, P + N, D].
        """
        q, keys, values = self._heads(self.norm_1(x))
        if past is not None:
            keys, values = (tf.concat(pair, 2) for pair in zip(past, (keys, values), strict=True))
        scores = tf.cast(tf.matmul(q, keys, transpose_b=True), tf.float32)
        scores *= float(q.shape[-1]) ** -0.5
        if self.causal and x.shape[1] != 1:
            n, of = tf.shape(scores)[-2], tf.shape(scores)[-1]
            seen = tf.range(of) <= tf.range(of - n, of)[:, None]
            scores += tf.where(seen, 0.0, -1e9)
        found = tf.matmul(tf.cast(tf.nn.softmax(scores), values.dtype), values)
        x += _dense(self.out, tf.reshape(tf.transpose(found, [0, 2, 1, 3]), tf.shape(x)))
        inner = tf.nn.gelu(_dense(self.hidden, self.norm_2(x)), approximate=True)
        return x + _dense(self.back, inner), (keys, values)

    def _heads(self, x):
        """Queries, keys and values, [B, H, N, D] each."""
        depth = x.shape[-1] // self.num_heads
        qkv = tf.reshape(_dense(self.qkv, x), [-1, tf.shape(x)[1], 3, self.num_heads, depth])
        return tf.unstack(tf.transpose(qkv, [2, 0, 3, 1, 4]), 3)


@registered
class CodeTransformer(layers.Layer):
    """Codes [B, N] -> logits of each place's code [B, N, K]."""

    def __init__(
        self,
        num_codes: int,
        length: int,
        width: int,
        num_layers: int,
        num_heads: int,
        causal: bool,
        **kwargs,
    ):
        """A network.

        Args:
          num_codes: K. A network that is not causal knows one more, K, of a place that is hidden.
          length: N, the most places.
          width: W, its channels.
          num_layers: blocks.
          num_heads: of the attention.
          causal: whether each place sees only the codes before it.
          **kwargs: Keras' own.

        Raises:
          InputError: the heads do not divide the channels.
        """
        super().__init__(**kwargs)
        if width % num_heads:
            raise InputError(
                f"the transformer's width must be a multiple of its {num_heads} heads, not {width}"
            )
        self.num_codes, self.length, self.width, self.causal = num_codes, length, width, causal
        self.settings = {
            "num_codes": num_codes,
            "length": length,
            "width": width,
            "num_layers": num_layers,
            "num_heads": num_heads,
            "causal": causal,
        }
        # of a causal network the last one stands before the first code
        self.tokens = layers.Dense(width, use_bias=False, kernel_initializer=_SMALL, name="tokens")
        self.tokens.build((None, num_codes + 1))
        self.positions = self.add_weight((length, width), _SMALL, name="positions")
        self.blocks = []
        for i in range(num_layers):
            self.blocks.append(TransformerBlock(num_heads, causal, name=f"block_{i}"))
            self.blocks[-1].build((None, length, width))
        self.norm = layers.LayerNormalization(epsilon=1e-5)
        self.norm.build((None, length, width))
        self.logits = layers.Dense(
            num_codes, kernel_initializer=_SMALL, dtype="float32", name="logits"
        )
        self.logits.build((None, width))
        self.built = True

    def get_config(self):
        """What the constructor was given."""
        return {**super().get_config(), **self.settings}

    def call(self, codes):
        """Logits float32 [B, N, K] of codes int32 [B, N]; a causal network's (i) of those before i.

        Of any other network codes may be K: hidden.
        """
        if self.causal:
            codes = tf.pad(codes[:, :-1], [[0, 0], [1, 0]], constant_values=self.num_codes)
        return self._walk(codes, self.positions, [None] * len(self.blocks))[0]

    def begin(self, batch_size) -> Past:
        """The past of the first place of a causal network."""
        heads = self.settings["num_heads"]
        nothing = tf.zeros([batch_size, heads, 0, self.width // heads], self.compute_dtype)
        return [(nothing, nothing) for _ in self.blocks]

    def step(self, before, position, past: Past) -> tuple[tf.Tensor, Past]:
        """The logits of one place of a causal network.

        Args:
          before: the code before it, int32 [B]; K before the first one.
          position: int32 [].
          past: keys and values of the places before.

        Returns:
          Float32 [B, K], and the past of the next place.
        """
        here = tf.gather(tf.convert_to_tensor(self.positions), position)[None]
        logits, past = self._walk(before[:, None], here, past)
        return logits[:, 0], past

    def _walk(self, codes, positions, past):
        seen = tf.one_hot(codes, self.num_codes + 1, dtype=self.compute_dtype)
        x = _dense(self.tokens, seen) + tf.cast(positions, self.compute_dtype)
        found = []
        for block, of_block in zip(self.blocks, past, strict=True):
            x, known = block(x, of_block)
            found.append(known)
        return _dense(self.logits, self.norm(x)), found


def _dense(layer: layers.Dense, x: tf.Tensor) -> tf.Tensor:
    """A dense layer of [B, N, W], as one matrix product."""
    y = layer(tf.reshape(x, [-1, x.shape[-1]]))
    return tf.reshape(y, [-1, *tf.unstack(tf.shape(x)[1:-1]), layer.units])

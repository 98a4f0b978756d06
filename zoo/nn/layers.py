"""Layers that more than one model is made of."""

import keras
import tensorflow as tf
from keras import layers

from zoo.math.noise import standard_uniform, whole_batch

registered = keras.saving.register_keras_serializable("zoo")
# so nearly 0 that a new block changes nothing, and yet all weights have gradients
SMALL = {"class_name": "VarianceScaling", "config": {"scale": 1e-4, "mode": "fan_avg"}}


def gate(raw: tf.Tensor) -> tf.Tensor:
    """Tanh(a) * sigmoid(b) of raw = [a, b]: [..., 2 F] -> [..., F]."""
    a, b = tf.split(raw, 2, axis=-1)
    return tf.tanh(a) * tf.sigmoid(b)


def linear_layer(
    kind: type, *args, use_bias: bool = True, spectral: bool = False, **kwargs
) -> layers.Layer:
    """A layer of that kind, its weights spectrally normalized if so asked."""
    if spectral:
        return SpectralNormalization(kind(*args, use_bias=False, **kwargs), use_bias)
    return kind(*args, use_bias=use_bias, **kwargs)


@registered
class Dropout(layers.Dropout):
    """Keras' dropout, but several devices see the masks that a single one would have drawn.

    (Keras draws the same mask on each.)
    """

    def call(self, inputs, training=False):
        """[B, ...] -> [B, ...]; in training a share `rate` of it is 0."""
        if not training or not self.rate:
            return inputs
        seed = tf.cast(self.seed_generator.next(), tf.int32)
        kept = standard_uniform(tf.shape(inputs), seed) >= self.rate
        return tf.where(kept, inputs / (1 - self.rate), 0)


@registered
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
        self.settings = {"filters": filters, "kernel_size": kernel_size, "first": first}

    def get_config(self):
        """What the constructor was given."""
        return {**super().get_config(), **self.settings}

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
        if not self.first:  # tf.slice, as the gradient of window[...] takes a third of a step
            v += tf.cast(tf.slice(window, [0, self.reach - 1, self.side, 0], tf.shape(v)), v.dtype)
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
        raw = convolve(self.h_conv, window) + from_v
        if label_bias is not None:
            raw += tf.cast(label_bias, raw.dtype)
        h = convolve(self.h_out, gate(raw))
        if not self.first:
            h += tf.cast(tf.slice(window, [0, 0, self.reach - 1, 0], tf.shape(h)), h.dtype)
        return h

    def call(self, v, h, label_bias=(None, None)):
        """Both stacks of a whole image, [B, H, W, F] each; `label_bias` [B, 1, 1, 2 F] each."""
        ahead = self.reach - 1
        if self.first:  # the window ends before the pixel itself
            ahead, v, h = self.reach, v[:, :-1], h[:, :, :-1]
        window = tf.pad(v, [[0, 0], [ahead, 0], [self.side] * 2, [0, 0]])
        v, to_h = self.vertical(window, label_bias[0])
        window = tf.pad(h, [[0, 0], [0, 0], [ahead, 0], [0, 0]])
        return v, self.horizontal(window, to_h, label_bias[1])


def convolve(convolution: layers.Conv2D, window: tf.Tensor) -> tf.Tensor:
    """An unpadded convolution of [B, h, w, F].

    Where its kernel covers the window once that is a matrix product, which takes half the time:
    most of drawing pixel by pixel.
    """
    if window.shape[1:3] != convolution.kernel.shape[:2]:
        return convolution(window)
    kernel = tf.reshape(tf.cast(convolution.kernel, window.dtype), [-1, convolution.filters])
    product = tf.reshape(window, [-1, kernel.shape[0]]) @ kernel
    if convolution.use_bias:
        product = tf.nn.bias_add(product, tf.cast(convolution.bias, window.dtype))
    return product[:, None, None]


@registered
class SpectralNormalization(layers.Wrapper):
    """A linear layer divided by its spectral norm (Miyato et al. 2018, arXiv:1802.05957, eq. 8).

    W / sigma(W), where W [inputs, outputs] is the kernel with all axes but the last made one, and
    sigma(W) = v W u its greatest singular value. Power iteration, a step in each call in training,
    keeps u and v near their singular vectors (appendix A, algorithm 1); they count as constants in
    gradients. Keras' layer of that name replaces W itself by W / sigma(W) whenever D is run in
    training, G's steps included; here only D's optimizer moves D's weights, and the gradient knows
    of sigma.
    """

    def __init__(self, layer: layers.Layer, use_bias: bool = True, **kwargs):
        """A layer.

        Args:
          layer: a linear one with a `kernel`, and without a bias: that is added here.
          use_bias: whether it is.
          **kwargs: Keras' own.
        """
        super().__init__(layer, dtype=layer.dtype_policy, **kwargs)
        self.use_bias = use_bias

    def get_config(self):
        """What the constructor was given; the type is that of the layer inside."""
        config = {**super().get_config(), "use_bias": self.use_bias}
        del config["dtype"]
        return config

    def build(self, input_shape):
        """Builds the layer, u and the bias."""
        super().build(input_shape)
        outputs = (self.layer.kernel.shape[-1],)
        self.bias = self.add_weight(outputs, "zeros", name="bias") if self.use_bias else 0.0
        same = {"trainable": False, "autocast": False, "aggregation": "only_first_replica"}
        self.u = self.add_weight(outputs, "random_normal", name="u", **same)

    def sigma(self, training: bool = False) -> tf.Tensor:
        """An estimate of the norm, float32; in training after a step of power iteration."""
        w = tf.cast(tf.convert_to_tensor(self.layer.kernel), tf.float32)
        w = tf.reshape(w, [-1, w.shape[-1]])
        u = tf.math.l2_normalize(tf.convert_to_tensor(self.u))
        v = tf.math.l2_normalize(tf.stop_gradient(tf.linalg.matvec(w, u)))
        if training:
            u = tf.math.l2_normalize(tf.stop_gradient(tf.linalg.matvec(w, v, transpose_a=True)))
            self.u.assign(u)
        return tf.reduce_sum(v * tf.linalg.matvec(w, u))

    def call(self, x, training=False):
        """(W x) / sigma(W) + b."""
        y = self.layer(x)
        inverse = tf.cast(1 / self.sigma(training), y.dtype)  # a product costs less than y / sigma
        return y * inverse + tf.cast(self.bias, y.dtype)


@registered
class ConditionalBatchNormalization(layers.Layer):
    """Batch norm whose scale and shift are the label's: gamma_y (x - mean) / std + beta_y.

    De Vries et al. 2017 (arXiv:1707.00683), section 3. Mean and deviation are over all labels.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.norm = layers.BatchNormalization(center=False, scale=False, synchronized=True)

    def build(self, x_shape, y_shape):
        """Builds the scale and shift of each label."""
        self.norm.build(x_shape)
        size = (y_shape[-1], x_shape[-1])
        self.gamma = self.add_weight(size, "ones", name="gamma")
        self.beta = self.add_weight(size, "zeros", name="beta")

    def call(self, x, y, training=False):
        """Normalized [B, H, W, C] (or [B, C]) of one-hot labels y [B, K]."""
        x = self.norm(x, training=training)
        shape = [-1, *[1] * (len(x.shape) - 2), x.shape[-1]]
        y = tf.cast(y, x.dtype)
        gamma, beta = (tf.matmul(y, tf.cast(w, x.dtype)) for w in (self.gamma, self.beta))
        return x * tf.reshape(gamma, shape) + tf.reshape(beta, shape)


@registered
class ResidualBlock(layers.Layer):
    """A residual block that halves or doubles the sides (Miyato et al. 2018, table 4, figure 8).

        y = shortcut(x) + conv(relu(norm(conv(relu(norm(x))))))

    Doubling is by nearest neighbors, ahead of the first convolution; halving by means of 2x2 places
    after the last. The shortcut is a 1x1 convolution, resized in the same way.
    """

    def __init__(
        self,
        filters: int,
        direction: str,
        norm: str = "none",
        spectral: bool = False,
        initializer: str | dict = "glorot_uniform",
        first: bool = False,
        **kwargs,
    ):
        """A block.

        Args:
          filters: F, channels of the result.
          direction: "up" doubles the sides, "down" halves them.
          norm: "none", "batch", or "conditional": a batch norm that is told the label.
          spectral: whether the convolutions are spectrally normalized.
          initializer: of the kernels, by its name or Keras' description.
          first: whether the inputs are an image, which is not rectified nor normalized.
          **kwargs: Keras' own.
        """
        super().__init__(**kwargs)
        self.settings = {
            "filters": filters,
            "direction": direction,
            "norm": norm,
            "spectral": spectral,
            "initializer": initializer,
            "first": first,
        }
        self.first = first

        def conv(size, name, use_bias=True):
            options = {"padding": "same", "kernel_initializer": initializer, "name": name}
            return linear_layer(
                layers.Conv2D, filters, size, use_bias=use_bias, spectral=spectral, **options
            )

        def of_kind(norm):
            if norm == "conditional":
                return ConditionalBatchNormalization()
            return layers.BatchNormalization(synchronized=True) if norm == "batch" else None

        self.norm_1, self.norm_2 = of_kind("none" if first else norm), of_kind(norm)
        self.conv_1 = conv(3, "conv_1", norm == "none")  # batch norm has a bias of its own
        self.conv_2, self.shortcut = conv(3, "conv_2"), conv(1, "shortcut")
        self.double = layers.UpSampling2D(2) if direction == "up" else layers.Identity()
        self.halve = layers.AveragePooling2D(2) if direction == "down" else layers.Identity()

    def get_config(self):
        """What the constructor was given."""
        return {**super().get_config(), **self.settings}

    def build(self, x_shape, y_shape=None):
        """Builds the convolutions and norms."""
        inside = (*x_shape[:-1], self.settings["filters"])
        for norm, shape in ((self.norm_1, x_shape), (self.norm_2, inside)):
            if norm is not None:
                norm.build(*self._told(norm, shape, y_shape))
        for conv, shape in (
            (self.conv_1, x_shape),
            (self.conv_2, inside),
            (self.shortcut, x_shape),
        ):
            conv.build(shape)

    def call(self, x, y=None):
        """[B, H, W, C] -> [B, 2 H, 2 W, F] or [B, H/2, W/2, F]; one-hot labels y [B, K]."""

        def active(norm, x):
            return tf.nn.relu(x if norm is None else norm(*self._told(norm, x, y)))

        inner = self.conv_1(self.double(x if self.first else active(self.norm_1, x)))
        inner = self.conv_2(active(self.norm_2, inner))
        short = self.double(self.shortcut(x))  # 1x1: the same, at a quarter of the cost
        return self.halve(short + inner)

    @staticmethod
    def _told(norm, x, y):
        return (x, y) if isinstance(norm, ConditionalBatchNormalization) else (x,)


@registered
class SelfAttention(layers.Layer):
    """Each place of an image looks at all others (Zhang et al. 2019, arXiv:1805.08318, eq. 1-3).

    y = x + gamma v(softmax(q(x) k(x)) h(x)), and gamma is 0 at the start. h has half of the
    channels, as in the authors' code (in the paper an eighth).
    """

    def __init__(self, spectral: bool = False, **kwargs):
        """A layer; `spectral` says whether its convolutions are spectrally normalized."""
        super().__init__(**kwargs)
        self.spectral = spectral

    def get_config(self):
        """What the constructor was given."""
        return {**super().get_config(), "spectral": self.spectral}

    def build(self, input_shape):
        """Builds the 1x1 convolutions, with an eighth and half of the channels."""
        channels = input_shape[-1]

        def conv(filters, inputs, name):
            layer = layers.Conv2D(filters, 1, use_bias=False, name=name)
            if self.spectral:
                layer = SpectralNormalization(layer, use_bias=False, name=name)
            layer.build((*input_shape[:-1], inputs))
            return layer

        few, half = max(channels // 8, 1), max(channels // 2, 1)
        self.q, self.k = conv(few, channels, "q"), conv(few, channels, "k")
        self.h, self.v = conv(half, channels, "h"), conv(channels, half, "v")
        self.gamma = self.add_weight((), "zeros", name="gamma")

    def call(self, x, training=False):
        """[B, H, W, C] -> [B, H, W, C]."""
        shape, places = tf.shape(x), x.shape[1] * x.shape[2]
        options = {"training": training} if self.spectral else {}

        def flat(layer):
            y = layer(x, **options)
            return tf.reshape(y, [-1, places, y.shape[-1]])

        q, k, h = flat(self.q), flat(self.k), flat(self.h)
        attention = tf.nn.softmax(tf.matmul(q, k, transpose_b=True))  # of each place, over all
        o = tf.reshape(tf.matmul(attention, h), [*tf.unstack(shape[:3]), h.shape[-1]])
        return x + tf.cast(self.gamma, x.dtype) * self.v(o, **options)


@registered
class VectorQuantizer(layers.Layer):
    """A codebook of vectors, to the nearest of which inputs are moved (arXiv:1711.00937, eq. 1-2).

    The codebook follows the means of what it stands for (appendix A.1):

        n_k <- g n_k + (1 - g) |S_k|,    m_k <- g m_k + (1 - g) sum_{z in S_k} z,    e_k = m_k / n_k

    where S_k are a batch's vectors that are nearest to e_k. A code whose n_k falls below
    `revive` of what all would have if they were used alike is dead and moves to a vector of the
    batch, drawn at random; n_k starts at 0.
    """

    def __init__(self, size: int, depth: int, decay: float = 0.99, revive: float = 0.01, **kwargs):
        """A codebook.

        Args:
          size: K, its number of codes.
          depth: D, the size of a code.
          decay: g.
          revive: the least share of even use of a code that is alive.
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

    def get_config(self):
        """What the constructor was given; it is always float32."""
        names = ("size", "depth", "decay", "revive")
        config = {**super().get_config(), **{name: getattr(self, name) for name in names}}
        del config["dtype"]
        return config

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
        least = self.revive * tf.cast(tf.shape(z)[0], tf.float32) / self.size
        dead = counts < least
        begin = tf.maximum(1.0, 2 * least)  # so that it has time to find its own
        counts = tf.where(dead, begin, counts)
        sums = tf.where(dead[:, None], begin * drawn, sums)
        self.counts.assign(counts)
        self.sums.assign(sums)
        self.codebook.assign(sums / counts[:, None])

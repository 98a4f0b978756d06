"""The family of autoregressive models: an exact likelihood, one pixel after another.

    p(x) = prod_i p(x_i | x_1, ..., x_{i-1})

Pixels come row by row from the upper left, the channels of a pixel in turn. A whole image is scored
in one pass; it is drawn pixel by pixel inside one graph, in which what the pixels before have led
to is kept and never computed again (Ramachandran et al. 2017, arXiv:1704.06001).
"""

import math
import sys
from typing import Any

import tensorflow_probability as tfp  # isort: skip  (before TensorFlow: TFP then imports it lazily)
import tensorflow as tf

from zoo.core import checks
from zoo.families.base import LABELS, SEED, Endpoint
from zoo.families.likelihood import LikelihoodModel
from zoo.math import pixels
from zoo.math.noise import stateless_seed

tfd = tfp.distributions


class AutoregressiveModel(LikelihoodModel):
    """p(x) as a product of conditionals of pixels.

    A model of this family defines `features` and `p_channel`, and for drawing the same features
    bit by bit: `begin`, `begin_row`, `pixel`, `after_pixel` and `end_row`. What these hand on are
    structures of tensors that nobody else looks into.
    """

    can = frozenset({"sample", "log_prob", "complete"})
    exact = True
    tracked = ("loss", "log_prob_nats", "bits_per_dim")

    def features(self, images, labels=None, training: bool = False) -> tf.Tensor:
        """What is known before each pixel: [B, H, W, F], at (i, j) a function of those before it.

        Args:
          images: float32 [B, H, W, C] in [0, 1].
          labels: int32 [B] for a conditional model.
          training: whether dropout and the like are on.
        """
        raise NotImplementedError

    def p_channel(self, features: tf.Tensor, earlier: tf.Tensor) -> tfd.Distribution:
        """The distribution of channel c of pixels, given what was before.

        Args:
          features: [..., F].
          earlier: channels 0..c-1 of the same pixels, [..., c].

        Returns:
          Over values in [0, 1], of batch shape [...].
        """
        raise NotImplementedError

    def begin(self, batch_size: tf.Tensor, labels) -> Any:
        """What the rows above have left, before the first row."""
        raise NotImplementedError

    def begin_row(self, above: Any) -> tuple[Any, Any]:
        """What the rows above say of the next one, and what is left of its first pixel."""
        raise NotImplementedError

    def pixel(self, context: Any, left: Any, column: tf.Tensor) -> tuple[tf.Tensor, Any]:
        """Features [B, F] of the pixel in `column`, and `left` with what they were made of."""
        raise NotImplementedError

    def after_pixel(self, left: Any, value: tf.Tensor) -> Any:
        """`left` with the value [B, C] of the pixel whose features were the last."""
        raise NotImplementedError

    def end_row(self, context: Any, left: Any, row: tf.Tensor) -> Any:
        """What the rows above leave to the next one, after the pixels `row`, [B, W, C]."""
        raise NotImplementedError

    def log_p_pixels(self, images, labels=None, training: bool = False) -> tf.Tensor:
        """Log p of each pixel given those before, of images [B, H, W, C], in nats [B, H, W]."""
        images = self.on_levels(images)
        features = self.features(images, labels, training)
        channels = [
            self.p_channel(features, images[..., :c]).log_prob(images[..., c])
            for c in range(self.image_shape[-1])
        ]
        return tf.add_n(channels)

    def log_p_x(self, images, labels=None, training: bool = False) -> tf.Tensor:
        """Log p(x) = sum_i log p(x_i | x_1, ..., x_{i-1}) of images [B, H, W, C], in nats [B]."""
        return tf.reduce_sum(self.log_p_pixels(images, labels, training), [1, 2])

    def losses(self, images, labels, training):
        """Loss = -log p(x), exactly."""
        log_p = self.log_p_x(images, labels if self.conditional else None, training)
        return {
            "loss": -log_p,
            "log_prob_nats": log_p,
            "bits_per_dim": self.bits_per_dim(log_p),
        }

    def log_prob(self, images, labels=None, num_samples=1, seed=None) -> tf.Tensor:
        """Log p(x), or log p(x|y), exactly: nats an image [N].

        Args:
          images: float32 in [0, 1] or uint8, [N, H, W, C]; on the model's levels (`on_levels`).
          labels: int32 [N], y of a conditional model.
          num_samples: as for models with a bound; nothing is drawn here.
          seed: likewise.

        Raises:
          InputError: images or labels are not what this model takes, or the images are gray and
            the model's black and white.
        """
        checks.whole("num_samples", num_samples, 1)
        stateless_seed(seed)

        def log_p(x, y):
            return self.log_p_x(self.measured(x), y)

        # each pixel has a softmax over its levels
        return self.in_batches(log_p, *self.asked(images, labels), share=5)

    def bits_per_dim(self, nats) -> tf.Tensor:
        """A log-likelihood of an image, in nats [N], as code length in bits a pixel and channel."""
        return pixels.bits_per_dim(nats, math.prod(self.image_shape))

    def sample(self, num_samples, labels=None, seed=None, progress: bool = False) -> tf.Tensor:
        """Images [num_samples, H, W, C] in [0, 1], drawn from p(x) or p(x|y).

        Args:
          num_samples: how many.
          labels: int32 [num_samples] for a conditional model, drawn uniformly when left out.
          seed: an integer; the same one gives the same images.
          progress: whether the rows are counted on stderr.
        """
        num_samples = checks.whole("num_samples", num_samples)
        seed = stateless_seed(seed)
        labels = self.labels_for(num_samples, labels, seed)

        def draw(which, labels, seed):
            blank = tf.zeros([tf.shape(which)[0], *self.image_shape])
            return self.walk(blank, tf.constant(0), labels, seed, progress)[0]

        return self.in_batches(draw, tf.range(num_samples), labels, seed=seed)

    def complete(self, images, num_rows, labels=None, seed=None, progress=False) -> tf.Tensor:
        """Images [N, H, W, C] whose first rows are given and whose others are drawn.

        Args:
          images: float32 in [0, 1] or uint8, [N, H, W, C]; their rows come back `on_levels`.
          num_rows: how many rows are given; an int or an int32 tensor.
          labels: int32 [N] for a conditional model.
          seed: an integer; the same one gives the same images.
          progress: whether the rows are counted on stderr.

        Raises:
          InputError: as `log_prob`, or an image has not so many rows.
        """
        num_rows = checks.whole("num_rows", num_rows, 0, self.image_shape[0])
        num_rows = tf.convert_to_tensor(num_rows, tf.int32)

        def complete(x, y, seed):
            given = self.on_levels(self.measured(x))
            return self.walk(given, num_rows, y, seed, progress)[0]

        images, labels = self.asked(images, labels)
        return self.in_batches(complete, images, labels, seed=stateless_seed(seed))

    def call(self, images, training=False) -> tf.Tensor:
        """Log p(x) of images [N, H, W, C], or log p(x|y) of a pair (images, labels)."""
        return self.log_prob(*(images if self.conditional else (images,)))

    @tf.function(autograph=False, reduce_retracing=True)
    def walk(
        self, images, num_rows, labels, seed, progress=False, with_features=False
    ) -> tuple[tf.Tensor, ...]:
        """Goes through images pixel by pixel, keeps the first rows and draws the others.

        Args:
          images: float32 [B, H, W, C] in [0, 1]; only the rows that are kept matter.
          num_rows: how many rows are kept, int32 [].
          labels: int32 [B] for a conditional model.
          seed: int32 [2].
          progress: whether the rows are counted on stderr.
          with_features: whether to keep the features, which are far larger than the images.

        Returns:
          The images and, if so asked, the features [B, H, W, F] that were met on the way.
        """
        height, width, channels = self.image_shape

        def draw(features, seed):
            value = tf.zeros([tf.shape(images)[0], 0])
            for c in range(channels):
                p = self.p_channel(features, value)
                drawn = p.sample(seed=tf.random.experimental.stateless_fold_in(seed, c))
                value = tf.concat([value, drawn[:, None]], -1)
            return value

        def row(i, above, *arrays):
            context, left = self.begin_row(above)

            def column(j, left, pixels, *met):
                features, left = self.pixel(context, left, j)
                at = i * width + j
                value = tf.cond(
                    i < num_rows,
                    lambda: images[:, i, j],
                    lambda: draw(features, tf.random.experimental.stateless_fold_in(seed, at)),
                )
                left = self.after_pixel(left, value)
                met = [array.write(at, features) for array in met]
                return j + 1, left, pixels.write(at, value), *met

            _, left, *arrays = tf.while_loop(
                lambda j, *_: j < width, column, [0, left, *arrays], parallel_iterations=1
            )
            pixels = arrays[0]
            done = pixels.gather(tf.range(i * width, (i + 1) * width))  # [W, B, C]
            above = self.end_row(context, left, tf.transpose(done, [1, 0, 2]))
            if progress:
                tf.print("\rrow", i + 1, "of", height, end="", output_stream=sys.stderr)
            return i + 1, above, *arrays

        # one iteration at a time: with several under way TensorFlow 2.21 crashes now and then (seen
        # with small networks on CPUs), and nothing is to be gained: each waits for the one before
        arrays = [tf.TensorArray(tf.float32, height * width, clear_after_read=False)]
        if with_features:
            arrays.append(tf.TensorArray(tf.float32, height * width))
        start = [0, self.begin(tf.shape(images)[0], labels), *arrays]
        _, _, *arrays = tf.while_loop(lambda i, *_: i < height, row, start, parallel_iterations=1)
        if progress:
            tf.print("", output_stream=sys.stderr)
        return tuple(
            tf.reshape(tf.transpose(a.stack(), [1, 0, 2]), [-1, height, width, size])
            for a, size in zip(arrays, (channels, self.num_features), strict=False)
        )

    def endpoints(self) -> dict[str, Endpoint]:
        """`sample`, `log_prob` and `complete`; labels come last."""
        rows = tf.TensorSpec([], tf.int32, name="num_rows")

        def log_prob(images, labels=None):
            return {"log_prob": self.log_prob(images, labels)}

        def complete(images, num_rows, seed, labels=None):
            return {"images": self.complete(images, num_rows, labels, seed)}

        also = [LABELS] if self.conditional else []
        return {
            "sample": self._sample_endpoint(),
            "log_prob": (log_prob, [self.images_spec, *also]),
            "complete": (complete, [self.images_spec, rows, SEED, *also]),
        }

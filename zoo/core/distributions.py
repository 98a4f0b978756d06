"""Raw network outputs -> distributions over images whose levels are k/255."""

import tensorflow_probability as tfp  # isort: skip  (before TensorFlow: TFP then imports it lazily)
import tensorflow as tf

tfd = tfp.distributions

BIN = 1.0 / 255.0  # the distance of two grey levels
MIN_SCALE = 1e-2 * BIN  # far below a grey level nothing changes but the rounding errors


def positive(raw: tf.Tensor, minimum: float = 1e-4) -> tf.Tensor:
    """Softplus(raw) + minimum: a scale, in float32."""
    return tf.nn.softplus(tf.cast(raw, tf.float32)) + minimum


class QuantizedNormal(tfd.Distribution):
    """A Gaussian's mass on each of the 256 grey levels k/255, k = 0..255.

    P(k) = F((x + 1/510 - loc) / scale) - F((x - 1/510 - loc) / scale) with x = k/255; the outermost
    levels take the tails, so the 256 probabilities sum to 1. Unlike a density on discrete data it
    is bounded, and in bits per dimension it compares with any model of 8-bit images.
    """

    def __init__(self, loc, scale, name="QuantizedNormal"):
        """Args: loc and scale, in units of the image's range [0, 1], of one shape."""
        parameters = dict(locals())
        self.loc = tf.convert_to_tensor(loc)
        self.scale = tf.convert_to_tensor(scale)
        super().__init__(
            dtype=self.loc.dtype,
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters=parameters,
            name=name,
        )

    def _batch_shape_tensor(self):
        return tf.broadcast_dynamic_shape(tf.shape(self.loc), tf.shape(self.scale))

    def _batch_shape(self):
        return tf.broadcast_static_shape(self.loc.shape, self.scale.shape)

    def _event_shape(self):
        return tf.TensorShape([])

    def _event_shape_tensor(self):
        return tf.constant([], tf.int32)

    def _log_prob(self, x):
        upper = (x + BIN / 2 - self.loc) / self.scale
        lower = (x - BIN / 2 - self.loc) / self.scale
        # Open ends: nothing lies above the last level or below the first. 1e3 standard deviations
        # beyond the other edge stand for infinity, and keep log F finite.
        upper = tf.where(x > 1 - BIN / 2, tf.maximum(lower, 0.0) + 1e3, upper)
        lower = tf.where(x < BIN / 2, tf.minimum(upper, 0.0) - 1e3, lower)
        # F(b) - F(a) = F(-a) - F(-b): taken in the lower tail, where log F keeps its precision.
        flip = upper + lower > 0
        upper, lower = tf.where(flip, -lower, upper), tf.where(flip, -upper, lower)
        normal = tfd.Normal(tf.zeros([], x.dtype), tf.ones([], x.dtype))
        return tfp.math.log_sub_exp(normal.log_cdf(upper), normal.log_cdf(lower))

    def _sample_n(self, n, seed=None):
        x = tfd.Normal(self.loc, self.scale).sample(n, seed=seed)
        return tf.round(tf.clip_by_value(x, 0.0, 1.0) * 255) / 255

    def _mean(self):
        # E[clip(X, 0, 1)], which differs from the mean of its rounding by less than half a level.
        normal = tfd.Normal(tf.zeros([], self.dtype), tf.ones([], self.dtype))
        a, b = (0 - self.loc) / self.scale, (1 - self.loc) / self.scale
        inside = normal.cdf(b) - normal.cdf(a)
        slope = normal.prob(a) - normal.prob(b)
        return self.loc * inside + self.scale * slope + normal.survival_function(b)


def image_distribution(likelihood: str, loc: tf.Tensor, scale: tf.Tensor) -> tfd.Distribution:
    """p(x|z) over images [B, H, W, C], with independent pixels.

    Args:
      likelihood: `quantized_gaussian` (mass on grey levels), `gaussian` (a density: unbounded on
        discrete data) or `bernoulli` (for binarized images; `loc` are its logits).
      loc: [B, H, W, C], float32.
      scale: positive, of a shape that broadcasts with `loc`.
    """
    if likelihood == "bernoulli":
        pixels = tfd.Bernoulli(logits=loc, dtype=loc.dtype)
    else:
        family = {"quantized_gaussian": QuantizedNormal, "gaussian": tfd.Normal}[likelihood]
        pixels = family(loc, tf.broadcast_to(scale, tf.shape(loc)))
    return tfd.Independent(pixels, reinterpreted_batch_ndims=3)

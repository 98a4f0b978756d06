"""Raw network outputs -> distributions: of images whose levels are k/255, of latents."""

import contextlib
import contextvars
import math

import tensorflow_probability as tfp  # isort: skip  (before TensorFlow: TFP then imports it lazily)
import tensorflow as tf

tfd, tfb = tfp.distributions, tfp.bijectors

BIN = 1.0 / 255.0  # the distance of two gray levels
MIN_SCALE = 1e-2 * BIN  # far below a gray level nothing changes but the rounding errors
_elementary = contextvars.ContextVar("elementary", default=False)


@contextlib.contextmanager
def of_elementary_functions():
    """Within the block gray levels need no operation that some runtimes lack, such as erfc.

    Their means differ by less than 1e-6.
    """
    token = _elementary.set(True)
    try:
        yield
    finally:
        _elementary.reset(token)


def positive(raw: tf.Tensor, minimum: float = 1e-4) -> tf.Tensor:
    """Softplus(raw) + minimum: a scale, in float32."""
    return tf.nn.softplus(tf.cast(raw, tf.float32)) + minimum


def loc_and_scale(raw: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """A network's output [..., 2 D] as a Gaussian's means and standard deviations [..., D]."""
    loc, raw_scale = tf.split(raw, 2, axis=-1)
    return loc, positive(raw_scale)


def one_hots(logits: tf.Tensor) -> tfd.Distribution:
    """L independent variables of K categories, as one-hots side by side in one vector.

    Args:
      logits: [..., L, K], float32.

    Returns:
      A distribution of event shape [L * K]: a reshaped tfd.Independent of tfd.OneHotCategorical.
      The probabilities are its mean.
    """
    num_variables, num_categories = logits.shape[-2:]
    variables = tfd.Independent(tfd.OneHotCategorical(logits, dtype=tf.float32), 1)
    flat = tfb.Reshape([num_variables * num_categories], [num_variables, num_categories])
    return tfd.TransformedDistribution(variables, flat)


class _Quantized(tfd.Distribution):
    """The mass of a symmetric distribution, moved and scaled, on each gray level k/(levels - 1).

    P(k) = F((x + b/2 - loc) / scale) - F((x - b/2 - loc) / scale), x = k b, b = 1/(levels - 1); the
    outermost levels take the tails, so the probabilities sum to 1. Unlike a density on discrete
    data it is bounded, and in bits per dimension it compares with any model of such images.
    """

    standard: type  # a TFP distribution; F is that of its loc 0 and scale 1

    def __init__(self, loc, scale, levels=256, name=None):
        """Args: loc and scale, in units of the image's range [0, 1], of one shape; levels."""
        parameters = dict(locals())
        name = name or type(self).__name__
        self.loc = tf.convert_to_tensor(loc)
        self.width = 1.0 / (levels - 1)
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
        upper = (x + self.width / 2 - self.loc) / self.scale
        lower = (x - self.width / 2 - self.loc) / self.scale
        # Open ends: nothing lies above the last level or below the first. 1e3 standard deviations
        # beyond the other edge stand for infinity, and keep log F finite.
        upper = tf.where(x > 1 - self.width / 2, tf.maximum(lower, 0.0) + 1e3, upper)
        lower = tf.where(x < self.width / 2, tf.minimum(upper, 0.0) - 1e3, lower)
        # F(b) - F(a) = F(-a) - F(-b): taken in the lower tail, where log F keeps its precision.
        flip = upper + lower > 0
        upper, lower = tf.where(flip, -lower, upper), tf.where(flip, -upper, lower)
        standard = self.standard(tf.zeros([], x.dtype), tf.ones([], x.dtype))
        return tfp.math.log_sub_exp(standard.log_cdf(upper), standard.log_cdf(lower))

    def _sample_n(self, n, seed=None):
        x = self.standard(self.loc, self.scale).sample(n, seed=seed)
        return tf.round(tf.clip_by_value(x, 0.0, 1.0) / self.width) * self.width


class QuantizedNormal(_Quantized):
    """A Gaussian's mass on each gray level."""

    standard = tfd.Normal

    def _mean(self):
        # E[clip(X, 0, 1)], which differs from the mean of its rounding by less than half a level.
        normal = tfd.Normal(tf.zeros([], self.dtype), tf.ones([], self.dtype))
        a, b = (0 - self.loc) / self.scale, (1 - self.loc) / self.scale
        slope = normal.prob(a) - normal.prob(b)
        if _elementary.get():
            below_0, below_1 = _cdf(a), _cdf(b)
            return self.loc * (below_1 - below_0) + self.scale * slope + 1 - below_1
        inside = normal.cdf(b) - normal.cdf(a)
        return self.loc * inside + self.scale * slope + normal.survival_function(b)


def _cdf(x: tf.Tensor) -> tf.Tensor:
    """The standard normal distribution function, to 1e-7 (Abramowitz & Stegun, eq. 7.1.26)."""
    size = tf.abs(x) / math.sqrt(2)
    t = 1 / (1 + 0.3275911 * size)
    polynomial = 0.0
    for coefficient in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592):
        polynomial = t * (coefficient + polynomial)
    return (1 + tf.sign(x) * (1 - polynomial * tf.exp(-(size**2)))) / 2


class QuantizedLogistic(_Quantized):
    """A logistic distribution's mass on each gray level."""

    standard = tfd.Logistic

    def _mean(self):
        # E[clip(X, 0, 1)], the integral of P(X > x) over [0, 1]
        above_0, above_1 = (tf.nn.softplus((self.loc - x) / self.scale) for x in (0.0, 1.0))
        return self.scale * (above_0 - above_1)


class Levels(tfd.Categorical):
    """A probability for each gray level k/(K - 1), from logits [..., K]."""

    def __init__(self, logits, name="Levels"):
        """Args: logits."""
        parameters = dict(locals())
        super().__init__(logits=logits, dtype=tf.float32, name=name)
        self._parameters = parameters
        self._top = logits.shape[-1] - 1

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return {"logits": tfp.util.ParameterProperties(event_ndims=1)}

    def _log_prob(self, x):
        level = tf.round(x * self._top)
        if _elementary.get():
            chosen = tf.one_hot(tf.cast(level, tf.int32), self._top + 1)
            return tf.reduce_sum(chosen * tf.nn.log_softmax(self.logits), -1)
        return super()._log_prob(level)

    def _sample_n(self, n, seed=None):
        return super()._sample_n(n, seed=seed) / self._top


class Bernoulli(tfd.Bernoulli):
    """TFP's, of logits l: log p(x) = x l - log(1 + e^l), with one softplus in place of two."""

    def _log_prob(self, x):
        return x * self.logits - tf.nn.softplus(self.logits)


def logistic_mixture(raw: tf.Tensor, levels: int) -> tfd.Distribution:
    """A mixture of M logistics' mass on gray levels, from raw network outputs [..., 3 M].

    Salimans et al. 2017 (arXiv:1701.05517), section 2.1; the means start spread over the range.
    """
    logits, loc, raw_scale = tf.split(raw, 3, axis=-1)
    loc = 0.5 + 0.5 * (loc + tf.linspace(-1.0, 1.0, loc.shape[-1] + 2)[1:-1])
    scale = positive(raw_scale - 3.0, MIN_SCALE)
    return tfd.MixtureSameFamily(
        tfd.Categorical(logits=logits), QuantizedLogistic(loc, scale, levels)
    )


def image_distribution(likelihood: str, loc: tf.Tensor, scale: tf.Tensor) -> tfd.Distribution:
    """p(x|z) over images [B, H, W, C], with independent pixels.

    Args:
      likelihood: `quantized_gaussian` (mass on gray levels), `gaussian` (a density: unbounded on
        discrete data) or `bernoulli` (for binarized images; `loc` are its logits).
      loc: [B, H, W, C], float32.
      scale: positive, of a shape that broadcasts with `loc`.
    """
    if likelihood == "bernoulli":
        pixels = Bernoulli(logits=loc, dtype=loc.dtype)
    else:
        family = {"quantized_gaussian": QuantizedNormal, "gaussian": tfd.Normal}[likelihood]
        pixels = family(loc, tf.broadcast_to(scale, tf.shape(loc)))
    return tfd.Independent(pixels, reinterpreted_batch_ndims=3)

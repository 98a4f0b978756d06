"""Mixtures of diagonal Gaussians: sum_k pi_k N(loc_k, diag(scale_k^2)); K = 1 is a Gaussian."""

import tensorflow_probability as tfp  # isort: skip  (before TensorFlow: TFP then imports it lazily)
import tensorflow as tf

from zoo.math.noise import standard_gumbel, standard_normal

tfd = tfp.distributions


def mixture(logits, loc, scale) -> tfd.Distribution:
    """sum_k pi_k N(loc_k, diag(scale_k^2)) of logits [..., K], loc and scale [..., K, D]."""
    if loc.shape[-2] == 1:  # a Gaussian, whose KL has a closed form
        return tfd.MultivariateNormalDiag(loc[..., 0, :], scale[..., 0, :])
    components = tfd.Independent(tfd.Normal(loc, scale), reinterpreted_batch_ndims=1)
    return tfd.MixtureSameFamily(tfd.Categorical(logits), components, reparameterize=True)


def parts(distribution) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Log weights [..., K], means and scales [..., K, D] of what `mixture` made."""
    if isinstance(distribution, tfd.MixtureSameFamily):
        components = distribution.components_distribution
        log_pi = tf.nn.log_softmax(distribution.mixture_distribution.logits)
        return log_pi, components.mean(), components.stddev()
    loc, scale = distribution.mean()[..., None, :], distribution.stddev()[..., None, :]
    return tf.zeros_like(loc[..., 0]), loc, scale


def average(distribution) -> tfd.Distribution:
    """1/B sum_b q_b, the even mixture of what `mixture` made with batch shape [B]."""
    log_pi, loc, scale = parts(distribution)  # [B, K], [B, K, D]
    flat = [-1, loc.shape[-1]]
    return mixture(tf.reshape(log_pi, [-1]), tf.reshape(loc, flat), tf.reshape(scale, flat))


def marginals(distribution) -> tfd.Distribution:
    """The D one-dimensional marginals of what `mixture` made, of batch shape [..., D]."""
    log_pi, loc, scale = parts(distribution)
    if loc.shape[-2] == 1:
        return tfd.Normal(loc[..., 0, :], scale[..., 0, :])
    normal = tfd.Normal(tf.linalg.matrix_transpose(loc), tf.linalg.matrix_transpose(scale))
    return tfd.MixtureSameFamily(tfd.Categorical(log_pi[..., None, :]), normal)


def gaussians(distribution) -> tfd.Distribution:
    """The Gaussians of what `mixture` made with batch shape [B], of batch shape [K, B]."""
    _, loc, scale = parts(distribution)
    return tfd.MultivariateNormalDiag(*(tf.transpose(v, [1, 0, 2]) for v in (loc, scale)))


def stratified(distribution, seed) -> tuple[tf.Tensor, tf.Tensor]:
    """A reparameterized draw of each component, [K, B, D], and the weights pi, [K, B]."""
    log_pi, loc, scale = parts(distribution)
    z = loc + scale * standard_normal(tf.shape(loc), seed)
    return tf.transpose(z, [1, 0, 2]), tf.transpose(tf.exp(log_pi))


def choose(log_pi, seed) -> tf.Tensor:
    """A component for each row of log weights [N, K], int64 [N], by Gumbel's trick."""
    seed = tf.random.experimental.stateless_fold_in(seed, 3)  # not the noise of the Gaussian
    return tf.argmax(log_pi + standard_gumbel(tf.shape(log_pi), seed), axis=-1)

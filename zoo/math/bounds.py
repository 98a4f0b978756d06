"""Bounds on the log-likelihood: pure functions of log-probabilities and distributions, in nats."""

import tensorflow_probability as tfp  # isort: skip  (before TensorFlow: TFP then imports it lazily)
import tensorflow as tf

tfd = tfp.distributions


def kl(
    q: tfd.Distribution,
    p: tfd.Distribution,
    draws: tf.Tensor | None = None,
    weights: tf.Tensor | None = None,
) -> tf.Tensor:
    """KL(q || p) = E_q[log q(z) - log p(z)]; in closed form where TFP knows one.

    Args:
      q: the distribution of the expectation, of batch shape [B] (or [B, D] for D separate terms).
      p: the other one.
      draws: of q, [S, ...], for a Monte Carlo estimate where there is no closed form.
      weights: of the draws [S, ...], with a sum of 1 over S; all the same when left out.

    Returns:
      Nats, of q's batch shape.
    """
    try:
        return tfd.kl_divergence(q, p)
    except NotImplementedError:
        if draws is None:
            raise
        log_ratio = q.log_prob(draws) - p.log_prob(draws)
        if weights is None:
            return tf.reduce_mean(log_ratio, axis=0)
        return tf.reduce_sum(weights * log_ratio, axis=0)


def elbo(log_p_x_given_z: tf.Tensor, kl_nats: tf.Tensor) -> tf.Tensor:
    """ELBO(x) = E_q[log p(x|z)] - KL(q(z|x) || p(z)) <= log p(x)  (Kingma & Welling 2014, eq. 3).

    Args:
      log_p_x_given_z: [B], of one or more draws z ~ q(z|x), averaged.
      kl_nats: [B].

    Returns:
      Nats an example, [B].
    """
    return log_p_x_given_z - kl_nats


def iwae(log_w: tf.Tensor) -> tf.Tensor:
    """L_K = log 1/K sum_k w_k, w_k = p(x, z_k)/q(z_k|x)  (Burda et al. 2016, eq. 8).

    Args:
      log_w: log importance weights, [K, B].

    Returns:
      A lower bound on log p(x) in expectation, [B]; L_1 is the ELBO, and L_K grows with K.
    """
    num_samples = tf.cast(tf.shape(log_w)[0], log_w.dtype)
    return tf.reduce_logsumexp(log_w, axis=0) - tf.math.log(num_samples)

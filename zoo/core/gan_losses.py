"""The losses of the two-player game, from logits: D = sigmoid(logits). Pure functions, per example.

log D = -softplus(-logits) and log(1 - D) = -softplus(logits), so that a confident discriminator
costs no precision. No constant and no label smoothing is hidden in any of them.
"""

import tensorflow as tf


def value(real_logits: tf.Tensor, fake_logits: tf.Tensor) -> tf.Tensor:
    """V(D, G) = log D(x) + log(1 - D(G(z)))  (Goodfellow et al. 2014, eq. 1), per example [B].

    D ascends its mean. At the equilibrium D = 1/2 and V = -log 4.
    """
    return -tf.nn.softplus(-real_logits) - tf.nn.softplus(fake_logits)


def saturating(fake_logits: tf.Tensor) -> tf.Tensor:
    """Log(1 - D(G(z))), minimised by G: G's own half of V, [B].

    Its slope in the logit is -D(G(z)), which vanishes when D is sure: G starves.
    """
    return -tf.nn.softplus(fake_logits)


def non_saturating(fake_logits: tf.Tensor) -> tf.Tensor:
    """-log D(G(z)), minimised by G, [B].

    The same fixed point as `saturating`, with the slope -(1 - D(G(z))), strong when D is sure.
    """
    return tf.nn.softplus(-fake_logits)

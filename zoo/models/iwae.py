"""The importance-weighted autoencoder (Burda et al. 2016, arXiv:1509.00519).

    L_K(x) = E[log 1/K sum_k w_k],   w_k = p(x|z_k) p(z_k) / q(z_k|x),   z_k ~ q(z|x)      (eq. 8)

L_1 is the ELBO, and L_K grows with K towards log p(x). Networks and distributions are the VAE's. As
K grows, the gradient that reaches the encoder drowns in its own noise; the doubly reparameterized
one has the same mean and less noise (Tucker et al. 2019, arXiv:1810.04152, eq. 8):

    grad_phi L_K = E[sum_k v_k^2 (d log w_k / d z_k) (d z_k / d phi)],   v_k = w_k / sum_j w_j

`beta` weighs log q(z|x)/p(z) in the loss alone; v_k^2 is then beta v_k^2 + (1 - beta) v_k.

A bound that is tighter is not better for the encoder. `objective` chooses (Rainforth et al. 2018,
arXiv:1802.04537, section 5), with M = `num_groups` groups of K/M draws:

    miwae   the mean over the groups of L_{K/M}
    ciwae   a L_1 + (1 - a) L_K,  a = `elbo_weight`
    piwae   L_K for decoder and prior, and that of miwae for the encoder
"""

import dataclasses
from typing import Literal

import tensorflow_probability as tfp  # isort: skip  (before TensorFlow: TFP then imports it lazily)
import tensorflow as tf

from zoo.core.config import field
from zoo.errors import InputError
from zoo.math import bounds
from zoo.math.noise import standard_normal
from zoo.models import vae

tfd = tfp.distributions

_FRACTION = 2.0**-8  # with which a gradient by z does not overflow in float16; exact in float32


@dataclasses.dataclass(frozen=True)
class Config(vae.Config):
    """Architecture and objective of the importance-weighted autoencoder."""

    num_samples: int = field(5, "K, the draws of q(z|x) an image in the objective.", lower=1)
    gradient: Literal["reparameterized", "doubly_reparameterized"] = field(
        "reparameterized", "The encoder's gradient; the second has less noise for a large K."
    )
    objective: Literal["iwae", "miwae", "ciwae", "piwae"] = field(
        "iwae",
        "The K-sample bound; its mean over groups of draws; its sum with the ELBO; or the bound "
        "for the decoder and the mean over groups for the encoder.",
    )
    num_groups: int = field(1, "M, groups of K/M draws (miwae, piwae).", lower=1)
    elbo_weight: float = field(0.5, "Of the ELBO beside the bound (ciwae).", lower=0.0, upper=1.0)


class IWAE(vae.VAE):
    """A VAE of images [N, H, W, C] that is trained by the K-sample bound.

    Raises:
      InputError: the groups do not divide the draws, or settings go with another objective.
    """

    Config = Config
    tracked = (*vae.VAE.tracked, "iwae_nats")

    def build(self, input_shape=None):
        """Checks what goes together."""
        c = self.config
        if c.num_samples % c.num_groups:
            raise InputError(
                f"num_groups={c.num_groups} must divide num_samples={c.num_samples}: groups of "
                "draws are of one size"
            )
        if (c.num_groups > 1) != (c.objective in ("miwae", "piwae")):
            raise InputError(
                f"objective={c.objective} does not go with num_groups={c.num_groups}: miwae and "
                "piwae need several groups, and others have one"
            )
        if c.objective == "piwae" and c.prior == "vamp":
            raise InputError(
                "objective=piwae needs another prior than vamp, which is the encoder's"
            )
        if c.gradient == "doubly_reparameterized" and c.objective in ("ciwae", "piwae"):
            raise InputError(f"gradient={c.gradient} is of objective=iwae or miwae")
        super().build(input_shape)

    def losses(self, images, labels, training):
        """Loss = -L_K, or another bound; the ELBO and its terms are averaged over the draws."""
        c = self.config
        doubly = training and c.gradient == "doubly_reparameterized"
        if c.num_samples == 1 and not doubly:  # L_1, whose KL has a closed form
            values = super().losses(images, labels, training)
            return {**values, "iwae_nats": values["elbo_nats"]}
        q = self.q_z_given_x(images, labels, training)
        shape = [tf.shape(images)[0], c.num_samples, self.latent_dim]
        noise = standard_normal(shape, self.next_seed())
        z = tf.transpose(q.mean()[:, None] + q.stddev()[:, None] * noise, [1, 0, 2])  # [K, B, D]
        if doubly:
            loss, terms = self._doubly_reparameterized(images, q, z, training)
        elif training and c.objective == "piwae":
            loss, terms = self._partial(images, q, z, training)
        else:
            terms = self._terms(images, q, z, training)
            loss = -self.bound(self._weighted(terms))
        log_p_x_given_z, log_ratio = terms
        reconstruction = tf.reduce_mean(log_p_x_given_z, 0)
        kl = bounds.kl(q, self.p_z(), draws=z)
        iwae = bounds.iwae(log_p_x_given_z - log_ratio)
        return {**self.elbo_terms(reconstruction, kl), "loss": loss, "iwae_nats": iwae}

    def bound(self, log_w):
        """What is maximized, [B], of log importance weights [K, B]."""
        c = self.config
        if c.objective == "ciwae":
            elbo = tf.reduce_mean(log_w, axis=0)
            return c.elbo_weight * elbo + (1 - c.elbo_weight) * bounds.iwae(log_w)
        if c.objective == "miwae":
            groups = tf.split(log_w, c.num_groups, axis=0)
            return tf.add_n([bounds.iwae(group) for group in groups]) / c.num_groups
        return bounds.iwae(log_w)

    def _shares(self, log_w):
        """Normalized weights v_k within each group, [K, B]."""
        groups = tf.split(log_w, self.config.num_groups, axis=0)
        return tf.concat([tf.nn.softmax(group, axis=0) for group in groups], axis=0)

    def _terms(self, images, q, z, training):
        """Log p(x|z) and log q(z|x)/p(z) of draws z [K, B, D]: [K, B] each; log w is their gap."""
        num_samples, batch = z.shape[0], tf.shape(images)[0]
        p = self.p_x_given_z(tf.reshape(z, [-1, self.latent_dim]), None, training)
        log_p_x_given_z = p.log_prob(tf.tile(images, [num_samples, 1, 1, 1]))
        log_ratio = q.log_prob(z) - self.p_z().log_prob(z)
        return tf.reshape(log_p_x_given_z, [num_samples, batch]), log_ratio

    def _weighted(self, terms):
        log_p_x_given_z, log_ratio = terms
        return log_p_x_given_z - self.config.beta * log_ratio

    def _doubly_reparameterized(self, images, q, z, training):
        """The loss [B], whose gradient is Tucker et al.'s for the encoder, and the terms."""
        still = [tf.stop_gradient(a) for a in (q.mean(), q.stddev())]
        still_z = tf.stop_gradient(z)
        with tf.GradientTape() as tape:
            tape.watch(still_z)
            terms = self._terms(images, tfd.MultivariateNormalDiag(*still), still_z, training)
            log_w = self._weighted(terms)  # of the decoder's weights alone
        by_z = _slope(tape, log_w, still_z)
        v = tf.stop_gradient(self._shares(log_w))
        weight = (self.config.beta * v**2 + (1 - self.config.beta) * v) / self.config.num_groups
        return -with_gradient(self.bound(log_w), z, weight[..., None] * by_z), terms

    def _partial(self, images, q, z, training):
        """The loss [B], whose gradient by the encoder is of the mean over groups, and the terms."""
        still_z = tf.stop_gradient(z)
        with tf.GradientTape() as tape:
            tape.watch(still_z)
            terms = self._terms(images, q, still_z, training)
            log_w = self._weighted(terms)
        by_z = _slope(tape, log_w, still_z)
        v = tf.stop_gradient(self._shares(log_w)) / self.config.num_groups
        log_q = self.config.beta * q.log_prob(still_z)
        of_decoder = bounds.iwae(log_w + log_q - tf.stop_gradient(log_q))
        of_encoder = -tf.reduce_sum(v * log_q, axis=0)
        value = of_decoder + of_encoder - tf.stop_gradient(of_encoder)
        return -with_gradient(value, z, v[..., None] * by_z), terms


def _slope(tape, log_w, z):
    """Of each draw d log w / d z, [K, B, D]."""
    # loss scaling does not reach this gradient, which is large where pixels are sharp
    fraction = tf.fill(tf.shape(log_w), _FRACTION)
    return tape.gradient(log_w, z, fraction) / _FRACTION


@tf.custom_gradient
def with_gradient(value, z, by_z):
    """`value` [B], with `by_z` [K, B, D] as its gradient by z beside what it is made of.

    Where `by_z` overflows, the value does not.
    """
    return tf.identity(value), lambda upstream: (upstream, upstream[:, None] * by_z, None)

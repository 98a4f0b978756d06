"""The VAE with mixtures of Gaussians: as the posterior, as the prior, or both.

    q(z|x) = sum_k pi_k(x) q_k(z|x),   q_k(z|x) = N(m_k(x), diag(s_k(x)^2))
    ELBO(x) = sum_k pi_k(x) E_{q_k}[log p(x|z_k)] - KL,
    KL      = sum_k pi_k(x) E_{q_k}[log q(z_k|x) - log p(z_k)]
            = sum_k pi_k(x) KL(q_k(z|x) || p(z)) - I(k; z|x)

The expectation is stratified (Roeder et al. 2017, arXiv:1703.09194; Morningstar et al. 2021,
arXiv:2003.01687): one reparameterized draw of each component, weighed by pi_k. The gradient by pi_k
is then that of a sum, without a categorical draw, at the price of K decoder passes an image.

    mixture_weights=learned  pi_k(x), a softmax of the encoder's outputs. What lags at first gets
                             less weight, so less gradient: soon one component of an image's has
                             all, if not the same of each, and q(z|x) is a single Gaussian
    mixture_weights=equal    pi_k = 1/K, and none of them dies

The prior is by default a mixture too, of learned Gaussians (`zoo/families/priors.py`).

I, what z tells of its component, has no closed form, nor has the KL to a learned prior: they are
taken at the same draws; that of each q_k to N(0, I) has one. A posterior of one component and the
standard prior are the VAE.
"""

import dataclasses
from typing import Literal

import tensorflow_probability as tfp  # isort: skip  (before TensorFlow: TFP then imports it lazily)
import tensorflow as tf

from zoo.core.config import defaults, field
from zoo.families.metrics import Perplexity
from zoo.math import bounds, distributions, mixtures
from zoo.math.noise import stateless_seed
from zoo.models import vae

tfd = tfp.distributions


@defaults(prior="mixture")
@dataclasses.dataclass(frozen=True)
class Config(vae.Config):
    """Architecture and objective of the VAE with mixtures."""

    posterior: Literal["diagonal", "mixture"] = field(
        "mixture", "q(z|x): one Gaussian, or a mixture of them."
    )
    num_components: int = field(2, "Components of the posterior (mixture).", lower=1)
    mixture_weights: Literal["learned", "equal"] = field(
        "learned", "Weights of the posterior's components: functions of the image, or 1/K each."
    )


class GMMVAE(vae.VAE):
    """A VAE of images [N, H, W, C] whose posterior or prior is a mixture of diagonal Gaussians.

    `components_used` counts components of the posterior over all images by their weights;
    `component_nats` says how far those of one image are apart: 0 where q(z|x) is one Gaussian.
    """

    Config = Config
    tracked = (
        *vae.VAE.tracked,
        "components_used",
        "component_nats",
        "prior_components_used",
    )

    @property
    def num_components(self) -> int:
        """Components of the posterior."""
        return self.config.num_components if self.config.posterior == "mixture" else 1

    @property
    def num_logits(self) -> int:
        """Of the posterior's weights, how many the encoder gives; the first ones are 0."""
        return self.num_components - 1 if self.config.mixture_weights == "learned" else 0

    def metric_of(self, name):
        """How many components are in use, by perplexity; the mean of all else."""
        if name == "components_used":
            return Perplexity([self.num_components], name)
        if name == "prior_components_used":
            return Perplexity([self.num_prior_components], name)
        return super().metric_of(name)

    def make_encoder(self, input_shape, output_size):
        """A network of the image: means, raw scales, and what logits are learned."""
        return super().make_encoder(
            input_shape, self.num_components * output_size + self.num_logits
        )

    def posterior_weights(self, images) -> tf.Tensor:
        """The weights pi(x) of q(z|x)'s components, [N, K], of images [N, H, W, C]."""
        return tf.exp(mixtures.parts(self.encode(images))[0])

    def q_z_given_x(self, images, labels=None, training=False) -> tfd.Distribution:
        """q(z|x) = sum_k pi_k(x) N(m_k(x), diag(s_k(x)^2)), of batch shape [B]."""
        k = self.num_components
        output = self.run_encoder(images, None, training)
        raw, logits = tf.split(output, [2 * k * self.latent_dim, self.num_logits], axis=-1)
        loc, scale = (
            tf.reshape(v, [-1, k, self.latent_dim]) for v in distributions.loc_and_scale(raw)
        )
        return mixtures.mixture(tf.pad(logits, [[0, 0], [k - self.num_logits, 0]]), loc, scale)

    def draw(self, distribution, seed):
        """A component by its weight, then a draw of that Gaussian, [B, latent_dim]."""
        log_pi, loc, scale = mixtures.parts(distribution)
        k = mixtures.choose(log_pi, seed)
        chosen = [tf.gather(v, k, batch_dims=1) for v in (loc, scale)]
        return super().draw(tfd.MultivariateNormalDiag(*chosen), seed)

    def losses(self, images, labels, training):
        """The VAE's, by one draw of each component; and how much each component is used."""
        q, p_z = self.q_z_given_x(images, labels, training), self.p_z()
        z, pi = mixtures.stratified(q, self.next_seed())  # [C, B, D], [C, B]
        p_x = self.p_x_given_z(tf.reshape(z, [-1, self.latent_dim]), labels, training)
        log_p_x = p_x.log_prob(tf.tile(images, [z.shape[0], 1, 1, 1]))  # log p(x|z), [C B]
        reconstruction = tf.reduce_sum(pi * tf.reshape(log_p_x, tf.shape(pi)), axis=0)
        told = mutual_information(q, z, pi)
        kl = tf.reduce_sum(pi * bounds.kl(mixtures.gaussians(q), p_z, draws=z[None]), axis=0)
        if self.num_components > 1:  # else it is 0, and the rest the VAE's to the bit
            kl -= told
        weights = tf.transpose(pi)
        return {
            **self.elbo_terms(reconstruction, kl),
            "components_used": weights,
            "component_nats": told,
            "prior_components_used": self.responsibilities(p_z, z, pi),
        }

    def responsibilities(self, p_z, z, pi) -> tf.Tensor:
        """E_q[p(k|z)]: how much each component of the prior stands for each image, [B, K].

        Args:
          p_z: the prior.
          z: a draw of each component of q(z|x), [C, B, latent_dim].
          pi: their weights, [C, B].
        """
        if self.num_prior_components == 1:
            return tf.reduce_sum(pi, axis=0)[:, None]
        log_w, loc, scale = mixtures.parts(p_z)
        components = tfd.MultivariateNormalDiag(loc, scale)
        p_k = tf.nn.softmax(log_w + components.log_prob(tf.stop_gradient(z)[..., None, :]))
        p_k = tf.einsum("cb,cbk->bk", pi, p_k)
        # several Gaussians belong to a pseudo-input whose posterior is a mixture
        p_k = tf.reshape(p_k, [tf.shape(p_k)[0], self.num_prior_components, -1])
        return tf.reduce_sum(p_k, axis=-1)

    def component_nats(self, images) -> tf.Tensor:
        """I(k; z|x) in nats, [N], of images [N, H, W, C]: an estimate by one draw a component."""
        q = self.encode(images)
        return mutual_information(q, *mixtures.stratified(q, stateless_seed(0)))


def mutual_information(q, z, pi) -> tf.Tensor:
    """I(k; z|x) = sum_k pi_k E_{q_k}[log q_k(z|x) - log q(z|x)], what z tells of its component.

    It is 0 where components coincide or one has all the weight, H(pi) where they do not overlap.

    Args:
      q: the posterior, a mixture.
      z: a draw of each component, [K, B, D]; a mean over many images is precise, one value not.
      pi: their weights, [K, B].

    Returns:
      Nats, [B].
    """
    return tf.reduce_sum(pi * (mixtures.gaussians(q).log_prob(z) - q.log_prob(z)), axis=0)

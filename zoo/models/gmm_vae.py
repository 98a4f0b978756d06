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

    prior=mixture   p(z) = sum_k w_k N(mu_k, diag(sigma_k^2)), all learned
    prior=vamp      p(z) = 1/K sum_k q(z|u_k)  (Tomczak & Welling 2018, arXiv:1705.07120, eq. 9):
                    the encoder's own posteriors of K learned images u_k, the pseudo-inputs
    prior=standard  p(z) = N(0, I)

I, what z tells of its component, has no closed form, nor has the KL to a mixture: they are taken at
the same draws; that of each q_k to N(0, I) has one. A posterior of one component and the standard
prior are the VAE.
"""

import dataclasses
import math
from typing import Literal

import tensorflow_probability as tfp  # isort: skip  (before TensorFlow: TFP then imports it lazily)
import keras
import tensorflow as tf

from zoo.core import checks
from zoo.core.config import field
from zoo.families.metrics import Perplexity
from zoo.math import bounds, distributions
from zoo.math.noise import standard_gumbel, standard_normal, stateless_seed
from zoo.models import vae

tfd = tfp.distributions


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
    prior: Literal["standard", "mixture", "vamp"] = field(
        "mixture", "p(z): N(0, I), learned Gaussians, or the posteriors of learned images."
    )
    num_prior_components: int = field(
        50, "Components of the prior (mixture), or its pseudo-inputs (vamp).", lower=1
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

    @property
    def num_prior_components(self) -> int:
        """Components of the prior, or its pseudo-inputs."""
        return self.config.num_prior_components if self.config.prior != "standard" else 1

    def metric_of(self, name):
        """How many components are in use, by perplexity; the mean of all else."""
        if name == "components_used":
            return Perplexity([self.num_components], name)
        if name == "prior_components_used":
            return Perplexity([self.num_prior_components], name)
        return super().metric_of(name)

    def build(self, input_shape=None):
        """Adds the weights of a learned prior."""
        c, normal = self.config, keras.initializers.RandomNormal
        if c.prior == "mixture":
            shape = (c.num_prior_components, c.latent_dim)
            one = keras.initializers.Constant(math.log(math.e - 1))  # softplus gives 1
            self.prior_logits = self.add_weight(
                shape[:1], "zeros", name="prior_logits", trainable=shape[0] > 1
            )
            self.prior_loc = self.add_weight(shape, normal(stddev=0.5), name="prior_loc")
            self.prior_raw_scale = self.add_weight(shape, one, name="prior_raw_scale")
        if c.prior == "vamp":
            shape = (c.num_prior_components, *self.image_shape)
            self.raw_pseudo_inputs = self.add_weight(
                shape, normal(stddev=1.0), name="raw_pseudo_inputs"
            )
        super().build(input_shape)

    def make_encoder(self, input_shape, output_size):
        """A network of the image: means, raw scales, and what logits are learned."""
        return super().make_encoder(
            input_shape, self.num_components * output_size + self.num_logits
        )

    def p_z(self) -> tfd.Distribution:
        """The prior, of event shape [latent_dim]."""
        c = self.config
        if c.prior == "standard":
            return super().p_z()
        if c.prior == "mixture":
            scale = distributions.positive(self.prior_raw_scale)
            return mixture(self.prior_logits, self.prior_loc, scale)
        log_pi, loc, scale = parts(self.q_z_given_x(self.pseudo_inputs))  # [K, C], [K, C, D]
        flat = [-1, self.latent_dim]
        return mixture(tf.reshape(log_pi, [-1]), tf.reshape(loc, flat), tf.reshape(scale, flat))

    def prior_weights(self) -> tf.Tensor:
        """How much each component of a learned prior weighs, [K] with a sum of 1."""
        return tf.exp(parts(self.p_z())[0])

    def posterior_weights(self, images) -> tf.Tensor:
        """The weights pi(x) of q(z|x)'s components, [N, K], of images [N, H, W, C]."""
        return tf.exp(parts(self.encode(images))[0])

    @property
    def pseudo_inputs(self) -> tf.Tensor:
        """The learned images u_k of the VampPrior, [K, H, W, C] in [0, 1]."""
        return tf.sigmoid(self.raw_pseudo_inputs)

    def prior_images(self) -> tf.Tensor:
        """An image for each component of a learned prior, [K, H, W, C], the heaviest first.

        It is the mean of p(x|z) at the component's, which of a VampPrior is that of q(z|u_k). (The
        pseudo-inputs u_k themselves may go on looking like the noise that they begin as.)
        """
        if self.config.prior == "vamp":
            return self.generate(self.q_z_given_x(self.pseudo_inputs).mean())
        log_w, loc, _ = parts(self.p_z())
        return self.generate(tf.gather(loc, tf.argsort(-log_w, stable=True)))

    def q_z_given_x(self, images, labels=None, training=False) -> tfd.Distribution:
        """q(z|x) = sum_k pi_k(x) N(m_k(x), diag(s_k(x)^2)), of batch shape [B]."""
        k = self.num_components
        output = self.run_encoder(images, None, training)
        raw, logits = tf.split(output, [2 * k * self.latent_dim, self.num_logits], axis=-1)
        loc, scale = (
            tf.reshape(v, [-1, k, self.latent_dim]) for v in distributions.loc_and_scale(raw)
        )
        return mixture(tf.pad(logits, [[0, 0], [k - self.num_logits, 0]]), loc, scale)

    def draw(self, distribution, seed):
        """A component by its weight, then a draw of that Gaussian, [B, latent_dim]."""
        log_pi, loc, scale = parts(distribution)
        k = choose(log_pi, seed)
        chosen = [tf.gather(v, k, batch_dims=1) for v in (loc, scale)]
        return super().draw(tfd.MultivariateNormalDiag(*chosen), seed)

    def draw_prior(self, num_samples, seed):
        """Latents z ~ p(z) of the prior that was learned, [num_samples, latent_dim]."""
        num_samples = checks.whole("num_samples", num_samples)
        seed = stateless_seed(seed)
        log_pi, loc, scale = parts(self.p_z())
        k = choose(tf.broadcast_to(log_pi, [num_samples, log_pi.shape[-1]]), seed)
        chosen = [tf.gather(v, k) for v in (loc, scale)]
        return super().draw(tfd.MultivariateNormalDiag(*chosen), seed)

    def losses(self, images, labels, training):
        """The VAE's, by one draw of each component; and how much each component is used."""
        q, p_z = self.q_z_given_x(images, labels, training), self.p_z()
        z, pi = stratified(q, self.next_seed())  # [C, B, D], [C, B]
        p_x = self.p_x_given_z(tf.reshape(z, [-1, self.latent_dim]), labels, training)
        log_p_x = p_x.log_prob(tf.tile(images, [z.shape[0], 1, 1, 1]))  # log p(x|z), [C B]
        reconstruction = tf.reduce_sum(pi * tf.reshape(log_p_x, tf.shape(pi)), axis=0)
        told = mutual_information(q, z, pi)
        kl = tf.reduce_sum(pi * bounds.kl(gaussians(q), p_z, draws=z[None]), axis=0)
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
        log_w, loc, scale = parts(p_z)
        components = tfd.MultivariateNormalDiag(loc, scale)
        p_k = tf.nn.softmax(log_w + components.log_prob(tf.stop_gradient(z)[..., None, :]))
        p_k = tf.einsum("cb,cbk->bk", pi, p_k)
        # several Gaussians belong to a pseudo-input whose posterior is a mixture
        p_k = tf.reshape(p_k, [tf.shape(p_k)[0], self.num_prior_components, -1])
        return tf.reduce_sum(p_k, axis=-1)

    def component_nats(self, images) -> tf.Tensor:
        """I(k; z|x) in nats, [N], of images [N, H, W, C]: an estimate by one draw a component."""
        q = self.encode(images)
        return mutual_information(q, *stratified(q, stateless_seed(0)))

    def kl_per_dim(self, images, labels=None) -> tf.Tensor:
        """KL(q(z_j|x) || p(z_j)) of each dimension's marginals in nats, [N, latent_dim].

        Between mixtures it is an unbiased estimate of one draw a component, always the same for a
        batch: precise as a mean over many images only. As the dimensions of a mixture depend on
        each other, the sum over j is not the KL.
        """
        q = self.encode(images, labels)
        z, pi = stratified(q, stateless_seed(0))
        return bounds.kl(marginals(q), marginals(self.p_z()), draws=z, weights=pi[..., None])


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


def marginals(distribution) -> tfd.Distribution:
    """The D one-dimensional marginals of what `mixture` made, of batch shape [..., D]."""
    log_pi, loc, scale = parts(distribution)
    if loc.shape[-2] == 1:
        return tfd.Normal(loc[..., 0, :], scale[..., 0, :])
    normal = tfd.Normal(tf.linalg.matrix_transpose(loc), tf.linalg.matrix_transpose(scale))
    return tfd.MixtureSameFamily(tfd.Categorical(log_pi[..., None, :]), normal)


def stratified(distribution, seed) -> tuple[tf.Tensor, tf.Tensor]:
    """A reparameterized draw of each component, [K, B, D], and the weights pi, [K, B]."""
    log_pi, loc, scale = parts(distribution)
    z = loc + scale * standard_normal(tf.shape(loc), seed)
    return tf.transpose(z, [1, 0, 2]), tf.transpose(tf.exp(log_pi))


def gaussians(distribution) -> tfd.Distribution:
    """The Gaussians of what `mixture` made with batch shape [B], of batch shape [K, B]."""
    _, loc, scale = parts(distribution)
    return tfd.MultivariateNormalDiag(*(tf.transpose(v, [1, 0, 2]) for v in (loc, scale)))


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
    return tf.reduce_sum(pi * (gaussians(q).log_prob(z) - q.log_prob(z)), axis=0)


def choose(log_pi, seed) -> tf.Tensor:
    """A component for each row of log weights [N, K], int64 [N], by Gumbel's trick."""
    seed = tf.random.experimental.stateless_fold_in(seed, 3)  # not the noise of the Gaussian
    return tf.argmax(log_pi + standard_gumbel(tf.shape(log_pi), seed), axis=-1)

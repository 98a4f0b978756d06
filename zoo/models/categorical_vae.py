"""The VAE with categorical latents, trained by the Gumbel-softmax relaxation.

    p(z) = prod_i Categorical(1/K)      q(z|x) = prod_i Categorical(logits_i(x))
    ELBO(x) = E_q[log p(x|z)] - KL(q(z|x) || p(z)),   KL = sum_i (log K - entropy of q(z_i|x))

z is L one-hots of K categories, side by side. With g = -log(-log U), a draw is exactly

    z_i = onehot(argmax_k (logits_ik + g_ik))                         (Jang et al., eq. 1)

which has no gradient; training decodes instead, with the same g,

    y_i = softmax((logits_i + g_i) / temperature) -> z_i as temperature -> 0          (eq. 2)

or, `straight_through`, z itself with the gradient of y. In step t the temperature is
max(min_temperature, temperature exp(-anneal_rate t)) (section 4.2). Only the `loss` of training is
relaxed: the KL, what is logged and what validation minimizes are of the discrete model, at z.
Jang et al. 2017, arXiv:1611.01144; the same idea: Maddison et al. 2017, arXiv:1611.00712.
"""

import dataclasses
from typing import ClassVar

import tensorflow_probability as tfp  # isort: skip  (before TensorFlow: TFP then imports it lazily)
import keras
import tensorflow as tf

from zoo.core import checks
from zoo.core.config import field
from zoo.errors import InputError
from zoo.families.metrics import Perplexity
from zoo.math import bounds, distributions
from zoo.math.noise import standard_gumbel, stateless_seed
from zoo.models import vae

tfd = tfp.distributions


@dataclasses.dataclass(frozen=True)
class Config(vae.Config):
    """Architecture and objective of the VAE with categorical latents."""

    latent_dim: ClassVar[int]  # follows from the next two
    prior: ClassVar[str]  # it is uniform
    num_prior_components: ClassVar[int]
    num_prior_flows: ClassVar[int]
    prior_hidden: ClassVar[tuple[int, ...]]
    num_latents: int = field(30, "Number of latent variables.", lower=1)
    num_categories: int = field(10, "K, the categories of each latent variable.", lower=2)
    temperature: float = field(1.0, "Of the relaxation, at the first step.", lower=0.01)
    min_temperature: float = field(0.5, "The temperature falls no further.", lower=0.01)
    anneal_rate: float = field(
        3e-4, "A step multiplies the temperature by exp(-anneal_rate).", lower=0.0
    )
    straight_through: bool = field(
        False, "Decode the one-hot draw, with the gradient of the relaxed one."
    )

    def __post_init__(self):
        if self.min_temperature > self.temperature:
            raise InputError(
                f"min_temperature={self.min_temperature} is above temperature={self.temperature}"
            )

    @property
    def latent_dim(self) -> int:
        """The length of all one-hots, side by side."""
        return self.num_latents * self.num_categories


class CategoricalVAE(vae.VAE):
    """A VAE of images [N, H, W, C] whose latents [N, L * K] are L one-hots of K categories."""

    Config = Config
    tracked = (*vae.VAE.tracked, "perplexity", "temperature")

    @property
    def num_categories(self) -> int:
        """K."""
        return self.config.num_categories

    def metric_of(self, name):
        """How many categories are in use of a variable; the mean of all else."""
        if name == "perplexity":
            return Perplexity([self.config.num_latents, self.num_categories], name)
        return super().metric_of(name)

    def build(self, input_shape=None):
        """Adds the temperature, which is saved with the weights: a run goes on where it was."""
        self.temperature = self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(self.config.temperature),
            trainable=False,
            aggregation="only_first_replica",
            name="temperature",
        )
        super().build(input_shape)

    def make_encoder(self, input_shape, output_size):
        """A network from images to the logits of every category."""
        return super().make_encoder(input_shape, self.latent_dim)

    def restart_schedules(self):
        """The temperature is that of the first step."""
        self.temperature.assign(self.config.temperature)

    def p_z(self, labels=None):
        """p(z) = prod_i Categorical(1/K)."""
        return distributions.one_hots(tf.zeros([self.config.num_latents, self.num_categories]))

    def q_z_given_x(self, images, labels=None, training=False):
        """q(z|x) = prod_i Categorical(logits_i(x)), of batch shape [B]."""
        logits = self.run_encoder(images, None, training)
        return distributions.one_hots(self._apart(logits))

    def code(self, distribution):
        """The most likely category of each variable, as one-hots [B, L * K]."""
        return distribution.mode()

    def draw(self, distribution, seed):
        """One draw of one-hots, [B, L * K]."""
        return self._hard(self._perturbed(distribution, seed))

    def draw_prior(self, num_samples, seed, labels=None):
        """Latents z ~ p(z), one-hots [num_samples, L * K]."""
        num_samples = checks.whole("num_samples", num_samples)
        shape = [num_samples, self.config.num_latents, self.num_categories]
        return self._hard(standard_gumbel(shape, stateless_seed(seed)))

    def losses(self, images, labels, training):
        """Training's loss is relaxed; the ELBO and its terms are those of the discrete model."""
        q = self.q_z_given_x(images, labels, training)
        kl = bounds.kl(q, self.p_z())  # KL(q(z|x) || p(z))
        perturbed = self._perturbed(q, self.next_seed())
        z = decoded = self._hard(perturbed)
        temperature = self._anneal() if training else tf.identity(self.temperature)
        # the perplexity is that of the mean
        values = {"perplexity": self._apart(q.mean()), "temperature": temperature}
        if training:
            y = self._relaxed(perturbed, temperature)
            # the bracket adds a gradient and no value
            decoded = z + (y - tf.stop_gradient(y)) if self.config.straight_through else y
        reconstruction = self.p_x_given_z(decoded, labels, training).log_prob(images)
        loss = self.elbo_terms(reconstruction, kl)["loss"]
        if training and not self.config.straight_through:
            reconstruction = self.p_x_given_z(z, labels, training).log_prob(images)
        return {**values, **self.elbo_terms(reconstruction, kl), "loss": loss}

    def _anneal(self):
        """The temperature of this step; the next one's is lower."""
        now = tf.identity(self.temperature)
        lower = now * tf.exp(-self.config.anneal_rate)
        self.temperature.assign(tf.maximum(lower, self.config.min_temperature))
        return now

    def kl_per_dim(self, images, labels=None):
        """KL(q(z_i|x) || p(z_i)) = log K - entropy of each latent variable in nats, [N, L]."""
        q, p = (d.distribution.distribution for d in (self.encode(images, labels), self.p_z()))
        return bounds.kl(q, p)

    def _apart(self, latents):
        return tf.reshape(latents, [-1, self.config.num_latents, self.num_categories])

    def _perturbed(self, q, seed):
        """Logits + g, [B, L, K]."""
        logits = q.distribution.distribution.logits
        return logits + standard_gumbel(tf.shape(logits), seed)

    def _hard(self, perturbed):
        """The one-hots of the greatest, flat."""
        one_hots = tf.one_hot(tf.argmax(perturbed, -1), self.num_categories)
        return tf.reshape(one_hots, [-1, self.latent_dim])

    def _relaxed(self, perturbed, temperature):
        """Their relaxation, flat."""
        return tf.reshape(tf.nn.softmax(perturbed / temperature), [-1, self.latent_dim])

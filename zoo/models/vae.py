"""The variational autoencoder (Kingma & Welling 2014, arXiv:1312.6114).

    p(z) = N(0, I)      p(x|z) = N(loc(z), diag(scale^2))      q(z|x) = N(m(x), diag(s(x)^2))
    ELBO(x) = E_q[log p(x|z)] - KL(q(z|x) || p(z)) <= log p(x)                           (eq. 3)
    -KL = 1/2 sum_j (1 + log s_j^2 - m_j^2 - s_j^2)                                (appendix B)

The expectation takes one reparameterized draw z = m + s * noise (eq. 4). Gray levels are discrete,
and a density on discrete data is unbounded, so the decoder's Gaussian is by default quantized: its
mass on each of the 256 levels. `beta` (Higgins et al. 2017) weighs the KL in the loss alone; the
ELBO that is reported is never weighted. p(z) is N(0, I) by default, or learned: see
`zoo/families/priors.py`.
"""

import dataclasses
from typing import Literal

import tensorflow_probability as tfp  # isort: skip  (before TensorFlow: TFP then imports it lazily)
import keras
import tensorflow as tf

from zoo.core.config import field
from zoo.core.stages import num_stages
from zoo.families.priors import LearnedPriorModel
from zoo.math import bounds, distributions
from zoo.nn import networks

tfd = tfp.distributions


@dataclasses.dataclass(frozen=True)
class Config:
    """Architecture and objective of the VAE."""

    latent_dim: int = field(20, "Number of latent dimensions.", lower=1)
    network: Literal["conv", "mlp"] = field("conv", "Kind of encoder and decoder.")
    width: int = field(
        32, "Channels of the first convolution; deeper ones have up to 8 times as many.", lower=1
    )
    num_stages: int = num_stages(
        "Times that the encoder halves the sides (conv). 0: as often as "
        "they divide, down to 4 to 7 pixels."
    )
    residual: bool = field(False, "Residual blocks in place of plain convolutions (conv).")
    hidden: tuple[int, ...] = field(
        (512, 256), "Units of the encoder's hidden layers; the decoder's reversed (mlp).", lower=1
    )
    likelihood: Literal["quantized_gaussian", "gaussian", "bernoulli"] = field(
        "quantized_gaussian",
        "p(x|z): a Gaussian's mass on gray levels, its density, or Bernoulli (binarized data).",
    )
    scale: Literal["per_pixel", "shared"] = field(
        "per_pixel", "The decoder's learned scale: a function of z for each pixel, or one number."
    )
    beta: float = field(1.0, "Weight of the KL in the loss.", lower=0.0)
    prior: Literal["standard", "mixture", "vamp", "flow"] = field(
        "standard",
        "p(z): N(0, I), or learned: Gaussians, the posteriors of learned images, or a flow.",
    )
    num_prior_components: int = field(
        50, "Components of the prior (mixture), or its pseudo-inputs (vamp).", lower=1
    )
    num_prior_flows: int = field(8, "Couplings of the prior (flow).", lower=1)
    prior_hidden: tuple[int, ...] = field(
        (256, 256), "Units of the hidden layers of each coupling of the prior (flow).", lower=1
    )


class VAE(LearnedPriorModel):
    """A VAE of images [N, H, W, C] with a diagonal-Gaussian posterior and decoder."""

    Config = Config
    tracked = ("loss", "reconstruction_nats", "kl_nats", "elbo_nats", "bits_per_dim")

    def __init__(self, config=None, **kwargs):
        super().__init__(config, **kwargs)
        c, shape = self.config, self.image_shape
        self.latent_dim = c.latent_dim
        output_shape = (*shape[:2], shape[2] * self.numbers_per_pixel)
        self.encoder = self.make_encoder(shape, 2 * c.latent_dim)
        self.decoder = self.make_decoder(c.latent_dim, output_shape)
        if not self.binary and c.scale == "shared":
            self.raw_scale = self.add_weight(
                shape=(), initializer=keras.initializers.Constant(-2.0), name="raw_scale"
            )
        self.add_prior()
        self.build()

    def make_encoder(self, input_shape: tuple[int, int, int], output_size: int):
        """A network from [B, *input_shape] to [B, output_size]."""
        c = self.config
        if c.network == "conv":
            return networks.conv_down(input_shape, self.stages(), output_size, name="encoder")
        return networks.mlp(input_shape, c.hidden, (output_size,), name="encoder")

    def make_decoder(self, input_size: int, output_shape: tuple[int, int, int]):
        """A network from [B, input_size] to [B, *output_shape]."""
        c = self.config
        if c.network == "conv":
            return networks.conv_up(input_size, self.stages(), output_shape, name="decoder")
        return networks.mlp((input_size,), c.hidden[::-1], output_shape, name="decoder")

    def stages(self) -> networks.Stages:
        """How both networks are made, if they are convolutional."""
        c = self.config
        return networks.Stages(c.width, c.num_stages, c.residual)

    @property
    def binary(self) -> bool:
        """Bernoulli pixels are black or white."""
        return self.config.likelihood == "bernoulli"

    @property
    def numbers_per_pixel(self) -> int:
        """What the decoder gives for each pixel and channel: a mean, and maybe a raw scale."""
        return 1 if self.binary or self.config.scale == "shared" else 2

    def q_z_given_x(self, images, labels=None, training=False) -> tfd.Distribution:
        """q(z|x) = N(m(x), diag(s(x)^2)), of batch shape [B]."""
        output = self.run_encoder(images, None, training)
        return tfd.MultivariateNormalDiag(*distributions.loc_and_scale(output))

    def p_x_given_z(self, latents, labels=None, training=False) -> tfd.Distribution:
        """p(x|z) = N(loc(z), diag(scale^2)) on gray levels, of batch shape [B]."""
        return self.pixels(self.decoder(latents, training=training))

    def pixels(self, output) -> tfd.Distribution:
        """The distribution of images of what the decoder gives, of batch shape [B]."""
        c = self.config
        if self.binary:
            return distributions.image_distribution("bernoulli", output, None)
        if c.scale == "per_pixel":
            output, raw_scale = tf.split(output, 2, axis=-1)
        else:
            raw_scale = self.raw_scale
        scale = distributions.positive(raw_scale, distributions.MIN_SCALE)
        return distributions.image_distribution(c.likelihood, output, scale)

    def losses(self, images, labels, training):
        """Loss = -E_q[log p(x|z)] + beta KL; the rest is the ELBO and its two terms, in nats."""
        q = self.q_z_given_x(images, labels, training)
        z = self.draw(q, self.next_seed())
        reconstruction = self.p_x_given_z(z, labels, training).log_prob(images)  # E_q[log p(x|z)]
        kl = bounds.kl(q, self.p_z(labels), draws=z[None])  # KL(q(z|x) || p(z))
        return self.elbo_terms(reconstruction, kl)

    def elbo_terms(self, reconstruction, kl) -> dict[str, tf.Tensor]:
        """What `losses` gives, of E_q[log p(x|z)] and KL(q(z|x) || p(z)), nats an image [B]."""
        elbo = bounds.elbo(reconstruction, kl)
        return {
            "loss": -reconstruction + self.config.beta * kl,
            "reconstruction_nats": reconstruction,
            "kl_nats": kl,
            "elbo_nats": elbo,
            "bits_per_dim": self.bits_per_dim(elbo),
        }

"""The generative adversarial network (Goodfellow et al. 2014, arXiv:1406.2661).

    min_G max_D V(D, G) = E_x[log D(x)] + E_z[log(1 - D(G(z)))],   z ~ N(0, I)            (eq. 1)

D ascends V, then G descends, in turn, each with its own step size (algorithm 1). The second half
of V saturates when D is sure of itself; the non-saturating generator minimises -log D(G(z))
instead, which has the same fixed point and strong gradients early on (section 3). At the
equilibrium D = 1/2 and V = -log 4. Deviations: Gaussian latents, and leaky ReLU in D for maxout.
"""

import dataclasses
from typing import Literal

import tensorflow as tf

from zoo.core import gan_losses, networks
from zoo.core.base import AdversarialModel, in_unit_range
from zoo.core.config import field


@dataclasses.dataclass(frozen=True)
class Config:
    """Architecture and objective of the GAN."""

    latent_dim: int = field(64, "Number of latent dimensions.", lower=1)
    network: Literal["mlp", "conv"] = field("mlp", "Kind of generator and discriminator.")
    width: int = field(32, "Channels of the convolutions (conv).", lower=1)
    hidden: tuple[int, ...] = field(
        (256, 512), "Units of G's hidden layers; D's reversed (mlp).", lower=1
    )
    dropout: float = field(0.3, "Share of D's activations dropped (conv).", lower=0.0, upper=0.95)
    generator_loss: Literal["non_saturating", "saturating"] = field(
        "non_saturating", "What G minimises: -log D(G(z)), or log(1 - D(G(z)))."
    )
    discriminator_steps: int = field(1, "Steps of D for each step of G.", lower=1)


class GAN(AdversarialModel):
    """A GAN of images [N, H, W, C]; its networks see and make images scaled to [-1, 1]."""

    Config = Config

    def __init__(self, config=None, **kwargs):
        super().__init__(config, **kwargs)
        self.latent_dim = self.config.latent_dim
        self.generator = self.make_generator(self.latent_dim)
        self.discriminator = self.make_discriminator(self.image_shape)
        self.build()

    def make_generator(self, input_size: int):
        """A network from [B, input_size] to the images' inverse tanh."""
        c = self.config
        if c.network == "conv":
            return networks.conv_up(
                input_size, c.width, self.image_shape, batch_norm=True, name="generator"
            )
        return networks.mlp((input_size,), c.hidden, self.image_shape, name="generator")

    def make_discriminator(self, input_shape: tuple[int, int, int], output_size: int = 1):
        """A network from [B, *input_shape] to logits [B, 1] (or to that many features)."""
        c, name = self.config, "discriminator" if output_size == 1 else "features"
        if c.network == "conv":
            # by the convolutions alone D is no match for G, which then draws no digits
            hidden = (256, 256) if output_size == 1 else ()
            return networks.conv_down(
                input_shape, c.width, output_size, hidden=hidden, dropout=c.dropout, name=name
            )
        return networks.mlp(
            input_shape, c.hidden[::-1], (output_size,), activation="leaky_relu", name=name
        )

    def generate(self, latents, labels=None, training=False):
        """G(z): images [N, H, W, C] in [0, 1] of latents [N, latent_dim]."""
        return (tf.tanh(self.generator(latents, training=training)) + 1) / 2

    def discriminate(self, images, labels=None, training=False):
        """Logits [N] of D(x) for images [N, H, W, C] in [0, 1] (or uint8)."""
        return self.discriminator(2 * in_unit_range(images) - 1, training=training)[:, 0]

    def d_losses(self, images, labels, latents, training):
        """D minimises -V(D, G)."""
        # G's weights stay; the averages of its batch norm, where it has one, follow this batch too
        fake = self.generate(latents, labels, training)
        real_logits = self.discriminate(images, labels, training)
        fake_logits = self.discriminate(fake, labels, training)
        value = gan_losses.value(real_logits, fake_logits)  # log D(x) + log(1 - D(G(z)))
        return {
            "d_loss": -value,
            "value": value,
            "d_real": tf.sigmoid(real_logits),  # D(x)
            "d_fake": tf.sigmoid(fake_logits),  # D(G(z))
        }

    def g_losses(self, latents, labels, training):
        """G minimises -log D(G(z)), or log(1 - D(G(z)))."""
        fake_logits = self.discriminate(self.generate(latents, labels, training), labels, training)
        return {"g_loss": getattr(gan_losses, self.config.generator_loss)(fake_logits)}

"""The generative adversarial network (Goodfellow et al. 2014, arXiv:1406.2661).

    min_G max_D V(D, G) = E_x[log D(x)] + E_z[log(1 - D(G(z)))],   z ~ N(0, I)            (eq. 1)

D ascends V, then G descends, in turn, each with its own step size (algorithm 1). The second half
of V saturates when D is sure of itself; the non-saturating generator minimizes -log D(G(z))
instead, which has the same fixed point and strong gradients early on (section 3). At the
equilibrium D = 1/2 and V = -log 4.

Deviations: Adam, with the step sizes and the first moment of Radford et al. 2016, for SGD with
momentum; G minimizes the non-saturating loss by default; Gaussian latents; in G ReLU and a tanh at
the end for rectifiers and sigmoids; in D leaky ReLU for maxout and, between dense layers, no
dropout; and the weights are those of the epoch of the least FID, by validation images.

Any GAN of the zoo can play another game (`loss`, see `zoo/math/gan_losses.py`), have D's slope
punished (`penalty`), and draw and be exported with a moving average of G (`ema_decay`).
"""

import dataclasses
import math
from typing import Literal

import tensorflow as tf

from zoo.core.config import field
from zoo.core.stages import num_stages
from zoo.errors import InputError
from zoo.families.adversarial import AdversarialModel
from zoo.math import gan_losses
from zoo.math.noise import standard_uniform
from zoo.math.pixels import signed
from zoo.nn import augmentation, networks


@dataclasses.dataclass(frozen=True)
class Config:
    """Architecture and objective of the GAN."""

    latent_dim: int = field(64, "Number of latent dimensions.", lower=1)
    network: Literal["mlp", "conv"] = field("mlp", "Kind of generator and discriminator.")
    width: int = field(
        32, "Channels of the first convolution; deeper ones have up to 8 times as many.", lower=1
    )
    num_stages: int = num_stages(
        "Times that D halves the sides and G doubles them (conv). 0: as often as "
        "they divide, down to 4 to 7 pixels."
    )
    residual: bool = field(False, "Residual blocks in place of plain convolutions (conv).")
    hidden: tuple[int, ...] = field(
        (256, 512), "Units of G's hidden layers; D's reversed (mlp).", lower=1
    )
    dropout: float = field(0.3, "Dropout rate in D (conv).", lower=0.0, upper=0.95)
    loss: Literal[
        "non_saturating", "saturating", "wasserstein", "hinge", "least_squares", "relativistic"
    ] = field(
        "non_saturating",
        "The objective: minimax, in which G minimizes -log D(G(z)), or (saturating) "
        "log(1 - D(G(z))); the Wasserstein distance; hinge; least squares; or relativistic, in "
        "which D ranks pairs of a real and a generated image.",
    )
    label_smoothing: float = field(
        0.0,
        "D's target for real images is 1 minus this (non_saturating, saturating).",
        lower=0.0,
        upper=0.5,
    )
    penalty: Literal["none", "gradient", "r1", "r1_r2", "dragan"] = field(
        "none",
        "Gradient penalty on D: its norm is to be 1 between real and generated images (gradient) "
        "or near real ones (dragan), or 0 at real ones (r1), or at both kinds (r1_r2).",
    )
    penalty_weight: float = field(10.0, "Weight of the penalty, where there is one.", lower=0.0)
    augment: Literal["none", "diffaugment"] = field(
        "none",
        "diffaugment: random color, translation and cutout of all that D sees, for small data.",
    )
    ema_decay: float = field(
        0.0,
        "Decay of a moving average of G's weights, which samples and is exported. It is at most "
        "(1 + t) / (10 + t) after t steps. 0 turns it off.",
        lower=0.0,
        upper=0.99999,
    )
    discriminator_steps: int = field(1, "Steps of D for each step of G.", lower=1)


class GAN(AdversarialModel):
    """A GAN of images [N, H, W, C]; its networks see and make images scaled to [-1, 1].

    Raises:
      InputError: label smoothing in a game that has no labels; the Wasserstein game with nothing to
        bound D's slope; augmentation of points.
    """

    Config = Config
    bounded = False  # whether D's networks themselves bound its slope
    # D's dense layers after convolutions; without any it is no match for G, which then draws no
    # digits
    dense = (256, 256)

    def __init__(self, config=None, **kwargs):
        super().__init__(config, **kwargs)
        c = self.config
        self.game = gan_losses.GAMES[c.loss]
        if c.label_smoothing and not self.game.probabilistic:
            raise InputError(f"loss={c.loss} has no labels to be smoothed by label_smoothing")
        if c.loss == "wasserstein" and c.penalty == "none" and not self.bounded:
            raise InputError("loss=wasserstein has no end while D's slope has none: add a penalty")
        if c.augment != "none" and min(self.image_shape[:2]) < 4:
            raise InputError("augment is for images, and these are too small to be moved and cut")
        self.equilibrium, self.probabilistic = self.game.equilibrium, self.game.probabilistic
        if s := c.label_smoothing:  # the best D is then (1 - s) / 2 where the two are alike
            self.real_target = 1 - s
            self.equilibrium = math.log((1 - s) / 2) + math.log((1 + s) / 2)
        self.latent_dim = self.size_of_latents()
        self.make_networks()
        self.start_averages()
        self.build()

    @property
    def tracked(self):
        """The family's quantities, and the penalty if there is one."""
        return (*super().tracked, *(["penalty"] if self.config.penalty != "none" else []))

    def size_of_latents(self) -> int:
        """Number of latent dimensions."""
        return self.config.latent_dim

    def make_networks(self) -> None:
        """The players, and the average of G if it is wanted."""
        self.generator = self.make_generator(self.latent_dim)
        self.discriminator = self.make_discriminator(self.image_shape)
        if self.config.ema_decay:
            self.average = self.make_generator(self.latent_dim, name="average")

    def make_generator(self, input_size: int, name: str = "generator"):
        """A network from [B, input_size] to the images' inverse tanh."""
        return self.latent_network(input_size, name)

    def latent_network(self, input_size: int, name: str, num_classes: int = 0):
        """A network from [B, input_size] (and labels, where it has classes) to [B, H, W, C]."""
        options = {"num_classes": num_classes, "name": name}
        if self.config.network == "conv":
            return networks.conv_up(
                input_size, self.generator_stages(), self.image_shape, **options
            )
        return networks.mlp((input_size,), self.config.hidden, self.image_shape, **options)

    def make_discriminator(self, input_shape: tuple[int, int, int]):
        """A network from [B, *input_shape] to logits [B, 1]."""
        return self.image_network(input_shape, 1, hidden=self.dense)

    def image_network(self, input_shape, output_size: int, name: str = "discriminator", hidden=()):
        """A network from [B, *input_shape] to [B, output_size]: D, or its features of images.

        `hidden` are dense layers after convolutions. With `output_size` None the convolutions end
        it: [B, h, w, F].
        """
        if self.config.network == "conv":
            return networks.conv_down(
                input_shape, self.discriminator_stages(), output_size, hidden=hidden, name=name
            )
        return self.perceptron(input_shape, self.config.hidden[::-1], output_size, name)

    def perceptron(self, input_shape, hidden, output_size: int, name: str = "perceptron"):
        """Dense layers from [B, *input_shape] to [B, output_size]."""
        return networks.mlp(
            input_shape,
            hidden,
            (output_size,),
            activation="leaky_relu",
            spectral=self.discriminator_stages().spectral,
            name=name,
        )

    def generator_stages(self) -> networks.Stages:
        """How G is made, if it is convolutional."""
        c = self.config
        return networks.Stages(c.width, c.num_stages, c.residual, batch_norm=True)

    def discriminator_stages(self) -> networks.Stages:
        """How D is made, if it is convolutional."""
        c = self.config
        return networks.Stages(c.width, c.num_stages, c.residual, dropout=c.dropout)

    def run_generator(self, latents, labels, training, by=None):
        """G(z): images [N, H, W, C] in [0, 1] of latents [N, latent_dim], by G's average."""
        network = by or self.average or self.generator
        return (tf.tanh(network(latents, training=training)) + 1) / 2

    def run_discriminator(self, images, labels, training):
        """Logits [N] of D(x) (another game's scores) for images [N, H, W, C] in [0, 1]."""
        return self.discriminator(signed(images), training=training)[:, 0]

    def d_losses(self, images, labels, latents, training):
        """D minimizes -V(D, G), and its penalty."""
        # G's weights stay; the averages of its batch norm, where it has one, follow this batch too
        fake = self.augmented(self.fake_images(latents, labels, training), training)
        real = self.augmented(images, training)
        real_logits = self.run_discriminator(real, labels, training)
        fake_logits = self.run_discriminator(fake, labels, training)
        values = self.d_values(real_logits, fake_logits)
        return self.penalized(values, real, fake, labels) if training else values

    def g_losses(self, images, labels, latents, training):
        """G minimizes -log D(G(z)), or its part of another game."""
        fake = self.augmented(self.fake_images(latents, labels, training), training)
        fake_logits = self.run_discriminator(fake, labels, training)
        real = (self.run_discriminator, images, labels, training)
        return {"g_loss": self.generator_loss(fake_logits, *real)}

    def generator_loss(self, fake_logits, d, images, *about) -> tf.Tensor:
        """What G minimizes in the game, [B].

        Args:
          fake_logits: D's raw outputs for generated images, [B].
          d: gives those of real images, [B], which some games hold against them.
          images: the real ones, [B, H, W, C].
          *about: what `d` takes beside them; the last one says whether it is in training.
        """
        if not self.game.paired:
            return self.game.generator_loss(fake_logits)
        return self.game.generator_loss(fake_logits, d(self.augmented(images, about[-1]), *about))

    def augmented(self, images, training: bool) -> tf.Tensor:
        """Images as D sees them: as they are, or augmented in training (arXiv:2006.10738)."""
        if training and self.config.augment == "diffaugment":
            return augmentation.diff_augment(images, self.next_seed())
        return images

    def d_values(self, real_logits, fake_logits) -> dict[str, tf.Tensor]:
        """D's part of the game, by its raw outputs [B] for real and generated images."""
        # V of the game: of the minimax one log D(x) + log(1 - D(G(z)))
        value = self.game.value(real_logits, fake_logits)
        # (1 - s) log D(x) + s log(1 - D(x)) = log D(x) - s logit, as log D - log(1 - D) = logit
        smoothing = self.config.label_smoothing * real_logits
        shown = tf.sigmoid if self.probabilistic else tf.identity
        return {
            "d_loss": -value + smoothing,
            "value": value,
            "d_real": shown(real_logits),  # D(x)
            "d_fake": shown(fake_logits),  # D(G(z))
        }

    def penalized(self, values, real, fake, labels) -> dict[str, tf.Tensor]:
        """D's `values` with the penalty on its slope, in images scaled as its network sees them.

        Where images are augmented, it is the slope in the augmented ones.
        """

        def d(scaled):
            return self.run_discriminator((scaled + 1) / 2, labels, training=True)

        return self.with_penalty(values, d, 2 * real - 1, 2 * fake - 1)

    def with_penalty(self, values, d, real, fake) -> dict[str, tf.Tensor]:
        """D's `values` with the penalty on the slope of `d`, of inputs [B, ...] of both kinds."""
        c, shape = self.config, tf.shape(real)
        if c.penalty == "none":
            return values
        if c.penalty in ("r1", "r1_r2"):
            penalty = gan_losses.r1_penalty(d, real)
            if c.penalty == "r1_r2":
                penalty += gan_losses.r1_penalty(d, fake)
        else:
            share = standard_uniform(shape[:1], self.next_seed())
            if c.penalty == "gradient":
                penalty = gan_losses.gradient_penalty(d, real, fake, share)
            else:
                noise = standard_uniform(shape, self.next_seed())
                penalty = gan_losses.dragan_penalty(d, real, noise, share)
        d_loss = values["d_loss"] + c.penalty_weight * penalty
        return {**values, "d_loss": d_loss, "penalty": penalty}

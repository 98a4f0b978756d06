"""The bidirectional GAN (Donahue et al. 2017, arXiv:1605.09782): an encoder for a GAN.

    min_{G,E} max_D V = E_x[log D(x, E(x))] + E_z[log(1 - D(G(z), z))],   z ~ N(0, I)      (eq. 2-3)

D sees pairs of an image and a code, and tells images with their codes from codes with their images.
Where it no longer can, E inverts G (theorem 2), so that a GAN's latents too can be had of an image,
moved along and edited. G and E descend together, each by its half: G minimizes -log D(G(z), z), and
E, without saturating either, -log(1 - D(x, E(x))). In another game E's loss is G's with real and
made exchanged, and a penalty is on D's slope by image and code together. Deviations: networks of
the zoo's GANs, and a moving average of G draws. Reconstructions keep what D looks at, and not each
pixel.
"""

import dataclasses
import math
from typing import Literal

import tensorflow as tf
import tensorflow_probability as tfp

from zoo.core.config import defaults, field
from zoo.families.base import Endpoint
from zoo.math.pixels import in_unit_range, signed
from zoo.models import gan
from zoo.nn import networks

tfd = tfp.distributions


@defaults(network="conv", ema_decay=0.999)
@dataclasses.dataclass(frozen=True)
class Config(gan.Config):
    """Architecture and objective of the bidirectional GAN."""

    penalty: Literal["none", "gradient", "r1"] = field(
        "none",
        "A penalty on D's slope: that it is 1 between real and generated pairs (gradient), or 0 at "
        "real ones (r1).",
    )


class BiGAN(gan.GAN):
    """A GAN of images [N, H, W, C] with codes [N, latent_dim]."""

    Config = Config
    can = gan.GAN.can | {"encode", "reconstruct"}

    encoder_average = None

    def make_networks(self):
        """The players and the encoder, with an average too."""
        super().make_networks()
        self.encoder = self.make_encoder("encoder")
        if self.config.ema_decay:
            self.encoder_average = self.make_encoder("encoder_average")

    def make_encoder(self, name: str):
        """A network from [B, H, W, C] to codes [B, latent_dim]."""
        c = self.config
        if c.network == "mlp":
            return networks.mlp(self.image_shape, c.hidden[::-1], (c.latent_dim,), name=name)
        return networks.conv_down(
            self.image_shape, self.generator_stages(), c.latent_dim, name=name
        )

    @property
    def averages(self):
        """Those of G and of E, which belong together."""
        of_e = [(self.encoder_average, self.encoder)] if self.encoder_average else []
        return super().averages + of_e

    @property
    def generator_variables(self):
        """G and E descend together."""
        return self.generator.trainable_variables + self.encoder.trainable_variables

    def make_discriminator(self, input_shape):
        """A network of [x, z]: features of x and z meet in a hidden layer."""
        features = self.image_network(input_shape, 256, "features")
        return networks.joined_with_vector(features, self.latent_dim, 1, name="discriminator")

    def encode(self, images, labels=None) -> tfd.Distribution:
        """E(x): all mass at one code, [N, latent_dim]."""
        images, _ = self.asked(images, labels)
        codes = self.in_batches(lambda x: self.codes(in_unit_range(x)), images)
        return tfd.VectorDeterministic(codes)

    def codes(self, images, training=False, by=None) -> tf.Tensor:
        """E(x), [N, latent_dim], of images in [0, 1], by E's average or `by`."""
        network = by or self.encoder_average or self.encoder
        return network(signed(images), training=training)

    def code(self, q) -> tf.Tensor:
        """The code of an encoding."""
        return q.mean()

    def reconstruct(self, images, labels=None) -> tf.Tensor:
        """G(E(x)) of images [N, H, W, C]."""
        return self.generate(self.code(self.encode(images, labels)))

    def pair_logits(self, images, codes, training=False) -> tf.Tensor:
        """Logits [N] of D(x, z): that the image is real and the code made for it."""
        return self.discriminator([signed(images), codes], training=training)[:, 0]

    def run_discriminator(self, images, labels, training):
        """Logits [N] of D(x, E(x)) for images [N, H, W, C] in [0, 1]."""
        return self.pair_logits(images, self.codes(images, training), training)

    def d_losses(self, images, labels, latents, training):
        """D minimizes -V, and its penalty."""
        real, fake = self.pairs(images, latents, training)
        values = self.d_values(self.pair_logits(*real, training), self.pair_logits(*fake, training))
        return self.penalized(values, real, fake, labels) if training else values

    def g_losses(self, images, labels, latents, training):
        """G minimizes -log D(G(z), z), and E -log(1 - D(x, E(x))): G's loss of D's opposite."""
        real, fake = (self.pair_logits(*p, training) for p in self.pairs(images, latents, training))
        loss = self.game.generator_loss
        if self.game.paired:  # what D ranks the other way is minimized by both
            return {"g_loss": loss(fake, real)}
        return {"g_loss": loss(fake) + loss(2 * self.game.undecided - real)}

    def pairs(self, images, latents, training):
        """(x, E(x)) and (G(z), z), with images [B, H, W, C] as D sees them."""
        fake = self.fake_images(latents, None, training)
        codes = self.codes(images, training, by=self.encoder)
        return (self.augmented(images, training), codes), (self.augmented(fake, training), latents)

    def penalized(self, values, real, fake, labels):
        """D's `values` with the penalty on its slope in pairs, by pixels and codes together."""
        pixels = math.prod(self.image_shape)

        def joined(images, codes):
            return tf.concat([tf.reshape(signed(images), [-1, pixels]), codes], axis=-1)

        def d(pairs):
            images, codes = tf.split(pairs, [-1, self.latent_dim], axis=-1)
            images = tf.reshape(images, [-1, *self.image_shape])
            return self.discriminator([images, codes], training=True)[:, 0]

        return self.with_penalty(values, d, joined(*real), joined(*fake))

    def endpoints(self) -> dict[str, Endpoint]:
        """`encode` and `reconstruct` beside those of a GAN."""

        def encode(images):
            q = self.encode(images)
            return {"loc": q.mean(), "scale": q.stddev()}

        def reconstruct(images):
            return {"images": self.reconstruct(images)}

        return {
            **super().endpoints(),
            "encode": (encode, [self.images_spec]),
            "reconstruct": (reconstruct, [self.images_spec]),
        }

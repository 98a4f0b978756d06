"""The conditional GAN (Mirza & Osindero 2014, arXiv:1411.1784).

    min_G max_D V(D, G) = E_{x,y}[log D(x, y)] + E_{z,y}[log(1 - D(G(z, y), y))]          (eq. 2)

Both players are told the label: G sees it beside the latents, D beside its features of the image,
in a hidden layer of both (figure 1). Losses and steps are the GAN's.

Deviations: those of `gan`: Adam for SGD with momentum and falling step sizes, the non-saturating
loss, Gaussian latents for uniform ones, leaky ReLU for maxout, the epoch of the least FID for that
of the best Parzen window. And convolutional networks by default, with batch normalization and no
dropout in G; label and latents enter G's first layer side by side, and not each by a layer of its
own; D's steps are twice as large as G's.
"""

import dataclasses

import tensorflow as tf

from zoo.core.config import defaults
from zoo.math.pixels import signed
from zoo.models import gan
from zoo.nn import networks


@defaults(network="conv")
@dataclasses.dataclass(frozen=True)
class Config(gan.Config):
    """Architecture and objective of the conditional GAN."""


class CGAN(gan.GAN):
    """A GAN of images [N, H, W, C] given labels [N]."""

    Config = Config
    conditional = True

    def make_generator(self, input_size, name="generator"):
        """A network of [z, onehot(y)]."""
        return super().make_generator(input_size + self.num_classes, name)

    def make_discriminator(self, input_shape):
        """A network of [x, y]: features of x and the one-hot y meet in a hidden layer."""
        features = self.image_network(input_shape, 256, "features")
        return networks.joined_with_vector(features, self.num_classes, 1, name="discriminator")

    def run_generator(self, latents, labels, training, by=None):
        """G(z, y): images [N, H, W, C] in [0, 1] of latents [N, latent_dim] and labels [N]."""
        z_and_y = tf.concat([latents, self.one_hot(labels)], axis=-1)
        return super().run_generator(z_and_y, labels, training, by)

    def run_discriminator(self, images, labels, training):
        """Logits [N] of D(x, y) for images [N, H, W, C] in [0, 1] and labels [N]."""
        pair = [signed(images), self.one_hot(labels)]
        return self.discriminator(pair, training=training)[:, 0]

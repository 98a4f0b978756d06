"""The conditional GAN with a projection discriminator (Miyato & Koyama 2018, arXiv:1802.05637).

    D(x, y) = psi(phi(x)) + v_y . phi(x)                                                  (eq. 3)

log p(y|x) enters D as a scalar product of the image's features phi(x) with the label's vector v_y,
the form that it has where classes are Gaussian clusters of features (section 3), in place of a
label that is joined to hidden layers. G is told the label in its batch norms, each of which has a
scale and a shift a class (Dumoulin et al. 2017). D is spectrally normalized and the game is that
of hinges, as in `sngan`; phi(x) are D's last features, summed over the image's places (figure 14).
`attention` adds a self-attention layer to both players (Zhang et al. 2019, arXiv:1805.08318).
Deviations: plain convolutions, as in `sngan`, for residual blocks, and the deviations of `sngan`.
"""

import dataclasses

import keras
import tensorflow as tf
from keras import layers

from zoo.errors import InputError
from zoo.math.pixels import signed
from zoo.models import sngan
from zoo.nn.layers import linear_layer


@dataclasses.dataclass(frozen=True)
class Config(sngan.Config):
    """Architecture and objective of the projection GAN."""


class ProjectionCGAN(sngan.SNGAN):
    """A GAN of images [N, H, W, C] given labels [N].

    Raises:
      InputError: a perceptron without hidden layers: nothing would tell G the label.
    """

    Config = Config
    conditional = True

    def __init__(self, config=None, **kwargs):
        config = config or self.Config()
        if config.network == "mlp" and not config.hidden:
            raise InputError("the label enters hidden layers: hidden must name at least one")
        super().__init__(config, **kwargs)

    def make_generator(self, input_size, name="generator"):
        """A network of [z, onehot(y)], the label in each of its batch norms."""
        return self.latent_network(input_size, name, self.num_classes)

    def make_discriminator(self, input_shape):
        """A network of [x, onehot(y)] to scores [B, 1]."""
        x, y = keras.Input(input_shape), keras.Input((self.num_classes,))
        phi = self.features(input_shape)(x)
        psi = linear_layer(layers.Dense, 1, dtype="float32", spectral=True)
        v = linear_layer(
            layers.Dense, phi.shape[-1], use_bias=False, dtype="float32", spectral=True
        )
        product = layers.Dot(1, dtype="float32")([v(y), phi])
        return keras.Model([x, y], psi(phi) + product, name="discriminator")

    def features(self, input_shape):
        """phi, a network from [B, *input_shape] to [B, F]."""
        x = keras.Input(input_shape)
        if self.config.network == "mlp":
            *first, last = self.config.hidden[::-1]
            phi = layers.LeakyReLU(0.2)(self.perceptron(input_shape, first, last)(x))
        else:
            places = self.image_network(input_shape, None, "places")(x)
            phi = keras.ops.sum(keras.ops.cast(places, "float32"), axis=(1, 2))
        return keras.Model(x, phi, name="features")

    def run_generator(self, latents, labels, training, by=None):
        """G(z, y): images [N, H, W, C] in [0, 1] of latents [N, latent_dim] and labels [N]."""
        network = by or self.average or self.generator
        return (tf.tanh(network([latents, self.one_hot(labels)], training=training)) + 1) / 2

    def run_discriminator(self, images, labels, training):
        """Scores [N] of D(x, y) for images [N, H, W, C] in [0, 1] and labels [N]."""
        pair = [signed(images), self.one_hot(labels)]
        return self.discriminator(pair, training=training)[:, 0]

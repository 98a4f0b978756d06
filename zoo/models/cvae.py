"""The conditional VAE (Kingma et al. 2014, arXiv:1406.5298; Sohn et al. 2015).

    p(x, z|y) = p(x|z, y) p(z|y),   p(z|y) = p(z) = N(0, I) by default
    ELBO(x, y) = E_q[log p(x|z, y)] - KL(q(z|x, y) || p(z|y)) <= log p(x|y)

The class is known to both networks, so the latents are free to say the rest: they are independent
of it under the prior. The means of the posteriors of two classes still differ, and what is drawn
from p(z) then decodes to mixtures of classes; prior=flow learns p(z|y), the one of each class. The
decoder sees the label beside the latents, the encoder beside its features of the image, in a hidden
layer. Distributions and losses are the VAE's. With prior=vamp the pseudo-inputs have the classes in
turn: q(z|u_k, y_k).
"""

import dataclasses

import tensorflow_probability as tfp  # isort: skip  (before TensorFlow: TFP then imports it lazily)
import tensorflow as tf

from zoo.math import distributions
from zoo.models import vae
from zoo.nn import networks

tfd = tfp.distributions


@dataclasses.dataclass(frozen=True)
class Config(vae.Config):
    """Architecture and objective of the conditional VAE."""


class CVAE(vae.VAE):
    """A VAE of images [N, H, W, C] given labels [N]."""

    Config = Config
    conditional = True

    def make_encoder(self, input_shape, output_size):
        """A network of [x, y]: features of x and the one-hot y meet in a hidden layer."""
        features = super().make_encoder(input_shape, 256)
        return networks.joined_with_vector(features, self.num_classes, output_size, name="encoder")

    def make_decoder(self, input_size, output_shape):
        """A network of [z, onehot(y)]."""
        return super().make_decoder(input_size + self.num_classes, output_shape)

    def q_z_given_x(self, images, labels=None, training=False):
        """q(z|x, y) = N(m(x, y), diag(s(x, y)^2)), of batch shape [B]."""
        output = self.run_encoder(images, labels, training)
        return tfd.MultivariateNormalDiag(*distributions.loc_and_scale(output))

    def p_x_given_z(self, latents, labels=None, training=False):
        """p(x|z, y) = N(loc(z, y), diag(scale^2)) on gray levels, of batch shape [B]."""
        z_and_y = tf.concat([latents, self.one_hot(labels)], axis=-1)
        return super().p_x_given_z(z_and_y, training=training)

"""The GAN with an auxiliary classifier (Odena et al. 2017, arXiv:1610.09585).

    L_S = E_x[log D(x)] + E_z[log(1 - D(G(z, y)))]                                        (eq. 2)
    L_C = E_x[log p(y|x)] + E_z[log p(y|G(z, y))]                                         (eq. 3)

G is told a label, D is not, but says beside D(x) which class it sees. D ascends L_S + w L_C; G
descends its half of L_S and ascends w times its own of L_C: images must look real and be of the
class. G is so pulled to images that are easy to tell, which raises fidelity at the cost of variety.
Deviations: networks of the zoo's conditional GAN, and a moving average of G draws.
"""

import dataclasses

import tensorflow as tf

from zoo.core.config import defaults, field
from zoo.math.pixels import signed
from zoo.models import cgan


@defaults(ema_decay=0.999)
@dataclasses.dataclass(frozen=True)
class Config(cgan.Config):
    """Architecture and objective of the auxiliary classifier GAN."""

    class_weight: float = field(1.0, "w of the classifier's log-likelihood.", lower=0.0)


class ACGAN(cgan.CGAN):
    """A GAN of images [N, H, W, C] given labels [N]; D is not told them."""

    Config = Config

    @property
    def tracked(self):
        """The family's quantities, and log p(y|x) of real and generated images."""
        return (*super().tracked, "log_p_y_real", "log_p_y_fake")

    def make_discriminator(self, input_shape):
        """A network from [B, *input_shape] to [B, 1 + K]: D's logit, and those of the classes."""
        return self.image_network(input_shape, 1 + self.num_classes, hidden=self.dense)

    def logits_and_log_p(self, images, labels, training=False):
        """D's logits [N], and log p(y|x) [N], of images [N, H, W, C] in [0, 1]."""
        output = self.discriminator(signed(images), training=training)
        log_p = tf.nn.log_softmax(output[:, 1:])
        return output[:, 0], tf.reduce_sum(self.one_hot(labels) * log_p, axis=-1)

    def run_discriminator(self, images, labels, training):
        """Logits [N] of D(x), whatever the labels [N] are, for images [N, H, W, C]."""
        return self.logits_and_log_p(images, labels, training)[0]

    def d_losses(self, images, labels, latents, training):
        """D minimizes -(L_S + w L_C)."""
        fake = self.augmented(self.fake_images(latents, labels, training), training)
        real = self.augmented(images, training)
        real_logits, log_p_y_real = self.logits_and_log_p(real, labels, training)
        fake_logits, log_p_y_fake = self.logits_and_log_p(fake, labels, training)
        values = self.d_values(real_logits, fake_logits)
        values["d_loss"] -= self.config.class_weight * (log_p_y_real + log_p_y_fake)
        values |= {"log_p_y_real": log_p_y_real, "log_p_y_fake": log_p_y_fake}
        return self.penalized(values, real, fake, labels) if training else values

    def g_losses(self, images, labels, latents, training):
        """G minimizes its part of the game, and -w log p(y|G(z, y))."""
        fake = self.augmented(self.fake_images(latents, labels, training), training)
        fake_logits, log_p_y = self.logits_and_log_p(fake, labels, training)
        loss = self.generator_loss(fake_logits, self.run_discriminator, images, labels, training)
        return {"g_loss": loss - self.config.class_weight * log_p_y}

"""The GAN that finds codes without labels (Chen et al. 2016, arXiv:1606.03657).

    min_{G,Q} max_D V(D, G) - w L_I(G, Q)                                                 (eq. 6)
    L_I(G, Q) = E_{c, z}[log Q(c|G(z, c))] + H(c) <= I(c; G(z, c))                        (eq. 5)

Some of G's latents, the codes c, must be readable from its images: L_I bounds their mutual
information from below. One code is categorical and uniform, the others are uniform in [-1, 1] with
a Gaussian Q. Latents are [onehot(c_0), c_1, ..., z]. Q shares all but its last layer with D, and
learns in D's steps; G ascends w L_I in its own. A continuous code can tell any number of nats, so
w is smaller for those (section 6). Deviations: Q learns with D rather than with G, so that each
weight has one optimizer, networks of the zoo's DCGAN, and a moving average of G draws.
"""

import dataclasses
import math

import tensorflow as tf
import tensorflow_probability as tfp

from zoo.core import checks
from zoo.core.config import field
from zoo.math import distributions
from zoo.math.latents import traverse
from zoo.math.noise import standard_uniform, stateless_seed
from zoo.math.pixels import in_unit_range, signed
from zoo.models import dcgan

tfd = tfp.distributions

REACH = 2.0  # of traversals; codes are within 1, and what lies beyond shows their sense


@dataclasses.dataclass(frozen=True)
class Config(dcgan.Config):
    """Architecture and objective of the InfoGAN."""

    latent_dim: int = field(64, "Number of latent dimensions beside the codes.", lower=1)
    num_categories: int = field(10, "Values of the categorical code.", lower=2)
    num_continuous: int = field(2, "Number of continuous codes.", lower=0)
    info_weight: float = field(1.0, "w of the category's mutual information.", lower=0.0)
    continuous_weight: float = field(
        0.1, "w of the continuous codes', of which there can be any number of nats.", lower=0.0
    )


class InfoGAN(dcgan.DCGAN):
    """A GAN of images [N, H, W, C] whose first latents are codes with a meaning."""

    Config = Config
    can = dcgan.DCGAN.can | {"traverse", "categorize"}

    @property
    def tracked(self):
        """The family's quantities, and L_I by D's step: all of it, and the category's part."""
        return (*super().tracked, "mi_nats", "mi_category_nats")

    def size_of_latents(self):
        """Number of latent dimensions: the codes, and z."""
        c = self.config
        return c.num_categories + c.num_continuous + c.latent_dim

    def make_discriminator(self, input_shape):
        """A network to [B, 1 + K + 2 C]: D's logit, and what Q says of the codes."""
        c = self.config
        return self.image_network(input_shape, 1 + c.num_categories + 2 * c.num_continuous)

    def draw_prior(self, num_samples, seed, truncation=None):
        """Latents [onehot(c_0), c_1, ..., z], [num_samples, latent_dim]; only z is truncated."""
        num_samples = checks.whole("num_samples", num_samples)
        c, seed = self.config, stateless_seed(seed)
        of_codes = tf.random.experimental.stateless_fold_in(seed, 2)
        u = standard_uniform([num_samples, 1 + c.num_continuous], of_codes)
        category = tf.cast(u[:, 0] * c.num_categories, tf.int32)
        z = super().draw_prior(num_samples, seed, truncation)[:, -c.latent_dim :]
        return tf.concat([tf.one_hot(category, c.num_categories), 2 * u[:, 1:] - 1, z], axis=-1)

    def logits_and_codes(self, images, training=False):
        """D's logits [N], and Q(c|x) as two distributions, of images [N, H, W, C] in [0, 1]."""
        output = self.discriminator(signed(images), training=training)
        logit, categorical, gaussian = tf.split(
            output, [1, self.config.num_categories, 2 * self.config.num_continuous], axis=-1
        )
        loc, scale = distributions.loc_and_scale(gaussian)
        return logit[:, 0], (
            tfd.OneHotCategorical(categorical),
            tfd.Independent(tfd.Normal(loc, scale), 1),
        )

    def run_discriminator(self, images, labels, training):
        """Logits [N] of D(x) for images [N, H, W, C] in [0, 1]."""
        return self.logits_and_codes(images, training)[0]

    def categorize(self, images) -> tf.Tensor:
        """Q(c_0|x), the probabilities [N, K] of the category, of images [N, H, W, C]."""

        def probabilities(x):
            _, (categorical, _) = self.logits_and_codes(in_unit_range(x))
            return categorical.probs_parameter()

        return self.in_batches(probabilities, self.asked(images)[0])

    def bounds(self, q, latents) -> tuple[tf.Tensor, tf.Tensor]:
        """Each example's parts [B] of L_I, log Q(c|x) + H(c) in nats: category, and other codes."""
        k, n = self.config.num_categories, self.config.num_continuous
        categorical, gaussian = q
        return (
            categorical.log_prob(latents[:, :k]) + math.log(k),
            gaussian.log_prob(latents[:, k : k + n]) + n * math.log(2),
        )

    def weighted(self, category, continuous) -> tf.Tensor:
        """W L_I, what both players ascend, [B]."""
        return self.config.info_weight * category + self.config.continuous_weight * continuous

    def d_losses(self, images, labels, latents, training):
        """D minimizes -V(D, G), and Q -w L_I."""
        fake = self.augmented(self.fake_images(latents, labels, training), training)
        real = self.augmented(images, training)
        real_logits, _ = self.logits_and_codes(real, training)
        fake_logits, q = self.logits_and_codes(fake, training)
        values, parts = self.d_values(real_logits, fake_logits), self.bounds(q, latents)
        values |= {
            "d_loss": values["d_loss"] - self.weighted(*parts),
            "mi_nats": sum(parts),
            "mi_category_nats": parts[0],  # log K at most
        }
        return self.penalized(values, real, fake, labels) if training else values

    def g_losses(self, images, labels, latents, training):
        """G minimizes its part of the game, and -w L_I."""
        fake = self.augmented(self.fake_images(latents, labels, training), training)
        fake_logits, q = self.logits_and_codes(fake, training)
        loss = self.generator_loss(
            fake_logits, lambda x, training: self.logits_and_codes(x, training)[0], images, training
        )
        return {"g_loss": loss - self.weighted(*self.bounds(q, latents))}

    def endpoints(self):
        """Those of a GAN and `categorize`: what Q says of the codes."""

        def categorize(images):
            _, (categorical, gaussian) = self.logits_and_codes(self.asked(images)[0])
            return {
                "probabilities": categorical.probs_parameter(),
                "loc": gaussian.mean(),
                "scale": gaussian.stddev(),
            }

        return {**super().endpoints(), "categorize": (categorize, [self.images_spec])}

    def traversals(self, latents, steps: int) -> tuple[tf.Tensor, list[str]]:
        """Paths through the codes: every category, then each continuous one from -2 to 2.

        Args:
          latents: [1, latent_dim], to start from.
          steps: S of a path; as many as there are categories, K, if that is more.

        Returns:
          [1 + C, max(S, K), latent_dim], of C continuous codes; categories come again beyond K. And
          the names of the paths.
        """
        k = self.config.num_categories
        steps = max(steps, k)
        categories = tf.one_hot(tf.range(steps) % k, k)
        categories = tf.concat([categories, tf.repeat(latents[:, k:], steps, axis=0)], axis=-1)
        values = tf.linspace(-REACH, REACH, steps)
        codes = range(self.config.num_continuous)
        moved = [traverse(latents, k + j, values)[0] for j in codes]
        return tf.stack([categories, *moved]), ["category", *[f"code {j}" for j in codes]]

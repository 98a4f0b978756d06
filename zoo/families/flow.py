"""The family of normalizing flows: an invertible map between images and Gaussian noise.

    log p(v) = log N(f(v); 0, I) + log |det df/dv|      (Dinh et al. 2017, arXiv:1605.08803, eq. 2)

is the density of continuous images v, but the pixels x of images are gray levels. Noise u within a
level makes them continuous, and the density a bound on log p(x) (Ho et al. 2019, arXiv:1902.00275,
eq. 11 and 12):

    v = (255 x + u)/256,  u ~ q(u|x) in [0, 1)^D        p(x) = 256^-D int p(v) du
    log p(x) >= E_q[log p(v) - D log 256 - log q(u|x)]

The noise is uniform, log q = 0, or learned.
"""

import math
from collections.abc import Callable

import tensorflow_probability as tfp  # isort: skip  (before TensorFlow: TFP then imports it lazily)
import tensorflow as tf

from zoo.core import checks
from zoo.families.base import Endpoint
from zoo.families.likelihood import BoundedModel
from zoo.math import pixels
from zoo.math.noise import standard_normal, stateless_seed
from zoo.math.pixels import in_unit_range

tfd = tfp.distributions

LEVELS = 256


class FlowModel(BoundedModel):
    """An invertible map f of images [B, H, W, C] to latents [B, H W C].

    A model of this family defines `to_latents`, `from_latents` and `dequantize`.
    """

    can = frozenset("sample log_prob importance encode generate prior".split())
    most_draws = 10  # each takes all couplings
    tracked = ("loss", "elbo_nats", "bits_per_dim")

    @property
    def latent_dim(self) -> int:
        """D, as many as the images have pixels and channels."""
        return math.prod(self.image_shape)

    def to_latents(self, v, training: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
        """The latents f(v) of v [B, H, W, C] in (0, 1), [B, D], and log |det df/dv|, [B]."""
        raise NotImplementedError

    def from_latents(self, z) -> tf.Tensor:
        """The inverse f^-1(z) of z [B, D]: [B, H, W, C] in (0, 1)."""
        raise NotImplementedError

    def dequantize(self, images, seed, training: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
        """A draw u ~ q(u|x) of images [B, H, W, C], of their shape, and log q(u|x) in nats, [B]."""
        raise NotImplementedError

    def p_z(self, labels=None) -> tfd.Distribution:
        """The prior N(0, I), of event shape [D]."""
        return tfd.MultivariateNormalDiag(tf.zeros([self.latent_dim]), tf.ones([self.latent_dim]))

    def log_p_v(self, v, training: bool = False) -> tf.Tensor:
        """Log p(v), the density of v [B, H, W, C] in (0, 1), in nats [B]."""
        z, log_det = self.to_latents(v, training)
        return self.p_z().log_prob(z) + log_det

    def log_weight(self, images, seed, training: bool = False) -> tf.Tensor:
        """Log p(v) - D log 256 - log q(u|x) of a draw of u: nats [B], a bound in expectation."""
        u, log_q = self.dequantize(images, seed, training)
        v = (tf.round(255 * images) + u) / LEVELS
        return self.log_p_v(v, training) - self.latent_dim * math.log(LEVELS) - log_q

    def log_weights(self, images, labels) -> Callable[[tf.Tensor], tf.Tensor]:
        """`log_weight` by a seed."""
        return lambda seed: self.log_weight(images, seed)

    def losses(self, images, labels, training):
        """Loss = -E_q[log p(v) - D log 256 - log q(u|x)], the negative bound."""
        elbo = self.log_weight(images, self.next_seed(), training)
        return {"loss": -elbo, "elbo_nats": elbo, "bits_per_dim": self.bits_per_dim(elbo)}

    def bits_per_dim(self, nats) -> tf.Tensor:
        """A log-likelihood of an image, in nats [N], as code length in bits a pixel and channel."""
        return pixels.bits_per_dim(nats, self.latent_dim)

    def encode(self, images, labels=None) -> tfd.Distribution:
        """The latents z = f(v) of images [N, H, W, C] in the middle of their levels, u = 1/2.

        They are known exactly: the distribution is that one place, of event shape [D].
        """

        def encode(x):
            return self.to_latents((tf.round(255 * in_unit_range(x)) + 0.5) / LEVELS)[0]

        images, _ = self.asked(images, labels)
        return tfd.Independent(tfd.Deterministic(self.in_batches(encode, images)), 1)

    def code(self, distribution: tfd.Distribution) -> tf.Tensor:
        """The latents [N, D] that `encode` found."""
        return distribution.mean()

    def decode(self, latents, labels=None) -> tfd.Distribution:
        """The image of latents [N, D], known exactly: the distribution is that one image."""
        return tfd.Independent(tfd.Deterministic(self.generate(latents, labels)), 3)

    def generate(self, latents, labels=None) -> tf.Tensor:
        """The images of latents [N, D], [N, H, W, C] in [0, 1]: their levels between 0 and 255.

        It is the inverse of `encode` but for rounding errors.
        """
        latents = checks.latents(latents, self.latent_dim)
        self.labels_of(latents, labels)

        def generate(z):
            return tf.clip_by_value((LEVELS * self.from_latents(z) - 0.5) / 255, 0.0, 1.0)

        return self.in_batches(generate, latents)

    def reconstruct(self, images, labels=None) -> tf.Tensor:
        """Images there and back again: what `generate` makes of `encode`."""
        return self.generate(self.code(self.encode(images, labels)), labels)

    def draw_prior(self, num_samples, seed, labels=None) -> tf.Tensor:
        """Latents z ~ N(0, I), [num_samples, D]."""
        num_samples = checks.whole("num_samples", num_samples)
        return standard_normal([num_samples, self.latent_dim], stateless_seed(seed))

    def sample(self, num_samples, labels=None, seed=None) -> tf.Tensor:
        """Images [num_samples, H, W, C] in [0, 1] of latents drawn from the prior.

        Args:
          num_samples: how many.
          labels: none.
          seed: an integer; the same one gives the same images.
        """
        self.check_labels(labels)
        return self.generate(self.draw_prior(num_samples, seed))

    def call(self, images, training=False) -> tf.Tensor:
        """The latents of images [N, H, W, C]."""
        return self.code(self.encode(images))

    def endpoints(self) -> dict[str, Endpoint]:
        """`sample`, `encode`, `decode`, `reconstruct` and `log_prob`."""
        latents = tf.TensorSpec([None, self.latent_dim], tf.float32, name="latents")

        def encode(images):
            q = self.encode(images)
            return {"loc": q.mean(), "scale": q.stddev()}

        return {
            "sample": self._sample_endpoint(),
            "encode": (encode, [self.images_spec]),
            "decode": (lambda latents: {"images": self.generate(latents)}, [latents]),
            "reconstruct": (
                lambda images: {"images": self.reconstruct(images)},
                [self.images_spec],
            ),
            "log_prob": self._bound_endpoint(),
        }

"""The family of models with latents: p(x, z) = p(x|z) p(z), trained by a bound on log p(x)."""

import math
from collections.abc import Callable

import tensorflow_probability as tfp  # isort: skip  (before TensorFlow: TFP then imports it lazily)
import tensorflow as tf

from zoo.core import checks
from zoo.errors import InputError
from zoo.families.base import LABELS, Endpoint
from zoo.families.likelihood import BoundedModel
from zoo.math import bounds, pixels
from zoo.math.noise import standard_normal, stateless_seed
from zoo.math.pixels import in_unit_range

tfd = tfp.distributions


class LatentVariableModel(BoundedModel):
    """p(x, z) = p(x|z) p(z) with an approximate posterior q(z|x).

    A model of this family has `latent_dim` and defines `p_z`, `q_z_given_x` and `p_x_given_z`.
    """

    can = frozenset(
        "sample log_prob importance encode reconstruct generate decode prior kl_per_dim".split()
    )
    latent_dim: int

    def p_z(self, labels=None) -> tfd.Distribution:
        """The prior, of event shape [latent_dim]; of some conditional models p(z|y), y [B]."""
        raise NotImplementedError

    def q_z_given_x(self, images, labels=None, training: bool = False) -> tfd.Distribution:
        """The approximate posterior of images [B, H, W, C], of event shape [latent_dim].

        A conditional model is told labels [B] too, here and in `p_x_given_z`: q(z|x, y), p(x|z, y).
        """
        raise NotImplementedError

    def p_x_given_z(self, latents, labels=None, training: bool = False) -> tfd.Distribution:
        """The decoder's distribution over images for latents [B, latent_dim]."""
        raise NotImplementedError

    def draw(self, distribution: tfd.Distribution, seed: tf.Tensor) -> tf.Tensor:
        """One reparameterized draw of a diagonal Gaussian: loc + scale * noise, [B, latent_dim]."""
        loc = distribution.mean()
        return loc + distribution.stddev() * standard_normal(tf.shape(loc), seed)

    def code(self, distribution: tfd.Distribution) -> tf.Tensor:
        """The latents that stand for q(z|x) where one code is wanted: its mean."""
        return distribution.mean()

    def encode(self, images, labels=None) -> tfd.Distribution:
        """q(z|x), or q(z|x, y), of images [N, H, W, C] (float32 in [0, 1], or uint8)."""
        return self.q_z_given_x(*self.asked(images, labels))

    def run_encoder(self, images, labels=None, training: bool = False) -> tf.Tensor:
        """What the encoder says of images [B, H, W, C] in [0, 1] or uint8, some at a time."""

        def run(x, y):
            x = in_unit_range(x)
            return self.encoder(x if y is None else [x, self.one_hot(y)], training=training)

        return run(images, labels) if training else self.in_batches(run, images, labels)

    def decode(self, latents, labels=None) -> tfd.Distribution:
        """p(x|z), or p(x|z, y), of latents [N, latent_dim]; it is as large as the images."""
        latents = checks.latents(latents, self.latent_dim)
        return self.p_x_given_z(latents, self.labels_of(latents, labels))

    def generate(self, latents, labels=None) -> tf.Tensor:
        """The decoder's mean of latents [N, latent_dim]: images [N, H, W, C] in [0, 1]."""
        latents = checks.latents(latents, self.latent_dim)
        return self._observe(latents, self.labels_of(latents, labels), "mean", stateless_seed(0))

    def call(self, images, training=False) -> tf.Tensor:
        """Reconstructions of images [N, H, W, C], or of a pair (images, labels)."""
        images, labels = self.asked(*(images if self.conditional else (images,)))
        q = self.q_z_given_x(images, labels, training)
        return self.generate(self.code(q), labels)

    def reconstruct(self, images, labels=None, observation: str = "mean", seed=None) -> tf.Tensor:
        """Images decoded from the posterior means of images [N, H, W, C] (from their `code`).

        Args:
          images: float32 in [0, 1] or uint8, [N, H, W, C].
          labels: int32 [N] for a conditional model.
          observation: `mean` for the decoder's mean, `sample` for a draw of p(x|z).
          seed: of that draw.
        """
        images, labels = self.asked(images, labels)
        latents = self.code(self.q_z_given_x(images, labels))
        return self._observe(latents, labels, observation, stateless_seed(seed))

    def sample(self, num_samples, labels=None, seed=None, observation: str = "mean") -> tf.Tensor:
        """Images [num_samples, H, W, C] in [0, 1] of latents drawn from the prior.

        Args:
          num_samples: how many.
          labels: int32 [num_samples] for a conditional model, drawn uniformly when left out.
          seed: an integer; the same one gives the same images.
          observation: `mean` for the decoder's mean, `sample` for a draw of p(x|z).
        """
        num_samples = checks.whole("num_samples", num_samples)
        seed = stateless_seed(seed)
        labels = self.labels_for(num_samples, labels, seed)
        latents = self.draw_prior(num_samples, seed, labels)
        return self._observe(
            latents, labels, observation, tf.random.experimental.stateless_fold_in(seed, 2)
        )

    def draw_prior(self, num_samples, seed, labels=None) -> tf.Tensor:
        """Latents z ~ p(z), [num_samples, latent_dim]; or z ~ p(z|y) of as many labels."""
        num_samples = checks.whole("num_samples", num_samples)
        return standard_normal([num_samples, self.latent_dim], stateless_seed(seed))

    def _observe(self, latents, labels, observation, seed):
        def image(z, y, seed):
            return observed(self.p_x_given_z(z, y), observation, seed)

        return self.in_batches(image, latents, labels, seed=seed)

    def log_weights(self, images, labels) -> Callable[[tf.Tensor], tf.Tensor]:
        """Gives log p(x|z) + log p(z) - log q(z|x) of a draw z of q(z|x)."""
        q, p_z = self.q_z_given_x(images, labels), self.p_z(labels)

        def log_w(seed):
            z = self.draw(q, seed)
            log_p_x_given_z = self.p_x_given_z(z, labels).log_prob(images)
            return log_p_x_given_z + p_z.log_prob(z) - q.log_prob(z)

        return log_w

    def bits_per_dim(self, nats) -> tf.Tensor:
        """A log-likelihood of an image, in nats [N], as code length in bits a pixel and channel.

        For the density of `likelihood=gaussian` the width of a gray level, 1/255, is counted in;
        it stays an approximation that can fall below zero, and compares with no other model.
        """
        if getattr(self.config, "likelihood", None) == "gaussian":
            nats = nats - math.prod(self.image_shape) * math.log(255.0)
        return pixels.bits_per_dim(nats, math.prod(self.image_shape))

    def kl_per_dim(self, images, labels=None) -> tf.Tensor:
        """KL(q(z_j|x) || p(z_j)) of each latent dimension in nats, [N, latent_dim]."""
        q = self.encode(images, labels)
        return bounds.kl(tfd.Normal(q.mean(), q.stddev()), tfd.Normal(0.0, 1.0))

    def endpoints(self) -> dict[str, Endpoint]:
        """`sample`, `encode`, `decode`, `reconstruct` and `log_prob`; labels come last."""
        latents = tf.TensorSpec([None, self.latent_dim], tf.float32, name="latents")

        def encode(images, labels=None):
            q = self.encode(images, labels)
            return {"loc": q.mean(), "scale": q.stddev()}

        def decode(latents, labels=None):
            return {"images": self.generate(latents, labels)}

        def reconstruct(images, labels=None):
            return {"images": self.reconstruct(images, labels)}

        also = [LABELS] if self.conditional else []
        return {
            "sample": self._sample_endpoint(),
            "encode": (encode, [self.images_spec, *also]),
            "decode": (decode, [latents, *also]),
            "reconstruct": (reconstruct, [self.images_spec, *also]),
            "log_prob": self._bound_endpoint(),
        }


def observed(p_x: tfd.Distribution, observation: str, seed: tf.Tensor) -> tf.Tensor:
    """Images [B, H, W, C] in [0, 1] that show p(x|z): its `mean`, or a `sample` of it.

    Raises:
      InputError: `observation` is neither.
    """
    if observation not in ("mean", "sample"):
        raise InputError(f"observation must be mean or sample, not {observation!r}")
    image = p_x.mean() if observation == "mean" else p_x.sample(seed=seed)
    return tf.clip_by_value(image, 0.0, 1.0)

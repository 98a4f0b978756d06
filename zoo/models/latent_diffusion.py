"""Generation in the latents of an autoencoder (Rombach et al. 2022, arXiv:2112.10752).

A trained `vae` or `vqvae` turns images into latents z, which are fewer numbers, and back again. It
stays as it is. What is learned is where latents lie: flow matching carries noise to them on
straight paths (as Dao et al. 2023, arXiv:2307.08698), which a network of latents does at a fraction
of the cost of one of pixels.

    x_1 = (z - m)/s        x_t = (1 - t) x_0 + t x_1,  x_0 ~ N(0, I)
    L = E_{t, x_0, x_1} |v(x_t, t) - (x_1 - x_0)|^2

Samples follow dx/dt = v(x, t) to x_1, and are decoded. m and s are the mean and the deviation of
latents, as the autoencoder itself knows them: of a VAE those of its prior, of a VQ-VAE those of the
codes in use. In training latents are draws of q(z|x), as in the paper. Codes of a VQ-VAE are
vectors on a grid; what is generated is moved to the nearest codes.

Images of a VAE are one vector of latents, whose network is a perceptron.
"""

import dataclasses

import tensorflow as tf

from zoo.core.config import field
from zoo.errors import InputError
from zoo.families import denoising
from zoo.math.noise import standard_normal
from zoo.math.pixels import in_unit_range

_LEAST = 1e-3  # of a deviation by which is divided


@dataclasses.dataclass(frozen=True)
class Config(denoising.Config):
    """Autoencoder, network of its latents, and sampler."""

    autoencoder: str = field(
        "vqvae",
        "A trained vae or vqvae of the same images: a pretrained model, or a workdir.",
        path="reference",
    )
    width: int = field(64, "Channels of the U-Net's first grid (vqvae).", lower=1)
    num_stages: int = field(
        0, "How often the U-Net halves the grid of codes; 0: down to 7 or 8.", lower=0, upper=10
    )
    patch_size: int = field(
        1, "Side of the patches of codes that are the places of the U-Net's first grid.", lower=1
    )
    shift: float = field(1.0, "How far times are moved towards noise.", lower=0.01)
    hidden: tuple[int, ...] = field(
        (512, 512, 512), "Units of the perceptron's layers (vae).", lower=1
    )


class LatentDiffusion(denoising.DenoisingModel):
    """Flow matching of the latents of images [N, H, W, C], or of images and labels."""

    Config = Config
    can = denoising.DenoisingModel.can - {"complete"}
    trained_parts = {"trained_autoencoder": "autoencoder"}

    def __init__(self, config=None, *, trained_autoencoder, **kwargs):
        """A model.

        Args:
          config: network and sampler.
          trained_autoencoder: the model that encodes and decodes. It is at rest from now on, and no
            longer compiled.
          **kwargs: those of `ImageModel`.

        Raises:
          InputError: the autoencoder is of other images, is conditional, or has no such latents.
        """
        super().__init__(config, **kwargs)
        autoencoder = trained_autoencoder
        if not {"encode", "decode"} <= autoencoder.can or autoencoder.num_categories:
            raise InputError(f"{autoencoder.name} is no autoencoder: choose a vae or a vqvae")
        if autoencoder.conditional:
            raise InputError(f"{autoencoder.name} is conditional: choose a vae or a vqvae")
        if tuple(autoencoder.image_shape) != self.image_shape:
            theirs, ours = ("x".join(map(str, m.image_shape)) for m in (autoencoder, self))
            raise InputError(
                f"the autoencoder is of images of {theirs}, and these are {ours}: train a vqvae on "
                "them, and give autoencoder its workdir"
            )
        self.trained_autoencoder = autoencoder
        for part in (autoencoder, *autoencoder.layers):  # Keras leaves out those of one at rest
            part.trainable = False
        autoencoder.optimizer = None  # whose state is none of the model's
        autoencoder.compiled = False
        if self.of_codes:
            self._way_shape = (*autoencoder.grid, autoencoder.config.code_dim)
            if not self.config.num_stages:
                self.config = dataclasses.replace(self.config, num_stages=_halvings(self.way_shape))
        else:
            self._way_shape = (1, 1, autoencoder.latent_dim)
        # kept, as those of a learned prior are of many draws
        self.mean, self.deviation = (
            self.add_weight(
                shape=value.shape,
                initializer=lambda shape, dtype, value=value: tf.cast(value, dtype),
                trainable=False,
                autocast=False,
                name=name,
            )
            for name, value in zip(("mean", "deviation"), self._moments(), strict=True)
        )
        self.add_network()
        self.build()

    @property
    def of_codes(self) -> bool:
        """Whether latents are vectors on a grid, of a codebook."""
        return hasattr(self.trained_autoencoder, "quantizer")

    @property
    def way_shape(self):
        """The grid of the codes and their size; of a VAE (1, 1, latent_dim)."""
        return self._way_shape

    def _moments(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Mean and deviation of latents, of each number of a code's vector or of the one vector."""
        if not self.of_codes:
            prior = self.trained_autoencoder.p_z()
            return prior.mean(), prior.stddev()
        quantizer = self.trained_autoencoder.quantizer
        counts = tf.convert_to_tensor(quantizer.counts)
        mean, variance = tf.nn.weighted_moments(
            tf.convert_to_tensor(quantizer.codebook), [0], (counts + 1e-6)[:, None]
        )
        return mean, tf.maximum(tf.sqrt(variance), _LEAST)

    def onto_way(self, images, seed=None):
        """The latents of images, of mean 0 and variance 1: draws of q(z|x), or its mean."""
        q = self.trained_autoencoder.q_z_given_x(images)
        z = q.mean() if seed is None or self.of_codes else self.trained_autoencoder.draw(q, seed)
        return (tf.reshape(z, [-1, *self.way_shape]) - self.mean) / self.deviation

    def off_way(self, x):
        """The images of latents that are at the end of the way."""
        z = self.mean + self.deviation * x
        if self.of_codes:
            quantizer = self.trained_autoencoder.quantizer
            z = quantizer.embed(quantizer.nearest(z))
        return self.trained_autoencoder.generate(
            tf.reshape(z, [-1, self.trained_autoencoder.latent_dim])
        )

    def velocity(self, x, t, labels=None, training=False):
        """V(x, t), or v(x, t, y), of latents [B, *way_shape]."""
        return self.answer(x, t, labels, training)

    def complete(self, *args, **kwargs):
        """Raises InputError: a part of the pixels is no part of the latents."""
        raise InputError(
            f"{self.name} completes no images, as latents are of all pixels: use flow_matching"
        )

    def losses(self, images, labels, training):
        """Loss = |v(x_t, t) - (x_1 - x_0)|^2, a mean over numbers, at one time for each image."""
        x_1 = tf.stop_gradient(self.onto_way(in_unit_range(images), self.next_seed()))
        t = self.moved(tf.sigmoid(standard_normal(tf.shape(x_1)[:1], self.next_seed())))
        told = self.told(labels, training)
        return {"loss": self.error(x_1, t, told, self.next_seed(), training)}


def _halvings(grid) -> int:
    """How often both sides can be halved and are 7 or more."""
    number, (height, width, _) = 0, grid
    while all(
        side % 2 ** (number + 1) == 0 and side >> (number + 1) >= 7 for side in (height, width)
    ):
        number += 1
    return number

"""The vector-quantized VAE (van den Oord et al. 2017, arXiv:1711.00937) with a learned prior.

    q(z = k|x) = 1 for the code e_k that is nearest to the encoder's output, else 0        (eq. 1)
    ELBO(x) = log p(x|z_q(x)) + log p(z(x)) <= log p(x),   z(x) a grid of codes
    loss(x) = -log p(x|z_q(x)) + beta |z_e(x) - sg[z_q(x)]|^2 - log p(sg[z(x)])

q has no entropy, so KL(q(z|x) || p(z)) = -log p(z(x)), and the bound is exact arithmetic: nothing
is drawn. The loss is eq. 3 with the prior's own term, and without that of the codebook: it follows
moving averages of what it stands for (appendix A.1). With beta = 0 it is -ELBO. The decoder's
gradient passes straight through to the encoder. The prior p(z) learns the codes as they are. In the
last epochs of a run the rest of the model is frozen (`freeze_all_but_prior`), so that it ends as
the prior of the codes that are used. Samples are drawn from it.

    prior=pixelcnn     a PixelCNN over the grid: log p(z) is exact
    prior=transformer  a causal transformer over its rows: log p(z) is exact
    prior=maskgit      a transformer that draws many codes at a time: a bound on log p(z)

The last two are in `zoo/families/code_priors.py`. Of maskgit log p(z) is a lower bound by draws of
random orders, and so is all that is made of it; its term in the loss weighs these draws otherwise.

Deviations: a code that is hardly used is dead and moves to an encoder's output of the batch, drawn
at random (`zoo.nn.layers.VectorQuantizer`), which the paper does not do; the codebook starts with
counts of 0; the prior learns from the first step on, and not only when the rest is done; p(x|z) is
a Gaussian's mass on gray levels, with a scale of its own for each pixel; steps of Adam fall along a
cosine; smaller networks, and a codebook of 128 vectors of 16 numbers for one of 512.
"""

import dataclasses
import functools
import math
from typing import Literal

import tensorflow_probability as tfp  # isort: skip  (before TensorFlow: TFP then imports it lazily)
import tensorflow as tf

from zoo.core import checks
from zoo.core.config import field
from zoo.core.stages import num_stages
from zoo.errors import InputError
from zoo.families.code_priors import ExactPrior, MaskedPrior, RasterPrior
from zoo.families.latent_variable import LatentVariableModel
from zoo.families.metrics import Perplexity
from zoo.math import bounds, distributions
from zoo.math.noise import stateless_seed
from zoo.math.pixels import in_unit_range
from zoo.models import pixelcnn
from zoo.nn import networks
from zoo.nn.layers import VectorQuantizer

tfd = tfp.distributions

MOST_DRAWS = 16  # of random orders, by which the bound of an image is measured


@dataclasses.dataclass(frozen=True)
class Config:
    """Architecture and objective of the VQ-VAE."""

    codebook_size: int = field(128, "K, the codes.", lower=2)
    code_dim: int = field(16, "D, the size of a code's vector.", lower=1)
    width: int = field(
        32, "Channels of the first convolution; deeper ones have up to 8 times as many.", lower=1
    )
    num_stages: int = num_stages(
        "Times that the encoder halves the sides. 0: 2, and more as long as the grid of codes "
        "keeps sides of at least 16.",
        smallest=16,
    )
    num_blocks: int = field(2, "Residual blocks of encoder and decoder.", lower=0)
    likelihood: Literal["quantized_gaussian", "gaussian", "bernoulli"] = field(
        "quantized_gaussian",
        "p(x|z): a Gaussian's mass on gray levels, its density, or Bernoulli (binarized data).",
    )
    beta: float = field(0.25, "Weight of the commitment in the loss.", lower=0.0)
    ema_decay: float = field(0.99, "Of the codebook's moving averages.", lower=0.0, upper=0.9999)
    prior: Literal["pixelcnn", "transformer", "maskgit"] = field(
        "pixelcnn",
        "p(z): a PixelCNN, a transformer that draws a code at a time, or one that draws many.",
    )
    prior_width: int = field(32, "Channels of the PixelCNN.", lower=1)
    prior_layers: int = field(6, "Gated layers of the PixelCNN.", lower=1)
    transformer_width: int = field(96, "Channels (transformer, maskgit).", lower=1)
    transformer_layers: int = field(3, "Blocks (transformer, maskgit).", lower=1)
    transformer_heads: int = field(4, "Heads of the attention (transformer, maskgit).", lower=1)
    num_steps: int = field(
        12,
        "Network calls that draw all codes (maskgit). As many as codes draw from p(z) exactly.",
        lower=1,
    )
    choice_temperature: float = field(
        4.5,
        "How much chance there is in which codes are kept first (maskgit); 0: the surest are.",
        lower=0.0,
    )


class PixelCNNPrior(ExactPrior, pixelcnn.PixelCNN):
    """A PixelCNN whose gray levels are codes."""

    @property
    def length(self):
        """The codes of a grid."""
        return math.prod(self.image_shape)

    def log_p_codes(self, codes):
        """Log p(z_i | z_1, ..., z_{i-1}) of codes int32 [B, h, w] in nats, [B, h, w]."""
        return self.log_p_pixels(tf.cast(codes, tf.float32)[..., None] / (self.levels - 1))

    def draw(self, num_samples, seed):
        """Codes int32 [num_samples, h, w] drawn from p(z), with a seed int32 [2]."""
        levels = self.sample(num_samples, seed=seed)[..., 0]
        return tf.cast(tf.round(levels * (self.levels - 1)), tf.int32)


class VQVAE(LatentVariableModel):
    """A VQ-VAE of images [N, H, W, C]; latents [N, h * w * D] are its codes' vectors."""

    Config = Config
    axes = False
    tracked = (
        "loss",
        "reconstruction_nats",
        "kl_nats",
        "elbo_nats",
        "bits_per_dim",
        "commitment",
        "codes_used",
    )

    def __init__(self, config=None, **kwargs):
        super().__init__(config, **kwargs)
        c = self.config
        stages = networks.Stages(c.width, c.num_stages)
        self.grid = stages.grid(self.image_shape)
        self.latent_dim = self.grid[0] * self.grid[1] * c.code_dim
        self.encoder = networks.grid_down(
            self.image_shape, stages, c.code_dim, c.num_blocks, name="encoder"
        )
        depth = self.image_shape[-1] * (1 if self.binary else 2)
        self.decoder = networks.grid_up(
            (*self.grid, c.code_dim), stages, depth, c.num_blocks, name="decoder"
        )
        self.quantizer = VectorQuantizer(c.codebook_size, c.code_dim, c.ema_decay, name="quantizer")
        self.prior = self._new_prior()
        if not self.prior.exact:
            self.averaged, self.most_draws = True, MOST_DRAWS
            self.can = self.can - {"importance"} | {"calls"}
        self.build()

    def _new_prior(self):
        c = self.config
        if c.prior == "pixelcnn":
            return PixelCNNPrior(
                pixelcnn.Config(
                    levels=c.codebook_size,
                    pixels="one_hot",
                    width=c.prior_width,
                    num_layers=c.prior_layers,
                    kernel_size=3,
                ),
                image_shape=(*self.grid, 1),
                name="prior",
            )
        size = c.transformer_width, c.transformer_layers, c.transformer_heads
        network = c.codebook_size, self.grid, *size
        if c.prior == "transformer":
            return RasterPrior(*network, name="prior")
        how = {"num_steps": c.num_steps, "temperature": c.choice_temperature}
        return MaskedPrior(*network, **how, name="prior")

    def metric_of(self, name):
        """How many codes are in use, by perplexity; the mean of all else."""
        if name == "codes_used":
            return Perplexity([self.config.codebook_size], name)
        return super().metric_of(name)

    @property
    def binary(self) -> bool:
        """Bernoulli pixels are black or white."""
        return self.config.likelihood == "bernoulli"

    def freeze_all_but_prior(self) -> None:
        """Only the prior is trained from now on."""
        self.encoder.trainable = self.decoder.trainable = False
        self.train_function = None  # it is traced anew

    def get_compile_config(self):
        """Keras' own, and whether all but the prior is frozen."""
        if not self.compiled:
            return {}
        return {**super().get_compile_config(), "frozen": not self.encoder.trainable}

    def compile_from_config(self, config):
        """Compiles the model as the one was that `get_compile_config` is of."""
        frozen = config.pop("rests", False)  # in files of version 0.1
        frozen = config.pop("frozen", frozen)
        super().compile_from_config(config)
        if frozen:
            self.freeze_all_but_prior()

    def codes(self, images) -> tf.Tensor:
        """The codes of images [N, H, W, C], int32 [N, h, w]."""
        return self._codes(self.asked(images)[0])

    def _codes(self, images, training=False):
        def codes(x):
            return self.quantizer.nearest(self.encoder(in_unit_range(x), training=training))

        return codes(images) if training else self.in_batches(codes, images)

    def p_codes(self, codes) -> tf.Tensor:
        """Log p(z_i | z_1, ..., z_{i-1}) of codes [B, h, w] under the prior, [B, h, w].

        Raises:
          InputError: prior=maskgit, which has a bound on their sum alone.
        """
        if not self.prior.exact:
            raise InputError(f"{self.name} with prior=maskgit: log p(z) is only known by a bound")
        return self.prior.log_p_codes(codes)

    def q_z_given_x(self, images, labels=None, training=False) -> tfd.Distribution:
        """q(z|x): all its mass on one grid of codes, as their vectors side by side."""
        z_q = self.quantizer.embed(self._codes(images, training))
        return tfd.Independent(tfd.Deterministic(tf.reshape(z_q, [-1, self.latent_dim])), 1)

    def p_x_given_z(self, latents, labels=None, training=False) -> tfd.Distribution:
        """p(x|z) of codes' vectors [B, latent_dim], of batch shape [B]."""
        grid = tf.reshape(latents, [-1, *self.grid, self.config.code_dim])
        decode = functools.partial(self.decoder, training=training)
        output = decode(grid) if training else self.in_batches(decode, grid)
        if self.binary:
            return distributions.image_distribution("bernoulli", output, None)
        loc, raw_scale = tf.split(output, 2, axis=-1)
        scale = distributions.positive(raw_scale, distributions.MIN_SCALE)
        return distributions.image_distribution(self.config.likelihood, loc, scale)

    def losses(self, images, labels, training):
        """The loss, and the ELBO with its terms in nats."""
        z_e = self.encoder(images, training=training)
        codes = self.quantizer.nearest(z_e)
        z_q = self.quantizer.straight_through(z_e, codes)
        flat = tf.reshape(z_q, [-1, self.latent_dim])
        reconstruction = self.p_x_given_z(flat, None, training).log_prob(images)
        terms = self.prior.terms(codes, None if self.prior.exact else self.next_seed())
        of_prior, kl = (tf.reduce_sum(t, [1, 2]) for t in terms)  # -log p(z): q has no entropy
        apart = z_e - tf.stop_gradient(self.quantizer.embed(codes))
        commitment = tf.reduce_sum(apart**2, [1, 2, 3])
        if training and self.encoder.trainable:
            self.quantizer.follow(z_e, codes, self.next_seed())
        elbo = bounds.elbo(reconstruction, kl)
        return {
            "loss": -reconstruction + self.config.beta * commitment + of_prior,
            "reconstruction_nats": reconstruction,
            "kl_nats": kl,
            "elbo_nats": elbo,
            "bits_per_dim": self.bits_per_dim(elbo),
            "commitment": commitment,
            "codes_used": tf.reduce_mean(tf.one_hot(codes, self.config.codebook_size), [1, 2]),
        }

    def log_prob(self, images, labels=None, num_samples=1, seed=None):
        """A lower bound on log p(x), nats an image [N]: the ELBO, whatever K = `num_samples` is.

        q(z|x) has all its mass at one z, so that nothing is drawn of it. With prior=pixelcnn and
        prior=transformer log p(z) is exact, and so is the ELBO. With prior=maskgit it is bounded in
        turn: the mean over the seed is that bound, and its spread falls with K.

        Args:
          images: float32 in [0, 1] or uint8, [N, H, W, C].
          labels: none.
          num_samples: K; of maskgit draws of random orders, each a network call.
          seed: an integer; the same one gives the same numbers.

        Raises:
          InputError: as for other models.
        """
        num_samples = checks.whole("num_samples", num_samples, 1)
        num_samples = tf.convert_to_tensor(num_samples, tf.int32)

        def elbo(x, seed):
            x = self.measured(x)
            codes = self._codes(x)
            z = tf.reshape(self.quantizer.embed(codes), [-1, self.latent_dim])
            return self.p_x_given_z(z).log_prob(x) + self.prior.bound(codes, num_samples, seed)

        images, _ = self.asked(images, labels)
        return self.in_batches(elbo, images, seed=stateless_seed(seed))

    def importance_bound(self, images, labels=None, num_samples=1, seed=None):
        """The bound, and K: all draws are the same, and weigh the same.

        Raises:
          InputError: prior=maskgit, whose draws have no weights; or as for other models.
        """
        if self.averaged:
            raise InputError(f"{self.name} with prior=maskgit has no importance-weighted bound")
        bound = self.log_prob(images, labels, num_samples, seed)
        return tf.stack(
            [bound, tf.fill(tf.shape(bound), tf.cast(num_samples, tf.float32))], axis=-1
        )

    def num_calls(self, num_steps: int | None = None) -> int:
        """How often the prior's network is asked about an image that is drawn.

        Args:
          num_steps: of maskgit; its own when left out.

        Raises:
          InputError: as `sample`.
        """
        return self.prior.num_calls(num_steps)

    def sample(
        self,
        num_samples,
        labels=None,
        seed=None,
        observation: str = "mean",
        num_steps: int | None = None,
    ) -> tf.Tensor:
        """Images [num_samples, H, W, C] in [0, 1] of codes drawn from the prior.

        Args:
          num_samples: how many.
          labels: none.
          seed: an integer; the same one gives the same images.
          observation: `mean` for the decoder's mean, `sample` for a draw of p(x|z).
          num_steps: of prior=maskgit, network calls; its own number when left out. As many as codes
            draw from p(z) exactly, and fewer from what is near to it.

        Raises:
          InputError: as for other models, or `num_steps` is given with another prior.
        """
        num_samples = checks.whole("num_samples", num_samples)
        self.check_labels(labels)
        seed = stateless_seed(seed)
        latents = self.draw_prior(num_samples, seed, num_steps=num_steps)
        fresh = tf.random.experimental.stateless_fold_in(seed, 2)
        return self._observe(latents, None, observation, fresh)

    def draw_prior(self, num_samples, seed, labels=None, num_steps=None):
        """Vectors of codes drawn from the prior, [num_samples, latent_dim]; see `sample`."""
        num_samples = checks.whole("num_samples", num_samples)
        codes = self.prior.draw_in(num_steps, num_samples, stateless_seed(seed))
        return tf.reshape(self.quantizer.embed(codes), [num_samples, self.latent_dim])

    def kl_per_dim(self, images, labels=None):
        """-log p(z_i | z_1, ..., z_{i-1}) of each place of the grid in nats, [N, h * w].

        With prior=maskgit the codes before are those of a random order. It is then an unbiased
        estimate of one draw, always the same for a batch: precise as a mean over many images only.
        """

        def kl(x):
            _, nats = self.prior.terms(self._codes(x), stateless_seed(0))
            return tf.reshape(nats, [-1, self.grid[0] * self.grid[1]])

        return self.in_batches(kl, self.asked(images, labels)[0])

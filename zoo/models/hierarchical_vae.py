"""The VAE with a hierarchy of latents (Child 2021, arXiv:2011.10650; Burda et al. 2016).

    p(x, z) = p(x|z_1..z_L) p(z_L) prod_{l<L} p(z_l|z_{>l})              z_L is the top level
    ELBO(x) = E_q[log p(x|z)] - sum_l KL(q(z_l|z_{>l}, x) || p(z_l|z_{>l})) <= log p(x)

Each factor is a diagonal Gaussian. The encoder gives features of the image at each level, the
decoder a state that knows the levels above. p(z_l|z_{>l}) is of that state, q(z_l|z_{>l}, x) of
state and features (inference top down, Sonderby et al. 2016, arXiv:1602.02282). p(z_L) is N(0, I),
or learned (`zoo/families/priors.py`). KLs are logged level by level as kl_1_nats, kl_2_nats, ...,
of which the last is the top's. Without levels below the top, and with its likelihood, the model is
the VAE.

network=conv is a small VDVAE (arXiv:2011.10650, section 3). Deviations: z_L is a vector, as z of
the VAE, whose convolutions lead from grid to grid; the whole image's grid has no latents; silu for
GELU; the last layers of residual paths, priors and posteriors begin near 0, where VDVAE scales
residual paths by 1/sqrt(N); residual paths have half of the channels, not a quarter; as many blocks
up as down; colors of a pixel are independent given z; great gradients are clipped, and no step is
left out.

p(x|z) is a mixture of logistics for each pixel, as VDVAE's, or one of the VAE's.

network=mlp has p(z_l|z_{l+1}), as Burda et al. 2016 (arXiv:1509.00519, section 5). Their posterior,
inference=bottom_up, is q(z_1|x) prod_{l>1} q(z_l|z_{l-1}). It has a KL of the top level, at a draw
of z_{L-1}. For a level below, log q(z_l|z_{l-1}) - log p(z_l|z_{l+1}) of a draw is logged, whose
mean can be negative; the sum is the KL of all. `--preset=burda` has their two layers. Deviations:
sigma is a softplus, not an exponential; biases of the pixels begin at 0.

num_samples > 1 trains by the K-sample bound of joint draws of all levels (eq. 8), with the
reparameterized gradient:

    L_K(x) = E[log 1/K sum_k w_k],   w_k = p(x, z_k) / q(z_k|x)

`beta` weighs the KL, or log q(z|x)/p(z), in the loss alone.
"""

import dataclasses
import numbers
from collections.abc import Callable
from typing import Literal

import tensorflow_probability as tfp  # isort: skip  (before TensorFlow: TFP then imports it lazily)
import tensorflow as tf

from zoo.core import checks
from zoo.core.config import field
from zoo.errors import InputError
from zoo.families.latent_variable import observed
from zoo.math import bounds, distributions
from zoo.math.noise import standard_normal, stateless_seed
from zoo.math.pixels import in_unit_range
from zoo.models import vae
from zoo.nn import hierarchy

tfd = tfp.distributions
# gives z_l of q(z_l|z_{>l}, x), which is None where there is no image, of p(z_l|z_{>l}), and of l
Choice = Callable[[tfd.Distribution | None, tfd.Distribution, int], tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Config(vae.Config):
    """Architecture and objective of the hierarchical VAE."""

    latent_dim: int = field(20, "Number of latent dimensions of the top level.", lower=1)
    hidden: tuple[int, ...] = field(
        (200, 200, 100, 100),
        "Units of the encoder's hidden layers from the image on, as many for each level; the "
        "decoder's reversed (mlp).",
        lower=1,
    )
    likelihood: Literal["logistic_mixture", "quantized_gaussian", "gaussian", "bernoulli"] = field(
        "logistic_mixture",
        "p(x|z): the mass on gray levels of a mixture of logistics, or of a Gaussian, or its "
        "density, or Bernoulli (binarized data).",
        formerly="quantized_gaussian",
    )
    num_components: int = field(5, "Logistics of each pixel (logistic_mixture).", lower=1)
    levels_per_grid: int = field(
        2, "Levels below the top at each grid of the decoder (conv).", lower=0
    )
    level_channels: int = field(8, "Channels of the latents of each such level (conv).", lower=1)
    lower_latent_dims: tuple[int, ...] = field(
        (100,),
        "Latent dimensions of the levels below the top, from the image on (mlp).",
        lower=1,
    )
    activation: Literal["relu", "tanh"] = field("relu", "Of the hidden layers (mlp).")
    inference: Literal["top_down", "bottom_up"] = field(
        "top_down", "Order in which the posterior draws the levels; bottom_up is of mlp alone."
    )
    num_samples: int = field(
        1, "K, the draws of the posterior an image in the objective; 1: the ELBO.", lower=1
    )


class HierarchicalVAE(vae.VAE):
    """A VAE of images [N, H, W, C] with levels of latents, of which codes are the top one.

    `encode`, `decode`, `generate` and `kl_per_dim` are of z_L, [N, latent_dim]. The levels below
    take the means of their priors, one after the other.

    Raises:
      InputError: `hidden` has not as many layers for each level, or inference=bottom_up is asked
        of convolutions.
    """

    Config = Config

    @property
    def num_levels(self) -> int:
        """L, the levels of latents."""
        c = self.config
        of_grids = c.levels_per_grid * c.num_stages
        return 1 + (of_grids if c.network == "conv" else len(c.lower_latent_dims))

    @property
    def tracked(self):
        """The VAE's, the KL of each level, of which the last is the top's, and L_K."""
        kls = [f"kl_{level}_nats" for level in range(1, self.num_levels + 1)]
        return (*vae.VAE.tracked, *kls, *(["iwae_nats"] if self.config.num_samples > 1 else []))

    @property
    def numbers_per_pixel(self):
        """A weight, mean and scale of each logistic; else the VAE's."""
        if self.config.likelihood != "logistic_mixture":
            return super().numbers_per_pixel
        if self.config.scale == "shared":
            raise InputError("scale=shared is of one Gaussian: give a likelihood of Gaussians")
        return 3 * self.config.num_components

    def pixels(self, output):
        """The distribution of images of what the decoder gives, of batch shape [B]."""
        if self.config.likelihood != "logistic_mixture":
            return super().pixels(output)
        raw = tf.reshape(output, [-1, *self.image_shape, self.numbers_per_pixel])
        return tfd.Independent(distributions.logistic_mixture(raw, 256), 3)

    @property
    def bottom_up(self) -> bool:
        """Whether the posterior draws z_1 first."""
        return self.config.inference == "bottom_up"

    def hidden(self) -> list[tuple[int, ...]]:
        """Units of the hidden layers of each level, from the image on (mlp)."""
        units, each = self.config.hidden, len(self.config.hidden) // self.num_levels
        if len(units) % self.num_levels:
            raise InputError(
                f"hidden has {len(units)} layers, and must have as many for each of "
                f"{self.num_levels} levels: change hidden or lower_latent_dims"
            )
        return [units[i * each : (i + 1) * each] for i in range(self.num_levels)]

    def make_encoder(self, input_shape, output_size):
        """The way up in parts: features of the image, and m(x) and raw s(x) of q(z_L|x)."""
        c = self.config
        if c.network == "conv":
            if self.bottom_up:
                raise InputError("inference=bottom_up is of network=mlp")
            blocks = c.levels_per_grid
            return hierarchy.conv_down(
                input_shape, self.stages(), output_size, blocks, name="encoder"
            )
        latents = c.lower_latent_dims if self.bottom_up else ()
        more = {"activation": c.activation, "latents": latents, "name": "encoder"}
        return hierarchy.mlp_down(input_shape, self.hidden(), output_size, **more)

    def make_decoder(self, input_size, output_shape):
        """The way down in parts: from z_L to states between which the levels lie, and to pixels."""
        c = self.config
        if c.network == "conv":
            return hierarchy.conv_up(input_size, self.stages(), output_shape, name="decoder")
        sizes = [input_size, *reversed(c.lower_latent_dims)]
        units = [part[::-1] for part in reversed(self.hidden())]
        more = {"activation": c.activation, "name": "decoder"}
        return hierarchy.mlp_up(sizes, units, output_shape, **more)

    def build(self, input_shape=None):
        """Makes three networks of each level below the top, that of z_1 last."""
        c, levels = self.config, []
        below = zip(self.decoder[:-1], reversed(self.encoder[:-1]), strict=True)
        for i, (down, up) in enumerate(below):
            state, features = down.output_shape[1:], up.output_shape[1:]
            if c.network == "conv":
                of_level = (state, features, c.level_channels, self.num_levels)
                levels += [hierarchy.conv_level(*of_level) for _ in range(c.levels_per_grid)]
            else:
                size = c.lower_latent_dims[-1 - i]
                sees_state = not self.bottom_up
                levels.append(hierarchy.mlp_level(*state, *features, size, sees_state))
        # lists of their own: Keras saves nothing of a list in a list
        self.priors, self.posteriors, self.joins = ([of[i] for of in levels] for i in range(3))
        super().build(input_shape)

    def ascend(self, images, choose: Choice, copies: int = 1) -> list[tf.Tensor]:
        """What each part of the way up gives: the features h_l, and raw parameters of q(z_L|x).

        Args:
          images: float32 [B, H, W, C] in [0, 1].
          choose: z_l, of which the next part is told if inference is bottom up.
          copies: K, how often each image stands in the result, [B * K, ...].
        """
        found, h = [], images
        for part in self.encoder:
            h = part(h)
            if self.bottom_up and not found:
                h = tf.repeat(h, copies, axis=0)
            found.append(h)
            if self.bottom_up and len(found) < self.num_levels:
                q = self.q_of_level(len(found), None, h)
                h = choose(q, q, len(found))
        return found if self.bottom_up else [tf.repeat(h, copies, axis=0) for h in found]

    def descend(self, z, choose: Choice, features=None):
        """The way down from z_L [B, latent_dim].

        Args:
          z: latents of the top level.
          choose: z_l of each level below.
          features: those of `ascend`, or None where there is no image.

        Returns:
          What the decoder says of the pixels, and q, p and z of each level below, z_1's last.
        """
        found, state = [], z
        each = len(self.priors) // max(1, len(self.decoder) - 1)
        for i, part in enumerate(self.decoder):
            state, q = part(state), None
            of_part = slice(i * each, (i + 1) * each)
            for prior, join in zip(self.priors[of_part], self.joins[of_part], strict=True):
                level = self.num_levels - 1 - len(found)
                raw, after = prior(state)
                if features is not None:
                    q = self.q_of_level(level, state, features[-2 - i])
                p = _gaussian(raw)
                z = choose(q, p, level)
                state = join([after, z])
                found.append((q, p, z))
        return state, found

    def q_of_level(self, level: int, state, features) -> tfd.Distribution:
        """q(z_l|z_{>l}, x), or bottom up q(z_l|z_{l-1}), of a level below the top."""
        seen = features if self.bottom_up else [state, features]
        return _gaussian(self.posteriors[-level](seen))

    def run_encoder(self, images, labels=None, training=False):
        """Raw parameters of q(z_L|x); bottom up, of q(z_L|z_{L-1}) at the means of those below."""

        def run(x):
            return self.ascend(in_unit_range(x), means())[-1]

        return run(images) if training else self.in_batches(run, images)

    def p_x_given_z(self, latents, labels=None, training=False) -> tfd.Distribution:
        """p(x|z) of z_L [B, latent_dim], where levels below are the means of their priors."""
        return self.pixels(self.descend(latents, means())[0])

    def draw_levels(self, images, p_z, seed, features=None, copies: int = 1):
        """A draw of all levels from the posterior, or `copies` of them.

        Args:
          images: float32 [B, H, W, C] in [0, 1].
          p_z: the prior of the top level.
          seed: int32 [2].
          features: those of `ascend`, if they are known already.
          copies: K, the draws an image.

        Returns:
          log p(x|z) in nats, [B * K]; and q, p and z of each level, the top one first.
        """
        choose = draws(seed)
        if features is None:
            features = self.ascend(images, choose, copies)
        q = tfd.MultivariateNormalDiag(*distributions.loc_and_scale(features[-1]))
        z = self.draw(q, seed)
        output, below = self.descend(z, choose, features)
        log_p_x_given_z = self.pixels(output).log_prob(tf.repeat(images, copies, axis=0))
        return log_p_x_given_z, [(q, p_z, z), *below]

    def losses(self, images, labels, training):
        """Loss = -E_q[log p(x|z)] + beta sum_l KL_l, or -L_K; and the ELBO's terms, in nats."""
        c = self.config
        log_p_x_given_z, levels = self.draw_levels(
            images, self.p_z(), self.next_seed(), copies=c.num_samples
        )

        def by_draw(values):
            return tf.transpose(tf.reshape(values, [-1, c.num_samples]))  # [K, B]

        kls = []
        for i, (q, p, z) in enumerate(levels):
            of_draws = self.bottom_up and i > 0  # where z_{l+1} depends on z_l
            kl = q.log_prob(z) - p.log_prob(z) if of_draws else bounds.kl(q, p, draws=z[None])
            kls.append(tf.reduce_mean(by_draw(kl), axis=0))
        reconstruction = tf.reduce_mean(by_draw(log_p_x_given_z), axis=0)
        values = self.elbo_terms(reconstruction, tf.add_n(kls))
        for level, kl in enumerate(reversed(kls), start=1):
            values[f"kl_{level}_nats"] = kl
        if c.num_samples > 1:
            log_p_x_given_z, ratio = by_draw(log_p_x_given_z), by_draw(log_ratio(levels))
            values["loss"] = -bounds.iwae(log_p_x_given_z - c.beta * ratio)
            values["iwae_nats"] = bounds.iwae(log_p_x_given_z - ratio)
        return values

    def log_weights(self, images, labels=None):
        """A function of a seed: log w = log p(x, z) - log q(z|x) of a draw of all levels, [B]."""
        features, p_z = None if self.bottom_up else self.ascend(images, means()), self.p_z()

        def log_w(seed):
            log_p_x_given_z, levels = self.draw_levels(images, p_z, seed, features)
            return log_p_x_given_z - log_ratio(levels)

        return log_w

    def call(self, images, training=False):
        """Reconstructions of images [N, H, W, C]."""
        return self.reconstruct(images)

    def reconstruct(self, images, labels=None, observation="mean", seed=None, num_levels=None):
        """Images decoded from the means of the posteriors of images [N, H, W, C], level by level.

        Args:
          images: float32 in [0, 1] or uint8, [N, H, W, C].
          labels: none.
          observation: `mean` for the decoder's mean, `sample` for a draw of p(x|z).
          seed: of that draw.
          num_levels: how many levels, from the top on, have the means of their posteriors, all of
            them by default; those below have the means of their priors.

        Raises:
          InputError: images are not what this model takes, or `num_levels` is not in 1..L.
        """
        kept = self.num_levels
        if num_levels is not None:
            kept = checks.whole("num_levels", num_levels, 1, self.num_levels)
        choose = means(above=self.num_levels - kept)

        def rebuilt(x, seed):
            features = self.ascend(in_unit_range(x), choose)
            z, _ = distributions.loc_and_scale(features[-1])
            return observed(self.pixels(self.descend(z, choose, features)[0]), observation, seed)

        images, _ = self.asked(images, labels)
        return self.in_batches(rebuilt, images, seed=stateless_seed(seed))

    def sample(self, num_samples, labels=None, seed=None, observation="mean", temperature=1.0):
        """Images [num_samples, H, W, C] in [0, 1], with latents of all levels from their priors.

        Args:
          num_samples: how many.
          labels: none.
          seed: an integer; the same one gives the same images.
          observation: `mean` for the decoder's mean, `sample` for a draw of p(x|z).
          temperature: multiplies the standard deviations of the priors of all levels.

        Raises:
          InputError: `temperature` is negative.
        """
        if not (isinstance(temperature, numbers.Real) and temperature >= 0):
            raise InputError(f"temperature must be at least 0, not {temperature!r}")
        self.check_labels(labels)
        seed = stateless_seed(seed)

        def image(z, seed):
            output, _ = self.descend(z, draws(seed, temperature))
            return observed(self.pixels(output), observation, seed)

        latents = self.draw_prior(num_samples, seed, temperature=temperature)
        below = tf.random.experimental.stateless_fold_in(seed, 2)
        return self.in_batches(image, latents, seed=below)


def _gaussian(raw) -> tfd.Distribution:
    loc, scale = distributions.loc_and_scale(raw)
    return tfd.Independent(tfd.Normal(loc, scale), raw.shape.rank - 1)


def means(above: int = 0) -> Choice:
    """The means of posteriors, above some level and where there is an image; else of priors."""
    return lambda q, p, level: (p if q is None or level <= above else q).mean()


def draws(seed: tf.Tensor, temperature: float = 1.0) -> Choice:
    """A draw of the posterior; without an image of the prior, its deviation times `temperature`."""

    def choose(q, p, level):
        distribution = p if q is None else q
        own = tf.random.experimental.stateless_fold_in(seed, level)
        noise = standard_normal(tf.shape(distribution.mean()), own)
        return distribution.mean() + temperature * distribution.stddev() * noise

    return choose


def log_ratio(levels) -> tf.Tensor:
    """Log q(z|x)/p(z), nats [B], of q, p and z of each level."""
    return tf.add_n([q.log_prob(z) - p.log_prob(z) for q, p, z in levels])

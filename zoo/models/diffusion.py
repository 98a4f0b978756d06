"""Diffusion (Ho et al. 2020, arXiv:2006.11239; Karras et al. 2022, arXiv:2206.00364, "EDM").

An image x_1 drowns in noise x_0 ~ N(0, I). All Gaussian diffusions take the same path up to a
factor, and here it is the straight one of flow matching: x_t/t has noise of deviation sigma.

    x_t = t x_1 + (1 - t) x_0      sigma = (1 - t)/t      l = log t^2/(1 - t)^2, the log-SNR

A network learns to tell image from noise. Of pixels of deviation s = 0.5 it sees x_t at variance 1,
and gives what the best linear guess lacks, at variance 1 (EDM, table 1):

    v(x, t) = (s^2 t - (1 - t))/m^2 x + s/m F(x/m, l)      m^2 = (1 - t)^2 + s^2 t^2
    x + (1 - t) v is the expected image, and e(x, t) = x - t v the expected noise

objective=samples draws log sigma ~ N(-1.2, 1.2^2), where images take shape, and minimizes the
square error of F, which is EDM's loss:

    L = E (m/s)^2 |v(x_t, t) - (x_1 - x_0)|^2

objective=likelihood maximizes a bound (Kingma et al. 2021, arXiv:2107.00630, section 4), which
depends on the path from l_0 to l_1 by its ends alone:

    log p(x) >= E log p(x|x_t) at l_1                               reconstruction
                - 1/2 int_{l_0}^{l_1} E|x_0 - e(x_t, t)|^2 dl       diffusion
                - KL(q(x_t|x) || N(0, I)) at l_0                    prior

l is drawn evenly. At l_1 so little noise is left that p(x|x_t) is a choice among the gray levels
next to x_t/t. At l_0 x_t is scaled to variance 1.
"""

import dataclasses
import math
from typing import Literal

import numpy as np
import tensorflow as tf

from zoo.core.config import field
from zoo.families import denoising
from zoo.families.likelihood import MeanBound
from zoo.math.noise import spread_uniform, standard_normal
from zoo.math.pixels import signed

DEVIATION = 0.5  # of pixels in [-1, 1]
LOG_SNR = (-8.76, 13.3)  # from a sigma of 80 to one of a sixth of the distance of two gray levels
_LOG_SIGMA = (-1.2, 1.2)  # mean and deviation
_SIGMA_MAX, _SIGMA_MIN, _RHO = 80.0, 0.002, 7.0  # of samplers: EDM's eq. 5


@dataclasses.dataclass(frozen=True)
class Config(denoising.Config):
    """Network, objective and sampler."""

    objective: Literal["samples", "likelihood"] = field(
        "samples", "What is minimized: the error where images take shape, or the bound on log p(x)."
    )
    sampler: Literal["ancestral", "ddim", "heun"] = field(
        "heun", "How steps are made: with new noise, without, or by a second network call each."
    )


class Diffusion(MeanBound, denoising.DenoisingModel):
    """A denoiser of images [N, H, W, C], or of images and labels."""

    Config = Config
    can = denoising.DenoisingModel.can | {"log_prob"}
    most_draws = 16
    validated = ("elbo_nats", "reconstruction_nats", "diffusion_nats", "prior_nats", "bits_per_dim")

    def __init__(self, config=None, **kwargs):
        super().__init__(config, **kwargs)
        self.add_network()
        self.build()

    def velocity(self, x, t, labels=None, training=False):
        """V(x, t), or v(x, t, y): [B, H, W, C]."""
        low, high = LOG_SNR
        within = tf.clip_by_value(t, *map(_time_of, LOG_SNR))
        level = (2 * tf.math.log(within / (1 - within)) - low) / (high - low)  # in [0, 1]
        s, t = DEVIATION, t[:, None, None, None]
        m = tf.sqrt((1 - t) ** 2 + (s * t) ** 2)
        linear = (s**2 * t - (1 - t)) / m**2
        return linear * x + s / m * self.answer(x / m, level, labels, training)

    def losses(self, images, labels, training):
        """The loss, and of validation images the terms of the bound in nats."""
        x_1, labels = signed(images), self.told(labels, training)
        of_likelihood = self.config.objective == "likelihood"
        values = {}
        if of_likelihood or not training:
            values = self._bound_and_terms(x_1, labels, self.next_seed(), training=training)
            values["bits_per_dim"] = self.bits_per_dim(values["elbo_nats"])
        if of_likelihood:
            return {"loss": -values["elbo_nats"], **values}
        mean, deviation = _LOG_SIGMA
        log_sigma = mean + deviation * standard_normal(tf.shape(x_1)[:1], self.next_seed())
        t = self.moved(tf.sigmoid(-log_sigma))
        weight = ((1 - t) / DEVIATION) ** 2 + t**2  # (m/s)^2
        error = self.error(x_1, t, labels, self.next_seed(), training)
        return {"loss": weight * error, **values}

    def _bound_and_terms(self, x_1, labels, seed, part=(0.0, 1.0), training=False):
        """The bound and its terms in nats [B], by a draw each; l is of a part of its range."""
        x_1 = tf.round((x_1 + 1) * 127.5) / 127.5 - 1  # only gray levels have a likelihood
        seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 3))
        (low, high), (start, end) = LOG_SNR, part
        share = start + (end - start) * spread_uniform(tf.shape(x_1)[0], seeds[0])
        t = tf.sigmoid((low + (high - low) * share) / 2)
        error = self.error(x_1, t, labels, seeds[1], training) * math.prod(self.image_shape)
        reconstruction, prior = reconstruction_nats(x_1, seeds[2]), prior_nats(x_1)
        diffusion = (high - low) / 2 * t**2 * error  # x_0 - e = t (v - (x_1 - x_0))
        return {
            "elbo_nats": reconstruction - diffusion - prior,
            "reconstruction_nats": reconstruction,
            "diffusion_nats": diffusion,
            "prior_nats": prior,
        }

    def bound_by_a_draw(self, images, labels, part, seed):
        """The bound at a noise level in that part of their range: log p(x) >= its mean."""
        return self._bound_and_terms(signed(images), labels, seed, part)["elbo_nats"]

    def times(self, num_steps):
        """EDM's, of even steps in sigma^(1/7) (eq. 5), but for the first, which is noise alone."""
        first, last = (sigma ** (1 / _RHO) for sigma in (_SIGMA_MAX, _SIGMA_MIN))
        sigma = (first + tf.linspace(0.0, 1.0, num_steps) * (last - first)) ** _RHO
        return tf.concat([[0.0], self.moved(1 / (1 + sigma[1:])), [1.0]], axis=0)

    def endpoints(self):
        """The family's, and `log_prob`."""
        return {**super().endpoints(), "log_prob": self._bound_endpoint()}


def _time_of(log_snr: float) -> float:
    return 1 / (1 + math.exp(-log_snr / 2))


def prior_nats(x_1: tf.Tensor) -> tf.Tensor:
    """KL(q(x_t|x) || N(0, I)) at l_0, of x_t/sqrt(t^2 + (1 - t)^2); nats, [B].

    Args:
      x_1: images [B, H, W, C] in [-1, 1].
    """
    left = 1 / (1 + math.exp(-LOG_SNR[0]))  # of the image, of a variance of 1
    each = left * x_1**2 - left - math.log1p(-left)
    return tf.reduce_sum(each, [1, 2, 3]) / 2


def reconstruction_nats(x_1: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Log p(x|x_t) at l_1 of a draw of x_t, in nats [B].

    p(x|x_t) is proportional to N(x_t/t; x, sigma^2) among the five gray levels nearest to x_t/t.
    The true one is among them but for noise beyond 15 sigma.

    Args:
      x_1: images [B, H, W, C] in [-1, 1], on 256 levels.
      seed: int32 [2].
    """
    step, sigma = 2 / 255, math.exp(-LOG_SNR[1] / 2)
    x = x_1 + sigma * standard_normal(tf.shape(x_1), seed)
    levels = tf.round((x + 1) / step)[..., None] + np.arange(-2.0, 3.0, dtype=np.float32)
    away = (x[..., None] - (levels * step - 1)) / sigma
    exists = (levels >= 0) & (levels <= 255)
    log_weights = tf.where(exists, -(away**2) / 2, -np.inf)
    log_p = -(((x - x_1) / sigma) ** 2) / 2 - tf.reduce_logsumexp(log_weights, -1)
    return tf.reduce_sum(log_p, [1, 2, 3])

"""RealNVP (Dinh et al. 2017, arXiv:1605.08803), an invertible network of affine couplings.

A coupling keeps one half of what it is given, and moves the other by functions of the kept half
(`zoo/nn/flows.py`), which is undone as easily. Images become latents level by level (section 3.6):

    logit   y = log s/(1 - s),  s = a + (1 - 2a) v,  a = 0.05                    (section 4.1)
    level   2x2 pixels fold into channels; couplings; half of the channels are latents, and the
            others go on to the next level; all do of the last

Which channels a coupling keeps is random, the same two halves for each two couplings. Of a gray
image's first level, of four channels, these are the checkerboard and the stripes of the paper.
network=mlp has no levels: couplings of all pixels, which 2-D toy data need.

Gray levels are discrete, and the density of v is made a bound on log p(x) (`zoo/families/flow.py`).
With dequantization=variational the noise that makes x continuous is learned too (Ho et al. 2019,
arXiv:1902.00275, section 3.1), by couplings g that are told x. An untrained g is the identity, and
the noise uniform:

    u = sigmoid(g(e; x)),  e ~ Logistic(0, 1)

Deviations: no batch or weight normalization, so a symmetric interval of logits; each network is a
few residual blocks; log-scales are bounded by 3.
"""

import dataclasses
import math
from typing import Literal

import tensorflow_probability as tfp  # isort: skip  (before TensorFlow: TFP then imports it lazily)
import tensorflow as tf

from zoo.core.config import field
from zoo.core.stages import num_stages
from zoo.errors import InputError
from zoo.families.flow import FlowModel
from zoo.math.noise import standard_uniform
from zoo.nn import flows, networks

tfd = tfp.distributions

_MARGIN = 0.05  # a
_HOW = {"shuffled": True, "most": 3.0}  # of all couplings
_LEAST = 1e-6  # of the uniform noise, whose logit is finite then


@dataclasses.dataclass(frozen=True)
class Config:
    """Architecture and dequantization."""

    network: Literal["conv", "mlp"] = field(
        "conv", "Couplings of grids by convolutions, or of all pixels by perceptrons."
    )
    width: int = field(32, "Channels of the hidden layers of each coupling (conv).", lower=1)
    num_stages: int = num_stages(
        "Levels, each of which halves the sides (conv). 0: as often as they divide, down to 4 to 7 "
        "pixels."
    )
    num_flows: int = field(6, "Couplings of each level.", lower=1)
    num_blocks: int = field(1, "Residual blocks of each coupling (conv).", lower=0)
    hidden: tuple[int, ...] = field(
        (256, 256), "Units of the hidden layers of each coupling (mlp).", lower=1
    )
    dequantization: Literal["uniform", "variational"] = field(
        "variational", "The noise that makes gray levels continuous: uniform, or learned."
    )
    num_dequantization_flows: int = field(2, "Couplings of the learned noise.", lower=1)


class RealNVP(FlowModel):
    """A flow of images [N, H, W, C]."""

    Config = Config

    def __init__(self, config=None, **kwargs):
        super().__init__(config, **kwargs)
        c, (height, width, channels) = self.config, self.image_shape
        if c.network == "mlp" and self.latent_dim < 2:
            raise InputError("realnvp needs images of two pixels or channels: a coupling moves one")
        learned = c.dequantization == "variational"
        if c.network == "mlp":
            self.levels = [flows.couplings(self.latent_dim, c.num_flows, c.hidden, name="coupling")]
            if learned:
                self.noise = flows.couplings(
                    self.latent_dim,
                    c.num_dequantization_flows,
                    c.hidden,
                    context_dim=self.latent_dim,
                    name="noise",
                )
            self.build()
            return
        networks.Stages(c.width, c.num_stages).grid(self.image_shape)  # which checks the sides
        self.levels, shape = [], (height // 2, width // 2, 4 * channels)
        if learned:
            self.context = networks.grid_residual(
                shape, c.width, c.num_blocks, c.width, last="glorot_uniform", name="context"
            )
            self.noise = self._couplings(shape, c.num_dequantization_flows, "noise", c.width)
        for level in range(c.num_stages):
            self.levels.append(self._couplings(shape, c.num_flows, f"level_{level}"))
            shape = (shape[0] // 2, shape[1] // 2, 2 * shape[2])
        self.build()

    def _couplings(self, shape, number, name, context_dim=0):
        c = self.config
        return flows.grid_couplings(
            shape, number, c.width, c.num_blocks, context_dim=context_dim, name=name
        )

    def to_latents(self, v, training=False):
        """The latents of v, level after level, and log |det dz/dv|."""
        s = _MARGIN + (1 - 2 * _MARGIN) * v
        y = tf.math.log(s) - tf.math.log1p(-s)
        each = math.log(1 - 2 * _MARGIN) - tf.math.log(s) - tf.math.log1p(-s)  # log dy/dv
        log_det = tf.reduce_sum(each, [1, 2, 3])
        if self.config.network == "mlp":
            y = tf.reshape(y, [-1, self.latent_dim])
            flow = flows.chain(self.levels[0], self.latent_dim, **_HOW)
            return flow.inverse(y), log_det + flow.inverse_log_det_jacobian(y, event_ndims=1)
        done = []
        for level in self.levels:
            y = tf.nn.space_to_depth(y, 2)
            flow = flows.chain(level, y.shape[-1], **_HOW)
            log_det += flow.inverse_log_det_jacobian(y, event_ndims=3)
            y, latents = tf.split(flow.inverse(y), 2, axis=-1)
            done.append(latents)
        size = self.latent_dim  # all of the last level are latents
        done = [tf.reshape(z, [-1, math.prod(z.shape[1:])]) for z in (*done, y)]
        return tf.ensure_shape(tf.concat(done, -1), [None, size]), log_det

    def from_latents(self, z):
        """The inverse of `to_latents`, from the last level to the first."""
        if self.config.network == "mlp":
            y = flows.chain(self.levels[0], self.latent_dim, **_HOW).forward(z)
            y = tf.reshape(y, [-1, *self.image_shape])
        else:
            height, width, channels = self.image_shape
            shapes = [
                (height // 2 ** (i + 1), width // 2 ** (i + 1), 2 ** (i + 1) * channels)
                for i in range(len(self.levels))
            ]
            sizes = [math.prod(shape) for shape in shapes]
            *done, y = tf.split(z, [*sizes, sizes[-1]], axis=-1)
            y = tf.reshape(y, [-1, *shapes[-1]])
            for level, shape, latents in reversed(
                list(zip(self.levels, shapes, done, strict=True))
            ):
                y = tf.concat([y, tf.reshape(latents, [-1, *shape])], axis=-1)
                y = flows.chain(level, y.shape[-1], **_HOW).forward(y)
                y = tf.nn.depth_to_space(y, 2)
        return (tf.sigmoid(y) - _MARGIN) / (1 - 2 * _MARGIN)

    def dequantize(self, images, seed, training=False):
        """Uniform noise and 0; or u = sigmoid(g(e; x)) and log q(u|x)."""
        u = standard_uniform(tf.shape(images), seed)
        if self.config.dequantization == "uniform":
            return u, tf.zeros(tf.shape(images)[:1])
        u = tf.clip_by_value(u, _LEAST, 1 - _LEAST)
        e, x = tf.math.log(u) - tf.math.log1p(-u), 2 * images - 1
        logistic = tfd.Logistic(0.0, 1.0)
        log_q = tf.reduce_sum(logistic.log_prob(e), [1, 2, 3])
        if self.config.network == "mlp":
            e, x = (tf.reshape(a, [-1, self.latent_dim]) for a in (e, x))
            flow = flows.chain(self.noise, self.latent_dim, x, **_HOW)
            raw, log_det = flow.forward(e), flow.forward_log_det_jacobian(e, event_ndims=1)
            raw = tf.reshape(raw, [-1, *self.image_shape])
        else:
            e, x = (tf.nn.space_to_depth(a, 2) for a in (e, x))
            context = self.context(x, training=training)
            flow = flows.chain(self.noise, e.shape[-1], context, **_HOW)
            raw, log_det = flow.forward(e), flow.forward_log_det_jacobian(e, event_ndims=3)
            raw = tf.nn.depth_to_space(raw, 2)
        # d sigmoid(r)/dr is the logistic's density at r
        return tf.sigmoid(raw), log_q - log_det - tf.reduce_sum(logistic.log_prob(raw), [1, 2, 3])

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
        self.of_grids = c.network == "conv"
        if self.of_grids:
            networks.Stages(c.width, c.num_stages).grid(self.image_shape)  # which checks the sides
            shape, number = (height // 2, width // 2, 4 * channels), c.num_stages
        elif self.latent_dim < 2:
            raise InputError("realnvp needs images of two pixels or channels: a coupling moves one")
        else:
            shape, number = (self.latent_dim,), 1
        if c.dequantization == "variational":
            self.context = None
            if self.of_grids:
                self.context = networks.grid_residual(
                    shape, c.width, c.num_blocks, c.width, last="glorot_uniform", name="context"
                )
            told = c.width if self.of_grids else self.latent_dim
            self.noise = self._couplings(shape, c.num_dequantization_flows, "noise", told)
        self.levels, self.shapes = [], []  # of each level couplings, and its latents' shape
        for level in range(number):
            self.levels.append(self._couplings(shape, c.num_flows, f"level_{level}"))
            last = level == number - 1
            self.shapes.append(shape if last else (*shape[:-1], shape[-1] // 2))
            shape = (*(side // 2 for side in shape[:-1]), 2 * shape[-1])
        self.build()

    def _couplings(self, shape, number, name, told=0):
        c = self.config
        if not self.of_grids:
            return flows.couplings(*shape, number, c.hidden, context_dim=told, name=name)
        return flows.grid_couplings(
            shape, number, c.width, c.num_blocks, context_dim=told, name=name
        )

    def _fold(self, y):
        """What couplings take: four pixels as channels, or all pixels in a row."""
        if self.of_grids:
            return tf.nn.space_to_depth(y, 2)
        return tf.reshape(y, [-1, self.latent_dim])

    def _unfold(self, y):
        if self.of_grids:
            return tf.nn.depth_to_space(y, 2)
        return tf.reshape(y, [-1, *self.image_shape])

    def to_latents(self, v, training=False):
        """The latents of v, level after level, and log |det dz/dv|."""
        s = _MARGIN + (1 - 2 * _MARGIN) * v
        y = tf.math.log(s) - tf.math.log1p(-s)
        each = math.log(1 - 2 * _MARGIN) - tf.math.log(s) - tf.math.log1p(-s)  # log dy/dv
        log_det = tf.reduce_sum(each, [1, 2, 3])
        done = []
        for level in self.levels:
            y = self._fold(y)
            flow = flows.chain(level, y.shape[-1], **_HOW)
            log_det += flow.inverse_log_det_jacobian(y, event_ndims=len(y.shape) - 1)
            y = flow.inverse(y)
            if len(done) < len(self.levels) - 1:
                y, latents = tf.split(y, 2, axis=-1)
                done.append(latents)
        done = [
            tf.reshape(z, [-1, math.prod(shape)])
            for z, shape in zip((*done, y), self.shapes, strict=True)
        ]
        return tf.concat(done, -1), log_det

    def from_latents(self, z):
        """The inverse of `to_latents`, from the last level to the first."""
        parts = tf.split(z, [math.prod(shape) for shape in self.shapes], axis=-1)
        y = None
        for level, shape, latents in reversed(
            list(zip(self.levels, self.shapes, parts, strict=True))
        ):
            latents = tf.reshape(latents, [-1, *shape])
            y = latents if y is None else tf.concat([y, latents], axis=-1)
            y = self._unfold(flows.chain(level, y.shape[-1], **_HOW).forward(y))
        return (tf.sigmoid(y) - _MARGIN) / (1 - 2 * _MARGIN)

    def dequantize(self, images, seed, training=False):
        """Uniform noise and 0; or u = sigmoid(g(e; x)) and log q(u|x)."""
        u = standard_uniform(tf.shape(images), seed)
        if self.config.dequantization == "uniform":
            return u, tf.zeros(tf.shape(images)[:1])
        u = tf.clip_by_value(u, _LEAST, 1 - _LEAST)
        e = tf.math.log(u) - tf.math.log1p(-u)
        logistic = tfd.Logistic(0.0, 1.0)
        log_q = tf.reduce_sum(logistic.log_prob(e), [1, 2, 3])
        e, x = self._fold(e), self._fold(2 * images - 1)
        told = x if self.context is None else self.context(x, training=training)
        flow = flows.chain(self.noise, e.shape[-1], told, **_HOW)
        log_det = flow.forward_log_det_jacobian(e, event_ndims=len(e.shape) - 1)
        raw = self._unfold(flow.forward(e))
        # d sigmoid(r)/dr is the logistic's density at r
        return tf.sigmoid(raw), log_q - log_det - tf.reduce_sum(logistic.log_prob(raw), [1, 2, 3])

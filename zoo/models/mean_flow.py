"""MeanFlow (Geng et al. 2025, arXiv:2505.13447): an image in one network call.

The velocity v of flow matching is that of a moment. The mean velocity u of the way from time t to
time r is enough to go there at once:

    (r - t) u(x_t, t, r) = int_t^r v(x_s, s) ds        x_r = x_t + (r - t) u(x_t, t, r)

As in flow matching x_0 is noise and x_1 an image; the paper's time runs the other way. By t, along
the path, the left equation becomes one without an integral (eq. 6 there):

    u = v + (r - t) du/dt        du/dt = du/dx v + du/dt at rest

The network learns u from this by itself. The right side is what it is to give, of v = x_1 - x_0 and
of its own derivative, forward-mode, without a gradient, and along its own v = u(x_t, t, t), which
varies less than x_1 - x_0 (Geng et al. 2025b, arXiv:2512.02012):

    L = |u - sg(v + (r - t) du/dt)|^2 / sg(the same + 0.001)

which weighs great errors less (section 4.3). At r = t it is flow matching, without a derivative;
that is so for three quarters of a batch. For an eighth r is 1, and t is even in [0, 1]: one call
goes from 0 to 1, where the paper's logit-normal times all but never are.

Guidance can be learned too: v is then w (x_1 - x_0) + (1 - w) u(x_t, t, t) without the label (eq.
19), and one call draws what takes two elsewhere.

With predict=image the network gives D, the image to which u leads: u = (D - x_t)/(1 - t), as in Lu
et al. 2026 (arXiv:2601.22158). From noise to image in one step that is D itself, and the network
need not repeat the noise to take it away.
"""

import dataclasses
from typing import Literal

import tensorflow as tf

from zoo.core.config import field
from zoo.errors import InputError
from zoo.families import denoising
from zoo.families.base import LABELS
from zoo.math.noise import standard_normal, standard_uniform
from zoo.math.pixels import signed

_MEAN = 0.4  # of the logits of times, nearer to images (table 1d, whose time runs the other way)
_MOVING = 0.25  # share of a batch whose r is not t (table 1a); of half of it r is 1
_SMALL = 1e-3


@dataclasses.dataclass(frozen=True)
class Config(denoising.Config):
    """Network and sampler."""

    predict: Literal["image", "velocity"] = field(
        "image",
        "What the network gives: the image to which the mean velocity leads, or that velocity.",
        formerly="velocity",
    )
    learned_guidance: float = field(
        1.0, "Guidance that is learned, and so costs no network call; 1: none.", lower=0.0
    )
    sampler: Literal["jump", "euler", "heun"] = field(
        "jump", "How steps are made: by mean velocities, or by those of a moment."
    )
    num_steps: int = field(1, "Steps of the sampler, when nothing else is asked for.", lower=1)
    guidance: float = field(
        1.0, "Guidance of two network calls a step, beside what was learned; 1: none.", lower=0.0
    )


class MeanFlow(denoising.DenoisingModel):
    """A field of mean velocities of images [N, H, W, C], or of images and labels."""

    Config = Config
    tracked = ("loss", "error")
    watched_options = {"num_steps": 1, "guidance": 1.0}

    def __init__(self, config=None, **kwargs):
        super().__init__(config, **kwargs)
        if self.config.learned_guidance != 1 and not (self.conditional and self.guidable):
            raise InputError(
                "learned_guidance needs labels, some of which are dropped: label_dropout=0 and "
                "images without labels go with learned_guidance=1"
            )
        self.add_network(to=True)
        self.build()

    @property
    def last(self):
        """The last step is as the others are."""
        return self.sampler

    def velocity(self, x, t, labels=None, training=False, to=None):
        """U(x, t, r), or u(x, t, r, y), of r = `to`: [B, H, W, C]; where it is left out v(x, t)."""
        found = self.answer(x, t, labels, training, t if to is None else to)
        return found if self.config.predict == "velocity" else denoising.toward(found, x, t)

    # Apart from u, whose gradient would else be summed up in an order that changes with each trace.
    # A graph, as TensorFlow 2.21 loses the tape's gradient with an eager accumulator.
    @tf.function(autograph=False, reduce_retracing=True)
    def _slope(self, x, t, labels, to, v):
        """du/dt along dx/dt = v, of a network at rest (without dropout)."""
        with tf.autodiff.ForwardAccumulator([x, t], [v, tf.ones_like(t)]) as forward:
            u = self.velocity(x, t, labels, to=to)
        return forward.jvp(u, tf.UnconnectedGradients.ZERO)

    def losses(self, images, labels, training):
        """The loss, and the error |u - ...|^2, a mean over pixels."""
        x_1 = signed(images)
        batch = tf.shape(x_1)[:1]
        x_0 = standard_normal(tf.shape(x_1), self.next_seed())
        a, b = (
            self.moved(tf.sigmoid(_MEAN + standard_normal(batch, self.next_seed())))
            for _ in range(2)
        )
        even = self.moved(standard_uniform(batch, self.next_seed()))
        first = tf.cast(tf.math.ceil(_MOVING * tf.cast(batch[0], tf.float32)), tf.int32)
        place = tf.range(batch[0])
        moves, ends = place < first, place < (first + 1) // 2
        t = tf.where(ends, even, tf.where(moves, tf.minimum(a, b), a))
        r = tf.where(ends, 1.0, tf.where(moves, tf.maximum(a, b), a))
        told = self.told(labels, training)
        s, length = t[:, None, None, None], (r - t)[:, None, None, None]
        x, v = (1 - s) * x_0 + s * x_1, x_1 - x_0
        if (w := self.config.learned_guidance) != 1:
            nothing = tf.fill(batch, self.null_label)
            guided = w * v + (1 - w) * self.velocity(x, t, nothing)
            v = tf.where((told == self.null_label)[:, None, None, None], v, guided)
            v = tf.stop_gradient(v)
        u = self.velocity(x, t, told, training, r)
        x_m, t_m, told_m, r_m = (None if a is None else a[:first] for a in (x, t, told, r))
        along = tf.stop_gradient(self.velocity(x_m, t_m, told_m))
        change = length[:first] * self._slope(x_m, t_m, told_m, r_m, along)
        target = tf.stop_gradient(tf.concat([v[:first] + change, v[first:]], axis=0))
        squares = tf.reduce_sum((u - target) ** 2, [1, 2, 3])
        return {
            "loss": squares / tf.stop_gradient(squares + _SMALL),
            "error": squares / tf.cast(tf.size(x_1[0]), tf.float32),
        }

    def endpoints(self):
        """The family's, and `mean_velocity` from a time to another."""
        x = tf.TensorSpec([None, *self.way_shape], tf.float32, name="x")
        t, to = (tf.TensorSpec([None], tf.float32, name=name) for name in ("t", "to"))

        def mean_velocity(x, t, to, labels=None):
            return {"mean_velocity": self.velocity(x, t, self.with_null(labels), to=to)}

        also = [LABELS] if self.conditional else []
        return {**super().endpoints(), "mean_velocity": (mean_velocity, [x, t, to, *also])}

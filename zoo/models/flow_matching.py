"""Flow matching (Lipman et al. 2023, arXiv:2210.02747; Liu et al. 2023, arXiv:2209.03003).

Noise x_0 ~ N(0, I) goes to an image x_1 on a straight path, from time 0 to time 1:

    x_t = (1 - t) x_0 + t x_1        dx_t/dt = x_1 - x_0

A network learns the mean velocity of all paths through a place, which is all that is needed to go
from noise to images:

    L = E_{t, x_0, x_1} |v(x_t, t) - (x_1 - x_0)|^2        v*(x, t) = E[x_1 - x_0 | x_t = x]

The solution of dx/dt = v*(x, t) from x_0 has at each time the distribution of x_t, so at time 1
that of images. Samples follow it in a few steps of Euler's or Heun's method.

A network that gives v has all the noise to repeat, which takes more channels than a large patch of
pixels has numbers. With predict=image it gives the image that the path leads to (Li & He 2025,
arXiv:2511.13720), which is far simpler, and L is the same:

    v(x, t) = (F(x, t) - x) / (1 - t)

As the solution is a map of noise to images, the density of an image follows from that of its noise
(Lipman et al. 2023, appendix C; `zoo/math/odes.py`). Noise within a gray level makes it a bound:

    log p(x) >= E_u[log p(y) + D log 2/255],  y = x + u on the scale [-1, 1]
    log p(y) = log N(x_0; 0, I) - int_0^1 div v(x_t, t) dt,  x_1 = y

Times are logit-normal, t = sigmoid(n) with n ~ N(0, 1), more often in the middle, where most is to
be learned (Esser et al. 2024, arXiv:2403.03206, section 3.1).
"""

import dataclasses
import math
from typing import TYPE_CHECKING, Literal

import tensorflow as tf

from zoo.core import checks
from zoo.core.config import field
from zoo.core.stages import BySize
from zoo.families import denoising
from zoo.families.likelihood import MeanBound
from zoo.math import odes
from zoo.math.noise import standard_normal, standard_uniform
from zoo.math.pixels import in_unit_range, signed

if TYPE_CHECKING:
    import tensorflow_probability as tfp

EXACT = 16  # pixels and channels, up to which the trace is computed and not estimated


@dataclasses.dataclass(frozen=True)
class Config(denoising.Config):
    """Network and sampler."""

    predict: Literal["auto", "velocity", "image"] = field(
        "auto",
        "What the network gives: the velocity, or the image that it leads to; auto: the image from "
        "56 pixels on.",
        by_shape=BySize("velocity", "image"),
        formerly="velocity",
    )
    sampler: Literal["euler", "heun", "ancestral", "adaptive"] = field(
        "heun",
        "How steps are made: by one network call, by two, by one and new noise, or as many as keep "
        "their error small.",
    )


class FlowMatching(MeanBound, denoising.DenoisingModel):
    """A velocity field of images [N, H, W, C], or of images and labels."""

    Config = Config
    can = denoising.DenoisingModel.can | {"log_prob"}
    most_draws = 1
    num_measured = 1_000  # images whose likelihood is measured, each by hundreds of network calls

    def __init__(self, config=None, **kwargs):
        super().__init__(config, **kwargs)
        self.add_network()
        self.build()

    def velocity(self, x, t, labels=None, training=False):
        """V(x, t), or v(x, t, y): [B, H, W, C]."""
        found = self.answer(x, t, labels, training)
        if self.config.predict == "velocity":
            return found
        return denoising.toward(found, x, t)

    def losses(self, images, labels, training):
        """Loss = |v(x_t, t) - (x_1 - x_0)|^2, a mean over pixels, at one time for each image."""
        seed, x_1 = self.next_seed(), signed(images)
        t = self.moved(tf.sigmoid(standard_normal(tf.shape(x_1)[:1], self.next_seed())))
        return {"loss": self.error(x_1, t, self.told(labels, training), seed, training)}

    def log_p_y(self, y, labels, seed) -> tf.Tensor:
        """Log p(y), or log p(y|label), of y [B, H, W, C] on the scale [-1, 1]: nats [B].

        Of more than `EXACT` numbers the trace is estimated, without bias, by one draw of signs.

        Args:
          y: float32.
          labels: int32 [B] of a conditional model, or None.
          seed: int32 [2], of the signs.
        """
        signs = None
        if math.prod(self.image_shape) > EXACT:
            signs = tf.sign(standard_uniform(tf.shape(y), seed) - 0.5)
        v = lambda x, t: self.guided_velocity(x, t, labels, 1)  # noqa: E731
        x_0, change = odes.carried(v, y, 1.0, 0.0, signs)
        log_normal = -tf.reduce_sum(x_0**2 + math.log(2 * math.pi), [1, 2, 3]) / 2
        return log_normal - change

    def bound_by_a_draw(self, images, labels, part, seed):
        """Log p(y) + D log 2/255 of a draw of y, and of the signs: log p(x) >= its mean."""
        seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
        within = standard_uniform(tf.shape(images), seeds[0])
        y = signed(tf.round(255 * images) / 255) + (2 * within - 1) / 255
        return self.log_p_y(y, labels, seeds[1]) + math.prod(self.image_shape) * math.log(2 / 255)

    def encode(self, images, labels=None) -> "tfp.distributions.Distribution":
        """The noise x_0, of event shape [D], whose path leads to images [N, H, W, C].

        It is known exactly, but for the solver's tolerance: the distribution is that one place.
        """
        images, labels = self.asked(images, labels)

        def encode(x, y):
            x_0 = self._solved(signed(in_unit_range(x)), y, tf.constant([1.0, 0.0]))
            return tf.reshape(x_0, [-1, math.prod(self.image_shape)])

        return _certain(self.in_batches(encode, images, labels))

    def decode(self, latents, labels=None) -> "tfp.distributions.Distribution":
        """The image to which paths lead from noise [N, D]: the inverse of `encode`."""
        latents = checks.latents(latents, math.prod(self.image_shape))

        def decode(x, y):
            x = tf.reshape(x, [-1, *self.image_shape])
            x_1 = self._solved(x, y, tf.constant([0.0, 1.0]))
            return tf.clip_by_value((x_1 + 1) / 2, 0.0, 1.0)

        images = self.in_batches(decode, latents, self.labels_of(latents, labels))
        return _certain(images)

    @tf.function(autograph=False, reduce_retracing=True)
    def _solved(self, x, labels, ends):
        v = lambda t, x: self.guided_velocity(x, t, labels, 1)  # noqa: E731
        return odes.solve(v, x, ends)[0][0]

    def endpoints(self):
        """The family's, and `log_prob`."""
        return {**super().endpoints(), "log_prob": self._bound_endpoint()}


def _certain(values: tf.Tensor) -> "tfp.distributions.Distribution":
    """The distribution of batch shape [N] with all its mass on values [N, ...]."""
    import tensorflow_probability as tfp  # here: a model that only samples starts without it

    tfd = tfp.distributions
    return tfd.Independent(tfd.Deterministic(values), values.shape.rank - 1)

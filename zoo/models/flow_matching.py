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

Times are logit-normal, t = sigmoid(n) with n ~ N(0, 1), more often in the middle, where most is to
be learned (Esser et al. 2024, arXiv:2403.03206, section 3.1).
"""

import dataclasses
from typing import Literal

import tensorflow as tf

from zoo.core.config import field
from zoo.core.stages import BySize
from zoo.families import denoising
from zoo.math.noise import standard_normal
from zoo.math.pixels import signed

_LEAST = 0.02  # of the time that is left, by which is divided; so little noise is not seen


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


class FlowMatching(denoising.DenoisingModel):
    """A velocity field of images [N, H, W, C], or of images and labels."""

    Config = Config

    def __init__(self, config=None, **kwargs):
        super().__init__(config, **kwargs)
        self.add_network()
        self.build()

    def velocity(self, x, t, labels=None, training=False):
        """V(x, t), or v(x, t, y): [B, H, W, C]."""
        found = self.answer(x, t, labels, training)
        if self.config.predict == "velocity":
            return found
        return (found - x) / tf.maximum(1 - t, _LEAST)[:, None, None, None]

    def losses(self, images, labels, training):
        """Loss = |v(x_t, t) - (x_1 - x_0)|^2, a mean over pixels, at one time for each image."""
        seed, x_1 = self.next_seed(), signed(images)
        t = self.moved(tf.sigmoid(standard_normal(tf.shape(x_1)[:1], self.next_seed())))
        return {"loss": self.error(x_1, t, self.told(labels, training), seed, training)}

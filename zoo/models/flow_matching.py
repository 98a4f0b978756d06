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
be learned (Esser et al. 2024, arXiv:2403.03206, section 3.1). Of large images as much noise hides
less, so that their times, in training and between the steps of a sampler, are moved towards noise:
t -> t / (t + shift (1 - t)) (eq. 23). Given labels, a tenth of them is
dropped in training, so that the one network is also the unconditional model, and classifier-free
guidance has both (Ho & Salimans 2022, arXiv:2207.12598).
"""

import dataclasses
from typing import Literal

import tensorflow as tf

from zoo.core.config import field
from zoo.core.stages import BySize, num_stages, shift
from zoo.errors import InputError
from zoo.families.denoising import DenoisingModel
from zoo.math.noise import standard_normal, standard_uniform
from zoo.math.pixels import signed
from zoo.nn.u_net import perceptron, u_net

_LEAST = 0.02  # of the time that is left, by which is divided; so little noise is not seen


@dataclasses.dataclass(frozen=True)
class Config:
    """Network and sampler."""

    network: Literal["unet", "mlp"] = field("unet", "A U-Net, or a perceptron.")
    width: int = field(
        0,
        "Channels of the U-Net's first grid; 0: 44, and 64 from 56 pixels on.",
        lower=0,
        by_shape=BySize(44, 64),
        formerly=44,
    )
    num_stages: int = num_stages("How often the U-Net halves the sides; 0: to 7 or 8.", smallest=7)
    patch_size: int = field(
        0,
        "Side of the patches that are the places of the U-Net's first grid; 0: 2, and 4 from 56 "
        "pixels on.",
        lower=0,
        by_shape=BySize(2, 4),
        formerly=2,
    )
    predict: Literal["auto", "velocity", "image"] = field(
        "auto",
        "What the network gives: the velocity, or the image that it leads to; auto: the image from "
        "56 pixels on.",
        by_shape=BySize("velocity", "image"),
        formerly="velocity",
    )
    shift: float = field(
        0.0,
        "How far times are moved towards noise; 0: 1, not at all, and from 56 pixels on the side "
        "in units of 32.",
        lower=0.0,
        by_shape=shift,
        formerly=1.0,
    )
    num_blocks: int = field(1, "Residual blocks of each grid, down and up.", lower=1)
    dropout: float = field(0.0, "Share of activations dropped.", lower=0.0, upper=0.9)
    hidden: tuple[int, ...] = field((256, 256, 256), "Units of the perceptron's layers.", lower=1)
    conditional: bool = field(True, "Learn p(x|y) where images have labels.")
    label_dropout: float = field(
        0.1, "Share of labels not told in training, for guidance.", lower=0.0, upper=1.0
    )
    sampler: Literal["euler", "heun"] = field("heun", "Solver: one or two network calls a step.")
    num_steps: int = field(12, "Steps of the sampler, when nothing else is asked for.", lower=1)
    guidance: float = field(
        1.25,  # of 1, 1.25 and 1.5 the least FID, by samples of Fashion-MNIST
        "How much the label counts in samples; 1: as in the data, by half as many network calls.",
        lower=0.0,
    )


class FlowMatching(DenoisingModel):
    """A velocity field of images [N, H, W, C], or of images and labels."""

    Config = Config

    def __init__(self, config=None, **kwargs):
        super().__init__(config, **kwargs)
        c = self.config
        if self.conditional and c.label_dropout == 1:
            raise InputError("label_dropout=1 drops every label: give conditional=false instead")
        if self.conditional and not self.guidable and c.guidance != 1:
            raise InputError(
                "guidance needs a model without labels too: label_dropout=0 goes with guidance=1"
            )
        num_labels = self.num_classes + 1 if self.conditional else 0  # with the null label
        if c.network == "mlp":
            self.network = perceptron(self.image_shape, c.hidden, num_labels, name="network")
        else:
            self.network = u_net(
                self.image_shape,
                width=c.width,
                num_stages=c.num_stages,
                patch_size=c.patch_size,
                num_blocks=c.num_blocks,
                dropout=c.dropout,
                num_labels=num_labels,
                name="network",
            )
        self.build()

    @property
    def conditional(self) -> bool:
        """Whether images come with labels that are learned from."""
        return self.config.conditional and self.num_classes > 0

    @property
    def guidable(self) -> bool:
        """Whether some labels are dropped in training, which guidance needs."""
        return self.config.label_dropout > 0

    def velocity(self, x, t, labels=None, training=False):
        """V(x, t), or v(x, t, y): [B, H, W, C]."""
        given = [x, t] if labels is None else [x, t, labels]
        found = self.network([tf.convert_to_tensor(v) for v in given], training=training)
        if self.config.predict == "velocity":
            return found
        return (found - x) / tf.maximum(1 - t, _LEAST)[:, None, None, None]

    def moved(self, t):
        """Times towards noise: t / (t + shift (1 - t))."""
        shift = self.config.shift
        return t if shift == 1 else t / (t + shift * (1 - t))

    def times(self, num_steps):
        """Evenly spaced ones, moved as those of training are."""
        return self.moved(super().times(num_steps))

    def losses(self, images, labels, training):
        """Loss = |v(x_t, t) - (x_1 - x_0)|^2, a mean over pixels, at one time for each image."""
        x_1 = signed(images)
        batch = tf.shape(x_1)[:1]
        x_0 = standard_normal(tf.shape(x_1), self.next_seed())
        t = self.moved(tf.sigmoid(standard_normal(batch, self.next_seed())))
        s = t[:, None, None, None]
        if not self.conditional:
            labels = None
        elif training:
            told = standard_uniform(batch, self.next_seed()) >= self.config.label_dropout
            labels = tf.where(told, labels, self.null_label)
        v = self.velocity((1 - s) * x_0 + s * x_1, t, labels, training)
        return {"loss": tf.reduce_mean((v - (x_1 - x_0)) ** 2, [1, 2, 3])}

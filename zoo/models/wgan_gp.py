"""The Wasserstein GAN with gradient penalty (Gulrajani et al. 2017, arXiv:1704.00028).

    min_G max_D E_x[D(x)] - E_z[D(G(z))] - lambda E_u[(|grad D(u)| - 1)^2]                (eq. 3)

D, called the critic, gives scores and no probabilities. While its slope is at most 1 everywhere,
the first two terms at their best are the earth mover's distance between images and samples
(Arjovsky et al. 2017, arXiv:1701.07875, eq. 2), which has a slope for G wherever the samples are.
Gulrajani et al. ask for that slope on the lines between real and generated images; before them,
weights were clipped to [-c, c] (`--weight_clip=0.01 --penalty=none`; Arjovsky et al., algorithm 1).
The critic takes several steps for each of G, on distinct images, and has no batch norm, so that its
slope is of one image (section 4). Deviations: step sizes of 1e-3 that fall to 0 (there 1e-4), Adam
with clipped weights too (there RMSProp), and a moving average of G that draws.
"""

import dataclasses

import keras

from zoo.core.config import defaults, field
from zoo.errors import InputError
from zoo.models import gan
from zoo.nn.layers import registered


@defaults(
    network="conv",
    width=64,
    dropout=0.0,
    loss="wasserstein",
    penalty="gradient",
    discriminator_steps=5,
    ema_decay=0.999,
)
@dataclasses.dataclass(frozen=True)
class Config(gan.Config):
    """Architecture and objective of the Wasserstein GAN."""

    weight_clip: float = field(
        0.0, "c of the interval [-c, c] that D's weights are clipped to; 0: none.", lower=0.0
    )


@registered
class Clip(keras.constraints.Constraint):
    """Weights stay in [-limit, limit]."""

    def __init__(self, limit: float):
        """Args: limit, c."""
        self.limit = limit

    def __call__(self, w):
        """`w`, clipped."""
        return keras.ops.clip(w, -self.limit, self.limit)

    def get_config(self):
        """What the constructor was given."""
        return {"limit": self.limit}


class WGANGP(gan.GAN):
    """A Wasserstein GAN of images [N, H, W, C].

    Raises:
      InputError: clipped weights and a penalty; or neither, in the Wasserstein game.
    """

    Config = Config
    dense = ()

    def __init__(self, config=None, **kwargs):
        config = config or self.Config()
        if config.weight_clip and config.penalty != "none":
            raise InputError("weight_clip bounds D's slope in place of a penalty: penalty=none")
        super().__init__(config, **kwargs)

    @property
    def bounded(self) -> bool:
        """Clipped weights bound D's slope."""
        return self.config.weight_clip > 0

    def image_network(self, input_shape, output_size, name="discriminator", hidden=()):
        """The critic: a network from [B, *input_shape] to [B, output_size]."""
        critic = super().image_network(input_shape, output_size, name, hidden)
        limit = self.config.weight_clip
        for weight in critic.trainable_variables if limit else ():
            weight.constraint = Clip(limit)  # after each step of the optimizer
        return critic

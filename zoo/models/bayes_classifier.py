"""A classifier built of a conditional model that was not trained for it, by Bayes' rule.

    p(y|x) = p(x|y) p(y) / sum_k p(x|k) p(k)

The other way round than in `bayes_conditional`: p(x|y) is any conditional model with a likelihood,
or with a bound on it, which then stands in its place, and p(y) is uniform. A bound is a draw: all
images and labels have the same noise, that of the model's `seed`, so that what is said of an image
depends on no other image beside it.
"""

import dataclasses

import tensorflow as tf

from zoo.core.config import field
from zoo.errors import InputError
from zoo.families.base import ImageModel
from zoo.math.noise import stateless_seed
from zoo.math.pixels import in_unit_range

_SHARE = 5  # of the memory of a batch, that an image takes with every label


@dataclasses.dataclass(frozen=True)
class Config:
    """The part of the composition, and how it is asked."""

    p_x_given_y: str = field(
        "cvae", "p(x|y): a pretrained conditional model, or a workdir.", path="reference"
    )
    bound_samples: int = field(10, "K of the bound, where p(x|y) is known by one.", lower=1)


class BayesClassifier(ImageModel):
    """p(y|x) of images [N, H, W, C], made of p(x|y)."""

    Config = Config
    can = frozenset({"classify"})
    parts = ("p_x_given_y",)

    def __init__(self, config=None, *, p_x_given_y, **kwargs):
        """A composition.

        Args:
          config: how p(x|y) is asked.
          p_x_given_y: a conditional model with `log_prob`.
          **kwargs: `seed`, of a bound's noise; and Keras' own.

        Raises:
          InputError: it is not one.
        """
        shared = {k: getattr(p_x_given_y, k) for k in ("image_shape", "num_classes")}
        super().__init__(config, **{**kwargs, **shared})
        if not p_x_given_y.conditional or "log_prob" not in p_x_given_y.can:
            raise InputError(
                f"{p_x_given_y.name} is no p(x|y): choose a conditional model with a likelihood"
            )
        self.p_x_given_y = p_x_given_y
        self.build()

    @property
    def exact(self) -> bool:
        """Whether p(y|x) comes of likelihoods and not of bounds."""
        return self.p_x_given_y.exact

    def logits(self, images) -> tf.Tensor:
        """Log p(x|y) of every label y, [N, K], in nats: logits of p(y|x), as p(y) is uniform."""
        return self._log_p_x_given_y(in_unit_range(images), stateless_seed(self.seed))

    def call(self, images, training=False) -> tf.Tensor:
        """The `logits` [N, K] of images [N, H, W, C] (float32 in [0, 1], or uint8)."""
        return self.in_batches(self.logits, self.asked(images)[0], share=_SHARE)

    @tf.function(autograph=False, reduce_retracing=True)
    def _log_p_x_given_y(self, images, seed):
        model, num_samples = self.p_x_given_y, self.config.bound_samples

        def of_one(image_and_label):
            image, label = (part[None] for part in image_and_label)
            return model.log_prob(image, label, num_samples, seed)[0]

        def log_p(k):
            labels = tf.fill(tf.shape(images)[:1], k)
            if model.exact:
                return model.log_prob(images, labels)
            # one by one: noise goes by the place in the batch
            return tf.vectorized_map(of_one, (images, labels))

        # a loop, whose body is traced once: tracing it for each label took most of a first answer
        labels = tf.range(self.num_classes)
        return tf.transpose(tf.map_fn(log_p, labels, fn_output_signature=tf.float32))

    def classify(self, images) -> tf.Tensor:
        """p(y|x) of images [N, H, W, C]: probabilities [N, K]."""
        return tf.nn.softmax(self.call(images))

    def endpoints(self):
        """`classify`."""
        return {"classify": self._classify_endpoint()}

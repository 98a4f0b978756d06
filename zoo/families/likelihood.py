"""Models that are trained by one objective: a likelihood, a bound on it, or a cross-entropy."""

import keras
import tensorflow as tf

from zoo.core.checks import provided
from zoo.errors import InputError
from zoo.families import averaging
from zoo.families.base import ImageModel
from zoo.math.pixels import in_unit_range


class LikelihoodModel(ImageModel):
    """A model trained by one objective, a per-example `loss` (a bound, a likelihood)."""

    tracked = ("loss",)

    def compile(self, optimizer: keras.optimizers.Optimizer, **kwargs):
        """Keras' `compile`, with the optimizer's state built at once."""
        super().compile(optimizer=optimizer, **kwargs)
        self.optimizer.build(self.trainable_variables)

    def average_weights(self, decay: float) -> None:
        """Keeps an exponential moving average of the trainable weights from now on.

        Call it once the model is compiled. Training goes on with the weights themselves;
        `weight_average.swap()` puts the averages in their place.

        Args:
          decay: of the average, in (0, 1).
        """
        self.weight_average = averaging.WeightAverage(self, decay)

    def measured(self, images) -> tf.Tensor:
        """Images [N, H, W, C] whose likelihood is asked for, as float32 in [0, 1].

        Raises:
          InputError: they are gray, and of the model's pixels, black or white, a gray one would get
            a number that is no likelihood.
        """
        images = in_unit_range(images)
        if not self.binary:
            return images
        known = tf.reduce_all((images == 0) | (images == 1))
        return provided(known, "pixels must be 0 or 1, black or white: binarize them first", images)

    def losses(self, images, labels, training: bool) -> dict[str, tf.Tensor]:
        """Per-example quantities [B]; `loss` is minimized, those in `tracked` are logged.

        A quantity whose `metric_of` is no mean may have another shape.

        Args:
          images: float32 [B, H, W, C] in [0, 1].
          labels: int32 [B], or None.
          training: whether dropout and the like are on.
        """
        raise NotImplementedError

    def train_step(self, data) -> dict[str, tf.Tensor]:
        """One step down the mean loss of a batch."""
        images, labels, weights = self._unpack(data)
        values, _ = self._descend(
            lambda: self._weighed(self.losses(images, labels, training=True), weights),
            "loss",
            self.optimizer,
            self.trainable_variables,
        )
        if missing := [name for name in self.tracked if name not in values]:
            raise InputError(
                f"{self.name}.tracked has {missing[0]!r}, and losses() gives {', '.join(values)}"
            )
        if self.weight_average is not None:
            self.weight_average.follow(self.optimizer.iterations)
        return self._track(values)

    def test_step(self, data) -> dict[str, tf.Tensor]:
        """The same quantities on a batch that is not learnt from."""
        images, labels, weights = self._unpack(data)
        return self._track(self._weighed(self.losses(images, labels, training=False), weights))

    def _weighed(self, values, weights):
        """The loss of each example times its weight, as Keras does; all else stays unweighted."""
        return values if weights is None else {**values, "loss": values["loss"] * weights}

"""Models that are trained by one objective: a likelihood, a bound on it, or a cross-entropy."""

import math
from collections.abc import Callable

import keras
import tensorflow as tf

from zoo.core import checks
from zoo.errors import InputError
from zoo.families import averaging
from zoo.families.base import ImageModel
from zoo.math.noise import stateless_seed
from zoo.math.pixels import bits_per_dim, in_unit_range


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
        return checks.provided(
            known, "pixels must be 0 or 1, black or white: binarize them first", images
        )

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


class BoundedModel(LikelihoodModel):
    """A model whose log p(x) is bounded by weights of draws: log p(x) >= E log 1/K sum_k w_k.

    It defines `log_weights`.
    """

    def log_weights(self, images, labels) -> Callable[[tf.Tensor], tf.Tensor]:
        """What gives log w [B] of a draw, of which E[w] = p(x), by a seed int32 [2].

        Args:
          images: float32 [B, H, W, C] in [0, 1].
          labels: int32 [B] of a conditional model.
        """
        raise NotImplementedError

    def log_prob(self, images, labels=None, num_samples=1, seed=None) -> tf.Tensor:
        """A lower bound on log p(x), or log p(x|y): the K-sample bound, nats an image [N].

        In expectation over the seed it is the ELBO for K = 1, grows with K = `num_samples` and
        tends to log p(x) (Burda et al. 2016, eq. 8). Memory does not grow with K.

        Args:
          images: float32 in [0, 1] or uint8, [N, H, W, C].
          labels: int32 [N], y of a conditional model.
          num_samples: K, the draws an image; an int or an int32 tensor.
          seed: an integer; the same one gives the same numbers.

        Raises:
          InputError: images or labels are not what this model takes, `num_samples` is below 1, or
            the images are gray and p(x|z) is of black or white pixels.
        """
        return self.importance_bound(images, labels, num_samples, seed)[:, 0]

    def importance_bound(self, images, labels=None, num_samples=1, seed=None) -> tf.Tensor:
        """`log_prob`, and how many of its K draws count: the effective sample size of each image.

        (sum_k w_k)^2 / sum_k w_k^2 is between 1, one draw outweighs all others and the bound may be
        far from log p(x), and K, all weigh the same (Owen 2013, Monte Carlo theory, eq. 9.13).

        Args:
          images: as for `log_prob`, and so are the others.
          labels: likewise.
          num_samples: likewise.
          seed: likewise.

        Returns:
          [N, 2]: nats and effective sample size.

        Raises:
          InputError: as `log_prob`.
        """
        num_samples = checks.whole("num_samples", num_samples, 1)
        num_samples = tf.convert_to_tensor(num_samples, tf.int32)

        def bound(x, y, seed):
            return self._importance_bound(self.measured(x), y, num_samples, seed)

        images, labels = self.asked(images, labels)
        return self.in_batches(bound, images, labels, seed=stateless_seed(seed))

    @tf.function(autograph=False, reduce_retracing=True)
    def _importance_bound(self, images, labels, num_samples, seed):
        log_weight = self.log_weights(images, labels)

        def add(k, top, total, of_squares):
            log_w = log_weight(tf.random.experimental.stateless_fold_in(seed, k))
            # beside the greatest weight: of thousands of nats a float32 forgets small parts
            new = tf.maximum(top, log_w)
            scale, w = tf.exp(top - new), tf.exp(log_w - new)
            return k + 1, new, scale * total + w, scale**2 * of_squares + w**2

        zeros = tf.zeros(tf.shape(images)[:1])
        start = [0, zeros + tf.float32.min, zeros, zeros]
        _, top, total, of_squares = tf.while_loop(lambda k, *_: k < num_samples, add, start)
        bound = top + tf.math.log(total / tf.cast(num_samples, tf.float32))
        return tf.stack([bound, total**2 / of_squares], axis=-1)


class MeanBound:
    """For models whose log p(x) is bounded by a mean over draws, each of which is quick.

    They define `bound_by_a_draw`, and their `can` has log_prob.
    """

    averaged = True

    def bound_by_a_draw(self, images, labels, part, seed) -> tf.Tensor:
        """An unbiased estimate of the bound in nats, [B].

        Args:
          images: float32 [B, H, W, C] in [0, 1].
          labels: int32 [B] of a conditional model, or None.
          part: the ends of the part of [0, 1] to which the draw is confined, if it can be.
          seed: int32 [2].
        """
        raise NotImplementedError

    def bits_per_dim(self, nats) -> tf.Tensor:
        """A log-likelihood of an image, in nats [N], as code length in bits a pixel and channel."""
        return bits_per_dim(nats, math.prod(self.image_shape))

    def log_prob(self, images, labels=None, num_samples=None, seed=None) -> tf.Tensor:
        """An estimate of a lower bound on log p(x), or log p(x|y), in nats an image [N].

        Its mean over the seed is the bound, whatever K is; its spread falls with K.

        Args:
          images: float32 in [0, 1] or uint8, [N, H, W, C]; the nearest of 256 levels is taken.
          labels: int32 [N] for a conditional model.
          num_samples: K, the draws of each image; the model's `most_draws` when left out.
          seed: an integer; the same one gives the same numbers.

        Raises:
          InputError: images or labels are not what this model takes, or `num_samples` is below 1.
        """
        num_samples = self.most_draws if num_samples is None else num_samples
        num_samples = checks.whole("num_samples", num_samples, 1)
        num_samples = tf.convert_to_tensor(num_samples, tf.int32)

        def bound(x, y, seed):
            return self._mean_bound(in_unit_range(x), y, num_samples, seed)

        images, labels = self.asked(images, labels)
        return self.in_batches(bound, images, labels, seed=stateless_seed(seed))

    @tf.function(autograph=False, reduce_retracing=True)
    def _mean_bound(self, images, labels, num_samples, seed):
        parts = tf.cast(num_samples, tf.float32)

        def add(k, total):
            start = tf.cast(k, tf.float32)
            own = tf.random.experimental.stateless_fold_in(seed, k)
            part = start / parts, (start + 1) / parts
            return k + 1, total + self.bound_by_a_draw(images, labels, part, own) / parts

        start = [0, tf.zeros(tf.shape(images)[:1])]
        more = lambda k, _: k < num_samples  # noqa: E731
        return tf.while_loop(more, add, start, parallel_iterations=1)[1]

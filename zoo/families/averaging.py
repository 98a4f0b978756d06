"""Exponential moving averages of weights, which sample better than the weights themselves.

a <- d a + (1 - d) w after each step, for every weight w (Yazici et al. 2019, arXiv:1806.04498).
"""

import contextlib
from collections.abc import Sequence

import keras
import tensorflow as tf

Pairs = Sequence[tuple[keras.Variable, keras.Variable]]


def decay_at(step: tf.Tensor, decay: float) -> tf.Tensor:
    """The decay after so many steps: min(decay, (1 + t) / (10 + t)).

    So the first weights, which are noise, are soon forgotten.
    """
    t = tf.cast(step, tf.float32)
    return tf.minimum(tf.constant(decay), (1 + t) / (10 + t))


def follow(pairs: Pairs, decay: tf.Tensor) -> None:
    """One step of averages, from inside of a train step, on one device or on several.

    Args:
      pairs: of an average and the weight that it follows.
      decay: how much of the average stays.
    """

    def blend(a, w, decay):
        return a.assign(decay * a + (1 - decay) * w)

    def update(strategy, decay):
        for a, w in pairs:
            strategy.extended.update(a.value, blend, args=(w.value, decay), group=False)

    tf.distribute.get_replica_context().merge_call(update, args=(decay,))


class WeightAverage:
    """The averages of a model's trainable weights, kept beside them.

    It is no layer, so that its variables are none of the model's own.
    """

    def __init__(self, model: keras.Model, decay: float):
        """Args: model, built; decay, in (0, 1)."""
        self.decay = decay
        self.pairs = [
            # of a copy: of a tf.Variable Keras would make no new one
            (keras.Variable(w.numpy(), trainable=False, dtype=w.dtype, name=f"average_{i}"), w)
            for i, w in enumerate(model.trainable_variables)
        ]

    def follow(self, step: tf.Tensor) -> None:
        """Comes after each of the optimizer's steps; `step` counts them."""
        follow(self.pairs, decay_at(step, self.decay))

    def restart(self) -> None:
        """Makes the averages what the weights are now, as when these come from another run."""
        for a, w in self.pairs:
            a.assign(w.value)

    @contextlib.contextmanager
    def in_place(self):
        """The averages in place of the weights, for the length of the block."""
        self.swap()
        try:
            yield
        finally:
            self.swap()

    def swap(self) -> None:
        """Exchanges the averages and the weights; done again, each is where it was."""
        for a, w in self.pairs:
            average = tf.identity(a.value)
            a.assign(w.value)
            w.assign(average)

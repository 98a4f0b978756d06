"""Priors p(z) of a grid of codes z_1, ..., z_N, by a transformer (`zoo/nn/transformer.py`).

RasterPrior, row by row (van den Oord et al. 2017, arXiv:1711.00937, and Esser et al. 2021,
arXiv:2012.09841, section 3.2):

    p(z) = prod_i p(z_i | z_1, ..., z_{i-1})

The transformer is causal and the likelihood exact. A code is drawn at a time, and the keys and
values of those before it are kept.

MaskedPrior, in any order (MaskGIT: Chang et al. 2022, arXiv:2202.04200): the network sees all codes
that are known, and hidden ones in their place else. Let L_n be N/n times the cross-entropy of n
hidden codes, chosen at random. Taken in a random order s, with one code a call, p(z) is a mean over
orders, and (Hoogeboom et al. 2022, arXiv:2110.02037, eq. 4)

    p(z) = E_s prod_i p(z_s(i) | z_s(1), ..., z_s(i-1)),   log p(z) >= -1/N sum_n E L_n      bound
    n = ceil(N cos(pi u / 2)),  u ~ Uniform(0, 1),         loss = E_n L_n                     loss

MaskGIT's loss draws many hidden codes more often than few, and is no bound. The same draw, with the
weight 1/(N P(n)), is an unbiased estimate of the bound.

Few calls draw from another distribution than p(z): codes of one call do not see each other, and
those that are surest are kept. As many calls as codes go by a random order, and draw from p(z)
exactly. Deviation: in MaskGIT the surest codes come first in that case, too, which favors some.
"""

import math

import numpy as np
import tensorflow as tf
from keras import layers

from zoo.core import checks
from zoo.core.batches import in_batches
from zoo.errors import InputError
from zoo.math.noise import spread_uniform, standard_gumbel, standard_uniform
from zoo.nn.transformer import CodeTransformer

_AT_A_TIME = 500 * 49  # codes that are drawn


class ExactPrior:
    """What priors share that know log p(z): they define `log_p_codes` and `draw`."""

    exact = True

    def log_p_codes(self, codes) -> tf.Tensor:
        """Log p(z_i | z_1, ..., z_{i-1}) of codes int32 [B, h, w] in nats, [B, h, w]."""
        raise NotImplementedError

    def draw(self, num_samples, seed) -> tf.Tensor:
        """Codes int32 [num_samples, h, w] drawn from p(z), with a seed int32 [2]."""
        raise NotImplementedError

    def terms(self, codes, seed) -> tuple[tf.Tensor, tf.Tensor]:
        """What is minimized and a bound on -log p(z): both -log p(z), in nats [B, h, w]."""
        nats = -self.log_p_codes(codes)
        return nats, nats

    def bound(self, codes, num_draws, seed) -> tf.Tensor:
        """Log p(z) itself, in nats [B]; nothing is drawn."""
        return tf.reduce_sum(self.log_p_codes(codes), [1, 2])

    def draw_in(self, num_steps, num_samples, seed) -> tf.Tensor:
        """`draw`, which is by one code at a time.

        Raises:
          InputError: `num_steps` is not None.
        """
        self.num_calls(num_steps)
        return self.draw(num_samples, seed)

    def num_calls(self, num_steps: int | None) -> int:
        """How many codes are drawn one after the other.

        Raises:
          InputError: `num_steps` is not None.
        """
        if num_steps is not None:
            raise InputError(
                "num_steps goes with prior=maskgit: other priors draw a code at a time"
            )
        return self.length


class CodePrior(layers.Layer):
    """A distribution over grids of codes, int32 [B, h, w], and its transformer."""

    causal: bool

    def __init__(
        self,
        num_codes: int,
        grid: tuple[int, int],
        width: int,
        num_layers: int,
        num_heads: int,
        **kwargs,
    ):
        """A prior.

        Args:
          num_codes: K.
          grid: (h, w).
          width: channels of the transformer.
          num_layers: its blocks.
          num_heads: of its attention.
          **kwargs: Keras' own.

        Raises:
          InputError: the heads do not divide the channels.
        """
        super().__init__(**kwargs)
        self.num_codes, self.grid, self.length = num_codes, tuple(grid), math.prod(grid)
        self.network = CodeTransformer(
            num_codes, self.length, width, num_layers, num_heads, self.causal, name="network"
        )
        self.built = True

    def _flat(self, codes):
        return tf.reshape(codes, [-1, self.length])

    def _in_grid(self, values):
        return tf.reshape(values, [-1, *self.grid])

    def _in_batches(self, draw, num_samples, seed, *arguments):
        """`draw` of so many samples at a time that their memory is little."""

        def codes(which, seed):
            return self._in_grid(draw(tf.shape(which)[0], *arguments, seed))

        return in_batches(codes, [tf.range(num_samples)], max(1, _AT_A_TIME // self.length), seed)


class RasterPrior(ExactPrior, CodePrior):
    """Codes one after the other: an exact likelihood."""

    causal = True

    def log_p_codes(self, codes):
        """Log p(z_i | z_1, ..., z_{i-1}) of codes int32 [B, h, w] in nats, [B, h, w]."""
        codes = self._flat(codes)
        return self._in_grid(_log_p(self.network(codes), codes))

    def draw(self, num_samples, seed):
        """Codes int32 [num_samples, h, w] drawn from p(z), with a seed int32 [2]."""
        return self._in_batches(self._draw, num_samples, seed)

    @tf.function(autograph=False, reduce_retracing=True)
    def _draw(self, num_samples, seed):
        def place(i, before, codes, past):
            logits, past = self.network.step(before, i, past)
            here = tf.random.experimental.stateless_fold_in(seed, i)
            before = tf.argmax(logits + standard_gumbel(tf.shape(logits), here), -1, tf.int32)
            return i + 1, before, codes.write(i, before), past

        past = self.network.begin(num_samples)
        longer = tf.nest.map_structure(
            lambda v: tf.TensorShape([*v.shape[:2], None, v.shape[3]]), past
        )
        start = tf.fill([num_samples], self.num_codes)
        codes = tf.TensorArray(tf.int32, self.length, element_shape=[None])
        _, _, codes, _ = tf.while_loop(
            lambda i, *_: i < self.length,
            place,
            [0, start, codes, past],
            shape_invariants=[start.shape[:0], start.shape, tf.TensorShape(None), longer],
            parallel_iterations=1,
        )
        return tf.transpose(codes.stack())


class MaskedPrior(CodePrior):
    """Codes in any order, several at a time: a bound on the likelihood."""

    causal, exact = False, False

    def __init__(self, *args, num_steps: int, temperature: float, **kwargs):
        """A prior.

        Args:
          *args: as for `CodePrior`.
          num_steps: T, network calls that draw a grid. As many as codes draw from p(z).
          temperature: of the noise in the choice of codes that are kept, at the first call; it
            falls to 0 by the last one. With as many calls as codes the choice is noise alone.
          **kwargs: as for `CodePrior`.
        """
        super().__init__(*args, **kwargs)
        self.num_steps, self.temperature = num_steps, temperature

    def terms(self, codes, seed, among=(0.0, 1.0)) -> tuple[tf.Tensor, tf.Tensor]:
        """MaskGIT's loss, and the bound on -log p(z), of one draw of hidden places each.

        Args:
          codes: int32 [B, h, w].
          seed: int32 [2].
          among: the part of [0, 1) of which u is drawn.

        Returns:
          The terms of each place, [B, h, w] each in nats, 0 where codes are known. The mean of the
          second one's sum over the seed is the bound, if u is drawn of all of [0, 1).
        """
        codes = self._flat(codes)
        seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
        low, high = among
        u = low + (high - low) * spread_uniform(tf.shape(codes)[0], seeds[0])
        count = tf.math.ceil(self.length * tf.cos(math.pi / 2 * u))
        count = tf.clip_by_value(tf.cast(count, tf.int32), 1, self.length)
        hidden = _ranks(standard_uniform(tf.shape(codes), seeds[1])) < count[:, None]
        logits = self.network(tf.where(hidden, self.num_codes, codes))
        scale = self.length / tf.cast(count, tf.float32)[:, None]
        terms = tf.where(hidden, -scale * _log_p(logits, codes), 0.0)
        weight = tf.gather(tf.constant(weights_of_counts(self.length), tf.float32), count)
        return self._in_grid(terms), self._in_grid(weight[:, None] * terms)

    @tf.function(autograph=False, reduce_retracing=True)
    def bound(self, codes, num_draws, seed) -> tf.Tensor:
        """An unbiased estimate of the lower bound on log p(z) of codes [B, h, w], nats [B].

        Args:
          codes: int32 [B, h, w].
          num_draws: of hidden places, one in each of as many parts of [0, 1); int32 [].
          seed: int32 [2].
        """
        parts = tf.cast(num_draws, tf.float32)

        def add(k, total):
            start = tf.cast(k, tf.float32)
            own = tf.random.experimental.stateless_fold_in(seed, k)
            _, nats = self.terms(codes, own, (start / parts, (start + 1) / parts))
            return k + 1, total - tf.reduce_sum(nats, [1, 2]) / parts

        start = [0, tf.zeros(tf.shape(codes)[:1])]
        more = lambda k, _: k < num_draws  # noqa: E731
        return tf.while_loop(more, add, start, parallel_iterations=1)[1]

    def num_calls(self, num_steps: int | None) -> int:
        """How often the network is asked about a grid that is drawn: at most once a code.

        Args:
          num_steps: None: the prior's own.

        Raises:
          InputError: it is no whole number of at least 1.
        """
        num_steps = self.num_steps if num_steps is None else num_steps
        return min(checks.whole("num_steps", num_steps, 1), self.length)

    def draw_in(self, num_steps, num_samples, seed) -> tf.Tensor:
        """Codes int32 [num_samples, h, w], drawn in so many calls, with a seed int32 [2].

        Raises:
          InputError: as `num_calls`.
        """
        how = tf.constant(self.num_calls(num_steps)), tf.constant(self.temperature, tf.float32)
        return self._in_batches(self._draw, num_samples, seed, *how)

    @tf.function(autograph=False, reduce_retracing=True)
    def _draw(self, num_samples, num_steps, temperature, seed):
        sure = tf.cast(num_steps < self.length, tf.float32)

        def call(t, count, codes):
            """Of `count` hidden codes all are drawn, and some are kept."""
            seeds = tf.random.experimental.stateless_fold_in(seed, t)
            seeds = tf.unstack(tf.random.experimental.stateless_split(seeds, 2))
            logits = self.network(codes)
            drawn = tf.argmax(logits + standard_gumbel(tf.shape(logits), seeds[0]), -1, tf.int32)
            share = tf.cast(t + 1, tf.float32) / tf.cast(num_steps, tf.float32)
            noise = standard_gumbel(tf.shape(codes), seeds[1])
            heat = sure * temperature * (1 - share) + (1 - sure)
            choice = sure * _log_p(logits, drawn) + heat * noise
            left = tf.cast(tf.floor(self.length * tf.cos(math.pi / 2 * share)), tf.int32)
            left = tf.maximum(tf.minimum(left, count - 1), 0)
            hidden = codes == self.num_codes
            last = _ranks(tf.where(hidden, choice, np.inf)) < left  # the least sure
            return t + 1, left, tf.where(hidden & ~last, drawn, codes)

        blank = tf.fill([num_samples, self.length], self.num_codes)
        start = [0, tf.constant(self.length), blank]
        going = lambda t, *_: t < num_steps  # noqa: E731
        return tf.while_loop(going, call, start, parallel_iterations=1)[2]


def weights_of_counts(length: int) -> np.ndarray:
    """1/(N P(n)) of n = ceil(N cos(pi u / 2)) with u ~ Uniform(0, 1): [N + 1], 0 for n = 0."""
    p = -np.diff(np.arccos(np.arange(length + 1) / length)) * 2 / math.pi
    return np.concatenate([[0.0], 1 / (length * p)])


def _log_p(logits: tf.Tensor, codes: tf.Tensor) -> tf.Tensor:
    """Log p of codes [...] by logits [..., K]; of hidden ones it means nothing."""
    codes = tf.minimum(codes, logits.shape[-1] - 1)
    return -tf.nn.sparse_softmax_cross_entropy_with_logits(labels=codes, logits=logits)


def _ranks(values: tf.Tensor) -> tf.Tensor:
    """The place of each number in the order of its row, the least being 0: int32 [B, N]."""
    return tf.argsort(tf.argsort(values, stable=True), stable=True)

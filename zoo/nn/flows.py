"""Affine couplings (Dinh et al. 2017, arXiv:1605.08803, eq. 4-8), and what they make of Gaussians.

    f(z_a, z_b) = (z_a, z_b exp(a) + b),   (b, artanh a) = network(z_a, h),   log |det| = sum a

One half of z is kept, the other is scaled and shifted by functions of the kept half. Halves take
turns; they are always the same two, or random ones for each two couplings, so that every dimension
meets others in its half. A context h, if there is one, is told too. Both directions cost the same.
A coupling scales by e at the most, if nothing else is asked for, and an untrained one is the
identity: its last layer is 0.

Of a grid [h, w, C] the halves are of channels, and networks are convolutions.
"""

import functools
from collections.abc import Sequence

import tensorflow_probability as tfp  # isort: skip  (before TensorFlow: TFP then imports it lazily)
import keras
import numpy as np
import tensorflow as tf

from zoo.core.batches import in_batches
from zoo.nn import networks

tfb, tfd = tfp.bijectors, tfp.distributions

_BATCH = 500  # examples whose draws are computed at a time


def kept(size: int, number: int) -> list[int]:
    """How many dimensions each of `number` couplings keeps: in turn the first half, the others."""
    return [(size // 2, size - size // 2)[i % 2] for i in range(number)]


def couplings(
    size: int, number: int, hidden: Sequence[int], *, context_dim: int = 0, name: str
) -> list[keras.Model]:
    """The networks of a chain of couplings of z [..., size].

    Args:
      size: at least 2.
      number: of couplings.
      hidden: units of the hidden layers of each network.
      context_dim: size of h.
      name: of the networks, before their numbers.
    """
    return [
        networks.mlp(
            (same + context_dim,), hidden, (2 * (size - same),), last="zeros", name=f"{name}_{i}"
        )
        for i, same in enumerate(kept(size, number))
    ]


def grid_couplings(
    shape: Sequence[int],
    number: int,
    width: int,
    num_blocks: int,
    *,
    context_dim: int = 0,
    name: str,
) -> list[keras.Model]:
    """The networks of a chain of couplings of a grid z [..., h, w, C].

    Args:
      shape: (h, w, C), with at least two channels.
      number: of couplings.
      width: channels of the hidden layers of each network.
      num_blocks: its residual blocks.
      context_dim: channels of h.
      name: of the networks, before their numbers.
    """
    *sides, size = shape
    return [
        networks.grid_residual(
            (*sides, same + context_dim), width, num_blocks, 2 * (size - same), name=f"{name}_{i}"
        )
        for i, same in enumerate(kept(size, number))
    ]


def chain(
    flow: Sequence[keras.Model],
    size: int,
    context=None,
    shuffled: bool = False,
    most: float = 1.0,
) -> tfb.Bijector:
    """f_T(... f_1(z)) of the networks of couplings, and of their context [B, context_dim].

    Args:
      flow: of `couplings`, or of `grid_couplings`.
      size: of z, or of its channels.
      context: h, or None; of a grid [B, h, w, context_dim].
      shuffled: whether each two couplings have random halves, the same ones in every flow of this
        size, and not the first and the second.
      most: bounds |a|, the logarithm of what a coupling scales by.
    """
    maps = []
    for i, (same, network) in enumerate(zip(kept(size, len(flow)), flow, strict=True)):
        # a negative number of masked dimensions keeps the last ones
        coupling = tfb.RealNVP(
            num_masked=same if i % 2 == 0 else -same,
            shift_and_log_scale_fn=functools.partial(shift_and_log_scale, network, context, most),
        )
        if shuffled:
            order = np.random.RandomState(i // 2).permutation(size)  # NumPy keeps these for ever
            order = tfb.Permute(order.astype(np.int32))
            coupling = tfb.Chain([tfb.Invert(order), coupling, order])
        maps.append(coupling)
    return tfb.Chain(maps[::-1])


def shift_and_log_scale(
    network, context, most, kept, size, **kwargs
) -> tuple[tf.Tensor, tf.Tensor]:
    """A coupling's b and a, [..., B, size] each, of the kept half of z and the context h.

    Of a grid all shapes have [h, w] before their last axis.

    Args:
      network: from [N, kept and context] to [N, 2 size].
      context: [B, context_dim], or None.
      most: bounds |a|.
      kept: [..., B, D - size].
      size: dimensions that are moved.
      **kwargs: TFP's, empty.
    """
    lead = tf.shape(kept)[:-1]
    if context is not None:
        context = tf.broadcast_to(context, tf.concat([lead, context.shape[-1:]], axis=0))
        kept = tf.concat([kept, context], axis=-1)
    output = network(tf.reshape(kept, [-1, *network.input_shape[1:]]))
    shift, raw = tf.split(tf.reshape(output, tf.concat([lead, [2 * size]], axis=0)), 2, axis=-1)
    return shift, tf.tanh(raw) if most == 1 else most * tf.tanh(raw / most)


class Flowed(tfd.TransformedDistribution):
    """A diagonal Gaussian moved by a flow, whose first two moments are estimates.

    They are those of what the flow makes of fixed draws of noise, the same for each example. The
    noise has mean 0 and variance 1 in each dimension, which makes both exact where the flow is
    affine in each dimension; elsewhere they err as so many draws do, the mean by about
    stddev / sqrt(NUM_DRAWS).
    """

    NUM_DRAWS = 64

    def _draws(self):
        loc, scale = self.distribution.mean(), self.distribution.stddev()
        shape = [self.NUM_DRAWS, *[1] * (loc.shape.rank - 1), self.event_shape[0]]
        noise = tf.random.stateless_normal(shape, [0, 0], alg="philox")
        noise -= tf.reduce_mean(noise, 0)
        noise /= tf.math.reduce_std(noise, 0)

        def flown(noise):
            return self.bijector.forward(loc + scale * noise)

        # of many examples some draws at a time: couplings have hidden layers
        count = loc.shape[0] if loc.shape.rank > 1 else 1
        size = max(1, 64 * _BATCH // max(1, count or 1))
        return in_batches(flown, [noise], size)  # [NUM_DRAWS, B, D]

    def _mean(self):
        return tf.reduce_mean(self._draws(), axis=0)

    def _stddev(self):
        return tf.math.reduce_std(self._draws(), axis=0)

"""Solutions of dx/dt = v(x, t) in as many steps as they need, and the densities that they carry.

Where x_0 has density p_0, the density of the solution x_t follows from that along its path
(instantaneous change of variables: Chen et al. 2018, arXiv:1806.07366, eq. 8):

    d log p(x_t)/dt = -div v(x_t, t),    div v = tr dv/dx = E[e^T (dv/dx) e]

The trace takes D gradients. Its estimate by one random e, of signs, is unbiased (Hutchinson;
Grathwohl et al. 2019, arXiv:1810.01367, eq. 7). Steps are those of Dormand & Prince 1980, of
order 5, whose error is estimated and kept below a tolerance.
"""

import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

Field = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]

TOLERANCE = 1e-4
_MOST_STEPS = 10_000  # of a field that no step is small enough for


def solve(
    derivative: Callable[[tf.Tensor, Any], Any],
    state: Any,
    times: tf.Tensor,
    tolerance: float = TOLERANCE,
) -> tuple[Any, tf.Tensor]:
    """The states at `times`, of that at the first of them, and how often the field was asked.

    Args:
      derivative: of a state, at a time float32 [].
      state: at `times[0]`, a tensor or a structure of them.
      times: float32 [S + 1], all rising or all falling.
      tolerance: of the error of a step, absolute and relative, a root mean square over the state.

    Returns:
      The state at times[1:], with an axis [S] before its own, and the number of calls, int32 [].
    """
    import tensorflow_probability as tfp  # here: models that only sample start without it

    sign = tf.sign(times[-1] - times[0])  # the solver knows rising times alone

    def along(s, state):
        return tf.nest.map_structure(lambda d: sign * d, derivative(sign * s, state))

    solver = tfp.math.ode.DormandPrince(rtol=tolerance, atol=tolerance, max_num_steps=_MOST_STEPS)
    found = solver.solve(along, sign * times[0], state, sign * times[1:])
    return found.states, found.diagnostics.num_ode_fn_evaluations


def divergence(v: Field, x: tf.Tensor, t: tf.Tensor, e: tf.Tensor | None = None):
    """v(x, t), and its divergence: exactly, or estimated by noise e.

    Args:
      v: the field.
      x: [B, ...].
      t: float32 [].
      e: of x's shape, mean 0 and variance 1; None: D gradients give it exactly.

    Returns:
      Of x's shape, and [B].
    """
    with tf.GradientTape(persistent=e is None) as tape:
        tape.watch(x)
        found = v(x, t)
        if e is not None:
            product = tf.reduce_sum(found * e)
    axes = list(range(1, x.shape.rank))
    if e is not None:
        return found, tf.reduce_sum(tape.gradient(product, x) * e, axes)
    size = math.prod(x.shape[1:])
    jacobian = tf.reshape(tape.batch_jacobian(found, x), [-1, size, size])
    return found, tf.linalg.trace(jacobian)


def carried(
    v: Field,
    x: tf.Tensor,
    start: float,
    end: float,
    e: tf.Tensor | None = None,
    tolerance: float = TOLERANCE,
) -> tuple[tf.Tensor, tf.Tensor]:
    """The solution at time `end` of x at `start`, and log p of x there less log p of it here.

    log p_end(x_end) = log p_start(x) - int div v dt.

    Args:
      v: the field.
      x: float32 [B, ...].
      start: the time of x.
      end: of the solution.
      e: as for `divergence`.
      tolerance: as for `solve`.

    Returns:
      Of x's shape, and -int div v dt, [B].
    """
    size = math.prod(x.shape[1:])

    def derivative(t, state):
        velocity, div = divergence(v, state[0], t, e)
        return velocity, -div / size  # a number of the size of a pixel's, for the error of a step

    times = tf.convert_to_tensor([start, end], tf.float32)
    (x_end, change), _ = solve(derivative, (x, tf.zeros(tf.shape(x)[:1])), times, tolerance)
    return x_end[0], size * change[0]

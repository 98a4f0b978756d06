"""Solvers of ordinary differential equations dx/dt = v(x, t) in a fixed number of steps."""

import dataclasses
import sys
from collections.abc import Callable
from typing import ClassVar

import tensorflow as tf

Field = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Euler:
    """The first-order method: x + h v(x, t)."""

    calls: ClassVar[int] = 1  # of v, in a step

    def step(self, v: Field, x: tf.Tensor, t: tf.Tensor, h: tf.Tensor) -> tf.Tensor:
        """X at time t + h."""
        return x + h * v(x, t)


@dataclasses.dataclass(frozen=True)
class Heun:
    """The second-order method: the mean of v at both ends of an Euler step."""

    calls: ClassVar[int] = 2

    def step(self, v: Field, x: tf.Tensor, t: tf.Tensor, h: tf.Tensor) -> tf.Tensor:
        """X at time t + h."""
        first = v(x, t)
        return x + h / 2 * (first + v(x + h * first, t + h))


SOLVERS = {"euler": Euler(), "heun": Heun()}


def solve(
    v: Field,
    x: tf.Tensor,
    times: tf.Tensor,
    solver: Euler | Heun,
    last: Euler | Heun | None = None,
    progress: bool = False,
) -> tf.Tensor:
    """X at the last of `times`, of x at the first; one step from each time to the next.

    Args:
      v: v(x, t), of a scalar t.
      x: float32, of any shape.
      times: float32 [S + 1], for S steps.
      solver: of each step.
      last: of the last step, where it is another.
      progress: whether the steps are counted on stderr.
    """
    num_steps = tf.shape(times)[0] - 1

    def step(solver, i, x):
        return tf.ensure_shape(solver.step(v, x, times[i], times[i + 1] - times[i]), x.shape)

    def body(i, x):
        x = step(solver, i, x)
        if progress:
            tf.print("\rstep", i + 1, "of", num_steps, end="", output_stream=sys.stderr)
        return i + 1, x

    stop = num_steps if last is None else num_steps - 1
    _, x = tf.while_loop(lambda i, _: i < stop, body, [0, x], parallel_iterations=1)
    if last is not None:
        x = step(last, num_steps - 1, x)
    if progress:
        tf.print("", output_stream=sys.stderr)
    return x

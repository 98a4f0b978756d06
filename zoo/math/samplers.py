"""From noise to an image in a fixed number of steps, where a velocity v(x, t) is known.

Paths are straight, x_t = (1 - t) n + t y, from noise n ~ N(0, I) at t = 0 to an image y at t = 1,
and v(x, t) = E[y - n | x_t = x]. So v tells what image and what noise x is expected to be made of:

    y = x + (1 - t) v,    n = x - t v

Euler's and Heun's methods solve dx/dt = v(x, t), whose solution has at each t the distribution of
x_t. Euler's step puts the same y and n together again in other shares: it is that of DDIM (Song et
al. 2021, arXiv:2010.02502, eq. 12 with sigma = 0). The ancestral sampler draws a part of the noise
anew at each step.
"""

import dataclasses
import sys
from collections.abc import Callable
from typing import ClassVar

import tensorflow as tf

from zoo.math import odes
from zoo.math.noise import standard_normal

Field = Callable[..., tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Euler:
    """The first-order method: x + h v(x, t)."""

    calls: ClassVar[int] = 1  # of v, in a step

    def step(self, v: Field, x: tf.Tensor, t: tf.Tensor, h: tf.Tensor, seed=None) -> tf.Tensor:
        """X at time t + h."""
        return x + h * v(x, t)


@dataclasses.dataclass(frozen=True)
class Heun:
    """The second-order method: the mean of v at both ends of an Euler step."""

    calls: ClassVar[int] = 2

    def step(self, v: Field, x: tf.Tensor, t: tf.Tensor, h: tf.Tensor, seed=None) -> tf.Tensor:
        """X at time t + h."""
        first = v(x, t)
        return x + h / 2 * (first + v(x + h * first, t + h))


@dataclasses.dataclass(frozen=True)
class Ancestral:
    """A draw of q(x_u | x_t, y), u = t + h, of the expected y (Ho et al. 2020, eq. 6 and 7).

        x_u = u y + (1 - u) (r n + sqrt(1 - r^2) n'),   r = (1 - u)/u / ((1 - t)/t),   n' ~ N(0, I)

    r is the ratio of the deviations of noise of x_u/u and x_t/t (there it is written by beta_t).
    """

    calls: ClassVar[int] = 1

    def step(self, v: Field, x: tf.Tensor, t: tf.Tensor, h: tf.Tensor, seed=None) -> tf.Tensor:
        """X at time t + h; `seed`, int32 [2], is that of n'."""
        velocity, u = v(x, t), t + h
        image, noise = x + (1 - t) * velocity, x - t * velocity
        r = (1 - u) * t / (u * (1 - t))
        anew = standard_normal(tf.shape(x), seed)
        return u * image + (1 - u) * (r * noise + tf.sqrt(1 - r**2) * anew)


@dataclasses.dataclass(frozen=True)
class Jump:
    """X + h u(x, t, t + h), of a field that tells the mean velocity u from one time to another."""

    calls: ClassVar[int] = 1

    def step(self, u: Field, x: tf.Tensor, t: tf.Tensor, h: tf.Tensor, seed=None) -> tf.Tensor:
        """X at time t + h."""
        return x + h * u(x, t, t + h)


@dataclasses.dataclass(frozen=True)
class Adaptive:
    """As many steps as keep the error of each below a tolerance (`zoo/math/odes.py`).

    The times that it is given are those at which x is looked at, and no steps.
    """

    calls: ClassVar[None] = None  # nobody knows before
    tolerance: float = 1e-3


Sampler = Euler | Heun | Ancestral | Jump | Adaptive
SAMPLERS = {
    "euler": Euler(),
    "ddim": Euler(),
    "heun": Heun(),
    "ancestral": Ancestral(),
    "jump": Jump(),
    "adaptive": Adaptive(),
}


def solve(
    v: Field,
    x: tf.Tensor,
    times: tf.Tensor,
    sampler: Sampler,
    last: Sampler | None = None,
    progress: bool = False,
    seed: tf.Tensor | None = None,
    every: bool = False,
) -> tf.Tensor:
    """X at the last of `times`, of x at the first; one step from each time to the next.

    Args:
      v: v(x, t), of a scalar t.
      x: float32, of any shape.
      times: float32 [S + 1], for S steps.
      sampler: of each step.
      last: of the last step, where it is another.
      progress: whether the steps are counted on stderr.
      seed: int32 [2], of the noise of the steps, where they draw some.
      every: whether x at all times is wanted, [S + 1, ...].
    """
    if isinstance(sampler, Adaptive):
        states, _ = odes.solve(lambda t, x: v(x, t), x, times, sampler.tolerance)
        return tf.concat([x[None], states], 0) if every else states[-1]
    num_steps = tf.shape(times)[0] - 1

    def step(sampler, i, x):
        own = None if seed is None else tf.random.experimental.stateless_fold_in(seed, i)
        x_next = sampler.step(v, x, times[i], times[i + 1] - times[i], own)
        return tf.ensure_shape(x_next, x.shape)

    def body(i, x, *seen):
        x = step(sampler, i, x)
        if progress:
            tf.print("\rstep", i + 1, "of", num_steps, end="", output_stream=sys.stderr)
        return i + 1, x, *(s.write(i + 1, x) for s in seen)

    stop = num_steps if last is None else num_steps - 1
    seen = [tf.TensorArray(x.dtype, num_steps + 1).write(0, x)] if every else []
    _, x, *seen = tf.while_loop(lambda i, *_: i < stop, body, [0, x, *seen], parallel_iterations=1)
    if last is not None:
        x = step(last, num_steps - 1, x)
        seen = [s.write(num_steps, x) for s in seen]
    if progress:
        tf.print("", output_stream=sys.stderr)
    return seen[0].stack() if every else x

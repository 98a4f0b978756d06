"""Gaussians in the plane, the toy on which a GAN that drops modes is seen to do so.

A point is an image of 1x2x1: its two pixels are its coordinates (x, y), in levels 0..255, so that
all of the zoo takes it as it is. `ring` has 8 modes on a circle of radius 1 with sigma = 0.02, at
102 levels a unit; `grid` has 25 modes, 2 apart from -4 to 4 both ways, with sigma = 0.05, at 25.5
levels a unit (Metz et al. 2017, arXiv:1611.02163; Srivastava et al. 2017, arXiv:1705.07761). Papers
differ in the ring's radius (1 or 2) and sigma (0.01 or 0.02): look before you compare.
"""

import dataclasses

import numpy as np

IMAGE_SHAPE = (1, 2, 1)
NUM_TRAIN, NUM_TEST = 50_000, 10_000
_MIDDLE = 127.5  # of the levels
_SEED = 0  # one data set, whatever the seed of a run


@dataclasses.dataclass(frozen=True, eq=False)
class Mixture:
    """Equally likely Gaussians N(center, sigma^2 I), in levels.

    Attributes:
      centers: float64 [K, 2].
      sigma: the standard deviation of each, in each direction.
    """

    centers: np.ndarray
    sigma: float

    @property
    def num_modes(self) -> int:
        """K."""
        return len(self.centers)

    def draw(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Points as images, uint8 [count, 1, 2, 1], and the number of each one's mode, int32."""
        modes = rng.integers(self.num_modes, size=count, dtype=np.int32)
        points = self.centers[modes] + self.sigma * rng.standard_normal((count, 2))
        levels = np.clip(np.round(points), 0, 255).astype(np.uint8)
        return levels.reshape(count, *IMAGE_SHAPE), modes


def _ring() -> Mixture:
    angle = 2 * np.pi * np.arange(8) / 8
    return Mixture(_MIDDLE + 102 * np.stack([np.cos(angle), np.sin(angle)], -1), sigma=2.04)


def _grid() -> Mixture:
    row, column = np.divmod(np.arange(25), 5)
    return Mixture(_MIDDLE + 51.0 * (np.stack([column, row], -1) - 2), sigma=1.275)


MIXTURES = {"ring": _ring(), "grid": _grid()}


def read(name: str) -> list[np.ndarray]:
    """Training images and labels, then test images and labels: always the same draw."""
    rng = np.random.Generator(np.random.Philox(_SEED))
    return [a for count in (NUM_TRAIN, NUM_TEST) for a in MIXTURES[name].draw(count, rng)]

"""How often a convolutional network halves or doubles the sides of its images, and how wide it is.

This file needs no TensorFlow, so that configurations can use it (`zoo/registry.py`).
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

from zoo.core import config

_MAX_WIDENING = 8  # as in the DCGAN (arXiv:1511.06434), from 128 to 1,024 channels
_MAX_OF_WIDTH = 5  # stages that begin with `width`: down to 4 pixels from 128


def number(image_shape: Sequence[int], smallest: int = 4) -> int:
    """The stages for images of this shape: as many as leave sides of at least `smallest`.

    Two for 28 pixels (7, 14, 28); three to six for 32, 64, 128 and 256 pixels (4, 8, 16, ...). Two
    are the least, also where sides do not divide by 4.
    """
    stages = 2
    while all(
        side % 2 ** (stages + 1) == 0 and side >= smallest * 2 ** (stages + 1)
        for side in image_shape[:2]
    ):
        stages += 1
    return stages


def widths(width: int, num_stages: int) -> list[int]:
    """Channels of each stage, from the images inwards: they double, up to 8 times `width`.

    The first has `width`. With more than five stages it is the first of the last five, and those
    before it have half as many each: most of the memory is for large grids, and most of the weights
    are in small ones.
    """
    larger = max(0, num_stages - _MAX_OF_WIDTH)
    doublings = [min(2.0 ** (i - larger), _MAX_WIDENING) for i in range(num_stages)]
    return [max(1, int(width * times)) for times in doublings]


@dataclasses.dataclass(frozen=True)
class _Number:
    """`number` with that least side; two of them are equal, as two functions would not be."""

    smallest: int

    def __call__(self, image_shape: Sequence[int]) -> int:
        return number(image_shape, self.smallest)


@dataclasses.dataclass(frozen=True)
class BySize:
    """One value for images that `number(image_shape, 7)` halves twice, and one for larger ones."""

    small: Any
    large: Any

    def __call__(self, image_shape: Sequence[int]) -> Any:
        """The value for images of this shape; `large` from 56 pixels on."""
        return self.small if number(image_shape, 7) < 3 else self.large


def shift(image_shape: Sequence[int]) -> float:
    """How far times are moved towards noise: 1, or from 56 pixels on sqrt(H W) / 32.

    Neighboring pixels of large images are alike, so that as much noise hides less of them (Esser et
    al. 2024, arXiv:2403.03206, eq. 23).
    """
    height, width = image_shape[:2]
    return BySize(1.0, (height * width) ** 0.5 / 32)(image_shape)


def num_stages(help: str, smallest: int = 4):
    """The field `num_stages` of a configuration: 0, the default, is `number` of the images."""
    return config.field(0, help, lower=0, upper=10, by_shape=_Number(smallest), formerly=2)

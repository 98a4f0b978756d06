"""Three garments as the three channels of one picture: a published test of dropped modes.

Metz et al. 2017 (arXiv:1611.02163, section 3.3.1) have it of digits: 1,000 modes, equally likely,
which a classifier of one channel counts. The label of a picture is its mode, 100 a + 10 b + c of
the garments a, b and c in its red, green and blue.
"""

from collections.abc import Sequence

import numpy as np

NUM_CLASSES = 1000
NUM_TRAIN, NUM_TEST = 60_000, 26_000  # tests of modes are of 26,000 samples
_SEED = 0  # one data set, whatever the seed of a run


def of(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Stacked pictures and modes, for training and test: always the same draw.

    Args:
      arrays: training images uint8 [N, H, W, 1] and labels 0..9, then those of the test split.
    """
    rng = np.random.Generator(np.random.Philox(_SEED))
    found = []
    for images, labels, count in (
        (*arrays[:2], NUM_TRAIN),
        (*arrays[2:], NUM_TEST),
    ):
        chosen = rng.integers(len(images), size=(3, count))
        found.append(np.concatenate([images[i] for i in chosen], axis=-1))
        a, b, c = (labels[i].astype(np.int32) for i in chosen)
        found.append(100 * a + 10 * b + c)
    return found

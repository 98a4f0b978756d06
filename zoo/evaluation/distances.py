"""How far two sets of images are apart, from their features: pure functions of arrays.

Features are [N, D] arrays of any network (`zoo/evaluation/features.py`); a number means nothing
without the name of that network, N on each side and the floor: the same number for two sets of
real images.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from zoo.errors import InputError

NEIGHBORS = 5  # k of precision, recall, density and coverage
_CHUNK = 1000  # rows of a distance matrix at a time
_PIXELS = 1 << 26  # of training images that are looked through at a time
_NONE = -1  # no part of a set
_ROUNDINGS = 8  # units in the last place by which a squared distance may be wrong


@dataclasses.dataclass(frozen=True)
class Gaussian:
    """Mean [D] and unbiased covariance [D, D] of features: divided by N - 1."""

    mean: np.ndarray
    covariance: np.ndarray


def checked(features: np.ndarray, least: int = 2) -> np.ndarray:
    """Features as float64 [N, D].

    Raises:
      InputError: not [N, D], fewer than `least` rows, or NaN or infinite values.
    """
    features = np.asarray(features, np.float64)
    if features.ndim != 2:
        raise InputError(f"features are [N, D], not of shape {list(features.shape)}")
    if len(features) < least:
        raise InputError(f"{_are(len(features))} too few ({least} at least)")
    if not np.isfinite(features).all():
        raise InputError("features hold NaN or infinite values")
    return features


def _are(num_images: int) -> str:
    return "1 image is" if num_images == 1 else f"{num_images} images are"


def check_covariance(num_images: int, num_features: int) -> None:
    """Raises InputError for so few images that a covariance is singular by construction."""
    if num_images <= num_features:
        raise InputError(
            f"{_are(num_images)} too few for {num_features} features ({num_features + 1} at least)"
        )


def gaussian(features: np.ndarray) -> Gaussian:
    """The Gaussian that is fitted to features [N, D].

    Raises:
      InputError: as `checked`; N must exceed D, else the covariance is singular by construction.
    """
    features = checked(features)
    check_covariance(*features.shape)
    return Gaussian(features.mean(0), np.cov(features, rowvar=False, ddof=1))


def frechet(p: Gaussian, q: Gaussian) -> float:
    """The squared Frechet distance of two Gaussians (Heusel et al. 2017, eq. 6).

    |m_p - m_q|^2 + tr(C_p + C_q - 2 (C_p^1/2 C_q C_p^1/2)^1/2), in the features' units squared.
    The symmetric root has the eigenvalues of (C_p C_q)^1/2, and stays real.
    """
    values, vectors = np.linalg.eigh(p.covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    cross = np.linalg.eigvalsh(root @ q.covariance @ root)
    trace = np.trace(p.covariance) + np.trace(q.covariance)
    trace -= 2 * np.sqrt(np.maximum(cross, 0)).sum()
    return float(max(((p.mean - q.mean) ** 2).sum() + trace, 0.0))


def fid(real: np.ndarray, fake: np.ndarray) -> float:
    """The Frechet distance of Gaussians fitted to features [N, D] and [M, D]."""
    return frechet(gaussian(real), gaussian(fake))


def kernel_distance(real: np.ndarray, fake: np.ndarray) -> float:
    """The unbiased squared MMD with the kernel (x.y / D + 1)^3 (Binkowski et al. 2018, eq. 4).

    It has no bias in N and may fall below zero for sets of one distribution.
    """
    real, fake = checked(real), checked(fake)
    n, m, d = len(real), len(fake), real.shape[1]

    def kernel(x, y):
        base = x @ y.T / d + 1
        return base * base * base  # a power of 3 takes ten times as long

    k_xx, k_yy = kernel(real, real), kernel(fake, fake)
    within = (k_xx.sum() - np.trace(k_xx)) / (n * (n - 1))
    within += (k_yy.sum() - np.trace(k_yy)) / (m * (m - 1))
    return float(within - 2 * kernel(real, fake).mean())


def kid(real: np.ndarray, fake: np.ndarray, subsets: int = 10) -> np.ndarray:
    """The kernel distance of disjoint parts of both sets: [subsets] independent values.

    Raises:
      InputError: as `checked`; a set of less than two features for each part.
    """
    real, fake = checked(real, 2 * subsets), checked(fake, 2 * subsets)
    parts = zip(np.array_split(real, subsets), np.array_split(fake, subsets), strict=True)
    return np.array([kernel_distance(x, y) for x, y in parts])


def inception_score(probabilities: np.ndarray) -> float:
    """exp(E_x[KL(p(y|x) || p(y))]) of a classifier's p(y|x), [N, K] (Salimans et al. 2016).

    Between 1 and K: sure about each image, and of many classes over all.
    """
    p = checked(probabilities, 1)
    if (p < 0).any() or not np.allclose(p.sum(1), 1, atol=1e-3):
        raise InputError("probabilities [N, K] are at least 0 and each row sums to 1")
    marginal = p.mean(0, keepdims=True)
    terms = np.where(p > 0, p * (np.log(np.maximum(p, 1e-300)) - np.log(marginal + 1e-300)), 0)
    return float(np.exp(terms.sum(1).mean()))


def squared_distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """|x_i - y_j|^2 of [N, D] and [M, D]: [N, M]."""
    squares = (x**2).sum(1)[:, None] + (y**2).sum(1)[None] - 2 * x @ y.T
    return np.maximum(squares, 0)


def copy_radius(real: np.ndarray) -> float:
    """How near two images must be to count as copies, by what is usual for real ones.

    Half of the median distance of a real image to the nearest other one of its set.

    Args:
      real: uint8 [N, H, W, C], N of at least 2. The more there are, the nearer they lie: compare
        as many samples.

    Returns:
      A Euclidean distance in gray levels (0..255).

    Raises:
      InputError: there are not two images.
    """
    radii = _radii(checked(_levels(real)), 1, np.zeros(len(real), int), (_NONE,))
    return float(np.sqrt(np.median(radii)) / 2)


def distinct(images: np.ndarray, radius: float) -> float:
    """The share of images that are no copy of an earlier one: none lies within `radius` of them.

    Of exact copies it is |set(images)| / N: k / N for a generator that knows k images. Whoever
    draws from k images alike sees about sqrt(k) before one comes twice (Arora & Zhang 2017,
    arXiv:1706.08224); of N draws k (1 - (1 - 1/k)^N) are distinct. Smooth or blurred images count
    as copies sooner than detailed ones.

    Args:
      images: uint8 [N, H, W, C].
      radius: in gray levels; 0 for exact copies only.
    """
    x, copies = _levels(images), 0
    for i in range(0, len(x), _CHUNK):
        near = squared_distances(x[i : i + _CHUNK], x[: i + _CHUNK]) <= radius**2
        copies += int(np.tril(near, i - 1).any(1).sum())  # of earlier ones
    return (len(x) - copies) / len(x)


def _levels(images: np.ndarray) -> np.ndarray:
    """Gray levels [N, D] in float64, in which squared distances of whole numbers are exact."""
    return images.reshape(len(images), -1).astype(np.float64)


@dataclasses.dataclass(frozen=True)
class Manifold:
    """Four numbers of two sets, each [1 + parts]: of the whole sets, and without each of the parts.

    Attributes:
      precision: the share of fake images that lie in the ball of some real one (the ball reaches
        to that one's k-th neighbor): Kynkaanniemi et al. 2019.
      recall: the share of real images that lie in the ball of some fake one.
      density: the mean number of real balls that hold a fake image, over k: Naeem et al. 2020.
      coverage: the share of real images whose ball holds a fake one.
    """

    precision: np.ndarray
    recall: np.ndarray
    density: np.ndarray
    coverage: np.ndarray


def manifold(real: np.ndarray, fake: np.ndarray, parts: int = 0, k: int = NEIGHBORS) -> Manifold:
    """Precision, recall, density and coverage of features [N, D] and [M, D].

    Args:
      real: features [N, D].
      fake: features [M, D].
      parts: of how many disjoint parts of both sets to leave out one at a time, for the jackknife;
        consecutive images make one.
      k: the neighbor that a ball reaches to.

    Raises:
      InputError: as `checked`; more than k images are needed on each side, twice as many with
        parts.
    """
    least = 2 * k + 2 if parts else k + 1
    real, fake = checked(real, least), checked(fake, least)
    center = real.mean(0)  # distances of float32 lose less near the origin
    real, fake = ((x - center).astype(np.float32) for x in (real, fake))
    of_real, of_fake = (np.arange(len(x)) * parts // len(x) for x in (real, fake))
    left_out = (_NONE, *range(parts))
    real_radii = _rounded_up(_radii(real, k, of_real, left_out), real)
    fake_radii = _rounded_up(_radii(fake, k, of_fake, left_out), fake)
    holding = np.zeros((len(left_out), len(fake)), np.int64)
    recalled = np.zeros((len(left_out), len(real)), bool)
    closest = np.full((max(parts, 1), len(real)), np.inf)  # of the fake images of each part
    for i in range(0, len(fake), _CHUNK):
        rows = slice(i, i + _CHUNK)
        squares = squared_distances(fake[rows], real)  # [chunk, N]
        for g in range(len(left_out)):
            holding[g, rows] = np.count_nonzero(squares <= real_radii[g], axis=1)
            recalled[g] |= (squares <= fake_radii[g, rows, None]).any(0)
        for p in np.unique(of_fake[rows]):
            closest[p] = np.minimum(closest[p], squares[of_fake[rows] == p].min(0))
    found = []
    for g, out in enumerate(left_out):
        kept_real, kept_fake = of_real != out, of_fake != out
        held = holding[g, kept_fake]
        covered = closest[np.arange(len(closest)) != out].min(0) <= real_radii[g]
        found.append(
            (
                (held > 0).mean(),
                recalled[g, kept_real].mean(),
                held.mean() / k,
                covered[kept_real].mean(),
            )
        )
    return Manifold(*np.transpose(found))


def _radii(features: np.ndarray, k: int, part: np.ndarray, left_out: Sequence[int]) -> np.ndarray:
    """Squared distance of each image to its k-th neighbor in its set without a part of it.

    Args:
      features: [N, D].
      k: which neighbor.
      part: [N], the part that each image belongs to, in ascending order.
      left_out: the parts to leave out, one at a time.

    Returns:
      [len(left_out), N]; -1, a ball that holds nothing, for images that are left out themselves.
    """
    found = np.full((len(left_out), len(features)), -1, features.dtype)
    for i in range(0, len(features), _CHUNK):
        squares = squared_distances(features[i : i + _CHUNK], features)
        rows = np.arange(len(squares))
        squares[rows, i + rows] = np.inf  # the image itself
        closest = {}  # of each part, as many as could be needed
        for p in np.unique(part):
            own = squares[:, part == p]
            closest[p] = np.partition(own, k - 1, axis=1)[:, :k] if own.shape[1] > k else own
        for g, out in enumerate(left_out):
            left = np.concatenate([c for p, c in closest.items() if p != out], axis=1)
            radius = np.partition(left, k - 1, axis=1)[:, k - 1]
            kept = part[i + rows] != out
            found[g, i + rows[kept]] = radius[kept]
    return found


def _rounded_up(radii: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """Squared radii [G, N] of balls that hold what is at their edge but for rounding.

    |x - c|^2 is computed of the squares of both, and at the edge |x|^2 <= 2 (|c|^2 + r^2).
    """
    unit = _ROUNDINGS * np.finfo(radii.dtype).eps
    slack = unit * (3 * (centers**2).sum(1) + 2 * radii)
    return np.where(radii >= 0, radii + slack, radii)


def flat(images: np.ndarray) -> np.ndarray:
    """Pixels in [0, 1] of images uint8 [N, H, W, C] as vectors: float32 [N, D]."""
    return np.asarray(images).reshape(len(images), -1) / np.float32(255)


def nearest_images(images: np.ndarray, train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each image the index of the nearest training image, and the distance to it: [N] each.

    Euclidean distances of pixels in [0, 1]. Training images may be in a file, and more than memory
    holds.

    Args:
      images: uint8 [N, H, W, C], or float32 in [0, 1].
      train: uint8 [M, H, W, C].
    """
    queries = images.reshape(len(images), -1)
    queries = queries if images.dtype == np.float32 else flat(images)
    size = max(1, _PIXELS // max(1, math.prod(train.shape[1:])))
    index, distance = nearest(queries, flat(train[:size]))
    for start in range(size, len(train), size):
        other, away = nearest(queries, flat(train[start : start + size]))
        closer = away < distance
        index, distance = np.where(closer, start + other, index), np.minimum(distance, away)
    return index, distance


def to_nearest_other(index: np.ndarray, train: np.ndarray) -> np.ndarray:
    """The distance of each of some training images to the nearest other one: [N].

    Args:
      index: which, int [N].
      train: uint8 [M, H, W, C]; see `nearest_images`.
    """
    queries = flat(train[index])
    size = max(1, _PIXELS // max(1, math.prod(train.shape[1:])))
    least = np.full(len(index), np.inf)
    for start in range(0, len(train), size):
        among = flat(train[start : start + size])
        for i in range(0, len(queries), _CHUNK):
            squares = squared_distances(queries[i : i + _CHUNK], among)
            own = index[i : i + _CHUNK] - start
            here = (own >= 0) & (own < len(among))
            squares[np.flatnonzero(here), own[here]] = np.inf
            least[i : i + _CHUNK] = np.minimum(least[i : i + _CHUNK], squares.min(1))
    return np.sqrt(least)


def nearest(queries: np.ndarray, among: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each of [N, D] the index of the nearest of [M, D], and the distance to it: [N] each."""
    index, distance = [], []
    for i in range(0, len(queries), _CHUNK):
        part = queries[i : i + _CHUNK]
        found = squared_distances(part, among).argmin(1)
        index.append(found)
        # anew: the expanded square loses the small distance of a copy to rounding
        distance.append(np.sqrt(((part - among[found]) ** 2).sum(1)))
    return np.concatenate(index), np.concatenate(distance)

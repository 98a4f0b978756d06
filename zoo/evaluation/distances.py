"""How far two sets of images are apart, from their features: pure functions of arrays.

Features are [N, D] arrays of any network (`zoo/evaluation/features.py`); a number means nothing
without the name of that network, N on each side and the floor: the same number for two sets of
real images.
"""

import dataclasses

import numpy as np

from zoo.errors import InputError

NEIGHBOURS = 5  # k of precision, recall, density and coverage
_CHUNK = 1000  # rows of a distance matrix at a time


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
        raise InputError(f"{len(features)} images are too few: at least {least} are needed")
    if not np.isfinite(features).all():
        raise InputError("features hold NaN or infinite values")
    return features


def gaussian(features: np.ndarray) -> Gaussian:
    """The Gaussian that is fitted to features [N, D].

    Raises:
      InputError: as `checked`; N must exceed D, else the covariance is singular by construction.
    """
    features = checked(features)
    if len(features) <= features.shape[1]:
        raise InputError(
            f"{len(features)} images are too few for the covariance of {features.shape[1]} features"
        )
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


def radii(features: np.ndarray, k: int = NEIGHBOURS) -> np.ndarray:
    """Squared distance of each image to its k-th neighbour in its own set, [N]."""
    found = []
    for i in range(0, len(features), _CHUNK):
        squares = squared_distances(features[i : i + _CHUNK], features)
        # the nearest is the image itself, at 0 but for rounding
        squares[np.arange(len(squares)), i + np.arange(len(squares))] = 0
        found.append(np.partition(squares, k, axis=1)[:, k])
    return np.concatenate(found)


def copy_radius(real: np.ndarray) -> float:
    """How near two images must be to count as copies, by what is usual for real ones.

    Half of the median distance of a real image to the nearest other one of its set.

    Args:
      real: uint8 [N, H, W, C], N of at least 2. The more there are, the nearer they lie: compare
        as many samples.

    Returns:
      A Euclidean distance in grey levels (0..255).
    """
    return float(np.sqrt(np.median(radii(_levels(real), 1))) / 2)


def distinct(images: np.ndarray, radius: float) -> float:
    """The share of images that are no copy of an earlier one: none lies within `radius` of them.

    Of exact copies it is |set(images)| / N: k / N for a generator that knows k images. Whoever
    draws from k images alike sees about sqrt(k) before one comes twice (Arora & Zhang 2017,
    arXiv:1706.08224); of N draws k (1 - (1 - 1/k)^N) are distinct. Smooth or blurred images count
    as copies sooner than detailed ones.

    Args:
      images: uint8 [N, H, W, C].
      radius: in grey levels; 0 for exact copies only.
    """
    x, copies = _levels(images), 0
    for i in range(0, len(x), _CHUNK):
        near = squared_distances(x[i : i + _CHUNK], x[: i + _CHUNK]) <= radius**2
        copies += int(np.tril(near, i - 1).any(1).sum())  # of earlier ones
    return (len(x) - copies) / len(x)


def _levels(images: np.ndarray) -> np.ndarray:
    """Grey levels [N, D] in float64, in which squared distances of whole numbers are exact."""
    return images.reshape(len(images), -1).astype(np.float64)


@dataclasses.dataclass(frozen=True)
class Manifold:
    """Per image values whose means are the four numbers of that name.

    Attributes:
      precision: [M], whether a fake image lies in the ball of some real one (the ball reaches to
        that one's k-th neighbour): Kynkaanniemi et al. 2019.
      recall: [N], whether a real image lies in the ball of some fake one.
      density: [M], the number of real balls that hold a fake image, over k: Naeem et al. 2020.
      coverage: [N], whether the ball of a real image holds a fake one.
    """

    precision: np.ndarray
    recall: np.ndarray
    density: np.ndarray
    coverage: np.ndarray


def manifold(real: np.ndarray, fake: np.ndarray, k: int = NEIGHBOURS) -> Manifold:
    """Precision, recall, density and coverage of features [N, D] and [M, D].

    Raises:
      InputError: as `checked`; more than k images are needed on each side.
    """
    real, fake = checked(real, k + 1), checked(fake, k + 1)
    centre = real.mean(0)  # distances of float32 lose less near the origin
    real, fake = ((x - centre).astype(np.float32) for x in (real, fake))
    real_radii, fake_radii = radii(real, k), radii(fake, k)
    holding, recalled, nearest = [], np.zeros(len(real), bool), np.full(len(real), np.inf)
    for i in range(0, len(fake), _CHUNK):
        squares = squared_distances(fake[i : i + _CHUNK], real)  # [chunk, N]
        holding.append((squares <= real_radii).sum(1))
        recalled |= (squares <= fake_radii[i : i + _CHUNK, None]).any(0)
        nearest = np.minimum(nearest, squares.min(0))
    holding = np.concatenate(holding)
    return Manifold(
        precision=(holding > 0).astype(float),
        recall=recalled.astype(float),
        density=holding / k,
        coverage=(nearest <= real_radii).astype(float),
    )


def manifold_without_parts(
    real: np.ndarray, fake: np.ndarray, parts: int, k: int = NEIGHBOURS
) -> dict[str, np.ndarray]:
    """The four numbers of `manifold` when one of the disjoint parts of both sets is left out.

    Args:
      real: features [N, D].
      fake: features [M, D].
      parts: how many; consecutive images make one.
      k: the neighbour that a ball reaches to.

    Returns:
      Name -> [parts] values.

    Raises:
      InputError: as `manifold`; each set must keep more than k images.
    """
    real, fake = checked(real, 2 * k + 2), checked(fake, 2 * k + 2)
    centre = real.mean(0)
    real, fake = ((x - centre).astype(np.float32) for x in (real, fake))
    of_real, of_fake = (np.arange(len(x)) * parts // len(x) for x in (real, fake))
    # a ball of no radius at all where the image itself is left out
    real_radii = _radii_without_parts(real, of_real, parts, k)
    fake_radii = _radii_without_parts(fake, of_fake, parts, k)
    holding = np.zeros((parts, len(fake)), np.int64)
    recalled = np.zeros((parts, len(real)), bool)
    nearest = np.full((parts, len(real)), np.inf)  # among the fake images of each part
    for i in range(0, len(fake), _CHUNK):
        rows = slice(i, i + _CHUNK)
        squares = squared_distances(fake[rows], real)
        for g in range(parts):
            holding[g, rows] = np.count_nonzero(squares <= real_radii[g], axis=1)
            recalled[g] |= (squares <= fake_radii[g, rows, None]).any(0)
            if (mine := of_fake[rows] == g).any():
                nearest[g] = np.minimum(nearest[g], squares[mine].min(0))
    found = {name: np.empty(parts) for name in ("precision", "recall", "density", "coverage")}
    for g in range(parts):
        kept_real, kept_fake = of_real != g, of_fake != g
        held = holding[g, kept_fake]
        found["precision"][g], found["density"][g] = (held > 0).mean(), held.mean() / k
        found["recall"][g] = recalled[g, kept_real].mean()
        others = np.delete(nearest, g, axis=0).min(0)
        found["coverage"][g] = (others <= real_radii[g])[kept_real].mean()
    return found


def _radii_without_parts(features: np.ndarray, part: np.ndarray, parts: int, k: int) -> np.ndarray:
    """As `radii` for each part that is left out, [parts, N]; -1 for the images of that part."""
    found = np.full((parts, len(features)), -1, np.float32)
    for i in range(0, len(features), _CHUNK):
        squares = squared_distances(features[i : i + _CHUNK], features)
        rows = np.arange(len(squares))
        squares[rows, i + rows] = np.inf  # the image itself
        closest = []  # of each part, as many as could be needed
        for g in range(parts):
            own = squares[:, part == g]
            closest.append(np.partition(own, k - 1, axis=1)[:, :k] if own.shape[1] > k else own)
        for g in range(parts):
            left = np.concatenate([c for h, c in enumerate(closest) if h != g], axis=1)
            radius = np.partition(left, k - 1, axis=1)[:, k - 1]
            kept = part[i + rows] != g
            found[g, i + rows[kept]] = radius[kept]
    return found


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

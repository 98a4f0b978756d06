"""Distances of two sets of features against closed forms, oracles and what must hold of them."""

import dataclasses

import numpy as np
import pytest
import scipy.linalg
from sklearn.neighbors import NearestNeighbors

from zoo.errors import InputError
from zoo.evaluation import distances
from zoo.evaluation.metrics import copies


def normal(n, d=6, seed=0, shift=0.0, scale=1.0):
    return np.random.default_rng(seed).normal(shift, scale, (n, d))


def test_fid_of_a_known_pair():
    real, fake = np.ones((100, 2)), 9 * np.ones((100, 2))
    real[:50, 0], fake[50:, 0] = 2, 2
    # means differ by (4, 8); covariances are diag(25/99, 0) and diag(49 * 25/99, 0)
    assert distances.fid(real, fake) == pytest.approx(89.0909, abs=1e-4)


def test_frechet_distance_of_commuting_gaussians():
    a, b = np.array([1.0, 4.0, 9.0]), np.array([4.0, 1.0, 0.25])
    p = distances.Gaussian(np.zeros(3), np.diag(a))
    q = distances.Gaussian(np.array([1.0, -2.0, 3.0]), np.diag(b))
    assert distances.frechet(p, q) == pytest.approx(
        14 + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum(), rel=1e-12
    )


def test_frechet_distance_against_scipys_matrix_root():
    real, fake = normal(400), normal(300, seed=1) @ np.diag([1, 2, 0.5, 1, 3, 1]) + 0.3
    p, q = distances.gaussian(real), distances.gaussian(fake)
    root = scipy.linalg.sqrtm(p.covariance @ q.covariance).real
    expected = ((p.mean - q.mean) ** 2).sum()
    expected += np.trace(p.covariance + q.covariance - 2 * root)
    assert distances.frechet(p, q) == pytest.approx(expected, rel=1e-9)
    assert distances.frechet(q, p) == pytest.approx(expected, rel=1e-9)
    assert distances.fid(real, real) == pytest.approx(0, abs=1e-9)
    turn = np.linalg.qr(normal(6, seed=2))[0]
    assert distances.fid(real @ turn, fake @ turn) == pytest.approx(expected, rel=1e-9)
    assert distances.fid(real[::-1], fake) == pytest.approx(expected, rel=1e-9)


def test_kernel_distance_is_unbiased_and_finds_a_difference():
    x, y = normal(40, 3), normal(50, 3, seed=1, shift=1.0)
    k = lambda a, b: (a @ b / 3 + 1) ** 3  # noqa: E731
    within_x = np.mean([k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j])
    within_y = np.mean([k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j])
    across = np.mean([k(a, b) for a in x for b in y])
    expected = within_x + within_y - 2 * across
    for pair in ((x, y), (y, x), (x[::-1], y)):
        assert distances.kernel_distance(*pair) == pytest.approx(expected, rel=1e-9)
    same = [distances.kernel_distance(normal(50, 3, i), normal(50, 3, i + 500)) for i in range(300)]
    assert abs(np.mean(same)) < 4 * np.std(same) / np.sqrt(300)


def test_kid_is_of_disjoint_parts():
    x, y = normal(300), normal(300, seed=1, shift=0.5)
    values = distances.kid(x, y, subsets=3)
    expected = [
        distances.kernel_distance(x[i : i + 100], y[i : i + 100]) for i in range(0, 300, 100)
    ]
    np.testing.assert_allclose(values, expected, rtol=1e-12)
    with pytest.raises(InputError, match=r"300 images are too few \(400 at least\)"):
        distances.kid(x, y, subsets=200)


def softmax(logits):
    e = np.exp(np.asarray(logits, float) - np.max(logits, -1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_inception_score_of_known_rows():
    rows = softmax([[1, 2] * 500 + [4], [4, 5] * 500 + [6]])
    for ordered in (rows, rows[::-1]):
        assert distances.inception_score(ordered) == pytest.approx(1.00081, abs=1e-5)
    assert distances.inception_score(np.eye(7)) == pytest.approx(7)
    assert distances.inception_score(np.full((5, 7), 1 / 7)) == pytest.approx(1)
    for bad, said in ((1.0, "each row sums to 1"), (np.nan, "NaN or infinite")):
        with pytest.raises(InputError, match=said):
            distances.inception_score(np.full((3, 4), bad))


def brute_force(real, fake, k):
    """The four numbers by scikit-learn's neighbors, as their papers define them."""

    def balls(x):
        return NearestNeighbors(n_neighbors=k + 1).fit(x).kneighbors(x)[0][:, k]

    d = np.sqrt(((real[:, None] - fake[None]) ** 2).sum(-1))
    real_balls, fake_balls = balls(real), balls(fake)
    return (
        (d <= real_balls[:, None]).any(0).mean(),
        (d <= fake_balls[None]).any(1).mean(),
        (d <= real_balls[:, None]).sum(0).mean() / k,
        (d.min(1) <= real_balls).mean(),
    )


@pytest.mark.parametrize("chunk", [37, 1000])
def test_manifold_against_brute_force(chunk, monkeypatch):
    monkeypatch.setattr(distances, "_CHUNK", chunk)
    real, fake = normal(120, 4), normal(90, 4, seed=1, shift=0.7, scale=0.8)
    got = distances.manifold(real, fake, k=3)
    means = [values[0] for values in dataclasses.asdict(got).values()]
    np.testing.assert_allclose(means, brute_force(real, fake, 3), rtol=1e-12)
    turned = distances.manifold(real[::-1], fake[::-1], k=3)
    assert [values[0] for values in dataclasses.asdict(turned).values()] == means
    itself = distances.manifold(real, real, k=3)
    assert itself.precision[0] == itself.recall[0] == itself.coverage[0] == 1


def test_distances_that_are_equal_but_for_rounding_are_equal(monkeypatch):
    """A set with many repeats is covered by itself, however a library rounds its products."""
    rng = np.random.default_rng(0)
    exact = distances.squared_distances

    def rounded(x, y):
        wrong = np.finfo(x.dtype).eps * ((x**2).sum(1)[:, None] + (y**2).sum(1))
        return np.maximum(exact(x, y) + rng.uniform(-4, 4, (len(x), len(y))) * wrong, 0)

    x = rng.gamma(1.0, size=(40, 64)).repeat(6, axis=0)  # balls of radius 0
    monkeypatch.setattr(distances, "squared_distances", rounded)
    found = distances.manifold(x, x[::6])  # each of its images once
    assert found.coverage[0] == found.recall[0] == found.precision[0] == 1
    other = distances.manifold(x, rng.gamma(1.0, size=(100, 64)))  # and no others lie in them
    assert other.coverage[0] == other.precision[0] == 0


def test_manifold_of_one_distribution_and_of_collapsed_ones():
    real, same = normal(1000), normal(1000, seed=1)
    m = distances.manifold(real, same)
    # the expected coverage of equal distributions is 1 - 1/2^k for many samples (Naeem, eq. 11)
    assert m.coverage[0] == pytest.approx(1 - 2**-5, abs=0.03)  # it spreads by 0.006
    assert m.density[0] == pytest.approx(1, abs=0.13)  # and this by 0.027
    two_modes = np.concatenate([normal(500), normal(500, seed=2, shift=20)])
    one_mode = normal(1000, seed=3)
    collapsed = distances.manifold(two_modes, one_mode)
    assert collapsed.precision[0] > 0.9 and collapsed.recall[0] < 0.55
    reverse = distances.manifold(one_mode, two_modes)
    assert reverse.precision[0] < 0.55 and reverse.recall[0] > 0.9


@pytest.mark.parametrize("what", ["noise", "dropped modes"])
def test_distances_grow_with_the_damage(what):
    modes = np.repeat(np.arange(4) * 5.0, 150)[:, None]
    real = normal(600) + modes
    found = []
    for damage in range(4):
        other = normal(600, seed=1) + modes
        if what == "noise":
            other += normal(600, seed=2, scale=0.7 * damage)
        else:  # as many samples, of fewer modes
            other = normal(600, seed=1) + np.minimum(modes, 5.0 * (3 - damage))
        m = distances.manifold(real, other)
        near = [-m.precision[0], -m.density[0]] if what == "noise" else [-m.recall[0]]
        far = modes if what == "noise" else 0.0  # the cubes of such features would drown the noise
        kernel = distances.kernel_distance(real - far, other - far)
        found.append([distances.fid(real, other), kernel, -m.coverage[0], *near])
    assert (np.diff(np.array(found), axis=0) > 0).all(), found


def test_distances_grow_with_blur(fashion_mnist):
    def features(images):  # means of 4x4 squares would hide a blur: differences of neighbors too
        small = images[:, ::4, ::4].reshape(len(images), -1)
        edges = np.diff(images[:, 1::4], axis=2)[:, :, ::4].reshape(len(images), -1)
        return np.concatenate([small, edges], 1)

    real = features(fashion_mnist.test.images[:1000] / 255)
    images = fashion_mnist.train.images[:1000] / 255
    found = []
    for _ in range(4):
        fake = features(images)
        m = distances.manifold(real, fake)
        found.append(
            (distances.fid(real, fake), distances.kernel_distance(real, fake), -m.recall[0])
        )
        images = (images + np.roll(images, 1, 1) + np.roll(images, 1, 2)) / 3
    assert (np.diff(np.array(found), axis=0) > 0).all(), found


def test_nearest_images_are_the_same_block_by_block(monkeypatch):
    rng = np.random.default_rng(3)
    train = rng.integers(0, 256, (50, 4, 4, 3), np.uint8)
    images = np.concatenate([train[[41, 7]], rng.integers(0, 256, (9, 4, 4, 3), np.uint8)])
    index, distance = distances.nearest_images(images, train)
    assert index[:2].tolist() == [41, 7] and (distance[:2] == 0).all() and (distance[2:] > 1).all()
    monkeypatch.setattr(distances, "_PIXELS", 7 * 48)
    for of in (images, images / np.float32(255)):
        found = distances.nearest_images(of, train)
        np.testing.assert_array_equal(found[0], index)
        np.testing.assert_allclose(found[1], distance, rtol=1e-5, atol=1e-5)


def test_copies_are_nearer_to_a_training_image_than_others_are(monkeypatch):
    """Of points on a line: the training images are 10 apart."""
    levels = np.array([10, 20, 30, 40, 200], np.uint8)
    train = levels.reshape(-1, 1, 1, 1)
    images = np.array([10, 13, 19, 25, 100, 195], np.uint8).reshape(-1, 1, 1, 1)
    near = [True, True, True, True, False, True]  # 100 is 60 from 40, which is 10 from 30
    for pixels in (100, 2):
        monkeypatch.setattr(distances, "_PIXELS", pixels)
        found = copies.copies(*distances.nearest_images(images, train), train)
        assert found["mean"] == np.mean(near)
        apart = 255 * distances.to_nearest_other(np.arange(5), train)
        np.testing.assert_allclose(apart, [10, 10, 10, 10, 160], rtol=1e-3)


def test_nearest_neighbors():
    queries, among = normal(20, 3), normal(50, 3, seed=1)
    distance, index = NearestNeighbors(n_neighbors=1).fit(among).kneighbors(queries)
    got_index, got_distance = distances.nearest(queries, among)
    np.testing.assert_array_equal(got_index, index[:, 0])
    np.testing.assert_allclose(got_distance, distance[:, 0], rtol=1e-6)
    copies = np.random.default_rng(0).random((5, 784), np.float32)
    np.testing.assert_array_equal(distances.nearest(copies, copies)[1], 0)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.full((10, 2), np.nan), "NaN or infinite"),
        (np.zeros((10, 2, 2)), r"not of shape \[10, 2, 2\]"),
        (np.zeros((1, 2)), r"1 image is too few \(2 at least\)"),
        (np.zeros((6, 6)), r"6 images are too few for 6 features \(7 at least\)"),
    ],
)
def test_bad_features_are_one_clear_line(features, message):
    with pytest.raises(InputError, match=message):
        distances.gaussian(features)


@pytest.mark.parametrize("distance", [distances.fid, distances.kid, distances.manifold])
def test_a_number_that_is_none_is_one_clear_line_on_either_side(distance):
    good, bad = normal(40), normal(40, seed=1)
    bad[3, 2] = np.nan
    for pair in ((good, bad), (bad, good)):
        with pytest.raises(InputError, match="NaN or infinite"):
            distance(*pair)


def known_of(rng, count):
    return rng.integers(0, 256, (count, 6, 6, 1), dtype=np.uint8)


def test_the_distinct_share_of_a_sample_with_known_copies():
    rng = np.random.default_rng(0)
    known = known_of(rng, 1500)  # more than a chunk, each twice
    sample = known[rng.permutation(np.repeat(np.arange(1500), 2))]
    assert distances.distinct(sample, 0) == 0.5
    assert distances.distinct(known, 0) == 1
    # copies with a little noise are copies within its reach, and none without
    noisy = sample.astype(int)
    noisy = np.clip(noisy + rng.choice([-1, 1], noisy.shape), 0, 255).astype(np.uint8)
    assert distances.distinct(noisy, 0) == 1
    assert distances.distinct(noisy, 12) == 0.5  # at most 2 of each of 36 pixels apart
    # the birthday paradox' expectation, of 60 equally likely images in 300 draws
    share = 60 * (1 - (1 - 1 / 60) ** 300) / 300
    draws = [known_of(rng, 60)[rng.integers(0, 60, 300)] for _ in range(20)]
    assert np.mean([distances.distinct(d, 0) for d in draws]) == pytest.approx(share, rel=0.01)


def test_the_copy_radius_is_half_of_what_is_usual():
    levels = np.array([0, 10, 20, 30, 100, 200], np.uint8)  # nearest: 10, 10, 10, 10, 70, 100
    images = np.zeros((6, 2, 2, 1), np.uint8)
    images[:, 1, 0, 0] = levels
    assert distances.copy_radius(images) == 5
    assert distances.copy_radius(np.repeat(images, 2, axis=0)) == 0


@pytest.mark.parametrize("copies", [0, 40])
def test_neighbors_without_a_part_are_those_of_the_rest(copies):
    real, fake = normal(53, 3), normal(47, 3, seed=1) + 0.3
    fake[:copies] = fake[0]  # as a generator that has collapsed makes them
    found = dataclasses.asdict(distances.manifold(real, fake, 4, k=3))
    np.testing.assert_array_equal(found["recall"][0], distances.manifold(real, fake, k=3).recall[0])
    for g in range(4):
        kept = [x[np.arange(len(x)) * 4 // len(x) != g] for x in (real, fake)]
        rest = distances.manifold(*kept, k=3)
        for name, values in found.items():
            expected = getattr(rest, name)[0]
            assert values[1 + g] == pytest.approx(expected, rel=1e-6), (g, name)

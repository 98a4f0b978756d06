"""Batches are a function of (seed, step); an epoch is a permutation; pixels are fair coins."""

import numpy as np
import pytest

from zoo.data import Split, pipeline
from zoo.errors import InputError

N, B = 64, 16
SPLIT = Split(
    np.arange(N, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 1), np.uint8),
    np.arange(N, dtype=np.int32),
)


def labels(**kwargs):
    return [y.numpy() for _, y in pipeline.train_batches(SPLIT, B, **kwargs)]


def test_each_epoch_is_a_permutation_of_its_own():
    epochs = np.concatenate(labels(seed=3, stop=8)).reshape(2, N)
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(epoch), np.arange(N))
    assert (epochs[0] != epochs[1]).any() and (epochs[0] != np.arange(N)).any()


def test_skipping_is_free_and_exact():
    whole = labels(seed=3, stop=11)
    np.testing.assert_array_equal(labels(seed=3, start=6, stop=11), whole[6:])
    assert (labels(seed=4, stop=1)[0] != whole[0]).any()


def test_images_go_with_their_labels():
    for x, y in pipeline.train_batches(SPLIT, B, seed=0, stop=4):
        np.testing.assert_array_equal(x[:, 0, 0, 0], y)
        assert x.dtype == np.uint8


def test_an_incomplete_batch_is_left_out():
    part = Split(SPLIT.images[:40], SPLIT.labels[:40])
    batches = [y.numpy() for _, y in pipeline.train_batches(part, B, seed=0, stop=4)]
    for epoch in (batches[:2], batches[2:]):
        assert len(set(np.concatenate(epoch))) == 2 * B


def test_too_few_images():
    with pytest.raises(InputError, match="64 training images are too few for a batch of 65"):
        pipeline.steps_per_epoch(SPLIT, 65)


GREY = Split(np.full((N, 16, 16, 1), 51, np.uint8), SPLIT.labels)  # 51/255 = 1/5


def pixels(kind, start=0, stop=8, seed=1):
    batches = pipeline.train_batches(GREY, B, seed=seed, start=start, stop=stop, binarization=kind)
    return {i: x.numpy() for i, (x, _) in zip(range(start, stop), batches, strict=True)}


@pytest.mark.parametrize("kind", ["static", "stochastic"])
def test_binarized_pixels_are_coins_of_their_gray_level(kind):
    x = np.stack(list(pixels(kind).values()))
    assert set(np.unique(x)) == {0, 255}
    n = x.size if kind == "stochastic" else x.size // 2  # two epochs of the same draws
    assert (x == 255).mean() == pytest.approx(0.2, abs=5 * np.sqrt(0.16 / n))


def test_stochastic_pixels_depend_on_seed_and_step_alone():
    whole, part = pixels("stochastic"), pixels("stochastic", start=5)
    np.testing.assert_array_equal(whole[6], part[6])
    assert (whole[0] != whole[1]).any()
    assert (whole[0] != pixels("stochastic", seed=2)[0]).any()


def test_static_pixels_stay():
    x = {i: v for i, v in pixels("static").items()}
    as_set = lambda steps: {x[i][j].tobytes() for i in steps for j in range(B)}  # noqa: E731
    assert as_set(range(4)) == as_set(range(4, 8)) and len(as_set(range(4))) == N


@pytest.mark.parametrize("kind", ["none", "static", "stochastic"])
def test_an_evaluation_sees_every_image_once_in_order_and_repeats(kind):
    read = lambda: [  # noqa: E731
        (x.numpy(), y.numpy())
        for x, y in pipeline.evaluation_batches(pipeline.binarized(GREY, "test", kind, seed=7), 24)
    ]
    first, second = read(), read()
    np.testing.assert_array_equal(np.concatenate([y for _, y in first]), np.arange(N))
    for (a, _), (b, _) in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
        assert kind == "none" or set(np.unique(a)) == {0, 255}


@pytest.mark.parametrize("kind", ["static", "stochastic"])
def test_splits_have_noise_of_their_own(kind):
    names = ("train", "validation", "test")
    drawn = [pipeline.binarized(GREY, name, kind, seed=7).images.ravel() for name in names]
    between = np.corrcoef(drawn)[np.triu_indices(3, 1)]
    assert np.abs(between).max() < 5 / np.sqrt(drawn[0].size)  # chance
    if kind == "static":  # what training sees
        seen = np.concatenate([x for i, x in pixels("static").items() if i < N // B])
        as_set = lambda images: {x.tobytes() for x in images}  # noqa: E731
        assert as_set(seen) <= as_set(drawn[0].reshape(GREY.images.shape))


def test_the_orders_of_epochs_are_unrelated():
    n, epochs = 55_000, 8
    split = Split(np.zeros((n, 1, 1, 1), np.uint8), np.arange(n, dtype=np.int32))
    batches = pipeline.train_batches(split, n // 50, seed=0, stop=50 * epochs)
    orders = np.concatenate([y.numpy() for _, y in batches]).reshape(epochs, n)
    between = np.corrcoef(orders)[np.triu_indices(epochs, 1)]
    with_neighbor = [np.corrcoef(order[:-1], order[1:])[0, 1] for order in orders]
    # chance has a standard deviation of 1/sqrt(n)
    assert np.abs(np.r_[between, with_neighbor]).max() < 5 / np.sqrt(n)


def test_bad_arguments_are_named():
    with pytest.raises(InputError, match="batch_size is 0"):
        pipeline.steps_per_epoch(SPLIT, 0)
    with pytest.raises(InputError, match="binarization is 'statik'"):
        pipeline.train_batches(SPLIT, B, binarization="statik", seed=0, stop=1)
    with pytest.raises(InputError, match="binarization is 'statik'"):
        pipeline.binarized(SPLIT, "test", "statik")


def test_half_of_the_images_are_mirrored_and_each_step_anew():
    images = np.arange(64 * 4, dtype=np.uint8).reshape(64, 2, 2, 1)
    split = Split(images, np.arange(64, dtype=np.int32))
    settings = {"batch_size": 64, "seed": 5, "flip": True}
    seen = []
    for x, y in pipeline.train_batches(split, start=0, stop=20, **settings):
        straight, mirrored = images[y.numpy()], images[y.numpy()][:, :, ::-1]
        is_mirrored = (x.numpy() == mirrored).all((1, 2, 3))
        assert (is_mirrored | (x.numpy() == straight).all((1, 2, 3))).all()
        seen.append(is_mirrored[np.argsort(y)])
    seen = np.array(seen)
    assert 0.45 < seen.mean() < 0.55  # 4 deviations of 1,280 draws
    assert 0 < seen.mean(0).min() and seen.mean(0).max() < 1
    [(x, _)] = pipeline.train_batches(split, start=7, stop=8, **settings)
    [(again, _)] = list(pipeline.train_batches(split, start=5, stop=8, **settings))[2:]
    np.testing.assert_array_equal(x, again)

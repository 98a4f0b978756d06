"""Modes covered and high-quality samples: closed forms, and models that are known to the digit."""

import functools

import numpy as np
import pytest

import zoo
from zoo.data import sources, toy
from zoo.drawing import pictures, views
from zoo.evaluation import evaluate, modes

RING, GRID = toy.MIXTURES["ring"], toy.MIXTURES["grid"]


@pytest.fixture(scope="module")
def ring():
    return sources.load("ring")


@pytest.mark.parametrize("mixture", [RING, GRID])
def test_samples_at_the_centres_cover_every_mode(mixture):
    found = modes.figures(np.repeat(mixture.centers, 7, axis=0), mixture)
    assert found["modes_covered"] == {"mean": mixture.num_modes, "standard_error": None}
    assert found["high_quality"] == {"mean": 1.0, "standard_error": 0.0}
    assert found["high_quality_per_mode"] == [7] * mixture.num_modes


@pytest.mark.parametrize("mixture", [RING, GRID])
@pytest.mark.parametrize("angle", [0.3, 2.0, 4.4])
def test_quality_ends_at_three_sigma(mixture, angle):
    away = mixture.sigma * np.array([np.cos(angle), np.sin(angle)])
    near = modes.figures(mixture.centers + 2.9 * away, mixture)
    assert near["high_quality"]["mean"] == 1 and near["modes_covered"]["mean"] == len(
        mixture.centers
    )
    far = modes.figures(mixture.centers + 3.1 * away, mixture)
    assert far["high_quality"]["mean"] == far["modes_covered"]["mean"] == 0


@pytest.mark.parametrize("mixture", [RING, pytest.param(GRID, marks=pytest.mark.slow)])
def test_noise_is_what_draws_of_it_give(mixture):
    points = np.random.default_rng(0).integers(0, 256, (400 * modes.SET, 2))
    found, expected = modes.figures(points, mixture), modes.noise(mixture)
    for name, value in expected.items():
        assert found[name]["mean"] == pytest.approx(value, abs=5 * found[name]["standard_error"])


def test_a_missing_mode_and_one_that_is_only_nearly_hit():
    points = np.concatenate([GRID.centers[:-2], GRID.centers[-2:-1] + 4 * GRID.sigma])
    found = modes.figures(points, GRID)
    assert found["modes_covered"]["mean"] == 23
    assert found["high_quality"]["mean"] == pytest.approx(23 / 24)
    assert found["high_quality_per_mode"] == [1] * 23 + [0, 0]


def test_modes_are_counted_in_whole_sets_of_2500():
    points = np.resize(RING.centers[:7], (5999, 2))
    points[0] = points[5500] = RING.centers[7]  # in the first set, and after the last whole one
    found = modes.figures(points, RING)
    assert found["modes_covered"] == {"mean": 7.5, "standard_error": 0.5}
    assert found["high_quality"]["mean"] == 1 and found["high_quality_per_mode"][7] == 2


@pytest.mark.parametrize("mixture", [RING, GRID])
def test_shares_of_the_mixture_and_of_noise_are_those_of_theory(mixture):
    rng = np.random.default_rng(0)
    centers = mixture.centers[rng.integers(mixture.num_modes, size=20_000)]
    found = modes.figures(centers + rng.normal(0, mixture.sigma, centers.shape), mixture)
    share = found["high_quality"]
    assert abs(share["mean"] - (1 - np.exp(-4.5))) < 5 * share["standard_error"]
    found = modes.figures(rng.uniform(-0.5, 255.5, (20_000, 2)), mixture)
    disks = mixture.num_modes * np.pi * (3 * mixture.sigma) ** 2 / 256**2
    share = found["high_quality"]
    assert abs(share["mean"] - disks) < 5 * share["standard_error"]


class Oracle:
    """Draws from the ring, from all modes or from some, or from those asked for."""

    name, image_shape, num_classes, binary = "oracle", toy.IMAGE_SHAPE, 8, False
    can = frozenset({"sample"})

    def __init__(self, keep=8, conditional=False, obeys=True):
        self.keep, self.conditional, self.obeys = keep, conditional, obeys

    def sample(self, count, labels, seed):
        rng = np.random.default_rng(seed)
        chosen = rng.integers(self.keep, size=count)
        if self.conditional and self.obeys:
            chosen = labels
        points = RING.centers[chosen] + rng.normal(0, RING.sigma, (count, 2))
        return (points / 255).astype(np.float32).reshape(count, 1, 2, 1)


@pytest.mark.parametrize("keep", [8, 7, 1])
def test_a_model_that_drops_modes_is_seen_to(ring, keep):
    found = evaluate.evaluate(Oracle(keep), functools.partial(getattr, ring), mixture=RING)
    model, floor = found["samples"]["model"], found["samples"]["floor"]
    assert found["samples"]["num_images"] == 10_000
    assert model["modes_covered"] == {"mean": keep, "standard_error": 0}
    assert floor["modes_covered"] == {"mean": 8, "standard_error": 0}
    assert np.count_nonzero(model["high_quality_per_mode"]) == keep
    sides = model["high_quality"], floor["high_quality"]
    error = np.hypot(*(side["standard_error"] for side in sides))
    assert abs(sides[0]["mean"] - sides[1]["mean"]) < 5 * error and error < 0.002


def test_labels_that_are_obeyed_and_labels_that_are_not(ring):
    def fidelity(**kwargs):
        model = Oracle(conditional=True, **kwargs)
        found = evaluate.evaluate(model, functools.partial(getattr, ring), mixture=RING)
        return [found["samples"][side]["class_fidelity"] for side in ("model", "floor")]

    obeyed, floor = fidelity()
    assert obeyed["mean"] == floor["mean"] == 1
    ignored, _ = fidelity(obeys=False)
    assert abs(ignored["mean"] - 1 / 8) < 5 * ignored["standard_error"]


def test_a_decoder_scatters_its_points():
    model = zoo.create("vae", image_shape=(1, 2, 1), num_classes=8, network="mlp", hidden=(8,))
    drawn = modes.sample(model, 200, seed=3)
    own = model.sample(200, seed=[3, 1], observation="sample")
    np.testing.assert_array_equal(drawn, np.round(np.reshape(own, (200, 2)) * 255))
    means = model.sample(200, seed=[3, 1]).numpy().reshape(200, 2) * 255
    assert (np.abs(drawn - means) > 3).mean() > 0.5
    images = views.draw(model, "prior", seed=3).images  # what pictures show
    assert len(images) == 1000
    np.testing.assert_array_equal(images, model.sample(1000, seed=3, observation="sample"))


def test_a_scatter_plot_shows_each_point_where_it_is():
    made = np.array([[10, 20], [0, 0], [77, 5]], np.uint8).reshape(-1, 1, 2, 1)
    real = np.array([[200, 255], [77, 5]], np.uint8).reshape(-1, 1, 2, 1)
    for points in (made, made / np.float32(255)):
        canvas = pictures.scatter(points, real)
        assert canvas.shape == (256, 256, 3)
        expected = np.full((256, 256, 3), pictures.PAPER)
        for (x, y), color in (
            ((10, 20), pictures.MADE),
            ((0, 0), pictures.MADE),
            ((77, 5), pictures.MADE),  # on top of the real one
            ((200, 255), pictures.REAL),
        ):
            expected[255 - y, x] = color  # y grows upwards
        np.testing.assert_array_equal(canvas, expected)


@pytest.mark.parametrize(("what", "first"), [("prior", 0), ("neighbors", 0), ("reconstruct", 1)])
def test_a_scatter_plot_of_pairs_colours_what_was_made(ring, what, first):
    images = np.arange(12, dtype=np.uint8).reshape(6, 1, 2, 1)  # off the ring
    canvas = views.picture(what, views.View(images), ring.test.first, zoom=1)
    y, x = np.nonzero((canvas == pictures.MADE).all(-1))
    step = 1 if what == "prior" else 2
    points = images[first::step].reshape(-1, 2)
    assert sorted(zip(x, 255 - y, strict=True)) == sorted(map(tuple, points))
    assert (canvas == pictures.REAL).all(-1).sum() > 300

"""Averages of weights against their recursion, and what a run does with them."""

import dataclasses

import numpy as np
import pytest
from written import epochs

import zoo
from zoo import recipes, registry
from zoo.hub import checkpoints, loading
from zoo.training import inputs, loop

SMALL = {"network": "mlp", "hidden": (8,), "latent_dim": 2}


@pytest.fixture
def model():
    model = zoo.create("vae", (8, 8, 1), seed=1, **SMALL)
    model.average_weights(0.5)
    return model


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (8, 8, 8, 1), np.uint8)


def values(variables):
    return [np.asarray(v) for v in variables]


def test_an_average_follows_its_recursion(model, images):
    expected = values(model.trainable_variables)
    for step in range(1, 7):
        model.train_on_batch(images)
        decay = min(0.5, (1 + step) / (10 + step))
        weights = values(model.trainable_variables)
        expected = [decay * a + (1 - decay) * w for a, w in zip(expected, weights, strict=True)]
    assert decay == 7 / 16 < 0.5  # it has not reached its end
    for (a, _), e in zip(model.weight_average.pairs, expected, strict=True):
        np.testing.assert_allclose(a, e, rtol=1e-5, atol=1e-7)


def test_an_average_follows_a_model_of_two_stages():
    small = {"codebook_size": 4, "code_dim": 2, "width": 2, "num_blocks": 0, "prior_layers": 1}
    model = zoo.create("vqvae", (8, 8, 1), seed=1, **small, prior_width=2)
    model.average_weights(0.5)
    weights = [w for _, w in model.weight_average.pairs]
    images = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 1), np.uint8)
    expected = values(weights)
    for step in range(1, 5):
        if step == 3:
            model.freeze_all_but_prior()
        model.train_on_batch(images)
        decay = (1 + step) / (10 + step)
        expected = [
            decay * a + (1 - decay) * w for a, w in zip(expected, values(weights), strict=True)
        ]
    for (a, _), e in zip(model.weight_average.pairs, expected, strict=True):
        np.testing.assert_allclose(a, e, rtol=1e-5, atol=1e-7)
    with model.weight_average.in_place():
        assert model.sample(2, seed=0).shape == (2, 8, 8, 1)


def test_averages_take_the_place_of_weights_and_give_it_back(model, images):
    model.fit(images, batch_size=2, epochs=2, verbose=0)
    weights = values(model.trainable_variables)
    averages = values(a for a, _ in model.weight_average.pairs)
    model.weight_average.swap()
    for found, expected in zip(model.trainable_variables, averages, strict=True):
        np.testing.assert_array_equal(found, expected)
    model.weight_average.swap()
    for found, expected in zip(model.trainable_variables, weights, strict=True):
        np.testing.assert_array_equal(found, expected)
    assert any((a != w).any() for a, w in zip(averages, weights, strict=True))


@pytest.fixture
def train(data_dir, monkeypatch):
    monkeypatch.setattr(loop, "finish", lambda *_: None)

    def train(workdir, epochs, average_decay=0.9):
        recipe = dataclasses.replace(
            registry.recipe("vae"), epochs=epochs, batch_size=32, average_decay=average_decay
        )
        settings = recipes.Run(steps_per_epoch=4, data_dir=str(data_dir), workdir=str(workdir))
        assert loop.train("vae", SMALL, recipe, settings) == 0

    return train


@pytest.mark.slow
def test_a_run_measures_and_loads_its_average_and_goes_on_to_the_same_bits(train, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    train(one, 3)
    train(two, 1)
    train(two, 3)
    states = [
        checkpoints.read(checkpoints.Manager(w / "checkpoints").path(12))[1] for w in (one, two)
    ]
    assert states[0].keys() == states[1].keys()
    for name, a in states[0].items():
        np.testing.assert_array_equal(a, states[1][name], err_msg=name)
    strip = [
        [{k: v for k, v in r.items() if k != "seconds"} for r in epochs(w)] for w in (one, two)
    ]
    assert strip[0] == strip[1]
    # what is loaded is the average of the best epoch, whose score is the one that was logged
    best, arrays = checkpoints.read(one / "checkpoints" / "best.npz")
    loaded = checkpoints.weights_of(loading.load(one))
    averages = {k: v for k, v in arrays.items() if k.startswith("average/")}
    assert len(averages) == len(loaded)
    for name, a in averages.items():
        np.testing.assert_array_equal(loaded[name.replace("average/", "weights/")], a)
    assert any((a != arrays[k.replace("average/", "weights/")]).any() for k, a in averages.items())
    assert best["score"] == min(r["val_loss"] for r in epochs(one))
    split = inputs.split_of(one, "validation")
    model = loading.load(one)
    found = model.evaluate(split.images, batch_size=32, verbose=0, return_dict=True)
    # another order of noise: as near as its error
    assert found["loss"] == pytest.approx(best["score"], rel=0.01)


def test_an_average_begins_with_the_weights_of_another_run(train, tmp_path):
    train(tmp_path / "one", 1, average_decay=0.0)
    model = zoo.create("vae", **SMALL)
    model.average_weights(0.5)
    inputs.start_from(str(tmp_path / "one"), model)
    for a, w in model.weight_average.pairs:
        np.testing.assert_array_equal(a, w)


def test_without_an_average_nothing_is_kept(train, tmp_path):
    train(tmp_path, 1, average_decay=0.0)
    _, arrays = checkpoints.read(checkpoints.Manager(tmp_path / "checkpoints").path(4))
    assert not [name for name in arrays if name.startswith("average/")]

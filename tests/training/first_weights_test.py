"""`init_from`: weights that fit are taken as they are, the others are named and left."""

import keras
import numpy as np
import pytest

import zoo
from zoo.hub import checkpoints, loading
from zoo.training import inputs


def started(name, source, shape=(28, 28, 1), num_classes=10, **config):
    """A model that starts from `source`: its weights before and after."""
    keras.utils.set_random_seed(3)
    model = zoo.create(name, shape, num_classes, **config)
    before = checkpoints.weights_of(model)
    digest = inputs.start_from(source, model)
    assert digest == loading.weights_sha256(source, None)
    return before, checkpoints.weights_of(model)


@pytest.mark.parametrize(
    ("name", "images", "left"),
    [
        ("cvae", {"num_classes": 3}, {"decoder/dense/kernel", "encoder/dense/kernel"}),
        (
            "vae",
            {"shape": (28, 28, 3)},
            {
                "encoder/conv2d/kernel",
                "decoder/conv2d_transpose_1/kernel",
                "decoder/conv2d_transpose_1/bias",
            },
        ),
        ("vae", {}, set()),
    ],
    ids=["classes", "colors", "same"],
)
def test_weights_that_fit_are_taken_and_the_others_named(name, images, left, capsys):
    before, after = started(name, name, **images)
    trained = checkpoints.weights_of(zoo.load(name))
    lines = [line for line in capsys.readouterr().out.splitlines() if "init_from" in line]
    assert len(lines) == bool(left)
    for full, weights in after.items():
        key = full.removeprefix("weights/")
        if key in left:
            np.testing.assert_array_equal(weights, before[full])
            assert f"{key} {weights.shape}, {trained[full].shape} there" in lines[0]
        else:
            np.testing.assert_array_equal(weights, trained[full])
            assert not lines or f" {key} " not in lines[0]


def test_a_learned_prior_may_join_trained_networks(capsys):
    before, after = started("vae", "vae", prior="flow")  # of more weights than all the rest
    trained = checkpoints.weights_of(zoo.load("vae"))
    assert set(after) > set(trained)
    for name, weights in after.items():
        np.testing.assert_array_equal(weights, trained.get(name, before[name]))
    assert "first values: all of prior_flows, not there\n" in capsys.readouterr().out


def test_less_than_half_is_refused_and_changes_nothing():
    model = zoo.create("vae", width=8)
    before = checkpoints.weights_of(model)
    with pytest.raises(zoo.InputError, match=r"--init_from: vae is of another model: \d+% of"):
        inputs.start_from("vae", model)
    for name, weights in checkpoints.weights_of(model).items():
        np.testing.assert_array_equal(weights, before[name])

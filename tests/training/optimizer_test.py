"""What a recipe says of steps: warm-up, decay, weight decay and clipping, against closed forms."""

import dataclasses

import keras
import numpy as np
import pytest

from zoo import registry
from zoo.families import optimizers

RECIPE = dataclasses.replace(registry.recipe("vae"), learning_rate=0.1)


def new(updates=1, num_steps=100, replicas=1, **changes):
    recipe = dataclasses.replace(RECIPE, **changes)
    return optimizers.adam(0.1, updates, recipe=recipe, num_steps=num_steps, replicas=replicas)


def rates(optimizer, steps):
    return [float(optimizer._learning_rate(step)) for step in steps]


def test_steps_grow_from_0_and_then_stay_or_fall():
    assert rates(new(warmup_steps=10), (0, 5, 10, 50)) == pytest.approx([0, 0.05, 0.1, 0.1])
    both = new(warmup_steps=20, decay="cosine")
    expected = [0, 0.05, 0.1, 0.1 * 0.5, 0.0]  # of the 80 steps that are left, 0, 40 and 80
    assert rates(both, (0, 10, 20, 60, 100)) == pytest.approx(expected, abs=1e-6)
    assert rates(new(5, warmup_steps=20, decay="cosine"), (50, 100, 500)) == pytest.approx(
        [0.05, 0.1, 0.0], abs=1e-6
    )


def test_the_usual_recipe_has_steps_of_one_size():
    assert float(new().learning_rate) == pytest.approx(0.1)
    assert new().weight_decay is None and new().global_clipnorm is None


def test_weights_decay_by_their_own_size():
    weight = keras.Variable([2.0, -4.0])
    new(weight_decay=0.3).apply([np.zeros(2, np.float32)], [weight])
    np.testing.assert_allclose(weight, [2.0 * 0.97, -4.0 * 0.97], rtol=1e-6)


def test_a_gradient_is_scaled_down_to_the_norm_and_a_small_one_is_not():
    small, great = np.array([0.3, 0.4], np.float32), np.array([3.0, -4.0], np.float32)

    def after(clip_norm, *gradients):
        weight, optimizer = keras.Variable([1.0, 1.0]), new(clip_norm=clip_norm)
        for gradient in gradients:
            optimizer.apply([gradient], [weight])
        return np.asarray(weight)

    np.testing.assert_allclose(after(1.0, small, great), after(0.0, small, great / 5), rtol=1e-5)
    assert np.abs(after(1.0, small, great) - after(0.0, small, great)).max() > 1e-3

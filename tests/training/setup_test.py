"""Recipes become optimizers, and settings that matter keep runs apart."""

import dataclasses

import numpy as np
import pytest

from zoo import registry
from zoo.hub import loading
from zoo.training import workdirs


@pytest.mark.parametrize("discriminator_steps", [1, 3])
def test_cosine_decay_ends_at_zero_for_both_players(discriminator_steps):
    recipe = dataclasses.replace(registry.recipe("gan"), decay="cosine")
    config = {"hidden": (8,), "discriminator_steps": discriminator_steps}
    model = loading.create("gan", (8, 8, 1), 10, config, recipe=recipe, num_steps=4)
    pair = (model.optimizer, model.discriminator_optimizer)
    images = np.zeros((4 * 2 * discriminator_steps, 8, 8, 1), np.uint8)
    rates = []
    for _ in range(2):  # half of the way, twice
        model.fit(images[: len(images) // 2], batch_size=2 * discriminator_steps, verbose=0)
        rates.append([float(optimizer.learning_rate) for optimizer in pair])
    for half, end, start in zip(*rates, (2e-4, 2e-4), strict=True):
        assert half == pytest.approx(start / 2)
        assert end == pytest.approx(0, abs=1e-12)


def test_without_decay_step_sizes_stay():
    model = loading.create("gan", (8, 8, 1), 10, {"hidden": (8,)}, num_steps=1)
    model.fit(np.zeros((2, 8, 8, 1), np.uint8), batch_size=1, verbose=0)
    assert float(model.optimizer.learning_rate) == pytest.approx(2e-4)


def test_more_epochs_are_another_run_only_where_step_sizes_decay():
    def settings(epochs, decay):
        return {"recipe": {"epochs": epochs, "decay": decay}}

    assert workdirs.differences(settings(2, "none"), settings(3, "none")) == []
    found = workdirs.differences(settings(2, "cosine"), settings(3, "cosine"))
    assert found == ["epochs: 2 then, 3 now"]

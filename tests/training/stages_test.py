"""A run in two stages: the second one trains the prior alone, wherever the run was interrupted."""

import dataclasses

import pytest

import zoo
from zoo import InputError, recipes, registry
from zoo.core import files
from zoo.core.arrays import digest
from zoo.hub import checkpoints
from zoo.training import loop

CONFIG = {
    "codebook_size": 8,
    "code_dim": 3,
    "width": 4,
    "num_blocks": 1,
    "prior_width": 4,
    "prior_layers": 2,
}
# of the commitment no epoch in which the prior learns alone is better than the one before
RECIPE = dataclasses.replace(
    registry.recipe("vqvae"), epochs=3, batch_size=32, prior_epochs=1, monitor="val_commitment"
)
STEPS = 3


def train(data_dir, workdir, recipe=RECIPE):
    settings = recipes.Run(data_dir=str(data_dir), steps_per_epoch=STEPS, workdir=str(workdir))
    return loop.train("vqvae", CONFIG, recipe, settings)


def arrays(workdir, step):
    return checkpoints.read(checkpoints.Manager(workdir / "checkpoints").path(step))[1]


@pytest.mark.parametrize(
    "killed", [pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.weekly)]
)
def test_the_second_stage_begins_where_it_should_and_ends_in_the_same_bits(
    data_dir, tmp_path, no_export, killed
):
    workdir = tmp_path / "run"
    assert train(data_dir, workdir) == 0
    one, two, three = (arrays(workdir, STEPS * epoch) for epoch in (1, 2, 3))
    names = [n for n in one if n.startswith("weights/")]
    first, second = (
        {n for n in names if (a[n] != b[n]).any()} for a, b in ((one, two), (two, three))
    )
    prior = len(zoo.create("vqvae", **CONFIG).prior.trainable_variables)
    assert len(second) == prior and second < first
    # the best epoch is one of the last stage, whatever the others' score was
    assert files.read_json(workdir / "summary.json")["exported_step"] == 3 * STEPS
    manager = checkpoints.Manager(workdir / "checkpoints")
    for epoch in range(killed, 4):  # as if killed in it: the second stage is the third epoch
        manager.path(epoch * STEPS).unlink()
    assert train(data_dir, workdir) == 0
    assert digest(arrays(workdir, 3 * STEPS)) == digest(three)
    with pytest.raises(InputError, match="leave none for the rest"):
        train(data_dir, tmp_path / "never", dataclasses.replace(RECIPE, epochs=1))
    with pytest.raises(InputError, match="epochs: 3 then, 4 now"):
        train(data_dir, workdir, dataclasses.replace(RECIPE, epochs=4))

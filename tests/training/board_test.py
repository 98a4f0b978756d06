"""What a run of each kind shows in TensorBoard, against what the model itself says."""

import dataclasses

import numpy as np
import pytest
from written import events, scalars

import zoo
from zoo import recipes, registry
from zoo.training import loop

STEPS, EPOCHS = 3, 2
LAST = STEPS * EPOCHS
MLP = {"network": "mlp", "hidden": (8,)}
VQVAE = {"codebook_size": 8, "code_dim": 3, "width": 4, "num_blocks": 1, "prior_width": 4}


@pytest.fixture
def train(data_dir, tmp_path, no_export):
    """Trains a little: the scalars of each run of TensorBoard by tag and epoch, and the model."""

    def train(name, config):
        recipe = dataclasses.replace(registry.recipe(name), epochs=EPOCHS, batch_size=32)
        if hasattr(recipe, "prior_epochs"):
            recipe = dataclasses.replace(recipe, prior_epochs=1)
        settings = recipes.Run(data_dir=str(data_dir), steps_per_epoch=STEPS, workdir=str(tmp_path))
        assert loop.train(name, config, dataclasses.replace(recipe, monitor=""), settings) == 0
        shown = {folder: scalars(tmp_path / "logs" / folder) for folder in ("train", "validation")}
        return shown, zoo.load(tmp_path)

    return train


@pytest.mark.slow
def test_the_temperature_of_each_epoch_is_that_of_its_schedule(train, data_dir):
    rate = 0.1
    config = {**MLP, "num_latents": 3, "num_categories": 4, "anneal_rate": rate}
    board, model = train("categorical_vae", config)
    steps = np.arange(EPOCHS * STEPS).reshape(EPOCHS, STEPS)
    expected = np.maximum(np.exp(-rate * steps), 0.5).mean(1)  # an epoch's mean
    for epoch in range(1, EPOCHS + 1):
        shown = board["train"]["statistics/temperature"][epoch * STEPS]
        assert shown == pytest.approx(expected[epoch - 1], rel=1e-5)
    images = zoo.data.load(data_dir=data_dir).validation.images
    p = model.encode(images).mean().numpy().reshape(64, 3, 4).mean(0)
    assert board["validation"]["statistics/perplexity"][LAST] == pytest.approx(
        np.exp(-(p * np.log(p)).sum(-1)).mean(), rel=1e-4
    )


@pytest.mark.slow
def test_the_use_of_the_codebook_is_that_of_the_validation_images(train, data_dir):
    board, model = train("vqvae", {**VQVAE, "prior_layers": 2})
    images = zoo.data.load(data_dir=data_dir).validation.images
    counts = np.bincount(np.asarray(model.codes(images / np.float32(255))).ravel(), minlength=8)
    p = counts[counts > 0] / counts.sum()
    assert board["validation"]["statistics/codes_used"][LAST] == pytest.approx(
        np.exp(-(p * np.log(p)).sum()), rel=1e-4
    )
    assert set(board["train"]["statistics/codes_used"]) == {3, 6}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, pictures",
    [("infogan", {"traversals"}), ("bigan", {"reconstructions", "traversals"})],
)
def test_what_a_gan_can_show_of_its_codes_is_shown(train, tmp_path, name, pictures):
    train(name, {**MLP, "latent_dim": 3})
    assert shown_pictures(tmp_path) == {"images", *pictures}


def shown_pictures(workdir):
    """The names of what TensorBoard has under Images."""
    board = events(workdir / "logs" / "validation")
    kind = {tag: board.SummaryMetadata(tag).plugin_data for tag in board.Tags()["tensors"]}
    shown = {tag for tag, plugin in kind.items() if plugin.plugin_name == "images"}
    return {tag.removeprefix("samples/") for tag in shown}


@pytest.mark.slow
def test_mixture_weights_and_the_kl_of_each_dimension(train, data_dir, tmp_path):
    config = {**MLP, "latent_dim": 3, "mixture_weights": "learned", "num_prior_components": 4}
    board, model = train("gmm_vae", config)
    assert {"images", "reconstructions", "prior_components"} <= shown_pictures(tmp_path)
    shown = [board["train"][f"statistics/prior_weights/{k:02d}"][LAST] for k in range(4)]
    np.testing.assert_allclose(shown, model.prior_weights(), rtol=1e-5)
    assert sum(shown) == pytest.approx(1, rel=1e-5)
    kl = [board["validation"][f"statistics/kl_per_dim_nats/{j:02d}"][LAST] for j in range(3)]
    images = zoo.data.load(data_dir=data_dir).validation.images
    shown = [board["validation"][f"statistics/posterior_weights/{k:02d}"][LAST] for k in range(2)]
    pi = model.encode(images).mixture_distribution.probs_parameter()
    np.testing.assert_allclose(shown, np.asarray(pi).mean(0), rtol=1e-4)
    np.testing.assert_allclose(kl, model.kl_per_dim(images).numpy().mean(0), rtol=1e-3)


@pytest.mark.slow
def test_groups_of_numbers_are_on_the_board_and_their_means_not_in_the_lines(train, capsys):
    board, _ = train("gmm_vae", {**MLP, "posterior": "mixture", "num_components": 2})
    said = capsys.readouterr().out
    assert any("posterior_weights" in tag for tag in board["validation"])
    assert "val_bits_per_dim" in said
    for group in ("posterior_weights", "prior_weights", "per_dim_nats"):
        assert group not in said

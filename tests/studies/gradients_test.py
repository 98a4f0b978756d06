"""The gradients of the two generator losses are to each other as the calculus says."""

import gradients
import keras
import numpy as np
import pytest

import zoo


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1)).astype(np.uint8)


def gan():
    return zoo.create("gan", image_shape=(8, 8, 1), latent_dim=3, hidden=(16,))


@pytest.mark.slow
def test_for_one_latent_the_gradients_are_as_d_to_one_minus_d(images):
    found = gradients.generator_gradients(gan(), images, batch_size=1)
    # by the logit l, log(1 - D) has the derivative -D and -log D has -(1 - D)
    d = np.array(found["d_fake"])
    ratio = np.array(found["saturating"]) / np.array(found["non_saturating"])
    np.testing.assert_allclose(ratio, d / (1 - d), rtol=1e-4)
    assert len(d) == 6


def test_the_generator_waits_while_the_discriminator_learns(images):
    model = gan()
    players = model.generator, model.discriminator
    before = [[w.copy() for w in player.get_weights()] for player in players]
    gradients.generator_gradients(model, images, batch_size=2)
    for old, new in zip(before[0], model.generator.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    for old, new in zip(before[1], model.discriminator.get_weights(), strict=True):
        assert (old != new).any()


def test_the_mean_of_the_curves_is_what_fit_logs_for_the_epoch(images):
    keras.utils.set_random_seed(0)
    found = gradients.training_curves(gan(), images, batch_size=2)
    keras.utils.set_random_seed(0)
    history = gan().fit(images, batch_size=2, shuffle=False, verbose=0).history
    for name in ("d_fake", "g_grad_norm"):
        assert len(set(found[name])) == 3
        assert history[name][0] == pytest.approx(np.mean(found[name]), rel=1e-5)

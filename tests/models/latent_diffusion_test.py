"""Latent diffusion: latents of an autoencoder at rest, their moments, and images of them."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_models import autoencoder

import zoo

SHAPE = (12, 12, 1)
KINDS = ("vqvae", "vae")
of_each_kind = pytest.mark.parametrize("kind", KINDS)


def make(kind, **settings):
    keras.utils.set_random_seed(1)
    small = {"width": 4, "num_blocks": 1, "hidden": (8,), "num_steps": 3, **settings}
    return zoo.create(
        "latent_diffusion", SHAPE, 4, autoencoder=autoencoder(kind, SHAPE, used), **small
    )


def used(part):
    """Of an autoencoder all codes are in use, some more often than others."""
    if hasattr(part, "quantizer"):
        rng = np.random.default_rng(3)
        part.quantizer.counts.assign(rng.integers(1, 9, part.config.codebook_size))
        part.quantizer.codebook.assign(2 + 3 * rng.standard_normal(part.quantizer.codebook.shape))


@pytest.fixture(scope="module")
def models():
    return {kind: make(kind) for kind in KINDS}


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).random((6, *SHAPE), np.float32)


@of_each_kind
def test_there_and_back_is_the_autoencoder(models, images, kind):
    model = models[kind]
    part = model.trained_autoencoder
    x = model.onto_way(tf.constant(images))
    assert x.shape == (6, *model.way_shape)
    np.testing.assert_allclose(model.off_way(x), part.reconstruct(images), atol=1e-6)


def test_moments_are_those_of_the_codes_in_use(models):
    model = models["vqvae"]
    quantizer = model.trained_autoencoder.quantizer
    codes = np.repeat(quantizer.codebook.numpy(), quantizer.counts.numpy().astype(int), 0)
    mean, deviation = model.mean, model.deviation
    np.testing.assert_allclose(mean, codes.mean(0), rtol=1e-4)
    np.testing.assert_allclose(deviation, codes.std(0), rtol=1e-4)


def test_moments_are_those_of_the_prior(models):
    mean, deviation = models["vae"].mean, models["vae"].deviation
    np.testing.assert_array_equal(mean, 0)
    np.testing.assert_array_equal(deviation, 1)


def test_moments_are_kept_and_not_found_anew(tmp_path):
    model = make("vae")
    model.mean.assign(model.mean + 1.5)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.mean, model.mean)


def test_in_training_latents_are_draws(models, images):
    model = models["vae"]
    q = model.trained_autoencoder.encode(images)
    many = model.onto_way(tf.tile(images, [400, 1, 1, 1]), tf.constant([0, 1]))
    many = many.numpy().reshape(400, 6, -1)
    np.testing.assert_allclose(many.mean(0), q.mean(), atol=0.25)  # 5 errors of 1/20
    np.testing.assert_allclose(many.std(0), q.stddev(), rtol=0.25)
    mean = tf.reshape(model.onto_way(tf.constant(images)), [6, -1])
    np.testing.assert_allclose(mean, q.mean(), atol=1e-6)


def test_what_is_generated_is_made_of_codes(models):
    model = models["vqvae"]
    part = model.trained_autoencoder
    x = tf.random.stateless_normal([3, *model.way_shape], [0, 1])
    mean, deviation = model.mean, model.deviation
    nearest = part.quantizer.nearest(mean + deviation * x)
    codes = tf.reshape(part.quantizer.embed(nearest), [3, -1])
    np.testing.assert_allclose(model.off_way(x), part.generate(codes), atol=1e-6)


@pytest.mark.parametrize("kind", [pytest.param("vqvae", marks=pytest.mark.slow), "vae"])
def test_the_autoencoder_is_at_rest(images, kind):
    model = make(kind)
    part = model.trained_autoencoder
    before = [np.asarray(w) for w in part.weights]
    assert not part.trainable_variables
    assert {id(v) for v in model.trainable_variables} == {
        id(v) for v in model.network.trainable_variables
    }
    model.fit(images, np.zeros(6, np.int32), batch_size=3, epochs=2, verbose=0)
    for old, new in zip(before, part.weights, strict=True):
        np.testing.assert_array_equal(old, new)


def test_an_exact_field_gives_reconstructions(images):
    """Of a single image all paths lead to its latents, and samples are its reconstruction."""
    model = make("vae", conditional=False)
    part = model.trained_autoencoder
    x_1 = model.onto_way(tf.constant(images[:1]))

    def velocity(x, t, labels=None, training=False):
        return (x_1 - x) / tf.maximum(1 - t, 1e-3)[:, None, None, None]

    model.velocity = velocity
    drawn = model.sample(5, seed=0)
    np.testing.assert_allclose(drawn, np.repeat(part.reconstruct(images[:1]), 5, 0), atol=1e-4)
    path = model.path(2, seed=0)
    assert path.shape == (2, 4, *SHAPE)
    np.testing.assert_allclose(path[:, -1], drawn[:2], atol=1e-4)


@of_each_kind
def test_variations_of_next_to_no_strength_are_reconstructions(models, images, kind):
    model = models[kind]
    labels = np.arange(6, dtype=np.int32) % 4
    expected = model.trained_autoencoder.reconstruct(images)
    found = model.vary(images, 1e-4, labels, seed=0, guidance=1.0)
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_it_completes_nothing(models, images):
    with pytest.raises(zoo.InputError, match="completes no images"):
        models["vae"].complete(images, 6)


def test_a_keras_file_has_the_autoencoder(models, images, tmp_path):
    model = models["vae"]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    labels = np.arange(4, dtype=np.int32)
    np.testing.assert_allclose(
        loaded.sample(4, labels, seed=3), model.sample(4, labels, seed=3), atol=1e-6
    )
    assert len(loaded.trainable_variables) == len(model.trainable_variables)


@pytest.mark.parametrize(
    ("settings", "shape", "message"),
    [
        ({"autoencoder": "cgan"}, (28, 28, 1), "no autoencoder"),
        ({"autoencoder": "cvae"}, (28, 28, 1), "conditional"),
        ({"autoencoder": "nowhere"}, (28, 28, 1), "nowhere"),
        ({}, (64, 64, 3), "of images of 28x28x1, and these are 64x64x3"),
    ],
)
def test_other_autoencoders_are_refused(settings, shape, message):
    with pytest.raises(zoo.InputError, match=message):
        zoo.create("latent_diffusion", shape, **settings)

"""The conditional GAN's truths: both players hear the label."""

import numpy as np
import pytest
import tensorflow as tf

import zoo


@pytest.fixture(scope="module")
def model():
    return zoo.create("cgan", width=4, latent_dim=4)


def test_the_label_reaches_both_players(model, fashion_mnist):
    z = model.draw_prior(3, seed=0)
    made = [model.generate(z, tf.fill([3], y)).numpy() for y in (0, 7)]
    assert np.abs(made[0] - made[1]).max() > 1e-4
    x = fashion_mnist.test.images[:3]
    logits = [model.discriminate(x, tf.fill([3], y)).numpy() for y in (0, 7)]
    assert np.abs(logits[0] - logits[1]).min() > 1e-6


def test_samples_without_labels_take_uniform_ones_by_the_seed(model):
    labels = model.labels_for(20_000, None, tf.constant([3, 0])).numpy()
    counts = np.bincount(labels, minlength=10)
    assert ((counts - 2000) ** 2 / 2000).sum() < 33.7  # chi-square, 9 degrees, 0.9999
    np.testing.assert_array_equal(model.sample(4, seed=3), model.sample(4, seed=3))


def test_samples_follow_the_labels_given(model):
    both = model.sample(2, labels=[3, 5], seed=0).numpy()
    z = model.draw_prior(2, seed=0)
    np.testing.assert_allclose(both, model.generate(z, tf.constant([3, 5])), atol=1e-6)


@pytest.mark.parametrize("labels", [[10, 0], [-1, 0]])
def test_a_label_out_of_range_is_refused(model, labels):
    with pytest.raises(zoo.InputError, match=r"labels must be in 0\.\.9"):
        model.sample(2, labels=labels, seed=0)


def test_as_many_labels_as_samples(model):
    with pytest.raises(zoo.InputError, match="3 samples need as many labels, not 2"):
        model.sample(3, labels=[1, 2])


def test_one_channel_is_enough():
    model = zoo.create("cgan", width=1, latent_dim=2)
    assert model.sample(2, [0, 1], seed=0).shape == (2, 28, 28, 1)

"""The projection discriminator: a scalar product of label and features."""

import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo.errors import InputError
from zoo.nn.layers import SpectralNormalization

SMALL = {"network": "mlp", "hidden": (16,), "latent_dim": 3}


def test_d_is_psi_of_the_features_and_their_product_with_the_label_s_vector(fashion_mnist):
    model = zoo.create("projection_cgan", **SMALL)
    x = tf.constant(fashion_mnist.train.images[:10] / np.float32(255))
    y = np.arange(10)
    d = model.discriminator
    phi = d.get_layer("features")(2 * x - 1).numpy()
    one, other = (v for v in d.layers if isinstance(v, SpectralNormalization))
    psi, label = (one, other) if one.layer.units == 1 else (other, one)
    assert not label.use_bias and psi.use_bias
    v_y = label(tf.eye(10)).numpy()
    expected = psi(phi).numpy()[:, 0] + (v_y * phi).sum(1)
    np.testing.assert_allclose(model.discriminate(x, y), expected, rtol=1e-4, atol=1e-5)


def test_the_label_moves_scores_by_a_linear_function_of_features(fashion_mnist):
    # D(x, y) - D(x, y') = (v_y - v_y') . phi(x): a matrix of rank at most F over x
    model = zoo.create("projection_cgan", **{**SMALL, "hidden": (2,)})
    x = fashion_mnist.train.images[:30]
    scores = np.stack([model.discriminate(x, [k] * 30) for k in range(10)], 1)
    singular = np.linalg.svd(scores - scores[:, :1], compute_uv=False)
    assert singular[2] < 1e-4 * singular[0] and singular[1] > 1e-3 * singular[0]


def test_features_of_convolutions_are_summed_over_places(fashion_mnist):
    model = zoo.create("projection_cgan", width=4, latent_dim=3)
    x = tf.constant(fashion_mnist.train.images[:3] / np.float32(255))
    features = model.discriminator.get_layer("features")
    places = features.get_layer("places")(x).numpy()
    assert places.shape == (3, 7, 7, 8)
    np.testing.assert_allclose(features(x), places.sum((1, 2)), rtol=1e-5, atol=1e-7)


def test_a_perceptron_without_hidden_layers_is_refused():
    with pytest.raises(InputError, match="hidden must name at least one"):
        zoo.create("projection_cgan", network="mlp", hidden=())


def test_g_is_told_the_label_in_its_batch_norms_alone():
    model = zoo.create("projection_cgan", width=4, latent_dim=3)
    z = tf.repeat(model.draw_prior(1, seed=0), 10, axis=0)
    same = model.generate(z, [3] * 10).numpy()
    np.testing.assert_allclose(same, np.repeat(same[:1], 10, 0), atol=1e-6)
    # all classes start alike: their scales are 1 and shifts 0, until they learn
    np.testing.assert_allclose(model.generate(z, np.arange(10)), same, atol=1e-6)
    for v in model.average.weights:
        if v.name == "beta" and v.shape[0] == 10:
            v.assign(np.random.default_rng(0).normal(size=v.shape))
    for latents, labels in ((z, [3]), (z[:1], np.arange(10))):
        with pytest.raises(zoo.InputError, match="a label for each image"):
            model.generate(latents, labels)
    images = model.generate(z, np.arange(10)).numpy()
    assert min(np.abs(images[i] - images[j]).max() for i in range(10) for j in range(i)) > 1e-3

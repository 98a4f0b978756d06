"""The DCGAN: the paper's rules, seen in its networks."""

import keras
import numpy as np
from keras import layers

import zoo


def kinds(network):
    return [type(layer) for layer in network.layers]


def test_networks_follow_the_rules_of_the_paper():
    keras.utils.set_random_seed(0)
    model = zoo.create("dcgan", width=16)
    g, d = kinds(model.generator), kinds(model.discriminator)
    # strides in place of pooling, no dense layer between, ReLU in G and leaky ReLU in D
    assert g.count(layers.Dense) == 1 and d.count(layers.Dense) == 1 and d[-1] is layers.Dense
    assert layers.LeakyReLU not in g and layers.ReLU not in d
    # batch norm after each layer but G's last and D's first and last
    assert g.count(layers.BatchNormalization) == 2 and d.count(layers.BatchNormalization) == 1
    assert d.index(layers.BatchNormalization) == 3 and g[-1] is layers.Conv2DTranspose
    for network in (model.generator, model.discriminator):
        for v in network.trainable_variables:
            if v.name == "kernel":
                assert abs(np.std(v) - 0.02) < 0.02 / np.sqrt(2 * np.size(v)) * 5, v.path
    kernels = [v.numpy().ravel()[:50] for v in model.trainable_variables if v.name == "kernel"]
    correlation = np.corrcoef(kernels) - np.eye(len(kernels))
    assert np.abs(correlation).max() < 0.6  # each layer has draws of its own
    images = model.sample(4, seed=0).numpy()
    assert np.abs(images - 0.5).max() < 0.2  # weights so small make gray images at first


def test_a_penalized_d_sees_each_image_alone():
    # the slope of D at an image must not depend on the others
    model = zoo.create("dcgan", width=4, latent_dim=3, penalty="r1")
    assert layers.BatchNormalization not in kinds(model.discriminator)
    x = np.random.default_rng(0).random((4, 28, 28, 1)).astype(np.float32)
    alone = model.discriminate(x[:1], training=True)
    np.testing.assert_allclose(model.discriminate(x, training=True)[:1], alone, atol=1e-6)

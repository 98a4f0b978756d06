"""The GAN's truths: whose weights move, and how strongly the generator is taught."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo

SMALL = {"hidden": (8,), "latent_dim": 4}


def snapshot(network):
    return [v.numpy() for v in network.trainable_variables]


def equal(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.fixture
def data(fashion_mnist):
    return fashion_mnist.train.images[:24], fashion_mnist.train.labels[:24]


@pytest.mark.parametrize("still", ["optimizer", "discriminator_optimizer"])
@pytest.mark.parametrize("name", ["gan", "cgan"])
def test_each_optimizer_moves_its_own_player_only(name, still, data):
    model = zoo.create(name, **({"width": 4} if name == "cgan" else SMALL))
    getattr(model, still).learning_rate = 0.0
    before = snapshot(model.generator), snapshot(model.discriminator)
    model.train_step(data)
    g_still = equal(before[0], snapshot(model.generator))
    d_still = equal(before[1], snapshot(model.discriminator))
    assert (g_still, d_still) == (still == "optimizer", still == "discriminator_optimizer")


def test_discriminator_steps_are_on_distinct_data(data):
    model = zoo.create("gan", discriminator_steps=3, **SMALL)
    seen = []
    original = model.d_losses
    model.d_losses = lambda x, *rest, **kw: seen.append(x.numpy()) or original(x, *rest, **kw)
    model.train_step(data)
    np.testing.assert_allclose(np.concatenate(seen) * 255, data[0], atol=1e-3)
    assert int(model.discriminator_optimizer.iterations) == 3
    assert int(model.optimizer.iterations) == 1


@pytest.mark.parametrize("logit", [-12.0, -6.0, 3.0])
def test_gradient_norms_at_a_confident_discriminator_have_their_closed_form(logit):
    # D(x) = sigmoid(w.x + b) with |w| tiny and b the logit: then dL/dtheta is, for every weight of
    # G, the slope of the loss in the logit (-D or -(1 - D)) times one and the same vector.
    norms = {}
    for loss in ("saturating", "non_saturating"):
        keras.utils.set_random_seed(0)
        model = zoo.create("gan", generator_loss=loss, hidden=(), latent_dim=4)
        kernel, bias = model.discriminator.trainable_variables
        kernel.assign(kernel * 1e-4)
        bias.assign([logit])
        z = tf.random.stateless_normal([64, 4], [0, 1])
        with tf.GradientTape() as tape:
            mean = tf.reduce_mean(model.g_losses(z, None, training=True)["g_loss"])
        norms[loss] = tf.linalg.global_norm(
            tape.gradient(mean, model.generator.trainable_variables)
        ).numpy()
        with tf.GradientTape() as tape:
            plain = tf.reduce_mean(model.discriminate(model.generate(z)))
        unit = tf.linalg.global_norm(tape.gradient(plain, model.generator.trainable_variables))
        d = 1 / (1 + np.exp(-logit))
        slope = d if loss == "saturating" else 1 - d
        assert norms[loss] == pytest.approx(slope * unit.numpy(), rel=2e-2)
    # a D that is sure starves the saturating generator by the factor D / (1 - D) = exp(logit)
    assert norms["saturating"] / norms["non_saturating"] == pytest.approx(np.exp(logit), rel=0.05)


def test_logged_values_are_those_of_the_formulas(data):
    model = zoo.create("gan", **SMALL)
    logs = {k: float(v) for k, v in model.test_step(data).items()}
    assert logs["value"] == pytest.approx(-logs["d_loss"], rel=1e-6)
    assert 0 < logs["d_real"] < 1 and 0 < logs["d_fake"] < 1
    d = tf.sigmoid(model.discriminate(data[0]))
    assert logs["d_real"] == pytest.approx(float(tf.reduce_mean(d)), rel=1e-5)


def test_logged_gradient_norm_is_that_of_the_loss(data):
    keras.utils.set_random_seed(0)
    model = zoo.create("gan", **SMALL)
    model.discriminator_optimizer.learning_rate = 0.0
    seeds = model.seed_generator.state.numpy()
    logged = float(model.train_step(data)["d_grad_norm"])
    keras.utils.set_random_seed(0)
    model = zoo.create("gan", **SMALL)
    model.seed_generator.state.assign(seeds)
    z = tf.random.stateless_normal([24, 4], model.next_seed(), alg="philox")
    with tf.GradientTape() as tape:
        x = data[0] / np.float32(255)
        loss = tf.reduce_mean(model.d_losses(x, None, z, training=True)["d_loss"])
    gradients = tape.gradient(loss, model.discriminator.trainable_variables)
    assert logged == pytest.approx(float(tf.linalg.global_norm(gradients)), rel=1e-4)


def test_sampling_and_labels():
    model = zoo.create("gan", **SMALL)
    images = model.sample(5, seed=1).numpy()
    assert images.shape == (5, 28, 28, 1) and images.min() >= 0 and images.max() <= 1
    np.testing.assert_array_equal(images, model.sample(5, seed=1))
    assert np.abs(images - model.sample(5, seed=2)).max() > 0
    with pytest.raises(zoo.InputError, match="unconditional"):
        model.sample(5, labels=[1] * 5)

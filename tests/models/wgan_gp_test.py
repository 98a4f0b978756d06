"""The Wasserstein GAN: its value is the earth mover's distance, and its weights stay clipped."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo


@pytest.mark.parametrize("distance", [0.5, 2.0])
def test_the_critic_finds_the_earth_mover_s_distance(distance):
    # two points, at x = 0 and `distance` off in [-1, 1]'s scale: the best slope is 1, the value
    # their distance, less what the quadratic penalty lets it gain: with weight w a slope of
    # 1 + d / (2 w)
    keras.utils.set_random_seed(0)
    weight = 50.0
    settings = {"network": "mlp", "hidden": (16,), "latent_dim": 1, "penalty_weight": weight}
    model = zoo.create("wgan_gp", image_shape=(1, 1, 1), discriminator_steps=1, **settings)
    model.compile(keras.optimizers.SGD(0.0), keras.optimizers.Adam(3e-3))
    real = tf.fill([8, 1, 1, 1], 0.25 + distance / 4)
    generate = model.run_generator
    model.run_generator = lambda *a, **k: 0 * generate(*a, **k) + 0.25 - distance / 4
    z = model.draw_prior(8, seed=0)

    def value():
        return float(tf.reduce_mean(model.d_losses(real, None, z, training=False)["value"]))

    if value() < 0:  # in one dimension no way leads from a slope of -1 to 1 but over the penalty
        last = model.discriminator.trainable_variables[-2]
        last.assign(-last)
    step = tf.function(lambda: model.train_step((real, None)))
    for _ in range(600):
        step()
    assert value() == pytest.approx(distance * (1 + distance / (2 * weight)), rel=0.02)


def test_clipped_weights_stay_in_their_interval(fashion_mnist):
    model = zoo.create(
        "wgan_gp", network="mlp", hidden=(16,), latent_dim=3, weight_clip=0.01, penalty="none"
    )
    model.discriminator_optimizer.learning_rate = 0.1
    for _ in range(3):
        model.train_step((fashion_mnist.train.images[:20], fashion_mnist.train.labels[:20]))
    for v in model.discriminator.trainable_variables:
        assert np.abs(v).max() <= np.float32(0.01), v.path
    assert max(np.abs(v).max() for v in model.generator.trainable_variables) > 0.01


def test_an_image_s_score_does_not_depend_on_the_others():
    model = zoo.create("wgan_gp", width=4, latent_dim=3)
    x = np.random.default_rng(0).random((4, 28, 28, 1)).astype(np.float32)
    alone = model.discriminate(x[:1], training=True)
    np.testing.assert_allclose(model.discriminate(x, training=True)[:1], alone, atol=1e-5)
    assert model.discriminator_steps == 5 and model.equilibrium == 0 and not model.probabilistic

"""GAN losses and penalties against values from public test suites and against closed forms."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.math import gan_losses
from zoo.math.gan_losses import GAMES

DX = tf.constant([1.3, 2.9, 8.4, 6.3])
DGZ = tf.constant([4.8, 1.2, -3.5, 5.9])
REAL = tf.constant([-5.0, 1.4, 12.5, 2.7])
FAKE = tf.constant([10.0, 4.4, -5.5, 3.6])


def mean(x):
    return float(tf.reduce_mean(x))


def test_known_values():
    assert mean(-gan_losses.value(DX, DGZ)) == pytest.approx(3.1251488, abs=1e-6)
    assert mean(gan_losses.non_saturating(DGZ)) == pytest.approx(0.9509911, abs=1e-6)
    assert mean(gan_losses.saturating(DGZ)) == pytest.approx(-3.0509911, abs=1e-6)


@pytest.mark.parametrize(
    ("game", "d_loss", "g_loss"),
    [
        ("non_saturating", 5.83387, 1.38582),
        ("saturating", 5.83387, -4.51082),
        ("wasserstein", 0.225, -3.125),
        ("hinge", 6.75, -3.125),
        ("relativistic", 4.82244, 4.59744),  # in pairs
        # with the factor 1/2 on each of the terms
        ("least_squares", 41.73375, 17.69625),
    ],
)
def test_more_known_values(game, d_loss, g_loss):
    assert mean(-GAMES[game].value(REAL, FAKE)) == pytest.approx(d_loss, abs=1e-5)
    both = (FAKE, REAL) if GAMES[game].paired else (FAKE,)
    assert mean(GAMES[game].generator_loss(*both)) == pytest.approx(g_loss, abs=1e-5)


@pytest.mark.parametrize("name", list(GAMES))
def test_equilibrium_is_the_best_that_d_can_do_where_real_and_made_are_alike(name):
    # p = q: D gives both the same output t, and ascends value(t, t) over t
    game, t = GAMES[name], tf.linspace(-5.0, 5.0, 2001)
    assert float(tf.reduce_max(game.value(t, t))) == pytest.approx(game.equilibrium, abs=1e-5)


@pytest.mark.parametrize("name", list(GAMES))
def test_real_and_made_change_places_by_mirroring(name):
    game = GAMES[name]
    swapped = game.value(2 * game.undecided - FAKE, 2 * game.undecided - REAL)
    np.testing.assert_allclose(swapped, game.value(REAL, FAKE), rtol=1e-6)


def test_equilibrium_value_of_the_minimax_game_is_minus_log_4():
    zero = tf.zeros(3)
    np.testing.assert_allclose(gan_losses.value(zero, zero), -np.log(4), rtol=1e-6)


def test_the_best_d_of_two_densities_is_their_share_and_its_value_their_divergence():
    # on five places with p and q, D is a table, and gradient ascent finds p / (p + q)
    p, q = np.float32([0.4, 0.3, 0.15, 0.1, 0.05]), np.float32([0.1, 0.1, 0.2, 0.25, 0.35])
    logits = tf.Variable(tf.zeros(5))

    def value():
        v = p * gan_losses.value(logits, tf.fill(5, -1e9))  # log D alone
        return tf.reduce_sum(v + q * gan_losses.value(tf.fill(5, 1e9), logits))

    optimizer = keras.optimizers.SGD(2.0)
    for _ in range(500):
        with tf.GradientTape() as tape:
            loss = -value()
        optimizer.apply([tape.gradient(loss, logits)], [logits])
    np.testing.assert_allclose(tf.sigmoid(logits), p / (p + q), atol=1e-4)
    m = (p + q) / 2  # V = -log 4 + 2 JSD  (Goodfellow et al. 2014, theorem 1)
    jsd = (np.sum(p * np.log(p / m)) + np.sum(q * np.log(q / m))) / 2
    assert float(value()) == pytest.approx(-np.log(4) + 2 * jsd, abs=1e-5)


@pytest.mark.parametrize("logit", [-30.0, -3.0, 0.0, 4.0])
def test_slopes_are_those_claimed(logit):
    logits = tf.constant(logit)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(logits)
        starved, cured = gan_losses.saturating(logits), gan_losses.non_saturating(logits)
    d = 1 / (1 + np.exp(-logit))
    assert float(tape.gradient(starved, logits)) == pytest.approx(-d, rel=1e-5)
    assert float(tape.gradient(cured, logits)) == pytest.approx(-(1 - d), rel=1e-4)


def test_a_confident_discriminator_overflows_nothing():
    huge = tf.constant([1e4, -1e4])
    for loss in (gan_losses.saturating, gan_losses.non_saturating):
        assert np.isfinite(loss(huge)).all()


def twice(images):
    return tf.reduce_sum(2 * images, axis=[1, 2, 3])


def test_penalties_of_a_plane_have_their_closed_form():
    # D(x) = 2 (x_1 + ... + x_4) has the slope 4 everywhere
    rng = np.random.default_rng(0)
    real, fake = (tf.constant(rng.random((5, 2, 2, 1)), tf.float32) for _ in range(2))
    share = tf.constant(rng.random(5), tf.float32)
    for target, expected in ((1.0, 9.0), (2.0, 1.0), (4.0, 0.0)):
        penalty = gan_losses.gradient_penalty(twice, real, fake, share, target)
        np.testing.assert_allclose(penalty, np.full(5, expected), atol=1e-5)
    np.testing.assert_allclose(gan_losses.dragan_penalty(twice, real, fake, share), 9, atol=1e-5)
    np.testing.assert_allclose(gan_losses.r1_penalty(twice, real), 8, rtol=1e-5)


def test_penalties_look_where_they_say():
    # D(x) = |x|^2 / 2 has the slope |x|: the place can be read off the penalty
    def paraboloid(images):
        return tf.reduce_sum(images**2, axis=[1, 2, 3]) / 2

    rng = np.random.default_rng(1)
    real, fake = (tf.constant(rng.random((6, 2, 2, 1)), tf.float32) for _ in range(2))
    share = tf.constant(rng.random(6), tf.float32)
    s = share.numpy()[:, None, None, None]
    between = s * real.numpy() + (1 - s) * fake.numpy()
    slope = np.sqrt((between**2).sum((1, 2, 3)))
    found = gan_losses.gradient_penalty(paraboloid, real, fake, share)
    np.testing.assert_allclose(found, (slope - 1) ** 2, atol=1e-5)
    moved = real.numpy() + (1 - s) * real.numpy().std() / 2 * fake.numpy()
    found = gan_losses.dragan_penalty(paraboloid, real, fake, share)
    np.testing.assert_allclose(found, (np.sqrt((moved**2).sum((1, 2, 3))) - 1) ** 2, atol=1e-5)
    expected = (real.numpy() ** 2).sum((1, 2, 3)) / 2
    np.testing.assert_allclose(gan_losses.r1_penalty(paraboloid, real), expected, rtol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_a_penalty_and_its_gradient_are_right_under_mixed_precision(policy):
    found = {}
    rng = np.random.default_rng(2)
    real, fake = (tf.constant(rng.random((16, 8, 8, 1)), tf.float32) for _ in range(2))
    share = tf.constant(rng.random(16), tf.float32)
    for name in ("float32", policy):
        keras.utils.set_random_seed(0)
        layers = [
            keras.layers.Conv2D(8, 4, 2, "same", activation="leaky_relu", dtype=name),
            keras.layers.Flatten(dtype=name),
            keras.layers.Dense(1, dtype="float32"),
        ]
        network = keras.Sequential([keras.Input((8, 8, 1)), *layers])
        network.layers[-1].kernel.assign(network.layers[-1].kernel * 1e-3)  # slopes near 1e-4
        with tf.GradientTape() as tape:
            slopes = gan_losses.slopes(lambda x, n=network: n(x)[:, 0], real)
            penalty = gan_losses.gradient_penalty(
                lambda x, n=network: n(x)[:, 0], real, fake, share, target=3e-4
            )
            loss = tf.reduce_mean(penalty)
        gradient = tape.gradient(loss, network.trainable_variables[0].value)
        assert slopes.dtype == tf.float32 and gradient.dtype == tf.float32
        found[name] = (slopes.numpy(), penalty.numpy(), gradient.numpy())
    for right, mixed in zip(found["float32"], found[policy], strict=True):
        np.testing.assert_allclose(mixed, right, rtol=0.05, atol=0.05 * np.abs(right).max())


def test_tiny_slopes_do_not_vanish_in_half_precision():
    found = {}
    real = tf.constant(np.random.default_rng(3).random((16, 8, 8, 1)), tf.float32)
    for name in ("float32", "mixed_float16"):
        keras.utils.set_random_seed(0)
        hidden = keras.layers.Dense(32, activation="leaky_relu", dtype=name)
        last = keras.layers.Dense(1, dtype="float32")
        network = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), hidden, last])
        last.kernel.assign(last.kernel * 1e-6)  # float16 ends at 6e-8
        found[name] = gan_losses.r1_penalty(lambda x, n=network: n(x)[:, 0], real)
    np.testing.assert_allclose(found["mixed_float16"], found["float32"], rtol=0.02)

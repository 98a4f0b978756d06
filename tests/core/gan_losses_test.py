"""GAN losses against values from public test suites and against closed forms."""

import numpy as np
import pytest
import tensorflow as tf

from zoo.core import gan_losses

DX = tf.constant([1.3, 2.9, 8.4, 6.3])
DGZ = tf.constant([4.8, 1.2, -3.5, 5.9])


def test_known_values():
    assert float(-tf.reduce_mean(gan_losses.value(DX, DGZ))) == pytest.approx(3.1251488, abs=1e-6)
    assert float(tf.reduce_mean(gan_losses.non_saturating(DGZ))) == pytest.approx(
        0.9509911, abs=1e-6
    )
    assert float(tf.reduce_mean(gan_losses.saturating(DGZ))) == pytest.approx(-3.0509911, abs=1e-6)


def test_more_known_values():
    real, fake = tf.constant([-5, 1.4, 12.5, 2.7]), tf.constant([10, 4.4, -5.5, 3.6])
    assert float(tf.reduce_mean(gan_losses.non_saturating(fake))) == pytest.approx(
        1.38582, abs=1e-5
    )
    assert float(tf.reduce_mean(gan_losses.saturating(fake))) == pytest.approx(-4.51082, abs=1e-5)
    assert float(-tf.reduce_mean(gan_losses.value(real, fake))) == pytest.approx(5.83387, abs=1e-5)


def test_equilibrium_value_is_minus_log_4():
    zero = tf.zeros(3)
    np.testing.assert_allclose(gan_losses.value(zero, zero), -np.log(4), rtol=1e-6)


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

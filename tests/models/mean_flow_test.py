"""MeanFlow: its identity, its loss, its jumps."""

import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo.errors import InputError

MEAN, DEVIATION = 0.2, 0.3


def make(**settings):
    settings = {"width": 4, "num_blocks": 1, **settings}
    return zoo.create("mean_flow", (8, 8, 1), settings.pop("num_classes", 0), **settings, seed=1)


def _wide(t):
    return tf.reshape(t, [-1, 1, 1, 1])


def exact(x, t, labels=None, training=False, to=None):
    """U(x, t, r) of independent pixels of N(MEAN, DEVIATION^2), whose paths are known."""
    t, r = _wide(t), _wide(t if to is None else to)

    def spread(t):
        return tf.sqrt((1 - t) ** 2 + (t * DEVIATION) ** 2)

    away = x - t * MEAN
    velocity = MEAN + (t * DEVIATION**2 - (1 - t)) / spread(t) ** 2 * away
    there = r * MEAN + spread(r) / spread(t) * away
    length = tf.where(r == t, 1.0, r - t)
    return tf.where(r == t, velocity, (there - x) / length)


def of_gaussian(**settings):
    """A model whose network gives the image to which the exact mean velocity leads."""
    model = make(**settings)

    def answer(x, t, labels=None, training=False, to=None):
        return x + tf.maximum(1 - _wide(t), 0.02) * exact(x, t, labels, training, to)

    model.answer = answer
    return model


def watched(model):
    """What the model is asked for with a gradient, once it is."""
    seen, inside = {}, model.velocity

    def ask(x, t, labels=None, training=False, to=None):
        if training:
            seen.update(t=t, to=to, labels=labels)
        return inside(x, t, labels, training, to)

    model.velocity = ask
    return seen


def images_of(count, seed=0):
    x_1 = MEAN + DEVIATION * np.random.default_rng(seed).normal(size=(count, 8, 8, 1))
    return tf.constant((x_1 + 1) / 2, tf.float32)


@pytest.mark.parametrize("network", ["mlp", pytest.param("unet", marks=pytest.mark.slow)])
def test_the_derivative_along_a_path_is_that_of_small_steps(network):
    model = make(num_classes=3, network=network, hidden=(16, 16))
    rng = np.random.default_rng(0)
    for weight in model.trainable_variables:
        weight.assign(weight + 0.1 * rng.normal(size=weight.shape))
    x, v = (rng.normal(size=(4, 8, 8, 1)).astype(np.float32) for _ in range(2))
    t, r, y = np.float32([0.1, 0.3, 0.5, 0.7]), np.float32([0.9, 0.8, 0.5, 0.75]), [0, 1, 2, 3]
    along = [tf.constant(x), tf.constant(t)]
    with tf.autodiff.ForwardAccumulator(along, [tf.constant(v), tf.ones(4)]) as forward:
        u = model.velocity(*along, tf.constant(y), to=tf.constant(r))
    step = 1e-3
    after, before = (model.velocity(x + s * v, t + s, tf.constant(y), to=r) for s in (step, -step))
    np.testing.assert_allclose(forward.jvp(u), (after - before) / (2 * step), atol=0.02, rtol=0.02)


def test_the_exact_mean_velocity_meets_the_identity():
    """Which the loss takes for granted: u = v + (r - t) du/dt."""
    x = tf.random.stateless_normal([50, 8, 8, 1], [0, 1])
    t = tf.random.stateless_uniform([50], [0, 2], 0.0, 0.6)
    r = t + tf.random.stateless_uniform([50], [0, 3], 0.05, 0.4)
    v = exact(x, t)
    with tf.autodiff.ForwardAccumulator([x, t], [v, tf.ones_like(t)]) as forward:
        u = exact(x, t, to=r)
    found = v + _wide(r - t) * forward.jvp(u)
    np.testing.assert_allclose(found, u, atol=2e-3)


def test_the_error_of_the_exact_one_is_what_paths_differ_by():
    """A path's velocity is x_1 - x_0, and not their mean: that is all that is left, and known.

    The variance of x_1 - x_0 where x_t is known is (s/spread(t))^2.
    """
    model = of_gaussian()
    seen = watched(model)
    found = {k: np.asarray(v) for k, v in model.losses(images_of(20_000), None, True).items()}
    t, r = np.asarray(seen["t"]), np.asarray(seen["to"])
    rests = t == r
    assert rests.mean() == 0.75 and (t <= r).all()
    assert (r == 1).mean() == 0.125 and t[r == 1].mean() == pytest.approx(0.5, abs=0.03)

    def spread(t):
        return np.hypot(1 - t, t * DEVIATION)

    expected = (DEVIATION / spread(t)) ** 2
    for which in (rests, ~rests):
        assert found["error"][which].mean() == pytest.approx(expected[which].mean(), rel=0.02)
    squares = 64 * found["error"]
    np.testing.assert_allclose(found["loss"], squares / (squares + 1e-3), rtol=1e-4)


@pytest.mark.parametrize("num_steps", [1, 2, 5])
def test_one_jump_is_as_many(num_steps):
    model = of_gaussian(num_steps=num_steps)
    x = 2 * np.asarray(model.sample(500, seed=0)) - 1
    assert x.mean() == pytest.approx(MEAN, abs=0.01)
    assert x.std() == pytest.approx(DEVIATION, rel=0.02)  # but for what is cut off at 1
    assert model.num_calls() == num_steps
    np.testing.assert_allclose(x, 2 * of_gaussian().sample(500, seed=0) - 1, atol=1e-4)


def test_one_call_draws_what_the_network_gives_if_that_is_an_image():
    model = make(num_classes=3, network="mlp", hidden=(16,), predict="image")
    for i, v in enumerate(model.trainable_variables):
        v.assign(v + 0.2 * np.random.default_rng(i).normal(size=v.shape))
    asked, inside = [], model.answer
    model.answer = lambda *given: asked.append(given) or inside(*given)
    tf.config.run_functions_eagerly(True)
    try:
        found = model.sample(4, [0, 1, 2, 0], seed=1)
    finally:
        tf.config.run_functions_eagerly(False)
    [(x, t, labels, training, to)] = asked
    assert (t.numpy() == 0).all() and (to.numpy() == 1).all()
    np.testing.assert_allclose(
        found, tf.clip_by_value((inside(*asked[0]) + 1) / 2, 0, 1), atol=1e-6
    )


def test_at_one_time_it_is_flow_matching():
    """Whose samplers take it as a velocity: their error falls, and jumps have none."""
    truth = np.asarray(of_gaussian().sample(50, seed=0))
    errors = []
    for num_steps in (20, 40):
        model = of_gaussian(sampler="euler", num_steps=num_steps)
        errors.append(np.abs(model.sample(50, seed=0) - truth).mean())
    assert errors[0] / errors[1] == pytest.approx(2, abs=0.4)


def test_learned_guidance_is_in_the_velocity_of_those_whose_label_is_told():
    model = make(num_classes=3, learned_guidance=3.0, label_dropout=0.5)
    model.velocity = lambda x, t, labels=None, training=False, to=None: (
        tf.zeros_like(x) + (0.25 if to is None else 0.0)
    )
    seen = watched(model)
    images = tf.fill([4000, 8, 8, 1], 0.5)  # x_1 = 0, and v = -x_0
    error = np.asarray(model.losses(images, tf.ones(4000, tf.int32), True)["error"])
    without = np.asarray(seen["labels"] == model.null_label)
    assert without.mean() == pytest.approx(0.5, abs=0.04)
    # v = 3 (-x_0) - 2 * 0.25, or -x_0; u = 0 has no slope
    assert error[~without].mean() == pytest.approx(9 + 0.25, rel=0.02)
    assert error[without].mean() == pytest.approx(1, rel=0.02)


@pytest.mark.parametrize("settings", [{"num_classes": 0}, {"num_classes": 3, "label_dropout": 0.0}])
def test_learned_guidance_without_a_trained_null_label_is_refused(settings):
    with pytest.raises(
        InputError, match="learned_guidance needs labels, some of which are dropped"
    ):
        make(learned_guidance=2.0, guidance=1.0, **settings)

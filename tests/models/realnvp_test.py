"""RealNVP: exact inverses and determinants, densities that integrate to 1, bounds on log p."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import zoo
from zoo.nn import flows

tfd = tfp.distributions

POINTS = (1, 2, 1)
IMAGES = (4, 4, 2)
KINDS = {
    "mlp": ((2, 2, 1), {"network": "mlp", "hidden": (8,), "num_flows": 3}),
    "conv": (IMAGES, {"width": 6, "num_flows": 2, "num_stages": 2}),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def make(shape, scale=0.3, seed=0, **settings):
    """A model whose last layers are no longer 0."""
    keras.utils.set_random_seed(seed)
    model = zoo.create("realnvp", shape, **settings)
    rng = np.random.default_rng(seed)
    for v in model.trainable_variables:
        v.assign(v + scale * rng.standard_normal(v.shape))
    return model


def of_kind(kind, scale=0.1, **changes):
    shape, settings = KINDS[kind]
    return make(shape, scale, **{**settings, **changes})


def levels(shape, count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape)).astype(np.uint8)


def log_det(function, x):
    """log |det| of the Jacobian at each of x [B, ...], by autodiff."""
    x = tf.constant(x, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    size = math.prod(x.shape[1:])
    jacobian = tf.reshape(tape.batch_jacobian(y, x), [-1, size, size])
    return np.linalg.slogdet(jacobian.numpy().astype(np.float64))[1]


@every_kind
def test_determinant_is_that_of_autodiff(kind):
    model = of_kind(kind)
    v = np.random.default_rng(1).uniform(0.02, 0.98, (5, *model.image_shape)).astype(np.float32)
    expected = log_det(lambda v: model.to_latents(v)[0], v)
    np.testing.assert_allclose(model.to_latents(tf.constant(v))[1], expected, rtol=1e-4, atol=1e-3)


@every_kind
def test_encode_and_decode_are_inverses(kind):
    model = of_kind(kind)
    images = levels(model.image_shape, 9)
    z = model.code(model.encode(images))
    assert z.shape == (9, model.latent_dim) == (9, math.prod(model.image_shape))
    np.testing.assert_allclose(model.decode(z).mean(), images / 255, atol=1e-4)
    np.testing.assert_allclose(model.reconstruct(images), images / 255, atol=1e-4)
    noise = model.draw_prior(9, seed=3)
    there = model.to_latents(model.from_latents(noise))[0]
    np.testing.assert_allclose(there, noise, atol=2e-3)  # near 0 and 1 logits are steep


@every_kind
def test_untrained_flow_is_logit_normal(kind):
    model = of_kind(kind, scale=0.0)
    v = np.random.default_rng(1).uniform(0, 1, (7, *model.image_shape)).astype(np.float32)
    density = tfd.Independent(tfd.LogitNormal(tf.zeros(model.image_shape), 1.0), 3)
    expected = density.log_prob(0.05 + 0.9 * v) + model.latent_dim * math.log(0.9)
    np.testing.assert_allclose(model.log_p_v(tf.constant(v)), expected, rtol=1e-5, atol=1e-4)


def test_density_integrates_to_one():
    model = make(POINTS, 0.1, network="mlp", hidden=(8,), num_flows=3)
    # all v have a density, those beyond (0, 1) too: s = 0.05 + 0.9 v is in (0, 1)
    s = (np.arange(1000, dtype=np.float32) + 0.5) / 1000
    v = (s - 0.05) / 0.9
    places = np.stack(np.meshgrid(v, v), -1).reshape(-1, *POINTS)
    p = np.exp(model.log_p_v(tf.constant(places)).numpy().astype(np.float64))
    assert p.sum() * (v[1] - v[0]) ** 2 == pytest.approx(1, abs=5e-3)


@every_kind
def test_untrained_noise_is_uniform(kind):
    model, other = of_kind(kind, scale=0.0), of_kind(kind, dequantization="uniform")
    images, seed = tf.constant(levels(model.image_shape, 6) / np.float32(255)), tf.constant([1, 2])
    (u, log_q), (expected, none) = model.dequantize(images, seed), other.dequantize(images, seed)
    np.testing.assert_allclose(u, expected, atol=1e-5)
    np.testing.assert_allclose(log_q, none, atol=1e-3)
    assert not none.numpy().any()


@every_kind
def test_density_of_learned_noise_is_that_of_autodiff(kind, monkeypatch):
    model = of_kind(kind)
    images = tf.constant(levels(model.image_shape, 4) / np.float32(255))
    uniform = np.random.default_rng(2).uniform(0.05, 0.95, images.shape).astype(np.float32)

    def noise(uniform):
        monkeypatch.setattr("zoo.models.realnvp.standard_uniform", lambda *_: uniform)
        return model.dequantize(images, tf.constant([0, 0]))

    # of uniform noise that is moved by u(.): q(u) = 1/|det du|
    expected = -log_det(lambda x: noise(x)[0], uniform)
    np.testing.assert_allclose(noise(tf.constant(uniform))[1], expected, rtol=1e-3, atol=2e-3)
    moved = noise(tf.constant(uniform))[0].numpy()
    assert (moved > 0).all() and (moved < 1).all() and (np.abs(moved - uniform) > 0.01).any()


@pytest.mark.parametrize(
    ("dequantization", "scale"),
    [pytest.param("uniform", 0.3, marks=pytest.mark.slow), ("variational", 0.1)],
)
def test_bound_is_below_log_p_and_tends_to_it(dequantization, scale):
    model = make(POINTS, scale, network="mlp", hidden=(8,), dequantization=dequantization)
    image = np.array([[[[17], [200]]]], np.uint8)
    # p(x) is the integral of the density over the cell of x
    parts = (np.arange(200, dtype=np.float32) + 0.5) / 200
    u = np.stack(np.meshgrid(parts, parts), -1).reshape(-1, *POINTS)
    density = model.log_p_v(tf.constant((image + u) / 256)).numpy().astype(np.float64)
    exact = np.log(np.mean(np.exp(density))) - 2 * math.log(256)
    many = np.repeat(image, 2000, 0)
    elbo = model.log_prob(many, seed=1).numpy()
    error = elbo.std() / math.sqrt(len(elbo))
    assert elbo.mean() < exact + 3 * error
    weights = np.exp(elbo - exact)
    of_mean = weights.std() / math.sqrt(len(weights)) + 1e-3
    assert weights.mean() == pytest.approx(1, abs=5 * of_mean)
    bound = float(model.log_prob(image, num_samples=400, seed=2)[0])
    assert bound == pytest.approx(exact, abs=5 * of_mean * math.sqrt(len(weights) / 400))


@pytest.mark.slow
def test_learned_noise_goes_where_the_density_is():
    # all of the density is in the middle of one level: log p(x) = 0
    model = make(POINTS, 0.0, network="mlp", hidden=(16,))
    images = np.full((256, *POINTS), 3, np.uint8)
    density = tfd.Independent(tfd.Normal(tf.fill(POINTS, 3.5 / 256), 0.1 / 256), 3)
    model.log_p_v = lambda v, training=False: density.log_prob(v)
    # uniform noise: two pixels, of E[(u - 1/2)^2] = 1/12
    uniform = 2 * (-math.log(0.1 * math.sqrt(2 * math.pi)) - 1 / 12 / 0.1**2 / 2)
    before = model.log_prob(images, seed=0).numpy()
    assert before.mean() == pytest.approx(uniform, abs=4 * before.std() / 16)
    model.compile(keras.optimizers.Adam(2e-2))
    model.fit(images, batch_size=64, epochs=40, verbose=0)
    assert -0.5 < model.log_prob(images, seed=0).numpy().mean() < 0.05


def test_each_pair_of_couplings_moves_every_channel():
    model = of_kind("conv", num_stages=1)
    flow = flows.chain(model.levels[0][:2], 8, shuffled=True)
    y = tf.random.stateless_normal([1, 2, 2, 8], [0, 1])
    assert (np.abs(flow.inverse(y) - y) > 1e-6).all()
    once = flows.chain(model.levels[0][:1], 8, shuffled=True)
    assert (np.abs(once.inverse(y) - y) > 1e-6).sum() == 16  # half of them


def test_latents_of_a_level_are_half_of_its_channels():
    model = make((8, 8, 1), 0.1, num_stages=3, width=4, num_flows=2)
    z = model.draw_prior(2, seed=0).numpy()
    changed = z.copy()
    changed[:, -4:] += 1.0  # of 1x1x16, the last level's second half and what is left
    assert z.shape[1] == 8 * 8
    # noise of the last level moves all of the image, noise of the first only finer parts
    a, b = model.from_latents(z).numpy(), model.from_latents(changed).numpy()
    assert (a != b).mean() > 0.9


@pytest.mark.parametrize(
    ("shape", "settings", "message"),
    [
        ((30, 30, 1), {}, "multiples of 4"),
        ((1, 1, 1), {"network": "mlp"}, "two pixels or channels"),
    ],
)
def test_images_that_it_cannot_take(shape, settings, message):
    with pytest.raises(zoo.InputError, match=message):
        zoo.create("realnvp", shape, **settings)


@pytest.mark.slow
def test_learns_two_points():
    # of 16 bits one is left, and what a smooth map cannot hold of the two places
    model = make(POINTS, 0.0, network="mlp", hidden=(64, 64), num_flows=8)
    black_or_white = np.random.default_rng(0).integers(0, 2, 2048)
    images = np.array([40, 200], np.uint8)[black_or_white][:, None, None, None]
    images = np.broadcast_to(images, (2048, *POINTS))
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, 640)))
    model.fit(images, batch_size=128, epochs=40, verbose=0)
    bits = float(tf.reduce_mean(model.bits_per_dim(model.log_prob(images[:256], seed=1))))
    assert 0.5 < bits < 5.0
    drawn = model.sample(400, seed=2).numpy().reshape(-1, 2) * 255
    near = [(np.abs(drawn - level).max(1) < 30).mean() for level in (40, 200)]
    assert min(near) > 0.15

"""Diffusion: its preconditioning, its bound, its samplers."""

import math

import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo.data import Split
from zoo.evaluation.metrics import likelihood
from zoo.math.samplers import SAMPLERS
from zoo.models import diffusion

SIDE = 8
LEVELS, SHARES = np.float32([0.0, 100, 102, 255]), np.float32([0.5, 0.2, 0.2, 0.1])


def make(velocity=None, side=SIDE, **settings):
    """A model without labels, whose velocity may be given."""
    settings = {"width": 4, "num_blocks": 1, "conditional": False, "guidance": 1.0, **settings}
    model = zoo.create("diffusion", (side, side, 1), 0, **settings, seed=1)
    if velocity:
        model.velocity = lambda x, t, labels=None, training=False: velocity(x, _wide(t))
    return model


def _wide(t):
    return tf.reshape(t, [-1, 1, 1, 1])


def of_gaussian(mean, deviation):
    """V(x, t) of independent pixels of N(mean, deviation^2)."""

    def velocity(x, t):
        slope = (t * deviation**2 - (1 - t)) / ((1 - t) ** 2 + (t * deviation) ** 2)
        return mean + slope * (x - t * mean)

    return velocity


def of_levels(x, t):
    """V(x, t) of independent pixels of a few gray levels."""
    levels = LEVELS * 2 / 255 - 1
    t = tf.clip_by_value(t, 1e-6, 1 - 1e-6)
    away = (x[..., None] - t[..., None] * levels) / (1 - t[..., None])
    share = tf.nn.softmax(tf.math.log(SHARES) - away**2 / 2)
    return (tf.reduce_sum(share * levels, -1) - x) / (1 - t)


def test_an_untrained_network_is_the_exact_one_of_gaussian_pixels():
    """Of deviation 0.5; the network's last layer is all but 0."""
    x = np.random.default_rng(0).normal(size=(7, SIDE, SIDE, 1)).astype(np.float32)
    t = np.linspace(0, 1, 7, dtype=np.float32)
    exact = of_gaussian(0.0, diffusion.DEVIATION)(x, _wide(t))
    np.testing.assert_allclose(make().velocity(x, t), exact, atol=0.05)


def test_what_the_network_has_to_give_has_a_variance_of_1_at_any_time():
    model = make(of_gaussian(0.0, diffusion.DEVIATION), side=32)
    x_1 = diffusion.DEVIATION * np.random.default_rng(0).normal(size=(64, 32, 32, 1))
    x_1 = x_1.astype(np.float32)
    for time in (0.0, 0.3, 0.9, 0.999):
        t = tf.fill([64], time)
        error = model.error(tf.constant(x_1), t, None, [0, 1])
        weight = ((1 - time) / diffusion.DEVIATION) ** 2 + time**2
        # of 65,536 pixels: 5 deviations
        assert weight * np.mean(error) == pytest.approx(1, abs=5 * math.sqrt(2 / 65_536))


def test_the_loss_is_the_mean_of_that_over_the_noise_levels():
    model = make(of_gaussian(0.0, diffusion.DEVIATION), side=32)
    x_1 = 0.5 + 0.25 * np.random.default_rng(0).normal(size=(64, 32, 32, 1))
    values = model.losses(tf.constant(x_1, tf.float32), None, True)
    assert set(values) == {"loss"}
    assert np.mean(values["loss"]) == pytest.approx(1, abs=0.03)


def test_of_gaussian_data_the_bound_is_their_entropy():
    """With p(x|x_t) = N(x_t/t, sigma^2) at the end; but for their mean prior and diffusion do."""
    deviation, (_, high) = 0.3, diffusion.LOG_SNR
    model = make(of_gaussian(0.2, deviation), side=32)
    rng = np.random.default_rng(0)
    x_1 = (0.2 + deviation * rng.normal(size=(80, 32, 32, 1))).astype(np.float32)
    total, parts = 0.0, 50
    for k in range(parts):
        found = model._bound_and_terms(tf.constant(x_1), None, [k, 0], (k / parts, (k + 1) / parts))
        total += np.mean(found["prior_nats"] + found["diffusion_nats"]) / 32**2 / parts
    end = math.log(2 * math.pi * math.e * math.exp(-high)) / 2
    entropy = math.log(2 * math.pi * math.e * deviation**2) / 2
    assert total + end == pytest.approx(entropy, abs=0.02)


def test_of_gray_levels_the_bound_is_their_entropy():
    model = make(of_levels, side=32)
    drawn = np.random.default_rng(0).choice(len(LEVELS), (60, 32, 32, 1), p=SHARES / SHARES.sum())
    images = LEVELS[drawn].astype(np.uint8)
    entropy = np.mean(-np.log(SHARES)[drawn])
    nats = -np.mean(model.log_prob(images, num_samples=100, seed=0)) / 32**2
    assert nats == pytest.approx(entropy, abs=0.01)
    # whatever does not know the levels pays for it
    worse = make(of_gaussian(0.0, 0.7), side=32)
    assert -np.mean(worse.log_prob(images, num_samples=20, seed=0)) / 32**2 > entropy + 0.5


def test_the_bound_is_the_same_for_any_number_of_noise_levels():
    model = make(of_levels)
    images = LEVELS[np.random.default_rng(0).integers(0, 4, (1, SIDE, SIDE, 1))].astype(np.uint8)
    images = images.repeat(500, 0)  # noise of its own for each
    one, many = (np.asarray(model.log_prob(images, num_samples=k, seed=3)) for k in (1, 16))
    error = math.hypot(one.std(), many.std()) / math.sqrt(500)
    assert one.mean() == pytest.approx(many.mean(), abs=5 * error)
    assert many.std() < one.std() / 4  # as a draw in each of 16 parts


def test_the_choice_among_the_nearest_levels_is_that_among_all():
    x_1 = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 1)) * 2 / 255 - 1
    x_1 = tf.constant(np.concatenate([x_1, np.full((1, 8, 8, 1), -1), np.ones((1, 8, 8, 1))], 0))
    x_1 = tf.cast(x_1, tf.float32)
    sigma = math.exp(-diffusion.LOG_SNR[1] / 2)
    x = x_1 + sigma * tf.random.stateless_normal(x_1.shape, [5, 6], alg="philox")
    levels = np.arange(256) * 2 / 255 - 1
    log_all = -(((np.asarray(x, np.float64)[..., None] - levels) / sigma) ** 2) / 2
    own = -(((np.asarray(x, np.float64) - np.asarray(x_1)) / sigma) ** 2) / 2
    expected = (own - np.log(np.exp(log_all).sum(-1))).sum((1, 2, 3))
    found = diffusion.reconstruction_nats(x_1, tf.constant([5, 6]))
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_the_prior_is_the_kl_of_two_gaussians():
    x_1 = np.float32([[-1.0, 0.5], [1, 0]]).reshape(2, 1, 2, 1)
    sigma = math.exp(-diffusion.LOG_SNR[0] / 2)
    scale = 1 / math.sqrt(1 + sigma**2)
    loc, variance = scale * x_1, (sigma * scale) ** 2
    expected = (variance + loc**2 - 1 - np.log(variance)).sum((1, 2, 3)) / 2
    np.testing.assert_allclose(diffusion.prior_nats(x_1), expected, rtol=1e-3)


@pytest.mark.parametrize("sampler", ["ddim", "heun", "ancestral"])
def test_every_sampler_draws_the_gaussian(sampler):
    model = make(of_gaussian(0.2, 0.3), side=32, sampler=sampler)
    num_steps = 60 if sampler == "heun" else 600  # by the orders that the test below shows
    x = 2 * np.asarray(model.sample(64, seed=0, num_steps=num_steps)) - 1
    assert x.mean() == pytest.approx(0.2, abs=0.008)  # 6 deviations
    assert x.std() == pytest.approx(0.3, rel=0.03)


@pytest.mark.parametrize(("sampler", "order"), [("ddim", 1), ("ancestral", 1), ("heun", 2)])
def test_the_error_of_samples_falls_with_the_order_of_the_sampler(sampler, order):
    """Of Gaussian pixels a step is x_u = a x_t + b n: what deviation it leaves is known."""
    model, velocity = make(), of_gaussian(0.0, 0.3)
    errors = []
    for num_steps in (40, 80, 160):
        times, variance = np.asarray(model.times(num_steps)), 1.0
        for i, (t, u) in enumerate(zip(times, times[1:], strict=False)):
            last = i == num_steps - 1
            step = SAMPLERS["euler" if last else sampler].step
            of_1, of_0 = (float(step(velocity, x, t, u - t, [0, i])) for x in (1.0, 0.0))
            anew = 1 - ((1 - u) * t / (u * (1 - t))) ** 2 if sampler == "ancestral" else 0.0
            variance = (of_1 - of_0) ** 2 * variance + (1 - u) ** 2 * anew
        errors.append(abs(math.sqrt(variance) - 0.3))
    falls = [math.log2(a / b) for a, b in zip(errors, errors[1:], strict=False)]
    np.testing.assert_allclose(falls, order, atol=0.3)


def test_ddim_puts_image_and_noise_together_again():
    """It is Euler's method on straight ways (arXiv:2010.02502, eq. 12, in its own terms)."""
    x, t, u = 0.7, 0.4, 0.55
    v = 0.3
    image, noise = x + (1 - t) * v, x - t * v
    alpha = {s: s**2 / (s**2 + (1 - s) ** 2) for s in (t, u)}  # of images, of a variance of 1
    z_u = math.sqrt(alpha[u]) * image + math.sqrt(1 - alpha[u]) * noise
    x_u = z_u * math.hypot(u, 1 - u)
    found = SAMPLERS["ddim"].step(lambda x, t: v, x, t, u - t)
    assert found == pytest.approx(x_u)


def test_an_ancestral_step_is_a_draw_given_image_and_noise():
    """Of x_t = t y + (1 - t) n it gives x_u of the same way's distribution, and its covariance."""
    rng, t, u, y = np.random.default_rng(0), 0.3, 0.6, 0.8
    n = rng.normal(size=200_000)
    x_t = t * y + (1 - t) * n
    v = lambda x, t: (y - x) / (1 - t)  # noqa: E731
    x_t = tf.constant(x_t, tf.float32)
    x_u = SAMPLERS["ancestral"].step(v, x_t, tf.constant(t), tf.constant(u - t), [0, 1])
    assert np.mean(x_u) == pytest.approx(u * y, abs=0.005)
    assert np.std(x_u) == pytest.approx(1 - u, rel=0.01)
    # x_t/t is x_u/u and more noise, which is independent of it
    covariance = np.cov(x_u / u, x_t / t)[0, 1]
    assert covariance == pytest.approx(((1 - u) / u) ** 2, rel=0.02)


def test_labels_and_guidance_are_the_family_s():
    model = zoo.create("diffusion", (SIDE, SIDE, 1), 3, width=4, num_blocks=1, num_steps=2)
    assert model.conditional and model.num_calls(guidance=2.0) == 6
    a, b = (model.sample(2, [y, y], seed=0, guidance=3.0) for y in (0, 1))
    assert np.any(a != b)
    assert "log_prob" in model.can and not model.exact


def test_the_bound_of_validation_images_is_logged_beside_a_loss_that_is_none():
    model = make()
    assert "bits_per_dim" not in model.losses(tf.zeros([2, SIDE, SIDE, 1]), None, True)
    found = model.losses(tf.zeros([2, SIDE, SIDE, 1]), None, False)
    lost = found["prior_nats"] + found["diffusion_nats"]
    elbo = found["reconstruction_nats"] - lost
    np.testing.assert_allclose(found["elbo_nats"], elbo, rtol=1e-5)
    np.testing.assert_allclose(found["bits_per_dim"], -elbo / SIDE**2 / math.log(2), rtol=1e-5)
    likelihood = make(objective="likelihood").losses(tf.zeros([2, SIDE, SIDE, 1]), None, True)
    nats = likelihood["bits_per_dim"] * SIDE**2 * math.log(2)
    np.testing.assert_allclose(likelihood["loss"], nats, rtol=1e-5)


@pytest.mark.parametrize("sampler", ["ddim", "heun", "ancestral"])
def test_given_pixels_are_under_as_much_noise_as_the_others(sampler):
    """Of a Gaussian along the diagonal, given one coordinate, the other is nearer to it."""
    model = zoo.create(
        "diffusion", (1, 2, 1), 0, network="mlp", hidden=(4,), sampler=sampler, guidance=1.0
    )
    covariance = np.float32([[0.1, 0.099], [0.099, 0.1]])

    def velocity(x, t, labels=None, training=False):
        x, t = tf.reshape(x, [-1, 2]), t[:, None]
        spread = (1 - t)[..., None] ** 2 * np.eye(2) + t[..., None] ** 2 * covariance
        slope = t[..., None] * covariance - (1 - t)[..., None] * np.eye(2)
        return tf.reshape(tf.linalg.matvec(slope @ tf.linalg.inv(spread), x), [-1, 1, 2, 1])

    model.velocity = velocity
    given = np.linspace(0.3, 0.7, 400, dtype=np.float32)
    images = np.stack([given, np.zeros(400, np.float32)], -1).reshape(400, 1, 2, 1)
    drawn = model.complete(images, mask=[[True, False]], seed=0, num_steps=100)
    assert np.corrcoef(np.asarray(drawn)[:, 0, :, 0].T)[0, 1] > 0.6


def test_images_between_gray_levels_have_the_bound_of_the_nearest():
    model, images = make(), np.full((2, SIDE, SIDE, 1), 100, np.uint8)
    between = np.float32(images + 0.4) / 255
    expected = model.log_prob(images, seed=0)
    np.testing.assert_array_equal(model.log_prob(between, seed=0), expected)
    model.seed_generator.state.assign([1, 0])
    one = model.losses(tf.constant(images / np.float32(255)), None, False)["elbo_nats"]
    model.seed_generator.state.assign([1, 0])
    other = model.losses(tf.constant(between), None, False)["elbo_nats"]
    np.testing.assert_array_equal(one, other)


def test_an_evaluation_has_the_bound_as_an_elbo_with_its_terms():
    images = np.random.default_rng(0).integers(0, 256, (20, SIDE, SIDE, 1)).astype(np.uint8)
    split = Split(images, np.zeros(20, np.int32))
    found = likelihood.likelihood(make(), split, num_samples=100, seed=0)
    assert found["num_samples"] == 16 and "iwae_bound_nats" not in found
    elbo, *terms = (
        found[f"{name}_nats"]["mean"] for name in ("elbo", "reconstruction", "diffusion", "prior")
    )
    assert elbo == pytest.approx(terms[0] - terms[1] - terms[2], rel=1e-5)
    bits = -elbo / SIDE**2 / math.log(2)
    assert found["elbo_bits_per_dim"]["mean"] == pytest.approx(bits, rel=1e-5)

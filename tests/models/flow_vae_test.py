"""The flow VAE's truths: an untrained flow is the VAE, and densities follow the change of z."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

import zoo
from zoo.core import checks

SMALL = {"network": "mlp", "hidden": (16,), "latent_dim": 5}
TINY = {"image_shape": (4, 4, 1), "likelihood": "gaussian", "scale": "shared"}
SEED = tf.constant([1, 2])


@pytest.fixture(scope="module")
def images(fashion_mnist):
    return fashion_mnist.test.images[:16]


def make(name="flow_vae", **config):
    keras.utils.set_random_seed(1)
    return zoo.create(name, **{**SMALL, **config})


def moving(by=0.3, **config):
    """A model whose flow is not the identity."""
    model, rng = make(**config), np.random.default_rng(0)
    for network in model.flows:
        for v in network.trainable_variables:
            v.assign(v + by * rng.normal(size=v.shape))
    return model


def test_no_flow_is_the_vae_exactly(images):
    data = images, np.zeros(len(images), np.int32)
    none, plain = make(num_flows=0), make("vae")
    logs = [m.fit(*data, batch_size=8, epochs=2, verbose=0).history for m in (none, plain)]
    assert logs[0] == logs[1]
    for a, b in zip(none.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(none.log_prob(images, seed=3), plain.log_prob(images, seed=3))


def test_an_untrained_flow_is_the_vae(images):
    model, plain = make(hidden=()), make("vae", hidden=())
    plain.decoder.set_weights(model.decoder.get_weights())
    plain.encoder.set_weights([v[..., :10] for v in model.encoder.get_weights()])
    q, p = model.encode(images), plain.encode(images)
    np.testing.assert_allclose(q.distribution.mean(), p.mean(), atol=1e-6)
    z = model.draw(q, SEED)
    np.testing.assert_array_equal(z, plain.draw(q.distribution, SEED))
    z = tf.identity(z)  # TFP remembers where a draw came from
    np.testing.assert_array_equal(q.log_prob(z), q.distribution.log_prob(z))
    np.testing.assert_allclose(q.mean(), p.mean(), atol=1e-6)
    np.testing.assert_allclose(q.stddev(), p.stddev(), rtol=1e-5)
    np.testing.assert_allclose(model.kl_per_dim(images), plain.kl_per_dim(images), atol=1e-5)
    x = images[:1].repeat(4000, 0) / np.float32(255)
    a, b = (m.losses(x, None, training=False) for m in (model, plain))
    np.testing.assert_allclose(a["reconstruction_nats"], b["reconstruction_nats"], rtol=1e-4)
    kl = a["kl_nats"].numpy()  # of the draws; the VAE's is in closed form
    assert kl.std() > 0.1
    assert kl.mean() == pytest.approx(
        float(b["kl_nats"][0]), abs=float(5 * kl.std() / len(x) ** 0.5)
    )


@pytest.mark.parametrize("latent_dim", [2, 3, 5])
@pytest.mark.parametrize("num_flows", [1, 2, 5])
def test_log_determinant_is_autodiffs_and_the_inverse_undoes(images, latent_dim, num_flows):
    model = moving(latent_dim=latent_dim, num_flows=num_flows)
    q = model.encode(images)
    start = plain = q.distribution.mean() + 0.5
    with tf.GradientTape() as tape:
        tape.watch(start)
        z = q.bijector.forward(start)
    jacobian = tape.batch_jacobian(z, start)
    sign, expected = tf.linalg.slogdet(jacobian)
    found = q.bijector.forward_log_det_jacobian(tf.identity(start), event_ndims=1)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert np.abs(expected).max() > 0.1 and np.min(sign) == 1
    again = model.encode(images)  # one that remembers nothing
    np.testing.assert_allclose(again.bijector.inverse(tf.identity(z)), start, atol=1e-4)
    np.testing.assert_allclose(
        again.log_prob(tf.identity(z)), q.distribution.log_prob(plain) - expected, atol=1e-3
    )
    moved = np.abs(z - start).max(0) > 1e-3
    assert moved.all() if num_flows > 1 else moved.sum() == latent_dim - latent_dim // 2
    if num_flows == 5:
        assert (np.abs(jacobian) > 1e-6).all()  # each depends on all


def test_density_has_an_integral_of_1_and_depends_on_the_image(images):
    model = moving(by=0.1, latent_dim=2, num_flows=3)
    q = model.encode(images[:2])
    side = np.linspace(-12, 12, 601, dtype=np.float32)
    grid = np.stack(np.meshgrid(side, side), -1).reshape(-1, 1, 2)
    density = np.exp(q.log_prob(grid.repeat(2, 1)), dtype=np.float64)
    np.testing.assert_allclose(density.sum(0) * (side[1] - side[0]) ** 2, 1, atol=1e-3)
    origin = q.bijector.forward(tf.zeros([2, 2]))
    assert np.abs(origin[0] - origin[1]).max() > 1e-3  # by the context


def test_a_coupling_makes_the_correlated_posterior_exact(monkeypatch):
    monkeypatch.setattr(checks, "images", lambda x, _: x)  # a Gaussian's are of any number
    # x = W z + b + s e: the exact posterior's covariance is not diagonal; with a shift that is
    # linear in the kept half the flow has it, and every bound is log p(x)
    settings = {"network": "mlp", "hidden": (), "likelihood": "gaussian", "scale": "shared"}
    keras.utils.set_random_seed(1)
    model = zoo.create(
        "flow_vae",
        image_shape=(2, 2, 1),
        **settings,
        latent_dim=2,
        num_flows=1,
        flow_hidden=(),
        context_dim=1,
    )
    rng = np.random.default_rng(0)
    weight, b, s = rng.normal(size=(2, 4)), rng.normal(size=4), 0.5
    model.decoder.set_weights([weight, b])
    model.raw_scale.assign(np.log(np.expm1(s - 1e-2 / 255)))
    v = np.linalg.inv(np.eye(2) + weight @ weight.T / s**2)
    slope = v[0, 1] / v[0, 0]  # z_2 = slope z_1 + something independent
    assert abs(slope) > 0.1
    kernel = (v @ weight / s**2).T  # posterior mean = (x - b) kernel
    kernel[:, 1] -= slope * kernel[:, 0]
    scale = np.sqrt([v[0, 0], v[1, 1] - slope * v[0, 1]])
    model.encoder.set_weights(
        [
            np.concatenate([kernel, np.zeros((4, 3))], 1),
            np.concatenate([-b @ kernel, np.log(np.expm1(scale - 1e-4)), [0.0]]),
        ]
    )
    model.flows[0].set_weights(  # from z_1 and the context to b and a
        [np.array([[slope, 0.0], [0.0, 0.0]]), np.zeros(2)]
    )
    x = rng.normal(size=(32, 4)) + b
    exact = stats.multivariate_normal(b, weight.T @ weight + s**2 * np.eye(4)).logpdf(x)
    x = x.reshape(-1, 2, 2, 1).astype(np.float32)
    np.testing.assert_allclose(model.losses(x, None, True)["elbo_nats"], exact, atol=2e-3)
    for num_samples in (1, 30):
        np.testing.assert_allclose(
            model.log_prob(x, num_samples=num_samples, seed=1), exact, atol=2e-3
        )


def test_moments_are_estimates_by_the_same_noise_for_each_image(images):
    model = moving()
    q = model.encode(images)
    many = model.encode(images[:1].repeat(20_000, 0))
    z = model.draw(many, SEED).numpy()
    assert (np.abs(q.mean()[0] - z.mean(0)) < 0.3 * z.std(0)).all()
    np.testing.assert_allclose(q.stddev()[0], z.std(0), rtol=0.3)
    assert np.abs(q.mean()[0] - q.distribution.mean()[0]).max() > 0.3  # the flow moves it
    alone = model.encode(images[3:4])
    np.testing.assert_allclose(alone.mean()[0], q.mean()[3], atol=1e-5)
    np.testing.assert_allclose(alone.stddev()[0], q.stddev()[3], rtol=1e-4)


def test_kl_per_dim_is_that_of_a_gaussian_of_the_marginals_moments(images):
    model = moving(by=0.1, latent_dim=2)
    x = images[:1]
    q = model.encode(x)
    side = np.linspace(-12, 12, 601, dtype=np.float32)
    step = side[1] - side[0]
    grid = np.stack(np.meshgrid(side, side, indexing="ij"), -1).reshape(-1, 1, 2)
    density = np.exp(q.log_prob(grid), dtype=np.float64).reshape(601, 601)
    for j in range(2):
        marginal = density.sum(1 - j) * step
        mean = np.sum(marginal * side) * step
        variance = np.sum(marginal * (side - mean) ** 2) * step
        gaussian = 0.5 * (mean**2 + variance - 1 - np.log(variance))  # of its exact moments
        assert float(model.kl_per_dim(x)[0, j]) == pytest.approx(
            gaussian, abs=0.2 * gaussian + 0.05
        )


def test_log_prob_of_one_sample_has_the_elbo_as_its_mean(images):
    model = moving(0.1, **TINY)
    model.raw_scale.assign(3.0)  # so that p(x|z) does not drown the rest
    x = images[:1, 8:12, 8:12].repeat(4000, 0)
    one = model.log_prob(x, num_samples=1, seed=3).numpy()
    elbo = model.losses(x / np.float32(255), None, False)["elbo_nats"].numpy()
    error = np.sqrt((one.var() + elbo.var()) / len(x))
    assert one.mean() == pytest.approx(elbo.mean(), abs=float(5 * error))
    bound = [model.log_prob(x[:50], num_samples=k, seed=0).numpy().mean() for k in (1, 100)]
    assert bound[0] < bound[1]


def test_the_loss_and_its_gradient_are_by_the_density_of_the_draw(images, monkeypatch):
    model = moving(**TINY)
    model.raw_scale.assign(1.0)  # so that p(x|z) does not drown the rest
    monkeypatch.setattr(type(model), "next_seed", lambda self: SEED)
    x = images[:, 8:12, 8:12] / np.float32(255)

    def by_definition():
        z = tf.identity(model.draw(model.q_z_given_x(x), SEED))  # log q is by the inverse flow
        log_ratio = model.q_z_given_x(x).log_prob(z) - model.p_z().log_prob(z)
        return log_ratio - model.p_x_given_z(z).log_prob(x)

    found = []
    for loss in (lambda: model.losses(x, None, training=True)["loss"], by_definition):
        with tf.GradientTape() as tape:
            value = loss()
        found.append([value, *tape.gradient(value, model.trainable_variables)])
    for a, b in zip(*found, strict=True):
        assert np.abs(b).max() > 0
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4 * np.abs(b).max())


def test_a_single_dimension_has_no_halves():
    with pytest.raises(zoo.InputError, match="at least 2 latent dimensions"):
        make(latent_dim=1)
    assert make(latent_dim=1, num_flows=0).draw_prior(3, 0).shape == (3, 1)

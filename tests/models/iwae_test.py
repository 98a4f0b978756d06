"""The IWAE's truths: L_1 is the VAE, and both gradients have one mean."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import zoo
from zoo.core.backend import precision
from zoo.errors import InputError
from zoo.models import iwae

tfd = tfp.distributions
SMALL = {"network": "mlp", "hidden": (16,), "latent_dim": 3}


@pytest.fixture(scope="module")
def images(fashion_mnist):
    return fashion_mnist.test.images[:16]


def make(name, **config):
    keras.utils.set_random_seed(1)
    return zoo.create(name, **{**SMALL, **config})


def test_one_sample_is_the_vae_exactly(images):
    data = images, np.zeros(len(images), np.int32)
    one, plain = make("iwae", num_samples=1), make("vae")
    logs = [m.fit(*data, batch_size=8, epochs=2, verbose=0).history for m in (one, plain)]
    for name, values in logs[1].items():
        assert logs[0][name] == values, name
    assert logs[0]["iwae_nats"] == logs[1]["elbo_nats"]
    for a, b in zip(one.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_bound_is_the_mean_of_log_prob_and_the_loss_its_negative(images):
    model = make("iwae", num_samples=5)
    x = images[:1].repeat(3000, 0)
    values = model.losses(x / np.float32(255), None, training=True)
    np.testing.assert_allclose(values["loss"], -values["iwae_nats"], rtol=1e-6)
    other = model.log_prob(x, num_samples=5, seed=8).numpy()
    error = np.sqrt((np.var(values["iwae_nats"]) + other.var()) / len(x))
    assert np.mean(values["iwae_nats"]) == pytest.approx(other.mean(), abs=float(5 * error))
    assert np.mean(values["elbo_nats"]) < np.mean(values["iwae_nats"]) - 5 * error


def test_the_kl_beside_the_bound_is_the_vaes(images):
    x = images / np.float32(255)
    several, plain = (
        m.losses(x, None, training=False) for m in (make("iwae", num_samples=5), make("vae"))
    )
    np.testing.assert_array_equal(several["kl_nats"], plain["kl_nats"])
    found = several["reconstruction_nats"] - several["kl_nats"]
    np.testing.assert_array_equal(several["elbo_nats"], found)


def test_beta_is_in_the_loss_alone(images):
    x = images / np.float32(255)
    settings = {"num_samples": 1, "gradient": "doubly_reparameterized"}
    one, four = (
        make("iwae", beta=beta, **settings).losses(x, None, training=True) for beta in (1.0, 4.0)
    )
    for name in ("iwae_nats", "elbo_nats", "kl_nats"):
        np.testing.assert_array_equal(one[name], four[name])
    log_ratio = one["reconstruction_nats"] - one["iwae_nats"]  # of the one draw
    np.testing.assert_allclose(four["loss"], one["loss"] + 3 * log_ratio, rtol=1e-5)


def gradients(model, x):
    """Of the encoder and of the decoder, each as one vector."""
    found = []
    with tf.GradientTape(persistent=True) as tape:
        loss = tf.reduce_mean(model.losses(x, None, training=True)["loss"])
    for network in (model.encoder, model.decoder):
        parts = tape.gradient(loss, network.trainable_variables)
        found.append(np.concatenate([np.ravel(g) for g in parts]))
    return found


def test_bounds_by_groups_lie_between_the_elbo_and_the_bound_of_all_draws(images):
    x = images / np.float32(255)

    def loss(**settings):
        model = make("iwae", num_samples=6, **settings)
        return np.asarray(model.losses(x, None, training=True)["loss"])

    def groups(number):
        return loss(objective="miwae", num_groups=number)

    of_all, elbo = loss(), loss(objective="ciwae", elbo_weight=1.0)
    np.testing.assert_allclose(groups(6), elbo, rtol=1e-6)
    of_two = groups(2)
    assert (of_all <= of_two).all() and (
        of_two <= elbo
    ).all()  # by rounding, where one draw has all weight
    assert of_all.mean() < of_two.mean() - 0.1 < elbo.mean() - 0.2
    between = loss(objective="ciwae", elbo_weight=0.25)
    np.testing.assert_allclose(between, 0.25 * elbo + 0.75 * of_all, rtol=1e-6)
    np.testing.assert_array_equal(loss(objective="piwae", num_groups=3), of_all)


@pytest.mark.parametrize("beta", [1.0, 2.0])
def test_piwae_has_the_encoders_gradient_of_miwae_and_all_others_of_iwae(images, beta):
    x, found = images / np.float32(255), {}
    for objective, groups in (("iwae", 1), ("miwae", 3), ("piwae", 3)):
        model = make(
            "iwae",
            num_samples=6,
            objective=objective,
            num_groups=groups,
            beta=beta,
            prior="flow",
            num_prior_flows=2,
            scale="shared",
        )
        model.raw_scale.assign(0.5)  # so that several draws count
        for i, v in enumerate(model.trainable_variables):  # an untrained flow is at rest
            v.assign(v + 0.05 * np.random.default_rng(i).normal(size=v.shape))
        own = {id(v) for v in model.encoder.trainable_variables}
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model.losses(x, None, training=True)["loss"])
        variables = model.trainable_variables
        parts = tape.gradient(loss, [v.value for v in variables])
        found[objective] = [
            np.concatenate(
                [np.ravel(g) for g, v in zip(parts, variables, strict=True) if (id(v) in own) is of]
            )
            for of in (True, False)
        ]
    (encoder, others), of_groups, of_all = (found[name] for name in ("piwae", "miwae", "iwae"))
    close = {"rtol": 1e-3, "atol": 1e-4}
    np.testing.assert_allclose(encoder, of_groups[0], **close)
    np.testing.assert_allclose(others, of_all[1], **close)
    for a, b in ((encoder, of_all[0]), (others, of_groups[1])):
        assert np.abs(a - b).max() > 0.01 * np.abs(a).max()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"objective": "miwae", "num_groups": 4}, "num_groups=4 must divide num_samples=6"),
        ({"num_groups": 2}, "objective=iwae does not go with num_groups=2"),
        ({"objective": "miwae"}, "objective=miwae does not go with num_groups=1"),
        ({"objective": "piwae", "num_groups": 2, "prior": "vamp"}, "another prior than vamp"),
        (
            {"objective": "piwae", "num_groups": 2, "gradient": "doubly_reparameterized"},
            "gradient=doubly_reparameterized is of objective=iwae or miwae",
        ),
    ],
)
def test_objectives_that_do_not_go_with_their_settings_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        make("iwae", num_samples=6, **settings)


@pytest.mark.slow
@pytest.mark.parametrize(("beta", "groups"), [(1.0, 1), (2.0, 1), (1.0, 2)])
def test_both_gradients_have_one_mean_and_the_decoders_is_the_same(images, beta, groups):
    shape = (4, 4, 1)
    x = images[:1, 8:12, 8:12].repeat(4000, 0) / np.float32(255)
    found = {}
    for gradient in ("reparameterized", "doubly_reparameterized"):
        keras.utils.set_random_seed(2)
        model = zoo.create(
            "iwae",
            image_shape=shape,
            network="mlp",
            hidden=(),
            latent_dim=2,
            likelihood="gaussian",
            scale="shared",
            num_samples=4,
            objective="miwae" if groups > 1 else "iwae",
            num_groups=groups,
            beta=beta,
            gradient=gradient,
        )
        model.raw_scale.assign(-0.5)  # so that no draw has all of the weight
        found[gradient] = [gradients(model, x) for _ in range(12)]
    plain, doubly = found.values()
    for a, b in zip(plain, doubly, strict=True):  # the same noise
        np.testing.assert_allclose(a[1], b[1], rtol=1e-3, atol=1e-3)
    a, b = (np.array([g[0] for g in gs]) for gs in (plain, doubly))
    error = np.sqrt((a.var(0, ddof=1) + b.var(0, ddof=1)) / len(a))
    distance = np.abs(a.mean(0) - b.mean(0)) / (error + 1e-6)
    assert distance.max() < 5 and (np.abs(b.mean(0)) / (error + 1e-6)).max() > 20  # and no zeros
    if beta == 1:
        assert b.std(0).mean() < a.std(0).mean()  # that is what it is for


def test_the_gradient_by_z_of_sharp_pixels_fits_into_float16(images):
    with precision("mixed_float16"):
        settings = {"num_samples": 3, "gradient": "doubly_reparameterized", "scale": "shared"}
        model = make("iwae", likelihood="gaussian", **settings)
    model.raw_scale.assign(np.log(np.expm1(1e-3)))  # d log p/dx of a pixel is up to 10^6
    x = images / np.float32(255)
    loss_scaled = 2.0**-10
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model.losses(x, None, training=True)["loss"]) * loss_scaled
    for gradient in tape.gradient(loss, model.trainable_variables):
        assert np.isfinite(gradient).all()


def test_a_gradient_that_overflows_leaves_the_value_alone():
    value, z = tf.constant([1.0, 2.0]), tf.zeros([3, 2, 1])
    by_z = tf.constant(np.inf) * tf.ones([3, 2, 1])
    for slope in (by_z, tf.reshape(tf.range(6.0), [3, 2, 1])):
        with tf.GradientTape() as tape:
            tape.watch([value, z])
            result = iwae.with_gradient(2 * value, z, slope)
            loss = tf.reduce_sum(result * [1.0, 10.0])
        np.testing.assert_array_equal(result, [2, 4])
        of_value, of_z = tape.gradient(loss, [value, z])
        np.testing.assert_array_equal(of_value, [2, 20])
        np.testing.assert_array_equal(of_z, slope * [[1.0], [10.0]])


def test_at_the_exact_posterior_the_doubly_reparameterized_gradient_vanishes():
    # a linear decoder x = W z + b + s e: q can be exact, log w is then constant in z
    keras.utils.set_random_seed(3)
    model = zoo.create(
        "iwae",
        image_shape=(2, 2, 1),
        network="mlp",
        hidden=(),
        latent_dim=1,
        likelihood="gaussian",
        scale="shared",
        num_samples=3,
        gradient="doubly_reparameterized",
    )
    w, b = (np.array(v) for v in model.decoder.get_weights())
    s = float(tf.nn.softplus(model.raw_scale)) + 1e-2 / 255
    variance = 1 / (1 + (w**2).sum() / s**2)
    kernel = (variance * w / s**2).T  # [4, 1]: the mean is variance / s^2 W (x - b)
    raw = np.log(np.expm1(np.sqrt(variance) - 1e-4))
    model.encoder.set_weights(
        [np.concatenate([kernel, 0 * kernel], 1), np.array([-(b @ kernel)[0], raw])]
    )
    x = np.random.default_rng(0).random((32, 2, 2, 1)).astype(np.float32)
    encoder, decoder = gradients(model, x)
    assert np.abs(encoder).max() < 1e-3 * np.abs(decoder).max()
    values = model.losses(x, None, training=False)
    one, many = (model.log_prob(x, num_samples=k, seed=1).numpy() for k in (1, 100))
    np.testing.assert_allclose(one, many, atol=1e-3)  # every bound is log p(x)
    np.testing.assert_allclose(values["iwae_nats"], one, atol=1e-3)


def test_the_effective_sample_size_of_gaussians_in_closed_form(images, monkeypatch):
    """E_q[(p/q)^2] = s^2 / sqrt(2 s^2 - 1) for p = N(0, 1) and q = N(0, s^2), each dimension."""
    model, s, k = make("vae"), 1.2, 20_000

    def q_z_given_x(x, labels=None, training=False):
        zeros = tf.zeros([tf.shape(x)[0], model.latent_dim])
        return tfd.MultivariateNormalDiag(zeros, zeros + s)

    flat = tfd.Independent(tfd.Uniform(-1e3, tf.fill([2, 28, 28, 1], 1e3)), 3)
    monkeypatch.setattr(model, "q_z_given_x", q_z_given_x)
    monkeypatch.setattr(model, "p_x_given_z", lambda z, labels=None: flat)
    bound, size = model.importance_bound(images[:2], num_samples=k, seed=1).numpy().T
    expected = ((2 * s**2 - 1) ** 0.5 / s**2) ** model.latent_dim
    np.testing.assert_allclose(size / k, expected, rtol=0.02)  # it spreads by 0.1%
    np.testing.assert_allclose(bound, -784 * np.log(2e3), rtol=1e-5)  # which needs no x


def test_one_draw_counts_once_and_no_more_than_all_do(images):
    model = make("vae")
    bound, size = model.importance_bound(images[:4], num_samples=1, seed=1).numpy().T
    np.testing.assert_allclose(size, 1, rtol=1e-4)
    np.testing.assert_array_equal(bound, model.log_prob(images[:4], seed=1))
    size = model.importance_bound(images[:4], num_samples=50, seed=1).numpy()[:, 1]
    assert (size >= 1 - 1e-3).all() and (size <= 50).all()
    small = {"codebook_size": 4, "code_dim": 2, "width": 2, "num_blocks": 0, "prior_layers": 1}
    model = zoo.create("vqvae", **small, prior_width=2)
    assert (model.importance_bound(images[:4], num_samples=7)[:, 1].numpy() == 7).all()

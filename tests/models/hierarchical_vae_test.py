"""The hierarchy's truths: one level is the VAE, and of linear Gaussians every bound is exact."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo import registry
from zoo.errors import InputError
from zoo.math.noise import standard_normal

SMALL = {"network": "mlp", "hidden": (16, 8), "lower_latent_dims": (4,), "latent_dim": 3}
GAUSSIAN = {"likelihood": "quantized_gaussian"}  # the VAE's pixels
ONE = {"network": "mlp", "hidden": (16,), "lower_latent_dims": (), "latent_dim": 3, **GAUSSIAN}
CONV = {"width": 4, "latent_dim": 3, "level_channels": 2}
ORDERS = ("top_down", "bottom_up")


@pytest.fixture(scope="module")
def images(fashion_mnist):
    return fashion_mnist.test.images[:16]


def make(name="hierarchical_vae", shape=(28, 28, 1), **config):
    keras.utils.set_random_seed(1)
    return zoo.create(name, shape, **config)


def losses(model, images, training=False):
    return model.losses(np.float32(images / 255), None, training)


@pytest.mark.parametrize(
    ("settings", "plain"),
    [
        (ONE, {"network": "mlp", "hidden": (16,), "latent_dim": 3}),
        ({**ONE, "inference": "bottom_up", "scale": "shared"}, {**ONE, "scale": "shared"}),
        ({**CONV, **GAUSSIAN, "levels_per_grid": 0}, {"width": 4, "latent_dim": 3}),
        pytest.param(
            {**CONV, **GAUSSIAN, "levels_per_grid": 0, "residual": True},
            {"width": 4, "latent_dim": 3, "residual": True},
            marks=pytest.mark.slow,
        ),
    ],
    ids=["mlp", "mlp bottom up", "conv", "conv residual"],
)
def test_one_level_is_the_vae(settings, plain, images):
    plain = {k: v for k, v in plain.items() if k != "lower_latent_dims"}
    models = one, vae = make(**settings), make("vae", **plain)
    assert one.num_levels == 1
    for a, b in zip(one.get_weights(), vae.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    same = {"rtol": 1e-5, "atol": 1e-5}
    of_one, of_vae = (losses(m, images) for m in models)
    np.testing.assert_allclose(of_one.pop("kl_1_nats"), of_vae["kl_nats"], **same)
    for name in of_vae:
        np.testing.assert_allclose(of_one[name], of_vae[name], **same)
    for ask in (
        lambda m: m.log_prob(images, num_samples=3, seed=2),
        lambda m: m.sample(4, seed=2, observation="sample"),
        lambda m: m.reconstruct(images),
        lambda m: m.encode(images).stddev(),
        lambda m: m.kl_per_dim(images),
    ):
        np.testing.assert_allclose(*map(ask, models), **same)


def test_one_level_and_several_draws_are_the_iwae(images):
    settings = {"num_samples": 5, "beta": 2.0}
    one = losses(make(**ONE, **settings), images, training=True)
    plain = {"network": "mlp", "hidden": (16,), "latent_dim": 3}
    iwae = losses(make("iwae", **plain, **settings), images, training=True)
    for name in iwae:
        np.testing.assert_allclose(one[name], iwae[name], rtol=1e-5, err_msg=name)


def test_a_mixture_of_logistics_is_a_mass_on_gray_levels():
    model = make(shape=(2, 2, 1), **SMALL, num_components=2)
    raw = np.random.default_rng(0).normal(size=(3, 2, 2, 6)).astype(np.float32)
    levels = np.arange(256, dtype=np.float32) / 255
    p = model.pixels(tf.constant(raw))
    masses = [p.distribution.prob(np.full((3, 2, 2, 1), level)) for level in levels]
    np.testing.assert_allclose(np.sum(masses, 0), 1, atol=1e-4)
    mean = np.sum([level * mass for level, mass in zip(levels, masses, strict=True)], 0)
    np.testing.assert_allclose(p.mean(), mean, atol=0.5 / 255)
    with pytest.raises(InputError, match="scale=shared is of one Gaussian"):
        make(shape=(2, 2, 1), **SMALL, scale="shared")


@pytest.mark.parametrize("inference", ORDERS)
@pytest.mark.parametrize("num_samples", [1, 3])
def test_the_kls_of_the_levels_sum_and_beta_is_in_the_loss_alone(inference, num_samples, images):
    settings = {**SMALL, "inference": inference, "num_samples": num_samples}
    one, four = (losses(make(**settings, beta=beta), images) for beta in (1.0, 4.0))
    kls = one["kl_1_nats"] + one["kl_2_nats"]
    np.testing.assert_allclose(one["kl_nats"], kls, rtol=1e-5)
    elbo = one["reconstruction_nats"] - kls
    np.testing.assert_allclose(one["elbo_nats"], elbo, rtol=1e-6)
    np.testing.assert_allclose(one["bits_per_dim"], -elbo / (784 * np.log(2)), rtol=1e-5)
    for name in set(one) - {"loss"}:
        np.testing.assert_array_equal(one[name], four[name], err_msg=name)
    if num_samples == 1:
        np.testing.assert_allclose(one["loss"], -elbo, rtol=1e-6)
        np.testing.assert_allclose(four["loss"], 3 * kls - elbo, rtol=1e-5)
    else:
        np.testing.assert_allclose(one["loss"], -one["iwae_nats"], rtol=1e-6)


@pytest.mark.parametrize("inference", ORDERS)
def test_the_mean_of_log_prob_is_that_of_what_training_logs(inference, images):
    x = images[:1, 12:16, 12:16].repeat(4000, 0)
    model = make(shape=(4, 4, 1), **SMALL, inference=inference, num_samples=3)
    logged = losses(model, x)
    for name, k in (("elbo_nats", 1), ("iwae_nats", 3)):
        asked, seen = model.log_prob(x, num_samples=k, seed=3).numpy(), logged[name].numpy()
        error = np.sqrt((asked.var() + seen.var()) / len(x))
        assert asked.mean() == pytest.approx(seen.mean(), abs=float(5 * error)), name


# z_2 ~ N(0, 1), z_1 = A z_2 + a + S e, x = w z_1 + b + s e' of four pixels
A, OFFSET, S, NOISE = 0.9, 0.3, 0.6, 0.1
W, B = np.array([0.2, -0.1, 0.15, 0.05]), np.array([0.5, 0.4, 0.6, 0.5])


def moments():
    """Mean and covariance of (z_2, z_1, x)."""
    by_z_2 = np.concatenate([[1, A], A * W])
    by_e = np.concatenate([[0, S], S * W])
    covariance = np.outer(by_z_2, by_z_2) + np.outer(by_e, by_e)
    covariance[2:, 2:] += NOISE**2 * np.eye(4)
    return np.concatenate([[0, OFFSET], OFFSET * W + B]), covariance


def of_given(target, given):
    """Slopes, constant and deviation of a coordinate's Gaussian, given others."""
    mean, covariance = moments()
    slopes = np.linalg.solve(covariance[np.ix_(given, given)], covariance[given, target])
    variance = covariance[target, target] - slopes @ covariance[given, target]
    return slopes, mean[target] - slopes @ mean[given], np.sqrt(variance)


def gaussian(network, slopes, constant, deviation):
    """Sets a dense layer to give that mean, and a deviation that depends on nothing."""
    kernel = np.stack([slopes, np.zeros_like(slopes)], axis=1)
    network.set_weights([kernel, np.array([constant, np.log(np.expm1(deviation - 1e-4))])])


def linear(inference, exact=True):
    """That model, with its exact posterior, or with one that is too wide and off."""
    model = make(
        shape=(2, 2, 1),
        network="mlp",
        hidden=(),
        latent_dim=1,
        lower_latent_dims=(1,),
        likelihood="gaussian",
        scale="shared",
        inference=inference,
    )
    (prior,), (posterior,) = model.priors, model.posteriors
    gaussian(prior, np.array([A]), OFFSET, S)
    model.decoder[-1].set_weights([W[None], B])
    model.raw_scale.assign(np.log(np.expm1(NOISE - 1e-2 / 255)))
    x = [2, 3, 4, 5]
    if inference == "bottom_up":
        posteriors = ((posterior, 1, x), (model.encoder[-1], 0, [1]))
    else:
        posteriors = ((posterior, 1, [0, *x]), (model.encoder[-1], 0, x))
    for network, target, given in posteriors:
        slopes, constant, deviation = of_given(target, given)
        off = (0, 1) if exact else (0.2, 1.3)
        gaussian(network, slopes, constant + off[0], deviation * off[1])
    return model


def exact_log_p(x):
    mean, covariance = (m[2:] if m.ndim == 1 else m[2:, 2:] for m in moments())
    away = x.reshape(-1, 4) - mean
    quadratic = np.einsum("bi,ij,bj->b", away, np.linalg.inv(covariance), away)
    return -(quadratic + np.linalg.slogdet(2 * np.pi * covariance)[1]) / 2


@pytest.mark.parametrize("inference", ORDERS)
def test_with_the_exact_posterior_every_bound_is_log_p(inference):
    x = np.random.default_rng(0).random((32, 2, 2, 1)).astype(np.float32)
    model = linear(inference)
    for k in (1, 7):
        found = model.importance_bound(x, num_samples=k, seed=k).numpy()
        np.testing.assert_allclose(found[:, 0], exact_log_p(x), rtol=1e-4, atol=2e-3)
        np.testing.assert_allclose(found[:, 1], k, rtol=1e-3)
    x = x[:1].repeat(4000, 0)  # the KLs are of one draw of the other levels
    elbo = model.losses(x, None, False)["elbo_nats"].numpy()
    error = elbo.std() / np.sqrt(len(x))
    assert elbo.mean() == pytest.approx(exact_log_p(x[:1])[0], abs=float(5 * error))


@pytest.mark.parametrize("inference", ORDERS)
def test_the_bound_grows_with_the_draws_towards_log_p(inference):
    x = np.random.default_rng(1).random((200, 2, 2, 1)).astype(np.float32)
    model, exact = linear(inference, exact=False), exact_log_p(x).mean()
    one, ten, many = (
        model.log_prob(x, num_samples=k, seed=4).numpy().mean() for k in (1, 10, 3000)
    )
    assert one < ten < many
    assert one < exact - 0.05 and many == pytest.approx(exact, abs=0.01)


def test_samples_of_linear_levels_have_their_variance_and_temperature_scales_it():
    model, w = linear("top_down"), W / 4  # so that nothing is clipped
    model.decoder[-1].set_weights([w[None], B])
    made = {t: model.sample(8000, seed=5, temperature=t).numpy() for t in (0.0, 0.5, 1.0)}
    mean = np.reshape(OFFSET * w + B, (2, 2, 1))
    np.testing.assert_allclose(made[0.0], np.broadcast_to(mean, made[0.0].shape), atol=1e-6)
    expected = w**2 * (A**2 + S**2)
    # its error is sqrt(2 / 8000), 1.6%
    np.testing.assert_allclose(made[1.0].var(0).ravel(), expected, rtol=0.1)
    np.testing.assert_allclose(made[0.5] - mean, (made[1.0] - mean) / 2, atol=1e-6)


def test_top_levels_of_a_reconstruction_are_posterior_means_and_the_others_prior_means():
    x = np.random.default_rng(2).random((5, 2, 2, 1)).astype(np.float32)
    for inference in ORDERS:
        model = linear(inference)
        if inference == "bottom_up":
            z_1 = x.reshape(5, 4) @ of_given(1, [2, 3, 4, 5])[0] + of_given(1, [2, 3, 4, 5])[1]
            z_2 = of_given(0, [1])[0] * z_1 + of_given(0, [1])[1]
        else:
            slopes, constant, _ = of_given(0, [2, 3, 4, 5])
            z_2 = x.reshape(5, 4) @ slopes + constant
            slopes, constant, _ = of_given(1, [0, 2, 3, 4, 5])
            z_1 = np.concatenate([z_2[:, None], x.reshape(5, 4)], 1) @ slopes + constant
        np.testing.assert_allclose(model.encode(x).mean(), z_2[:, None], rtol=1e-4, atol=1e-5)
        for num_levels, z in ((None, z_1), (2, z_1), (1, A * z_2 + OFFSET)):
            expected = np.clip(np.outer(z, W) + B, 0, 1).reshape(x.shape)
            found = model.reconstruct(x, num_levels=num_levels)
            np.testing.assert_allclose(found, expected, atol=1e-5)
        np.testing.assert_allclose(found, model.generate(model.encode(x).mean()), atol=1e-6)


@pytest.mark.slow
def test_reconstructions_of_grids_are_those_of_a_way_down_written_by_hand(images):
    model = make(**CONV, levels_per_grid=2)
    for v in model.trainable_variables:  # a new one's levels hardly count
        v.assign(v + 0.2 * standard_normal(v.shape, [3, len(v.path)]))
    x = np.float32(images / 255)
    features = [x]
    for part in model.encoder:
        features.append(part(features[-1]))
    z, _ = np.split(features.pop(), 2, -1)
    outputs = []
    for kept in range(1, 6):
        state = z
        for i, part in enumerate(model.decoder):
            state = part(state)
            for j in range(2 * i, 2 * i + 2) if i < 2 else ():
                raw, after = model.priors[j](state)
                if j + 2 <= kept:
                    raw = model.posteriors[j]([state, features[2 - i]])
                state = model.joins[j]([after, raw[..., :2]])
        outputs.append(state.numpy())
        image = np.clip(model.pixels(state).mean(), 0, 1)
        found = model.reconstruct(images, num_levels=kept)
        np.testing.assert_allclose(found, image, atol=1e-5)
    for a, b in zip(outputs, outputs[1:], strict=False):
        assert np.abs(a - b).max() > 1e-3  # no level is left out
    np.testing.assert_allclose(model(x), image, atol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(CONV, marks=pytest.mark.slow),
        SMALL,
        pytest.param({**SMALL, "inference": "bottom_up"}, marks=pytest.mark.slow),
    ],
    ids=["conv", "mlp", "mlp bottom up"],
)
def test_the_gradient_reaches_every_weight(settings, images):
    model = make(**settings, prior="mixture", num_prior_components=2)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(losses(model, images, training=True)["loss"])
    gradients = tape.gradient(loss, model.trainable_variables)
    for v, gradient in zip(model.trainable_variables, gradients, strict=True):
        assert gradient is not None and np.abs(gradient).max() > 0, v.path


def test_new_levels_of_grids_cost_next_to_nothing(images):
    values = losses(make(**CONV, levels_per_grid=1), images)
    below = np.array([values[f"kl_{level}_nats"] for level in (1, 2)])
    assert (below != 0).all() and (np.abs(below) < 0.05).all()
    assert "kl_4_nats" not in values and np.min(values["kl_3_nats"]) > 0.05  # the top's


@pytest.mark.parametrize("prior", ["mixture", "vamp", "flow"])
def test_learned_priors_are_of_the_top_level(prior, images):
    standard = make(**SMALL)
    settings = {"num_prior_components": 4, "num_prior_flows": 2, "prior_hidden": (4,)}
    model = make(**SMALL, prior=prior, **settings)
    for name in ("encoder", "priors", "posteriors", "decoder"):
        for a, b in zip(getattr(model, name), getattr(standard, name), strict=True):
            a.set_weights(b.get_weights())
    found, plain = (losses(m, images) for m in (model, standard))
    np.testing.assert_allclose(found["kl_1_nats"], plain["kl_1_nats"], rtol=1e-5)
    z, q = model.encode(images).mean(), model.encode(images)
    if prior == "flow":  # a new one is the identity
        np.testing.assert_allclose(model.p_z().log_prob(z), standard.p_z().log_prob(z), rtol=1e-5)
    else:
        loc = model.p_z().components_distribution.mean()
        if prior == "vamp":
            np.testing.assert_allclose(loc, model.encode(model.pseudo_inputs).mean(), rtol=1e-5)
        made = model.sample(20, seed=1, temperature=0.0).numpy()
        apart = np.abs(made[:, None] - model.generate(loc).numpy()).max((2, 3, 4))
        assert (apart.min(1) < 1e-5).all()  # each sample is the image of a component
        assert len(set(apart.argmin(1))) > 1
    # the bound has log p(z_2) where it had log N(z_2; 0, I), at the same draws
    change = model.p_z().log_prob(q.mean()) - standard.p_z().log_prob(q.mean())
    model.draw = standard.draw = lambda q, seed: q.mean()
    bounds = [m.log_prob(images, seed=1) for m in (model, standard)]
    np.testing.assert_allclose(bounds[0] - bounds[1], change, atol=1e-3)


@pytest.mark.parametrize(
    ("shape", "num_levels"),
    [
        ((28, 28, 1), 5),
        pytest.param((32, 16, 3), 5, marks=pytest.mark.slow),
        pytest.param((64, 64, 3), 9, marks=pytest.mark.slow),
    ],
)
def test_levels_lie_at_each_grid(shape, num_levels):
    model = make(shape=shape, **{**CONV, "width": 2})
    assert model.num_levels == num_levels and model.tracked[-1] == f"kl_{num_levels}_nats"
    sides = [join.output_shape[1:3] for join in model.joins]
    smallest = (shape[0] >> model.config.num_stages, shape[1] >> model.config.num_stages)
    assert sides == [tuple(s << i // 2 for s in smallest) for i in range(num_levels - 1)]
    made = model.sample(2, seed=1)
    assert made.shape == (2, *shape)


def test_the_two_layers_of_burda_et_al():
    values = registry.preset("hierarchical_vae", "burda")
    config = registry.config_class("hierarchical_vae")
    model = make(**{k: v for k, v in values.items() if hasattr(config, k)})

    def dense(*sizes):
        return sum(n * m + m for n, m in zip(sizes, sizes[1:], strict=False))

    encoder = dense(784, 200, 200, 2 * 100) + dense(100, 100, 100, 2 * 50)
    decoder = dense(50, 100, 100, 2 * 100) + dense(100, 200, 200, 784)
    assert model.num_parameters() == encoder + decoder
    activations = [
        layer.activation.__name__
        for part in [*model.encoder, *model.decoder]
        for layer in part.layers
        if isinstance(layer, keras.layers.Activation)
    ]
    assert activations == ["tanh"] * 8
    assert model.bottom_up and model.binary


def test_what_cannot_be_is_refused(images):
    for settings, said in (
        (
            {**SMALL, "hidden": (8, 8, 8)},
            "hidden has 3 layers, and must have as many for each of 2",
        ),
        ({"inference": "bottom_up"}, "inference=bottom_up is of network=mlp"),
    ):
        with pytest.raises(zoo.InputError, match=said):
            make(**settings)
    model = make(**SMALL)
    for temperature in (-1.0, float("nan"), "hot"):
        with pytest.raises(zoo.InputError, match="temperature must be at least 0"):
            model.sample(1, temperature=temperature)
    for num_levels in (0, 3):
        with pytest.raises(zoo.InputError, match=r"num_levels must be in 1\.\.2"):
            model.reconstruct(images, num_levels=num_levels)
    with pytest.raises(zoo.InputError, match="observation must be"):
        model.reconstruct(images, observation="mode")


@pytest.mark.slow
def test_a_file_holds_the_weights_of_every_level(images, tmp_path):
    model = make(**CONV, levels_per_grid=1)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(*(m.log_prob(images, seed=1) for m in (model, loaded)), rtol=1e-6)

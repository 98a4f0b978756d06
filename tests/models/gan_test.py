"""The GAN's truths: whose weights move, and how strongly the generator is taught."""

import dataclasses

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

import zoo
from zoo.hub import export

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
    parts = [data[0][j::3] for j in range(3)]
    np.testing.assert_allclose(np.stack(seen) * 255, parts, atol=1e-3)
    assert int(model.discriminator_optimizer.iterations) == 3
    assert int(model.optimizer.iterations) == 1


def test_a_last_batch_of_fewer_images_than_steps_is_learnt_from_too(data):
    model = zoo.create("gan", discriminator_steps=5, **SMALL)
    seen = []
    original = model.d_losses
    model.d_losses = lambda x, *rest, **kw: seen.append(x.numpy()) or original(x, *rest, **kw)
    model.train_step(tuple(a[:3] for a in data))
    parts = [data[0][j : j + 1] for j in (0, 1, 2, 0, 1)]
    np.testing.assert_allclose(np.stack(seen) * 255, parts, atol=1e-3)
    model.d_losses = original
    history = model.fit(data[0][:8], data[1][:8], batch_size=5, verbose=0).history  # 5, then 3
    assert all(np.isfinite(v).all() for v in history.values())


@pytest.mark.parametrize("name", ["gan", "cgan", "infogan", "sngan"])
def test_the_relativistic_game_ranks_pairs(name, data):
    small = {"network": "mlp", "hidden": (16,), "latent_dim": 4}
    model = zoo.create(name, loss="relativistic", penalty="r1_r2", **small)
    x, y = tf.constant(data[0] / np.float32(255)), tf.constant(data[1])
    labels = y if model.conditional else None
    z = model.draw_prior(len(data[0]), seed=0)
    real, fake = (
        model.discriminate(x, labels),
        model.discriminate(model.generate(z, labels), labels),
    )
    d_loss = model.d_losses(x, labels, z, training=False)["d_loss"]
    g_loss = model.g_losses(x, labels, z, training=False)["g_loss"]
    if name == "infogan":  # its codes have a term of their own
        return
    np.testing.assert_allclose(d_loss, np.log1p(np.exp(fake - real)), rtol=1e-4)
    np.testing.assert_allclose(g_loss, np.log1p(np.exp(real - fake)), rtol=1e-4)
    assert np.isfinite(list(model.train_step(data).values())).all()


def test_r1_and_r2_are_the_slopes_at_both_kinds_of_images():
    """D(x) = 2 |x|^2 / 2 has the slope 2 |x|."""
    found = {}
    for penalty in ("r1", "r1_r2"):
        model = zoo.create("gan", hidden=(4,), penalty=penalty, penalty_weight=3.0)
        real, fake = (tf.random.stateless_normal([5, 28, 28, 1], [0, i]) for i in (1, 2))
        values = {"d_loss": tf.zeros(5)}
        found[penalty] = model.with_penalty(
            values, lambda x: tf.reduce_sum(x**2, [1, 2, 3]), real, fake
        )
    squares = [2 * np.sum(np.square(x), (1, 2, 3)) for x in (real, fake)]
    np.testing.assert_allclose(found["r1"]["penalty"], squares[0], rtol=1e-4)
    np.testing.assert_allclose(found["r1_r2"]["penalty"], squares[0] + squares[1], rtol=1e-4)
    np.testing.assert_allclose(found["r1_r2"]["d_loss"], 3 * found["r1_r2"]["penalty"], rtol=1e-6)


@pytest.mark.parametrize("logit", [-12.0, -6.0, 3.0])
def test_gradient_norms_at_a_confident_discriminator_have_their_closed_form(logit):
    # D(x) = sigmoid(w.x + b) with |w| tiny and b the logit: then dL/dtheta is, for every weight of
    # G, the slope of the loss in the logit (-D or -(1 - D)) times one and the same vector.
    norms = {}
    for loss in ("saturating", "non_saturating"):
        keras.utils.set_random_seed(0)
        model = zoo.create("gan", loss=loss, hidden=(), latent_dim=4)
        kernel, bias = model.discriminator.trainable_variables
        kernel.assign(kernel * 1e-4)
        bias.assign([logit])
        z = tf.random.stateless_normal([64, 4], [0, 1])
        with tf.GradientTape() as tape:
            mean = tf.reduce_mean(model.g_losses(None, None, z, training=True)["g_loss"])
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


def test_a_loaded_average_is_not_forgotten(data):
    model = zoo.load("dcgan")
    averages, networks = (
        [v.numpy() for v in net.weights] for net in (model.average, model.generator)
    )
    for optimizer in (model.optimizer, model.discriminator_optimizer):
        optimizer.learning_rate = 0.0
    model.train_step(data)
    for a, w, found in zip(averages, networks, model.average.weights, strict=True):
        if "moving" not in found.path:  # batch norm's own averages follow the batch
            np.testing.assert_allclose(found, 0.999 * a + 0.001 * w, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("from_noise", [True, False])
def test_average_follows_its_recurrence_and_is_what_draws(data, from_noise):
    keras.utils.set_random_seed(0)
    model = zoo.create("gan", ema_decay=0.3, **SMALL)
    model.from_noise = from_noise
    expected = [v.numpy() for v in model.generator.weights]
    for t in range(1, 6):
        model.train_step(data)
        decay = min(0.3, (1 + t) / (10 + t)) if from_noise else 0.3  # 0.18, 0.25, 0.3, ...
        expected = [
            decay * a + (1 - decay) * v.numpy()
            for a, v in zip(expected, model.generator.weights, strict=True)
        ]
    for a, v in zip(expected, model.average.weights, strict=True):
        np.testing.assert_allclose(a, v, rtol=1e-5, atol=1e-7)
    latents = model.draw_prior(4, seed=1)
    by_average = (tf.tanh(model.average(latents)) + 1) / 2
    np.testing.assert_array_equal(model.sample(4, seed=1), by_average)
    now = (tf.tanh(model.generator(latents)) + 1) / 2
    assert np.abs(model.sample(4, seed=1) - now).max() > 1e-4
    np.testing.assert_array_equal(model.fake_images(latents, None, training=True), now)
    assert model.num_parameters() == zoo.create("gan", **SMALL).count_params()
    assert not set(map(id, model.average.weights)) & set(map(id, model.trainable_variables))


def test_an_average_follows_the_statistics_of_batch_norm_too(data):
    model = zoo.create("dcgan", width=4, latent_dim=3)
    before = [v.numpy() for v in model.average.non_trainable_variables if "moving" in v.path]
    model.train_step(data)
    after = [v.numpy() for v in model.average.non_trainable_variables if "moving" in v.path]
    assert len(after) == 4 and not equal(before, after)


def test_exported_generator_is_the_average(data, tmp_path):
    model = zoo.create("gan", ema_decay=0.9, **SMALL)
    for _ in range(3):
        model.train_step(data)
    export.saved_model(model, tmp_path / "m")
    loaded = tf.saved_model.load(str(tmp_path / "m"))
    z = model.draw_prior(4, seed=1)
    images = loaded.signatures["generate"](latents=z)["images"]
    np.testing.assert_allclose(images, (tf.tanh(model.average(z)) + 1) / 2, atol=1e-6)


def test_label_smoothing_is_asked_for_moves_d_s_target_and_leaves_the_value(data):
    model = zoo.create("gan", label_smoothing=0.2, **SMALL)
    x = tf.constant(data[0] / np.float32(255))
    z = model.draw_prior(24, seed=0)
    plain, smooth = zoo.create("gan", **SMALL), model
    smooth.set_weights(plain.get_weights())
    values = [m.d_losses(x, None, z, training=False) for m in (plain, smooth)]
    np.testing.assert_array_equal(values[0]["value"], values[1]["value"])
    d_x = tf.sigmoid(plain.discriminate(x)).numpy().astype(np.float64)
    d_z = tf.sigmoid(plain.discriminate(plain.generate(z))).numpy().astype(np.float64)
    # Salimans et al. 2016, section 3.4, one-sided
    expected = -(0.8 * np.log(d_x) + 0.2 * np.log(1 - d_x) + np.log(1 - d_z))
    np.testing.assert_allclose(values[1]["d_loss"], expected, rtol=1e-5)
    with pytest.raises(zoo.InputError, match="loss=hinge has no labels to be smoothed"):
        zoo.create("gan", loss="hinge", label_smoothing=0.1, **SMALL)


def test_equilibrium_of_smoothed_labels_is_the_best_that_d_can_do():
    model, s = zoo.create("gan", label_smoothing=0.3, **SMALL), 0.3
    d = np.linspace(0.001, 0.999, 99_801)  # of real and made images alike
    best = d[np.argmax((1 - s) * np.log(d) + s * np.log(1 - d) + np.log(1 - d))]
    assert best == pytest.approx((1 - s) / 2, abs=1e-4)
    assert model.equilibrium == pytest.approx(np.log(best) + np.log(1 - best), abs=1e-4)
    assert model.real_target == 1 - s


def test_settings_that_cannot_be_are_refused():
    for name, settings, said in (
        ("gan", {"loss": "wasserstein"}, "add a penalty"),
        ("wgan_gp", {"penalty": "none"}, "add a penalty"),
        ("wgan_gp", {"weight_clip": 0.01}, "in place of a penalty"),
        ("sngan", {"network": "mlp", "attention": True}, "needs --network=conv"),
        ("gan", {"augment": "diffaugment", "image_shape": (1, 2, 1)}, "too small"),
    ):
        with pytest.raises(zoo.InputError, match=said):
            zoo.create(name, **settings)
    zoo.create("sngan", loss="wasserstein", width=4)  # bounded by its norms


@pytest.mark.parametrize("loss", ["wasserstein", "hinge", "least_squares"])
@pytest.mark.parametrize("penalty", ["gradient", "r1", "dragan"])
def test_games_and_penalties_go_together(loss, penalty, data):
    settings = {"loss": loss, "penalty": penalty, "penalty_weight": 3.0}
    model = zoo.create("gan", **settings, **SMALL)
    x, z = tf.constant(data[0] / np.float32(255)), model.draw_prior(24, seed=0)
    values = model.d_losses(x, None, z, training=True)
    np.testing.assert_allclose(
        values["d_loss"], -values["value"] + 3 * values["penalty"], rtol=1e-5, atol=1e-5
    )
    raw = model.discriminate(x, training=True)
    np.testing.assert_allclose(values["d_real"], raw, rtol=1e-5, atol=1e-6)  # scores as they are
    assert set(model.train_step(data)) == {*zoo.create("gan", **SMALL).tracked, "penalty"}


@pytest.mark.parametrize(
    "name",
    [
        "cgan",
        *(
            pytest.param(n, marks=pytest.mark.slow)
            for n in ("projection_cgan", "sngan", "infogan", "acgan")
        ),
    ],
)
def test_every_gan_pays_for_the_slope_of_its_own_d(name, data):
    keras.utils.set_random_seed(1)
    settings = {"latent_dim": 3, "width": 8, "dropout": 0.0}
    model = zoo.create(name, penalty="r1", penalty_weight=3000.0, **settings)
    x, y = tf.constant(data[0] / np.float32(255)), tf.constant(data[1])
    z, known = model.draw_prior(24, seed=0), y if model.conditional else None
    for _ in range(100):  # until spectral norms stand still
        model.discriminate(x, known, training=True)
    with tf.GradientTape() as tape:
        tape.watch(x)
        scores = model.discriminate(x, known, training=True)
    # half the squared norm; in images scaled to [-1, 1] a slope is half of that in [0, 1]
    slope = tape.gradient(scores, x) / 2
    expected = tf.reduce_sum(slope**2, [1, 2, 3]) / 2
    values = model.d_losses(x, y, z, training=True)
    np.testing.assert_allclose(values["penalty"], expected, rtol=1e-3)
    model.config = dataclasses.replace(model.config, penalty="none")
    free = model.d_losses(x, y, z, training=True)
    np.testing.assert_allclose(values["d_loss"] - free["d_loss"], 3000 * expected, rtol=2e-3)


def test_penalty_is_in_the_scale_that_the_network_sees(data):
    # a linear D of images scaled to [-1, 1]: its slope is the norm of its weights
    model = zoo.create("gan", penalty="gradient", hidden=(), latent_dim=4)
    x, z = tf.constant(data[0] / np.float32(255)), model.draw_prior(24, seed=0)
    penalty = model.d_losses(x, None, z, training=True)["penalty"]
    slope = np.linalg.norm(model.discriminator.trainable_variables[0])
    np.testing.assert_allclose(penalty, np.full(24, (slope - 1) ** 2), rtol=1e-4)


def test_a_penalty_is_where_d_plays(data):
    # of images as D sees them, augmented ones where they are augmented
    model = zoo.create("gan", penalty="r1", augment="diffaugment", **SMALL)
    seen = []
    original = model.penalized
    model.penalized = lambda v, x, *rest: seen.append(x.numpy()) or original(v, x, *rest)
    x = tf.constant(data[0] / np.float32(255))
    model.d_losses(x, None, model.draw_prior(24, seed=0), training=True)
    assert (np.abs(seen[0] - x.numpy()).max((1, 2, 3)) > 0).all()


def test_augmentation_is_for_both_players_in_training_only(data):
    model = zoo.create("gan", augment="diffaugment", **SMALL)
    x, z = tf.constant(data[0] / np.float32(255)), model.draw_prior(24, seed=0)
    seen = []
    original = model.run_discriminator
    model.run_discriminator = lambda images, *a, **k: (
        seen.append(images.numpy()) or original(images, *a, **k)
    )
    model.d_losses(x, None, z, training=True)
    model.g_losses(x, None, z, training=True)
    made = model.fake_images(z, None, training=True).numpy()
    for shown, plain in zip(seen, (x.numpy(), made, made), strict=True):
        assert (np.abs(shown - plain).max((1, 2, 3)) > 0).all()
    seen.clear()
    model.d_losses(x, None, z, training=False)
    np.testing.assert_array_equal(seen[0], x)


@pytest.mark.parametrize("name", ["acgan", "infogan", "bigan", "cgan", "projection_cgan"])
def test_every_gan_augments_real_and_made_images_for_both_players(name, data):
    small = {"network": "mlp", "hidden": (8,), "latent_dim": 4, "augment": "diffaugment"}
    model = zoo.create(name, **small)
    x, y = tf.constant(data[0] / np.float32(255)), tf.constant(data[1])
    z, seen = model.draw_prior(24, seed=0), []
    runs_d = ("logits_and_log_p", "logits_and_codes", "pair_logits", "run_discriminator")
    runs_d = next(method for method in runs_d if hasattr(model, method))
    original = getattr(model, runs_d)

    def watch(images, *rest, **more):
        seen.append(np.asarray(images))
        return original(images, *rest, **more)

    setattr(model, runs_d, watch)
    made = model.fake_images(z, y if model.conditional else None, training=True).numpy()
    for losses in (model.d_losses, model.g_losses):
        seen.clear()
        losses(x, y, z, training=True)
        # bigan's E plays with real images in G's step too
        both = losses == model.d_losses or name == "bigan"
        plain = (x.numpy(), made) if both else (made,)
        assert len(seen) == len(plain)
        for shown, images in zip(seen, plain, strict=True):
            assert (np.abs(shown - images).max((1, 2, 3)) > 0).all()


def test_truncated_latents_are_within_the_bound_and_else_normal():
    model = zoo.create("gan", hidden=(4,), latent_dim=500)
    z = model.draw_prior(200, 0, truncation=0.8).numpy()
    assert np.abs(z).max() <= 0.8
    truncated = scipy.stats.truncnorm(-0.8, 0.8)
    assert scipy.stats.kstest(z.ravel(), truncated.cdf).pvalue > 1e-4
    images = model.sample(3, seed=0, truncation=0.8)
    np.testing.assert_array_equal(images, model.generate(model.draw_prior(3, 0, 0.8)))
    with pytest.raises(zoo.InputError, match="truncation is 0"):
        model.sample(3, truncation=0.0)

"""The VQ-VAE's truths: gradients that pass straight through, averages, a bound without noise."""

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

import zoo
from zoo.hub import names
from zoo.nn.layers import VectorQuantizer

SMALL = {
    "codebook_size": 3,
    "code_dim": 2,
    "width": 4,
    "num_blocks": 1,
    "prior_width": 4,
    "prior_layers": 2,
    "transformer_width": 8,
    "transformer_layers": 2,
    "transformer_heads": 2,
}
PRIORS = ("pixelcnn", "transformer", "maskgit")
each_prior = pytest.mark.parametrize("prior", PRIORS)


def make(image_shape=(8, 8, 1), **changes):
    keras.utils.set_random_seed(2)
    model = zoo.create("vqvae", image_shape, **{**SMALL, **changes})
    codes = np.random.default_rng(0).standard_normal(model.quantizer.codebook.shape)
    model.quantizer.codebook.assign(0.1 * codes)
    return model


def quantizer(size=3, depth=2, **kwargs):
    layer = VectorQuantizer(size, depth, **kwargs)
    layer.codebook.assign(np.random.default_rng(0).standard_normal((size, depth)))
    return layer


@pytest.fixture
def images():
    return np.random.default_rng(1).integers(0, 256, (6, 8, 8, 1)).astype(np.float32) / 255


def test_the_nearest_code_is_the_nearest():
    layer = quantizer(7, 3)
    z = np.random.default_rng(3).standard_normal((4, 5, 5, 3)).astype(np.float32)
    distance = np.linalg.norm(z[..., None, :] - np.asarray(layer.codebook), axis=-1)
    np.testing.assert_array_equal(layer.nearest(z), distance.argmin(-1))


def test_the_gradient_is_the_decoders_at_the_code_and_the_commitments(images):
    model = make(beta=0.0)
    z_e = tf.Variable(model.encoder(images))
    codes = model.quantizer.nearest(z_e)
    z_q = tf.Variable(model.quantizer.embed(codes))

    def minus_log_p(z):
        return -model.p_x_given_z(tf.reshape(z, [-1, model.latent_dim])).log_prob(images)

    with tf.GradientTape() as tape:
        through = minus_log_p(model.quantizer.straight_through(z_e, codes))
    passed = tape.gradient(through, z_e)
    with tf.GradientTape() as tape:
        at_the_code = minus_log_p(z_q)
    np.testing.assert_allclose(passed, tape.gradient(at_the_code, z_q), rtol=1e-4, atol=1e-4)

    # and in the loss: by the bias of the encoder's last layer, which moves each place of z_e alike
    weight = model.encoder.layers[-1].bias
    apart = z_e - z_q
    for beta in (0.0, 0.7):
        model = make(beta=beta)
        weight = model.encoder.layers[-1].bias
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model.losses(images, None, training=False)["loss"])
        expected = tf.reduce_sum(passed + 2 * beta * apart, [0, 1, 2])
        np.testing.assert_allclose(
            tape.gradient(loss, weight.value), expected, rtol=1e-3, atol=1e-2
        )


@each_prior
def test_the_prior_learns_the_codes_and_moves_nothing_else(images, prior):
    model = make(prior=prior)
    with tf.GradientTape(persistent=True) as tape:
        values = model.losses(images, None, training=True)
        loss, kl = (tf.reduce_sum(values[k]) for k in ("loss", "kl_nats"))
    weights = [v.value for v in model.prior.trainable_variables]
    pairs = zip(tape.gradient(loss, weights), tape.gradient(kl, weights), strict=True)
    if prior == "maskgit":  # whose loss weighs places otherwise
        assert any(np.abs(a - b).max() > 1e-3 for a, b in pairs)
    else:
        for a, b in pairs:
            np.testing.assert_allclose(a, b, rtol=1e-5)
    others = [v.value for v in (*model.encoder.weights, *model.decoder.weights)]
    assert all(g is None for g in tape.gradient(kl, others))


def test_the_codebook_follows_the_means():
    layer = quantizer(3, 2, decay=0.8, revive=0.0)
    layer.counts.assign([4.0, 2.0, 1.0])
    layer.sums.assign(np.asarray(layer.codebook) * np.array([[4.0], [2.0], [1.0]]))
    e, sums, counts = (np.array(v) for v in (layer.codebook, layer.sums, layer.counts))
    z = np.random.default_rng(5).standard_normal((10, 2)).astype(np.float32)
    codes = layer.nearest(z)
    layer.follow(z, codes, tf.constant([0, 1]))
    for k in range(3):
        chosen = z[codes.numpy() == k]
        n = 0.8 * counts[k] + 0.2 * len(chosen)
        m = 0.8 * sums[k] + 0.2 * chosen.sum(0)
        np.testing.assert_allclose(layer.codebook[k], m / n, rtol=1e-5)
    assert np.abs(e - np.asarray(layer.codebook)).max() > 1e-3


def test_standing_still_the_averages_reach_the_clusters_means():
    centers = np.array([[5.0, 0], [0, 5], [-5, -5]], np.float32)
    rng = np.random.default_rng(6)
    layer = VectorQuantizer(3, 2, decay=0.9)
    z = (centers[np.arange(60) % 3] + 0.1 * rng.standard_normal((60, 2))).astype(np.float32)
    for step in range(100):
        layer.follow(z, layer.nearest(z), tf.constant([step, 0]))
    means = np.stack([z[k::3].mean(0) for k in range(3)])
    found = np.asarray(layer.codebook)
    nearest = np.linalg.norm(means[:, None] - found, axis=-1).min(1)
    assert (nearest < 1e-3).all()


def test_dead_codes_come_back_as_vectors_of_the_batch():
    layer = VectorQuantizer(4, 2, decay=0.99, revive=0.04)  # of 50 / 4: below 0.5
    layer.codebook.assign([[0, 0], [90, 90], [91, 91], [92, 92]])
    layer.counts.assign([3.0, 0.4, 0.3, 5.0])
    layer.sums.assign([[0, 0], [36, 36], [27.3, 27.3], [460, 460]])
    z = np.random.default_rng(7).standard_normal((50, 2)).astype(np.float32)
    layer.follow(z, layer.nearest(z), tf.constant([1, 2]))
    found = np.asarray(layer.codebook)
    for k in (1, 2):
        assert (found[k] == z).all(1).any()
    assert (found[1] != found[2]).any()
    np.testing.assert_allclose(found[3], [92, 92], rtol=1e-5)  # rare, and alive


def test_a_code_that_came_back_has_time_to_find_its_own():
    layer = VectorQuantizer(2, 2, decay=0.99)  # of 1,000 vectors 1% of even use is 5
    layer.codebook.assign([[0, 0], [90, 90]])
    layer.counts.assign([500.0, 4.0])
    layer.sums.assign([[0, 0], [360, 360]])
    z = np.random.default_rng(8).standard_normal((1000, 2)).astype(np.float32)
    layer.follow(z, layer.nearest(z), tf.constant([1, 2]))
    back = np.array(layer.codebook[1])
    assert (back == z).all(1).any() and float(layer.counts[1]) == pytest.approx(10)
    for step in range(20):  # in which it is used by none
        layer.follow(z, np.zeros(1000, np.int32), tf.constant([1, step]))
        np.testing.assert_allclose(layer.codebook[1], back, rtol=1e-4)


@pytest.mark.parametrize("prior", ["pixelcnn", "transformer"])
def test_the_bound_is_exact_arithmetic_and_below_log_p(images, prior):
    # all 3^4 grids of a tiny model: log p(x) = log sum_z p(x|z) p(z), of which q takes one term
    model = make(prior=prior)
    grids = np.array(np.meshgrid(*[np.arange(3)] * 4)).reshape(4, -1).T.reshape(-1, 2, 2)
    log_p_z = tf.reduce_sum(model.p_codes(grids), [1, 2]).numpy()
    assert np.exp(log_p_z.astype(np.float64)).sum() == pytest.approx(1, abs=1e-5)
    z = tf.reshape(model.quantizer.embed(grids), [-1, model.latent_dim])
    for x in images[:3]:
        joint = model.p_x_given_z(z).log_prob(x[None]) + log_p_z
        bound = float(model.log_prob(x[None])[0])
        own = (grids == model.codes(x[None])[0].numpy()).all((1, 2))
        assert bound == pytest.approx(float(joint[own.argmax()]), rel=1e-5)
        assert bound <= float(tf.reduce_logsumexp(joint)) + 1e-3
    values = model.losses(images, None, training=False)
    np.testing.assert_allclose(values["elbo_nats"], model.log_prob(images, None, 7), rtol=1e-5)
    np.testing.assert_allclose(
        values["kl_nats"], model.kl_per_dim(images).numpy().sum(1), rtol=1e-5
    )


def test_of_maskgit_log_p_is_a_bound_whose_mean_does_not_depend_on_the_number_of_draws(images):
    model = make(prior="maskgit")
    rng = np.random.default_rng(1)
    for v in model.prior.trainable_variables:
        v.assign(v + 0.4 * rng.standard_normal(v.shape))
    same = np.repeat(images[:1], 2000, 0)
    few, many = (model.log_prob(same, num_samples=k, seed=3).numpy() for k in (1, 9))
    apart = np.hypot(few.std(), many.std()) / np.sqrt(2000)
    assert abs(few.mean() - many.mean()) < 5 * apart and many.std() < few.std()
    np.testing.assert_array_equal(many, model.log_prob(same, num_samples=9, seed=3))
    values = model.losses(same, None, training=False)
    elbo = values["elbo_nats"].numpy()
    assert abs(elbo.mean() - many.mean()) < 5 * elbo.std() / np.sqrt(2000)
    np.testing.assert_allclose(elbo, values["reconstruction_nats"] - values["kl_nats"], rtol=1e-5)
    commitment = model.config.beta * values["commitment"]
    of_prior = values["loss"] + values["reconstruction_nats"] - commitment
    assert np.abs(of_prior - values["kl_nats"]).max() > 0.1  # that is no bound
    kl = model.kl_per_dim(same).numpy()
    assert kl.shape == (2000, 4)
    assert abs(kl.sum(1).mean() - values["kl_nats"].numpy().mean()) < 0.2
    with pytest.raises(zoo.InputError, match="only known by a bound"):
        model.p_codes(np.zeros((1, 2, 2), np.int32))
    with pytest.raises(zoo.InputError, match="no importance-weighted bound"):
        model.importance_bound(images)
    assert model.averaged and "importance" not in model.can
    assert not make().averaged and "importance" in make().can


@pytest.mark.parametrize("prior", ["transformer", "maskgit"])
def test_samples_are_decoded_from_codes_of_a_transformer(prior):
    model = make(prior=prior)
    model.prior.network.logits.bias.assign([0.0, 99.0, 0.0])  # it always says code 1
    expected = model.generate(tf.tile(np.asarray(model.quantizer.codebook)[1:2], [1, 4]))
    np.testing.assert_allclose(model.sample(2, seed=0), tf.repeat(expected, 2, 0), atol=1e-6)


def test_the_number_of_network_calls_is_that_of_maskgit_alone():
    model = make(prior="maskgit", num_steps=3)
    assert (model.num_calls(), model.num_calls(2), model.num_calls(50)) == (3, 2, 4)
    assert "calls" in model.can and "steps" not in model.can
    drawn = [model.sample(50, seed=1, num_steps=n).numpy() for n in (None, 3, 1)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert np.abs(drawn[0] - drawn[2]).max() > 1e-3
    for prior in ("pixelcnn", "transformer"):
        model = make(prior=prior)
        assert "calls" not in model.can and model.num_calls() == 4
        with pytest.raises(zoo.InputError, match="num_steps goes with prior=maskgit"):
            model.sample(2, num_steps=3)


@pytest.mark.slow
@pytest.mark.parametrize("prior", ["transformer", "maskgit"])
def test_a_transformer_learns_what_codes_go_together(prior):
    # images of one gray in one half, and of another in the other: 2 of 3^4 grids
    model = make(prior=prior, likelihood="gaussian")
    model.quantizer.codebook.assign([[0.0, 1.0], [1.0, 0.0], [-1.0, -1.0]])
    grids = tf.constant([[[0, 1], [1, 2]], [[1, 2], [0, 0]]] * 16)
    optimizer, weights = keras.optimizers.Adam(0.01), model.prior.trainable_variables
    optimizer.build(weights)

    @tf.function(autograph=False)
    def step(seed):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.reduce_sum(model.prior.terms(grids, seed)[0], [1, 2]))
        optimizer.apply(tape.gradient(loss, [v.value for v in weights]), weights)
        return loss

    losses = [float(step(tf.constant([0, i]))) for i in range(150)]
    assert losses[0] > 3
    bound = model.prior.bound(grids, tf.constant(16), tf.constant([1, 1])).numpy()
    assert -1 < bound.mean() < -0.65  # log 1/2 is the best
    codes = model.prior.draw_in(None, 100, tf.constant([0, 1])).numpy().reshape(100, 4)
    known = (codes[:, None] == [[0, 1, 1, 2], [1, 2, 0, 0]]).all(-1)
    assert known.any(1).mean() > 0.5 and 0.1 < known[:, 0].mean() < 0.9  # of 81 grids 2


def test_a_run_of_before_there_were_other_priors_has_a_pixelcnn():
    values = make().get_config()
    for name in list(values):
        if name.startswith("transformer_") or name in ("prior", "num_steps", "choice_temperature"):
            del values[name]
    model = type(make()).from_config(values)
    assert model.config.prior == "pixelcnn"
    found = names.of_weights(model)
    assert {"prior/blocks/0/h_conv/kernel", "prior/outputs/0/bias"} < set(found)


def test_samples_are_decoded_from_codes_of_the_prior():
    model = make()
    for v in model.prior.trainable_variables:  # a prior that always says code 1
        v.assign(tf.zeros_like(v))
    model.prior.outputs[0].bias.assign([0.0, 99.0, 0.0])
    expected = model.generate(tf.tile(np.asarray(model.quantizer.codebook)[1:2], [1, 4]))
    np.testing.assert_allclose(model.sample(2, seed=0), tf.repeat(expected, 2, 0), atol=1e-6)


def test_grids_are_drawn_as_often_as_the_prior_says():
    model = make()
    rng = np.random.default_rng(1)
    for v in model.prior.trainable_variables:
        v.assign(v + 0.5 * rng.standard_normal(v.shape))
    grids = np.array(np.meshgrid(*[np.arange(3)] * 4)).reshape(4, -1).T
    p = np.exp(tf.reduce_sum(model.p_codes(grids.reshape(-1, 2, 2)), [1, 2]).numpy().astype(float))
    z = tf.reshape(model.draw_prior(20_000, seed=0), [20_000, 4, 1, -1])
    distance = tf.reduce_sum((z - tf.convert_to_tensor(model.quantizer.codebook)) ** 2, -1)
    drawn = tf.argmin(distance, -1).numpy() @ 3 ** np.arange(4)
    counts = np.bincount(drawn, minlength=81)[grids @ 3 ** np.arange(4)]
    often = 20_000 * p > 10
    groups = [
        np.append(a[often], a[~often].sum()) for a in (counts.astype(float), 20_000 * p / p.sum())
    ]
    assert p.std() > 0.3 * p.mean() and scipy.stats.chisquare(*groups).pvalue > 1e-4


@pytest.mark.slow
@each_prior
def test_at_rest_only_the_prior_learns(images, prior):
    model = make(prior=prior)
    data = images, np.zeros(6, np.int32)
    model.fit(*data, batch_size=6, epochs=2, verbose=0)
    model.freeze_all_but_prior()
    still = [*model.encoder.weights, *model.decoder.weights, *model.quantizer.weights]
    before = [np.array(v) for v in still]
    prior = [np.array(v) for v in model.prior.trainable_variables]
    model.fit(*data, batch_size=6, epochs=3, verbose=0)
    for old, v in zip(before, still, strict=True):
        np.testing.assert_array_equal(old, v)
    for old, v in zip(prior, model.prior.trainable_variables, strict=True):
        assert (old != np.asarray(v)).any()


@pytest.mark.parametrize("name", ["vae", "vqvae"])
def test_a_density_of_1_takes_all_bits_of_a_gray_level(name):
    model = zoo.create(name, likelihood="gaussian", width=4)
    nats = np.zeros(3, np.float32)
    for _ in range(2):  # the caller's array stays as it is
        np.testing.assert_allclose(model.bits_per_dim(nats), [np.log2(255)] * 3, rtol=1e-6)


@pytest.mark.parametrize("size", [23, 62, 128])  # of the first two k / (size - 1) is inexact
def test_what_the_prior_draws_are_codes(monkeypatch, size):
    model, codes = make(codebook_size=size), tf.reshape(tf.range(4 * size) % size, [size, 2, 2])
    drawn = tf.cast(codes, tf.float32)[..., None] / (size - 1)  # as levels in [0, 1]
    monkeypatch.setattr(type(model.prior), "sample", lambda self, *args, **kwargs: drawn)
    found = model.draw_prior(size, seed=0)
    np.testing.assert_array_equal(found, np.reshape(model.quantizer.embed(codes), found.shape))

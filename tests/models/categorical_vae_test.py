"""The categorical VAE's truths: of a tiny model all codes can be enumerated, and so log p(x)."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import special, stats

import zoo
from zoo.data import Split
from zoo.drawing import views
from zoo.hub import checkpoints
from zoo.math.noise import standard_gumbel

tfd = tfp.distributions
L, K = 2, 3
CODES = np.array([np.eye(K)[list(c)].ravel() for c in itertools.product(range(K), repeat=L)])
CODES = CODES.astype(np.float32)
X = (np.arange(4) * 60 / 255).astype(np.float32).reshape(1, 2, 2, 1)


def make(num_latents=L, num_categories=K, **config):
    """A linear model of 2x2 images, with weights that make something of an image and a code."""
    keras.utils.set_random_seed(1)
    model = zoo.create(
        "categorical_vae",
        image_shape=(2, 2, 1),
        network="mlp",
        hidden=(),
        scale="shared",
        num_latents=num_latents,
        num_categories=num_categories,
        **config,
    )
    rng = np.random.default_rng(0)
    model.encoder.set_weights([rng.normal(size=w.shape) for w in model.encoder.get_weights()])
    model.decoder.set_weights([0.1 * rng.normal(size=w.shape) for w in model.decoder.get_weights()])
    return model


def restart(model, seed=0):
    """The next noise is that of a seed."""
    model.seed_generator.state.assign([seed, 0])


def log_joint(model):
    """log p(X, z) of every code."""
    return model.decode(CODES).log_prob(X).numpy() - L * np.log(K)


@pytest.fixture
def decoded(monkeypatch):
    """`decoded(model, x)`: the latents that a step of training decodes, one after the other."""

    def run(model, x):
        seen, decode = [], model.p_x_given_z
        with monkeypatch.context() as patch:
            patch.setattr(model, "p_x_given_z", lambda z, *a: seen.append(z) or decode(z, *a))
            model.losses(x, None, training=True)
        return seen

    return run


def test_all_bounds_against_the_sum_over_all_codes():
    model = make()
    log_p_x = special.logsumexp(log_joint(model))
    q = model.encode(X)
    log_q = q.log_prob(CODES).numpy()
    assert special.logsumexp(log_q) == pytest.approx(0, abs=1e-5)
    elbo = np.sum(np.exp(log_q) * (log_joint(model) - log_q))
    assert elbo < log_p_x - 0.1
    x = X.repeat(4000, 0)
    for training, straight_through in ((False, False), (True, False), (True, True)):
        model = make(straight_through=straight_through)
        found = model.losses(x, None, training)["elbo_nats"].numpy()
        error = found.std() / np.sqrt(len(x))
        assert found.mean() == pytest.approx(elbo, abs=5 * error), (training, straight_through)
    one, many = (model.log_prob(x[:400], num_samples=k, seed=3).numpy() for k in (1, 2000))
    assert one.mean() == pytest.approx(elbo, abs=float(5 * one.std() / 20))
    assert many.mean() == pytest.approx(log_p_x, abs=0.01)


def test_at_the_exact_posterior_every_bound_is_log_p_x():
    model = make(num_latents=1, num_categories=5)
    log_p_x_given_z = model.decode(np.eye(5, dtype=np.float32)).log_prob(X).numpy()
    log_p_x = special.logsumexp(log_p_x_given_z) - np.log(5)
    kernel, _ = model.encoder.get_weights()
    model.encoder.set_weights([0 * kernel, log_p_x_given_z])
    for num_samples in (1, 7):
        bound = model.log_prob(X.repeat(50, 0), num_samples=num_samples, seed=2)
        np.testing.assert_allclose(bound, np.full(50, log_p_x), rtol=1e-5)
    probabilities = model.encode(X).mean().numpy()[0]
    kl = model.losses(X, None, training=True)["kl_nats"].numpy()[0]
    assert probabilities @ log_p_x_given_z - kl == pytest.approx(log_p_x, rel=1e-5)


def test_kl_is_that_of_the_categories():
    model = make()
    kl = model.losses(X, None, training=True)["kl_nats"].numpy()
    p = model.encode(X).mean().numpy().reshape(1, L, K)
    np.testing.assert_allclose(kl, L * np.log(K) + np.sum(p * np.log(p), (1, 2)), rtol=1e-5)
    one_hot = tfd.OneHotCategorical(probs=p), tfd.OneHotCategorical(tf.zeros([L, K]))
    np.testing.assert_allclose(model.kl_per_dim(X), tfd.kl_divergence(*one_hot), rtol=1e-5)
    np.testing.assert_allclose(np.sum(model.kl_per_dim(X), 1), kl, rtol=1e-5)


def test_the_gradient_of_the_kl_is_that_of_its_formula():
    found = []
    for beta in (1.0, 3.0):  # with the same noise, so that the rest of the loss cancels
        model = make(beta=beta)
        restart(model)
        with tf.GradientTape() as tape:
            loss = model.losses(X, None, training=True)["loss"]
        found.append(tape.gradient(loss, model.encoder.trainable_variables))
    with tf.GradientTape() as tape:
        log_p = tf.nn.log_softmax(tf.reshape(model.encoder(X), [-1, L, K]))
        kl = tf.reduce_sum(tf.exp(log_p) * (log_p + np.log(K)))
    expected = tape.gradient(kl, model.encoder.trainable_variables)
    for one, three, of_kl in zip(*found, expected, strict=True):
        assert np.abs(of_kl).max() > 0.01
        np.testing.assert_allclose(three - one, 2 * of_kl, rtol=1e-3, atol=1e-5)


def test_draws_have_the_probabilities_of_q_and_of_the_prior():
    model, n = make(), 20_000
    draws = model.draw(model.encode(X.repeat(n, 0)), tf.constant([3, 4]))
    for z, expected in (
        (draws, np.exp(model.encode(X).log_prob(CODES))),
        (model.draw_prior(n, seed=5), np.full(K**L, K**-L)),
    ):
        counts = np.all(z.numpy()[:, None] == CODES, -1).sum(0)
        assert counts.sum() == n  # each one is a code
        expected = np.float64(expected)  # float32 does not sum to n as exactly as SciPy asks
        assert stats.chisquare(counts, n * expected / expected.sum()).pvalue > 1e-4
    noise = standard_gumbel([n, 3], tf.constant([1, 2])).numpy()
    assert stats.kstest(noise.ravel(), "gumbel_r").pvalue > 1e-4


def test_the_relaxed_draw_has_its_argmax_in_the_draw_and_tends_to_it(decoded):
    x = np.random.default_rng(1).random((500, 2, 2, 1)).astype(np.float32)
    distances = []
    for temperature in (5.0, 1.0, 0.1, 0.01):
        model = make(temperature=temperature, min_temperature=0.01)
        y, z = (v.numpy().reshape(-1, L, K) for v in decoded(model, x))
        np.testing.assert_allclose(y.sum(-1), 1, rtol=1e-5)
        np.testing.assert_array_equal(z, np.eye(K)[y.argmax(-1)])
        distances.append(np.abs(y - z).mean())
        restart(model)
        again = model.draw(model.encode(x), model.next_seed()).numpy().reshape(-1, L, K)
        np.testing.assert_array_equal(z, again)  # the same noise, by the method
    assert distances == sorted(distances, reverse=True) and distances[-1] < 0.01


def test_straight_through_decodes_the_draw_with_the_relaxed_gradient(decoded):
    weights = np.random.default_rng(2).normal(size=(1, L * K)).astype(np.float32)
    found = []
    for straight_through in (False, True):
        model = make(straight_through=straight_through, temperature=0.7)
        bias = model.encoder.trainable_variables[1].value  # d/dbias = d/dlogits
        with tf.GradientTape() as tape:
            latents = decoded(model, X)
            value = tf.reduce_sum(weights * latents[0])
        found.append((latents, tape.gradient(value, bias).numpy()))
    (relaxed, draw), gradient = found[0]
    (through,), other = found[1]
    np.testing.assert_array_equal(through, draw)
    np.testing.assert_array_equal(other, gradient)
    y, w = (np.reshape(v, [L, K]) for v in (relaxed, weights))
    by_hand = y * (w - (y * w).sum(-1, keepdims=True)) / 0.7
    np.testing.assert_allclose(gradient, by_hand.ravel(), rtol=1e-4, atol=1e-6)


def test_only_the_loss_of_training_knows_the_temperature():
    x = np.random.default_rng(1).random((50, 2, 2, 1)).astype(np.float32)
    logged = ("reconstruction_nats", "kl_nats", "elbo_nats", "bits_per_dim", "perplexity")
    for training in (True, False):
        hot, cold = (
            make(temperature=t, min_temperature=0.1, beta=2.0).losses(x, None, training)
            for t in (5.0, 0.1)
        )
        for name in logged:
            np.testing.assert_array_equal(hot[name], cold[name])
        assert training == (np.abs(hot["loss"] - cold["loss"]).max() > 1)
    discrete = -cold["reconstruction_nats"] + 2 * cold["kl_nats"]
    np.testing.assert_allclose(cold["loss"], discrete, rtol=1e-6)
    values = make(straight_through=True).losses(x, None, training=True)
    np.testing.assert_allclose(values["loss"], -values["elbo_nats"], rtol=1e-6)


@pytest.mark.slow
def test_the_temperature_falls_in_training_alone_and_is_saved(tmp_path):
    settings = {"anneal_rate": 0.2, "min_temperature": 0.3, "temperature": 0.9}
    model, x = make(**settings), np.repeat(X, 40, 0)
    expected = np.maximum(0.3, 0.9 * np.exp(-0.2 * np.arange(10)))
    history = model.fit(x, batch_size=8, epochs=2, validation_data=(x,), verbose=0).history
    np.testing.assert_allclose(history["temperature"], expected.reshape(2, 5).mean(1), rtol=1e-5)
    assert float(model.temperature) == pytest.approx(0.3)

    model = make(**settings)
    model.fit(x[:16], batch_size=8, verbose=0)
    assert float(model.temperature) == pytest.approx(expected[2], rel=1e-5)
    model.evaluate(x, verbose=0)
    model.log_prob(x)
    assert float(model.temperature) == pytest.approx(expected[2], rel=1e-5)
    checkpoints.Manager(tmp_path).save(model, 2)
    other = make(**settings)
    checkpoints.Manager(tmp_path).restore(other)
    assert float(other.temperature) == float(model.temperature)
    with pytest.raises(zoo.InputError, match="min_temperature=2.0 is above temperature=1.0"):
        make(min_temperature=2.0)


def test_perplexity_counts_the_categories_in_use():
    model = make(num_latents=1, num_categories=4)
    kernel, bias = (np.zeros_like(w) for w in model.encoder.get_weights())
    x = np.zeros([4, 2, 2, 1], np.float32)
    x[2:, 0, 0] = 1
    for k, b, expected in ((0, 0, 4), (0, 500, 1), (1000, 500, 2)):
        kernel[0, 1], bias[0] = k, b  # the second two images choose 1, the first two 0
        model.encoder.set_weights([kernel, bias])
        for training in (True, False):
            metric = model.metric_of("perplexity")
            metric.update_state(model.losses(x[:1], None, training)["perplexity"])
            metric.update_state(model.losses(x[1:], None, training)["perplexity"])
            assert float(metric.result()) == pytest.approx(expected, rel=1e-5)


def test_reconstructions_and_pictures_are_of_one_hots():
    model = make()
    images = np.random.default_rng(3).integers(0, 256, (6, 2, 2, 1), np.uint8)
    probabilities = model.encode(images).mean().numpy().reshape(-1, L, K)
    codes = np.eye(K, dtype=np.float32)[probabilities.argmax(-1)]
    decode = lambda z: model.generate(z.reshape(-1, L * K)).numpy()  # noqa: E731
    np.testing.assert_array_equal(model.reconstruct(images), decode(codes))
    np.testing.assert_array_equal(model(images), decode(codes))

    real = lambda n: Split(images[:n], np.zeros(n, np.int32))  # noqa: E731
    view = views.draw(model, "traverse", num=model.latent_dim, real=real)
    drawn, columns = view.images, view.columns
    assert columns == K and len(drawn) == L * K
    for i, k in itertools.product(range(L), range(K)):
        moved = codes[0].copy()
        moved[i] = np.eye(K)[k]
        np.testing.assert_allclose(drawn[i * K + k], decode(moved)[0], atol=1e-6)
    for what in ("interpolate", "edit"):
        with pytest.raises(zoo.InputError, match=f"nothing lies between two: it cannot {what}"):
            views.draw(model, what, num=2, real=real, changes={0: 1.0})

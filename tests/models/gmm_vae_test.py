"""The mixture VAE's truths: one component is the VAE, and an exact posterior makes bounds exact."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import special, stats

import zoo
from zoo.core import checks
from zoo.math import mixtures
from zoo.models import gmm_vae

SMALL = {"network": "mlp", "hidden": (16,), "latent_dim": 3}
TINY = {"image_shape": (4, 4, 1), "likelihood": "gaussian", "scale": "shared"}
LINEAR = {
    "image_shape": (2, 2, 1),
    "network": "mlp",
    "hidden": (),
    "likelihood": "gaussian",
    "scale": "shared",
}


@pytest.fixture(scope="module")
def images(fashion_mnist):
    return fashion_mnist.test.images[:16]


def make(name="gmm_vae", **config):
    keras.utils.set_random_seed(1)
    return zoo.create(name, **{**SMALL, **config})


def apart(model, by=0.5):
    """The same model with components that lie apart and differ in weight."""
    rng = np.random.default_rng(0)
    for v in model.trainable_variables:
        v.assign(v + by * rng.normal(size=v.shape))
    return model


def raw(scale):
    """What softplus makes a scale of."""
    return np.log(np.expm1(scale - 1e-4))


@pytest.mark.parametrize("posterior", ["mixture", pytest.param("diagonal", marks=pytest.mark.slow)])
def test_one_component_is_the_vae_exactly(images, posterior):
    data = images, np.zeros(len(images), np.int32)
    one = make(posterior=posterior, num_components=1, prior="standard")
    plain = make("vae")
    logs = [m.fit(*data, batch_size=8, epochs=2, verbose=0).history for m in (one, plain)]
    for name, values in logs[1].items():
        assert logs[0][name] == values, name
    for a, b in zip(one.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    for method in ("log_prob", "kl_per_dim", "reconstruct"):
        options = {"seed": 3} if method == "log_prob" else {}
        a, b = (getattr(m, method)(images, **options) for m in (one, plain))
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(one.sample(4, seed=1), plain.sample(4, seed=1))


def test_a_prior_of_one_standard_gaussian_is_the_vae(images):
    one, plain = make(num_components=1, prior="mixture", num_prior_components=1), make("vae")
    one.prior_loc.assign(0 * one.prior_loc)
    one.prior_raw_scale.assign([[raw(1.0)] * 3])
    x = images / np.float32(255)
    with tf.GradientTape() as tape:
        a, b = (m.losses(x, None, training=True) for m in (one, plain))
    assert None not in tape.gradient(a["loss"], one.trainable_variables)
    for name, values in b.items():
        np.testing.assert_allclose(a[name], values, rtol=1e-5, atol=1e-5, err_msg=name)
    np.testing.assert_allclose(one.sample(4, seed=1), plain.sample(4, seed=1), atol=1e-6)


def test_equal_components_are_one(images):
    mixture = make(num_components=4, mixture_weights="learned", prior="standard", hidden=())
    plain = make("vae", hidden=())
    kernel, bias = plain.encoder.get_weights()
    halves = [np.split(v, 2, -1) for v in (kernel, bias)]
    new = [
        np.concatenate([*[h[0]] * 4, *[h[1]] * 4, np.zeros((*h[0].shape[:-1], 3))], -1)
        for h in halves
    ]
    new[1][-3:] = [0.5, -1.0, 2.0]  # whatever their weights
    mixture.encoder.set_weights(new)
    q, p = mixture.encode(images), plain.encode(images)
    z = plain.draw(p, tf.constant([1, 2]))
    np.testing.assert_allclose(q.log_prob(z), p.log_prob(z), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(q.mean(), p.mean(), atol=1e-5)
    np.testing.assert_allclose(q.stddev(), p.stddev(), rtol=1e-3)


def test_with_the_exact_posterior_every_bound_is_log_p_x(monkeypatch):
    monkeypatch.setattr(checks, "images", lambda x, _: x)  # a Gaussian's are of any number
    # p(z) a mixture, x = W z + b + s e: q(z|x) is a mixture, and diagonal for orthogonal columns.
    # Equal scales in p(z) leave its log weights linear in x.
    k, rng = 3, np.random.default_rng(0)
    keras.utils.set_random_seed(1)
    settings = {"mixture_weights": "learned", "prior": "mixture", "num_prior_components": k}
    model = zoo.create("gmm_vae", **LINEAR, latent_dim=2, num_components=k, **settings)
    mu, sigma, w = rng.normal(size=(k, 2)) * 2, 0.7, np.array([0.5, 0.2, 0.3])
    weight, b, s = np.array([[0.8, 0.1, 0.4, 0.0], [0.0, 0.4, -0.1, 0.9]]), rng.normal(size=4), 0.5
    assert abs(weight[0] @ weight[1]) < 1e-12
    model.prior_logits.assign(np.log(w))
    model.prior_loc.assign(mu)
    model.prior_raw_scale.assign(np.full((k, 2), raw(sigma)))
    model.decoder.set_weights([weight, b])
    model.raw_scale.assign(np.log(np.expm1(s - 1e-2 / 255)))
    v = 1 / (1 / sigma**2 + (weight**2).sum(1) / s**2)  # the posterior's variances
    kernel = (v[:, None] * weight / s**2).T  # mean = v (mu_k / sigma^2 + W (x - b) / s^2)
    bias = v * mu / sigma**2 - b @ kernel
    covariance = sigma**2 * weight.T @ weight + s**2 * np.eye(4)
    p_x = [stats.multivariate_normal(m @ weight + b, covariance) for m in mu]
    at_0 = np.log(w) + [p.logpdf(np.zeros(4)) for p in p_x]
    slope = np.linalg.solve(covariance, (mu @ weight + b).T)  # of log N(x; ...), less the quadratic
    model.encoder.set_weights(
        [
            np.concatenate(
                [*[kernel] * k, np.zeros((4, 2 * k)), slope[:, 1:] - slope[:, :1]], axis=1
            ),
            np.concatenate([bias.ravel(), np.tile(raw(np.sqrt(v)), k), at_0[1:] - at_0[0]]),
        ]
    )
    x = rng.random((32, 4)) * 3 - 1
    exact = np.log(np.stack([p.pdf(x) for p in p_x], -1) @ w)
    x = x.reshape(-1, 2, 2, 1).astype(np.float32)
    np.testing.assert_allclose(model.losses(x, None, True)["elbo_nats"], exact, atol=2e-3)
    for num_samples in (1, 30):
        np.testing.assert_allclose(
            model.log_prob(x, num_samples=num_samples, seed=1), exact, atol=2e-3
        )


@pytest.mark.slow
@pytest.mark.parametrize("prior", ["mixture", "standard"])
def test_gradient_is_that_of_the_expectation(prior):
    # one latent dimension: the ELBO by quadrature, its gradient by differences
    keras.utils.set_random_seed(1)
    settings = {"latent_dim": 1, "num_components": 2, "mixture_weights": "learned"}
    model = zoo.create("gmm_vae", **LINEAR, **settings, prior=prior, num_prior_components=3)
    apart(model, 1.0)
    model.raw_scale.assign(1.0)  # so that p(x|z) does not drown the rest
    x = np.random.default_rng(1).random((1, 2, 2, 1)).astype(np.float32)
    z = tf.linspace(-12.0, 12.0, 8001)[:, None]
    bias = model.encoder.trainable_variables[-1]

    def elbo(change):
        at = bias.numpy()
        bias.assign(at + change)
        q = model.q_z_given_x(x)
        f = model.p_x_given_z(z).log_prob(x) + model.p_z().log_prob(z) - q.log_prob(z)
        bias.assign(at)
        return np.trapezoid(np.float64(tf.exp(q.log_prob(z)) * f), np.float64(z[:, 0]))

    expected = [(elbo(0.02 * e) - elbo(-0.02 * e)) / 0.04 for e in np.eye(5)]
    parts = []
    for _ in range(30):
        with tf.GradientTape() as tape:
            values = model.losses(x.repeat(2000, 0), None, training=True)
            elbo_of_x = -tf.reduce_mean(values["loss"])
        parts.append([*tape.gradient(elbo_of_x, bias).numpy(), elbo_of_x])
    mean, error = np.mean(parts, 0), np.std(parts, 0, ddof=1) / np.sqrt(len(parts))
    assert np.abs(expected).min() > 0.02  # nothing is compared with 0
    assert (np.abs(mean - [*expected, elbo(0)]) < 5 * error + 1e-3).all(), (mean, expected, error)


@pytest.mark.parametrize("weights", ["equal", "learned"])
def test_the_gradient_of_the_kl_is_that_of_its_formula(images, monkeypatch, weights):
    seed = tf.constant([1, 2])
    monkeypatch.setattr(gmm_vae.GMMVAE, "next_seed", lambda self: seed)
    x, found = images / np.float32(255), []
    for beta in (1.0, 3.0):  # with the same noise, so that the rest of the loss cancels
        model = make(prior="standard", mixture_weights=weights, num_components=2, beta=beta)
        apart(model, 0.05)
        with tf.GradientTape() as tape:
            values = model.losses(x, None, training=True)
        found.append(tape.gradient(values["loss"], model.encoder.trainable_variables))
    assert 0.05 < np.mean(values["component_nats"]) < 0.65
    with tf.GradientTape() as tape:
        log_pi, m, s = mixtures.parts(model.q_z_given_x(x))  # [B, C], [B, C, D]
        z = tf.transpose(mixtures.stratified(model.q_z_given_x(x), seed)[0], [1, 0, 2])
        of_each = 0.5 * tf.reduce_sum(m**2 + s**2 - 1 - 2 * tf.math.log(s), -1)
        apart_by = (z[:, :, None] - m[:, None]) / s[:, None]  # each draw, each Gaussian
        log_q_k = -tf.reduce_sum(0.5 * apart_by**2 + tf.math.log(s)[:, None], -1)
        log_q = tf.reduce_logsumexp(log_pi[:, None] + log_q_k, -1)
        told = tf.linalg.diag_part(log_q_k) - log_q
        kl = tf.reduce_sum(tf.exp(log_pi) * (of_each - told))
    expected = tape.gradient(kl, model.encoder.trainable_variables)
    for one, three, of_kl in zip(*found, expected, strict=True):
        largest = np.abs(of_kl).max()
        np.testing.assert_allclose(three - one, 2 * of_kl, atol=2e-3 * largest)


@pytest.mark.parametrize(
    "prior", ["mixture", *(pytest.param(p, marks=pytest.mark.slow) for p in ("standard", "vamp"))]
)
def test_the_elbo_is_the_mean_of_the_bound_of_one_draw(images, prior):
    model = apart(make(prior=prior, num_prior_components=5, **TINY), 0.2)
    model.raw_scale.assign(3.0)  # so that p(x|z) does not drown the rest
    x = images[:1, 8:12, 8:12].repeat(4000, 0)
    one = model.log_prob(x, num_samples=1, seed=3).numpy()  # draws a component
    elbo = model.losses(x / np.float32(255), None, False)["elbo_nats"].numpy()  # all of them
    error = np.sqrt((one.var() + elbo.var()) / len(x))
    assert one.mean() == pytest.approx(elbo.mean(), abs=float(5 * error))
    assert elbo.std() < one.std()


def test_the_kl_to_a_gaussian_is_noisy_by_the_component_alone(images):
    model = apart(make(prior="standard", num_components=3, mixture_weights="learned"), 0.05)
    values = model.losses(images[:1].repeat(5000, 0) / np.float32(255), None, False)
    kl, told = values["kl_nats"].numpy(), values["component_nats"].numpy()
    assert told.std() > 0.1
    np.testing.assert_allclose(kl + told, np.full(5000, kl[0] + told[0]), rtol=1e-4)
    q, p = model.encode(images[:1]), model.p_z()
    z = q.sample(100_000, seed=2)
    drawn = (q.log_prob(z) - p.log_prob(z)).numpy()
    error = np.hypot(drawn.std() / len(drawn) ** 0.5, kl.std() / len(kl) ** 0.5)
    assert kl.mean() == pytest.approx(drawn.mean(), abs=5 * error)


@pytest.mark.slow
@pytest.mark.parametrize("posterior", ["diagonal", "mixture"])
@pytest.mark.parametrize("prior", ["standard", "mixture", "vamp"])
def test_every_pair_learns_with_all_of_its_weights(images, posterior, prior):
    model = make(posterior=posterior, prior=prior, num_prior_components=5)
    before = [v.numpy() for v in model.trainable_variables]
    data = images, np.zeros(len(images), np.int32)
    first, *_, last = model.fit(*data, batch_size=8, epochs=8, verbose=0).history["loss"]
    assert last < first and model.evaluate(*data, verbose=0, return_dict=True)["loss"] < first
    for old, v in zip(before, model.trainable_variables, strict=True):
        assert (old != v.numpy()).any(), v.path


def test_beta_is_in_the_loss_alone(images):
    x = images / np.float32(255)
    one, four = (make(beta=beta).losses(x, None, training=True) for beta in (1.0, 4.0))
    for name in ("reconstruction_nats", "kl_nats", "elbo_nats", "bits_per_dim"):
        np.testing.assert_array_equal(one[name], four[name])
    np.testing.assert_allclose(four["loss"], one["loss"] + 3 * one["kl_nats"], rtol=1e-5)
    np.testing.assert_allclose(one["loss"], -one["elbo_nats"], rtol=1e-6)


def assert_drawn_from(z, distribution):
    """That draws z [N, D] have the moments of a distribution, and its mean log-density."""
    mean, stddev = distribution.mean().numpy(), distribution.stddev().numpy()
    for values, expected in ((z, mean), ((z - mean) ** 2, stddev**2)):
        error = values.std(0) / len(z) ** 0.5
        assert np.abs((values.mean(0) - expected) / error).max() < 5
    ours, theirs = (distribution.log_prob(v).numpy() for v in (z, distribution.sample(len(z), 5)))
    error = np.sqrt((ours.var() + theirs.var()) / len(z))
    assert ours.mean() == pytest.approx(theirs.mean(), abs=float(5 * error))


@pytest.mark.parametrize(
    "prior", ["mixture", *(pytest.param(p, marks=pytest.mark.slow) for p in ("standard", "vamp"))]
)
def test_latents_are_drawn_from_what_was_learned(images, prior):
    # as many components as dimensions: noise that were used twice would line up
    model, num = apart(make(prior=prior, num_components=3, num_prior_components=3)), 20_000
    z = model.draw_prior(num, seed=1).numpy()
    assert_drawn_from(z, model.p_z())
    np.testing.assert_array_equal(model.sample(7, seed=1), model.generate(model.draw_prior(7, 1)))
    np.testing.assert_array_equal(z, model.draw_prior(num, seed=1))
    assert np.abs(z - model.draw_prior(num, seed=2)).max() > 0
    z = model.draw(model.encode(images[:1].repeat(num, 0)), tf.constant([4, 0])).numpy()
    assert_drawn_from(z, model.encode(images[:1])[0])


def test_vamp_prior_is_the_mean_of_the_posteriors_of_its_pseudo_inputs():
    model = apart(make(prior="vamp", num_prior_components=5))
    u = model.pseudo_inputs
    assert u.shape == (5, 28, 28, 1) and 0 <= np.min(u) and np.max(u) <= 1
    z = model.draw_prior(30, seed=0)
    q = model.encode(u)
    expected = [np.mean(np.exp(q.log_prob(one[None].numpy().repeat(5, 0)))) for one in z]
    np.testing.assert_allclose(model.p_z().log_prob(z), np.log(expected), rtol=1e-4, atol=1e-4)


def test_an_image_for_each_component_of_the_prior():
    model = apart(make(prior="vamp", num_prior_components=5, num_components=2))
    means = model.encode(model.pseudo_inputs).mean()  # of q(z|u_k), a mixture of two
    np.testing.assert_allclose(model.prior_images(), model.generate(means), atol=1e-6)
    model = apart(make(prior="mixture", num_prior_components=3))
    model.prior_logits.assign([0.1, -2.0, 0.3])
    expected = model.decode(tf.gather(model.prior_loc, [2, 0, 1])).mean()
    np.testing.assert_allclose(model.prior_images(), expected, atol=1e-6)


def test_components_of_a_new_prior_differ():
    for prior in ("mixture", "vamp"):
        model = make(prior=prior, num_prior_components=5)
        values = model.prior_loc if prior == "mixture" else model.pseudo_inputs
        values = np.reshape(values, [5, -1])
        assert np.abs(values[:, None] - values)[~np.eye(5, dtype=bool)].mean() > 0.1
    assert np.mean(values) == pytest.approx(0.5, abs=0.02)


def test_kl_per_dim_is_that_of_the_marginals(images):
    model = make(prior="vamp", num_prior_components=5, mixture_weights="learned")
    apart(model, 0.1)
    bias = model.encoder.trainable_variables[-1]
    bias.assign(tf.concat([bias[:-1], [2.0]], 0))
    x, z = images[:1], np.linspace(-20, 20, 20_001)
    pi = model.posterior_weights(x).numpy()
    assert 0.01 < pi.min() < 0.3  # by which draws are weighed

    def density(d, j):
        """The marginal in dimension j, by its formula."""
        c = d.components_distribution
        loc, scale = (np.reshape(v, [-1, 3])[:, j] for v in (c.mean(), c.stddev()))
        pi = tf.nn.softmax(d.mixture_distribution.logits).numpy().ravel()
        return stats.norm.pdf(z[:, None], loc, scale) @ pi

    for j in range(3):
        q, p = density(model.encode(x), j), density(model.p_z(), j)
        assert np.trapezoid(q, z) == pytest.approx(1)  # all of it is in sight
        exact = np.trapezoid(np.where(q > 1e-30, q * np.log((q + 1e-300) / (p + 1e-300)), 0), z)
        estimates = model.kl_per_dim(x.repeat(5000, 0)).numpy()[:, j]
        error = estimates.std() / np.sqrt(len(estimates))
        assert estimates.mean() == pytest.approx(exact, abs=5 * error), j


def test_components_in_use_are_counted(images):
    data = images, np.zeros(len(images), np.int32)
    posterior = {"num_components": 4, "mixture_weights": "learned"}
    model = make(**posterior, prior="mixture", num_prior_components=3, hidden=())
    kernel, bias = model.encoder.get_weights()
    for logits, used in (([-30.0] * 3, 1), ([0.0, -30, -30], 2), ([0.0] * 3, 4)):
        bias[-3:] = logits
        kernel[:, -3:] = 0
        model.encoder.set_weights([kernel, bias])
        found = model.evaluate(*data, verbose=0, return_dict=True)
        assert found["components_used"] == pytest.approx(used, rel=1e-4)
    # two components where the posteriors lie, with weights 3 : 1, and one that is far away
    model.prior_loc.assign([[0.0] * 3, [0.0] * 3, [900.0] * 3])
    model.prior_logits.assign(np.log([3.0, 1.0, 1.0]))
    found = model.evaluate(*data, verbose=0, return_dict=True)["prior_components_used"]
    assert found == pytest.approx(np.exp(-0.75 * np.log(0.75) - 0.25 * np.log(0.25)), rel=1e-4)


def test_the_components_of_the_prior_count_by_the_weights_of_the_posteriors():
    model = make(num_components=2, prior="mixture", num_prior_components=2)
    z = np.array([[[-50.0] * 3], [[50.0] * 3]], np.float32)  # [C, B, D]: one draw each
    model.prior_loc.assign(z[:, 0])
    pi = tf.constant([[0.9], [0.1]])
    np.testing.assert_allclose(model.responsibilities(model.p_z(), z, pi), [[0.9, 0.1]], rtol=1e-5)


def test_images_with_a_component_each_use_all_but_one_at_a_time(images):
    model = make(num_components=2, mixture_weights="learned", hidden=())
    kernel, bias = model.encoder.get_weights()
    kernel[:, -1], bias[-1] = 0, -500.0
    kernel[0, -1] = 1000.0  # the upper left pixel chooses
    model.encoder.set_weights([kernel, bias])
    x = np.zeros_like(images[:4])
    x[2:, 0, 0] = 255
    found = model.evaluate(x, np.zeros(4, np.int32), verbose=0, return_dict=True)
    assert found["components_used"] == pytest.approx(2, rel=1e-4)
    assert found["component_nats"] == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("weights", ["equal", "learned"])
@pytest.mark.slow
def test_what_a_latent_tells_of_its_component(images, weights):
    # one latent dimension, by quadrature
    model = apart(make(latent_dim=1, num_components=3, mixture_weights=weights), 0.2)
    q, z = model.encode(images[:1]), np.linspace(-30, 30, 60_001)
    pi, c = q.mixture_distribution.probs_parameter()[0], q.components_distribution
    loc, scale = (np.float64(v[0, :, 0]) for v in (c.mean(), c.stddev()))
    own = np.float64(pi) * stats.norm.pdf(z[:, None], loc, scale)
    of_z = own / np.maximum(own.sum(1, keepdims=True), 1e-300)
    entropy = -np.sum(pi * np.log(pi))
    exact = entropy + np.trapezoid(np.sum(special.xlogy(own, of_z), 1), z)
    assert 0.05 < exact < 0.9 * entropy
    assert (np.ptp(pi) == 0) == (weights == "equal")
    many = np.repeat(images[:1], 20_000, 0) / np.float32(255)
    for found in (
        model.losses(many[:4000], None, False)["component_nats"],  # it decodes, which takes long
        model.component_nats(many),
    ):
        error = np.std(found) / len(found) ** 0.5
        assert np.mean(found) == pytest.approx(exact, abs=5 * error)


@pytest.mark.parametrize("prior", ["mixture", "vamp"])
def test_prior_weights_are_those_of_its_components(prior):
    model = make(num_components=4, prior=prior, num_prior_components=3)
    weights = model.prior_weights().numpy()
    assert weights.shape == ((3,) if prior == "mixture" else (12,))
    assert weights.sum() == pytest.approx(1, abs=1e-5)
    if prior == "mixture":
        model.prior_logits.assign(np.log([3.0, 1.0, 1.0]))
        np.testing.assert_allclose(model.prior_weights(), [0.6, 0.2, 0.2], rtol=1e-6)

"""Learned priors: bounds are by the density that samples are drawn from, for every VAE."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import special, stats

import zoo
from zoo.core import checks
from zoo.drawing import views

SMALL = {"network": "mlp", "hidden": (16,), "latent_dim": 3}
PRIOR = {"num_prior_components": 4, "num_prior_flows": 3, "prior_hidden": (8,)}
TINY = {"image_shape": (4, 4, 1), "likelihood": "gaussian", "scale": "shared"}

slow = pytest.mark.slow
PAIRS = [
    ("vae", "flow"),
    ("cvae", "vamp"),
    ("iwae", "mixture"),
    ("flow_vae", "flow"),
    *[
        pytest.param(*pair, marks=slow)
        for pair in (
            ("vae", "mixture"),
            ("vae", "vamp"),
            ("cvae", "mixture"),
            ("cvae", "flow"),
            ("iwae", "vamp"),
            ("iwae", "flow"),
            ("flow_vae", "mixture"),
            ("gmm_vae", "flow"),
        )
    ],
]


@pytest.fixture(scope="module")
def data(fashion_mnist):
    return fashion_mnist.test.images[:16], np.int32(fashion_mnist.test.labels[:16])


def make(name="vae", **config):
    keras.utils.set_random_seed(1)
    return zoo.create(name, **{**SMALL, **PRIOR, **config})


def moved(model, by=0.2):
    """The same model with other weights than at its start."""
    rng = np.random.default_rng(0)
    for v in model.trainable_variables:
        v.assign(v + by * rng.normal(size=v.shape))
    return model


@pytest.mark.parametrize("name", ["vae", "cvae", "iwae", "flow_vae", "gmm_vae"])
def test_without_a_setting_it_is_standard_but_for_gmm_vae(name):
    model = zoo.create(name, **SMALL)
    assert model.config.prior == ("mixture" if name == "gmm_vae" else "standard")
    without = {k: v for k, v in model.get_config().items() if "prior" not in k}  # of before
    assert type(model).from_config(without).config == model.config


def test_an_untrained_flow_is_the_vae(data):
    model, plain, z = make(prior="flow"), make(), tf.random.stateless_normal([9, 3], [1, 2])
    np.testing.assert_array_equal(model.p_z().log_prob(z), plain.p_z().log_prob(z))
    np.testing.assert_array_equal(model.sample(4, seed=1), plain.sample(4, seed=1))
    np.testing.assert_allclose(
        model.log_prob(data[0], num_samples=3, seed=1),
        plain.log_prob(data[0], num_samples=3, seed=1),
        rtol=1e-6,
    )
    x = data[0][:1].repeat(4000, 0) / np.float32(255)
    ours, theirs = (m.losses(x, None, training=True) for m in (model, plain))
    np.testing.assert_array_equal(ours["reconstruction_nats"], theirs["reconstruction_nats"])
    kl = ours["kl_nats"].numpy()  # of the draws; the VAE's is in closed form
    assert kl.std() > 0.1
    error = kl.std() / len(x) ** 0.5
    assert kl.mean() == pytest.approx(float(theirs["kl_nats"][0]), abs=float(5 * error))


@pytest.mark.parametrize(("name", "prior"), PAIRS)
def test_the_elbo_is_the_mean_of_the_bound_of_one_draw(data, name, prior):
    model = moved(make(name, prior=prior, **TINY))
    model.raw_scale.assign(3.0)  # so that p(x|z) does not drown the rest
    x, y = data[0][:1, 8:12, 8:12].repeat(2000, 0), data[1][:1].repeat(2000)
    y = y if model.conditional else None
    one = model.log_prob(x, y, num_samples=1, seed=3).numpy()
    elbo = model.losses(x / np.float32(255), y, False)["elbo_nats"].numpy()
    error = np.sqrt((one.var() + elbo.var()) / len(x))
    assert one.mean() == pytest.approx(elbo.mean(), abs=float(5 * error))
    plain = make(name, prior="standard", **TINY)
    for path in ("encoder", "decoder"):
        getattr(plain, path).set_weights(getattr(model, path).get_weights())
    plain.raw_scale.assign(3.0)
    assert np.abs(plain.log_prob(x, y, seed=3).numpy() - one).mean() > 0.01  # it matters


@pytest.mark.parametrize(("name", "prior"), PAIRS)
def test_latents_are_drawn_from_the_density_of_the_bound(name, prior):
    model, num = moved(make(name, prior=prior)), 20_000
    y = np.full(num, 3, np.int32) if model.conditional else None
    z, p = model.draw_prior(num, 1, y), model.p_z(None if y is None else y[:1])
    theirs = tf.reshape(p.sample(num, seed=5), z.shape)
    np.testing.assert_array_equal(z, model.draw_prior(num, 1, y))
    for f in (lambda v: v.numpy(), lambda v: v.numpy() ** 2, lambda v: p.log_prob(v).numpy()):
        a, b = f(tf.identity(z)), f(tf.identity(theirs))
        error = np.sqrt((a.var(0) + b.var(0)) / num)
        assert (np.abs(a.mean(0) - b.mean(0)) < 5 * error).all()
    assert (np.abs(p.mean() - z.numpy().mean(0)) < 0.2 * z.numpy().std(0)).all()
    np.testing.assert_allclose(np.ravel(p.stddev()), z.numpy().std(0), rtol=0.3)


def test_the_flow_of_a_conditional_model_is_one_of_each_class(data, fashion_mnist):
    model, (_, y) = moved(make("cvae", prior="flow")), data
    z = model.draw_prior(len(y), 1, y)
    of_own = model.p_z(y).log_prob(z)
    for label in set(y):
        one = model.p_z([label]).log_prob(z)
        np.testing.assert_allclose(one[y == label], of_own[y == label], rtol=1e-5)
        np.testing.assert_allclose(
            model.draw_prior(len(y), 1, y * 0 + label)[y == label], z[y == label], rtol=1e-5
        )
        assert (np.abs(one - of_own)[y != label] > 1e-4).all()
    np.testing.assert_array_equal(model.sample(len(y), y, seed=1), model.generate(z, y))
    assert views.draw(model, "traverse", num=2, labels=[3], real=fashion_mnist.test.subset).columns
    for call in (model.p_z, lambda: model.draw_prior(3, 1)):
        with pytest.raises(zoo.InputError, match="label"):
            call()
    with pytest.raises(zoo.InputError, match="label"):
        model.draw_prior(3, 1, [1, 2])


def test_beta_is_in_the_loss_alone(data):
    x = data[0] / np.float32(255)
    one, four = (moved(make(prior="flow", beta=beta)).losses(x, None, True) for beta in (1.0, 4.0))
    for name in ("reconstruction_nats", "kl_nats", "elbo_nats", "bits_per_dim"):
        np.testing.assert_array_equal(one[name], four[name])
    np.testing.assert_allclose(four["loss"], one["loss"] + 3 * one["kl_nats"], rtol=1e-5)


def test_with_the_exact_posterior_every_bound_is_log_p_x(monkeypatch):
    monkeypatch.setattr(checks, "images", lambda x, _: x)  # a Gaussian's are of any number
    # z_2 = c z_1 + d u_2 by one coupling, x = W z + b + s e: W is such that q(z|x) is diagonal
    keras.utils.set_random_seed(1)
    linear = {"network": "mlp", "hidden": (), "likelihood": "gaussian", "scale": "shared"}
    flow = {"prior": "flow", "num_prior_flows": 1, "prior_hidden": ()}
    model = zoo.create("vae", (2, 2, 1), **linear, **flow, latent_dim=2)
    c, d, s, b = 0.8, 0.6, 0.5, np.array([0.3, -0.2, 0.1, 0.5])
    model.prior_flows[0].set_weights([np.array([[c, 0.0]]), np.array([0.0, np.arctanh(np.log(d))])])
    prior = np.array([[1, c], [c, c**2 + d**2]])
    precision = np.linalg.inv(prior)
    weight = np.array([[0.9, 0.2, 0.0, 0.4], [0.0, 0.0, 0.7, 0.0]])
    weight[1] -= weight[0] * (precision[0, 1] * s**2) / (weight[0] @ weight[0])
    posterior = np.linalg.inv(precision + weight @ weight.T / s**2)
    assert abs(posterior[0, 1]) < 1e-12 and abs(prior[0, 1]) > 0.5
    model.decoder.set_weights([weight, b])
    model.raw_scale.assign(np.log(np.expm1(s - 1e-2 / 255)))
    kernel = (posterior @ weight / s**2).T
    raw = np.log(np.expm1(np.sqrt(np.diag(posterior)) - 1e-4))
    model.encoder.set_weights(
        [np.concatenate([kernel, np.zeros((4, 2))], 1), np.concatenate([-b @ kernel, raw])]
    )
    x = np.random.default_rng(0).normal(size=(32, 4)) + b
    exact = stats.multivariate_normal(b, weight.T @ prior @ weight + s**2 * np.eye(4)).logpdf(x)
    x = x.reshape(-1, 2, 2, 1).astype(np.float32)
    np.testing.assert_allclose(model.losses(x, None, True)["elbo_nats"], exact, atol=2e-3)
    for k in (1, 30):
        np.testing.assert_allclose(model.log_prob(x, num_samples=k, seed=1), exact, atol=2e-3)


@pytest.mark.parametrize(("name", "prior"), [("vae", "mixture"), ("cvae", "vamp")])
def test_kl_per_dim_is_to_the_marginals_of_the_prior(data, name, prior):
    model = moved(make(name, prior=prior), by=0.05)
    y = data[1][:1].repeat(4000) if model.conditional else None
    x = data[0][:1].repeat(4000, 0)
    found = model.kl_per_dim(x, y).numpy()  # a draw of q(z|x) for each copy
    q, p = model.encode(x[:1], None if y is None else y[:1]), model.p_z().components_distribution
    for j in range(3):
        mean, stddev = float(q.mean()[0, j]), float(q.stddev()[0, j])
        z = np.linspace(mean - 10 * stddev, mean + 10 * stddev, 20_001)
        log_q = stats.norm.logpdf(z, mean, stddev)
        of_each = stats.norm.logpdf(z[:, None], p.mean()[:, j], p.stddev()[:, j])
        log_p = special.logsumexp(of_each, b=model.prior_weights(), axis=1)
        exact = np.trapezoid(np.exp(log_q) * (log_q - log_p), z)
        error = found[:, j].std() / 4000**0.5
        assert found[:, j].mean() == pytest.approx(exact, abs=float(5 * error + 1e-3))


def test_of_a_flow_the_kl_of_a_dimension_is_not_known(data):
    for model in (make(prior="flow"), make("flow_vae", prior="mixture")):
        assert "kl_per_dim" not in model.can
        with pytest.raises(zoo.InputError, match="prior=.*the KL of each latent dimension"):
            model.kl_per_dim(data[0])
    assert "kl_per_dim" in make().can and "kl_per_dim" in make("flow_vae").can


def test_a_flow_vae_has_no_vamp_prior():
    with pytest.raises(zoo.InputError, match="prior=vamp needs .* num_flows=0"):
        make("flow_vae", prior="vamp")
    assert make("flow_vae", prior="vamp", num_flows=0).draw_prior(3, 0).shape == (3, 3)


def test_pseudo_inputs_of_a_conditional_model_have_the_classes_in_turn():
    model = moved(make("cvae", prior="vamp", num_prior_components=12))
    labels = np.arange(12) % 10
    np.testing.assert_array_equal(model.component_labels, labels)
    q = model.encode(model.pseudo_inputs, labels)
    np.testing.assert_allclose(model.p_z().components_distribution.mean(), q.mean(), atol=1e-5)
    np.testing.assert_allclose(
        model.prior_images(), model.generate(q.mean(), labels), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("prior", ["flow", "vamp"])
def test_pictures_are_drawn_of_latents_of_the_learned_prior(data, fashion_mnist, prior):
    model, real = moved(make(prior=prior)), fashion_mnist.test.subset
    for what in ("prior", "reconstruct", "traverse", "interpolate"):
        images = views.draw(model, what, real=real, num=3).images
        assert np.ptp(images) > 0.05, what
    ours = views.draw(model, "prior", num=4, seed=2).images
    np.testing.assert_array_equal(ours, model.generate(model.draw_prior(4, 2)))
    if prior == "vamp":
        assert len(views.draw(model, "components", num=4).images) == 4
    else:
        with pytest.raises(zoo.InputError, match="prior is no mixture"):
            views.draw(model, "components", num=4)


def test_a_single_dimension_has_no_halves():
    with pytest.raises(zoo.InputError, match="prior=flow needs latent_dim=2"):
        make(latent_dim=1, prior="flow")

"""Bayes' rule, both ways: against enumeration on a small discrete world, against quadrature."""

import itertools

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp

import zoo
from zoo.data.sources import Split
from zoo.evaluation import evaluate
from zoo.math.noise import stateless_seed
from zoo.models.bayes_classifier import BayesClassifier
from zoo.models.bayes_classifier import Config as ClassifierConfig
from zoo.models.bayes_conditional import BayesConditional, Config

SHAPE = (2, 2, 1)  # black and white: 16 images
IMAGES = np.array(list(itertools.product([0.0, 1.0], repeat=4)), np.float32).reshape(-1, *SHAPE)
CNN = {"width": 6, "num_layers": 2, "kernel_size": 3, "head": 8}


class LinearClassifier:
    """Logits that are linear in the image: any classifier will do."""

    name, num_classes, image_shape, can = "linear", 3, SHAPE, frozenset({"classify"})

    def __init__(self, seed=1):
        self.kernel = np.random.default_rng(seed).standard_normal((4, 3)).astype(np.float32)

    def __call__(self, images):
        return tf.reshape(images, [-1, 4]) @ self.kernel

    def classify(self, images):
        return tf.nn.softmax(self(images))


def pixels(conditional=False):
    """A small model of the 16 images, with weights of its own everywhere."""
    keras.utils.set_random_seed(4)
    config = {**CNN, "output": "bernoulli", "levels": 2, "conditional": conditional}
    model = zoo.create("pixelcnn", image_shape=SHAPE, num_classes=3, **config)
    rng = np.random.default_rng(2)
    for v in model.trainable_variables:
        v.assign(v + 0.5 * rng.standard_normal(v.shape))
    return model


@pytest.fixture(scope="module")
def world():
    """The parts, and by enumeration p(x, y), [16, 3]."""
    classifier, p_x = LinearClassifier(), pixels()
    p = np.exp(p_x.log_prob(IMAGES).numpy().astype(np.float64))[:, None]
    return classifier, p_x, p * tf.nn.softmax(classifier(IMAGES)).numpy()


def compose(world, p_y=None, **config):
    return BayesConditional(Config(**config), p_y_given_x=world[0], p_x=world[1], p_y=p_y)


def test_the_conditional_is_that_of_enumeration(world):
    joint = world[2]
    model = compose(world, p_y=joint.sum(0))
    assert model.exact
    for y in range(3):
        labels = np.full(16, y, np.int32)
        np.testing.assert_allclose(np.exp(model.log_joint(IMAGES, labels)), joint[:, y], rtol=1e-4)
        found = np.exp(model.log_prob(IMAGES, labels))
        np.testing.assert_allclose(found, joint[:, y] / joint[:, y].sum(), rtol=1e-4)
        assert found.sum() == pytest.approx(1, abs=1e-4)
    for images, labels in ((IMAGES, [1]), (IMAGES[:1], [0, 1])):
        for density in (model.log_prob, model.log_joint):
            with pytest.raises(zoo.InputError, match="a label for each image"):
                density(images, labels)


def test_a_temperature_makes_another_classifier(world):
    model = compose(world, temperature=0.25, num_candidates=50_000)
    p_x = world[2].sum(1, keepdims=True)
    joint = p_x * tf.nn.softmax(4 * world[0](IMAGES)).numpy()
    for y in range(3):
        labels = np.full(16, y, np.int32)
        np.testing.assert_allclose(np.exp(model.log_joint(IMAGES, labels)), joint[:, y], rtol=1e-4)
    np.testing.assert_allclose(model.p_y().probs_parameter(), joint.sum(0), atol=0.01)
    # the mean image of the draws is that of the sharpened conditional, and of no other
    drawn = model.sample(8000, np.full(8000, 1, np.int32), seed=0).numpy().mean(0)
    means = [(j[:, 1] / j[:, 1].sum()) @ IMAGES.reshape(16, 4) for j in (joint, world[2])]
    np.testing.assert_allclose(drawn.ravel(), means[0], atol=0.03)
    assert np.abs(means[0] - means[1]).max() > 0.07


def test_guidance_is_as_many_judges(world):
    model = compose(world, guidance=3.0, num_candidates=100_000)
    joint = world[2].sum(1, keepdims=True) * tf.nn.softmax(world[0](IMAGES)).numpy() ** 3
    joint /= joint.sum()
    total = 0
    for y in range(3):
        labels = np.full(16, y, np.int32)
        found = np.exp(model.log_joint(IMAGES, labels))
        np.testing.assert_allclose(found, joint[:, y], rtol=0.02)  # its sum is an estimate
        total += found.sum()
        found = np.exp(model.log_prob(IMAGES, labels))
        # the rarest class has an error of 0.6%
        np.testing.assert_allclose(found, joint[:, y] / joint[:, y].sum(), rtol=0.04)
    assert total == pytest.approx(1, abs=0.01)
    np.testing.assert_allclose(model.p_y().probs_parameter(), joint.sum(0), atol=0.01)
    drawn = model.sample(8000, np.full(8000, 1, np.int32), seed=0).numpy().mean(0)
    means = [(j[:, 1] / j[:, 1].sum()) @ IMAGES.reshape(16, 4) for j in (joint, world[2])]
    np.testing.assert_allclose(drawn.ravel(), means[0], atol=0.03)
    assert np.abs(means[0] - means[1]).max() > 0.07
    with pytest.raises(zoo.InputError, match="leave p_y or the guidance out"):
        compose(world, guidance=3.0, p_y=np.ones(3) / 3)


def test_p_of_y_is_the_one_that_the_parts_imply(world):
    model = compose(world, num_candidates=50_000)
    np.testing.assert_allclose(model.p_y().probs_parameter(), world[2].sum(0), atol=0.01)
    # the estimate's standard error, of weights w = p(y|x) with x ~ p(x)
    p, w = world[2].sum(1, keepdims=True), tf.nn.softmax(world[0](IMAGES)).numpy()
    mean, variance = (p * w).sum(0), (p * w**2).sum(0) - (p * w).sum(0) ** 2
    expected = np.sqrt(variance / 50_000) / mean
    np.testing.assert_allclose(model.normalizer_error(), expected, rtol=0.1)
    assert not compose(world, p_y=np.ones(3)).normalizer_error().any()


def test_resampling_converges_to_the_conditional(world):
    model, joint, count = compose(world, num_candidates=100_000), world[2], 4000
    index = {image.tobytes(): i for i, image in enumerate(IMAGES)}
    for y in range(3):
        found = model.draw(count, np.full(count, y, np.int32), seed=y)
        counts = np.bincount([index[i.tobytes()] for i in found.images.numpy()], minlength=16)
        expected = count * joint[:, y] / joint[:, y].sum()
        common = expected > 5
        groups = [np.append(a[common], a[~common].sum() + 1e-9) for a in (counts, expected)]
        groups[0] *= groups[1].sum() / groups[0].sum()
        assert scipy.stats.chisquare(*groups).pvalue > 1e-4
    # E[w]^2 / E[w^2] with w = p(y|x) and x ~ p(x)
    p, w = world[2].sum(1, keepdims=True), tf.nn.softmax(world[0](IMAGES)).numpy()
    expected = 100_000 * (p * w).sum(0) ** 2 / (p * w**2).sum(0)
    np.testing.assert_allclose(found.diagnostics["effective_sample_size"], expected, rtol=0.03)


def test_what_was_drawn_badly_is_said(world):
    model = compose(world, num_candidates=50)
    assert not model.draw(3, [0, 1, 2], seed=0).warnings
    drawn = model.draw(60, [1] * 60, seed=0)
    size = drawn.diagnostics["effective_sample_size"][1]
    [doubt] = drawn.warnings
    assert f"of class 1 ({size:.0f}) fewer candidates" in doubt
    np.testing.assert_array_equal(drawn.images, model.sample(60, [1] * 60, seed=0))
    report = {"r_hat": np.array([1.05, np.nan, 1.3])}
    assert "chains of class 2 have not mixed" in model._warnings(report, np.array([0, 2]))[0]
    report = {"r_hat": np.array([1.05, np.nan, 1.05])}
    assert not model._warnings(report, np.array([0, 2]))
    never = model._warnings(report, np.array([0, 1]))  # it never moved
    assert "of class 1 have not mixed" in never[0]


def test_more_candidates_come_nearer_to_the_conditional(world):
    count, joint = 20_000, world[2]
    index = {image.tobytes(): i for i, image in enumerate(IMAGES)}
    expected = joint[:, 1] / joint[:, 1].sum()
    distances = []
    for candidates in (20, 200, 2000):
        model = compose(world, num_candidates=candidates)
        found = []
        for seed in range(8):
            drawn = model.sample(count, np.full(count, 1, np.int32), seed=seed).numpy()
            share = np.bincount([index[i.tobytes()] for i in drawn], minlength=16) / count
            found.append(np.abs(share - expected).sum() / 2)
        distances.append(np.mean(found))
    # the error falls as one over the root of their number
    assert distances[0] > 2 * distances[1] > 4 * distances[2], distances


class MeansOfCoins:
    """z is 0.2 or 0.8, and each pixel is 1 with that probability; its means are z itself."""

    name, image_shape, conditional, binary, exact = "coins", SHAPE, False, False, False
    can = frozenset({"sample", "decode", "log_prob"})

    def decode(self, z):
        raise AssertionError("it only tells that there is a decoder")

    def sample(self, num_samples, seed, observation):
        z = 0.2 + 0.6 * tf.cast(
            tf.random.stateless_uniform([num_samples, 1, 1, 1], seed) > 0.5, float
        )
        means = tf.tile(z, [1, *SHAPE])
        if observation == "mean":
            return means
        noise = tf.random.stateless_uniform([num_samples, *SHAPE], [1, 2])
        return tf.cast(noise < means, tf.float32)

    def log_prob(self, images, num_samples=1, seed=None):
        return tf.zeros(len(images))


def test_resampling_weighs_what_it_shows_and_p_of_y_is_of_what_is_drawn():
    classifier, count = LinearClassifier(), 20_000
    model = BayesConditional(
        Config(num_candidates=count), p_y_given_x=classifier, p_x=MeansOfCoins()
    )
    labels = np.full(count, 2, np.int32)
    shown = model.sample(count, labels, seed=0).numpy()
    means = np.array([0.2, 0.8], np.float32)
    weights = tf.nn.softmax(means[:, None] * classifier.kernel.sum(0)).numpy()[:, 2]
    np.testing.assert_allclose(sorted(set(shown.ravel())), means, rtol=1e-6)
    share = (shown[:, 0, 0, 0] > 0.5).mean()
    assert share == pytest.approx(weights[1] / weights.sum(), abs=0.02)
    ones = IMAGES.reshape(16, 4).sum(1)
    p = sum(0.5 * m**ones * (1 - m) ** (4 - ones) for m in means)
    expected = p @ tf.nn.softmax(classifier(IMAGES)).numpy()
    np.testing.assert_allclose(model.p_y().probs_parameter(), expected, atol=0.008)
    of_means = tf.nn.softmax(means[:, None] * classifier.kernel.sum(0)).numpy().mean(0)
    assert np.abs(expected - of_means).max() > 0.02

    # draws of p(x|z) in place of the means are of p(x|y) itself
    config = Config(num_candidates=count, guidance=4.0)
    model = BayesConditional(config, p_y_given_x=classifier, p_x=MeansOfCoins())
    index = {image.tobytes(): i for i, image in enumerate(IMAGES)}
    drawn = model.sample(count, labels, seed=0, observation="sample").numpy()
    share = np.bincount([index[image.tobytes()] for image in drawn], minlength=16) / count
    joint = p * tf.nn.softmax(classifier(IMAGES)).numpy()[:, 2] ** 4
    np.testing.assert_allclose(share, joint / joint.sum(), atol=0.015)
    assert np.abs(joint / joint.sum() - p).max() > 0.06  # p(x) itself is another


class Line:
    """z ~ N(0.5, 0.7^2), and an image of four pixels that is z itself."""

    name, image_shape, conditional, binary, exact, axes = "line", SHAPE, False, False, False, True
    num_categories, latent_dim = 0, 1
    can = frozenset({"sample", "generate", "prior", "log_prob"})

    def p_z(self):
        return tfp.distributions.MultivariateNormalDiag([0.5], [0.7])

    def draw_prior(self, num_samples, seed):
        return 0.5 + 0.7 * tf.random.stateless_normal([num_samples, 1], seed)

    def generate(self, z):
        return tf.tile(z[:, None, None], [1, 2, 2, 1])

    def log_prob(self, images, num_samples=1, seed=None):
        return tf.zeros(len(images))


def cdf_on(grid, density):
    """The distribution function of a density on an even grid: half a point's mass is below it."""
    below = (np.cumsum(density) - density / 2) / density.sum()
    return lambda v: np.interp(v, grid, below)


# guidance leaves some class a flat density, on which chains take longer
@pytest.mark.slow
@pytest.mark.parametrize(
    ("temperature", "guidance", "r_hat"),
    [(0.5, 1.0, 1.1), (1.0, 2.0, 1.14)],
)
def test_chains_converge_to_the_conditional(temperature, guidance, r_hat):
    classifier = LinearClassifier()
    sharpness = {"temperature": temperature, "guidance": guidance}
    model = BayesConditional(
        Config(method="mcmc", num_burnin=100, num_steps=600, **sharpness),
        p_y_given_x=classifier,
        p_x=Line(),
    )
    count = 3000
    labels = np.arange(count) % 3
    drawn = model.draw(count, labels, seed=1)
    z = drawn.images.numpy()[:, 0, 0, 0]
    grid = np.linspace(-6, 6, 4001)
    logits = grid[:, None] * classifier.kernel.sum(0)
    p_y_given_z = tf.nn.softmax(logits / temperature).numpy() ** guidance
    density = p_y_given_z * scipy.stats.norm.pdf(grid, 0.5, 0.7)[:, None]
    for y in range(3):
        found = scipy.stats.kstest(z[labels == y], cdf_on(grid, density[:, y]))
        assert found.pvalue > 1e-4
    assert 0.5 < drawn.diagnostics["acceptance"] < 0.99
    course = drawn.trace["acceptance"]
    assert course.shape == (700,)
    assert course[100:].mean() == pytest.approx(drawn.diagnostics["acceptance"], rel=1e-5)
    steps = drawn.trace["step_size"]
    assert (steps[80:] == steps[-1]).all() and len(set(steps[:80])) > 70  # adapted, then kept
    assert (drawn.diagnostics["r_hat"] > 0.95).all() and (drawn.diagnostics["r_hat"] < r_hat).all()
    drawn = model.draw(1, np.zeros(1, np.int32), seed=1)
    assert 0.95 < drawn.diagnostics["r_hat"][0] < 1.23  # of the halves of one chain


class Stairs(Line):
    """A discrete world: z ~ N(0.5, 0.7^2), and by the step that z is on one of four images."""

    name, edges = "stairs", np.array([0.0, 0.4, 1.1], np.float32)
    images = IMAGES[[0, 3, 5, 15]]

    def generate(self, z):
        return tf.gather(self.images, tf.searchsorted(self.edges, z[:, 0]))

    def sample(self, num_samples, seed):
        return self.generate(self.draw_prior(num_samples, seed))


@pytest.mark.parametrize("method", ["mcmc", "sir"])
def test_on_a_discrete_world_both_ways_of_drawing_give_what_enumeration_does(method):
    classifier, count = LinearClassifier(), 6000
    config = Config(method=method, num_burnin=100, num_steps=50, num_candidates=100_000)
    model = BayesConditional(config, p_y_given_x=classifier, p_x=Stairs())
    labels = np.arange(count) % 3
    drawn = model.sample(count, labels, seed=1).numpy()
    which = (drawn[:, None] == Stairs.images).all((2, 3, 4)).argmax(1)
    p_x = np.diff(scipy.stats.norm.cdf([-np.inf, *Stairs.edges, np.inf], 0.5, 0.7))
    joint = p_x[:, None] * classifier.classify(Stairs.images).numpy()
    for y in range(3):
        found, p = np.bincount(which[labels == y], minlength=4), joint[:, y] / joint[:, y].sum()
        assert scipy.stats.chisquare(found, found.sum() * p).pvalue > 1e-4, (found, p)
        assert scipy.stats.chisquare(found, found.sum() * p_x).pvalue < 1e-6  # p(x) is another


def test_candidates_and_the_choice_among_them_have_noise_of_their_own(monkeypatch):
    seeds, draw, p_x = [], tf.random.stateless_categorical, Stairs()
    monkeypatch.setattr(
        p_x,
        "sample",
        lambda n, seed: seeds.append(tuple(seed.numpy())) or Stairs.sample(p_x, n, seed),
    )
    monkeypatch.setattr(
        tf.random,
        "stateless_categorical",
        lambda logits, n, seed, dtype: seeds.append(tuple(seed.numpy())) or draw(logits, n, seed),
    )
    compose((LinearClassifier(), p_x)).sample(4, [0, 1, 2, 0], seed=1)
    assert len(set(seeds)) == 2 == len(seeds)


class Plane(Line):
    """Two hills in the plane, near enough for chains to cross; pixels are z_0 and z_1, twice."""

    name, latent_dim = "plane", 2

    def p_z(self):
        hills = tfp.distributions.MultivariateNormalDiag(
            [[-0.6, 0.0], [0.6, 0.5]], [[0.5, 0.8]] * 2
        )
        return tfp.distributions.MixtureSameFamily(
            tfp.distributions.Categorical(probs=[0.3, 0.7]), hills
        )

    def draw_prior(self, num_samples, seed):
        return self.p_z().sample(num_samples, seed=seed)

    def generate(self, z):
        return tf.tile(z[:, None, :, None], [1, 2, 1, 1])


def test_chains_know_a_mixture_prior_and_more_latents_than_one():
    classifier = LinearClassifier()
    model = BayesConditional(
        Config(method="mcmc", num_burnin=100, num_steps=400), p_y_given_x=classifier, p_x=Plane()
    )
    count = 6000
    labels = np.arange(count) % 3
    drawn = model.draw(count, labels, seed=1)
    z = drawn.images.numpy()[:, 0, :, 0]
    axis = np.linspace(-5, 5, 201, dtype=np.float32)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    prior = Plane().p_z().prob(grid).numpy()
    density = prior[:, None] * classifier.classify(Plane().generate(grid)).numpy()
    for y in range(3):
        for j in range(2):
            marginal = density[:, y].reshape(201, 201).sum(1 - j)
            found = scipy.stats.kstest(z[labels == y, j], cdf_on(axis, marginal))
            assert found.pvalue > 1e-4, (y, j)
        expected = (density[:, y] @ (grid[:, 0] * grid[:, 1])) / density[:, y].sum()
        assert z[labels == y].prod(1).mean() == pytest.approx(expected, abs=0.06)
    assert (drawn.diagnostics["r_hat"] < 1.1).all()
    with pytest.raises(zoo.InputError, match="draws of it go with --method=sir"):
        model.sample(3, [0, 1, 2], seed=0, observation="sample")


def test_r_hat_is_the_root_of_the_ratio_of_variances():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(50, 6, 3)) + rng.normal(size=(1, 6, 3)) * [0.1, 0.5, 1.0]
    mine = np.array([True, True, False, True, True, False])
    halves = np.concatenate([z[:25, mine], z[25:, mine]], axis=1)  # [n, m, D]
    n, m, _ = halves.shape
    within = halves.var(0, ddof=1).mean(0)
    over = (n - 1) / n * within + halves.mean(0).var(0, ddof=1)
    expected = np.sqrt((m + 1) / m * over / within - (n - 1) / (m * n)).max()
    assert expected > 1.1
    model = BayesConditional(Config(method="mcmc"), p_y_given_x=LinearClassifier(), p_x=Line())
    found = model._r_hat(tf.constant(z, tf.float32), tf.constant(mine))
    assert float(found) == pytest.approx(expected, rel=1e-4)


def test_chains_that_do_not_move_are_told_by_r_hat():
    class Split(LinearClassifier):
        def __call__(self, images):  # two far valleys of z that no chain leaves
            z = tf.reshape(images, [-1, 4])[:, :1]
            far = 200 * tf.minimum((z - 3) ** 2, (z + 3) ** 2)
            return tf.concat([-far, far, far], 1)

    model = BayesConditional(Config(method="mcmc"), p_y_given_x=Split(), p_x=Line())
    drawn = model.draw(20, np.zeros(20, np.int32), seed=0)
    assert drawn.diagnostics["r_hat"][0] > 3
    assert np.isnan(drawn.diagnostics["r_hat"][1:]).all()  # no chains of these classes


def test_the_classifier_is_that_of_enumeration():
    p_x_given_y = pixels(conditional=True)
    columns = [p_x_given_y.log_prob(IMAGES, np.full(16, y, np.int32)).numpy() for y in range(3)]
    likelihood = np.exp(np.stack(columns, 1).astype(np.float64))
    model = BayesClassifier(ClassifierConfig(), p_x_given_y=p_x_given_y)
    assert model.exact
    expected = likelihood / likelihood.sum(1, keepdims=True)
    np.testing.assert_allclose(model.classify(IMAGES), expected, rtol=1e-4)
    assert expected.max(1).min() > 0.34


def test_the_classifier_of_a_bound_has_the_same_noise_for_every_image_and_label():
    p_x_given_y = zoo.create("cvae", SHAPE, 3, network="mlp", hidden=(4,), latent_dim=2)
    model = BayesClassifier(ClassifierConfig(bound_samples=3), p_x_given_y=p_x_given_y, seed=7)

    def alone(image, y, seed):
        return p_x_given_y.log_prob(image[None], [y], 3, stateless_seed(seed)).numpy()[0]

    expected = np.array([[alone(image, y, 7) for y in range(3)] for image in IMAGES])
    np.testing.assert_allclose(model(IMAGES), expected, rtol=1e-5)
    np.testing.assert_allclose(model(IMAGES[::-1])[::-1], expected, rtol=1e-5)
    np.testing.assert_allclose(model.classify(IMAGES), tf.nn.softmax(expected), rtol=1e-4)
    assert np.abs(alone(IMAGES[0], 0, 8) - expected[0, 0]) > 1e-3
    # the evaluation's seed is that of the noise, as long as it lasts
    of_8 = np.array([[alone(image, y, 8) for y in range(3)] for image in IMAGES])
    split = Split(np.uint8(255 * IMAGES), np.int32(np.arange(16) % 3))
    found = evaluate.evaluate(model, lambda name: split, seed=8)["classification"]["accuracy"]
    assert found["mean"] == (of_8.argmax(1) == split.labels).mean()
    np.testing.assert_allclose(model(IMAGES), expected, rtol=1e-5)


def test_black_and_white_images_are_drawn_and_not_shown_as_means():
    p_x = zoo.create("vae", SHAPE, network="mlp", hidden=(4,), likelihood="bernoulli")
    model = BayesConditional(Config(num_candidates=50), p_y_given_x=LinearClassifier(), p_x=p_x)
    assert set(np.unique(model.sample(30, np.arange(30) % 3, seed=0))) == {0.0, 1.0}


def test_parts_of_different_data_are_refused():
    with pytest.raises(zoo.InputError, match="gmm_vae learnt from different images"):
        zoo.create("bayes_conditional", p_y_given_x="classifier_mnist", p_x="gmm_vae")


def test_both_parts_see_the_image_on_its_levels():
    p_x = zoo.create("pixelcnn", SHAPE, 3, **CNN, levels=2)
    model = BayesConditional(Config(), p_y_given_x=LinearClassifier(), p_x=p_x, p_y=np.ones(3) / 3)
    gray, y = np.clip(IMAGES, 0.2, 0.8), np.ones(16, np.int32)
    np.testing.assert_allclose(model.log_prob(gray, y), model.log_prob(IMAGES, y), rtol=1e-5)


def test_parts_that_do_not_fit_are_refused(world):
    classifier, p_x, _ = world
    with pytest.raises(zoo.InputError, match="no p\\(x\\)"):
        BayesConditional(Config(), p_y_given_x=classifier, p_x=pixels(conditional=True))
    with pytest.raises(zoo.InputError, match="no p\\(x\\)"):
        BayesConditional(Config(), p_y_given_x=classifier, p_x=zoo.create("gan", SHAPE))
    with pytest.raises(zoo.InputError, match="different images"):
        other = zoo.create("pixelcnn", (4, 4, 1), **CNN)
        BayesConditional(Config(), p_y_given_x=classifier, p_x=other)
    with pytest.raises(zoo.InputError, match="no p\\(y\\|x\\)"):
        BayesConditional(Config(), p_y_given_x=p_x, p_x=p_x)
    with pytest.raises(zoo.InputError, match="--method=sir"):
        compose(world, method="mcmc")
    with pytest.raises(zoo.InputError, match="no p\\(x\\|y\\)"):
        BayesClassifier(ClassifierConfig(), p_x_given_y=p_x)


def served(model, folder):
    """The signatures of the exported model."""
    from zoo.hub import export

    export.saved_model(model, folder / "saved_model")
    return tf.saved_model.load(str(folder / "saved_model")).signatures


@pytest.mark.slow
def test_chains_in_the_latents_of_a_vae(tmp_path):
    shape = (8, 8, 1)
    p_x = zoo.create("vae", shape, 3, network="mlp", hidden=(8,), latent_dim=2)
    classifier = zoo.create("classifier", shape, 3, width=2)
    config = Config(method="mcmc", num_burnin=10, num_steps=10, num_candidates=20)
    model = BayesConditional(config, p_y_given_x=classifier, p_x=p_x)
    labels = np.array([0, 0, 1, 1, 2, 2], np.int32)
    drawn, report, _, _ = model.draw(6, labels, seed=3)
    assert drawn.shape == (6, *shape) and 0 < report["acceptance"] <= 1
    assert np.isfinite(report["r_hat"]).all()
    call = served(model, tmp_path)["sample"]
    again = call(labels=tf.constant(labels), seed=tf.constant(3))["images"]
    np.testing.assert_allclose(again, drawn, atol=1e-5)


def test_chains_are_not_for_black_and_white_pixels():
    p_x = zoo.create("vae", SHAPE, network="mlp", hidden=(4,), likelihood="bernoulli")
    with pytest.raises(zoo.InputError, match="black and white.*--method=sir"):
        BayesConditional(Config(method="mcmc"), p_y_given_x=LinearClassifier(), p_x=p_x)


def test_a_composition_is_not_made_of_a_configuration_alone(world):
    model = compose(world)
    with pytest.raises(zoo.InputError, match="made of other models"):
        type(model).from_config(model.get_config())


@pytest.mark.slow
def test_pretrained_parts_compose_and_export(tmp_path, fashion_mnist):
    model = zoo.create("bayes_conditional", num_candidates=300)
    images, labels = fashion_mnist.test.images[:6], fashion_mnist.test.labels[:6]
    log_p_x = model.unconditional.log_prob(images, num_samples=3, seed=2)
    log_p_y_given_x = np.log(model.classifier.classify(images).numpy()[np.arange(6), labels])
    found = model.log_joint(images, labels, num_samples=3, seed=2)
    np.testing.assert_allclose(found, log_p_y_given_x + log_p_x, rtol=1e-4)
    drawn = model.sample(6, labels, seed=3)
    call = served(model, tmp_path)
    given = {"labels": tf.constant(labels), "seed": tf.constant(3)}
    np.testing.assert_allclose(call["sample"](**given)["images"], drawn, atol=1e-6)
    exported = call["log_prob"](
        images=tf.constant(images / np.float32(255)), num_samples=tf.constant(3), **given
    )["log_prob"]
    expected = model.log_prob(images, labels, num_samples=3, seed=3)
    np.testing.assert_allclose(exported, expected, rtol=1e-5)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"labels must be in 0\.\.9"):
        call["sample"](labels=tf.constant([10]), seed=tf.constant(0))

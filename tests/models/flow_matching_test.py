"""Flow matching: its field, its loss, guidance and completion."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import zoo
from zoo.families.denoising import DenoisingModel

tfd = tfp.distributions

MEANS = np.float32([[-0.5, -0.5], [0.5, 0.0], [-0.3, 0.5]])
SCALES = np.float32([0.05, 0.08, 0.03])
SHARES = np.float32([0.5, 0.3, 0.2])


@dataclasses.dataclass(frozen=True)
class Sampler:
    sampler: str = "heun"
    num_steps: int = 64
    guidance: float = 1.0
    shift: float = 1.0
    label_dropout: float = 0.1


class Exact(DenoisingModel):
    """v*(x, t) = E[x_1 - x_0 | x_t = x] of a mixture of Gaussians in the plane, or of one of them.

    Of component k x_t is N(t m_k, (1 - t)^2 + t^2 s_k^2), and x_1 - x_0 given x_t is Gaussian.
    """

    Config = Sampler
    conditional = True

    def velocity(self, x, t, labels=None, training=False):
        x, t = tf.reshape(x, [-1, 1, 2]), t[:, None]
        variance = (1 - t) ** 2 + t**2 * SCALES**2  # [B, K]
        away = x - t[..., None] * MEANS
        log_p = -tf.reduce_sum(away**2, -1) / 2 / variance - tf.math.log(variance)
        share = tf.nn.softmax(log_p + tf.math.log(SHARES))
        if labels is not None:
            one = tf.one_hot(labels, len(SHARES))  # zeros for the null label
            share = tf.where(labels[:, None] == self.null_label, share, one)
        v = MEANS + ((t * SCALES**2 - (1 - t)) / variance)[..., None] * away
        return tf.reshape(tf.reduce_sum(share[..., None] * v, 1), [-1, 1, 2, 1])


def exact(**config):
    model = Exact(Sampler(**config), (1, 2, 1), num_classes=3, name="exact")
    model.build()
    return model


def points(images):
    return 2 * np.asarray(images).reshape(-1, 2) - 1


def test_the_exact_field_carries_noise_to_the_mixture():
    labels = np.zeros(20_000, np.int32)
    x = points(exact().sample(20_000, labels, seed=0, guidance=0.0, num_steps=256))
    of = ((x[:, None] - MEANS) ** 2).sum(-1).argmin(1)
    np.testing.assert_allclose(np.bincount(of) / len(x), SHARES, atol=0.015)  # 4 deviations
    for k, (mean, scale) in enumerate(zip(MEANS, SCALES, strict=True)):
        np.testing.assert_allclose(x[of == k].mean(0), mean, atol=0.006)
        np.testing.assert_allclose(x[of == k].std(0), scale, rtol=0.06)


def test_a_label_leads_to_its_component():
    x = points(exact().sample(2_000, np.ones(2_000, np.int32), seed=1))
    np.testing.assert_allclose(x.mean(0), MEANS[1], atol=0.01)
    np.testing.assert_allclose(x.std(0), SCALES[1], rtol=0.08)


def test_few_steps_end_where_images_are():
    """Also where they are far closer to one another than the last step is long."""
    x = points(exact().sample(1_000, np.full(1_000, 2, np.int32), seed=3, num_steps=4))
    assert (np.linalg.norm(x - MEANS[2], axis=1) < 3 * SCALES[2]).mean() > 0.95


@pytest.mark.parametrize(("name", "order"), [("euler", 1), ("heun", 2)])
def test_the_error_of_samples_falls_with_the_order_of_the_solver(name, order):
    """A Gaussian's field is linear in x: the path ends at the mean and s times the noise."""
    labels = np.ones(100, np.int32)
    truth = points(exact(sampler="heun").sample(100, labels, seed=2, num_steps=2_000))
    errors = []
    for num_steps in (20, 40):
        x = points(exact(sampler=name).sample(100, labels, seed=2, num_steps=num_steps))
        errors.append(np.abs(x - truth).mean())
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.35)


def test_no_field_has_a_lower_loss_than_the_exact_one():
    """The loss falls by the square of the distance to it, as it is the mean of all paths'."""

    def loss(of):
        model = zoo.create("flow_matching", (1, 2, 1), 3, network="mlp", hidden=(4,), seed=1)
        model.velocity = of
        images = 0.5 + 0.5 * (MEANS[y] + SCALES[y][:, None] * noise)
        images = tf.constant(images.reshape(-1, 1, 2, 1), tf.float32)
        return float(tf.reduce_mean(model.losses(images, tf.constant(y), False)["loss"]))

    rng, field = np.random.default_rng(0), exact().velocity
    y = rng.choice(3, 50_000, p=SHARES.astype(np.float64) / SHARES.sum()).astype(np.int32)
    noise = rng.standard_normal((len(y), 2)).astype(np.float32)
    least = loss(field)
    worse = loss(lambda x, t, y, training: field(x, t, y) + 0.3)
    assert worse - least == pytest.approx(0.09, abs=0.03)  # the error of a mean of 100,000
    # E|x_1 - x_0|^2 less what x_t tells: with labels less is left than without
    assert least < loss(lambda x, t, y, training: field(x, t)) < 1.3


def test_guidance_is_between_the_model_without_labels_and_beyond_the_one_with_them():
    model = exact()
    x = tf.random.stateless_normal([5, 1, 2, 1], [0, 1])
    labels, nothing = tf.ones(5, tf.int32), tf.fill([5], model.null_label)
    told, without = (model.velocity(x, tf.fill([5], 0.4), y) for y in (labels, nothing))
    for scale in (0.0, 1.0, 2.0, 0.5):
        found = model.guided_velocity(x, tf.constant(0.4), labels, scale)
        np.testing.assert_allclose(found, without + scale * (told - without), atol=1e-5)


def exact_flow_matching():
    """The model with the exact field, in place of a network."""
    model, field = zoo.create("flow_matching", (1, 2, 1), 3, network="mlp", hidden=(4,)), exact()
    model.velocity = lambda x, t, labels=None, training=False: field.velocity(x, t, labels)
    return model


def log_p(model, y, labels, seed=(0, 0)):
    """`log_p_y` of places [N, 2] in one graph."""
    graph = tf.function(lambda y: model.log_p_y(y, tf.constant(labels), tf.constant(seed)))
    return graph(tf.reshape(y, [-1, 1, 2, 1])).numpy()


def mixture(labels=None):
    """The mixture's density on the scale [-1, 1], or that of a component of each label."""
    components = tfd.MultivariateNormalDiag(MEANS, SCALES[:, None] * np.ones((3, 2), np.float32))
    if labels is not None:
        return tfd.MultivariateNormalDiag(
            MEANS[labels], SCALES[labels][:, None] * np.ones((len(labels), 2), np.float32)
        )
    return tfd.MixtureSameFamily(tfd.Categorical(probs=SHARES), components)


def test_the_density_of_the_exact_field_is_that_of_the_mixture():
    model, y = exact_flow_matching(), mixture().sample(200, seed=3)
    null = tf.fill([200], model.null_label)
    np.testing.assert_allclose(log_p(model, y, null), mixture().log_prob(y), atol=0.05)
    labels = np.arange(200, dtype=np.int32) % 3
    y = mixture(labels).sample(seed=4)
    np.testing.assert_allclose(log_p(model, y, labels), mixture(labels).log_prob(y), atol=0.05)


@pytest.mark.slow
def test_signs_estimate_the_density_without_bias(monkeypatch):
    monkeypatch.setattr("zoo.models.flow_matching.EXACT", 0)
    model = exact_flow_matching()
    y = tf.repeat(tf.constant([[0.1, 0.2]]), 2000, 0)  # between the components
    null = tf.fill([2000], model.null_label)
    found = log_p(model, y, null, (0, 1))
    error = found.std() / np.sqrt(len(found))
    assert error > 0
    assert found.mean() == pytest.approx(float(mixture().log_prob(y[0])), abs=4 * error + 0.05)


def test_log_prob_is_that_of_gray_levels():
    """Of a Gaussian many levels wide the bound is as good as the mass of the level."""
    model = exact_flow_matching()
    levels = np.random.default_rng(0).normal(127.5 + 127.5 * MEANS[1], 8.0, (20, 2)).round()
    labels, step = np.ones(20, np.int32), 2 / 255
    found = model.log_prob(np.uint8(levels).reshape(-1, 1, 2, 1), labels, num_samples=16, seed=0)
    away = (2 * levels / 255 - 1 - MEANS[1]) / SCALES[1]
    half, cdf = step / 2 / SCALES[1], tfd.Normal(0.0, 1.0).cdf
    mass = np.log(cdf(np.float32(away + half)) - cdf(np.float32(away - half))).sum(1)
    np.testing.assert_allclose(found, mass, atol=0.15)
    assert np.mean(found - mass) == pytest.approx(0, abs=0.03)
    np.testing.assert_allclose(model.bits_per_dim(found), -found / 2 / np.log(2), rtol=1e-6)


def test_encode_finds_the_noise_of_an_image():
    model, labels = exact_flow_matching(), np.arange(6, dtype=np.int32) % 3
    noise = np.random.default_rng(0).standard_normal((6, 2)).astype(np.float32)
    images = model.decode(noise, labels).mean()
    np.testing.assert_allclose(
        points(images), MEANS[labels] + SCALES[labels][:, None] * noise, atol=0.003
    )
    found = model.encode(images, labels)
    np.testing.assert_allclose(found.mean(), noise, atol=0.08)  # 0.003 in units of 0.03
    assert not found.stddev().numpy().any()


@pytest.mark.slow
def test_the_adaptive_sampler_takes_the_steps_that_it_needs():
    labels = np.arange(60, dtype=np.int32) % 3
    truth = points(exact().sample(60, labels, seed=2, num_steps=2_000))
    model = exact(sampler="adaptive")
    x = points(model.sample(60, labels, seed=2, num_steps=1))
    np.testing.assert_allclose(x, truth, atol=0.015)
    assert 12 <= model.num_calls() < 200
    assert model.num_calls(guidance=2.0) > model.num_calls()


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return zoo.create("flow_matching", (8, 8, 3), 4, width=4, num_blocks=1, num_steps=3)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).random((5, 8, 8, 3), np.float32)


def test_calls_are_counted(model):
    assert model.num_calls(guidance=1.0) == 5  # Heun's steps, and one of Euler
    assert model.num_calls() == 10  # with the label and without
    assert model.num_calls(num_steps=10, guidance=1.0) == 19
    assert model.num_calls(num_steps=10, guidance=2.0) == 38
    assert model.num_calls(num_steps=10, guidance=0.0) == 19


def test_more_steps_or_more_guidance_are_another_image(model):
    labels = [0, 1, 2, 3]
    kinds = [{}, {"num_steps": 4}, {"guidance": 3.0}, {"guidance": 0.0}]
    drawn = [np.asarray(model.sample(4, labels, seed=0, **kind)) for kind in kinds]
    np.testing.assert_array_equal(drawn[0], model.sample(4, labels, seed=0, num_steps=3))
    for other in drawn[1:]:
        assert (drawn[0] != other).any()
    # without guidance by labels it does not matter which they are
    np.testing.assert_array_equal(drawn[3], model.sample(4, [3, 3, 3, 3], seed=0, guidance=0.0))


def test_given_pixels_stay_and_nothing_given_is_a_sample(model, images):
    labels = [0, 1, 2, 3, 0]
    some = np.random.default_rng(1).random((5, 8, 8)) < 0.5
    drawn = np.asarray(model.complete(images, labels=labels, mask=some, seed=0))
    np.testing.assert_array_equal(drawn[some], images[some])
    assert (np.abs(drawn - images)[~some] > 1e-3).mean() > 0.9
    nothing = model.complete(images, labels=labels, mask=np.zeros((8, 8)), seed=0)
    np.testing.assert_array_equal(nothing, model.sample(5, labels, seed=0))
    rows = model.complete(images, 3, labels, seed=0)
    by_mask = model.complete(images, labels=labels, mask=np.arange(8)[:, None] < [3] * 8, seed=0)
    np.testing.assert_array_equal(rows, by_mask)


def test_full_strength_is_a_new_sample_and_little_stays_near(model, images):
    labels, apart = [0, 1, 2, 3, 0], []
    whole = model.vary(images, 1.0, labels, seed=0)
    np.testing.assert_array_equal(whole, model.sample(5, labels, seed=0))
    for strength in (0.01, 0.3, 1.0):
        made = model.vary(images, strength, labels, seed=0, num_steps=8)
        apart.append(np.abs(made - images).mean())
    assert apart[0] < 0.02 and apart[0] < apart[1] < apart[2]
    for strength in (0.0, 1.1, float("nan"), "much"):
        with pytest.raises(zoo.InputError, match="must be above 0 and at most 1"):
            model.vary(images, strength, labels)


def test_a_variation_of_a_gaussian_is_of_the_same_gaussian():
    """Images of the model's distribution stay so, whatever the strength is."""
    model, rng = exact(), np.random.default_rng(0)
    x = MEANS[1] + SCALES[1] * rng.standard_normal((4000, 2))
    images = np.float32(x + 1).reshape(-1, 1, 2, 1) / 2
    made = points(model.vary(images, 0.5, np.ones(4000, np.int32), seed=0))
    np.testing.assert_allclose(made.mean(0), MEANS[1], atol=0.01)
    np.testing.assert_allclose(made.std(0), SCALES[1], rtol=0.06)
    assert 0.02 < np.corrcoef(made[:, 0], x[:, 0])[0, 1] < 0.5  # s^2 t / ... is all that stays


def test_a_path_ends_at_the_sample_and_begins_at_its_noise(model):
    labels = [0, 1, 2, 3]
    path = np.asarray(model.path(4, labels, seed=0, num_steps=6))
    assert path.shape == (4, 7, 8, 8, 3)
    np.testing.assert_array_equal(path[:, -1], model.sample(4, labels, seed=0, num_steps=6))
    noise = tf.random.stateless_normal([4, 8, 8, 3], zoo.math.noise.stateless_seed(0), alg="philox")
    np.testing.assert_allclose(path[:, 0], np.clip((noise + 1) / 2, 0, 1), atol=1e-6)


def test_a_path_of_many_is_drawn_in_the_batches_of_samples(model, monkeypatch):
    monkeypatch.setattr(type(model), "examples_at_a_time", 2)
    labels = [0, 1, 2, 3, 0]
    path = np.asarray(model.path(5, labels, seed=0))
    np.testing.assert_array_equal(path[:, -1], model.sample(5, labels, seed=0))
    assert model.path(0, []).shape == (0, 4, 8, 8, 3)
    with pytest.raises(zoo.InputError, match="there are no images"):
        model.error_by_time(np.zeros((0, 8, 8, 3)), [])


def test_the_error_at_each_time_is_that_of_the_velocity():
    model = zoo.create("flow_matching", (8, 8, 1), width=4, conditional=False, guidance=1)
    model.velocity = lambda x, t, labels=None, training=False: 0 * x + tf.reshape(t, [-1, 1, 1, 1])
    images = np.full((4000, 8, 8, 1), 0.5, np.float32)  # 0: the error is (x_0 + t)^2
    found = np.asarray(model.error_by_time(images, num_times=5))
    np.testing.assert_allclose(found, 1 + np.float32([0.1, 0.3, 0.5, 0.7, 0.9]) ** 2, atol=0.03)


def test_completion_follows_what_is_given():
    """Of a Gaussian along the diagonal, given one coordinate, the other is nearer to it."""

    class Diagonal(Exact):
        def velocity(self, x, t, labels=None, training=False):
            x, t = tf.reshape(x, [-1, 2]), t[:, None]
            covariance = np.float32([[0.1, 0.099], [0.099, 0.1]])
            a = (1 - t)[..., None] ** 2 * np.eye(2) + t[..., None] ** 2 * covariance
            b = t[..., None] * covariance - (1 - t)[..., None] * np.eye(2)
            return tf.reshape(tf.linalg.matvec(b @ tf.linalg.inv(a), x), [-1, 1, 2, 1])

    model = Diagonal(Sampler(num_steps=100), (1, 2, 1), num_classes=3, name="diagonal")
    given = np.linspace(0.3, 0.7, 200, dtype=np.float32)
    images = np.stack([given, np.zeros(200, np.float32)], -1).reshape(200, 1, 2, 1)
    labels = np.zeros(200, np.int32)
    drawn = np.asarray(model.complete(images, labels=labels, mask=[[True, False]], seed=0))
    assert np.corrcoef(drawn[:, 0, :, 0].T)[0, 1] > 0.6


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"num_steps": 0}, "num_steps must be at least 1, not 0"),
        ({"num_steps": 2.5}, "num_steps"),
        ({"guidance": -1.0}, "guidance is -1.0, and must be a number of at least 0"),
        ({"guidance": float("nan")}, "guidance is nan"),
        ({"guidance": "much"}, "guidance is 'much'"),
    ],
)
def test_settings_that_cannot_be_are_refused(model, settings, said):
    with pytest.raises(zoo.InputError, match=said):
        model.sample(2, [0, 1], **settings)


def test_what_is_given_must_be_said_once_and_have_the_shape_of_images(model, images):
    labels = [0] * 5
    for given in ({}, {"num_rows": 2, "mask": np.ones((8, 8))}):
        with pytest.raises(zoo.InputError, match="by num_rows, or by a mask"):
            model.complete(images, labels=labels, **given)
    with pytest.raises(zoo.InputError, match=r"\[N, 8, 8\] or \[8, 8\], not \(8, 7\)"):
        model.complete(images, labels=labels, mask=np.ones((8, 7)))
    with pytest.raises(zoo.InputError, match="5 images need as many masks, not 3"):
        model.complete(images, labels=labels, mask=np.ones((3, 8, 8)))


def test_a_model_without_labels_has_no_guidance():
    model = zoo.create("flow_matching", (8, 8, 1), 0, width=4, num_blocks=1, num_steps=1)
    assert not model.conditional
    model.sample(2, guidance=1.0)
    with pytest.raises(zoo.InputError, match="is unconditional: guidance goes with labels"):
        model.sample(2, guidance=2.0)


def test_guidance_needs_a_model_that_was_trained_without_labels_too():
    tiny = {"network": "mlp", "hidden": (4,), "num_steps": 1}

    def make(**settings):
        return zoo.create("flow_matching", (1, 2, 1), 3, **tiny, **settings)

    with pytest.raises(zoo.InputError, match="label_dropout=0 goes with guidance=1"):
        make(label_dropout=0.0)
    with pytest.raises(zoo.InputError, match="label_dropout=1 drops every label"):
        make(label_dropout=1.0)
    model = make(label_dropout=0.0, guidance=1.0)
    model.sample(2, [0, 1])
    with pytest.raises(zoo.InputError, match="never trained without labels: guidance must be 1"):
        model.sample(2, [0, 1], guidance=2.0)


def test_a_perceptron_has_layers():
    with pytest.raises(zoo.InputError, match="hidden is empty"):
        zoo.create("flow_matching", (1, 2, 1), 3, network="mlp", hidden=())


@pytest.mark.parametrize(("training", "share"), [(True, 0.3), (False, 0.0)])
def test_labels_are_dropped_in_training_alone(training, share):
    model = zoo.create("flow_matching", (1, 2, 1), 3, network="mlp", label_dropout=0.3)
    told = []
    model.velocity = lambda x, t, labels, training: told.append(labels) or x
    model.losses(tf.zeros([10_000, 1, 2, 1]), tf.ones(10_000, tf.int32), training)
    assert float(np.mean(told[0] == model.null_label)) == pytest.approx(share, abs=0.02)


def test_a_network_of_images_leads_to_what_it_gives():
    model = zoo.create("flow_matching", (8, 8, 1), width=4, predict="image", guidance=1, seed=1)
    image = np.random.default_rng(0).uniform(-1, 1, (3, 8, 8, 1)).astype(np.float32)
    model.network = lambda given, training: tf.constant(image)
    x = np.random.default_rng(1).normal(size=image.shape).astype(np.float32)
    v = model.velocity(x, tf.constant([0.2, 0.9, 0.0]))
    np.testing.assert_allclose(v, (image - x) / np.reshape([0.8, 0.1, 1], [3, 1, 1, 1]), rtol=1e-5)
    assert np.isfinite(model.velocity(x, tf.ones(3))).all()
    for num_steps in (1, 4, 50):
        drawn = model.sample(3, seed=2, num_steps=num_steps)
        np.testing.assert_allclose(2 * drawn - 1, image, atol=1e-4)


def test_the_loss_of_a_network_of_images_is_that_of_its_velocity():
    settings = {"width": 4, "predict": "image", "conditional": False, "guidance": 1}
    model = zoo.create("flow_matching", (8, 8, 1), **settings, seed=1)
    images = np.random.default_rng(0).random((4000, 8, 8, 1)).astype(np.float32)
    model.network = lambda given, training: 2 * tf.constant(images) - 1  # it knows
    found = model.losses(images, None, True)["loss"]
    assert np.quantile(found, 0.99) < 1e-6  # the others are of times that are all but 1
    model.network = lambda given, training: given[0]  # v = 0
    expected = np.mean((2 * images - 1) ** 2) + 1
    found = np.mean(model.losses(images, None, True)["loss"])
    assert found == pytest.approx(expected, rel=0.02)  # it spreads by 0.3%


def test_times_are_moved_by_the_logarithm_of_the_shift():
    model = zoo.create("flow_matching", (8, 8, 1), width=4, shift=3.0)
    u = np.linspace(0.01, 0.99, 50, dtype=np.float32)
    expected = np.log(u / (1 - u)) - np.log(3)
    t = np.asarray(model.moved(u))
    np.testing.assert_allclose(np.log(t / (1 - t)), expected, atol=1e-5)
    times = np.asarray(model.times(7))
    np.testing.assert_allclose(times, model.moved(np.linspace(0, 1, 8)), rtol=1e-6)
    assert (times[0], times[-1]) == (0, 1)
    plain = zoo.create("flow_matching", (8, 8, 1), width=4)
    np.testing.assert_array_equal(plain.times(7), tf.linspace(0.0, 1.0, 8))


def test_the_loss_is_taken_at_the_moved_times():
    settings = {"width": 4, "conditional": False, "guidance": 1, "seed": 1}
    found = []
    for shift in (1.0, 5.0):
        model = zoo.create("flow_matching", (8, 8, 1), shift=shift, **settings)
        model.network = lambda given, training: found.append(given[1]) or 0.0 * given[0]
        model.losses(np.zeros((500, 8, 8, 1), np.float32), None, True)
    np.testing.assert_allclose(found[1], model.moved(found[0]), rtol=1e-5)

"""What holds for every autoregressive model: probabilities that sum to 1, causality, draws."""

import itertools

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

import zoo

CNN = {"width": 6, "num_layers": 3, "kernel_size": 3, "head": 8}
RNN = {"width": 10, "num_layers": 2, "kernel_size": 7, "head": 8}
EVERY = {
    "categorical": ("pixelcnn", {**CNN, "levels": 3}),
    "one_hot": ("pixelcnn", {**CNN, "levels": 3, "pixels": "one_hot"}),
    "logistic_mixture": ("pixelcnn", {**CNN, "levels": 3, "output": "logistic_mixture"}),
    "bernoulli": ("pixelcnn", {**CNN, "levels": 2, "output": "bernoulli"}),
    "kernel_of_5": ("pixelcnn", {**CNN, "levels": 3, "kernel_size": 5}),
    "conditional": ("pixelcnn", {**CNN, "levels": 3, "conditional": True}),
    "rnn": ("pixelrnn", {**RNN, "levels": 3}),
    "rnn_one_hot": ("pixelrnn", {**RNN, "levels": 3, "pixels": "one_hot"}),
    "rnn_conditional": ("pixelrnn", {**RNN, "levels": 3, "conditional": True}),
}
BY_DEFAULT = {"categorical", "logistic_mixture", "rnn"}  # the others are slow
EACH = [pytest.param(k, marks=[] if k in BY_DEFAULT else pytest.mark.slow) for k in EVERY]
every = pytest.mark.parametrize("kind", EACH)


# of what takes longest: by default one kind of network
some = pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=[] if k == "rnn" else pytest.mark.slow) for k in EVERY]
)


def make(kind, image_shape, **changes):
    """A model with weights of its own at every place, so that nothing is 0 by chance."""
    name, config = EVERY[kind]
    keras.utils.set_random_seed(4)
    model = zoo.create(name, image_shape=image_shape, num_classes=3, **{**config, **changes})
    rng = np.random.default_rng(1)
    for v in model.trainable_variables:
        v.assign(v + 0.5 * rng.standard_normal(v.shape))
    return model


def all_images(model):
    """Every image there is, [levels ** (H W C), H, W, C]."""
    values = np.linspace(0, 1, model.config.levels, dtype=np.float32)
    pixels = itertools.product(values, repeat=int(np.prod(model.image_shape)))
    return np.array(list(pixels), np.float32).reshape(-1, *model.image_shape)


def labels_of(model, images, label=2):
    return np.full(len(images), label, np.int32) if model.conditional else None


@every
@pytest.mark.parametrize("shape", [(2, 3, 1), (1, 3, 2)])
def test_probabilities_of_all_images_sum_to_one(kind, shape):
    model = make(kind, shape)
    images = all_images(model)
    log_p = model.log_prob(images, labels_of(model, images)).numpy()
    assert np.exp(log_p.astype(np.float64)).sum() == pytest.approx(1, abs=1e-5)
    assert log_p.std() > 0.3  # and are not all the same


@every
@pytest.mark.parametrize("shape", [(2, 3, 1), (1, 2, 2)])
def test_frequencies_of_draws_are_the_probabilities(kind, shape):
    model, count = make(kind, shape), 40_000
    images = all_images(model)
    labels = None if not model.conditional else np.full(count, 2, np.int32)
    drawn = model.sample(count, labels, seed=3).numpy()
    log_p = model.log_prob(images, labels_of(model, images)).numpy()
    assert_drawn_from(drawn, images, np.exp(log_p))


def assert_drawn_from(drawn, images, probabilities):
    """A chi-square test over all images, the rare ones together."""
    index = {image.tobytes(): i for i, image in enumerate(images)}
    counts = np.zeros(len(images))
    for image in np.float32(drawn):
        counts[index[image.tobytes()]] += 1
    probabilities = probabilities.astype(np.float64)
    expected = len(drawn) * probabilities / probabilities.sum()
    rare = expected < 10
    groups = [np.append(a[~rare], a[rare].sum()) if rare.any() else a for a in (counts, expected)]
    assert scipy.stats.chisquare(*groups).pvalue > 1e-4


@every
def test_a_completed_image_is_drawn_given_its_first_rows(kind):
    model, count = make(kind, (2, 2, 1)), 20_000
    images = all_images(model)
    first = images[-1, :1]  # the brightest row
    labels = None if not model.conditional else np.full(count, 2, np.int32)
    given = np.zeros([count, 2, 2, 1], np.float32)
    given[:, :1] = first
    drawn = model.complete(given, 1, labels, seed=5).numpy()
    assert (drawn[:, :1] == first).all()
    fitting = images[(images[:, :1] == first).all((1, 2, 3))]
    assert_drawn_from(
        drawn, fitting, np.exp(model.log_prob(fitting, labels_of(model, fitting)).numpy())
    )


@pytest.mark.parametrize("kind", [kind for kind in EACH if kind.values != ("bernoulli",)])
def test_given_rows_are_on_the_models_levels(kind):
    model = make(kind, (4, 4, 1))
    gray = np.random.default_rng(0).random((3, 4, 4, 1), np.float32)
    rounded = np.round(gray * 2) / np.float32(2)
    labels = labels_of(model, gray)
    one, other = (model.complete(x, 2, labels, seed=6).numpy() for x in (gray, rounded))
    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(one[:, :2], rounded[:, :2])
    np.testing.assert_array_equal(model.log_prob(gray, labels), model.log_prob(rounded, labels))


def test_each_image_has_a_label_of_its_own():
    model = make("conditional", (4, 4, 1))
    images = np.zeros((3, 4, 4, 1), np.float32)
    for call in (model.log_prob, lambda x, y: model.complete(x, 2, y, seed=0)):
        with pytest.raises(zoo.InputError, match="a label for each image"):
            call(images, [1])


def test_black_and_white_pixels_have_two_levels_whatever_was_said():
    some = make("bernoulli", (4, 4, 1), levels=256, pixels="one_hot")
    assert some.num_parameters() == make("bernoulli", (4, 4, 1), pixels="one_hot").num_parameters()
    images = np.random.default_rng(0).integers(0, 2, (3, 4, 4, 1)).astype(np.float32)
    assert np.isfinite(some.log_prob(images)).all()


@every
def test_nothing_given_is_a_sample_and_everything_is_the_image(kind):
    model = make(kind, (4, 4, 1))
    labels = np.array([0, 1, 2], np.int32) if model.conditional else None
    drawn = model.sample(3, labels, seed=6)
    np.testing.assert_array_equal(model.complete(1 - drawn, 0, labels, seed=6), drawn)
    np.testing.assert_array_equal(model.complete(drawn, 4, labels, seed=7), drawn)
    assert np.abs(model.sample(3, labels, seed=7) - drawn).max() > 0


@some
def test_each_conditional_depends_on_all_earlier_pixels_and_on_no_other(kind):
    shape = (3, 4, 2)
    model = make(kind, shape, num_layers=4)
    rng = np.random.default_rng(2)
    levels = model.config.levels
    images = tf.constant(rng.integers(0, levels, [1, *shape]) / (levels - 1), tf.float32)
    labels = labels_of(model, images)

    def conditionals(x):
        """Log p of every level at every place, [levels, H W C] in raster and channel order."""
        features = model.features(x, labels)
        each = [
            model.p_channel(features, x[..., :c]).log_prob(tf.fill(x.shape[:-1], value))
            for value in np.linspace(0, 1, levels, dtype=np.float32)
            for c in range(shape[-1])
        ]
        each = tf.reshape(tf.stack(each), [levels, shape[-1], -1])
        return tf.reshape(tf.transpose(each, [0, 2, 1]), [levels, -1])

    if model.config.pixels == "one_hot":  # no derivative: change each value instead
        base = conditionals(images).numpy()
        changes = []
        for i in range(images.numpy().size):
            other = images.numpy().reshape(-1).copy()
            other[i] = 1 - other[i] if other[i] != 0.5 else 1
            changes.append(conditionals(tf.reshape(other, images.shape)).numpy() - base)
        jacobian = np.moveaxis(changes, 0, -1)  # [levels, H W C, H W C]
    else:
        with tf.GradientTape() as tape:
            tape.watch(images)
            values = conditionals(images)
        jacobian = tape.jacobian(values, images).numpy().reshape(levels, 24, 24)
    assert (np.triu(jacobian) == 0).all()
    assert (jacobian[:, *np.tril_indices(24, -1)] != 0).all()


@every
def test_drawing_meets_the_features_of_the_whole_image(kind):
    model = make(kind, (6, 5, 2))
    labels = np.array([0, 1, 2], np.int32) if model.conditional else None
    blank, seed = tf.zeros([3, 6, 5, 2]), tf.constant([1, 2])
    images, met = model.walk(blank, tf.constant(0), labels, seed, with_features=True)
    np.testing.assert_array_equal(images, model.sample(3, labels, seed))
    np.testing.assert_allclose(met, model.features(images, labels), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["conditional", "rnn_conditional"])
def test_labels_reach_every_pixel(kind):
    model = make(kind, (3, 3, 1))
    images = np.zeros([2, 3, 3, 1], np.float32)
    features = model.features(images, np.array([0, 1], np.int32)).numpy()
    assert (np.abs(features[0] - features[1]).max(-1) > 0).all()


@pytest.mark.parametrize("kind", ["bernoulli", "rnn_conditional"])
def test_rows_are_counted_where_that_is_asked_for(kind, capfd):
    model = make(kind, (5, 3, 1))
    labels = np.array([0, 1], np.int32) if model.conditional else None
    silent = model.sample(2, labels, seed=1)
    assert "row" not in capfd.readouterr().err
    counted = model.sample(2, labels, seed=1, progress=True)
    rows = [f"row {i} of 5" for i in range(1, 6)]
    assert [line.strip() for line in capfd.readouterr().err.split("\r")[1:]] == rows
    np.testing.assert_array_equal(silent, counted)

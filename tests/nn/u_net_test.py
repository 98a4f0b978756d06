"""The network of noisy images: shapes, patches, what it sees."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo.nn import u_net


def make(shape, **changes):
    settings = {"width": 4, "num_stages": 2, "patch_size": 2, "num_blocks": 1} | changes
    return u_net.u_net(shape, **settings, name="network")


@pytest.mark.parametrize("p", [1, 2, 4])
def test_a_place_has_the_pixels_of_its_patch(p):
    x = np.random.default_rng(0).random((2, 8, 12, 3), np.float32)
    folded = u_net._folded(tf.constant(x), p)
    assert folded.shape == (2, 8 // p, 12 // p, 3 * p * p)
    patch = x[1, p : 2 * p, 2 * p : 3 * p]
    np.testing.assert_array_equal(folded[1, 1, 2], patch.ravel())
    np.testing.assert_array_equal(u_net._unfolded(folded, p), x)


@pytest.mark.parametrize(
    ("shape", "settings"),
    [
        ((28, 28, 1), {}),
        ((16, 24, 3), {"num_stages": 3, "patch_size": 1, "num_labels": 5}),
        ((12, 12, 1), {"num_stages": 2, "patch_size": 4}),
    ],
)
def test_the_result_has_the_shape_of_the_images_and_is_small_at_first(shape, settings):
    network = make(shape, **settings)
    inputs = [tf.random.normal([3, *shape]), tf.constant([0.0, 0.5, 1.0])]
    if settings.get("num_labels"):
        inputs.append(tf.constant([0, 4, 2]))
    found = network(inputs)
    assert found.shape == (3, *shape)
    assert 0 < np.abs(found.numpy()).mean() < 0.05


def test_every_pixel_sees_the_whole_image_time_and_label():
    keras.utils.set_random_seed(0)
    network = make((16, 16, 1), num_labels=3)
    x, t, y = tf.random.normal([1, 16, 16, 1]), tf.constant([0.5]), tf.constant([1])
    for v in network.trainable_variables:  # far from its first weights, which are nearly none
        v.assign_add(0.1 * tf.random.normal(v.shape))
    with tf.GradientTape() as tape:
        tape.watch(x)
        corner = network([x, t, y])[0, 0, 0, 0]
    assert (tape.gradient(corner, x).numpy() != 0).all()
    before = network([x, t, y])
    for other in ([x, t + 0.2, y], [x, t, y + 1]):
        assert np.abs((network(other) - before).numpy()).mean() > 1e-3


@pytest.mark.parametrize("build", [u_net.u_net, u_net.perceptron])
def test_a_network_is_read_from_its_file(build, tmp_path):
    settings = {"width": 4, "num_stages": 2, "patch_size": 2, "num_blocks": 1}
    settings = settings if build is u_net.u_net else {"hidden": (8, 8)}
    network = build((8, 8, 1), **settings, num_labels=3, name="network")
    network.save(tmp_path / "network.keras")
    again = keras.saving.load_model(tmp_path / "network.keras")
    inputs = [tf.random.normal([2, 8, 8, 1]), tf.constant([0.1, 0.9]), tf.constant([0, 2])]
    np.testing.assert_array_equal(again(inputs), network(inputs))


@pytest.mark.parametrize(
    ("shape", "settings", "said"),
    [
        ((30, 30, 1), {}, "sides are multiples of 4, not 30x30"),
        ((28, 28, 1), {"patch_size": 3}, "a power of 2 of at most 4"),
        ((32, 32, 1), {"patch_size": 8}, "a power of 2 of at most 4"),
    ],
)
def test_sides_that_cannot_be_halved_are_refused(shape, settings, said):
    with pytest.raises(zoo.InputError, match=said):
        make(shape, **settings)


def test_times_are_told_apart():
    e = u_net.FourierFeatures(32)(tf.linspace(0.0, 1.0, 101))
    assert e.shape == (101, 32)
    away = tf.linalg.norm(e[:, None] - e[None], axis=-1).numpy()
    assert away[~np.eye(101, dtype=bool)].min() > 0.3

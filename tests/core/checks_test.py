"""The gate: what is taken is taken as it is, and anything else is one line that says what came."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from zoo.core import batches, checks
from zoo.errors import InputError

SHAPE = (4, 3, 1)
GOOD = np.random.default_rng(0).random((2, *SHAPE))
REFUSED = (InputError, tf.errors.InvalidArgumentError)


def in_graph(check, values, spec=None):
    """A check of a tensor of a graph; of its static shape `spec` alone where that is given."""
    values = tf.constant(values)
    spec = tf.TensorSpec(values.shape if spec is None else spec, values.dtype)
    return tf.function(check, input_signature=[spec], autograph=False)(values)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble", "uint8"])
def test_images_in_bytes_and_of_any_floating_type_are_taken(dtype):
    images = (GOOD * 255 if dtype == "uint8" else GOOD).astype(dtype)
    assert np.array_equal(checks.images(images, SHAPE), images)
    assert len(checks.images(images[:0], SHAPE)) == 0
    kept = tf.constant(GOOD)  # with its gradient
    assert checks.images(kept, SHAPE) is kept
    checks.images(tf.cast(GOOD, tf.bfloat16), SHAPE)
    assert in_graph(lambda x: checks.images(x, SHAPE), GOOD, [None] * 4).shape == GOOD.shape


IMAGES = {
    "int32": (GOOD.astype("i4"), "not int32"),
    "int64": (GOOD.astype("i8"), "not int64"),
    "bool": (GOOD > 0.5, "not bool"),
    "0..255": (np.stack([0 * GOOD[0], GOOD[0] * 0 + 255]), "not numbers from 0 to 255"),
    "-1..1": (np.stack([GOOD[0] * 0 - 1, GOOD[0] * 0 + 1]), "not numbers from -1 to 1"),
    "just above": (np.float32([GOOD[0] * 0 + 1.0001]), "not numbers from"),
    "one NaN": (np.where(np.arange(GOOD.size).reshape(GOOD.shape) == 5, np.nan, GOOD), "not NaN"),
    "infinite": (GOOD + np.inf, "not numbers from inf to inf"),
    "a single one": (GOOD[0], r"not \[4, 3, 1\]; a single image needs an axis"),
    "no channels": (GOOD[..., 0], r"of shape \[N, 4, 3, 1\], not \[2, 4, 3\]"),
    "channels first": (GOOD.transpose(0, 3, 1, 2), r"not \[2, 1, 4, 3\]"),
    "color": (np.repeat(GOOD, 3, -1), r"not \[2, 4, 3, 3\]"),
}


@pytest.mark.parametrize(("images", "message"), IMAGES.values(), ids=IMAGES)
def test_other_images_are_refused_in_calls_and_in_graphs(images, message):
    for given_as in (np.asarray, tf.constant):
        with pytest.raises(InputError, match=message) as error:
            checks.images(given_as(images), SHAPE)
        assert "\n" not in str(error.value)
    for static in (images.shape, [None] * images.ndim):
        with pytest.raises(REFUSED, match="images must be") as error:
            in_graph(lambda x: checks.images(x, SHAPE), images, static)
        assert (checks.said(error.value) or str(error.value)).startswith("images must be")


@pytest.mark.parametrize("images", ["abc", None, object(), [None], [[1], [1, 2]], {"a": 1}])
def test_what_is_no_array_is_refused(images):
    for check in (checks.images, lambda v, _: checks.labels(v, 10)):
        with pytest.raises(InputError, match="must be"):
            check(images, SHAPE)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64", "uint64"])
def test_labels_of_any_integer_type_become_int32(dtype):
    for labels in (np.array([3, 9], dtype), np.array([[3], [9]], dtype)):
        for found in (
            checks.labels(labels, 10, 2),
            in_graph(lambda y: checks.labels(y, 10, tf.constant(2)), labels, [None] * labels.ndim),
        ):
            assert found.dtype == tf.int32
            np.testing.assert_array_equal(found, [3, 9])
    assert checks.labels([], 10, 0).shape == (0,)


LABELS = {
    "too great": ([3, 10], "labels must be in 0..9, not 10"),
    "negative": ([-1, 3], "labels must be in 0..9, not -1"),
    "beyond int32": ([1, 2**40 + 1], "labels must be in 0..9, not 1099511627777"),
    "beyond int64": (np.array([1, 2**64 - 1], np.uint64), "labels must be in 0..9, not 184467440"),
    "float": ([1.0, 2.0], "labels must be integers in 0..9, not float"),
    "bool": ([True, False], "labels must be integers in 0..9, not bool"),
    "one-hot": (np.eye(10, dtype="i4")[:2], "of one-hot labels take their argmax"),
    "a number": (3, r"of shape \[N\] or \[N, 1\], not \[\]"),
    "too few": ([3], "a label for each image"),
    "too many": ([3, 3, 3], "a label for each image"),
}


@pytest.mark.parametrize(("labels", "message"), LABELS.values(), ids=LABELS)
def test_other_labels_are_refused_in_calls_and_in_graphs(labels, message):
    with pytest.raises(InputError, match=message) as error:
        checks.labels(labels, 10, 2)
    assert "\n" not in str(error.value)
    with pytest.raises(REFUSED, match="label"):
        labels = np.asarray(labels)
        in_graph(lambda y: checks.labels(y, 10, tf.constant(2)), labels, [None] * labels.ndim)


def test_numbers_of_things():
    for value in (3, np.int64(3), np.array(3), tf.constant(3), np.uint8(3)):
        assert checks.whole("num", value) == 3
    for value, message in (
        (-1, "num must be at least 0, not -1"),
        (2.0, "num must be a whole number, not 2.0"),
        (True, "num must be a whole number, not True"),
        (np.array([3]), "num must be a whole number"),
        ("3", "num must be a whole number, not '3'"),
        (None, "num must be a whole number, not None"),
        (2**40, "num must be at most 2147483647"),
    ):
        with pytest.raises(InputError, match=message):
            checks.whole("num", value)
    with pytest.raises(InputError, match=r"rows must be in 0..4, not 5"):
        checks.whole("rows", 5, 0, 4)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"rows must be in 0..4"):
        in_graph(lambda n: checks.whole("rows", n, 0, 4), 5)
    assert checks.image_shape([np.int64(28), 28, 1]) == (28, 28, 1)
    for shape in (
        (28, 28),
        (28, 28, 0),
        (28, 28, -1),
        (28.0, 28, 1),
        28,
        None,
        "abc",
        (28, 28, True),
    ):
        with pytest.raises(InputError, match="image_shape must be three positive numbers"):
            checks.image_shape(shape)


def test_seeds_of_up_to_64_bits_are_all_different_and_small_ones_are_as_ever():
    seeds = [0, 1, -1, 2**31 - 1, -(2**31), 2**31, 2**32, 2**40 + 1, -(2**40), 2**63 - 1]
    found = [tuple(checks.seed(s).numpy()) for s in seeds]
    assert len(set(found)) == len(seeds)
    assert found[:5] == [(s, 0) for s in seeds[:5]]
    assert tuple(checks.seed(np.int64(7)).numpy()) == (7, 0)
    assert tuple(checks.seed([3, 4]).numpy()) == (3, 4)
    assert tuple(in_graph(checks.seed, 7).numpy()) == (7, 0)
    assert checks.seed(None).shape == (2,)
    for bad in (1.5, True, "a", 2**63, -(2**63) - 1, [1, 2, 3], [0.5, 1], [[1, 2]]):
        with pytest.raises(InputError, match="seed must be an integer"):
            checks.seed(bad)


dtypes = st.sampled_from(
    [*"?bhilBHILefdg", "c8", "U3", "S2", "M8[s]", "O", "<i2", ">i4", ">f4", "V3"]
)
shapes = st.one_of(
    hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4),
    st.just((2, *SHAPE)),
    st.just((2,)),
    st.just((2, 1)),
)


def arrays():
    """Arrays of any type and shape, some of which are images or labels."""

    def of(dtype, shape):
        if dtype == "O":
            return st.just(np.full(shape, None))
        if np.dtype(dtype).kind in "fd":
            few = st.sampled_from([0.0, 0.5, 1.0, -1.0, 2.0, 255.0, np.nan, np.inf])
            return hnp.arrays(dtype, shape, elements=few)
        if np.dtype(dtype).kind in "iu":
            few = st.sampled_from([0, 1, 9, 10, 100])
            return hnp.arrays(dtype, shape, elements=few)
        return st.just(np.zeros(shape, dtype))

    return st.tuples(dtypes, shapes).flatmap(lambda t: of(*t))


def check_whatever(values):
    """Taken, and then it is right; or refused in a line."""
    for check in (
        lambda: checks.images(values, SHAPE),
        lambda: checks.labels(values, 10, 2),
        lambda: checks.latents(values, 4),
        lambda: checks.weights(values, 2),
        lambda: checks.seed(values),
        lambda: checks.whole("n", values),
        lambda: checks.image_shape(values),
    ):
        try:
            check()
        except InputError as e:
            assert "\n" not in str(e).split("not ")[0]
    try:
        found = np.asarray(checks.images(values, SHAPE))
        assert found.shape[1:] == SHAPE and (found.dtype == np.uint8 or found.dtype.kind == "f")
        assert found.dtype == np.uint8 or ((found >= 0) & (found <= 1)).all()
    except InputError:
        pass
    try:
        found = checks.labels(values, 10, 2).numpy()
        assert found.shape == (2,) and ((found >= 0) & (found < 10)).all()
        np.testing.assert_array_equal(found, values.reshape(-1))
    except InputError:
        pass


@settings(max_examples=60, deadline=None, derandomize=True)
@given(arrays())
def test_anything_is_taken_or_refused(values):
    check_whatever(values)


@pytest.mark.slow
@settings(max_examples=1000, deadline=None, derandomize=True)
@given(arrays())
def test_anything_at_all_is_taken_or_refused(values):
    check_whatever(values)


def test_batches_together_are_the_whole_and_none_is_larger():
    sizes = []

    def double(x, y):
        sizes.append(len(x))
        return 2 * tf.convert_to_tensor(x) + tf.cast(y, tf.float32)[:, None]

    x, y = np.random.default_rng(0).random((23, 3), np.float32), np.arange(23)
    found = batches.in_batches(double, [x, y], 5)
    np.testing.assert_array_equal(found, 2 * x + y.astype("f4")[:, None])
    assert sizes == [5] * 4 + [3]
    assert isinstance(found, tf.Tensor)
    sizes.clear()
    with batches.of_at_least(10):
        batches.in_batches(double, [x, y], 5)
    assert sizes == [10, 10, 3]
    sizes.clear()  # a gradient needs all of it, and one for each
    whole = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(whole)
        loss = tf.reduce_sum(batches.in_batches(double, [whole, y], 5))
    np.testing.assert_array_equal(tape.gradient(loss, whole), np.full_like(x, 2))
    assert sizes == [23]


def test_batches_have_seeds_of_their_own_and_the_first_one_is_as_it_would_be_alone():
    def draw(x, seed):
        return tf.random.stateless_uniform(tf.shape(x), seed)

    seed = checks.seed(3)
    found = batches.in_batches(draw, [np.zeros(12)], 4, seed).numpy()
    np.testing.assert_array_equal(found[:4], draw(np.zeros(4), seed))
    assert len(set(found)) == 12


def test_an_empty_batch_is_never_computed():
    def not_of_nothing(x):
        tf.debugging.assert_positive(tf.shape(x)[0])
        return tf.reduce_sum(x, -1)

    for empty in (np.zeros((0, 3), np.float32), tf.zeros([0, 3])):
        assert batches.in_batches(not_of_nothing, [empty], 5).shape == (0,)
    graph = tf.function(lambda x: batches.in_batches(not_of_nothing, [x], 5))
    f = graph.get_concrete_function(tf.TensorSpec([None, 3], tf.float32))
    assert f(tf.zeros([0, 3])).shape == (0,)
    np.testing.assert_array_equal(f(tf.ones([2, 3])), [3, 3])


def test_batches_are_smaller_of_larger_images():
    assert batches.size_for((28, 28, 1)) == 500
    assert batches.size_for((64, 64, 3)) == 31
    assert batches.size_for((1024, 1024, 3)) == 16

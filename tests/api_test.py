"""What Python callers may rely on: methods, `fit` with any data, Keras' own promises."""

import copy
import importlib
import pickle
import random

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import zoo
from zoo import registry
from zoo.core import batches
from zoo.core.arrays import digest
from zoo.core.backend import precision
from zoo.hub import checkpoints, loading

SHAPE = (4, 4, 1)
TINY = {
    "vae": {"network": "mlp", "hidden": (4,), "latent_dim": 2},
    "cvae": {"network": "mlp", "hidden": (4,), "latent_dim": 2},
    "cgan": {"network": "mlp", "hidden": (4,), "latent_dim": 2, "ema_decay": 0.9},
    "bigan": {"network": "mlp", "hidden": (4,), "latent_dim": 2},
    "pixelcnn": {"width": 2, "num_layers": 1, "kernel_size": 3, "head": 4, "levels": 4},
    "classifier": {"width": 2},
}
RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (8, *SHAPE), np.uint8)
Y = np.arange(8, dtype=np.int32) % 3
FLOATS = X / np.float32(255)


def make(name, seed=1, **more):
    return zoo.create(name, SHAPE, 3, seed=seed, **{**TINY[name], **more})


@pytest.fixture(scope="module")
def models():
    return {name: make(name) for name in TINY}


def questions(model):
    """By name the public methods that are asked about images, of images and labels."""
    asked = {
        "encode": lambda x, y: model.encode(x, *y).mean(),
        "reconstruct": lambda x, y: model.reconstruct(x, *y),
        "log_prob": lambda x, y: model.log_prob(x, *y, seed=1),
        "kl_per_dim": lambda x, y: model.kl_per_dim(x, *y),
        "complete": lambda x, y: model.complete(x, 2, *y, seed=1),
        "discriminate": lambda x, y: model.discriminate(x, *y),
        "classify": lambda x, y: model.classify(x),
    }
    if model.name == "classifier":
        asked |= {"features": lambda x, y: model.features(x), "call": lambda x, y: model(x)}
    if "complete" not in model.can:  # a family has it, and a model of it may not
        del asked["complete"]
    return {name: f for name, f in asked.items() if hasattr(model, name)}


def state(model):
    values = checkpoints.state(model).items()
    return digest({k: np.asarray(v) for k, v in values if not k.startswith("metrics/")})


def losses_before_weights(model, x, y, **options):
    """What `fit` logs of one step, by weights that then are put back."""
    before, weights = model.get_weights(), digest(checkpoints.weights_of(model))
    history = model.fit(x, y, batch_size=len(X), shuffle=False, verbose=0, **options).history
    moved = digest(checkpoints.weights_of(model)) != weights
    model.set_weights(before)
    return {k: v[0] for k, v in history.items()}, moved


@pytest.mark.parametrize("name", TINY)
def test_every_method_takes_the_same_images_and_refuses_the_same(name, models):
    model = models[name]
    own = (Y,) if model.conditional else ()
    assert questions(model)
    for ask in questions(model).values():
        expected = np.asarray(ask(X, own))
        for images in (X / 255, tf.constant(X)):
            np.testing.assert_allclose(ask(images, own), expected, rtol=1e-4, atol=1e-5)
        for labels in (Y.astype("u1"), Y.astype("i8")[:, None], tf.constant(Y, tf.int64)):
            given_labels = (labels,) if own else ()
            np.testing.assert_allclose(ask(X, given_labels), expected, rtol=1e-5, atol=1e-6)
        for images in (X.astype("i4"), X.astype("f4"), FLOATS * 2 - 1, FLOATS * np.nan, X[0]):
            with pytest.raises(zoo.InputError, match="images must be") as error:
                ask(images, own)
            assert "\n" not in str(error.value)
        for labels in (
            ([2**40 + 1] * 8, Y - 3, Y * 1.0, Y[:3], np.eye(8, 3, dtype="i4")) if own else ()
        ):
            with pytest.raises(zoo.InputError, match="label"):
                ask(X, (labels,))


@pytest.mark.parametrize("name", TINY)
def test_none_are_none_and_numbers_are_checked(name, models):
    model = models[name]
    own = (Y[:0],) if model.conditional else ()
    for ask in questions(model).values():
        assert np.asarray(ask(X[:0], own)).shape[0] == 0
    if hasattr(model, "sample"):
        assert model.sample(0).shape == (0, *SHAPE)
        assert model.sample(np.int64(2), seed=-(2**40)).shape == (2, *SHAPE)
        for bad in (-1, 2.0, True, "2", None):
            with pytest.raises(zoo.InputError, match="num_samples must be"):
                model.sample(bad)
        with pytest.raises(zoo.InputError, match="seed must be"):
            model.sample(1, seed=0.5)
    if hasattr(model, "generate"):
        z = np.zeros((2, 2))
        assert model.generate(z, *[y[:2] for y in [Y] if own]).shape == (2, *SHAPE)
        assert model.generate(z[:0], *own).shape == (0, *SHAPE)
        for bad, message in ((z[:, :1], r"\[N, 2\], not \[2, 1\]"), (z + np.inf, "finite")):
            with pytest.raises(zoo.InputError, match=message):
                model.generate(bad, *[y[:2] for y in [Y] if own])
    if hasattr(model, "complete"):
        for rows in (-1, 5, 1.5):
            with pytest.raises(zoo.InputError, match="num_rows must be"):
                model.complete(X, rows)


@pytest.mark.slow
@pytest.mark.parametrize("name", registry.trainable())
def test_none_are_none_of_every_model(name):
    model = zoo.create(name)
    images = np.zeros((0, 28, 28, 1), np.float32)
    own = (Y[:0],) if model.conditional else ()
    for ask in questions(model).values():
        assert np.asarray(ask(images, own)).shape[0] == 0
    if hasattr(model, "sample"):
        assert model.sample(0).shape == images.shape
    model.summary(print_fn=lambda *_, **__: None)
    assert model.count_params() > 0 and model.get_layer(index=0)


def test_shapes_and_classes_are_checked():
    for shape in ((28, 28), (28, 0, 1), "abc", 28):
        with pytest.raises(zoo.InputError, match="image_shape must be"):
            zoo.create("vae", shape)
    for classes in (0, -1, 2.5, "3"):
        with pytest.raises(zoo.InputError, match="num_classes must be"):
            zoo.create("classifier", SHAPE, classes)
    assert zoo.create("vae", SHAPE, 0, **TINY["vae"]).num_classes == 0
    for seed in (-1, 2**40, 0.5):
        with pytest.raises(zoo.InputError, match="seed must be"):
            zoo.create("vae", seed=seed)


def test_a_seed_makes_the_weights_and_the_noise_and_leaves_the_callers_alone():
    random.seed(5)
    expected = random.random()
    random.seed(5)
    one, same, other = make("cgan", 3), make("cgan", 3), make("cgan", 4)
    assert random.random() == expected
    assert state(one) == state(same) != state(other)
    keras.utils.set_random_seed(3)
    assert state(loading.create("cgan", SHAPE, 3, TINY["cgan"], seed=3)) == state(one)
    for model in (one, same):
        model.fit(X, Y, batch_size=4, shuffle=False, verbose=0)
    assert state(one) == state(same)


@pytest.mark.parametrize("name", ["vae", "cgan", "pixelcnn"])
def test_many_samples_are_drawn_in_batches(name, models, monkeypatch):
    model = models[name]
    labels = Y[np.arange(50) % 8] if model.conditional else None
    whole = model.sample(50, labels, seed=7).numpy()
    monkeypatch.setattr(batches, "size_for", lambda shape: 16)
    found = model.sample(50, labels, seed=7).numpy()
    if name == "pixelcnn":  # a seed for each batch
        np.testing.assert_array_equal(found[:16], model.sample(16, seed=7))
        assert len(np.unique(found[:48].reshape(3, -1), axis=0)) == 3
    else:
        np.testing.assert_allclose(found, whole, atol=1e-6)
    images = np.repeat(X, 5, 0)
    own = (np.repeat(Y, 5),) if model.conditional else ()
    for ask in questions(model).values():
        assert len(ask(images, own)) == 40
    if name == "vae":
        together = model.encode(images).mean()
        np.testing.assert_allclose(together[::5], model.encode(X).mean(), atol=1e-5)


class Batches(keras.utils.PyDataset):
    """Two batches, as dictionaries."""

    def __init__(self, images, labels):
        super().__init__()
        self.images, self.labels = images, labels

    def __len__(self):
        return 2

    def __getitem__(self, i):
        part = slice(4 * i, 4 * i + 4)
        return {"images": self.images[part], "labels": self.labels[part]}


def data(images, labels):
    """The same data in all forms that `fit` takes."""
    pairs = tf.data.Dataset.from_tensor_slices((images, labels)).batch(4)
    return {
        "arrays": (images, labels),
        "lists": (list(images), list(labels)),
        "dictionary": ({"images": images, "labels": labels},),
        "dataset": (pairs,),
        "dataset of dictionaries": (pairs.map(lambda x, y: {"images": x, "labels": y}),),
        "generator": (pair for pair in [(images[:4], labels[:4]), (images[4:], labels[4:])]),
        "PyDataset": (Batches(images, labels),),
    }


def fit(model, given_data, **options):
    if not isinstance(given_data, tuple):
        given_data = (given_data,)
    if len(given_data) == 2 or isinstance(given_data[0], dict):
        options["batch_size"] = 4
    return model.fit(*given_data, shuffle=False, verbose=0, **options).history


def test_fit_learns_the_same_from_all_forms_of_the_same_data():
    found = {}
    for form, given_data in data(X, Y).items():
        model = make("classifier")
        model.run_eagerly = True  # tracing takes the longest
        validation = data(FLOATS, Y)["dataset of dictionaries"][0]
        history = fit(model, given_data, validation_data=validation)
        found[form] = state(model)
        assert {"loss", "val_loss", "accuracy", "val_accuracy"} <= set(history)
    assert len(set(found.values())) == 1, found


@pytest.mark.parametrize("jit", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", [pytest.param("cgan", marks=pytest.mark.slow), "classifier"])
def test_fit_refuses_what_is_no_data_in_all_its_forms(name, jit):
    model = make(name)
    model.jit_compile = jit
    before = digest(checkpoints.weights_of(model))
    for images, labels, message in (
        (FLOATS * 255, Y, "images must be uint8, or floating"),
        (X, Y + 1, r"labels must be in 0\.\.2"),
    ):
        for form, given_data in data(images, labels).items():
            if jit and form == "PyDataset":
                continue  # XLA drops assertions
            with pytest.raises(zoo.InputError, match=message) as error:
                fit(model, given_data)
            assert "\n" not in str(error.value), form
    fine = (X, Y)
    for given_data, options, message in (
        ((X.astype("i4"), Y), {}, "not int32"),
        ((X[..., 0], Y), {}, r"of shape \[N, 4, 4, 1\]"),
        ((X, Y * 1.0), {}, "not float64"),
        ((X, Y[:3]), {}, "a label for each image"),
        ((X, Y.astype("i8") + 2**40), {}, "not 1099511627776"),
        ((X,), {}, "give it both"),
        ((X[:0], Y[:0]), {}, "there are no images"),
        (({"images": X, "labls": Y},), {}, "none named 'labls'"),
        (({"labels": Y},), {}, "needs an entry images"),
        (fine, {"validation_data": (FLOATS * 255, Y)}, "numbers from 0 to 2"),
        (fine, {"validation_data": {"images": X, "y": Y}}, "none named 'y'"),
    ):
        with pytest.raises(zoo.InputError, match=message):
            fit(model, given_data, **options)
    with pytest.raises(zoo.InputError, match="images must be"):
        model.evaluate(FLOATS - 1, Y, verbose=0)
    with pytest.raises(zoo.InputError, match="images must be"):
        model.train_on_batch(FLOATS - 1, Y)
    assert digest(checkpoints.weights_of(model)) == before


def test_weights_of_examples_act_as_in_keras():
    for name in ("classifier", "vae"):
        model = make(name, **({"dropout": 0.0} if name == "classifier" else {}))
        model.run_eagerly = True
        if name == "vae":  # no noise: the latents say nothing
            kernel = model.decoder.layers[1].kernel
            kernel.assign(tf.zeros_like(kernel))
        _, moved = losses_before_weights(model, X, Y, sample_weight=np.zeros(8))
        assert not moved
        each = [
            model.evaluate(X[i : i + 1], Y[i : i + 1], verbose=0, return_dict=True)["loss"]
            for i in range(8)
        ]
        w = RNG.random(8)
        expected = np.mean(w * each)
        for weights in (w, w[:, None].astype("f4")):
            found, moved = losses_before_weights(model, X, Y, sample_weight=weights)
            assert found["loss"] == pytest.approx(expected, rel=1e-4) and moved
        if name == "vae":  # without labels Keras would forget the weights
            for x, weights in ((X, w), ({"images": X}, w)):
                found, _ = losses_before_weights(model, x, None, sample_weight=weights)
                assert found["loss"] == pytest.approx(expected, rel=1e-4)
        found = model.evaluate(X, Y, sample_weight=w, verbose=0, return_dict=True)
        assert found["loss"] == pytest.approx(expected, rel=1e-4)
        by_class = {0: 0.5, 1: 2.0, 2: 0.0}
        of_each = np.array([by_class[y] for y in Y])
        found, _ = losses_before_weights(model, X, Y, class_weight=by_class)
        assert found["loss"] == pytest.approx(np.mean(of_each * each), rel=1e-4)
        for bad in (np.zeros(3), np.full(8, np.nan), ["a"] * 8):
            with pytest.raises(zoo.InputError, match="sample_weight"):
                model.fit(X, Y, sample_weight=bad, verbose=0)


def test_what_would_have_no_effect_is_refused(models):
    gan, classifier = models["cgan"], make("classifier")
    triples = tf.data.Dataset.from_tensor_slices((X, Y, np.ones(8, "f4"))).batch(4)
    for call in (
        lambda: gan.fit(X, Y, sample_weight=np.ones(8)),
        lambda: gan.fit(X, Y, class_weight={0: 1.0}),
        lambda: gan.evaluate(X, Y, sample_weight=np.ones(8)),
        lambda: gan.fit(triples, verbose=0),
    ):
        with pytest.raises(zoo.InputError, match="leave sample_weight and class_weight out"):
            call()
    for name in ("loss", "loss_weights", "metrics", "weighted_metrics"):
        with pytest.raises(zoo.InputError, match=f"compile takes no {name}"):
            classifier.compile("adam", **{name: ["mse"]})
        with pytest.raises(zoo.InputError, match=f"compile takes no {name}"):
            gan.compile("adam", "adam", **{name: ["mse"]})
    classifier.compile("adam")
    assert "loss" in classifier.fit(X, Y, verbose=0).history


@pytest.mark.parametrize(
    ("name", "policy"),
    [("classifier", "float32"), ("cgan", "float32")]
    + [
        pytest.param(name, policy, marks=pytest.mark.slow)
        for name, policy in (("cgan", "mixed_float16"), ("vae", "float32"), ("pixelcnn", "float32"))
    ],
)
def test_a_keras_file_a_pickle_and_a_copy_go_on_to_the_same_bits(name, policy, tmp_path):
    with precision(policy):
        model = make(name)
    model.from_noise = False
    model.fit(X, Y, batch_size=4, verbose=0)
    model.save(tmp_path / "model.keras")
    again = {
        "file": keras.saving.load_model(tmp_path / "model.keras"),
        "pickle": pickle.loads(pickle.dumps(model)),
        "copy": copy.deepcopy(model),
    }
    assert {k: state(m) for k, m in again.items()} == dict.fromkeys(again, state(model))
    for m in (model, again["file"]):
        m.fit(X, Y, batch_size=4, shuffle=False, verbose=0)
    assert state(again["file"]) == state(model)
    assert again["file"].from_noise is False if name == "cgan" else True


@pytest.mark.slow
def test_weight_files_without_seeds_still_load(tmp_path, monkeypatch):
    model, other = make("cgan", 1), make("cgan", 2)
    with monkeypatch.context() as m:
        m.setattr(type(model), "save_own_variables", keras.Model.save_own_variables)
        model.save_weights(tmp_path / "old.weights.h5")
    seed = np.asarray(other.seed_generator.state)
    other.load_weights(tmp_path / "old.weights.h5")
    np.testing.assert_array_equal(other.seed_generator.state, seed)
    for a, b in zip(model.generator.weights, other.generator.weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_keras_finds_classes_that_are_not_imported_yet(tmp_path, models, monkeypatch):
    models["cgan"].save(tmp_path / "model.keras")
    known = keras.saving.get_custom_objects()
    kept = dict(known)
    known.clear()
    try:
        with pytest.raises(TypeError, match="Could not locate"):
            keras.saving.load_model(tmp_path / "model.keras")
        registry.tell_keras()
        assert isinstance(keras.saving.load_model(tmp_path / "model.keras"), type(models["cgan"]))
    finally:
        known.update(kept)
    for location in registry.LAYERS:
        module, name = location.split(":")
        kind = getattr(importlib.import_module(module), name)
        assert keras.saving.get_registered_name(kind) == f"zoo>{name}"


LOADS = """
import sys, zoo
assert not {"keras", "tensorflow"} & set(sys.modules)
import keras
model = keras.saving.load_model(sys.argv[1])
assert model.compiled and model.discriminator_optimizer.iterations == 2
"""


@pytest.mark.slow
def test_a_fresh_process_needs_to_import_zoo_alone(tmp_path, run_python):
    model = make("cgan")
    model.fit(X, Y, batch_size=4, verbose=0)
    model.save(tmp_path / "model.keras")
    run_python(LOADS, tmp_path / "model.keras", fresh=True)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        pytest.param("projection_cgan", {"width": 4, "attention": True}, marks=pytest.mark.slow),
        ("wgan_gp", {"weight_clip": 0.1}),
    ],
)
def test_networks_alone_are_files_too(name, settings, tmp_path):
    more = {"penalty": "none", "network": "mlp", "hidden": (4,)} if name == "wgan_gp" else {}
    model = zoo.create(name, SHAPE, 3, **settings, **more)
    for network in (model.generator, model.discriminator):
        network.save(tmp_path / "network.keras")
        again = keras.saving.load_model(tmp_path / "network.keras")
        for a, b in zip(network.weights, again.weights, strict=True):
            np.testing.assert_array_equal(a, b)


def test_what_is_made_of_others_is_not_saved_or_trained(models, tmp_path):
    kind = registry.model_class("bayes_classifier")
    model = kind(p_x_given_y=models["cvae"])
    for call in (
        lambda: model.save(tmp_path / "model.keras"),
        lambda: pickle.dumps(model),
        lambda: copy.deepcopy(model),
        lambda: model.fit(X, Y),
    ):
        with pytest.raises(zoo.InputError, match="is made of trained models, and cannot be"):
            call()
    with pytest.raises(zoo.InputError, match="images must be"):
        model.classify(X.astype("f4"))


@pytest.mark.weekly
def test_what_is_made_of_others_answers_none_with_none(models):
    kind = registry.model_class("bayes_classifier")
    assert kind(p_x_given_y=models["cvae"]).classify(X[:0]).shape == (0, 3)
    kind = registry.model_class("bayes_conditional")
    chains = {"method": "mcmc", "num_burnin": 4, "num_steps": 4}
    for config in ({"num_candidates": 5}, {"num_candidates": 5, **chains}):
        parts = {"p_y_given_x": models["classifier"], "p_x": models["vae"]}
        model = kind(kind.Config(**config), **parts)
        assert model.sample(0).shape == (0, *SHAPE)
        assert model.log_prob(X[:0], Y[:0]).shape == (0,)
        for bad in (-1, 2.5):
            with pytest.raises(zoo.InputError, match="num_samples must be"):
                model.sample(bad)
        with pytest.raises(zoo.InputError, match="images must be"):
            model.log_prob(X.astype("f4"), Y)


@pytest.mark.slow
def test_an_exported_model_checks_what_it_is_given_and_holds_each_weight_once(tmp_path):
    model = zoo.create("cvae", SHAPE, 3, network="mlp", hidden=(2000,), latent_dim=2)
    model.export(tmp_path / "saved_model")
    size = (tmp_path / "saved_model/variables/variables.data-00000-of-00001").stat().st_size
    weights = 4 * sum(int(np.prod(v.shape)) for v in model.weights)
    assert weights <= size < 1.02 * weights + 4000
    loaded = tf.saved_model.load(str(tmp_path / "saved_model"))
    call = loaded.signatures
    assert set(call) == {*model.endpoints(), "serving_default"}
    x, y = tf.constant(FLOATS), tf.constant(Y)
    np.testing.assert_allclose(
        call["encode"](images=x, labels=y)["loc"], model.encode(X, Y).mean(), atol=1e-5
    )
    empty = call["sample"](labels=y[:0], seed=tf.constant(0))["images"]
    assert empty.shape == (0, *SHAPE)
    assert call["reconstruct"](images=x[:0], labels=y[:0])["images"].shape == (0, *SHAPE)
    for images, labels, message in (
        (x * 255, y, "images must be uint8, or floating point numbers in"),
        (x * np.nan, y, "images must be uint8, or floating point numbers in"),
        (x, y + 1, r"labels must be in 0\.\.2"),
        (x, y[:3], "a label for each image"),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            call["encode"](images=images, labels=labels)
    for options in ({"format": "onnx"}, {"input_signature": []}):
        with pytest.raises(zoo.InputError, match="export"):
            model.export(tmp_path / "other", **options)


def any_of(*shapes):
    """Arrays, as of `array`, of these shapes or of any."""
    return st.tuples(
        st.sampled_from(["u1", "f4", "i4", "?", "i8", "f2", "f8", "u2", "c8", "U1"]),
        st.one_of(*shapes, hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4)),
        st.sampled_from([1, 2, 0, 0.5, -1, 255, float("nan"), float("inf"), 2**40]),
        st.integers(0, 2**16),
    )


images_or_not = any_of(st.just((8, *SHAPE)), st.tuples(st.integers(0, 9), *map(st.just, SHAPE)))
labels_or_not = any_of(st.just((8,)), st.just((8, 1)))


def array(kind):
    dtype, shape, value, seed = kind
    values = np.random.default_rng(seed).random(shape) * value
    with np.errstate(all="ignore"):
        return values.astype(dtype)


def ask_whatever(models, name, first, second, number):
    """Every method gives an answer or an InputError, for whatever arrays."""
    model, x, y = models[name], array(first), array(second)
    own = (y,) if model.conditional else ()
    calls = [lambda f=f: f(x, own) for f in questions(model).values()]
    if hasattr(model, "sample"):
        calls.append(lambda: model.sample(min(number, 5) if isinstance(number, int) else number))
        calls.append(lambda: model.sample(2, seed=number))
    if hasattr(model, "generate"):
        calls.append(lambda: model.generate(x, *own).shape)  # of any latents: maybe of no numbers
    calls.append(lambda: model.fit(x, y, batch_size=8, verbose=0))
    calls.append(lambda: model.fit({"images": x, "labels": y}, batch_size=8, verbose=0))
    for call in calls:
        try:
            found = call()
        except zoo.InputError as e:
            assert "\n" not in str(e)
        else:
            if isinstance(found, tf.Tensor):
                assert np.isfinite(found.numpy()).all()


numbers = st.one_of(
    st.integers(-(2**70), 2**70), st.floats(), st.booleans(), st.none(), st.text(max_size=2)
)


EAGER = ["classifier", "vae", "cgan", "pixelcnn"]


@pytest.mark.parametrize(
    ("name", "count"),
    [
        (EAGER[0], 10),
        *(pytest.param(n, 25, marks=pytest.mark.slow) for n in EAGER),
        *(pytest.param(n, 100, marks=pytest.mark.weekly) for n in EAGER),
    ],
)
def test_whatever_is_given_there_is_an_answer_or_an_input_error(name, count):
    models = {name: make(name)}
    models[name].run_eagerly = True

    @settings(max_examples=count, deadline=None, derandomize=True)
    @given(images_or_not, labels_or_not, numbers)
    def ask(first, second, number):
        ask_whatever(models, name, first, second, number)

    ask()

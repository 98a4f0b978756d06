"""What every model that is made of other models must do."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_models import SMALL

import zoo
from zoo import registry
from zoo.hub import export

CHAINS = {"method": "mcmc", "num_burnin": 6, "num_steps": 4}
COMPOSITIONS = {  # name -> the model, the parts by their registered names, settings
    "resampled": ("bayes_conditional", ("classifier", "gmm_vae"), {"num_candidates": 20}),
    "resampled_pixels": ("bayes_conditional", ("classifier", "pixelcnn"), {"num_candidates": 4}),
    "chains": ("bayes_conditional", ("classifier", "vae"), {"num_candidates": 20, **CHAINS}),
    "chains_of_flow": ("bayes_conditional", ("classifier", "flow_vae"), CHAINS),
    "classifier": ("bayes_classifier", ("cvae",), {"bound_samples": 2}),
    "exact_classifier": ("bayes_classifier", ("pixelrnn",), {}),
}
BY_DEFAULT = {"resampled"}  # Bayes' rule the other way is slow: bayes_test.py has its truths


def tier(name):
    """Chains take longest to trace; that TensorFlow alone runs them is a test of tools_test."""
    return pytest.mark.weekly if name.startswith("chains") else pytest.mark.slow


every_composition = pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name in BY_DEFAULT else tier(name)) for name in COMPOSITIONS],
)


@pytest.fixture(scope="module")
def compositions():
    """By name, each made once: they have no weights of their own to change."""

    class Made(dict):
        def __missing__(self, name):
            model, parts, settings = COMPOSITIONS[name]
            keras.utils.set_random_seed(5)
            kind = registry.model_class(model)
            parts = [zoo.create(part, (12, 12, 1), **SMALL[part]) for part in parts]
            self[name] = kind(kind.Config(**settings), **dict(zip(kind.parts, parts, strict=True)))
            return self[name]

    return Made()


@pytest.fixture(scope="module")
def data(fashion_mnist):
    """The middles of six images, and their labels."""
    return fashion_mnist.test.images[:6, 8:20, 8:20], fashion_mnist.test.labels[:6]


def answers(model, images, labels):
    """What it says by its public methods, as arrays."""
    found = {}
    if hasattr(model, "sample"):
        found["sample"] = model.sample(6, labels, seed=3)
        found["log_prob"] = model.log_prob(images, labels, num_samples=3, seed=2)
    if hasattr(model, "classify"):
        found["classify"] = model.classify(images)
    return {k: np.asarray(v) for k, v in found.items()}


def assert_same(a, b, **tolerance):
    assert a.keys() == b.keys() and a
    for name in a:
        np.testing.assert_allclose(a[name], b[name], err_msg=name, **tolerance)


def test_no_composition_is_left_out():
    assert {model for model, _, _ in COMPOSITIONS.values()} == set(registry.COMPOSED)


@every_composition
def test_equal_seeds_give_equal_answers_and_images_of_any_number_type(name, compositions, data):
    model, (images, labels) = compositions[name], data
    expected = answers(model, images, labels)
    assert_same(expected, answers(model, images, labels), rtol=0, atol=0)
    for same in (images / np.float64(255), images / np.float32(255)):
        assert_same(expected, answers(model, same, labels), rtol=1e-5, atol=1e-5)
    assert all(np.isfinite(v).all() for v in expected.values())
    if "sample" in expected:
        assert expected["sample"].shape == images.shape
        assert expected["log_prob"].shape == labels.shape
        assert np.abs(model.sample(6, labels, seed=4) - expected["sample"]).max() > 1e-3


@every_composition
def test_export_answers_the_same(name, compositions, data, tmp_path):
    model, (images, labels) = compositions[name], data
    export.saved_model(model, tmp_path / "saved_model")
    call = tf.saved_model.load(str(tmp_path / "saved_model")).signatures
    assert set(call) == {*model.endpoints(), "serving_default"}
    images_in, labels_in = tf.constant(images / np.float32(255)), tf.constant(labels)
    exported = {}
    if "sample" in call:
        exported["sample"] = call["sample"](seed=tf.constant(3), labels=labels_in)["images"]
        exported["log_prob"] = call["log_prob"](
            images=images_in, num_samples=tf.constant(3), seed=tf.constant(2), labels=labels_in
        )["log_prob"]
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"labels must be in 0\.\.9"):
            call["sample"](seed=tf.constant(3), labels=tf.constant([10]))
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"labels must be in 0\.\.9"):
            call["log_prob"](
                images=images_in[:1],
                num_samples=tf.constant(1),
                seed=tf.constant(2),
                labels=tf.constant([10]),
            )
    if "classify" in call:
        exported["classify"] = call["classify"](images=images_in)["probabilities"]
    exported = {k: v.numpy() for k, v in exported.items()}
    # in float32 a difference of two log-likelihoods of some 4,000 nats is known to 1e-3 of a nat
    atol = 3e-4 if "classify" in call else 1e-5
    assert_same(answers(model, images, labels), exported, rtol=1e-5, atol=atol)


@every_composition
def test_labels_that_cannot_be_are_refused(name, compositions, data):
    model, images = compositions[name], data[0][:2]
    if not model.conditional:
        assert not hasattr(model, "sample")
        return
    for call in (lambda y: model.sample(2, y, seed=0), lambda y: model.log_prob(images, y)):
        with pytest.raises(zoo.InputError, match=r"labels must be in 0\.\.9"):
            call([3, 10])
    with pytest.raises(zoo.InputError, match="2 samples need as many labels, not 3"):
        model.sample(2, [1, 2, 3])
    with pytest.raises(zoo.InputError, match="give it labels"):
        model.log_prob(images)

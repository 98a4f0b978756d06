"""Figures of images and of models: each where it is known, and what cannot be measured."""

import dataclasses
import functools
import types

import keras
import numpy as np
import pytest

import zoo
from zoo.data import Split
from zoo.evaluation import distances, evaluate, features, records
from zoo.evaluation.left_out import LeftOut
from zoo.evaluation.metrics import (
    cas,
    class_fidelity,
    inception_score,
    likelihood,
    nearest_training_image,
    parzen_window,
    reconstruction,
    sampling,
    sharpness,
)


@pytest.fixture(scope="module")
def classifier():
    return zoo.load("classifier")


@pytest.fixture(scope="module")
def net(classifier):
    return features.of_classifier(classifier, "classifier", "ab")


@pytest.fixture(scope="module")
def split(fashion_mnist):
    return functools.partial(getattr, fashion_mnist)


def test_sharpness_in_closed_form():
    flat = np.full((1, 8, 8, 1), 130, np.uint8)
    board = (np.indices((10, 10)).sum(0) % 2 * 255).astype(np.uint8)[None, ..., None]
    # on a chessboard of 0 and 1 the Laplacian is 4 or -4, as often
    np.testing.assert_allclose(sharpness.sharpness(np.concatenate([board])), 16.0, rtol=1e-6)
    assert sharpness.sharpness(flat) == 0


def test_sharpness_falls_with_blur_and_rises_with_noise(fashion_mnist):
    images = fashion_mnist.test.images[:100].astype(float)
    found = [sharpness.sharpness(images.astype(np.uint8)).mean()]
    for _ in range(3):
        images = (images + np.roll(images, 1, 1) + np.roll(images, 1, 2)) / 3
        found.append(sharpness.sharpness(images.astype(np.uint8)).mean())
    assert (np.diff(found) < 0).all()
    noise = np.random.default_rng(0).normal(0, 40, images.shape)
    noisy = np.clip(fashion_mnist.test.images[:100] + noise, 0, 255).astype(np.uint8)
    assert sharpness.sharpness(noisy).mean() > found[0]


def test_copies_of_training_images_are_at_distance_zero_and_others_where_they_are():
    train = np.random.default_rng(0).integers(0, 200, (50, 4, 4, 1)).astype(np.uint8)
    copies = nearest_training_image.nearest_training_images(
        distances.nearest_images(train[7:20], train)[1]
    )
    assert copies["mean"] == pytest.approx(0, abs=1e-3) and max(copies["quantiles"]) < 1e-3
    moved = nearest_training_image.nearest_training_images(
        distances.nearest_images(train[7:20] + np.uint8(51), train[7:20])[1]
    )
    nearer = ((train[7:20, None] + 51.0 - train[None, 7:20]) ** 2).sum((2, 3, 4)).min(1) ** 0.5
    assert moved["mean"] == pytest.approx((nearer / 255).mean(), rel=1e-5)
    assert moved["quantiles"] == sorted(moved["quantiles"])


def test_parzen_window_prefers_images_of_the_kind(fashion_mnist):
    train, test = fashion_mnist.train.images, fashion_mnist.test.images
    noise = np.random.default_rng(0).integers(0, 256, (500, 28, 28, 1)).astype(np.uint8)
    validation = fashion_mnist.validation.images[:200]
    good = parzen_window.parzen_window(train[:500], validation, test[:100])
    bad = parzen_window.parzen_window(noise, validation, test[:100])
    assert good["mean"] > bad["mean"] + 100
    assert good["sigma"] < bad["sigma"]


def test_parzen_window_has_its_width_of_the_validation_images():
    rng = np.random.default_rng(0)

    def images(scale):
        return np.clip(128 + scale * rng.normal(size=(300, 2, 2, 1)), 0, 255).astype(np.uint8)

    made = np.full((50, 2, 2, 1), 128, np.uint8)
    validation, real = images(70), images(20)
    found = parzen_window.parzen_window(made, validation, real)
    # of candidates that grow by 29% each; of the real images it would be 0.1
    assert found["sigma"] == pytest.approx(validation.std() / 255, rel=0.15)


def test_what_the_classifier_sees_gets_worse_with_noise_and_with_dropped_classes(
    net, fashion_mnist
):
    rng = np.random.default_rng(0)
    real = fashion_mnist.test.first(1000)
    noise = rng.normal(size=real.images.shape)
    found = []
    for damage in range(4):
        p = net.see([np.clip(real.images / 255 + 0.25 * damage * noise, 0, 1)])[1]
        score = inception_score.inception_score(p)["mean"]
        found.append(
            (score, class_fidelity.class_fidelity(p, real.labels)["class_fidelity"]["mean"])
        )
    assert (np.diff(np.array(found), axis=0) < 0).all(), found
    p = net.see([real.images / 255])[1]
    scores = [
        inception_score.inception_score(p[real.labels < 10 - 3 * d])["mean"] for d in range(4)
    ]
    assert (np.diff(scores) < 0).all(), scores


def small(name, **settings):
    keras.utils.set_random_seed(3)
    return zoo.create(name, (12, 12, 1), **settings)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("vae", {"network": "mlp", "hidden": (8,), "likelihood": "bernoulli"}),
        ("cvae", {"network": "mlp", "hidden": (8,)}),
        ("pixelcnn", {"width": 4, "num_layers": 1, "levels": 16}),
        ("pixelcnn", {"width": 4, "num_layers": 1, "output": "bernoulli", "conditional": True}),
    ],
)
def test_likelihood_is_what_the_model_says_of_each_image(name, settings, fashion_mnist):
    model = small(name, **settings)
    images = fashion_mnist.test.images[:700, 8:20, 8:20]
    if model.binary:
        images = np.where(images > 127, 255, 0).astype(np.uint8)
    split = Split(images, fashion_mnist.test.labels[:700])
    found = likelihood.likelihood(model, split, 20, seed=4)
    known = split.labels if model.conditional else None
    assert found["num_images"] == 700 and found["given"] == (
        "labels" if known is not None else None
    )
    assert found["levels"] == (2 if model.binary else settings.get("levels", 256))
    expected = np.asarray(model.log_prob(images, known, num_samples=20, seed=9))
    nats = found["log_prob_nats" if model.exact else "iwae_bound_nats"]
    bits = found["bits_per_dim" if model.exact else "iwae_bound_bits_per_dim"]
    # exact, or a bound by other draws
    assert nats["mean"] == pytest.approx(expected.mean(), rel=1e-6 if model.exact else 2e-3)
    error = expected.std(ddof=1) / 700**0.5
    assert nats["standard_error"] == pytest.approx(error, rel=1e-4 if model.exact else 0.05)
    assert bits["mean"] == pytest.approx(-nats["mean"] / (144 * np.log(2)), rel=1e-6)
    if model.exact:
        assert found["num_samples"] is None and "elbo_nats" not in found
        return
    elbo, reconstruction, kl = (
        found[f"{of}_nats"]["mean"] for of in ("elbo", "reconstruction", "kl")
    )
    assert found["num_samples"] == 20
    assert elbo == pytest.approx(reconstruction - kl, rel=1e-5)
    assert elbo < nats["mean"]  # Jensen


@pytest.mark.slow
def test_a_classifier_learns_from_images_with_their_labels_and_not_from_mixed_up_ones(
    fashion_mnist,
):
    train, test = fashion_mnist.train, fashion_mnist.test
    real = Split(test.images[:1000], test.labels[:1000])

    def score(labels, seed=0):
        made = Split(train.images[:2000], labels)
        return cas.score(lambda: zoo.create("classifier", width=8), made, real, seed)

    found = score(train.labels[:2000])
    assert found["mean"] > 0.65
    assert found == score(train.labels[:2000])  # the seed decides
    mixed = np.random.default_rng(0).permutation(train.labels[:2000])
    assert score(mixed)["mean"] < 0.4


def test_what_a_sampler_says_is_averaged_over_batches():
    nan = float("nan")
    first = {"acceptance": np.float32(0.5), "r_hat": np.array([1.0, 3.0, nan])}
    other = {"acceptance": np.float32(0.7), "r_hat": np.array([2.0, nan, nan])}
    found = sampling.of_sampler([first, other])
    assert found["acceptance"]["mean"] == pytest.approx(0.6)
    means = [of and of["mean"] for of in found["r_hat_per_class"]]
    assert means == [1.5, 3.0, None]  # no chains of the last class
    assert sampling.of_sampler([{}, {}]) == {}


class Sampler:
    """Draws gray images, and says of each class how sure it is."""

    name, conditional, num_classes, can = "sampler", True, 3, frozenset({"sample", "draw"})

    def draw(self, num_samples, labels, seed):
        images = np.full((num_samples, 8, 8, 1), 0.5, np.float32)
        size = np.array([100.0, 50.0, np.nan]) + seed[1]
        return types.SimpleNamespace(images=images, diagnostics={"effective_sample_size": size})


def test_what_a_sampler_says_of_itself_is_in_the_record():
    images = np.random.default_rng(0).integers(0, 256, (1000, 8, 8, 1), np.uint8)
    split = Split(images, np.arange(1000) % 3)
    left_out = LeftOut()
    found = evaluate.samples(Sampler(), None, lambda name: split, "test", 1000, 7, left_out)
    of_classes = found["model"]["effective_sample_size_per_class"]
    assert [of and of["mean"] for of in of_classes] == [351, 301, None]


@pytest.mark.parametrize(("asked", "calls"), [({}, 3), ({"num_steps": 10, "guidance": 2.0}, 38)])
def test_samples_of_steps_are_measured_as_asked_and_their_network_calls_are_counted(asked, calls):
    model = zoo.create("flow_matching", (8, 8, 1), 3, width=4, num_steps=2, guidance=1.0)
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1), np.uint8)
    split, drawn = Split(images, np.arange(20) % 3), []

    def sample(*args, **options):
        drawn.append({name: value for name, value in options.items() if name != "seed"})
        return images / np.float32(255)

    model.sample = sample
    found = evaluate.samples(
        model, None, lambda name: split, "test", 20, 0, LeftOut(), sampler=asked
    )
    assert drawn == [asked]
    assert found["model"]["network_calls"] == {"mean": calls, "standard_error": None}
    assert "network_calls" not in found["floor"]


def test_of_a_prior_in_any_order_the_bound_is_a_mean_over_draws_and_calls_are_counted():
    small = {"codebook_size": 4, "code_dim": 2, "width": 2, "num_blocks": 0, "transformer_width": 4}
    model = zoo.create("vqvae", (8, 8, 1), prior="maskgit", num_steps=3, **small)
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1), np.uint8)
    split = Split(images, np.arange(20) % 3)
    found = likelihood.likelihood(model, split, 5000, 0)
    assert found["num_samples"] == 16 and "iwae_bound_nats" not in found
    terms = [found[name]["mean"] for name in ("elbo_nats", "reconstruction_nats", "kl_nats")]
    assert terms[0] == pytest.approx(terms[1] - terms[2], rel=1e-5)
    known = model.log_prob(images, num_samples=16, seed=np.array([0, 1])).numpy()
    assert terms[0] == pytest.approx(known.mean(), rel=1e-5)
    for asked, calls in (({}, 3), ({"num_steps": 2}, 2)):
        samples = evaluate.samples(
            model, None, lambda name: split, "test", 20, 0, LeftOut(), sampler=asked
        )
        assert samples["model"]["network_calls"]["mean"] == calls


def test_class_fidelity_of_a_perfect_and_of_a_blind_judge():
    labels = np.arange(700) % 10
    perfect = class_fidelity.class_fidelity(np.eye(10)[labels], labels)
    assert perfect["class_fidelity"]["mean"] == 1
    assert perfect["class_fidelity_per_class"][3] == {"mean": 1.0, "standard_error": 0.0}
    blind = class_fidelity.class_fidelity(np.eye(10)[np.zeros(700, int)], labels)
    means = [of_class["mean"] for of_class in blind["class_fidelity_per_class"]]
    assert means == [1.0] + [0.0] * 9
    one = class_fidelity.class_fidelity(np.eye(3)[[1, 1]], np.array([1, 1]))
    assert [v and v["mean"] for v in one["class_fidelity_per_class"]] == [None, 1.0, None]


def test_classes_are_asked_for_as_often_as_real_images_have_them():
    model = zoo.create("cgan", (12, 12, 1), 3, network="mlp", hidden=(4,))
    real = np.repeat([0, 1, 2], [600, 300, 100])
    asked_for = features.labels_as_often(model, real)
    np.testing.assert_array_equal(np.bincount(asked_for), [600, 300, 100])
    for part in asked_for.reshape(10, 100):  # batches are alike
        assert np.abs(np.bincount(part, minlength=3) - [60, 30, 10]).max() <= 1
    even = features.labels_as_often(model, np.repeat([0, 1, 2], 5))
    np.testing.assert_array_equal(even, features.labels_in_turn(model, 15))
    np.testing.assert_array_equal(features.labels_as_often(model, np.array([2, 0])), [0, 2])
    assert features.labels_as_often(zoo.create("gan", hidden=(4,)), real) is None


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.01, 1.01])
def test_what_is_no_image_becomes_none(value):
    images = np.full((2, 4, 4, 1), 0.5, np.float32)
    np.testing.assert_array_equal(features.in_bytes(images), 128)
    images[1, 2, 3] = value
    with pytest.raises(zoo.InputError, match=r"samples are not numbers in \[0, 1\]"):
        features.in_bytes(images)


def test_sample_metrics_of_a_model_that_copies_its_data(fashion_mnist, net):
    class Copier:
        """Draws training images of the classes asked for, and so is its own floor."""

        name, image_shape, num_classes, conditional = "copier", (28, 28, 1), 10, True
        binary, can = False, frozenset({"sample"})

        def __init__(self, known):
            self.images = [known.images[known.labels == k] for k in range(10)]

        def sample(self, count, labels, seed):
            rng = np.random.default_rng(seed)
            chosen = [self.images[y][rng.integers(len(self.images[y]))] for y in labels]
            return np.stack(chosen) / np.float32(255)

    few = {"train": fashion_mnist.train.first(1200), "test": fashion_mnist.test.first(2000)}
    figures = evaluate.evaluate(Copier(few["train"]), few.get, num_images=400, net=net)
    found = figures["samples"]
    model, floor = found["model"], found["floor"]
    assert found["num_images"] == 400
    for name in ("fid", "kid", "precision", "recall", "density", "coverage", "inception_score"):
        error = np.hypot(model[name]["standard_error"], floor[name]["standard_error"])
        assert abs(model[name]["mean"] - floor[name]["mean"]) < 5 * error, name
    assert "fid_per_class" not in model | floor  # of forty images a class
    said = "10 of 10 classes have too few images for 256 features (257 at least)"
    assert figures["left_out"] == {"fid_per_class": said}
    assert "fid" in records.table({"copier": {"samples": found}})
    # a net that does not classify, as Inception's features, leaves out what needs classes
    blind = dataclasses.replace(net, probabilities=None)
    by_features = evaluate.evaluate(Copier(few["train"]), few.get, num_images=400, net=blind)[
        "samples"
    ]["model"]
    assert by_features["fid"] == model["fid"] and by_features["kid"] == model["kid"]
    assert not {"inception_score", "class_fidelity"} & set(by_features)
    # a copy is at no distance from what it copies; test images are at some
    assert model["nearest_training_distance"]["mean"] < 1e-6
    assert floor["nearest_training_distance"]["mean"] > 1
    assert model["samples_per_second"]["mean"] > 0


@pytest.mark.parametrize("shift", [0, 1])
def test_reconstructions_that_are_the_images_or_those_of_others(fashion_mnist, net, shift):
    class Copies:
        name, num_classes, conditional = "copies", 10, False

        def reconstruct(self, images):
            return np.roll(images, shift, axis=0) / np.float32(255)

    real = fashion_mnist.test.first(300)
    found = {
        k: v["mean"]
        for k, v in reconstruction.reconstruction(Copies(), net, real).items()
        if k != "num_images"
    }
    x = real.images.reshape(300, -1) / 255.0
    apart = np.linalg.norm(x - np.roll(x, 1, 0), axis=1).mean()
    expected = (0, apart) if shift == 0 else (apart, 0)
    distances = [found[f"distance_to_{which}_reconstruction"] for which in ("own", "next")]
    np.testing.assert_allclose(distances, expected, rtol=1e-5, atol=1e-5)
    seen = np.argmax(net.see([real.images])[1], -1)
    assert found["class_seen_in_image"] == pytest.approx((seen == real.labels).mean())
    kept = np.roll(seen, shift) == real.labels
    assert found["class_seen_in_reconstruction"] == pytest.approx(kept.mean())


def test_images_of_one_class_leave_out_what_tells_classes_apart(fashion_mnist):
    def one_class(name):
        images = getattr(fashion_mnist, name).images[:20]
        return Split(images, np.zeros(20, np.int32))

    vae = zoo.create("vae", network="mlp", hidden=(4,), latent_dim=2)
    found = evaluate.evaluate(vae, one_class, num_samples=2)
    assert "representation" not in found
    assert "of one class" in found["left_out"]["representation"]


def test_what_a_net_cannot_see(net):
    vae = zoo.create("vae", network="mlp", hidden=(4,))
    with pytest.raises(zoo.InputError, match="is no classifier"):
        features.of_classifier(vae, "vae", "ab")
    with pytest.raises(zoo.InputError, match="sees images of shape"):
        net.see([np.zeros((2, 32, 32, 1), np.float32)])
    with pytest.raises(zoo.InputError, match=r"numbers in \[0, 1\]"):
        net.see([np.full((2, 28, 28, 1), 1.5, np.float32)])


def test_accuracy_is_the_share_of_hits(classifier, fashion_mnist, split):
    figures = evaluate.evaluate(classifier, split, num_images=600)["classification"]
    real = fashion_mnist.test.subset(600)
    hits = classifier.classify(real.images).numpy().argmax(1) == real.labels
    assert figures["accuracy"]["mean"] == pytest.approx(hits.mean())


def test_evaluation_leaves_the_random_state_as_it_was(fashion_mnist, net):
    model = zoo.create("vae", network="mlp", hidden=(4,), latent_dim=2, seed=3)
    model.next_seed()
    before = [v.numpy() for v in model.variables]
    evaluate.evaluate(model, lambda _: fashion_mnist.test.first(20), net=net, seed=7)
    for old, new in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(old, new, err_msg=new.path)
    assert model.seed == 3

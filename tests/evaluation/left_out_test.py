"""A figure that cannot be had is left out with its reason, and costs no other."""

import copy
import json

import keras
import numpy as np
import pytest

import zoo
from zoo.data import Split
from zoo.evaluation import evaluate as evaluation
from zoo.evaluation import features, records
from zoo.evaluation.left_out import LeftOut, unless_measured

SHAPE, WIDTH = (8, 8, 1), 8  # of images, and how many features the net has
NEEDS_NET = {*("fid", "kid", "precision", "recall", "density", "coverage"), "inception_score"}
NEEDS_NONE = {"copies", "sharpness", "nearest_training_distance", "distinct", "samples_per_second"}


def split_of(count, num_classes=3, seed=0):
    rng = np.random.default_rng([seed, count])
    images = rng.integers(0, 256, (count, *SHAPE)).astype(np.uint8)
    return Split(images, (np.arange(count) % num_classes).astype(np.int32))


def splits(test=60, train=200, validation=40, num_classes=3):
    sizes = {"test": test, "train": train, "validation": validation}
    found = {
        name: split_of(count, num_classes, seed=i) for i, (name, count) in enumerate(sizes.items())
    }
    return found.get


def net(num_classes=3, shape=SHAPE, classifies=True):
    weights = np.random.default_rng(1).normal(size=(int(np.prod(shape)), WIDTH + num_classes))

    def seen(x):
        return x.reshape(len(x), -1) @ weights

    def probabilities(x):
        e = np.exp(seen(x)[:, WIDTH:] / 8)
        return e / e.sum(-1, keepdims=True)

    return features.FeatureNet(
        "judge",
        "ab",
        "none",
        shape,
        lambda x: seen(x)[:, :WIDTH],
        probabilities if classifies else None,
    )


class Draws:
    """Draws noise, and can do no more."""

    name, image_shape, binary, can = "draws", SHAPE, False, frozenset({"sample"})

    def __init__(self, num_classes=3, conditional=False, value=None):
        self.num_classes, self.conditional, self.value = num_classes, conditional, value

    def sample(self, count, labels, seed):
        drawn = np.random.default_rng(seed).random((count, *SHAPE), np.float32)
        return drawn if self.value is None else np.full_like(drawn, self.value)


class Scores(Draws):
    """Has an exact likelihood too."""

    exact, tracked, config, can = True, (), None, Draws.can | {"log_prob"}
    averaged, validated, most_draws, num_measured = False, (), 0, 0

    def __init__(self, log_p=None, **kwargs):
        super().__init__(**kwargs)
        self.log_p = log_p
        self.seed_generator = keras.random.SeedGenerator(0)

    def log_prob(self, x, y, num_samples, seed):
        if self.log_p is None:
            raise RuntimeError("cannot be computed")
        return 0 * x[:, 0, 0, 0] + self.log_p

    def bits_per_dim(self, nats):
        return -nats


class Codes(Draws):
    """Has codes and reconstructions too."""

    latent_dim, can = 2, Draws.can | {"encode", "reconstruct"}

    def __init__(self, code, **kwargs):
        super().__init__(**kwargs)
        self.code = np.float32(code)

    def encode(self, x):
        codes = x.reshape(len(x), -1)[:, :2] + self.code
        return type("Code", (), {"mean": lambda self: codes})()

    def reconstruct(self, x):
        return np.full(x.shape, self.code, np.float32)


def evaluate(model, split=None, **options):
    options = {"net": net(model.num_classes), **options}
    return evaluation.evaluate(model, split or splits(num_classes=model.num_classes), **options)


def test_whatever_can_be_measured_is_and_nothing_is_left_out():
    found = evaluate(Draws(conditional=True), asked_for=("parzen_nats",))
    expected = NEEDS_NET | NEEDS_NONE | {"parzen_nats"}
    expected |= {"class_fidelity", "class_fidelity_per_class", "fid_per_class"}
    assert set(found) == {"samples"} and set(found["samples"]["model"]) == expected
    assert set(found["samples"]["floor"]) == expected - {"samples_per_second"}


@pytest.mark.parametrize(
    ("images", "lost", "said"),
    [
        (8, {"fid"}, r"8 images are too few for 8 features (9 at least)"),
        (8, {"kid"}, "8 images are too few (20 at least)"),
        (8, {"precision", "recall", "density", "coverage"}, "8 images are too few (12 at least)"),
        (1, {"fid"}, "1 image is too few (2 at least)"),
        (1, {"distinct"}, "1 image is too few (2 at least)"),
        (30, set(), None),
    ],
)
def test_figures_of_few_images(images, lost, said):
    found = evaluate(Draws(), splits(test=images))
    left_out = found.get("left_out", {})
    assert lost <= set(left_out) and {left_out[name] for name in lost} == (
        {said} if lost else set()
    )
    own, floor = found["samples"]["model"], found["samples"]["floor"]
    for side in (own, floor):
        assert not set(side) & set(left_out)
        assert set(side) | set(left_out) >= (NEEDS_NET | NEEDS_NONE) - {"samples_per_second"}
        assert {"sharpness", "nearest_training_distance", "inception_score"} <= set(side)
    if images == 1:
        for name in ("sharpness", "inception_score", "nearest_training_distance"):
            assert own[name]["standard_error"] is None, name
    json.loads(json.dumps(found), parse_constant=pytest.fail)  # no NaN, no infinity


@pytest.mark.parametrize("conditional", [False, True])
def test_more_classes_than_images(conditional):
    model = Draws(num_classes=300, conditional=conditional)
    found = evaluate(model, splits(test=60, num_classes=300))
    left_out = found.get("left_out", {})
    assert found["samples"]["num_images"] == 60
    assert NEEDS_NET | NEEDS_NONE <= set(found["samples"]["model"])
    if conditional:
        assert left_out == {
            "fid_per_class": "300 of 300 classes have too few images for 8 features (9 at least)"
        }
        assert "class_fidelity" in found["samples"]["model"]
    else:
        assert not left_out


def test_a_class_with_too_few_images_leaves_the_fid_of_others():
    every = splits(test=60, train=200, num_classes=3)
    split = {name: every(name) for name in ("train", "validation", "test")}
    labels = np.where(np.arange(60) < 4, 2, np.arange(60) % 2).astype(np.int32)
    split["test"] = Split(split["test"].images, labels)
    found = evaluate(Draws(conditional=True), split.get)
    per_class = found["samples"]["model"]["fid_per_class"]
    assert [value is not None for value in per_class] == [True, True, False]
    said = "1 of 3 classes have too few images for 8 features (9 at least)"
    assert found["left_out"] == {"fid_per_class": said}


def test_a_judge_that_does_not_fit():
    found = evaluate(Draws(conditional=True), net=net(classifies=False))
    assert found["left_out"] == dict.fromkeys(
        ("inception_score", "class_fidelity"), "judge does not classify"
    )
    found = evaluate(Draws(conditional=True), net=net(num_classes=7))
    assert found["left_out"] == {"class_fidelity": "judge knows other classes than draws"}
    assert NEEDS_NET <= set(found["samples"]["model"])
    found = evaluate(Draws(), net=net(shape=(4, 4, 1)))
    assert set(found["left_out"]) == NEEDS_NET and "of shape (4, 4, 1)" in found["left_out"]["fid"]
    assert set(found["samples"]["model"]) == NEEDS_NONE
    found = evaluate(Draws(), net=None, no_net="none is named", asked_for=("parzen_nats",))
    assert found["left_out"] == dict.fromkeys(NEEDS_NET, "none is named")
    assert set(found["samples"]["model"]) == NEEDS_NONE | {"parzen_nats"}


@pytest.mark.parametrize(
    ("held_out", "sizes"),
    [("test", {"validation": 0}), ("validation", {"validation": 40, "train": 40})],
)
def test_a_parzen_window_without_images_to_choose_it_by(held_out, sizes):
    found = evaluate(Draws(), splits(**sizes), held_out=held_out, asked_for=("parzen_nats",))
    assert set(found["left_out"]) == {"parzen_nats"}
    assert "no images are left to choose" in found["left_out"]["parzen_nats"]


def test_a_part_that_fails_costs_no_other():
    found = evaluate(Scores(log_p=-3.0))
    assert set(found) == {"likelihood", "samples"}
    nats = found["likelihood"]["log_prob_nats"]
    assert (nats["mean"], nats["standard_error"]) == (-3.0, 0.0)
    found = evaluate(Scores())
    assert set(found) == {"samples", "left_out"}
    assert found["left_out"] == {"likelihood": "RuntimeError: cannot be computed"}
    for lost in (np.nan, -np.inf):
        found = evaluate(Scores(log_p=lost))
        assert set(found) == {"samples", "left_out"}
        said = "60 of 60 values are not finite"
        assert found["left_out"] == {"log_prob_nats": said, "bits_per_dim": said}
    found = evaluate(Scores(log_p=-3.0, value=np.nan))  # samples that are no images
    assert set(found) == {"likelihood", "left_out"} and set(found["left_out"]) == {"samples"}
    assert "not numbers in [0, 1]" in found["left_out"]["samples"]


def test_a_probe_that_fails_costs_no_other():
    found = evaluate(Codes(0.5), splits(train=30))
    assert set(found) == {"samples", "reconstruction", "representation"}
    found = evaluate(Codes(np.nan), splits(train=30))
    assert set(found["left_out"]) == {"reconstruction", "probe_of_latent_means"}
    assert {"probe_of_pixels", "probe_of_principal_components"} <= set(found["representation"])


def test_images_without_labels():
    found = evaluate(Codes(0.5, num_classes=0), splits(num_classes=1), net=None)
    assert set(found) == {"samples", "reconstruction", "left_out"}
    assert "without labels" in found["left_out"]["representation"]
    assert set(found["reconstruction"]) == {
        "num_images",
        "distance_to_own_reconstruction",
        "distance_to_next_reconstruction",
    }


def test_an_error_only_where_nothing_could_be_measured():
    with pytest.raises(zoo.InputError, match=r"nothing of draws .* not numbers in \[0, 1\]$"):
        evaluate(Draws(value=np.nan))
    with pytest.raises(zoo.InputError, match="there are no validation images"):
        evaluate(Draws(), splits(validation=0), held_out="validation")


def test_a_diverged_classifier_has_no_accuracy():
    class Says(Draws):
        can = frozenset({"classify"})

        def classify(self, images):
            return np.full((len(images), 3), np.nan)

    with pytest.raises(zoo.InputError, match="probabilities are not finite"):
        evaluate(Says())


def test_the_first_reason_is_kept_and_without_a_list_an_error_is_one():
    left_out = LeftOut()
    left_out.add("one", "a", "b")
    with left_out.unless_measured("b", "c"):
        raise zoo.InputError("other")
    assert left_out == {"a": "one", "b": "one", "c": "other"}
    with pytest.raises(KeyboardInterrupt), left_out.unless_measured("d"):
        raise KeyboardInterrupt
    with pytest.raises(zoo.InputError), unless_measured(None, "d"):
        raise zoo.InputError("other")


def record(figures):
    return {
        **{"dataset": "own", "dataset_digest": "cd", "split": "test", "seed": 0},
        **{"binarization": "none", "config": {}, "weights_sha256": "ef", "machine": {"cores": 1}},
        **{"command": "x", "seconds": 1.0, "peak_memory_gb": 1.0, "features": None},
        "protocols": evaluation.protocols(figures, None, 0),
        "figures": figures,
    }


def test_records_with_figures_left_out_are_read_shown_and_compared(tmp_path):
    path = tmp_path / "x.json"
    few = record(evaluate(Draws(conditional=True), splits(test=8)))
    path.write_text(json.dumps(few))
    assert records.read_record(path) == few
    lines = records.not_measured(few["figures"])
    assert "not measured: FID: 8 images are too few for 8 features (9 at least)" in lines
    assert any(
        line.startswith("not measured: precision, recall, density, coverage: 8") for line in lines
    )
    whole = record(evaluate(Draws(), splits(test=8), net=None))
    whole["figures"]["samples"]["model"]["fid"] = {"mean": 1.0, "standard_error": None}
    shown = records.side_by_side({"few": few, "whole": whole})
    rows = {line.split("  ")[0]: line.split() for line in shown.splitlines()}
    assert rows["fid"] == ["fid", "1.0000"] and "classifier_score" in rows
    assert "few: not measured: FID: 8 images are too few for 8 features (9 at least)" in shown
    other = copy.deepcopy(whole)
    other["features"] = {"name": "a net", "sha256": "ab", "resize": "none"}
    assert records.differences(whole, other) == ""  # what both have needs no net
    for net, of in (("ab", whole), ("cd", other)):
        of["protocols"]["fid"] = {"features": net}
    assert records.differences(whole, other) == "fid: features ab or cd"

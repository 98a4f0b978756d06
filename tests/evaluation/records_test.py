"""Records are compared only where their protocols agree."""

import copy
import json

import pytest

from zoo.errors import InputError
from zoo.evaluation import records


def value(mean, error=0.01):
    return {"mean": mean, "standard_error": error}


RECORD = {
    "dataset": "fashion_mnist",
    "dataset_digest": "cbc1",
    "split": "test",
    "seed": 0,
    "binarization": "none",
    "config": {"latent_dim": 3},
    "weights_sha256": "ef",
    "machine": {"cpu": "one", "cores": 2},
    "command": "python scripts/evaluate.py",
    "seconds": 1.0,
    "peak_memory_gb": 1.0,
    "features": {"name": "one", "sha256": "ab", "resize": "none"},
    "protocols": {"fid": {"num_images": 100, "features": "ab"}, "kid": {"parts": 10}},
    "figures": {
        "samples": {
            "num_images": 100,
            "num_train": 900,
            "observation": "mean",
            "model": {"fid": value(10.0), "fid_per_class": [1.0]},
            "floor": {"fid": value(0.3)},
        },
        "likelihood": {
            "num_images": 100,
            "num_samples": 5,
            "p_x_given_z": "gaussian",
            "levels": 256,
            "elbo_nats": value(-90.0),
        },
    },
}


def changed(*path, to):
    record = copy.deepcopy(RECORD)
    *way, last = path
    inner = record
    for key in way:
        inner = inner[key]
    inner[last] = to
    return record


@pytest.mark.parametrize(
    ("path", "to", "said"),
    [
        (["dataset_digest"], "0000", "dataset_digest: cbc1 or 0000"),
        (["split"], "validation", "split: test or validation"),
        (["binarization"], "static", "binarization: none or static"),
    ],
)
def test_records_of_other_images_are_refused_and_it_says_in_what(path, to, said):
    other = changed(*path, to=to)
    assert records.differences(RECORD, other) == said
    with pytest.raises(InputError, match=f"a and b were not measured alike: {said}"):
        records.side_by_side({"a": RECORD, "b": other})


OF_SAMPLES = ("figures", "samples")
OF_LIKELIHOOD = ("figures", "likelihood")


@pytest.mark.parametrize(
    ("path", "to", "said", "kept"),
    [
        (("protocols", "fid", "features"), "cd", "fid: features ab or cd", "elbo_nats"),
        (("protocols", "fid", "num_images"), 50, "fid: num_images 100 or 50", "elbo_nats"),
        ((*OF_SAMPLES, "observation"), "x", "samples: observation mean or x", "elbo_nats"),
        ((*OF_LIKELIHOOD, "num_samples"), 1, "likelihood: num_samples 5 or 1", "fid"),
        ((*OF_LIKELIHOOD, "given"), "labels", "likelihood: given None or labels", "fid"),
        ((*OF_LIKELIHOOD, "levels"), 2, "likelihood: levels 256 or 2", "fid"),
        (
            (*OF_LIKELIHOOD, "p_x_given_z"),
            "quantized_gaussian",
            "likelihood: pixels a density or masses of levels",
            "fid",
        ),
    ],
)
def test_figures_compare_one_by_one(path, to, said, kept):
    other = changed(*path, to=to)
    assert records.differences(RECORD, other) == said
    shown = records.side_by_side({"a": RECORD, "b": other})
    heads = {line.split("  ")[0] for line in shown.splitlines()[1:]}
    assert kept in heads and len(heads & {"fid", "elbo_nats"}) == 1
    assert f"not compared: {said}" in shown.replace("FID:", "fid:")
    for record in (one := copy.deepcopy(RECORD), other):
        of = "likelihood" if kept == "elbo_nats" else "samples"
        del record["figures"][of]
    with pytest.raises(InputError, match="were not measured alike: "):
        records.side_by_side({"a": one, "b": other})


def test_a_new_metric_leaves_records_of_before_comparable():
    new = changed("protocols", "new", to={"anything": 1})
    new["figures"]["samples"]["model"]["new"] = value(3.0)
    assert records.differences(RECORD, new) == ""
    assert "new" in records.side_by_side({"a": RECORD, "b": new})


def test_records_of_version_0_1_compare_with_one_another(tmp_path):
    flat = {"feature_net": "one", "sha256": "ab", "resize": "none", "neighbors": 5}
    old = {k: v for k, v in RECORD.items() if k not in ("features", "protocols")}
    path = tmp_path / "x.json"
    found = []
    for neighbors in (5, 5, 3):
        path.write_text(json.dumps({**old, "sample_metrics": {**flat, "neighbors": neighbors}}))
        found.append(records.read_record(path))
    assert found[0]["features"] == {"name": "one", "sha256": "ab", "resize": "none"}
    assert records.differences(found[0], found[1]) == ""
    assert "neighbors 5 or 3" in records.differences(found[0], found[2])
    assert "fid" in records.apart(found[0], RECORD)  # measured in another way now
    both = []
    for net in ("ab", "cd"):  # what no net sees compares, whatever the net
        path.write_text(json.dumps({**old, "sample_metrics": {**flat, "sha256": net}}))
        both.append(records.read_record(path))
        both[-1]["protocols"]["sharpness"] = {"neighbors": 5}
    assert set(records.apart(*both)) == {"fid", "fid_per_class"}
    path.write_text(json.dumps({"sample_metrics": {}}))
    with pytest.raises(InputError, match="is no record of this version"):
        records.read_record(path)
    path.write_text(json.dumps({**old, "sample_metrics": None}))
    assert records.read_record(path)["features"] is None


def test_a_difference_stands_beside_the_figures():
    one = changed("figures", "samples", "model", "fid", to=value(10.0, 0.4))
    other = changed("figures", "samples", "model", "fid", to=value(12.0, 0.3))
    lines = records.side_by_side({"a": one, "b": other}).splitlines()
    assert lines[0].split("  ")[-1].strip() == "b - a"
    assert lines[1].split("  ")[-1].strip() == "2.0000 +- 0.5000"


def test_an_exact_likelihood_compares_with_a_bound_on_one_of_the_same_levels():
    bound = changed("figures", "likelihood", "p_x_given_z", to="quantized_gaussian")
    exact = changed("figures", "likelihood", "p_x_given_z", to=None)
    exact["figures"]["likelihood"] |= {"p_x_i": "categorical", "num_samples": None}
    assert records.differences(bound, exact) == ""


def test_records_of_one_protocol_stand_side_by_side():
    other = changed("figures", "samples", "model", "fid", to=value(20.0, 0.5))
    del other["figures"]["likelihood"]
    other["features"]["name"] = "the same weights, from another folder"
    other["figures"]["samples"]["observation"] = None  # a model without a decoder
    assert records.differences(RECORD, RECORD) == records.differences(RECORD, other) == ""
    lines = records.side_by_side({"a": RECORD, "b": other}).splitlines()
    assert lines[0].split() == ["a", "b", "floor", "b", "-", "a"]
    assert lines[1].split("  ")[0] == "fid"
    assert [cell.strip() for cell in lines[1].split("  ") if cell.strip()] == [
        "fid",
        "10.0000 +- 0.0100",
        "20.0000 +- 0.5000",
        "0.3000 +- 0.0100",
        "10.0000 +- 0.5001",
    ]
    assert lines[2].split() == ["elbo_nats", "-90.0000", "+-", "0.0100"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read: .* No such file"),
        ("{", "cannot be read"),
        ("[1]", "is no record of this version"),
        ('{"dataset": "mnist"}', "is no record of .*evaluate.py: it lacks"),
    ],
)
def test_what_is_no_record_is_one_line(tmp_path, text, message):
    path = tmp_path / "x.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=message):
        records.read_record(path)
    path.write_text(json.dumps(RECORD))
    assert records.read_record(path) == RECORD


@pytest.mark.parametrize(
    "figures",
    [[], {}, {"samples": {}}, {"samples": {"model": {"fid": value(1.0)}}}, {"likelihood": 3}],
)
def test_a_record_without_its_figures_is_none(tmp_path, figures):
    path = tmp_path / "record.json"
    path.write_text(json.dumps(changed("figures", to=figures)))
    with pytest.raises(InputError, match=r"record.json is no record of .*evaluate.py: figures"):
        records.read_record(path)

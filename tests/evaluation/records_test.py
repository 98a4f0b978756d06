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
    "sample_metrics": {"feature_net": "one", "sha256": "ab", "neighbours": 5},
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
        (["sample_metrics", "sha256"], "cd", "sha256: ab or cd"),
        (["figures", "samples", "num_images"], 50, "num_images of samples: 100 or 50"),
        (["figures", "samples", "num_train"], 50, "num_train of samples: 900 or 50"),
        (
            ["figures", "samples", "observation"],
            "sample",
            "observation of samples: mean or sample",
        ),
        (["figures", "likelihood", "num_samples"], 1, "num_samples of likelihood: 5 or 1"),
        (["figures", "likelihood", "given"], "labels", "given of likelihood: None or labels"),
        (
            ["figures", "likelihood", "p_x_given_z"],
            "quantized_gaussian",
            "pixels of likelihood: a density or masses of levels",
        ),
        (["figures", "likelihood", "levels"], 2, "levels of likelihood: 256 or 2"),
    ],
)
def test_records_of_other_protocols_are_refused_and_it_says_in_what(path, to, said):
    other = changed(*path, to=to)
    assert records.differences(RECORD, other) == said
    with pytest.raises(InputError, match=f"a and b were not measured alike: {said}"):
        records.side_by_side({"a": RECORD, "b": other})


def test_an_exact_likelihood_compares_with_a_bound_on_one_of_the_same_levels():
    bound = changed("figures", "likelihood", "p_x_given_z", to="quantized_gaussian")
    exact = changed("figures", "likelihood", "p_x_given_z", to=None)
    exact["figures"]["likelihood"] |= {"p_x_i": "categorical", "num_samples": None}
    assert records.differences(bound, exact) == ""


def test_records_of_one_protocol_stand_side_by_side():
    other = changed("figures", "samples", "model", "fid", to=value(20.0, 0.5))
    del other["figures"]["likelihood"]
    other["sample_metrics"]["feature_net"] = "the same weights, from another folder"
    other["figures"]["samples"]["observation"] = None  # a model without a decoder
    assert records.differences(RECORD, RECORD) == records.differences(RECORD, other) == ""
    lines = records.side_by_side({"a": RECORD, "b": other}).splitlines()
    assert lines[0].split() == ["a", "b", "floor"]
    assert lines[1].split("  ")[0] == "fid"
    assert [cell.strip() for cell in lines[1].split("  ") if cell.strip()] == [
        "fid",
        "10.0000 +- 0.0100",
        "20.0000 +- 0.5000",
        "0.3000 +- 0.0100",
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

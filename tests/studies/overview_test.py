"""docs/results.md compares what the records say, and its plots show these numbers."""

import copy
import json
import pathlib

import overview
import pytest
import results
from PIL import Image

from zoo.hub import pretrained

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def known():
    """What is known of the pretrained models, and their records."""
    manifest = pretrained.manifest()
    records = {
        name: json.loads((pretrained.FOLDER / name / "record.json").read_text())
        for name in manifest
    }
    return manifest, records


def test_plots_are_of_the_records():
    drawn = results.plots(ROOT)
    assert {path.name for path in drawn} == {"results_samples.png", "results_likelihood.png"}
    for path, numbers in drawn.items():
        assert overview.is_of(path, numbers), "run python scripts/studies/report.py"


def test_a_plot_of_other_numbers_is_told(tmp_path):
    pytest.importorskip("matplotlib")
    path, numbers = tmp_path / "x.png", [[["vae", "VAE", 3.5, 0.1, False]]]
    assert not overview.is_of(path, numbers)
    overview.draw(path, numbers)
    assert overview.is_of(path, numbers) and Image.open(path).width > 400
    numbers[0][0][2] = 3.4
    assert not overview.is_of(path, numbers)


def test_choices_are_the_best_by_the_numbers(known):
    manifest, records = known

    def chosen(records):
        page = results.TEMPLATES.get_template("overview.md.j2")
        text = overview.page(page, manifest, records)
        rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
        return {row[0].strip("| "): row[1].split("`")[1] for row in rows if "`](models" in row[1]}

    first = chosen(records)
    assert first["the best pictures"] == "flow_matching"
    assert first["the best measured likelihood"] == "pixelcnn"
    other = copy.deepcopy(records)
    other["flow_matching"]["figures"]["samples"]["model"]["fid"]["mean"] = 1000.0
    other["vae"]["figures"]["likelihood"]["iwae_bound_bits_per_dim"]["mean"] = 1.0
    second = chosen(other)
    assert second["the best pictures"] != "flow_matching"
    assert (
        second["the best measured likelihood"]
        == second["the best likelihood of a model with codes"]
    )
    assert second["the best measured likelihood"] == "vae"


def test_every_model_with_samples_is_compared_once(known):
    manifest, records = known
    names = [row["name"] for row in overview.found(manifest, records)]
    assert len(names) == len(set(names))
    for name, record in records.items():
        here = record["dataset"] == "fashion_mnist" and "samples" in record["figures"]
        assert not here or name in names
        assert record["dataset"] == "fashion_mnist" or name not in names

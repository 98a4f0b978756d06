"""Model cards: the head that hubs read, as YAML, and a short card of a run."""

import json
from typing import Any

# figures of a record that hubs list: part, name, and what it is called
_FIGURES = (
    ("samples", "fid", "FID"),
    ("samples", "class_fidelity", "class fidelity"),
    ("likelihood", "iwae_bound_bits_per_dim", "bits per dimension (bound)"),
    ("likelihood", "bits_per_dim", "bits per dimension"),
    ("classification", "accuracy", "accuracy"),
)


def front_matter(
    settings: dict[str, Any],
    dataset: str,
    record: dict[str, Any] | None = None,
    license: str | None = None,
    classifies: bool = False,
) -> list[str]:
    """Lines of YAML between two lines of dashes. JSON is YAML too, and values are written as it.

    Args:
      settings: those of `config.json`.
      dataset: its name.
      record: an evaluation, whose figures the hub lists.
      license: of the weights, as the hub calls it; none is named when left out.
      classifies: whether the model gives p(y|x).
    """
    name = settings["model"]
    task = "image-classification" if classifies else "unconditional-image-generation"
    about = {
        "license": license,
        "library_name": "generative-zoo",
        "pipeline_tag": task,
        "tags": ["generative-zoo", "keras", "tensorflow", name],
        "datasets": [dataset] if dataset.replace("_", "").isalnum() else None,
    }
    if figures := _figures(record):
        of = {"name": dataset, "type": dataset, "split": record["split"]}
        results = [{"task": {"type": task}, "dataset": of, "metrics": figures}]
        about["model-index"] = [{"name": name, "results": results}]
    lines = [f"{k}: {json.dumps(v)}" for k, v in about.items() if v is not None]
    return ["---", *lines, "---", ""]


def _figures(record: dict[str, Any] | None) -> list[dict[str, Any]]:
    found = []
    for part, kind, words in _FIGURES:
        of = (record or {}).get("figures", {}).get(part, {})
        value = of.get("model", of).get(kind)
        if isinstance(value, dict) and "mean" in value:
            if kind == "fid":  # of other features it would be another number
                words += f", features: {record['features']['name']}"
            found.append({"type": kind, "name": words, "value": round(value["mean"], 4)})
    return found


def of_run(
    repository: str,
    settings: dict[str, Any],
    dataset: str,
    command: str,
    record: dict[str, Any] | None,
    license: str | None,
    classifies: bool,
    with_samples: bool,
) -> str:
    """The card of a run that is pushed to a hub.

    Args:
      repository: USER/NAME.
      settings: those of `config.json`.
      dataset: its name.
      command: with which it was trained, in words.
      record: its evaluation, if there is one.
      license: of the weights.
      classifies: whether the model gives p(y|x).
      with_samples: whether there is a picture of samples.
    """
    title, name = repository.split("/")[-1], settings["model"]
    height, width, channels = settings["image_shape"]
    lines = [
        *front_matter(settings, dataset, record, license, classifies),
        f"# {title}",
        "",
        f"A `{name}` of {height}x{width} images with {channels} channels, trained on {dataset}.",
        "",
        *(["![Samples](samples.png)", ""] if with_samples else []),
        "```python",
        "import zoo  # the generative model zoo, with pip install 'huggingface_hub>=1,<3'",
        "",
        f'model = zoo.load("hf://{repository}")',
        "```",
        "",
        f"Trained by {command}, random seed {settings['run']['seed']}.",
        "",
    ]
    if figures := _figures(record):
        rows = [f"| {of['name']} | {of['value']} |" for of in figures]
        lines += ["| metric | value |", "|---|---|", *rows, ""]
        lines += [f"Measured on the {record['split']} split; `record.json` has the protocol.", ""]
    return "\n".join(lines)

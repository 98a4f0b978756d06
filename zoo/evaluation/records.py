"""Records of evaluations: read, compared where their protocols agree, and shown as tables."""

import json
import pathlib
import textwrap
from typing import Any

from zoo.core import files, schemas
from zoo.errors import InputError
from zoo.evaluation import tables

_NUMBER = {"type": "number", "minimum": -1e300, "maximum": 1e300}
_FIGURE = {  # what is shown; whatever else a part of the figures has is none
    "if": {"type": "object"},
    "then": {
        "required": ["mean", "standard_error"],
        "properties": {"mean": _NUMBER, "standard_error": {"anyOf": [_NUMBER, {"type": "null"}]}},
    },
}
_PART = {"type": "object", "minProperties": 1, "additionalProperties": _FIGURE}
_SAMPLES = {
    "type": "object",
    "required": ["model", "floor"],
    "properties": {"model": _PART, "floor": _PART},
}
_LIKELIHOOD = {**_PART, "required": ["p_x_given_z"]}
_LEFT_OUT = {"type": "object", "additionalProperties": {"type": "string"}}
RECORD = {
    "type": "object",
    "required": [
        *("dataset", "dataset_digest", "split", "seed", "binarization", "config", "command"),
        *("weights_sha256", "sample_metrics", "figures", "machine", "seconds", "peak_memory_gb"),
    ],
    "properties": {
        "config": {"type": "object"},
        "sample_metrics": {"type": ["object", "null"]},
        "machine": {"type": "object", "minProperties": 1},
        "figures": {
            "type": "object",
            "minProperties": 1,
            "properties": {
                "samples": _SAMPLES,
                "likelihood": _LIKELIHOOD,
                "left_out": _LEFT_OUT,
            },
            "additionalProperties": _PART,
        },
    },
}

# what two records must share to be compared, by the part of the figures
_SAME = ("dataset", "dataset_digest", "split", "seed", "binarization")
_SAME_FIGURES = {
    "samples": ("num_images", "num_train"),
    "likelihood": ("num_images", "levels", "given"),
    "classification": ("num_images",),
    "representation": ("num_train", "num_images", "probe"),
    "categories": ("num_train", "num_images"),
    "reconstruction": ("num_images",),
}
_SAME_WHERE_BOTH_HAVE_IT = ("observation", "num_samples")  # a decoder's, a bound's
_AS = {"inception_score": "classifier_score"}  # no Inception net is in it by default
_OF_NET = ("sha256", "resize")  # in records whose samples no net has seen there is none
_NAMES = ("feature_net",)  # of what a digest stands beside


def read_record(path: pathlib.Path) -> dict[str, Any]:
    """What `scripts/evaluate.py` wrote.

    Raises:
      InputError: it cannot be read, or is no such record.
    """
    record = files.read_json(path)
    schemas.check(record, RECORD, f"{path} is no record of this version of evaluate.py")
    try:
        json.dumps(record, ensure_ascii=False).encode()
    except UnicodeEncodeError as e:
        raise InputError(f"{path} is no record of evaluate.py: its text is damaged ({e})") from None
    return record


def differences(
    one: dict[str, Any], other: dict[str, Any], parts: tuple[str, ...] = tuple(_SAME_FIGURES)
) -> str:
    """In what the protocols of two records differ; nothing where their figures compare.

    Args:
      one: a record.
      other: another one.
      parts: of the figures; those that both have are looked at.
    """
    pairs = {key: (one[key], other[key]) for key in _SAME}
    for part in parts:
        a, b = (record["figures"].get(part) for record in (one, other))
        if a and b:
            pairs |= {f"{k} of {part}": (a.get(k), b.get(k)) for k in _SAME_FIGURES[part]}
            for key in _SAME_WHERE_BOTH_HAVE_IT:
                if a.get(key) and b.get(key):
                    pairs[f"{key} of {part}"] = (a[key], b[key])
            if part == "likelihood":
                pairs["pixels of likelihood"] = (_pixels(a), _pixels(b))
    a, b = (record["sample_metrics"] for record in (one, other))
    if a and b and "samples" in parts:
        keys = [k for k in {**a, **b} if k not in _NAMES]
        keys = [k for k in keys if k not in _OF_NET or (k in a and k in b)]
        pairs |= {k: (a.get(k), b.get(k)) for k in keys}
    return "; ".join(f"{key}: {a} or {b}" for key, (a, b) in pairs.items() if a != b)


def _pixels(likelihood: dict[str, Any]) -> str:
    """Of what a likelihood is made: only those of one kind compare."""
    return "a density" if likelihood["p_x_given_z"] == "gaussian" else "masses of levels"


def classifier_of(manifest: dict[str, Any], dataset_digest: str) -> str | None:
    """The pretrained classifier, first by name, that learnt from these images; else None.

    Args:
      manifest: of the pretrained models.
      dataset_digest: of the images.
    """
    for name, known in manifest.items():
        settings = known["settings"]
        if settings["model"] == "classifier" and settings["dataset_digest"] == dataset_digest:
            return name
    return None


def side_by_side(records: dict[str, Any]) -> str:
    """The figures of several records as a table.

    Args:
      records: name -> what `scripts/evaluate.py` wrote.

    Raises:
      InputError: the protocols of two differ; it says in what.
    """
    first, *others = records
    for name in others:
        if found := differences(records[first], records[name]):
            found = textwrap.shorten(found, 500)
            raise InputError(f"{first} and {name} were not measured alike: {found}")
    return table({name: record["figures"] for name, record in records.items()})


def table(figures: dict[str, Any]) -> str:
    """Figures as text: a row each, a column a model, standard errors, and the floor at the end.

    Below it stands what could not be measured, and why.

    Args:
      figures: name -> the `figures` of a record.
    """
    cells = {}
    for name, parts in figures.items():
        for part, found in parts.items():
            columns = {name: found}
            if part == "samples":
                columns = {name: found["model"], "floor": found["floor"]}
            for column, values in columns.items():
                for key, value in values.items():
                    if isinstance(value, dict):
                        key = _AS.get(key, key)
                        error = value["standard_error"]
                        text = f"{value['mean']:.4f}" + (f" +- {error:.4f}" if error else "")
                        cells.setdefault(key, {})[column] = text
    heads = [*figures, "floor"]
    rows = [["", *heads], *([key, *(row.get(h, "") for h in heads)] for key, row in cells.items())]
    widths = [max(len(row[i]) for row in rows) for i in range(len(heads) + 1)]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows]
    for name, parts in figures.items():
        of = f"{name}: " if len(figures) > 1 else ""
        lines += [f"{of}{line}" for line in not_measured(parts)]
    return "\n".join(line.rstrip() for line in lines)


def not_measured(figures: dict[str, Any]) -> list[str]:
    """A line for each reason why a figure that applies is not among these."""
    left_out = figures.get("left_out", {})
    return [
        f"not measured: {', '.join(_name(key) for key in left_out if left_out[key] == reason)}: "
        f"{reason}"
        for reason in dict.fromkeys(left_out.values())
    ]


def _name(key: str) -> str:
    """A figure in words."""
    headings = {figure: head.removesuffix(" x 1000") for figure, head, _ in tables.FIGURES}
    return headings.get(key, key.replace("_", " "))


def machine_of(record: dict[str, Any]) -> str:
    """The processor that a record, or a run, was made on."""
    cores, cpu = record["machine"]["cores"], record["machine"]["cpu"]
    return f"{cores} {'core' if cores == 1 else 'cores'} of {cpu}"

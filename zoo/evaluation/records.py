"""Records of evaluations: read, compared where their protocols agree, and shown as tables."""

import json
import pathlib
import textwrap
from typing import Any

from zoo.core import files, schemas
from zoo.errors import InputError
from zoo.evaluation import tables
from zoo.evaluation.intervals import difference

_NUMBER = {"type": "number", "minimum": -1e300, "maximum": 1e300}
_FIGURE = {  # what is shown; whatever else a part of the figures has is none
    "if": {"type": "object"},
    "then": {
        "required": ["mean", "standard_error"],
        "properties": {
            "mean": _NUMBER,
            "standard_error": {"anyOf": [_NUMBER, {"type": "null"}]},
            "draws": {
                "type": ["object", "null"],
                "additionalProperties": {"type": "array", "items": _NUMBER},
            },
        },
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
        *("weights_sha256", "features", "protocols", "figures", "machine", "seconds"),
        "peak_memory_gb",
    ],
    "properties": {
        "config": {"type": "object"},
        "features": {"type": ["object", "null"]},
        "protocols": {"type": "object", "additionalProperties": {"type": "object"}},
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
_SAME = ("dataset_digest", "split", "seed", "binarization")
_SAME_FIGURES = {
    "samples": (),  # each figure of samples has a protocol of its own
    "likelihood": ("num_images", "subsets", "levels", "given"),
    "classification": ("num_images", "subsets"),
    "representation": ("num_train", "num_images", "subsets", "probe"),
    "categories": ("num_train", "num_images", "subsets"),
    "reconstruction": ("num_images", "subsets"),
}
_IN_FEATURES = {  # figures of samples, in records of version 0.1
    *("fid", "kid", "precision", "recall", "density", "coverage"),
    *("inception_score", "class_fidelity", "fid_per_class"),
}
_SAME_WHERE_BOTH_HAVE_IT = ("observation", "num_samples")  # a decoder's, a bound's
_AS = {"inception_score": "classifier_score"}  # no Inception net is in it by default


def read_record(path: pathlib.Path) -> dict[str, Any]:
    """What `scripts/evaluate.py` wrote.

    Raises:
      InputError: it cannot be read, or is no such record.
    """
    record = _as_now(files.read_json(path))
    schemas.check(record, RECORD, f"{path} is no record of this version of evaluate.py")
    try:
        json.dumps(record, ensure_ascii=False).encode()
    except UnicodeEncodeError as e:
        raise InputError(f"{path} is no record of evaluate.py: its text is damaged ({e})") from None
    return record


def _as_now(record: Any) -> Any:
    """A record of before each figure had a protocol of its own, with one for each."""
    if not isinstance(record, dict) or "sample_metrics" not in record or "protocols" in record:
        return record
    shared = record.pop("sample_metrics")
    try:
        of = record["figures"].get("samples", {})
        counts = {k: of[k] for k in ("num_images", "num_train") if k in of}
        settings = {**counts, **(shared or {})}
        net = {"name": settings.pop("feature_net", None)}
        net |= {key: settings.pop(key, None) for key in ("sha256", "resize")}
        protocols = {
            name: {**settings, **(net_of(net) if name in _IN_FEATURES else {})}
            for name in of.get("model", {})
        }
    except (AttributeError, KeyError, TypeError):  # it is damaged, which the schema says
        return record
    return {**record, "features": net if net["name"] else None, "protocols": protocols}


def net_of(net: dict[str, Any]) -> dict[str, Any]:
    """What a protocol says of a feature net: its name is of no matter."""
    return {"features": net["sha256"], "resize": net["resize"]}


def whole_differences(one: dict[str, Any], other: dict[str, Any]) -> str:
    """In what two records differ as a whole; nothing where their figures may compare."""
    pairs = {key: (one[key], other[key]) for key in _SAME}
    return "; ".join(f"{key}: {a} or {b}" for key, (a, b) in pairs.items() if a != b)


def apart(one: dict[str, Any], other: dict[str, Any]) -> dict[str, str]:
    """Figures, and whole parts of them, that do not compare: name -> in what they differ.

    Args:
      one: a record.
      other: another one; what only one of them has is not named.
    """
    found = {}
    for part in _SAME_FIGURES:
        a, b = (record["figures"].get(part) for record in (one, other))
        if not (a and b):
            continue
        pairs = {k: (a.get(k), b.get(k)) for k in _SAME_FIGURES[part]}
        for key in _SAME_WHERE_BOTH_HAVE_IT:
            if a.get(key) and b.get(key):
                pairs[key] = (a[key], b[key])
        if part == "likelihood":
            pairs["pixels"] = (_pixels(a), _pixels(b))
        if reason := _differing(pairs):
            found[part] = reason
    if "samples" not in found:
        ours, theirs = one["protocols"], other["protocols"]
        for name in [name for name in ours if name in theirs]:
            a, b = ours[name], theirs[name]
            if reason := _differing({k: (a.get(k), b.get(k)) for k in {**a, **b}}):
                found[name] = reason
    return found


def _differing(pairs: dict[str, tuple[Any, Any]]) -> str:
    return ", ".join(f"{key} {a} or {b}" for key, (a, b) in pairs.items() if a != b)


def differences(
    one: dict[str, Any], other: dict[str, Any], parts: tuple[str, ...] = tuple(_SAME_FIGURES)
) -> str:
    """In what the protocols of two records differ; nothing where all their figures compare.

    Args:
      one: a record.
      other: another one.
      parts: of the figures; those that both have are looked at.
    """
    found = [whole_differences(one, other)]
    others = set(_SAME_FIGURES) - set(parts)
    by_reason = {}
    for name, reason in apart(one, other).items():
        if name not in others and (name in _SAME_FIGURES or "samples" in parts):
            by_reason.setdefault(reason, []).append(name)
    found += [f"{', '.join(names)}: {reason}" for reason, names in by_reason.items()]
    return "; ".join(line for line in found if line)


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
    """The figures of several records that compare, as a table, and their differences.

    Args:
      records: name -> what `scripts/evaluate.py` wrote.

    Raises:
      InputError: two are of other images, or nothing of them compares; it says why.
    """
    first, *others = records
    left_out = {}
    for name in others:
        if found := whole_differences(records[first], records[name]):
            found = textwrap.shorten(found, 500)
            raise InputError(f"{first} and {name} were not measured alike: {found}")
        left_out |= apart(records[first], records[name])
    figures = {name: _without(record["figures"], left_out) for name, record in records.items()}
    if not any(set(_cells(figures[first])) & set(_cells(figures[name])) for name in others):
        reasons = textwrap.shorten(_said(left_out) or "they have no figure in common", 500)
        raise InputError(f"{first} and {others[0]} were not measured alike: {reasons}")
    lines = [table(figures, first)]
    lines += [f"not compared: {reason}" for reason in _said(left_out).splitlines()]
    return "\n".join(lines)


def _said(left_out: dict[str, str]) -> str:
    by_reason = {}
    for name, reason in left_out.items():
        by_reason.setdefault(reason, []).append(_name(name))
    return "\n".join(f"{', '.join(names)}: {reason}" for reason, names in by_reason.items())


def _without(figures: dict[str, Any], left_out: dict[str, str]) -> dict[str, Any]:
    """Figures without those parts, and without those figures of samples."""
    kept = {part: found for part, found in figures.items() if part not in left_out}
    if "samples" in kept:
        of = kept["samples"]
        sides = {
            side: {k: v for k, v in of[side].items() if k not in left_out}
            for side in ("model", "floor")
        }
        kept["samples"] = {**of, **sides}
    return kept


def _cells(figures: dict[str, Any]) -> dict[str, Any]:
    """The figures of a record that are shown, by name."""
    found = {}
    for part, of in figures.items():
        of = of["model"] if part == "samples" else of
        found |= {_AS.get(k, k): v for k, v in of.items() if isinstance(v, dict)}
    return found


def table(figures: dict[str, Any], first: str | None = None) -> str:
    """Figures as text: a row each, a column a model, standard errors, and the floor at the end.

    Below it stands what could not be measured, and why.

    Args:
      figures: name -> the `figures` of a record.
      first: a name; there is a column for what each other record is above or below it. Where both
        were measured on common draws of real images, the error is of the difference itself.
    """
    rows = {name: _cells(of) for name, of in figures.items()}
    floors = [of["samples"]["floor"] for of in figures.values() if "samples" in of]
    floor = {_AS.get(k, k): v for of in floors for k, v in of.items() if isinstance(v, dict)}
    columns = {**rows, "floor": floor}
    for name, row in rows.items() if first else ():
        if name != first:
            columns[f"{name} - {first}"] = {
                k: difference(v, rows[first][k]) for k, v in row.items() if k in rows[first]
            }
    keys = dict.fromkeys(key for row in columns.values() for key in row)
    lines = [["", *columns]]
    lines += [[key, *(_text(row.get(key)) for row in columns.values())] for key in keys]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns) + 1)]
    text = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) for line in lines]
    for name, parts in figures.items():
        of = f"{name}: " if len(figures) > 1 else ""
        text += [f"{of}{line}" for line in not_measured(parts)]
    return "\n".join(line.rstrip() for line in text)


def _text(figure: dict[str, Any] | None) -> str:
    if figure is None:
        return ""
    error = figure["standard_error"]
    return f"{figure['mean']:.4f}" + (f" +- {error:.4f}" if error else "")


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

"""RESULTS.md and model cards: text made of the manifest and the records, and of nothing else."""

from typing import Any

from zoo.errors import InputError

FIGURES = (  # key in the record's samples, heading, digits
    ("fid", "FID", 2),
    ("kid", "KID x 1000", 2),
    ("precision", "precision", 3),
    ("recall", "recall", 3),
    ("density", "density", 3),
    ("coverage", "coverage", 3),
    ("inception_score", "classifier score", 2),
    ("class_fidelity", "class fidelity", 3),
)
LIKELIHOODS = (
    ("elbo_bits_per_dim", "ELBO, bits a dimension", 3),
    ("iwae_bound_bits_per_dim", "K-sample bound, bits a dimension", 3),
)


# what two records must share to be compared
_SAME = ("dataset", "dataset_digest", "split", "seed", "binarization")
_SAME_FIGURES = {
    "samples": ("num_real", "num_fake"),
    "likelihood": ("num_images", "num_samples"),
    "classification": ("num_images",),
    "representation": ("num_train", "num_images"),
}


def results(manifest: dict[str, Any], records: dict[str, Any]) -> str:
    """RESULTS.md.

    Args:
      manifest: of the pretrained models.
      records: name -> what `scripts/evaluate.py --pretrained=NAME` wrote.
    """
    lines = [
        "# Results",
        "",
        "Made by `python scripts/report.py` from `zoo/pretrained/manifest.json` and the records "
        "beside it; a test fails when this page and they disagree. Every number is of the weights "
        "in the package, as they are loaded, and comes with its standard error.",
        "",
    ]
    with_samples = [n for n in records if "samples" in records[n]["figures"]]
    if with_samples:
        fullest = max(with_samples, key=lambda n: len(records[n]["figures"]["samples"]["floor"]))
        for name in with_samples:
            if difference := differences(records[fullest], records[name]):
                raise InputError(f"{fullest} and {name} were not measured alike: {difference}")
        lines += ["## Samples", "", *_protocol(records[fullest]), ""]
        floor = records[fullest]["figures"]["samples"]["floor"]
        rows = [["floor", "", "", *_cells(floor, FIGURES)]]
        for name in with_samples:
            own = records[name]["figures"]["samples"]["model"]
            rows.append([*_run(name, manifest[name]), *_cells(own, FIGURES)])
        heads = ["model", "parameters", "minutes", *(head for _, head, _ in FIGURES)]
        lines += [*_table(heads, rows), ""]
    with_bounds = [n for n in records if "likelihood" in records[n]["figures"]]
    if with_bounds:
        lines += [
            "## Likelihood",
            "",
            "Test images, 8 bits a pixel unless a row says otherwise. Both are bounds: the true "
            "code length is at most this. They compare with other models of 8-bit images only.",
            "",
        ]
        rows = []
        for name in with_bounds:
            found = records[name]["figures"]["likelihood"]
            rows.append(
                [
                    *_run(name, manifest[name]),
                    *_cells(found, LIKELIHOODS),
                    str(found["num_samples"]),
                    f"{found['num_images']:,}",
                ]
            )
        heads = ["model", "parameters", "minutes", *(h for _, h, _ in LIKELIHOODS), "K", "images"]
        lines += [*_table(heads, rows), ""]
    with_accuracy = [n for n in records if "classification" in records[n]["figures"]]
    if with_accuracy:
        lines += ["## Classification", ""]
        rows = [
            [
                *_run(name, manifest[name]),
                *_cells(records[name]["figures"]["classification"], (("accuracy", "", 4),)),
            ]
            for name in with_accuracy
        ]
        lines += [*_table(["model", "parameters", "minutes", "test accuracy"], rows), ""]
    return "\n".join(lines)


def differences(one: dict[str, Any], other: dict[str, Any]) -> str:
    """In what the protocols of two records differ; nothing where their figures compare."""
    pairs = {key: (one[key], other[key]) for key in _SAME}
    a, b = (record["sample_metrics"] for record in (one, other))
    if a and b:
        pairs |= {k: (a.get(k), b.get(k)) for k in {**a, **b}}
    for part, keys in _SAME_FIGURES.items():
        a, b = (record["figures"].get(part) for record in (one, other))
        if a and b:
            pairs |= {f"{k} of {part}": (a[k], b[k]) for k in keys}
    return "; ".join(f"{key}: {a} or {b}" for key, (a, b) in pairs.items() if a != b)


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
            raise InputError(f"{first} and {name} were not measured alike: {found}")
    return table({name: record["figures"] for name, record in records.items()})


def table(figures: dict[str, Any]) -> str:
    """Figures as text: a row each, a column a model, standard errors, and the floor at the end.

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
                        text = f"{value['mean']:.4f} +- {value['standard_error']:.4f}"
                        cells.setdefault(key, {})[column] = text
    heads = [*figures, "floor"]
    rows = [["", *heads], *([key, *(row.get(h, "") for h in heads)] for key, row in cells.items())]
    widths = [max(len(row[i]) for row in rows) for i in range(len(heads) + 1)]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def card(name: str, about: dict[str, Any], record: dict[str, Any], notes: dict[str, str]) -> str:
    """A model card: `zoo/pretrained/NAME.md`.

    Args:
      name: of the pretrained model.
      about: its entry in the manifest.
      record: its evaluation.
      notes: what only a person can say: `for`, `not_for`, `failures`.
    """
    settings, summary = about["settings"], about["summary"]
    machine, versions = summary["machine"], settings["versions"]
    figures = record["figures"]
    rows = []
    for part, shown in (
        (figures.get("classification", {}), (("accuracy", "test accuracy", 4),)),
        (figures.get("likelihood", {}), LIKELIHOODS),
        (figures.get("samples", {}).get("model", {}), FIGURES),
    ):
        floor = figures["samples"]["floor"] if part and shown is FIGURES else {}
        for key, head, digits in shown:
            if key in part:
                [own], [least] = (_cells(p, ((key, head, digits),)) for p in (part, floor))
                rows.append([head, own, least])
    lines = [
        f"# {name}",
        "",
        f"*For*: {notes['for']}",
        "",
        f"*Not for*: {notes['not_for']}",
        "",
        f"*Failures seen*: {notes['failures']}",
        "",
        f"![Samples]({name}.png)" if "samples" in figures else "",
        "",
        "## Figures",
        "",
        *_table(["", "model", "floor"], rows),
        "",
        *(_protocol(record) if "samples" in figures else []),
        "",
        "## Making",
        "",
        f"`{about['command']}`, seed {settings['run']['seed']}, on {record['dataset']} "
        f"(digest {settings['dataset_digest'][:12]}): {summary['epochs']} epochs, "
        f"{summary['training_seconds'] / 60:.1f} minutes on {machine['cores']} cores of "
        f"{machine['cpu']}; {summary['parameters']:,} parameters. Commit "
        f"{versions.get('commit', 'unknown')[:12]}, TensorFlow {versions['tensorflow']}, Keras "
        f"{versions['keras']}, TensorFlow Probability {versions['tensorflow-probability']}, Python "
        f"{versions['python']}.",
        "",
        f"Weights: `{about['file']}`, {about['bytes']:,} bytes in half precision, SHA-256 "
        f"`{about['sha256']}`.",
        "",
    ]
    pairs = zip(lines, ["", *lines], strict=False)
    return "\n".join(line for line, before in pairs if line or before)


def _protocol(record: dict[str, Any]) -> list[str]:
    p, found = record["sample_metrics"], record["figures"]["samples"]
    return [
        f"{found['num_fake']:,} samples (seed {record['seed']}) against the first "
        f"{found['num_real']:,} images of the {record['split']} split of {record['dataset']}. "
        f"Feature net: {p['feature_net']}, SHA-256 `{p['sha256'][:16]}`; resize: {p['resize']}; "
        f"covariance: {p['covariance']}; error of FID: {p['fid_error']}; KID: {p['kid']}; "
        f"precision, recall, density, coverage: {p['neighbours']} neighbours. Floor: as many "
        "training images against the same test images; for the last two columns, the test images "
        "themselves."
    ]


def _run(name: str, about: dict[str, Any]) -> list[str]:
    summary = about["summary"]
    return [
        f"[{name}](zoo/pretrained/{name}.md)",
        f"{summary['parameters']:,}",
        f"{summary['training_seconds'] / 60:.1f}",
    ]


def _cells(part: dict[str, Any], shown) -> list[str]:
    cells = []
    for key, head, digits in shown:
        scale = 1000 if head.endswith("x 1000") else 1
        if key in part:
            mean, error = (scale * part[key][k] for k in ("mean", "standard_error"))
            cells.append(f"{mean:.{digits}f} ± {error:.{digits}f}")
        else:
            cells.append("")
    return cells


def _table(heads: list[str], rows: list[list[str]]) -> list[str]:
    line = lambda cells: "| " + " | ".join(cells) + " |"  # noqa: E731
    return [line(heads), "|" + "---|" * len(heads), *map(line, rows)]

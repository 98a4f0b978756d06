"""RESULTS.md and model cards: text made of the manifest and the records, and of nothing else."""

import json
import pathlib
import statistics
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
    ("cas", "CAS", 3),
    ("nearest_training_distance", "nearest training image", 2),
    ("sharpness", "sharpness", 4),
    ("parzen_nats", "Parzen window, nats", 1),
    ("samples_per_second", "samples a second", 0),
)
LIKELIHOODS = (
    ("elbo_bits_per_dim", "ELBO, bits a dimension", 3),
    ("iwae_bound_bits_per_dim", "K-sample bound, bits a dimension", 3),
    ("elbo_nats", "ELBO, nats", 2),
    ("iwae_bound_nats", "K-sample bound, nats", 2),
)
PROBES = (
    ("probe_of_latent_means", "latent means", 3),
    ("probe_of_principal_components", "as many principal components", 3),
    ("probe_of_pixels", "pixels", 3),
)
ACCURACY = (("accuracy", "test accuracy", 4),)
TITLES = {"fashion_mnist": "Fashion-MNIST", "mnist": "MNIST"}

# what two records must share to be compared
_SAME = ("dataset", "dataset_digest", "split", "seed", "binarization")
_SAME_FIGURES = {
    "samples": ("num_real", "num_fake"),
    "likelihood": ("num_images", "num_samples"),
    "classification": ("num_images",),
    "representation": ("num_train", "num_images"),
}


def pages(root: pathlib.Path) -> dict[pathlib.Path, str]:
    """Each generated page of the project at `root` and what it should say.

    Raises:
      InputError: a record is missing or cannot be read.
    """

    def read(path):
        try:
            return json.loads((root / path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as e:
            raise InputError(f"{root / path} cannot be read: {e}") from None

    folder = pathlib.Path("zoo/pretrained")
    manifest, notes = read(folder / "manifest.json"), read(folder / "notes.json")
    records = {name: read(folder / f"{name}.json") for name in manifest}
    text = results(manifest, records, notes, read("docs/claims/claims.json"))
    found = {root / "RESULTS.md": text}
    for name, about in manifest.items():
        text = card(name, about, records[name], notes[name])
        found[root / folder / f"{name}.md"] = text
    return found


def results(
    manifest: dict[str, Any],
    records: dict[str, Any],
    notes: dict[str, Any],
    claims: dict[str, Any],
) -> str:
    """RESULTS.md.

    Args:
      manifest: of the pretrained models.
      records: name -> what `scripts/evaluate.py --pretrained=NAME` wrote.
      notes: name -> what only a person can say; `published` is used here.
      claims: what `scripts/claims.py` wrote.
    """
    lines = [
        "# Results",
        "",
        "Made by `python scripts/report.py` from `zoo/pretrained/manifest.json`, the records "
        "beside it and `docs/claims/claims.json`; a test fails when this page and they "
        "disagree. Every number is of the weights in the package, as they are loaded, and comes "
        "with its standard error. `scripts/evaluate.py --pretrained=NAME` measures again.",
        "",
    ]
    for dataset in sorted({r["dataset"] for r in records.values()}):
        here = {n: r for n, r in records.items() if r["dataset"] == dataset}
        title = TITLES.get(dataset, dataset)
        for part in (_samples, _likelihoods, _representations, _accuracies):
            lines += part(title, manifest, here)
    published = [f"- `{n}`: {notes[n]['published']}" for n in records if "published" in notes[n]]
    if published:
        lines += ["## Beside published figures", "", *published, ""]
    return "\n".join([*lines, *_claims(claims, records)])


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


def _samples(title, manifest, records) -> list[str]:
    """A table, with its protocol and floor, for each set of records that were measured alike."""
    groups = []
    for name in (n for n, r in records.items() if "samples" in r["figures"]):
        alike = [g for g in groups if not differences(records[g[0]], records[name])]
        if alike:
            alike[0].append(name)
        else:
            groups.append([name])
    lines = []
    for group in groups:
        found = {n: records[n]["figures"]["samples"] for n in group}
        shown = [f for f in FIGURES if any(f[0] in found[n]["model"] for n in group)]
        fullest = max(group, key=lambda n: len(found[n]["floor"]))
        rows = [["floor", "", "", *_cells(found[fullest]["floor"], shown)]]
        rows += [[*_run(n, manifest[n]), *_cells(found[n]["model"], shown)] for n in group]
        heads = ["model", "parameters", "minutes", *(head for _, head, _ in shown)]
        lines += [f"## {title}: samples", "", *_protocol(records[fullest]), ""]
        lines += [*_table(heads, rows), ""]
    return lines


def _likelihoods(title, manifest, records) -> list[str]:
    return _part(
        title,
        manifest,
        records,
        "likelihood",
        "likelihood",
        LIKELIHOODS,
        "Test images; both are lower bounds of the log-likelihood, so the true code length is at "
        "most this. 8-bit images compare with 8-bit images only, black and white ones with those "
        "of the same binarization.",
        {
            "K": lambda r: str(r["figures"]["likelihood"]["num_samples"]),
            "images": lambda r: f"{r['figures']['likelihood']['num_images']:,}",
            "pixels": lambda r: {"none": "256 levels"}.get(
                r["binarization"], f"binarized, {r['binarization']}"
            ),
        },
    )


def _representations(title, manifest, records) -> list[str]:
    return _part(
        title,
        manifest,
        records,
        "representation",
        "what q(z|x) is good for",
        PROBES,
        "Accuracy on test images of logistic regression (scikit-learn) that was given the latent "
        "means and the labels of the first training images, beside the same on pixels and on as "
        "many principal components.",
        {
            "dimensions": lambda r: str(r["figures"]["representation"]["num_dims"]),
            "training images": lambda r: f"{r['figures']['representation']['num_train']:,}",
        },
    )


def _accuracies(title, manifest, records) -> list[str]:
    return _part(title, manifest, records, "classification", "classification", ACCURACY)


def _part(title, manifest, records, part, heading, shown, text="", more=None) -> list[str]:
    """A table of one part of the figures of all models that have it; nothing without any."""
    names = [n for n, r in records.items() if part in r["figures"]]
    if not names:
        return []
    more = more or {}
    rows = [
        [
            *_run(n, manifest[n]),
            *_cells(records[n]["figures"][part], shown),
            *(f(records[n]) for f in more.values()),
        ]
        for n in names
    ]
    heads = ["model", "parameters", "minutes", *(head for _, head, _ in shown), *more]
    intro = [text, ""] if text else []
    return [f"## {title}: {heading}", "", *intro, *_table(heads, rows), ""]


def _claims(claims: dict[str, Any], records: dict[str, Any]) -> list[str]:
    """The section on what courses claim, by `scripts/claims.py` and the records."""
    beta = claims["beta"]
    best = max(beta["rows"], key=lambda row: row["elbo_nats"]["mean"])
    terms = [(name, "", 1) for name in ("kl_nats", "reconstruction_nats", "elbo_nats")]
    rows = [[f"{row['beta']:g}", *_cells(row, terms)] for row in beta["rows"]]
    lines = [
        "## What courses claim, measured",
        "",
        "By `python scripts/claims.py`, on Fashion-MNIST.",
        "",
        "### The two terms of the ELBO pull against each other",
        "",
        f"A VAE of dense layers for each β, {beta['epochs']} epochs, on the test images. A "
        "greater β buys a smaller KL with a worse reconstruction; the ELBO itself, which is never "
        f"weighted, is greatest at β = {best['beta']:g}.",
        "",
        *_table(["β", "KL, nats", "reconstruction, nats", "ELBO, nats"], rows),
        "",
        "![Both terms over beta](docs/claims/beta.png)",
        "",
        "### The saturating generator loss starves",
        "",
    ]
    waiting = claims["gradients"]["waiting"]
    last = len(waiting[0]["d_fake"]) - 1
    rows = []
    for step in sorted({0, 9, last // 2, last}):
        d, weak, strong = (
            statistics.median(run[name][step] for run in waiting)
            for name in ("d_fake", "saturating", "non_saturating")
        )
        ratio = statistics.median(
            r["non_saturating"][step] / r["saturating"][step] for r in waiting
        )
        rows.append([str(step + 1), f"{d:.4f}", f"{weak:.3g}", f"{strong:.3g}", f"{ratio:.3g}"])
    lines += [
        "G waits while D learns, and the gradients of both losses by G's weights are taken at the "
        f"same D, G and latents: medians of {len(waiting)} seeds, batches of "
        f"{claims['gradients']['batch_size']}. For one latent they are to each other as D(G(z)) to "
        "1 − D(G(z)).",
        "",
        *_table(["step of D", "D(G(z))", "saturating", "non-saturating", "strong over weak"], rows),
        "",
        "![Norms of the gradients over the steps](docs/claims/gradients.png)",
        "",
        "### Samples of a VAE are blurrier than those of a GAN",
        "",
        "Sharpness is the variance of the Laplacian, averaged over images; noise counts as "
        "sharpness too, so only a value near that of real images is good. A VAE shows the mean of "
        "p(x|z). From top to bottom: test images, `vae`, `gan`, `cgan`.",
        "",
    ]
    shown = [f for f in FIGURES if f[0] in ("sharpness", "fid")]
    rows = []
    for name in ("vae", "gan", "cgan"):
        found = records[name]["figures"]["samples"]
        if not rows:
            rows.append(["test images; floor", *_cells(found["floor"], shown)])
        rows.append([name, *_cells(found["model"], shown)])
    kl = sorted(claims["latents"]["kl_nats"], reverse=True)
    lines += [
        *_table(["", *(head for _, head, _ in shown)], rows),
        "",
        "![Test images, and samples of vae, gan and cgan](docs/claims/sharpness.png)",
        "",
        "### What each latent dimension does",
        "",
        f"KL(q(zⱼ|x) ‖ p(zⱼ)) of the {len(kl)} dimensions of `vae` over the test images, in nats, "
        f"greatest first: {', '.join(f'{v:.2f}' for v in kl)}. "
        f"{sum(v < 0.1 for v in kl)} of them carry less than 0.1 nats. The picture moves one at a "
        "time from −3 to 3 standard deviations of the prior, the others at 0: the nine of the "
        "greatest KL, and the one of the least.",
        "",
        "![Traversals](docs/claims/latents.png)",
        "",
    ]
    return lines


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
        (figures.get("classification", {}), ACCURACY),
        (figures.get("likelihood", {}), LIKELIHOODS),
        (figures.get("representation", {}), PROBES),
        (figures.get("samples", {}).get("model", {}), FIGURES),
    ):
        floor = figures["samples"]["floor"] if part and shown is FIGURES else {}
        for key, head, digits in shown:
            if key in part:
                [own], [least] = (_cells(p, ((key, head, digits),)) for p in (part, floor))
                head = f"linear probe: {head}" if shown is PROBES else head
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
        f"{found['num_real']:,} images of the {record['split']} split"
        + ("" if record["binarization"] == "none" else ", black and white as the samples are")
        + f". Feature net: {p['feature_net']}, SHA-256 `{p['sha256'][:16]}`; "
        f"resize: {p['resize']}; covariance: {p['covariance']}; "
        f"error of FID: {p['fid_error']}; KID: {p['kid']}; "
        f"precision, recall, density, coverage: {p['neighbours']} neighbours. CAS: accuracy on the "
        f"test images of {p['cas']}, that saw only samples. Nearest training image: distance in "
        f"pixels, {p['neighbour_queries']:,} samples. Parzen window: {p['parzen']}. Floor: as many "
        "training images in place of the samples; for classifier score, class fidelity, nearest "
        "training image and sharpness, the test images themselves. Samples a second: on the CPU, "
        "500 at a time."
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

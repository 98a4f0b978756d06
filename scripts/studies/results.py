"""RESULTS.md and model cards: text made of settings and records, and of nothing else."""

import itertools
import json
import pathlib
from typing import Any

import jinja2
import verdicts

from zoo import registry
from zoo.core import config, schemas
from zoo.core.files import read_json
from zoo.data import toy
from zoo.errors import InputError
from zoo.evaluation import efficientnet, tables
from zoo.evaluation.intervals import difference
from zoo.evaluation.records import classifier_of, differences, machine_of, read_record
from zoo.hub import folders, pretrained
from zoo.hub.card import front_matter

LIKELIHOODS = (
    ("bits_per_dim", "exact, bits a dimension", 4),
    ("elbo_bits_per_dim", "ELBO, bits a dimension", 4),
    ("iwae_bound_bits_per_dim", "K-sample bound, bits a dimension", 4),
    ("log_prob_nats", "exact, nats", 2),
    ("elbo_nats", "ELBO, nats", 2),
    ("iwae_bound_nats", "K-sample bound, nats", 2),
    ("effective_sample_size", "effective sample size of the K draws", 1),
)
PROBES = (
    ("probe_of_latent_means", "latent means", 3),
    ("probe_of_principal_components", "as many principal components", 3),
    ("probe_of_pixels", "pixels", 3),
)
ACCURACY = (("accuracy", "test accuracy", 4),)
CATEGORIES = (("accuracy_of_categories", "accuracy", 3),)
RECONSTRUCTIONS = (
    ("distance_to_own_reconstruction", "distance", 2),
    ("distance_to_next_reconstruction", "distance to another's", 2),
    ("class_seen_in_reconstruction", "class seen in it", 3),
    ("class_seen_in_image", "class seen in the image", 3),
)
KINDS = {  # what a card says before their headings
    PROBES: "linear probe: ",
    CATEGORIES: "categories: ",
    RECONSTRUCTIONS: "reconstruction: ",
}
TITLES = {"emoji": "Emoji", "fashion_mnist": "Fashion-MNIST", "mnist": "MNIST"}


def pages(root: pathlib.Path) -> dict[pathlib.Path, str]:
    """Each generated page of the project at `root` and what it should say.

    Raises:
      InputError: something is missing or cannot be read, or a record is not of the weights that
        the manifest names.
    """
    folder = pathlib.Path("zoo/pretrained")
    manifest = pretrained.manifest(root / folder)
    notes = read_json(root / folder / "notes.json", schemas.NOTES)
    claims = read_json(root / "docs/claims/claims.json", schemas.CLAIMS)
    if "classifier" not in manifest or "weights" not in claims:
        raise InputError(f"{folder} has no classifier, or docs/claims/claims.json no weights")
    for name in ("seeds", "benchmark", "mnist", "recipes", "published", *toy.MIXTURES):
        if (path := root / f"docs/claims/{name}.json").exists():
            claims[name] = read_json(path, schemas.CLAIMS)
    if "benchmark" in claims and "bare_xla" not in claims["benchmark"]["steps"]["cgan"]:
        raise InputError("docs/claims/benchmark.json is of another version: run it again")
    records = {name: read_record(root / folder / name / folders.RECORD) for name in manifest}
    known_nets = {about["sha256"] for about in manifest.values()} | {efficientnet.SHA256}
    for name, record in records.items():
        if name not in notes:
            raise InputError(f"{folder}/notes.json says nothing of {name}")
        if record["weights_sha256"] != manifest[name]["sha256"]:
            raise InputError(
                f"{folder}/{name}/record.json is of other weights: evaluate {name} again"
            )
        settings = manifest[name]["settings"]
        usual = config.formerly(registry.config_class(settings["model"])())
        of_weights = {**json.loads(json.dumps(usual)), **settings["config"]}
        if other := [
            key for key, value in record["config"].items() if of_weights.get(key) != value
        ]:
            raise InputError(
                f"{folder}/{name}/record.json is of another {other[0]}: evaluate {name} again"
            )
        net = record["features"]
        if net and net["sha256"] not in known_nets:
            raise InputError(
                f"{folder}/{name}/record.json is of another classifier: evaluate {name} again"
            )
    judge = manifest["classifier"]["sha256"]
    if "seeds" in claims and claims["seeds"]["classifier"] != judge:
        raise InputError(
            "docs/claims/seeds.json is of another classifier: run scripts/studies/seeds.py"
        )
    for weights, flags in (
        (claims["weights"], ""),
        (claims.get("mnist", {}).get("weights", {}), " --mnist_dir=DIR"),
    ):
        for name, sha256 in weights.items():
            if sha256 != manifest[name]["sha256"]:
                raise InputError(
                    f"docs/claims is of other weights of {name}: "
                    f"run scripts/studies/claims.py{flags}"
                )
    try:
        found = {root / "RESULTS.md": results(manifest, records, notes, claims)}
        for name, about in manifest.items():
            text = card(name, about, records[name], notes[name])
            found[root / folder / name / folders.CARD] = text
    except (KeyError, jinja2.UndefinedError) as e:  # a figure that was left out, say
        raise InputError(f"a record or docs/claims lacks {e}, which the pages show") from e
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
      claims: what `claims.py` wrote, and, if they were run, under `seeds`, `ring` and `grid` what
        `seeds.py` did, and under `benchmark` what `benchmark.py` did;
        under `published` figures of papers, and under `recipes` what was tried beside a recipe.
    """
    lines = [
        "# Results",
        "",
        "Made by `python scripts/studies/report.py` from `zoo/pretrained`, the "
        "records in it and those in `docs/claims`; a test fails when this page and they "
        "disagree. Numbers of a model are of its weights in the package, as they are loaded; ± is "
        "one standard error, of images and samples and not of trainings; an interval of about 95% "
        "reaches two of them to either side. Each card names the command "
        "that measures again, and the machine: minutes of different ones do not compare, and those "
        "of one name may differ too.",
        "",
    ]
    for dataset in sorted({r["dataset"] for r in records.values()}):
        here = {n: r for n, r in records.items() if r["dataset"] == dataset}
        title = TITLES.get(dataset, dataset)
        for part in (
            _samples,
            _likelihoods,
            _representations,
            _reconstructions,
            _categories,
            _accuracies,
        ):
            lines += part(title, manifest, here)
    if "benchmark" in claims:
        lines += _speed(claims["benchmark"])
    lines += verdicts.chosen_recipes(claims.get("recipes", {}), manifest)
    beside, recipes = {}, claims.get("recipes", {})
    for name, figure in claims.get("published", {}).items():
        usual = verdicts.default_of(recipes, name, figure["key"])
        beside[name] = f" {verdicts.beside_published(records[name], figure, usual)}"
    published = [
        f"- `{n}`: {notes[n]['published']}{beside.get(n, '')}"
        for n in records
        if "published" in notes[n]
    ]
    if published:
        lines += ["## Beside published figures", "", *published, ""]
    return "\n".join([*lines, *verdicts.section(claims, records, manifest)])


def _samples(title, manifest, records) -> list[str]:
    """A table, with its protocol and floor, for each set of records that were measured alike."""
    groups = []
    for name in (n for n, r in records.items() if "samples" in r["figures"]):
        for group in groups:
            if not any(differences(records[n], records[name], ("samples",)) for n in group):
                group.append(name)
                break
        else:
            groups.append([name])
    lines = []
    for group in groups:
        found = {n: records[n]["figures"]["samples"] for n in group}
        shown = [f for f in tables.FIGURES if any(f[0] in found[n]["model"] for n in group)]
        fullest = max(group, key=lambda n: len(found[n]["floor"]))
        observations = {found[n]["observation"] for n in group} - {None}  # one at most
        rows = [["floor", "", "", *tables.cells(found[fullest]["floor"], shown)]]
        rows += [[*_run(n, manifest[n]), *tables.cells(found[n]["model"], shown)] for n in group]
        heads = ["model", "parameters", "minutes", *(head for _, head, _ in shown)]
        colors = records[fullest]["binarization"]
        heading = f"{title}: samples" if colors == "none" else f"{title}, black and white: samples"
        machines = sorted({machine_of(records[n]) for n in group})
        said, judge = [], records[fullest]["features"]["sha256"]
        parts = {n: manifest[n]["settings"]["config"].get("p_y_given_x") for n in group}
        if own := [n for n, part in parts.items() if part and manifest[part]["sha256"] == judge]:
            said.append(
                f"The classifier that judges here is a part of {', '.join(own)}, of whose figures "
                "only CAS, sharpness and the nearest training image are thus judged independently."
            )
        if chosen := [n for n in group if _chosen_by(manifest[n]["settings"], manifest) == judge]:
            same = " (the same latents are among those of this table)"
            said.append(
                f"The weights of {', '.join(chosen)} are those of the epoch whose 1,000 samples"
                f"{'' if records[fullest]['seed'] else same} the classifier that judges here "
                "judged best, against validation images."
            )
        if again := [n for n in group if "effective_sample_size_per_class" in found[n]["model"]]:
            said.append(
                f"± of {', '.join(again)} counts samples as independent. Of each 500 those of a "
                "class are drawn again from one set of candidates: of 50 and an effective sample "
                "size of n (on the card) the error of a class is larger by a factor of about "
                "sqrt(1 + 49/n)."
            )
        judged = [" ".join(said), ""] if said else []
        order = _order({n: found[n]["model"]["fid"] for n in group if "fid" in found[n]["model"]})
        lines += [f"## {heading}", "", *_protocol(records[fullest], machines, *observations), ""]
        lines += [*judged, *tables.table(heads, rows), "", *order]
    return lines


def _order(fid: dict[str, Any]) -> list[str]:
    """How far each model is behind the next better one, where their figures keep common draws."""
    names = sorted(fid, key=lambda name: fid[name]["mean"])
    behind = [difference(fid[b], fid[a]) for a, b in itertools.pairwise(names)]
    if not behind or not all(of["paired"] for of in behind):
        return []
    steps = [
        f"`{name}` {of['mean']:.2f} ± {of['standard_error']:.2f}"
        for name, of in zip(names[1:], behind, strict=True)
    ]
    return [
        f"By FID `{names[0]}` comes first. Behind the one before it is {', '.join(steps)}. These "
        "errors are of differences, by common draws of the real images.",
        "",
    ]


def _likelihoods(title, manifest, records) -> list[str]:
    composed = [n for n, r in records.items() if r["model"] == "bayes_conditional"]
    return _part(
        title,
        manifest,
        records,
        "likelihood",
        "likelihood",
        LIKELIHOODS,
        "The log-likelihood of the test images: exact where the model has it, else two lower "
        "bounds, so that the true code length is at most theirs. Rows of one quantity and "
        "binarization compare if their pixels have a mass on the same levels (quantized_gaussian, "
        "categorical, logistic_mixture; or bernoulli); a density compares with none of them. Real "
        "images have no likelihood of their own, which would be the floor."
        + (
            f" {' and '.join(composed)} divide by an estimate, of p(y) or with guidance of "
            "E[p(y|x)^s]: such a figure is a lower bound only up to that estimate's error, which "
            "the card names."
            if composed
            else ""
        ),
        {
            "K": lambda r: str(r["figures"]["likelihood"]["num_samples"] or ""),
            "images": lambda r: f"{r['figures']['likelihood']['num_images']:,}",
            "of": lambda r: (
                "log p(x\\|y)" if r["figures"]["likelihood"].get("given") else "log p(x)"
            ),
            "pixels": lambda r: (
                r["figures"]["likelihood"].get("p_x_i")
                or r["figures"]["likelihood"]["p_x_given_z"]
                or ""
            ),
            "binarization": lambda r: r["binarization"],
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
        "many principal components; each is as strongly regularized as suits it best by a fifth of "
        "these images. Of ten classes, guessing finds 0.1. Models that are told the label are left "
        "out.",
        {
            "dimensions": lambda r: str(r["figures"]["representation"]["num_dims"]),
            "training images": lambda r: f"{r['figures']['representation']['num_train']:,}",
        },
    )


def _reconstructions(title, manifest, records) -> list[str]:
    return _part(
        title,
        manifest,
        records,
        "reconstruction",
        "what a reconstruction keeps",
        RECONSTRUCTIONS,
        "Test images, encoded and decoded again: the Euclidean distance of pixels from an image to "
        "its reconstruction, beside that to the reconstruction of the next image, and how often "
        "the classifier of the sample metrics sees the image's class in its reconstruction and in "
        "the image itself.",
    )


def _chosen_by(settings: dict[str, Any], manifest: dict[str, Any]) -> str | None:
    """The digest of the classifier by whose FID a run kept its best checkpoint, if it did."""
    # (weights from before there was the setting are of the last epoch)
    if settings["recipe"]["monitor"] != "val_fid" or not settings["run"].get("eval_every", 0):
        return None
    if sha256 := settings.get("classifier_sha256"):
        return sha256
    name = classifier_of(manifest, settings["dataset_digest"])
    return name and manifest[name]["sha256"]


def _categories(title, manifest, records) -> list[str]:
    return _part(
        title,
        manifest,
        records,
        "categories",
        "categories found without labels",
        CATEGORIES,
        "Each category stands for the class of most of its training images; the accuracy is that "
        "of labels of test images by their category. Of ten classes, guessing finds 0.1.",
        {"classes found": lambda r: str(r["figures"]["categories"]["classes_found"])},
    )


def _accuracies(title, manifest, records) -> list[str]:
    return _part(title, manifest, records, "classification", "classification", ACCURACY)


def _speed(found: dict[str, Any]) -> list[str]:
    """What a step costs beyond its bare computation, and what drawing with a memory saves."""
    steps, drawing = found["steps"], found["drawing"]

    def milliseconds(part):
        low, middle, high = (1000 * part[f"{of}_s"] for of in ("min", "median", "max"))
        return f"{middle:.1f} ({low:.1f} to {high:.1f})"

    rows = [
        [
            name,
            milliseconds(step["in_fit_with_callbacks"]),
            milliseconds(step["bare_tf_function"]),
            f"{step['fit_over_bare_of_medians']:.2f}",
            milliseconds(step["bare_xla"]),
        ]
        for name, step in steps.items()
    ]
    kept, anew = (
        drawing[key]["median_s"] for key in ("keeping_what_is_known", "computing_all_anew")
    )
    return [
        "## What a step costs, and drawing pixel by pixel",
        "",
        f"By `{found['command']}` on {machine_of(found)} ({found['matmul_peak_gflops']:.0f} "
        "GFLOP/s in a float32 matrix product). A step inside `fit`, with those of a run's "
        "callbacks that act at steps, beside one by hand of the same networks, losses and "
        "optimizers (without an average of G), and beside the latter compiled by XLA: "
        "milliseconds, as median, least and greatest. The `vae` is one of dense layers for black "
        "and white pixels, in batches of 128; of the others each step (of D) has 64.",
        "",
        *tables.table(["model", "in fit", "by hand", "ratio of medians", "by hand, XLA"], rows),
        "",
        f"`pixelcnn` draws 64 images in {kept:.1f} seconds. The loop that passes over the whole "
        f"images for each pixel would take {anew:.0f} seconds (timed for one row), "
        f"**{drawing['times_faster']:.0f} times as long**.",
        "",
    ]


def _part(title, manifest, records, part, heading, shown, text="", more=None) -> list[str]:
    """A table of one part of the figures of all models that have it; nothing without any."""
    names = [n for n, r in records.items() if part in r["figures"]]
    if not names:
        return []
    more = more or {}
    shown = [f for f in shown if any(f[0] in records[n]["figures"][part] for n in names)]
    rows = [
        [
            *_run(n, manifest[n]),
            *tables.cells(records[n]["figures"][part], shown),
            *(f(records[n]) for f in more.values()),
        ]
        for n in names
    ]
    heads = ["model", "parameters", "minutes", *(head for _, head, _ in shown), *more]
    intro = [text, ""] if text else []
    return [f"## {title}: {heading}", "", *intro, *tables.table(heads, rows), ""]


def card(name: str, about: dict[str, Any], record: dict[str, Any], notes: dict[str, str]) -> str:
    """A model card: `zoo/pretrained/NAME/README.md`.

    Args:
      name: of the pretrained model.
      about: its entry; see `zoo.hub.pretrained`.
      record: its evaluation.
      notes: what only a person can say: `for`, `not_for`, `failures`.
    """
    settings, figures = about["settings"], record["figures"]
    rows = []
    for part, shown in (
        (figures.get("classification", {}), ACCURACY),
        (figures.get("likelihood", {}), LIKELIHOODS),
        (figures.get("representation", {}), PROBES),
        (figures.get("reconstruction", {}), RECONSTRUCTIONS),
        (figures.get("categories", {}), CATEGORIES),
        (figures.get("samples", {}).get("model", {}), tables.FIGURES),
    ):
        floor = figures["samples"]["floor"] if part and shown is tables.FIGURES else {}
        for key, head, digits in shown:
            if key in part:
                [own], [least] = (tables.cells(p, ((key, head, digits),)) for p in (part, floor))
                rows.append([KINDS.get(shown, "") + head, own, least])
    samples = figures.get("samples")
    protocol = samples and _protocol(record, [machine_of(record)], samples["observation"])
    classifies = "classification" in figures
    head = front_matter(settings, record["dataset"], record, "apache-2.0", classifies)
    return TEMPLATES.get_template("card.md.j2").render(
        head="\n".join(head),
        name=name,
        notes=notes,
        about=about,
        settings=settings,
        record=record,
        samples=samples,
        rows=rows,
        protocol=protocol and protocol[0],
        of_classes=_per_class(settings["class_names"], figures),
        neighbors=_neighbors(samples),
    )


def _table(heads: list[str], rows: list[list[str]]) -> str:
    return "\n".join(tables.table(heads, rows))


def _short(commit: str) -> str:
    return commit[:12] + ("-dirty" if commit.endswith("-dirty") else "")


def _per_class(names: list[str], figures: dict[str, Any]) -> str:
    """A table: of each class its accuracy, or its fidelity, its FID and how drawing it went."""
    samples = figures.get("samples", {"model": {}, "floor": {}})
    columns = [
        (head, part[key], digits)
        for key, head, digits, part in (
            ("accuracy_per_class", "accuracy", 4, figures.get("classification", {})),
            (
                "p_y_error_nats_per_class",
                "error of the normalizer, nats",
                3,
                figures.get("likelihood", {}),
            ),
            *(
                (key, head, digits, samples[side])
                for key, of, digits in (
                    ("class_fidelity_per_class", "fidelity", 3),
                    ("fid_per_class", "FID", 1),
                    ("effective_sample_size_per_class", "effective sample size", 0),
                    ("r_hat_per_class", "R-hat", 2),
                )
                for side, head in (("model", of), ("floor", f"floor: {of}"))
            ),
        )
        if key in part
    ]
    if not columns:
        return ""
    rows = [[name, *(_cell(of[k], d) for _, of, d in columns)] for k, name in enumerate(names)]
    return _table(["class", *(head for head, _, _ in columns)], rows)


def _cell(value: Any, digits: int) -> str:
    """A mean with its error, or a number; nothing where a class was not asked for."""
    if isinstance(value, dict):
        [cell] = tables.cells({"": value}, [("", "", digits)])
        return cell
    return "" if value is None else f"{value:.{digits}f}"


def _neighbors(samples: dict[str, Any] | None) -> str:
    """Quantiles of the distance to the nearest training image: memorization would show."""
    if not samples:
        return ""
    key = "nearest_training_distance"
    rows = [
        [name, *(f"{v:.2f}" for v in samples[side][key]["quantiles"])]
        for name, side in (("samples", "model"), ("test images", "floor"))
    ]
    heads = ["distance to the nearest training image", "1%", "10%", "50%", "90%", "99%"]
    return _table(heads, rows)


def _protocol(
    record: dict[str, Any], machines: list[str], observation: str | None = None
) -> list[str]:
    """How samples were measured, in a paragraph."""
    p, found, split = record["protocols"], record["figures"]["samples"], record["split"]
    net, sets = record["features"], found["num_floor_sets"]
    how = {
        None: "",
        "mean": "decoders p(x|z) show their mean; ",
        "sample": "decoders p(x|z) are drawn from; ",
    }[observation]
    colors = "" if record["binarization"] == "none" else ", black and white as the samples are"
    spread = f"; of FID the mean of {sets} such sets, ± the deviation of one" if sets > 1 else ""
    lines = [
        f"{found['num_images']:,} samples (seed {record['seed']}; {how}rounded to 8 bits) against "
        f"as many images of the {split} split{colors}.",
        f"Feature net: {net['name']}, SHA-256 `{net['sha256'][:16]}`; resize: {net['resize']}.",
        f"FID: covariance {p['fid']['covariance']}; error: {p['fid']['error']}."
        if "fid" in p
        else f"FID is left out: {record['figures']['left_out']['fid']}.",
        f"KID: mean of {p['kid']['parts']} disjoint random parts, kernel {p['kid']['kernel']}.",
        f"Precision, recall, density, coverage: {p['precision']['neighbors']} neighbors; error: "
        f"{p['precision']['error']}, 0.8 to 2.4 times the spread of independent sets, where that "
        "was measured.",
        "Classifier score: the Inception Score's formula, exp E[KL(p(y|x) || p(y))], of the "
        "feature net's p(y|x)."
        if "inception_score" in p
        else "",
        "Copies: the share of samples that are nearer to a training image than that image is to "
        "any other one."
        if "copies" in p
        else "",
        "Class fidelity: how often it sees the class that was asked for, which is each as often as "
        f"among the {split} images."
        if "class_fidelity" in p
        else "",
        f"CAS: accuracy on the {split} images of {p['cas']['classifier']}, that saw only samples; "
        "its error is of the images, and not of the one training."
        if "cas" in p
        else "",
        "Nearest training image: Euclidean distance of pixels, "
        f"{p['nearest_training_distance']['queries']:,} samples among {found['num_train']:,} "
        "images.",
        f"Parzen window: sigma {p['parzen_nats']['sigma']}." if "parzen_nats" in p else "",
        f"Floor: as many training images in place of the samples, {p['kid']['subsets']}{spread}; "
        "for classifier score, class fidelity, nearest training image and sharpness, the "
        f"{split} images themselves.",
        f"Samples a second: 500 at a time, on {' or '.join(machines)}"
        + ("." if len(machines) == 1 else "; those of different machines do not compare."),
    ]
    return [" ".join(line for line in lines if line)]


def _minutes(summary: dict[str, Any]) -> str:
    """Of training; `paused_seconds`, a person's entry, are those in which the process stood."""
    return f"{(summary['training_seconds'] - summary.get('paused_seconds', 0)) / 60:.1f}"


def _run(name: str, about: dict[str, Any]) -> list[str]:
    summary = about["summary"]
    return [
        f"[{name}](zoo/pretrained/{name}/{folders.CARD})",
        f"{summary['parameters']:,}",
        _minutes(summary) if summary["training_seconds"] else "",
    ]


# pages as templates of Jinja2: what is missing in a record is an error, and not an empty place
TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(pathlib.Path(__file__).parent / "templates"),
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    undefined=jinja2.StrictUndefined,
)
TEMPLATES.globals |= {
    "table": _table,
    "machine_of": machine_of,
    "minutes": _minutes,
    "short": _short,
}

"""RESULTS.md, pages of docs and model cards: text of settings and records, and nothing else."""

import itertools
import json
import pathlib
import re
from typing import Any

import jinja2
import overview
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
# part of a record -> the figures of its table, and what else there is a column for
PARTS = {
    "likelihood": (
        LIKELIHOODS,
        {
            "K": lambda record, of: str(of["num_samples"] or ""),
            "images": lambda record, of: f"{of['num_images']:,}",
            "of": lambda record, of: "log p(x\\|y)" if of.get("given") else "log p(x)",
            "pixels": lambda record, of: of.get("p_x_i") or of["p_x_given_z"] or "",
            "binarization": lambda record, of: record["binarization"],
        },
    ),
    "representation": (
        PROBES,
        {
            "dimensions": lambda record, of: str(of["num_dims"]),
            "training images": lambda record, of: f"{of['num_train']:,}",
        },
    ),
    "reconstruction": (RECONSTRUCTIONS, {}),
    "categories": (CATEGORIES, {"classes found": lambda record, of: str(of["classes_found"])}),
    "classification": (ACCURACY, {}),
}
FAMILIES = (  # a model of each
    "vae_samples",
    "hierarchical_vae",
    "vqvae",
    "pixelcnn",
    "realnvp",
    "flow_matching",
    "diffusion",
    "mean_flow",
    "projection_cgan",
    "bayes_conditional",
)
_NO_BITS = {"projection_cgan": "none", "mean_flow": "none"}
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
    for name in ("seeds", "benchmark", "mnist", "recipes", "published", "drawing", *toy.MIXTURES):
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
    for weights, command in (
        (claims["weights"], "claims.py"),
        (claims.get("mnist", {}).get("weights", {}), "claims.py --mnist_dir=DIR"),
        (claims.get("drawing", {}).get("weights", {}), "drawing.py"),
    ):
        for name, sha256 in weights.items():
            if sha256 != manifest.get(name, {}).get("sha256"):
                raise InputError(
                    f"docs/claims is of other weights of {name}: run scripts/studies/{command}"
                )
    try:
        found = {
            root / "RESULTS.md": results(manifest, records, claims),
            root / "docs/claims.md": measured_claims(manifest, records, claims),
            root / "docs/results.md": overview.page(
                TEMPLATES.get_template("overview.md.j2"), manifest, records
            ),
            root / "docs/families.md": families(manifest, records),
            root / "docs/literature.md": literature(records, claims),
        }
        for name, about in manifest.items():
            text = card(name, about, records[name], notes[name])
            found[root / folder / name / folders.CARD] = text
    except (KeyError, jinja2.UndefinedError) as e:  # a figure that was left out, say
        raise InputError(f"a record or docs/claims lacks {e}, which the pages show") from e
    return found


def plots(root: pathlib.Path) -> dict[pathlib.Path, list[Any]]:
    """Each plot of docs/results.md and the numbers that it should show."""
    folder = root / "zoo/pretrained"
    manifest = pretrained.manifest(folder)
    records = {name: read_record(folder / name / folders.RECORD) for name in manifest}
    numbers = overview.plots(manifest, records)
    return {root / f"docs/claims/{name}.png": of for name, of in numbers.items()}


def results(
    manifest: dict[str, Any],
    records: dict[str, Any],
    claims: dict[str, Any],
) -> str:
    """RESULTS.md.

    Args:
      manifest: of the pretrained models.
      records: name -> what `scripts/evaluate.py --pretrained=NAME` wrote.
      claims: what `claims.py` wrote, and, if they were run, under `seeds`, `ring` and `grid` what
        `seeds.py` did, under `benchmark` what `benchmark.py` did, and under `drawing` what
        `drawing.py` did;
        under `recipes` what was tried beside a recipe.
    """
    datasets = []
    images = {
        n: (r["dataset"], *manifest[n]["settings"]["image_shape"]) for n, r in records.items()
    }
    for dataset, height, width, channels in sorted(set(images.values())):
        here = {n: r for n, r in records.items() if images[n] == (dataset, height, width, channels)}
        title = TITLES.get(dataset, dataset)
        if len({of for of in images.values() if of[0] == dataset}) > 1:
            title += f" of {height}x{width} pixels"
        parts = {
            part: _part(manifest, here, part, shown, more) for part, (shown, more) in PARTS.items()
        }
        composed = [n for n, r in here.items() if r["model"] == "bayes_conditional"]
        samples = _samples(title, manifest, here)
        datasets.append({"title": title, "samples": samples, "composed": composed, **parts})
    speed = claims.get("benchmark")
    page = TEMPLATES.get_template("results.md.j2").render(
        datasets=datasets,
        speed=speed,
        steps=speed and _steps(speed["steps"]),
        recipes=verdicts.chosen_recipes(claims.get("recipes", {}), manifest),
    )
    return page.rstrip() + "\n"


def measured_claims(
    manifest: dict[str, Any], records: dict[str, Any], claims: dict[str, Any]
) -> str:
    """docs/claims.md: each claim with its numbers, and before them the verdicts in a table."""
    template = TEMPLATES.get_template("claims.md.j2")
    found = verdicts.found(claims, records, manifest)
    summary = []
    for section in template.render(summary=[], **found).split("\n## ")[1:]:
        title = section.partition("\n")[0].strip("“”")
        anchor = re.sub(r"[^\w\- ]", "", title).lower().replace(" ", "-")
        said = re.findall(r"\*\*((?:It|All) [^*]+?)\.?\*\*", section)
        held = said.count("It holds here")
        if len(set(said)) == 2 and held + said.count("It does not hold here") == len(said):
            said = [f"It holds in {held} of {len(said)} tests"]
        verdict = "; ".join(dict.fromkeys(said)) or "see the numbers"
        summary.append([f"[{title}](#{anchor})".replace("|", "\\|"), verdict])
    return template.render(summary=summary, **found).rstrip() + "\n"


def literature(records: dict[str, Any], claims: dict[str, Any]) -> str:
    """docs/literature.md: figures beside those of papers (`docs/claims/published.json`)."""
    found, rows = claims["published"], []
    for name, of in found["rows"].items():
        differs, key = of["differs"], of["key"]
        if usual := verdicts.default_of(claims.get("recipes", {}), name, key):
            [cell] = tables.cells({"": usual}, [("", "", of["digits"])])
            differs += f", which gives {cell}"
        beside = verdicts.beside_published(records[name], of)
        rows.append([overview.link(name, "../"), of["of"], *beside, of["source"], differs])
    heads = [
        "model",
        "figure",
        "here",
        "published",
        "difference",
        "",
        "source",
        "what differs here",
    ]
    page = TEMPLATES.get_template("literature.md.j2").render(
        heads=heads, rows=rows, others=found["others"]
    )
    return page.rstrip() + "\n"


def families(manifest: dict[str, Any], records: dict[str, Any]) -> str:
    """docs/families.md: a published model of each family beside the others."""
    drawn = {n: records[n]["figures"]["samples"] for n in FAMILIES if n in records}
    verdicts.check_alike(records, drawn, "samples")
    columns = [f for f in tables.FIGURES if f[0] in ("fid", "samples_per_second")]
    rows = []
    for name, of in drawn.items():
        part = records[name]["figures"].get("likelihood", {})
        key = verdicts.tightest(part)
        bits = tables.cells(part, [(key, "", 2)])[0] if key else _NO_BITS.get(name, "not measured")
        if part.get("given"):
            bits += ", given the class"
        calls = of["model"].get("network_calls", {}).get("mean")
        calls = calls or overview.CALLS.get(records[name]["model"], "the candidates")
        fid, speed = tables.cells(of["model"], columns)
        _, parameters, minutes = _run(name, manifest[name])
        rows.append([overview.link(name, "../"), fid, bits, str(calls), speed, minutes, parameters])
    page = TEMPLATES.get_template("families.md.j2").render(
        drawn=drawn,
        heads=[
            "model",
            "FID",
            "bits a pixel",
            "network calls an image",
            "samples a second",
            "minutes of training",
            "parameters",
        ],
        rows=rows,
        floor=tables.cells(drawn["vae_samples"]["floor"], columns[:1])[0],
        told=[n for n, of in drawn.items() if "class_fidelity" in of["model"]],
    )
    return re.sub("\n{3,}", "\n\n", page.rstrip()) + "\n"


def _samples(title, manifest, records) -> list[dict[str, Any]]:
    """A table, with its protocol and floor, for each set of records that were measured alike."""
    groups = []
    for name in (n for n, r in records.items() if "samples" in r["figures"]):
        for group in groups:
            if not any(differences(records[n], records[name], ("samples",)) for n in group):
                group.append(name)
                break
        else:
            groups.append([name])
    return [_group(title, manifest, {n: records[n] for n in group}) for group in groups]


def _group(title, manifest, records) -> dict[str, Any]:
    found = {n: r["figures"]["samples"] for n, r in records.items()}
    shown = [f for f in tables.FIGURES if any(f[0] in of["model"] for of in found.values())]
    fullest = max(found, key=lambda n: len(found[n]["floor"]))
    observations = {of["observation"] for of in found.values()} - {None}  # one at most
    rows = [["floor", "", "", *tables.cells(found[fullest]["floor"], shown)]]
    rows += [[*_run(n, manifest[n]), *tables.cells(of["model"], shown)] for n, of in found.items()]
    record = records[fullest]
    judge = record["features"]["sha256"]
    parts = {n: manifest[n]["settings"]["config"].get("p_y_given_x") for n in found}
    first, behind = _order(
        {n: of["model"]["fid"] for n, of in found.items() if "fid" in of["model"]}
    )
    machines = sorted({machine_of(r) for r in records.values()})
    binary = record["binarization"] != "none"
    return {
        "heading": f"{title}, black and white: samples" if binary else f"{title}: samples",
        "protocol": _protocol(record, machines, *observations),
        "own": [n for n, part in parts.items() if part and manifest[part]["sha256"] == judge],
        "chosen": [n for n in found if _chosen_by(manifest[n]["settings"], manifest) == judge],
        "again": [n for n in found if "effective_sample_size_per_class" in found[n]["model"]],
        "seed": record["seed"],
        "heads": ["model", "parameters", "minutes", *(head for _, head, _ in shown)],
        "rows": rows,
        "first": first,
        "behind": behind,
    }


def _order(fid: dict[str, Any]) -> tuple[str, list[str]]:
    """The best, and how far each other is behind the next better one, by common draws if kept."""
    names = sorted(fid, key=lambda name: fid[name]["mean"])
    behind = [difference(fid[b], fid[a]) for a, b in itertools.pairwise(names)]
    if not behind or not all(of["paired"] for of in behind):
        return "", []
    return names[0], [
        f"`{name}` {of['mean']:.2f} ± {of['standard_error']:.2f}"
        for name, of in zip(names[1:], behind, strict=True)
    ]


def _chosen_by(settings: dict[str, Any], manifest: dict[str, Any]) -> str | None:
    """The digest of the classifier by whose FID a run kept its best checkpoint, if it did."""
    # (weights from before there was the setting are of the last epoch)
    if settings["recipe"]["monitor"] != "val_fid" or not settings["run"].get("eval_every", 0):
        return None
    if sha256 := settings.get("classifier_sha256"):
        return sha256
    name = classifier_of(manifest, settings["dataset_digest"])
    return name and manifest[name]["sha256"]


def _steps(found: dict[str, Any]) -> list[list[str]]:
    """What a step costs beyond its bare computation, in milliseconds."""

    def milliseconds(part):
        low, middle, high = (1000 * part[f"{of}_s"] for of in ("min", "median", "max"))
        return f"{middle:.1f} ({low:.1f} to {high:.1f})"

    return [
        [
            name,
            milliseconds(step["in_fit_with_callbacks"]),
            milliseconds(step["bare_tf_function"]),
            f"{step['fit_over_bare_of_medians']:.2f}",
            milliseconds(step["bare_xla"]),
        ]
        for name, step in found.items()
    ]


def _part(manifest, records, part, shown, more) -> dict[str, list] | None:
    """A table of one part of the figures of all models that have it; nothing without any."""
    found = {n: r["figures"][part] for n, r in records.items() if part in r["figures"]}
    if not found:
        return None
    shown = [f for f in shown if any(f[0] in of for of in found.values())]
    rows = [
        [
            *_run(n, manifest[n]),
            *tables.cells(of, shown),
            *(cell(records[n], of) for cell in more.values()),
        ]
        for n, of in found.items()
    ]
    heads = ["model", "parameters", "minutes", *(head for _, head, _ in shown), *more]
    return {"heads": heads, "rows": rows}


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
        protocol=samples and _protocol(record, [machine_of(record)], samples["observation"]),
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


def _protocol(record: dict[str, Any], machines: list[str], observation: str | None = None) -> str:
    """How samples were measured, in a paragraph."""
    p, found, split = record["protocols"], record["figures"]["samples"], record["split"]
    net, sets = record["features"], found["num_floor_sets"]
    how = {
        None: "",
        "mean": "decoders p(x|z) show their mean; ",
        "sample": "decoders p(x|z) are drawn from; ",
    }[observation]
    colors = "" if record["binarization"] == "none" else ", black and white as the samples are"
    several = sets > 1 and "fid" in p
    spread = f"; of FID the mean of {sets} such sets, ± the deviation of one" if several else ""
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
        f"{min(p['nearest_training_distance']['queries'], found['num_images']):,} samples among "
        f"{found['num_train']:,} "
        "images.",
        f"Parzen window: sigma {p['parzen_nats']['sigma']}." if "parzen_nats" in p else "",
        f"Floor: as many training images in place of the samples, {p['kid']['subsets']}{spread}; "
        "for classifier score, class fidelity, nearest training image and sharpness, the "
        f"{split} images themselves.",
        f"Samples a second: 500 at a time, on {' or '.join(machines)}"
        + ("." if len(machines) == 1 else "; those of different machines do not compare."),
    ]
    return " ".join(line for line in lines if line)


def _minutes(summary: dict[str, Any]) -> str:
    return f"{pretrained.training_minutes(summary):.1f}"


def _run(name: str, about: dict[str, Any]) -> list[str]:
    summary = about["summary"]
    return [
        overview.link(name),
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

"""RESULTS.md and model cards: text made of the manifest and the records, and of nothing else."""

import pathlib
import statistics
from typing import Any

from zoo.errors import InputError
from zoo.evaluation.records import differences, read_json, read_record

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
    ("bits_per_dim", "exact, bits a dimension", 3),
    ("elbo_bits_per_dim", "ELBO, bits a dimension", 3),
    ("iwae_bound_bits_per_dim", "K-sample bound, bits a dimension", 3),
    ("log_prob_nats", "exact, nats", 2),
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


def pages(root: pathlib.Path) -> dict[pathlib.Path, str]:
    """Each generated page of the project at `root` and what it should say.

    Raises:
      InputError: something is missing or cannot be read, or a record is not of the weights that
        the manifest names.
    """
    folder = pathlib.Path("zoo/pretrained")
    files = (folder / "manifest.json", folder / "notes.json", "docs/claims/claims.json")
    manifest, notes, claims = (read_json(root / file) for file in files)
    if (seeds := root / "docs/claims/seeds.json").exists():
        claims["seeds"] = read_json(seeds)
    records = {name: read_record(root / folder / f"{name}.json") for name in manifest}
    weights = {about["sha256"] for about in manifest.values()}
    for name, record in records.items():
        if name not in notes:
            raise InputError(f"{folder}/notes.json says nothing of {name}")
        if record["weights_sha256"] != manifest[name]["sha256"]:
            raise InputError(f"{folder}/{name}.json is of other weights: evaluate {name} again")
        net = record["sample_metrics"]
        if net and net["sha256"] not in weights:
            raise InputError(
                f"{folder}/{name}.json is of another classifier: evaluate {name} again"
            )
    judge = manifest["classifier"]["sha256"]
    if "seeds" in claims and claims["seeds"]["classifier"] != judge:
        raise InputError("docs/claims/seeds.json is of another classifier: run scripts/seeds.py")
    for name, sha256 in claims["weights"].items():
        if sha256 != manifest[name]["sha256"]:
            raise InputError(f"docs/claims is of other weights of {name}: run scripts/claims.py")
    found = {root / "RESULTS.md": results(manifest, records, notes, claims)}
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
      claims: what `scripts/claims.py` wrote, and under `seeds` what `scripts/seeds.py` did,
        if it was run.
    """
    lines = [
        "# Results",
        "",
        "Made by `python scripts/report.py` from `zoo/pretrained/manifest.json`, the records "
        "beside it and those in `docs/claims`; a test fails when this page and they disagree. "
        "Every number is of the weights in the package, as they are loaded; ± is one standard "
        "error. `python scripts/evaluate.py --pretrained=NAME` measures again.",
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


def _samples(title, manifest, records) -> list[str]:
    """A table, with its protocol and floor, for each set of records that were measured alike."""
    groups = []
    for name in (n for n, r in records.items() if "samples" in r["figures"]):
        alike = [g for g in groups if not differences(records[g[0]], records[name], ("samples",))]
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
        "The log-likelihood of the test images: exact where the model has it, else two lower "
        "bounds, so that the true code length is at most theirs. Rows of one quantity and "
        "binarization compare if their pixels have a mass on the same levels (quantized_gaussian, "
        "categorical, logistic_mixture; or bernoulli); a density compares with none of them.",
        {
            "K": lambda r: str(r["figures"]["likelihood"]["num_samples"] or ""),
            "images": lambda r: f"{r['figures']['likelihood']['num_images']:,}",
            "of": lambda r: (
                "log p(x, given y)" if r["figures"]["likelihood"].get("given") else "log p(x)"
            ),
            "pixels": lambda r: (
                r["figures"]["likelihood"].get("p_x_i") or r["figures"]["likelihood"]["p_x_given_z"]
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
    shown = [f for f in shown if any(f[0] in records[n]["figures"][part] for n in names)]
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


def _verdict(holds: bool) -> str:
    return "**It holds here.**" if holds else "**It does not hold here.**"


def _claims(claims: dict[str, Any], records: dict[str, Any]) -> list[str]:
    """The section on what courses claim, by `scripts/claims.py` and the records."""
    return [
        "## What courses claim, measured",
        "",
        "By `python scripts/claims.py`, on Fashion-MNIST. Verdicts are computed from the numbers.",
        "",
        *_claim_of_beta(claims["beta"]),
        *_claim_of_gradients(claims["gradients"]),
        *_claim_of_sharpness(records),
        *_claim_of_order(records),
        *(_claim_of_seeds(claims["seeds"]) if "seeds" in claims else []),
        *_claim_of_latents(claims["latents"]["kl_nats"]),
        *_claim_of_likelihood(records),
    ]


def _claim_of_beta(found: dict[str, Any]) -> list[str]:
    rows = found["rows"]
    kl, reconstruction, elbo = (
        [row[name]["mean"] for row in rows]
        for name in ("kl_nats", "reconstruction_nats", "elbo_nats")
    )
    steps = list(zip(kl, kl[1:], reconstruction, reconstruction[1:], strict=False))
    held = sum(k1 < k0 and r1 < r0 for k0, k1, r0, r1 in steps)
    best = rows[elbo.index(max(elbo))]["beta"]
    shown = [(name, "", 1) for name in ("kl_nats", "reconstruction_nats", "elbo_nats")]
    return [
        "### “The two terms of the ELBO pull against each other”",
        "",
        f"A VAE of dense layers for each β (one seed, {found['epochs']} epochs), on the test "
        "images (± is over images only). The claim: each step to a greater β buys a smaller KL "
        f"with a worse reconstruction. **It holds in {held} of {len(steps)} steps.** The ELBO "
        f"itself, which is never weighted, is greatest at β = {best:g}.",
        "",
        *_table(
            ["β", "KL, nats", "reconstruction, nats", "ELBO, nats"],
            [[f"{row['beta']:g}", *_cells(row, shown)] for row in rows],
        ),
        "",
        "![Both terms over beta](docs/claims/beta.png)",
        "",
    ]


def _claim_of_gradients(found: dict[str, Any]) -> list[str]:
    waiting = found["waiting"]
    last = len(waiting[0]["d_fake"]) - 1

    def median(of, step):
        return statistics.median(of(run, step) for run in waiting)

    columns = {
        "D(G(z))": lambda run, i: run["d_fake"][i],
        "saturating": lambda run, i: run["saturating"][i],
        "non-saturating": lambda run, i: run["non_saturating"][i],
        "strong over weak": lambda run, i: run["non_saturating"][i] / run["saturating"][i],
    }
    rows = [
        [str(i + 1), *(f"{median(of, i):.3g}" for of in columns.values())]
        for i in sorted({0, 9, last // 2, last})
    ]
    ratio = columns["strong over weak"]
    weak, strong = columns["saturating"], columns["non-saturating"]
    holds = (
        median(ratio, last) > 10
        and median(weak, last) < median(weak, 0) / 10
        and median(strong, last) > median(strong, 0) / 10
    )
    trained = {
        name: statistics.median(run["d_fake"][-1] for run in found[name])
        for name in ("saturating", "non_saturating")
    }
    return [
        "### “The saturating generator loss starves”",
        "",
        "G waits while D learns, and the gradients of both losses by G's weights are taken at the "
        f"same D, G and latents: medians of {len(waiting)} seeds, batches of "
        f"{found['batch_size']}. The claim: as D gets sure, the gradient of log(1 − D(G(z))) falls "
        "below a tenth of what it was and of that of −log D(G(z)), which does not. "
        f"{_verdict(holds)} For one latent the two are to each other as D(G(z)) to 1 − D(G(z)).",
        "",
        *_table(["step of D", *columns], rows),
        "",
        f"Where both players learn, D(G(z)) after {last + 1} steps is {trained['saturating']:.3g} "
        f"with the saturating loss and {trained['non_saturating']:.3g} with the other (medians).",
        "",
        "![Norms of the gradients over the steps](docs/claims/gradients.png)",
        "",
    ]


def _claim_of_sharpness(records: dict[str, Any]) -> list[str]:
    shown = [f for f in FIGURES if f[0] in ("sharpness", "fid")]
    found = {name: records[name]["figures"]["samples"] for name in ("vae", "gan", "cgan")}
    real = found["vae"]["floor"]["sharpness"]["mean"]
    sharpness, fid = (
        {name: f["model"][key]["mean"] for name, f in found.items()} for key in ("sharpness", "fid")
    )
    blurry = sharpness["vae"] < min(real, sharpness["gan"], sharpness["cgan"])
    far = fid["vae"] > max(fid["gan"], fid["cgan"])
    return [
        "### “Samples of a VAE are blurrier than those of a GAN”",
        "",
        "Sharpness is the variance of the Laplacian, averaged over images; noise counts as "
        "sharpness too, so only a value near that of real images is good. A VAE shows the mean of "
        "p(x|z). The claim: the VAE's samples are less sharp than test images and than both GANs' "
        f"samples. {_verdict(blurry)} And its FID is the worst of the three. {_verdict(far)} From "
        "top to bottom: test images, `vae`, `gan`, `cgan`.",
        "",
        *_table(
            ["", *(head for _, head, _ in shown)],
            [
                ["test images; floor", *_cells(found["vae"]["floor"], shown)],
                *([name, *_cells(f["model"], shown)] for name, f in found.items()),
            ],
        ),
        "",
        "![Test images, and samples of vae, gan and cgan](docs/claims/sharpness.png)",
        "",
    ]


def _claim_of_order(records: dict[str, Any]) -> list[str]:
    """By FID: the GANs in the order of their papers, and all of them before all VAEs."""
    fid = {
        name: record["figures"]["samples"]["model"]["fid"]["mean"]
        for name, record in records.items()
        if record["dataset"] == "fashion_mnist" and "samples" in record["figures"]
    }
    gans = {name: v for name, v in fid.items() if name.endswith(("gan", "gan_gp"))}
    vaes = {name: v for name, v in fid.items() if name.endswith(("vae", "iwae"))}
    in_order = max(gans["sngan"], gans["projection_cgan"]) < gans["dcgan"] < gans["gan"]
    apart = max(gans.values()) < min(vaes.values())
    best, worst = min(vaes, key=vaes.get), max(gans, key=gans.get)
    return [
        "### “GANs got better, and draw better than VAEs”",
        "",
        f"By FID, of the table above. The claim: `sngan` ({gans['sngan']:.1f}) and "
        f"`projection_cgan` ({gans['projection_cgan']:.1f}) come before `dcgan` "
        f"({gans['dcgan']:.1f}), and that before `gan` ({gans['gan']:.1f}). {_verdict(in_order)} "
        f"And the last of {len(gans)} GANs (`{worst}`, {gans[worst]:.1f}) comes before the first "
        f"of {len(vaes)} VAEs (`{best}`, {vaes[best]:.1f}). {_verdict(apart)}",
        "",
    ]


def _claim_of_seeds(found: dict[str, Any]) -> list[str]:
    rows, steady = [], 0
    for name, runs in found["runs"].items():
        ended = [run for run in runs if "diverged" not in run]

        def of(key, reduce, digits, ended=ended):
            values = [run[key] for run in ended if key in run]
            return f"{reduce(values):.{digits}f}" if values else ""

        whole = all(r["val_distinct"] > 0.9 and not r.get("val_absent_classes") for r in ended)
        steady += whole and len(ended) == len(runs)
        rows.append(
            [
                name,
                ", ".join("diverged" if r not in ended else f"{r['val_fid']:.1f}" for r in runs),
                of("val_fid", statistics.mean, 1),
                of("val_fid", statistics.stdev, 1) if len(ended) > 1 else "",
                of("val_distinct", min, 3),
                of("val_absent_classes", max, 0),
                of("val_class_fidelity", min, 3),
            ]
        )
    floor = next(
        r["floor_fid"] for runs in found["runs"].values() for r in runs if "floor_fid" in r
    )
    heads = ["FID", "mean", "deviation", "distinct", "absent classes", "class fidelity"]
    return [
        "### “GANs are fragile”",
        "",
        "By `python scripts/seeds.py`: runs that differ in nothing but the seed, cut short after "
        f"{found['epochs']} epochs ({found['precision']}): FID of 1,000 samples against as many "
        f"validation images (floor {floor:.2f}; so few images do not compare with the table "
        "above), and of the worst one the share of samples that are no near-copy of another, the number of absent classes and, "
        "where a class is asked for, the class fidelity. **Without a collapse** (9 of 10 samples "
        "are distinct, and no class is absent) **end all runs of "
        f"{steady} of {len(rows)} models.**",
        "",
        *_table(["model", *heads], rows),
        "",
    ]


def _claim_of_latents(kl_nats: list[float]) -> list[str]:
    kl = sorted(kl_nats, reverse=True)
    return [
        "### “Each latent dimension does something”",
        "",
        f"KL(q(zⱼ|x) ‖ p(zⱼ)) of the {len(kl)} dimensions of `vae` over the test images, in nats, "
        f"greatest first: {', '.join(f'{v:.2f}' for v in kl)}. The claim: each carries more than "
        f"0.1 nats. {_verdict(kl[-1] > 0.1)} The picture moves one at a time from −3 to 3 standard "
        "deviations of the prior, the others at 0: the nine of the greatest KL, and the one of the "
        "least.",
        "",
        "![Traversals](docs/claims/latents.png)",
        "",
    ]


def _claim_of_likelihood(records: dict[str, Any]) -> list[str]:
    """Of the models of all 256 levels of Fashion-MNIST, unconditional ones."""
    shown = (("bits_per_dim", "", 3), ("iwae_bound_bits_per_dim", "", 3))
    found = {}
    for name, record in records.items():
        part = record["figures"].get("likelihood")
        if (
            part
            and record["dataset"] == "fashion_mnist"
            and not part.get("given")
            and record["binarization"] == "none"
            and part["p_x_given_z"] in (None, "quantized_gaussian")
        ):
            key = next(key for key, *_ in shown if key in part)
            found[name] = (part[key]["mean"], _cells(part, [f for f in shown if f[0] == key])[0])
    if "pixelcnn" not in found:
        return []
    others = [bits for name, (bits, _) in found.items() if not name.startswith("pixel")]
    holds = found["pixelcnn"][0] < min(others)
    return [
        "### “The likelihood of a PixelCNN is better than a VAE's”",
        "",
        "Bits per dimension of 8-bit test images: exact for pixel models, for the others the "
        "tightest bound of the table above, which their true code length is at most. The claim: "
        f"`pixelcnn` needs fewer bits than any of them. {_verdict(holds)}",
        "",
        *_table(
            ["model", "bits a dimension"],
            [[name, cell] for name, (_, cell) in sorted(found.items(), key=lambda item: item[1])],
        ),
        "",
    ]


def card(name: str, about: dict[str, Any], record: dict[str, Any], notes: dict[str, str]) -> str:
    """A model card: `zoo/pretrained/NAME.md`.

    Args:
      name: of the pretrained model.
      about: its entry in the manifest.
      record: its evaluation.
      notes: what only a person can say: `for`, `not_for`, `failures`.
    """
    settings, figures = about["settings"], record["figures"]
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
        f"![Samples, each with its nearest training image on its right]({name}_neighbours.png)"
        if "samples" in figures
        else "",
        "",
        "## Figures",
        "",
        *_table(["", "model", "floor"], rows),
        "",
        *(_protocol(record) if "samples" in figures else []),
        "",
        *_per_class(settings["class_names"], figures.get("samples")),
        *_neighbours(figures.get("samples")),
        "## Making",
        "",
        *(_composed(about) if "parts" in about else _training(about, record)),
        "",
    ]
    pairs = zip(lines, ["", *lines], strict=False)
    return "\n".join(line for line, before in pairs if line or before)


def _training(about: dict[str, Any], record: dict[str, Any]) -> list[str]:
    """How a model was trained, and its weights."""
    settings, summary = about["settings"], about["summary"]
    machine, versions = summary["machine"], settings["versions"]
    return [
        f"`{about['command']}`, seed {settings['run']['seed']}, on {record['dataset']} "
        f"(digest {settings['dataset_digest'][:12]}): {summary['epochs']} epochs, "
        f"{summary['steps']:,} steps of {settings['recipe']['batch_size']} images, "
        f"{summary['training_seconds'] / 60:.1f} minutes on {machine['cores']} cores of "
        f"{machine['cpu']}; {summary['parameters']:,} parameters. Commit "
        f"{_short(versions.get('commit', 'unknown'))}, TensorFlow {versions['tensorflow']}, Keras "
        f"{versions['keras']}, TensorFlow Probability {versions['tensorflow-probability']}, Python "
        f"{versions['python']}.",
        "",
        f"Weights: `{about['file']}`, {about['bytes']:,} bytes in half precision, SHA-256 "
        f"`{about['sha256']}`.",
    ]


def _composed(about: dict[str, Any]) -> list[str]:
    """What a model is made of."""
    parts = " and ".join(f"[{part}]({part}.md)" for part in about["parts"])
    return [f"Made of {parts}, and not trained: `{about['command']}`."]


def _short(commit: str) -> str:
    return commit[:12] + ("-dirty" if commit.endswith("-dirty") else "")


def _per_class(names: list[str], samples: dict[str, Any] | None) -> list[str]:
    """What the classifier sees of each class that was asked for, and the FID of each."""
    if not samples or "fid_per_class" not in samples["model"]:
        return []
    columns = [
        (head, samples[side][key], digits)
        for key, head, digits in (
            ("class_fidelity_per_class", "fidelity", 3),
            ("fid_per_class", "FID", 1),
        )
        if key in samples["model"]
        for side, head in (("model", head), ("floor", f"floor: {head}"))
    ]
    rows = [
        [name, *(_cells({"": of[k]} if of[k] else {}, [("", "", d)])[0] for _, of, d in columns)]
        for k, name in enumerate(names)
    ]
    return ["Class by class:", "", *_table(["class", *(head for head, _, _ in columns)], rows), ""]


def _neighbours(samples: dict[str, Any] | None) -> list[str]:
    """Quantiles of the distance to the nearest training image: memorisation would show."""
    if not samples:
        return []
    key = "nearest_training_distance"
    rows = [
        [name, *(f"{v:.2f}" for v in samples[side][key]["quantiles"])]
        for name, side in (("samples", "model"), ("test images", "floor"))
    ]
    heads = ["distance to the nearest training image", "1%", "10%", "50%", "90%", "99%"]
    return [*_table(heads, rows), ""]


def _protocol(record: dict[str, Any]) -> list[str]:
    p, found, split = record["sample_metrics"], record["figures"]["samples"], record["split"]
    machine = record["machine"]
    how = "show their mean" if record["binarization"] == "none" else "are drawn from"
    return [
        f"{found['num_images']:,} samples (seed {record['seed']}; decoders p(x|z) {how}; "
        f"{p['images']}) against as many images of the {split} split"
        + ("" if record["binarization"] == "none" else ", black and white as the samples are")
        + f". Feature net: {p['feature_net']}, SHA-256 `{p['sha256'][:16]}`; "
        f"resize: {p['resize']}; covariance: {p['covariance']}; "
        f"error of FID: {p['fid_error']}; KID: {p['kid']}; "
        f"precision, recall, density, coverage: {p['neighbours']} neighbours, error: "
        f"{p['errors_of_neighbours']}. CAS: accuracy on the {split} images of {p['cas']}, that saw "
        "only samples. Nearest training image: Euclidean distance of pixels, "
        f"{p['neighbour_queries']:,} samples. "
        + (f"Parzen window: {p['parzen']}. " if "parzen_nats" in found["model"] else "")
        + "Floor: as many "
        "training images in place of the samples; for classifier score, class fidelity, nearest "
        f"training image and sharpness, the {split} images themselves. Samples a second: 500 at a "
        f"time, {machine['cores']} cores of {machine['cpu']}."
    ]


def _run(name: str, about: dict[str, Any]) -> list[str]:
    summary = about["summary"]
    return [
        f"[{name}](zoo/pretrained/{name}.md)",
        f"{summary['parameters']:,}",
        f"{summary['training_seconds'] / 60:.1f}" if summary["training_seconds"] else "",
    ]


def _cells(part: dict[str, Any], shown) -> list[str]:
    cells = []
    for key, head, digits in shown:
        scale = 1000 if head.endswith("x 1000") else 1
        if key in part:
            mean, error = part[key]["mean"], part[key]["standard_error"]
            text = f"{scale * mean:.{digits}f}"
            cells.append(text + (f" ± {scale * error:.{digits}f}" if error is not None else ""))
        else:
            cells.append("")
    return cells


def _table(heads: list[str], rows: list[list[str]]) -> list[str]:
    line = lambda cells: "| " + " | ".join(cells) + " |"  # noqa: E731
    return [line(heads), "|" + "---|" * len(heads), *map(line, rows)]

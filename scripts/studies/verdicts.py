"""What courses claim of these models, and whether the numbers say so: a section of RESULTS.md."""

import math
import statistics
from collections.abc import Iterable
from typing import Any

from zoo.data import toy
from zoo.errors import InputError
from zoo.evaluation import modes, tables
from zoo.evaluation.intervals import difference
from zoo.evaluation.records import differences, machine_of

RECIPES = "Recipes that validation images chose"


def exceeds(one: Any, other: Any, errors: float = 1.0) -> bool:
    """Whether one figure is greater than another by more than so many errors of the difference.

    Args:
      one: a figure with its `mean` and `standard_error`, or a number that is known without one.
      other: another one.
      errors: how many standard errors of the difference: by common draws of the real images where
        both keep them, else those of both sides as independent ones.
    """
    a, b = map(_figure, (one, other))
    apart = difference(a, b)
    error = math.hypot(a["standard_error"] or 0.0, b["standard_error"] or 0.0)
    return apart["mean"] > errors * (apart["standard_error"] if apart["paired"] else error)


def _figure(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {"mean": value, "standard_error": None}


def beside_published(
    record: dict[str, Any], published: dict[str, Any], usual: dict[str, Any] | None = None
) -> str:
    """Whether a model's figure reaches a published one of the same kind: a sentence or two.

    Args:
      record: of the model.
      published: the `part` and the `key` of the figure in the record, its `mean` and, where it is
        known, the `standard_error`, and the `digits` to show. Greater is better.
      usual: the figure of the default recipe, where the model is of another.
    """
    part, digits = record["figures"][published["part"]], published["digits"]
    own = part.get("model", part)[published["key"]]  # of samples there is the floor's too
    here, there = (tables.cells({"": x}, [("", "", digits)])[0] for x in (own, published))
    errors = (x["standard_error"] or 0.0 for x in (own, published))
    apart, error = abs(own["mean"] - published["mean"]), math.hypot(*errors)
    if exceeds(own, published):
        verdict, by = "Reached", "more than"
    elif exceeds(published, own):
        verdict, by = "Not reached", "more than"
    else:
        verdict, by = "Not to be told apart", "within"
    return (
        f"**{verdict}**: {here} here and {there} there, a difference of {apart:.{digits}f}, "
        f"{by} its standard error of {error:.{digits}f}."
        + (f" The default recipe gives {_cells({'': usual}, digits)['']}." if usual else "")
    )


def _verdict(holds: bool) -> str:
    return "**It holds here.**" if holds else "**It does not hold here.**"


def section(claims: dict[str, Any], records: dict[str, Any], manifest: dict[str, Any]) -> list[str]:
    """The section on what courses claim, by `claims.py`, the records and the manifest."""
    return [
        "## What courses claim, measured",
        "",
        "By `python scripts/studies/claims.py`, on Fashion-MNIST (`pip install -e '.[plots]'`), "
        "where no other command is named. Verdicts are computed from the numbers, and a figure "
        "counts as greater than another only by more than the standard error of the difference (of "
        "both sides together, as if they were independent).",
        "",
        *_claim_of_beta(claims["beta"]),
        *_claim_of_gradients(claims["gradients"]),
        *_claim_of_sharpness(records),
        *_claim_of_order(records, manifest, claims.get("recipes", {})),
        *(_claim_of_seeds(claims["seeds"]) if "seeds" in claims else []),
        *_claim_of_modes({name: claims[name] for name in toy.MIXTURES if name in claims}),
        *_claim_of_truncation(claims["truncation"]),
        *_claim_of_composition(claims["composed"], records),
        *_claim_of_flexibility(claims["bounds"], claims.get("mnist"), manifest),
        *_claim_of_latents(claims["latents"]["kl_nats"]),
        *_claim_of_representation(records, manifest),
        *_claim_of_likelihood(records),
    ]


def _claim_of_beta(found: dict[str, Any]) -> list[str]:
    rows = found["rows"]
    steps = list(zip(rows, rows[1:], strict=False))
    held = sum(
        all(exceeds(a[name], b[name]) for name in ("kl_nats", "reconstruction_nats"))
        for a, b in steps
    )
    best = max(rows, key=lambda row: row["elbo_nats"]["mean"])
    level = [
        f"{row['beta']:g}"
        for row in rows
        if row is not best and not exceeds(best["elbo_nats"], row["elbo_nats"])
    ]
    also = f", and not to be told apart from it at {', '.join(level)}" if level else ""
    shown = [(name, "", 1) for name in ("kl_nats", "reconstruction_nats", "elbo_nats")]
    return [
        "### “The two terms of the ELBO pull against each other”",
        "",
        f"A VAE of dense layers for each β (one seed, {found['epochs']} epochs), on the test "
        "images (± is over images only). The claim: each step to a greater β buys a smaller KL "
        f"with a worse reconstruction. **It holds in {held} of {len(steps)} steps.** The ELBO "
        f"itself, which is never weighted, is greatest at β = {best['beta']:g}{also}.",
        "",
        *tables.table(
            ["β", "KL, nats", "reconstruction, nats", "ELBO, nats"],
            [[f"{row['beta']:g}", *tables.cells(row, shown)] for row in rows],
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
    weak, strong = columns["saturating"], columns["non-saturating"]

    def over_seeds(of):
        """The logarithm of a ratio, with the error of few seeds."""
        logs = [math.log(of(run)) for run in waiting]
        error = statistics.stdev(logs) / math.sqrt(len(logs)) if len(logs) > 1 else None
        return {"mean": statistics.mean(logs), "standard_error": error}

    tenth = math.log(10)
    holds = (
        exceeds(over_seeds(lambda run: strong(run, last) / weak(run, last)), tenth)
        and exceeds(over_seeds(lambda run: weak(run, 0) / weak(run, last)), tenth)
        and exceeds(tenth, over_seeds(lambda run: strong(run, 0) / strong(run, last)))
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
        *tables.table(["step of D", *columns], rows),
        "",
        f"Where both players learn, D(G(z)) after {last + 1} steps is {trained['saturating']:.3g} "
        f"with the saturating loss and {trained['non_saturating']:.3g} with the other (medians).",
        "",
        "![Norms of the gradients over the steps](docs/claims/gradients.png)",
        "",
    ]


def _claim_of_sharpness(records: dict[str, Any]) -> list[str]:
    shown = [f for f in tables.FIGURES if f[0] in ("sharpness", "fid")]
    _check_alike(records, ("vae", "gan", "cgan"), "samples")
    found = {name: records[name]["figures"]["samples"] for name in ("vae", "gan", "cgan")}
    real = found["vae"]["floor"]["sharpness"]
    sharpness, fid = (
        {name: f["model"][key] for name, f in found.items()} for key in ("sharpness", "fid")
    )
    sharper = (real, sharpness["gan"], sharpness["cgan"])
    blurry = all(exceeds(other, sharpness["vae"]) for other in sharper)
    far = all(exceeds(fid["vae"], fid[name]) for name in ("gan", "cgan"))
    return [
        "### “Samples of a VAE are blurrier than those of a GAN”",
        "",
        "Sharpness is the variance of the Laplacian, averaged over images; noise counts as "
        "sharpness too, so only a value near that of real images is good. A VAE shows the mean of "
        "p(x|z). The claim: the VAE's samples are less sharp than test images and than both GANs' "
        f"samples. {_verdict(blurry)} And its FID is the worst of the three. {_verdict(far)} From "
        "top to bottom: test images, `vae`, `gan`, `cgan`.",
        "",
        *tables.table(
            ["", *(head for _, head, _ in shown)],
            [
                ["test images; floor", *tables.cells(found["vae"]["floor"], shown)],
                *([name, *tables.cells(f["model"], shown)] for name, f in found.items()),
            ],
        ),
        "",
        "![Test images, and samples of vae, gan and cgan](docs/claims/sharpness.png)",
        "",
    ]


def _claim_of_order(
    records: dict[str, Any], manifest: dict[str, Any], recipes: dict[str, Any]
) -> list[str]:
    """By FID: the GANs in the order of their papers, and all of them before all VAEs."""
    fid, of_mnist = (_fids(records, dataset) for dataset in ("fashion_mnist", "mnist"))
    _check_alike(records, fid, "samples")
    gans = {name: v for name, v in fid.items() if name.endswith(("gan", "gan_gp"))}
    vaes = {name: v for name, v in fid.items() if name.endswith(("vae", "iwae"))}
    shown = {name: f"{v['mean']:.1f}" for name, v in fid.items()}
    best, worst = _least(vaes), _greatest(gans)
    epochs = [f"`{name}` {manifest[name]['settings']['recipe']['epochs']}" for name in gans]
    return [
        "### “GANs got better, and draw better than VAEs”",
        "",
        f"By FID, of the table above. The claim: `sngan` ({shown['sngan']}) and "
        f"`projection_cgan` ({shown['projection_cgan']}) come before `dcgan` "
        f"({shown['dcgan']}), and that before `gan` ({shown['gan']}). "
        f"{_verdict(_in_order(gans))} "
        f"And the last of {len(gans)} GANs (`{worst}`, {shown[worst]}) comes before the first "
        f"of {len(vaes)} VAEs (`{best}`, {shown[best]}). {_verdict(_apart(gans, vaes))}",
        "",
        *_by_default(gans, vaes, recipes),
        f"The GANs were trained for different numbers of epochs ({', '.join(epochs)}). And the "
        "weights of a GAN are those of its epoch of the least FID of 1,000 samples, by the same "
        "feature net, against validation images; those of a VAE of the epoch of the best "
        "bound on the likelihood of validation images.",
        "",
        *_order_of_mnist(
            {n: v for n, v in of_mnist.items() if n.endswith(("gan_mnist", "gan_gp_mnist"))},
            recipes,
        ),
    ]


def _in_order(fid: dict[str, Any], of: str = "") -> bool:
    """Whether the GANs come in the order of their papers; `of` ends their names."""
    sngan, projection, dcgan, gan = (
        fid[f"{name}{of}"] for name in ("sngan", "projection_cgan", "dcgan", "gan")
    )
    return all(exceeds(dcgan, better) for better in (sngan, projection)) and exceeds(gan, dcgan)


def _apart(gans: dict[str, Any], vaes: dict[str, Any]) -> bool:
    """Whether every GAN comes before every VAE."""
    return all(exceeds(vae, gan) for vae in vaes.values() for gan in gans.values())


def _least(figures: dict[str, Any]) -> str:
    return min(figures, key=lambda name: figures[name]["mean"])


def _greatest(figures: dict[str, Any]) -> str:
    return max(figures, key=lambda name: figures[name]["mean"])


def _by_default(gans: dict[str, Any], vaes: dict[str, Any], recipes: dict[str, Any]) -> list[str]:
    """The same verdicts with the default recipe's figure of each GAN that has another one."""
    usual = {name: found for name in gans if (found := default_of(recipes, name, "fid"))}
    if not usual:
        return []
    gans = {**gans, **usual}
    said = ", ".join(f"`{name}` {cell}" for name, cell in _cells(usual, 1).items())
    return [
        f"With the default recipe in place of what validation images chose (see “{RECIPES}”: FID "
        f"of {said}): the order of the GANs, {_verdict(_in_order(gans))} GANs before VAEs, "
        f"{_verdict(_apart(gans, vaes))}",
        "",
    ]


def default_of(recipes: dict[str, Any], name: str, key: str) -> dict[str, Any] | None:
    """The test figure of a model's default recipe, where its published weights are of another."""
    tried = recipes.get(name, {"candidates": []})["candidates"]
    found = [c["test"].get(key) for c in tried if c["default"] and not c["published"]]
    return found[0] if found else None


def _cells(figures: dict[str, Any], digits: int) -> dict[str, str]:
    columns = [(name, "", digits) for name in figures]
    return dict(zip(figures, tables.cells(figures, columns), strict=True))


def _fids(records: dict[str, Any], dataset: str) -> dict[str, Any]:
    """Of models of a data set's gray images, by their names."""
    return {
        name: record["figures"]["samples"]["model"]["fid"]
        for name, record in records.items()
        if record["dataset"] == dataset
        and record["binarization"] == "none"
        and "samples" in record["figures"]
    }


def _order_of_mnist(fid: dict[str, Any], recipes: dict[str, Any]) -> list[str]:
    """Whether the GANs of MNIST are in the order of those of Fashion-MNIST."""
    names = [f"{n}_mnist" for n in ("sngan", "projection_cgan", "dcgan", "gan")]
    if not fid.keys() >= set(names):
        return []
    in_turn = sorted(fid, key=lambda name: fid[name]["mean"])
    ordered = ", ".join(f"`{n}` {fid[n]['mean']:.1f}" for n in in_turn)
    beside = ""
    if usual := {name: found for name in fid if (found := default_of(recipes, name, "fid"))}:
        said = ", ".join(f"`{name}` {cell}" for name, cell in _cells(usual, 1).items())
        verdict = _verdict(_in_order({**fid, **usual}, "_mnist"))
        beside = f" With the default recipe ({said}): {verdict}"
    return [
        "The order of those of MNIST, which have recipes and numbers of epochs of their own "
        f"(their cards name them): {ordered}. {_verdict(_in_order(fid, '_mnist'))}{beside}",
        "",
    ]


def chosen_recipes(recipes: dict[str, Any], manifest: dict[str, Any]) -> list[str]:
    """How the recipes that are not the defaults were chosen: a section of RESULTS.md.

    Args:
      recipes: name -> the `figure` that chose, whether the `greater` is the better, and the
        `candidates` with their command, digest, and figures of validation and test images.
      manifest: of the pretrained models.

    Raises:
      InputError: the published weights are not those that validation images chose.
    """
    if not recipes:
        return []
    lines = [
        f"## {RECIPES}",
        "",
        "The recipes of two models were changed because of what the test images said. Here "
        "validation images choose among all that was tried; the test figures stand beside, and "
        "choose nothing. Measured by `python scripts/evaluate.py --split=validation`: 5,000 "
        "samples against as many images, of which both figures are worse than of 10,000, and the "
        "width of Parzen windows by training images.",
        "",
    ]
    for name, found in recipes.items():
        tried, key = found["candidates"], found["figure"]
        sign = 1 if found["greater"] else -1
        best = max(tried, key=lambda c: sign * c["validation"][key]["mean"])
        if best["weights_sha256"] != manifest[name]["sha256"] or not best["published"]:
            raise InputError(
                f"docs/claims/recipes.json: {name} is not what validation images chose"
            )
        [head] = [head for figure, head, _ in tables.FIGURES if figure == key]
        rows = [
            [
                f"`{c['command'].removeprefix('python scripts/train.py ')}`"
                + (" (default)" if c["default"] else "")
                + (" (**published**)" if c["published"] else ""),
                *tables.cells(c["validation"], [(key, head, 1)]),
                *tables.cells(c["test"], [(key, head, 1)]),
            ]
            for c in tried
        ]
        lines += [
            *tables.table([f"`{name}`: train.py", f"{head}, validation", f"{head}, test"], rows),
            "",
        ]
        first, *others = (
            c["validation"][key] for c in (best, *(c for c in tried if c is not best))
        )
        pairs = [(first, c) if found["greater"] else (c, first) for c in others]
        if not all(exceeds(*pair) for pair in pairs):
            lines += ["It leads the next best by less than the standard error.", ""]
    return lines


def _check_alike(records: dict[str, Any], names: Iterable[str], part: str) -> None:
    """Raises InputError where a verdict would rank what was not measured alike."""
    first, *others = names
    for name in others:
        if found := differences(records[first], records[name], (part,)):
            raise InputError(f"{name} was not measured as {first} ({found}): evaluate {name} again")


def _of_each(runs: list[dict[str, Any]], key: str, digits: int) -> str:
    """A quantity of each run, in the order of the seeds."""
    return ", ".join("diverged" if "diverged" in r else f"{r[key]:.{digits}f}" for r in runs)


def _claim_of_seeds(found: dict[str, Any]) -> list[str]:
    rows, told, steady = [], [], 0
    for name, runs in found["runs"].items():
        ended = [run for run in runs if "diverged" not in run]

        def of(key, reduce, digits, ended=ended):
            values = [run[key] for run in ended if key in run]
            return f"{reduce(values):.{digits}f}" if values else ""

        # a model that is given the class has no count of absent ones
        whole = all(r["val_distinct"] > 0.9 and not r.get("val_absent_classes") for r in ended)
        steady += whole and len(ended) == len(runs)
        if not any("val_absent_classes" in r for r in ended):
            told.append(f"`{name}`")
        rows.append(
            [
                name,
                _of_each(runs, "val_fid", 1),
                of("val_fid", statistics.mean, 1),
                of("val_fid", statistics.stdev, 1) if len(ended) > 1 else "",
                of("val_distinct", min, 3),
                of("val_absent_classes", max, 0),
                of("val_class_fidelity", min, 3),
            ]
        )
    floors = [r["floor_fid"] for runs in found["runs"].values() for r in runs if "floor_fid" in r]
    floor = f"floor {floors[0]:.2f}; " if floors else ""
    heads = ["FID", "mean", "deviation", "distinct", "absent classes", "class fidelity"]
    unasked = f" (of {', '.join(told)}, told the class, that is not known)" if told else ""
    return [
        "### “GANs are fragile”",
        "",
        f"By `{found['command']}` on {machine_of(found)}: short runs that differ in nothing but "
        f"the seed, of {found['epochs']} epochs, by whose end step sizes that decay have reached "
        f"0: FID of 1,000 samples against as many validation images ({floor}so few images do not "
        "compare with the table above), and of the worst one the share of samples that are no "
        "near-copy of an earlier one, the number of absent classes and, where a class is asked "
        "for, the class fidelity. "
        f"**All runs of {steady} of {len(rows)} models end without a collapse**: 9 of 10 samples "
        f"are distinct, and no class is absent{unasked}. "
        "That is a stricter word than in training, whose alarm waits for 2% of distinct samples. "
        "Each model has its own recipe (steps of D, step sizes, moving average), so that recipes "
        "are compared, not losses alone.",
        "",
        *tables.table(["model", *heads], rows),
        "",
    ]


def _claim_of_modes(found: dict[str, dict[str, Any]]) -> list[str]:
    """By the records of `scripts/studies/seeds.py`, one for each set of points."""
    if not found:
        return []
    lines = [
        "### “GANs drop modes”",
        "",
        "Gaussians in the plane, 8 on a ring and 25 on a grid. A mode is covered if one of 2,500 "
        "samples lies within 3 sigma of its center, and samples that do so are of high quality "
        "(of real points 0.99 are). Noise, spread evenly over the plane, covers modes too: its "
        "row, computed, is what to read the others against. The figures are of each seed, after "
        "the last epoch. Each model has its own recipe (steps of D, step sizes, moving average), "
        "so that recipes are compared, not losses alone.",
        "",
    ]
    for name, record in found.items():
        mixture, rows, whole = toy.MIXTURES[name], [], []
        for model, runs in record["runs"].items():
            columns = (("modes_covered", 0), ("high_quality", 2), ("training_seconds", 0))
            rows.append([model, *(_of_each(runs, *column) for column in columns)])
            if all(run.get("modes_covered") == mixture.num_modes for run in runs):
                whole.append(f"`{model}`")
        noise = modes.noise(mixture)
        rows.append(["noise", f"{noise['modes_covered']:.1f}", f"{noise['high_quality']:.3f}", ""])
        heads = [
            "model",
            f"modes covered of {mixture.num_modes}",
            "of high quality",
            "seconds of training",
        ]
        lines += [
            f"By `{record['command']}` on {machine_of(record)}; all modes in every run: "
            f"{', '.join(whole) or 'none'}.",
            "",
            *tables.table(heads, rows),
            "",
            f"![Points that {', '.join(record['runs'])} draw](docs/claims/{name}.png)",
            "",
            f"*Left to right {', '.join(record['runs'])}, the first seed: samples red, real points "
            "gray.*",
            "",
        ]
    return lines


def _claim_of_truncation(found: dict[str, Any]) -> list[str]:
    rows = found["rows"]
    pairs = [(a, b) for a, b in zip(rows, rows[1:], strict=False) if a["name"] == b["name"]]
    held = sum(
        exceeds(b["precision"], a["precision"]) and exceeds(a["recall"], b["recall"])
        for a, b in pairs
    )
    names = dict.fromkeys(row["name"] for row in rows)
    whole = {row["name"]: row["fid"] for row in rows if row["truncation"] is None}
    bounded = [row for row in rows if row["truncation"] is not None]
    free = sum(
        all(exceeds(row["fid"], fid) for row in bounded if row["name"] == name)
        for name, fid in whole.items()
    )
    columns = [f for f in tables.FIGURES if any(f[0] in row for row in rows)]
    return [
        "### “Truncation buys precision with recall”",
        "",
        f"{found['num_images']:,} samples as in the table above, of latents that are drawn anew "
        "until each number is within a bound (`sample.py --truncation`). The claim: each step to a "
        "smaller bound makes samples more like real ones (precision) and less varied (recall). "
        f"**It holds in {held} of {len(pairs)} steps.** The FID, in which variety "
        f"counts too, is least without a bound for {free} of {len(names)} models.",
        "",
        *tables.table(
            ["model", "latents within", *(head for _, head, _ in columns)],
            [
                [
                    row["name"],
                    "" if row["truncation"] is None else f"{row['truncation']:g}",
                    *tables.cells(row, columns),
                ]
                for row in rows
            ],
        ),
        "",
        "![Precision against recall for each bound](docs/claims/truncation.png)",
        "",
    ]


def _claim_of_composition(found: dict[str, Any], records: dict[str, Any]) -> list[str]:
    """By class fidelity, beside that of the models that were trained with labels."""
    key, shown = "class_fidelity", [("class_fidelity", "", 3)]
    cvae, cgan = (records[n]["figures"]["samples"]["model"] for n in ("cvae", "cgan"))
    more_than = {
        name: all(exceeds(row[key], other[key]) for row in found["rows"])
        for name, other in (("cvae", cvae), ("cgan", cgan))
    }
    rows = [
        [
            f"`{row['p_x']}`" if "p_x" in row else "real images",
            row.get("method", "sir"),
            *tables.cells(row, shown),
            f"{min(row['effective_sample_size']):.0f}" if "effective_sample_size" in row else "",
            f"{row['acceptance']:.2f}" if "acceptance" in row else "",
            f"{max(row['r_hat']):.2f}" if "r_hat" in row else "",
        ]
        for row in [found["real"], *found["rows"]]
    ]
    heads = ["p(x)", "by", "class fidelity", "least effective sample size", "accepted steps"]
    return [
        "### “A conditional model can be built from other components”",
        "",
        "`bayes_conditional` of `classifier_seed1` and a p(x) that saw no labels: "
        f"{found['num_images']:,} images, the classes in turn, and how often `classifier`, which "
        "has no part in it, sees the class that was asked for. By resampling candidates "
        "(the effective sample size is how many of them count, in the class that has the fewest) "
        "or by a chain of Hamiltonian Monte Carlo for each image (R-hat is near 1 where the "
        "chains of a class have mixed; the greatest of the classes). The claim: each draws the "
        f"class more often than `cvae` ({tables.cells(cvae, shown)[0]}), which was trained to. "
        f"{_verdict(more_than['cvae'])} And than `cgan` "
        f"({tables.cells(cgan, shown)[0]}). {_verdict(more_than['cgan'])} Real test images "
        "as candidates, which are what a p(x) without a fault would draw, show how far Bayes' rule "
        "gets with this classifier.",
        "",
        *tables.table([*heads, "greatest R-hat"], rows),
        "",
    ]


def _claim_of_flexibility(
    found: dict[str, Any], of_mnist: dict[str, Any] | None, manifest: dict[str, Any]
) -> list[str]:
    """By bounds of the same images, so that what images differ in cancels."""
    lines = [
        "### “One diagonal Gaussian is too little”",
        "",
        f"The {found['num_samples']}-sample bound of the first {found['num_images']:,} test "
        "images, in nats, of VAEs with the same layers and as many latents, one training of each; "
        "the difference is taken image by image, and ± is of images, not of trainings. The claim: "
        "a flow as posterior (`flow_vae`), and mixtures as posterior and as prior (`gmm_vae`), are "
        f"each better than the `vae`, by more than two errors. {_richer(found)} Beside "
        f"them `iwae`, which is the vae trained by another bound.{_components(found)}",
        "",
        *_bounds(found, manifest),
        "",
    ]
    if of_mnist is not None:
        lines += [
            "The same of MNIST in black and white, of what was trained on it, with "
            f"{of_mnist['num_samples']:,} samples (`claims.py --mnist_dir=DIR`). "
            f"{_richer(of_mnist)}{_components(of_mnist)}",
            "",
            *_bounds(of_mnist, manifest),
            "",
        ]
    return lines


def _richer(found: dict[str, Any]) -> str:
    """Whether all mixtures and flows are better by more than two errors, and which are not."""
    rows = [r for r in found["rows"] if r["name"].startswith(("gmm_vae", "flow_vae"))]
    above = {row["name"]: row["above_vae_nats"] for row in rows}
    but = [name for name, a in above.items() if not exceeds(a, 0.0, errors=2)]
    told = f" Not better: {', '.join(f'`{name}`' for name in but)}." if but else ""
    return _verdict(bool(above) and not but) + told


def _components(found: dict[str, Any]) -> str:
    """Whether the mixture of an image is one."""
    apart = {row["name"]: row for row in found["rows"] if "component_nats" in row}
    if not apart:
        return ""
    nats = {k: row["component_nats"]["mean"] for k, row in apart.items()}
    said = [
        f"{max(v, 0.0):.2f} of {math.log(apart[k]['num_components']):.2f} nats in `{k}`"
        for k, v in nats.items()
    ]
    one = [k for k, v in nats.items() if v < 0.05]
    gain = f": what {', '.join(f'`{k}`' for k in one)} gains is the prior's doing" if one else ""
    return (
        " How much a latent tells of its component in an image's posterior, 0 where that is one "
        f"Gaussian after all: {', '.join(said)}{gain}."
    )


def _bounds(found: dict[str, Any], manifest: dict[str, Any]) -> list[str]:
    shown = [("bound_nats", "", 1), ("above_vae_nats", "", 2)]
    rows = []
    for row in found["rows"]:
        about = manifest[row["name"]]
        settings = about["settings"]
        start = settings["run"].get("init_from", "")
        rows.append(
            [
                row["name"],
                f"{about['summary']['parameters']:,}",
                f"{about['summary']['steps']:,}" + (f" after {start}" if start else ""),
                *tables.cells(row, shown),
            ]
        )
    return tables.table(["model", "parameters", "steps", "bound", "above the vae's"], rows)


def _claim_of_latents(kl_nats: list[float]) -> list[str]:
    kl = sorted(kl_nats, reverse=True)
    return [
        "### “Each latent dimension does something”",
        "",
        f"KL(q(zⱼ|x) ‖ p(zⱼ)) of the {len(kl)} dimensions of `vae` over the test images, in nats, "
        f"greatest first: {', '.join(f'{v:.2f}' for v in kl)}. The claim: each carries more than "
        f"0.1 nats. {_verdict(exceeds(kl[-1], 0.1))} The picture moves one at a time from −3 to 3 "
        "standard deviations of the prior, the others at 0: the nine of the greatest KL, and the "
        "one of the least.",
        "",
        "![Traversals](docs/claims/latents.png)",
        "",
    ]


def _claim_of_representation(records: dict[str, Any], manifest: dict[str, Any]) -> list[str]:
    """By linear probes, of the table above; a difference is one from two of its errors on."""
    found = {
        name: record["figures"]["representation"]
        for name, record in records.items()
        if record["dataset"] == "fashion_mnist" and "representation" in record["figures"]
    }

    if not found:
        return []

    def better(part, than):
        return exceeds(part["probe_of_latent_means"], part[f"probe_of_{than}"], errors=2)

    # as many components as pixels are the pixels, on other axes
    fewer = {
        name: part
        for name, part in found.items()
        if part["num_components"] < math.prod(manifest[name]["settings"]["image_shape"])
    }
    holds, said = [], []
    for parts, than in ((fewer, "principal_components"), (found, "pixels")):
        beaten = [f"`{name}`" for name, part in parts.items() if better(part, than)]
        holds.append(len(beaten) == len(parts))
        said.append(", ".join(beaten) or "none")
    return [
        "### “q(z|x) is a useful feature for other tasks”",
        "",
        "A linear classifier is given latent means, of which no model was told a class. The claim: "
        "it is right more often than with as many principal components, by more than two standard "
        f"errors. Of {len(fewer)} models with fewer dimensions than pixels it is with {said[0]}. "
        f"{_verdict(holds[0])} And more often than with all pixels: of {len(found)} models with "
        f"{said[1]}. {_verdict(holds[1])}",
        "",
    ]


def _claim_of_likelihood(records: dict[str, Any]) -> list[str]:
    """Of the models of all 256 levels of Fashion-MNIST, unconditional ones."""
    shown = (("bits_per_dim", "", 4), ("iwae_bound_bits_per_dim", "", 4))
    found = {}
    for name, record in records.items():
        part = record["figures"].get("likelihood")
        if (
            part
            and record["dataset"] == "fashion_mnist"
            and not part.get("given")
            and record["binarization"] == "none"
            and part["p_x_given_z"] in (None, "quantized_gaussian")
            and part["levels"] == 256
        ):
            key = next(key for key, *_ in shown if key in part)
            cell = tables.cells(part, [f for f in shown if f[0] == key])[0]
            found[name] = (part[key]["mean"], cell, part[key])
    if "pixelcnn" not in found:
        return []
    _check_alike(records, found, "likelihood")
    others = [bits for name, (*_, bits) in found.items() if not name.startswith("pixel")]
    holds = all(exceeds(bits, found["pixelcnn"][2]) for bits in others)
    return [
        "### “The likelihood of a PixelCNN is better than a VAE's”",
        "",
        "Bits per dimension of 8-bit test images: exact for pixel models, for the others the "
        "tightest bound of the table above, which their true code length is at most. The claim, as "
        "far as bounds can tell: `pixelcnn` needs fewer bits than any bound of the others. "
        f"{_verdict(holds)}",
        "",
        *tables.table(
            ["model", "bits a dimension"],
            [[name, cell] for name, (_, cell, _) in sorted(found.items(), key=lambda i: i[1][0])],
        ),
        "",
    ]

"""What courses claim of these models, and whether the numbers say so.

The words around what is found here are those of `templates/claims.md.j2`.
"""

import math
import statistics
from collections.abc import Iterable
from typing import Any

from zoo.data import toy
from zoo.errors import InputError
from zoo.evaluation import modes, tables
from zoo.evaluation.intervals import difference
from zoo.evaluation.records import differences, machine_of


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


def beside_published(record: dict[str, Any], published: dict[str, Any]) -> list[str]:
    """Cells of a table: the figure here and there, their difference, and whether it is reached.

    Args:
      record: of the model.
      published: the `part` and the `key` of the figure in the record, its `mean` and, where it is
        known, the `standard_error`, and the `digits` to show. Greater is better.
    """
    part, digits = record["figures"][published["part"]], published["digits"]
    own = part.get("model", part)[published["key"]]  # of samples there is the floor's too
    errors = (x["standard_error"] or 0.0 for x in (own, published))
    apart = {"mean": own["mean"] - published["mean"], "standard_error": math.hypot(*errors)}
    verdict = "within the error"
    if exceeds(own, published):
        verdict = "reached"
    elif exceeds(published, own):
        verdict = "not reached"
    shown = tables.cells(
        {"here": own, "there": published, "apart": apart},
        [(name, "", digits) for name in ("here", "there", "apart")],
    )
    return [*shown, verdict]


def found(
    claims: dict[str, Any], records: dict[str, Any], manifest: dict[str, Any]
) -> dict[str, Any]:
    """What each claim comes to, by `claims.py`, records and manifest; None: not measured."""
    recipes = claims.get("recipes", {})
    mixtures = {name: claims[name] for name in toy.MIXTURES if name in claims}
    return {
        "beta": _beta(claims["beta"]),
        "gradients": _gradients(claims["gradients"]),
        "sharpness": _sharpness(records),
        "order": _order(records, manifest, recipes),
        "of_mnist": _order_of_mnist(records, recipes),
        "seeds": _seeds(claims["seeds"]) if "seeds" in claims else None,
        "mixtures": [_modes(name, record) for name, record in mixtures.items()],
        "truncation": _truncation(claims["truncation"]),
        "composition": _composition(claims["composed"], records),
        "flexibility": _flexibility(claims["bounds"], manifest),
        "flexibility_of_mnist": _flexibility(claims["mnist"], manifest)
        if "mnist" in claims
        else None,
        "latents": _latents(claims["latents"]["kl_nats"]),
        "representation": _representation(records, manifest),
        "likelihood": _likelihood(records),
        "variety": _variety(records),
        "one_call": _one_call(records),
        **(_drawing(claims["drawing"]) if "drawing" in claims else {"calls": None}),
    }


def _beta(found: dict[str, Any]) -> dict[str, Any]:
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
    shown = [(name, "", 1) for name in ("kl_nats", "reconstruction_nats", "elbo_nats")]
    return {
        "epochs": found["epochs"],
        "held": held,
        "steps": len(steps),
        "best": f"{best['beta']:g}",
        "level": level,
        "rows": [[f"{row['beta']:g}", *tables.cells(row, shown)] for row in rows],
    }


def _gradients(found: dict[str, Any]) -> dict[str, Any]:
    waiting = found["waiting"]
    last = len(waiting[0]["d_fake"]) - 1

    def median(of, step):
        return statistics.median(of(run, step) for run in waiting)

    columns = {
        "D(G(z))": lambda run, i: run["d_fake"][i],
        "gradient, saturating": lambda run, i: run["saturating"][i],
        "gradient, non-saturating": lambda run, i: run["non_saturating"][i],
    }
    weak, strong = list(columns.values())[1:]
    columns["non-saturating / saturating"] = lambda run, i: strong(run, i) / weak(run, i)

    def over_seeds(of):
        """The logarithm of a ratio, with the error of few seeds."""
        logs = [math.log(of(run)) for run in waiting]
        error = statistics.stdev(logs) / math.sqrt(len(logs)) if len(logs) > 1 else None
        return {"mean": statistics.mean(logs), "standard_error": error}

    tenth = math.log(10)
    return {
        "seeds": len(waiting),
        "batch_size": found["batch_size"],
        "holds": exceeds(over_seeds(lambda run: strong(run, last) / weak(run, last)), tenth)
        and exceeds(over_seeds(lambda run: weak(run, 0) / weak(run, last)), tenth)
        and exceeds(tenth, over_seeds(lambda run: strong(run, 0) / strong(run, last))),
        "heads": ["step of D", *columns],
        "rows": [
            [str(i + 1), *(_short(median(of, i)) for of in columns.values())]
            for i in sorted({0, 9, last // 2, last})
        ],
        "steps": last + 1,
        **{
            name: statistics.median(run["d_fake"][-1] for run in found[name])
            for name in ("saturating", "non_saturating")
        },
    }


def _short(number: float) -> str:
    """Three digits, without an exponent where there are no more than six."""
    return f"{number:,.0f}" if 1000 <= abs(number) < 1e6 else f"{number:.3g}"


def _sharpness(records: dict[str, Any]) -> dict[str, Any]:
    """The VAE, and one with a learned prior and more latents, beside two GANs."""
    shown = [f for f in tables.FIGURES if f[0] in ("sharpness", "fid")]
    names = ("vae", "vae_samples", "gan", "cgan")
    check_alike(records, names, "samples")
    found = {name: records[name]["figures"]["samples"] for name in names}
    floor = found["vae"]["floor"]
    sharpness, fid = (
        {name: f["model"][key] for name, f in found.items()} for key in ("sharpness", "fid")
    )
    sharper = (floor["sharpness"], sharpness["gan"], sharpness["cgan"])

    def far(vae):
        return all(exceeds(fid[vae], fid[name]) for name in ("gan", "cgan"))

    return {
        "blurry": all(exceeds(s, sharpness[v]) for v in ("vae", "vae_samples") for s in sharper),
        "far": far("vae"),
        "far_with_prior": far("vae_samples"),
        "heads": ["", *(head for _, head, _ in shown)],
        "rows": [
            ["test images; floor", *tables.cells(floor, shown)],
            *([name, *tables.cells(f["model"], shown)] for name, f in found.items()),
        ],
    }


def _order(
    records: dict[str, Any], manifest: dict[str, Any], recipes: dict[str, Any]
) -> dict[str, Any]:
    """By FID: the GANs in the order of their papers, and all of them before all VAEs."""
    fid = _fids(records, "fashion_mnist")
    check_alike(records, fid, "samples")
    gans, vaes = (
        {name: v for name, v in fid.items() if records[name]["model"].endswith(ends)}
        for ends in (("gan", "gan_gp"), ("vae", "iwae"))
    )
    usual = {name: found for name in gans if (found := default_of(recipes, name, "fid"))}
    return {
        "fid": {name: v["mean"] for name, v in fid.items()},
        "in_order": _in_order(gans),
        "gans": len(gans),
        "vaes": len(vaes),
        "worst": max(gans, key=lambda name: gans[name]["mean"]),
        "best": min(vaes, key=lambda name: vaes[name]["mean"]),
        "apart": _apart(gans, vaes),
        "usual": _cells(usual, 1),
        "usual_in_order": _in_order({**gans, **usual}),
        "usual_apart": _apart({**gans, **usual}, vaes),
        "epochs": {name: manifest[name]["settings"]["recipe"]["epochs"] for name in gans},
    }


def _order_of_mnist(records: dict[str, Any], recipes: dict[str, Any]) -> dict[str, Any] | None:
    """Whether the GANs of MNIST are in the order of those of Fashion-MNIST."""
    fid = _fids(records, "mnist")
    fid = {n: v for n, v in fid.items() if n.endswith(("gan_mnist", "gan_gp_mnist"))}
    if not fid.keys() >= {f"{n}_mnist" for n in ("sngan", "projection_cgan", "dcgan", "gan")}:
        return None
    usual = {name: found for name in fid if (found := default_of(recipes, name, "fid"))}
    return {
        "fid": sorted(((name, v["mean"]) for name, v in fid.items()), key=lambda pair: pair[1]),
        "in_order": _in_order(fid, "_mnist"),
        "usual": _cells(usual, 1),
        "usual_in_order": _in_order({**fid, **usual}, "_mnist"),
    }


def _in_order(fid: dict[str, Any], of: str = "") -> bool:
    """Whether the GANs come in the order of their papers; `of` ends their names."""
    sngan, projection, dcgan, gan = (
        fid[f"{name}{of}"] for name in ("sngan", "projection_cgan", "dcgan", "gan")
    )
    return all(exceeds(dcgan, better) for better in (sngan, projection)) and exceeds(gan, dcgan)


def _apart(gans: dict[str, Any], vaes: dict[str, Any]) -> bool:
    """Whether every GAN comes before every VAE."""
    return all(exceeds(vae, gan) for vae in vaes.values() for gan in gans.values())


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


def chosen_recipes(recipes: dict[str, Any], manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """How the recipes that are not the defaults were chosen, for each a table.

    Args:
      recipes: name -> the `figure` that chose, whether the `greater` is the better, and the
        `candidates` with their command, digest, and figures of validation and test images.
      manifest: of the pretrained models.

    Raises:
      InputError: the published weights are not those that validation images chose.
    """
    chosen = []
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
        first, *others = (
            c["validation"][key] for c in (best, *(c for c in tried if c is not best))
        )
        pairs = [(first, c) if found["greater"] else (c, first) for c in others]
        chosen.append(
            {
                "heads": [f"`{name}`: train.py", f"{head}, validation", f"{head}, test"],
                "rows": rows,
                "close": not all(exceeds(*pair) for pair in pairs),
            }
        )
    return chosen


def check_alike(records: dict[str, Any], names: Iterable[str], part: str) -> None:
    """Raises InputError where a verdict would rank what was not measured alike."""
    first, *others = names
    for name in others:
        if found := differences(records[first], records[name], (part,)):
            raise InputError(f"{name} was not measured as {first} ({found}): evaluate {name} again")


def _of_each(runs: list[dict[str, Any]], key: str, digits: int) -> str:
    """A quantity of each run, in the order of the seeds."""
    return ", ".join("diverged" if "diverged" in r else f"{r[key]:.{digits}f}" for r in runs)


def _seeds(found: dict[str, Any]) -> dict[str, Any]:
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
            told.append(name)
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
    return {
        "command": found["command"],
        "machine": machine_of(found),
        "epochs": found["epochs"],
        "floor": floors[0] if floors else None,
        "steady": steady,
        "told": told,
        "rows": rows,
    }


def _modes(name: str, record: dict[str, Any]) -> dict[str, Any]:
    """By a record of `scripts/studies/seeds.py` of one set of points."""
    mixture, rows, whole = toy.MIXTURES[name], [], []
    for model, runs in record["runs"].items():
        columns = (("modes_covered", 0), ("high_quality", 2), ("training_seconds", 0))
        rows.append([model, *(_of_each(runs, *column) for column in columns)])
        if all(run.get("modes_covered") == mixture.num_modes for run in runs):
            whole.append(model)
    noise = modes.noise(mixture)
    good = [run.get("high_quality", 0.0) for runs in record["runs"].values() for run in runs]
    rows.append(["noise", f"{noise['modes_covered']:.1f}", f"{noise['high_quality']:.3f}", ""])
    return {
        "name": name,
        "command": record["command"],
        "machine": machine_of(record),
        "whole": whole,
        "known": max(good, default=0.0) > 5 * noise["high_quality"],  # whether a model has learned
        "num_modes": mixture.num_modes,
        "rows": rows,
        "models": list(record["runs"]),
    }


def _truncation(found: dict[str, Any]) -> dict[str, Any]:
    rows = found["rows"]
    pairs = [(a, b) for a, b in zip(rows, rows[1:], strict=False) if a["name"] == b["name"]]
    whole = {row["name"]: row["fid"] for row in rows if row["truncation"] is None}
    bounded = [row for row in rows if row["truncation"] is not None]
    columns = [f for f in tables.FIGURES if any(f[0] in row for row in rows)]
    return {
        "num_images": found["num_images"],
        "held": sum(
            exceeds(b["precision"], a["precision"]) and exceeds(a["recall"], b["recall"])
            for a, b in pairs
        ),
        "steps": len(pairs),
        "free": sum(
            all(exceeds(row["fid"], fid) for row in bounded if row["name"] == name)
            for name, fid in whole.items()
        ),
        "models": len({row["name"] for row in rows}),
        "heads": ["model", "latents within", *(head for _, head, _ in columns)],
        "rows": [
            [
                row["name"],
                "" if row["truncation"] is None else f"{row['truncation']:g}",
                *tables.cells(row, columns),
            ]
            for row in rows
        ],
    }


def _composition(found: dict[str, Any], records: dict[str, Any]) -> dict[str, Any]:
    """By class fidelity, beside that of the models that were trained with labels."""
    key, shown = "class_fidelity", [("class_fidelity", "", 3)]
    told = {n: records[n]["figures"]["samples"]["model"] for n in ("cvae", "cgan")}
    return {
        "num_images": found["num_images"],
        **{name: tables.cells(figures, shown)[0] for name, figures in told.items()},
        **{
            f"more_than_{name}": all(exceeds(row[key], figures[key]) for row in found["rows"])
            for name, figures in told.items()
        },
        "rows": [
            [
                f"`{row['p_x']}`" if "p_x" in row else "real images",
                row.get("method", "sir"),
                *tables.cells(row, shown),
                f"{min(row['effective_sample_size']):.0f}"
                if "effective_sample_size" in row
                else "",
                f"{row['acceptance']:.2f}" if "acceptance" in row else "",
                f"{max(row['r_hat']):.2f}" if "r_hat" in row else "",
            ]
            for row in [found["real"], *found["rows"]]
        ],
    }


def _flexibility(found: dict[str, Any], manifest: dict[str, Any]) -> dict[str, Any]:
    """By bounds of the same images, so that what images differ in cancels.

    All mixtures and flows are to be better by more than two errors. A mixture of an image whose
    latents tell less than 0.05 nats of their components is one Gaussian.
    """
    rows = found["rows"]
    above = {
        row["name"]: row["above_vae_nats"]
        for row in rows
        if row["name"].startswith(("gmm_vae", "flow_vae"))
    }
    not_better = [name for name, a in above.items() if not exceeds(a, 0.0, errors=2)]
    components = [
        (row["name"], row["component_nats"]["mean"], math.log(row["num_components"]))
        for row in rows
        if "component_nats" in row
    ]
    return {
        "num_samples": found["num_samples"],
        "num_images": found["num_images"],
        "holds": bool(above) and not not_better,
        "not_better": not_better,
        "components": [(name, max(nats, 0.0), most) for name, nats, most in components],
        "one": [name for name, nats, _ in components if nats < 0.05],
        "rows": [_bound(row, manifest[row["name"]]) for row in rows],
    }


def _bound(row: dict[str, Any], about: dict[str, Any]) -> list[str]:
    """A row of a table of bounds, of what the manifest says about the model."""
    start = about["settings"]["run"].get("init_from", "")
    return [
        row["name"],
        f"{about['summary']['parameters']:,}",
        f"{about['summary']['steps']:,}" + (f" after {start}" if start else ""),
        *tables.cells(row, [("bound_nats", "", 1), ("above_vae_nats", "", 2)]),
    ]


def _latents(kl_nats: list[float]) -> dict[str, Any]:
    kl = sorted(kl_nats, reverse=True)
    return {"kl": kl, "holds": exceeds(kl[-1], 0.1)}


def _representation(records: dict[str, Any], manifest: dict[str, Any]) -> dict[str, Any] | None:
    """By linear probes, of the table above; a difference is one from two of its errors on."""
    found = {
        name: record["figures"]["representation"]
        for name, record in records.items()
        if record["dataset"] == "fashion_mnist" and "representation" in record["figures"]
    }
    if not found:
        return None
    # as many components as pixels are the pixels, on other axes
    fewer = {
        name: part
        for name, part in found.items()
        if part["num_components"] < math.prod(manifest[name]["settings"]["image_shape"])
    }

    def better(parts, than):
        probe = f"probe_of_{than}"
        return [
            name
            for name, part in parts.items()
            if exceeds(part["probe_of_latent_means"], part[probe], errors=2)
        ]

    return {
        "models": len(found),
        "fewer": len(fewer),
        "beat_components": better(fewer, "principal_components"),
        "beat_pixels": better(found, "pixels"),
    }


# exact, or else the tightest bound that was measured
_BITS = ("bits_per_dim", "iwae_bound_bits_per_dim", "elbo_bits_per_dim")


def tightest(part: dict[str, Any]) -> str | None:
    """The key of the bits a dimension in the likelihood of a record: exact, or the best bound."""
    return next((key for key in _BITS if key in part), None)


def _likelihood(records: dict[str, Any]) -> dict[str, Any] | None:
    """Of the models of all 256 levels of Fashion-MNIST, unconditional ones."""
    found = {}
    for name, record in records.items():
        part = record["figures"].get("likelihood")
        if (
            part
            and record["dataset"] == "fashion_mnist"
            and not part.get("given")
            and record["binarization"] == "none"
            and part["p_x_given_z"] in (None, "quantized_gaussian", "logistic_mixture")
            and part["levels"] == 256
        ):
            key = tightest(part)
            [cell] = tables.cells(part, [(key, "", 4)])
            found[name] = (part[key]["mean"], cell, part[key])
    if "pixelcnn" not in found:
        return None
    for name in found:  # by themselves, as K of bounds may differ: each is one
        check_alike(records, ("pixelcnn", name), "likelihood")
    others = [bits for name, (*_, bits) in found.items() if not name.startswith("pixel")]
    return {
        "holds": all(exceeds(bits, found["pixelcnn"][2]) for bits in others),
        "rows": [
            [name, cell] for name, (_, cell, _) in sorted(found.items(), key=lambda i: i[1][0])
        ],
    }


def _variety(records: dict[str, Any]) -> dict[str, Any] | None:
    """By recall and coverage, of the models that take noise away against the GANs."""
    names = _fids(records, "fashion_mnist")
    found = {name: records[name]["figures"]["samples"]["model"] for name in names}
    several = [name for name in ("diffusion", "flow_matching") if name in found]
    gans = [name for name in found if name.endswith(("gan", "gan_gp"))]
    if not several or not gans:
        return None
    check_alike(records, (*several, *gans), "samples")
    names = sorted((*several, *gans), key=lambda name: -found[name]["coverage"]["mean"])
    shown = [f for f in tables.FIGURES if f[0] in ("precision", "recall", "coverage")]

    def more(a, b, key):
        return exceeds(found[a][key], found[b][key])

    return {
        "models": several,
        "by_recall": all(more(a, b, "recall") for a in several for b in gans),
        "ahead": [b for b in gans if any(more(b, a, "recall") for a in several)],
        "by_coverage": all(more(a, b, "coverage") for a in several for b in gans),
        "heads": ["model", *(head for _, head, _ in shown)],
        "rows": [[name, *tables.cells(found[name], shown)] for name in names],
    }


def _one_call(records: dict[str, Any]) -> dict[str, Any] | None:
    """By FID, of the model that draws in one call against the same network in many."""
    if not records.keys() >= {"mean_flow", "flow_matching"}:
        return None
    check_alike(records, ("mean_flow", "flow_matching"), "samples")
    one, many = (
        records[name]["figures"]["samples"]["model"] for name in ("mean_flow", "flow_matching")
    )
    shown = [f for f in tables.FIGURES if f[0] in ("network_calls", "fid", "samples_per_second")]
    return {
        "holds": exceeds(one["fid"], many["fid"]),
        "heads": ["model", *(head for _, head, _ in shown)],
        "rows": [
            ["mean_flow", *tables.cells(one, shown)],
            ["flow_matching", *tables.cells(many, shown)],
        ],
    }


FEW_CALLS = 8  # up to which straight paths are compared with others


def _drawing(found: dict[str, Any]) -> dict[str, Any]:
    """What `drawing.py` measured: FID over network calls, guidance, and the holes of priors."""
    calls, guided, holes = (found[part] for part in ("calls", "guidance", "holes"))
    straight, curved = (
        {row["calls"]: row["fid"] for row in calls if (row["name"], row["sampler"]) == kind}
        for kind in (("flow_matching", "euler"), ("diffusion", "ddim"))
    )
    compared = [n for n in straight if n in curved and n <= FEW_CALLS]
    steps = list(zip(guided, guided[1:], strict=False))
    columns = [f for f in tables.FIGURES if f[0] in guided[0]]
    gaps = {row["name"]: difference(row["fid_of_prior"], row["fid_of_posteriors"]) for row in holes}
    gap_of_vae = gaps["vae"]
    shown = [(key, "", 1) for key in ("fid_of_prior", "fid_of_posteriors")]
    return {
        "calls": {
            "num_images": found["num_images"],
            "held": sum(exceeds(curved[n], straight[n]) for n in compared),
            "compared": len(compared),
            "few": FEW_CALLS,
            "heads": ["model", "sampler", "steps", "network calls", *(h for _, h, _ in columns)],
            "rows": [
                [
                    *(str(row[key]) for key in ("name", "sampler", "num_steps", "calls")),
                    *tables.cells(row, columns),
                ]
                for row in calls
            ],
        },
        "guidance": {
            "model": found["guided"],
            "held": sum(
                exceeds(b["class_fidelity"], a["class_fidelity"])
                and exceeds(a["recall"], b["recall"])
                for a, b in steps
            ),
            "steps": len(steps),
            "heads": ["guidance", "network calls", *(head for _, head, _ in columns)],
            "rows": [
                [f"{row['guidance']:g}", str(row["calls"]), *tables.cells(row, columns)]
                for row in guided
            ],
        },
        "holes": {
            "holds": all(exceeds(gap_of_vae, gap) for name, gap in gaps.items() if name != "vae"),
            "heads": ["model", "FID of the prior's draws", "of posteriors' draws", "difference"],
            "rows": [
                [
                    row["name"],
                    *tables.cells(row, shown),
                    *tables.cells({"": gaps[row["name"]]}, [("", "", 1)]),
                ]
                for row in holes
            ],
        },
    }

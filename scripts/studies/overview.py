"""docs/results.md: which model to choose, in three short tables and two plots, of the records."""

import hashlib
import json
import pathlib
from typing import Any

import verdicts
from PIL import Image

from zoo import registry
from zoo.core import extras
from zoo.evaluation import tables
from zoo.hub import folders, pretrained
from zoo.recipes import AdversarialRecipe

DATASET, JUDGE = "fashion_mnist", "classifier"
FAMILIES = {  # model -> family, which has a color in plots
    **dict.fromkeys(("pixelcnn", "pixelrnn"), "autoregressive"),
    **dict.fromkeys(("flow_matching", "diffusion", "mean_flow"), "in steps"),
    **dict.fromkeys(("bayes_conditional", "bayes_classifier"), "Bayes' rule"),
    "realnvp": "flow",
    "classifier": "classifier",
}
_GANS = [m for m, of in registry.MODELS.items() if isinstance(of.recipe, AdversarialRecipe)]
FAMILIES |= dict.fromkeys(_GANS, "GAN")
_VAES = ("vae", "iwae", "cvae", "gmm_vae", "flow_vae", "categorical_vae", "hierarchical_vae")
CALLS = {  # of networks for an image, where the record has no number
    **dict.fromkeys((*_GANS, *_VAES, "realnvp"), 1),
    "vqvae": 50,  # 49 codes and the decoder
    "pixelcnn": 784,
    "pixelrnn": 784,
}
_COLORS = {
    "VAE": "#1f77b4",
    "GAN": "#d62728",
    "autoregressive": "#2ca02c",
    "in steps": "#9467bd",
    "flow": "#ff7f0e",
    "Bayes' rule": "#8c564b",
}
_WITH_LIKELIHOOD = ("flow_matching", "diffusion", "realnvp", "hierarchical_vae")
_DIGEST = "zoo:digest"
_LAST = ("minutes of training", "record")


def found(manifest: dict[str, Any], records: dict[str, Any]) -> list[dict[str, Any]]:
    """What is shown of each model of Fashion-MNIST that draws or has a likelihood."""
    rows = []
    for name, record in records.items():
        figures = record["figures"]
        samples = figures.get("samples", {}).get("model", {})
        likelihood = figures.get("likelihood", {})
        if record["dataset"] != DATASET or record["binarization"] != "none":
            continue
        bits = verdicts.tightest(likelihood)
        if "fid" not in samples and bits is None:
            continue
        summary = manifest[name].get("summary")
        config = manifest[name]["settings"]["config"]
        rows.append(
            {
                "name": name,
                "model": record["model"],
                "family": FAMILIES.get(record["model"], "VAE"),
                "samples": _with_calls(record["model"], samples),
                "bits": likelihood[bits] if bits else None,
                "exact": bits == "bits_per_dim" and record["model"] != "bayes_conditional",
                "judged_by_a_part": config.get("p_y_given_x") == JUDGE,
                "given": bool(likelihood.get("given")),
                "minutes": pretrained.training_minutes(summary) if summary else None,
            }
        )
    return rows


def _with_calls(model: str, samples: dict[str, Any]) -> dict[str, Any]:
    """Figures of samples, with the network calls that a record need not count."""
    if "network_calls" in samples or model not in CALLS or not samples:
        return samples
    return {**samples, "network_calls": {"mean": CALLS[model], "standard_error": None}}


def page(template: Any, manifest: dict[str, Any], records: dict[str, Any]) -> str:
    """docs/results.md."""
    rows = found(manifest, records)
    drawing = sorted((r for r in rows if "fid" in r["samples"]), key=_fid)
    coding = sorted((r for r in rows if r["bits"]), key=_bits)
    told = [r for r in drawing if "class_fidelity" in r["samples"]]
    told.sort(key=lambda r: -r["samples"]["class_fidelity"]["mean"])
    floors = [records[r["name"]]["figures"]["samples"]["floor"] for r in (*told, *drawing)]
    floor = max(floors, key=len, default={})
    with_likelihood = {r["model"] for r in coding}
    return template.render(
        choices=_choices(drawing, coding, told),
        models={r["name"]: r["model"] for r in rows},
        pictures=_table(
            drawing,
            ("fid", "precision", "recall", "network_calls", "samples_per_second"),
            floor,
        ),
        likelihood={
            "heads": ["model", "bits per pixel", "exact or a bound", "quantity", *_LAST],
            "rows": [
                [
                    _card(r),
                    _cell(r["bits"], 3),
                    "exact" if r["exact"] else "upper bound",
                    "p(x\\|y)" if r["given"] else "p(x)",
                    _minutes(r),
                    _record(r),
                ]
                for r in coding
            ],
        },
        classes=_table(told, ("class_fidelity", "cas", "fid", "samples_per_second"), floor),
        own=[r["name"] for r in told if r["judged_by_a_part"]],
        fidelity_floor=_cell(floor["class_fidelity"], 3) if "class_fidelity" in floor else "",
        unmeasured=", ".join(f"`{m}`" for m in _WITH_LIKELIHOOD if m not in with_likelihood),
    )


def _choices(drawing, coding, told) -> list[tuple[str, str, str]]:
    """A wish, the model that fulfills it best, and its figure."""

    def fid(row):
        return f"FID {_cell(row['samples']['fid'], 1)}"

    def speed(row):
        return row["samples"]["samples_per_second"]["mean"]

    free = [r for r in drawing if r not in told]
    quick = [r for r in drawing if speed(r) > 100]
    fast = [r for r in drawing if speed(r) > 1000]
    short = [r for r in drawing if r["minutes"] and r["minutes"] <= 10]
    vaes = [r for r in drawing if r["family"] == "VAE"]
    codes = [r for r in coding if r["family"] == "VAE" and not r["given"]]
    wishes = [("the best pictures", drawing, fid), ("the best pictures without classes", free, fid)]
    wishes += [
        ("a hundred pictures a second", quick, lambda r: f"{fid(r)}, {speed(r):,.0f} a second"),
        ("a thousand pictures a second", fast, lambda r: f"{fid(r)}, {speed(r):,.0f} a second"),
        ("good pictures after ten minutes of training", short, fid),
        ("pictures from a model that also encodes", vaes, fid),
        (
            "the class that was asked for",
            told,
            lambda r: (
                f"class fidelity {_cell(r['samples']['class_fidelity'], 3)}, {fid(r)}, "
                f"recall {r['samples']['recall']['mean']:.2f}"
            ),
        ),
        (
            "samples to train a classifier on",
            sorted(told, key=lambda r: -r["samples"].get("cas", {"mean": 0})["mean"]),
            lambda r: f"CAS {_cell(r['samples']['cas'], 3)}",
        ),
        ("the best measured likelihood", coding, lambda r: f"{_cell(r['bits'], 2)} bits per pixel"),
        (
            "the best likelihood of a model with codes",
            codes,
            lambda r: f"at most {_cell(r['bits'], 2)} bits per pixel",
        ),
    ]
    return [(wish, of[0]["name"], figure(of[0])) for wish, of, figure in wishes if of]


def _table(rows, keys, floor) -> dict[str, list]:
    """Models, after a row of what real images get in place of samples."""
    shown = [next(f for f in tables.FIGURES if f[0] == key) for key in keys]
    return {
        "heads": ["model", *(head for _, head, _ in shown), *_LAST],
        "rows": [
            ["real images", *tables.cells(floor, shown), "", ""],
            *(
                [_card(r), *tables.cells(r["samples"], shown), _minutes(r), _record(r)]
                for r in rows
            ),
        ],
    }


def _fid(row) -> float:
    return row["samples"]["fid"]["mean"]


def _bits(row) -> float:
    return row["bits"]["mean"]


def link(name: str, root: str = "") -> str:
    """To a model's card, from a page whose way to the project's root is given."""
    return f"[{name}]({root}zoo/pretrained/{name}/{folders.CARD})"


def _card(row) -> str:
    return link(row["name"], "../")


def _record(row) -> str:
    return f"[record](../zoo/pretrained/{row['name']}/{folders.RECORD})"


def _minutes(row) -> str:
    return f"{row['minutes']:.0f}" if row["minutes"] else ""


def _cell(figure, digits: int) -> str:
    [cell] = tables.cells({"": figure}, [("", "", digits)])
    return cell


def plots(manifest: dict[str, Any], records: dict[str, Any]) -> dict[str, list[Any]]:
    """Name of a picture in docs/claims -> the numbers that it shows."""
    rows = found(manifest, records)
    drawn = [r for r in rows if "fid" in r["samples"]]
    floors = [records[r["name"]]["figures"]["samples"]["floor"]["fid"]["mean"] for r in drawn]
    samples = [
        [
            r["name"],
            r["family"],
            _fid(r),
            r["samples"]["fid"]["standard_error"],
            r["samples"]["samples_per_second"]["mean"],
        ]
        for r in sorted(drawn, key=_fid)
    ]
    likelihood = [
        [r["name"], r["family"], _bits(r), r["bits"]["standard_error"], r["exact"]]
        for r in sorted((r for r in rows if r["bits"]), key=_bits)
    ]
    return {"results_samples": [samples, min(floors)], "results_likelihood": [likelihood]}


def digest(numbers: list[Any]) -> str:
    """What a picture of these numbers carries."""
    return hashlib.sha256(json.dumps(numbers).encode()).hexdigest()


def is_of(path: pathlib.Path, numbers: list[Any]) -> bool:
    """Whether a picture is there and shows these numbers."""
    if not path.exists():
        return False
    with Image.open(path) as picture:
        return picture.info.get(_DIGEST) == digest(numbers)


def draw(path: pathlib.Path, numbers: list[Any]) -> None:
    """Draws one of `plots` with matplotlib."""
    matplotlib = extras.library("matplotlib", "plots", "drawing plots")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = numbers[0]
    panels = len(numbers)
    height = 1.5 + 0.24 * len(rows)
    figure, axes = pyplot.subplots(
        1, panels, figsize=(7 * panels, height), squeeze=False, layout="constrained"
    )
    left = axes[0][0]
    for place, (_, family, mean, error, last) in enumerate(rows):
        filled = last if panels == 1 else True
        left.errorbar(
            mean,
            -place,
            xerr=2 * error,
            fmt="o",
            color=_COLORS[family],
            markerfacecolor=_COLORS[family] if filled else "white",
            capsize=3,
        )
    left.set_yticks([-i for i in range(len(rows))], [row[0] for row in rows])
    left.grid(axis="x", alpha=0.3)
    if panels == 1:
        left.set_xlabel("bits per pixel, two standard errors to either side")
    else:
        floor, right = numbers[1], axes[0][1]
        left.set_xscale("log")
        left.set_xlabel("FID, two standard errors to either side")
        for axis in (left.axvline, right.axhline):
            axis(floor, color="gray", linestyle="--", linewidth=1)
        fastest = 0.0
        for name, family, mean, _, speed in rows:  # the best first
            right.plot(speed, mean, "o", color=_COLORS[family])
            if speed > fastest:  # than all that are better
                fastest = speed
                right.annotate(name, (speed, mean), xytext=(4, -13), textcoords="offset points")
        right.set(xscale="log", yscale="log", xlabel="samples a second", ylabel="FID")
        right.margins(x=0.12)
        for axis in (left.xaxis, right.xaxis, right.yaxis):
            axis.set_major_formatter("{x:g}")
        right.grid(alpha=0.3)
    families = dict.fromkeys(row[1] for row in rows)
    handles = [pyplot.Line2D([], [], marker="o", linestyle="", color=_COLORS[f]) for f in families]
    left.legend(handles, families, fontsize=8)
    figure.savefig(path, dpi=100, metadata={_DIGEST: digest(numbers)})
    pyplot.close(figure)

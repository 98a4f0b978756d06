"""Measures how samples depend on how they are drawn: python scripts/studies/drawing.py.

That is the number of network calls and the sampler, guidance, and the prior of latents, of
pretrained models of Fashion-MNIST: `docs/claims/drawing.json`, and the FID over the calls as
drawing.png (40 minutes; it needs `pip install -e '.[plots]'`). `scripts/studies/report.py` makes
sections of docs/claims.md of it.
"""

from zoo.core import stopping  # noqa: F401  isort: skip  (first: Ctrl-C during the imports)
import pathlib

from absl import flags

from zoo.commands import cli
from zoo.core import extras, files

_OUT = flags.DEFINE_string("out", "docs/claims", "Folder of the picture and the numbers.")
_NUM = flags.DEFINE_integer(
    "num_images", 2000, "Samples, and as many validation images.", lower_bound=300
)
_SEED = flags.DEFINE_integer("seed", 0, "Of everything.", lower_bound=0, upper_bound=2**31 - 1)

SAMPLERS = {
    "flow_matching": ("euler", "heun"),
    "diffusion": ("ddim", "heun", "ancestral"),
    "mean_flow": ("jump",),
}
STEPS = (1, 2, 4, 8, 16, 32, 64)
GUIDED, GUIDANCES = "flow_matching", (1.0, 1.25, 1.5, 2.0, 3.0)
PRIORS = ("vae", "gmm_vae", "vae_samples")  # of decoders, and of what is drawn for them
JUDGE = "classifier"  # in whose features samples are measured


class Measure:
    """Figures of samples against validation images."""

    def __init__(self, dataset, num: int, seed: int):
        from zoo.evaluation import features
        from zoo.training import inputs

        self.num, self.seed = num, seed
        self.net = inputs.feature_net(JUDGE)
        self.real, _ = self.net.see(features.batches(dataset.validation.subset(num).images))

    def of(self, made, labels=None) -> dict:
        """FID, precision and recall of batches of images, and how often labels are seen."""
        from zoo.evaluation import features
        from zoo.evaluation.metrics import class_fidelity, fid, neighbors

        fake, p_fake = self.net.see(map(features.in_bytes, made))
        both = neighbors.compare(self.real, fake)
        found = {"fid": fid.fid(self.real, fake, self.seed)}
        found |= {key: both[key] for key in ("precision", "recall")}
        if labels is not None:
            seen = class_fidelity.class_fidelity(p_fake, labels)
            found["class_fidelity"] = seen["class_fidelity"]
        return found

    def drawn(self, model, **options) -> dict:
        """The same of a model's samples."""
        from zoo.evaluation import features

        labels = features.labels_in_turn(model, self.num)
        return self.of(features.samples(model, self.num, self.seed, labels, **options), labels)


def calls(measure: Measure, names) -> list[dict]:
    """Samples without guidance, by each sampler and in each number of steps."""
    import zoo

    rows = []
    for name in names:
        trained = zoo.load(name)
        for sampler in SAMPLERS[name]:
            model = type(trained).from_config({**trained.get_config(), "sampler": sampler})
            model.set_weights(trained.get_weights())
            for num_steps in STEPS:
                made = model.num_calls(num_steps, 1.0)
                if made > max(STEPS):
                    continue
                row = {"name": name, "sampler": sampler, "num_steps": num_steps, "calls": made}
                row |= measure.drawn(model, num_steps=num_steps, guidance=1.0)
                rows.append(row)
                print(row, flush=True)
    return rows


def guidance(measure: Measure) -> list[dict]:
    """Samples of one model, by the number of steps that is its own, for each guidance."""
    import zoo

    model, rows = zoo.load(GUIDED), []
    for value in GUIDANCES:
        made = {"guidance": value, "calls": model.num_calls(None, value)}
        rows.append({**made, **measure.drawn(model, guidance=value)})
        print(rows[-1], flush=True)
    return rows


def holes(measure: Measure, dataset) -> list[dict]:
    """What the decoder makes of draws of the prior, and of the posteriors of training images."""
    import zoo
    from zoo.math import noise

    rows, images = [], dataset.train.subset(measure.num).images
    for name in PRIORS:
        model = zoo.load(name)
        z = model.draw(model.encode(images), noise.stateless_seed(_SEED.value))
        parts = [model.generate(z[i : i + 500]).numpy() for i in range(0, measure.num, 500)]
        both = {"fid_of_prior": measure.drawn(model), "fid_of_posteriors": measure.of(parts)}
        rows.append({"name": name, **{key: of["fid"] for key, of in both.items()}})
        print(rows[-1], flush=True)
    return rows


def plot(rows: list[dict], path: pathlib.Path) -> None:
    """FID over the number of network calls."""
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 4), layout="constrained")
    for name, sampler in dict.fromkeys((row["name"], row["sampler"]) for row in rows):
        own = [row for row in rows if (row["name"], row["sampler"]) == (name, sampler)]
        fid = [row["fid"]["mean"] for row in own]
        axes.plot([row["calls"] for row in own], fid, "o-", label=f"{name}, {sampler}")
    axes.set(xscale="log", yscale="log", xlabel="network calls", ylabel="FID")
    axes.set_xticks(STEPS, [str(n) for n in STEPS])
    axes.legend(fontsize=8)
    files.write_atomically(path, lambda f: figure.savefig(f, format="png", dpi=150))


def main(argv: list[str]) -> None:
    """Measures and writes."""
    matplotlib = extras.library("matplotlib", "plots", "drawing the pictures")
    matplotlib.use("Agg")
    from zoo import data
    from zoo.hub import pretrained
    from zoo.training import provenance

    out = cli.output_folder(_OUT.value)
    dataset, known = data.load(), pretrained.manifest()
    names = [name for name in SAMPLERS if name in known]
    measure = Measure(dataset, _NUM.value, _SEED.value)
    record = {
        "dataset_digest": dataset.digest,
        "seed": _SEED.value,
        "num_images": _NUM.value,
        "versions": provenance.versions(),
        "weights": {n: known[n]["sha256"] for n in sorted({*names, GUIDED, *PRIORS, JUDGE})},
        "calls": calls(measure, names),
        "guided": GUIDED,
        "guidance": guidance(measure),
        "holes": holes(measure, dataset),
    }
    out.mkdir(parents=True, exist_ok=True)
    files.write_json(out / "drawing.json", record)
    plot(record["calls"], out / "drawing.png")
    print(f"numbers and picture: {out}")


if __name__ == "__main__":
    cli.run(main)

"""Measures what courses claim of these models: python scripts/studies/claims.py (half an hour).

It writes `docs/claims/` (pictures, and the numbers as claims.json), from which and from the records
`scripts/studies/report.py` makes docs/claims.md. Needs `pip install -e '.[plots]'`. With
`--mnist_dir` it writes `docs/claims/mnist.json` alone: what VAEs of MNIST have over the plain one.
"""

from zoo.core import stopping  # noqa: F401  isort: skip  (first: Ctrl-C during the imports)
import pathlib

from absl import flags

from zoo.commands import cli
from zoo.core import extras, files

_OUT = flags.DEFINE_string("out", "docs/claims", "Folder of pictures and numbers.")
_TRAINING = flags.DEFINE_bool(
    "training",
    True,
    "Also train what the first two claims need; else their numbers stay, and what is measured and "
    "drawn of pretrained models is new.",
)
_MNIST_DIR = flags.DEFINE_string(
    "mnist_dir", "", "Folder with the IDX files of MNIST: only its models are compared."
)
_SEED = flags.DEFINE_integer("seed", 0, "Of everything.", lower_bound=0, upper_bound=2**31 - 1)

BETAS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
BETA_EPOCHS = 5
GRADIENT_STEPS, GRADIENT_RUNS = 150, 5
SHARPNESS = ("vae", "gan", "cgan")  # the pretrained models whose samples are compared
BOUNDS = ("vae", "iwae", "gmm_vae", "flow_vae")  # pretrained, of the same networks
BOUND_IMAGES, BOUND_SAMPLES = 2000, 100
MNIST_SAMPLES = 2000  # of networks that are small enough
TRUNCATED = ("wgan_gp", "sngan", "projection_cgan")  # pretrained
JUDGE, WEIGHER = "classifier", "classifier_seed1"  # of samples, and p(y|x) of compositions
COMPOSED = (("gmm_vae", "sir"), ("vae", "sir"), ("vae", "mcmc"), ("gmm_vae", "mcmc"))
COMPOSED_IMAGES = 1000
TRUNCATIONS = (None, 2.0, 1.75, 1.5, 1.0, 0.7)
KEPT = ("fid", "precision", "recall", "class_fidelity")
TRAVERSED = 10  # latent dimensions that are shown


def beta_sweep(dataset) -> dict:
    """Both ELBO terms, on test images, of a VAE of dense layers for each beta."""
    from zoo import registry
    from zoo.data import pipeline
    from zoo.evaluation.metrics import likelihood

    recipe, seed = registry.recipe("vae"), _SEED.value
    steps = pipeline.steps_per_epoch(dataset.train, recipe.batch_size)
    rows = []
    for beta in BETAS:
        model = _new("vae", dataset, network="mlp", beta=beta)
        batches = pipeline.train_batches(
            dataset.train, recipe.batch_size, seed=seed, stop=BETA_EPOCHS * steps
        )
        model.fit(batches, epochs=BETA_EPOCHS, steps_per_epoch=steps, verbose=0)
        found = likelihood.likelihood(model, dataset.test, num_samples=1, seed=seed)
        rows.append({"beta": beta, **{name: found[name] for name in likelihood.ELBO}})
        print(rows[-1], flush=True)
    return {"epochs": BETA_EPOCHS, "rows": rows}


def gradients(dataset) -> dict:
    """Gradients of both generator losses, with G waiting and in training, of several seeds."""
    import gradients

    from zoo import registry

    size = registry.recipe("gan").batch_size
    images = dataset.train.images[: GRADIENT_STEPS * size]
    found = {"batch_size": size, "waiting": [], **{name: [] for name in gradients.GENERATOR_LOSSES}}
    for seed in range(_SEED.value, _SEED.value + GRADIENT_RUNS):
        model = _new("gan", dataset, seed=seed)
        found["waiting"].append(gradients.generator_gradients(model, images, size, seed))
        for name in gradients.GENERATOR_LOSSES:
            model = _new("gan", dataset, seed=seed, loss=name)
            found[name].append(gradients.training_curves(model, images, size))
    return found


def bounds(names, images, num_samples: int) -> dict:
    """K-sample bounds of VAEs, and their differences from the first one's, image by image."""
    import zoo
    from zoo.evaluation.intervals import mean_and_error
    from zoo.evaluation.metrics import likelihood

    rows, plain = [], None
    for name in names:
        model = zoo.load(name)
        nats = likelihood.log_likelihoods(model, images, num_samples, _SEED.value)[0]
        plain = nats if plain is None else plain
        row = {
            "name": name,
            "bound_nats": mean_and_error(nats),
            "above_vae_nats": mean_and_error(nats - plain),
        }
        if getattr(model, "num_components", 1) > 1:
            row["num_components"] = model.num_components
            nats = model.component_nats(images.images)
            row["component_nats"] = mean_and_error(nats.numpy())
        rows.append(row)
    return _measured(len(images), rows, num_samples=num_samples)


def bounds_of_mnist() -> dict:
    """`bounds` of the pretrained VAEs of black and white MNIST."""
    from zoo.hub import pretrained, references
    from zoo.training import inputs

    model_of = {n: e["settings"]["model"] for n, e in pretrained.manifest().items()}
    names = [n for n in model_of if n.endswith("_mnist") and model_of[n] in BOUNDS]
    names.sort(key=lambda n: BOUNDS.index(model_of[n]))  # the vae comes first
    vae = references.Packaged(names[0])
    images = inputs.split_of(vae, "test", _MNIST_DIR.value, _SEED.value).first(BOUND_IMAGES)
    found = bounds(names, images, MNIST_SAMPLES)
    return {"weights": {name: pretrained.entry(name)["sha256"] for name in names}, **found}


def truncation(dataset) -> dict:
    """What samples gain and lose as latents are drawn nearer to 0, by the protocol of the records.

    FID, precision, recall and, where a class is asked for, class fidelity.
    """
    import zoo
    from zoo.evaluation import features
    from zoo.evaluation.metrics import class_fidelity, fid, neighbors
    from zoo.training import inputs

    net, num = inputs.feature_net(JUDGE), len(dataset.test)
    real = dataset.test.subset(num)
    of_real, _ = net.see(features.batches(real.images))
    rows = []
    for name in TRUNCATED:
        model = zoo.load(name)
        labels = features.labels_in_turn(model, num)
        for bound in TRUNCATIONS:
            made = features.samples(model, num, _SEED.value, labels, truncation=bound)
            of_fake, p_fake = net.see(map(features.in_bytes, made))
            found = {"fid": fid.fid(of_real, of_fake, _SEED.value)}
            found |= neighbors.compare(of_real, of_fake)
            if labels is not None:
                found |= class_fidelity.class_fidelity(p_fake, labels)
            kept = {key: found[key] for key in KEPT if key in found}
            rows.append({"name": name, "truncation": bound, **kept})
            print(rows[-1], flush=True)
    return _measured(num, rows)


def composed(images) -> dict:
    """How often p(x|y) of two trained parts draws the class, and how well it says it went.

    `real`: where the candidates are the images given, as a p(x) without a fault would draw them.
    """
    import numpy as np

    import zoo
    from zoo.evaluation import features
    from zoo.evaluation.metrics import class_fidelity
    from zoo.models.bayes_conditional import effective_sample_size
    from zoo.training import inputs

    net, rows = inputs.feature_net(JUDGE), []
    for p_x, method in COMPOSED:
        model = zoo.create("bayes_conditional", p_y_given_x=WEIGHER, p_x=p_x, method=method)
        labels = features.labels_in_turn(model, COMPOSED_IMAGES)
        drawn = model.draw(len(labels), labels, seed=_SEED.value)
        fidelity = class_fidelity.class_fidelity(
            net.see([features.in_bytes(drawn.images)])[1], labels
        )
        told = {key: values.tolist() for key, values in drawn.diagnostics.items()}
        rows.append(
            {"p_x": p_x, "method": method, "class_fidelity": fidelity["class_fidelity"], **told}
        )
        print(rows[-1], flush=True)
    w = inputs.feature_net(WEIGHER).see(features.batches(images))[1]
    w = w.astype(np.float64) / np.sum(w, 0, dtype=np.float64)  # [N, K]
    rng = np.random.default_rng(_SEED.value)
    chosen = [rng.choice(len(w), p=w[:, k]) for k in labels]
    fidelity = class_fidelity.class_fidelity(net.see(features.batches(images[chosen]))[1], labels)
    real = {
        "class_fidelity": fidelity["class_fidelity"],
        "effective_sample_size": effective_sample_size(np.log(w)).numpy().tolist(),
    }
    return _measured(COMPOSED_IMAGES, rows, real=real)


def _measured(num_images: int, rows: list[dict], **more) -> dict:
    """Rows of figures of so many images each, and how they came about."""
    from zoo.training import provenance

    known = {"seed": _SEED.value, "versions": provenance.versions(), "num_images": num_images}
    return {**known, **more, "rows": rows}


def latents(dataset) -> dict:
    """KL of each latent dimension of the pretrained VAE over the test images, in nats."""
    import numpy as np

    import zoo
    from zoo.evaluation import features

    model = zoo.load("vae")
    parts = [model.kl_per_dim(batch) for batch in features.batches(dataset.test.images)]
    return {"kl_nats": np.concatenate(parts).mean(0).tolist()}


def _new(name, dataset, seed=None, **config):
    import keras

    from zoo.hub import loading

    seed = _SEED.value if seed is None else seed
    keras.utils.set_random_seed(seed)
    return loading.create(name, dataset.image_shape, dataset.num_classes, config, seed=seed)


def plot_beta(found: dict, path: pathlib.Path) -> None:
    """The two terms over beta, and against each other."""
    from matplotlib import pyplot as plt

    rows = found["rows"]
    beta = [row["beta"] for row in rows]
    kl, reconstruction, elbo = (
        [row[name]["mean"] for row in rows]
        for name in ("kl_nats", "reconstruction_nats", "elbo_nats")
    )
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.6), layout="constrained")
    figure.get_layout_engine().set(wspace=0.08)
    left.plot(beta, kl, "o-", color="C1", label="KL(q(z|x) ‖ p(z))")
    left.set(xscale="log", xlabel="β", ylabel="KL, nats")
    other = left.twinx()
    other.plot(beta, reconstruction, "s-", color="C0", label="E_q[log p(x|z)]")
    other.plot(beta, elbo, "--", color="black", label="ELBO")
    other.set_ylabel("reconstruction and ELBO, nats")
    handles = [h for axes in (left, other) for h in axes.get_legend_handles_labels()[0]]
    left.legend(handles=handles, fontsize=8, loc="lower left")
    right.plot(kl, reconstruction, "o-", color="C2")
    for b, x, y in zip(beta, kl, reconstruction, strict=True):
        right.annotate(f"β = {b:g}", (x, y), (7, -11), textcoords="offset points", fontsize=8)
    right.margins(x=0.2, y=0.1)
    right.set(
        xlabel="KL, nats", ylabel="reconstruction, nats", title="one is bought with the other"
    )
    _save(figure, path)


def plot_gradients(found: dict, path: pathlib.Path) -> None:
    """Norms of both gradients and D(G(z)) over the steps: with G waiting, and with G learning."""
    import numpy as np
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
    colors = {"saturating": "C3", "non_saturating": "C0"}

    def draw(panel, values, *style, **more):
        panel.plot(range(1, len(values) + 1), values, *style, **more)

    for name in ("saturating", "non_saturating"):
        for run in found["waiting"]:
            draw(axes[0], run[name], color=colors[name], alpha=0.5, linewidth=1)
        for run in found[name]:
            draw(axes[1], run["g_grad_norm"], color=colors[name], alpha=0.5, linewidth=1)
            draw(axes[2], run["d_fake"], color=colors[name], alpha=0.5, linewidth=1)
        for a in axes:
            a.plot([], color=colors[name], label=name.replace("_", "-"))
    median = np.median([run["d_fake"] for run in found["waiting"]], axis=0)
    draw(axes[0], median, "--", color="black", linewidth=1, label="D(G(z)), median")
    norm = "norm of G's gradient"
    axes[0].set(title="the same D and G; only D learns", ylabel=f"{norm}; D(G(z))")
    axes[1].set(title="both learn", ylabel=norm)
    axes[2].set(title="both learn", ylabel="D(G(z))")
    for a in axes:
        a.set(xlabel="step", yscale="log")
        a.legend(fontsize=8)
    _save(figure, path)


def plot_truncation(found: dict, path: pathlib.Path) -> None:
    """Precision against recall of each model, a point for each truncation."""
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 3.8), layout="constrained")
    for name in TRUNCATED:
        rows = [row for row in found["rows"] if row["name"] == name]
        recall, precision = ([row[k]["mean"] for row in rows] for k in ("recall", "precision"))
        axes.plot(recall, precision, "o-", label=name)
        for x, y, row in zip(recall, precision, rows, strict=True):
            said = "all" if row["truncation"] is None else f"{row['truncation']:g}"
            axes.annotate(said, (x, y), (5, 4), textcoords="offset points", fontsize=8)
    axes.set(xlabel="recall", ylabel="precision", title="each latent number within a bound")
    axes.legend(fontsize=8)
    _save(figure, path)


def _save(figure, path: pathlib.Path) -> None:
    files.write_atomically(path, lambda f: figure.savefig(f, format="png", dpi=100))


def draw_latents(found: dict, path: pathlib.Path) -> None:
    """Traversals of the dimensions with the greatest KL, greatest first, and of the least one."""
    import numpy as np

    import zoo
    from zoo.drawing import pictures, views
    from zoo.math import latents as codes

    model = zoo.load("vae")
    order = np.argsort(found["kl_nats"])[::-1]
    shown = [*order[: TRAVERSED - 1], order[-1]]
    start = np.zeros((1, model.latent_dim), np.float32)
    values = np.linspace(-views.TRAVERSAL, views.TRAVERSAL, 15)
    rows = [codes.images_of(model, codes.traverse(start, int(j), values))[0] for j in shown]
    pictures.save_png(path, pictures.grid(np.stack(rows)), zoom=2)


def draw_sharpness(dataset, path: pathlib.Path) -> None:
    """A row of test images, and a row of samples of each pretrained model that makes images."""
    import numpy as np

    import zoo
    from zoo.drawing import pictures

    rows = [dataset.test.images[:16] / np.float32(255)]
    rows += [np.asarray(zoo.load(name).sample(16, seed=0)) for name in SHARPNESS]
    pictures.save_png(path, pictures.grid(np.stack(rows)), zoom=2)


def main(argv: list[str]) -> None:
    """Measures and draws."""
    out = cli.output_folder(_OUT.value)
    if _MNIST_DIR.value:
        out.mkdir(parents=True, exist_ok=True)
        files.write_json(out / "mnist.json", bounds_of_mnist())
        print(f"numbers: {out / 'mnist.json'}")
        return
    matplotlib = extras.library("matplotlib", "plots", "drawing the pictures")
    matplotlib.use("Agg")
    from zoo import data
    from zoo.hub import pretrained
    from zoo.training import provenance

    dataset = data.load()
    if _TRAINING.value:
        out.mkdir(parents=True, exist_ok=True)
        record = {
            "dataset_digest": dataset.digest,
            "seed": _SEED.value,
            "versions": provenance.versions(),
            "beta": beta_sweep(dataset),
            "gradients": gradients(dataset),
        }
    else:
        record = files.read_json(out / "claims.json")
    names = sorted({*SHARPNESS, *BOUNDS, *TRUNCATED, *dict(COMPOSED), JUDGE, WEIGHER})
    record["weights"] = {name: pretrained.entry(name)["sha256"] for name in names}
    record["bounds"] = bounds(BOUNDS, dataset.test.first(BOUND_IMAGES), BOUND_SAMPLES)
    record["truncation"] = truncation(dataset)
    record["composed"] = composed(dataset.test.images)
    record["latents"] = latents(dataset)
    files.write_json(out / "claims.json", record)
    plot_beta(record["beta"], out / "beta.png")
    plot_gradients(record["gradients"], out / "gradients.png")
    plot_truncation(record["truncation"], out / "truncation.png")
    draw_latents(record["latents"], out / "latents.png")
    draw_sharpness(dataset, out / "sharpness.png")
    print(f"numbers and pictures: {out}")


if __name__ == "__main__":
    cli.run(main)

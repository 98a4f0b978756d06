"""RESULTS.md and the cards say what the records say."""

import json
import pathlib
import re
import shutil

import pytest
import results
import verdicts

from zoo.errors import InputError
from zoo.hub import pretrained

ROOT = pathlib.Path(__file__).resolve().parents[2]
RECORD, CLAIMS = "zoo/pretrained/cgan/record.json", "docs/claims/claims.json"
SEEDS, RECIPES = "docs/claims/seeds.json", "docs/claims/recipes.json"


@pytest.fixture
def root(tmp_path):
    """All that the pages are made of, to be changed."""
    for folder in ("zoo/pretrained", "docs/claims"):
        (tmp_path / folder).mkdir(parents=True)
        for path in (ROOT / folder).rglob("*.json"):
            copy = tmp_path / path.relative_to(ROOT)
            copy.parent.mkdir(exist_ok=True)
            shutil.copy(path, copy)
    return tmp_path


def manifest_of(root):
    return pretrained.manifest(root / "zoo/pretrained")


def change(path, do):
    content = json.loads(path.read_text())
    do(content)
    path.write_text(json.dumps(content))


def test_every_page_says_what_the_records_say():
    for path, text in results.pages(ROOT).items():
        assert path.read_text(encoding="utf-8") == text, (
            f"{path}: run python scripts/studies/report.py"
        )


def test_every_picture_of_the_pages_is_there():
    for path, text in results.pages(ROOT).items():
        shown = [part.split(")")[0] for part in text.split("](")[1:]]
        shown += [part.split('"')[0] for part in text.split('src="')[1:]]
        assert shown or path.parent.name.startswith("classifier")
        for target in shown:
            there = path.parent / target.partition("#")[0]
            assert "https:" in target or there.exists(), f"{path}: {target}"


def claims_page(root, claim=""):
    """docs/claims.md, or what it says under a claim, by the last words of its heading."""
    text = results.pages(root)[root / "docs/claims.md"]
    return text.split(f"{claim}”\n")[1].split("\n## ")[0] if claim else text


def test_pages_follow_their_records(root):
    before = results.pages(root)

    def worse(record):
        record["figures"]["samples"]["model"]["fid"]["mean"] += 1

    change(root / RECORD, worse)
    after = results.pages(root)
    changed = {p.relative_to(root).as_posix() for p in before if before[p] != after[p]}
    pages = {"RESULTS.md", "docs/claims.md", "docs/results.md"}
    assert changed == {*pages, "zoo/pretrained/cgan/README.md"}


def test_verdicts_follow_the_numbers(root):
    text = claims_page(root)

    def steady(claims):
        for row in claims["beta"]["rows"]:
            row["kl_nats"]["mean"] = -row["reconstruction_nats"]["mean"]

    change(root / CLAIMS, steady)
    other = claims_page(root)
    assert "It holds in 0 of 6 steps" in other and "It holds in 0 of 6 steps" not in text

    for constant in ("precision", "recall"):
        whole = json.loads((root / CLAIMS).read_text())

        def of_no_effect(claims, constant=constant):
            for row in claims["truncation"]["rows"]:
                row[constant]["mean"] = 0.5
                row["fid"]["mean"] = -(row["truncation"] or 0.0)

        change(root / CLAIMS, of_no_effect)
        other = claims_page(root)
        assert "It holds in 0 of 15 steps" in other and "It holds in 0 of 15 steps" not in text
        assert "without a bound for 0 of 3 models" in other
        (root / CLAIMS).write_text(json.dumps(whole))

    def blurrier(record):
        record["figures"]["samples"]["model"]["sharpness"]["mean"] = 0.0

    change(root / RECORD, blurrier)
    refuted = "**It does not hold here.**"
    assert claims_page(root).count(refuted) == other.count(refuted) + 1


def test_samples_of_all_latents_are_those_of_the_records(root):
    rows = json.loads((root / CLAIMS).read_text())["truncation"]["rows"]
    whole = [row for row in rows if row["truncation"] is None]
    assert len(whole) == 3
    for row in whole:
        record = json.loads((root / f"zoo/pretrained/{row['name']}/record.json").read_text())
        for key in row.keys() - {"name", "truncation"}:
            expected = record["figures"]["samples"]["model"][key]["mean"]
            # the machines that measured them round in other ways
            assert row[key]["mean"] == pytest.approx(expected, rel=0.01), (row["name"], key)


def test_who_chose_the_weights_is_known_by_its_digest(root):
    def said():
        return results.pages(root)[root / "RESULTS.md"].split("## Fashion-MNIST: likelihood")[0]

    def judged_by(name):
        sha256 = manifest_of(root)[name]["sha256"]
        return lambda settings: settings.update(classifier_sha256=sha256)

    chosen = r"The weights of [^.]*\bsngan\b[^.]* are those of the epoch"
    assert re.search(chosen, said())
    change(root / "zoo/pretrained/sngan/config.json", judged_by("classifier"))
    assert re.search(chosen, said())
    change(root / "zoo/pretrained/sngan/config.json", judged_by("classifier_seed1"))
    assert not re.search(chosen, said())


def test_the_order_of_gans_follows_their_fid(root):
    def said(**fids):
        for name, fid in fids.items():
            change(
                root / f"zoo/pretrained/{name}/record.json",
                lambda r, fid=fid: r["figures"]["samples"]["model"]["fid"].update(mean=fid),
            )
        claim = claims_page(root, "draw better than VAEs")
        return [words.split("**")[0] for words in claim.split("**It ")[1:]]

    (root / RECIPES).unlink(missing_ok=True)
    gans = {"sngan": 1.0, "projection_cgan": 2.0, "dcgan": 5.0, "gan": 9.0}
    gans |= dict.fromkeys(("wgan_gp", "infogan", "bigan", "acgan", "cgan"), 10.0)
    yes, no = "holds here.", "does not hold here."
    of_mnist = {f"{name}_mnist": fid for name, fid in gans.items()}
    assert said(**gans, **of_mnist) == [yes, yes, yes]
    assert said(dcgan=8.9) == [no, yes, yes]  # by less than its error
    assert said(dcgan=5.0, cgan=1000.0) == [yes, no, yes]
    assert said(sngan=1000.0) == [no, no, yes]
    assert said(dcgan_mnist=9.5) == [no, no, no]


def test_a_figure_is_greater_by_more_than_its_error_only():
    def figure(mean, error=None):
        return {"mean": mean, "standard_error": error}

    assert verdicts.exceeds(figure(2.0), figure(1.0)) and not verdicts.exceeds(1.0, figure(1.0))
    assert verdicts.exceeds(figure(6.0, 3.0), figure(0.9, 4.0))  # the error is 5
    assert not verdicts.exceeds(figure(5.0, 3.0), figure(0.0, 4.0))
    assert not verdicts.exceeds(figure(6.0, 3.0), figure(0.0, 4.0), errors=2)
    assert not verdicts.exceeds(figure(0.0, 0.1), figure(5.0, 0.1))


@pytest.mark.parametrize(
    ("mean", "said"),
    [
        (229.0, "| 229.0 ± 3.0 | 225.0 ± 2.0 | 4.0 ± 3.6 | reached |"),
        (228.0, "| 228.0 ± 3.0 | 225.0 ± 2.0 | 3.0 ± 3.6 | within the error |"),
        (221.0, "| 221.0 ± 3.0 | 225.0 ± 2.0 | -4.0 ± 3.6 | not reached |"),
    ],
)
def test_a_published_figure_is_reached_by_more_than_the_error_only(root, mean, said):
    own = {"mean": mean, "standard_error": 3.0}
    change(
        root / "zoo/pretrained/gan_mnist/record.json",
        lambda r: r["figures"]["samples"]["model"].update(parzen_nats=own),
    )
    (root / RECIPES).unlink(missing_ok=True)
    [line] = [
        line
        for line in results.pages(root)[root / "docs/literature.md"].splitlines()
        if line.startswith("| [gan_mnist]")
    ]
    assert said in line and "which gives" not in line


def test_recipes_are_chosen_by_validation_images_and_the_default_stands_beside(root):
    manifest = manifest_of(root)
    fid = [{"fid": {"mean": m, "standard_error": 1.0}} for m in (50.0, 20.0, 19.5, 21.0)]
    default = {"command": "python scripts/train.py --model=gan", "weights_sha256": "0"}
    default |= {"default": True, "published": False, "validation": fid[0], "test": fid[2]}
    chosen = {"command": manifest["gan"]["command"], "weights_sha256": manifest["gan"]["sha256"]}
    chosen |= {"default": False, "published": True, "validation": fid[1], "test": fid[3]}
    record = {"gan": {"figure": "fid", "greater": False, "candidates": [default, chosen]}}
    (root / RECIPES).write_text(json.dumps(record))
    text = results.pages(root)[root / "RESULTS.md"]
    assert "| `--model=gan` (default) | 50.0 ± 1.0 | 19.5 ± 1.0 |" in text
    assert "--epochs=50` (**published**) | 20.0 ± 1.0 | 21.0 ± 1.0 |" in text
    claim = claims_page(root, "draw better than VAEs")
    assert "FID of `gan` 19.5 ± 1.0): the order of the GANs, **It holds here.** GANs" in claim
    change(root / RECIPES, lambda r: r["gan"]["candidates"][0]["test"]["fid"].update(mean=48.0))
    claim = claims_page(root, "draw better than VAEs")
    assert "GANs before VAEs, **It does not hold here.**" in claim
    row = {"part": "samples", "key": "fid", "mean": 1.0, "standard_error": None, "digits": 1}
    row |= {"of": "FID", "source": "a paper", "differs": "the recipe is not the default"}
    change(root / "docs/claims/published.json", lambda r: r["rows"].update(gan=row))
    text = results.pages(root)[root / "docs/literature.md"]
    assert "| a paper | the recipe is not the default, which gives 48.0 ± 1.0 |" in text
    # the test images choose nothing, and the validation images all
    change(root / RECIPES, lambda r: r["gan"]["candidates"][0].update(validation=fid[2]))
    with pytest.raises(InputError, match="gan is not what validation images chose"):
        results.pages(root)


def test_the_use_of_latents_follows_their_probes(root):
    path = root / "zoo/pretrained/vae/record.json"
    part = json.loads(path.read_text())["figures"]["representation"]
    pixels = part["probe_of_pixels"]

    def claim(mean):
        change(
            path,
            lambda r: r["figures"]["representation"]["probe_of_latent_means"].update(mean=mean),
        )
        return claims_page(root, "is a useful feature for other tasks")

    surely = pixels["mean"] + 4 * pixels["standard_error"]
    assert claim(surely).count("`vae`") == 2
    hardly = pixels["mean"] + pixels["standard_error"]
    assert claim(hardly).count("`vae`") == 1  # more than principal components still
    assert claim(0.1).count("`vae`") == 0


def weak_gradients_that_stay(claims):
    for run in claims["gradients"]["waiting"]:
        run["saturating"][-1] = run["saturating"][0]


def strong_gradients_that_fall(claims):
    for run in claims["gradients"]["waiting"]:
        run["non_saturating"][-1] = run["non_saturating"][0] / 20


def of_no_use(name):
    def do(claims):
        [row] = [row for row in claims["bounds"]["rows"] if row["name"] == name]
        row["above_vae_nats"].update(mean=0.5, standard_error=0.3)

    return do


@pytest.mark.parametrize(
    ("claim", "path", "do"),
    [
        ("loss starves", CLAIMS, weak_gradients_that_stay),
        ("loss starves", CLAIMS, strong_gradients_that_fall),
        ("Gaussian is too little", CLAIMS, of_no_use("flow_vae")),
        ("Gaussian is too little", CLAIMS, of_no_use("gmm_vae")),
        ("dimension does something", CLAIMS, lambda c: c["latents"]["kl_nats"].append(0.09)),
        (
            "better than a VAE's",
            "zoo/pretrained/pixelcnn/record.json",
            lambda r: r["figures"]["likelihood"]["bits_per_dim"].update(mean=3.5),
        ),
        (
            "better than a VAE's",
            "zoo/pretrained/gmm_vae/record.json",
            lambda r: r["figures"]["likelihood"]["iwae_bound_bits_per_dim"].update(mean=2.8),
        ),
    ],
)
def test_a_claim_falls_with_its_numbers(root, claim, path, do):
    def verdict():
        return claims_page(root, claim).split("**It ")[1].split("**")[0]

    assert verdict() == "holds here."
    change(root / path, do)
    assert verdict() == "does not hold here."


def test_a_card_tells_classes_apart(root):
    accuracies = [{"mean": 0.5 + k / 100, "standard_error": 0.01} for k in range(9)]
    errors = [k / 100 for k in range(10)]
    for name, part, changed in (
        ("bayes_classifier", "classification", {"accuracy_per_class": [*accuracies, None]}),
        ("bayes_conditional", "likelihood", {"p_y_error_nats_per_class": errors}),
    ):
        path = root / f"zoo/pretrained/{name}/record.json"
        change(path, lambda r, part=part, changed=changed: r["figures"][part].update(changed))
    pages = results.pages(root)
    text = pages[root / "zoo/pretrained/bayes_classifier/README.md"]
    assert "| class | accuracy |\n" in text and "| Trouser | 0.5100 ± 0.0100 |" in text
    assert "| Ankle boot |  |" in text
    text = pages[root / "zoo/pretrained/bayes_conditional/README.md"]
    assert (
        "| class | error of the normalizer, nats | fidelity |" in text
        and "| Trouser | 0.010 | 0." in text
    )


def test_what_is_composed_is_set_beside_what_was_trained(root):
    path = root / CLAIMS
    share = {"mean": 0.85, "standard_error": 0.01}
    rows = [
        {
            "p_x": "vae",
            "method": "sir",
            "class_fidelity": share,
            "effective_sample_size": [99.6, 30.2],
        },
        {
            "p_x": "vae",
            "method": "mcmc",
            "class_fidelity": share,
            "acceptance": 0.7,
            "r_hat": [1.02, 1.31],
        },
    ]
    real = {"class_fidelity": {**share, "mean": 0.91}, "effective_sample_size": [900.2, 700.4]}
    found = {"num_images": 1000, "rows": rows, "real": real}
    change(path, lambda r: r.update(composed=found))
    text = claims_page(root, "built from other components")
    assert "| real images | sir | 0.910 ± 0.010 | 700 |  |  |" in text
    assert "| `vae` | sir | 0.850 ± 0.010 | 30 |  |  |" in text
    assert "| `vae` | mcmc | 0.850 ± 0.010 |  | 0.70 | 1.31 |" in text
    # cvae's 0.480 is below it, and cgan's 0.902 is not
    assert text.index("**It holds here.**") < text.index("**It does not hold here.**")


def test_bounds_of_mnist_have_a_table_and_a_verdict_of_their_own(root):
    path = root / "docs/claims/mnist.json"
    path.unlink(missing_ok=True)
    assert "MNIST in black and white" not in claims_page(root)
    manifest = manifest_of(root)
    names = ("vae_mnist", "flow_vae_mnist")
    nats = {"mean": -86.0, "standard_error": 0.2}
    rows = [
        {"name": name, "bound_nats": nats, "above_vae_nats": {"mean": 0.5, "standard_error": error}}
        for name, error in zip(names, (0.0, 0.2), strict=True)
    ]
    record = {"num_images": 2000, "num_samples": 2000, "rows": rows}
    record["weights"] = {name: manifest[name]["sha256"] for name in names}
    path.write_text(json.dumps(record))
    text = claims_page(root).split("MNIST in black and white")[1]
    assert "with 2,000 samples (`claims.py --mnist_dir=DIR`). **It holds here.**" in text
    assert "| flow_vae_mnist | 487,212 | 440,000 | -86.0 ± 0.2 | 0.50 ± 0.20 |" in text
    change(path, lambda r: rows_of(r)["flow_vae_mnist"]["above_vae_nats"].update(mean=0.3))
    text = claims_page(root).split("MNIST in black and white")[1]
    verdict = "**It does not hold here.** Not better: `flow_vae_mnist`."
    assert f"(`claims.py --mnist_dir=DIR`). {verdict}" in text
    change(path, lambda r: r["weights"].update(vae_mnist="0"))
    with pytest.raises(InputError, match="other weights of vae_mnist.*--mnist_dir"):
        results.pages(root)


def test_a_posterior_of_components_that_coincide_gains_nothing_itself(root):
    manifest = manifest_of(root)
    plain, mixture = "vae_mnist", "gmm_vae_mnist"
    nats = {"bound_nats": {"mean": -86.0, "standard_error": 0.2}}
    nats["above_vae_nats"] = {"mean": 0.5, "standard_error": 0.1}
    told = {"num_components": 2, "component_nats": {"mean": -1e-6, "standard_error": 0.0}}
    record = {"num_images": 2000, "num_samples": 2000}
    record["rows"] = [{"name": plain, **nats}, {"name": mixture, **nats, **told}]
    record["weights"] = {name: manifest[name]["sha256"] for name in (plain, mixture)}
    path = root / "docs/claims/mnist.json"
    path.write_text(json.dumps(record))

    def said():
        return claims_page(root).split("MNIST in black and white")[1]

    assert f" 0.00 of 0.69 nats in `{mixture}`: what `{mixture}` gains is the prior's" in said()
    change(path, lambda r: rows_of(r)[mixture]["component_nats"].update(mean=0.4))
    text = said()
    assert f"0.40 of 0.69 nats in `{mixture}`." in text and "the prior's doing" not in text


def rows_of(record):
    return {row["name"]: row for row in record["rows"]}


def test_runs_of_several_seeds(root):
    good = {"val_fid": 20.0, "val_distinct": 1.0, "val_absent_classes": 0.0, "floor_fid": 3.5}
    runs = {
        "dcgan": [good, {**good, "val_fid": 22.0}],
        "sngan": [good, {**good, "val_absent_classes": 2.0}],
        "wgan_gp": [good, {"diverged": True}],
    }
    judge = manifest_of(root)["classifier"]["sha256"]
    machine = {"cpu": "one", "cores": 2}
    record = {"epochs": 2, "command": "how", "classifier": judge, "runs": runs, "machine": machine}
    (root / SEEDS).unlink(missing_ok=True)
    assert "fragile" not in claims_page(root)
    (root / SEEDS).write_text(json.dumps(record))
    text = claims_page(root)
    assert "**All runs of 1 of 3 models end without a collapse**" in text
    assert "(floor 3.50;" in text
    assert "| dcgan | 20.0, 22.0 | 21.0 | 1.4 | 1.000 | 0 |  |" in text
    assert "| wgan_gp | 20.0, diverged | 20.0 |  | 1.000 | 0 |  |" in text
    change(root / SEEDS, lambda r: r.update(runs={"dcgan": [{"diverged": True}]}))
    assert "| dcgan | diverged |" in claims_page(root)
    change(root / SEEDS, lambda r: r.update(classifier="0"))
    with pytest.raises(InputError, match="seeds.json is of another classifier"):
        results.pages(root)


def test_runs_on_points(root):
    for name in ("ring", "grid"):
        (root / f"docs/claims/{name}.json").unlink(missing_ok=True)
    assert "drop modes" not in claims_page(root)
    good = {"modes_covered": 8.0, "high_quality": 0.812, "training_seconds": 31.4}
    runs = {"gan": [good, {**good, "modes_covered": 3.0}], "sngan": [good, good]}
    runs["wgan_gp"] = [good, {"diverged": True}]
    machine = {"cpu": "one", "cores": 2}
    record = {"command": "how", "classifier": None, "runs": runs, "machine": machine}
    (root / "docs/claims/ring.json").write_text(json.dumps(record))
    text = claims_page(root)
    assert "By `how` on 2 cores of one. The claim: in some run a mode is left out. **It" in text
    assert "for 2 of 3 models on the ring.** All modes in every run: `sngan`.\n" in text
    assert "| gan | 8, 3 | 0.81, 0.81 | 31, 31 |" in text
    assert "| wgan_gp | 8, diverged | 0.81, diverged | 31, diverged |" in text
    assert "| noise | 7.9 | 0.015 |  |" in text
    assert "claims/ring.png" in text and "claims/grid.png" not in text
    poor = {model: [{**run, "high_quality": 0.02} for run in runs] for model, runs in runs.items()}
    (root / "docs/claims/ring.json").write_text(json.dumps({**record, "runs": poor}))
    assert "**It is not known on the ring**: samples of no model" in claims_page(root)


def figure(mean, error=0.1):
    return {"mean": mean, "standard_error": error}


@pytest.fixture
def drawn(root):
    """How samples depend on how they are drawn."""

    def row(name, sampler, calls, fid):
        figures = {"fid": figure(fid), "recall": figure(0.7, 0.01)}
        return {"name": name, "sampler": sampler, "num_steps": calls, "calls": calls, **figures}

    def guided(guidance, seen, recall):
        figures = {"class_fidelity": figure(seen, 0.01), "recall": figure(recall, 0.01)}
        return {"guidance": guidance, "calls": 46, "fid": figure(2.0), **figures}

    def of_prior(name, fid):
        return {"name": name, "fid_of_prior": figure(fid), "fid_of_posteriors": figure(20.0)}

    record = {
        "num_images": 2000,
        "weights": {"vae": manifest_of(root)["vae"]["sha256"]},
        "calls": [
            row("flow_matching", "euler", 4, 9.0),
            row("flow_matching", "euler", 8, 5.0),
            row("flow_matching", "euler", 16, 3.0),
            row("diffusion", "ddim", 4, 12.0),
            row("diffusion", "ddim", 8, 5.1),
            row("diffusion", "ddim", 16, 9.0),
        ],
        "guided": "flow_matching",
        "guidance": [guided(1.0, 0.8, 0.7), guided(1.5, 0.9, 0.6), guided(2.0, 0.95, 0.6)],
        "holes": [of_prior("vae", 60.0), of_prior("gmm_vae", 30.0)],
    }
    path = root / "docs/claims/drawing.json"
    path.write_text(json.dumps(record))
    return path


def test_verdicts_on_how_samples_are_drawn(root, drawn):
    def said(claim):
        return claims_page(root, claim)

    # by 8 calls within the error, and 16 are not few
    assert "**It holds for 1 of 2 numbers of calls.**" in said("fewer steps")
    assert "| flow_matching | euler | 8 | 8 | 5.00 ± 0.10 |" in said("fewer steps")
    assert "**It holds in 1 of 2 steps.**" in said("fidelity with variety")
    assert "| 1.5 | 46 | 2.00 ± 0.10 |" in said("fidelity with variety")
    assert "**It holds here.**" in said("holes of the VAE")
    assert "| vae | 60.0 ± 0.1 | 20.0 ± 0.1 | 40.0 ± 0.1 |" in said("holes of the VAE")
    change(
        drawn, lambda r: rows_of({"rows": r["holes"]})["gmm_vae"].update(fid_of_prior=figure(60))
    )
    assert "**It does not hold here.**" in said("holes of the VAE")
    change(
        drawn, lambda r: r.update(calls=[row for row in r["calls"] if row["name"] != "diffusion"])
    )
    assert "numbers of calls.**" not in said("fewer steps")
    change(drawn, lambda r: r["weights"].update(vae="0"))
    with pytest.raises(InputError, match="other weights of vae: run scripts/studies/drawing.py"):
        results.pages(root)


def test_one_call_is_set_beside_many(root):
    record = (root / "zoo/pretrained/flow_matching/record.json").read_text()
    records = {name: json.loads(record) for name in ("flow_matching", "mean_flow")}
    for fid, holds in ((8.0, True), (0.1, False)):
        records["mean_flow"]["figures"]["samples"]["model"]["fid"] = figure(fid)
        found = verdicts._one_call(records)
        assert found["holds"] is holds
        assert [row[0] for row in found["rows"]] == ["mean_flow", "flow_matching"]
    del records["mean_flow"]
    assert verdicts._one_call(records) is None


def test_variety_is_by_recall_and_by_coverage(root):
    text = claims_page(root)
    assert "GANs drop”" in text
    path = root / "zoo/pretrained/flow_matching/record.json"

    def verdicts_of():
        text = claims_page(root, "GANs drop")
        return [words.split("**")[0] for words in text.split("**It ")[1:]]

    for recall, coverage in ((0.0, 1.0), (1.0, 0.0)):
        for key, value in (("recall", recall), ("coverage", coverage)):
            change(
                path,
                lambda r, key=key, value=value: r["figures"]["samples"]["model"].update(
                    {key: figure(value, 0.01)}
                ),
            )
        said = {1.0: "holds here by", 0.0: "does not hold here by"}
        assert verdicts_of() == [f"{said[recall]} recall.", f"{said[coverage]} coverage."]


def test_what_a_step_costs(root):
    path = root / "docs/claims/benchmark.json"
    path.unlink(missing_ok=True)
    assert "a step costs" not in results.pages(root)[root / "RESULTS.md"]
    times = {"median_s": 0.01, "min_s": 0.009, "max_s": 0.02}
    step = {"in_fit_with_callbacks": {**times, "median_s": 0.0105}, "bare_tf_function": times}
    step["bare_xla"] = {"median_s": 0.005, "min_s": 0.004, "max_s": 0.006}
    record = {
        "command": "how",
        "machine": {"cpu": "one", "cores": 2},
        "matmul_peak_gflops": 99.6,
        "steps": {"cgan": {**step, "fit_over_bare_of_medians": 1.05}},
        "drawing": {
            "keeping_what_is_known": {"median_s": 2.0},
            "computing_all_anew": {"median_s": 100.0},
            "times_faster": 50.0,
        },
    }
    path.write_text(json.dumps(record))
    text = results.pages(root)[root / "RESULTS.md"]
    assert "By `how` on 2 cores of one (100 GFLOP/s" in text
    assert "| cgan | 10.5 (9.0 to 20.0) | 10.0 (9.0 to 20.0) | 1.05 | 5.0 (4.0 to 6.0) |" in text
    assert "in 2.0 seconds" in text and "**50 times as long**" in text


@pytest.mark.parametrize(
    ("path", "do", "message"),
    [
        (RECORD, lambda r: r.update(weights_sha256="0"), "is of other weights: evaluate cgan"),
        (RECORD, lambda r: r["config"].update(width=7), "is of another width: evaluate cgan"),
        (RECORD, lambda r: r["features"].update(sha256="0"), "is of another classifier"),
        (
            "zoo/pretrained/vae/record.json",
            lambda r: r["figures"]["samples"]["model"].pop("sharpness"),
            "lacks 'sharpness', which the pages show",
        ),
        (RECORD, lambda r: r.pop("figures"), "it lacks figures"),
        (CLAIMS, lambda c: c["weights"].update(vae="0"), "is of other weights of vae"),
        ("zoo/pretrained/notes.json", lambda n: n.pop("gan"), "says nothing of gan"),
        (
            RECORD,
            lambda r: r["protocols"]["fid"].update(num_images=5000),
            r"cgan was not measured as \w+ \(fid: num_images 10000 or 5000\)",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(root, path, do, message):
    change(root / path, do)
    with pytest.raises(InputError, match=message):
        results.pages(root)


def test_a_missing_record_is_one_line(root):
    (root / RECORD).unlink()
    with pytest.raises(InputError, match="cgan/record.json cannot be read"):
        results.pages(root)

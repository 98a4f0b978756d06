"""The scripts on a trained model, from end to end, and its SavedModel by TensorFlow alone."""

import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from written import events, scalars

import zoo
from zoo.evaluation import distances, features, records, tables
from zoo.hub import export, pretrained
from zoo.models.bayes_conditional import BayesConditional, Config
from zoo.training import inputs

pytestmark = pytest.mark.xdist_group("tools")  # what one fixture trained, for all

TINY = ("--batch_size=64", "--epochs=1")
MODELS = {
    "vae": ("--network=mlp", "--hidden=16", "--latent_dim=3"),
    "cgan": ("--network=mlp", "--hidden=16", "--latent_dim=3"),
    "classifier": ("--width=4",),
}


@pytest.fixture(scope="module")
def workdirs(start, data_dir, tmp_path_factory):
    """A briefly trained model of each kind."""
    root = tmp_path_factory.mktemp("runs")
    data = ("--dataset=fashion_mnist", f"--data_dir={data_dir}")
    runs = [
        start("train", f"--model={name}", *flags, *TINY, *data, f"--workdir={root / name}")
        for name, flags in MODELS.items()
    ]
    for process in runs:  # side by side
        _, err = process.communicate(timeout=240)
        assert process.returncode == 0, err
    return root


ALONE = """
import sys, numpy as np, tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
f = model.signatures["serving_default"]
x = f(labels=tf.constant([7, 7, 3]), seed=tf.constant(5))["images"].numpy()
assert x.shape == (3, 28, 28, 1) and 0 <= x.min() and x.max() <= 1
np.save(sys.argv[2], x)
try:
    f(labels=tf.constant([10]), seed=tf.constant(5))
except tf.errors.InvalidArgumentError as e:
    assert "labels must be in 0..9" in str(e)
else:
    raise AssertionError("a label of 10 was taken")
assert not [m for m in sys.modules if m.startswith("zoo") or m == "tensorflow_probability"]
"""


def test_a_fresh_process_with_tensorflow_alone_gives_the_models_own_numbers(
    run_python, workdirs, tmp_path
):
    run_python(ALONE, workdirs / "cgan" / "saved_model", tmp_path / "x.npy", fresh=True)
    own = zoo.load(workdirs / "cgan").sample(3, [7, 7, 3], seed=5)
    np.testing.assert_allclose(np.load(tmp_path / "x.npy"), own, atol=1e-6)


OTHERS_ALONE = """
import sys, numpy as np, tensorflow as tf
seed = tf.constant(5)
pixels, chains = map(tf.saved_model.load, sys.argv[1:3])
drawn = pixels.signatures["sample"](num_samples=tf.constant(2), seed=seed)["images"]
walked = chains.signatures["sample"](labels=tf.constant([2, 0]), seed=seed)
assert not [m for m in sys.modules if m.startswith("zoo") or m == "tensorflow_probability"]
np.savez(sys.argv[3], drawn=drawn, **walked)
"""


@pytest.mark.weekly
def test_loops_and_chains_need_tensorflow_alone_too(run_python, tmp_path):
    image_shape = (8, 8, 1)
    small = {"network": "mlp", "hidden": (4,), "latent_dim": 2}
    parts = {
        "p_y_given_x": zoo.create("classifier", image_shape, width=2),
        "p_x": zoo.create("vae", image_shape, **small),
    }
    chains = Config(method="mcmc", num_candidates=20, num_burnin=20, num_steps=8)
    models = [
        zoo.create("pixelcnn", image_shape, width=4, num_layers=2, head=4),
        BayesConditional(chains, **parts),
    ]
    for name, model in zip(("pixels", "chains"), models, strict=True):
        export.saved_model(model, tmp_path / name)
    out = tmp_path / "x.npz"
    run_python(OTHERS_ALONE, tmp_path / "pixels", tmp_path / "chains", out, fresh=True)
    found = np.load(out)
    np.testing.assert_allclose(found["drawn"], models[0].sample(2, seed=5), atol=1e-6)
    own = models[1].draw(2, [2, 0], seed=5)
    np.testing.assert_allclose(found["images"], own.images, atol=1e-4)
    for name, value in own.diagnostics.items():  # R-hat is NaN of classes that were not asked for
        np.testing.assert_allclose(found[name], value, rtol=1e-3, err_msg=name)
    assert np.isfinite(found["r_hat"]).sum() == 2


@pytest.mark.slow
def test_saved_model_cli_lists_the_signatures(workdirs):
    cli = pathlib.Path(sys.executable).with_name("saved_model_cli")
    done = subprocess.run(
        [cli, "show", "--dir", workdirs / "vae" / "saved_model", "--all"],
        capture_output=True,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    for name in ("sample", "encode", "decode", "reconstruct", "log_prob", "serving_default"):
        assert f"signature_def['{name}']" in done.stdout
    for name in ("images", "latents", "num_samples", "seed"):
        assert f"inputs['{name}']" in done.stdout


def test_sample_writes_a_png(run, workdirs, tmp_path):
    out = tmp_path / "x.png"
    code, _, err = run("sample", f"--workdir={workdirs / 'cgan'}", "--num=4", f"--out={out}")
    assert code == 0, err
    assert Image.open(out).size == (16 * (2 * 29 - 1), 16 * (2 * 29 - 1))  # 900 pixels at least
    flags = (f"--workdir={workdirs / 'cgan'}", "--num=6", "--labels=3,Bag")
    code, printed, err = run("sample", *flags, f"--out={tmp_path / 'each'}/")
    assert code == 0, err
    names = [f"{i:06d}_class_{(3, 8)[i % 2]}.png" for i in range(6)]
    assert sorted(p.name for p in (tmp_path / "each").iterdir()) == names
    images = np.stack([np.asarray(Image.open(tmp_path / "each" / name)) for name in names])
    code, _, err = run("sample", *flags, f"--out={tmp_path / 'x.npz'}")
    found = np.load(tmp_path / "x.npz")
    assert code == 0 and found["labels"].tolist() == [3, 8] * 3
    np.testing.assert_array_equal(found["arr_0"][..., 0], images)
    np.testing.assert_allclose(found["images"] * 255, found["arr_0"], atol=0.51)
    code, _, err = run("sample", *flags, f"--out={tmp_path / 'each'}/")
    assert code == 2 and "exists: name a new folder" in err


@pytest.mark.parametrize(
    ("flags", "drawn"),
    [
        pytest.param(
            ("--pretrained=pixelcnn", "--what=complete", "--rows=10"),
            lambda m, x: (m.complete(x, 10, seed=3), x),
            marks=pytest.mark.slow,
        ),
        (
            ("--pretrained=sngan", "--truncation=0.5"),
            lambda m, x: (m.sample(4, seed=3, truncation=0.5),),
        ),
    ],
)
def test_sample_draws_what_the_model_does_by_these_flags(
    run, flags, drawn, fashion_mnist, tmp_path
):
    out = tmp_path / "x.npz"
    code, said, err = run("sample", *flags, "--seed=3", "--num=4", f"--out={out}")
    assert code == 0, err
    assert f"4 images in {out}" in said
    images = fashion_mnist.test.images[:4] / np.float32(255)
    expected = drawn(zoo.load(flags[0].split("=")[1]), images)
    found = np.load(out)
    assert list(found) == [*["images", "beside"][: len(expected)], "arr_0"]
    for name, values in zip(("images", "beside"), expected, strict=False):
        np.testing.assert_allclose(found[name], values, atol=1e-6)


def test_sample_of_composed_parts(run, tmp_path):
    out = tmp_path / "x.npz"
    code, said, err = run(
        "sample", "--model=bayes_conditional", "--labels=7,3", "--num=4", f"--out={out}"
    )
    assert code == 0, err
    sizes = said.split("effective_sample_size: ")[1].splitlines()[0].split(", ")
    assert [size.split()[1] for size in sizes] == ["3", "7"]  # the classes that were asked for
    judged = np.argmax(zoo.load("classifier").classify(np.load(out)["images"]), -1)
    assert (judged == [7, 3, 7, 3]).sum() >= 2
    code, _, err = run(
        "sample", "--model=bayes_conditional", "--p_x=cvae", f"--out={tmp_path / 'y.png'}"
    )
    assert code == 2 and "is no p(x)" in err and "Traceback" not in err


@pytest.mark.weekly
def test_the_course_of_chains_goes_to_tensorboard(run, workdirs, tmp_path):
    logs = f"--logdir={tmp_path / 'logs'}"
    chains = ("--method=mcmc", "--p_x=vae", "--num_burnin=12", "--num_steps=8")
    flags = ("--model=bayes_conditional", "--labels=7,3", "--num=4", f"--out={tmp_path / 'x.png'}")
    code, out, err = run("sample", *flags, *chains, logs)
    assert code == 0, err
    shown = scalars(tmp_path / "logs")
    course = list(shown["chains/acceptance"].values())
    assert len(course) == 20
    assert f"{np.mean(course[12:]):.3g}" in out.split("acceptance: ")[1]
    assert "warning: chains of class 3, 7 have not mixed" in err  # in 8 steps none have
    assert {"chains/step_size", "chains/log_p_z_y_nats"} <= set(shown)
    code, _, err = run("sample", f"--workdir={workdirs / 'vae'}", f"--logdir={tmp_path / 'none'}")
    assert code == 2 and "--method=mcmc" in err and "Traceback" not in err
    assert not (tmp_path / "none").exists()


def test_bad_input_is_one_line_and_code_2(run, workdirs, tmp_path):
    out = tmp_path / "x.png"
    code, _, err = run("sample", f"--workdir={tmp_path}", f"--out={out}")
    assert code == 2 and "no workdir of train.py" in err and "Traceback" not in err
    assert not out.exists()
    code, _, err = run("sample", f"--workdir={workdirs / 'cgan'}", "--out=x.gif")
    assert code == 2 and "must end in .png or .npz" in err and "Traceback" not in err
    code, _, err = run("export", f"--workdir={workdirs / 'vae'}", f"--out={workdirs / 'vae'}")
    assert code == 2 and "exists already" in err and "Traceback" not in err
    vae = f"--workdir={workdirs / 'vae'}"
    for script, flags, said in (
        ("sample", ("--pretrained=",), "no pretrained model named ''"),
        ("sample", (vae, "--what=edit", "--edit=0:nan", f"--out={out}"), "finite numbers"),
        ("sample", (vae, "--what=film", "--out=x.mp4"), "must end in .gif"),
        ("sample", (vae, "--what=film", "--seed=1"), "--seed does not go with --what=film"),
        ("sample", ("--pretrained=vae", "--what=film"), "name its folder by --workdir"),
        ("evaluate", (vae, f"--out={tmp_path}"), "is a folder"),
        ("evaluate", (vae, "--features=inception", "--classifier=x"), "name one"),
        ("evaluate", ("--pretrained=classifier", "--parzen"), "classifier draws no samples"),
        ("evaluate", ("--compare=a.json,a.json",), "each named once"),
        ("studies/publish", (vae, "--name=a/b"), "make a name"),
    ):
        code, _, err = run(script, *flags, cwd=tmp_path)
        assert code == 2 and said in err and "Traceback" not in err, (flags, err)
    assert not out.exists()


def test_export(run, workdirs, tmp_path):
    code, _, err = run("export", f"--workdir={workdirs / 'vae'}", f"--out={tmp_path / 'model'}")
    assert code == 0, err
    assert (tmp_path / "model" / "saved_model.pb").exists()

    limits = [(resource.RLIMIT_FSIZE, 5000)]  # of a file's bytes: as on a full disk
    flags = (f"--workdir={workdirs / 'vae'}", f"--out={tmp_path / 'other'}")
    code, _, err = run("export", *flags, limits=limits)
    assert code == 1 and err.endswith("error: File too large\n") and "Traceback" not in err, err
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_evaluate_writes_a_record_that_names_its_protocol(run, workdirs):
    code, out, err = run(
        "evaluate", f"--workdir={workdirs / 'vae'}", "--num_samples=20", "--parzen"
    )
    assert code == 0, err
    record = json.loads((workdirs / "vae" / "evaluation.json").read_text())
    assert record["split"] == "test" and record["figures"]["likelihood"]["num_images"] == 100
    flags = f"--workdir={workdirs / 'vae'} --num_samples=20 --parzen"
    assert record["command"] == f"python scripts/evaluate.py {flags}"
    assert record["seconds"] > 0 and 0.1 < record["peak_memory_gb"] < 10
    assert {"seed", "dataset_digest", "versions", "binarization"} <= set(record)
    figures = record["figures"]["likelihood"]
    assert figures["iwae_bound_nats"]["mean"] > figures["elbo_nats"]["mean"]
    samples, left_out = record["figures"]["samples"], record["figures"]["left_out"]
    assert {"sharpness", "distinct", "parzen_nats"} <= set(samples["model"])  # no net is needed
    assert "no pretrained classifier knows these images" in left_out["fid"]
    assert f"class seen in image: {left_out['fid']}" in out.split("not measured: FID, KID, ")[1]
    probes = record["figures"]["representation"]
    assert probes["num_train"] == 576 and probes["num_dims"] == 3
    assert probes["probe_of_pixels"]["mean"] > 0.5

    other = json.loads(json.dumps(record))
    other["figures"]["likelihood"]["num_samples"] = 21
    path = workdirs / "other.json"
    path.write_text(json.dumps(other))
    both = f"{workdirs / 'vae' / 'evaluation.json'},{path}"
    code, out, err = run("evaluate", f"--compare={both}")
    assert code == 0 and "not compared: likelihood: num_samples 20 or 21" in out


def test_a_workdir_is_a_folder_and_a_pretrained_name_is_none(run, workdirs, tmp_path):
    # neither takes the other's place, whatever the folders are called
    (tmp_path / "cgan").symlink_to(workdirs / "vae")
    code, _, err = run("sample", "--workdir=classifier", cwd=tmp_path)
    assert code == 2 and "no workdir of train.py" in err
    # the vae in ./cgan would take no labels
    flags = ("--num=4", "--labels=dress,7", "--out=x.png")
    code, said, err = run("sample", "--pretrained=cgan", *flags, cwd=tmp_path)
    assert code == 0, err
    assert "labels: 3 = Dress, 7 = Sneaker\n" in said
    assert Image.open(tmp_path / "x.png").size[0] == 16 * (2 * 29 - 1)


# of chains, of hundreds of classes, of samplers in steps
NOT_OF_CGAN = {"acceptance", "classes_covered", "kl_to_uniform_nats", "network_calls"}


@pytest.mark.weekly
def test_evaluate_a_pretrained_model_by_the_pretrained_classifier(run, tmp_path):
    out = tmp_path / "record.json"
    code, printed, err = run(
        "evaluate", "--pretrained=cgan", "--num_images=600", "--parzen", f"--out={out}"
    )
    assert code == 0, err
    record = records.read_record(out)
    assert record["weights_sha256"] == pretrained.entry("cgan")["sha256"]
    judge = pretrained.entry("classifier")["sha256"]
    assert record["features"]["sha256"] == judge
    protocols = record["protocols"]
    assert protocols["fid"]["features"] == judge and protocols["precision"]["neighbors"] == 5
    assert all(of["num_images"] == 600 and of["seed"] == 0 for of in protocols.values())
    assert set(protocols) == {k for k in record["figures"]["samples"]["model"] if k in protocols}
    assert {"python", "tensorflow", "keras", "scikit-learn"} <= set(record["versions"])
    found = record["figures"]["samples"]
    assert found["num_images"] == 600
    for key in {key for key, _, _ in tables.FIGURES} - NOT_OF_CGAN:
        for side in ("model", "floor"):
            if (key, side) != ("samples_per_second", "floor"):
                value = found[side][key]
                assert np.isfinite(value["mean"]), (side, key)
                # of 600 samples only 100 are not the first ones
                if key not in ("samples_per_second", "distinct"):
                    assert 0 < value["standard_error"] < np.inf, (side, key)
        assert {"inception_score": "classifier_score"}.get(key, key) in printed
    floor, model = found["floor"], found["model"]
    assert floor["fid"]["mean"] < model["fid"]["mean"]
    assert floor["parzen_nats"]["mean"] > model["parzen_nats"]["mean"]
    assert model["class_fidelity"]["mean"] > 0.8 and model["cas"]["mean"] > 0.5


def test_a_run_that_nobody_could_repeat_is_not_published(run, workdirs, tmp_path):
    shutil.copytree(workdirs / "vae", tmp_path / "vae")
    settings = json.loads((tmp_path / "vae" / "config.json").read_text())
    settings["recipe"]["epochs"] = 2  # it goes on to two, and its summary is still of one
    (tmp_path / "vae" / "config.json").write_text(json.dumps(settings))
    before = pretrained.names()
    code, _, err = run("studies/publish", f"--workdir={tmp_path / 'vae'}", "--name=x")
    assert code == 2 and "summary.json is of 1 epochs, the run of 2: let it end" in err
    settings["recipe"]["epochs"] = 1
    for source in ("runs/other", "vae"):  # which others do not have, or with other weights
        settings["run"]["init_from"] = source
        settings["initial_weights_sha256"] = "of other weights"
        (tmp_path / "vae" / "config.json").write_text(json.dumps(settings))
        code, _, err = run("studies/publish", f"--workdir={tmp_path / 'vae'}", "--name=x")
        assert code == 2 and f"began with weights of {source} that are not pretrained" in err
    settings["run"] |= {"init_from": "", "classifier": "runs/judge"}
    (tmp_path / "vae" / "config.json").write_text(json.dumps(settings))
    code, _, err = run("studies/publish", f"--workdir={tmp_path / 'vae'}", "--name=x")
    assert code == 2 and "was judged by runs/judge, which is not pretrained" in err
    assert pretrained.names() == before and "x" not in before


def test_a_feature_net_of_other_data_is_refused(run, workdirs):
    judge = workdirs / "classifier"  # learnt from a slice of the data
    code, out, err = run("evaluate", "--pretrained=cgan", f"--classifier={judge}")
    assert code == 2 and "learnt from other images" in err and "Traceback" not in err


@pytest.mark.slow
def test_samples_are_watched_by_a_classifier_of_ones_own(run, workdirs, data_dir, tmp_path):
    judge, out = workdirs / "classifier", tmp_path / "cgan"
    data = ("--dataset=fashion_mnist", f"--data_dir={data_dir}", f"--workdir={out}")
    flags = ("train", "--model=cgan", *MODELS["cgan"], *TINY, *data)
    code, _, err = run(*flags, "--classifier=classifier")
    assert code == 2 and "learnt from other images" in err and "Traceback" not in err
    assert not out.exists()
    code, _, err = run(*flags, f"--classifier={judge}")
    assert code == 0, err
    sha256 = inputs.feature_net(judge).sha256
    assert json.loads((out / "config.json").read_text())["classifier_sha256"] == sha256
    validation, model = inputs.split_of(str(out), "validation"), zoo.load(out)
    labels = features.labels_as_often(model, validation.labels)
    made = np.concatenate(list(features.samples(model, len(labels), 0, labels)))
    made = np.round(made * 255).astype(np.uint8)
    (real, _), (of_made, p) = (
        inputs.feature_net(judge).see([x]) for x in (validation.images, made)
    )
    shown, train = (scalars(out / "logs" / run) for run in ("validation", "train"))
    [step] = shown["samples/fid"]
    assert shown["samples/fid"][step] == pytest.approx(distances.fid(real, of_made), rel=1e-3)
    hits = p.argmax(-1) == labels
    of_class = ("class_fidelity", "class_fidelity_of/Bag")
    for name, value in zip(of_class, (hits.mean(), hits[labels == 8].mean()), strict=True):
        assert shown[f"samples_checks/{name}"] == {step: pytest.approx(value)}
    assert {f"samples_floor/{name}" for name in ("fid", *of_class)} <= set(shown)
    logged = ("d_real", "d_fake", "d_grad_norm", "g_grad_norm")
    assert {"losses/value", *(f"statistics/{name}" for name in logged)} <= set(train)


def test_tensorboard_is_given_what_it_shows(workdirs):
    logs = workdirs / "vae" / "logs"
    assert {path.name for path in logs.iterdir()} == {"train", "validation"}
    train, validation = (events(logs / run) for run in ("train", "validation"))
    assert train.Tags()["graph"]
    assert {"losses/loss", "weights/encoder/dense/kernel"} <= set(train.summary_metadata)
    pictures = {f"samples/{name}" for name in ("images", "reconstructions", "traversals")}
    assert pictures <= set(validation.summary_metadata)
    written = set(scalars(logs / "validation"))
    assert {"statistics/elbo_nats", "statistics/kl_per_dim_nats/00"} <= written
    hparams = {f"_hparams_/{name}" for name in ("experiment", "session_start_info")}
    assert {*hparams, "_hparams_/session_end_info"} <= set(validation.summary_metadata)
    folder = logs / "train"
    codes = np.loadtxt(folder / "latents.tsv")
    names = (folder / "classes.tsv").read_text().splitlines()
    assert codes.shape == (64, 3) and len(names) == 64 and "Sneaker" in names
    assert Image.open(folder / "sprite.png").size == (8 * 28, 8 * 28)
    assert 'tensor_path: "latents.tsv"' in (folder / "projector_config.pbtxt").read_text()

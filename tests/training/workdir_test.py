"""A run is its config.json and one whole checkpoint: all else is made again, or refused in a line.

Nothing here trains but the fixture and the two tests whose names say so.
"""

import dataclasses
import json
import os
import pathlib
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiers import examples
from written import epochs

import zoo
from zoo import InputError, recipes, registry
from zoo.core import files
from zoo.core.arrays import digest
from zoo.data import idx, sources
from zoo.evaluation import features
from zoo.hub import checkpoints, loading, pretrained, references
from zoo.training import callbacks, defaults, fitting, inputs, loop, workdirs

CONFIG = {"hidden": (8,), "latent_dim": 2}
STEPS = 2


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A hundred training and twenty test images of 8x8, as an IDX quadruple."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for name, count in zip(sources.FILES, (100, 100, 20, 20), strict=True):
        shape = (count, 8, 8) if "images" in name else (count,)
        array = rng.integers(0, 256 if "images" in name else 10, shape, np.uint8)
        array[: min(count, 10)] = np.arange(10).reshape(-1, *[1] * (len(shape) - 1))
        idx.write(folder / f"{name}.gz", array)
    return folder


@pytest.fixture
def again(images, no_export):
    """Trains in a workdir, or goes on there: `again(workdir, epochs)`."""

    def again(workdir, epochs=2, config=CONFIG, **more):
        recipe = dataclasses.replace(registry.recipe("gan"), epochs=epochs, batch_size=16)
        given = {"data_dir": str(images), "workdir": str(workdir), "eval_every": 0}
        given |= {"steps_per_epoch": STEPS, **more}
        return loop.train("gan", config, recipe, recipes.Run(**given))

    return again


@pytest.fixture(scope="module")
def trained(images, tmp_path_factory, without_exports):
    """A run of two epochs of two steps."""
    workdir = tmp_path_factory.mktemp("runs") / "whole"
    recipe = dataclasses.replace(registry.recipe("gan"), epochs=2, batch_size=16)
    given = {"data_dir": str(images), "workdir": str(workdir), "eval_every": 0}
    with without_exports():
        assert loop.train("gan", CONFIG, recipe, recipes.Run(steps_per_epoch=STEPS, **given)) == 0
    return workdir


@pytest.fixture
def workdir(trained, tmp_path):
    """A copy of it."""
    return shutil.copytree(trained, tmp_path / "run")


def edit(path, change):
    """Changes a JSON file in place."""
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def tree(folder):
    """All that lies in a folder, with what would show that it was written."""
    return {p: (p.lstat().st_mtime_ns, p.lstat().st_ino) for p in [folder, *folder.rglob("*")]}


def as_folder(path):
    files.remove(path)
    path.mkdir()
    (path / "mine").write_text("mine")


def as_file(path):
    files.remove(path)
    path.write_text("mine")


def cut(path):
    path.write_bytes(path.read_bytes()[:-20])


def emptied(path):
    path.write_bytes(b"")


LINE = b'{"epoch": 1, "step": 2, "seconds": 0.1}\n'


def holding(content):
    return lambda path: path.write_bytes(content)


DAMAGE = {
    "metrics.jsonl": [
        cut,
        emptied,
        files.remove,
        as_folder,
        holding(b"\x00\xff\n[1]\n3\nnull\n{}\n" + b"[" * 10_000 + b"\n" + LINE),
        holding(b'{"epoch": "1", "step": 2, "seconds": 0}\n{"epoch": 1e400, "step": NaN}\n'),
        holding(b'{"epoch": 1, "step": 2, "seconds": 0, "val_class_share": 3}\n'),
        holding("caf\u00e9".encode("utf-16")),
    ],
    "summary.json": [
        cut,
        emptied,
        files.remove,
        as_folder,
        holding(b"[]"),
        holding(b"{}"),
        holding(b'{"steps": NaN}'),
        holding(b'{"steps": "4", "epochs": 2, "training_seconds": 1, "last_epoch": {}}'),
    ],
    "saved_model": [files.remove, as_file, lambda path: files.remove(path / "saved_model.pb")],
    "logs": [files.remove, as_file, lambda path: as_file(path / "train")],
    "samples": [files.remove, as_file, lambda path: as_folder(path / "epoch_0001.png")],
    "evaluation.json": [as_folder, holding(b"{")],
    ".lock": [as_folder, files.remove],
}


@pytest.mark.parametrize("name", DAMAGE)
def test_derived_files_in_any_state_are_made_again(again, workdir, tmp_path, name, capsys):
    for i, damage in enumerate(DAMAGE[name]):
        copy = shutil.copytree(workdir, tmp_path / str(i))
        damage(copy / name)
        assert again(copy) == 0, damage
        said = capsys.readouterr().err
        summary = files.read_json(copy / "summary.json")
        assert summary["epochs"] == 2 and summary["steps"] == 2 * STEPS
        assert (copy / "saved_model" / "saved_model.pb").exists()
        assert (copy / "metrics.jsonl").is_file()
        callbacks.MetricsFile.read(copy / "metrics.jsonl", pytest.fail)  # no line is torn
        if damage in (as_folder, as_file):  # what may be somebody's is kept
            aside = copy / f"{name}.aside1"
            assert (aside / "mine" if damage is as_folder else aside).read_text() == "mine"
            assert f"{name}.aside1" in said
        elif name in ("metrics.jsonl", "summary.json") and (copy / name).exists():
            assert "warning: " in said or damage is files.remove
        if name == "metrics.jsonl":
            assert "has nothing of epoch" in said


def test_without_any_record_a_run_is_finished_by_its_checkpoint(again, workdir):
    for name in ("metrics.jsonl", "summary.json", "saved_model", "logs", "samples"):
        files.remove(workdir / name)
    assert again(workdir) == 0
    summary = files.read_json(workdir / "summary.json")
    assert summary["last_epoch"] == {} and summary["training_seconds"] == 0
    assert (summary["epochs"], summary["steps"], summary["exported_step"]) == (2, 4, 4)


def test_training_goes_on_beside_what_is_damaged(again, workdir, trained):
    cut(workdir / "metrics.jsonl")
    as_file(workdir / "logs")
    as_folder(workdir / "samples" / "epoch_0003.png")
    (workdir / "checkpoints" / "step_000000099.npz").mkdir()
    whole = (trained / "metrics.jsonl").read_text().splitlines()
    assert again(workdir, epochs=3) == 0
    first, third = (workdir / "metrics.jsonl").read_text().splitlines()
    assert first == whole[0]  # as it was
    assert json.loads(third)["epoch"] == 3
    assert (workdir / "logs").is_dir() and (workdir / "samples" / "epoch_0003.png").is_file()
    assert (workdir / "checkpoints" / "step_000000006.npz").is_file()


@pytest.fixture(scope="module")
def model():
    return zoo.create("gan", image_shape=(8, 8, 1), **CONFIG)


def mark(model, number):
    model.trainable_variables[0].assign(np.full(model.trainable_variables[0].shape, number))


def marked(model):
    return float(np.asarray(model.trainable_variables[0]).flat[0])


@pytest.mark.parametrize("lost", [files.remove, cut, emptied, as_folder])
def test_where_no_other_is_whole_training_goes_on_from_the_best(model, tmp_path, lost):
    manager = checkpoints.Manager(tmp_path, keep=2)
    for step, score in ((10, 0.1), (20, 0.2), (30, 0.3)):
        mark(model, step)
        manager.save(model, step, score)
    for step in manager.steps():
        lost(manager.path(step))
    said = []
    assert manager.restore(model, said.append) == (10, 0.0) and marked(model) == 10
    assert "best checkpoint, of step 10, is used" in said[-1] and manager.newest_step() == 10
    manager.save(model, 15)  # and what is saved then is not dropped for files that cannot be read
    assert manager.restore(model, said.append) == (15, 0.0)
    lost(manager.best_path)
    lost(manager.path(15))
    if lost is files.remove:
        assert manager.restore(model) == (0, 0.0)
        return
    for restore in (manager.restore, manager.restore_weights):
        with pytest.raises(InputError, match="every checkpoint in .* is damaged") as error:
            restore(model, said.append)
        assert "overwrite" not in str(error.value) and "\n" not in str(error.value)


def test_a_checkpoint_whose_name_and_step_disagree_is_damaged(model, tmp_path):
    manager = checkpoints.Manager(tmp_path)
    for step in (30, 40):
        mark(model, step)
        manager.save(model, step)
    shutil.copy(manager.path(30), manager.path(40))
    said = []
    assert manager.restore(model, said.append) == (30, 0.0) and marked(model) == 30
    assert "holds step 30, which is not the one of its name" in said[0]
    assert manager.restore_weights(model, said.append) == 30


def rewritten(path, **changes):
    """A checkpoint with another meta data, as somebody could write it."""
    with np.load(path) as archive:
        arrays = {k: archive[k] for k in archive.files}
    meta = json.loads(str(arrays.pop("meta"))) | changes
    meta = {k: v for k, v in meta.items() if v is not ...}
    with open(path, "wb") as f:
        np.savez(f, **arrays, meta=np.array(json.dumps(meta)))


@pytest.mark.parametrize(
    "changes",
    [
        {"step": "4"},
        {"step": -1},
        {"step": ...},
        {"sha256": ...},
        {"sha256": 3},
        {"seconds": "x"},
        {"score": []},
        {"settings": 3},
        {"settings": {"model": "gan"}},
    ],
    ids=str,
)
def test_meta_data_of_another_kind_is_damage(model, tmp_path, changes):
    checkpoints.Manager(tmp_path).save(model, 4)
    rewritten(tmp_path / "step_000000004.npz", **changes)
    with pytest.raises(checkpoints.Damaged):
        checkpoints.read(tmp_path / "step_000000004.npz")


NAME = "weights/discriminator/dense/kernel"


def test_weights_of_another_type_are_refused(model, tmp_path):
    manager = checkpoints.Manager(tmp_path)
    manager.save(model, 1)
    _, arrays = checkpoints.read(manager.path(1))
    for kind in ("U8", "c16", "M8[s]"):
        arrays[NAME] = np.zeros(arrays[NAME].shape, kind)
        meta = {"step": 1, "score": None, "sha256": digest(arrays)}
        with open(manager.path(1), "wb") as f:
            np.savez(f, **arrays, meta=np.array(json.dumps(meta)))
        with pytest.raises(InputError, match=f"is of another model: {NAME} is of"):
            manager.restore(model, report=lambda line: None)


SETTINGS = [
    ("config", "loss", "hinge", "loss='non_saturating'"),
    ("config", "dropout", 0.0, "dropout=0.3"),
    ("config", "hidden", [1_000_000_000], r"hidden=\[8\]"),
    ("config", "latent_dim", 10**9, "latent_dim=2"),
    (None, "model", "sngan", "model='gan'"),
    (None, "num_classes", 9, "num_classes=10"),
    (None, "image_shape", [8, 8, 3], r"image_shape=\[8, 8, 1\]"),
]


@pytest.mark.parametrize(("part", "name", "value", "was"), SETTINGS)
def test_settings_that_contradict_the_weights_are_refused(again, workdir, part, name, value, was):
    def change(settings):
        (settings[part] if part else settings)[name] = value
        if name == "num_classes":
            settings["class_names"].pop()
        if name == "model":
            settings["config"] = {}

    edit(workdir / "config.json", change)
    before = tree(workdir)
    with pytest.raises(InputError, match=f"were trained with {was}, and .*config.json says"):
        loading.load(workdir)
    assert tree(workdir) == before
    if part and name != "hidden" and name != "latent_dim":  # also where the command agrees
        with pytest.raises(InputError, match=f"were trained with {was}"):
            again(workdir, config={**CONFIG, name: value})
    with pytest.raises(InputError, match=f"{name}: .* then, .* now") as error:
        again(workdir)
    assert "overwrite" not in str(error.value)


def test_a_best_checkpoint_of_other_settings_is_passed_over(workdir):
    folder = workdir / "checkpoints"
    other = zoo.create("gan", image_shape=(8, 8, 1), **CONFIG, dropout=0.0)
    checkpoints.Manager(folder).save(other, 5, score=-1.0)
    (folder / "step_000000005.npz").unlink()
    said = []
    manager = checkpoints.Manager(folder)
    mine = loading.create("gan", (8, 8, 1), 10, CONFIG)
    assert manager.restore_weights(mine, said.append) == 4
    assert "checkpoint of other settings passed over" in said[0]
    manager.save(mine, 6, score=7.0)  # the first of its own
    assert manager.best_score() == 7.0


def test_a_run_of_before_there_were_settings_and_meta_data_loads_and_goes_on(again, workdir):
    # its config.json lacks what came later, and its checkpoints know only step, score and digest
    def old(settings):
        for name in ("ema_decay", "augment", "penalty"):
            del settings["config"][name]
        del settings["recipe"]["decay"]
        for name in ("init_from", "classifier", "steps_per_execution", "stop_on_collapse"):
            del settings["run"][name]

    edit(workdir / "config.json", old)
    for path in (workdir / "checkpoints").glob("*.npz"):
        rewritten(path, settings=..., seconds=...)
        assert set(checkpoints.read(path)[0]) == {"step", "score", "sha256"}
    assert loading.load(workdir).config.ema_decay == 0.0
    assert again(workdir, epochs=3) == 0
    assert [r["epoch"] for r in epochs(workdir)] == [1, 2, 3]
    meta, _ = checkpoints.read(workdir / "checkpoints" / "step_000000006.npz")
    assert meta["settings"]["config"]["hidden"] == [8]
    # and one of before there was a setting has its default
    path = workdir / "checkpoints" / "step_000000006.npz"
    del meta["settings"]["config"]["augment"]
    rewritten(path, settings=meta["settings"])
    loading.load(workdir)


def test_no_message_advises_to_delete_what_is_whole():
    root = pathlib.Path(zoo.__file__).parents[1]
    for path in [*root.glob("zoo/**/*.py"), *root.glob("scripts/**/*.py")]:
        for line in path.read_text(encoding="utf-8").splitlines():
            if "--overwrite" in line and not line.lstrip().startswith("#"):
                assert "without --overwrite" in line or "--overwrite would delete" in line, line


# --- identity ---


def settings_of(workdir, **run_settings):
    """Settings as `train` would have them now."""
    now = json.loads((workdir / "config.json").read_text())
    extra = {k: run_settings.pop(k) for k in list(run_settings) if k.endswith("_sha256")}
    return {**now, **extra, "run": {**now["run"], **run_settings}}


def differences(*both):
    return workdirs.differences(*map(workdirs.usual, both))


def test_data_are_the_same_however_they_are_called(again, workdir, images, tmp_path, monkeypatch):
    shutil.copytree(images, tmp_path / "elsewhere")
    (tmp_path / "link").symlink_to(images)
    monkeypatch.chdir(tmp_path)
    for more in (
        {"data_dir": "elsewhere"},
        {"data_dir": "./elsewhere/"},
        {"data_dir": str(tmp_path / "link")},
        {"dataset": "fashion_mnist"},  # that gives the classes names
        {"dataset": "mnist", "data_dir": "elsewhere"},
    ):
        assert again(workdir, **more) == 0
    assert files.read_json(workdir / "config.json")["class_names"] == list("0123456789")
    now = json.loads((workdir / "config.json").read_text())
    for more in ({"dataset": "folder:x"}, {"dataset": "", "image_size": 8}, {"data_dir": "y"}):
        assert differences(now, settings_of(workdir, **more)) == []
    assert differences(now, settings_of(workdir, dataset="ring")) == ["dataset: '' then, ring now"]
    other = {**now, "dataset_digest": "ab"}
    assert "SHA-256 of images and labels" in differences(now, other)[0]


def net(sha256):
    return features.FeatureNet(
        "a net", sha256, "none", (8, 8, 1), lambda x: x.reshape(len(x), -1)[:, :2]
    )


@pytest.fixture
def judges(monkeypatch):
    """Place -> SHA-256 of the classifiers that are there."""
    places = {}

    def judge(source, dataset_digest):
        if str(source) not in places:
            raise InputError(f"{source} is no workdir of train.py")
        return net(places[str(source)])

    monkeypatch.setattr(inputs, "matching_feature_net", judge)
    return places


def test_a_judge_is_known_by_its_weights(judges, workdir, monkeypatch):
    judges |= {"judge": "aa", "moved": "aa", "other": "bb"}
    before = settings_of(workdir, classifier="judge", classifier_sha256="aa", eval_every=1)

    def now(place):
        asked = recipes.Run(classifier=place)
        sha256 = loop._feature_net("d", (8, 8, 1), asked, before, lambda: False)[1]
        return differences(
            before, settings_of(workdir, classifier=place, classifier_sha256=sha256, eval_every=1)
        )

    assert now("judge") == now("moved") == []
    assert now("other") == [
        "classifier, the SHA-256 of the weights of the one that judges samples: aa then, bb now"
    ]
    with pytest.raises(
        InputError, match="gone is no workdir.*judged by a classifier that was judge"
    ):
        now("gone")
    # a run at its end needs no judge
    asked = recipes.Run(classifier="gone")
    assert loop._feature_net("d", (8, 8, 1), asked, before, lambda: True) == (None, "aa")


def test_the_usual_judge_spelled_out_is_the_same(judges, workdir, monkeypatch):
    monkeypatch.setattr(
        inputs, "pretrained_classifier", lambda digest: references.Packaged("classifier")
    )
    usual = pretrained.entry("classifier")["sha256"]
    arrays = checkpoints.weights_digest(loading.load("classifier"))
    judges |= {"classifier": usual, "a/folder": arrays, "other": "bb"}
    left_out = settings_of(workdir, eval_every=1)
    spelled = settings_of(workdir, classifier="classifier", classifier_sha256=usual, eval_every=1)
    assert differences(left_out, spelled) == differences(spelled, left_out) == []
    assert loop._feature_net("d", (8, 8, 1), recipes.Run(), spelled, lambda: False)[1] == usual
    # the same weights in a folder have another digest, and are known
    asked = recipes.Run(classifier="a/folder")
    assert loop._feature_net("d", (8, 8, 1), asked, spelled, lambda: False)[1] == usual
    assert (
        loop._feature_net("d", (8, 8, 1), recipes.Run(classifier="other"), spelled, lambda: False)[
            1
        ]
        == "bb"
    )
    assert differences(left_out, {**spelled, "classifier_sha256": "bb"}) != []


def test_first_weights_are_known_by_themselves_wherever_they_lie(workdir, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = shutil.copytree(workdir, tmp_path / "source")
    (tmp_path / "link").symlink_to(source)
    model = loading.create("gan", (8, 8, 1), 10, CONFIG)
    # a pretrained model is no folder of that name
    assert loop._same_place("vae", "vae") and not loop._same_place("vae", "./vae")
    sha256 = loop._first_weights(model, recipes.Run(init_from="source"), None)
    begun = {"run": {"init_from": "source"}, "initial_weights_sha256": sha256}

    def found(place):
        return loop._first_weights(model, recipes.Run(init_from=place), begun)

    places = [
        "source",
        "source/",
        "./source",
        str(source),
        "link",
        "../" + tmp_path.name + "/source",
    ]
    assert {found(place) for place in places} == {sha256}
    source.rename(tmp_path / "moved")
    assert found("moved") == found("source") == found(str(tmp_path / "source") + "/") == sha256
    with pytest.raises(InputError, match="began with the weights of source: --init_from=source"):
        found("elsewhere")
    mark(other := loading.create("gan", (8, 8, 1), 10, CONFIG), 3)
    shutil.rmtree(tmp_path / "moved" / "checkpoints")
    checkpoints.Manager(tmp_path / "moved" / "checkpoints").save(other, 9)
    assert found("moved") != sha256  # it has gone on
    assert found("source") == sha256


# --- any edit ---

BAD = [
    (lambda s: s.pop("model"), "lacks model"),
    (lambda s: s.pop("dataset_digest"), "lacks dataset_digest"),
    (lambda s: s.update(model="foo"), "no model named 'foo'"),
    (lambda s: s.update(model="bayes_conditional"), "is made of trained parts"),
    (lambda s: s.update(model=["gan"]), "model must be of type string"),
    (lambda s: s.update(num_classes=3), "class_names are 10, and num_classes is 3"),
    (lambda s: s.update(num_classes=10.0), "num_classes must be of type integer"),
    (lambda s: s.update(num_classes=-1), "num_classes: -1 is less"),
    (lambda s: s.update(image_shape=[8, 8]), "image_shape: .* is too short"),
    (lambda s: s.update(image_shape=[8, 8, 0]), "image_shape.2: 0 is less"),
    (lambda s: s.update(class_names=list(range(10))), "class_names.0 must be of type string"),
    (lambda s: s.update(class_names=["\ud800"] * 10), "class_names must be UTF-8"),
    (lambda s: s.update(run=[]), "run must be of type object"),
    (lambda s: s.update(versions=3), "versions must be of type object"),
    (lambda s: s.update(earlier_versions=[3]), "earlier_versions.0 must be of type object"),
    (lambda s: s["config"].update(of_tomorrow=1), "config: unknown setting 'of_tomorrow'"),
    (lambda s: s["config"].update(hidden="8"), "config: hidden must be a list"),
    (lambda s: s["config"].update(dropout=float("nan")), "config: dropout must be finite"),
    (lambda s: s["config"].update(dropout=10**400), "a number has 401 digits"),
    (lambda s: s["config"].update(loss={}), "config: loss must be one of"),
    (lambda s: s["recipe"].update(epochs=0), "recipe: epochs must be at least 1"),
    (lambda s: s["recipe"].update(epochs=10**30), "recipe: epochs must be at most"),
    (lambda s: s["run"].update(seed=None), "run: seed must be of type int"),
    (lambda s: s["run"].update(workdir="gs://b"), "run: workdir=gs://b is an address"),
]


@pytest.mark.parametrize(("change", "said"), BAD, ids=[said[:30] for _, said in BAD])
def test_an_edit_of_config_json_is_one_line_that_names_file_and_key(again, workdir, change, said):
    edit(workdir / "config.json", change)
    before = tree(workdir)
    for read in (loading.read_config, loading.load, again):
        with pytest.raises(InputError, match=said) as error:
            read(workdir)
        assert "config.json" in str(error.value) and "\n" not in str(error.value)
    assert tree(workdir) == before


def test_reading_never_writes(again, workdir):
    as_folder(workdir / "metrics.jsonl")
    cut(workdir / "checkpoints" / "step_000000004.npz")
    os.chmod(workdir, 0o500)
    before = tree(workdir)
    loading.load(workdir).sample(2, seed=0)
    inputs.split_of(workdir, "test")
    assert tree(workdir) == before
    os.chmod(workdir, 0o700)


def test_data_that_do_not_fit_the_settings_are_refused(workdir):
    def change(settings):
        settings.update(image_shape=[8, 8, 3])

    edit(workdir / "config.json", change)
    with pytest.raises(InputError, match=r"not the image_shape=\(8, 8, 3\)"):
        inputs.split_of(workdir, "test")
    edit(workdir / "config.json", lambda s: s["run"].update(data_dir="gone"))
    with pytest.raises(InputError, match="gone.*name it by --data_dir"):
        inputs.split_of(workdir, "test")


@pytest.mark.parametrize("name", ["caf\udce9", "gs://bucket/run", "hdfs://x"])
def test_a_workdir_that_cannot_be_written_is_refused_before_anything_is(
    again, tmp_path, monkeypatch, name
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="is not UTF-8|is an address"):
        again(name)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="is no folder"):
        again("file")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from([10**400, 2**63, -1, 0, 1.5, "gan", "~/x", "gs://x", "\ud800", [], {}]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
STRANGE = st.sampled_from([b"\xef\xbb\xbf", b"[", b"}", b'{"model":1,', b"\x00", b"NaN", b"1e999"])


def places(value, path=()):
    """The way to each value inside a JSON value."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    for key, inner in items:
        yield from places(inner, (*path, key))


@st.composite
def edits(draw, value):
    """A JSON document of a value, with some values replaced or deleted, and some bytes too."""
    value = json.loads(json.dumps(value))
    for _ in range(draw(st.integers(0, 3))):
        *way, last = draw(st.sampled_from(sorted(places(value), key=str)))
        inner = value
        for key in way:
            inner = inner[key]
        if draw(st.booleans()):
            inner[last] = draw(JSON)
        else:
            del inner[last]
    content = json.dumps(value).encode()
    if draw(st.integers(0, 3)) == 0:
        at = draw(st.integers(0, len(content)))
        content = content[:at] + draw(STRANGE) + content[at + draw(st.integers(0, 40)) :]
    return content


def of_all(count):
    return settings(max_examples=count, deadline=None, derandomize=True, database=None)


@examples(40, 2000)
def test_any_edit_of_config_json_is_read_or_one_line(trained, tmp_path, count):
    value = json.loads((trained / "config.json").read_text())

    @of_all(count)
    @given(edits(value))
    def check(content):
        (tmp_path / "config.json").write_bytes(content)
        try:
            read = loading.read_config(tmp_path)
            defaults.command(read)
            workdirs.differences(
                workdirs.usual(read), workdirs.usual(json.loads(json.dumps(value)))
            )
        except InputError as e:
            assert "\n" not in str(e) and len(str(e)) < 2000

    check()


@examples(40, 2000)
def test_any_edit_of_metrics_and_summary_is_left_out(trained, tmp_path, count):
    lines = [json.loads(x) for x in (trained / "metrics.jsonl").read_text().splitlines()]
    summary = json.loads((trained / "summary.json").read_text())

    @of_all(count)
    @given(edits(lines[0]), edits(lines[1]), edits(summary), st.binary(max_size=20))
    def check(one, other, of_all, torn):
        (tmp_path / "metrics.jsonl").write_bytes(one + b"\n" + torn + b"\n" + other)
        for record in callbacks.MetricsFile.read(tmp_path / "metrics.jsonl", lambda line: None):
            assert record["epoch"] >= 1 and record["seconds"] >= 0
        (tmp_path / "summary.json").write_bytes(of_all)
        assert fitting.is_finished(tmp_path, 4) is False  # there is no export

    check()


@examples(30, 500)
def test_any_edit_of_a_pretrained_models_settings_is_read_or_one_line(tmp_path, monkeypatch, count):
    few = ("vae", "classifier", "bayes_conditional")
    for name in few:
        shutil.copytree(pretrained.FOLDER / name, tmp_path / name)
    whole = {name: json.loads((tmp_path / name / "config.json").read_text()) for name in few}
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path)

    @of_all(count)
    @given(st.tuples(*[edits(whole[name]) for name in few]))
    def check(contents):
        for name, content in zip(few, contents, strict=True):
            (tmp_path / name / "config.json").write_bytes(content)
        for name in few:
            for read in (loading.read_config, pretrained.weights, pretrained.check_parts):
                with_name = references.Packaged(name)
                try:
                    read(with_name)
                except InputError as e:
                    assert "\n" not in str(e)
        try:
            inputs.pretrained_classifier("of no data")
        except InputError as e:
            assert "\n" not in str(e)

    check()


@examples(40, 3000)
def test_any_bytes_of_a_checkpoint_are_what_was_written_or_damage(model, tmp_path, count):
    manager = checkpoints.Manager(tmp_path)
    manager.save(model, 3)
    whole = manager.path(3).read_bytes()
    written = digest({k: np.asarray(v) for k, v in checkpoints.state(model).items()})
    at = st.integers(0, len(whole))

    @of_all(count)
    @given(at, at, st.binary(max_size=30), st.booleans())
    def check(start, length, new, cut_off):
        end = len(whole) if cut_off else start + length % 50
        manager.path(3).write_bytes(whole[:start] + new + whole[end:])
        try:
            meta, arrays = checkpoints.read(manager.path(3))
            assert meta["step"] == 3 and digest(arrays) == written
        except checkpoints.Damaged:
            pass

    check()

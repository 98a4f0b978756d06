"""Data sets of two libraries: the same pictures, splits and errors as those of a folder."""

import importlib
import json
import sys

import numpy as np
import pytest
from PIL import Image

import zoo
from zoo import data
from zoo.data import libraries, store
from zoo.errors import InputError
from zoo.recipes import Run
from zoo.training import inputs

NAMES = ["cat", "dog"]
TRAIN, TEST = 24, 6


def picture(value):
    """A picture of its own for each value, which its upper left pixel and its middle tell."""
    pixels = np.full((8, 12, 3), value, np.uint8)
    pixels[0, 0] = value, 2 * value % 256, 255 - value
    return pixels


@pytest.fixture
def tfds(tmp_path, monkeypatch):
    """Makes a data set of TensorFlow Datasets: `make(features, splits)`, with rows in each."""
    library = pytest.importorskip("tensorflow_datasets")
    kinds = library.features
    monkeypatch.setattr(library.core.registered, "_DATASET_REGISTRY", {})

    def make(splits=None, file_format=None, **features):
        features = features or {"image": kinds.Image(shape=(None, None, 3))}
        labels = {"label": kinds.ClassLabel(names=NAMES)} if "label" not in features else {}
        features = {k: v for k, v in (features | labels).items() if v is not None}
        splits = splits or {"train": rows(range(TRAIN)), "test": rows(range(100, 100 + TEST))}

        class Tiny(library.core.GeneratorBasedBuilder):
            """A few pictures, sorted by their classes."""

            VERSION = library.core.Version("1.0.0")
            BUILDER_CONFIGS = [library.core.BuilderConfig(name=name) for name in ("one", "two")]

            def _info(self):
                return library.core.DatasetInfo(
                    builder=self,
                    features=kinds.FeaturesDict({**features, "id": kinds.Text()}),
                    disable_shuffling=True,
                )

            def _split_generators(self, dl_manager):
                return {name: self._generate_examples(rows) for name, rows in splits.items()}

            def _generate_examples(self, rows):
                for i, row in enumerate(rows):
                    yield i, {**{k: row[k] for k in features}, "id": "x"}

        Tiny(config="two", data_dir=str(tmp_path / "tfds"), file_format=file_format)
        builder = Tiny(config="two", data_dir=str(tmp_path / "tfds"), file_format=file_format)
        builder.download_and_prepare()
        return "tfds:tiny/two"

    make.data_dir, make.features = str(tmp_path / "tfds"), kinds
    return make


def rows(values):
    """Records of these pictures, sorted by their labels."""
    values = list(values)
    half = len(values) // 2
    return [{"image": picture(v), "label": int(k >= half)} for k, v in enumerate(values)]


@pytest.fixture
def hf(tmp_path, monkeypatch):
    """Makes a data set of Hugging Face Datasets in a folder: `make(splits, **features)`."""
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    library = pytest.importorskip("datasets")
    monkeypatch.setattr(library.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(library.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    library.disable_progress_bars()

    def make(splits=None, **features):
        features = features or {"image": library.Image()}
        labels = {"label": library.ClassLabel(names=NAMES)} if "label" not in features else {}
        features = {k: v for k, v in (features | labels).items() if v is not None}
        splits = splits or {"train": rows(range(TRAIN)), "test": rows(range(100, 100 + TEST))}
        made = library.DatasetDict()
        for split, found in splits.items():
            columns = {
                k: [Image.fromarray(v) if isinstance(v := r[k], np.ndarray) else v for r in found]
                for k in features
            }
            made[split] = library.Dataset.from_dict(columns, library.Features(features))
        made.save_to_disk(tmp_path / "saved")
        return f"hf:{tmp_path / 'saved'}"

    make.features, make.data_dir = library, None
    return make


@pytest.fixture(params=["tfds", "hf"])
def make(request):
    """Either of the two."""
    return request.getfixturevalue(request.param)


def load(make, name, **options):
    return data.load(name, make.data_dir, **{"image_size": 8, **options})


def values(split):
    """What the pictures were made of."""
    return [int(image[4, 4, 0]) for image in split.images]


def test_pictures_and_labels_are_those_of_the_set(make):
    found = load(make, name := make())
    assert found.class_names == ("cat", "dog") and found.image_shape == (8, 8, 3)
    learnt = values(found.train) + values(found.validation)
    assert sorted(learnt) == list(range(TRAIN)) and learnt != sorted(learnt)
    assert sorted(values(found.test)) == list(range(100, 100 + TEST))
    for split, half in ((found.train, 12), (found.validation, 12), (found.test, 103)):
        assert [int(v >= half) for v in values(split)] == split.labels.tolist()
    assert found.name == name and "resize to 8x8" in found.description
    assert load(make, name).digest == found.digest


def test_they_are_those_of_a_folder_of_the_same_pictures(make, tmp_path):
    for part, some in (("train", range(TRAIN)), ("test", range(100, 100 + TEST))):
        for row, value in zip(rows(some), some, strict=True):
            place = tmp_path / "folder" / part / NAMES[row["label"]]
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(row["image"]).save(place / f"{value}.png")
    name = make()
    for options in ({}, {"fit": "pad"}, {"gray": True}, {"image_size": 4}):
        found = load(make, name, **options)
        other = data.load(f"folder:{tmp_path / 'folder'}", **{"image_size": 8, **options})
        whole = [np.concatenate([d.train.images, d.validation.images]) for d in (found, other)]
        assert {x.tobytes() for x in whole[0]} == {x.tobytes() for x in whole[1]}
        assert found.image_shape == other.image_shape


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache in which the smallest set is kept, and from which all are read as if too large."""
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "zoo"))
    monkeypatch.setattr(store, "SMALL", 0)
    monkeypatch.setattr(store, "IN_MEMORY", 0)


def test_a_second_start_reads_no_record(make, cache, monkeypatch):
    name = make()
    first = load(make, name)
    assert store.is_on_disk(first.train.images)
    for kind in (libraries._Tfds, libraries._HuggingFace):
        monkeypatch.setattr(kind, "rows", lambda *arguments: 1 / 0)
    second = load(make, name)
    assert second.digest == first.digest
    np.testing.assert_array_equal(second.train.labels, first.train.labels)
    with pytest.raises(ZeroDivisionError):
        load(make, name, gray=True)


def test_shares_are_held_out_of_a_set_of_one_split(make):
    name = make({"whole": rows(range(40))})
    found = load(make, name, test=0.25, validation=0.1)
    assert [len(s) for s in (found.train, found.validation, found.test)] == [27, 3, 10]
    assert len(set(found.test.labels)) == 2  # though the set is sorted
    sizes = [len(s) for s in (load(make, name).train, load(make, name).test)]
    assert sizes == [33, 4]


def test_a_validation_split_is_that_of_the_set_and_a_test_split_without_labels_is_left_out(make):
    hidden = [{**row, "label": -1} for row in rows(range(200, 212))]
    name = make({"train": rows(range(20)), "validation": rows(range(50, 56)), "test": hidden})
    found = load(make, name)
    assert sorted(values(found.validation)) == list(range(50, 56))
    assert len(found.test) == 2 and max(values(found.test)) < 20
    assert found.description.endswith("left out: test, which has no labels")
    with pytest.raises(InputError, match="has a validation split of its own"):
        load(make, name, validation=0.5)


def test_a_set_without_one_feature_of_classes_has_no_labels(make):
    found = load(make, make(label=None, image=make.features.Image()))
    assert found.class_names == () and found.description.endswith("without labels")
    assert not found.train.labels.any()


def test_a_set_that_cannot_be_used_is_one_clear_line(make):
    kinds = make.features
    text = kinds.Text() if hasattr(kinds, "Text") else kinds.Value("string")
    name = make({"train": [{"label": 0, "words": "x"}] * 12}, words=text)
    with pytest.raises(InputError, match="has no feature that is an image"):
        load(make, name)


def test_whatever_a_library_raises_while_it_reads_is_one_clear_line(monkeypatch):
    class Records:
        splits, images, labels, path = {"train": 12}, ["image"], {}, "x"

        def rows(self, *args):
            yield from ((b"", 0) for _ in range(3))
            raise RuntimeError("a file is truncated")

        def files(self, *args):
            return []

    monkeypatch.setattr(libraries, "_tfds", lambda *args: Records())
    with pytest.raises(InputError, match="tfds:x cannot be read .a file is truncated"):
        data.load("tfds:x")
    Records.files = lambda *args: 1 / 0
    with pytest.raises(InputError, match="tfds:x cannot be read .division by zero"):
        data.load("tfds:x")


def test_several_images_a_record(make):
    image = make.features.Image
    two = [{"image": picture(i), "mask": picture(i + 100), "label": 0} for i in range(20)]
    assert max(values(load(make, make({"train": two}, image=image(), mask=image())).train)) < 20


def test_splits_without_train_are_named(make):
    name = make({"a": rows(range(12)), "b": rows(range(12))})
    with pytest.raises(InputError, match="no split that is called train: it has a, b"):
        load(make, name)


def test_sizes_must_be_one_or_given(make):
    odd = [{"image": picture(0)[: 8 - i % 2], "label": 0} for i in range(12)]
    name = make({"train": odd})
    with pytest.raises(InputError, match=r"train\[\d+\]: is 12x[78], .* give --image_size"):
        data.load(name, make.data_dir)


def test_a_run_goes_on_with_the_same_pictures_alone(hf, tmp_path):
    """Of so few pictures no more are held out than the set itself does."""
    name = hf()
    settings = {"image_size": 8, "epochs": 1, "steps_per_epoch": 1, "hidden": (8,)}
    zoo.train("vae", name, workdir=tmp_path / "run", **settings)
    written = json.loads((tmp_path / "run" / "config.json").read_text())
    assert written["class_names"] == NAMES and written["run"]["dataset"] == name
    (tmp_path / "saved").rename(tmp_path / "moved")
    with pytest.raises(InputError, match="where the data lies elsewhere now, name it by"):
        inputs.split_of(tmp_path / "run", "test")
    test = inputs.split_of(tmp_path / "run", "test", str(tmp_path / "moved"))
    assert sorted(values(test)) == list(range(100, 100 + TEST))
    hf({"train": rows(range(1, 1 + TRAIN)), "test": rows(range(100, 100 + TEST))})
    with pytest.raises(InputError, match="dataset_digest, the SHA-256 of images and labels: "):
        zoo.train("vae", name, workdir=tmp_path / "run", **settings)


def test_a_broken_picture_is_named_or_left_out(hf, tmp_path):
    library = hf.features
    rows_of = {"image": [{"bytes": b"\x89PNG\r\n\x1a\n", "path": None}, None], "label": [0, 0]}
    raw = library.Features({"image": library.Image(), "label": library.ClassLabel(names=NAMES)})
    broken = library.Dataset.from_dict(rows_of, raw)
    hf({"train": rows(range(TRAIN))})
    whole = library.load_from_disk(str(tmp_path / "saved"))["train"]
    library.concatenate_datasets([whole, broken]).save_to_disk(tmp_path / "broken")
    name = f"hf:{tmp_path / 'broken'}"
    with pytest.raises(InputError) as error:
        load(hf, name)
    assert f"2 of 26 images cannot be decoded: {name}, train[24] (" in str(error.value)
    assert f"{name}, train[25] (empty)" in str(error.value)
    found = load(hf, name, skip_broken=True)
    assert found.num_broken == 2 and len(found.train) + len(found.validation) == 22


def test_a_folder_that_the_library_reads_and_one_that_has_moved(hf, tmp_path, cache):
    for i in range(24):
        place = tmp_path / "set" / "train" / NAMES[i % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(i)).save(place / f"{i}.png")
    first = load(hf, f"hf:{tmp_path / 'set'}")
    assert first.class_names == ("cat", "dog") and len(first.test) == 2
    assert [v % 2 for v in values(first.train)] == first.train.labels.tolist()
    Image.fromarray(picture(99)).save(tmp_path / "set" / "train" / "cat" / "0.png")
    again = load(hf, f"hf:{tmp_path / 'set'}")
    assert again.digest != first.digest and len(again.train) == len(first.train)
    assert data.without_path(f"hf:{tmp_path / 'set'}") == "hf:set"


def test_records_of_either_format_are_read(tfds):
    found = load(tfds, tfds(file_format="array_record"))
    assert sorted(values(found.test)) == list(range(100, 100 + TEST))
    assert found.digest == load(tfds, "tfds:tiny/two").digest


def test_floating_point_images_are_refused(tfds):
    image = tfds.features.Image(shape=(8, 8, 1), dtype=np.float32)
    some = [{"image": np.zeros((8, 8, 1), np.float32), "label": 0}] * 12
    with pytest.raises(InputError, match="8 or 16 bits a channel"):
        load(tfds, tfds({"train": some}, image=image))


@pytest.mark.parametrize("name", ["tfds:no_such_set", "tfds:a b", "hf:/no/such/folder", "hf:no_x"])
def test_an_unknown_name_is_one_clear_line(name, request):
    make = request.getfixturevalue(name.partition(":")[0])
    with pytest.raises(InputError) as error:
        load(make, name)
    assert str(error.value).startswith(f"{name} cannot be read (") and len(str(error.value)) < 250


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [("tfds:mnist", "tensorflow_datasets", "tfds"), ("hf:user/name", "datasets", "hf")],
)
def test_a_missing_library_names_its_extra(name, module, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError):
        importlib.import_module(module)
    with pytest.raises(InputError) as error:
        data.load(name)
    said = str(error.value)
    assert said.startswith(f"--dataset={name.partition(':')[0]}:NAME needs {module}: pip install ")
    assert f"{module.replace('_', '-')}<" in said or f"'.[{extra}]' in the clone" in said


def test_settings_that_do_not_go_together():
    with pytest.raises(InputError, match="give --dataset=hf:PATH or --data_dir, not both"):
        data.load("hf:user/name", "/y")
    with pytest.raises(InputError, match="gray goes with --dataset=folder:PATH, tfds:NAME or hf:"):
        data.load("mnist", gray=True)


def test_names_of_folders():
    short = {
        "": "fashion_mnist",
        "tfds:imagenet_resized/32x32": "imagenet_resized-32x32",
        "hf:user/name": "name",
        "hf:/some/where": "where",
        "folder:/some/where": "where",
        "folder:/": "data",
    }
    for name, expected in short.items():
        assert data.short_name(data.name_of(name, None)) == expected, name
    assert data.without_path("hf:user/name") == "hf:user/name"
    assert Run(dataset="hf:user/name").dataset == "hf:user/name"

"""Pictures come after the checkpoint, and one that fails costs a warning; samples of any model."""

import dataclasses
import types

import numpy as np
import pytest
from PIL import Image, ImageSequence
from written import epochs

from zoo import InputError, recipes, registry
from zoo.data import sources
from zoo.drawing import film, pictures, views
from zoo.hub import checkpoints
from zoo.training import boards, loop

SMALL = {"vae": {"network": "mlp", "hidden": (8,), "latent_dim": 2}, "gan": {"hidden": (8,)}}


@pytest.fixture
def train(data_dir, tmp_path, monkeypatch):
    """Trains a small model in `tmp_path` for that many epochs of two steps."""
    monkeypatch.setattr(loop, "finish", lambda *_: None)

    def train(name, count, monitor=None, **more):
        usual = registry.recipe(name)
        recipe = dataclasses.replace(
            usual,
            epochs=count,
            batch_size=32,
            learning_rate=1e-2,
            monitor=usual.monitor if monitor is None else monitor,
        )
        settings = {"data_dir": str(data_dir), "workdir": str(tmp_path), "steps_per_epoch": 2}
        assert loop.train(name, SMALL[name], recipe, recipes.Run(**settings, **more)) == 0

    return train


def test_a_picture_that_fails_is_a_warning(train, tmp_path, monkeypatch, capsys):
    draw = views.draw

    def failing(model, what, **settings):
        if what == "traverse":
            raise RuntimeError("no room\nfor it")
        return draw(model, what, **settings)

    monkeypatch.setattr(views, "draw", failing)
    train("vae", 1)
    said = capsys.readouterr().err
    assert "no picture of traversals at epoch 1: no room" in said and "Traceback" not in said
    assert checkpoints.Manager(tmp_path / "checkpoints").steps() == [2]
    names = {p.name for p in (tmp_path / "samples").iterdir()}
    assert names == {"epoch_0001.png", "reconstructions_epoch_0001.png"}


@pytest.mark.parametrize("count", [pytest.param(2, marks=pytest.mark.slow), 3])
def test_pictures_that_a_kill_left_out_are_drawn_again(train, tmp_path, count, monkeypatch):
    train("vae", 2)
    drawn = {p: p.read_bytes() for p in (tmp_path / "samples").glob("*epoch_0002.png")}
    assert len(drawn) == 3
    for path in drawn:
        path.unlink()
    train("vae", count)
    for path, content in drawn.items():
        assert path.read_bytes() == content
    assert len(list((tmp_path / "samples").glob("*epoch_0003.png"))) == 3 * (count - 2)


def test_the_film_of_a_run_has_a_frame_for_each_epoch(tmp_path, monkeypatch):
    (tmp_path / "samples").mkdir()
    for epoch, images in enumerate(np.random.default_rng(0).random((3, 64, 28, 28, 1)), 1):
        path = tmp_path / "samples" / f"epoch_{epoch:04d}.png"
        pictures.save_png(path, pictures.figure(images, 8))
    drawn = film.of_run(tmp_path)
    assert list(drawn) == [1, 2, 3] and drawn[3] == tmp_path / "samples" / "epoch_0003.png"
    assert film.save(tmp_path / "film.gif", drawn, "vae") == 3
    with Image.open(tmp_path / "film.gif") as gif:
        frames = [np.asarray(frame.convert("L")) for frame in ImageSequence.Iterator(gif)]
    assert len(frames) == 3 and frames[0].shape[1] >= 900
    for frame, path in zip(frames, drawn.values(), strict=True):
        picture = np.asarray(Image.open(path))
        np.testing.assert_array_equal(frame[-len(picture) :, : picture.shape[1]], picture)
    titles = [frame[: -len(picture)] for frame in frames]
    for i in (0, 1):  # samples, and the names of the epochs above them
        assert (frames[i] != frames[i + 1]).any() and (titles[i] != titles[i + 1]).any()
    assert film.save(tmp_path / "short.gif", drawn, "vae", num=2) == 2
    with Image.open(tmp_path / "short.gif") as gif:
        gif.seek(gif.n_frames - 1)
        np.testing.assert_array_equal(np.asarray(gif.convert("L")), frames[-1])
    drawn[2].write_bytes(b"torn")
    with pytest.raises(InputError, match="epoch_0002.png cannot be read"):
        film.save(tmp_path / "film.gif", drawn, "vae")
    monkeypatch.setattr(film, "_MOST", 2)
    assert film.save(tmp_path / "default.gif", drawn, "vae") == 2
    with pytest.raises(InputError, match="has no pictures of samples"):
        film.of_run(tmp_path / "samples")


def test_a_film_takes_pictures_in_color_and_of_other_sizes(tmp_path):
    rng = np.random.default_rng(0)
    drawn = {}
    for epoch, shape in ((1, (30, 40)), (2, (50, 60, 3))):
        drawn[epoch] = tmp_path / f"epoch_{epoch:04d}.png"
        Image.fromarray(rng.integers(0, 256, shape, np.uint8)).save(drawn[epoch])
    film.save(tmp_path / "film.gif", drawn, "dcgan")
    with Image.open(tmp_path / "film.gif") as gif:
        assert gif.n_frames == 2 and gif.width == 920  # 40 times 23, and 60 times 15
        frame = np.asarray(gif.convert("RGB"))
    first = np.asarray(Image.open(drawn[1])).repeat(23, 0).repeat(23, 1)
    top = frame.shape[0] - 50 * 15
    np.testing.assert_array_equal(frame[top : top + 690], first[..., None].repeat(3, -1))


def test_samples_of_a_vae_are_watched_where_that_is_asked_for(train, tmp_path, capsys):
    train("vae", 2, watch="on", eval_every=2, monitor="val_distinct")
    first, second = epochs(tmp_path)
    assert "val_distinct" not in first and 0 < second["val_distinct"] <= 1
    assert "equilibrium_value" not in second and "without FID" in capsys.readouterr().out
    meta, _ = checkpoints.read(tmp_path / "checkpoints" / "best.npz")
    assert meta["step"] == 4 and meta["score"] == -second["val_distinct"]


def test_samples_of_a_gan_are_not_where_that_is_asked_for(train, tmp_path, capsys):
    train("gan", 1, watch="off")
    assert not [k for k in epochs(tmp_path)[0] if k in ("val_distinct", "floor_distinct")]
    assert "(--watch=off)" in capsys.readouterr().out


@pytest.mark.slow
def test_the_best_checkpoint_has_most_of_what_is_better_when_greater(train, tmp_path):
    train("vae", 3, monitor="val_elbo_nats")
    values = [r["val_elbo_nats"] for r in epochs(tmp_path)]
    meta, _ = checkpoints.read(tmp_path / "checkpoints" / "best.npz")
    assert meta["step"] == 2 * (1 + int(np.argmax(values))) and meta["score"] == -max(values)


@pytest.mark.parametrize(
    ("name", "more", "message"),
    [
        ("vae", {"monitor": "val_fid"}, "--monitor=val_fid is not logged.*with --watch=on"),
        ("gan", {"monitor": "val_los"}, "There are val_value, .*val_fid"),
        ("vae", {"classifier": "classifier"}, "--classifier is for models whose samples"),
    ],
)
def test_a_scalar_that_is_not_logged_is_refused(train, tmp_path, name, more, message):
    with pytest.raises(InputError, match=message):
        train(name, 1, **more)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("can", "latent_dim", "expected"),
    [
        ({"sample", "encode"}, 784, {"samples"}),
        ({"sample", "encode", "generate", "reconstruct"}, 784, {"samples", "reconstructions"}),
        ({"encode", "generate"}, 3, {"traversals"}),
        ({"classify"}, 0, set()),
    ],
)
def test_a_model_gets_the_pictures_that_make_sense(can, latent_dim, expected):
    about = {"image_shape": (28, 28, 1), "conditional": False, "num_classes": 10, "axes": True}
    split = sources.Split(np.zeros((1, 28, 28, 1), np.uint8), np.zeros(1, np.int32))
    pictures = boards.Pictures(types.SimpleNamespace(split=split))
    pictures.set_model(types.SimpleNamespace(can=frozenset(can), latent_dim=latent_dim, **about))
    assert set(pictures.kinds()) == expected

"""Pictures come after the checkpoint, and one that fails costs a warning; samples of any model."""

import dataclasses
import types

import numpy as np
import pytest
from written import epochs

from zoo import InputError, recipes, registry
from zoo.data import sources
from zoo.drawing import views
from zoo.hub import checkpoints
from zoo.training import callbacks, loop

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


@pytest.mark.parametrize("count", [2, 3])
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
    pictures = callbacks.Pictures(types.SimpleNamespace(split=split))
    pictures.set_model(types.SimpleNamespace(can=frozenset(can), latent_dim=latent_dim, **about))
    assert set(pictures.kinds()) == expected

"""Pictures of every kind, of models as they are created, and what cannot be drawn."""

import numpy as np
import pytest

import zoo
from zoo.data import Split
from zoo.drawing import pictures, views

ONE = Split(np.zeros((1, 28, 28, 1), np.uint8), np.zeros(1, np.int32))
MASK = np.random.default_rng(0).random((28, 28)) < 0.5
MLP = ("vae", "cvae", "cgan", "bigan", "infogan")


@pytest.fixture(scope="module")
def models():
    return {
        **{k: zoo.create(k, network="mlp", hidden=(16,), latent_dim=3) for k in MLP},
        "classifier": zoo.create("classifier", width=4),
        "pixelcnn": zoo.create("pixelcnn", width=4, num_layers=1, conditional=True),
        "vqvae": zoo.create("vqvae", width=4, codebook_size=8, prior_width=4, prior_layers=1),
        "gmm_vae": zoo.create("gmm_vae", network="mlp", hidden=(16,), num_prior_components=6),
        "bayes": zoo.create("bayes_conditional", num_candidates=100),
        "flow_matching": zoo.create("flow_matching", width=4, num_blocks=1, num_steps=2),
    }


def draw(model, fashion_mnist, what, **changes):
    settings = {
        "num": 4,
        "steps": 5 if what in ("traverse", "interpolate") else None,
        "real": fashion_mnist.test.first,
        "train_images": lambda: fashion_mnist.train.images[:500],
    }
    return views.draw(model, what, **{**settings, **changes}).images


@pytest.mark.parametrize(
    ("model", "what", "settings", "count"),
    [
        ("cgan", "prior", {"labels": [7, 7, 3]}, 4),
        ("cgan", "neighbors", {}, 8),
        ("cgan", "traverse", {"num": 2}, 10),
        ("cgan", "interpolate", {}, 20),
        ("cvae", "prior", {"labels": [7, 7, 3]}, 4),
        ("cvae", "reconstruct", {}, 8),
        ("cvae", "traverse", {"labels": [2]}, 15),
        ("cvae", "edit", {"changes": {0: 1.5}}, 8),
        ("cvae", "edit", {"changes": {0: 0.0}, "labels": [9]}, 8),
        ("vae", "prior", {"observation": "sample"}, 4),
        ("vae", "reconstruct", {}, 8),
        ("vae", "traverse", {}, 15),
        ("vae", "interpolate", {"spherical": True}, 20),
        ("vae", "edit", {"changes": {0: 1.5, 2: -1.0}}, 8),
        ("gmm_vae", "components", {}, 4),
        ("gmm_vae", "components", {"num": 64}, 6),  # all that there are
        ("bigan", "reconstruct", {}, 8),
        ("bigan", "interpolate", {}, 20),
        ("bigan", "edit", {"changes": {0: 1.5}}, 8),
        ("bigan", "prior", {"truncation": 0.5}, 4),
        ("infogan", "traverse", {"num": 3}, 30),  # a row for each code, of at least all categories
        ("infogan", "prior", {"truncation": 0.5}, 4),
        ("vqvae", "prior", {}, 4),
        ("vqvae", "reconstruct", {}, 8),
        ("pixelcnn", "prior", {"labels": [3]}, 4),
        ("pixelcnn", "complete", {}, 8),
        ("pixelcnn", "complete", {"rows": 27, "labels": [1, 2]}, 8),
        ("bayes", "prior", {"labels": [3, 1]}, 4),
        ("bayes", "prior", {"observation": "sample"}, 4),
        ("cgan", "prior", {"observation": "mean", "labels": [7, 7, 3]}, 4),  # it has no other
        ("pixelcnn", "prior", {"observation": "mean"}, 4),
        ("flow_matching", "prior", {"labels": [3], "num_steps": 1, "guidance": 2.0}, 4),
        ("flow_matching", "complete", {"rows": 27, "labels": [1, 2]}, 8),
        ("flow_matching", "complete", {"mask": MASK}, 8),
        ("flow_matching", "vary", {"strength": 0.2, "num_steps": 4}, 8),
        ("flow_matching", "vary", {"labels": [3]}, 8),
        ("flow_matching", "path", {"labels": [3], "num_steps": 4}, 20),
    ],
)
def test_every_kind_of_picture(models, fashion_mnist, model, what, settings, count):
    images = draw(models[model], fashion_mnist, what, **settings)
    assert images.shape == (count, 28, 28, 1) and 0 <= images.min() and images.max() <= 1
    if what in ("reconstruct", "edit", "complete", "vary"):
        np.testing.assert_allclose(images[::2] * 255, fashion_mnist.test.images[:4], atol=1e-3)
    if what == "complete":
        given = settings.get("mask", np.arange(28)[:, None] < [settings.get("rows", 14)] * 28)
        np.testing.assert_allclose(images[1::2, given], images[::2, given], atol=1e-6)
        assert np.abs(images[1::2, ~given] - images[::2, ~given]).max() > 0.1
        rows = 0 if "mask" in settings else settings.get("rows", 14)
        np.testing.assert_allclose(images[1::2, :rows], images[::2, :rows], atol=1e-6)
        assert np.abs(images[1::2, rows:] - images[::2, rows:]).max() > 0.1
    if what == "neighbors":
        known = fashion_mnist.train.images[:500] / np.float32(255)
        for sample, neighbor in zip(images[::2], images[1::2], strict=True):
            squares = ((known - sample) ** 2).sum((1, 2, 3))
            np.testing.assert_array_equal(neighbor, known[squares.argmin()])
    if what == "edit" and "labels" in settings:
        real = fashion_mnist.test.first(4)
        code = models[model].encode(real.images, real.labels).mean()
        expected = models[model].generate(code, np.full(4, 9, np.int32))
        np.testing.assert_allclose(images[1::2], expected, atol=1e-6)
    if what == "edit" and "labels" not in settings:
        own, real = models[model], fashion_mnist.test.first(4)
        y = real.labels if own.conditional else None
        code = np.array(own.encode(real.images, y).mean())
        code[:, list(settings["changes"])] += list(settings["changes"].values())
        np.testing.assert_allclose(images[1::2], own.generate(code, y), atol=1e-6)
    if what == "interpolate" and hasattr(models[model], "encode"):  # both ends are reconstructions
        made = models[model].reconstruct(fashion_mnist.test.images[:5])
        np.testing.assert_allclose(images[::5], made[:-1], atol=1e-5)
        np.testing.assert_allclose(images[4::5], made[1:], atol=1e-5)
    if "truncation" in settings:
        own = models[model].sample(4, seed=0, truncation=0.5)
        np.testing.assert_allclose(images, own, atol=1e-6)
        assert np.abs(images - draw(models[model], fashion_mnist, what)).max() > 1e-3
    if what == "prior" and model == "cgan":
        own = models[model].sample(4, [7, 7, 3, 7], seed=0)
        np.testing.assert_allclose(images, own, atol=1e-6)


def test_a_traversal_is_in_standard_deviations_of_the_prior(fashion_mnist):
    model = zoo.create("gmm_vae", network="mlp", hidden=(16,), latent_dim=2, num_prior_components=1)
    model.prior_loc.assign([[5.0, -2.0]])
    model.prior_raw_scale.assign(np.log(np.expm1([[0.5, 2.0]])))
    scale = model.p_z().stddev().numpy()
    images = draw(model, fashion_mnist, "traverse").reshape(2, 5, 28, 28, 1)
    code = np.repeat(model.encode(fashion_mnist.test.images[:1]).mean(), 5, 0)
    for j, mean in enumerate([5.0, -2.0]):
        path = code.copy()
        path[:, j] = mean + scale[j] * np.linspace(-3, 3, 5)
        np.testing.assert_allclose(images[j], model.generate(path), atol=1e-5)


@pytest.mark.parametrize(
    ("model", "what", "settings", "message"),
    [
        ("cgan", "edit", {"changes": {0: 1.0}}, "has no encoder"),
        ("cgan", "prior", {"labels": [12]}, r"label 12 is outside 0\.\.9"),
        ("cgan", "prior", {"labels": []}, "no label"),
        ("cgan", "prior", {"observation": "sample"}, "only one image of a latent"),
        ("vae", "prior", {"labels": [1]}, "takes no labels"),
        ("vae", "edit", {"changes": {9: 1.0}}, "no latent dimension 9"),
        ("vae", "edit", {}, "say what to change"),
        ("vae", "interpolate", {"real": lambda count: ONE}, "there is one image"),
        ("vae", "prior", {"changes": {0: 1.0}}, "--edit. goes with edit"),
        ("pixelcnn", "prior", {"rows": 3}, "rows goes with complete"),
        ("cgan", "traverse", {"spherical": True}, "spherical goes with interpolate"),
        ("cgan", "prior", {"steps": 3}, "steps goes with interpolate or traverse"),
        ("vae", "traverse", {"observation": "sample"}, "traverse shows p\\(x\\|z\\)'s mean"),
        ("cvae", "reconstruct", {"labels": [1]}, "leave labels out"),
        ("classifier", "prior", {}, "does not generate images"),
        ("vae", "complete", {}, "cannot complete an image"),
        ("vae", "prior", {"num_steps": 3}, "num_steps goes with models that draw in steps"),
        ("pixelcnn", "complete", {"guidance": 2.0}, "guidance goes with models that draw in"),
        ("pixelcnn", "complete", {"mask": MASK}, "row by row: give rows, and no mask"),
        ("flow_matching", "complete", {"mask": MASK, "rows": 3}, "leave one out"),
        ("flow_matching", "prior", {"mask": MASK}, "a mask goes with complete"),
        ("flow_matching", "prior", {"strength": 0.3}, "strength goes with vary"),
        ("flow_matching", "traverse", {}, "has no latents"),
        ("vae", "vary", {}, "cannot vary an image"),
        ("pixelcnn", "path", {}, "does not draw in steps"),
        ("pixelcnn", "complete", {"rows": 28}, "an image has 28"),
        ("pixelcnn", "traverse", {}, "has no latents"),
        ("pixelcnn", "prior", {"observation": "sample"}, "only one image"),
        ("vqvae", "traverse", {}, "no axes in its codes"),
        ("vqvae", "edit", {"changes": {0: 1.0}}, "no axes in its codes"),
        ("bayes", "interpolate", {}, "has no latents"),
        ("vae", "components", {}, "no mixture"),
    ],
)
def test_what_cannot_be_drawn(models, fashion_mnist, model, what, settings, message):
    with pytest.raises(zoo.InputError, match=message):
        draw(models[model], fashion_mnist, what, **settings)


@pytest.mark.parametrize(
    ("num", "labels", "columns"),
    [
        (60, range(10), 10),
        (64, [7, 3], 8),
        (4, [7, 3], 2),
        (8, [7, 3, 5], 3),
        (64, [7], None),
        (2, [7, 3, 5], None),
    ],
)
def test_each_column_of_a_grid_that_is_about_square_has_one_label(models, num, labels, columns):
    for given in (list(labels), np.array(labels)):
        assert views.draw(models["cgan"], "prior", num=num, labels=given).columns == columns


def test_columns_and_rows_have_names(models, fashion_mnist):
    names = fashion_mnist.class_names
    settings = {"num": 4, "real": fashion_mnist.test.first}

    def view(model, what, **more):
        return views.draw(models[model], what, class_names=names, **{**settings, **more})

    assert view("cgan", "prior", labels=[7, 3]).heads == ("Sneaker", "Dress")
    assert views.draw(models["cgan"], "prior", num=4, labels=[7, 3]).heads == ("7", "3")
    assert view("vae", "reconstruct").heads == ("image", "reconstruction") * 4
    found = view("vae", "traverse", steps=3)
    assert found.heads == ("-3", "0", "+3") and found.rows == ("z0", "z1", "z2")
    assert view("vae", "interpolate", steps=3).heads == ("0.00", "0.50", "1.00")
    assert view("pixelcnn", "complete").heads[:2] == ("image", "completed")
    found = view("flow_matching", "path", labels=[7, 3], num=2, num_steps=4)
    assert found.heads == ("0.00", "0.25", "0.50", "0.75", "1.00")
    assert found.rows == ("Sneaker", "Dress") and found.columns == 5


def test_the_labels_of_new_images_are_known_also_where_none_were_asked_for(models):
    for model in ("cgan", "cvae", "pixelcnn", "flow_matching"):
        found = views.draw(models[model], "prior", num=6, seed=4)
        again = models[model].sample(6, found.labels, seed=4)
        extra = {"observation": "mean"} if model == "cvae" else {}
        again = models[model].sample(6, found.labels, seed=4, **extra)
        np.testing.assert_allclose(found.images, again, atol=1e-6)
    assert views.draw(models["vae"], "prior", num=2).labels is None


@pytest.mark.parametrize("channels", [1, 3])
def test_a_figure_is_large_and_has_room_for_its_names(channels):
    images = np.zeros((6, 10, 10, channels), np.uint8)
    plain = pictures.figure(images, 3)
    assert plain.shape == (29 * 21, 29 * 32, channels)  # 21 x 32 pixels of 29
    heads, rows = ("a", "a long name of some words", "Donaudampfschifffahrtskapitaen"), ("x", "yy")
    whole = pictures.figure(images, 3, heads, rows)
    top, left = (a - b for a, b in zip(whole.shape, plain.shape, strict=True) if a > b)
    np.testing.assert_array_equal(whole[top:, left:], plain)
    above, beside = whole[:top, left:], whole[top:, :left]
    assert (above < 128).any() and (beside < 128).any() and (whole[:top, :left] == 255).all()
    cell = 29 * 11
    for i in range(3):  # each name is above its column
        assert (above[:, i * cell : (i + 1) * cell] < 128).any()
        assert (above[:, (i + 1) * cell - 2 : (i + 1) * cell] == 255).all()
    assert pictures.figure(images, 3, zoom=1).shape == (21, 32, channels)


def test_names_that_are_too_long_are_cut():
    tiny = pictures.figure(np.zeros((4, 8, 8, 1), np.uint8), 4, ["Donaudampfschiff"] * 4, zoom=3)
    assert tiny.shape[1] == 3 * 35
    font = pictures._font(9)
    for width in (30, 60, 300):
        lines = pictures._in_lines("one two three four five six seven", font, width).split("\n")
        assert len(lines) <= 3 and all(font.getlength(line) <= width for line in lines)

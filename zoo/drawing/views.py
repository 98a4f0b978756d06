"""The things to see of a generative model, as images for a grid."""

import dataclasses
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from zoo.data import Split, toy
from zoo.drawing import pictures
from zoo.errors import InputError
from zoo.evaluation import distances
from zoo.math import latents, noise

PAIRS = {  # what stands beside what
    "neighbors": ("sample", "nearest training image"),
    "complete": ("image", "completed"),
    "vary": ("image", "variation"),
    "reconstruct": ("image", "reconstruction"),
    "edit": ("image", "edited"),
}
NUM, NUM_POINTS = 64, 1000  # images, or 2-D toy data, where it is not said
NUM_PATHS = 8
OF_REAL_IMAGES = tuple(what for what, (left, _) in PAIRS.items() if left == "image")
IN_STEPS = ("prior", "path", "neighbors", "complete", "vary")
STEPS = 9
TRAVERSAL = 3.0  # standard deviations of the prior, to either side of its mean


@dataclasses.dataclass(frozen=True)
class View:
    """Images for a grid, and what its columns and rows are.

    Attributes:
      images: float [N, H, W, C] in [0, 1].
      columns: their number (None: about a square).
      heads: a name for each column, or none.
      rows: a name for each row, or none.
      labels: int32 [N], of new images of a conditional model; else None.
    """

    images: np.ndarray
    columns: int | None = None
    heads: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    labels: np.ndarray | None = None


def draw(
    model,
    what: str,
    *,
    num: int | None = None,
    labels: Sequence[int] | None = None,
    seed: int = 0,
    observation: str | None = None,
    truncation: float | None = None,
    spherical: bool = False,
    steps: int | None = None,
    changes: Mapping[int, float] | None = None,
    rows: int | None = None,
    mask: np.ndarray | None = None,
    strength: float | None = None,
    num_steps: int | None = None,
    guidance: float | None = None,
    progress: bool = False,
    real: Callable[[int], Split] | None = None,
    train_images: Callable[[], np.ndarray] | None = None,
    told: Callable[[Any], None] = lambda drawn: None,
    class_names: Sequence[str] = (),
) -> View:
    """Draws one kind of picture.

    Args:
      model: a generative model.
      what: `prior`, `path`, `neighbors`, `complete`, `vary`, `reconstruct`, `traverse`,
        `interpolate`, `edit` or `components`.
      num: number of images; rows, for `interpolate` and `path`. `NUM` when left out, `NUM_PATHS`,
        or of toy data `NUM_POINTS`.
      labels: of a conditional model, repeated to what is needed: a column of `prior` each, or
        several where they are few.
      seed: random seed.
      observation: `mean` or `sample` (of p(x|z), for models with a decoder); when left out the
        mean, but for new points of 2-D toy data a draw.
      truncation: of a GAN's latents, at most so far from 0, for `prior` and `neighbors`.
      spherical: whether `interpolate` keeps to the sphere.
      steps: columns of `traverse`, which are the categories where latents have some, and of
        `interpolate`; `STEPS` when left out.
      changes: latent dimension -> what `edit` adds to it.
      rows: of an image that `complete` is given; half of them when left out, without a mask.
      mask: bool [H, W], the pixels that `complete` is given.
      strength: the share of noise that `vary` puts on images.
      num_steps: of the sampler of models that draw in steps.
      guidance: how much labels count in such a model.
      progress: whether models that draw pixel by pixel, or in steps, count them on stderr.
      real: gives n images with their labels, uint8; needed where there is an encoder.
      told: is given what a model says of how well it has drawn, if it says so.
      train_images: gives all training images, uint8 [M, H, W, C]; for `neighbors`.
      class_names: of the labels, whose numbers name them when it is left out.

    Raises:
      InputError: the model cannot do this, or a setting is wrong.
    """
    _refuse(model, what, labels, observation, truncation)
    _refuse_settings_of_others(what, changes, rows, mask, spherical, steps, strength)
    steps = steps or STEPS
    options = _options(model)
    sampler = {"num_steps": num_steps, "guidance": guidance}
    sampler = {name: value for name, value in sampler.items() if value is not None}
    for name in sampler:
        if name not in options or what not in IN_STEPS:
            raise InputError(
                f"{name} goes with models that draw in steps, such as flow_matching, and with new, "
                "completed or varied images: leave it out"
            )
    has_codes, has_decoder = "encode" in model.can, "decode" in model.can
    points = model.image_shape == toy.IMAGE_SHAPE
    num = num or (NUM_PATHS if what == "path" else NUM_POINTS if points else NUM)

    def beside(left: np.ndarray, right: np.ndarray) -> View:
        return View(_beside(left, right), 8, PAIRS[what] * 4)

    def labels_for(count: int):
        return None if labels is None else np.resize(np.array(labels, np.int32), count)

    def labels_of_new():
        """Labels of new images, which are those that the model draws where none are asked for."""
        if labels is None and model.conditional:
            return np.asarray(model.labels_for(num, None, noise.stateless_seed(seed)))
        return labels_for(num)

    def names_of(labels) -> tuple[str, ...]:
        return tuple(class_names[y] if class_names else str(y) for y in labels)

    def known(count: int):
        """Images, and their labels where the model wants to know."""
        split = real(count)
        return split.images, split.labels if model.conditional else None

    def encoded(images, own):
        """Codes of images with their own labels, and the labels to decode them with."""
        # other ones than the images': the same style in another class
        y = own if labels is None else labels_for(len(images))
        return model.code(model.encode(images, own)), y

    def codes_and_labels(count: int):
        """Codes to start from: of test images where there is an encoder, else of the prior."""
        if has_codes:
            return encoded(*known(count))
        given = labels_for(count)
        if model.conditional and given is None:
            given = np.arange(count, dtype=np.int32) % model.num_classes
        return model.draw_prior(count, seed), given

    if what in ("prior", "neighbors"):
        if has_decoder and observation is None:
            observation = "sample" if points else "mean"
        extra = {"observation": observation} if observation and "observation" in options else {}
        extra |= sampler
        if truncation is not None:
            extra["truncation"] = truncation
        if "progress" in options:
            extra["progress"] = progress
        if "draw" in model.can:
            drawn = model.draw(num, labels_for(num), seed=seed, **extra)
            told(drawn)
            made = np.asarray(drawn.images)
        else:
            made = np.asarray(model.sample(num, labels_for(num), seed=seed, **extra))
        if what == "prior":
            own = labels_of_new()
            if labels is None or not 1 < len(labels) <= num:
                return View(made, labels=own)
            columns = _columns(num, len(labels))
            heads = tuple(np.resize(names_of(labels), columns).tolist())
            return View(made, columns, heads, labels=own)
        train = train_images()
        index, _ = distances.nearest_images(made, train)
        return beside(made, train[index] / np.float32(255))
    if what == "path":
        y = labels_of_new()
        made = np.asarray(model.path(num, y, seed=seed, **sampler))
        heads = tuple(f"{t:.2f}" for t in np.asarray(model.times(made.shape[1] - 1)))
        rows_are = () if y is None else names_of(y)
        of_each = None if y is None else np.repeat(y, made.shape[1])
        return View(made.reshape(-1, *made.shape[2:]), made.shape[1], heads, rows_are, of_each)
    if what in ("vary", "complete"):
        images, y = known(num)
        y = y if labels is None else labels_for(len(images))
        extra = {"seed": seed, "progress": progress, **sampler}
    if what == "vary":
        extra |= {} if strength is None else {"strength": strength}
        made = np.asarray(model.vary(images, labels=y, **extra))
        return beside(images / np.float32(255), made)
    if what == "complete":
        if rows is not None and not 0 <= rows < images.shape[1]:
            raise InputError(f"rows={rows}: an image has {images.shape[1]}, and one is to be drawn")
        if mask is None:
            rows = images.shape[1] // 2 if rows is None else rows
        elif "mask" not in inspect.signature(model.complete).parameters:
            raise InputError(f"{model.name} completes images row by row: give rows, and no mask")
        else:
            extra["mask"] = mask
        made = np.asarray(model.complete(images, rows, y, **extra))
        return beside(images / np.float32(255), made)
    if what == "components":
        return View(np.asarray(model.prior_images())[:num])
    if what == "reconstruct":
        images, y = known(num)
        extra = {"observation": observation or "mean", "seed": seed} if has_decoder else {}
        made = np.asarray(model.reconstruct(images, y, **extra))
        return beside(images / np.float32(255), made)
    if what == "edit":
        if not changes:
            raise InputError("say what to change, as --edit=3:+1.5,7:-2")
        images, own = known(num)
        code, y = encoded(images, own)
        made = latents.images_of(model, latents.edit(code, changes), y)
        return beside(images / np.float32(255), made)
    if what == "traverse":
        code, y = codes_and_labels(1)
        if "traverse" in model.can:
            paths, names = model.traversals(code, steps)
            images = latents.images_of(model, paths[:num])
            return View(
                images.reshape(-1, *images.shape[2:]), paths.shape[1], (), tuple(names[:num])
            )
        if categories := model.num_categories:
            num, steps = min(num, model.latent_dim // categories), categories
            paths = [latents.every_category(code, j, categories) for j in range(num)]
            heads = [f"category {k}" for k in range(categories)]
        else:
            mean, deviation = np.zeros(model.latent_dim), np.ones(model.latent_dim)
            if "prior" in model.can:  # which may have been learnt
                prior = model.p_z(y)  # of one label, if it depends on it
                mean, deviation = (v.numpy().ravel() for v in (prior.mean(), prior.stddev()))
            values = np.linspace(mean - TRAVERSAL * deviation, mean + TRAVERSAL * deviation, steps)
            num = min(num, model.latent_dim)
            paths = [latents.traverse(code, j, values[:, j]) for j in range(num)]
            heads = [f"{v:+.2g}" if v else "0" for v in np.linspace(-TRAVERSAL, TRAVERSAL, steps)]
        rows_are = [f"z{j}" for j in range(num)]
        paths = tf.concat(paths, axis=0)
    else:
        code, y = codes_and_labels(num + 1)
        if len(code) < 2:
            raise InputError("there is one image, and nothing lies between it and another")
        paths = latents.interpolate(code[:-1], code[1:], steps, spherical)
        y = None if y is None else y[:-1]
        heads, rows_are = [f"{share:.2f}" for share in np.linspace(0, 1, steps)], []
    path_labels = None
    if y is not None:
        path_labels = np.broadcast_to(np.resize(y, len(paths))[:, None], paths.shape[:2])
    images = latents.images_of(model, paths, path_labels)
    return View(images.reshape(-1, *images.shape[2:]), steps, tuple(heads), tuple(rows_are))


def _columns(num: int, num_labels: int) -> int:
    """Of a grid whose columns have a label each: about a square."""
    return num_labels * max(1, round(math.sqrt(num) / num_labels))


def _options(model) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(model.sample).parameters


def _refuse(model, what: str, labels, observation: str | None, truncation: float | None) -> None:
    """Raises InputError for what the model cannot do, and for settings without a meaning."""
    if "sample" not in model.can:
        raise InputError(f"{model.name} does not generate images")
    if what == "complete" and "complete" not in model.can:
        raise InputError(f"{model.name} cannot complete an image of which a part is given")
    if what == "vary" and "vary" not in model.can:
        raise InputError(f"{model.name} cannot vary an image")
    if what == "path" and "steps" not in model.can:
        raise InputError(f"{model.name} does not draw in steps: there is no path to show")
    if what == "path" and model.image_shape == toy.IMAGE_SHAPE:
        raise InputError("a path is shown as images, and not of 2-D toy data")
    if what in ("traverse", "interpolate") and "generate" not in model.can:
        raise InputError(f"{model.name} has no latents: it cannot {what}")
    needed = {"reconstruct": {"reconstruct"}, "edit": {"encode", "generate"}}.get(what, set())
    if not needed <= model.can:
        raise InputError(f"{model.name} has no encoder: it cannot {what} an image")
    if what == "components" and getattr(model, "num_prior_components", 1) == 1:
        raise InputError(f"{model.name}'s prior is no mixture: it has no components to show")
    if labels is not None:
        if not model.conditional:
            raise InputError(f"{model.name} is unconditional: it takes no labels")
        if not len(labels):
            raise InputError("there is no label in the list of labels")
        if bad := [y for y in labels if not 0 <= y < model.num_classes]:
            raise InputError(f"label {bad[0]} is outside 0..{model.num_classes - 1}")
    if what in ("traverse", "interpolate", "edit") and not model.axes:
        raise InputError(f"{model.name} has no axes in its codes: it cannot {what}")
    if what in ("interpolate", "edit") and model.num_categories:
        raise InputError(
            f"{model.name}'s latents are categories, and nothing lies between two: it cannot {what}"
        )
    if observation == "sample" and "observation" not in _options(model):
        raise InputError(f"{model.name} has no p(x|z): there is only one image of a latent")
    if truncation is not None and "discriminate" not in model.can:
        raise InputError(f"{model.name} is no GAN: its latents are not truncated")
    if truncation is not None and what not in ("prior", "neighbors"):
        raise InputError(f"truncation is of new images: leave it out of {what}")
    if observation is not None and what not in ("prior", "neighbors", "reconstruct"):
        raise InputError(f"observation is of whole new images: {what} shows p(x|z)'s mean")
    if labels is not None and what == "reconstruct":
        raise InputError("an image is reconstructed with its own label: leave labels out")
    if what == "interpolate" and "traverse" in model.can:
        raise InputError(f"{model.name}'s first latents are codes, and G never saw two mixed")


def _refuse_settings_of_others(
    what: str, changes, rows, mask, spherical: bool, steps, strength
) -> None:
    """Raises InputError for what was set and would say nothing."""
    if rows is not None and mask is not None:
        raise InputError("rows and a mask both say which pixels are given: leave one out")
    for name, given, whats in (
        ("changes (--edit)", bool(changes), ("edit",)),
        ("rows", rows is not None, ("complete",)),
        ("a mask", mask is not None, ("complete",)),
        ("spherical", spherical, ("interpolate",)),
        ("steps", steps is not None, ("interpolate", "traverse")),
        ("strength", strength is not None, ("vary",)),
    ):
        if given and what not in whats:
            raise InputError(f"{name} goes with {' or '.join(whats)}: leave it out of {what}")


def picture(what: str, view: View, real: Callable[[int], Split], zoom: int = 0) -> np.ndarray:
    """What `draw` drew as one picture: a grid with its names, or, of 2-D toy data, a scatter plot.

    Args:
      what: as `draw` was asked.
      view: that it returned; a scatter plot leaves out those `beside`.
      real: gives n real images, for the points to be seen beside.
      zoom: see `pictures.figure`; of a scatter plot 2 when left out.
    """
    if view.images.shape[1:] != toy.IMAGE_SHAPE:
        return pictures.figure(view.images, view.columns, view.heads, view.rows, zoom)
    found = pictures.scatter(arrays(what, view.images)["images"], real(NUM_POINTS).images)
    return pictures.enlarged(found, zoom or 2)


def arrays(what: str, images: np.ndarray) -> dict[str, np.ndarray]:
    """What `draw` drew, `images`, and the real images `beside` them where there are pairs.

    Args:
      what: as `draw` was asked.
      images: that it returned.
    """
    if what in OF_REAL_IMAGES:
        return {"images": images[1::2], "beside": images[::2]}
    if what == "neighbors":
        return {"images": images[::2], "beside": images[1::2]}
    return {"images": images}


def _beside(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.stack([left, right], 1).reshape(-1, *left.shape[1:])

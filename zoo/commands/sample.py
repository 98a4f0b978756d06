"""Draws from a trained model: zoo sample --pretrained=cgan.

What is drawn goes to a PNG grid (of 2-D toy data, a scatter plot), or as arrays to an .npz
file. The film of a training run is a GIF.
"""

import math
import os
import pathlib
import sys

from absl import flags

from zoo.commands import cli
from zoo.core import files
from zoo.errors import InputError, one_line

KINDS = (
    "prior",
    "path",
    "neighbors",
    "complete",
    "vary",
    "reconstruct",
    "traverse",
    "interpolate",
    "edit",
    "components",
    "film",
)

cli.define_source()
_WHAT = flags.DEFINE_enum(
    "what",
    "prior",
    (*KINDS, "neighbours"),  # as version 0.1 spelled it
    "prior: new images; path: new images on their way from noise, of models that draw in steps; "
    "neighbors: new images, each with the training image that is nearest in "
    "pixels on its right; complete: test images beside what the model makes of their first --rows, "
    "or of the pixels in --mask; vary: test images, and the same after noise was put on them and "
    "taken away; reconstruct: test images beside their reconstructions; traverse: one "
    "latent dimension a row, or every category of one; interpolate: from one image (or latent) to "
    "another; edit: test images, and the same with --edit applied to their codes; components: what "
    "the decoder makes of the mean of each component of a learned prior, the heaviest first; film: "
    "the samples that a run has drawn while it trained, an epoch a frame, as a .gif.",
)
_NUM = flags.DEFINE_integer(
    "num",
    None,
    "Images (rows, for interpolate and path); default 64, of paths 8, or 1,000 points of 2-D toy "
    "data. Of a film the most frames.",
    lower_bound=1,
)
_LABELS = flags.DEFINE_list(
    "labels",
    None,
    "Classes of a conditional model by name or number, as Sneaker,7; repeated to --num.",
)
_SEED = flags.DEFINE_integer("seed", 0, "Random seed.", lower_bound=0, upper_bound=2**31 - 1)
_OBSERVATION = flags.DEFINE_enum(
    "observation",
    None,
    ["mean", "sample"],
    "Show p(x|z)'s mean or draw from it (VAEs); default the mean, for 2-D toy data a draw.",
)
_TRUNCATION = flags.DEFINE_float(
    "truncation", None, "A GAN's latents are at most so far from 0: more typical, less varied."
)
_SPHERICAL = flags.DEFINE_bool("spherical", False, "Interpolate along the sphere.")
_STEPS = flags.DEFINE_integer(
    "steps",
    None,
    "Columns of traverse (categories have their own) and interpolate; default: 9.",
    lower_bound=2,
)
_EDIT = flags.DEFINE_list("edit", None, "Changes of code dimensions, as 3:+1.5,7:-2.")
_ROWS = flags.DEFINE_integer(
    "rows", None, "Rows that complete is given; default: half of the image.", lower_bound=0
)
_MASK = flags.DEFINE_string(
    "mask",
    "",
    "For complete: a picture of the images' size. What is white in it is given, and what is black "
    "is drawn (flow_matching, diffusion).",
)
_IMAGE = flags.DEFINE_string(
    "image",
    "",
    "A picture of your own in place of test images, for complete, vary, reconstruct and edit. It "
    "is made a square and resized. A conditional model needs its class in --labels.",
)
_STRENGTH = flags.DEFINE_float(
    "strength", None, "Share of noise that vary puts on images, up to 1; default: 0.4."
)
_ZOOM = flags.DEFINE_integer(
    "zoom",
    0,
    "Size of a pixel in the PNG; 0: so that it is at least 900 pixels wide.",
    lower_bound=0,
)
_DATA_DIR = flags.DEFINE_string("data_dir", "", "Where the data lies now, if it has moved.")
_OUT = flags.DEFINE_string(
    "out",
    "samples.png",
    "A .png file (for film .gif, default film.gif); a new folder, DIR/, for a PNG of each image; "
    "or .npz: images, float32 [N, H, W, C] in [0, 1], and beside, the real ones that the picture "
    "has beside them; the same as uint8 in arr_0, and labels.",
)
_LOGDIR = flags.DEFINE_string(
    "logdir", "", "Folder for TensorBoard, with the trace of the chains (--method=mcmc)."
)


def main(argv: list[str]) -> None:
    """Reads the flags, draws and writes."""
    if _WHAT.value == "film":
        return _film()
    in_folder = _OUT.value.endswith("/")
    if in_folder and os.path.lexists(_OUT.value.rstrip("/")):
        raise InputError(f"--out={_OUT.value} exists: name a new folder")
    out = (cli.output_folder if in_folder else cli.output_file)(_OUT.value)
    if not in_folder and out.suffix not in (".png", ".npz"):
        raise InputError(f"--out={out} must end in .png or .npz, or, for a folder, in /")
    try:
        changes = {int(d): float(v) for d, v in (c.split(":") for c in _EDIT.value or [])}
    except ValueError:
        raise InputError(f"--edit={','.join(_EDIT.value)} is not like 3:+1.5,7:-2") from None
    if not all(map(math.isfinite, changes.values())):
        raise InputError(f"--edit={','.join(_EDIT.value)} must be finite numbers")

    if _LOGDIR.value:
        files.check_utf8(pathlib.Path(_LOGDIR.value))

    what = {"neighbours": "neighbors"}.get(_WHAT.value, _WHAT.value)

    import numpy as np

    import zoo
    from zoo.drawing import pictures, views

    model = zoo.load(cli.source())
    labels = None if _LABELS.value is None else _labels(model, _LABELS.value)
    if _LOGDIR.value:
        if getattr(model.config, "method", None) != "mcmc":
            raise InputError(
                "--logdir shows chains: it goes with --model=bayes_conditional --method=mcmc"
            )
        if (folder := pathlib.Path(_LOGDIR.value)).exists() and not folder.is_dir():
            raise InputError(f"--logdir={folder} is no folder")
        if folder.exists() and not os.access(folder, os.W_OK):
            raise InputError(f"--logdir={folder} is a folder that may not be written to")

    if _IMAGE.value and what not in views.OF_REAL_IMAGES:
        kinds = " or ".join(views.OF_REAL_IMAGES)
        raise InputError(f"--image goes with {kinds}: leave it out of {what}")
    num, real = _NUM.value, lambda count: _split("test").first(count)
    if _IMAGE.value:
        real = _of_file(_IMAGE.value, model, labels)
        num = num or (8 if what in ("complete", "vary") else 1)
        labels = None if model.conditional else labels  # they are the picture's own

    told = []
    view = views.draw(
        model,
        what,
        num=num,
        labels=labels,
        seed=_SEED.value,
        observation=_OBSERVATION.value,
        truncation=_TRUNCATION.value,
        spherical=_SPHERICAL.value,
        steps=_STEPS.value,
        changes=changes,
        rows=_ROWS.value,
        mask=_mask(_MASK.value, model.image_shape) if _MASK.value else None,
        strength=_STRENGTH.value,
        **cli.of_sampler(),
        progress=sys.stderr.isatty(),
        real=real,
        told=told.append,
        train_images=lambda: _split("train").images,
        class_names=_class_names(model),
    )
    arrays = views.arrays(what, view.images)
    if in_folder:
        files.write_folder(out, lambda place: _write_each(place, view, arrays["images"]), False)
    elif out.suffix == ".npz":
        arrays["arr_0"] = pictures.levels(arrays["images"])
        if view.labels is not None:
            arrays["labels"] = view.labels
        files.write_atomically(out, lambda f: np.savez(f, **arrays))
    else:
        pictures.save_png(out, views.picture(what, view, real, _ZOOM.value))
    print(f"{len(arrays['images'])} images in {out}")
    if _LOGDIR.value:
        _write_trace(_LOGDIR.value, told[0].trace)
    for drawn in told:
        for name, value in drawn.diagnostics.items():
            said = f"{value:.3g}" if value.ndim == 0 else _of_classes(value, labels)
            print(f"{name}: {said}")
        for line in drawn.warnings:
            print(f"warning: {line}.", file=sys.stderr)


def _film() -> None:
    """The film of a run; no model is loaded."""
    if flags.FLAGS.workdir is None:
        raise InputError("--what=film shows a training run: name its folder by --workdir")
    if more := sorted(cli.present() - {"what", "workdir", "out", "num"}):
        raise InputError(f"--{more[0]} does not go with --what=film: leave it out")
    out = cli.output_file(_OUT.value if "out" in cli.present() else "film.gif")
    if out.suffix != ".gif":
        raise InputError(f"--out={out}: a film must end in .gif")

    from zoo.drawing import film
    from zoo.hub import loading

    workdir = cli.source()
    settings = loading.read_config(workdir)
    count = film.save(out, film.of_run(workdir), settings["model"], _NUM.value)
    print(f"{count} frames in {out}")


def _write_each(folder: pathlib.Path, view, images) -> None:
    """A PNG of each image: its number, and of a conditional model the number of its class."""
    from zoo.drawing import pictures

    for i, image in enumerate(images):
        of_class = "" if view.labels is None else f"_class_{view.labels[i]}"
        pictures.save_png(folder / f"{i:06d}{of_class}.png", pictures.levels(image))


def _of_file(path: str, model, labels):
    """What gives n times the picture in a file, as a run takes pictures, with the labels in turn.

    Raises:
      InputError: it cannot be read, or images are no squares.
    """
    import numpy as np

    from zoo.data import Split, images, pipeline
    from zoo.hub import loading

    height, width, channels = model.image_shape
    if height != width:
        raise InputError(f"--image is made a square, and images of {model.name} are none")
    run = loading.read_config(cli.source()).get("run", {})
    try:
        image = images.decode(
            pathlib.Path(path), "L" if channels == 1 else "RGB", height, run.get("fit", "crop")
        )
    except images.Unreadable as e:
        raise InputError(f"--image={path} cannot be read: {e}") from None
    image = image.reshape(1, *model.image_shape)

    def repeated(count: int) -> Split:
        if model.conditional and not labels:
            raise InputError(f"{model.name} must know what --image shows: say its class, --labels")
        own = np.resize(np.array(labels or [0], np.int32), count)
        split = Split(np.repeat(image, count, axis=0), own)
        return pipeline.binarized(split, "test", run.get("binarization", "none"), _SEED.value)

    return repeated


def _mask(path: str, image_shape):
    """Which pixels are given, bool [H, W], of a black and white picture.

    Raises:
      InputError: it cannot be read, or is of another size.
    """
    from zoo.data import images

    try:
        mask = images.decode(pathlib.Path(path), "L", None)
    except images.Unreadable as e:
        raise InputError(f"--mask={path} cannot be read: {e}") from None
    if mask.shape != tuple(image_shape[:2]):
        sides = [f"{width}x{height}" for height, width in (mask.shape, image_shape[:2])]
        raise InputError(f"--mask={path} is {sides[0]}, and images are {sides[1]}")
    return mask > 127


def _labels(model, asked: list[str]) -> list[int]:
    """The numbers of the classes that were asked for; says which class each one is."""
    from zoo.data import classes

    if not model.conditional:
        return []  # it takes no labels, which `draw` says
    names = _class_names(model)
    labels = classes.numbers(asked, names)
    said = {f"{k} = {names[k]}": None for k in labels if names[k] != str(k)}
    if said:
        print(one_line(f"labels: {', '.join(said)}"), flush=True)
    return labels


def _class_names(model) -> list[str]:
    """The names of a model's labels, or their numbers."""
    from zoo.hub import loading

    known = loading.read_config(cli.source()).get("class_names")
    return known or [str(k) for k in range(model.num_classes)]


def _of_classes(values, labels) -> str:
    """A number for each class that was asked for; NaN where there is none."""
    asked = range(len(values)) if labels is None else sorted(set(labels))
    return ", ".join(f"class {k} {values[k]:.3g}" for k in asked if not math.isnan(values[k]))


def _write_trace(folder: str, trace) -> None:
    """Scalars for TensorBoard, a point for each step of the chains."""
    import tensorflow as tf

    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)  # where it cannot be, one clear line
    with tf.summary.create_file_writer(folder).as_default():
        for name, values in trace.items():
            for step, value in enumerate(values, 1):
                tf.summary.scalar(f"chains/{name}", value, step=step)


def _split(name: str):
    from zoo.training import inputs

    return inputs.split_of(cli.source(), name, _DATA_DIR.value, _SEED.value)


def run() -> None:
    """Reads the command line and ends the process."""
    cli.run(main, cli.parser(cli.define_sampler))

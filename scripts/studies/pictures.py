"""Draws the pictures of cards and pages anew: python scripts/studies/pictures.py --mnist_dir=DIR.

They are those of `scripts/sample.py`, so that the commands under them on the pages draw the same.
`docs/pictures.json` has the settings of those on pages.
"""

from zoo.core import stopping  # noqa: F401  isort: skip  (first: Ctrl-C during the imports)
import functools
import pathlib

from absl import flags

from zoo.commands import cli

_MODELS = flags.DEFINE_list("models", [], "Names of pretrained models; default: all, and pages.")
_MNIST_DIR = flags.DEFINE_string("mnist_dir", "", "Folder with the four IDX files of MNIST.")

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"


def main(argv: list[str]) -> None:
    """Draws and writes."""
    from zoo.core import files
    from zoo.evaluation import records
    from zoo.hub import folders, pretrained

    for name in _MODELS.value or pretrained.manifest():
        pretrained.check_known(name)
        folder = pretrained.FOLDER / name
        samples = records.read_record(folder / folders.RECORD)["figures"].get("samples")
        if samples is not None:  # means of p(x|z), or draws from it, as they were measured
            how = {"observation": samples["observation"]}
            _draw(folder / folders.SAMPLES, name, "prior", **how)
            _draw(folder / folders.NEIGHBORS, name, "neighbors", num=32, **how)
    for picture, how in files.read_json(DOCS / "pictures.json").items():
        if not _MODELS.value or how["model"] in _MODELS.value:
            _draw(DOCS / f"{picture}.png", how.pop("model"), how.pop("what"), **how)


@functools.lru_cache(maxsize=1)  # both pictures of a card are of one model
def _load(name: str):
    import zoo

    return zoo.load(name)


def _draw(path: pathlib.Path, name: str, what: str, **how) -> None:
    from zoo.drawing import pictures, views
    from zoo.hub import loading, references
    from zoo.training import inputs

    source = references.Packaged(name)
    settings = loading.read_config(source)
    of_mnist = settings["run"]["dataset"] == "mnist"
    if of_mnist and not _MNIST_DIR.value and what != "prior":
        print(f"{path} shows images of MNIST: passed over without --mnist_dir", flush=True)
        return

    def split(part: str):
        return inputs.split_of(source, part, _MNIST_DIR.value if of_mnist else "", 0)

    def real(count: int):
        return split("test").first(count)

    model = _load(name)
    if what == "prior" and model.conditional:  # a column for each class
        how |= {"num": 6 * model.num_classes, "labels": range(model.num_classes)}
    view = views.draw(
        model,
        what,
        real=real,
        train_images=lambda: split("train").images,
        class_names=settings.get("class_names") or (),
        **how,
    )
    pictures.save_png(path, views.picture(what, view, real))
    print(path, flush=True)


if __name__ == "__main__":
    cli.run(main)

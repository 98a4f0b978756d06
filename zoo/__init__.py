"""A zoo of deep generative models on TensorFlow, Keras 3 and TensorFlow Probability.

Examples:
  >>> import zoo
  >>> model = zoo.create("vae", latent_dim=10)   # compiled, ready for fit
  >>> model = zoo.load("runs/vae-fashion_mnist")  # with trained weights

Importing `zoo` imports no TensorFlow; creating or loading a model does. Models are Keras models: of
a `.keras` file that `model.save` wrote, `keras.saving.load_model` makes one again wherever `zoo` is
imported.
"""

import os
import pathlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from zoo.errors import InputError
from zoo.registry import list_models, tell_keras

if TYPE_CHECKING:
    from zoo.recipes import Recipe
    from zoo.training.api import Result

__version__ = "0.1.0"
__all__ = ["InputError", "create", "list_models", "load", "push", "register", "train"]

# before anything imports Keras; the other settings of Keras: zoo/core/backend.py
if (_backend := os.environ.get("KERAS_BACKEND", "tensorflow")) not in ("", "tensorflow"):
    print(f"warning: KERAS_BACKEND={_backend} is overruled: zoo needs tensorflow", file=sys.stderr)
os.environ["KERAS_BACKEND"] = "tensorflow"

tell_keras()


def create(
    name: str,
    image_shape: Sequence[int] = (28, 28, 1),
    num_classes: int = 10,
    seed: int | None = None,
    **config: Any,
) -> Any:
    """A new model, compiled with the optimizers of its recipe.

    Their step sizes stay as they are, since a decay would have to know the run's length. A batch of
    `fit` is split among a GAN's `discriminator_steps`, whose recipe counts the images of each.

    Args:
      name: one of `list_models()`.
      image_shape: (H, W, C).
      num_classes: number of labels.
      seed: of the initial weights and of the noise of training: the same one gives the same model,
        that with which `scripts/train.py --seed` starts. Without one the weights follow
        `keras.utils.set_random_seed`.
      **config: fields of the model's configuration.

    Raises:
      InputError: an unknown model or field, or a value that is wrong.
    """
    import random

    from zoo.core import checks
    from zoo.hub import loading

    if seed is None:
        return loading.create(name, image_shape, num_classes, config)
    seed = checks.whole("seed", seed, 0, 2**31 - 1)
    before = random.getstate()  # of Python's numbers, of which Keras makes the initializers' seeds
    random.seed(seed)
    try:
        return loading.create(name, image_shape, num_classes, config, seed=seed)
    finally:
        random.setstate(before)


def train(
    model: str,
    data: Any = None,
    workdir: str | os.PathLike[str] = "",
    *,
    callbacks: Sequence[Any] = (),
    preset: str = "",
    **settings: Any,
) -> "Result":
    """Trains a model as the command does: it resumes, watches, decays step sizes and exports.

    Examples:
      >>> result = zoo.train("vae", (images, labels), workdir="runs/mine", epochs=20)
      >>> result.status, result.history[-1]["val_loss"]
      >>> result.load().sample(16)

    The same call again goes on where the run was stopped. Its settings are then those of before.

    Args:
      model: one of `list_models()` that is trained.
      data: a name of a data set, as `--dataset`; or images, a pair (images, labels), a finite
        `tf.data.Dataset` of either, or a `zoo.data.Dataset`. Images are uint8, or float in [0, 1],
        [N, H, W, C]. Fashion-MNIST when left out.
      workdir: where everything is written; runs/MODEL-DATA when left out.
      callbacks: of Keras. They see an epoch's logs when its checkpoint is written, and may stop
        the training. Nothing of them is saved for a run that goes on.
      preset: named settings of the model, such as "samples"; `settings` override them.
      **settings: of the model, its recipe and the run, named as the flags of the command are.

    Returns:
      A result with `workdir`, `status`, `history` and `load()`; see `zoo/training/api.py`.

    Raises:
      InputError: a setting or the data are wrong. What was there stays as it was.
    """
    from zoo.training import api

    return api.train(model, data, workdir, tuple(callbacks), preset, **settings)


def register(name: str, cls: type, recipe: "Recipe | None" = None) -> None:
    """Makes a model of another package one of the zoo's, for `create`, `train` and the rest.

    Args:
      name: what it is asked for by.
      cls: a subclass of one of `zoo.families`, with a `Config` made of `zoo.core.config.field`.
      recipe: how it is trained (`zoo/recipes.py`); when left out its family's.

    Raises:
      InputError: the name is taken, or something is missing or wrong in the class.
    """
    from zoo import registry

    registry.register(name, cls, recipe)


def load(reference: Any) -> Any:
    """A trained model: a pretrained one, that of a workdir, or one of the Hugging Face Hub.

    It computes in float32. The weights of a run are those of the best checkpoint by the recipe's
    validation scalar, or of the last one where the recipe names none; others are verified by their
    SHA-256.

    Args:
      reference: one of these:
        a name of `zoo/pretrained`, such as "vae", whatever folders there are;
        a folder as a path: a run of `train`, or a model as a hub has it. One that is called as a
        pretrained model is "./vae", or a `pathlib.Path`;
        "hf://USER/NAME" or "hf://USER/NAME@REVISION", with huggingface_hub, the extra `hub`.

    Raises:
      InputError: it is none of these; the folder holds no whole checkpoint; or the weights' file is
        missing, or another.
    """
    from zoo.hub import references

    source = references.parse(reference)  # what is none says so before TensorFlow is imported

    from zoo.hub import loading

    return loading.load(reference if isinstance(source, pathlib.Path) else source)


def push(
    source: Any,
    repository: str,
    *,
    private: bool = False,
    token: str | None = None,
    license: str | None = None,
) -> str:
    """Uploads a trained model to the Hugging Face Hub, for `zoo.load("hf://USER/NAME")`.

    Examples:
      >>> zoo.push("runs/mine", "USER/NAME", license="cc-by-4.0")

    The repository holds the weights in float32, all settings, a card and samples; and the workdir's
    evaluation, if it is of these weights. Files that are there already are deleted. No path of this
    machine is in it. It needs huggingface_hub, the extra `hub`.

    Args:
      source: what `zoo.load` takes; not a model that is made of others.
      repository: USER/NAME; it is made where it does not exist.
      private: whether a repository that is made by this is seen by you alone.
      token: for the hub; that of `hf auth login` when left out.
      license: of the weights, as the hub calls it, such as "mit".

    Returns:
      The address of the repository.

    Raises:
      InputError: the source cannot be loaded, or the hub refuses.
    """
    import tempfile

    from zoo.hub import huggingface, references

    reference = references.parse(source)
    huggingface.check_repository(repository)

    from zoo.training import publishing

    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place, "model")
        publishing.write(reference, folder, repository, license)
        huggingface.upload(folder, repository, private, token)
    return f"hf://{repository}"

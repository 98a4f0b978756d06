"""A zoo of deep generative models on TensorFlow, Keras 3 and TensorFlow Probability.

>>> import zoo
>>> model = zoo.create("vae", latent_dim=10)   # compiled, ready for fit
>>> model = zoo.load("runs/vae-fashion_mnist")  # with trained weights

Importing `zoo` imports no TensorFlow; creating or loading a model does.
"""

from zoo.errors import InputError
from zoo.registry import list_models

__version__ = "0.1.0"
__all__ = ["InputError", "create", "list_models", "load"]


def create(name: str, image_shape=(28, 28, 1), num_classes: int = 10, **config):
    """A new model, compiled by its recipe.

    Args:
      name: one of `list_models()`.
      image_shape: (H, W, C).
      num_classes: number of labels.
      **config: fields of the model's configuration.

    Raises:
      InputError: an unknown model or field, or a value that is wrong.
    """
    from zoo.training import setup

    return setup.create(name, image_shape, num_classes, config)


def load(workdir):
    """The model that `scripts/train.py` trained in a folder, in float32.

    Its weights are those of the best checkpoint by the recipe's validation scalar, or of the last
    one where the recipe names none.

    Args:
      workdir: the folder.

    Raises:
      InputError: it is not a workdir, or holds no whole checkpoint.
    """
    from zoo.training import setup

    return setup.load(workdir)

"""What the models of a family share: how they are trained, sampled and exported."""

from zoo.core import backend  # noqa: F401  (first: it imports TensorFlow)

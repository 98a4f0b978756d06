"""Pictures of what models draw, and how they are saved."""

from zoo.core import backend  # noqa: F401  (first: it imports TensorFlow)

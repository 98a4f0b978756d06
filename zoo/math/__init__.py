"""The mathematics as pure functions: noise, pixels, bounds, distributions, losses."""

from zoo.core import backend  # noqa: F401  (first: it imports TensorFlow)

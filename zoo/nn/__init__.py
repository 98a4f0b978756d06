"""Layers, and the networks that are made of them."""

from zoo.core import backend  # noqa: F401  (first: it imports TensorFlow)

"""Sources of images, and the pipeline that feeds them to a device; imports no model."""

from zoo.data.sources import Dataset, Split, load, name_of

__all__ = ["Dataset", "Split", "load", "name_of"]

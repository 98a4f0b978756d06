"""Sources of images, and the pipeline that feeds them to a device; imports no model."""

from zoo.data.sources import (
    Dataset,
    Split,
    is_pictures,
    load,
    name_of,
    short_name,
    without_path,
)

__all__ = ["Dataset", "Split", "is_pictures", "load", "name_of", "short_name", "without_path"]

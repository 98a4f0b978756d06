"""Model configurations: frozen dataclasses whose fields carry a help text and bounds.

This file needs no TensorFlow, so that command-line flags can be made of it (`zoo/commands/cli.py`).
"""

import dataclasses
import math
import typing
from collections.abc import Callable, Sequence
from typing import Any, Literal

from zoo.core import files
from zoo.errors import InputError, brief


def field(
    default: Any,
    help: str,
    *,
    lower: float | None = None,
    upper: float | None = None,
    path: bool | Literal["reference"] = False,
    by_shape: Callable[[Sequence[int]], Any] | None = None,
    formerly: Any = None,
):
    """A configuration field.

    Args:
      default: its value when nothing is said; a tuple for a list of numbers.
      help: one sentence, shown by `--help`.
      lower: least value allowed (every element's, for a tuple).
      upper: greatest value allowed.
      path: whether it is, or may be, a path (see `files.expanded`); "reference": it says which
        trained model (see `zoo.load`).
      by_shape: gives the value in place of the default, by the shape (H, W, C) of the images.
      formerly: what held before there was this field, if it is not the default.
    """
    metadata = {"help": help, "lower": lower, "upper": upper, "path": path}
    metadata |= {"by_shape": by_shape, "formerly": formerly}
    return dataclasses.field(default=default, metadata=metadata)


def resolved(options: Any, image_shape: Sequence[int]) -> Any:
    """A configuration whose fields with `by_shape` have the value of images of this shape."""
    chosen = {
        f.name: f.metadata["by_shape"](image_shape)
        for f in _left_to_the_images(type(options))
        if getattr(options, f.name) == f.default
    }
    return dataclasses.replace(options, **chosen)


def kept(config_class: type, values: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """Values of a run that goes on: what the images chose at its start, in `before`, stays."""
    chosen = {
        f.name: before[f.name]
        for f in _left_to_the_images(config_class)
        if f.name in before and values.get(f.name, f.default) == f.default
    }
    return {**values, **chosen}


def formerly(usual: Any) -> dict[str, Any]:
    """The value of each field in a configuration that was written without it.

    Args:
      usual: the default configuration, whose values those of most fields are.
    """
    return {
        f.name: getattr(usual, f.name) if (then := f.metadata.get("formerly")) is None else then
        for f in dataclasses.fields(usual)
    }


def _left_to_the_images(config_class: type) -> list[dataclasses.Field]:
    return [f for f in dataclasses.fields(config_class) if f.metadata.get("by_shape")]


def defaults(**values: Any):
    """A decorator: the configuration class with other defaults of fields that it inherits."""

    def change(cls: type) -> type:
        hints, of = typing.get_type_hints(cls), {f.name: f for f in dataclasses.fields(cls)}
        changed = {
            name: dataclasses.field(default=value, metadata=of[name].metadata)
            for name, value in values.items()
        }
        body = {
            "__annotations__": {name: hints[name] for name in values},
            "__module__": cls.__module__,
            "__qualname__": cls.__qualname__,
            "__doc__": cls.__doc__,
        }
        return dataclasses.dataclass(frozen=True)(type(cls.__name__, (cls,), body | changed))

    return change


def make(config_class: type, values: dict[str, Any]) -> Any:
    """Builds a configuration of given values, checked.

    Raises:
      InputError: an unknown field, a wrong type, or a value out of its range.
    """
    fields = {f.name: f for f in dataclasses.fields(config_class)}
    if unknown := sorted(set(values) - set(fields)):
        raise InputError(f"unknown setting {unknown[0]!r}; the settings are {', '.join(fields)}")
    hints = typing.get_type_hints(config_class)
    return config_class(**{k: _checked(fields[k], hints[k], v) for k, v in values.items()})


def _checked(field: dataclasses.Field, hint: Any, value: Any) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        if value not in args:
            raise InputError(f"{field.name} must be one of {', '.join(args)}, not {brief(value)}")
        return value
    element = args[0] if origin is tuple else hint
    values = value if origin is tuple else [value]
    if origin is tuple and not isinstance(value, (tuple, list)):
        raise InputError(f"{field.name} must be a list of {element.__name__}, not {brief(value)}")
    for v in values:
        whole = isinstance(v, int) and not isinstance(v, bool)
        if not (isinstance(v, element) if element is not float else whole or isinstance(v, float)):
            raise InputError(f"{field.name} must be of type {element.__name__}, not {brief(v)}")
        if element is int and not whole:
            raise InputError(f"{field.name} must be of type int, not {brief(v)}")
        if element is float and not _finite(v):
            raise InputError(f"{field.name} must be finite, not {brief(v)}")
        if path := field.metadata.get("path"):
            values = [files.expanded(v, field.name, remote=path == "reference")]
        lower, upper = field.metadata.get("lower"), field.metadata.get("upper")
        if lower is not None and not v >= lower:
            raise InputError(f"{field.name} must be at least {lower}, not {brief(v)}")
        if upper is not None and not v <= upper:
            raise InputError(f"{field.name} must be at most {upper}, not {brief(v)}")
    if origin is tuple:
        return tuple(element(v) for v in values)
    return element(*values)


def _finite(number: int | float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # a whole number that no float reaches
        return False

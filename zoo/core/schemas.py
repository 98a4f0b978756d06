"""What the JSON files of the zoo must hold, and the one check of it.

The schemas are of what the code that reads a file relies on, and allow more: an older or a newer
version may write other keys. The settings of a model, of its recipe and of a run are dataclasses,
which know the type and the bounds of each (`zoo.core.config.make`).
"""

import functools
import textwrap
from typing import Any

from zoo.errors import InputError, brief

_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT}
_NUMBER = {"type": "number"}
_COUNT = {"type": "integer", "minimum": 0}
_VERSIONS = {"type": "object", "additionalProperties": _TEXT}


def _object(*optional: str, **properties: Any) -> dict[str, Any]:
    """The schema of an object that has these properties, but for the optional ones."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "required": required, "properties": properties}


_OF_WEIGHTS = {  # what weights belong to
    "model": _TEXT,
    "image_shape": {
        "type": "array",
        "items": {"type": "integer", "minimum": 1, "maximum": 2**16},
        "minItems": 3,
        "maxItems": 3,
    },
    "num_classes": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1},
    "config": {"type": "object"},
}
SETTINGS = _object(  # config.json
    "class_names",
    "versions",
    "earlier_versions",
    "initial_weights_sha256",
    "classifier_sha256",
    **_OF_WEIGHTS,
    recipe={"type": "object"},
    run={"type": "object"},
    class_names=_TEXTS,
    dataset_digest=_TEXT,
    versions=_VERSIONS,
    earlier_versions={"type": "array", "items": _VERSIONS},
    initial_weights_sha256=_TEXT,
    classifier_sha256=_TEXT,
)
META = _object(  # of a checkpoint
    "seconds",
    "settings",
    step={**_COUNT, "maximum": 2**53},
    score={"type": ["number", "null"]},
    seconds={"type": "number", "minimum": 0},
    sha256=_TEXT,
    settings=_object(**_OF_WEIGHTS),
)
_NUMBERS = {"type": "object", "additionalProperties": _NUMBER}
EPOCH = _object(  # a line of metrics.jsonl
    epoch={"type": "integer", "minimum": 1},
    step={"type": "integer", "minimum": 1},
    seconds={"type": "number", "minimum": 0},
) | {
    "additionalProperties": {
        "anyOf": [_NUMBER, _NUMBERS, {"type": "array", "items": _NUMBER}],
    },
    # what is looked at together
    "dependentSchemas": {
        name: {"required": [other], "properties": {name: kind, other: kind}}
        for name, other, kind in (
            ("val_class_share", "floor_class_share", _NUMBERS),
            ("val_class_fidelity_of", "floor_class_fidelity_of", _NUMBERS),
            ("val_distinct", "floor_distinct", _NUMBER),
            ("modes_covered", "high_quality", _NUMBER),
        )
    },
}
SUMMARY = _object(
    epochs=_COUNT,
    steps=_COUNT,
    training_seconds=_NUMBER,
    last_epoch={"type": "object"},
)
HUB_CONFIG = {  # config.json of a model's folder in zoo/pretrained, or of a repository
    **SETTINGS,
    "required": [*SETTINGS["required"], "published"],
    "properties": {
        **SETTINGS["properties"],
        "published": {
            **_object(
                "bytes",
                "parts",
                "earlier",
                "command",
                sha256=_TEXT,
                bytes={"type": "integer", "minimum": 1, "maximum": 2**53},
                parts=_TEXTS,
                earlier=_TEXTS,
                command=_TEXT,
            ),
            "anyOf": [{"required": ["bytes"]}, {"required": ["parts"]}],
        },
    },
}
_NOTE = _object(**dict.fromkeys(("for", "not_for", "failures"), _TEXT))
NOTES = {"type": "object", "additionalProperties": {**_NOTE, "additionalProperties": _TEXT}}
CLAIMS = {"type": "object"}


def check(value: Any, schema: dict[str, Any], where: object) -> None:
    """Raises InputError, which names `where` and the key, for a value that a schema forbids."""
    if (error := next(_validator()(schema).iter_errors(value), None)) is None:
        return
    key = ".".join(map(str, error.absolute_path))
    has = f"{where}: {key} " if key else f"{where}: it "
    if error.validator == "required":
        missing = next(name for name in error.validator_value if name not in error.instance)
        raise InputError(f"{has}lacks {missing}")
    kind = error.validator_value
    if error.validator == "type":
        kind = kind if isinstance(kind, str) else " or ".join(kind)
        raise InputError(f"{has}must be of type {kind}, not {brief(error.instance)}")
    raise InputError(f"{where}: {key and key + ': '}{textwrap.shorten(error.message, 200)}")


@functools.cache
def _validator() -> type:
    """A validator for which 1.0 is no integer; imported late, as it takes a quarter of a second."""
    from jsonschema import Draft202012Validator, validators

    def whole(_, value) -> bool:
        return isinstance(value, int) and not isinstance(value, bool)

    checker = Draft202012Validator.TYPE_CHECKER.redefine("integer", whole)
    return validators.extend(Draft202012Validator, type_checker=checker)

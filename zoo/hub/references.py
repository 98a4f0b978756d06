"""What a trained model is asked for by, parsed once into what it is.

| reference | what it is |
|---|---|
| `"vae"` | `Packaged`: a pretrained model of the zoo, whatever folders there are |
| `"runs/vae"`, `"./vae"`, a `Path` | a folder: a run of `train`, or a model as a hub has it |
| `"hf://USER/NAME"`, `"hf://USER/NAME@REVISION"` | `Remote`: a repository of the Hugging Face Hub |
| `Composed(model, config)` | a model made of trained parts, which its configuration names |
"""

import dataclasses
import os
import pathlib
import re
from typing import Any

from zoo.core import files
from zoo.errors import InputError, brief
from zoo.hub import pretrained

_REMOTE = re.compile(r"hf://([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")


@dataclasses.dataclass(frozen=True)
class Packaged:
    """A pretrained model of the zoo."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclasses.dataclass(frozen=True)
class Remote:
    """A repository of the Hugging Face Hub; a revision is a branch, a tag or a commit."""

    repository: str
    revision: str | None = None

    def __str__(self) -> str:
        at = f"@{self.revision}" if self.revision else ""
        return f"hf://{self.repository}{at}"


@dataclasses.dataclass(frozen=True)
class Composed:
    """A model made of trained parts, by its name and the fields of its configuration."""

    model: str
    config: dict[str, Any]


Reference = Packaged | Remote | Composed | pathlib.Path


def parse(source: Any) -> Reference:
    """What a source is.

    Args:
      source: a name, a path, an address `hf://USER/NAME`, or what this function returns.

    Raises:
      InputError: it can be none of these, such as another address.
    """
    if isinstance(source, Packaged | Remote | Composed | pathlib.Path):
        return source
    if not isinstance(source, str):
        if not isinstance(source, os.PathLike):
            raise InputError(f"a model is asked for by a name or a path, not {brief(source)}")
        return pathlib.Path(source)
    if source.startswith("hf://"):
        if not (found := _REMOTE.fullmatch(source)):
            raise InputError(f"{source!r} is not like hf://USER/NAME or hf://USER/NAME@REVISION")
        return Remote(*found.groups())
    if source in pretrained.names():
        return Packaged(source)
    return files.local_path(source)


def packaged(name: str) -> Packaged:
    """The pretrained model of that name.

    Raises:
      InputError: there is none.
    """
    pretrained.check_known(name)
    return Packaged(name)

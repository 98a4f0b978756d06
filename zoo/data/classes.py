"""Classes by name and by number, as people read and write them."""

import re
import unicodedata
from collections.abc import Sequence

from zoo.errors import InputError, one_line

_NAMED = 8  # first and last ones of many


def in_words(class_names: Sequence[str]) -> str:
    """Which number stands for which class: `0 = cat, 1 = dog`; of many the first and last ones."""
    said = [f"{number} = {name}" for number, name in enumerate(class_names)]
    if len(said) > 2 * _NAMED:
        said[_NAMED:-_NAMED] = ["..."]
    return one_line(", ".join(said))


def numbers(asked: Sequence[str], class_names: Sequence[str]) -> list[int]:
    """The labels of classes that are asked for by their names or numbers; names go first.

    A name need not be written in the same case, unless that tells two classes apart.

    Raises:
      InputError: there is no such class, or more than one.
    """
    return [_number(text, class_names) for text in asked]


def _number(text: str, class_names: Sequence[str]) -> int:
    for form in (str.strip, _loosely):
        found = [i for i, name in enumerate(class_names) if form(name) == form(text)]
        if len(found) == 1:
            return found[0]
        if found:
            among = ", ".join(f"{i} = {class_names[i]}" for i in found)
            raise InputError(f"class {text!r} may be any of {among}: give its number")
    if re.fullmatch("[0-9]+", text) and int(text) < len(class_names):
        return int(text)
    commas = ""
    if any("," in name for name in class_names):
        commas = "; for a name with a comma give its number"
    raise InputError(f"there is no class {text!r}: choose from {in_words(class_names)}{commas}")


def _loosely(name: str) -> str:
    """The name without regard to case, to blanks around and to how accents are encoded."""
    return unicodedata.normalize("NFC", name.strip().casefold())

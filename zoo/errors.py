"""Errors that are not our bugs. Any part of the zoo may import this file."""

import reprlib
import unicodedata

_NO_SPACE = ("No space left on device", "File too large", "Disk quota exceeded")


class InputError(ValueError):
    """Bad input: one clear line that names what is wrong and what to do.

    Scripts print it without a traceback and exit with code 2 (`zoo/commands/cli.py`).
    """

    _keras_call_info_injected = True  # keeps Keras from wrapping the line in the call's arguments

    def __init__(self, line: str):
        super().__init__(one_line(line))


def one_line(text: str) -> str:
    """The text with line breaks, control characters and stray bytes of file names escaped."""
    odd = ("Cc", "Cs", "Zl", "Zp")
    escaped = (repr(c)[1:-1] if unicodedata.category(c) in odd else c for c in text)
    return text if text.isprintable() else "".join(escaped)


def no_space(error: Exception) -> str | None:
    """What the system says of a full disk, whoever met it (TensorFlow's are no OSError)."""
    return next((line for line in _NO_SPACE if line in str(error)), None)


def reason(error: Exception) -> str:
    """The first line of what an exception says, or its kind where it says nothing."""
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)


def brief(value: object) -> str:
    """A value for a message: however long or deep it is, some words of it."""
    return _BRIEF.repr(value)


_BRIEF = reprlib.Repr()
_BRIEF.maxlevel = 2
_BRIEF.maxstring = _BRIEF.maxother = _BRIEF.maxlong = 80

"""Errors that are not our bugs. Any part of the zoo may import this file."""

_NO_SPACE = ("No space left on device", "File too large", "Disk quota exceeded")


class InputError(ValueError):
    """Bad input: one clear line that names what is wrong and what to do.

    Scripts print it without a traceback and exit with code 2 (`zoo/cli.py`).
    """

    _keras_call_info_injected = True  # keeps Keras from wrapping the line in the call's arguments


def no_space(error: Exception) -> str | None:
    """What the system says of a full disk, whoever met it (TensorFlow's are no OSError)."""
    return next((line for line in _NO_SPACE if line in str(error)), None)

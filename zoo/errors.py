"""The one error that is the user's to mend. Any part of the zoo may import this file."""


class InputError(ValueError):
    """Bad input: one clear line that names what is wrong and what to do.

    Scripts print it without a traceback and exit with code 2 (`zoo/cli.py`).
    """

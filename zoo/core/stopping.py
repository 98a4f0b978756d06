"""A process that is stopped says so in one line, and leaves nothing behind that is not whole.

Every script imports this first, and importing it is what does it: Ctrl-C may come while the rest is
imported, where a KeyboardInterrupt turns into any error of the module that meets it, or into none.
"""

import contextlib
import os
import signal
import sys

from zoo.core import files

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def stop(number: int, frame=None) -> None:
    """A signal handler that ends this process at once, with exit code 128 + `number`."""
    with contextlib.suppress(Exception):  # it may be in the middle of a line, or nobody may read it
        sys.stdout.flush()
    files.abandon()
    with contextlib.suppress(OSError):
        os.write(2, b"\nstopped\n")
    os._exit(128 + number)


def install() -> None:
    """Lets `stop` handle Ctrl-C and SIGTERM, until `train` handles them itself."""
    for number in SIGNALS:
        signal.signal(number, stop)


install()

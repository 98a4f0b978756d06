"""A process that is stopped says so in one line, and leaves nothing behind that is not whole.

Every script imports this first, and importing it is what does it: Ctrl-C may come while the rest is
imported, where a KeyboardInterrupt turns into any error of the module that meets it, or into none.
"""

import atexit
import contextlib
import functools
import os
import signal
import sys
import threading
import time

SIGNALS = (signal.SIGINT, signal.SIGTERM)
stderr = 2  # another number while what TensorFlow says is kept back: see `zoo/core/backend.py`
_PATIENCE = 1.0  # seconds that a long call, as of TensorFlow, may keep Python from it


def stop(number: int, frame=None) -> None:
    """A signal handler that ends this process at once, with exit code 128 + `number`."""
    with contextlib.suppress(Exception):  # it may be in the middle of a line, or nobody may read it
        sys.stdout.flush()
    _end(number)


def _end(number: int) -> None:
    with contextlib.suppress(Exception):  # it may not be there yet, and nothing is written then
        sys.modules["zoo.core.files"].abandon()
    with contextlib.suppress(OSError):
        os.write(stderr, b"\nstopped\n")
    os._exit(128 + number)


def install() -> None:
    """Lets `stop` handle Ctrl-C and SIGTERM, until `train` handles them itself."""
    for number in SIGNALS:
        signal.signal(number, stop)
    if os.name == "posix":
        _watch(os.getpid())
    atexit.register(_ignore)  # the first to be registered, it is the last to be called


def _ignore() -> None:
    """The work is done: Python, which takes its handlers back now, must not die of a signal."""
    for number in SIGNALS:
        if signal.getsignal(number) is stop:
            signal.signal(number, signal.SIG_IGN)


@functools.cache
def _watch(process: int) -> None:
    """Ends this process for `stop` where the main thread does not come to it."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

    def watch():
        while number := os.read(reader, 1):
            time.sleep(_PATIENCE)
            if signal.getsignal(*number) is stop:
                _end(*number)

    threading.Thread(target=watch, daemon=True).start()


install()

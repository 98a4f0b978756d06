"""Memory that TensorFlow frees stays with the process, where the C library is glibc.

By default glibc gives large blocks back to the system at once, and every training step asks for
them again: 10% of the processor time of a step of the PixelCNN went into empty pages.
"""

import contextlib
import ctypes

# what mallopt sets (malloc.h), and the value
_MMAP_MAX = (-4, 0)  # no block has pages of its own, which go back when it is freed
_TRIM_THRESHOLD = (-1, 2**31 - 1)
_TOP_PAD = (-2, 64 << 20)


def keep() -> None:
    """Lets this process keep what it frees; does nothing with another C library."""
    with contextlib.suppress(OSError, AttributeError, TypeError):  # TypeError: Windows
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018  (others have a mallopt of other numbers)
        for parameter, value in (_MMAP_MAX, _TRIM_THRESHOLD, _TOP_PAD):
            library.mallopt(parameter, value)

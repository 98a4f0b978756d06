"""The memory of the process: what it may still take, and what it keeps.

What TensorFlow frees stays with the process, where the C library is glibc. By default glibc gives
large blocks back to the system at once, and every training step asks for them again: 10% of the
processor time of a step of the PixelCNN went into empty pages.
"""

import contextlib
import ctypes
import pathlib

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


def available(root: pathlib.Path = pathlib.Path("/")) -> int | None:
    """Bytes that this process can still take; None where the system does not tell, as Windows.

    That is what the machine has without swapping, or less if the process is in a control group,
    such as a container's, that may have less.

    Args:
      root: where `proc` and `sys` are.
    """
    found = []
    with contextlib.suppress(OSError, ValueError, KeyError):
        machine = _table(root / "proc/meminfo")
        found.append(1024 * machine["MemAvailable:"])
    groups = root / "sys/fs/cgroup"
    for folder, *names, reclaimed in (
        (groups, "memory.max", "memory.current", "inactive_file"),
        (
            groups / "memory",
            "memory.limit_in_bytes",
            "memory.usage_in_bytes",
            "total_inactive_file",
        ),
    ):
        for place in _groups(root, folder):
            with contextlib.suppress(OSError, ValueError, KeyError):  # no such, or "max"
                most, now = (int((place / name).read_text()) for name in names)
                found.append(most - now + _table(place / "memory.stat")[reclaimed])
    return max(0, min(found)) if found else None


def _groups(root: pathlib.Path, folder: pathlib.Path) -> list[pathlib.Path]:
    """The control groups of this process in a hierarchy: its own, and those above."""
    version_1 = folder.name == "memory"
    with contextlib.suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers == ("memory" if version_1 else ""):
                own = folder / path.lstrip("/")
                return [p for p in (own, *own.parents) if p.is_relative_to(folder)]
    return []


def _table(path: pathlib.Path) -> dict[str, int]:
    """Lines such as `name 12` or `name 12 kB` of a file."""
    words = (line.split() for line in path.read_text().splitlines())
    return {name: int(number) for name, number, *_ in words}

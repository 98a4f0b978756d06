"""What a run's numbers depend on beside its settings: versions, code and machine."""

import contextlib
import importlib.metadata
import os
import pathlib
import platform
import subprocess
import sys
from typing import Any

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_PACKAGES = (
    "generative-zoo",
    "tensorflow",
    "keras",
    "tensorflow-probability",
    "numpy",
    "scipy",
    "scikit-learn",
)
_WRITTEN = ("zoo/pretrained", "docs", "RESULTS.md")


def versions() -> dict[str, str]:
    """Versions of the stack, and the commit where the code is a checkout.

    It is `-dirty` where tracked files are changed, but for weights, records, notes and what is made
    of them, on which no number depends but by digests that the records name.
    """
    result = {"python": platform.python_version()}
    for name in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            result[name] = importlib.metadata.version(name)
    if (_ROOT / ".git").exists():
        with contextlib.suppress(OSError):
            git = ["git", "-C", str(_ROOT)]
            head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True)
            if head.returncode == 0:
                written = [f":(exclude){folder}" for folder in _WRITTEN]
                changed = [*git, "diff", "--quiet", "HEAD", "--", ".", *written]
                dirty = subprocess.run(changed, capture_output=True).returncode != 0
                result["commit"] = head.stdout.strip() + ("-dirty" if dirty else "")
    return result


def machine() -> dict[str, Any]:
    """The processor, the cores of it that this process may use, memory and system."""
    cpu = platform.processor()
    with contextlib.suppress(OSError):
        for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                cpu = line.split(":")[1].strip()
                break
    bound = hasattr(os, "sched_getaffinity")  # on Linux a process can be pinned to some cores
    memory = None
    if "SC_PHYS_PAGES" in getattr(os, "sysconf_names", ()):  # not on Windows
        memory = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    return {
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)) if bound else os.cpu_count(),
        "memory_gb": memory,
        "system": platform.platform(),
    }


def peak_memory_gb(children: bool = False) -> float | None:
    """The most memory that this process has had so far, or the largest of those that it started.

    None on Windows, which does not tell.
    """
    try:
        import resource
    except ImportError:
        return None
    usage = resource.getrusage(resource.RUSAGE_CHILDREN if children else resource.RUSAGE_SELF)
    unit = 1 if sys.platform == "darwin" else 1024
    return round(usage.ru_maxrss * unit / 1e9, 2)

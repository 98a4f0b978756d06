"""What a run's numbers depend on beside its settings: versions, code and machine."""

import contextlib
import importlib.metadata
import os
import pathlib
import platform
import subprocess
from typing import Any

_ROOT = pathlib.Path(__file__).resolve().parents[2]


def versions() -> dict[str, str]:
    """Versions of the stack, and the commit (`-dirty` if changed) where the code is a checkout."""
    names = ("generative-zoo", "tensorflow", "keras", "tensorflow-probability", "numpy")
    result = {"python": platform.python_version()}
    for name in names:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            result[name] = importlib.metadata.version(name)
    if (_ROOT / ".git").exists():
        with contextlib.suppress(OSError):
            git = ["git", "-C", str(_ROOT), "describe", "--always", "--dirty", "--abbrev=40"]
            done = subprocess.run(git, capture_output=True, text=True)
            if done.returncode == 0:
                result["commit"] = done.stdout.strip()
    return result


def machine() -> dict[str, Any]:
    """The processor, its cores, memory and system."""
    cpu = platform.processor()
    with contextlib.suppress(OSError):
        for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                cpu = line.split(":")[1].strip()
                break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "memory_gb": round(memory, 1),
        "system": platform.platform(),
    }

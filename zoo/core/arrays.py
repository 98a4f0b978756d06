"""Named arrays, as checkpoints and weights are kept."""

import hashlib

import numpy as np


def digest(arrays: dict[str, np.ndarray]) -> str:
    """SHA-256 over names, types, shapes and values."""
    h = hashlib.sha256()
    for name, a in sorted(arrays.items()):
        h.update(f"{name} {a.dtype.str} {a.shape}\n".encode())
        h.update(np.ascontiguousarray(a).tobytes())
    return h.hexdigest()

"""Freed memory is used again, without asking the system."""

import platform

import pytest

COUNT = """
import resource
import numpy as np
from zoo.core import memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.ones(100 << 20, np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

before = faults()
memory.keep()
faults()
print(before, faults())
"""


def test_memory_that_is_freed_is_taken_again(run_python):
    libc = platform.libc_ver()[0]
    if libc != "glibc":
        pytest.skip(f"the C library is {libc or 'another'}, not glibc")
    before, after = map(int, run_python(COUNT, fresh=True).split())
    assert after < before / 10, "pages that the system had to hand out"

"""Sharing the machine: what the command line asks for, in a process of its own."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import os
from recollect import machine
{share}
import numpy as np, resource
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.ones(6 << 20, np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
outside = faults()
with machine.reusing_blocks():
    faults()
    inside = faults()
print(outside, inside, faults(), os.environ.get("GOMP_SPINCOUNT"))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_blocks_are_used_again_inside_and_handed_back_outside():
    """Empty pages asked of the system while the same block of 6 MB is made twenty times."""
    bare = {
        k: v for k, v in os.environ.items() if k not in ("MALLOC_MMAP_THRESHOLD_", "GOMP_SPINCOUNT")
    }
    bare["NUMPY_MADVISE_HUGEPAGE"] = "0"
    asked = SCRIPT.format(share="machine.share()")
    told = subprocess.run(
        [sys.executable, "-c", asked], env=bare, capture_output=True, text=True, check=True
    ).stdout.split()
    outside, inside, after = map(int, told[:3])
    assert inside < outside / 5
    assert after > 5 * inside
    assert told[3] == "1000"
    quiet = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(share="")],
        env=bare,
        capture_output=True,
        text=True,
        check=True,
    )
    assert quiet.stdout.split()[3] == "None"

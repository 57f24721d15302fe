"""The allocator's settings, each asked for in a process of its own."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import os
from recollect.system import allocator
{configure}
import numpy as np, resource

def page_faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.ones(6 << 20, np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

outside = page_faults()
with allocator.reusing_blocks():
    page_faults()
    inside = page_faults()
print(outside, inside, page_faults(), os.environ.get("GOMP_SPINCOUNT"))
"""


def output_of(configure: str) -> list[str]:
    """What the script prints when it begins with this line."""
    own = ("MALLOC_MMAP_THRESHOLD_", "GOMP_SPINCOUNT")
    environment = {key: value for key, value in os.environ.items() if key not in own}
    environment["NUMPY_MADVISE_HUGEPAGE"] = "0"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(configure=configure)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_blocks_are_reused_inside_and_returned_outside():
    """Fresh pages that the system gives while the same block of 6 MB is allocated 20 times."""
    words = output_of("allocator.configure()")
    outside, inside, afterwards = map(int, words[:3])
    assert inside < outside / 5
    assert afterwards > 5 * inside
    assert words[3] == "1000"


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_without_configure_the_environment_is_left_alone():
    assert output_of("")[3] == "None"

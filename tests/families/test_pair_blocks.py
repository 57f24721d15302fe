"""Predictions block by block."""

import numpy as np
import pytest
import torch

from recollect.families.pair_blocks import in_blocks

CPU = torch.device("cpu")


@pytest.mark.parametrize("n", [0, 1, 4, 9])
def test_blocks_make_no_difference(n):
    user = np.arange(n)
    item = torch.arange(n).flip(0)
    sizes = []

    def difference(u, i):
        sizes.append(len(u))
        return u - i

    result = in_blocks(difference, user, item, device=CPU, size=4)
    np.testing.assert_array_equal(result, user - item.numpy())
    assert max(sizes) <= 4
    assert sum(sizes) == n

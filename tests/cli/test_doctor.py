"""recollect doctor."""

from importlib.metadata import version

import pytest
import torch
from tests.cli.support import answer, settings

from recollect.kernels import multiplies_16_bits


def test_the_installation_is_tested_and_memory_estimated() -> None:
    result = answer("doctor")
    assert result["self_test_seconds"] > 0
    assert result["multiplies_16_bits"]["cpu"] == multiplies_16_bits(torch.device("cpu"))
    assert result["packages"]["tensorboard"] == version("tensorboard")
    assert {row["data"] for row in result["fits"]} == {"MovieLens 1M", "MovieLens 10M", "Netflix"}


def test_memory_is_estimated_for_a_shape() -> None:
    shape = ["--shape", "6040x3706x1000209"]
    (small,) = answer("doctor", *shape, *settings("hidden=50"))["fits"]
    (large,) = answer("doctor", *shape)["fits"]
    assert small["predicted_memory_mb"] < large["predicted_memory_mb"]
    assert large["predicted_memory_mb"] == pytest.approx(sum(large["parts_mb"].values()))

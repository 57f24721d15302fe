"""Each epoch's figures, and by choice histograms of weights and gradients, for TensorBoard."""

from __future__ import annotations

import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from recollect.errors import SettingError

BINS = 64
PART = 1 << 20  # numbers at a time


class Board:
    """Writes a fit to a folder, for `tensorboard --logdir` to show: `Run(net_watchers=(Board("runs/board"),))`.

    After each epoch it writes every figure of it, the epoch being the step: `train_rmse` as `rmse/train`, `valid_rmse` as
    `rmse/valid`, and so on, all else as `fit/learning_rate`, …; the page Custom Scalars has training and validation RMSE in one
    picture. With `histograms`, also `weights/NAME` of each parameter and `gradients/NAME` of the last step's gradient, the
    penalty included. A parameter without a gradient has no such histogram (with L-BFGS none has: it takes the gradients away); of
    a row-sparse gradient, `gradients/NAME, touched rows` has the rows that are there. What is no finite number is in no
    histogram; how many there are is in `not finite/…`.

    From the first epoch that it sees on, a board takes the place of what the folder holds: a resumed fit goes on in its curve,
    another fit replaces it. One board serves one fit.

    Raises: SettingError if TensorBoard is not installed, or the folder is a file; when called, for an epoch not after the last.
    """

    def __init__(self, folder: str | Path, *, histograms: bool = False) -> None:
        _check()
        self.folder, self.histograms = Path(folder), histograms
        if self.folder.is_file():
            raise SettingError(f"{folder} is a file; name a folder for the board.")
        self.folder.mkdir(parents=True, exist_ok=True)
        self._writer: Any = None
        self._epoch = 0

    def __call__(self, figures: dict[str, float], net: nn.Module) -> None:
        """Write an epoch; it is on disk when this returns."""
        epoch = int(figures["epoch"])
        if epoch <= self._epoch:
            raise SettingError(
                f"The board in {self.folder} has seen epoch {self._epoch} and is now given epoch {epoch}, of "
                "another fit; make a board for each fit, each in a folder of its own."
            )
        writer, self._epoch = self._writer or self._open(epoch, "train_rmse" in figures), epoch
        for name, value in figures.items():
            if name != "epoch":
                writer.add_scalar(_tag(name), value, epoch)
        for name, x in _tensors(net) if self.histograms else ():
            self._add_histogram(name, x, epoch)
        writer.flush()

    def close(self) -> None:
        """Close the file. It happens by itself when nobody holds the board any more, and when the program ends."""
        if self._writer is not None:
            self._close()
            self._writer = None

    def _open(self, epoch: int, has_rmse: bool) -> Any:
        from torch.utils.tensorboard import SummaryWriter

        while any(self.folder.glob(f"events.out.tfevents.{int(time.time()):010d}.*")):
            time.sleep(
                0.05
            )  # files are read in the order of their names, and these begin with the second
        self._writer = SummaryWriter(str(self.folder), purge_step=epoch)
        if has_rmse:
            self._writer.add_custom_scalars(
                {"training and validation": {"RMSE": ["Multiline", ["rmse/train", "rmse/valid"]]}}
            )
        self._close = weakref.finalize(self, self._writer.close)
        return self._writer

    def _add_histogram(self, name: str, x: Tensor, epoch: int) -> None:
        found = histogram(x)
        if found["num"]:
            self._writer.add_histogram_raw(name, **found, global_step=epoch)
        if found["num"] < x.numel():
            self._writer.add_scalar(f"not finite/{name}", x.numel() - found["num"], epoch)


def histogram(x: Tensor) -> dict[str, Any]:
    """Of the finite numbers: `num`, `min`, `max`, `sum`, `sum_squares`, and `bucket_counts` of BINS equally wide buckets with
    their upper ends, `bucket_limits`."""
    num, low, high, total, squares = 0, float("inf"), float("-inf"), 0.0, 0.0
    for part in _parts(x):
        num, total, squares = (
            num + len(part),
            total + float(part.sum()),
            squares + float(part.square().sum()),
        )
        low, high = min(low, float(part.min())), max(high, float(part.max()))
    pad = (
        0.0 if low < high else 1e-3 * max(1.0, abs(low))
    )  # a bucket has a width, also if all numbers are the same
    counts = np.zeros(BINS)
    for part in _parts(x):
        counts += torch.histc(part, BINS, low - pad, high + pad).cpu().numpy()
    return {
        "num": num,
        "min": low,
        "max": high,
        "sum": total,
        "sum_squares": squares,
        "bucket_counts": counts.tolist(),
        "bucket_limits": np.linspace(low - pad, high + pad, BINS + 1)[1:].tolist() if num else [],
    }


def holds_events(folder: Path) -> bool:
    """Whether a fit was written to the folder before."""
    return any(folder.glob("events.out.tfevents.*"))


def _check() -> None:
    try:
        import torch.utils.tensorboard  # noqa: F401
    except ImportError as problem:
        raise SettingError(
            'A board needs TensorBoard; install it with: pip install "recollect[tensorboard]".'
        ) from problem


def _tag(name: str) -> str:
    part, _, figure = name.partition("_")
    return f"{figure}/{part}" if part in ("train", "valid") else f"fit/{name}"


def _tensors(net: nn.Module) -> Iterator[tuple[str, Tensor]]:
    for name, weight in net.named_parameters():
        yield f"weights/{name}", weight.detach()
        if weight.grad is not None and weight.grad.is_sparse:
            yield f"gradients/{name}, touched rows", weight.grad.coalesce().values()
        elif weight.grad is not None:
            yield f"gradients/{name}", weight.grad


def _parts(x: Tensor) -> Iterator[Tensor]:
    """The finite numbers, some at a time, in 64 bits: 32 would not count beyond 16 million."""
    for part in x.reshape(-1).split(PART):
        part = part.double()
        if len(part := part[part.isfinite()]):
            yield part

"""A log of a fit for TensorBoard: figures of each epoch, histograms of weights and gradients."""

from __future__ import annotations

import logging
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from recollect.errors import SettingError

log = logging.getLogger("recollect")

BINS = 64
CHUNK = 1 << 20  # numbers that are counted at a time


class TensorBoardLog:
    """Writes a fit to a folder, which `tensorboard --logdir` shows.

        Run(net_watchers=(TensorBoardLog("runs/tensorboard"),))

    After each epoch it writes every figure, the epoch being the step: `train_rmse` as `rmse/train`,
    `valid_rmse` as `rmse/valid`, and so on; all others as `fit/learning_rate`, …. The page Custom
    Scalars has training and validation RMSE in one picture.

    With `histograms` it also writes `weights/NAME` of each parameter, and `gradients/NAME` of the
    last step's gradient, the penalty included. A parameter without a gradient has no such
    histogram; with L-BFGS none has, because it takes the gradients away. Of a row-sparse gradient,
    `gradients/NAME, touched rows` has the rows with a gradient. Numbers that are not finite are in
    no histogram; `not finite/…` counts them.

    The first epoch of a log replaces what the folder holds from that epoch on: a resumed fit
    continues its curve, another fit replaces it. One log serves one fit.

    Args:
        folder: where to write; made if need be.
        histograms: whether to write those of weights and gradients.

    Raises:
        SettingError: if TensorBoard is not installed, or the folder is a file; when called, for an
            epoch that does not come after the last one.
    """

    def __init__(self, folder: str | Path, *, histograms: bool = False) -> None:
        _check_installed()
        self.folder = Path(folder)
        self.histograms = histograms
        if self.folder.is_file():
            raise SettingError(f"{folder} is a file; name a folder for TensorBoard.")

        self.folder.mkdir(parents=True, exist_ok=True)
        self._writer: Any = None
        self._epoch = 0
        self._is_broken = False

    def __call__(self, figures: dict[str, float], net: nn.Module) -> None:
        """Write an epoch; it is on disk when this returns. If it cannot be, a warning says so."""
        epoch = int(figures["epoch"])
        if epoch <= self._epoch:
            raise SettingError(
                f"The log in {self.folder} has epoch {self._epoch} and now got epoch {epoch}, of "
                "another fit; make a log for each fit, each in a folder of its own."
            )

        self._epoch = epoch
        if self._is_broken:
            return

        try:
            self._write(figures, net, epoch)
        except OSError as problem:
            # A fit is worth more than its curve.
            self._is_broken = True
            log.warning(
                "The log in %s could not be written: %s. The fit goes on, without further figures "
                "there.",
                self.folder,
                problem.strerror or problem,
            )

    def _write(self, figures: dict[str, float], net: nn.Module, epoch: int) -> None:
        writer = self._writer or self._open(epoch, has_rmse="train_rmse" in figures)

        for name, value in figures.items():
            if name != "epoch":
                writer.add_scalar(_tag(name), value, epoch)

        if self.histograms:
            for name, tensor in _tensors(net):
                self._add_histogram(name, tensor, epoch)

        writer.flush()

    def close(self) -> None:
        """Close the file; otherwise it is closed when the log is deleted or the program ends."""
        if self._writer is not None:
            self._close()
            self._writer = None

    def _open(self, epoch: int, *, has_rmse: bool) -> Any:
        from torch.utils.tensorboard import SummaryWriter

        # TensorBoard reads files in the order of their names, which begin with the second they were
        # made in: two files of one second might be read in the wrong order.
        while any(self.folder.glob(f"events.out.tfevents.{int(time.time()):010d}.*")):
            time.sleep(0.05)

        self._writer = SummaryWriter(str(self.folder), purge_step=epoch)
        if has_rmse:
            curves = ["Multiline", ["rmse/train", "rmse/valid"]]
            self._writer.add_custom_scalars({"training and validation": {"RMSE": curves}})

        self._close = weakref.finalize(self, self._writer.close)

        return self._writer

    def _add_histogram(self, name: str, tensor: Tensor, epoch: int) -> None:
        counts = histogram(tensor)
        n_finite = counts["num"]
        if n_finite:
            self._writer.add_histogram_raw(name, **counts, global_step=epoch)

        if n_finite < tensor.numel():
            self._writer.add_scalar(f"not finite/{name}", tensor.numel() - n_finite, epoch)


def histogram(x: Tensor) -> dict[str, Any]:
    """The histogram of the finite numbers, as `SummaryWriter.add_histogram_raw` takes it.

    `num`, `min`, `max`, `sum`, `sum_squares`, and `bucket_counts` of BINS equally wide buckets with
    their upper ends, `bucket_limits`.
    """
    n = 0
    total = squares = 0.0
    low, high = float("inf"), float("-inf")

    for chunk in _finite_chunks(x):
        n += len(chunk)
        total += float(chunk.sum())
        squares += float(chunk.square().sum())
        low = min(low, float(chunk.min()))
        high = max(high, float(chunk.max()))

    # A bucket must have a width, even if all numbers are the same.
    margin = 0.0 if low < high else 1e-3 * max(1.0, abs(low))
    first = low - margin
    last = high + margin
    counts = _bucket_counts(x, first, last)
    # Without finite numbers `low` and `high` are infinite, and there are no buckets to bound.
    limits = np.linspace(first, last, BINS + 1)[1:] if n else np.zeros(0)

    return {
        "num": n,
        "min": low,
        "max": high,
        "sum": total,
        "sum_squares": squares,
        "bucket_counts": counts.tolist(),
        "bucket_limits": limits.tolist(),
    }


def _bucket_counts(x: Tensor, first: float, last: float) -> np.ndarray:
    """How many finite numbers are in each of BINS equally wide buckets."""
    counts = np.zeros(BINS)
    for chunk in _finite_chunks(x):
        in_chunk = torch.histc(chunk, BINS, first, last)
        counts += in_chunk.cpu().numpy()
    return counts


def holds_events(folder: Path) -> bool:
    """Whether the folder has files of TensorBoard's already."""
    return any(folder.glob("events.out.tfevents.*"))


def _check_installed() -> None:
    try:
        import torch.utils.tensorboard  # noqa: F401
    except ImportError as problem:
        raise SettingError(
            'TensorBoard is not installed; install it with: pip install "recollect[tensorboard]".'
        ) from problem


def _tag(name: str) -> str:
    part, _, figure = name.partition("_")
    # TensorBoard groups by what stands before the slash: both parts of a figure in one group.
    if part in ("train", "valid"):
        return f"{figure}/{part}"

    return f"fit/{name}"


def _tensors(net: nn.Module) -> Iterator[tuple[str, Tensor]]:
    for name, weight in net.named_parameters():
        yield f"weights/{name}", weight.detach()

        gradient = weight.grad
        if gradient is None:
            continue

        if gradient.is_sparse:
            touched = gradient.coalesce()
            yield f"gradients/{name}, touched rows", touched.values()
        else:
            yield f"gradients/{name}", gradient


def _finite_chunks(x: Tensor) -> Iterator[Tensor]:
    """The finite numbers, in chunks of 64 bits: in 32 bits counts would end at 16 million."""
    for chunk in x.reshape(-1).split(CHUNK):
        wide = chunk.double()
        finite = wide[wide.isfinite()]
        if len(finite):
            yield finite

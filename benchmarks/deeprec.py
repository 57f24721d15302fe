"""An epoch of DeepRec beside plain dense PyTorch in 32 bits, as its authors' code works: users × items blocks, masked.

Both train (512, 512, 1024) with dropout 0.8, SELU after every layer, batches of 128 users, momentum; with and without re-feeding.
The authors' own code can be a third: a command that prints a JSON line with notes.seconds_per_epoch and rmse.
"""

import json
import shlex
import statistics
import subprocess
import time
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn

import recollect as rc
from kernels import ratings_1m
from recollect.data.sparse_rows import Rows

HIDDEN, BATCH, RATE = (512, 512, 1024), 128, 0.005
SETTINGS: dict[str, Any] = {
    "hidden": HIDDEN,
    "last_activation": True,
    "learning_rate": RATE,
    "batch_size": BATCH,
}
WAYS = {"re-feeding": 1, "without": 0}
PLAIN = "plain dense step, PyTorch"


class Plain:
    """The network on whole rows, trained as tutorials and the authors' code do it."""

    def __init__(self, rows: Rows, refeed: int, seed: int = 0) -> None:
        torch.manual_seed(seed)
        n = rows.n_columns
        sizes = [n, *HIDDEN, *HIDDEN[-2::-1], n]
        layers = [nn.Linear(a, b) for a, b in pairwise(sizes)]
        for layer in layers:
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        parts: list[nn.Module] = []
        for j, layer in enumerate(layers, start=1):
            parts += [layer, nn.SELU()] + ([nn.Dropout(0.8)] if j == len(HIDDEN) else [])
        self.net, self.rows, self.refeed = nn.Sequential(*parts), rows, refeed
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=RATE, momentum=0.9)

    def dense(self, which: np.ndarray) -> torch.Tensor:
        part = self.rows.take(which)
        cells = torch.tensor(np.stack([part.row, part.column]).astype(np.int64))
        return torch.sparse_coo_tensor(
            cells, torch.tensor(part.value), (len(part), part.n_columns), check_invariants=False
        ).to_dense()

    def step(self, x: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        self.optimizer.zero_grad()
        out = self.net(x)
        mask = (target != 0).float()
        (((out * mask - target) ** 2).sum() / mask.sum()).backward()
        self.optimizer.step()
        return out.detach()

    def epoch(self) -> float:
        """Seconds of a pass over all rows."""
        start = time.perf_counter()
        self.net.train()
        order = torch.randperm(len(self.rows)).numpy()
        for at in range(0, len(order), BATCH):
            x = self.dense(order[at : at + BATCH])
            out = self.step(x, x)
            for _ in range(self.refeed):
                out = self.step(out, out)
        return time.perf_counter() - start

    @torch.no_grad()
    def rmse(self, test: rc.Ratings) -> float:
        """On test ratings, clipped."""
        self.net.eval()
        parts = (
            np.arange(at, min(at + 500, len(self.rows))) for at in range(0, len(self.rows), 500)
        )
        out = torch.cat([self.net(self.dense(part)) for part in parts])
        return float(
            np.sqrt(
                np.mean((out.numpy()[test.user, test.item].clip(*test.scale) - test.value) ** 2)
            )
        )


def ours(
    train: rc.Ratings, refeed: int, epochs: int, precision: str | None = None
) -> tuple[list[float], Any]:
    """Seconds of each epoch, and the model."""
    model = rc.make("deeprec", **SETTINGS, refeed=refeed, epochs=epochs).fit(
        train, run=rc.Run(precision=precision)
    )
    seconds = [0.0, *(s for _, s in model.history_.column("seconds"))]
    return list(np.diff(seconds)), model


def deeprec(peer: str | None, rounds: int = 5, epochs: int = 20) -> dict[str, Any]:
    """Seconds of an epoch, interleaved; then test RMSE after the same number of epochs."""
    split = rc.random_split(ratings_1m(), test=0.1, seed=0)
    found: dict[str, Any] = {}
    for way, refeed in WAYS.items():
        plain = Plain(split.train.by_user, refeed)
        times: dict[str, list[float]] = {PLAIN: [], "Recollect": [], "Recollect, 32 bits": []}
        for turn in range(rounds + 1):
            for name, seconds in (
                (PLAIN, plain.epoch()),
                ("Recollect", ours(split.train, refeed, 2)[0][1]),
                ("Recollect, 32 bits", ours(split.train, refeed, 2, "32")[0][1]),
            ):
                if turn:
                    times[name].append(seconds)
        yardstick = min(times[PLAIN])
        rows = {
            name: {
                "min_s": min(t),
                "median_s": statistics.median(t),
                "dense_over_this": yardstick / min(t),
            }
            for name, t in times.items()
        }
        if epochs:
            plain = Plain(split.train.by_user, refeed)
            for _ in range(epochs):
                plain.epoch()
            rows[PLAIN]["test_rmse"] = plain.rmse(split.test)
            rows["Recollect"]["test_rmse"] = rc.held_out(
                ours(split.train, refeed, epochs)[1], split.test
            )["rmse"]
            rows["Recollect, 32 bits"]["test_rmse"] = rc.held_out(
                ours(split.train, refeed, epochs, "32")[1], split.test
            )["rmse"]
        found[way] = {"rows": rows, "about": {"epochs": epochs}}
    if peer:
        line = (
            subprocess.run(shlex.split(peer), check=True, capture_output=True, text=True)
            .stdout.strip()
            .splitlines()[-1]
        )
        told = json.loads(line)
        found["peer"] = {
            "rows": {
                peer: {"s_per_epoch": told["notes"]["seconds_per_epoch"], "test_rmse": told["rmse"]}
            }
        }
    return found

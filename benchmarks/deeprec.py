"""An epoch of DeepRec beside plain dense PyTorch in 32 bits, as its authors' code works: users ×
items blocks, masked.

Both train (512, 512, 1024) with dropout 0.8, SELU after every layer, batches of 128 users,
momentum; with and without re-feeding. The authors' own code can be a third: a command that prints a
JSON line with notes.seconds_per_epoch and rmse.
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

HIDDEN = (512, 512, 1024)
BATCH = 128
RATE = 0.005
SETTINGS: dict[str, Any] = {
    "hidden": HIDDEN,
    "activation": "selu",
    "last_activation": True,
    "dropout": 0.8,
    "input_dropout": 0.0,
    "reg": 0.0,
    "offsets": False,
    "optimizer": "sgd",
    "learning_rate": RATE,
    "batch_size": BATCH,
    "refit": False,
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
        modules: list[nn.Module] = []
        for j, layer in enumerate(layers, start=1):
            modules += [layer, nn.SELU()]
            if j == len(HIDDEN):
                modules.append(nn.Dropout(0.8))
        self.net = nn.Sequential(*modules)
        self.rows = rows
        self.refeed = refeed
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
        parts = np.array_split(np.arange(len(self.rows)), len(self.rows) // 500 + 1)
        out = torch.cat([self.net(self.dense(part)) for part in parts]).numpy()
        predicted = out[test.user, test.item].clip(*test.scale)
        return float(np.sqrt(np.mean((predicted - test.value) ** 2)))


def fitted(train: rc.Ratings, refeed: int, epochs: int, precision: str | None = None) -> rc.Model:
    """Recollect's DeepRec after so many epochs."""
    model = rc.make("deeprec", **SETTINGS, refeed=refeed, epochs=epochs)
    return model.fit(train, run=rc.Run(precision=precision))


def seconds_of_an_epoch(train: rc.Ratings, refeed: int, precision: str | None = None) -> float:
    """Of the second of two epochs."""
    (_, first), (_, second) = fitted(train, refeed, 2, precision).history_.column("seconds")
    return second - first


def timings(train: rc.Ratings, refeed: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of an epoch of each way, interleaved; the first round does not count."""
    plain = Plain(train.by_user, refeed)
    times: dict[str, list[float]] = {PLAIN: [], "Recollect": [], "Recollect, 32 bits": []}
    for turn in range(rounds + 1):
        seconds = (
            plain.epoch(),
            seconds_of_an_epoch(train, refeed),
            seconds_of_an_epoch(train, refeed, "32"),
        )
        if turn:
            for name, value in zip(times, seconds, strict=True):
                times[name].append(value)
    return times


def errors(split: rc.Split, refeed: int, epochs: int) -> dict[str, float]:
    """Test RMSE of each way after the same number of epochs."""
    plain = Plain(split.train.by_user, refeed)
    for _ in range(epochs):
        plain.epoch()
    mixed = fitted(split.train, refeed, epochs)
    exact = fitted(split.train, refeed, epochs, "32")
    return {
        PLAIN: plain.rmse(split.test),
        "Recollect": rc.held_out(mixed, split.test)["rmse"],
        "Recollect, 32 bits": rc.held_out(exact, split.test)["rmse"],
    }


def deeprec(peer: str | None, rounds: int = 5, epochs: int = 20) -> dict[str, Any]:
    """Seconds of an epoch, interleaved; then test RMSE after the same number of epochs."""
    split = rc.random_split(ratings_1m(), test=0.1, seed=0)
    tables: dict[str, Any] = {}
    for way, refeed in WAYS.items():
        times = timings(split.train, refeed, rounds)
        yardstick = min(times[PLAIN])
        rows: dict[str, dict[str, float]] = {}
        for name, seconds in times.items():
            rows[name] = {
                "min_s": min(seconds),
                "median_s": statistics.median(seconds),
                "dense_over_this": yardstick / min(seconds),
            }
        if epochs:
            for name, rmse in errors(split, refeed, epochs).items():
                rows[name]["test_rmse"] = rmse
        tables[way] = {"rows": rows, "about": {"epochs": epochs}}
    if peer:
        tables["peer"] = {"rows": {peer: figures_of(peer)}}
    return tables


def figures_of(peer: str) -> dict[str, float]:
    """Run the command; its last line is JSON."""
    done = subprocess.run(shlex.split(peer), check=True, capture_output=True, text=True)
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    return {"s_per_epoch": answer["notes"]["seconds_per_epoch"], "test_rmse": answer["rmse"]}

"""An epoch of AutoRec on made-up ratings in the shape of Netflix, read from Parquet as it trains."""

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import recollect as rc
from kernels import SHAPES, made_up
from recollect.data.sparse_rows import Rows
from recollect.run import peak_memory_mb
from recollect.system import processes

SIDES: dict[str, dict[str, Any]] = {
    "I-AutoRec, k = 500": {"side": "item", "hidden": 500, "batch_size": 1_024, "state_bits": 16},
    "user side, 512": {
        "side": "user",
        "hidden": 512,
        "hidden_activation": "selu",
        "batch_size": 4_096,
    },
}


def epochs(share: float) -> dict[str, Any]:
    """Seconds of the second epoch and peak memory, each in a fresh process; `share` of the users, all columns, no validation."""
    users, items, ratings = SHAPES["netflix"]
    with tempfile.TemporaryDirectory(dir=".") as room:
        table, folder = Path(room) / "ratings.parquet", Path(room) / "stored"
        about = next(
            processes.run_each(
                _make, [(round(users * share), items, round(ratings * share), table)], processes=1
            )
        )
        stored = next(processes.run_each(_store, [(table, folder)], processes=1))
        fits = [
            next(processes.run_each(_fit, [(settings, folder)], processes=1))
            for settings in SIDES.values()
        ]
    return {
        "rows": {
            "making the table": about,
            "storing it by user and by item": stored,
            **dict(zip(SIDES, fits, strict=True)),
        }
    }


def _make(job: tuple[int, int, int, Path]) -> dict[str, Any]:
    start = time.perf_counter()
    rows = made_up(*job[:3])
    schema = pa.schema({"user_id": pa.int32(), "item_id": pa.int32(), "rating": pa.float32()})
    with pq.ParquetWriter(job[3], schema) as writer:
        for first in range(0, len(rows), 100):
            _write(writer, schema, first, rows.take(np.arange(first, min(first + 100, len(rows)))))
    return {
        "seconds": time.perf_counter() - start,
        "ratings": len(rows.column),
        "peak_mb": peak_memory_mb(),
    }


def _write(writer: pq.ParquetWriter, schema: pa.Schema, first: int, rows: Rows) -> None:
    writer.write_table(
        pa.table(
            {"user_id": rows.column, "item_id": first + rows.row, "rating": rows.value},
            schema=schema,
        )
    )


def _store(job: tuple[Path, Path]) -> dict[str, Any]:
    start = time.perf_counter()
    stored = rc.store(*job)
    return {
        "seconds": time.perf_counter() - start,
        "ratings": len(stored),
        "peak_mb": peak_memory_mb(),
    }


def _fit(job: tuple[dict[str, Any], Path]) -> dict[str, Any]:
    stored = rc.open_stored(job[1])
    model = rc.make("autorec", optimizer="adam", epochs=2, **job[0]).fit(stored)
    seconds = [s for _, s in model.history_.column("seconds")]
    return {"seconds": seconds[1] - seconds[0], "ratings": len(stored), "peak_mb": peak_memory_mb()}

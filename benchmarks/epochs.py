"""An epoch of AutoRec on made-up ratings in the shape of Netflix, read from Parquet as it
trains."""

import tempfile
import time
from collections.abc import Callable
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
    """Seconds of the second epoch and peak memory, each in a fresh process; `share` of the users,
    all columns, no validation."""
    users, items, ratings = SHAPES["netflix"]
    size = (round(users * share), items, round(ratings * share))
    figures = {}
    with tempfile.TemporaryDirectory(dir=".") as temporary:
        table = Path(temporary) / "ratings.parquet"
        folder = Path(temporary) / "stored"
        figures["making the table"] = _in_a_process(_make, (*size, table))
        figures["storing it by user and by item"] = _in_a_process(_store, (table, folder))
        for label, settings in SIDES.items():
            figures[label] = _in_a_process(_fit, (settings, folder))
    return {"rows": figures}


def _in_a_process(function: Callable[[Any], dict[str, Any]], job: Any) -> dict[str, Any]:
    (figures,) = processes.run_each(function, [job], processes=1)
    return figures


def _make(job: tuple[int, int, int, Path]) -> dict[str, Any]:
    start = time.perf_counter()
    *size, table = job
    rows = made_up(*size)
    schema = pa.schema({"user_id": pa.int32(), "item_id": pa.int32(), "rating": pa.float32()})
    with pq.ParquetWriter(table, schema) as writer:
        for first in range(0, len(rows), 100):
            last = min(first + 100, len(rows))
            _write(writer, schema, first, rows.take(np.arange(first, last)))
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
    settings, folder = job
    stored = rc.open_stored(folder)
    model = rc.make("autorec", optimizer="adam", epochs=2, **settings).fit(stored)
    (_, first), (_, second) = model.history_.column("seconds")
    return {"seconds": second - first, "ratings": len(stored), "peak_mb": peak_memory_mb()}

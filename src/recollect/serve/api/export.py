"""The ratings as a table, to train with elsewhere."""

from __future__ import annotations

import io
from typing import Annotated

from fastapi import APIRouter, Query, Response

from recollect.serve.api.needs import ADMIN, OfService
from recollect.serve.store.tables import ratings_table

router = APIRouter(prefix="/v1", tags=["export"])


@router.get(
    "/export/ratings.parquet",
    dependencies=[ADMIN],
    response_class=Response,
    responses={200: {"content": {"application/vnd.apache.parquet": {}}}},
)
def export(
    service: OfService,
    since: Annotated[int, Query(ge=0, le=2**62, description="Only what came after it.")] = 0,
) -> Response:
    """The ratings as they are now, with the place in the log where each was given or changed."""
    with service.store.database.snapshot() as session:
        table = ratings_table(session, since=since)

    buffer = io.BytesIO()
    table.write_parquet(buffer)

    return Response(buffer.getvalue(), media_type="application/vnd.apache.parquet")

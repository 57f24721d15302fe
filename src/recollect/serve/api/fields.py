"""What ids, ratings and times may be."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

LONGEST_ID = 256
SLASH = "\ue000"  # stands for a slash within an id of a path (`%2F`)
LAST_SECOND = 253_402_300_799  # of the year 9999


class Body(BaseModel):
    """A body or a part of one: unknown fields are refused, not ignored."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


def _as_text(value: Any) -> Any:
    """Ids are text; whole numbers are taken as they are written."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)

    return value


def _checked(value: str) -> str:
    value = value.replace(SLASH, "/").strip()
    if not value or len(value) > LONGEST_ID:
        raise ValueError(f"an id has 1 to {LONGEST_ID} characters, found {len(value)}")

    if not value.isprintable():
        raise ValueError("an id has printable characters only")

    return value


Id = Annotated[
    str, BeforeValidator(_as_text), AfterValidator(_checked), Field(json_schema_extra={})
]
PathId = Annotated[Id, Path(description="The id; a slash in it is written %2F.")]
Time = Annotated[int, Field(ge=0, le=LAST_SECOND, description="Seconds since 1970.")]
Number = Annotated[float, Field(allow_inf_nan=False)]
HowMany = Annotated[int, Field(ge=1, le=1000)]

"""What a model can do, as it states it itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What a model with its settings predicts, what ratings must have, and how it can be fitted."""

    # Ratings, within the scale; or scores to rank by, whose error means nothing.
    output: Literal["ratings", "scores"] = "ratings"
    # What the ratings must have: "time", "text"; "events" for a model of events instead of ratings.
    needs: frozenset[str] = frozenset()
    # Whether it has vectors of users and items, whose cosine is similarity.
    similarity: bool = True
    # Of models of events: whether counts (or weights of kinds of events) change what is learned
    counts: bool = False
    # Whether it learns from ratings on disk, too.
    streams: bool = False
    # Whether validation may end a fit; if not, `refit` learns from train and validation at once.
    stops_early: bool = True
    # Changes of settings that take less memory, proposed when a fit needs too much.
    smaller: tuple[dict[str, Any], ...] = ()

"""What `train` says when it chooses the model, and of the members of a blend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table

import recollect as rc
from recollect.cli.output.tables import cell, seconds, table

if TYPE_CHECKING:
    from recollect.choice.auto import Choice, Tried


def header(ratings: rc.Ratings, valid: rc.Ratings | None, budget: float) -> list[str]:
    """What is about to be done, in some lines.

    Args:
        ratings: to learn from.
        valid: to choose by; None: some of `ratings`.
        budget: seconds.
    """
    what = "events" if ratings.implicit else "ratings"
    chosen_by = "some of them" if valid is None else f"{len(valid):,} others"
    how = "the best of several models" if ratings.implicit else "several models, blended into one"
    return [
        f"{ratings.name}: {ratings.n_users:,} users × {ratings.n_items:,} items; "
        f"{len(ratings):,} {what} to learn from, chosen by {chosen_by}",
        f"no model is named: {how}, in about {seconds(budget)} (--minutes)",
    ]


def line(tried: Tried) -> str:
    """A candidate that was fitted or left out."""
    figure = "" if tried.figure is None else f"  {tried.figure:.4f} in {seconds(tried.seconds)}"
    note = f"  ({tried.note})" if tried.note else ""
    return f"{_short(tried.model)}{figure}{note}"


def rows_of(choice: Choice) -> list[dict[str, Any]]:
    """The candidates as the answer has them."""
    return [
        {
            "model": tried.model,
            "figure": tried.figure,
            "weight": tried.weight,
            "seconds": tried.seconds,
            "note": tried.note,
        }
        for tried in choice.tried
    ]


def baseline(choice: Choice) -> dict[str, Any]:
    """The simplest model, which is tried first, and its validation figure."""
    simplest = choice.tried[0]
    return {"model": simplest.model, f"valid_{choice.figure_name}": simplest.figure}


def rows_of_blend(model: rc.Model) -> list[dict[str, Any]]:
    """The members of a blend as the answer has them; of another model none."""
    members = getattr(model, "members", ())
    return [
        {
            "model": text,
            "figure": figures.get("member_rmse"),
            "weight": figures["weight"],
            "seconds": figures["seconds"],
            "note": "",
        }
        for text, figures in zip(members, model.history_.epochs, strict=False)
    ]


def members_table(rows: Sequence[Mapping[str, Any]], figure: str) -> Table:
    """The candidates or members in a table.

    Args:
        rows: from `rows_of` or `rows_of_blend`.
        figure: the name of the validation figure.
    """
    cells = [
        (
            _short(row["model"]),
            cell(row["figure"]),
            f"{row['weight']:.3f}" if row["figure"] is not None else "",
            seconds(row["seconds"]),
            row["note"],
        )
        for row in rows
    ]

    return table(("member", f"valid {figure.upper()}", "weight", "time", ""), cells)


def _short(text: str) -> str:
    """A model with its first settings."""
    words = text.split()
    more = " …" if len(words) > 4 else ""
    return " ".join(words[:4]) + more

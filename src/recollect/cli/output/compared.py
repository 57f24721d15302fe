"""What `recollect compare` shows: a table of figures, how they were measured, and differences."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from recollect.cli.output.tables import interval, memory, seconds, table

ERRORS = ("rmse", "mae")


def shown(result: dict[str, Any]) -> list[RenderableType]:
    """What is printed of a comparison.

    Args:
        result: as it is written to a file.
    """
    models = result["models"]
    lines: list[RenderableType] = [
        _figures(result),
        _conditions(result),
        *_breakdowns(models, len(result["seeds"])),
        *_failures(result["failed"]),
        "",
    ]
    if next(iter(models.values()))["ranking"]:
        lines.append(_lists(models))

    lines.extend(_difference(row, result) for row in result["differences"])

    return lines


def _figures(result: dict[str, Any]) -> RenderableType:
    """A row for each model: its figure with the interval, its errors, time and memory."""
    models, metric = result["models"], result["metric"]
    errors = [name for name in ERRORS if name != metric and _any_has(models, name)]
    columns = (
        "model",
        _title(metric),
        "95% interval",
        *(name.upper() for name in errors),
        "time of a fit",
        "peak memory",
    )
    rows = [_row(name, figures, errors) for name, figures in models.items()]

    return table(columns, rows, title=result["data"])


def _any_has(models: Mapping[str, Any], error: str) -> bool:
    return any(figures[error] is not None for figures in models.values())


def _row(name: str, figures: dict[str, Any], errors: list[str]) -> tuple[Any, ...]:
    figure, runs = figures["figure"], figures["runs"]
    measured = ("–", "")  # of a model without the figure by which they are compared
    if figure is not None:
        measured = (figure["value"], interval(figure["low"], figure["high"]))

    return (
        name,
        *measured,
        *(_error(figures[error]) for error in errors),
        seconds(statistics.median(run["seconds"] for run in runs)),
        memory(max(run["peak_memory_mb"] for run in runs)),
    )


def _error(error: Any) -> Any:
    """An error as a number: one with an interval is a dictionary."""
    return error["value"] if isinstance(error, dict) else error


def _title(metric: str) -> str:
    return metric.upper() if metric in ERRORS else metric


def _conditions(result: dict[str, Any]) -> str:
    first_runs = [figures["runs"][0] for figures in result["models"].values()]
    n_cold = [run["n_cold"] for run in first_runs if run["n_cold"] is not None]
    cold = f" ({n_cold[0]:,} cold in the first split)" if n_cold and n_cold[0] else ""
    seeds = result["seeds"]
    of_what = " of each user" if result["split"]["how"] == "per_user" else ""
    splits = f"one random split{of_what}, seed {seeds[0]}"
    if len(seeds) > 1:
        splits = f"{len(seeds)} random splits{of_what}, seeds {seeds[0]} to {seeds[-1]}"

    over = "users (bootstrap)"
    if result["over"] == "splits":
        over = "splits (corrected for their overlap)"

    what = "events" if result["implicit"] else "ratings"

    return (
        f"{splits}; {result['split']['test']:.0%} test, all {first_runs[0]['n_test']:,} {what} "
        f"scored{cold}. Intervals are over {over}. Memory is that of the process of a fit, Python "
        "and its libraries included."
    )


def _lists(models: Mapping[str, Any]) -> RenderableType:
    """The figures of lists: a row for each, a column for each model."""
    first = next(iter(models.values()))["ranking"]
    rows = [
        (name, *(figures["ranking"].get(name) for figures in models.values())) for name in first
    ]

    return table(("metric", *models), rows, title="All items ranked")


def _breakdowns(models: Mapping[str, Any], n_splits: int) -> list[RenderableType]:
    """A line for each model whose training broke down."""
    lines: list[RenderableType] = []

    for name, figures in models.items():
        reasons = [run["stopped"] for run in figures["runs"] if run["stopped"]]
        if reasons:
            text = f"{name}: training broke down in {len(reasons)} of {n_splits}. {reasons[0]}"
            lines.append(Text(text, style="bold red"))

    return lines


def _failures(failed: Mapping[str, str]) -> list[RenderableType]:
    """A line for each model that could not be fitted."""
    return [
        Text(f"{name} failed and is left out: {why}", style="bold red")
        for name, why in failed.items()
    ]


def _difference(row: dict[str, Any], result: dict[str, Any]) -> str:
    """A sentence that begins with the better of two models, where one figure is better."""
    first, second = row["model"], row["other"]
    is_lower = result["better"] == "lower"
    if (row["difference"] > 0) == is_lower:
        first, second = second, first

    where = "below" if is_lower else "above"
    text = f"{first} is {abs(row['difference']):.4f} {where} {second} in {_title(result['metric'])}"
    if row["significant"] is None:
        return f"{text}; one split cannot say whether by more than chance."

    chance = "more than by chance" if row["significant"] else "which may be chance"
    p = f"p = {row['p_holm']:.2g}"
    if "p_wilcoxon_holm" in row:
        p += f", Wilcoxon's {row['p_wilcoxon_holm']:.2g}"

    return f"{text}, {chance} ({p})."

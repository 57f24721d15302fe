"""The verb prequential: how a model keeps up with ratings as they come in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import recollect as rc
from recollect.cli.options.fitting import Device, Seed, Threads
from recollect.cli.options.out_file import check_out
from recollect.cli.options.settings import Settings, settings_of
from recollect.cli.options.source import Columns, Source, ratings_from
from recollect.cli.options.texts import Texts
from recollect.cli.output.screen import Answer, Screen
from recollect.cli.output.tables import table


def prequential(
    screen: Screen,
    source: Source,
    columns: Columns,
    texts: Texts,
    model: Annotated[
        str, typer.Option("--model", metavar="MODEL", show_default=False, help="The model.")
    ],
    settings: Settings = None,
    start: Annotated[
        float, typer.Option(help="Share of the ratings, the earliest, that is fitted first.")
    ] = 0.6,
    ways: Annotated[
        list[str] | None,
        typer.Option(
            "--way",
            metavar="frozen|fold_in|update|refit",
            show_default=False,
            help="How the model keeps up; repeat it for more (default: all four).",
        ),
    ] = None,
    refit_every: Annotated[
        str, typer.Option(metavar="TIME", help="Time between fits, such as 1d, 12h or 30m.")
    ] = "1d",
    batch: Annotated[
        int, typer.Option(min=1, help="Events that are predicted before they are learned from.")
    ] = 100,
    valid: Annotated[
        float, typer.Option(help="Share of what is fitted that chooses when to stop.")
    ] = 0.05,
    n: Annotated[int, typer.Option("-n", min=1, help="Length of the lists, of events.")] = 100,
    window: Annotated[
        int, typer.Option(min=1, help="Events in a window of the figure and of --out.")
    ] = 5000,
    plot: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Draw the windows as a picture.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the windows to this file (.parquet or .csv)."),
    ] = None,
    seed: Seed = 0,
    threads: Threads = None,
    device: Device = "cpu",
) -> Answer:
    """Predict, score and learn in order of time: frozen, fold-in, update and refit side by side."""
    from recollect.data.splitting.shares import check_shares
    from recollect.data.tables import write_table

    check_shares(valid=valid)
    _check_files(screen, source, plot=plot, out=out)
    recipe = rc.make(model, **settings_of(settings))
    ratings = texts.attach(ratings_from(source, columns))
    chosen: dict[str, Any] = {"ways": tuple(ways)} if ways else {}
    run = rc.Run(seed=seed, threads=threads, device=device)
    chosen |= {"start": start, "refit_every": refit_every, "batch": batch, "n": n, "valid": valid}

    with screen.steps("events", len(ratings) - round(start * len(ratings))) as step:
        result = rc.prequential(recipe, ratings, **chosen, run=run, progress=step)

    if plot is not None:
        from recollect.report.prequential_curve import draw

        draw(result, plot, window=window, title=f"{model} on {ratings.name}")

    if out is not None:
        write_table(result.windows(window), out)

    return _answer(result, {"plot": plot, "out": out})


def _check_files(screen: Screen, source: str, *, plot: Path | None, out: Path | None) -> None:
    """Refuse files that could not be written, before the work.

    Args:
        screen: where it is said that a file will be replaced.
        source: what is read.
        plot: of the picture; None: none.
        out: of the windows; None: none.
    """
    from recollect import report
    from recollect.data.tables import check_ending

    if plot is not None:
        report.check(plot)
        check_out(screen, "--plot", plot, {"SOURCE": source})

    if out is not None:
        check_ending(out)
        check_out(screen, "--out", out, {"SOURCE": source})


def _answer(result: Any, files: dict[str, Path | None]) -> Answer:
    rows = result.table().to_dicts()
    shown: list[Any] = [table(list(rows[0]), [list(row.values()) for row in rows])]
    about = result.about
    shown.append(
        f"The first {about['n_first']:,} ratings were fitted; {about['n_events']:,} events came "
        f"after, {about['batch']:,} at a time. gain_share: of what refit gains over frozen. "
        "learn_ms and predict_ms: milliseconds an event."
    )
    shown += [f"Written to {path}." for path in files.values() if path is not None]

    return Answer({**about, "metric": result.metric, "ways": rows, **files}, shown)

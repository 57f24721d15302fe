"""The pages: one HTML file with everything in it, and a Markdown page with its pictures per experiment."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recollect.errors import SettingError
from recollect.evaluation.significance import Interval
from recollect.experiment.file import Experiment
from recollect.experiment.results import Results
from recollect.report import pictures
from recollect.report.sheets import Chapter, Line, Sheet, gather
from recollect.system.atomic_files import replacing

OLD = "† made by an earlier version of the source; `recollect run FILE --fresh` makes it anew."


def write(
    experiments: Sequence[Experiment], results: Results, folder: Path
) -> tuple[list[Path], list[Chapter]]:
    """Write report.html, and NAME.md and its pictures for each experiment; returns the files and what they show.

    Raises: SettingError if Jinja or Matplotlib is not there; CheckpointError for a damaged result.
    """
    check()
    chapters = [gather(experiment, results) for experiment in experiments]
    drawn = {
        (chapter.experiment.name, sheet.table.name, sheet.part.name): picture
        for chapter in chapters
        for sheet in chapter.sheets
        if (picture := pictures.figure(sheet)) is not None
    }
    written = [
        pictures.png(picture, folder / f"{_file(*key)}.png") for key, picture in drawn.items()
    ]
    for chapter in chapters:
        written.append(
            _written(
                folder / f"{chapter.experiment.name}.md",
                markdown(
                    chapter,
                    {
                        key[1:]: f"{_file(*key)}.png"
                        for key in drawn
                        if key[0] == chapter.experiment.name
                    },
                ),
            )
        )
    svgs = {key: pictures.svg(picture, _file(*key)) for key, picture in drawn.items()}
    return [*written, _written(folder / "report.html", html(chapters, svgs))], chapters


def check() -> None:
    """Refuse to start without the libraries for pages.

    Raises: SettingError with how to install them.
    """
    try:
        import jinja2
        import matplotlib  # noqa: F401

        _ = jinja2
    except ImportError as problem:
        raise SettingError(
            'Reports need Jinja and Matplotlib; install them with: pip install "recollect[report]".'
        ) from problem


def _file(*names: str) -> str:
    """The name of a picture, without anything that a file's name should not have."""
    return "-".join(re.sub(r"[^\w]+", "-", name) for name in names)


def _written(path: Path, text: str) -> Path:
    with replacing(path) as fresh:
        fresh.write_text(text)
    return path


# --- what stands in a line ------------------------------------------------------------------------------------------------


def figure(x: float | None) -> str:
    """A figure to four places; a dash for none."""
    return "–" if x is None or not math.isfinite(x) else f"{x:.4f}"


def interval(found: Interval | None) -> str:
    """The limits, if there are any."""
    return (
        "–"
        if found is None or not math.isfinite(found.low)
        else f"{found.low:.4f} – {found.high:.4f}"
    )


def cells(line: Line) -> dict[str, str]:
    """What a table says of a run, by column."""
    found, claim = line.interval, line.claim
    splits = (
        f"{len(line.outcome.done)} of {line.n_splits}"
        if len(line.outcome.done) < line.n_splits
        else str(line.n_splits)
    )
    return {
        "run": line.entry.name,
        "ours": line.why if found is None else figure(found.mean) + " †" * line.old,
        "95% interval": interval(found),
        "splits": splits if line.outcome.done else "–",
        "paper": "–" if claim is None else f"{claim.value:g}",
        "ours − paper": "–"
        if claim is None or found is None
        else f"{found.mean - claim.value:+.4f}",
        "verdict": "–" if line.verdict is None or found is None else line.verdict.text,
        "fit": "–" if line.seconds is None else _seconds(line.seconds),
        "peak MB": "–" if line.memory_mb is None else f"{line.memory_mb:,.0f}",
    }


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds / 60:.1f} min"


def columns(sheet: Sheet) -> list[str]:
    """The columns that a table needs: those of the paper only if it claims something."""
    paper = ("paper", "ours − paper", "verdict") if any(line.claim for line in sheet.lines) else ()
    return ["run", "ours", "95% interval", "splits", *paper, "fit", "peak MB"]


def visible(sheet: Sheet) -> list[Line]:
    """The lines of a table; of one that was not run, those with a number of the paper's."""
    return [line for line in sheet.lines if sheet.has_results or line.claim is not None]


def failures(sheet: Sheet) -> list[str]:
    """Runs that failed, and why."""
    return [
        f"{line.entry.name} {line.why}" for line in sheet.lines if line.why.startswith("failed")
    ]


def summary(chapter: Chapter) -> str:
    """How many claims and checks came out how."""
    words = {"open": "without a result"}
    return (
        ", ".join(
            f"{count} {words.get(word, word)}" for word, count in chapter.counts.items() if count
        )
        or "none"
    )


# --- pages ----------------------------------------------------------------------------------------------------------------


def markdown(chapter: Chapter, files: dict[tuple[str, str], str]) -> str:
    """The page of an experiment; `files` has the picture of a table and part."""
    of = chapter.experiment
    out = [
        f"# {of.name}",
        "",
        f"Written by `recollect report experiments/{of.name}.toml`; change that file, not this page.",
        "",
        f"[{of.paper}]({of.link})" if of.link else of.paper,
        "",
        of.protocol.strip(),
        "",
        f"Claims and checks: {summary(chapter)}. {chapter.made}",
        "",
    ]
    out += [
        *(f"- {part.name}: {part.about}" for part in chapter.parts),
        *(f"- {each}" for each in chapter.open),
        "",
    ]
    for table in of.tables.values():
        out += [f"## {table.title}", "", table.shows, ""]
        for sheet in (sheet for sheet in chapter.sheets if sheet.table is table):
            out += _markdown_sheet(sheet, files.get((table.name, sheet.part.name)))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(out)).rstrip() + "\n"


def _markdown_sheet(sheet: Sheet, file: str | None) -> list[str]:
    lines, head = visible(sheet), columns(sheet)
    if not lines:
        return []
    rows = [cells(line) for line in lines]
    out = [
        f"**{sheet.part.name}.** {sheet.about}",
        "",
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
    ]
    out += ["| " + " | ".join(_cell(row[column]) for column in head) + " |" for row in rows] + [""]
    out += [OLD, ""] if any(line.old for line in lines) else []
    out += [f"- {failure}" for failure in failures(sheet)]
    if sheet.has_results:
        out += [
            f"- {check.says} ({check.where}): **{verdict.word}**, {verdict.text}."
            for check, verdict in sheet.checks
        ] + [""]
    return [*out, f"![{sheet.table.title}, {sheet.part.name}]({file})", ""] if file else out


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def html(chapters: Sequence[Chapter], svgs: dict[tuple[str, str, str], str]) -> str:
    """One page with everything in it: no request leaves it."""
    import jinja2

    here: Any = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    here.globals |= {
        "cells": cells,
        "columns": columns,
        "visible": visible,
        "failures": failures,
        "summary": summary,
        "old": OLD,
    }
    return here.get_template("page.html").render(
        chapters=chapters,
        svg=lambda sheet, chapter: svgs.get(
            (chapter.experiment.name, sheet.table.name, sheet.part.name), ""
        ),
    )

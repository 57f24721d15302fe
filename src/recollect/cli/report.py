"""The verb report: pages of tables and figures from the records of experiments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recollect.cli.options.records import ResultsFolder
from recollect.cli.options.trust import Trust
from recollect.cli.output.screen import Answer, Screen
from recollect.errors import SettingError


def report(
    screen: Screen,
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE]…",
            show_default=False,
            help="Experiments; all in the folder experiments, if none is named.",
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option(
            metavar="FOLDER",
            help="Where to write report.html, a Markdown page for each, and their pictures.",
        ),
    ] = Path("runs/report"),
    results: ResultsFolder = None,
    trust: Trust = None,
) -> Answer:
    """Write tables, figures and a verdict on each of the papers' claims; nothing is run."""
    from recollect.experiment.parse import read
    from recollect.experiment.results import Results
    from recollect.report import render
    from recollect.report.tables import make_report

    paths = files or sorted(Path("experiments").glob("*.toml"))
    if not paths:
        raise SettingError("There is no folder experiments here with TOML files; name a file.")

    reports = []

    for path in paths:
        experiment = read(path, trusted=trust or ())
        records = Results(results or experiment.records)
        reports.append(make_report(experiment, records))

    written = render.write(reports, out)
    verdicts = {report.experiment.name: report.counts for report in reports}
    summaries = [f"{report.experiment.name}: {render.summary(report)}" for report in reports]
    still_open = [line for report in reports for line in report.open]
    pages = [path.name for path in written if path.suffix != ".png"]
    n_pictures = len(written) - len(pages)
    message = f"Written to {out}: {', '.join(pages)} and {n_pictures} pictures."

    return Answer(
        {"written": written, "verdicts": verdicts, "open": still_open},
        [*summaries, *still_open, message],
    )

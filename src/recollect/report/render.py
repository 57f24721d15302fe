"""The pages: one HTML file with everything in it, and a Markdown page for each experiment."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recollect.errors import SettingError
from recollect.evaluation.significance import Interval
from recollect.experiment.metric import label
from recollect.experiment.spec import Claim
from recollect.report import figures
from recollect.report.rows import ResultRow
from recollect.report.tables import Report, ResultTable
from recollect.system.atomic_files import replacing

FigureKey = tuple[str, str, str]  # experiment, table, part


def write(reports: Sequence[Report], folder: Path) -> list[Path]:
    """Write report.html, and for each experiment NAME.md with its figures.

    Args:
        reports: of the experiments.
        folder: where to write; it is made if it does not exist.

    Returns: the files.
    Raises: SettingError without Jinja or Matplotlib.
    """
    check()
    drawn = {}

    for report in reports:
        for table in report.tables:
            figure = figures.draw(table)
            if figure is not None:
                drawn[_figure_key(report, table)] = figure

    written = []

    for key, figure in drawn.items():
        written.append(figures.write_png(figure, folder / f"{_file_name(key)}.png"))

    files = {key: f"{_file_name(key)}.png" for key in drawn}

    for report in reports:
        path = folder / f"{report.experiment.name}.md"
        written.append(_write_text(path, markdown(report, files)))

    svgs = {key: figures.to_svg(figure, _file_name(key)) for key, figure in drawn.items()}
    written.append(_write_text(folder / "report.html", html(reports, svgs)))

    return written


def check() -> None:
    """Refuse to start without the libraries for pages.

    Raises: SettingError with how to install them.
    """
    try:
        import jinja2  # noqa: F401
        import matplotlib  # noqa: F401
    except ImportError as problem:
        raise SettingError(
            'Reports need Jinja and Matplotlib; install them with: pip install "recollect[report]".'
        ) from problem


def _figure_key(report: Report, table: ResultTable) -> FigureKey:
    experiment = report.experiment.name
    return experiment, table.table.name, table.part.name


def _file_name(key: FigureKey) -> str:
    """The name of a figure's file, without characters that file names should not have."""
    parts = [re.sub(r"[^\w]+", "-", name) for name in key]
    return "-".join(parts)


def _write_text(path: Path, text: str) -> Path:
    with replacing(path) as fresh:
        fresh.write_text(text)
    return path


def format_figure(value: float | None) -> str:
    """A figure to four places; a dash without one."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:.4f}"


def format_interval(interval: Interval | None) -> str:
    """The limits of an interval; a dash without them."""
    if interval is None or not math.isfinite(interval.low):
        return "–"
    return f"{interval.low:.4f} – {interval.high:.4f}"


def format_seconds(seconds: float | None) -> str:
    """A duration in seconds, from a minute on in minutes; a dash without one."""
    if seconds is None:
        return "–"

    if seconds < 60:
        return f"{seconds:.1f} s"

    return f"{seconds / 60:.1f} min"


def cells(row: ResultRow) -> dict[str, str]:
    """What a table says of a run, by column."""
    texts = {metric: format_figure(row.mean_of(metric)) for metric in row.also}
    texts |= {
        "run": _describe_run(row),
        "ours": row.reason,
        "95% interval": format_interval(row.interval),
        "splits": _format_splits(row),
        "paper": "–",
        "ours − paper": "–",
        "verdict": "–",
        "fit": format_seconds(row.fit_seconds),
        "peak MB": "–" if row.peak_memory_mb is None else f"{row.peak_memory_mb:,.0f}",
    }

    if row.claim is not None:
        texts["paper"] = f"{row.claim.value:g}"

    if row.interval is not None:
        texts["ours"] = format_figure(row.interval.mean)
        if row.claim is not None and row.verdict is not None:
            texts["ours − paper"] = _format_difference(row, row.claim)
            texts["verdict"] = row.verdict.text

    return texts


def header(table: ResultTable, column: str) -> str:
    """What stands above a column: of events the metric above our figures."""
    if column == "ours" and table.part.events is not None:
        return label(table.part.metric)

    return label(column) if column in table.table.also else column


def _describe_run(row: ResultRow) -> str:
    """The name of a run, with what validation chose and what else the file says of it."""
    name = row.run.name
    if row.chosen:
        name = f"{name} ({row.chosen} by validation)"

    if row.run.model is not None and row.run.note:
        name = f"{name}: {row.run.note}"

    return name


def _format_difference(row: ResultRow, claim: Claim) -> str:
    """Ours less the paper's, both of the fold that the claim is about, if it is about one."""
    assert row.interval is not None
    figure = row.interval.mean if claim.fold is None else row.of_fold
    if figure is None:
        return "–"

    return f"{figure - claim.value:+.4f}"


def _format_splits(row: ResultRow) -> str:
    n_done = row.outcome.n_done
    if not n_done:
        return "–"

    if n_done == row.n_splits:
        return str(n_done)

    return f"{n_done} of {row.n_splits}"


def columns(table: ResultTable) -> list[str]:
    """The columns of a table; those of the paper only if it claims something."""
    has_claims = any(row.claim for row in table.rows)
    shown = ["run", "ours", "95% interval", *table.table.also, "splits"]
    if has_claims:
        shown += ["paper", "ours − paper", "verdict"]

    return [*shown, "fit", "peak MB"]


def visible_rows(table: ResultTable) -> list[ResultRow]:
    """The rows to show: of a table without results, only those with a number of the paper.

    Everywhere a row without a model is the paper's number, and stands where there is one.
    """
    if table.has_results:
        return [row for row in table.rows if row.run.model or row.claim]

    return [row for row in table.rows if row.claim is not None]


def failures(table: ResultTable) -> list[str]:
    """Runs that failed, and why."""
    failed = [row for row in table.rows if row.reason.startswith("failed")]
    return [f"{row.run.name} {row.reason}" for row in failed]


def reasons(table: ResultTable) -> list[str]:
    """Why we believe that claims and checks did not come out, where the file says so."""
    sentences = []

    for row in table.rows:
        is_missed = row.verdict is not None and row.verdict.word == "missed"
        if is_missed and row.claim is not None and row.claim.because:
            sentences.append(f"{row.run.name} misses the paper: {row.claim.because}")

    for check_, verdict in table.checks:
        if verdict.word == "not confirmed" and check_.because:
            sentences.append(f"{check_.says}: not so. {check_.because}")

    return sentences


def summary(report: Report) -> str:
    """How many claims and checks came out how."""
    counts = []

    for verdict, n in report.counts.items():
        word = "without a result" if verdict == "open" else verdict
        if verdict == "open" and report.n_without_data:
            word += f", {report.n_without_data} of them for want of data"

        if n:
            counts.append(f"{n} {word}")

    return ", ".join(counts) or "none"


def markdown(report: Report, files: Mapping[FigureKey, str]) -> str:
    """The page of an experiment.

    Args:
        report: of the experiment.
        files: the file of each figure, by experiment, table and part.
    """
    lines = _opening(report)

    for spec in report.experiment.tables.values():
        lines += ["", f"## {spec.title}", "", spec.shows, ""]

        for table in report.tables:
            if table.table is spec:
                file = files.get(_figure_key(report, table))
                lines += _markdown_table(table, file)

    text = "\n".join(lines)
    # A page holds no HTML of its own: what looks like it is text of the experiment's file.
    text = re.sub(r"<(?=[A-Za-z/!?])", "&lt;", text)
    # Parts without content leave blank lines behind.
    text = re.sub(r"\n{3,}", "\n\n", text)

    return text.rstrip() + "\n"


def _opening(report: Report) -> list[str]:
    """The lines above the tables: the paper, the protocol, how claims came out, and the parts."""
    experiment = report.experiment
    paper = experiment.paper
    lines = [
        f"# {experiment.name}",
        "",
        f"Written by `recollect report experiments/{experiment.name}.toml`; "
        "change that file, not this page.",
        "",
        f"[{paper}]({experiment.link})" if experiment.link else paper,
        "",
        experiment.protocol.strip(),
        "",
        f"Claims and checks: {summary(report)}. {report.made}",
        "",
    ]
    lines += [f"- {name}: {text}" for name, text in report.parts.items()]
    lines += [f"- {sentence}" for sentence in report.open]

    return lines


def _markdown_table(table: ResultTable, file: str | None) -> list[str]:
    rows = visible_rows(table)
    if not rows:
        return []

    head = columns(table)
    lines = [
        f"**{table.part.name}.** {table.about}",
        "",
        "| " + " | ".join(header(table, column) for column in head) + " |",
        "|" + "---|" * len(head),
    ]

    for row in rows:
        texts = cells(row)
        escaped = [_escape(texts[column]) for column in head]
        lines.append("| " + " | ".join(escaped) + " |")

    lines.append("")
    lines += [f"- {failure}" for failure in failures(table)]
    if table.has_results:
        for check_, verdict in table.checks:
            claim = f"{check_.says} ({check_.where})"
            lines.append(f"- {claim}: **{verdict.word}**, {verdict.text}.")

        lines += [f"- {reason}" for reason in reasons(table)]
        lines.append("")

    if file:
        lines += [f"![{table.table.title}, {table.part.name}]({file})", ""]

    return lines


def _escape(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def html(reports: Sequence[Report], svgs: Mapping[FigureKey, str]) -> str:
    """One page with everything in it: no request leaves it.

    Args:
        reports: of the experiments.
        svgs: the figures, by experiment, table and part.
    """
    import jinja2

    def svg(report: Report, table: ResultTable) -> str:
        key = _figure_key(report, table)
        return svgs.get(key, "")

    environment: Any = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    functions = (cells, columns, failures, header, reasons, summary, svg, visible_rows)
    environment.globals |= {function.__name__: function for function in functions}

    template = environment.get_template("page.html")

    return str(template.render(reports=reports))

"""A fit's training and validation figures over the epochs, drawn with characters."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from rich.text import Text

Point = tuple[int, float]  # an epoch and a figure
Cell = tuple[int, int]  # the row and the column of a character
Series = Mapping[str, list[Point]]  # the points of "train" and "valid"

LABELS = {"train": "training", "valid": "validation"}
STYLES = {"train": "cyan", "valid": "yellow"}
# The bits of a Braille character: four rows of two dots.
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
BRAILLE = 0x2800
DOT_ROWS = 4
DOT_COLUMNS = 2
LEAST_HEIGHT = 3
LEAST_COLUMNS = 8


def curve(
    epochs: Sequence[dict[str, float]],
    *,
    kept: int = 0,
    width: int = 80,
    height: int = 11,
    plain: bool = False,
) -> Text:
    """A panel for each kind of figure: training as a dotted line, validation as a solid one.

    A figure that is not finite leaves a gap. The first tenth of the epochs does not stretch the
    axis: a curve that begins far off enters at the edge.

    Args:
        epochs: what was measured after each epoch, `train_…` and `valid_…`.
        kept: the epoch whose weights were kept, marked on the validation curve; 0: none.
        width: in characters.
        height: of all panels together, without titles and axes, in characters.
        plain: whether to use ASCII characters only.
    """
    panels = _series_by_metric(epochs)
    if not panels:
        return Text("There is no curve: nothing was measured epoch by epoch.")

    last = int(epochs[-1]["epoch"])
    panel_height = max(LEAST_HEIGHT, height // len(panels))
    drawn = [
        _Panel(metric, series, last, kept, plain=plain).draw(width, panel_height)
        for metric, series in panels.items()
    ]

    return Text("\n", no_wrap=True, overflow="crop").join(drawn)


def _series_by_metric(epochs: Sequence[dict[str, float]]) -> dict[str, dict[str, list[Point]]]:
    """The points of each metric, by part."""
    panels: dict[str, dict[str, list[Point]]] = {}

    for figures in epochs:
        for name, value in figures.items():
            part, _, metric = name.partition("_")
            if part in LABELS:
                points = panels.setdefault(metric, {}).setdefault(part, [])
                points.append((int(figures["epoch"]), value))

    return panels


class _Panel:
    """One kind of figure: title, canvas with a scale and labels, and the axis of epochs."""

    def __init__(self, metric: str, series: Series, last: int, kept: int, *, plain: bool) -> None:
        self.title = f"{metric.upper() if metric == 'rmse' else metric} by epoch"
        self.series = series
        self.last = last
        self.kept = kept
        self.kept_value = dict(series.get("valid", [])).get(kept, math.nan)
        self.plain = plain
        self.labels = {part: _label(part, points) for part, points in series.items()}

    def draw(self, width: int, height: int) -> Text:
        """The panel in so many characters; the height is that of the canvas."""
        if not any(math.isfinite(value) for points in self.series.values() for _, value in points):
            return Text(f"{self.title}: no figure is a finite number.")

        low, high = _limits(self.series, self.last)
        ticks = _ticks(low, high, height)
        margin = max(map(len, ticks.values()))
        label_width = max(map(len, self.labels.values()))
        columns = max(LEAST_COLUMNS, width - margin - 3 - label_width)
        canvas = _Canvas(self.last, low, high, columns=columns, rows=height)

        for part in LABELS:  # validation last, above training
            canvas.draw(part, self.series.get(part, []))

        marked = canvas.cell(self.kept, self.kept_value)
        lines = [self._head(is_marked=marked is not None)]
        lines += self._rows(canvas, ticks, margin, marked)
        lines += self._axis(columns, margin)

        return Text("\n").join(lines)

    def _head(self, *, is_marked: bool) -> Text:
        head = Text(self.title, style="bold")
        if not is_marked:
            return head

        mark = "o" if self.plain else "●"
        note = f"   {mark} kept: epoch {self.kept}, {self.kept_value:.4f}"

        return Text.assemble(head, (note, STYLES["valid"]))

    def _rows(
        self, canvas: _Canvas, ticks: dict[int, str], margin: int, marked: Cell | None
    ) -> list[Text]:
        bar = "|" if self.plain else "│"
        part_beside = canvas.label_rows(self.series)
        lines = []

        for row in range(canvas.rows):
            line = Text.assemble((f"{ticks.get(row, ''):>{margin}} {bar}", "dim"))

            for column in range(canvas.columns):
                is_marked = (row, column) == marked
                line.append_text(canvas.character(row, column, marked=is_marked, plain=self.plain))

            if row in part_beside:
                part = part_beside[row]
                line.append(f" {self.labels[part]}", style=STYLES[part])

            line.rstrip()
            lines.append(line)

        return lines

    def _axis(self, columns: int, margin: int) -> list[Text]:
        """The line below the canvas, and the first and the last epoch."""
        corner = "+" if self.plain else "└"
        dash = "-" if self.plain else "─"
        right = str(self.last) if self.last > 1 else ""
        between = "epoch".center(columns - len("1") - len(right))
        line = f"{'':>{margin}} {corner}{dash * columns}"
        numbers = f"{'':>{margin}}  1{between}{right}".rstrip()

        return [Text(line, style="dim"), Text(numbers, style="dim")]


def _label(part: str, points: list[Point]) -> str:
    """The name of a part and its last figure."""
    last_value = points[-1][1]
    if not math.isfinite(last_value):
        return f"{LABELS[part]}: not finite"
    return f"{LABELS[part]} {last_value:.4f}"


def _ticks(low: float, high: float, height: int) -> dict[int, str]:
    """The figures beside the top, the middle and the bottom row."""
    middle_row = height // 2
    # The middle of the row, in dots from the top.
    middle_dot = DOT_ROWS * middle_row + (DOT_ROWS - 1) / 2
    middle = high - (high - low) * middle_dot / (DOT_ROWS * height - 1)

    return {
        0: f"{high:.4g}",
        middle_row: f"{middle:.4g}",
        height - 1: f"{low:.4g}",
    }


def _limits(series: Series, last: int) -> tuple[float, float]:
    """The least and the greatest figure after the first tenth of the epochs, never equal."""
    points = [point for part in series.values() for point in part if math.isfinite(point[1])]
    later = [value for epoch, value in points if epoch > last // 10]
    values = later or [value for _, value in points]
    low = min(values)
    high = max(values)
    is_flat = high - low <= 1e-3 * abs(high)
    if not is_flat:
        return low, high

    pad = 0.01 * max(abs(high), 0.1)

    return low - pad, high + pad


class _Canvas:
    """Rows × columns of characters, each of 4 × 2 dots; the dots count from the upper left."""

    def __init__(self, last: int, low: float, high: float, *, columns: int, rows: int) -> None:
        self.last = last
        self.low = low
        self.high = high
        self.columns = columns
        self.rows = rows
        # The dots of a character, as bits, and the part that was drawn last there.
        self._dots: dict[Cell, tuple[int, str]] = {}

    def place(self, epoch: int, value: float) -> tuple[int, int]:
        """The column and the row of a point's dot, in dots; far outside, those of the edge."""
        width = DOT_COLUMNS * self.columns
        height = DOT_ROWS * self.rows
        share_of_epochs = (epoch - 1) / max(1, self.last - 1)
        column = round(share_of_epochs * (width - 1))

        share_of_range = (self.high - value) / (self.high - self.low)
        row = share_of_range * (height - 1)
        # A line from a point far outside must not take long to draw.
        row = max(row, -1.0 * height)
        row = min(row, 2.0 * height)

        return column, round(row)

    def cell(self, epoch: int, value: float) -> Cell | None:
        """The character of a point; None outside the canvas."""
        if not math.isfinite(value):
            return None

        column, row = self.place(epoch, value)
        if not 0 <= row < DOT_ROWS * self.rows:
            return None

        return row // DOT_ROWS, column // DOT_COLUMNS

    def draw(self, part: str, points: list[Point]) -> None:
        """Join the points by lines, with a gap at a figure that is not finite."""
        previous: tuple[int, int] | None = None

        for epoch, value in points:
            place = self.place(epoch, value) if math.isfinite(value) else None
            if place is not None:
                self._join(part, previous or place, place)

            previous = place

    def _join(self, part: str, start: tuple[int, int], end: tuple[int, int]) -> None:
        """Draw the dots of a line between two places."""
        first_column, first_row = start
        width = end[0] - first_column
        height = end[1] - first_row
        steps = max(abs(width), abs(height), 1)

        for step in range(steps + 1):
            column = round(first_column + width * step / steps)
            row = round(first_row + height * step / steps)
            if self._is_drawn(part, column, row):
                self._add_dot(part, column, row)

    def _add_dot(self, part: str, column: int, row: int) -> None:
        """Add a dot to the character where it lies; none outside the canvas."""
        if not 0 <= row < DOT_ROWS * self.rows:
            return

        cell = (row // DOT_ROWS, column // DOT_COLUMNS)
        dots, _ = self._dots.get(cell, (0, ""))
        dot = DOTS[row % DOT_ROWS][column % DOT_COLUMNS]
        self._dots[cell] = (dots | dot, part)

    def _is_drawn(self, part: str, column: int, row: int) -> bool:
        """Validation is a solid line, training a dotted one; a single point is always drawn."""
        if part == "valid" or self.last == 1:
            return True

        return (column + row) % 2 == 0

    def character(self, row: int, column: int, *, marked: bool, plain: bool) -> Text:
        """The character of a cell.

        Args:
            row: from the top.
            column: from the left.
            marked: whether this is the epoch that was kept.
            plain: whether to use ASCII characters only.
        """
        if marked:
            return Text("o" if plain else "●", style=f"bold {STYLES['valid']}")

        dots, part = self._dots.get((row, column), (0, ""))
        if not dots:
            return Text(" ")

        if plain:
            return Text("." if part == "train" else "*", style=STYLES[part])

        return Text(chr(BRAILLE + dots), style=STYLES[part])

    def label_rows(self, series: Series) -> dict[int, str]:
        """The row of each part's label: that of its last point, or the nearest free one."""
        part_of_row: dict[int, str] = {}

        for part, points in series.items():
            finite = [value for _, value in points if math.isfinite(value)]
            last_value = finite[-1] if finite else self.low
            row = self.place(self.last, last_value)[1] // DOT_ROWS
            wanted = min(max(row, 0), self.rows - 1)
            free = set(range(self.rows)) - part_of_row.keys()
            part_of_row[_nearest(free, wanted)] = part

        return part_of_row


def _nearest(rows: set[int], wanted: int) -> int:
    return min(rows, key=lambda row: abs(row - wanted))

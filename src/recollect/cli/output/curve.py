"""A fit's training and validation figures over the epochs, drawn with characters."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.text import Text

Point = tuple[int, float]  # an epoch, and a figure

NAMES = {"train": "training", "valid": "validation"}
STYLES = {"train": "cyan", "valid": "yellow"}
DOTS = (
    (0x01, 0x08),
    (0x02, 0x10),
    (0x04, 0x20),
    (0x40, 0x80),
)  # of a Braille character: four rows of two


def curve(
    epochs: Sequence[dict[str, float]],
    *,
    kept: int = 0,
    width: int = 80,
    height: int = 11,
    plain: bool = False,
) -> Text:
    """Whatever of `train_…` and `valid_…` was measured, a panel for each kind of figure; training is dotted, validation a line.

    Figures that are no finite number leave a gap. The first tenth of the epochs does not stretch the axis: a curve that begins
    far off comes in from the edge. The validation figure of the epoch `kept` is marked (0: none). `width` and `height` are in
    characters, the height that of all panels without their titles and axes; `plain` does without Unicode.
    """
    panels: dict[str, dict[str, list[Point]]] = {}
    for figures in epochs:
        for key, value in figures.items():
            part, _, metric = key.partition("_")
            if part in NAMES:
                panels.setdefault(metric, {}).setdefault(part, []).append(
                    (int(figures["epoch"]), value)
                )
    if not panels:
        return Text("There is no curve: nothing was measured epoch by epoch.")
    last = int(epochs[-1]["epoch"])
    each = max(3, height // len(panels))
    drawn = [
        _panel(metric, series, last, kept, width=width, height=each, plain=plain)
        for metric, series in panels.items()
    ]
    return Text("\n", no_wrap=True, overflow="crop").join(drawn)


def _panel(
    metric: str,
    series: dict[str, list[Point]],
    last: int,
    kept: int,
    *,
    width: int,
    height: int,
    plain: bool,
) -> Text:
    title = f"{metric.upper() if metric == 'rmse' else metric} by epoch"
    if not any(math.isfinite(x) for points in series.values() for _, x in points):
        return Text(f"{title}: no figure is a finite number.")
    low, high = _limits(series, last)
    middle = high - (high - low) * (4 * (height // 2) + 1.5) / (4 * height - 1)
    ticks = {0: f"{high:.4g}", height // 2: f"{middle:.4g}", height - 1: f"{low:.4g}"}
    names = {part: _name(part, points) for part, points in series.items()}
    margin = max(map(len, ticks.values()))
    columns = max(8, width - margin - 3 - max(map(len, names.values())))
    canvas = _Canvas(last, low, high, columns=columns, rows=height)
    for part in NAMES:  # validation comes last, above training
        canvas.draw(part, series.get(part, []))
    beside = canvas.beside(series)
    marked = canvas.cell(kept, dict(series.get("valid", [])).get(kept, math.nan))
    head = Text(title, style="bold")
    if marked:
        kept_at = (
            f"   {'o' if plain else '●'} kept: epoch {kept}, {dict(series['valid'])[kept]:.4f}"
        )
        head = Text.assemble(head, (kept_at, STYLES["valid"]))
    bar, corner, line = ("|", "+", "-") if plain else ("│", "└", "─")
    lines = [head]
    for row in range(height):
        drawn = [
            canvas.character(row, column, marked=(row, column) == marked, plain=plain)
            for column in range(columns)
        ]
        name = (f" {names[beside[row]]}", STYLES[beside[row]]) if row in beside else ""
        lines.append(Text.assemble((f"{ticks.get(row, ''):>{margin}} {bar}", "dim"), *drawn, name))
        lines[-1].rstrip()
    left, right = "1", str(last) if last > 1 else ""
    between = "epoch".center(columns - len(left) - len(right))
    axis = (
        f"{'':>{margin}} {corner}{line * columns}",
        f"{'':>{margin}}  {left}{between}{right}".rstrip(),
    )
    return Text("\n").join([*lines, *(Text(each, style="dim") for each in axis)])


def _name(part: str, points: list[Point]) -> str:
    value = points[-1][1]
    return f"{NAMES[part]} {value:.4f}" if math.isfinite(value) else f"{NAMES[part]}: no number"


def _limits(series: dict[str, list[Point]], last: int) -> tuple[float, float]:
    """The least and the greatest figure after the first tenth of the epochs, a little apart in any case."""
    finite = [(epoch, x) for points in series.values() for epoch, x in points if math.isfinite(x)]
    seen = [x for epoch, x in finite if epoch > last // 10] or [x for _, x in finite]
    low, high = min(seen), max(seen)
    pad = 0.0 if high - low > 1e-3 * abs(high) else 0.01 * max(abs(high), 0.1)
    return low - pad, high + pad


class _Canvas:
    """Rows × columns of characters, each of 4 × 2 dots; the dots count from the upper left."""

    def __init__(self, last: int, low: float, high: float, *, columns: int, rows: int) -> None:
        self.last, self.low, self.high, self.columns, self.rows = last, low, high, columns, rows
        self._dots: dict[
            tuple[int, int], tuple[int, str]
        ] = {}  # of a character: which dots, and whose they are

    def place(self, epoch: int, value: float) -> tuple[int, int]:
        """The dot of a point; rows well outside stand for all that are further off."""
        x = round((epoch - 1) / max(1, self.last - 1) * (2 * self.columns - 1))
        y = (self.high - value) / (self.high - self.low) * (4 * self.rows - 1)
        return x, round(min(max(y, -4.0 * self.rows), 8.0 * self.rows))

    def cell(self, epoch: int, value: float) -> tuple[int, int] | None:
        """Row and column of the character that has the point; None outside."""
        if not math.isfinite(value):
            return None
        x, y = self.place(epoch, value)
        return (y // 4, x // 2) if 0 <= y < 4 * self.rows else None

    def draw(self, part: str, points: list[Point]) -> None:
        """Join the points by lines; a figure that is no finite number parts them."""
        before: tuple[int, int] | None = None
        for epoch, value in points:
            here = self.place(epoch, value) if math.isfinite(value) else None
            if here is not None:
                self._join(part, before or here, here)
            before = here

    def _join(self, part: str, start: tuple[int, int], end: tuple[int, int]) -> None:
        steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]), 1)
        for step in range(steps + 1):
            x, y = (round(a + (b - a) * step / steps) for a, b in zip(start, end, strict=True))
            if 0 <= y < 4 * self.rows and (part == "valid" or (x + y) % 2 == 0 or self.last == 1):
                cell = y // 4, x // 2
                self._dots[cell] = self._dots.get(cell, (0, ""))[0] | DOTS[y % 4][x % 2], part

    def character(self, row: int, column: int, *, marked: bool, plain: bool) -> Text:
        """What stands in a cell."""
        dots, part = self._dots.get((row, column), (0, ""))
        if marked:
            return Text("o" if plain else "●", style=f"bold {STYLES['valid']}")
        if not dots:
            return Text(" ")
        return Text(
            {"train": ".", "valid": "*"}[part] if plain else chr(0x2800 + dots), style=STYLES[part]
        )

    def beside(self, series: dict[str, list[Point]]) -> dict[int, str]:
        """The row beside which each part's name stands: that of its last point, or the nearest free one."""
        found: dict[int, str] = {}
        for part, points in series.items():
            value = next((x for _, x in reversed(points) if math.isfinite(x)), self.low)
            row = min(max(self.place(self.last, value)[1] // 4, 0), self.rows - 1)
            found[min(set(range(self.rows)) - found.keys(), key=lambda free: abs(free - row))] = (
                part
            )
        return found

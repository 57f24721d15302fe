"""A curve of a fit as the points of an SVG."""

from __future__ import annotations

from dataclasses import dataclass

WIDTH = 240.0
HEIGHT = 60.0
Points = list[tuple[int, float]]


@dataclass(frozen=True)
class Curve:
    """A line to draw.

    Args:
        name: of the figure.
        points: for the attribute `points` of a polyline.
        first: the figure of the first epoch.
        last: that of the last.
    """

    name: str
    points: str
    first: float
    last: float


def curves(figures: dict[str, Points]) -> list[Curve]:
    """A line for each figure; all share their axes."""
    usable = {name: points for name, points in figures.items() if len(points) > 1}
    if not usable:
        return []

    epochs = [epoch for points in usable.values() for epoch, _ in points]
    values = [value for points in usable.values() for _, value in points]
    lowest = min(values)
    height = max(values) - lowest or 1.0
    first = min(epochs)
    width = max(epochs) - first or 1

    def place(epoch: int, value: float) -> str:
        x = (epoch - first) / width * WIDTH
        y = HEIGHT - (value - lowest) / height * HEIGHT
        return f"{x:.1f},{y:.1f}"

    return [
        Curve(name, " ".join(place(*point) for point in points), points[0][1], points[-1][1])
        for name, points in usable.items()
    ]

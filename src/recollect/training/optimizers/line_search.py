"""A line search for the strong Wolfe conditions.

Source: Nocedal and Wright, "Numerical Optimization", 2nd edition, algorithms 3.5 and 3.6, in one
loop.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

SUFFICIENT_DECREASE = 1e-4  # c₁
CURVATURE = 0.9  # c₂, for quasi-Newton directions
GROWTH = 2.5  # of the step, until the minimum lies between two points
EDGE = 0.1  # share of the bracket at either end in which no point is tried


class Point(NamedTuple):
    """A step along the direction, the objective there, and the objective's slope there."""

    step: float
    objective: float
    slope: float


def strong_wolfe(
    evaluate: Callable[[float], tuple[float, float]],
    *,
    objective: float,
    slope: float,
    first_step: float,
    max_evaluations: int,
) -> tuple[float, float]:
    """A step that meets the strong Wolfe conditions, and the objective there.

    The point that is returned is the one evaluated last. If none meets the conditions, it is the
    best one that lowered the objective, and step 0 if none did; that one is not evaluated again.

    Args:
        evaluate: the objective at a step, and its slope.
        objective: f(0).
        slope: f'(0), below 0.
        first_step: the step tried first.
        max_evaluations: how many steps are tried at most.
    """
    start = Point(0.0, objective, slope)
    low = start  # the best point so far
    high: Point | None = None  # the other end of the bracket
    step = first_step

    for _ in range(max_evaluations):
        point = Point(step, *evaluate(step))
        if _is_too_high(point, start, low):
            high = point
        elif abs(point.slope) <= -CURVATURE * start.slope:
            return point.step, point.objective
        else:
            high = _other_end(point, low, high)
            low = point

        if high is None:
            step *= GROWTH
            continue

        step = _between(low, high)
        if _is_flat(low, high, start):
            break

    # The point returned must be the one evaluated last, for its gradient is the next one.
    if low.step > 0.0:
        objective, _ = evaluate(low.step)
        return low.step, objective

    return 0.0, start.objective


def _is_too_high(point: Point, start: Point, low: Point) -> bool:
    """Whether the step was too long: no sufficient decrease, or no better than the best."""
    if not math.isfinite(point.objective):
        return True
    sufficient = start.objective + SUFFICIENT_DECREASE * point.step * start.slope
    return point.objective > sufficient or point.objective >= low.objective


def _other_end(point: Point, low: Point, high: Point | None) -> Point | None:
    """The other end of the bracket when `point` takes the place of `low` as the best one."""
    # Without a bracket every longer step lies beyond.
    far_step = point.step + 1
    if high is not None:
        far_step = high.step

    # The minimum lies on the other side: the best point so far becomes the far end.
    if point.slope * (far_step - low.step) >= 0:
        return low

    return high


def _is_flat(low: Point, high: Point, start: Point) -> bool:
    """Whether the objective cannot change within the bracket by more than rounding."""
    width = abs(high.step - low.step)
    largest_change = width * abs(start.slope)
    # An objective of 0 would make every bracket wide enough.
    size = max(abs(start.objective), 1e-30)

    return largest_change < 1e-9 * size


def _between(low: Point, high: Point) -> float:
    """The minimum of the cubic through both points, not close to either; the middle if it has
    none."""
    a, f_a, g_a = low
    b, f_b, g_b = high
    middle = (a + b) / 2
    # No cubic goes through infinity: try a much shorter step.
    if not (math.isfinite(f_b) and math.isfinite(g_b)):
        return a + EDGE * (b - a)

    # Equation 3.59.
    d1 = g_a + g_b - 3 * (f_a - f_b) / (a - b)
    square = d1 * d1 - g_a * g_b
    # The cubic rises or falls throughout.
    if square < 0:
        return middle

    sign = 1 if b > a else -1
    d2 = sign * square**0.5
    denominator = g_b - g_a + 2 * d2
    if denominator == 0:
        return middle

    minimum = b - (b - a) * (g_b + d2 - d1) / denominator
    edge = EDGE * (b - a)
    lowest, highest = sorted((a + edge, b - edge))

    return min(max(minimum, lowest), highest)

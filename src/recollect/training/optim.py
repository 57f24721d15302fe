"""The optimisers that the papers name. Adam, SGD and Rprop are torch's; L-BFGS is ours.

Ours because torch's costs three more copies of the parameters, keeps its history in 32 bits, and cannot say how many
evaluations it made; and because the history costs as much as the products when a network is wide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from recollect.errors import unknown

Closure = Callable[[], Tensor]  # sets the gradients and returns the objective

Vector = list[Tensor]            # one part per parameter

OPTIMIZERS = ("lbfgs", "rprop", "adam", "sgd")
FULL_BATCH = ("lbfgs", "rprop")  # steps of these make no sense on a part of the data


def make(name: str, parameters: Iterable[torch.nn.Parameter], *, learning_rate: float, momentum: float = 0.9,
         history: int = 5) -> torch.optim.Optimizer | LBFGS:
    """The optimiser of that name. `learning_rate` is Rprop's first step; L-BFGS finds its own and ignores it.

    Raises: SettingError if there is none of that name.
    """
    if name == "lbfgs":
        return LBFGS(parameters, history=history)
    if name == "rprop":
        return torch.optim.Rprop(parameters, lr=learning_rate, etas=(0.5, 1.2), step_sizes=(1e-8, 1.0))
    if name == "adam":
        return torch.optim.Adam(parameters, lr=learning_rate)
    if name == "sgd":
        return torch.optim.SGD(parameters, lr=learning_rate, momentum=momentum)
    raise unknown("optimizer", name, OPTIMIZERS)


class LBFGS:
    """Limited-memory BFGS with a strong-Wolfe line search, full batch; one step is one iteration.

    The history's vectors are kept in 16 bits, each scaled to its largest entry: they only steer the search, and the
    line search judges every step in full precision. Memory beside the parameters: 3 + history vectors of 32 bits (two
    gradients, the direction, and pairs of 16-bit vectors).

    Source: Nocedal and Wright, Numerical Optimization, 2nd edition, algorithms 7.4, 7.5, 3.5 and 3.6.
    """

    def __init__(self, parameters: Iterable[torch.nn.Parameter], *, history: int = 5, most_evaluations: int = 20) -> None:
        self._parameters = list(parameters)
        self._history, self._most = history, most_evaluations
        self._pairs: list[_Pair] = []
        self._objective: float | None = None
        self.evaluations = 0     # made so far
        self.converged = False   # no step along the steepest descent lowers the objective any more

    def zero_grad(self) -> None:
        """Nothing: the gradient of the last evaluation is where the next step starts."""

    @torch.no_grad()
    def step(self, closure: Closure) -> None:
        """One iteration: a direction, then as many evaluations as the line search needs."""
        if self.converged:
            return
        if self._objective is None or any(p.grad is None for p in self._parameters):
            self._objective = self._evaluate(closure)
        gradient = self._take_gradient()
        direction = _two_loop(self._pairs, gradient)
        slope = _dot(direction, gradient)
        if not self._pairs or slope > -1e-12 * (_dot(gradient, gradient) * _dot(direction, direction)) ** 0.5:
            self._pairs, direction, slope = [], [-g for g in gradient], -_dot(gradient, gradient)
        here = 0.0

        def along(step: float) -> tuple[float, float]:
            nonlocal here
            for p, d in zip(self._parameters, direction, strict=True):
                p.add_(d, alpha=step - here)
            here = step
            objective = self._evaluate(closure)
            return objective, _dot(direction, [_given(p.grad) for p in self._parameters])

        first = 1.0 if self._pairs else min(1.0, 1.0 / max(sum(float(g.abs().sum()) for g in gradient), 1e-30))
        step, objective = _strong_wolfe(along, start=(self._objective, slope), first=first, most=self._most)
        if step == 0.0:  # with a history, forget it and try the steepest descent next; without one, this is the end
            self.converged, self._pairs = not self._pairs, []
            self._objective, _ = along(0.0)
            return
        self._objective = objective
        for g, p in zip(gradient, self._parameters, strict=True):
            g.sub_(_given(p.grad)).neg_()
        for d in direction:
            d.mul_(step)
        pair = _Pair.of(direction, gradient)
        if pair.curvature > 1e-10 * pair.change_square:
            self._pairs = [*self._pairs, pair][-self._history:]

    def state_dict(self) -> dict[str, Any]:
        """What a later step depends on, beside the parameters."""
        return {"pairs": [asdict(pair) for pair in self._pairs], "objective": self._objective,
                "evaluations": self.evaluations, "converged": self.converged}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state; the gradient is computed anew at the next step."""
        for pair in state["pairs"]:  # a snapshot comes back on the CPU
            for vector in ("step", "change"):
                pair[vector] = [x.to(p.device) for x, p in zip(pair[vector], self._parameters, strict=True)]
        self._pairs = [_Pair(**pair) for pair in state["pairs"]]
        self._objective, self.evaluations = state["objective"], state["evaluations"]
        self.converged = state["converged"]
        for p in self._parameters:
            p.grad = None

    def _evaluate(self, closure: Closure) -> float:
        self.evaluations += 1
        for p in self._parameters:
            p.grad = None
        with torch.enable_grad():
            return float(closure())

    def _take_gradient(self) -> Vector:
        """The gradient, handed over: the parameters keep none, so the next evaluation does not add to it."""
        found = [_given(p.grad) for p in self._parameters]
        for p in self._parameters:
            p.grad = None
        return found


@dataclass
class _Pair:
    """One step s and the change of the gradient y along it, in 16 bits, with s·y and y·y in full."""

    step: list[Tensor]
    step_scale: float
    change: list[Tensor]
    change_scale: float
    curvature: float      # s·y
    change_square: float  # y·y

    @classmethod
    def of(cls, step: Vector, change: Vector) -> _Pair:
        curvature, square = _dot(step, change), _dot(change, change)
        a, b = (max(max(float(part.abs().max()) for part in v), 1e-30) for v in (step, change))
        return cls([(x / a).half() for x in step], a, [(x / b).half() for x in change], b, curvature, square)


def _given(gradient: Tensor | None) -> Tensor:
    assert gradient is not None, "a parameter that the objective does not depend on"
    return gradient


def _dot(a: Vector, b: Vector) -> float:
    return sum(float(x.reshape(-1).to(y.dtype) @ y.reshape(-1)) for x, y in zip(a, b, strict=True))


def _two_loop(pairs: list[_Pair], gradient: Vector) -> Vector:
    """Minus the gradient times the inverse Hessian that the pairs suggest (algorithm 7.4)."""
    q = [-g for g in gradient]
    shares = []
    for pair in reversed(pairs):
        share = pair.step_scale * _dot(pair.step, q) / pair.curvature
        _add(q, pair.change, -share * pair.change_scale)
        shares.append(share)
    if pairs:
        for part in q:
            part.mul_(pairs[-1].curvature / pairs[-1].change_square)
    for pair, share in zip(pairs, reversed(shares), strict=True):
        back = pair.change_scale * _dot(pair.change, q) / pair.curvature
        _add(q, pair.step, (share - back) * pair.step_scale)
    return q


def _add(to: Vector, what: Vector, times: float) -> None:
    for x, y in zip(to, what, strict=True):
        x.add_(y.to(x.dtype), alpha=times)


def _strong_wolfe(along: Callable[[float], tuple[float, float]], *, start: tuple[float, float], first: float, most: int,
                  sufficient: float = 1e-4, curvature: float = 0.9) -> tuple[float, float]:
    """A step that meets the strong Wolfe conditions, and the objective there; the last point evaluated is the one returned.

    Falls back to the best step that lowered the objective, or to 0 if none did.
    """
    f0, slope0 = start
    low, high = (0.0, f0, slope0), None  # step, objective, slope: the best so far, and the far end of the bracket
    step = first
    for _ in range(most):
        f, slope = along(step)
        finite = f == f and abs(f) != float("inf")
        if not finite or f > f0 + sufficient * step * slope0 or f >= low[1]:
            high = (step, f, slope)
        elif abs(slope) <= -curvature * slope0:
            return step, f
        else:
            if slope * ((high[0] if high else step + 1) - low[0]) >= 0:
                high = low
            low = (step, f, slope)
        if high is None:
            step *= 2.5
        else:
            step = _between(low, high)
            if abs(high[0] - low[0]) * abs(slope0) < 1e-9 * max(abs(f0), 1e-30):
                break
    if low[0] > 0.0:
        f, _ = along(low[0])
        return low[0], f
    return 0.0, f0


def _between(low: tuple[float, float, float], high: tuple[float, float, float]) -> float:
    """The minimum of the cubic through both ends, kept away from them; the middle if there is none."""
    a, fa, ga = low
    b, fb, gb = high
    middle = (a + b) / 2
    if not all(abs(v) < float("inf") for v in (fb, gb)) or fb != fb:
        return a + 0.1 * (b - a)
    d1 = ga + gb - 3 * (fa - fb) / (a - b)
    square = d1 * d1 - ga * gb
    if square < 0:
        return middle
    d2 = (1 if b > a else -1) * square**0.5
    bottom = gb - ga + 2 * d2
    if bottom == 0:
        return middle
    at = b - (b - a) * (gb + d2 - d1) / bottom
    edge = 0.1 * (b - a)
    near, far = sorted((a + edge, b - edge))
    return min(max(at, near), far)

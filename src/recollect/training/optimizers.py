"""The optimizers that the papers name: L-BFGS, Rprop, Adam, and gradient descent with momentum.

Ours and not torch's because a step is as fast as memory can be read, if it is read once: `kernels.vectors` does what is as
long as the parameters, this file what is short. torch's L-BFGS also costs three more copies of the parameters, keeps its
history in 32 bits, and cannot say how many evaluations it made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recollect.errors import SettingError, unknown
from recollect.kernels import optimizer_steps

Closure = Callable[[], Tensor | float]  # sets the gradients and returns the objective

Vector = list[Tensor]  # one part per parameter

OPTIMIZERS = ("lbfgs", "rprop", "adam", "rmsprop", "sgd")
FULL_BATCH = ("lbfgs", "rprop")  # steps of these make no sense on a part of the data
BY_RATE = ("adam", "rmsprop", "sgd")  # these have a learning rate that may change


def make(
    name: str,
    parameters: Iterable[torch.nn.Parameter],
    *,
    learning_rate: float,
    momentum: float = 0.9,
    history: int = 5,
    state_bits: int = 32,
) -> LBFGS | Adam | RMSprop | Rprop | SGD:
    """The optimizer of that name. `learning_rate` is Rprop's first step; L-BFGS finds its own and ignores it. What steps by
    a rate (Adam, RMSprop, SGD) has it as `rate`, to be changed at any time.

    Raises: SettingError if there is none of that name.
    """
    if name == "lbfgs":
        return LBFGS(parameters, history=history)
    if name == "rprop":
        return Rprop(parameters, learning_rate=learning_rate)
    if name == "adam":
        return Adam(parameters, learning_rate=learning_rate, state_bits=state_bits)
    if name == "rmsprop":
        return RMSprop(parameters, learning_rate=learning_rate)
    if name == "sgd":
        return SGD(parameters, learning_rate=learning_rate, momentum=momentum)
    raise unknown("optimizer", name, OPTIMIZERS)


class Adam:
    """Adam. Of a parameter with a sparse gradient only the rows that have one step, and only their moments decay.

    `state_bits=16` keeps the two moments in bfloat16 (the arithmetic stays in 32 bits), for layers whose state would not fit.

    Source: Kingma and Ba, ICLR 2015; the arithmetic is torch.optim.Adam's, of sparse gradients torch.optim.SparseAdam's.
    """

    def __init__(
        self,
        parameters: Iterable[torch.nn.Parameter],
        *,
        learning_rate: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
        state_bits: int = 32,
    ) -> None:
        if state_bits not in (16, 32):
            raise SettingError(f"state_bits is 16 or 32, found {state_bits}.")
        self._parameters = list(parameters)
        self.rate, self._betas, self._epsilon = learning_rate, betas, epsilon
        short = torch.bfloat16 if state_bits == 16 else None
        self._mean, self._square = (
            [torch.zeros_like(p, dtype=short, requires_grad=False) for p in self._parameters]
            for _ in range(2)
        )
        self._steps = [0] * len(self._parameters)

    def zero_grad(self) -> None:
        """Forget the gradients."""
        _forget_gradients(self._parameters)

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> None:
        """One step of every parameter that has a gradient."""
        _call(closure)
        for j, p in enumerate(self._parameters):
            if p.grad is None:
                continue
            self._steps[j] += 1
            seen, seen_square = (
                1 - beta ** self._steps[j] for beta in self._betas
            )  # of 1, how much the moments hold by now
            gradient, rows, epsilon = p.grad, None, self._epsilon * seen_square**0.5
            if gradient.is_sparse:
                gradient, rows, epsilon = *_rows(gradient), self._epsilon  # as SparseAdam
            optimizer_steps.adam(
                p,
                gradient,
                self._mean[j],
                self._square[j],
                rows=rows,
                rate=self.rate * seen_square**0.5 / seen,
                epsilon=epsilon,
                betas=self._betas,
                salt=(self._steps[j] * 0x9E3779B9 + j) & 0xFFFFFFFF,
            )

    def state_dict(self) -> dict[str, Any]:
        """What a later step depends on, beside the parameters."""
        return {"steps": list(self._steps), "mean": self._mean, "square": self._square}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state."""
        self._steps = list(state["steps"])
        _copy(state["mean"], self._mean)
        _copy(state["square"], self._square)


class RMSprop:
    """Gradients divided by the root of their mean square, a running mean; torch.optim.RMSprop's arithmetic.

    Source: Tieleman and Hinton, lecture 6.5 of "Neural Networks for Machine Learning", 2012.
    """

    def __init__(
        self,
        parameters: Iterable[torch.nn.Parameter],
        *,
        learning_rate: float = 0.001,
        decay: float = 0.9,
        epsilon: float = 1e-7,
    ) -> None:
        self._parameters = list(parameters)
        self.rate, self._decay, self._epsilon = learning_rate, decay, epsilon
        self._gradient, self._square = (
            [torch.zeros_like(p, requires_grad=False) for p in self._parameters] for _ in range(2)
        )

    def zero_grad(self) -> None:
        """Forget the gradients."""
        _forget_gradients(self._parameters)

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> None:
        """One step of every parameter that has a gradient: Adam's without a memory of gradients."""
        _call(closure)
        for p, gradient, square in zip(self._parameters, self._gradient, self._square, strict=True):
            if p.grad is not None:
                optimizer_steps.adam(
                    p,
                    p.grad,
                    gradient,
                    square,
                    rate=self.rate,
                    epsilon=self._epsilon,
                    betas=(0.0, self._decay),
                    salt=0,
                )

    def state_dict(self) -> dict[str, Any]:
        """What a later step depends on, beside the parameters."""
        return {
            "gradient": self._gradient,
            "square": self._square,
        }  # m + (g − m) is not g to the bit

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state."""
        _copy(state["gradient"], self._gradient)
        _copy(state["square"], self._square)


class SGD:
    """Gradient descent with momentum; torch.optim.SGD's arithmetic: the speed is a sum of gradients, not their mean."""

    def __init__(
        self,
        parameters: Iterable[torch.nn.Parameter],
        *,
        learning_rate: float = 0.001,
        momentum: float = 0.9,
    ) -> None:
        self._parameters = list(parameters)
        self.rate, self._momentum = learning_rate, momentum
        self._speed = [torch.zeros_like(p, requires_grad=False) for p in self._parameters]

    def zero_grad(self) -> None:
        """Forget the gradients."""
        _forget_gradients(self._parameters)

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> None:
        """One step of every parameter that has a gradient."""
        _call(closure)
        for p, speed in zip(self._parameters, self._speed, strict=True):
            if p.grad is not None:
                optimizer_steps.sgd(p, p.grad, speed, rate=self.rate, momentum=self._momentum)

    def state_dict(self) -> dict[str, Any]:
        """What a later step depends on, beside the parameters."""
        return {"speed": self._speed}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state."""
        _copy(state["speed"], self._speed)


class Rprop:
    """Resilient propagation without backtracking: only the gradient's signs count, full batch. torch.optim.Rprop's arithmetic.

    Source: Riedmiller and Braun, ICNN 1993; the limits and factors are those of `make`.
    """

    def __init__(
        self,
        parameters: Iterable[torch.nn.Parameter],
        *,
        learning_rate: float = 0.01,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-8, 1.0),
    ) -> None:
        self._parameters = list(parameters)
        self._etas, self._sizes = etas, step_sizes
        self._before = [torch.zeros_like(p, requires_grad=False) for p in self._parameters]
        self._size = [
            torch.full_like(p, learning_rate, requires_grad=False) for p in self._parameters
        ]

    def zero_grad(self) -> None:
        """Forget the gradients."""
        _forget_gradients(self._parameters)

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> None:
        """One step of every parameter that has a gradient."""
        _call(closure)
        for p, before, size in zip(self._parameters, self._before, self._size, strict=True):
            if p.grad is not None:
                optimizer_steps.rprop(p, p.grad, before, size, etas=self._etas, sizes=self._sizes)

    def state_dict(self) -> dict[str, Any]:
        """What a later step depends on, beside the parameters."""
        return {"before": self._before, "size": self._size}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state."""
        _copy(state["before"], self._before)
        _copy(state["size"], self._size)


def _forget_gradients(parameters: list[torch.nn.Parameter]) -> None:
    for p in parameters:
        p.grad = None


def _call(closure: Closure | None) -> None:
    if closure is not None:
        with torch.enable_grad():
            closure()


def _copy(found: Vector, to: Vector) -> None:
    """From a snapshot, which comes back on the CPU."""
    for x, y in zip(found, to, strict=True):
        y.copy_(x)


def _rows(gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Values and row numbers of a sparse gradient, each row once."""
    if gradient.sparse_dim() != 1:
        raise SettingError(
            f"A sparse gradient must be sparse in rows only, found {gradient.sparse_dim()} sparse dimensions."
        )
    gradient = gradient.coalesce()
    rows = gradient.indices()[0]
    if len(rows) and not 0 <= int(rows[0]) <= int(rows[-1]) < len(gradient):
        raise IndexError(
            f"Rows are 0 to {len(gradient) - 1}, found {int(rows[0])} to {int(rows[-1])}."
        )
    return gradient.values(), rows


class LBFGS:
    """Limited-memory BFGS with a strong-Wolfe line search, full batch; one step is one iteration.

    An iteration reads the history twice. After each evaluation one pass stores the pair (s, y) that the step would leave
    behind, in the oldest one's place, and multiplies it and the gradient with all the others. From these inner products the
    two loops of algorithm 7.4 are worked out in coefficients; a second pass adds the direction up and takes the first step.

    The pairs are kept in bfloat16: they only steer the search, and the line search judges every step in full precision. The
    inner products are those of the rounded vectors, so that together they are a BFGS matrix. Memory beside the parameters:
    3 + history vectors of 32 bits (two gradients, the direction, and pairs of 16-bit vectors).

    Source: Nocedal and Wright, Numerical Optimization, 2nd edition, algorithms 7.4, 7.5, 3.5 and 3.6. In coefficients: Byrd,
    Nocedal and Schnabel, Mathematical Programming 1994; Chen, Wang and Zhou, NIPS 2014.
    """

    def __init__(
        self,
        parameters: Iterable[torch.nn.Parameter],
        *,
        history: int = 5,
        most_evaluations: int = 20,
    ) -> None:
        self._parameters = list(parameters)
        self._most = most_evaluations
        plain = [p.detach() for p in self._parameters]
        self._pairs = optimizer_steps.Pairs(plain, history)
        self._known: list[int] = []  # the pairs in use, oldest first
        self._products = np.zeros(
            (2 * history + 1, 2 * history + 1)
        )  # of the pairs' rows and the gradient, each with each
        self._direction = [
            torch.zeros_like(p, memory_format=torch.contiguous_format) for p in plain
        ]
        self._gradient: Vector = []  # where the next step starts
        self._objective: float | None = None
        self.evaluations = 0  # made so far
        self.converged = False  # no step along the steepest descent lowers the objective any more

    def zero_grad(self) -> None:
        """Nothing: the gradient of the last evaluation is where the next step starts."""

    @torch.no_grad()
    def step(self, closure: Closure) -> None:
        """One iteration: a direction, then as many evaluations as the line search needs."""
        if self.converged:
            return
        if not self._gradient:
            self._begin(closure)
        shares, slope = self._turn()
        first = 1.0 if self._known else 1 / max(1.0, self._products[-1, -1] ** 0.5)
        self._pairs.combine(self._known, shares, self._gradient, out=self._direction, step=first)
        here = first

        def along(step: float) -> tuple[float, float]:
            nonlocal here
            if step != here:
                for p, d in zip(self._parameters, self._direction, strict=True):
                    p.add_(d, alpha=step - here)
            here = step
            return self._evaluate(closure), self._multiply(step)

        assert self._objective is not None
        step, objective = _strong_wolfe(
            along, start=(self._objective, slope), first=first, most=self._most
        )
        if (
            step == 0.0
        ):  # with a history, forget it and try the steepest descent next; without one, this is the end
            self.converged, self._known = not self._known, []
            objective, _ = along(0.0)
        else:
            s, y = 2 * self._spare, 2 * self._spare + 1
            others, curved = self._others, self._products[s, y] > 1e-10 * self._products[y, y]
            self._known = [*others, self._spare] if curved else others
        self._objective, self._gradient = objective, self._take_gradient()

    def state_dict(self) -> dict[str, Any]:
        """What a later step depends on, beside the parameters."""
        return {
            "pairs": self._pairs.parts,
            "known": list(self._known),
            "products": torch.tensor(self._products),
            "objective": self._objective,
            "evaluations": self.evaluations,
            "converged": self.converged,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state; the gradient is computed anew at the next step."""
        _copy(state["pairs"], self._pairs.parts)
        self._known, self._products = list(state["known"]), state["products"].numpy().copy()
        self._objective, self.evaluations = state["objective"], state["evaluations"]
        self.converged, self._gradient = state["converged"], []

    @property
    def _others(self) -> list[int]:
        """The pairs that stay when another one comes."""
        return self._known[1:] if len(self._known) == self._pairs.n else self._known

    @property
    def _spare(self) -> int:
        """Where the next pair goes."""
        return min(set(range(self._pairs.n)) - set(self._others))

    def _begin(self, closure: Closure) -> None:
        """The gradient where we stand; of a state taken up, all else is known."""
        begun, self._objective = self._objective is not None, self._evaluate(closure)
        if not begun:
            self._gradient = [_given(p.grad) for p in self._parameters]
            self._multiply(0.0)
        self._gradient = self._take_gradient()

    def _evaluate(self, closure: Closure) -> float:
        self.evaluations += 1
        _forget_gradients(self._parameters)
        with torch.enable_grad():
            return float(closure())

    def _take_gradient(self) -> Vector:
        """The gradient, handed over: the parameters keep none, so the next evaluation does not add to it."""
        found = [_given(p.grad) for p in self._parameters]
        _forget_gradients(self._parameters)
        return found

    def _multiply(self, step: float) -> float:
        """Store the pair that this step leaves, its inner products and the new gradient's. Returns the slope here."""
        here = [_given(p.grad) for p in self._parameters]
        found, slope = self._pairs.write(
            self._spare,
            self._others,
            step=step,
            direction=self._direction,
            gradient=here,
            before=self._gradient,
        )
        rows = [2 * self._spare, 2 * self._spare + 1, -1]
        self._products[rows] = found
        self._products[:, rows] = found.T
        return slope

    def _turn(self) -> tuple[np.ndarray, float]:
        """The next direction, as shares of the pairs' rows and of the gradient, and the slope along it."""
        shares = _two_loop(self._products, self._known)
        slope, square = self._products[-1] @ shares, shares @ self._products @ shares
        if not slope < -1e-12 * (self._products[-1, -1] * square) ** 0.5:
            self._known = []
            shares, slope = _two_loop(self._products, []), -self._products[-1, -1]
        return shares, float(slope)


def _given(gradient: Tensor | None) -> Tensor:
    assert gradient is not None, "a parameter that the objective does not depend on"
    return gradient


def _two_loop(products: np.ndarray, pairs: list[int]) -> np.ndarray:
    """Minus the gradient times the inverse Hessian that the pairs suggest (algorithm 7.4), as shares of the rows."""
    shares = np.zeros(len(products))
    shares[-1] = -1
    alphas = []
    for j in reversed(pairs):
        s, y = 2 * j, 2 * j + 1
        alphas.append(products[s] @ shares / products[s, y])
        shares[y] -= alphas[-1]
    if pairs:
        s, y = 2 * pairs[-1], 2 * pairs[-1] + 1
        shares *= products[s, y] / products[y, y]
    for j, alpha in zip(pairs, reversed(alphas), strict=True):
        s, y = 2 * j, 2 * j + 1
        shares[s] += alpha - products[y] @ shares / products[s, y]
    return shares


def _strong_wolfe(
    along: Callable[[float], tuple[float, float]],
    *,
    start: tuple[float, float],
    first: float,
    most: int,
    sufficient: float = 1e-4,
    curvature: float = 0.9,
) -> tuple[float, float]:
    """A step that meets the strong Wolfe conditions, and the objective there; the last point evaluated is the one returned.

    Falls back to the best step that lowered the objective, or to 0 if none did.
    """
    f0, slope0 = start
    low, high = (
        (0.0, f0, slope0),
        None,
    )  # step, objective, slope: the best so far, and the far end of the bracket
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

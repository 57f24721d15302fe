"""Limited-memory BFGS with a strong-Wolfe line search, for full batches.

Source: Nocedal and Wright, "Numerical Optimization", 2nd edition, algorithms 7.4 and 7.5. In
coefficients: Byrd, Nocedal and Schnabel, Mathematical Programming 1994; Chen, Wang and Zhou, NIPS
2014.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recollect.kernels import optimizer_steps
from recollect.training.optimizers.base import Closure, Vector, copy_vector, forget_gradients
from recollect.training.optimizers.line_search import strong_wolfe

CURVED = 1e-10  # a pair is kept if s · y exceeds this share of y · y
DESCENDING = 1e-12  # a direction counts if its cosine with −g exceeds this


class LBFGS:
    """Steps along −H g, H being the inverse Hessian that the last pairs (s, y) suggest.

    One `step` is one iteration and reads the history twice. After each evaluation one pass stores
    the pair (s, y) that the step would leave behind, in the oldest one's place, and multiplies it
    and the gradient with all the others. From these inner products the two loops of algorithm 7.4
    are computed in coefficients. A second pass adds the direction up and takes the first step along
    it.

    Pairs are kept in bfloat16: they only steer the search, and the line search judges every step in
    full precision. The inner products are those of the rounded vectors, so that they still belong
    to a BFGS matrix. Memory beside the parameters: 3 + history vectors of 32 bits (two gradients,
    the direction, and pairs of 16-bit vectors).

    Args:
        parameters: what the optimizer changes; every one must have a gradient.
        history: how many pairs are remembered.
        max_evaluations: how many steps the line search tries at most.
    """

    def __init__(
        self,
        parameters: Iterable[torch.nn.Parameter],
        *,
        history: int = 5,
        max_evaluations: int = 20,
    ) -> None:
        self._parameters = list(parameters)
        self._max_evaluations = max_evaluations
        values = [p.detach() for p in self._parameters]
        self._pairs = optimizer_steps.Pairs(values, history)
        self._in_use: list[int] = []  # numbers of the pairs in use, oldest first
        # Inner products of all rows: s and y of pair 0, of pair 1, …, and last the gradient.
        self._products = np.zeros((2 * history + 1, 2 * history + 1))
        self._direction = [
            torch.zeros_like(x, memory_format=torch.contiguous_format) for x in values
        ]
        self._gradient: Vector = []  # where the next iteration starts
        self._objective: float | None = None  # there
        self._step = 0.0  # how far along the direction the parameters are
        self.evaluations = 0  # made so far
        self.converged = False  # no step along the steepest descent lowers the objective any more

    def zero_grad(self) -> None:
        """Keep everything: the gradient of the last evaluation is where the next step starts."""

    @torch.no_grad()
    def step(self, closure: Closure) -> None:
        """One iteration: a direction, then as many evaluations as the line search needs.

        Args:
            closure: sets the gradients and returns the objective.
        """
        if self.converged:
            return

        if not self._gradient:
            self._begin(closure)

        coefficients, slope = self._choose_direction()
        self._step = self._first_step()
        self._pairs.combine(
            self._in_use, coefficients, self._gradient, out=self._direction, step=self._step
        )
        step, objective = self._search(slope, closure)
        if step > 0.0:
            self._keep_newest_pair()
        else:
            # Forget the history and try the steepest descent next; if this was it, there is no more
            # to gain.
            self.converged = not self._in_use
            self._in_use = []
            objective, _ = self._evaluate_at(0.0, closure)

        self._objective = objective
        self._gradient = self._take_gradient()

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next steps depend on beside the parameters."""
        return {
            "pairs": self._pairs.parts,
            "known": list(self._in_use),
            "products": torch.tensor(self._products),
            "objective": self._objective,
            "evaluations": self.evaluations,
            "converged": self.converged,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from a state; the gradient is computed again in the next step."""
        copy_vector(state["pairs"], self._pairs.parts)
        self._in_use = list(state["known"])
        self._products = state["products"].numpy().copy()
        self._objective = state["objective"]
        self.evaluations = state["evaluations"]
        self.converged = state["converged"]
        self._gradient = []

    @property
    def _others(self) -> list[int]:
        """The pairs that stay when another one is kept."""
        if len(self._in_use) == self._pairs.n:
            return self._in_use[1:]
        return self._in_use

    @property
    def _newest(self) -> int:
        """The number of the pair that the current step writes."""
        every_pair = set(range(self._pairs.n))
        unused = every_pair - set(self._others)
        # Any would do; the smallest makes it the same one at every call.
        return min(unused)

    def _begin(self, closure: Closure) -> None:
        """The gradient at the parameters; after a resume everything else is known."""
        resumed = self._objective is not None
        self._objective = self._evaluate(closure)
        if not resumed:
            self._gradient = self._current_gradient()
            self._write_pair(0.0)

        self._gradient = self._take_gradient()

    def _first_step(self) -> float:
        """1, the step of Newton's method; along a bare gradient at most a unit of length."""
        if self._in_use:
            return 1.0
        # The last product is gradient · gradient.
        squared_length = float(self._products[-1, -1])
        gradient_length = squared_length**0.5
        return 1 / max(1.0, gradient_length)

    def _search(self, slope: float, closure: Closure) -> tuple[float, float]:
        """The step that the line search takes along the direction, and the objective there."""
        assert self._objective is not None
        return strong_wolfe(
            lambda step: self._evaluate_at(step, closure),
            objective=self._objective,
            slope=slope,
            first_step=self._step,
            max_evaluations=self._max_evaluations,
        )

    def _evaluate_at(self, step: float, closure: Closure) -> tuple[float, float]:
        """Move the parameters to this step along the direction; the objective there, and its
        slope."""
        if step != self._step:
            for parameter, direction in zip(self._parameters, self._direction, strict=True):
                parameter.add_(direction, alpha=step - self._step)

        self._step = step
        objective = self._evaluate(closure)

        return objective, self._write_pair(step)

    def _evaluate(self, closure: Closure) -> float:
        self.evaluations += 1
        forget_gradients(self._parameters)
        with torch.enable_grad():
            return float(closure())

    def _current_gradient(self) -> Vector:
        return [_required(p.grad) for p in self._parameters]

    def _take_gradient(self) -> Vector:
        """The gradient, taken from the parameters, so that the next evaluation does not add to
        it."""
        gradient = self._current_gradient()
        forget_gradients(self._parameters)
        return gradient

    def _write_pair(self, step: float) -> float:
        """Store the pair that this step leaves and its inner products; the slope at this step."""
        products, slope = self._pairs.write(
            self._newest,
            self._others,
            step=step,
            direction=self._direction,
            gradient=self._current_gradient(),
            previous=self._gradient,
        )
        # The matrix is symmetric: rows and columns of s, y and the gradient change.
        s = 2 * self._newest
        y = s + 1
        rows = [s, y, -1]
        self._products[rows] = products
        self._products[:, rows] = products.T

        return slope

    def _keep_newest_pair(self) -> None:
        """Use the newest pair from now on, if the objective is curved upwards along it."""
        # Both are computed from the pairs in use, which change below.
        others = self._others
        newest = self._newest
        s = 2 * newest
        y = 2 * newest + 1
        squared_change = self._products[y, y]
        is_curved = self._products[s, y] > CURVED * squared_change
        # A change of the gradient so small that its square is 0 says nothing of the curvature.
        if is_curved and squared_change > 0:
            self._in_use = [*others, newest]
        else:
            self._in_use = others

    def _choose_direction(self) -> tuple[np.ndarray, float]:
        """The next direction, in coefficients of the pairs' rows and the gradient, and the slope
        along it.

        It is the steepest descent, without a history, if the history's direction does not descend.
        """
        coefficients = two_loop_recursion(self._products, self._in_use)
        # Inner products of combinations of rows, without any of the vectors themselves.
        slope = self._products[-1] @ coefficients
        squared_length = coefficients @ self._products @ coefficients
        lengths = (self._products[-1, -1] * squared_length) ** 0.5
        # "not … <", so that a slope that is no number counts as one that does not descend.
        if not slope < -DESCENDING * lengths:
            self._in_use = []
            coefficients = two_loop_recursion(self._products, [])
            slope = -self._products[-1, -1]

        return coefficients, float(slope)


def _required(gradient: Tensor | None) -> Tensor:
    assert gradient is not None, "a parameter that the objective does not depend on"
    return gradient


def two_loop_recursion(products: np.ndarray, pairs: list[int]) -> np.ndarray:
    """−H g in coefficients of the rows of `products` (algorithm 7.4).

    Args:
        products: inner products of s and y of pair 0, of pair 1, …, and of the gradient, which is
            last.
        pairs: numbers of the pairs to use, oldest first.
    """
    coefficients = np.zeros(len(products))
    coefficients[-1] = -1
    alphas = []

    for pair in reversed(pairs):
        s = 2 * pair
        y = s + 1
        alpha = products[s] @ coefficients / products[s, y]
        coefficients[y] -= alpha
        alphas.append(alpha)

    if pairs:
        # The scale of the matrix that the recursion starts from: equation 7.20.
        s = 2 * pairs[-1]
        y = s + 1
        coefficients *= products[s, y] / products[y, y]

    for pair, alpha in zip(pairs, reversed(alphas), strict=True):
        s = 2 * pair
        y = s + 1
        beta = products[y] @ coefficients / products[s, y]
        coefficients[s] += alpha - beta

    return coefficients

"""Optimizer steps on long vectors, in as few passes over memory as possible.

    Pairs              the history of L-BFGS: inner products in one pass, a combination in another
    adam, rprop, sgd   one step, in one pass over parameter, gradient and state

`reference.optimizers` states each step in plain NumPy. On the CPU in 32 bits compiled loops do the
work (`compiled.optimizer_steps`), elsewhere torch: the same arithmetic up to the order of sums. The
result does not depend on the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

BLOCK = 1 << 18  # numbers that torch takes at a time
ROW = 2048  # numbers that a compiled loop takes at a time, where the whole parameter steps
LANES = 16  # numbers that a compiled loop computes at once


def compiled(x: Tensor) -> bool:
    """Whether the compiled loops do the work for a tensor like this one."""
    is_on_cpu = x.device.type == "cpu"
    has_32_bits = x.dtype == torch.float32
    return is_on_cpu and has_32_bits and x.is_contiguous()


class Pairs:
    """Pairs of vectors (s, y), in parts, one part per parameter; of 32-bit parameters in bfloat16.

    `parts[i]` has a row for each vector: the s of pair j is row 2 j, its y row 2 j + 1. Rows end in
    zeros.

    Args:
        parameters: the vectors are as long as these; `combine` moves them.
        n: how many pairs there are.
    """

    def __init__(self, parameters: list[Tensor], n: int) -> None:
        self.n = n
        self._parameters = parameters
        self.parts = [_history(parameter, 2 * n) for parameter in parameters]

    def write(
        self,
        pair: int,
        others: list[int],
        *,
        step: float,
        direction: list[Tensor],
        gradient: list[Tensor],
        previous: list[Tensor],
    ) -> tuple[np.ndarray, float]:
        """Store s = step · direction and y = gradient − previous, and multiply them with the other
        pairs.

        Args:
            pair: the number of the pair that is written.
            others: the numbers of the other pairs that count.
            step: how far the parameters moved along the direction.
            direction: the direction, in parts.
            gradient: the gradient after the step, in parts.
            previous: the gradient before it, in parts.

        Returns:
            The inner products of this s, this y and the gradient with every row (0 for pairs that
            do not count) and, last, with the gradient, 3 × (2 n + 1); and the slope direction ·
            gradient.
        """
        pairs = np.array([*others, pair])
        rows = _rows_of(pairs)
        products = np.zeros((3, 2 * self.n + 1))
        slope = 0.0
        square = 0.0  # gradient · gradient

        for history, *part in zip(self.parts, direction, gradient, previous, strict=True):
            write = _write_compiled if all(map(compiled, part)) else _write_torch
            flat = [x.reshape(-1) for x in part]
            # Sums over the parts of a vector add up to those over the whole.
            sums = write(history, pairs, step, *flat)
            slope += sums[0]
            square += sums[1]
            products[:, rows] += sums[2:].reshape(-1, 3).T

        # s · gradient and y · gradient are there already, in the gradient's row.
        s = 2 * pair
        products[:2, -1] = products[2, s : s + 2]
        products[2, -1] = square

        return products, float(slope)

    def combine(
        self,
        pairs: list[int],
        coefficients: np.ndarray,
        gradient: list[Tensor],
        *,
        out: list[Tensor],
        step: float,
    ) -> None:
        """out = Σ coefficient · row + coefficient · gradient; the parameters move by step · out.

        Args:
            pairs: the numbers of the pairs whose rows count.
            coefficients: one per row, whether it counts or not, and one for the gradient.
            gradient: the gradient, in parts.
            out: the direction, in parts; overwritten.
            step: how far the parameters move along it.
        """
        # A type even where there are no pairs: NumPy would take an empty list for floats.
        rows = _rows_of(np.array(pairs, np.int64))
        parts = zip(self.parts, gradient, out, self._parameters, strict=True)

        for history, g, d, p in parts:
            is_compiled = compiled(g) and compiled(d) and compiled(p)
            combine = _combine_compiled if is_compiled else _combine_torch
            combine(history, rows, coefficients, g, d, p, step)


def _history(parameter: Tensor, n_rows: int) -> Tensor:
    """Zeros: so many rows as long as the parameter, rounded up to what the loops compute at
    once."""
    width = -(-parameter.numel() // LANES) * LANES
    dtype = parameter.dtype
    # Half the memory, and half the time of a pass.
    if dtype == torch.float32:
        dtype = torch.bfloat16

    return torch.zeros(n_rows, width, device=parameter.device, dtype=dtype)


def _rows_of(pairs: np.ndarray) -> np.ndarray:
    """The rows of s and y of each pair."""
    s = 2 * pairs
    rows = np.stack([s, s + 1], axis=1)
    return rows.ravel()


def _write_torch(
    history: Tensor,
    pairs: np.ndarray,
    step: float,
    direction: Tensor,
    gradient: Tensor,
    previous: Tensor,
) -> np.ndarray:
    """Write the last of `pairs`; the sums that `compiled.optimizer_steps.products` makes."""
    rows = torch.as_tensor(_rows_of(pairs), device=history.device)
    s = 2 * pairs[-1]
    y = s + 1
    sums = torch.zeros(2 + 3 * len(rows), dtype=torch.float64, device=history.device)

    for first in range(0, len(gradient), BLOCK):
        part = slice(first, min(first + BLOCK, len(gradient)))
        d = direction[part]
        g = gradient[part]
        history[s, part] = d * step
        history[y, part] = g - previous[part]
        sums[:2] += torch.stack([d @ g, g @ g])

        # Read back, so that the products are those of the rounded vectors.
        stored = history[:, part].index_select(0, rows).to(g.dtype)
        newest = torch.stack([stored[-2], stored[-1], g])
        products = stored @ newest.T
        sums[2:] += products.ravel()

    return sums.cpu().numpy()


def _write_compiled(
    history: Tensor,
    pairs: np.ndarray,
    step: float,
    direction: Tensor,
    gradient: Tensor,
    previous: Tensor,
) -> np.ndarray:
    """As `_write_torch`."""
    n_blocks = -(-len(gradient) // ROW)
    sums = np.zeros((n_blocks, 2 + 6 * len(pairs)))
    _run(
        "products",
        _bits(history),
        history.shape[1],
        pairs,
        np.float32(step),
        _flat(direction),
        _flat(gradient),
        _flat(previous),
        sums,
    )
    # Block by block in their order, whichever thread was first.
    return sums.sum(axis=0)


def _combine_torch(
    history: Tensor,
    rows: np.ndarray,
    coefficients: np.ndarray,
    gradient: Tensor,
    out: Tensor,
    parameter: Tensor,
    step: float,
) -> None:
    out.copy_(gradient).mul_(float(coefficients[-1]))
    flat_out = out.view(-1)

    for row in rows:
        # Rows of the history end in zeros that belong to no parameter.
        vector = history[row, : out.numel()].to(out.dtype)
        flat_out.add_(vector, alpha=float(coefficients[row]))

    parameter.add_(out, alpha=step)


def _combine_compiled(
    history: Tensor,
    rows: np.ndarray,
    coefficients: np.ndarray,
    gradient: Tensor,
    out: Tensor,
    parameter: Tensor,
    step: float,
) -> None:
    _run(
        "combine",
        _bits(history),
        history.shape[1],
        rows,
        coefficients[rows].astype(np.float32),
        np.float32(coefficients[-1]),
        _flat(gradient),
        _flat(out),
        np.float32(step),
        _flat(parameter),
    )


def adam(
    parameter: Tensor,
    gradient: Tensor,
    mean: Tensor,
    square: Tensor,
    *,
    rows: Tensor | None = None,
    rate: float,
    epsilon: float,
    epsilon_inside: float = 0.0,
    betas: tuple[float, float],
    salt: int,
) -> None:
    """m += (1 − β₁)(g − m), v += (1 − β₂)(g² − v), parameter −= rate · m / (√(v + ε') + ε).

    Moments in bfloat16 are rounded up or down at random, right on average. Rounded to the nearest,
    v would not change at all wherever it changes by less than 1 part in 256 a step, as it always
    does with β₂ = 0.999. The random bits are a hash of the place and `salt`.

    Args:
        parameter: changed in place.
        gradient: g; with `rows` it has one row for each of them.
        mean: m, changed in place; in 32 bits or bfloat16.
        square: v, changed in place; of the type of `mean`.
        rows: ascending row numbers; only these rows of parameter, m and v step. None: all of them.
        rate: the learning rate, divided by what corrects the moments.
        epsilon: ε, added to the root.
        epsilon_inside: ε', added to v under the root.
        betas: β₁ and β₂.
        salt: 32 bits that should differ from step to step and from parameter to parameter.
    """
    gradient = gradient.contiguous()
    if compiled(parameter) and compiled(gradient):
        # Subtracted in 64 bits and rounded afterwards: 1 − 0.999 in 32 bits loses three digits.
        numbers = (1 - betas[0], betas[1], 1 - betas[1], rate, epsilon, epsilon_inside)
        _adam_compiled(parameter, gradient, mean, square, rows, numbers, salt)
    else:
        epsilons = (epsilon, epsilon_inside)
        _adam_torch(parameter, gradient, mean, square, rows, rate, epsilons, betas, salt)


def _adam_compiled(
    parameter: Tensor,
    gradient: Tensor,
    mean: Tensor,
    square: Tensor,
    rows: Tensor | None,
    numbers: tuple[float, ...],
    salt: int,
) -> None:
    n = parameter.numel()
    if rows is None:
        # Without a selection the parameter is cut into rows of equal length, whatever its shape.
        width = ROW
        places = np.arange(-(-n // ROW))
    else:
        width = n // len(parameter)
        places = rows.numpy()

    shared = [places, width, *map(np.float32, numbers)]
    vectors = [_flat(parameter), _flat(gradient)]
    if mean.dtype == torch.bfloat16:
        _run("adam16", *vectors, _bits(mean), _bits(square), *shared, np.uint32(salt))
    else:
        _run("adam", *vectors, _flat(mean), _flat(square), *shared)


def _adam_torch(
    parameter: Tensor,
    gradient: Tensor,
    mean: Tensor,
    square: Tensor,
    rows: Tensor | None,
    rate: float,
    epsilons: tuple[float, float],
    betas: tuple[float, float],
    salt: int,
) -> None:
    selected: Any = slice(None)
    if rows is not None:
        selected = rows

    # In the parameter's type, whatever the moments are kept in.
    m = mean[selected].to(parameter.dtype)
    v = square[selected].to(parameter.dtype)
    m = m + (1 - betas[0]) * (gradient - m)
    v = betas[1] * v + (1 - betas[1]) * gradient * gradient
    epsilon, inside = epsilons
    root = (v + inside).sqrt() + epsilon
    parameter[selected] -= rate * m / root
    if mean.dtype == torch.bfloat16:
        # Both halves of 32 bits are used: m and v must not be rounded the same way.
        bits = _random_bits(parameter, salt)[selected]
        m = _round(m, bits & 0xFFFF)
        v = _round(v, bits >> 16)

    mean[selected] = m
    square[selected] = v


def rprop(
    parameter: Tensor,
    gradient: Tensor,
    previous: Tensor,
    size: Tensor,
    *,
    etas: tuple[float, float],
    limits: tuple[float, float],
) -> None:
    """parameter −= size · sign(g); the size grows where g keeps its sign and shrinks where it
    changes.

    Where the sign changed, the parameter does not move, and the next gradient has no predecessor.

    Args:
        parameter: changed in place.
        gradient: g.
        previous: the gradient of the step before, changed in place; 0 where it has none.
        size: of each number's step, changed in place.
        etas: the factors by which a size shrinks and grows.
        limits: the smallest and the largest size.
    """
    if compiled(parameter) and compiled(gradient):
        vectors = map(_flat, (parameter, gradient, previous, size))
        _run("rprop", *vectors, *map(np.float32, (*etas, *limits)))
        return

    agreement = (gradient * previous).sign()
    has_turned = agreement < 0
    factor = torch.ones_like(agreement)
    factor.masked_fill_(has_turned, etas[0])
    factor.masked_fill_(agreement > 0, etas[1])
    size.mul_(factor).clamp_(*limits)
    # 0 where the sign changed: no move now, and no comparison in the next step.
    previous.copy_(gradient).masked_fill_(has_turned, 0)
    parameter.addcmul_(previous.sign(), size, value=-1)


def sgd(
    parameter: Tensor, gradient: Tensor, velocity: Tensor, *, rate: float, momentum: float
) -> None:
    """velocity = momentum · velocity + g, parameter −= rate · velocity.

    Args:
        parameter: changed in place.
        gradient: g.
        velocity: a decaying sum of gradients, changed in place.
        rate: the learning rate.
        momentum: how much of the velocity a step keeps.
    """
    gradient = gradient.contiguous()
    if compiled(parameter) and compiled(gradient):
        vectors = map(_flat, (parameter, gradient, velocity))
        _run("sgd", *vectors, np.float32(rate), np.float32(momentum))
        return

    velocity.mul_(momentum).add_(gradient)
    parameter.sub_(velocity, alpha=rate)


def _random_bits(like: Tensor, salt: int) -> Tensor:
    """32 bits for each number; those of `compiled.optimizer_steps`."""
    place = torch.arange(like.numel(), device=like.device)
    # torch has no unsigned 32-bit arithmetic: 64 bits, cut off after each multiplication.
    x = place.bitwise_and(0xFFFFFFFF) ^ salt
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & 0xFFFFFFFF
    x = ((x ^ (x >> 15)) * 0x846CA68B) & 0xFFFFFFFF
    return (x ^ (x >> 16)).reshape(like.shape)


def _round(x: Tensor, bits: Tensor) -> Tensor:
    """To bfloat16: up if the digits that are cut off and these 16 random bits together carry."""
    # bfloat16 is the upper half of a 32-bit number.
    whole = x.float().view(torch.int32) + bits.to(torch.int32)
    upper = (whole >> 16).to(torch.int16)
    return upper.view(torch.bfloat16)


def _run(name: str, *args: Any) -> None:
    """Call a loop of `compiled.optimizer_steps`."""
    # Imported where they are needed: who trains on a GPU never waits for Numba.
    from recollect.kernels.compiled import optimizer_steps as loops
    from recollect.kernels.compiled.threads import one_at_a_time

    loop: Callable[..., None] = getattr(loops, name)

    with one_at_a_time():
        loop(*args)


def _flat(x: Tensor) -> np.ndarray:
    return x.detach().reshape(-1).numpy()


def _bits(x: Tensor) -> np.ndarray:
    """The bits of bfloat16 numbers, a type that NumPy does not have."""
    shorts = x.view(torch.int16).reshape(-1)
    return shorts.numpy().view(np.uint16)

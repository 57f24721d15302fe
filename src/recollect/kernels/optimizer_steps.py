"""What an optimizer does to vectors as long as the parameters, in as few passes over memory as it takes.

    Pairs              the history of L-BFGS: its inner products in one pass, a combination of it in another
    adam, rprop, sgd   one step, in one pass over parameter, gradient and state

Compiled loops on the CPU in 32 bits (`compiled.optimizer_steps`), plain torch for everything else: the same arithmetic, but for the order
of sums. The number of threads changes nothing, to the bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

BLOCK = 1 << 18  # numbers at a time, where torch does the work
ROW = 2048  # a parameter is taken in rows as long as this, where all of it steps


def compiled(x: Tensor) -> bool:
    """Whether the compiled loops do the work for a parameter like this one."""
    return x.device.type == "cpu" and x.dtype == torch.float32 and x.is_contiguous()


class Pairs:
    """Pairs of vectors (s, y), each in parts, one part per parameter; of 32-bit parameters in bfloat16.

    `parts[i]` has a row for each vector, the s of pair j in row 2 j and its y in row 2 j + 1, with zeros at the end.
    """

    def __init__(self, parameters: list[Tensor], n: int) -> None:
        self.n, self._parameters = n, parameters
        self.parts = [
            torch.zeros(
                2 * n,
                -(-p.numel() // 16) * 16,
                device=p.device,
                dtype=torch.bfloat16 if p.dtype == torch.float32 else p.dtype,
            )
            for p in parameters
        ]

    def write(
        self,
        pair: int,
        others: list[int],
        *,
        step: float,
        direction: list[Tensor],
        gradient: list[Tensor],
        before: list[Tensor],
    ) -> tuple[np.ndarray, float]:
        """Store s = step · direction and y = gradient − before as a pair; multiply what was stored with all there is.

        Returns the inner products of this s, this y and the gradient with every row of this pair and the others (0 for the
        rest) and with the gradient, 3 × (2 n + 1); and direction · gradient.
        """
        pairs = np.array([*others, pair])
        rows, n = (2 * pairs[:, None] + np.arange(2)).ravel(), 2 * self.n
        found, slope, square = np.zeros((3, n + 1)), 0.0, 0.0
        for h, d, g, b in zip(self.parts, direction, gradient, before, strict=True):
            write = _write_compiled if all(map(compiled, (d, g, b))) else _write
            sums = write(h, pairs, step, d.reshape(-1), g.reshape(-1), b.reshape(-1))
            slope, square = slope + sums[0], square + sums[1]
            found[:, rows] += sums[2:].reshape(-1, 3).T
        found[:, n] = *found[2, 2 * pair : 2 * pair + 2], square
        return found, float(slope)

    def combine(
        self,
        pairs: list[int],
        shares: np.ndarray,
        gradient: list[Tensor],
        *,
        out: list[Tensor],
        step: float,
    ) -> None:
        """out = Σ shares · (the rows of these pairs, then the gradient), and the parameters move by step · out."""
        rows = (2 * np.array(pairs, np.int64)[:, None] + np.arange(2)).ravel()
        for h, g, d, p in zip(self.parts, gradient, out, self._parameters, strict=True):
            if all(map(compiled, (g, d, p))):
                _run(
                    "combine",
                    _short(h),
                    h.shape[1],
                    rows,
                    shares[rows].astype(np.float32),
                    np.float32(shares[-1]),
                    _flat(g),
                    _flat(d),
                    np.float32(step),
                    _flat(p),
                )
                continue
            d.copy_(g).mul_(float(shares[-1]))
            for row in rows:
                d.reshape(-1).add_(h[row, : d.numel()].to(d.dtype), alpha=float(shares[row]))
            p.add_(d, alpha=step)


def _write(
    h: Tensor, pairs: np.ndarray, step: float, d: Tensor, g: Tensor, b: Tensor
) -> np.ndarray:
    """Sums as `optimizer_steps.products` makes them: d · g, g · g, and per row of the pairs its products with s, y and g."""
    rows = torch.as_tensor((2 * pairs[:, None] + np.arange(2)).ravel(), device=h.device)
    sums = torch.zeros(2 + 3 * len(rows), dtype=torch.float64, device=h.device)
    for at in range(0, len(g), BLOCK):
        part = slice(at, min(at + BLOCK, len(g)))
        h[2 * pairs[-1], part], h[2 * pairs[-1] + 1, part] = d[part] * step, g[part] - b[part]
        known = h[:, part].index_select(0, rows).to(g.dtype)
        sums[:2] += torch.stack([d[part] @ g[part], g[part] @ g[part]])
        sums[2:] += (known @ torch.stack([known[-2], known[-1], g[part]]).T).ravel()
    return sums.cpu().numpy()


def _write_compiled(
    h: Tensor, pairs: np.ndarray, step: float, d: Tensor, g: Tensor, b: Tensor
) -> np.ndarray:
    sums = np.zeros((-(-len(g) // ROW), 2 + 6 * len(pairs)))
    _run(
        "products",
        _short(h),
        h.shape[1],
        pairs,
        np.float32(step),
        _flat(d),
        _flat(g),
        _flat(b),
        sums,
    )
    return sums.sum(axis=0)


def adam(
    parameter: Tensor,
    gradient: Tensor,
    mean: Tensor,
    square: Tensor,
    *,
    rows: Tensor | None = None,
    rate: float,
    epsilon: float,
    betas: tuple[float, float],
    salt: int,
) -> None:
    """m += (1 − β₁)(g − m), v += (1 − β₂)(g² − v), parameter −= rate · m / (√v + ε).

    With `rows`, ascending, only these rows of the parameter and of m and v step, and the gradient has a row for each. RatingTimes
    in bfloat16 are rounded up or down at random, right on average: rounded to the nearest, v would stand still wherever it
    changes by less than 1 part in 256 a step, and with β₂ = 0.999 it always does. The chance is a hash of the place and
    `salt`, which should be another one at each step.
    """
    gradient = gradient.contiguous()
    if compiled(parameter) and compiled(gradient):
        n = parameter.numel()
        width = ROW if rows is None else n // len(parameter)
        places = np.arange(-(-n // ROW)) if rows is None else rows.numpy()
        numbers = [np.float32(x) for x in (1 - betas[0], betas[1], 1 - betas[1], rate, epsilon)]
        if mean.dtype == torch.bfloat16:
            state = _short(mean), _short(square)
            _run(
                "adam16",
                _flat(parameter),
                _flat(gradient),
                *state,
                places,
                width,
                *numbers,
                np.uint32(salt),
            )
        else:
            _run(
                "adam",
                _flat(parameter),
                _flat(gradient),
                _flat(mean),
                _flat(square),
                places,
                width,
                *numbers,
            )
        return
    at = slice(None) if rows is None else rows
    m, v = (x[at].to(parameter.dtype) for x in (mean, square))
    m = m + (1 - betas[0]) * (gradient - m)
    v = betas[1] * v + (1 - betas[1]) * gradient * gradient
    parameter[at] -= rate * m / (v.sqrt() + epsilon)
    if mean.dtype == torch.bfloat16:
        bits = _random_bits(parameter, salt)[at]
        m, v = _round(m, bits & 0xFFFF), _round(v, bits >> 16)
    mean[at], square[at] = m, v


def rprop(
    parameter: Tensor,
    gradient: Tensor,
    before: Tensor,
    size: Tensor,
    *,
    etas: tuple[float, float],
    sizes: tuple[float, float],
) -> None:
    """A step's size grows where the gradient keeps its sign and shrinks where it turns; where it turned, nothing moves."""
    if all(map(compiled, (parameter, gradient))):
        _run(
            "rprop",
            *map(_flat, (parameter, gradient, before, size)),
            *map(np.float32, (*etas, *sizes)),
        )
        return
    turned = (gradient * before).sign()
    size.mul_(
        torch.ones_like(turned).masked_fill_(turned < 0, etas[0]).masked_fill_(turned > 0, etas[1])
    ).clamp_(*sizes)
    before.copy_(gradient).masked_fill_(turned < 0, 0)
    parameter.addcmul_(before.sign(), size, value=-1)


def sgd(
    parameter: Tensor, gradient: Tensor, speed: Tensor, *, rate: float, momentum: float
) -> None:
    """speed = momentum · speed + gradient, parameter −= rate · speed."""
    gradient = gradient.contiguous()
    if compiled(parameter) and compiled(gradient):
        _run(
            "sgd", *map(_flat, (parameter, gradient, speed)), np.float32(rate), np.float32(momentum)
        )
        return
    speed.mul_(momentum).add_(gradient)
    parameter.sub_(speed, alpha=rate)


def _random_bits(like: Tensor, salt: int) -> Tensor:
    """As in `compiled.optimizer_steps`."""
    x = torch.arange(like.numel(), device=like.device).bitwise_and(0xFFFFFFFF) ^ salt
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & 0xFFFFFFFF
    x = ((x ^ (x >> 15)) * 0x846CA68B) & 0xFFFFFFFF
    return (x ^ (x >> 16)).reshape(like.shape)


def _round(x: Tensor, bits: Tensor) -> Tensor:
    """To bfloat16, up if the digits cut off and these 16 random bits together carry."""
    return (
        ((x.float().view(torch.int32) + bits.to(torch.int32)) >> 16)
        .to(torch.int16)
        .view(torch.bfloat16)
    )


def _run(name: str, *args: Any) -> None:
    """One of the compiled loops, on as many threads as torch has."""
    import numba

    from recollect.kernels.backends import cpu
    from recollect.kernels.compiled import optimizer_steps as loops

    loop: Callable[..., None] = getattr(loops, name)
    with cpu.one_at_a_time:
        numba.set_num_threads(min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]
        loop(*args)


def _flat(x: Tensor) -> np.ndarray:
    return x.detach().reshape(-1).numpy()


def _short(x: Tensor) -> np.ndarray:
    return x.view(torch.int16).reshape(-1).numpy().view(np.uint16)

"""Losses and penalties. A loss returns a sum and a count, so that parts add up and are divided once.

Those of events look at whole rows of outputs: what is absent counts, too. An event is a row, a column and a count; the count
of such a loss is the number of events, so that its mean is per event.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import softplus


def squared_error(
    predicted: Float[Tensor, " cells"], value: Float[Tensor, " cells"]
) -> tuple[Tensor, int]:
    """Sum of squared differences, and how many."""
    difference = predicted - value
    return difference.square().sum(), len(
        value
    )  # a dot product would be in 16 bits where products are


def weighted_error(
    out: Float[Tensor, "rows columns"],
    row: Int[Tensor, " events"],
    column: Int[Tensor, " events"],
    count: Float[Tensor, " events"],
    *,
    alpha: float,
    absent: float,
) -> tuple[Tensor, int]:
    """Σ w (p − out)² over every cell: p = 1 and w = 1 + alpha · count for an event, p = 0 and w = `absent` without one.

    Source: Hu, Koren, Volinsky. "Collaborative Filtering for Implicit Feedback Datasets." ICDM 2008, equation 3 (`absent` = 1).
    """
    here = out[row, column]
    events = (1 + alpha * count) * (1 - here).square() - absent * here.square()
    return absent * out.square().sum() + events.sum(), len(row)


def logistic_loss(
    out: Float[Tensor, "rows columns"],
    row: Int[Tensor, " events"],
    column: Int[Tensor, " events"],
    *,
    absent: float,
) -> tuple[Tensor, int]:
    """−Σ log σ(out) over events − `absent` · Σ log(1 − σ(out)) over all other cells: the cross-entropy of yes and no."""
    here = out[row, column]
    events = softplus(-here) - absent * softplus(here)  # softplus(x) = −log σ(−x), for any x
    return absent * softplus(out).sum() + events.sum(), len(row)


def multinomial_loss(
    out: Float[Tensor, "rows columns"],
    row: Int[Tensor, " events"],
    column: Int[Tensor, " events"],
    count: Float[Tensor, " events"],
) -> tuple[Tensor, int]:
    """−Σ count · log softmax(out) over the events, the softmax being over all columns of the row.

    Source: Liang, Krishnan, Hoffman, Jebara. "Variational Autoencoders for Collaborative Filtering." WWW 2018, equation 2.
    """
    return (count * (torch.logsumexp(out, dim=1)[row] - out[row, column])).sum(), len(row)


@torch.no_grad()
def add_ridge(weight: Tensor, reg: float, share: Tensor | None = None) -> float:
    """The value of reg/2 · ‖weight‖²; its gradient is added to the weight's own, in place (autograd would make copies).

    With a row-sparse gradient only its rows count, each with its `share`.
    """
    assert weight.grad is not None, "a parameter that the objective does not depend on"
    if share is None:
        weight.grad.add_(weight, alpha=reg)
        flat = weight.reshape(-1)
        return reg / 2 * float(flat @ flat)
    rows, some = weight.grad._indices()[0], weight.grad._values()
    here = weight[rows]
    some.addcmul_(here, share[:, None], value=reg)
    return reg / 2 * float(share @ here.square().sum(dim=1))

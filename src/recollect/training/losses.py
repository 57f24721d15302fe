"""Losses and penalties.

A loss returns a sum and a count, so that parts of the data add up and the mean is divided once. A
loss of events goes over whole rows of outputs, because absent cells count, too. An event is a row,
a column and a count; the count that its loss returns is the number of events, so that its mean is
per event.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import softplus


def squared_error(
    predicted: Float[Tensor, " cells"], value: Float[Tensor, " cells"]
) -> tuple[Tensor, int]:
    """Σ (predicted − value)², and the number of cells."""
    difference = predicted - value
    # No dot product: it would be in 16 bits where products are.
    return difference.square().sum(), len(value)


def weighted_error(
    out: Float[Tensor, "rows columns"],
    row: Int[Tensor, " events"],
    column: Int[Tensor, " events"],
    count: Float[Tensor, " events"],
    *,
    alpha: float,
    absent: float,
) -> tuple[Tensor, int]:
    """Σ w (p − out)² over every cell, and the number of events.

    An event has p = 1 and w = 1 + α · count, a cell without one p = 0 and w = `absent`.

    Args:
        out: the network's outputs.
        row: of each event.
        column: of each event.
        count: how often each event happened.
        alpha: α, how much a count raises the confidence.
        absent: the weight of a cell without an event.

    Source: Hu, Koren, Volinsky. "Collaborative Filtering for Implicit Feedback Datasets." ICDM
    2008, equation 3 (`absent` = 1).
    """
    at_events = out[row, column]
    # The first sum is over every cell as if none had an event; the second corrects those that have.
    weight = 1 + alpha * count
    events = weight * (1 - at_events).square() - absent * at_events.square()
    every_cell = absent * out.square().sum()

    return every_cell + events.sum(), len(row)


def logistic_loss(
    out: Float[Tensor, "rows columns"],
    row: Int[Tensor, " events"],
    column: Int[Tensor, " events"],
    *,
    absent: float | Float[Tensor, " columns"],
) -> tuple[Tensor, int]:
    """−Σ log σ(out) over events − `absent` · Σ log(1 − σ(out)) over all other cells: the
    cross-entropy.

    Args:
        out: the network's outputs.
        row: of each event.
        column: of each event.
        absent: the weight of a cell without an event, or that of each column.
    """
    at_events = out[row, column]
    of_events = absent[column] if isinstance(absent, Tensor) else absent
    # softplus(x) is −log σ(−x), without overflow. The second term takes an event's cell off the
    # sum over every cell.
    events = softplus(-at_events) - of_events * softplus(at_events)
    if isinstance(absent, Tensor):
        every_cell = (softplus(out) @ absent).sum()
    else:
        every_cell = absent * softplus(out).sum()

    return every_cell + events.sum(), len(row)


def multinomial_loss(
    out: Float[Tensor, "rows columns"],
    row: Int[Tensor, " events"],
    column: Int[Tensor, " events"],
    count: Float[Tensor, " events"],
) -> tuple[Tensor, int]:
    """−Σ count · log softmax(out) over the events; the softmax is over all columns of the row.

    Args:
        out: the network's outputs.
        row: of each event.
        column: of each event.
        count: how often each event happened.

    Source: Liang, Krishnan, Hoffman, Jebara. "Variational Autoencoders for Collaborative
    Filtering." WWW 2018, equation 2.
    """
    # Only the events' cells are needed, so the log-softmax of the whole matrix is never stored.
    log_normalizer = torch.logsumexp(out, dim=1)
    minus_log_softmax = log_normalizer[row] - out[row, column]
    weighted = count * minus_log_softmax

    return weighted.sum(), len(row)


@torch.no_grad()
def add_ridge(weight: Tensor, reg: float, share: Tensor | None = None) -> float:
    """reg/2 · ‖weight‖²; its gradient is added to the weight's own, in place.

    Autograd would make copies as large as the weight.

    Args:
        weight: a parameter that has a gradient.
        reg: λ.
        share: for a row-sparse gradient, by what to multiply λ of each of its rows; other rows do
            not count. None: the gradient is dense.
    """
    assert weight.grad is not None, "a parameter that the objective does not depend on"
    if share is None:
        # In place, and the norm as a dot product: no temporary as large as the weight.
        weight.grad.add_(weight, alpha=reg)
        flat = weight.reshape(-1)
        return reg / 2 * float(flat @ flat)

    # Unlike `indices()` and `values()`, these give the gradient's own memory to write into.
    row_numbers = weight.grad._indices()[0]
    values = weight.grad._values()
    rows = weight[row_numbers]
    values.addcmul_(rows, share[:, None], value=reg)
    squared_norm = rows.square().sum(dim=1)

    return reg / 2 * float(share @ squared_norm)

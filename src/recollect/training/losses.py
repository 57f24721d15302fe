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
    events = (1 + alpha * count) * (1 - at_events).square() - absent * at_events.square()
    return absent * out.square().sum() + events.sum(), len(row)


def logistic_loss(
    out: Float[Tensor, "rows columns"],
    row: Int[Tensor, " events"],
    column: Int[Tensor, " events"],
    *,
    absent: float,
) -> tuple[Tensor, int]:
    """−Σ log σ(out) over events − `absent` · Σ log(1 − σ(out)) over all other cells: the
    cross-entropy.

    Args:
        out: the network's outputs.
        row: of each event.
        column: of each event.
        absent: the weight of a cell without an event.
    """
    at_events = out[row, column]
    events = softplus(-at_events) - absent * softplus(at_events)  # softplus(x) = −log σ(−x)
    return absent * softplus(out).sum() + events.sum(), len(row)


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
    log_normalizer = torch.logsumexp(out, dim=1)
    return (count * (log_normalizer[row] - out[row, column])).sum(), len(row)


@torch.no_grad()
def add_ridge(weight: Tensor, reg: float, share: Tensor | None = None) -> float:
    """reg/2 · ‖weight‖²; its gradient is added to the weight's own, in place.

    Autograd would make copies as large as the weight.

    Args: weight: a parameter that has a gradient. reg: λ. share: for a row-sparse gradient, by what
        to multiply λ of each of its rows; other rows do not count.
    """
    assert weight.grad is not None, "a parameter that the objective does not depend on"
    if share is None:
        # In place, and the norm as a dot product: no temporary as large as the weight.
        weight.grad.add_(weight, alpha=reg)
        flat = weight.reshape(-1)
        return reg / 2 * float(flat @ flat)

    row_numbers = weight.grad._indices()[0]
    rows = weight[row_numbers]
    weight.grad._values().addcmul_(rows, share[:, None], value=reg)

    return reg / 2 * float(share @ rows.square().sum(dim=1))

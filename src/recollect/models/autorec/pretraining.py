"""A deep network's middle layers, trained to give back the codes of a shallow one.

The greedy start of section 3 of the paper: first a network of one hidden layer learns the ratings;
then an autoencoder of its codes, layer by layer of the same sizes as the deep network's middle, is
trained; together they are where the deep network starts.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

STEPS = 1500
BATCH = 512  # codes
LEARNING_RATE = 0.003  # of Adam


def train_to_give_back(
    codes: Float[Tensor, "rows hidden"], layers: Sequence[nn.Module], g: nn.Module
) -> float:
    """Train the layers so that g(… g(layer(code))) is the code again; the share not explained.

    Args:
        codes: of the shallow network, a row each.
        layers: dense layers, in order; the last one ends with as many units as a code has.
        g: the activation after each of them.

    Returns: the squared error over the last tenth of the steps, as a share of the codes' variance.
    """
    parameters = [parameter for layer in layers for parameter in layer.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=LEARNING_RATE)
    last = []

    for step in range(STEPS):
        batch = codes[torch.randint(len(codes), (min(BATCH, len(codes)),), device="cpu")]
        output = batch
        for layer in layers:
            output = g(layer(output))

        error = (output - batch).square().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        if step >= STEPS * 9 // 10:
            last.append(float(error.detach()))

    variance = float(codes.var(dim=0).mean())
    return sum(last) / len(last) / max(variance, 1e-12)

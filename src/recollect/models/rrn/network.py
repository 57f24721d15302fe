"""The network of RRN: stationary factors with offsets, and an LSTM for each side."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import override

from recollect.data.ratings import Side
from recollect.kernels import times_dense
from recollect.models.rrn.dynamic_factors import DynamicFactors
from recollect.models.rrn.time_steps import Inputs, TimeSteps
from recollect.nn import Factors
from recollect.system.once import Once

SIDES: tuple[Side, Side] = ("user", "item")
OTHER: dict[Side, Side] = {"user": "item", "item": "user"}


class Network(nn.Module):
    """Stationary factors with offsets, and the LSTMs of users and items."""

    def __init__(
        self, n_users: int, n_items: int, k: int, *, embedding: int, hidden: int, dynamic: int
    ) -> None:
        """Stationary factors of zeros, LSTMs at random.

        Args:
            n_users: number of users.
            n_items: number of items.
            k: stationary factors of a user or item, the offset not counted.
            embedding: numbers of an LSTM's input.
            hidden: units of an LSTM.
            dynamic: factors that change with time.
        """
        super().__init__()
        self.stationary = Factors(n_users, n_items, k, offsets=True)
        # A user's LSTM reads ratings of items, an item's LSTM those by users.
        users = RecurrentFactors(n_items, embedding=embedding, hidden=hidden, factors=dynamic)
        items = RecurrentFactors(n_users, embedding=embedding, hidden=hidden, factors=dynamic)
        self.dynamic = nn.ModuleDict({"user": users, "item": items})
        self._forget_states()

    def _forget_states(self) -> None:
        self._factors: dict[Side, Once[DynamicFactors]] = {}
        for side in SIDES:
            self._factors[side] = Once()

    @override
    def train(self, mode: bool = True) -> Network:
        # The weights are about to change, or have: the states that were computed are of former
        # ones.
        self._forget_states()
        super().train(mode)
        return self

    def dynamic_factors(self, side: Side, steps: TimeSteps) -> DynamicFactors:
        """ũ or m̃ at any time, given the ratings by step. They are kept until the network
        learns."""

        def read() -> DynamicFactors:
            return DynamicFactors(self.dynamic[side], steps)

        return self._factors[side].get(read)


class RecurrentFactors(nn.Module):
    """ũ_t = W h_t + c,  h_t = LSTM(h_t−1, y_t),  y_t = W_a [x_t−1, first step, τ_t, τ_t−1].

    x are the ratings of the row's step before, τ is the clock.
    """

    def __init__(self, n_columns: int, *, embedding: int, hidden: int, factors: int) -> None:
        """Weights at random.

        Args:
            n_columns: rows of the other side, whose ratings are read.
            embedding: numbers of y.
            hidden: numbers of h.
            factors: numbers of ũ.
        """
        super().__init__()
        # W_a in two parts: the sparse ratings, and the clock.
        ratings = torch.randn(n_columns, embedding) * 0.05
        self.ratings = nn.Parameter(ratings)
        self.clock = nn.Linear(3, embedding)
        self.input = nn.Linear(embedding, 4 * hidden)  # gates: input, forget, cell, output
        self.recur = nn.Linear(hidden, 4 * hidden, bias=False)
        self.out = nn.Linear(hidden, factors)
        # A forget gate that is open at the start lets gradients through many steps.
        forget = slice(hidden, 2 * hidden)
        nn.init.ones_(self.input.bias[forget])
        # Small factors at the start leave the predictions to the stationary ones.
        nn.init.normal_(self.out.weight, std=0.03)
        nn.init.normal_(self.out.bias, std=0.03)
        self.hidden = hidden

    def weights(self) -> list[nn.Parameter]:
        """The regularized parameters: all but the biases."""
        weights = []
        for name, parameter in self.named_parameters():
            if not name.endswith("bias"):
                weights.append(parameter)

        return weights

    def gates(self, inputs: Inputs) -> Float[Tensor, "n gates"]:
        """What the inputs contribute to the gates."""
        from_ratings = times_dense(inputs.ratings, self.ratings)
        from_clock = self.clock(inputs.clock)

        return self.input(from_ratings + from_clock)

    def step(
        self, gates: Float[Tensor, "n gates"], h: Float[Tensor, "n k"], c: Float[Tensor, "n k"]
    ) -> tuple[Float[Tensor, "n k"], Float[Tensor, "n k"]]:
        """One step of the LSTM: the next h and c.

        Args:
            gates: what the inputs contribute to the gates.
            h: the states before.
            c: the cells before.
        """
        recurrent = self.recur.weight.t()
        gates = torch.addmm(gates, h, recurrent)
        i, f, g, o = gates.chunk(4, dim=1)

        kept = torch.sigmoid(f) * c
        added = torch.sigmoid(i) * torch.tanh(g)
        c = kept + added
        h = torch.sigmoid(o) * torch.tanh(c)

        return h, c

    def read(
        self, gates: Float[Tensor, "n gates"], sizes: list[int]
    ) -> tuple[Float[Tensor, "n k"], Float[Tensor, "n k"]]:
        """The states h and cells c after each input, from zeros on.

        Args:
            gates: what the inputs contribute, in the order of `Packed`.
            sizes: how many rows have a first input, a second …
        """
        n_rows = sizes[0] if sizes else 0
        h = c = gates.new_zeros(n_rows, self.hidden)
        # Without any input there would be nothing to put together.
        states = [h[:0]]
        cells = [c[:0]]

        for part in gates.split(sizes):
            # Rows with fewer inputs come last and have ended.
            n_left = len(part)
            h, c = self.step(part, h[:n_left], c[:n_left])
            states.append(h)
            cells.append(c)

        return torch.cat(states), torch.cat(cells)

"""The network of the RBM: binary hidden units, and a softmax over categories for each rated column.

    p(v_i = k | h) = exp(b_ik + h · W_ik) / Σ_l exp(b_il + h · W_il)                  equation 1
    p(h = 1 | v)   = σ(b_h + Σ over rated i of W_i,category(i) [+ Σ over rated i of D_i])
                                                                         equation 2, section 4

A category is one of the values that a rating can have. W has a row per column and category, the
categories of a column together, and a column per hidden unit.

With visible="sigmoid" the categories of a column do not compete:

    p(v_ik = 1 | h) = σ(b_ik + h · W_ik),  r̂_i = Σ_k value_k p(v_ik = 1 | h) / Σ_k p(v_ik = 1 | h)

With `threshold` h is 1 where p(h = 1 | v) > 1/2, in training and in predictions.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, softplus

from recollect.data.sparse_rows import Rows
from recollect.kernels import Block, observed, times_dense

PROBABILITIES_AT_ONCE = 8_000_000  # where every column is predicted: 32 MB
SMALLEST_SHARE = 1e-6  # of a category, where its logit is taken


class Network(nn.Module):
    """A restricted Boltzmann machine of one row of ratings.

    Args:
        n_columns: length of a row.
        hidden: number of hidden units.
        category_value: the rating that each category stands for, ascending.
        ordered: whether the categories of a column share a slope: W_ik + z_k · S_i instead of W_ik,
            where z_k are the category values with mean 0 and standard deviation 1.
        conditional: whether D exists, through which it counts what is rated at all.
        std: standard deviation of the weights before training.
        visible: "softmax", one category of a column is 1; "sigmoid", each is 0 or 1 by itself.
        threshold: whether hidden units are 1 where their probability is above 1/2, else 0.
    """

    def __init__(
        self,
        n_columns: int,
        hidden: int,
        category_value: Float32[np.ndarray, " categories"],
        *,
        ordered: bool,
        conditional: bool,
        std: float,
        visible: str = "softmax",
        threshold: bool = False,
    ) -> None:
        super().__init__()
        self.competing = visible == "softmax"  # whether the categories of a column compete
        self.threshold = threshold
        n_units = n_columns * len(category_value)
        self.category_value = nn.Buffer(torch.as_tensor(category_value))

        # Beside S, W starts at 0: it learns how categories deviate from their order.
        n_drawn = n_columns if ordered else n_units
        drawn = torch.randn(n_drawn, hidden) * std
        self.slope: nn.Parameter | None = None  # S
        if ordered:
            self.slope = nn.Parameter(drawn)
            self.weight = nn.Parameter(torch.zeros(n_units, hidden))
        else:
            self.weight = nn.Parameter(drawn)

        self.bias = nn.Parameter(torch.zeros(n_units))  # b
        self.hidden_bias = nn.Parameter(torch.zeros(hidden))  # b_h
        self.D: nn.Parameter | None = None
        if conditional:
            self.D = nn.Parameter(torch.zeros(n_columns, hidden))

    @property
    def n_categories(self) -> int:
        """The number of categories of a rating."""
        return len(self.category_value)

    @property
    def W(self) -> Float[Tensor, "columns_categories hidden"]:  # noqa: N802 - as in the paper
        """The weights between each category of each column and the hidden units."""
        if self.slope is None:
            return self.weight

        centered = self.category_value - self.category_value.mean()
        # A single category has the standard deviation 0.
        std = self.category_value.std(correction=0).clamp(min=1e-9)
        z = centered / std
        # columns × categories × hidden; its first two axes become the rows of W.
        z_slope = self.slope[:, None] * z[:, None]

        return self.weight + z_slope.flatten(0, 1)

    def by_column(
        self,
    ) -> tuple[Float[Tensor, "columns categories hidden"], Float[Tensor, "columns categories"]]:
        """W and b with an axis for columns and one for categories."""
        n_hidden = self.weight.shape[1]
        weight = self.W.view(-1, self.n_categories, n_hidden)
        bias = self.bias.view(-1, self.n_categories)

        return weight, bias

    def weights(self) -> list[nn.Parameter]:
        """What lambda is on: all parameters but the biases."""
        matrices = (self.weight, self.slope, self.D)
        return [matrix for matrix in matrices if matrix is not None]

    @torch.no_grad()
    def init_biases(self, block: Block) -> None:
        """Set b to the logarithm (or logit) of each category's share of the ratings of its column.

        One further rating, distributed as all ratings are, keeps the logarithm finite; a category
        that no rating has counts as half a rating there.
        """
        unit = self.one_hot(block).column
        by_unit = torch.bincount(unit, minlength=len(self.bias))
        count = by_unit.view(-1, self.n_categories)
        by_category = count.sum(dim=0).float().clamp(min=0.5)
        overall = by_category / count.sum()
        n_ratings = count.sum(dim=1, keepdim=True)
        share = (count + overall) / (n_ratings + 1)
        # A column of one category has a share of 1, whose logit is infinite.
        start = share.log() if self.competing else share.logit(eps=SMALLEST_SHARE)
        self.bias.copy_(start.view(-1))

    # Visible units.

    def one_hot(self, block: Block) -> Block:
        """The ratings as visible units: a 1 at the column and the nearest category of each."""
        assert block.value is not None
        # A rating between two categories counts as the nearer one.
        boundaries = (self.category_value[1:] + self.category_value[:-1]) / 2
        category = torch.bucketize(block.value, boundaries)
        column = block.column * self.n_categories + category

        return Block(
            block.rows.start.cpu().numpy(),
            column.cpu().numpy(),
            np.ones(block.n_cells, np.float32),
            n_columns=block.n_columns * self.n_categories,
            device=block.device,
        )

    def all_categories(self, block: Block) -> Block:
        """Every category of each rated column, as the cells of a block without values."""
        category = torch.arange(self.n_categories, device=block.device)
        column = block.column[:, None] * self.n_categories + category
        return Block(
            block.rows.start.cpu().numpy() * self.n_categories,
            column.view(-1).cpu().numpy(),
            n_columns=block.n_columns * self.n_categories,
            device=block.device,
        )

    # Conditional probabilities.

    def hidden_offset(self, block: Block) -> Float[Tensor, "rows hidden"]:
        """b_h + Σ D_i over the rated columns: the part of equation 2 without the categories."""
        if self.D is None:
            return self.hidden_bias.expand(block.n_rows, -1)

        # Ones instead of the ratings: it counts what is rated, whatever the rating.
        ones = torch.ones(block.n_cells, device=block.device)
        from_rated = times_dense(block, self.D, ones)

        return from_rated + self.hidden_bias

    def encode(self, block: Block) -> Float[Tensor, "rows hidden"]:
        """p(h = 1 | v), equation 2; thresholded, if the units are."""
        visible = self.one_hot(block)
        from_categories = times_dense(visible, self.W)
        offset = self.hidden_offset(block)

        return self._hidden_units(from_categories + offset, sample=False)

    def _hidden_units(
        self, hidden_input: Float[Tensor, "rows hidden"], *, sample: bool
    ) -> Float[Tensor, "rows hidden"]:
        """The hidden units given their input: thresholded, drawn, or their probabilities."""
        if self.threshold:
            is_on = hidden_input > 0  # where the probability is above 1/2
            return is_on.to(hidden_input.dtype)

        hidden = torch.sigmoid(hidden_input)
        if sample:
            return torch.bernoulli(hidden)

        return hidden

    def shares(
        self, unit_input: Float[Tensor, "*cells categories"]
    ) -> Float[Tensor, "*cells categories"]:
        """The probabilities of a column's categories, divided by their sum."""
        if not self.competing:
            # σ(x) / Σ σ(x), also where every σ(x) is 0 in 32 bits.
            unit_input = logsigmoid(unit_input)

        return unit_input.softmax(dim=-1)

    def expected_and_slope(
        self, unit_input: Float[Tensor, "cells categories"]
    ) -> tuple[Float[Tensor, " cells"], Float[Tensor, "cells categories"]]:
        """The expected rating, and its derivative by the input of each category."""
        share = self.shares(unit_input)
        expected = share @ self.category_value
        slope = share * (self.category_value - expected[:, None])
        if not self.competing:
            # ∂ log σ(x) / ∂ x = σ(−x)
            slope = slope * torch.sigmoid(-unit_input)

        return expected, slope

    def probabilities(
        self, cells: Block, hidden: Float[Tensor, "rows hidden"], W: Tensor
    ) -> Float[Tensor, "cells categories"]:
        """p(v | h), equation 1, or of each category by itself.

        Args:
            cells: the rated columns, as `all_categories` returns them.
            hidden: the hidden units of each row.
            W: the weights; computed once by a caller that needs them several times.
        """
        unit_input = observed(cells, hidden, W, self.bias)
        by_cell = unit_input.view(-1, self.n_categories)
        if not self.competing:
            return by_cell.sigmoid()

        return by_cell.softmax(dim=1)

    def decode(
        self,
        code: Float[Tensor, "rows hidden"],
        at: Block | None = None,
        columns: Tensor | None = None,
    ) -> Tensor:
        """The expected rating given hidden probabilities (mean field, section 2.3).

        Args:
            code: p(h = 1 | v) of each row.
            at: the cells to predict, one number for each.
            columns: the columns to predict, for every row; default, without `at`: all.
        """
        weight, bias = self.by_column()
        if at is not None:
            # One category after the other, because a cell may stand in `at` several times, and the
            # columns of a block must ascend.
            inputs = []
            for k in range(self.n_categories):
                weight_k = weight[:, k].contiguous()
                inputs.append(observed(at, code, weight_k, bias[:, k]))

            share = self.shares(torch.stack(inputs, dim=1))
            return share @ self.category_value

        if columns is not None:
            weight = weight[columns]
            bias = bias[columns]

        W = weight.flatten(0, 1).t()
        # All probabilities at once would be rows × columns × categories numbers.
        rows_at_once = max(1, PROBABILITIES_AT_ONCE // max(1, bias.numel()))
        expected = []

        for part in code.split(rows_at_once):
            # rows × columns × categories
            unit_input = (part @ W).view(len(part), *bias.shape)
            unit_input.add_(bias)
            share = self.shares(unit_input)
            expected.append(share @ self.category_value)

        return torch.cat(expected)

    # Learning.

    def contrastive_loss(self, rows: Rows, *, steps: int, sample: bool) -> tuple[Tensor, float]:
        """A scalar whose gradient is that of contrastive divergence, and the reconstruction error.

        The scalar is F(data) − F(reconstruction), summed over the rows, where F is the free energy
        and the reconstruction is held fixed:

            F(v) = −Σ_i b_i,v(i) − Σ_h log(1 + exp(input of h))

        Its gradient in W is −(⟨v h⟩_data − ⟨v h⟩_T), equation 6; those in b and D likewise. Of
        thresholded units the log is max(0, input of h), whose derivative is h itself.

        Args:
            rows: ratings.
            steps: T, the Gibbs steps of the reconstruction.
            sample: whether hidden units are drawn as 0 or 1; else their probabilities are used.

        Returns:
            The scalar, and the squared error of the first reconstruction, summed over the cells.
        """
        block = Block.of(rows, self.category_value.device)
        assert block.value is not None
        data = self.one_hot(block)
        cells = self.all_categories(block)
        offset = self.hidden_offset(block)
        W = self.W  # once: with slopes it is computed anew each time
        data_input = times_dense(data, W) + offset

        # The reconstruction is a constant: no gradient flows through the Gibbs steps.
        with torch.no_grad():
            first = self._reconstruct(cells, data_input, W, sample=sample)
            v = first

            for _ in range(steps - 1):
                hidden_input = times_dense(cells, W, v.view(-1)) + offset
                v = self._reconstruct(cells, hidden_input, W, sample=sample)

            # Divided by the sum, which is 1 where the categories compete.
            total = 1.0 if self.competing else first.sum(dim=1).clamp(min=SMALLEST_SHARE)
            expected = first @ self.category_value / total
            residual = expected - block.value
            error = float(residual.square().sum())

        v_flat = v.view(-1)
        model_input = times_dense(cells, W, v_flat) + offset
        visible = self.bias[data.column].sum() - v_flat @ self.bias[cells.column]
        # softplus(x) = log(1 + exp(x)), which does not overflow.
        of_hidden = torch.relu if self.threshold else softplus
        loss = of_hidden(model_input).sum() - of_hidden(data_input).sum() - visible

        return loss, error

    def _reconstruct(
        self, cells: Block, hidden_input: Tensor, W: Tensor, *, sample: bool
    ) -> Float[Tensor, "cells categories"]:
        """One Gibbs step: the hidden units from their input, then the visible probabilities."""
        hidden = self._hidden_units(hidden_input, sample=sample)
        return self.probabilities(cells, hidden, W)

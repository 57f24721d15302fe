"""KernelAutoencoderModel: an autoencoder on rating rows whose weights are W ⊙ K.

SparseFC and GLocalK share its settings, its objective and L-BFGS:

    Σ_Ω (r − h(r))²  +  λ/2 · Σ ‖W‖²  +  λ_K/2 · Σ ‖K‖²          both penalties over the layers
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from torch import Tensor
from typing_extensions import override

from recollect.data.ratings import AnyRatings, Ratings
from recollect.families.gradient_row_model import GradientRowModel
from recollect.kernels import Block
from recollect.memory_estimate import Memory, Shape
from recollect.model import Capabilities
from recollect.nn import layer_sizes
from recollect.run import Run
from recollect.settings import setting
from recollect.training.gradient_options import GradientOptions
from recollect.training.history import History
from recollect.training.losses import squared_error


@dataclass(kw_only=True, eq=False)
class KernelAutoencoderModel(GradientRowModel):
    """Squared error over observed cells only, λ on every W and λ_K on every kernel K."""

    why_not_updatable: ClassVar[str] = "multiplies its weights by kernels that all columns share,"

    # Units of each hidden layer, all sigmoid
    hidden: int | tuple[int, ...] = setting((500, 500), at_least=1)
    # lambda on every W; the paper's lambda_2 = 60 stands beside half the squared error
    reg: float = 120.0
    # lambda on every kernel K; the paper's lambda_s = 0.013 stands beside half the squared error
    reg_kernel: float = setting(0.026, at_least=0)
    # Length of the vectors u and v that the kernel compares
    kernel_dim: int = setting(5, at_least=1, formerly="places")
    # Standard deviation of u and v before training. So small that K is about 1; at 0 the
    # gradient of every distance would be 0.
    init_kernel: float = setting(0.001, above=0, formerly="init_places")
    epochs: int = setting(1000, at_least=1)  # at most; an epoch is one iteration of L-BFGS
    history: int = setting(10, at_least=1)  # pairs that L-BFGS remembers
    # Validations without a gain before the fit stops; None: never stop early
    patience: int | None = setting(4, at_least=1)
    # Epochs between validations
    validate_every: int = setting(10, at_least=1, formerly="look_every")

    @property
    @override
    def capabilities(self) -> Capabilities:
        return Capabilities(smaller=({"history": 2},))

    @property
    @override
    def layers(self) -> tuple[int, ...]:
        """Hidden sizes, first to last."""
        return layer_sizes(self.hidden)

    @property
    @override
    def linear(self) -> bool:
        return True

    @override
    def check(self) -> None:
        super().check()
        layer_sizes(self.hidden)  # refuses an empty tuple

    @override
    def estimate_memory(self, shape: Shape, run: Run) -> Memory:
        memory = super().estimate_memory(shape, run)
        # The effective weights W ⊙ K and their gradients come on top of W and its gradient.
        place = memory.device or memory.host
        place["kernels"] = 2 * place["parameters"]

        return memory

    def train_for(self, epochs: int, train: AnyRatings, valid: Ratings | None, run: Run) -> History:
        """Train `net_` by L-BFGS.

        Args:
            epochs: iterations, at most.
            train: the ratings to learn from.
            valid: ratings that choose when to stop; None: all epochs.
            run: how to run the fit.
        """
        options = GradientOptions.of(self, epochs=epochs)
        return self.minimize(self.loss, train, valid, run, options=options, figure="train_loss")

    def loss(self, net: Any, rows: Block) -> tuple[Tensor, int]:
        """Σ_Ω (r − h(r))² + λ_K/2 · Σ ‖K‖², and the number of observed cells.

        The penalty on K is part of the loss, since K and its gradient are computed with W ⊙ K.
        """
        assert rows.value is not None
        weights, kernel_square = net.effective_weights()
        code = net.encode(rows, weights)
        predicted = net.decode(code, at=rows, weights=weights)
        error, count = squared_error(predicted, rows.value)
        penalty = self.reg_kernel / 2 * kernel_square

        return error + penalty, count

    @override
    def penalty(self, net: Any) -> list[tuple[Tensor, float]]:
        """λ/2 · Σ ‖W‖²: each W with its λ."""
        return [(layer.W, self.reg) for layer in net.layers]

    @override
    def train_rmse(self) -> float:
        """The RMSE on the training ratings, predicted again: the history has the loss only."""
        given: Any = self.given_
        predicted = self.pairs(given.user, given.item, given)
        error = predicted - given.value
        mean_square = np.mean(error**2)
        return float(np.sqrt(mean_square))

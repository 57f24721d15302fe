"""What differs between DeepRec for ratings and DeepRec for events."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar

from torch import Tensor

from recollect.data.ratings import AnyRatings, Ratings
from recollect.kernels import Block
from recollect.model import Capabilities
from recollect.models.deeprec.network import Network
from recollect.models.deeprec.settings import DeepRecSettings
from recollect.training import gradient
from recollect.training.early_stopping import ValidationMetric

Loss = tuple[Tensor, int]  # a sum, and the number of terms to divide it by


class Recipe(ABC):
    """The checks, the network's ends, the loss and the validation of one kind of data."""

    figure: ClassVar[str]  # what the history calls the training loss
    ranked_cells: ClassVar[int] = 0  # that validation ranks at once

    def __init__(self, settings: DeepRecSettings) -> None:
        self.settings = settings

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What the model predicts and needs."""

    @property
    @abstractmethod
    def dense_matrices(self) -> int:
        """Rows × columns matrices that a training step holds, for the memory estimate."""

    @property
    def hint(self) -> str:
        """What beside the learning rate may make such a fit diverge; empty if nothing is known."""
        return ""

    @abstractmethod
    def check(self) -> None:
        """Refuse settings that do not go together with this kind of data."""

    @abstractmethod
    def network(self, n_columns: int, scale: tuple[float, float]) -> Network:
        """The network before learning.

        Args:
            n_columns: length of a row.
            scale: the lowest and the highest possible rating.
        """

    @abstractmethod
    def steps(self, net: Network, rows: Block) -> Iterator[gradient.Step]:
        """The losses of a batch; the optimizer takes a step after each of them.

        Args:
            net: the network in training.
            rows: the batch.
        """

    @abstractmethod
    def validation(self, train: AnyRatings, valid: Ratings | None) -> ValidationMetric | None:
        """The figure that the fit is stopped by; None without validation data."""

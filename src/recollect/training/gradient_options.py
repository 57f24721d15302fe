"""What a user may choose of training by gradients: the optimizer, its rate, when to stop."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from recollect.errors import SettingError
from recollect.settings import check_ranges, setting
from recollect.training import optimizers


@dataclass(frozen=True, kw_only=True)
class GradientOptions:
    """How long and with which optimizer to train."""

    epochs: int = setting(100, at_least=0)
    optimizer: str = setting("lbfgs", one_of=optimizers.OPTIMIZERS)
    learning_rate: float = setting(0.001, above=0)  # Rprop's first step; L-BFGS finds its own
    momentum: float = 0.9  # SGD only
    history: int = setting(5, at_least=1)  # L-BFGS only: pairs remembered
    state_bits: int = 32  # Adam only: of each of its two moments
    lazy: bool = False  # Adam in batches only: rows without a cell in the batch do not change
    batch_size: int | None = setting(None, at_least=1)  # rows; None: all at once
    milestones: tuple[int, ...] = setting((), at_least=1)  # epochs, see `decay`
    decay: float = setting(0.5, above=0)  # of the learning rate, from each milestone on
    mixed: bool = False  # 16-bit dense products where they are fast, unless the run says otherwise
    patience: int | None = setting(None, at_least=1)  # validations without a gain; None: no limit
    validate_every: int = setting(1, at_least=1)  # epochs between validations

    @classmethod
    def of(cls, model: Any, **changes: Any) -> GradientOptions:
        """The options that a model's settings of the same names give.

        Args:
            model: a dataclass; an option that it has no field for has its default.
            changes: options that replace those of the model.
        """
        options = {field.name for field in fields(cls)}
        shared = options & {field.name for field in fields(model)}
        values = {name: getattr(model, name) for name in shared}

        return cls(**{**values, **changes})

    def check(self) -> None:
        """Refuse options that cannot go together.

        Raises:
            SettingError: naming the options, their values and what to change.
        """
        check_ranges(self)
        if self.optimizer in optimizers.FULL_BATCH and self.batch_size is not None:
            raise SettingError(
                f"optimizer={self.optimizer!r} needs the whole data at each step, found batch_size="
                f"{self.batch_size}; leave batch_size out, or use adam or sgd."
            )

        if self.lazy and (self.optimizer != "adam" or self.batch_size is None):
            raise SettingError(
                "lazy=True does not change rows without a cell in the batch: it needs "
                f"optimizer='adam' and a batch_size, found optimizer={self.optimizer!r} and "
                f"batch_size={self.batch_size}."
            )

        if self.state_bits not in (16, 32) or (self.state_bits == 16 and self.optimizer != "adam"):
            raise SettingError(
                f"state_bits is 32, or 16 with optimizer='adam'; found {self.state_bits} with "
                f"{self.optimizer!r}."
            )

        if self.milestones and self.optimizer not in optimizers.BY_RATE:
            raise SettingError(
                f"milestones change the learning rate of {' and '.join(optimizers.BY_RATE)}; "
                f"optimizer={self.optimizer!r} has none: leave them out."
            )

        if list(self.milestones) != sorted(set(self.milestones)):
            raise SettingError(f"milestones must ascend, found {self.milestones}.")

    def rate(self, epoch: int) -> float:
        """The learning rate in this epoch, counted from 1."""
        passed = [milestone for milestone in self.milestones if epoch >= milestone]
        n_passed = len(passed)
        return self.learning_rate * self.decay**n_passed

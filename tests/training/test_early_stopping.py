"""Early stopping: which weights are kept, and when waiting ends."""

import pytest
import torch

from recollect.training.early_stopping import EarlyStopping, ValidationMetric


class OneNumber(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.x = torch.nn.Parameter(torch.zeros(()))


def stopped_after(figures: list[float], *, patience: int | None, **metric) -> int | None:
    """The number of the figure after which the fit stops; None if it never does."""
    validation = ValidationMetric("valid_rmse", lambda: 0.0, **metric)
    early = EarlyStopping(OneNumber(), patience=patience, metric=validation)
    for epoch, figure in enumerate(figures, start=1):
        if early.update(figure, epoch):
            return epoch
    return None


def test_the_best_weights_are_restored():
    net = OneNumber()
    early = EarlyStopping(net, patience=None)
    for epoch, figure in enumerate([3.0, 1.0, 2.0], start=1):
        net.x.data.fill_(epoch)
        early.update(figure, epoch)
    early.restore()
    assert net.x.item() == 2
    assert (early.epoch, early.figure) == (2, 1.0)


def test_without_a_figure_nothing_is_restored():
    net = OneNumber()
    early = EarlyStopping(net, patience=3)
    net.x.data.fill_(7)
    early.restore()
    assert net.x.item() == 7
    assert early.figure is None


@pytest.mark.parametrize(("patience", "expected"), [(1, 3), (2, 4), (3, None), (None, None)])
def test_patience_counts_validations_without_a_gain(patience, expected):
    assert stopped_after([3.0, 2.0, 2.5, 2.1], patience=patience) == expected


def test_a_gain_starts_the_wait_again():
    assert stopped_after([3.0, 3.1, 2.0, 2.1, 2.2], patience=2) == 5


def test_a_tiny_gain_is_kept_but_does_not_end_the_wait():
    assert stopped_after([3.0, 3.0 - 1e-6, 3.0 - 2e-6], patience=2) == 3


def test_waiting_starts_once_the_baseline_is_beaten():
    assert stopped_after([3.0, 3.0, 3.0, 0.9, 1.0, 1.0], patience=2, baseline=1.0) == 6


def test_where_higher_is_better_a_lower_figure_is_no_gain():
    assert stopped_after([0.3, 0.2, 0.1], patience=2, better="higher") == 3
    assert stopped_after([0.1, 0.2, 0.3], patience=2, better="higher") is None

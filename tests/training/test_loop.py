"""The loop: batches, stopping, resuming, refusing."""

import numpy as np
import pytest
import torch

from recollect.data.ratings import Rows
from recollect.errors import SettingError, TrainingError
from recollect.run import Run
from recollect.training import gradient
from recollect.training.history import ValidationMetric


class Column(torch.nn.Module):
    """One number per column; the prediction of each cell is its column's."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.x = torch.nn.Parameter(torch.zeros(n))


def cells_loss(net, block):
    error = net.x[block.column.long()] - block.value
    return error @ error, len(block.value)


@pytest.fixture
def rows() -> Rows:
    """Five rows, one of them empty; column means 2, 4 and 6."""
    row, column = np.array([0, 0, 1, 2, 4, 4]), np.array([0, 1, 2, 0, 1, 2])
    found, _ = Rows.group(
        row, column, np.array([1, 3, 5, 3, 5, 7], np.float32), n_rows=5, n_columns=3
    )
    return found


@pytest.mark.parametrize("optimizer", ["lbfgs", "rprop", "adam", "sgd"])
def test_every_optimizer_finds_the_column_means(rows, optimizer):
    net = Column(3)
    plan = gradient.GradientOptions(
        epochs=400, optimizer=optimizer, learning_rate=0.05, validate_every=400
    )
    history = gradient.fit(net, rows, cells_loss, Run(), plan)
    np.testing.assert_allclose(net.x.detach().numpy(), [2, 4, 6], atol=1e-2)
    assert history.epochs[-1]["train_rmse"] == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 4, 5, 100])
def test_every_cell_is_seen_once_an_epoch(rows, batch_size):
    seen = []

    def loss(net, block):
        seen.extend(block.value.tolist())
        return cells_loss(net, block)

    gradient.fit(
        Column(3),
        rows,
        loss,
        Run(),
        gradient.GradientOptions(epochs=1, optimizer="adam", batch_size=batch_size),
    )
    assert sorted(seen) == [1, 3, 3, 5, 5, 7]


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_the_figure_does_not_depend_on_the_batches(rows, batch_size):
    plan = gradient.GradientOptions(
        epochs=1, optimizer="sgd", learning_rate=1e-12, batch_size=batch_size
    )
    history = gradient.fit(Column(3), rows, cells_loss, Run(), plan)
    assert history.epochs[0]["train_rmse"] == pytest.approx(np.sqrt(118 / 6), rel=1e-6)


def test_best_weights_are_kept_and_patience_ends_the_fit(rows):
    errors = iter([3.0, 2.0, 2.5, 2.6, 2.7, 1.0])
    net = Column(3)
    at_best = []

    def validate():
        error = next(errors)
        if error == 2.0:
            at_best.append(net.x.detach().clone())
        return error

    plan = gradient.GradientOptions(epochs=6, optimizer="adam", learning_rate=0.1, patience=3)
    history = gradient.fit(
        net, rows, cells_loss, Run(), plan, measure=ValidationMetric("valid_rmse", validate)
    )
    assert (history.best_epoch, len(history)) == (2, 5)
    assert torch.equal(net.x, at_best[0])


@pytest.mark.parametrize(
    ("better", "figures", "kept"),
    [
        ("lower", [3.0, 2.0, 2.5, 2.6, 2.7], 2),
        ("higher", [0.1, 0.3, 0.2, 0.25, 0.1], 2),
        ("higher", [0.1, 0.2, 0.3, 0.4, 0.5], 5),
    ],
)
def test_better_may_mean_higher(rows, better, figures, kept):
    plan, found = (
        gradient.GradientOptions(epochs=5, optimizer="adam", learning_rate=0.1, patience=3),
        iter(figures),
    )
    history = gradient.fit(
        Column(3),
        rows,
        cells_loss,
        Run(),
        plan,
        measure=ValidationMetric("valid_x", lambda: next(found), better),
    )
    assert (history.best_epoch, history.best_valid, history.valid_name) == (
        kept,
        figures[kept - 1],
        "valid_x",
    )
    assert history.column("valid_x") == [*enumerate(figures[: len(history)], start=1)]
    assert history.best_valid_rmse == np.inf


def test_a_loss_that_is_no_rmse_is_told_as_it_is(rows):
    plan = gradient.GradientOptions(epochs=1, optimizer="sgd", learning_rate=1e-12)
    history = gradient.fit(Column(3), rows, cells_loss, Run(), plan, figure="train_loss")
    assert history.epochs[0]["train_loss"] == pytest.approx(118 / 6, rel=1e-6)
    assert "train_rmse" not in history.epochs[0]


def test_penalty_counts_once_whatever_the_batches(rows):
    """With lambda/2 x² the solution of column j is the sum of its ratings over (2 + lambda/2); full batch, by hand."""
    net = Column(3)
    gradient.fit(
        net,
        rows,
        cells_loss,
        Run(),
        gradient.GradientOptions(epochs=60),
        penalty=lambda net: [(net.x, 2.0)],
    )
    np.testing.assert_allclose(net.x.detach().numpy(), [4 / 3, 8 / 3, 12 / 3], atol=2e-3)  # 32 bits


@pytest.mark.parametrize("optimizer", ["lbfgs", "rprop", "adam", "sgd"])
def test_an_interrupted_fit_ends_with_the_same_weights(rows, optimizer, tmp_path):
    plan = gradient.GradientOptions(
        epochs=12,
        optimizer=optimizer,
        learning_rate=0.1,
        validate_every=3,
        patience=100,
        batch_size=2 if optimizer in ("adam", "sgd") else None,
    )

    def train(run):
        torch.manual_seed(3)
        net = Column(3)
        history = gradient.fit(
            net,
            rows,
            cells_loss,
            run,
            plan,
            measure=ValidationMetric("valid_rmse", lambda: float(net.x.detach().square().sum())),
        )
        return net.x.detach(), history

    def stop_after_5(figures):
        if figures["epoch"] == 5:
            raise KeyboardInterrupt

    with torch.random.fork_rng():
        whole, history = train(Run())
        with pytest.raises(KeyboardInterrupt):
            train(Run(folder=tmp_path, snapshot_seconds=0.0, watchers=(stop_after_5,)))
        torch.manual_seed(99)
        resumed, again = train(Run(folder=tmp_path, resume=True))
    assert torch.equal(whole, resumed)
    assert [e["epoch"] for e in again.epochs] == [e["epoch"] for e in history.epochs]


def test_an_exploding_objective_ends_the_fit_with_its_likely_cause(rows):
    plan = gradient.GradientOptions(epochs=200, optimizer="sgd", learning_rate=1e6, batch_size=1)
    with pytest.raises(TrainingError, match="lower learning_rate"):
        gradient.fit(Column(3), rows, cells_loss, Run(), plan)


def test_full_batch_methods_refuse_batches(rows):
    with pytest.raises(SettingError, match="batch_size"):
        gradient.fit(
            Column(3),
            rows,
            cells_loss,
            Run(),
            gradient.GradientOptions(epochs=1, optimizer="rprop", batch_size=2),
        )


@pytest.mark.parametrize(
    ("optimizer", "rates"),
    [("adam", [0.02, 0.02]), ("sgd", [0.02, 0.02]), ("rprop", []), ("lbfgs", [])],
)
def test_the_learning_rate_is_among_the_figures_of_optimizers_that_have_one(rows, optimizer, rates):
    history = gradient.fit(
        Column(3),
        rows,
        cells_loss,
        Run(),
        gradient.GradientOptions(epochs=2, optimizer=optimizer, learning_rate=0.02),
    )
    assert [rate for _, rate in history.column("learning_rate")] == rates

"""Training by gradient steps: batches, early stopping, resuming, refusals."""

import numpy as np
import pytest
import torch

from recollect.data.ratings import Rows
from recollect.errors import SettingError, TrainingError
from recollect.run import Run
from recollect.training import gradient
from recollect.training.early_stopping import ValidationMetric
from recollect.training.gradient_options import GradientOptions

MEAN_SQUARE = 118 / 6  # of the ratings below, which is the loss of a network of zeros


class ColumnNet(torch.nn.Module):
    """One number per column, which is the prediction of all its cells."""

    def __init__(self, n_columns: int = 3) -> None:
        super().__init__()
        self.x = torch.nn.Parameter(torch.zeros(n_columns))


def cells_loss(net, block):
    error = net.x[block.column.long()] - block.value
    return error @ error, len(block.value)


@pytest.fixture
def rows() -> Rows:
    """Five rows, one of them empty; column means 2, 4 and 6."""
    row = np.array([0, 0, 1, 2, 4, 4])
    column = np.array([0, 1, 2, 0, 1, 2])
    value = np.array([1, 3, 5, 3, 5, 7], np.float32)
    grouped, _ = Rows.group(row, column, value, n_rows=5, n_columns=3)
    return grouped


def tiny_steps(**changes) -> GradientOptions:
    """One epoch that leaves the weights at about 0."""
    return GradientOptions(epochs=1, optimizer="sgd", learning_rate=1e-12, **changes)


@pytest.mark.parametrize("optimizer", ["lbfgs", "rprop", "adam", "sgd"])
def test_every_optimizer_finds_the_column_means(rows, optimizer):
    net = ColumnNet()
    options = GradientOptions(
        epochs=400, optimizer=optimizer, learning_rate=0.05, validate_every=400
    )
    history = gradient.fit(net, rows, cells_loss, Run(), options)
    np.testing.assert_allclose(net.x.detach().numpy(), [2, 4, 6], atol=1e-2)
    assert history.epochs[-1]["train_rmse"] == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 4, 5, 100])
def test_every_cell_is_visited_once_an_epoch(rows, batch_size):
    visited = []

    def loss(net, block):
        visited.extend(block.value.tolist())
        return cells_loss(net, block)

    options = GradientOptions(epochs=1, optimizer="adam", batch_size=batch_size)
    gradient.fit(ColumnNet(), rows, loss, Run(), options)
    assert sorted(visited) == [1, 3, 3, 5, 5, 7]


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_the_training_figure_does_not_depend_on_the_batches(rows, batch_size):
    options = tiny_steps(batch_size=batch_size)
    history = gradient.fit(ColumnNet(), rows, cells_loss, Run(), options)
    assert history.epochs[0]["train_rmse"] == pytest.approx(np.sqrt(MEAN_SQUARE), rel=1e-6)


def test_the_best_weights_are_kept_and_patience_ends_the_fit(rows):
    net = ColumnNet()
    errors = iter([3.0, 2.0, 2.5, 2.6, 2.7, 1.0])
    weights_by_error = {}

    def measure():
        error = next(errors)
        weights_by_error[error] = net.x.detach().clone()
        return error

    options = GradientOptions(epochs=6, optimizer="adam", learning_rate=0.1, patience=3)
    metric = ValidationMetric("valid_rmse", measure)
    history = gradient.fit(net, rows, cells_loss, Run(), options, measure=metric)
    assert (history.best_epoch, len(history)) == (2, 5)
    assert torch.equal(net.x, weights_by_error[2.0])


@pytest.mark.parametrize(
    ("better", "figures", "best_epoch"),
    [
        ("lower", [3.0, 2.0, 2.5, 2.6, 2.7], 2),
        ("higher", [0.1, 0.3, 0.2, 0.25, 0.1], 2),
        ("higher", [0.1, 0.2, 0.3, 0.4, 0.5], 5),
    ],
)
def test_the_history_has_the_best_figure_whichever_is_better(rows, better, figures, best_epoch):
    remaining = iter(figures)
    metric = ValidationMetric("valid_x", lambda: next(remaining), better)
    options = GradientOptions(epochs=5, optimizer="adam", learning_rate=0.1, patience=3)
    history = gradient.fit(ColumnNet(), rows, cells_loss, Run(), options, measure=metric)
    assert history.best_epoch == best_epoch
    assert history.best_valid == figures[best_epoch - 1]
    assert history.column("valid_x") == [*enumerate(figures[: len(history)], start=1)]
    assert history.best_valid_rmse == np.inf


def test_a_loss_that_is_no_rmse_is_reported_as_its_mean(rows):
    history = gradient.fit(ColumnNet(), rows, cells_loss, Run(), tiny_steps(), figure="train_loss")
    assert history.epochs[0]["train_loss"] == pytest.approx(MEAN_SQUARE, rel=1e-6)
    assert "train_rmse" not in history.epochs[0]


def test_the_penalty_counts_once(rows):
    """With λ/2 · x² column j ends at the sum of its ratings over (2 + λ/2)."""
    net = ColumnNet()
    gradient.fit(
        net,
        rows,
        cells_loss,
        Run(),
        GradientOptions(epochs=60),
        penalty=lambda net: [(net.x, 2.0)],
    )
    expected = [4 / 3, 8 / 3, 12 / 3]
    np.testing.assert_allclose(net.x.detach().numpy(), expected, atol=2e-3)  # 32 bits


@pytest.mark.parametrize("optimizer", ["lbfgs", "rprop", "adam", "sgd"])
def test_an_interrupted_fit_ends_with_the_same_weights(rows, optimizer, tmp_path):
    options = GradientOptions(
        epochs=12,
        optimizer=optimizer,
        learning_rate=0.1,
        validate_every=3,
        patience=100,
        batch_size=2 if optimizer in ("adam", "sgd") else None,
    )

    def train(run):
        torch.manual_seed(3)
        net = ColumnNet()
        metric = ValidationMetric("valid_rmse", lambda: float(net.x.detach().square().sum()))
        history = gradient.fit(net, rows, cells_loss, run, options, measure=metric)
        return net.x.detach(), history

    def interrupt_after_5(figures):
        if figures["epoch"] == 5:
            raise KeyboardInterrupt

    with torch.random.fork_rng():
        expected, uninterrupted = train(Run())
        with pytest.raises(KeyboardInterrupt):
            train(Run(folder=tmp_path, snapshot_seconds=0.0, watchers=(interrupt_after_5,)))
        torch.manual_seed(99)
        actual, resumed = train(Run(folder=tmp_path, resume=True))
    assert torch.equal(actual, expected)
    epochs = [figures["epoch"] for figures in uninterrupted.epochs]
    assert [figures["epoch"] for figures in resumed.epochs] == epochs


def test_an_exploding_objective_is_an_error_with_its_likely_cause(rows):
    options = GradientOptions(epochs=200, optimizer="sgd", learning_rate=1e6, batch_size=1)
    with pytest.raises(TrainingError, match="lower learning_rate"):
        gradient.fit(ColumnNet(), rows, cells_loss, Run(), options)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer": "rprop", "batch_size": 2}, "needs the whole data at each step"),
        ({"optimizer": "adma"}, "Did you mean 'adam'"),
        ({"epochs": -1}, "epochs must be at least 0, found -1"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0, found 0"),
        ({"optimizer": "sgd", "milestones": (3, 2)}, "milestones must ascend"),
        ({"optimizer": "sgd", "milestones": (0, 2)}, "milestones must be at least 1"),
        ({"milestones": (3,)}, "'lbfgs' has none"),
        ({"lazy": True, "optimizer": "adam"}, "a batch_size, found"),
        ({"state_bits": 16}, "state_bits is 32"),
    ],
)
def test_options_that_cannot_go_together_are_refused(rows, changes, message):
    options = GradientOptions(**{"epochs": 1, **changes})
    with pytest.raises(SettingError, match=message):
        gradient.fit(ColumnNet(), rows, cells_loss, Run(), options)


@pytest.mark.parametrize(
    ("optimizer", "rates"),
    [("adam", [0.02, 0.01]), ("sgd", [0.02, 0.01]), ("rprop", []), ("lbfgs", [])],
)
def test_the_learning_rate_is_a_figure_of_optimizers_that_have_one(rows, optimizer, rates):
    options = GradientOptions(
        epochs=2, optimizer=optimizer, learning_rate=0.02, milestones=(2,) if rates else ()
    )
    history = gradient.fit(ColumnNet(), rows, cells_loss, Run(), options)
    assert [rate for _, rate in history.column("learning_rate")] == rates


def test_each_part_of_a_loss_is_a_step_and_the_first_one_is_reported(rows):
    def two_steps(net, block):
        yield cells_loss(net, block)
        yield (net.x - 10).square().sum(), 1

    net = ColumnNet()
    options = GradientOptions(epochs=1, optimizer="sgd", learning_rate=0.1)
    history = gradient.fit(net, rows, two_steps, Run(), options)
    assert history.epochs[0]["train_rmse"] == pytest.approx(np.sqrt(MEAN_SQUARE), rel=1e-6)
    x = np.zeros(3)
    first = 2 / 6 * (np.array([2, 2, 2]) * x - np.array([4, 8, 12]))
    x = x - 0.1 * first
    second = 2 * (x - 10)
    x = x - 0.1 * (0.9 * first + second)
    np.testing.assert_allclose(net.x.detach().numpy(), x, rtol=1e-5)

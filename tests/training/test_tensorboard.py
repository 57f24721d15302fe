"""The log for TensorBoard, read back by TensorBoard's own reader."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import (
    HISTOGRAMS,
    SCALARS,
    EventAccumulator,
)

import recollect as rc
from recollect.errors import SettingError
from recollect.run import Run
from recollect.training.tensorboard import BINS, TensorBoardLog, histogram, holds_events

SETTINGS = {
    "hidden": 6,
    "reg": 2.0,
    "epochs": 5,
    "optimizer": "adam",
    "learning_rate": 0.01,
    "batch_size": 16,
    "validate_every": 2,
}


def read(folder: Path) -> EventAccumulator:
    """All events of the folder; by default the reader keeps a sample."""
    events = EventAccumulator(str(folder), size_guidance={SCALARS: 0, HISTOGRAMS: 0})
    events.Reload()
    return events


def curve(folder: Path, tag: str) -> list[tuple[int, float]]:
    """Step and value of each event of a scalar."""
    return [(event.step, event.value) for event in read(folder).Scalars(tag)]


def log_epoch(folder: Path, net: torch.nn.Module, *, histograms: bool = True) -> EventAccumulator:
    """Log one epoch without figures, and read it back."""
    TensorBoardLog(folder, histograms=histograms)({"epoch": 1.0}, net)
    return read(folder)


def fit(folder: Path | None, *, histograms: bool = False, **more: object) -> rc.Model:
    train, valid, _ = rc.random_split(rc.load("planted/tiny"), test=0.1, valid=0.1, seed=0)
    logs = (TensorBoardLog(folder, histograms=histograms),) if folder else ()
    model = rc.make("autorec", **{**SETTINGS, **more})
    return model.fit(train, valid, Run(threads=1, net_watchers=logs))


@pytest.fixture
def net() -> torch.nn.Linear:
    net = torch.nn.Linear(3, 2)
    net.weight.data = torch.arange(6.0).reshape(2, 3)
    return net


def test_every_figure_of_every_epoch_is_a_scalar(tmp_path):
    history = fit(tmp_path).history_
    tags = {
        "train_rmse": "rmse/train",
        "valid_rmse": "rmse/valid",
        "objective": "fit/objective",
        "learning_rate": "fit/learning_rate",
        "seconds": "fit/seconds",
    }
    assert sorted(read(tmp_path).Tags()["scalars"]) == sorted(tags.values())
    for key, tag in tags.items():
        # Figures are stored in 32 bits.
        np.testing.assert_allclose(curve(tmp_path, tag), history.column(key), rtol=1e-6)
    assert [epoch for epoch, _ in history.column("valid_rmse")] == [2, 4, 5]


def test_an_epoch_is_on_disk_before_the_next_begins(tmp_path, net):
    log = TensorBoardLog(tmp_path)
    log({"epoch": 1.0, "train_rmse": 2.0}, net)
    assert curve(tmp_path, "rmse/train") == [(1, 2.0)]


def test_a_log_changes_nothing_in_the_fit(tmp_path):
    logged = fit(tmp_path, histograms=True).net_.state_dict()
    for name, weight in fit(None).net_.state_dict().items():
        assert torch.equal(weight, logged[name]), name


def test_histograms_of_weights_and_gradients_are_written_on_request(tmp_path, net):
    net(torch.ones(3)).sum().backward()
    without = log_epoch(tmp_path / "without", net, histograms=False)
    assert without.Tags()["histograms"] == []
    events = log_epoch(tmp_path / "with", net)
    assert events.Tags()["histograms"] == [
        "weights/weight",
        "gradients/weight",
        "weights/bias",
        "gradients/bias",
    ]
    weights = events.Histograms("weights/weight")[0].histogram_value
    gradients = events.Histograms("gradients/weight")[0].histogram_value
    assert (weights.min, weights.max, weights.num) == (0, 5, 6)
    assert (gradients.min, gradients.sum) == (1, 6)


def test_a_parameter_without_a_gradient_has_no_histogram_of_it(tmp_path, net):
    net.bias.requires_grad = False
    net(torch.ones(3)).sum().backward()
    assert log_epoch(tmp_path, net).Tags()["histograms"] == [
        "weights/weight",
        "gradients/weight",
        "weights/bias",
    ]


def test_only_the_touched_rows_of_a_row_sparse_gradient_count(tmp_path):
    net = torch.nn.Embedding(10, 2, sparse=True)
    net(torch.tensor([3, 3, 7])).sum().backward()
    events = log_epoch(tmp_path, net).Histograms("gradients/weight, touched rows")
    gradients = events[0].histogram_value
    assert (gradients.num, gradients.min, gradients.max) == (4, 1, 2)


def test_the_histogram_is_that_of_numpy():
    x = torch.randn(3000, 700, generator=torch.Generator().manual_seed(0))  # two chunks
    actual = histogram(x)
    counts, edges = np.histogram(x.numpy(), BINS)
    assert actual["bucket_counts"] == pytest.approx(counts, abs=5)  # edges are rounded differently
    assert sum(actual["bucket_counts"]) == actual["num"] == x.numel()
    np.testing.assert_allclose(actual["bucket_limits"], edges[1:], rtol=1e-5, atol=1e-6)
    assert actual["sum_squares"] == pytest.approx(float(x.double().square().sum()))


def test_numbers_that_are_all_the_same_have_a_histogram():
    counts = histogram(torch.full((7,), 3.0))
    assert (sum(counts["bucket_counts"]), counts["min"], counts["max"]) == (7, 3, 3)
    assert counts["bucket_limits"] == sorted(set(counts["bucket_limits"]))


def test_numbers_that_are_not_finite_are_counted_separately(tmp_path, net):
    net.weight.data[0] = torch.tensor([float("nan"), float("inf"), 1.0])
    net.bias.data[:] = float("nan")
    events = log_epoch(tmp_path, net)
    assert events.Histograms("weights/weight")[0].histogram_value.num == 4
    assert events.Tags()["histograms"] == ["weights/weight"]
    assert curve(tmp_path, "not finite/weights/weight") == [(1, 2)]
    assert curve(tmp_path, "not finite/weights/bias") == [(1, 2)]


def test_a_resumed_fit_continues_its_curve(tmp_path, net):
    """The snapshot is of epoch 3, epochs 4 and 5 were shown already: they are shown once, as they
    were the second time."""
    first = TensorBoardLog(tmp_path)
    for epoch in range(1, 6):
        first({"epoch": float(epoch), "train_rmse": float(epoch)}, net)
    first.close()
    second = TensorBoardLog(tmp_path)
    for epoch in range(4, 8):
        second({"epoch": float(epoch), "train_rmse": 10.0 * epoch}, net)
    assert curve(tmp_path, "rmse/train") == [
        (1, 1),
        (2, 2),
        (3, 3),
        (4, 40),
        (5, 50),
        (6, 60),
        (7, 70),
    ]


def test_a_log_refuses_a_second_fit(tmp_path, net):
    log = TensorBoardLog(tmp_path)
    log({"epoch": 2.0}, net)
    with pytest.raises(SettingError, match="has epoch 2 and now got epoch 1, of another fit"):
        log({"epoch": 1.0}, net)


def test_a_refit_is_neither_in_the_log_nor_in_the_history(tmp_path):
    history = fit(tmp_path, refit=True).history_
    epochs = [epoch for epoch, _ in curve(tmp_path, "rmse/train")]
    assert epochs == list(range(1, len(history) + 1))


def test_a_folder_with_events_is_recognized(tmp_path, net):
    log = TensorBoardLog(tmp_path / "new" / "folder")
    assert not holds_events(log.folder)
    log({"epoch": 1.0}, net)
    assert holds_events(log.folder)


def test_a_file_is_no_folder_for_a_log(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SettingError, match="name a folder for TensorBoard"):
        TensorBoardLog(tmp_path / "file")


def test_without_tensorboard_the_error_says_how_to_install_it(tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("torch.utils.tensorboard")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(SettingError, match=r'pip install "recollect\[tensorboard\]"'):
        TensorBoardLog(tmp_path)

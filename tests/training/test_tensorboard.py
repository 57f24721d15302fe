"""The board: what it writes, read back by TensorBoard's own reader."""

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
    """All events of the folder; usually the reader keeps a sample."""
    found = EventAccumulator(str(folder), size_guidance={SCALARS: 0, HISTOGRAMS: 0})
    found.Reload()
    return found


def fit(folder: Path | None, *, histograms: bool = False, **more: object) -> rc.Model:
    train, valid, _ = rc.random_split(rc.load("planted/tiny"), test=0.1, valid=0.1, seed=0)
    boards = (TensorBoardLog(folder, histograms=histograms),) if folder else ()
    return rc.make("autorec", **{**SETTINGS, **more}).fit(
        train, valid, Run(threads=1, net_watchers=boards)
    )


@pytest.fixture
def net() -> torch.nn.Linear:
    net = torch.nn.Linear(3, 2)
    net.weight.data = torch.arange(6.0).reshape(2, 3)
    return net


def test_every_figure_of_every_epoch_is_a_scalar(tmp_path):
    history, found = fit(tmp_path).history_, read(tmp_path)
    tags = {
        "train_rmse": "rmse/train",
        "valid_rmse": "rmse/valid",
        "objective": "fit/objective",
        "learning_rate": "fit/learning_rate",
        "seconds": "fit/seconds",
    }
    assert sorted(found.Tags()["scalars"]) == sorted(tags.values())
    for key, tag in tags.items():
        expected = history.column(key)
        assert [event.step for event in found.Scalars(tag)] == [epoch for epoch, _ in expected]
        np.testing.assert_allclose(
            [event.value for event in found.Scalars(tag)], [x for _, x in expected], rtol=1e-6
        )  # 32 bits
    assert [epoch for epoch, _ in history.column("valid_rmse")] == [2, 4, 5]


def test_an_epoch_is_on_disk_before_the_next_begins(tmp_path, net):
    board = TensorBoardLog(tmp_path)
    board({"epoch": 1.0, "train_rmse": 2.0}, net)
    assert [event.value for event in read(tmp_path).Scalars("rmse/train")] == [2.0]


def test_a_board_changes_nothing_in_the_fit(tmp_path):
    plain, watched = fit(None), fit(tmp_path, histograms=True)
    for name, weight in plain.net_.state_dict().items():
        assert torch.equal(weight, watched.net_.state_dict()[name]), name


def test_histograms_are_there_by_choice_for_weights_and_gradients(tmp_path, net):
    TensorBoardLog(tmp_path / "without")({"epoch": 1.0}, net)
    net(torch.ones(3)).sum().backward()
    TensorBoardLog(tmp_path / "with", histograms=True)({"epoch": 1.0}, net)
    assert read(tmp_path / "without").Tags()["histograms"] == []
    found = read(tmp_path / "with")
    names = [f"{what}/{name}" for name in ("weight", "bias") for what in ("weights", "gradients")]
    assert found.Tags()["histograms"] == names
    (weights,), (gradients,) = (
        found.Histograms("weights/weight"),
        found.Histograms("gradients/weight"),
    )
    assert (
        weights.histogram_value.min,
        weights.histogram_value.max,
        weights.histogram_value.num,
    ) == (0, 5, 6)
    assert (gradients.histogram_value.min, gradients.histogram_value.sum) == (1, 6)


def test_a_parameter_without_a_gradient_has_no_histogram_of_it(tmp_path, net):
    net.bias.requires_grad = False
    net(torch.ones(3)).sum().backward()
    TensorBoardLog(tmp_path, histograms=True)({"epoch": 1.0}, net)
    assert read(tmp_path).Tags()["histograms"] == [
        "weights/weight",
        "gradients/weight",
        "weights/bias",
    ]


def test_of_a_row_sparse_gradient_only_the_rows_that_are_there_count(tmp_path):
    net = torch.nn.Embedding(10, 2, sparse=True)
    net(torch.tensor([3, 3, 7])).sum().backward()
    TensorBoardLog(tmp_path, histograms=True)({"epoch": 1.0}, net)
    (found,) = read(tmp_path).Histograms("gradients/weight, touched rows")
    assert (found.histogram_value.num, found.histogram_value.min, found.histogram_value.max) == (
        4,
        1,
        2,
    )


def test_the_histogram_is_that_of_numpy():
    x = torch.randn(3000, 700, generator=torch.Generator().manual_seed(0))  # of two parts
    found, (counts, edges) = histogram(x), np.histogram(x.numpy(), BINS)
    assert found["bucket_counts"] == pytest.approx(counts, abs=5)  # edges are rounded otherwise
    assert sum(found["bucket_counts"]) == found["num"] == x.numel()
    np.testing.assert_allclose(found["bucket_limits"], edges[1:], rtol=1e-5, atol=1e-6)
    assert found["sum_squares"] == pytest.approx(float(x.double().square().sum()))


def test_numbers_that_are_all_the_same_have_a_histogram():
    found = histogram(torch.full((7,), 3.0))
    assert (sum(found["bucket_counts"]), found["min"], found["max"]) == (7, 3, 3)
    assert found["bucket_limits"] == sorted(set(found["bucket_limits"]))


def test_what_is_no_finite_number_is_counted_apart(tmp_path, net):
    net.weight.data[0] = torch.tensor([float("nan"), float("inf"), 1.0])
    net.bias.data[:] = float("nan")
    TensorBoardLog(tmp_path, histograms=True)({"epoch": 1.0}, net)
    found = read(tmp_path)
    assert found.Histograms("weights/weight")[0].histogram_value.num == 4
    assert {tag: found.Scalars(tag)[0].value for tag in found.Tags()["scalars"]} == {
        "not finite/weights/weight": 2,
        "not finite/weights/bias": 2,
    }
    assert found.Tags()["histograms"] == ["weights/weight"]


def test_a_resumed_fit_goes_on_in_its_curve(tmp_path, net):
    """The snapshot is of epoch 3, epochs 4 and 5 were shown already: they are shown once, as they were the second time."""
    first = TensorBoardLog(tmp_path)
    for epoch in range(1, 6):
        first({"epoch": float(epoch), "train_rmse": float(epoch)}, net)
    first.close()
    second = TensorBoardLog(tmp_path)
    for epoch in range(4, 8):
        second({"epoch": float(epoch), "train_rmse": 10.0 * epoch}, net)
    assert [(event.step, event.value) for event in read(tmp_path).Scalars("rmse/train")] == [
        (1, 1),
        (2, 2),
        (3, 3),
        (4, 40),
        (5, 50),
        (6, 60),
        (7, 70),
    ]


def test_a_board_is_not_given_a_second_fit(tmp_path, net):
    board = TensorBoardLog(tmp_path)
    board({"epoch": 2.0}, net)
    with pytest.raises(
        SettingError, match="has epoch 2 and now got epoch 1, of another fit"
    ):
        board({"epoch": 1.0}, net)


def test_a_refit_is_not_on_the_board_as_it_is_not_in_the_history(tmp_path):
    history = fit(tmp_path, refit=True).history_
    assert [event.step for event in read(tmp_path).Scalars("rmse/train")] == list(
        range(1, len(history) + 1)
    )


def test_a_folder_that_was_written_to_is_known(tmp_path, net):
    board = TensorBoardLog(tmp_path / "new" / "board")
    assert not holds_events(board.folder)
    board({"epoch": 1.0}, net)
    assert holds_events(board.folder)


def test_a_file_is_no_folder_for_a_board(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SettingError, match="name a folder for TensorBoard"):
        TensorBoardLog(tmp_path / "file")


def test_without_tensorboard_a_board_says_how_to_install_it(tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("torch.utils.tensorboard")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(SettingError, match=r'pip install "recollect\[tensorboard\]"'):
        TensorBoardLog(tmp_path)

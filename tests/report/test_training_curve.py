"""The training curve: which panels and words it has."""

import re

from matplotlib import rc_context

from recollect.report import curve
from recollect.training.history import History


def words_in_curve(history, folder):
    """The words in the figure of a training curve."""
    with rc_context({"svg.fonttype": "none"}):
        svg = curve(history, folder / "curve.svg", title="here").read_text()
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def test_training_and_validation_of_one_kind_share_a_panel(tmp_path):
    epochs = [{"epoch": float(j), "train_rmse": 2.0 / j, "valid_rmse": 3.0 / j} for j in (1, 2)]
    words = words_in_curve(History(epochs=epochs, best_epoch=2, best_valid=1.5), tmp_path)
    assert words.count("RMSE") == words.count("training") == words.count("validation") == 1
    assert "1.5000, epoch 2" in words


def test_figures_of_two_kinds_have_a_panel_each(tmp_path):
    epochs = [{"epoch": float(j), "train_loss": 2.0 / j, "valid_ndcg@9": j / 10} for j in (1, 2)]
    history = History(
        epochs=epochs,
        best_epoch=2,
        best_valid=0.2,
        train_name="train_loss",
        valid_name="valid_ndcg@9",
    )
    words = words_in_curve(history, tmp_path)
    assert {"loss", "ndcg@9", "0.2000, epoch 2"} <= set(words)
    assert "RMSE" not in words


def test_a_history_without_epochs_says_so(tmp_path):
    assert "this model has no epochs" in words_in_curve(History(), tmp_path)

"""The curve in the terminal, on histories whose curve is known."""

import math

import pytest

from recollect.cli.output.curve import curve


def drawn_lines(epochs: list[dict[str, float]], **options: object) -> list[str]:
    return curve(epochs, **{"width": 44, "height": 5, "plain": True, **options}).plain.split("\n")


def test_straight_lines_are_straight_and_the_kept_epoch_is_marked():
    epochs = [
        {"epoch": float(j), "train_rmse": 3 - j / 2, "valid_rmse": 3 - j / 4} for j in range(1, 5)
    ]
    assert drawn_lines(epochs, kept=4) == [
        "RMSE by epoch   o kept: epoch 4, 2.0000",
        " 2.75 |********",
        "      | ....   **********",
        "1.875 |      ....       *o validation 2.0000",
        "      |          ....",
        "    1 |               .... training 1.0000",
        "      +-------------------",
        "       1      epoch      4",
    ]


def test_with_unicode_a_character_has_four_rows_of_two_dots():
    """Sixteen dots each way: the diagonal."""
    drawn = drawn_lines(
        [{"epoch": float(j), "valid_rmse": float(-j)} for j in range(1, 9)],
        plain=False,
        width=8,
        height=4,
    )
    assert [line.partition("│")[2].partition(" validation")[0] for line in drawn[1:5]] == [
        "⠑⢄",
        "  ⠑⢄",
        "    ⠑⢄",
        "      ⠑⢄",
    ]


def test_figures_that_are_not_finite_leave_a_gap():
    epochs = [
        {"epoch": float(j), "valid_rmse": math.nan if 3 < j < 6 else float(j)} for j in range(1, 9)
    ]
    assert drawn_lines(epochs) == [
        "RMSE by epoch",
        "  8 |                 **** validation 8.0000",
        "    |              ***",
        "4.5 |",
        "    |    ***",
        "  1 |****",
        "    +---------------------",
        "     1       epoch       8",
    ]


def test_figures_measured_every_few_epochs_are_joined():
    drawn = drawn_lines(
        [
            {"epoch": float(j), **({"valid_rmse": float(j)} if j % 4 == 1 else {})}
            for j in range(1, 10)
        ]
    )
    columns = {
        place for line in drawn[1:6] for place, character in enumerate(line) if character == "*"
    }
    assert columns == set(range(min(columns), len(drawn[6])))


def test_one_epoch_is_a_point():
    assert drawn_lines([{"epoch": 1.0, "train_rmse": 1.0, "valid_rmse": 2.0}], kept=1) == [
        "RMSE by epoch   o kept: epoch 1, 2.0000",
        "  2 |o                     validation 2.0000",
        "    |",
        "1.5 |",
        "    |",
        "  1 |.                     training 1.0000",
        "    +---------------------",
        "     1       epoch",
    ]


def test_equal_figures_are_a_level_line_in_the_middle():
    drawn = drawn_lines([{"epoch": float(j), "train_rmse": 1.2} for j in range(1, 5)])
    assert [line.partition("|")[2] for line in drawn[1:6]] == [
        "",
        "",
        "." * 21 + " training 1.2000",
        "",
        "",
    ]


def test_the_first_tenth_of_the_epochs_does_not_stretch_the_axis():
    drawn = drawn_lines(
        [{"epoch": float(j), "train_rmse": 1e30 if j < 3 else 1 + 1 / j} for j in range(1, 21)]
    )
    assert drawn[1].split()[0] == "1.333"
    assert drawn[5].split()[0] == "1.05"


def test_figures_of_two_kinds_have_a_panel_each():
    epochs = [
        {"epoch": float(j), "train_loss": 9.0 - j, "valid_ndcg@10": j / 10} for j in range(1, 4)
    ]
    drawn = drawn_lines(epochs, kept=3, height=6)
    assert [line for line in drawn if "by epoch" in line] == [
        "loss by epoch",
        "ndcg@10 by epoch   o kept: epoch 3, 0.3000",
    ]
    assert len(drawn) == 2 * (1 + 3 + 2)


def test_the_label_says_that_the_last_figure_is_not_finite():
    epochs = [{"epoch": 1.0, "train_rmse": 1.0}, {"epoch": 2.0, "train_rmse": math.nan}]
    assert any(line.endswith("training: not finite") for line in drawn_lines(epochs))
    assert drawn_lines(epochs[1:]) == ["RMSE by epoch: no figure is a finite number."]


@pytest.mark.parametrize("epochs", [[], [{"epoch": 1.0, "seconds": 2.0}]])
def test_without_figures_there_is_no_curve(epochs):
    assert drawn_lines(epochs) == ["There is no curve: nothing was measured epoch by epoch."]


@pytest.mark.parametrize("width", [20, 50, 80, 100])
def test_no_line_is_wider_than_the_screen_if_labels_and_axis_fit(width):
    epochs = [
        {"epoch": float(j), "train_rmse": 1 / j, "valid_rmse": 1.5 / j} for j in range(1, 300)
    ]
    drawn = drawn_lines(epochs, kept=299, width=width, plain=False)
    assert max(map(len, drawn[1:])) <= max(width, 37)

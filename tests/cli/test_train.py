"""recollect train: what comes out, the curve, the memory."""

import json
from pathlib import Path

import pytest
from rich.console import Console
from tests.cli.support import DIVERGING, QUICK, answer, call, settings

import recollect as rc
from recollect import memory_limits
from recollect.cli.output import screen
from recollect.system.available_memory import MemoryLimit


def test_the_answer_has_the_figures_of_the_fit(work: Path, tmp_path: Path) -> None:
    out, picture = tmp_path / "run", tmp_path / "curve.png"
    options = ["--test", 0.1, "--plot", picture]
    result = answer("train", work / "ratings.csv", "--out", out, *QUICK, *options)
    assert (result["epochs"], result["train_ratings"], result["test"]["ratings"]) == (6, 684, 80)
    assert json.loads((out / "scores.json").read_text())["rmse"] == result["test"]["rmse"]
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert rc.load_model(out).given_.fingerprint == result["fingerprint"]


def test_validation_ratings_are_drawn_as_the_library_draws_them(work: Path, tmp_path: Path) -> None:
    from recollect.data.splitting.validation import hold_out_validation

    out = tmp_path / "run"
    answer("train", work / "ratings.csv", "--model", "bias", "--out", out, "--seed", 3)
    train, valid = hold_out_validation(rc.read(work / "ratings.csv"), valid=0.05, seed=3)
    assert len(valid) == 40
    assert rc.load_model(out).given_.fingerprint == train.fingerprint


def test_without_changes_the_settings_are_called_defaults(work: Path, tmp_path: Path) -> None:
    shown = call("train", work / "split", "--model", "bias", "--out", tmp_path / "run").stderr
    assert "settings: defaults" in shown


def test_a_curve_is_drawn_if_requested_and_never_into_json(work: Path, tmp_path: Path) -> None:
    paper = ["--set", "offsets=false", "--set", "init=0.01"]
    train = ["train", work / "split", *QUICK, *paper, "--out"]
    drawn = call(*train, tmp_path / "drawn", "--curve").stdout
    assert drawn.startswith("RMSE by epoch   ● kept: epoch ")
    assert " training " in drawn
    assert "by epoch" not in call(*train, tmp_path / "piped").stdout
    answer(*train, tmp_path / "json", "--curve")


def test_a_model_without_epochs_has_no_curve(work: Path, tmp_path: Path) -> None:
    bias = ["train", work / "split", "--model", "bias", "--out"]
    assert "There is no curve" in call(*bias, tmp_path / "bias", "--curve").stdout


def test_on_a_terminal_the_curve_is_drawn_during_and_after_the_fit(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def terminal(file: object) -> Console:
        return Console(file=file, force_terminal=True, width=90, height=30)

    monkeypatch.setattr(screen, "_console", terminal)
    train = ["train", work / "split", *QUICK, "--out"]
    plain = call(*train, tmp_path / "run")
    assert "RMSE by epoch" in plain.stdout
    assert "RMSE by epoch" in plain.stderr
    quiet = call(*train, tmp_path / "quiet", "--quiet")
    assert "RMSE by epoch" in quiet.stdout
    assert quiet.stderr == ""
    assert "by epoch" not in call(*train, tmp_path / "none", "--no-curve").output
    assert "by epoch" not in call(*train, tmp_path / "json", "--json").output
    bias = call("train", work / "split", "--model", "bias", "--out", tmp_path / "bias")
    assert bias.exit_code == 0
    assert "There is no curve" not in bias.output


def test_figures_are_written_for_tensorboard(work: Path, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = tmp_path / "figures"
    train = ["train", work / "split", *QUICK, *settings("optimizer=adam"), "--histograms"]
    answer(*train, "--tensorboard", folder, "--out", tmp_path / "run")
    written = EventAccumulator(str(folder))
    written.Reload()
    assert [event.step for event in written.Scalars("rmse/train")] == [1, 2, 3, 4, 5, 6]
    assert "gradients/input.weight" in written.Tags()["histograms"]
    again = call(*train, "--tensorboard", folder, "--out", tmp_path / "other")
    assert again.exit_code == 1
    assert "holds the figures of another fit" in again.stderr


def test_the_former_option_board_still_works_and_a_note_says_so(work: Path, tmp_path: Path) -> None:
    train = ["train", work / "split", "--model", "bias", "--board", tmp_path / "figures"]
    result = call(*train, "--out", tmp_path / "run", "--json")
    assert "--board is now called --tensorboard" in result.stderr
    figures = json.loads(result.stdout)
    assert figures["board"] == figures["tensorboard"] == str(tmp_path / "figures")


def test_precision_and_device_are_passed_on(work: Path, tmp_path: Path) -> None:
    fit = ["--model", "autorec", *settings("epochs=1"), "--threads", "1"]
    train = ["train", work / "split", "--device", "cpu", *fit]
    result = answer(*train, "--out", tmp_path / "run", "--precision", "32")
    assert result["device"] == "cpu"
    refused = call(*train, "--out", tmp_path / "mixed", "--precision", "mixed")
    assert refused.exit_code == 1
    assert "16-bit products" in refused.stderr  # L-BFGS, the default, cannot use them


def test_a_fit_that_broke_down_says_so_first(work: Path, tmp_path: Path) -> None:
    train = ["train", work / "split", "--model", "deeprec", "--threads", "1", *settings(*DIVERGING)]
    out = tmp_path / "run"
    shown = call(*train, "--out", out)
    assert shown.exit_code == 0
    assert shown.stdout.startswith("Training broke down. The loss became ")
    again = answer(*train, "--out", out, "--resume")
    assert "The fit ends with the weights of epoch " in again["stopped"]
    assert rc.load_model(out).history_.stopped == again["stopped"]
    assert answer(*train, "--out", tmp_path / "new")["stopped"] == again["stopped"]


def test_predicted_and_peak_memory_are_shown(work: Path, tmp_path: Path) -> None:
    train = ["train", work / "split", *QUICK, "--out"]
    shown = call(*train, tmp_path / "run")
    assert "MB predicted, " in shown.stderr
    assert " MB, predicted: " in shown.stdout
    result = answer(*train, tmp_path / "more")
    names = ("predicted_memory_mb", "available_memory_mb", "peak_memory_mb")
    assert min(result[name] for name in names) > 0


def test_a_fit_that_needs_too_much_memory_is_refused_unless_tried_anyway(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_limits, "available", lambda: MemoryLimit(1 << 20, "this machine"))
    train = ["train", work / "split", "--out", tmp_path / "run", *QUICK]
    refused = call(*train, "--json")
    assert json.loads(refused.stdout)["error"]["kind"] == "size"
    assert call(*train, "--no-memory-check").exit_code == 0


def test_without_a_model_several_are_tried_and_blended(work: Path, tmp_path: Path) -> None:
    options = ["--minutes", 0.05, "--test", 0.1, "--threads", "1"]
    train = ["train", work / "ratings.csv", *options, "--out"]
    result = answer(*train, tmp_path / "run")
    assert result["model"] == "blend"
    assert result["members"][0]["model"] == "bias"
    assert [member["model"].split()[0] for member in result["members"][1:]] == [
        "svdpp",
        *["bayes_mf"] * 2,
        "autorec",
    ]
    assert result["valid_rmse"] <= result["baseline"]["valid_rmse"] + 1e-6
    assert result["baseline"]["model"] == "bias"
    model = rc.load_model(tmp_path / "run")
    assert len(model.given_) == result["train_ratings"] + result["valid_ratings"]
    assert result["test"]["ratings"] == 80
    again = call(*train, tmp_path / "run", "--resume")
    assert "finished already" in again.stdout
    other = call("train", work / "split", "--out", tmp_path / "run", "--resume")
    assert "data was" in other.stderr
    listed = answer("recommend", tmp_path / "run", "--user", 5, "-n", 3)
    assert len(listed["recommendations"]) == 3


def test_without_a_model_the_best_model_of_events_is_taken(work: Path, tmp_path: Path) -> None:
    options = ["--events-from", 4, "--minutes", 0.05, "--threads", "1"]
    shown = call("train", work / "ratings.csv", *options, "--out", tmp_path / "run")
    assert shown.exit_code == 0, shown.stderr
    assert "the best of several models" in shown.stderr
    assert "valid NDCG@10" in shown.stdout
    assert "popularity" in shown.stdout
    assert rc.load_model(tmp_path / "run").output == "scores"


def test_members_of_a_blend_of_events_are_named_with_it(work: Path, tmp_path: Path) -> None:
    members = ["--members", "ease reg=5.0", "--members", "popularity"]
    train = ["train", work / "ratings.csv", "--events-from", 4, *members]
    result = answer(*train, "--model", "rank_blend", "--out", tmp_path / "run")
    assert result["settings"]["members"] == ["ease reg=5.0", "popularity"]
    listed = answer("recommend", tmp_path / "run", "--user", 5, "-n", 3)["recommendations"]
    assert len(listed) == 3

    refused = call(*train, "--model", "ials", "--out", tmp_path / "other")
    assert "--members are those of a blend (of events, --model rank_blend)" in refused.stderr


def test_members_of_a_blend_are_named_and_shown(work: Path, tmp_path: Path) -> None:
    members = ["--members", "bias", "--members", "pmf factors=3 epochs=5"]
    train = ["train", work / "split", *members, *settings("refit=false"), "--out"]
    shown = call(*train, tmp_path / "run")
    assert shown.exit_code == 0, shown.stderr
    assert "pmf factors=3 epochs=5" in shown.stdout
    assert "weight" in shown.stdout
    result = answer(*train, tmp_path / "more")
    assert [member["model"] for member in result["members"]] == ["bias", "pmf factors=3 epochs=5"]
    assert result["settings"]["members"] == ["bias", "pmf factors=3 epochs=5"]


def test_an_interrupted_fit_of_a_named_model_is_not_lost_to_a_choice(
    work: Path, tmp_path: Path
) -> None:
    (tmp_path / "run" / "snapshot").mkdir(parents=True)
    (tmp_path / "run" / "snapshot" / "state.json").write_text('{"version": 1}')
    result = call("train", work / "split", "--out", tmp_path / "run", "--resume")
    assert "an interrupted fit of a named model" in result.stderr

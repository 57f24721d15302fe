import errno
import json
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import polars as pl
import pytest
import torch
import typer
from rich.console import Console
from typer.testing import CliRunner, Result

import recollect as rc
from recollect import memory_estimate
from recollect.cli import app
from recollect.cli.output import screen
from recollect.system.strict_json import to_json as as_json
from recollect.cli.options.settings import settings_of
from recollect.cli.verb import describe_error as told
from recollect.errors import SettingError
from recollect.kernels import multiplies_16_bits
from recollect.system.available_memory import MemoryLimit

SMALL = ["--set", "hidden=6", "--set", "reg=2", "--set", "epochs=6", "--threads", "1"]


def call(*args: object) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args])


def answer(*args: object) -> dict:
    """What --json prints: one object on one line, and nothing else."""
    result = call(*args, "--json")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.count("\n") == 1
    return json.loads(result.stdout)


def verbs() -> list[tuple[str, ...]]:
    root = typer.main.get_command(app)
    below = root.commands["data"].commands
    return [
        *((name,) for name in root.commands if name != "data"),
        *(("data", name) for name in below),
    ]


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ratings, a split of them, and a model fitted on its train part."""
    folder = tmp_path_factory.mktemp("work")
    rc.load("planted/tiny").frame().write_csv(folder / "ratings.csv")
    (folder / "pairs.csv").write_text("user_id,item_id,why\n2,7,x\n1,nothing,y\n1,3,z\n")
    (folder / "mine.csv").write_text("item_id,rating\n1,5\n4,2\nnothing,3\n")
    parts = folder / "split"
    assert (
        call(
            "split", folder / "ratings.csv", "--test", 0.2, "--valid", 0.1, "--out", parts
        ).exit_code
        == 0
    )
    assert call("train", folder / "split", "--out", folder / "run", *SMALL).exit_code == 0
    return folder


@pytest.mark.parametrize("verb", verbs(), ids=" ".join)
def test_every_verb_has_help(verb: tuple[str, ...]) -> None:
    result = call(*verb, "--help")
    assert result.exit_code == 0
    assert "--json" in result.stdout


def test_every_verb_has_its_place_in_the_docs() -> None:
    text = (Path(__file__).parents[1] / "docs" / "commands.md").read_text()
    assert [verb for verb in verbs() if f"recollect {' '.join(verb)}" not in text] == []


# One object with --json ----------------------------------------------------------------------------------------------


def test_models_lists_settings_with_defaults_and_comments() -> None:
    settings = {s["name"]: s for s in answer("models", "autorec")["settings"]}
    assert settings["hidden"]["default"] == 500
    assert settings["reg"]["meaning"].startswith("lambda")
    assert [m["name"] for m in answer("models")["models"]] == rc.model_names()


def test_data_list_names_what_load_knows() -> None:
    assert "planted/tiny" in answer("data", "list")["data"]


def test_fetch_of_what_is_made_here_needs_no_network() -> None:
    assert answer("data", "fetch", "planted/tiny")["ratings"] == 800


def test_describe_counts(work: Path) -> None:
    found = answer("data", "describe", work / "ratings.csv")
    ratings = rc.load("planted/tiny")
    assert (found["ratings"], found["users"], found["scale"]) == (800, 60, [1.0, 5.0])
    assert found["values"]["3"] == int((ratings.value == 3).sum())
    assert found["counts"]["per user"][-1] == ratings.count("user").max()
    assert found["scale_from"] == "the ratings"


@pytest.mark.parametrize("name", ["out.parquet", "out.csv"])
def test_convert_keeps_the_ratings(work: Path, tmp_path: Path, name: str) -> None:
    answer("data", "convert", work / "ratings.csv", tmp_path / name)
    assert rc.read(tmp_path / name).fingerprint == rc.read(work / "ratings.csv").fingerprint


def test_split_files_hold_every_rating_once(work: Path) -> None:
    parts = [
        pl.read_parquet(work / "split" / f"{name}.parquet") for name in ("train", "valid", "test")
    ]
    whole = pl.concat(parts)
    assert len(whole) == 800
    assert whole.select("user_id", "item_id").is_unique().all()
    assert json.loads((work / "split" / "split.json").read_text())["seed"] == 0


@pytest.mark.parametrize(
    ("how", "settings", "folders"),
    [
        ("covering", ["--test", "0.1"], [""]),
        ("time", ["--test", "0.2"], [""]),
        ("leave-last", ["--set", "n=2"], [""]),
        ("new-users", ["--set", "users=0.2"], [""]),
        ("new-items", ["--set", "items=0.2"], [""]),
        ("folds", ["--set", "k=2"], ["fold-1", "fold-2"]),
        ("density", ["--set", "shares=0.5,0.6"], ["train-0.5", "train-0.6"]),
        (
            "windows",
            [
                "--set",
                "train=2000-01-01,2001-06-30",
                "--set",
                "test=2001-07-01,2003-12-31",
                "--set",
                "drop_unseen=false",
            ],
            [""],
        ),
    ],
)
def test_every_split_writes_its_parts(
    work: Path,
    tmp_path: Path,
    how: str,
    settings: list[str],
    folders: list[str],
) -> None:
    answer("split", work / "ratings.csv", "--how", how, *settings, "--out", tmp_path / "out")
    assert all((tmp_path / "out" / folder / "test.parquet").is_file() for folder in folders)


def parts(folder: Path) -> list[set[tuple[str, str]]]:
    return [
        set(pl.read_parquet(path).select("user_id", "item_id").rows())
        for name in ("train", "valid", "test")
        if (path := folder / f"{name}.parquet").exists()
    ]


@pytest.mark.parametrize(
    ("short", "long"),
    [
        (["--time", "0.2", "--valid", "0.1"], ["--how", "time", "--test", "0.2", "--valid", "0.1"]),
        (["--time", "2001-07-01"], ["--how", "time", "--set", "test_from=2001-07-01"]),
        (
            [
                "--windows",
                "2000-01-01:2001-06-30,2001-07-01:2003-12-31",
                "--set",
                "drop_unseen=false",
            ],
            [
                "--how",
                "windows",
                "--set",
                "train=2000-01-01,2001-06-30",
                "--set",
                "test=2001-07-01,2003-12-31",
                "--set",
                "drop_unseen=false",
            ],
        ),
        (
            ["--windows", "20", "--set", "drop_unseen=false", "--set", "valid_share=0"],
            [
                "--how",
                "windows",
                "--set",
                "train=2001-07-01,2003-02-28",
                "--set",
                "test=2003-03-01,2003-03-31",
                "--set",
                "drop_unseen=false",
                "--set",
                "valid_share=0",
            ],
        ),
    ],
)
def test_a_short_way_to_split_by_time_cuts_as_the_long_one(
    work: Path, tmp_path: Path, short: list[str], long: list[str]
) -> None:
    answer("split", work / "ratings.csv", *short, "--out", tmp_path / "short")
    answer("split", work / "ratings.csv", *long, "--out", tmp_path / "long")
    assert parts(tmp_path / "short") == parts(tmp_path / "long")


@pytest.fixture(scope="session")
def netflix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made folder of Netflix' files."""
    folder = tmp_path_factory.mktemp("made") / "netflix"
    assert (
        answer("data", "plant", folder, "--like", "netflix", "--share", 0.0005)["ratings"] == 50_240
    )
    return folder


def test_a_made_folder_is_described_beside_what_was_published(netflix: Path) -> None:
    found = answer("data", "describe", netflix)
    assert (found["ratings"], found["titles"], found["scale_from"]) == (
        50_240,
        True,
        "the data set",
    )
    whole, train, *_ = found["published"]
    assert (whole["part"], whole["published_ratings"], whole["ratings"]) == (
        "whole",
        100_480_507,
        50_240,
    )
    assert (train["part"], train["published_users"]) == ("3 months, train", 311_315)
    assert call("data", "describe", netflix).stdout.count("-") > 9


def test_other_data_are_described_without_netflix(work: Path) -> None:
    assert "published" not in answer("data", "describe", work / "ratings.csv")


def test_a_named_window_is_that_of_the_library(
    netflix: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from recollect.data.sources import netflix as source

    monkeypatch.setenv("RECOLLECT_DATA", str(netflix.parent))
    found = answer(
        "split", "netflix/full", "--windows", "6m", "--seed", 4, "--out", tmp_path / "parts"
    )
    cut = source.window("6m", folder=netflix, seed=4)
    assert parts(tmp_path / "parts") == [
        set(part.frame().select("user_id", "item_id").rows()) for part in cut
    ]
    assert (found["seed"], found["data"]) == (4, "netflix/full")
    assert (
        "2005-06-01 to 2005-11-30"
        in call("split", netflix, "--windows", "6m", "--out", tmp_path / "again").stdout
    )


def test_both_forms_can_be_made(netflix: Path, tmp_path: Path) -> None:
    answer("data", "plant", tmp_path / "nf", "--form", "combined_data", "--share", 0.0005)
    assert (
        answer("data", "describe", tmp_path / "nf")["fingerprint"]
        == answer("data", "describe", netflix)["fingerprint"]
    )


def test_netflix_folders_are_stored_without_being_held(
    netflix: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recollect.data.sources.netflix.prize_files.read", None)
    found = answer("data", "store", netflix, tmp_path / "stored", "--test", 0.1)
    assert found["ratings"] + found["test"] == 50_240


def test_a_large_table_is_written_in_parts(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recollect.data.tables.BLOCK", 300)
    for name in ("out.csv", "out.parquet"):
        answer("data", "convert", work / "ratings.csv", tmp_path / name)
        assert rc.read(tmp_path / name).frame().equals(rc.read(work / "ratings.csv").frame())


def test_train_says_what_came_out(work: Path, tmp_path: Path) -> None:
    found = answer(
        "train",
        work / "ratings.csv",
        "--out",
        tmp_path / "run",
        *SMALL,
        "--test",
        0.1,
        "--plot",
        tmp_path / "curve.png",
    )
    assert (found["epochs"], found["train_ratings"], found["test"]["ratings"]) == (6, 684, 80)
    assert (
        json.loads((tmp_path / "run" / "scores.json").read_text())["rmse"] == found["test"]["rmse"]
    )
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert rc.load_model(tmp_path / "run").given_.fingerprint == found["fingerprint"]


def test_train_draws_the_curve_where_asked_and_never_into_json(work: Path, tmp_path: Path) -> None:
    drawn = call("train", work / "split", "--out", tmp_path / "drawn", *SMALL, "--curve").stdout
    assert drawn.startswith("RMSE by epoch   ● kept: epoch ")
    assert " training " in drawn
    assert (
        "by epoch" not in call("train", work / "split", "--out", tmp_path / "piped", *SMALL).stdout
    )
    answer("train", work / "split", "--out", tmp_path / "json", *SMALL, "--curve")
    assert (
        "There is no curve"
        in call(
            "train", work / "split", "--out", tmp_path / "bias", "--model", "bias", "--curve"
        ).stdout
    )


def test_on_a_terminal_the_curve_is_drawn_while_and_after(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        screen,
        "_console",
        lambda file: Console(file=file, force_terminal=True, width=90, height=30),
    )
    args = ["train", work / "split", *SMALL, "--out"]
    asked = call(*args, tmp_path / "run")
    assert "RMSE by epoch" in asked.stdout
    assert "RMSE by epoch" in asked.stderr
    kept_quiet = call(*args, tmp_path / "quiet", "--quiet")
    assert "RMSE by epoch" in kept_quiet.stdout
    assert kept_quiet.stderr == ""
    assert "by epoch" not in call(*args, tmp_path / "none", "--no-curve").output
    assert "by epoch" not in call(*args, tmp_path / "json", "--json").output
    without = call("train", work / "split", "--model", "bias", "--out", tmp_path / "bias")
    assert without.exit_code == 0
    assert "There is no curve" not in without.output


def test_train_writes_a_board(work: Path, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    args = [
        "train",
        work / "split",
        *SMALL,
        "--set",
        "optimizer=adam",
        "--board",
        tmp_path / "board",
        "--histograms",
    ]
    answer(*args, "--out", tmp_path / "run")
    found = EventAccumulator(str(tmp_path / "board"))
    found.Reload()
    assert [event.step for event in found.Scalars("rmse/train")] == [1, 2, 3, 4, 5, 6]
    assert "gradients/input.weight" in found.Tags()["histograms"]
    again = call(*args, "--out", tmp_path / "other")
    assert again.exit_code == 1
    assert "holds the figures of another fit" in again.stderr


def test_precision_and_device_are_those_asked_for(work: Path, tmp_path: Path) -> None:
    args = ["train", work / "split", "--device", "cpu", "--set", "epochs=1", "--threads", "1"]
    found = answer(*args, "--out", tmp_path / "run", "--precision", "32")
    assert found["device"] == "cpu"
    refused = call(*args, "--out", tmp_path / "mixed", "--precision", "mixed")
    assert "16-bit products keep three" in refused.stderr  # L-BFGS


def test_a_fit_that_broke_down_says_so_first_and_for_good(work: Path, tmp_path: Path) -> None:
    args = [
        "train",
        work / "split",
        "--out",
        tmp_path / "run",
        "--model",
        "deeprec",
        "--threads",
        "1",
        "--set",
        "hidden=8,4",
        "--set",
        "dropout=0",
        "--set",
        "batch_size=20",
        "--set",
        "learning_rate=0.02",
        "--set",
        "epochs=9",
        "--set",
        "milestones=[6]",
        "--set",
        "decay=1e6",
    ]
    shown = call(*args)
    assert shown.exit_code == 0
    assert shown.stdout.startswith("Training broke down. The loss became ")
    again = answer(*args, "--resume")
    assert "The fit ends with the weights of epoch " in again["stopped"]
    assert rc.load_model(tmp_path / "run").history_.stopped == again["stopped"]
    assert answer(*args[:3], tmp_path / "new", *args[4:])["stopped"] == again["stopped"]


def test_compare_tells_which_fits_broke_down(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "recollect.system.processes.run_each", lambda fit, fits, processes: map(fit, fits)
    )
    settings = (
        "hidden=8,4",
        "dropout=0",
        "batch_size=20",
        "learning_rate=0.02",
        "epochs=9",
        "milestones=[6]",
        "decay=1e6",
    )
    result = call(
        "compare",
        work / "ratings.csv",
        "--model",
        "deeprec",
        "--repeat",
        1,
        "--threads",
        1,
        *(word for each in settings for word in ("--set", f"deeprec.{each}")),
    )
    assert "deeprec: training broke down in 1 of 1. The loss became " in result.stdout


def test_evaluate_says_what_held_out_says(work: Path) -> None:
    found = answer("evaluate", work / "run", work / "split" / "test.parquet", "--ranking", "-n", 5)
    model = rc.load_model(work / "run")
    test = rc.read(work / "split" / "test.parquet").frame()
    error = rc.predict(model, test)["prediction"] - test["rating"]
    assert found["metrics"]["rmse"]["value"] == pytest.approx(
        (error**2).mean() ** 0.5, rel=1e-5
    )  # float32 inside
    assert 0 <= found["metrics"]["ndcg@5"]["value"] <= 1


def test_strangers_are_scored_at_the_cold_value(work: Path, tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text("user_id,item_id,rating\nstranger,1,4\n1,strange item,1\n")
    found = answer("evaluate", work / "run", tmp_path / "test.csv")
    assert (found["n_test"], found["n_cold"], found["unknown_users"], found["unknown_items"]) == (
        2,
        2,
        1,
        1,
    )
    assert found["metrics"]["mae"]["value"] == pytest.approx((abs(3 - 4) + abs(3 - 1)) / 2)


def test_given_ratings_of_new_users_are_looked_at(work: Path, tmp_path: Path) -> None:
    call(
        "split",
        work / "ratings.csv",
        "--how",
        "new-users",
        "--set",
        "users=0.2",
        "--out",
        tmp_path / "new",
    )
    call("train", tmp_path / "new", "--out", tmp_path / "run", *SMALL)
    test, given = tmp_path / "new" / "test.parquet", tmp_path / "new" / "given.parquet"
    assert answer("evaluate", tmp_path / "run", test)["n_cold"] > 0
    assert answer("evaluate", tmp_path / "run", test, "--given", given)["n_cold"] == 0


def test_predictions_keep_the_order_and_mark_the_cold(work: Path, tmp_path: Path) -> None:
    answer("predict", work / "run", "--pairs", work / "pairs.csv", "--out", tmp_path / "out.csv")
    frame = pl.read_csv(tmp_path / "out.csv", infer_schema=False)
    assert frame.columns == ["user_id", "item_id", "prediction", "cold"]
    assert frame["item_id"].to_list() == ["7", "nothing", "3"]
    assert frame["cold"].to_list() == ["false", "true", "false"]
    assert (
        call("predict", work / "run", "--pairs", work / "pairs.csv").stdout
        == (tmp_path / "out.csv").read_text()
    )


def test_predictions_come_with_their_interval(work: Path, tmp_path: Path) -> None:
    answer(
        "train",
        work / "ratings.csv",
        "--model",
        "bayes_mf",
        "--set",
        "factors=2",
        "--set",
        "epochs=12",
        "--set",
        "burn_in=2",
        "--out",
        tmp_path / "run",
    )
    rows = answer("predict", tmp_path / "run", "--pairs", work / "pairs.csv", "--interval", 0.9)[
        "predictions"
    ]
    assert all(row["low"] <= row["prediction"] <= row["high"] for row in rows)
    refused = call("predict", work / "run", "--pairs", work / "pairs.csv", "--interval", 0.9)
    assert refused.exit_code == 1
    assert "does not estimate how sure" in refused.stderr


def test_recommend_for_all_agrees_with_recommend_for_one(work: Path, tmp_path: Path) -> None:
    for name in ("all.parquet", "all.csv"):
        answer("recommend", work / "run", "--all-users", "--out", tmp_path / name, "-n", 3)
    one = answer("recommend", work / "run", "--user", 5, "-n", 3)["recommendations"]
    for every in (
        pl.read_parquet(tmp_path / "all.parquet"),
        pl.read_csv(tmp_path / "all.csv", infer_schema=False),
    ):
        assert every.filter(pl.col("user_id") == "5")["item_id"].to_list() == [
            row["item_id"] for row in one
        ]


def test_someone_unknown_gets_recommendations(work: Path) -> None:
    found = answer("recommend", work / "run", "--user", "nobody", "-n", 4)
    assert found["unknown_users"] == ["nobody"]
    assert len(found["recommendations"]) == 4


def test_someone_new_gets_recommendations_without_what_they_rated(work: Path) -> None:
    found = answer("recommend", work / "run", "--ratings", work / "mine.csv", "-n", 40)[
        "recommendations"
    ]
    assert not {"1", "4", "nothing"} & {row["item_id"] for row in found}


def test_candidates_restrict_the_choice(work: Path, tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("item_id\n1\n2\n")
    found = answer(
        "recommend", work / "run", "--user", 5, "--items", tmp_path / "items.csv", "--seen"
    )
    assert {row["item_id"] for row in found["recommendations"]} == {"1", "2"}


@pytest.mark.parametrize("side", ["item", "user"])
def test_similar_leaves_out_the_one_asked_for(work: Path, side: str) -> None:
    found = answer("similar", work / "run", f"--{side}", 5, "-n", 3)["similar"]
    assert "5" not in [row["neighbor_id"] for row in found]
    assert len(found) == 3


def test_compare_scores_models_on_the_same_splits(work: Path, tmp_path: Path) -> None:
    found = answer(
        "compare",
        work / "ratings.csv",
        "--model",
        "bias",
        "--model",
        "shy=bias",
        "--set",
        "shy.reg_user=50",
        "--repeat",
        1,
        "--valid",
        0,
        "--ranking",
        "--out",
        tmp_path / "found.json",
        "--threads",
        1,
    )
    assert json.loads((tmp_path / "found.json").read_text()) == found
    split = rc.random_split(rc.read(work / "ratings.csv"), test=0.1, seed=0)
    expected = rc.held_out(rc.make("bias", reg_user=50.0).fit(split.train), split.test)["rmse"]
    assert found["models"]["shy"]["runs"][0]["rmse"] == pytest.approx(expected, rel=1e-6)
    assert found["models"]["shy"]["settings"]["reg_user"] == 50
    assert [(row["model"], row["other"]) for row in found["differences"]] == [("bias", "shy")]


def test_doctor_tests_the_installation_and_says_what_fits() -> None:
    found = answer("doctor")
    assert found["self_test_seconds"] > 0
    assert found["multiplies_16_bits"]["cpu"] == multiplies_16_bits(torch.device("cpu"))
    assert found["packages"]["tensorboard"] == version("tensorboard")
    assert {fit["data"] for fit in found["fits"]} == {"MovieLens 1M", "MovieLens 10M", "Netflix"}


def test_doctor_says_what_memory_a_fit_would_take() -> None:
    (small,) = answer("doctor", "--shape", "6040x3706x1000209", "--set", "hidden=50")["fits"]
    (large,) = answer("doctor", "--shape", "6040x3706x1000209")["fits"]
    assert (
        small["predicted_memory_mb"]
        < large["predicted_memory_mb"]
        == pytest.approx(sum(large["parts_mb"].values()))
    )


def test_train_says_what_memory_it_will_take_and_took(work: Path, tmp_path: Path) -> None:
    result = call("train", work / "split", "--out", tmp_path / "run", *SMALL)
    assert "MB predicted, " in result.stderr
    assert " MB, predicted: " in result.stdout
    found = answer("train", work / "split", "--out", tmp_path / "more", *SMALL)
    assert (
        min(found["predicted_memory_mb"], found["available_memory_mb"], found["peak_memory_mb"]) > 0
    )


def test_train_refuses_what_the_memory_will_not_do_for_unless_told_to_try(
    work: Path, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(memory_estimate, "available", lambda: MemoryLimit(1 << 20, "this machine"))
    refused = call("train", work / "split", "--out", tmp_path / "run", *SMALL, "--json")
    assert json.loads(refused.stdout)["error"]["kind"] == "size"
    assert (
        call(
            "train", work / "split", "--out", tmp_path / "run", *SMALL, "--no-memory-check"
        ).exit_code
        == 0
    )


# What goes wrong -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["train", "none.csv", "--out", "x"], "There is no file none.csv"),
        (["train", "empty.csv", "--out", "x"], "empty.csv is empty"),
        (["doctor", "--shape", "12x7"], "--shape is users, items and ratings"),
        (["doctor", "--set", "hidden=3"], "give one, such as --shape"),
        (["train", "text.csv", "--out", "x"], "Line 3 of text.csv: the rating is 'good'"),
        (
            ["train", "ratings.csv", "--out", "x", "--scale", "1,4"],
            "outside the stated scale 1 to 4",
        ),
        (
            ["train", "ratings.csv", "--out", "x", "--scale", "5"],
            "--scale takes the lowest and the highest",
        ),
        (["train", "ratings.csv", "--out", "x", "--model", "autorek"], "Did you mean 'autorec'?"),
        (["train", "ratings.csv", "--out", "x", "--set", "hiden=5"], "Did you mean 'hidden'?"),
        (["train", "ratings.csv", "--out", "x", "--set", "hidden"], "--set takes KEY=VALUE"),
        (["train", "ratings.csv", "--out", "x", "--valid", "2"], "valid=2.0 is not a share"),
        (
            ["train", "ratings.csv", "--out", "x", "--plot", "curve.txt"],
            "curve.txt must end in .png",
        ),
        (
            ["train", "ratings.csv", "--out", "x", "--histograms"],
            "name a folder with --tensorboard",
        ),
        (
            ["train", "ratings.csv", "--out", "x", "--board", "x/board"],
            "lies in x, which is for the model alone",
        ),
        (
            ["train", "ratings.csv", "--out", "x", "--board", "ratings.csv"],
            "name a folder for the board",
        ),
        (
            ["train", "ratings.csv", "--out", "x", "--precision", "16"],
            'precision is "32" or "mixed"',
        ),
        (["train", "ratings.csv", "--out", "x", "--device", "cuda:9"], "sees no GPU here; use"),
        (
            ["compare", "ratings.csv", "--model", "bias", "--device", "gpu"],
            'device is "cpu" or "cuda"',
        ),
        (
            ["train", "ratings.csv", "--out", "x", "--user-column", "usr"],
            "There is no column 'usr'",
        ),
        (["train", "planted/tiny", "--out", "x", "--user-column", "usr"], "is a data set by name"),
        (["train", "ratings.csv", "--out", "run"], "holds a finished model"),
        (["train", "ratings.csv", "--out", "split"], "holds files that are no model"),
        (["train", "ratings.csv", "--out", "ratings.csv"], "is a file; name a folder"),
        (["train", "split", "--out", "x", "--test", "0.1"], "is split already"),
        (["split", "ratings.csv", "--out", "run"], "is not empty"),
        (["split", "ratings.csv", "--out", "x", "--how", "tme"], "Did you mean 'time'?"),
        (
            ["split", "ratings.csv", "--out", "x", "--time", "0.1", "--windows", "3"],
            "--time 0.1 and --windows 3 are two ways",
        ),
        (
            ["split", "ratings.csv", "--out", "x", "--how", "random", "--time", "0.1"],
            "--how random and --time 0.1 are two ways",
        ),
        (
            ["split", "ratings.csv", "--out", "x", "--time", "yesterday"],
            "or the first day of the test part",
        ),
        (["split", "ratings.csv", "--out", "x", "--time", "2"], "test=2.0 is not a share"),
        (
            ["split", "ratings.csv", "--out", "x", "--time", "0.1", "--test", "0.2"],
            "test=0.2 is stated by --time already",
        ),
        (
            ["split", "ratings.csv", "--out", "x", "--windows", "3", "--test", "0.2"],
            "test=0.2 is stated by --windows already",
        ),
        (
            ["split", "ratings.csv", "--out", "x", "--how", "windows", "--test", "0.2"],
            "test=0.2: a window is its first and its last",
        ),
        (
            ["split", "ratings.csv", "--out", "x", "--windows", "3m"],
            "--windows 3m are days of Netflix' ratings",
        ),
        (["split", "ratings.csv", "--out", "x", "--windows", "0"], "0 months to learn from"),
        (
            [
                "split",
                "ratings.csv",
                "--out",
                "x",
                "--windows",
                "2001-01-01:2001-02-30,2001-03-01:2001-03-31",
            ],
            "'2001-02-30' is not a date",
        ),
        (
            [
                "split",
                "ratings.csv",
                "--out",
                "x",
                "--windows",
                "2001-01-01:2001-03-01,2001-03-01:2001-03-31",
            ],
            "overlap",
        ),
        (
            [
                "split",
                "ratings.csv",
                "--out",
                "x",
                "--windows",
                "1991-01-01:1991-03-01,2001-03-01:2001-03-31",
            ],
            "No rating lies in the window train, 1991-01-01 to 1991-03-01; the ratings run from 2000-01-10",
        ),
        (
            ["split", "ratings.csv", "--out", "x", "--windows", "2001-01-01:2001-03-01"],
            "--windows takes FIRST:LAST,FIRST:LAST",
        ),
        (
            ["split", "mine.csv", "--out", "x", "--windows", "3", "--user-column", "item_id"],
            "has no times",
        ),
        (
            ["split", "netflix/full", "--out", "x", "--windows", "3m"],
            "The Netflix Prize is in none of",
        ),
        (["data", "describe", "netflix/full"], "put your copy into a folder netflix"),
        (
            ["data", "plant", "made", "--like", "movielens"],
            "no format of files to plant 'movielens'",
        ),
        (["data", "plant", "made", "--share", "2"], "is the share of Netflix' 100,480,507 ratings"),
        (["data", "plant", "run"], "is not empty"),
        (
            ["split", "ratings.csv", "--out", "x", "--set", "given=0.5"],
            "no setting of the random split 'given'",
        ),
        (["data", "fetch", "movielens/1mm"], "Did you mean 'movielens/1m'?"),
        (["data", "describe", "split"], "is a folder of a split"),
        (["data", "convert", "ratings.csv", "out.txt"], "must end in .parquet or .csv"),
        (
            ["evaluate", "run", "split/train.parquet"],
            "a model must not see the ratings it is scored on",
        ),
        (["predict", "run", "--pairs", "mine.csv"], "has no column user_id"),
        (["predict", "run", "--pairs", "none.csv"], "There is no file none.csv"),
        (["recommend", "none", "--user", "1"], "There is no saved model at none"),
        (["recommend", "damaged", "--user", "1"], "is damaged"),
        (["recommend", "run"], "State one of: --user ID, --all-users"),
        (["recommend", "run", "--all-users"], "name it with --out"),
        (["recommend", "run", "--user", "1", "-n", "0"], "1 or more"),
        (["recommend", "run", "--ratings", "high.csv"], "this model's scale is 1 to 5"),
        (["recommend", "run", "--ratings", "text.csv"], "the rating of item '3' is 'good'"),
        (["similar", "run", "--item", "nothing"], "of item 'nothing'; it knows"),
        (["similar", "run"], "State one of: --item ID"),
        (["compare", "ratings.csv", "--model", "bias", "--model", "bias"], "is given twice"),
        (["compare", "ratings.csv", "--model", "bias", "--set", "reg_user=5"], "NAME.KEY=VALUE"),
        (["models", "nothing"], "There is no model 'nothing'"),
    ],
)
def test_bad_input_is_told_in_one_line(
    work: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], said: str
) -> None:
    monkeypatch.chdir(work)
    monkeypatch.setenv("RECOLLECT_DATA", str(work))
    write_bad_files()
    result = call(*args, "--quiet")
    assert (result.exit_code, result.stdout) == (1, "")
    assert said in result.stderr
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    told = call(*args, "--quiet", "--json")
    assert told.exit_code == 1
    assert said in json.loads(told.stdout)["error"]["message"]


def write_bad_files() -> None:
    Path("empty.csv").touch()
    Path("text.csv").write_text("user_id,item_id,rating\n1,2,3\n1,3,good\n")
    Path("high.csv").write_text("item_id,rating\n1,9\n")
    if not Path("damaged").exists():
        Path("damaged").mkdir()
        for path in Path("run").iterdir():
            Path("damaged", path.name).write_bytes(path.read_bytes())
        Path("damaged", "net.safetensors").write_bytes(b"no tensors")


def test_a_wrong_command_line_is_another_exit_code() -> None:
    assert call("train").exit_code == 2
    assert call("train", "x", "--nope").exit_code == 2


def test_a_full_disk_and_lack_of_memory_are_told_plainly() -> None:
    assert told(OSError(errno.ENOSPC, "No space left on device", "out"))[1].startswith(
        "The disk is full"
    )
    assert told(MemoryError())[0] == "memory"
    denied = PermissionError(errno.EACCES, "Permission denied", "out")
    assert told(denied) == ("file", "out cannot be opened: permission denied.")
    assert told(KeyError("x"))[0] == "internal"


def test_debug_shows_where_an_error_arose() -> None:
    assert isinstance(call("models", "nothing", "--debug").exception, SettingError)


def test_settings_are_json_tuples_or_text() -> None:
    assert settings_of(["a=5", "b=0.5", "c=true", "d=None", "e=500,250", "f=item", "g=a=b"]) == {
        "a": 5,
        "b": 0.5,
        "c": True,
        "d": None,
        "e": (500, 250),
        "f": "item",
        "g": "a=b",
    }


def test_json_has_null_for_what_is_no_number() -> None:
    assert as_json({"a": float("nan"), "b": (float("inf"), 1.5), "c": Path("x")}) == (
        '{"a": null, "b": [null, 1.5], "c": "x"}'
    )


# What it looks like --------------------------------------------------------------------------------------------------


def test_without_a_terminal_there_are_no_colors_and_no_cut_titles(tmp_path: Path) -> None:
    ratings = rc.load("planted/tiny")
    long = "A film with a title that is far longer than any column of any table could ever be, or so one thinks"
    titles = pl.DataFrame(
        {"item_id": ratings.items.ids, "title": [f"{long} {j}" for j in range(ratings.n_items)]}
    )
    from dataclasses import replace

    rc.save(rc.make("bias").fit(replace(ratings, catalogue=titles)), tmp_path / "run")
    result = call("recommend", tmp_path / "run", "--user", 1)
    assert "\x1b" not in result.stdout + result.stderr
    assert "…" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100


def test_notes_of_the_library_go_to_standard_error(work: Path) -> None:
    loud = call("data", "describe", work / "ratings.csv")
    assert "inferred from the ratings" in loud.stderr
    assert call("data", "describe", work / "ratings.csv", "--quiet").stderr == ""


# Interrupted and resumed ---------------------------------------------------------------------------------------------

STOPPED = """
import os, signal, sys
from contextlib import contextmanager
from recollect.cli import main
from recollect.cli.output.screen import Screen

shown = Screen.epochs

@contextmanager
def epochs(screen, most, **more):
    with shown(screen, most, **more) as watch:
        def stop(figures):
            watch(figures)
            if figures["epoch"] == 4:
                os.kill(os.getpid(), signal.SIGINT)
        yield stop

Screen.epochs = epochs
main()
"""


def test_ctrl_c_keeps_a_snapshot_and_resume_ends_the_same_to_the_bit(
    work: Path, tmp_path: Path
) -> None:
    args = [
        "train",
        str(work / "split"),
        "--set",
        "hidden=6",
        "--set",
        "epochs=9",
        "--set",
        "reg=2",
        "--threads",
        "1",
    ]
    whole = call(*args, "--out", tmp_path / "whole")
    stopped = subprocess.run(
        [sys.executable, "-c", STOPPED, *args, "--out", tmp_path / "run"],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=120,
    )
    assert (stopped.returncode, stopped.stdout) == (130, "")
    assert "Stopped after epoch 4" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert "add --resume" in call(*args, "--out", tmp_path / "run").stderr
    resumed = call(*args, "--out", tmp_path / "run", "--resume")
    assert (whole.exit_code, resumed.exit_code) == (0, 0)
    assert [p.name for p in (tmp_path / "run").iterdir() if p.name == "snapshot"] == []
    assert (tmp_path / "run" / "net.safetensors").read_bytes() == (
        tmp_path / "whole" / "net.safetensors"
    ).read_bytes()
    again = call(*args, "--out", tmp_path / "run", "--resume")
    assert again.exit_code == 0
    assert "finished already" in again.stdout


def test_what_a_killed_fit_was_writing_is_no_hindrance(work: Path, tmp_path: Path) -> None:
    (tmp_path / "run" / ".snapshot.x.tmp").mkdir(parents=True)
    answer("train", work / "split", "--out", tmp_path / "run", *SMALL)
    assert not (tmp_path / "run" / ".snapshot.x.tmp").exists()


def test_main_tells_a_wrong_command_line_as_json() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "recollect.cli", "train", "--json"],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=120,
    )
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["kind"] == "usage"


def test_a_closed_pipe_is_no_traceback(work: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "recollect.cli", "recommend", work / "run", "--user", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    ) as child:
        child.stdout.close()
        told = child.stderr.read().decode()
    assert "Traceback" not in told
    assert child.returncode != -signal.SIGSEGV

"""The command line with events: describe, split, train, evaluate, recommend."""

from pathlib import Path

import polars as pl
import pytest
from tests.cli.support import answer, call, settings

import recollect as rc

FIT = [
    *("--model", "deeprec", "--threads", "1"),
    *settings("loss=multinomial", "hidden=8", "activation=tanh", "optimizer=adam"),
    *settings("batch_size=20", "learning_rate=0.02", "epochs=6", "refit=False"),
]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Events in a file, a split of them, a model of events and one of ratings."""
    folder = tmp_path_factory.mktemp("work")
    ratings = rc.load("planted/tiny")
    ratings.frame().write_csv(folder / "ratings.csv")
    ratings.events(from_=4).frame().drop("count").write_csv(folder / "events.csv")
    (folder / "mine.csv").write_text("item_id\n3\n17\n3\n")
    options = ["--events-from", 4, "--test", 0.2, "--valid", 0.1]
    for command in (
        ["split", folder / "ratings.csv", *options, "--out", folder / "parts"],
        ["train", folder / "parts", "--out", folder / "run", *FIT],
        ["train", folder / "ratings.csv", "--out", folder / "bias", "--model", "bias"],
    ):
        assert call(*command).exit_code == 0
    return folder


def test_high_ratings_and_lines_of_events_are_the_same_events(work: Path) -> None:
    from_ratings = answer("data", "describe", work / "ratings.csv", "--events-from", 4)
    from_events = answer("data", "describe", work / "events.csv", "--implicit")
    assert from_ratings["implicit"]
    assert from_events["implicit"]
    assert from_ratings["values"] == from_events["values"] == {"1": 372}
    shown = call("data", "describe", work / "events.csv", "--implicit").stdout
    assert "highest count" in shown
    assert "scale" not in shown


def test_a_split_of_events_is_read_as_events(work: Path) -> None:
    train = pl.read_parquet(work / "parts" / "train.parquet")
    assert train.columns == ["user_id", "item_id", "count", "timestamp"]
    model = rc.load_model(work / "run")
    assert model.given_.implicit
    assert len(model.given_) == len(train)


def test_a_fit_on_events_has_a_loss_and_a_ranking(work: Path, tmp_path: Path) -> None:
    train = ["train", work / "events.csv", "--implicit", "--test", 0.2, *FIT, "--out"]
    result = answer(*train, tmp_path / "a")
    model = rc.load_model(tmp_path / "a")
    assert result["valid_ndcg@100"] == model.history_.best_valid
    assert result["train_loss"] > 0
    assert "valid_rmse" not in result
    assert 0 < result["test"]["ndcg@10"]["low"] < result["test"]["ndcg@10"]["value"]
    shown = call(*train, tmp_path / "b")
    for label in ("valid NDCG@100", "train loss", "test NDCG@10", "test events"):
        assert label in shown.stdout
    assert "predictions are scores to rank by" in shown.stderr


def test_a_model_of_events_is_scored_by_its_ranking(work: Path) -> None:
    test = work / "parts" / "test.parquet"
    metrics = answer("evaluate", work / "run", test)["metrics"]
    model = rc.load_model(work / "run")
    frame = pl.read_parquet(test)
    events = rc.Ratings(
        model.given_.users.rows(frame["user_id"]),
        model.given_.items.rows(frame["item_id"]),
        frame["count"].to_numpy(),
        model.given_.users,
        model.given_.items,
        scale=(0.0, 1.0),
        implicit=True,
    )
    expected = rc.full_ranking(model, events)["ndcg@10"]
    assert metrics["ndcg@10"]["value"] == pytest.approx(expected)
    assert "rmse" not in metrics
    assert "every test event is relevant" in call("evaluate", work / "run", test).stdout


def test_a_file_of_ratings_is_not_read_as_events(work: Path, tmp_path: Path) -> None:
    test = pl.read_parquet(work / "parts" / "test.parquet")
    rated = tmp_path / "rated.csv"
    test.with_columns(rating=pl.lit(5.0)).drop("count").write_csv(rated)
    refused = call("evaluate", work / "run", rated)
    assert refused.exit_code == 1
    assert "--events-from 4" in refused.stderr
    metrics = answer("evaluate", work / "run", rated, "--events-from", 4)["metrics"]
    of_events = answer("evaluate", work / "run", work / "parts" / "test.parquet")["metrics"]
    assert metrics == of_events


@pytest.mark.parametrize("from_file", [False, True])
def test_a_new_user_gets_recommendations_from_events(work: Path, from_file: bool) -> None:
    one_by_one = ["--event", 3, "--event", 17, "--event", 3]
    options = ["--events", work / "mine.csv"] if from_file else one_by_one
    model = rc.load_model(work / "run")
    expected = rc.top_n(model, events=["3", "17", "3"], n=4)["item_id"].to_list()
    rows = answer("recommend", work / "run", *options, "-n", 4)["recommendations"]
    assert [row["item_id"] for row in rows] == expected


def test_a_known_user_gets_recommendations_from_newer_events(work: Path) -> None:
    model = rc.load_model(work / "run")
    expected = rc.top_n(model, user_ids=["5"], events=["3"], n=4)["item_id"].to_list()
    rows = answer("recommend", work / "run", "--user", 5, "--event", 3, "-n", 4)["recommendations"]
    assert [row["item_id"] for row in rows] == expected


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["train", "ratings.csv", "--out", "x", *FIT], "--events-from 4"),
        (
            ["train", "events.csv", "--implicit", "--model", "autorec", "--out", "x"],
            "are events; use popularity",
        ),
        (
            ["train", "events.csv", "--implicit", "--events-from", "4", "--out", "x"],
            "state one of the two",
        ),
        (["train", "events.csv", "--implicit", "--scale", "1,5", "--out", "x"], "events have none"),
        (["train", "parts", "--events-from", "4", "--out", "x"], "split already"),
        (["train", "planted/tiny", "--implicit", "--out", "x"], "leave out the options --implicit"),
        (
            ["recommend", "run", "--all-users", "--event", "3", "--out", "x.csv"],
            "State one of: --user ID",
        ),
        (["recommend", "run", "--event", "3", "--ratings", "ratings.csv"], "one of the two"),
        (["recommend", "bias", "--event", "3"], "learned from ratings"),
        (["evaluate", "bias", "parts/test.parquet", "--implicit"], "takes ratings"),
        (["data", "store", "ratings.csv", "stored", "--events-from", "4"], "cannot be stored"),
    ],
)
def test_a_mistake_is_an_error_that_says_what_to_do(
    work: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], message: str
) -> None:
    monkeypatch.chdir(work)
    result = call(*args)
    assert result.exit_code == 1
    assert message in " ".join(result.stderr.split())

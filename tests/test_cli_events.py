"""The command line with events: describe, split, train, evaluate, recommend."""

import json
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner, Result

import recollect as rc
from recollect.cli import app

EVENTS = [
    "--model",
    "deeprec",
    "--set",
    "loss=multinomial",
    "--set",
    "hidden=8",
    "--set",
    "activation=tanh",
    "--set",
    "optimizer=adam",
    "--set",
    "batch_size=20",
    "--set",
    "learning_rate=0.02",
    "--set",
    "epochs=6",
    "--threads",
    "1",
]


def call(*args: object) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args])


def answer(*args: object) -> dict:
    result = call(*args, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Events in a file, a split of them, a model of events and one of ratings."""
    folder = tmp_path_factory.mktemp("work")
    ratings = rc.load("planted/tiny")
    ratings.frame().write_csv(folder / "ratings.csv")
    ratings.events(from_=4).frame().drop("count").write_csv(folder / "events.csv")
    (folder / "mine.csv").write_text("item_id\n3\n17\n3\n")
    cut = ["--events-from", 4, "--test", 0.2, "--valid", 0.1]
    assert call("split", folder / "ratings.csv", *cut, "--out", folder / "parts").exit_code == 0
    assert call("train", folder / "parts", "--out", folder / "run", *EVENTS).exit_code == 0
    assert (
        call("train", folder / "ratings.csv", "--out", folder / "bias", "--model", "bias").exit_code
        == 0
    )
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
    assert pl.read_parquet(work / "parts" / "train.parquet").columns == [
        "user_id",
        "item_id",
        "count",
        "timestamp",
    ]
    model = rc.load_model(work / "run")
    assert model.given_.implicit
    assert len(model.given_) == len(pl.read_parquet(work / "parts" / "train.parquet"))


def test_training_on_events_tells_loss_and_ndcg(work: Path, tmp_path: Path) -> None:
    asked = ["train", work / "events.csv", "--implicit", "--test", 0.2, *EVENTS, "--out"]
    found = answer(*asked, tmp_path / "a")
    model = rc.load_model(tmp_path / "a")
    assert found["valid_ndcg@100"] == model.history_.best_valid
    assert found["train_loss"] > 0
    assert "valid_rmse" not in found
    assert 0 < found["test"]["ndcg@10"]["low"] < found["test"]["ndcg@10"]["value"]
    result = call(*asked, tmp_path / "b")
    for told in ("valid NDCG@100", "train loss", "test NDCG@10", "test events"):
        assert told in result.stdout
    assert "predictions are scores to rank by" in result.stderr


def test_a_model_of_events_is_scored_by_its_ranking(work: Path) -> None:
    test = work / "parts" / "test.parquet"
    found = answer("evaluate", work / "run", test)
    model = rc.load_model(work / "run")
    users, items, count = (pl.read_parquet(test)[name] for name in ("user_id", "item_id", "count"))
    events = rc.Ratings(
        model.given_.users.rows(users),
        model.given_.items.rows(items),
        count.to_numpy(),
        model.given_.users,
        model.given_.items,
        scale=(0.0, 1.0),
        implicit=True,
    )
    assert found["metrics"]["ndcg@10"]["value"] == pytest.approx(
        rc.full_ranking(model, events)["ndcg@10"]
    )
    assert "rmse" not in found["metrics"]
    assert "every test event is relevant" in call("evaluate", work / "run", test).stdout


def test_a_file_of_ratings_is_not_taken_for_events(work: Path, tmp_path: Path) -> None:
    test = pl.read_parquet(work / "parts" / "test.parquet")
    test.with_columns(rating=pl.lit(5.0)).drop("count").write_csv(tmp_path / "rated.csv")
    refused = call("evaluate", work / "run", tmp_path / "rated.csv")
    assert refused.exit_code == 1
    assert "--events-from 4" in refused.stderr
    found = answer("evaluate", work / "run", tmp_path / "rated.csv", "--events-from", 4)
    assert (
        found["metrics"]
        == answer("evaluate", work / "run", work / "parts" / "test.parquet")["metrics"]
    )


def test_someone_new_is_recommended_to_from_their_events(work: Path) -> None:
    model = rc.load_model(work / "run")
    expected = rc.top_n(model, events=["3", "17", "3"], n=4)["item_id"].to_list()
    for asked in (["--event", 3, "--event", 17, "--event", 3], ["--events", work / "mine.csv"]):
        found = answer("recommend", work / "run", *asked, "-n", 4)
        assert [row["item_id"] for row in found["recommendations"]] == expected
    known = answer("recommend", work / "run", "--user", 5, "--event", 3, "-n", 4)["recommendations"]
    assert [row["item_id"] for row in known] == rc.top_n(model, user_ids=["5"], events=["3"], n=4)[
        "item_id"
    ].to_list()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["train", "ratings.csv", "--out", "x", *EVENTS], "--events-from 4"),
        (["train", "events.csv", "--implicit", "--out", "x"], "are events; use popularity"),
        (
            ["train", "events.csv", "--implicit", "--events-from", "4", "--out", "x"],
            "state one of the two",
        ),
        (["train", "events.csv", "--implicit", "--scale", "1,5", "--out", "x"], "events have none"),
        (["train", "parts", "--events-from", "4", "--out", "x"], "split already"),
        (["train", "planted/tiny", "--implicit", "--out", "x"], "leave out the options --implicit"),
        (["recommend", "run", "--all-users", "--event", "3", "--out", "x.csv"], "State one of: --user ID"),
        (["recommend", "run", "--event", "3", "--ratings", "ratings.csv"], "one of the two"),
        (["recommend", "bias", "--event", "3"], "learned from ratings"),
        (["evaluate", "bias", "parts/test.parquet", "--implicit"], "scored on ratings"),
        (["data", "store", "ratings.csv", "stored", "--events-from", "4"], "cannot be stored"),
    ],
)
def test_mistakes_are_told(
    work: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], message: str
) -> None:
    monkeypatch.chdir(work)
    result = call(*args)
    assert result.exit_code == 1
    assert message in " ".join(result.stderr.split())

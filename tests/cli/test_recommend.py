"""recollect recommend and similar."""

from pathlib import Path

import polars as pl
import pytest
from tests.cli.support import answer, call


def test_a_list_for_all_users_holds_the_list_of_one(work: Path, tmp_path: Path) -> None:
    for name in ("all.parquet", "all.csv"):
        answer("recommend", work / "run", "--all-users", "--out", tmp_path / name, "-n", 3)
    one = answer("recommend", work / "run", "--user", 5, "-n", 3)["recommendations"]
    item_ids = [row["item_id"] for row in one]
    from_parquet = pl.read_parquet(tmp_path / "all.parquet")
    from_csv = pl.read_csv(tmp_path / "all.csv", infer_schema=False)
    for frame in (from_parquet, from_csv):
        assert frame.filter(pl.col("user_id") == "5")["item_id"].to_list() == item_ids


def test_an_unknown_user_gets_recommendations(work: Path) -> None:
    result = answer("recommend", work / "run", "--user", "nobody", "-n", 4)
    assert result["unknown_users"] == ["nobody"]
    assert len(result["recommendations"]) == 4


def test_a_new_user_gets_recommendations_without_the_rated_items(work: Path) -> None:
    result = answer("recommend", work / "run", "--ratings", work / "mine.csv", "-n", 40)
    item_ids = {row["item_id"] for row in result["recommendations"]}
    assert item_ids
    assert not item_ids & {"1", "4", "nothing"}


def test_a_file_of_items_restricts_the_choice(work: Path, tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("item_id\n1\n2\n")
    options = ["--items", tmp_path / "items.csv", "--seen"]
    result = answer("recommend", work / "run", "--user", 5, *options)
    assert {row["item_id"] for row in result["recommendations"]} == {"1", "2"}


@pytest.mark.parametrize("side", ["item", "user"])
def test_nothing_is_similar_to_itself(work: Path, side: str) -> None:
    rows = answer("similar", work / "run", f"--{side}", 5, "-n", 3)["similar"]
    assert len(rows) == 3
    assert "5" not in [row["neighbor_id"] for row in rows]


def test_what_is_left_out_is_noted_each_time(work: Path, tmp_path: Path) -> None:
    unknown = tmp_path / "unknown.csv"
    unknown.write_text("item_id,rating\nnope,5\n")
    for _ in range(2):
        result = call("recommend", work / "run", "--ratings", unknown, "-n", 2)
        assert "None of the rated items is known to this model ('nope')" in result.stderr
        assert "nope" not in result.stdout
    notes = answer("recommend", work / "run", "--user", "nobody", "--user", 5, "-n", 2)["notes"]
    assert notes[0].startswith("Nothing is known of 1 of 2 users ('nobody')")


def test_ratings_are_no_events(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("user,item\na,x\na,y\nb,x\nb,z\nc,x\nc,y\n")
    (tmp_path / "hated.csv").write_text("item_id,rating\nx,1\n")
    options = ["--implicit", "--model", "popularity", "--valid", 0]
    call("train", tmp_path / "events.csv", *options, "--out", tmp_path / "run")
    result = call("recommend", tmp_path / "run", "--ratings", tmp_path / "hated.csv")
    assert result.exit_code == 1
    assert "learned from events" in result.stderr
    assert "--event" in result.stderr


@pytest.fixture(scope="module")
def films(work: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the ratings with genres, artists and years of their items."""
    folder = tmp_path_factory.mktemp("films")
    lines = ["item_id,title,genre,artist,year"]
    for j in range(1, 41):
        genre = "Drama|War" if j % 2 else "Comedy"
        lines.append(f"{j},Film {j},{genre},a{j % 3},{1980 + j}")
    (folder / "items.csv").write_text("\n".join(lines))
    table = ["--items", folder / "items.csv"]
    train = call("train", work / "ratings.csv", *table, "--model", "pmf", "--out", folder / "run")
    assert train.exit_code == 0, train.stderr
    return folder / "run"


def recommended(run: Path, *options: object) -> list[dict]:
    return answer("recommend", run, "--user", 5, "--seen", *options)["recommendations"]


def test_conditions_limits_and_exclusions_are_options(films: Path, tmp_path: Path) -> None:
    rows = recommended(films, "--where", "genre:Drama year>=1990", "-n", 40)
    assert {int(row["item_id"]) for row in rows} == set(range(11, 41, 2))
    limited = recommended(films, "--at-most", "artist=2", "--at-most", "genre=3", "-n", 4)
    assert max(sum(row["artist"] == f"a{j}" for row in limited) for j in range(3)) <= 2
    (tmp_path / "no.csv").write_text("item_id\n" + "\n".join(map(str, range(1, 38))))
    rows = recommended(films, "--exclude", tmp_path / "no.csv")
    assert {row["item_id"] for row in rows} == {"38", "39", "40"}


def test_diversity_changes_the_list_for_all_users_too(films: Path, tmp_path: Path) -> None:
    mixed = ["--diversity", 0.9, "-n", 5]
    rows = recommended(films, *mixed)
    assert [row["item_id"] for row in rows] != [r["item_id"] for r in recommended(films, "-n", 5)]
    for name in ("all.parquet", "all.csv"):
        answer("recommend", films, "--all-users", "--seen", *mixed, "--out", tmp_path / name)
    everyone = pl.read_parquet(tmp_path / "all.parquet")
    of_five = everyone.filter(user_id="5")["item_id"].to_list()
    assert of_five == [row["item_id"] for row in rows]
    in_text = pl.read_csv(tmp_path / "all.csv", infer_schema=False)
    assert in_text.filter(user_id="5")["item_id"].to_list() == of_five


def test_reasons_are_shown_and_written(films: Path, tmp_path: Path) -> None:
    shown = call("recommend", films, "--user", 5, "-n", 2, "--explain")
    assert "because you rated Film " in shown.stdout
    assert "1,9" not in shown.stdout  # a year is no count
    found = answer("recommend", films, "--user", 5, "-n", 2, "--explain")
    assert {row["item_id"] for row in found["reasons"]} == {
        row["item_id"] for row in found["recommendations"]
    }
    out = tmp_path / "why.csv"
    answer("recommend", films, "--user", 5, "-n", 2, "--explain", "--out", out)
    assert pl.read_csv(out)["because"].str.contains("Film").all()
    mine = tmp_path / "mine.csv"
    mine.write_text("item_id,rating\n1,5\n3,1\n")
    found = answer("recommend", films, "--ratings", mine, "-n", 3, "--explain")
    assert {row["because_id"] for row in found["reasons"]} <= {"1", "3"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--where", "gnre:Drama"], "Did you mean 'genre'"),
        (["--where", "genre:Western"], "genre:Western leaves 0"),
        (["--where", "-seen", "--seen"], "--seen asks for the opposite"),
        (["--at-most", "artist"], "write a field and a whole number, such as artist=2"),
        (["--at-most", "artist=x"], "such as artist=2"),
        (["--at-most", "artist=1", "--at-most", "artist=2"], "has artist twice"),
        (["--at-most", "artist=0"], "1 or more; found 0"),
        (["--diversity", "1"], "diversity is 1"),
        (["--fresh", "2"], "fresh is a share"),
    ],
)
def test_a_wish_that_cannot_be_is_an_error(films: Path, options: list, message: str) -> None:
    result = call("recommend", films, "--user", 5, *options)
    assert result.exit_code == 1
    assert message in result.stderr


def test_reasons_are_of_some_users(films: Path, tmp_path: Path) -> None:
    everyone = ["--all-users", "--explain", "--out", tmp_path / "all.parquet"]
    assert "name them with --user" in call("recommend", films, *everyone).stderr

"""How files are read at the command line: options, ids, and messages in its own words."""

from pathlib import Path

import polars as pl
import pytest
from tests.cli.support import answer, call

RATINGS = "user_id,item_id,rating\n" + "".join(
    f"{u}.0,{i}.0,{1 + (u * i) % 5}\n" for u in range(1, 7) for i in range(1, 6) if (u + i) % 3
)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A model of ratings whose ids have ".0", as pandas writes them."""
    (tmp_path / "ratings.csv").write_text(RATINGS)
    fit = ("--model", "bias", "--valid", 0, "--out", tmp_path / "run")
    answer("train", tmp_path / "ratings.csv", *fit)
    return tmp_path / "run"


def test_ids_are_known_as_the_training_file_wrote_them(run: Path, tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("user_id;item_id\n1.0;2.0\n\n2;5.0\n")
    (tmp_path / "mine.csv").write_text("item_id\trating\n1.0\t5\n2.0\t1\n")
    (tmp_path / "items.csv").write_text("item_id\n3.0\n4\n")
    asked = answer("predict", run, "--pairs", tmp_path / "pairs.csv")
    assert (asked["pairs"], asked["cold"]) == (2, 0)
    listed = answer("recommend", run, "--ratings", tmp_path / "mine.csv", "-n", 5)
    assert {row["item_id"] for row in listed["recommendations"]} == {"3", "4", "5"}
    listed = answer("recommend", run, "--user", "1.0", "--items", tmp_path / "items.csv")
    assert listed["unknown_users"] == []
    assert {row["item_id"] for row in listed["recommendations"]} <= {"3", "4"}


def test_a_file_is_read_as_the_options_say(tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_bytes('5~"х~ann\n3~y~bob\n'.encode("cp1251"))
    columns = ("--user-column", 2, "--item-column", 1, "--rating-column", 0)
    form = ("--separator", "~", "--no-header", "--no-quotes", "--encoding", "cp1251")
    answer("data", "convert", tmp_path / "r.txt", *columns, *form, tmp_path / "out.csv")
    rows = pl.read_csv(tmp_path / "out.csv").rows()
    assert rows == [("ann", '"х', 5.0), ("bob", "y", 3.0)]


def test_a_tab_has_a_name(tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text("a,b\tx\t5\nc\ty\t3\n")
    assert answer("data", "describe", tmp_path / "r.txt", "--separator", "tab")["users"] == 2


def test_a_wide_table_is_read_by_request(tmp_path: Path) -> None:
    (tmp_path / "jester.csv").write_text("2,7.5,99,-9.5\n1,99,99,1.5\n")
    wide = ("--wide", "--not-rated", 99, "--rating-column", 1)
    described = answer("data", "describe", tmp_path / "jester.csv", *wide)
    assert (described["ratings"], described["users"], described["items"]) == (3, 2, 2)
    assert any("users × items" in note for note in described["notes"])


@pytest.mark.parametrize(
    ("content", "said", "unsaid"),
    [
        ("userId,1,2,3\n1,5,3,3\n", "--wide", "wide=True"),
        ("user,item\na,x\n", "--rating-column", "rating="),
        ("1,2,3,4,5\n1,2,3,4,5\n", "--user-column 0", "user=0"),
        ("user,item,rating\na,x,0\nb,y,0\n", "--scale", "scale="),
    ],
)
def test_errors_name_options(content: str, said: str, unsaid: str, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(content)
    refused = call("data", "describe", tmp_path / "r.csv")
    assert refused.exit_code == 1
    message = " ".join(refused.stderr.split())
    assert said in message
    assert unsaid not in message


def test_options_about_a_file_are_refused_for_a_data_set_by_name() -> None:
    refused = call("data", "describe", "planted/tiny", "--separator", ";", "--no-quotes")
    assert refused.exit_code == 1
    assert "--separator, --no-quotes" in " ".join(refused.stderr.split())

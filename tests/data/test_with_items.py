"""Titles and fields of one's own items, as every list shows them."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from typer.testing import CliRunner

import recollect as rc
from recollect.cli import app
from recollect.errors import DataError

RATED = [("a", "1", 5), ("a", "2", 3), ("b", "1", 4), ("b", "3", 2), ("c", "2", 1), ("c", "3", 5)]
ITEMS = {
    "item_id": ["1", "2", "9", "2", ""],
    "title": ["Alien", "Brazil?", "Nine", "Brazil", "nobody"],
    "year": [1979, 1984, 2009, 1985, 0],
    "genres": [["a", "b"], [], ["c"], ["d"], []],
}


@pytest.fixture
def ratings():
    return rc.from_tuples(RATED, scale=(1, 5))


@pytest.fixture
def described(ratings):
    return rc.with_items(ratings, pl.DataFrame(ITEMS))


def test_titles_and_fields_stand_in_the_catalogue(described):
    assert described.titles(["1", "2", "3"]) == ["Alien", "Brazil", None]
    assert described.catalogue.filter(pl.col("item_id") == "2")["year"].to_list() == [1985]


def test_what_is_left_out_is_counted(described):
    assert described.notes[-4:] == (
        "1 rows of the items' table have no id and are left out.",
        "1 rows of the items' table have an id again; the last one is kept.",
        "1 of 3 items have no row in the items' table.",
        "1 items of the table are in no rating and are left out.",
    )


@pytest.mark.parametrize(
    "source",
    [
        {"1": "Alien", "2": "Brazil", "3": "Casablanca"},
        {1: "Alien", 2: "Brazil", 3: "Casablanca"},
        pd.DataFrame({"itemId": [1, 2, 3], "Name": ["Alien", "Brazil", "Casablanca"]}),
        pl.DataFrame({"itemId": [1, 2, 3], "Name": ["Alien", "Brazil", "Casablanca"]}).lazy(),
        pl.DataFrame({"itemId": [1, 2, 3], "Name": ["Alien", "Brazil", "Casablanca"]}).to_arrow(),
    ],
    ids=["mapping", "numbers", "pandas", "lazy", "arrow"],
)
def test_tables_of_every_kind(ratings, source):
    described = rc.with_items(ratings, source)
    assert described.titles(["3", "1"]) == ["Casablanca", "Alien"]


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet", "jsonl", "csv.gz"])
def test_files_of_every_kind(ratings, tmp_path, ending):
    table = pl.DataFrame({"movieId": ["1", "2"], "title": ["Alien, the film", "Brazil"]})
    path = tmp_path / f"items.{ending}"
    if ending == "parquet":
        table.write_parquet(path)
    elif ending == "jsonl":
        table.write_ndjson(path)
    elif ending == "tsv":
        table.write_csv(path, separator="\t")
    else:
        table.write_csv(path, **({"compression": "gzip"} if ending == "csv.gz" else {}))

    assert rc.with_items(ratings, path).titles(["1"]) == ["Alien, the film"]


def test_columns_may_be_named(ratings):
    table = pl.DataFrame({"sku": ["1", "2"], "label": ["Alien", "Brazil"], "name": ["x", "y"]})
    described = rc.with_items(ratings, table, item="sku", title="label")
    assert described.titles(["1"]) == ["Alien"]
    assert described.catalogue["name"].to_list() == ["x", "y"]
    assert rc.with_items(ratings, table, item=0, title=1).titles(["2"]) == ["Brazil"]


def test_a_blank_title_is_none(ratings):
    described = rc.with_items(ratings, {"1": " ", "2": "Brazil"})
    assert described.titles(["1", "2"]) == [None, "Brazil"]


def test_fields_that_were_known_before_stay(described):
    priced = rc.with_items(described, pl.DataFrame({"item_id": ["3", "2"], "price": [7, 8]}))
    table = priced.catalogue.sort("item_id")
    assert table["item_id"].to_list() == ["1", "2", "3"]
    assert table["title"].to_list() == ["Alien", "Brazil", None]
    assert table["price"].to_list() == [None, 8, 7]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (pl.DataFrame({"title": ["x"]}), "No column of the items looks like their ids"),
        (pl.DataFrame({"item_id": ["1"], "rank": [1]}), "field 'rank', and lists have a column"),
        ({"77": "x"}, r"None of the 1 ids .* is that of a rated item"),
        (5, "A int is no table of items"),
        ("nowhere.csv", "nowhere.csv"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(ratings, source, message):
    with pytest.raises(DataError, match=message):
        rc.with_items(ratings, source)


def test_a_column_that_is_not_there_is_named(ratings):
    with pytest.raises(DataError, match="no column 'sku', which was named for item"):
        rc.with_items(ratings, pl.DataFrame(ITEMS), item="sku")


def test_columns_of_one_name_are_refused(ratings, tmp_path):
    path = tmp_path / "items.csv"
    path.write_text("item_id,title,title\n1,a,b\n")
    with pytest.raises(DataError, match="several columns called 'title'"):
        rc.with_items(ratings, path)


def test_stored_ratings_are_refused_with_what_to_do(ratings, tmp_path):
    stored = rc.store(ratings, tmp_path / "s")
    with pytest.raises(DataError, match="before they are stored"):
        rc.with_items(stored, {"1": "Alien"})


def test_items_stored_with_their_titles_keep_them(described, tmp_path):
    stored = rc.store(described, tmp_path / "s")
    assert stored.titles(["1"]) == ["Alien"]


def test_every_list_shows_them_and_a_saved_model_too(described, tmp_path):
    model = rc.make("pmf", factors=2, epochs=2).fit(described)
    loaded = rc.load_model(rc.save(model, tmp_path / "m"))
    for asked in (model, loaded):
        listed = rc.top_n(asked, user_ids=["a"], n=3, seen=True)
        assert listed.columns == ["user_id", "rank", "item_id", "title", "year", "prediction"]
        by_id = dict(zip(listed["item_id"], listed["title"], strict=True))
        assert by_id == {"1": "Alien", "2": "Brazil", "3": None}
        assert rc.fold_in(asked, {"1": 5}).columns == ["item_id", "title", "year", "prediction"]
        similar = rc.similar(asked, item_ids=["1"])
        assert similar.columns[:5] == ["item_id", "rank", "neighbor_id", "title", "year"]

    rc.top_n_to_parquet(model, tmp_path / "all.parquet", n=2, seen=True)
    assert "year" in pl.read_parquet(tmp_path / "all.parquet").columns


def test_they_change_no_prediction(ratings, described):
    predicted = [
        rc.make("bias").fit(part).predict(np.arange(3), np.arange(3))
        for part in (ratings, described)
    ]
    np.testing.assert_array_equal(*predicted)
    assert ratings.fingerprint == described.fingerprint


def test_at_the_command_line(ratings, tmp_path):
    data = tmp_path / "ratings.csv"
    ratings.frame().write_csv(data)
    items = tmp_path / "items.csv"
    items.write_text("item_id,title,shelf\n1,Alien,top\n2,Brazil,low\n3,Casablanca,low\n")
    out = tmp_path / "run"
    command = f"train {data} --model bias --valid 0 --items {items} --out {out}"
    said = CliRunner().invoke(app, command.split())
    assert said.exit_code == 0, said.output
    listed = CliRunner().invoke(app, ["recommend", str(out), "--user", "a"]).output
    assert "Casablanca" in listed
    assert "shelf" in listed

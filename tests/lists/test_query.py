"""The query language, and which items its terms fit."""

import polars as pl
import pytest

import recollect as rc
from recollect.errors import DataError, SettingError
from recollect.lists.fields import ItemFields
from recollect.lists.query import parse

TABLE = pl.DataFrame(
    {
        "item_id": ["a", "b", "c", "d", "e"],
        "title": ["Alpha", "The Beta", "Gamma | One", None, "Eta"],
        "genres": [["Drama", "War"], ["Comedy"], [], None, ["War"]],
        "tags": ["slow|Blue", "blue", None, " red | blue ", ""],
        "year": [1990, 1999, None, 2003, 1980],
        "price": ["9.5", "10", "free", None, "100"],
        "released": ["1990-05-01", "1999-12-31", None, "2003-07-01", "1980-01-01"],
    }
)


@pytest.fixture(scope="module")
def ratings() -> rc.Ratings:
    """Two users; the second has rated everything."""
    pairs = [("u", "a", 5), *(("v", item, 3) for item in "abcde")]
    return rc.with_items(rc.from_tuples(pairs, scale=(1, 5)), TABLE)


@pytest.fixture(scope="module")
def bias(ratings):
    return rc.make("bias").fit(ratings)


def fitting(ratings, query: str) -> str:
    """The items that all terms of a query fit."""
    terms, _ = parse(query)
    fits = [ItemFields(ratings).fits(term) for term in terms]
    return "".join(
        item for row, item in enumerate(ratings.items.ids) if all(fit[row] for fit in fits)
    )


@pytest.mark.parametrize(
    ("query", "items"),
    [
        ("genres:War", "ae"),
        ("genre:war", "ae"),  # without the s, and in lower case
        ("GENRES:WAR", "ae"),
        ("genres=War", "e"),  # and nothing beside it
        ("genres=war", ""),
        ("-genres:War", "bcd"),  # what is unknown is not War
        ("genres:War year>=1985", "a"),
        ("tags:blue", "abd"),
        ("tags=blue", "b"),
        ("tags:red", "d"),
        ("year>=1990", "abd"),
        ("year > 1990", "bd"),
        ("year<=1990", "ae"),
        ("year<1990", "e"),
        ("year=1990", "a"),
        ("year==1990", "a"),
        ("year:1990.0", "a"),
        ("-year>=1990", "ce"),
        ("price>=10", "be"),  # numbers as text are compared as numbers
        ("price:10.0", "b"),
        ("price:free", "c"),
        ("released>=1999", "bd"),
        ("released<=1990", "ae"),  # as far as it is stated
        ("released>1999-12-30 released<2003-08", "bd"),
        ('title:"The Beta"', "b"),
        ("title:'the beta'", "b"),
        ('title:"Gamma | One"', "c"),  # a title is one value
        ('"title":Alpha', "a"),
        ("item_id:d", "d"),
        ("", "abcde"),
    ],
)
def test_a_query_fits(ratings, query, items):
    assert fitting(ratings, query) == items


def test_seen_is_no_term_of_a_field():
    assert parse("seen genre:War")[1] is True
    assert parse("genre:War -seen")[1] is False
    assert parse("genre:War")[1] is None


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("War", "'War' is no term"),
        ("genre:War OR genre:Drama", "'OR' is no term, and all terms must hold"),
        ("genre:", "begins with no term; write field:value"),
        ('genre:""', "has no value"),
        ('title:"The', "begins with no term"),
        (":War", "begins with no term"),
        ("seen -seen", "both seen and -seen"),
        ("gnres:War", "no field of the items 'gnres'. Did you mean 'genres'"),
        ("year!=3", "Did you mean 'year'"),
        ("genres>=3", "field of several values; ask for one of them: genres:value"),
        ("year>=new", "compares numbers or dates"),
        ("title>=3", "title has such values as 'Alpha', 'The Beta'"),
    ],
)
def test_a_query_that_cannot_be_read_says_why(bias, query, message):
    with pytest.raises(SettingError, match=message):
        rc.top_n(bias, user_ids=["u"], where=query)


def test_where_nothing_fits_each_term_says_how_many_it_leaves(bias):
    with pytest.raises(DataError) as caught:
        rc.top_n(bias, user_ids=["u"], where="genre:War year>1990 tags:blu", items=["a", "b", "d"])
    message = str(caught.value)
    assert "of 5 items, items leaves 3, genre:War leaves 2, year>1990 leaves 2" in message
    assert "tags:blu leaves 0, and all together none" in message
    assert "most frequent values of tags are 'blue', 'Blue', 'red', 'slow'" in message


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("year>2010", "year is from 1980 to 2003"),
        ("price>=500", "price is from 9.5 to 100"),  # and "free" is no number
        ("released<1970", "released is from 1980-01-01 to 2003-07-01"),
    ],
)
def test_where_no_number_fits_the_error_says_what_there_is(bias, query, message):
    with pytest.raises(DataError, match=message):
        rc.top_n(bias, user_ids=["u"], where=query)


def test_without_a_table_the_item_id_is_the_only_field(ratings):
    plain = rc.make("bias").fit(rc.from_tuples([("u", "a", 5), ("v", "b", 3)], scale=(1, 5)))
    assert rc.top_n(plain, user_ids=["u"], where="item_id:b")["item_id"].to_list() == ["b"]
    with pytest.raises(SettingError, match=r"nothing of its items but.*with_items"):
        rc.top_n(plain, user_ids=["u"], where="genre:War")


@pytest.mark.parametrize(
    ("where", "items"),
    [
        ({"genre": "War"}, {"e"}),
        ({"genre": ["Comedy", "war"]}, {"b", "e"}),
        ({"genre": ["Comedy", "war"], "year": 1999}, {"b"}),
        (pl.col("year") > 1985, {"b", "d"}),
        (pl.col("genres").list.contains("War"), {"e"}),
        ({}, {"b", "c", "d", "e"}),
    ],
)
def test_a_mapping_or_an_expression_does_as_well(bias, where, items):
    assert set(rc.top_n(bias, user_ids=["u"], where=where)["item_id"]) == items


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"genre": None}, "expected a value"),
        ({"genre": []}, "expected a value"),
        ({"genre": {"not": "War"}}, "expected a value"),
        (pl.col("nothing") > 1, "cannot be evaluated"),
        (pl.col("year"), "expected one Boolean"),
        (pl.col("year").max() > 1, "expected one Boolean"),
    ],
)
def test_another_where_is_refused(bias, where, message):
    with pytest.raises(SettingError, match=message):
        rc.top_n(bias, user_ids=["u"], where=where)


def test_seen_in_a_query_lists_what_the_user_has_rated(bias):
    assert "a" not in rc.top_n(bias, user_ids=["u"])["item_id"]
    assert "a" in rc.top_n(bias, user_ids=["u"], where="seen")["item_id"]
    assert "a" not in rc.top_n(bias, user_ids=["u"], where="-seen")["item_id"]
    with pytest.raises(SettingError, match="asks for the opposite"):
        rc.top_n(bias, user_ids=["u"], where="-seen", seen=True)


@pytest.mark.filterwarnings("ignore::recollect.RecollectWarning")
def test_a_query_is_for_someone_new_and_someone_unknown_too(bias):
    for who in ({"ratings": {"b": 5}}, {"user_ids": ["nobody"]}):
        frame = rc.top_n(bias, where="genre:War", **who)
        assert set(frame["item_id"]) == {"a", "e"}


def test_who_has_rated_all_that_fits_is_named(bias):
    with pytest.warns(rc.RecollectWarning, match="rated every one of these items"):
        assert rc.top_n(bias, user_ids=["v"], where="genre:War").is_empty()


def test_more_than_there_are_are_all_that_fit(bias):
    assert len(rc.top_n(bias, user_ids=["u"], where="year>=1990", n=1000)) == 2

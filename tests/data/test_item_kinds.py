"""Kinds of items: in the item table, in rows of lists, through splits and saved models."""

import numpy as np
import polars as pl
import pytest

import recollect as rc
from recollect.data.by_kind import item_ids_by_kind
from recollect.data.playlists import as_events, rows_of_lists
from recollect.data.text.pieces import pieces
from recollect.errors import DataError, RecollectWarning, SettingError

LISTS = pl.DataFrame(
    {
        "id": ["a", "b", "c"],
        "title": ["Rainy days", "rainy", ""],
        "songs": [["7", "8", "7"], ["2020"], ["8"]],
        "tags": [["2020"], ["2020", "jazz"], []],
        "time": [10, 20, 30],
    },
    schema_overrides={"tags": pl.List(pl.String)},
)


@pytest.fixture
def events():
    facts = pl.DataFrame({"kind": ["songs"], "own_id": ["7"], "title": ["Seven"]})
    return as_events(LISTS, facts, name="lists")


def ids_of(events, user):
    return set(events.items.at(events.item[events.user == user]))


def test_a_song_and_a_tag_of_the_same_name_are_two_items(events):
    assert {"songs:2020", "tags:2020", "tags:jazz"} <= ids_of(events, 1)
    assert "tags:2020" in ids_of(events, 0)
    assert "songs:2020" not in ids_of(events, 0)


def test_an_item_counts_once_in_a_list_and_has_the_time_of_the_list(events):
    songs = events.kinds.mask("songs")[events.item]
    assert songs.sum() == 4
    assert set(events.time[events.user == 2]) == {30}
    assert (events.value == 1).all()


def test_words_that_stand_in_one_title_only_are_left_out_and_counted(events):
    words = {id_ for id_ in events.items.ids if id_.startswith("words:")}
    assert "words:rainy" in words
    assert "words:days" not in words
    assert "left out" in events.notes[-1]
    # Of "<rainy>" 6 pairs and 5 triples in both titles, the word itself, and none of "days".
    assert len(words) == 12


def test_titles_are_cut_into_words_and_runs_of_letters():
    assert pieces("Ab, ab!") == ["ab", "~<a", "~ab", "~b>", "~<ab", "~ab>"]
    assert pieces("") == []


def test_a_title_of_the_item_table_is_kept_and_others_have_their_own_id(events):
    assert events.titles(["songs:7", "tags:jazz"]) == ["Seven", "jazz"]


def test_kinds_pass_through_splits_further_items_and_saved_models(events, tmp_path):
    part = rc.random_split(events, test=0.3, seed=0).train
    assert part.kinds.names == ("songs", "tags", "words")
    titled = rc.with_items(part, {"songs:8": "Eight"})
    assert titled.kinds.mask("tags").sum() == 2
    rc.save(rc.make("popularity").fit(titled), tmp_path / "run")
    again = rc.load_model(tmp_path / "run").given_.kinds
    assert again.names == titled.kinds.names
    np.testing.assert_array_equal(again.of_item, titled.kinds.of_item)


def test_items_without_stated_kinds_are_of_one():
    plain = rc.from_tuples([("a", "x"), ("b", "y")], implicit=True)
    assert plain.kinds.names == ("items",)
    assert plain.kinds.rows("items", ["y", "z"]).tolist() == [1, -1]


def test_the_table_of_items_may_state_kinds_of_other_things():
    plain = rc.from_tuples([("a", "x"), ("b", "y")], implicit=True)
    table = pl.DataFrame({"item_id": ["x", "y"], "kind": ["products", "brands"]})
    kinds = rc.with_items(plain, table).kinds
    assert kinds.names == ("brands", "products")
    assert kinds.rows("brands", ["y", "x"]).tolist() == [1, -1]


def test_an_unknown_kind_is_refused_and_the_nearest_named(events):
    with pytest.raises(SettingError, match="Did you mean 'songs'"):
        events.kinds.mask("song")


def test_lists_become_rows_and_unknown_items_are_counted(events):
    asked = pl.DataFrame(
        {"id": ["x", "y"], "title": ["rainy", ""], "songs": [["8", "99"], []], "tags": [["q"], []]},
        schema_overrides={"songs": pl.List(pl.String), "tags": pl.List(pl.String)},
    )
    rows, n_unknown = rows_of_lists(asked, events.kinds)
    assert set(events.items.at(rows.column)) >= {"songs:8", "words:rainy"}
    assert n_unknown == {"songs": 1, "tags": 1}
    assert rows.counts.tolist() == [13, 0]


def test_events_by_kind_become_item_ids_and_unknown_ones_go_on(events):
    found = item_ids_by_kind(events.kinds, {"songs": [7, 99], "tags": ["jazz"], "title": "Rainy"})
    assert found[:3] == ["songs:7", "songs:99", "tags:jazz"]
    assert "words:rainy" in found
    with pytest.warns(RecollectWarning, match="No word"):
        assert item_ids_by_kind(events.kinds, {"title": "zzz"}) == []


def test_lists_without_items_are_refused():
    empty = LISTS.with_columns(pl.Series("songs", [[]] * 3, dtype=pl.List(pl.String)))
    with pytest.raises(DataError, match="no list with an item"):
        as_events(empty.drop("title", "tags"), name="none")

"""Readers of Melon, the Million Playlist Dataset, Last.fm and citeulike with tags: small files."""

import json
from dataclasses import replace

import numpy as np
import pytest

from recollect.data import sources
from recollect.data.open_data import kind_of, load, missing
from recollect.data.sources import citeulike, citeulike_tags, melon, mpd
from recollect.data.sources.melon import best, files, synthetic
from recollect.errors import DataError, FetchError
from recollect.evaluation.playlists import ask, score

LISTS = [
    {
        "id": 61281,
        "plylst_title": "여행같은 음악",
        "tags": ["락"],
        "songs": [525514, 129701],
        "like_cnt": 71,
        "updt_date": "2013-12-19 18:36:19.000",
    },
    {
        "id": 10532,
        "plylst_title": "여행",
        "tags": ["추억", "회상"],
        "songs": [129701],
        "like_cnt": 1,
        "updt_date": "2014-12-02 16:19:42.000",
    },
]
SONGS = [
    {
        "id": 129701,
        "song_name": "비",
        "album_id": 7,
        "artist_id_basket": [2727, 28],
        "artist_name_basket": ["A", "B"],
        "song_gn_gnr_basket": ["GN0900"],
        "song_gn_dtl_gnr_basket": ["GN0901"],
        "issue_date": "20140512",
    },
    {"id": 525514, "song_name": "눈", "issue_date": "0"},
]


@pytest.fixture
def melon_folder(tmp_path):
    home = tmp_path / "melon"
    home.mkdir()
    (home / "train.json").write_text(json.dumps(LISTS, ensure_ascii=False))
    (home / "song_meta.json").write_text(json.dumps(SONGS, ensure_ascii=False))
    (home / "genre_gn_all.json").write_text(json.dumps({"GN0900": "록"}))
    return home


def test_melon_is_read_by_name_by_folder_and_by_file(melon_folder):
    by_name = load("melon/train", melon_folder.parent)
    assert kind_of(melon_folder) == kind_of(melon_folder / "train.json") == "melon"
    for ratings in (by_name, load(melon_folder), load(melon_folder / "train.json")):
        assert ratings.users.ids.to_list() == ["61281", "10532"]
        assert ratings.kinds.names == ("songs", "tags", "words")
        assert ratings.fingerprint == by_name.fingerprint
    frame = by_name.frame()
    assert ("10532", "tags:회상") in set(frame.select("user_id", "item_id").iter_rows())
    assert by_name.time.min() == 1387478179  # 2013-12-19 18:36:19 UTC


def test_facts_of_melons_songs_stand_in_the_item_table(melon_folder):
    table = load(melon_folder).catalogue
    [song] = table.filter(table["item_id"] == "songs:129701").to_dicts()
    assert song["title"] == "비"
    assert song["artists"] == ["2727", "28"]
    assert song["genres"] == ["록 (GN0900)", "GN0901"]
    assert song["issued"] == 20140512
    [other] = table.filter(table["item_id"] == "songs:525514").to_dicts()
    assert other["issued"] is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read as JSON"),
        ("{}", "expected an array of lists"),
        ('[{"id": 1, "songs": [1]}]', "Entry 1 of .* expected an object with id"),
        ('[{"id": 1, "songs": [], "tags": []}, {"id": 1, "songs": [], "tags": []}]', "twice"),
        ('[{"id": 1, "songs": [], "tags": [], "updt_date": "today"}]', "no date such as"),
    ],
)
def test_a_damaged_file_of_lists_is_refused(tmp_path, content, message):
    (tmp_path / "lists.json").write_text(content)
    with pytest.raises(DataError, match=message):
        files.read_lists(tmp_path / "lists.json")


def test_a_missing_set_says_where_to_put_it(tmp_path):
    with pytest.raises(FetchError, match="put your copy of train"):
        melon.load("train", tmp_path)
    assert "melon/train is not here" in missing("melon/train")


def test_what_is_written_is_read_again(tmp_path, melon_folder):
    lists = files.read_lists(melon_folder / "train.json")
    files.write_json(tmp_path / "again.json", files.as_entries(lists))
    again = files.read_lists(tmp_path / "again.json")
    assert again.equals(lists.drop("time"))
    assert json.loads((tmp_path / "again.json").read_text())[0]["songs"] == [525514, 129701]


def test_slices_are_read_in_order_and_a_repeated_track_counts_once(tmp_path):
    def track(uri):
        return {
            "track_uri": uri,
            "track_name": uri.upper(),
            "artist_name": "x",
            "artist_uri": "artist:1",
            "album_uri": "album:1",
        }

    for number, uris in ((0, "aab"), (1, "c")):
        content = {
            "playlists": [
                {
                    "pid": number,
                    "name": "Rain",
                    "modified_at": 5 + number,
                    "tracks": [track(uri) for uri in uris],
                }
            ]
        }
        path = tmp_path / f"mpd.slice.{1000 * number}-{1000 * number + 999}.json"
        path.write_text(json.dumps(content))
    ratings = load(tmp_path)
    assert kind_of(tmp_path) == "mpd"
    assert ratings.users.ids.to_list() == ["0", "1"]
    tracks = ratings.kinds.mask("tracks")[ratings.item]
    assert tracks.sum() == 3
    assert ratings.titles(["tracks:c"]) == ["C"]
    assert mpd.read(tmp_path, most=1).n_users == 1


def test_lastfm_has_the_artists_and_tags_of_listeners(tmp_path):
    home = tmp_path / "lastfm-2k"
    home.mkdir()
    contents = {
        "artists.dat": "id\tname\turl\tpictureURL\r\n5\tBj\xf6rk\thttp\t\r\n6\tLow\thttp\t\r\n",
        "user_artists.dat": "userID\tartistID\tweight\r\n2\t5\t13\r\n3\t5\t1\r\n3\t6\t1\r\n",
        "tags.dat": "tagID\ttagValue\r\n1\tice\r\n2\tslow\r\n",
        "user_taggedartists.dat": "userID\tartistID\ttagID\tday\r\n2\t5\t1\t1\r\n2\t6\t1\t1\r\n",
    }
    for name, content in contents.items():
        (home / name).write_bytes(content.encode("latin-1"))
    ratings = load("lastfm/2k", tmp_path)
    assert set(ratings.frame().select("user_id", "item_id").iter_rows()) == {
        ("2", "artists:5"),
        ("3", "artists:5"),
        ("3", "artists:6"),
        ("2", "tags:ice"),
    }
    assert ratings.titles(["artists:5"]) == ["Björk"]
    (home / "user_artists.dat").write_text("userID\tartistID\n2\n")
    with pytest.raises(DataError, match="Line 2"):
        load("lastfm/2k", tmp_path)


def test_a_library_has_the_most_telling_tags_of_its_articles(tmp_path, monkeypatch):
    release = replace(citeulike.VARIANTS["t"], users=3, articles=4, likes=6, words=5, md5={})
    monkeypatch.setitem(citeulike.VARIANTS, "t", release)
    home = tmp_path / "citeulike-t"
    home.mkdir()
    (home / "users.dat").write_text("2 0 2\n1 2\n3 3 0 2")
    (home / "tags.dat").write_text("gene\nrare\nbrain\n")
    (home / "tag-item.dat").write_text("2 0 2\n1 3\n2 0 3\n")
    ratings = load("citeulike_tags/t", tmp_path)
    tags = ratings.frame().filter(ratings.frame()["item_id"].str.starts_with("tags:"))
    # gene: two articles of libraries 0 and 2; brain: two of library 2; rare: one article only.
    assert set(tags.select("user_id", "item_id").iter_rows()) == {
        ("0", "tags:gene"),
        ("2", "tags:gene"),
        ("2", "tags:brain"),
    }
    assert citeulike_tags.is_here("t", tmp_path)


def test_planted_lists_have_the_rates_of_their_themes():
    truth = synthetic.truth_of(synthetic.Sizes(3000, 10, 900, 120, 6), seed=3)
    lists, theme = synthetic.draw(truth, 3000, seed=3)
    items, rates = truth.tags_of(2)
    own = lists.filter(theme == 2)["tags"]
    counted = own.explode().value_counts()
    share = dict(zip(counted["tags"], counted["count"] / len(own), strict=True))
    found = np.array([share.get(synthetic.tag_name(tag), 0.0) for tag in items])
    # A share of about 500 lists has a standard deviation of at most 0.022.
    np.testing.assert_allclose(found, rates, atol=0.09)
    assert share.keys() <= {synthetic.tag_name(tag) for tag in items}


def test_no_planted_list_has_a_song_that_was_issued_later():
    truth = synthetic.truth_of(synthetic.Sizes(500, 10, 900, 120, 6), seed=0)
    lists, _ = synthetic.draw(truth, 500, seed=0)
    for row in lists.to_dicts():
        assert all(truth.issued[int(song)] <= row["month"] for song in row["songs"])


def test_the_best_answers_beat_those_for_a_wrong_theme_and_not_those_for_the_right_one():
    sizes = synthetic.Sizes(0, 400, 900, 120, 6)
    truth = synthetic.truth_of(sizes, seed=0)
    lists, theme = synthetic.draw(truth, 400, seed=1)
    asked = ask(lists.drop("month"), seed=0)
    shown = [asked.kinds[kind].shown for kind in asked.kind]

    def figure(themes):
        results = best.best_results(
            truth, asked.questions, shown, lists["month"].to_list(), themes=themes
        )
        return score(results, asked.answers).score

    by_posterior, by_theme = figure(None), figure(theme)
    assert figure((theme + 3) % 6) < 0.5 * by_posterior
    # Titles do not always tell the theme; everything else does.
    assert 0.98 * by_theme < by_posterior < by_theme + 0.001


def test_the_new_sets_are_listed():
    assert {"melon/train", "mpd/full", "lastfm/2k", "citeulike_tags/t"} <= set(sources.known())

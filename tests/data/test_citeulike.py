"""CiteULike's likes and bags of words, from small files in the form that they come in."""

from dataclasses import replace

import numpy as np
import pytest

from recollect.data.open_data import load
from recollect.data.sources import citeulike
from recollect.errors import DataError, FetchError

USERS = "2 0 2\n1 2\n3 3 0 2"  # the last line has no end
BAGS = "3 4:1 0:2 1:1\n0\n1 3:3\n2 1:1 3:1\n"  # article 1 has no words
VOCABULARY = "gene\nbrain\nm-estimators\n60\u2009000\n\u2018local\u2019\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """3 users with 6 likes of 4 articles with 5 words; article 1 is liked by nobody."""
    release = replace(citeulike.VARIANTS["t"], users=3, articles=4, likes=6, words=5, md5={})
    monkeypatch.setitem(citeulike.VARIANTS, "t", release)
    home = tmp_path / "citeulike-t"
    home.mkdir()
    for name, content in (("users.dat", USERS), ("mult.dat", BAGS), ("vocabulary.dat", VOCABULARY)):
        (home / name).write_bytes(content.encode())
    return tmp_path


def test_likes_are_events_of_numbered_users_and_all_articles(folder):
    likes = load("citeulike/t", folder)
    assert likes.implicit
    assert set(likes.frame().rows()) == {
        ("0", "0", 1.0),
        ("0", "2", 1.0),
        ("1", "2", 1.0),
        ("2", "0", 1.0),
        ("2", "2", 1.0),
        ("2", "3", 1.0),
    }
    assert (likes.n_users, likes.n_items) == (3, 4)
    assert likes.items.ids.to_list() == ["0", "1", "2", "3"]
    assert "numbered from 0" in likes.notes[0]


def test_a_word_stands_as_often_as_the_article_has_it(folder):
    found = citeulike.bags("t", folder)
    assert found.words.ids.to_list() == [
        "gene",
        "brain",
        "m-estimators",
        "60\u2009000",
        "\u2018local\u2019",
    ]
    assert [
        found.words.at(found.word[a:b]).to_list()
        for a, b in zip(found.start, found.start[1:], strict=False)
    ] == [
        ["\u2018local\u2019", "gene", "gene", "brain"],
        [],
        ["60\u2009000"] * 3,
        ["brain", "60\u2009000"],
    ]
    assert found.in_documents.tolist() == [1, 2, 0, 2, 1]
    assert found.has.tolist() == [True, False, True, True]
    assert found.notes[1] == "1 of 4 articles have no words."


def test_bags_go_with_the_likes(folder):
    likes = load("citeulike/t", folder)
    read = replace(likes, text=citeulike.bags("t", folder))
    assert len(read.text) == read.n_items
    assert read.fingerprint != likes.fingerprint


def test_windows_line_ends_change_nothing(folder):
    before = load("citeulike/t", folder).fingerprint, citeulike.bags("t", folder).fingerprint
    for path in (folder / "citeulike-t").iterdir():
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert (
        load("citeulike/t", folder).fingerprint,
        citeulike.bags("t", folder).fingerprint,
    ) == before


@pytest.mark.parametrize(
    ("users", "message"),
    [
        ("2 0 2\n1 2\n4 3 0 2\n", r"Line 3 of .*users\.dat announces 4 articles and names 3"),
        ("2 0 2\n1 x\n3 3 0 2\n", "Line 2 of .* is '1 x'; expected whole numbers"),
        ("2 0 2\n\n3 3 0 2\n", "Line 2 of .* is ''"),
        ("2 0 2\n1 2\n", r"users\.dat holds 2 users; published are 3"),
        ("2 0 2\n1 2\n2 3 0\n", r"users\.dat holds 5 likes; published are 6"),
        ("2 0 2\n1 2\n3 3 0 4\n", "item row numbers run from 0 to 4, but there are 4 item ids"),
        ("2 0 2\n1 2\n3 3 0 0\n", "1 pairs stand more than once"),
    ],
)
def test_damaged_likes_are_refused(folder, users, message):
    (folder / "citeulike-t" / "users.dat").write_text(users)
    with pytest.raises(DataError, match=message):
        load("citeulike/t", folder)


@pytest.mark.parametrize(
    ("bags", "message"),
    [
        (
            BAGS.replace("1 3:3", "2 3:3"),
            r"Line 3 of .*mult\.dat is '2 3:3'; expected how many words",
        ),
        (BAGS.replace("1 3:3", "1 5:3"), "below 5"),
        (BAGS.replace("1 3:3", "1 3:0"), "1 or more"),
        (BAGS.replace("1 3:3", "1 3"), "Line 3"),
        (BAGS + "0\n", r"mult\.dat holds 5 articles; published are 4"),
    ],
)
def test_damaged_bags_are_refused(folder, bags, message):
    (folder / "citeulike-t" / "mult.dat").write_text(bags)
    with pytest.raises(DataError, match=message):
        citeulike.bags("t", folder)


def test_another_number_of_words_is_refused(folder):
    (folder / "citeulike-t" / "vocabulary.dat").write_text("gene\nbrain\n")
    with pytest.raises(DataError, match=r"vocabulary\.dat holds 2 words; published are 5"):
        citeulike.bags("t", folder)


def test_missing_files_are_downloaded_and_checked(tmp_path, monkeypatch):
    asked = []

    def offline(address, path, checksum):
        asked.append((address, path, checksum))
        raise FetchError(address)

    monkeypatch.setattr("recollect.data.download.download", offline)
    for variant in ("t", "a"):
        assert not citeulike.is_here(variant, tmp_path)
        with pytest.raises(FetchError):
            load(f"citeulike/{variant}", tmp_path)
    address = "https://raw.githubusercontent.com/js05212/citeulike-{0}/master/users.dat"
    assert asked == [
        (
            address.format("t"),
            tmp_path / "citeulike-t" / "users.dat",
            "md5:4e6b896cc923445803c1b8f12eb1c3bd",
        ),
        (address.format("a"), tmp_path / "citeulike-a" / "users.dat", None),
    ]


def test_counts_of_words_are_those_of_the_file(folder):
    assert np.array_equal(
        citeulike.bags("t", folder).counts().toarray(),
        [[2, 1, 0, 0, 1], [0, 0, 0, 0, 0], [0, 0, 0, 3, 0], [0, 1, 0, 1, 0]],
    )

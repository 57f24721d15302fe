"""The Netflix Prize's files: what is read and refused, and the windows; all on made folders."""

from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest

import recollect as rc
from recollect.data.open_data import load
from recollect.data.sources import netflix
from recollect.data.sources.netflix import pieces, prize_files
from recollect.data.sources.netflix.synthetic import sizes, write_netflix
from recollect.data.splitting import window_split
from recollect.errors import DataError, SettingError

FILES = {
    "training_set/mv_0000001.txt": (
        "1:\n1488844,3,2005-09-06\n7,5,2005-05-13\n2649429,1,1999-11-11\n"
    ),
    "training_set/mv_0000002.txt": "2:\n",
    "training_set/mv_0000010.txt": "10:\n7,2,2004-02-29\n30,4,2005-12-31\n",
    "movie_titles.txt": (
        "1,2003,Dinosaur Planet\n2,2004,Isle of Man TT 2004 Review\n10,NULL,Amélie, The Café\n"
    ),
    "probe.txt": "10:\n30\n1:\n2649429\n7\n",
}
ROWS = {
    ("1488844", "1", 3.0, "2005-09-06"),
    ("7", "1", 5.0, "2005-05-13"),
    ("2649429", "1", 1.0, "1999-11-11"),
    ("7", "10", 2.0, "2004-02-29"),
    ("30", "10", 4.0, "2005-12-31"),
}


def write(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text.encode("latin-1"))
    return folder


def rows(ratings):
    days = pl.from_epoch("timestamp").dt.strftime("%Y-%m-%d")
    return set(ratings.frame().with_columns(timestamp=days).rows())


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path / "netflix", FILES)


@pytest.fixture
def combined(tmp_path):
    """The same as two files of many films: the first has the line ends of Windows, the second no
    last line end."""
    first = (FILES["training_set/mv_0000001.txt"] + FILES["training_set/mv_0000002.txt"]).replace(
        "\n", "\r\n"
    )
    return write(
        tmp_path / "combined",
        {
            "combined_data_1.txt": first,
            "movie_titles.csv": FILES["movie_titles.txt"],
            "combined_data_2.txt": FILES["training_set/mv_0000010.txt"].removesuffix("\n"),
        },
    )


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A made folder: 30,000 ratings of 300 films by 600 users."""
    folder = tmp_path_factory.mktemp("made") / "netflix"
    write_netflix(folder, n_users=600, n_items=300, n_ratings=30_000)
    return folder


# ---- what is read


def test_every_rating_has_its_user_film_value_and_day(folder):
    assert rows(netflix.read(folder)) == ROWS


def test_times_are_the_first_second_of_the_day_in_utc(folder):
    time = netflix.read(folder).time
    assert time.dtype == np.int64
    assert time.min() == (date(1999, 11, 11) - date(1970, 1, 1)).days * 86_400
    assert not (time % 86_400).any()


def test_a_film_without_ratings_has_a_title_but_is_no_item(folder):
    ratings = netflix.read(folder)
    assert ratings.items.ids.to_list() == ["1", "10"]
    assert ratings.titles(["2"]) == ["Isle of Man TT 2004 Review"]


def test_titles_hold_commas_and_accents_and_years_may_be_unknown(folder):
    catalogue = netflix.read(folder).catalogue
    assert catalogue.row(2) == ("10", "Amélie, The Café", None)
    assert catalogue["year"].to_list() == [2003, 2004, None]


def test_ids_are_in_the_order_of_their_size(folder):
    assert netflix.read(folder).users.ids.to_list() == ["7", "30", "1488844", "2649429"]


def test_both_forms_give_the_same_ratings_whatever_the_line_ends(folder, combined):
    one, two = netflix.read(folder), netflix.read(combined)
    assert rows(two) == ROWS
    assert one.fingerprint == two.fingerprint
    assert one.catalogue.equals(two.catalogue)


def test_ratings_are_those_that_read_makes_of_a_table(folder):
    frame = netflix.read(folder).frame()
    assert rc.from_frame(frame, scale=(1, 5)).fingerprint == netflix.read(folder).fingerprint


@pytest.mark.parametrize("piece", [1, 700, 1 << 30])
def test_a_film_may_go_on_in_the_next_piece(planted, monkeypatch, piece):
    """Whatever the size of pieces, of files and of blocks in which they are taken in."""
    whole = netflix.read(planted)
    monkeypatch.setattr(pieces, "PIECE", piece)
    monkeypatch.setattr("recollect.data.parsing.lines.BLOCK", 500)
    assert netflix.read(planted).fingerprint == whole.fingerprint


def test_titles_may_be_missing(folder):
    (folder / "movie_titles.txt").unlink()
    assert netflix.read(folder).catalogue is None


def test_a_name_and_a_path_lead_to_the_folder(folder, monkeypatch):
    monkeypatch.setenv("RECOLLECT_DATA", str(folder.parent))
    by_name, by_path = load("netflix/full"), load(folder)
    assert (by_name.name, by_path.name) == ("netflix/full", "netflix")
    assert by_name.fingerprint == by_path.fingerprint == load("netflix/full", folder).fingerprint


def test_what_is_not_the_whole_set_says_so(folder):
    (note,) = netflix.read(folder).notes
    assert (
        "not the whole Netflix Prize: 5 ratings of 2 films by 4 users; published are 100,480,507"
        in note
    )


def test_nothing_is_drawn_where_there_is_no_terminal(folder, capfd):
    netflix.read(folder)
    assert capfd.readouterr() == ("", "")


# ---- what is refused


@pytest.mark.parametrize(
    "line",
    [
        "7,6,2005-01-01",
        "7,0,2005-01-01",
        "7,,2005-01-01",
        "7,3.5,2005-01-01",
        "0,3,2005-01-01",
        "2649430,3,2005-01-01",
        "26494290,3,2005-01-01",
        "07,3,2005-01-01",
        "x7,3,2005-01-01",
        "7x,3,2005-01-01",
        ",3,2005-01-01",
        "-7,3,2005-01-01",
        "7,3,2005-02-29",
        "7,3,2005-13-01",
        "7,3,2005-1-01",
        "7,3,2006-01-01",
        "7,3,1997-12-31",
        "7,3,2005/01/01",
        "7,3",
        "7;3;2005-01-01",
        "7,3,2005-01-01,",
        "7,3,2005-01-01 ",
        "",
        "café,3,2005-01-01",
        "7:3,2005-01-01",
        "3,7",
    ],
)
def test_a_damaged_line_is_refused_with_its_file_and_line(folder, line):
    write(folder, {"training_set/mv_0000011.txt": f"11:\n8,3,2005-01-01\n{line}\n9,3,2005-01-01\n"})
    with pytest.raises(
        DataError,
        match=(
            r"^Line 3 of .*mv_0000011\.txt is '.*'; "
            r"expected a film such as 1: or user,rating,date"
        ),
    ):
        netflix.read(folder)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r"mv_0000011\.txt is empty; expected a film such as 1: in its first line"),
        (
            "8,3,2005-01-01\n",
            r"Line 1 of .*mv_0000011\.txt is '8,3,2005-01-01'; "
            r"expected a film such as 1: in the first line",
        ),
        ("17771:\n", r"Line 1 of .*mv_0000011\.txt is '17771:'; expected a film from 1: to 17770:"),
        ("11:\n8,3,2005-01-01\nx:\n", r"Line 3 of .*mv_0000011\.txt is 'x:'; expected a film"),
        (
            "1:\n8,3,2005-01-01\n",
            r"Line 1 of .*mv_0000011\.txt: film 1 comes again; expected each film once",
        ),
        (
            "11:\n8,3,2005-01-01\n9,2,2005-01-01\n8,3,2005-01-01\n",
            r"User 8 rates film 11 more than once",
        ),
    ],
)
def test_a_damaged_file_is_refused(folder, text, said):
    write(folder, {"training_set/mv_0000011.txt": text})
    with pytest.raises(DataError, match=said):
        netflix.read(folder)


def test_a_damaged_line_of_a_later_piece_has_its_number(planted, tmp_path, monkeypatch):
    monkeypatch.setattr(pieces, "PIECE", 1)
    monkeypatch.setattr("recollect.data.parsing.lines.BLOCK", 300)
    text = "".join(
        (planted / "training_set" / f"mv_{film:07}.txt").read_text() for film in range(1, 30)
    )
    at = text.count("\n") + 1
    write(tmp_path, {"combined_data_1.txt": text + "1,2,2005-01-99\n"})
    with pytest.raises(
        DataError, match=rf"^Line {at} of .*combined_data_1\.txt is '1,2,2005-01-99'"
    ):
        netflix.read(tmp_path)


def test_films_without_any_rating_are_refused(tmp_path):
    write(tmp_path, {"training_set/mv_0000001.txt": "1:\n"})
    with pytest.raises(DataError, match=r"no ratings in .*only films"):
        netflix.read(tmp_path)


@pytest.mark.parametrize("line", ["x,2003,Title", "12,03,Title", "12,2003,", "12,2003", "12"])
def test_a_damaged_title_is_refused_with_its_line(folder, line):
    with (folder / "movie_titles.txt").open("a") as out:
        out.write(line + "\n")
    with pytest.raises(
        DataError, match=rf"Line 4 of .*movie_titles\.txt is '{line}'; expected id,year,title"
    ):
        netflix.read(folder)


def test_a_missing_folder_says_what_was_looked_for_where_and_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("RECOLLECT_DATA", str(tmp_path / "mine"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as error:
        load("netflix/full")
    for said in (
        str(tmp_path / "mine" / "netflix"),
        "training_set/mv_0000001.txt",
        "combined_data_1.txt",
        "no longer distributed",
        "RECOLLECT_DATA",
        "recollect data plant",
    ):
        assert said in str(error.value)


def test_a_packed_folder_says_how_to_unpack_it(tmp_path):
    write(tmp_path, {"netflix/training_set.tar": "…".encode().decode("latin-1")})
    with pytest.raises(
        DataError,
        match=r"training_set\.tar is packed; unpack it where it is: cd .*netflix && tar -xf",
    ):
        load("netflix/full", tmp_path)


# ---- the probe set


def test_probe_parts_hold_every_rating_once_with_one_vocabulary(folder):
    train, probe = netflix.probe(folder)
    assert rows(probe) == {
        ("30", "10", 4.0, "2005-12-31"),
        ("2649429", "1", 1.0, "1999-11-11"),
        ("7", "1", 5.0, "2005-05-13"),
    }
    assert rows(train) == ROWS - rows(probe)
    assert (train.users, train.items) == (probe.users, probe.items)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("10:\n1488844\n", "names 1 users of film 10, of whom 0 have rated it"),
        ("2:\n7\n", "names 1 users of film 2, of whom 0"),
        ("1:\n7\n7\n", "names 2 users of film 1, of whom 1"),
        ("1:\n7,5\n", r"Line 2 of .*probe\.txt is '7,5'; expected a film such as 1: or a user"),
    ],
)
def test_a_probe_set_of_other_ratings_is_refused(folder, text, said):
    write(folder, {"probe.txt": text})
    with pytest.raises(DataError, match=said):
        netflix.probe(folder)


def test_a_missing_probe_set_is_told(folder):
    (folder / "probe.txt").unlink()
    with pytest.raises(DataError, match=r"no probe\.txt in"):
        netflix.probe(folder)


# ---- the windows


@pytest.mark.parametrize("name", netflix.WINDOWS)
def test_a_window_is_the_window_split_of_its_days(planted, name):
    ratings, days = netflix.read(planted), netflix.WINDOWS[name]
    found = netflix.window(name, ratings=ratings, seed=3)
    expected = window_split(ratings, train=days.train_days, test=days.test_days, seed=3)
    assert [part.fingerprint for part in found] == [part.fingerprint for part in expected]
    assert abs(len(found.valid) - len(found.test)) <= 1
    assert found.table()["cold_ratings"].sum() == 0


def test_the_windows_are_those_of_the_paper():
    days = {name: (*w.train_days, *w.test_days) for name, w in netflix.WINDOWS.items()}
    assert days == {
        "3m": ("2005-09-01", "2005-11-30", "2005-12-01", "2005-12-31"),
        "6m": ("2005-06-01", "2005-11-30", "2005-12-01", "2005-12-31"),
        "1y": ("2004-06-01", "2005-05-31", "2005-06-01", "2005-06-30"),
        "full": ("1999-12-01", "2005-11-30", "2005-12-01", "2005-12-31"),
    }


def test_a_window_that_does_not_exist_is_answered_with_those_that_do():
    with pytest.raises(SettingError, match=r"no window of Netflix '3 m'.*Did you mean '3m'.*1y"):
        netflix.window("3 m")


def test_published_counts_stand_beside_what_was_found(planted):
    ratings = netflix.read(planted)
    found = {row["part"]: row for row in netflix.published(ratings)}
    assert len(found) == 1 + 2 * len(netflix.WINDOWS)
    split = netflix.window("1y", ratings=ratings)
    train = split.table().row(0, named=True)
    row = found["1 year, train"]
    assert (row["users"], row["ratings"], row["published_ratings"]) == (
        train["users"],
        train["ratings"],
        41_451_832,
    )
    assert row["verdict"] == f"{train['users'] - 345_855:+,}, {train['ratings'] - 41_451_832:+,}"
    assert found["1 year, test"]["ratings"] == len(split.valid) + len(split.test)


def test_counts_as_published_are_told_as_such(planted, monkeypatch):
    ratings = netflix.read(planted)
    whole = netflix.VARIANTS["full"]
    monkeypatch.setitem(
        netflix.VARIANTS,
        "full",
        netflix.Variant(ratings.n_items, netflix.Counts(ratings.n_users, len(ratings))),
    )
    assert netflix.published(ratings)[0]["verdict"] == "as published"
    assert netflix.read(planted).notes == ()
    assert whole.counts == (480_189, 100_480_507)


# ---- made folders


def test_a_made_folder_is_of_the_size_asked(planted):
    ratings = netflix.read(planted)
    assert (len(ratings), ratings.n_items) == (30_000, 300)
    assert 590 <= ratings.n_users <= 600  # who drew no rating does not appear
    assert ratings.titles(["1", "3", "5"]) == ["Film 1", "Film 3, The", "Café 5"]


def test_a_made_folder_has_the_published_shares_in_every_window(planted):
    """Within a tenth of all ratings: users' own periods make the shares of 600 users vary by some
    hundredths."""
    for row in netflix.published(netflix.read(planted)):
        assert row["ratings"] > 0
        assert row["ratings"] / 30_000 == pytest.approx(
            row["published_ratings"] / 100_480_507, abs=0.1
        )


def test_made_days_follow_the_calendar(tmp_path):
    write_netflix(tmp_path / "nf", n_users=20_000, n_items=10, n_ratings=60_000)
    time = netflix.read(tmp_path / "nf").time.astype("datetime64[s]")
    for day, share in (
        ("2004-06-01", 0.274),
        ("2005-06-01", 0.686),
        ("2005-09-01", 0.840),
        ("2005-12-01", 0.976),
    ):
        assert (time < np.datetime64(day)).mean() == pytest.approx(
            share, abs=0.02
        )  # five standard errors of 20,000 users
    assert time.min() >= np.datetime64("1999-11-11")
    assert time.max() <= np.datetime64("2005-12-31")


def test_both_made_forms_hold_the_same(planted, tmp_path):
    write_netflix(tmp_path / "nf", n_users=600, n_items=300, n_ratings=30_000, form="combined_data")
    assert len(list((tmp_path / "nf").glob("combined_data_*.txt"))) == 4
    assert netflix.read(tmp_path / "nf").fingerprint == netflix.read(planted).fingerprint
    assert (tmp_path / "nf" / "probe.txt").read_bytes() == (planted / "probe.txt").read_bytes()


def test_a_made_probe_set_has_its_share(planted):
    train, probe = netflix.probe(planted)
    assert len(train) + len(probe) == 30_000
    assert 300 < len(probe) < 550  # 30,000 × 1.4% = 420, five standard errors are 100


def test_another_seed_makes_another_folder(planted, tmp_path):
    write_netflix(tmp_path / "nf", n_users=600, n_items=300, n_ratings=30_000, seed=1)
    assert netflix.read(tmp_path / "nf").fingerprint != netflix.read(planted).fingerprint


def test_a_share_keeps_the_density():
    assert sizes(1) == (480_189, 17_770, 100_480_507)
    users, films, ratings = sizes(0.01)
    assert ratings / (users * films) == pytest.approx(100_480_507 / (480_189 * 17_770), rel=1e-3)


@pytest.mark.parametrize("share", [0, -1, 1.01, 1e-9, float("nan")])
def test_a_share_that_cannot_be_is_refused(share):
    with pytest.raises(SettingError, match="is the share of Netflix' 100,480,507 ratings"):
        sizes(share)


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_users": 3_000_000},
        {"n_items": 20_000},
        {"n_ratings": 10**7},
        {"n_ratings": 5},
        {"form": "tar"},
    ],
)
def test_a_folder_that_cannot_be_made_is_refused_and_nothing_is_left(tmp_path, wrong):
    with pytest.raises(SettingError, match=r"expected|Known"):
        write_netflix(
            tmp_path / "nf", **{"n_users": 600, "n_items": 300, "n_ratings": 30_000, **wrong}
        )
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_left_alone(folder):
    with pytest.raises(SettingError, match="is not empty"):
        write_netflix(folder, n_users=600, n_items=300, n_ratings=30_000)
    assert rows(netflix.read(folder)) == ROWS


def test_reading_says_how_far_it_is(folder):
    files, done = prize_files.find(folder), []
    prize_files.read(files, name="netflix", report=done.append)
    assert sum(done) == files.size


# ---- on disk


@pytest.mark.parametrize("form", ["training_set", "combined"])
def test_a_folder_is_stored_as_it_is_read(request, folder, tmp_path, form):
    place = folder if form == "training_set" else request.getfixturevalue("combined")
    stored, ratings = rc.store(place, tmp_path / "stored"), netflix.read(place)
    assert stored.fingerprint == replace(ratings, time=None).fingerprint
    assert stored.titles(["10"]) == ["Amélie, The Café"]
    assert (stored.name, stored.scale) == (place.name, (1.0, 5.0))


def test_films_without_any_rating_are_not_stored(tmp_path):
    write(tmp_path / "nf", {"training_set/mv_0000001.txt": "1:\n"})
    with pytest.raises(DataError, match="There are no ratings in"):
        rc.store(tmp_path / "nf", tmp_path / "stored")
    assert not (tmp_path / "stored").exists()

"""Data sets by name; downloads come from a server on this machine."""

import hashlib
import io
import threading
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from recollect.data import download
from recollect.data.open_data import kind_of, load, missing
from recollect.data.sources import known, movielens
from recollect.data.sources.planted import planted, planted_by_item
from recollect.errors import DataError, FetchError, SettingError

# ---- by name


def test_unknown_name_is_answered_with_those_that_exist():
    with pytest.raises(
        SettingError, match=r"'movielens/1n'.*Did you mean 'movielens/1m'.*planted/small"
    ):
        load("movielens/1n")


def test_every_known_name_has_a_line():
    assert {"movielens/100k", "movielens/25m", "planted/tiny"} <= set(known())
    assert all(known().values())


def test_path_is_read_as_a_file(tmp_path):
    path = tmp_path / "planted.csv"
    path.write_text("a,x,5\nb,x,1\n")
    assert len(load(path)) == len(load(str(path))) == 2


def test_path_that_does_not_exist_is_a_missing_file(tmp_path):
    with pytest.raises(DataError, match="There is no file"):
        load(tmp_path / "ratings.csv")


# ---- MovieLens, a small one in each format

ITEM_100K = (
    "1|Toy Story (1995)|01-Jan-1995||http://x|0|0|0|1|1|1|0|0|0|0|0|0|0|0|0|0|0|0|0\n"
    "2|Amélie|||" + "|0" * 19 + "\n"
)
FILES = {
    "100k": {
        "u.data": "1\t1\t5\t100\n1\t2\t3\t200\n2\t1\t1\t300\n",
        "u.item": ITEM_100K.encode("latin-1"),
        "u1.base": "1\t1\t5\t100\n2\t1\t1\t300\n",
        "u1.test": "1\t2\t3\t200\n",
    },
    "1m": {
        "ratings.dat": "1::1::5::100\n1::2::3::200\n2::1::1::300\n",
        "movies.dat": "1::Toy Story (1995)::Animation|Children's|Comedy\n2::Amélie::\n".encode(
            "latin-1"
        ),
    },
    "10m": {
        "ratings.dat": "1::1::5::100\n1::2::3::200\n2::1::1::300\n",
        "movies.dat": "1::Toy Story (1995)::Animation|Children's|Comedy\n"
        "2::Amélie::(no genres listed)\n",
    },
    "20m": {
        "ratings.csv": "userId,movieId,rating,timestamp\n1,1,5.0,100\n1,2,3.0,200\n2,1,1.0,300\n",
        "movies.csv": "movieId,title,genres\n1,Toy Story (1995),Animation|Children's|Comedy\n"
        "2,Amélie,(no genres listed)\n",
    },
}


@pytest.fixture
def small(monkeypatch):
    """Let MovieLens' releases have 2 users, 2 films and 3 ratings, and no fixed checksum."""
    for name, release in movielens.VARIANTS.items():
        monkeypatch.setitem(movielens.VARIANTS, name, replace(release, counts=(2, 2, 3), md5=None))


def unpacked(folder, variant):
    """The small files of a release, in the folder that its archive unpacks to."""
    home = folder / movielens.VARIANTS[variant].folder
    home.mkdir(parents=True)
    for name, content in FILES[variant].items():
        (home / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def packed(variant, inside):
    """The same as an archive."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in FILES[variant].items():
            archive.writestr(f"{inside}/{name}", text)
    return content.getvalue()


@pytest.mark.parametrize("variant", FILES)
def test_every_release_reads_ratings_titles_and_genres(small, tmp_path, variant):
    ratings = load(f"movielens/{variant}", unpacked(tmp_path, variant))
    assert set(ratings.frame().rows()) == {
        ("1", "1", 5.0, 100),
        ("1", "2", 3.0, 200),
        ("2", "1", 1.0, 300),
    }
    assert ratings.scale == ((1.0, 5.0) if variant in ("100k", "1m") else (0.5, 5.0))
    assert ratings.titles(["2", "1"]) == ["Amélie", "Toy Story (1995)"]
    assert ratings.catalogue["genres"].to_list() == [["Animation", "Children's", "Comedy"], []]
    assert ratings.catalogue["year"].to_list() == [1995, None]  # of "Toy Story (1995)" and "Amélie"


def test_published_fold_has_the_vocabularies_of_the_whole(small, tmp_path):
    train, test = movielens.fold(1, unpacked(tmp_path, "100k"))
    assert (len(train), len(test)) == (2, 1)
    assert train.users == test.users
    assert test.frame().rows() == [("1", "2", 3.0, 200)]


def test_fold_that_does_not_exist_is_refused():
    with pytest.raises(SettingError, match="no fold 6"):
        movielens.fold(6)


def test_texts_of_films_are_found_beside_the_ratings(tmp_path):
    with pytest.raises(
        DataError, match=r"There is no file alltext\.item in .*ml-1m.*MovieLens has no texts"
    ):
        movielens.documents("1m", "alltext", unpacked(tmp_path, "1m"))
    (tmp_path / "ml-1m" / "plot.item").write_text("1::A boy's toys come to life.\n")
    assert movielens.documents("1m", folder=tmp_path) == tmp_path / "ml-1m" / "plot.item"


def test_counts_that_are_not_the_published_ones_are_refused(tmp_path):
    with pytest.raises(
        DataError,
        match=r"holds 2 users, 2 films and 3 ratings; published are 943, 1,682 and 100,000",
    ):
        load("movielens/100k", unpacked(tmp_path, "100k"))


def test_archive_that_lies_there_is_unpacked(small, tmp_path):
    (tmp_path / "ml-10m.zip").write_bytes(packed("10m", "ml-10M100K"))
    assert len(load("movielens/10m", tmp_path)) == 3
    assert (tmp_path / "ml-10m" / "ratings.dat").is_file()


def test_damaged_archive_leaves_no_folder(small, tmp_path):
    (tmp_path / "ml-10m.zip").write_bytes(packed("10m", "ml-10M100K")[:-50])
    with pytest.raises(FetchError, match="is damaged"):
        load("movielens/10m", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["ml-10m.zip"]


# ---- where data are, and downloads


def test_homes_are_looked_at_in_order(tmp_path, monkeypatch):
    monkeypatch.setenv("RECOLLECT_DATA", str(tmp_path))
    assert download.homes()[0] == tmp_path
    assert download.homes(tmp_path / "own") == [tmp_path / "own"]


def test_folder_of_the_environment_is_used(small, tmp_path, monkeypatch):
    monkeypatch.setenv("RECOLLECT_DATA", str(unpacked(tmp_path, "100k")))
    assert len(load("movielens/100k")) == 3


@pytest.fixture
def server():
    """A server of `content`; it sends only the first `sent` bytes of it."""

    class Answer(BaseHTTPRequestHandler):
        content, sent = b"", None

        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(self.content)))
            self.end_headers()
            self.wfile.write(self.content[: self.sent])

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        Answer.address = f"http://127.0.0.1:{running.server_port}/{{}}.zip"
        yield Answer
        running.shutdown()
        thread.join()


def test_download_is_checked_unpacked_and_kept(small, server, tmp_path, monkeypatch):
    server.content = packed("20m", "ml-20m")
    monkeypatch.setattr(movielens, "ADDRESS", server.address)
    release = replace(movielens.VARIANTS["20m"], md5=hashlib.md5(server.content).hexdigest())
    monkeypatch.setitem(movielens.VARIANTS, "20m", release)
    assert len(load("movielens/20m", tmp_path)) == 3
    server.content = b""
    assert len(load("movielens/20m", tmp_path)) == 3


@pytest.mark.parametrize(
    ("checksum", "sent"), [("md5:0e33842e24a9c977be4e0107933c0723", None), (None, 40), (None, 0)]
)
def test_failed_download_leaves_nothing(server, tmp_path, checksum, sent):
    server.content, server.sent = b"x" * 100_000, sent
    with pytest.raises(
        FetchError, match=r"could not be downloaded to .*again to retry.*planted/… need no network"
    ):
        download.download(server.address.format("ml"), tmp_path / "ml.zip", checksum)
    assert list(tmp_path.iterdir()) == []


def test_single_file_is_found_or_downloaded_and_kept(server, tmp_path):
    server.content = b"1 2 3"
    path = download.file("some/users.dat", server.address.format("x"), None, folder=tmp_path)
    server.content = b""
    assert (
        download.file("some/users.dat", server.address.format("x"), None, folder=tmp_path) == path
    )
    assert path.read_bytes() == b"1 2 3"
    assert download.found(["some/items.dat", "some/users.dat"], tmp_path) == path
    assert download.found(["some/items.dat"], tmp_path) is None


def test_offline_says_what_was_tried(tmp_path):
    with pytest.raises(FetchError, match=r"http://127\.0\.0\.1:1/ml\.zip could not be downloaded"):
        download.download("http://127.0.0.1:1/ml.zip", tmp_path / "ml.zip", None)


# ---- planted


def test_planted_ratings_are_distinct_pairs_of_the_size_asked():
    made = planted(300, 200, 5000, seed=1).ratings
    assert (made.n_users, made.n_items, len(made)) == (300, 200, 5000)
    assert len(np.unique(made.pair)) == 5000
    assert made.count("user").min() >= 1
    assert made.titles(["17"]) == ["Item 17"]


@pytest.mark.parametrize("n_ratings", [1, 20, 399, 400])
def test_planted_fills_up_to_every_pair(n_ratings):
    made = planted(20, 20, n_ratings).ratings
    assert len(np.unique(made.pair)) == n_ratings


def test_planted_by_item_are_distinct_pairs_of_the_size_asked(monkeypatch):
    monkeypatch.setattr("recollect.data.sources.planted.drawing.BLOCK", 1000)
    blocks = list(planted_by_item(400, 90, 5000, seed=2))
    assert len(blocks) > 3
    item = np.concatenate(
        [np.repeat(np.arange(b.first, b.first + len(b.counts)), b.counts) for b in blocks]
    )
    user, value = (
        np.concatenate([getattr(b, column) for b in blocks]) for column in ("user", "value")
    )
    assert len(np.unique(user * 90 + item)) == len(value) == 5000
    assert np.array_equal(np.unique(item), np.arange(90))
    assert set(value.tolist()) == {1, 2, 3, 4, 5}


def test_planted_by_item_have_low_rank_under_their_noise():
    """Without noise, users' and items' means explain all but the rank-2 part."""
    (block,) = planted_by_item(300, 100, 15_000, noise=0)
    mean = np.bincount(block.user, weights=block.value) / np.bincount(block.user)
    assert np.var(mean[block.user]) > 0.1 * np.var(block.value)


@pytest.mark.parametrize("n_ratings", [9, 1001])
def test_planted_by_item_of_an_impossible_size_is_refused(n_ratings):
    with pytest.raises(SettingError, match="expected 10, one an item, to users × items = 1,000"):
        planted_by_item(100, 10, n_ratings)


def test_same_seed_plants_the_same_ratings():
    assert (
        planted(50, 40, 500, seed=3).ratings.fingerprint
        == planted(50, 40, 500, seed=3).ratings.fingerprint
    )
    assert (
        planted(50, 40, 500, seed=3).ratings.fingerprint
        != planted(50, 40, 500, seed=4).ratings.fingerprint
    )


@pytest.mark.parametrize("step", [None, 0.5, 1])
@pytest.mark.parametrize("noise", [0, 0.3, 0.8])
def test_expectation_is_the_mean_of_many_draws(step, noise):
    made = planted(30, 30, 200, noise=noise, step=step, seed=2)
    user, item = made.ratings.user, made.ratings.item
    draws = np.mean(
        [made.truth.draw(user, item, np.random.default_rng(seed)) for seed in range(2000)], axis=0
    )
    np.testing.assert_allclose(
        made.expected, draws, atol=0.1
    )  # five standard errors of 0.9 / sqrt(2000)
    np.testing.assert_allclose(made.expected, made.truth.expected(user, item))


def test_floor_is_the_error_of_the_expectation():
    made = planted(100, 80, 3000, step=1, noise=0.5)
    assert made.floor == pytest.approx(
        np.sqrt(np.mean((made.ratings.value - made.expected) ** 2)), rel=1e-5
    )


def test_noise_of_zero_leaves_no_error():
    assert planted(30, 30, 200, noise=0).floor == pytest.approx(0, abs=1e-6)


def test_planted_ratings_stand_on_their_steps():
    values = planted(100, 80, 3000, step=0.5, scale=(0.5, 5), noise=0.8).ratings.value
    assert set(values.tolist()) <= {j / 2 for j in range(1, 11)}


def test_popular_items_come_oftener_and_exponent_zero_levels_them():
    long_tail = np.sort(planted(500, 100, 5000).ratings.count("item"))
    level = np.sort(planted(500, 100, 5000, popularity=0).ratings.count("item"))
    assert long_tail[-1] > 4 * long_tail[50]
    assert level[-1] < 2 * level[50]


def test_items_are_drawn_in_proportion_to_their_weight(monkeypatch):
    """Both ways of drawing: the share of users whose one item is j is j's weight."""
    shares = []
    for crowded in (1, 10_000):
        monkeypatch.setattr("recollect.data.sources.planted.drawing.CROWDED", crowded)
        made = planted(20_000, 20, 20_000, activity=0, popularity=1, seed=5).ratings
        shares.append(np.sort(made.count("item")) / 20_000)
    weight = np.sort(1 / (np.arange(20) + 1.4))
    np.testing.assert_allclose(
        shares, [weight / weight.sum()] * 2, atol=0.015
    )  # five standard errors


def test_times_can_be_left_out():
    assert planted(10, 10, 20, times=False).ratings.time is None
    assert planted(10, 10, 20).ratings.time.dtype == np.int64


@pytest.mark.parametrize(
    "settings",
    [
        {"n_ratings": 101},
        {"n_ratings": 0},
        {"rank": 0},
        {"noise": -1},
        {"scale": (5, 1)},
        {"step": 0.3},
        {"step": 0},
    ],
)
def test_settings_that_cannot_be_are_refused(settings):
    with pytest.raises(SettingError, match="expected"):
        planted(**{"n_users": 10, "n_items": 10, "n_ratings": 50, **settings})


def test_named_planted_ratings_have_their_name():
    tiny = load("planted/tiny")
    assert (tiny.name, len(tiny), tiny.scale) == ("planted/tiny", 800, (1.0, 5.0))


@pytest.mark.parametrize(
    ("name", "kind"), [("movielens/1m", "name"), ("planted/tiny", "name"), ("a.csv", "file")]
)
def test_a_source_is_recognized_by_its_name(name, kind):
    assert kind_of(name) == kind


def test_a_folder_is_recognized_by_what_is_in_it(tmp_path):
    (tmp_path / "split.json").write_text("{}")
    assert kind_of(tmp_path) == "split"


def test_a_source_that_is_nothing_is_refused():
    with pytest.raises(SettingError, match="no data set or file 'movielens/2m'"):
        missing("movielens/2m")


def test_what_is_missing_is_said_with_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr("recollect.data.download.homes", lambda folder=None: [tmp_path])
    assert missing("planted/tiny") is None
    for name in known():
        if not name.startswith("planted/"):
            assert f"{name} is not here; " in missing(name)
    assert "put your copy" in missing("netflix/full")
    assert "recollect data fetch movielens/1m" in missing("movielens/1m")

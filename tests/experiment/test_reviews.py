"""Experiments whose texts are reviews: each split has those of its own train ratings."""

import json
from dataclasses import replace

import numpy as np
import pytest
from tests.experiment.experiment_files import plan_all, write_file

from recollect.data import download
from recollect.data.sources import amazon
from recollect.errors import SettingError
from recollect.experiment.parse import read
from recollect.experiment.part_data import load_part, split_part
from recollect.experiment.runner import run_tasks

AIV = """
paper = "A paper."
[part.reviews]
data = "amazon/musical-instruments"
text = "reviews"
reading = { most = 1.0, stop_words = [] }
split = { how = "random", test = 0.2, valid = 0.2 }
keep = { documents = true, user_ratings = 3 }
[[table]]
name = "t"
[[table.run]]
name = "bias"
model = "bias"
"""
N_USERS, N_ITEMS = 12, 6


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Reviews in which every rating has a word of its own; one item has no text.

    User 11 has two ratings.
    """
    home = tmp_path / "data"
    folder = home / "amazon-musical-instruments"
    folder.mkdir(parents=True)
    lines = []
    for user in range(N_USERS):
        for item in range(2 if user == N_USERS - 1 else N_ITEMS):
            text = "" if item == 5 else f"word{user}x{item}"
            fields = {
                "reviewerID": f"u{user}",
                "asin": f"i{item}",
                "overall": 1.0 + (user + item) % 5,
            }
            lines.append(
                json.dumps({**fields, "unixReviewTime": 1_300_000_000, "reviewText": text})
            )
    (folder / "reviews_Musical_Instruments_5.json").write_text("\n".join(lines) + "\n")
    monkeypatch.setenv("RECOLLECT_DATA", str(home))
    return home


def part_of(tmp_path, text=AIV):
    return read(write_file(tmp_path, text)).parts["reviews"]


def words_of(ratings):
    """The word of each rating's own review."""
    users = ratings.users.at(ratings.user)
    items = ratings.items.at(ratings.item)
    return {f"word{u[1:]}x{i[1:]}" for u, i in zip(users, items, strict=True)}


def test_texts_are_the_reviews_of_train_ratings(home, tmp_path):
    part = part_of(tmp_path)
    split = split_part(part, part.splits[0])
    assert set(split.train.text.words.ids) == words_of(split.train)
    assert split.test.text is split.valid.text is split.train.text
    assert split.test.items == split.train.items


def test_all_reviews_are_read_where_the_part_says_so(home, tmp_path):
    part = part_of(tmp_path, AIV.replace('text = "reviews"', 'text = "reviews"\namong = "all"'))
    split = split_part(part, part.splits[0])
    assert words_of(split.test) < set(split.train.text.words.ids)


def test_whose_reviews_are_read_is_part_of_a_job(home, tmp_path):
    def key(text):
        planned, _, _ = plan_all(write_file(tmp_path, text), tmp_path / "results")
        return planned[0].jobs[0].key

    everyone = AIV.replace('text = "reviews"', 'text = "reviews"\namong = "all"')
    others = AIV.replace("user_ratings = 3", "user_ratings = 2")
    assert len({key(AIV), key(everyone), key(others)}) == 3


def test_items_without_a_document_are_left_out_first_then_users_with_few_ratings(home, tmp_path):
    kept = load_part(part_of(tmp_path))
    assert list(kept.items.ids) == [f"i{item}" for item in range(5)]
    assert "u11" not in kept.users
    assert (kept.n_users, len(kept)) == (11, 55)
    whole = amazon.load("musical-instruments")
    value_of = {
        (u, i): v
        for u, i, v in zip(
            whole.users.at(whole.user), whole.items.at(whole.item), whole.value, strict=True
        )
    }
    for user, item, value in zip(
        kept.users.at(kept.user), kept.items.at(kept.item), kept.value, strict=True
    ):
        assert value_of[user, item] == value


def test_only_users_may_be_left_out_without_texts(home, tmp_path):
    text = AIV.replace('text = "reviews"\nreading = { most = 1.0, stop_words = [] }\n', "")
    kept = load_part(part_of(tmp_path, text.replace("documents = true, ", "")))
    assert (kept.n_users, kept.n_items) == (11, 6)
    np.testing.assert_array_equal(kept.count("user"), 6)


@pytest.mark.slow
def test_a_model_of_texts_runs_on_reviews(home, tmp_path):
    model = 'model = "ctr"\nfactors = 2\nepochs = 2'
    _, todo, _ = plan_all(
        write_file(tmp_path, AIV.replace('model = "bias"', model)), tmp_path / "r"
    )
    (record,) = [record for _, record in run_tasks(todo, processes=0)]
    assert "failed" not in record
    assert record["data"] == (
        "amazon/musical-instruments with reviews of train ratings, most = 1.0, stop_words = []; "
        "items with a document and users with 3 ratings or more"
    )


def test_reviews_that_are_missing_are_reported_with_their_place(home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(download.pooch, "os_cache", lambda name: tmp_path / "cache")
    (home / "amazon-musical-instruments" / "reviews_Musical_Instruments_5.json").unlink()
    part = part_of(tmp_path)
    place = "$RECOLLECT_DATA/amazon-musical-instruments/reviews_Musical_Instruments_5.json.gz"
    missing = part.texts.missing(part.data)
    assert missing == f"the reviews of {part.data} are not here; put them at {place}"
    assert "of train ratings" in part.source
    assert "of all ratings" in replace(part, texts=replace(part.texts, among="all")).source


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("amazon/musical-instruments", "planted/tiny", 'text = "reviews" is of data with reviews'),
        ('text = "reviews"', 'text = "plot.item"\namong = "train"', "among says whose reviews"),
        (
            'text = "reviews"',
            'text = "reviews"\namong = "test"',
            "There is no choice of among 'test'",
        ),
        ("user_ratings = 3", "user_ratings = 0", "user_ratings is a number, 1 or more; found 0"),
        ("user_ratings = 3", "user = 3", "There is no key of keep 'user'"),
        (
            'text = "reviews"\nreading = { most = 1.0, stop_words = [] }\n',
            "",
            "documents = True without a text",
        ),
    ],
)
def test_impossible_parts_are_refused(old, new, message, tmp_path):
    assert old in AIV
    with pytest.raises(SettingError, match=message):
        part_of(tmp_path, AIV.replace(old, new))

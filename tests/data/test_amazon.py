"""Amazon's reviews, from small files in the forms that they come in."""

import gzip
import json
from dataclasses import replace

import pytest

from recollect.data.open_data import load
from recollect.data.sources import amazon
from recollect.errors import DataError, FetchError, SettingError

REVIEWS = [
    {
        "reviewerID": "A2",
        "asin": "B1",
        "reviewerName": 'Jo "J"',
        "helpful": [0, 1],
        "reviewText": "Holds  its\ntune.",
        "overall": 5.0,
        "summary": "good",
        "unixReviewTime": 200,
        "reviewTime": "01 1, 1970",
    },
    {
        "reviewerID": "A1",
        "asin": "B1",
        "helpful": [0, 0],
        "reviewText": "It's loud, d'accord: Amélie.",
        "overall": 2.0,
        "summary": "",
        "unixReviewTime": 100,
    },
    {"reviewerID": "A1", "asin": "B2", "reviewText": "", "overall": 4.0, "unixReviewTime": 300},
    {"reviewerID": "A0", "asin": "B1", "reviewText": "Fine", "overall": 4.0, "unixReviewTime": 200},
]
ROWS = {
    ("A2", "B1", 5.0, 200),
    ("A1", "B1", 2.0, 100),
    ("A1", "B2", 4.0, 300),
    ("A0", "B1", 4.0, 200),
}
STRICT = "".join(json.dumps(review) + "\n" for review in REVIEWS)
LITERAL = "\n".join(map(repr, REVIEWS))  # single quotes, no line end at the end
MIXED = json.dumps(REVIEWS[0]) + "\n\n" + "\n".join(map(repr, REVIEWS[1:])) + "\n"


@pytest.fixture(params=[STRICT, LITERAL, MIXED], ids=["strict", "literal", "mixed"])
def path(request, tmp_path):
    """The reviews in a file."""
    path = tmp_path / "reviews_Pianos_5.json"
    path.write_text(request.param, encoding="utf-8")
    return path


def test_reviews_are_read_as_json_and_as_literals_of_python(path):
    ratings = amazon.read(path)
    assert set(ratings.frame().rows()) == ROWS
    assert (ratings.scale, ratings.name) == ((1.0, 5.0), "reviews_Pianos_5")
    assert [review.text for review in amazon.reviews(path)] == [
        review["reviewText"] for review in REVIEWS
    ]


def test_packed_reviews_are_read(path):
    packed = path.with_suffix(".json.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert amazon.read(packed).fingerprint == amazon.read(path).fingerprint


def test_ratings_without_texts_are_the_same_ratings(path, tmp_path):
    table = tmp_path / "ratings_Pianos.csv"
    table.write_text("A2,B1,5.0,200\nA1,B1,2.0,100\nA1,B2,4.0,300\nA0,B1,4.0,200\n")
    assert amazon.read(table).fingerprint == amazon.read(path).fingerprint


def test_a_document_is_the_reviews_in_order_of_time_then_of_users(path):
    assert amazon.documents(path) == {"B1": "It's loud, d'accord: Amélie. Fine Holds its tune."}


def test_a_document_holds_no_review_of_ratings_that_are_not_among_those_allowed(path):
    ratings = amazon.read(path)
    others = ratings.where(ratings.users.at(ratings.user).to_numpy() != "A2")
    assert amazon.documents(path, among=others) == {"B1": "It's loud, d'accord: Amélie. Fine"}
    assert (
        amazon.documents(
            path, among=ratings.where(ratings.items.at(ratings.item).to_numpy() == "B2")
        )
        == {}
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "{'reviewerID': 'A3', 'asin': ",
            r"Line 5 of .*reviews_Pianos_5\.json is not a review .*expected one object a line",
        ),
        ("__import__('os').getcwd()", "Line 5 of .* is not a review"),
        ("['A3', 'B1']", "Line 5 of .* is not a review"),
        (
            "{'reviewerID': 'A3', 'overall': 3.0, 'unixReviewTime': 9}",
            "Line 5 of .* has no asin; a review needs reviewerID, asin",
        ),
        (
            '{"reviewerID": "A3", "asin": "B1", "overall": "good", "unixReviewTime": 9}',
            "Line 5 of .* has the rating 'good'",
        ),
        (
            '{"reviewerID": "A3", "asin": "B1", "overall": 9.0, "unixReviewTime": 9}',
            "Line 5 of .* outside the stated scale 1 to 5",
        ),
    ],
)
def test_a_damaged_line_is_named(tmp_path, line, message):
    path = tmp_path / "reviews_Pianos_5.json"
    path.write_text(f"{STRICT}{line}\n")
    with pytest.raises(DataError, match=message):
        amazon.read(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match="There is no file"):
        list(amazon.reviews(tmp_path / "reviews_Pianos.json"))
    with pytest.raises(SettingError, match=r"no category .* 'pianos'.*musical-instruments"):
        amazon.documents("pianos")


# ---- by name


def kept(folder, variant, name, content):
    """The content in the folder of a category."""
    home = folder / amazon.VARIANTS[variant].folder
    home.mkdir(exist_ok=True)
    (home / name).write_bytes(content)
    return folder


def test_a_category_is_found_by_name_and_its_number_compared(tmp_path, monkeypatch):
    kept(
        tmp_path,
        "musical-instruments",
        "reviews_Musical_Instruments_5.json.gz",
        gzip.compress(STRICT.encode()),
    )
    found = load("amazon/musical-instruments", tmp_path)
    assert (found.name, len(found)) == ("amazon/musical-instruments", 4)
    assert found.notes[-1] == "There are 4 ratings of distinct pairs; published are 10,261."
    release = amazon.VARIANTS["musical-instruments"]
    monkeypatch.setitem(amazon.VARIANTS, "musical-instruments", replace(release, n_ratings=4))
    notes = load("amazon/musical-instruments", tmp_path).notes
    assert not any("published" in note for note in notes)


def test_a_file_of_ratings_will_do_where_there_is_none_of_reviews(tmp_path, monkeypatch):
    def offline(address, *more):
        raise FetchError(address)

    monkeypatch.setattr("recollect.data.download.download", offline)
    assert amazon.find("instant-video", tmp_path) is None
    kept(
        tmp_path,
        "instant-video",
        "ratings_Amazon_Instant_Video.csv",
        b"A2,B1,5.0,200\nA1,B1,2.0,100\n",
    )
    assert len(load("amazon/instant-video", tmp_path)) == 2
    with pytest.raises(
        FetchError, match=r"productGraph/categoryFiles/reviews_Amazon_Instant_Video\.json\.gz"
    ):
        amazon.documents("instant-video", tmp_path)
    kept(tmp_path, "instant-video", "reviews_Amazon_Instant_Video.json", STRICT.encode())
    assert len(load("amazon/instant-video", tmp_path)) == 4
    assert list(amazon.documents("instant-video", tmp_path)) == ["B1"]

"""Documents are read from files and tables of every usual form; what cannot be read is an error."""

import gzip
import json

import numpy as np
import pandas as pd
import polars as pl
import pytest
import zstandard

import recollect as rc
from recollect.data.text.documents import documents_of, read_documents
from recollect.errors import DataError

BOTH = {"1": "A boy's toys come to life.", "2": "A wedding in Zürich, “naïve”"}


def write(path, content: bytes | str):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def as_dict(documents) -> dict[str, str]:
    return dict(documents.table.rows())


CSV = (
    "movieId,title,plot\n"
    '1,"Toy, Story",A boy\'s toys come to life.\n'
    '2,x,"A wedding in Zürich, “naïve”"\n'
)
FORMS = {
    "item": "1::A boy's toys come to life.\n2::A wedding in Zürich, “naïve”\n",
    "bars": "1::A boy's|toys come|to life.\n\n2::A wedding in Zürich, “naïve”",
    "csv": CSV,
    "windows line ends": CSV.replace("\n", "\r\n"),
    "byte order mark": "\ufeff" + CSV,
    "tsv": "asin\treview_text\n1\tA boy's toys come to life.\n2\tA wedding in Zürich, “naïve”\n",
    "json": "\n".join(
        json.dumps({"asin": key, "reviewText": text, "summary": "?"}) for key, text in BOTH.items()
    ),
    "json list": '{"item": 1, "text": ["A boy\'s toys", "come to life."]}\n'
    + json.dumps({"item": 2, "text": BOTH["2"]}),
}


@pytest.mark.parametrize(
    "pack",
    [bytes, gzip.compress, zstandard.ZstdCompressor().compress],
    ids=["plain", "gzip", "zstd"],
)
@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_documents(form, pack, tmp_path):
    documents = read_documents(write(tmp_path / "file", pack(FORMS[form].encode())))
    assert as_dict(documents) == BOTH
    assert documents.notes == ()


def test_parquet_is_read_with_paragraphs_as_one_text(tmp_path):
    pl.DataFrame(
        {"parent_asin": [1.0, 2.0], "description": [["A boy's toys", "come to life."], [BOTH["2"]]]}
    ).write_parquet(tmp_path / "file")
    assert as_dict(read_documents(tmp_path / "file")) == BOTH


@pytest.mark.parametrize(
    "source",
    [
        BOTH,
        {1: BOTH["1"], 2.0: BOTH["2"]},
        pl.DataFrame({"item_id": ["1", "2"], "text": list(BOTH.values())}),
        pl.LazyFrame({"item_id": [1, 2], "text": list(BOTH.values())}),
        pd.DataFrame({"movie": [1, "2"], "text": list(BOTH.values())}),
    ],
    ids=["mapping", "numbers", "polars", "lazy", "pandas"],
)
def test_mappings_and_frames_are_documents(source):
    assert as_dict(documents_of(source)) == BOTH


def test_a_missing_text_in_a_frame_is_none():
    documents = documents_of(pd.DataFrame({"item_id": [1, 2], "text": [np.nan, "toy"]}))
    assert as_dict(documents) == {"1": None, "2": "toy"}


def test_columns_of_other_names_are_named(tmp_path):
    path = write(tmp_path / "file.csv", "film,words,text\n1,toy,no\n")
    assert as_dict(read_documents(path, item="film", text="words")) == {"1": "toy"}


def test_the_text_may_hold_colons_and_line_ends(tmp_path):
    assert as_dict(read_documents(write(tmp_path / "a", "1::a::b\n"))) == {"1": "a::b"}
    path = write(tmp_path / "b", 'item_id,text\n1,"one\ntwo, three"\n')
    assert as_dict(read_documents(path)) == {"1": "one\ntwo, three"}


def test_of_repeated_documents_the_last_is_kept_and_a_note_says_so(tmp_path):
    documents = read_documents(write(tmp_path / "file", "1::toy\n2::dog\n1::boy\n"))
    assert sorted(documents.table.rows()) == [("1", "boy"), ("2", "dog")]
    assert "1 of 3 left out, the last of each item kept" in documents.notes[0]


def test_reviews_of_an_item_are_joined_in_their_order(tmp_path):
    documents = read_documents(write(tmp_path / "file", "1::toy\n2::dog\n1::boy\n"), join=True)
    assert as_dict(documents) == {"1": "toy\nboy", "2": "dog"}
    assert documents.notes == ("3 texts are joined to 2 documents, in their order.",)


def test_lines_in_another_encoding_are_read_and_counted(tmp_path):
    """UTF-8, Windows-1252 (Latin-1 lacks its quotation marks), and a byte that only Latin-1 has."""
    content = "1::Zürich\n".encode() + "2::“naïve”\n".encode("cp1252") + b"3::caf\xe9 \x81\n"
    documents = read_documents(write(tmp_path / "file", content))
    assert as_dict(documents) == {"1": "Zürich", "2": "“naïve”", "3": "café \x81"}
    assert documents.notes == ("2 of 3 lines are not in UTF-8 and were read as Windows-1252.",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("1::toy\nboy\n", r'Line 2 of .* has no "::": .boy.'),
        ("1::toy\n ::boy\n", "Line 2 of .*: the item id is missing"),
        ("item_id,title\n1,toy\n", "No column for text was found among 'item_id', 'title'"),
        ("what,text\n1,toy\n", "No column for item was found"),
        ("item_id,text\n1,toy\n2,boy,dog\n", "Line 3 of .* has 3 fields, expected 2"),
        ('{"asin": 1, "text": "toy"}\n{"asin": 2,\n', "Line 2 of .* is not JSON"),
        ('{"asin": 1, "text": "toy"}\n[1]\n', "Line 2 of .* expected one JSON object"),
        ('{"asin": 1, "text": "toy"}\n{"text": "boy"}\n', "Line 2 of .*: the item id is missing"),
        ("PAR1 and no more", "not a readable Parquet file"),
        ("a\x00b\n", "zero bytes"),
    ],
)
def test_what_cannot_be_read_is_an_error_that_names_the_line(content, message, tmp_path):
    with pytest.raises(DataError, match=message):
        read_documents(write(tmp_path / "file", content))


def test_a_missing_file_and_a_folder_are_errors(tmp_path):
    with pytest.raises(DataError, match="There is no file"):
        read_documents(tmp_path / "none")
    with pytest.raises(DataError, match="is a folder"):
        read_documents(tmp_path)


def test_a_compressed_file_that_is_cut_short_is_an_error(tmp_path):
    with pytest.raises(DataError, match="cut short or damaged"):
        read_documents(write(tmp_path / "file", gzip.compress(FORMS["item"].encode())[:-12]))


def test_a_type_without_documents_is_an_error():
    with pytest.raises(DataError, match="A list holds no documents"):
        documents_of(["toy"])


def test_ids_of_documents_are_those_of_ratings():
    ratings = rc.from_tuples([("u", 1.0, 3.0), ("u", "02", 3.0)])
    with_texts = rc.with_texts(
        ratings, pl.DataFrame({"item_id": [" 1 ", "02"], "text": ["toy", "boy"]})
    )
    assert with_texts.items == ratings.items
    assert with_texts.text.has.all()

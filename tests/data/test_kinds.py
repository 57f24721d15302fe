"""Every kind of column in every role, and every packing: read as meant, or refused in our words."""

import bz2
import io
import lzma
import zipfile
from datetime import date, datetime, time, timedelta

import polars as pl
import pytest

from recollect.data.from_objects import from_frame
from recollect.data.on_disk.store import store
from recollect.data.read import read
from recollect.data.vocab import Vocab
from recollect.errors import DataError, SettingError

CSV = b"user,item,rating\na,x,5\nb,y,3\n"
ROWS = {("a", "x", 5.0), ("b", "y", 3.0)}
MOMENT = datetime(2015, 1, 1)
COLUMNS = {
    "integer": pl.Series([1, 2]),
    "unsigned": pl.Series([1, 2], dtype=pl.UInt64),
    "small": pl.Series([1, 2], dtype=pl.Int8),
    "float": pl.Series([1.0, 2.0]),
    "decimal": pl.Series(["1.00", "2.00"]).cast(pl.Decimal(10, 2)),
    "text": pl.Series(["1", "2"]),
    "category": pl.Series(["1", "2"], dtype=pl.Categorical),
    "enumeration": pl.Series(["1", "2"], dtype=pl.Enum(["1", "2"])),
    "bytes": pl.Series([b"1", b"2"]),
    "other bytes": pl.Series([b"\xff", b"\xfe"]),
    "true and false": pl.Series([True, False]),
    "date": pl.Series([date(2015, 1, 1), date(2015, 1, 2)]),
    "moment": pl.Series([MOMENT, MOMENT + timedelta(1)]),
    "moment in a zone": pl.Series([MOMENT, MOMENT]).dt.replace_time_zone("Europe/Berlin"),
    "duration": pl.Series([timedelta(1), timedelta(2)]),
    "time of day": pl.Series([time(1), time(2)]),
    "list": pl.Series([[1], [2]]),
    "record": pl.Series([{"a": 1}, {"a": 2}]),
    "nothing": pl.Series([None, None]),
}
NUMBERS = {
    "integer",
    "unsigned",
    "small",
    "float",
    "decimal",
    "text",
    "category",
    "enumeration",
}
TAKEN = {
    "user": NUMBERS | {"bytes"},
    "item": NUMBERS | {"bytes"},
    "rating": NUMBERS,
    "time": NUMBERS | {"date", "moment", "moment in a zone"},
}


@pytest.mark.parametrize("kind", COLUMNS)
@pytest.mark.parametrize("role", TAKEN)
def test_a_column_is_taken_as_meant_or_refused(kind, role, tmp_path):
    table = {
        "user": pl.Series(["1", "2"]),
        "item": pl.Series(["1", "2"]),
        "rating": pl.Series([1.0, 2.0]),
        "time": pl.Series([10**9, 10**9 + 1]),
    }
    frame = pl.DataFrame({**table, role: COLUMNS[kind]})
    path = tmp_path / "r.parquet"
    frame.write_parquet(path)
    named = {"time": "time"} if role == "time" else {}

    for source, reader in ((path, read), (frame, from_frame)):
        if kind in TAKEN[role]:
            found = reader(source, **named)
            assert set(found.users.ids) == set(found.items.ids) == {"1", "2"}
            assert found.value.tolist() == [1, 2]
            assert found.time is not None
        else:
            with pytest.raises(DataError, match=rf"the {role}"):
                reader(source, **named)


def zipped(**files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("_", "."), content)
    return out.getvalue()


@pytest.mark.parametrize(
    "content",
    [bz2.compress(CSV), lzma.compress(CSV), zipped(ratings_csv=CSV)],
    ids=["bz2", "xz", "zip"],
)
def test_every_packing_is_opened(content, tmp_path):
    (tmp_path / "file").write_bytes(content)
    assert set(read(tmp_path / "file").frame().rows()) == ROWS


def test_an_archive_of_several_files_is_told_for_what_it_is(tmp_path):
    (tmp_path / "a.zip").write_bytes(zipped(ratings_csv=CSV, movies_csv=b"1\n"))
    with pytest.raises(DataError, match=r"zip archive of 2 files \(ratings.csv, movies.csv\)"):
        read(tmp_path / "a.zip")


def test_a_damaged_archive_is_told_as_such(tmp_path):
    content = bytearray(zipped(ratings_csv=CSV * 9))
    content[50] ^= 255
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DataError, match="is cut short or damaged"):
        read(tmp_path / "a.zip")


def test_a_sheet_is_read_as_a_table(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (
        ("user", "item", "rating", "date"),
        (1, "x", 5, date(2015, 1, 1)),
        (2, "y", 2.5, date(2015, 1, 2)),
    ):
        book.active.append(row)
    book.create_sheet("empty")
    book.save(tmp_path / "r.xlsx")
    found = read(tmp_path / "r.xlsx")
    assert set(found.frame().rows()) == {("1", "x", 5.0, 1420070400), ("2", "y", 2.5, 1420156800)}

    book["empty"].append((1, 2))
    book.save(tmp_path / "r.xlsx")
    with pytest.raises(DataError, match="2 sheets with rows"):
        read(tmp_path / "r.xlsx")


def test_a_damaged_workbook_is_told_as_such(tmp_path):
    pytest.importorskip("openpyxl")
    (tmp_path / "r.xlsx").write_bytes(zipped(**{"xl/workbook_xml": b"<a"}))
    with pytest.raises(DataError, match="damaged Excel workbook"):
        read(tmp_path / "r.xlsx")


@pytest.mark.parametrize("name", ["x" * 300 + ".csv", "a\0b.csv"])
def test_a_path_that_cannot_be_looked_at_is_refused(name, tmp_path):
    with pytest.raises(DataError, match=r"cannot be opened|no file"):
        read(tmp_path / name)


def test_one_bad_byte_does_not_change_how_other_lines_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr("recollect.data.parsing.lines.BLOCK", 64)
    lines = "".join(f"é{j % 5},i{j},{1 + j % 5}\n" for j in range(100))
    (tmp_path / "r.csv").write_bytes(b"user,item,rating\n" + lines.encode() + b"caf\xe9,i,3\n")
    found = read(tmp_path / "r.csv")
    assert set(found.users.ids) == {"é0", "é1", "é2", "é3", "é4", "café"}
    assert "1 bytes, the first in line 102" in found.notes[0]


def test_stored_ratings_have_the_notes_and_the_units_of_read(tmp_path):
    text = "user;item;rating;time\na;x;2,5;2015\na;x;1,0;2014\nb;y;3,0;2016\n"
    (tmp_path / "r.csv").write_text(text)
    stored = store(tmp_path / "r.csv", tmp_path / "stored")
    assert "2,5 was read as 2.5" in stored.notes[0]
    assert [float(value) for part in stored.values() for value in part] == [2.5, 3.0]
    with pytest.raises(SettingError, match="not_rated 99 is a mark"):
        store(tmp_path / "r.csv", tmp_path / "other", not_rated=99)


def test_ratings_like_others_have_their_row_numbers(tmp_path):
    (tmp_path / "train.csv").write_text("user,item,rating\n1.0,7.0,5\n2.0,8.0,3\n")
    (tmp_path / "test.csv").write_text("user,item,rating\nnew,7.0,4\n2.0,9,1\n")
    train = read(tmp_path / "train.csv")
    test = read(tmp_path / "test.csv", like=train)
    assert test.users.ids.to_list() == ["1", "2", "new"]
    assert test.items.ids.to_list() == ["7", "8", "9"]
    assert test.scale == train.scale
    assert set(test.frame().rows()) == {("new", "7", 4.0), ("2", "9", 1.0)}


def test_an_id_is_found_as_the_vocabulary_writes_it():
    vocab = Vocab(["1", "2.0", "b c", "v1.0"])
    assert vocab.rows(["1.0", "1", " 1 ", "2.0", "2", "v1.0", "v1", "3"]).tolist() == [
        0,
        0,
        0,
        1,
        -1,
        3,
        -1,
        -1,
    ]
    assert vocab.canonical(["1.00", " b c", "3.0"]).to_list() == ["1", "b c", "3.0"]

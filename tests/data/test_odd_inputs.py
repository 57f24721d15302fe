"""Odd files that people report and data sets have; docs/odd_inputs.md has a row for each."""

import gzip
import re
from pathlib import Path

import pytest

from recollect.data.read import read
from recollect.errors import RecollectError

PAGE = Path(__file__).parents[2] / "docs" / "odd_inputs.md"
A, B = ("a", "x", 5.0), ("b", "y", 3.0)
PLAIN = {A, B}
TIMED = {(*A, 1_000_000_000), (*B, 1_000_000_001)}
TIMES = "user,item,rating,time\n"
DAY_1 = 1_420_070_400  # 2015-01-01

# Name: content, arguments of read, what is read (or the pattern of the error), pattern of a note.
READ = {
    "quote at a field's start only": (
        'a\tx\t"weird\t5\nb\ty\tz\t3\n',
        {"user": 0, "item": 1, "rating": 3},
        PLAIN,
        "",
    ),
    "quote inside a field": ('a,x 5" y,5\nb,y,3\n', {}, {("a", 'x 5" y', 5.0), B}, ""),
    "quoted word at a field's start": (
        'a\tx\t"al" b\t5\nb\ty\tz\t3\n',
        {"user": 0, "item": 1, "rating": 3},
        PLAIN,
        "",
    ),
    "quotes that pair across lines": (
        'user,item,rating\na,"x,5\nb,y,3\nc,z",1\n',
        {},
        {("a", '"x', 5.0), B, ("c", 'z"', 1.0)},
        "",
    ),
    "backslash before a quote": (
        '"user";"item";"rating"\n"a";"\\"x";"5"\n"b";"y";"3"\n',
        {},
        {("a", '"x', 5.0), B},
        "",
    ),
    "doubled quotes": (
        'user,item,rating\na,"x ""1""",5\nb,y,3\n',
        {},
        {("a", 'x "1"', 5.0), B},
        "",
    ),
    "separator in quotes": (
        'user,item,rating\na,"x, y",5\nb,y,3\n',
        {},
        {("a", "x, y", 5.0), B},
        "",
    ),
    "blank before a quote": ('user, item, rating\na, "x", 5\nb, "y", 3\n', {}, PLAIN, ""),
    "text over lines in the last column": (
        'user,item,rating,text\na,x,5,"so\nlong"\nb,y,3,"no"\n',
        {},
        PLAIN,
        "",
    ),
    "text with blank lines": (
        'user,item,text,rating\na,x,"so\n\nlong",5\nb,y,"",3\n',
        {},
        PLAIN,
        "",
    ),
    "quotes that are letters": ('a,"x",5\nb,y,3\n', {"quotes": False}, {("a", '"x"', 5.0), B}, ""),
    "semicolons with decimal commas": (
        "user;item;rating\na;x;2,5\nb;y;3,0\n",
        {},
        {("a", "x", 2.5), B},
        "decimal comma",
    ),
    "Excel's sep line": ("sep=;\r\nuser;item;rating\r\na;x;5\r\nb;y;3\r\n", {}, PLAIN, ""),
    "old Mac line ends": ("user,item,rating\ra,x,5\rb,y,3\r", {}, PLAIN, "carriage return"),
    "UTF-8 with a byte order mark": ("\ufeffuser,item,rating\na,x,5\nb,y,3\n", {}, PLAIN, ""),
    "UTF-16": ("user,item,rating\na,x,5\nb,y,3\n".encode("utf-16"), {}, PLAIN, "UTF-16"),
    "Latin-1": (
        "user,item,rating\na,é,5\nb,ü,3\n".encode("latin-1"),
        {},
        {("a", "é", 5.0), ("b", "ü", 3.0)},
        "Windows-1252",
    ),
    "Windows quotation marks": (
        "user,item,rating\na,“x”,5\nb,y,3\n".encode("cp1252"),
        {},
        {("a", "“x”", 5.0), B},
        "Windows-1252",
    ),
    "Cyrillic, stated": (
        "user,item,rating\na,х,5\nb,y,3\n".encode("cp1251"),
        {"encoding": "cp1251"},
        {("a", "х", 5.0), B},
        "",
    ),
    "cut inside its last letter": (
        "user,item,rating\na,é,5\nb,é,3\nc,x,4\nd,".encode() + b"\xc3,2\n",
        {},
        {("a", "é", 5.0), ("b", "é", 3.0), ("c", "x", 4.0), ("d", "Ã", 2.0)},
        "1 bytes, the first in line 5",
    ),
    "comments before the table": (
        "% bip weighted\n% 3 2 2\na x 5 1000000000\nb y 3 1000000001\n",
        {},
        TIMED,
        "left out: 2",
    ),
    "blank lines before the header": ("\n\nuser,item,rating\na,x,5\nb,y,3\n", {}, PLAIN, ""),
    "tabs and runs of blanks": ("a   x\t5\nb y     3\n", {}, PLAIN, ""),
    "no-break spaces": ("a\xa0 x\xa0 5\nb\xa0 y\xa0 3\n", {}, PLAIN, ""),
    "an index column without a name": (",user,item,rating\n0,a,x,5\n1,b,y,3\n", {}, PLAIN, ""),
    "R's row names": ("user item rating\n1 a x 5\n2 b y 3\n", {}, PLAIN, "row name"),
    "pandas' header 0,1,2,3": (
        "0,1,2,3\na,x,5.0,1000000000\nb,y,3.0,1000000001\n",
        {"user": 0, "item": 1, "rating": 2, "time": 3},
        TIMED,
        "header that pandas writes",
    ),
    "names in capitals with blanks": ("User ID,Item ID,Book-Rating\na,x,5\nb,y,3\n", {}, PLAIN, ""),
    "columns in another order": (
        "rating,date,item,user\n5,1000000000,x,a\n3,1000000001,y,b\n",
        {},
        TIMED,
        "",
    ),
    "a rating where the time is": (
        "a\tx\t2001-01-01\t5\nb\ty\t2002-01-01\t3\n",
        {"rating": 3},
        PLAIN,
        "",
    ),
    "columns by number as text": (
        "5,x,a\n3,y,b\n",
        {"user": "2", "item": "1", "rating": "0"},
        PLAIN,
        "",
    ),
    "typed names of RecBole": (
        "user_id:token\titem_id:token\trating:float\na\tx\t5.0\nb\ty\t3.0\n",
        {},
        PLAIN,
        "",
    ),
    "colons in ids": ("a::x:1::5\nb::y::3\n", {}, {("a", "x:1", 5.0), B}, ""),
    "ids with .0 from pandas": (
        "user,item,rating\n1.0,7.0,5\n2.0,8.0,3\n",
        {},
        {("1", "7", 5.0), ("2", "8", 3.0)},
        "",
    ),
    "leading zeros": (
        "user,item,rating\n007,x,5\n7,y,3\n",
        {},
        {("007", "x", 5.0), ("7", "y", 3.0)},
        "",
    ),
    "the word null as an id": (
        "user,item,rating\nNULL,x,5\nb,y,3\n",
        {},
        {("NULL", "x", 5.0), B},
        "missing value",
    ),
    "ISBNs that Excel rounded": (
        "user,item,rating\na,9.78E+12,5\nb,y,3\n",
        {},
        {("a", "9.78E+12", 5.0), B},
        "rounded",
    ),
    "years as times": (
        TIMES + "a,x,5,2015\nb,y,3,2016\n",
        {},
        {(*A, DAY_1), (*B, 1_451_606_400)},
        "years",
    ),
    "days as YYYYMMDD": (
        TIMES + "a,x,5,20150101\nb,y,3,20150102\n",
        {},
        {(*A, DAY_1), (*B, DAY_1 + 86_400)},
        "YYYYMMDD",
    ),
    "spreadsheet days": (
        TIMES + "a,x,5,42005\nb,y,3,42005.5\n",
        {},
        {(*A, DAY_1), (*B, DAY_1 + 43_200)},
        "spreadsheet",
    ),
    "dates with slashes": (
        TIMES + "a,x,5,2015/01/01\nb,y,3,2015/01/02\n",
        {},
        {(*A, DAY_1), (*B, DAY_1 + 86_400)},
        "",
    ),
    "dates with weekdays and zones": (
        TIMES + "a,x,5,Thu Jan 01 02:00:00 +0200 2015\nb,y,3,Fri Jan 02 00:00:00 +0000 2015\n",
        {},
        {(*A, DAY_1), (*B, DAY_1 + 86_400)},
        "",
    ),
    "dates with names of months": (
        TIMES.replace(",", ";") + "a;x;5;January 1, 2015\nb;y;3;January 2, 2015\n",
        {},
        {(*A, DAY_1), (*B, DAY_1 + 86_400)},
        "",
    ),
    "milliseconds among seconds": (
        TIMES + "a,x,5,964982703\nb,y,3,1588615855070\n",
        {},
        PLAIN,
        "Line 3 .* milliseconds",
    ),
    "times before 1970": (
        TIMES + "a,x,5,-100\nb,y,3,964982703\n",
        {},
        PLAIN,
        "Line 2 .* none from 1970",
    ),
    "times of 1e30": (
        TIMES + "a,x,5,1e30\nb,y,3,964982703\n",
        {},
        PLAIN,
        "Line 2 .* none from 1970",
    ),
    "times that are ordinals": (
        TIMES + "a,x,5,1\nb,y,3,2\n",
        {},
        {(*A, 1), (*B, 2)},
        "within a day of 1970",
    ),
    "a rating's repetition": (
        "user,item,rating\na,x,1\na,x,5\nb,y,3\n",
        {},
        PLAIN,
        "1 of 3 ratings dropped",
    ),
    "Python literals": (
        "{'user': 'a', 'item': 'x', 'rating': 5.0}\n{u'user': u'b', 'item': 'y', 'rating': 3}\n",
        {},
        PLAIN,
        "",
    ),
    "two gzip members": (
        gzip.compress(b"user,item,rating\na,x,5\n") + gzip.compress(b"b,y,3\n"),
        {},
        PLAIN,
        "",
    ),
    "a table of users and items": (
        "userId,x,y\na,5,\nb,,3\n",
        {"wide": True},
        PLAIN,
        "of 4 cells 2",
    ),
    "Jester's 99": (
        "2,7.5,99,-9.5\n1,99,99,1.5\n",
        {"wide": True, "not_rated": 99, "rating": 1},
        {("0", "1", 7.5), ("0", "3", -9.5), ("1", "3", 1.5)},
        "99 are not rated",
    ),
}
REFUSED = {
    "one column in two roles": (
        "user,item,rating\na,x,5\n",
        {"item": "rating"},
        "no rating column",
    ),
    "a column named twice": (
        "a,x,5\nb,y,3\n",
        {"item": 1, "rating": 1},
        "named for item and for rating",
    ),
    "a users × items table, not stated": (
        "userId,1,2,3\na,5,,3\nb,,3,1\n",
        {},
        "users × items.*wide=True",
    ),
    "many columns without a header": (
        "2,7.9,99,-9.66,99\n1,99,99,1.5,99\n",
        {},
        "5 columns and no header.*user=0, item=1",
    ),
    "a user twice in a wide table": (
        "user,x,y\na,5,\na,,3\n",
        {"wide": True},
        "Line 3 .*'a' has an earlier line",
    ),
    "an open quote and too few fields": (
        'user,item,rating\na,"x\nb,y,3\n',
        {},
        r"Line 2 .*2 of 3 fields",
    ),
    "too many fields": (
        "user,item,rating\na,x,5,6\nb,y,3\n",
        {},
        "Line 2 .* has 4 fields, expected 3",
    ),
    "a second header in the middle": (
        "user,item,rating\na,x,5\nuser,item,rating\n",
        {},
        "Line 3 .*'rating'",
    ),
    "stars in words": ("user,item,rating\na,x,5 stars\nb,y,3\n", {}, "Line 2 .*'5 stars'"),
    "thousands or decimals": ("user;item;rating\na;x;1,500\nb;y;3\n", {}, "Line 2 .*'1,500'"),
    "digits of another script": ("user,item,rating\na,x,٣\nb,y,3\n", {}, "Line 2 .*'٣'"),
    "a rating too small for 32 bits": (
        "user,item,rating\na,x,1e-50\nb,y,3\n",
        {},
        "Line 2 .*'1e-50'",
    ),
    "a rating too large for 32 bits": (
        "user,item,rating\na,x,1e39\nb,y,3\n",
        {},
        "Line 2 .*'1e39'",
    ),
    "a zero byte": (b"user,item,rating\na,x,5\nb,y\x00,3\n", {}, "zero byte"),
    "mixed units, times named": (
        TIMES + "a,x,5,964982703\nb,y,3,1588615855070\n",
        {"time": "time"},
        "Line 3 .* milliseconds",
    ),
    "nested JSON": ('{"user": {"id": 1}, "item": "x", "rating": 5}\n', {}, "Line 1 .*'user' is"),
    "JSON nested deeply": (
        '{"user": "a", "item": "x", "rating": ' + "[" * 100_000 + "\n",
        {},
        "None of the first lines .*JSON object",
    ),
    "half a surrogate in JSON": (
        '{"user": "\\ud800", "item": "x", "rating": 5}\n',
        {},
        "Line 1 .*no text in Unicode|None of the first",
    ),
    "a JSON array": ('[{"user": "a"}]', {}, "one JSON array"),
    "a web page": ("<!DOCTYPE html><html>404</html>", {}, "web page"),
    "a pointer of Git LFS": (
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
        {},
        "Git LFS",
    ),
    "a MATLAB file": (
        b"MATLAB 5.0 MAT-file, Platform: GLNXA64" + b" " * 90,
        {},
        "MATLAB file.*loadmat",
    ),
    "a NumPy array": (b"\x93NUMPY\x01\x00v\x00{'descr': '<f8'}", {}, "NumPy array.*numpy.load"),
    "a pickle": (b"\x80\x04\x95\x00\x00", {}, "pickle"),
    "an SQLite database": (b"SQLite format 3\x00" + b"\x00" * 99, {}, "SQLite"),
    "an old Excel workbook": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 99, {}, r"\.xls"),
    "a Matrix Market file": (
        "%%MatrixMarket matrix coordinate real general\n2 2 1\n1 1 5\n",
        {},
        "mmread",
    ),
    "UTF-8 that is stated and is not": (
        b"user,item,rating\na,\xe9,5\n",
        {"encoding": "utf-8"},
        "cannot be read as utf-8",
    ),
    "an encoding that does not exist": (
        "a,x,5\n",
        {"encoding": "latin-17"},
        "no encoding 'latin-17'",
    ),
    "a separator that is none": ("a,x,5\n", {"separator": '"'}, "cannot separate fields"),
}


def write(folder, content):
    path = folder / "file"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("block", [2 << 20, 16])
@pytest.mark.parametrize("name", READ)
def test_an_odd_file_is_read_as_meant(name, block, tmp_path, monkeypatch):
    """In blocks of any size: how much is read at once must not change what is read."""
    monkeypatch.setattr("recollect.data.parsing.lines.BLOCK", block)
    content, arguments, expected, note = READ[name]
    ratings = read(write(tmp_path, content), **arguments)
    rows = ratings.frame().rows()
    assert len(rows) == len(expected)
    assert set(rows) == expected
    assert re.search(note, "\n".join(ratings.notes))


@pytest.mark.parametrize("block", [2 << 20, 16])
@pytest.mark.parametrize("name", REFUSED)
def test_an_odd_file_is_refused_with_the_line_and_what_to_do(name, block, tmp_path, monkeypatch):
    monkeypatch.setattr("recollect.data.parsing.lines.BLOCK", block)
    content, arguments, message = REFUSED[name]
    with pytest.raises(RecollectError, match=message):
        read(write(tmp_path, content), **arguments)


def test_the_page_has_a_row_for_each_odd_file():
    rows = re.findall(r"^\| (.+?) \| `", PAGE.read_text(), re.MULTILINE)
    assert sorted(rows) == sorted([*READ, *REFUSED])

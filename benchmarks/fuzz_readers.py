"""Damaged files for every reader: each must be read or refused in our own words.

    python benchmarks/fuzz_readers.py --n 100000 --seed 0

A small valid file of each kind is changed at random: bytes are flipped, cut, doubled, exchanged and
inserted, separators and encodings replaced. What then happens is counted:

unexpected  an exception, or a warning, that is not a RecollectError
hang        more than LIMIT seconds
lost        a file of lines that is accepted, and has lines that are neither ratings nor counted

The same seed and number give the same inputs. tests/data/test_fuzz.py runs a few.
"""

from __future__ import annotations

import argparse
import bz2
import collections
import gzip
import io
import json
import lzma
import random
import re
import struct
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from recollect.data.parsing.lines import TextLines
from recollect.data.read import read
from recollect.data.sources import amazon, citeulike, movielens
from recollect.data.sources.netflix import prize_files
from recollect.data.tables import read_ids, read_item_ratings
from recollect.data.text.documents import read_documents
from recollect.data.text.word_vectors import read_vectors
from recollect.data.vocab import Vocab
from recollect.errors import RecollectError

LIMIT = 10.0  # seconds
ROWS = [(f"u{j % 5}", f"i{j % 7}", 1 + j % 5, 1_000_000_000 + 1000 * j) for j in range(20)]
WORDS = Vocab(["toy", "boy", "space"])
# What is inserted beside random bytes.
TOKENS = (
    b'"',
    b'""',
    b'\\"',
    b"'",
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\n",
    b",",
    b";",
    b"\t",
    b"::",
    b"|",
    b" ",
    b"\x00",
    b"\xff",
    b"\xc3",
    b"\xc3\xab",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xc2\xa0",
    "٣".encode(),
    b"1e999",
    b"-1e30",
    b"1e39",
    b"1e-50",
    b"nan",
    b"inf",
    b"9" * 400,
    b"9" * 5000,
    b"[" * 3000,
    b'{"a":' * 2000,
    b"\\ud800",
    b"\\u0000",
    b"#",
    b"%",
    b"sep=;\n",
    b"-",
    b"2100-01-01",
    b"1969-12-31",
    b"99999999999999999999",
)


@dataclass(frozen=True)
class Kind:
    """A kind of file: a valid one, its ending, and what reads it."""

    name: str
    content: bytes
    read: Callable[[Path], object]
    ending: str = "csv"
    has_lines: bool = False  # each line is a rating, so that lost ones can be counted
    separator: str = ","


def _lines(separator: str, rows: list[tuple] = ROWS) -> str:
    return "".join(separator.join(map(str, row)) + "\n" for row in rows)


def _parquet(**options: object) -> bytes:
    out = io.BytesIO()
    names = ["user_id", "item_id", "rating", "timestamp"]
    pl.DataFrame(ROWS, schema=names, orient="row").write_parquet(out, **options)
    return out.getvalue()


def _zipped(content: bytes, name: str = "ratings.csv") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return out.getvalue()


def _fasttext() -> bytes:
    settings = struct.pack("<12i", 3, 5, 5, 1, 1, 1, 1, 1, 10, 2, 3, 1)
    head = struct.pack("<2i", 793712314, 12) + settings + struct.pack("<d", 0.1)
    words = b"".join(word.encode() + b"\0" + struct.pack("<qb", 1, 0) for word in ("toy", "boy"))
    dictionary = struct.pack("<3i2q", 2, 2, 0, 9, -1) + words
    matrix = np.arange(36, dtype="<f4").tobytes()
    return head + dictionary + b"\0" + struct.pack("<2q", 12, 3) + matrix


def _wide(path: Path) -> object:
    return read(path, wide=True, not_rated=99)


def _events(path: Path) -> object:
    return read(path, implicit=True)


def _pairs(path: Path) -> object:
    return read_ids(path, "user", "item", optional=("time",))


def _vectors(path: Path) -> object:
    return read_vectors(path, WORDS)


def _netflix(path: Path) -> object:
    return prize_files.read(prize_files.Files((path,), None, None), name="n")


def _citeulike(path: Path) -> object:
    return [citeulike._numbers(line, path, 1) for line in citeulike._lines(path)]


def _bags(path: Path) -> object:
    return citeulike._bags_of(path, 10)


def kinds() -> list[Kind]:
    """Every kind of file that is read."""
    header = "user_id,item_id,rating,timestamp\n"
    csv = (header + _lines(",")).encode()
    quoted = "".join('"{}","{}","{}","{}"\n'.format(*row) for row in ROWS)
    texts = "".join(f'{u},{i},"so, so\nlong {r}",{r}\n' for u, i, r, _ in ROWS)
    objects = [{"user": u, "item": i, "rating": r, "time": t} for u, i, r, t in ROWS]
    reviews = [
        {"reviewerID": u, "asin": i, "overall": r, "unixReviewTime": t, "reviewText": "a toy"}
        for u, i, r, t in ROWS
    ]
    json_lines = "".join(json.dumps(entry) + "\n" for entry in objects).encode()
    accents = (header + _lines(",").replace("u1", "Zoë").replace("i2", "Amélie")).encode()
    wide = "userId,1,2,3,4\n" + "".join(f"{j},5,99,,{1 + j % 5}\n" for j in range(9))
    inter = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n" + _lines("\t")
    spreadsheet = "sep=;\r\nuser;item;rating\r\n" + "a;x;2,5\r\nb;y;3,0\r\nc;x;1,5\r\n"
    vectors = "toy 0.1 0.2 0.3\nboy 1 2 3\nof 4 5 6\n"
    binary = b"2 3\n" + b"".join(
        word + b" " + np.arange(3, dtype="<f4").tobytes() + b"\n" for word in (b"toy", b"boy")
    )
    films = "1|Toy (1995)|01-Jan-1995||http://x|" + "|".join("01" * 9 + "1") + "\n"
    netflix = "1:\n" + "".join(f"{7 + j},{1 + j % 5},2005-09-0{1 + j}\n" for j in range(8))
    mine = "item_id,rating\n1,5\n2,1\n3,4\n"
    documents = "item_id,text\n" + '1,"a boy, a toy"\n2,space\n'

    return [
        Kind("csv", csv, read, has_lines=True),
        Kind("no header", _lines(",").encode(), read, has_lines=True),
        Kind("quoted", (header + quoted).encode(), read, has_lines=True),
        Kind("texts over lines", ("user,item,text,rating\n" + texts).encode(), read),
        Kind("tsv", _lines("\t").encode(), read, "tsv", has_lines=True, separator="\t"),
        Kind("colons", _lines("::").encode(), read, "dat", has_lines=True, separator="::"),
        Kind("blanks", _lines(" ").encode(), read, "txt"),
        Kind("inter", inter.encode(), read, "inter", has_lines=True, separator="\t"),
        Kind("json lines", json_lines, read, "jsonl"),
        Kind(
            "python literals", "".join(f"{entry!r}\n" for entry in objects).encode(), read, "json"
        ),
        Kind("accents", accents, read, has_lines=True),
        Kind("latin-1", accents.decode().encode("latin-1"), read),
        Kind("utf-16", accents.decode().encode("utf-16"), read),
        Kind("mac", csv.replace(b"\n", b"\r"), read),
        Kind("spreadsheet", spreadsheet.encode(), read),
        Kind("comments", b"% bip weighted\n# 3 4\n" + _lines(" ").encode(), read),
        Kind("wide", wide.encode(), _wide),
        Kind(
            "events", ("user,item,count\n" + _lines(",", [r[:3] for r in ROWS])).encode(), _events
        ),
        Kind("parquet", _parquet(), read, "parquet"),
        Kind("parquet plain", _parquet(compression="uncompressed"), read, "parquet"),
        Kind("gzip", gzip.compress(csv, mtime=0), read, "csv.gz"),
        Kind("bz2", bz2.compress(csv), read, "csv.bz2"),
        Kind("xz", lzma.compress(csv), read, "csv.xz"),
        Kind("zip", _zipped(csv), read, "zip"),
        Kind("pairs", ("user_id,item_id\n" + _lines(",", [r[:2] for r in ROWS])).encode(), _pairs),
        Kind("item ratings", mine.encode(), read_item_ratings),
        Kind("documents", documents.encode(), read_documents),
        Kind("documents colons", b"1::a boy\n2::a toy|space\n", read_documents, "dat"),
        Kind("documents json", b'{"asin": 1, "text": "a toy"}\n', read_documents, "json"),
        Kind("vectors", vectors.encode(), _vectors, "txt"),
        Kind("vectors headed", b"3 3\n" + vectors.encode(), _vectors, "vec"),
        Kind("vectors binary", binary, _vectors, "bin"),
        Kind("fasttext", _fasttext(), _vectors, "bin"),
        Kind(
            "amazon", "".join(json.dumps(r) + "\n" for r in reviews).encode(), amazon.read, "json"
        ),
        Kind("films 100k", films.encode() * 3, movielens.films, "item"),
        Kind("films 1m", b"1::Toy (1995)::Comedy|Drama\n2::Boy::Drama\n", movielens.films, "dat"),
        Kind("films 20m", b"movieId,title,genres\n1,Toy,Comedy\n", movielens.films),
        Kind("citeulike users", b"2 3 4\n1 7\n3 1 2 3\n", _citeulike, "dat"),
        Kind("citeulike bags", b"2 3:1 4:2\n1 7:9\n", _bags, "dat"),
        Kind("netflix", netflix.encode(), _netflix, "txt"),
    ]


def mutated(content: bytes, chance: random.Random) -> bytes:
    """The content after one to four random changes."""
    for _ in range(chance.randint(1, 4)):
        content = chance.choice(CHANGES)(content, chance)
    return content


def _place(content: bytes, chance: random.Random) -> int:
    return chance.randrange(len(content) + 1)


def _flip(content: bytes, chance: random.Random) -> bytes:
    if not content:
        return content
    changed = bytearray(content)
    changed[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _replace(content: bytes, chance: random.Random) -> bytes:
    place = _place(content, chance)
    return content[:place] + bytes([chance.randrange(256)]) + content[place + 1 :]


def _cut(content: bytes, chance: random.Random) -> bytes:
    return content[: _place(content, chance)]


def _remove(content: bytes, chance: random.Random) -> bytes:
    place = _place(content, chance)
    return content[:place] + content[place + chance.randint(1, 40) :]


def _double(content: bytes, chance: random.Random) -> bytes:
    place = _place(content, chance)
    stop = place + chance.randint(1, 80)
    return content[:stop] + content[place:stop] * chance.choice((1, 1, 3)) + content[stop:]


def _insert(content: bytes, chance: random.Random) -> bytes:
    place = _place(content, chance)
    return content[:place] + chance.choice(TOKENS) + content[place:]


def _swap_marks(content: bytes, chance: random.Random) -> bytes:
    marks = (b",", b";", b"\t", b"::", b"|", b" ", b"\n", b'"', b".")
    old, new = chance.sample(marks, 2)
    return content.replace(old, new, chance.choice((-1, 1, 3)))


def _recode(content: bytes, chance: random.Random) -> bytes:
    text = content.decode("latin-1" if chance.random() < 0.3 else "utf-8", errors="replace")
    encoding = chance.choice(("latin-1", "cp1252", "utf-8", "utf-16", "utf-16-le", "utf-8-sig"))
    return text.encode(encoding, errors="replace")


CHANGES = (_flip, _flip, _replace, _cut, _remove, _double, _insert, _insert, _swap_marks, _recode)


def inputs(n: int, seed: int, only: str | None = None) -> Iterator[tuple[Kind, bytes]]:
    """So many changed files, the kinds in turn."""
    wanted = [kind for kind in kinds() if only is None or kind.name == only]

    for number in range(n):
        kind = wanted[number % len(wanted)]
        chance = random.Random(f"{seed} {number}")
        yield kind, mutated(kind.content, chance)


def outcome(kind: Kind, content: bytes, folder: Path) -> tuple[str, str]:
    """What happens to a file: "read", "refused", "unexpected", "hang" or "lost"; and details."""
    path = folder / f"f.{kind.ending}"
    path.write_bytes(content)
    start = time.perf_counter()

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            result = kind.read(path)
    except RecollectError as problem:
        told = str(problem)
        is_foreign = re.search(r"schema_overrides|infer_schema|polars|ComputeError", told)
        ended = ("unexpected", f"words of a library: {told}") if is_foreign else ("refused", "")
    except BaseException as problem:
        if isinstance(problem, KeyboardInterrupt):
            raise

        ended = ("unexpected", "".join(traceback.format_exception(problem)[-3:]))
    else:
        lost = _n_lost(kind, path, result) if kind.has_lines else 0
        ended = ("lost", f"{lost} lines") if lost > 0 else ("read", "")

    if time.perf_counter() - start > LIMIT:
        return "hang", f"{time.perf_counter() - start:.1f} s"

    return ended


def _n_lost(kind: Kind, path: Path, ratings: object) -> int:
    """How many lines that are ratings beyond doubt are neither there nor counted as duplicates.

    Beyond doubt is a line without quotes that has four fields, and a number for a rating.
    """
    text = b"".join(TextLines(path).blocks()).decode()
    n_ratings = 0

    for line in text.split("\n"):
        line = line.removesuffix("\r")
        fields = line.split(kind.separator)
        if len(fields) == 4 and '"' not in line and re.fullmatch(r"\s*[0-9.]+\s*", fields[2]):
            n_ratings += 1

    dropped = 0
    for note in ratings.notes:
        found = re.match(r"Duplicate pairs: ([\d,]+) of", note)
        dropped += int(found.group(1).replace(",", "")) if found else 0

    return n_ratings - len(ratings) - dropped - _n_first_lines(ratings)


def _n_first_lines(ratings: object) -> int:
    """Lines at the start that a note says were left out."""
    n = 0

    for note in ratings.notes:
        if note.startswith("The first line"):
            n += 1
        if found := re.match(r"Lines of comments at the start, left out: (\d+)", note):
            n += int(found.group(1))

    return n


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--n", type=int, default=1000)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--only", help="one kind of file")
    stated = arguments.parse_args()
    counts: collections.Counter[str] = collections.Counter()
    slowest = 0.0
    folder = Path(tempfile.mkdtemp())

    for number, (kind, content) in enumerate(inputs(stated.n, stated.seed, stated.only)):
        start = time.perf_counter()
        ended, details = outcome(kind, content, folder)
        slowest = max(slowest, time.perf_counter() - start)
        counts[ended] += 1
        if ended in ("unexpected", "hang", "lost"):
            print(f"--- {number} {kind.name}: {ended}\n{details}", flush=True)

        if number % 10_000 == 9_999:
            print(f"{number + 1:,}: {dict(counts)}, slowest {slowest:.2f} s", flush=True)

    print(f"{stated.n:,} inputs, seed {stated.seed}: {dict(counts)}, slowest {slowest:.2f} s")

    return int(counts["unexpected"] + counts["hang"] + counts["lost"] > 0)


if __name__ == "__main__":
    sys.exit(main())

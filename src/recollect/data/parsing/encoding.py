"""The encoding of a text file, decided once on the whole file.

A file that is UTF-8 throughout is read as such; one of whose bytes beyond ASCII most are not, as
Windows-1252, which extends Latin-1. In a file that is UTF-8 but for some bytes, as one that was
cut inside a letter, these bytes alone are read as Windows-1252, and counted.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from recollect.data.parsing.opening import opened
from recollect.errors import DataError, SettingError

CHUNK = 2 << 20  # bytes looked at at once
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
UTF_8 = "utf-8"
WINDOWS = "cp1252"
SURROGATE = re.compile("[\udc80-\udcff]")  # how Python's decoder keeps a byte that is not UTF-8
CONTROL = re.compile("[\x80-\x9f]")  # what Latin-1 makes of bytes that are letters in Windows-1252


# Turns the next bytes into text; True for the last of them.
Decode = Callable[[bytes, bool], str]


@dataclass(frozen=True)
class Encoding:
    """How a file's bytes become text.

    Args:
        name: of the encoding, as Python has it.
        n_bad: bytes that are not UTF-8 in a file that otherwise is.
        first_bad: line of the first of them.
        is_stated: whether the caller stated it.
    """

    name: str
    n_bad: int = 0
    first_bad: int = 0
    is_stated: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether the bytes are UTF-8 as they stand."""
        return self.name == UTF_8 and not self.n_bad and not self.is_stated

    @property
    def note(self) -> str | None:
        """What was assumed; None for plain UTF-8, or if the encoding was stated."""
        if self.is_stated or self.is_plain:
            return None

        if self.n_bad:
            return (
                f"The file is in UTF-8 but for {self.n_bad:,} bytes, the first in line "
                f"{self.first_bad:,}; these were read as Windows-1252 (Latin-1)."
            )

        if self.name == WINDOWS:
            return "The file is not in UTF-8 and was read as Windows-1252 (Latin-1)."

        return f"The file is in {self.name.upper()}, as its first bytes say."

    def decoder(self) -> Decode:
        """A new decoder, to be fed the file from its start or from its first byte beyond ASCII."""
        if self.is_stated:
            return codecs.getincrementaldecoder(self.name)("strict").decode

        if self.name == WINDOWS:
            return lambda content, _: windows_text(content)

        if self.name == UTF_8:
            return _MostlyUtf8().decode

        return codecs.getincrementaldecoder(self.name)("strict").decode


def windows_text(content: bytes) -> str:
    """Text in Windows-1252; the five bytes that it lacks are those of Latin-1."""
    text = content.decode("latin-1")
    return CONTROL.sub(lambda letter: _windows_letter(ord(letter.group())), text)


def _windows_letter(byte: int) -> str:
    return bytes([byte]).decode(WINDOWS, errors="ignore") or chr(byte)


class _MostlyUtf8:
    """A decoder of UTF-8 that reads bytes that are not as Windows-1252."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder(UTF_8)("surrogateescape")

    def decode(self, content: bytes, final: bool) -> str:
        text = self._decoder.decode(content, final)
        return SURROGATE.sub(lambda letter: _windows_letter(ord(letter.group()) - 0xDC00), text)


def stated(name: str) -> Encoding:
    """The encoding of this name.

    Raises:
        SettingError: if there is none.
    """
    try:
        found = codecs.lookup(name)
        "".encode(name)
    except (LookupError, ValueError, TypeError) as problem:
        raise SettingError(
            f"There is no encoding {name!r}; expected one that Python knows, such as utf-8, "
            "latin-1, cp1251 or shift_jis."
        ) from problem

    return Encoding("utf-8-sig" if found.name == UTF_8 else found.name, is_stated=True)


def encoding_of(path: Path) -> Encoding:
    """The encoding of a file, by its first bytes and else by all of them."""
    with opened(path) as stream:
        content = stream.read(CHUNK)

        for mark, name in MARKS:
            if content.startswith(mark):
                return Encoding(name)

        n_bad, n_good, first_bad = _count_all(content, stream.read)

    if not n_bad:
        return Encoding(UTF_8)

    if n_bad > n_good:
        return Encoding(WINDOWS)

    return Encoding(UTF_8, n_bad, first_bad)


def _count_all(content: bytes, read: Callable[[int], bytes]) -> tuple[int, int, int]:
    """How many bytes of a file are bad, how many letters beyond ASCII are good; and the line of the
    first bad one.

    Args:
        content: the first bytes.
        read: returns the next bytes, so many at most.
    """
    decoder = codecs.getincrementaldecoder(UTF_8)("surrogateescape")
    n_bad = 0
    n_good = 0
    first_bad = 0
    line = 1

    while content:
        following = read(CHUNK)
        bad, good, n_lines_before = _count(decoder.decode(content, not following))
        n_good += good
        if bad and not n_bad:
            first_bad = line + n_lines_before

        n_bad += bad
        line += content.count(b"\n")
        content = following

    return n_bad, n_good, first_bad


def _count(text: str) -> tuple[int, int, int]:
    """How many bytes of a text are bad, how many letters beyond ASCII are good; and the number of
    line ends before the first bad one.
    """
    if text.isascii():
        return 0, 0, 0

    n_beyond = len(text) - len(text.encode("ascii", "ignore"))
    first = SURROGATE.search(text)
    if first is None:
        return 0, n_beyond, 0

    n_bad = len(SURROGATE.findall(text))

    return n_bad, n_beyond - n_bad, text.count("\n", 0, first.start())


def undecodable(path: Path, encoding: Encoding, line: int) -> DataError:
    """The error for a file that is not in the encoding that was stated, or that its mark says."""
    return DataError(
        f"{path} cannot be read as {encoding.name}: a byte after line {line:,} does not belong "
        "to it. State another encoding, or save the file as UTF-8."
    )

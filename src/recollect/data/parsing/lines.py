"""Files of text in blocks of whole lines, in UTF-8, so that their size does not matter."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

from recollect.data.parsing.encoding import Decode, Encoding, encoding_of, stated, undecodable
from recollect.data.parsing.opening import check_file, opened
from recollect.errors import DataError

__all__ = ["TextLines", "blocks", "check_file", "opened", "without_blank_lines"]

log = logging.getLogger("recollect")

BLOCK = 2 << 20  # bytes read at once
LONGEST_LINE = 64 << 20  # bytes
HEAD = 1 << 20  # bytes from which the layout is found
BLANK_START = re.compile(rb"\n[ \t\r]")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class TextLines:
    """The lines of a text file, packed or not.

    Args:
        path: of the file.
        encoding: stated by the caller; None: found (`encoding.encoding_of`).

    Raises:
        SettingError: for an encoding that does not exist.
    """

    def __init__(self, path: Path, encoding: str | None = None) -> None:
        self.path = path
        self.ends_with_returns = False  # lines end with "\r" alone, as on old Macs
        self._encoding = None if encoding is None else stated(encoding)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was assumed about the encoding and the line ends, as far as the file was read."""
        notes = []
        if self._encoding is not None and self._encoding.note is not None:
            notes.append(self._encoding.note)

        if self.ends_with_returns:
            notes.append("Lines end with a carriage return alone, as on old Macs.")

        return tuple(notes)

    def pieces(self, size: int) -> Iterator[bytes]:
        """The content in UTF-8 without a byte order mark, in pieces of about `size` bytes.

        Raises:
            DataError: if the file is damaged or not in its encoding.
        """
        decode = None if self._encoding is None else self._encoding.decoder()
        n_lines = 0
        is_first = True

        with opened(self.path) as stream:
            # The first piece holds the mark of the encoding.
            content = stream.read(max(size, len(BYTE_ORDER_MARK)))

            while content:
                following = stream.read(size)
                if decode is None and not content.isascii():
                    # All before is ASCII, which every encoding that is guessed has in common.
                    decode = self._found().decoder()

                if decode is not None and not self._found().is_plain:
                    n_lines_here = content.count(b"\n")
                    content = self._decoded(decode, content, not following, n_lines)
                    n_lines += n_lines_here

                if is_first:
                    content = content.removeprefix(BYTE_ORDER_MARK)

                if content:
                    yield content

                is_first = False
                content = following

    def _found(self) -> Encoding:
        """The encoding, found by a look at the whole file if it is not known yet."""
        if self._encoding is None:
            self._encoding = encoding_of(self.path)
            if self._encoding.note is not None:
                log.info("%s: %s", self.path, self._encoding.note)

        return self._encoding

    def _decoded(self, decode: Decode, content: bytes, is_last: bool, n_lines: int) -> bytes:
        try:
            return decode(content, is_last).encode()
        except UnicodeError as problem:
            raise undecodable(self.path, self._found(), n_lines) from problem

    def head(self) -> str:
        """The first lines of the file, about a megabyte."""
        content = b""

        for piece in self.pieces(HEAD):
            content += piece
            if len(content) >= HEAD:
                break

        self.ends_with_returns = b"\r" in content and b"\n" not in content
        if self.ends_with_returns:
            content = content.replace(b"\r", b"\n")

        if len(content) >= HEAD and b"\n" in content:
            content = content[: content.rfind(b"\n") + 1]

        # A letter that the last piece cuts is left out.
        return content.decode(errors="ignore")

    def blocks(self) -> Iterator[bytes]:
        """The file in blocks of whole lines.

        Raises:
            DataError: if the file is damaged, a line is too long to be one, or holds a zero byte.
        """
        pending = b""

        for piece in self.pieces(BLOCK):
            pending += piece.replace(b"\r", b"\n") if self.ends_with_returns else piece
            end = pending.rfind(b"\n") + 1
            if end:
                self._check(pending[:end])
                yield pending[:end]
                pending = pending[end:]
            elif len(pending) > LONGEST_LINE:
                raise DataError(
                    f"A line of {self.path} has more than {LONGEST_LINE >> 20} MB; "
                    "expected a rating a line. It is damaged, or no text file of ratings."
                )

        if pending:
            self._check(pending)
            yield pending

    def _check(self, block: bytes) -> None:
        if b"\x00" in block:
            raise DataError(
                f"Line {self._line_of_zero():,} of {self.path} holds a zero byte, so that it is "
                "not text in UTF-8 or Latin-1; make or download the file again, or save it as CSV "
                "in UTF-8."
            )

    def _line_of_zero(self) -> int:
        """The number of the first line with a zero byte; the file is read again to count."""
        line = 1

        for piece in self.pieces(BLOCK):
            before, zero, _ = piece.partition(b"\x00")
            line += before.count(b"\r" if self.ends_with_returns else b"\n")
            if zero:
                break

        return line


def blocks(file: Path | TextLines) -> Iterator[bytes]:
    """The file in blocks of whole lines, in UTF-8."""
    lines = file if isinstance(file, TextLines) else TextLines(file)
    return lines.blocks()


def without_blank_lines(block: bytes) -> bytes:
    """A block of lines without those that are blank."""
    # A search for one byte is much faster than for two, and most blocks have neither.
    has_blanks = b" " in block or b"\t" in block or b"\r" in block
    is_clean = block[:1] not in b"\r\n \t" and b"\n\n" not in block
    if is_clean and not (has_blanks and BLANK_START.search(block)):
        return block

    return re.sub(rb"(?m)^[ \t\r]*\n", b"", block)

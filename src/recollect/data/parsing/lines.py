"""Files of text, packed or not, in blocks of whole lines, so that their size does not matter."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pyarrow as pa

from recollect.errors import DataError

log = logging.getLogger("recollect")

BLOCK = 2 << 20  # bytes read at once
LONGEST = 4  # blocks that a quoted field may fill
HEAD = 1 << 20  # bytes from which the layout is found
MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def check_file(path: Path, content: str) -> None:
    """Refuse a path at which there is no file; `content` says of what.

    Raises:
        DataError: if there is none, or a folder.
    """
    if path.is_dir():
        raise DataError(f"{path} is a folder; expected a file of {content}.")

    if not path.is_file():
        raise DataError(
            f"There is no file {path} (looked in {path.absolute().parent}); check the path."
        )


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a file, unpacked if the first ones are those of gzip or zstd.

    Raises:
        DataError: if a packed file is cut short or damaged.
    """
    packing = _packing(path)
    if packing is None:
        with open(path, "rb") as stream:
            yield stream

        return

    try:
        with pa.input_stream(str(path), compression=packing) as stream:
            yield stream
    except OSError as error:
        raise DataError(
            f"{path} is cut short or damaged ({packing}: {error}); make or download it again."
        ) from error


def _packing(path: Path) -> str | None:
    with open(path, "rb") as stream:
        first_bytes = stream.read(4)

    for magic, packing in MAGIC.items():
        if first_bytes.startswith(magic):
            return packing

    return None


def head(path: Path) -> str:
    """The first lines of a file, about a megabyte."""
    with opened(path) as stream:
        content = stream.read(HEAD)
    if len(content) == HEAD and b"\n" in content:
        content = content[: content.rfind(b"\n") + 1]
    return _in_utf8(content, path).decode()


def blocks(path: Path, *, quoted: bool) -> Iterator[bytes]:
    """The file in blocks of whole lines, in UTF-8; with `quoted`, none ends within quotes."""
    pending = b""

    with opened(path) as stream:
        while content := stream.read(BLOCK):
            pending += content
            end = _end_of_last_line(pending, quoted=quoted)
            if end:
                yield _in_utf8(pending[:end], path)
                pending = pending[end:]

    if pending:
        yield _in_utf8(pending, path)


def _end_of_last_line(content: bytes, *, quoted: bool) -> int:
    """Where the last whole line ends; 0 if there is none."""
    end = content.rfind(b"\n") + 1

    while quoted and end and content.count(b'"', 0, end) % 2:
        # After an odd number of quotes this line end is inside a field: go back before its quote.
        end = content.rfind(b"\n", 0, content.rfind(b'"', 0, end)) + 1

    if not end and len(content) > LONGEST * BLOCK:
        # No field is that long, so the quote is part of a text.
        end = content.rfind(b"\n") + 1

    return end


def _in_utf8(content: bytes, path: Path) -> bytes:
    content = content.removeprefix(BYTE_ORDER_MARK)
    if content.isascii():
        return content

    try:
        content.decode()
    except UnicodeDecodeError:
        log.info("%s is not in UTF-8; read as Latin-1", path)
        return content.decode("latin-1").encode()

    return content

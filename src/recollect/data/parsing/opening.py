"""Files as bytes, packed or not; what is no text is named for what it is."""

from __future__ import annotations

import bz2
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from recollect.data.parsing import excel
from recollect.errors import DataError, RecollectError

LONGEST_MAGIC = 512  # bytes by which a kind of file is recognized
ARCHIVE = b"PK\x03\x04"
PARQUET = b"PAR1"
WORKBOOK = "xl/workbook.xml"  # a member that makes a zip archive an Excel workbook
# Members that an archive holds beside its content.
BESIDE = ("__MACOSX/", ".DS_Store", "Thumbs.db")
# What the libraries beneath raise for a packed file that is cut short, damaged or locked.
DAMAGE = (
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    lzma.LZMAError,
    zipfile.BadZipFile,
    zlib.error,
)
SAVE_AS = "save the ratings as CSV in UTF-8, or as Parquet"
# First bytes of files that are no text: what they are, and what to do.
FOREIGN = (
    (b"\xd0\xcf\x11\xe0", "an Excel workbook of the old kind (.xls)", "save it as CSV or .xlsx"),
    (b"SQLite format 3\x00", "an SQLite database", f"{SAVE_AS} (sqlite3 -csv)"),
    (
        b"\x89HDF\r\n",
        "an HDF5 file, as .h5 and MATLAB's newer .mat are",
        "read it with h5py and pass the ratings to recollect.from_tuples or from_scipy",
    ),
    (
        b"MATLAB 5.0 MAT-file",
        "a MATLAB file (.mat)",
        "read it with scipy.io.loadmat and pass its matrix to recollect.from_scipy (users × "
        "items), or its rows to from_tuples",
    ),
    (
        b"%%MatrixMarket",
        "a Matrix Market file",
        "read it with scipy.io.mmread and pass the matrix to recollect.from_scipy",
    ),
    (
        b"\x93NUMPY",
        "a NumPy array (.npy)",
        "read it with numpy.load and pass its rows to recollect.from_tuples",
    ),
    (
        b"ARROW1",
        "an Arrow file (Feather)",
        "read it with polars.read_ipc and pass the frame to recollect.from_frame",
    ),
    (b"ORC", "an ORC file", SAVE_AS),
    (b"Obj\x01", "an Avro file", SAVE_AS),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it and name the file of ratings"),
    (b"Rar!", "a RAR archive", "unpack it and name the file of ratings"),
    (b"%PDF", "a PDF document", SAVE_AS),
    (b"\x80\x02", "a Python pickle, which may run code when it is opened", SAVE_AS),
    (b"\x80\x03", "a Python pickle, which may run code when it is opened", SAVE_AS),
    (b"\x80\x04", "a Python pickle, which may run code when it is opened", SAVE_AS),
    (b"\x80\x05", "a Python pickle, which may run code when it is opened", SAVE_AS),
    (
        b"version https://git-lfs",
        "the pointer to a file that Git LFS keeps elsewhere",
        "get the file itself (git lfs pull)",
    ),
)
TAR = b"ustar"  # stands at TAR_PLACE
TAR_PLACE = 257
WEB_PAGES = (b"<!doctype", b"<html", b"<?xml")


def check_file(path: Path, content: str) -> None:
    """Refuse a path at which there is no file; `content` says of what.

    Raises:
        DataError: if there is none, or a folder, or it cannot be looked for.
    """
    check_path(path)
    if path.is_dir():
        raise DataError(f"{path} is a folder; expected a file of {content}.")

    if not path.is_file():
        raise DataError(
            f"There is no file {path} (looked in {path.absolute().parent}); check the path."
        )


def check_path(path: Path) -> None:
    """Refuse a path that the system cannot look at, such as one that is too long.

    Raises:
        DataError: saying why.
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError) as problem:
        raise DataError(f"{_short(path)} cannot be opened: {_reason(problem)}.") from problem


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a file, unpacked if the first ones are those of gzip, zstd, bz2, xz or zip.

    An archive must hold one file; the first sheet of an Excel workbook comes as CSV.

    Raises:
        DataError: if it cannot be opened, or if a packed file is cut short, damaged, locked, or
            holds several files.
    """
    packing, open_packed = _packing(path)

    try:
        with open_packed(path) as stream:
            yield stream
    except RecollectError:
        raise
    except DAMAGE as problem:
        if packing is None:
            if not isinstance(problem, OSError):
                raise

            raise DataError(f"{path} cannot be read: {_reason(problem)}.") from problem

        raise DataError(
            f"{path} is cut short or damaged ({packing}: {_reason(problem)}); make or download it "
            "again."
        ) from problem


def first_bytes(path: Path) -> bytes:
    """The first bytes of a file's content, by which its kind is recognized."""
    with opened(path) as stream:
        return stream.read(LONGEST_MAGIC)


def refuse_foreign(path: Path, start: bytes) -> None:
    """Refuse a file of a kind that is not read; `start` are its first bytes.

    Raises:
        DataError: naming the kind, and what to do.
    """
    for magic, kind, advice in FOREIGN:
        if start.startswith(magic):
            raise DataError(f"{path} is {kind}; {advice}.")

    if start[TAR_PLACE : TAR_PLACE + len(TAR)] == TAR:
        raise DataError(f"{path} is a tar archive; unpack it and name the file of ratings.")

    if start.lstrip().lower().startswith(WEB_PAGES):
        raise DataError(
            f"{path} is a web page or XML, perhaps what a server answered in place of the file; "
            "get the file again."
        )


def _packing(path: Path) -> tuple[str | None, Callable[[Path], AbstractContextManager[Any]]]:
    """The name of a file's packing (None: not packed), and what opens it."""
    try:
        with open(path, "rb") as stream:
            start = stream.read(6)
    except (OSError, ValueError) as problem:
        raise DataError(f"{_short(path)} cannot be opened: {_reason(problem)}.") from problem

    if start.startswith(b"\x1f\x8b"):
        return "gzip", lambda path: pa.input_stream(str(path), compression="gzip")

    if start.startswith(b"\x28\xb5\x2f\xfd"):
        return "zstd", lambda path: pa.input_stream(str(path), compression="zstd")

    if start.startswith(b"BZh"):
        return "bz2", lambda path: bz2.open(path, "rb")

    if start.startswith(b"\xfd7zXZ\x00"):
        return "xz", lambda path: lzma.open(path, "rb")

    if start.startswith(ARCHIVE):
        return "zip", _open_archive

    return None, lambda path: open(path, "rb")


@contextmanager
def _open_archive(path: Path) -> Iterator[IO[bytes]]:
    """The one file in a zip archive, or the first sheet of an Excel workbook as CSV."""
    with zipfile.ZipFile(path) as archive:
        names = [info.filename for info in archive.infolist() if not info.is_dir()]
        if WORKBOOK in names:
            yield io.BytesIO(excel.as_csv(path))
            return

        content = [name for name in names if not any(part in name for part in BESIDE)]
        if len(content) != 1:
            listed = ", ".join(content[:8]) + (", …" if len(content) > 8 else "")
            raise DataError(
                f"{path} is a zip archive of {len(content)} files ({listed}); unpack it and name "
                "the file of ratings."
            )

        with archive.open(content[0]) as stream:
            yield stream


def _short(path: Path) -> str:
    """A path for a message, which may be too long for one."""
    text = str(path).replace("\x00", "\\0")
    return text if len(text) <= 200 else f"{text[:100]}…"


def _reason(problem: BaseException) -> str:
    """Why something failed, in a few words."""
    if isinstance(problem, OSError) and problem.strerror and problem.errno:
        return problem.strerror.lower()

    text = str(problem).split("\n")[0][:120]

    return text or type(problem).__name__

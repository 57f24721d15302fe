"""Streams that are closed, a terminal that goes away, a home that is missing, a full disk."""

import errno
import io
import os
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from safetensors import SafetensorError
from tests.cli.support import QUICK, call

import recollect as rc
from recollect.cli.output.streams import Forgiving
from recollect.cli.verb import describe_error

RECOLLECT = f"{shlex.quote(sys.executable)} -m recollect.cli"


class Broken(io.StringIO):
    """A stream whose reader has gone."""

    def __init__(self, problem: Exception, good: int) -> None:
        super().__init__()
        self.problem = problem
        self.good = good  # writes before the reader goes
        self.tries = 0

    def write(self, text: str) -> int:
        self.tries += 1
        if self.tries > self.good:
            raise self.problem
        return super().write(text)

    def isatty(self) -> bool:
        return True


GONE = [
    BrokenPipeError(errno.EPIPE, "Broken pipe"),
    OSError(errno.EIO, "Input/output error"),
    OSError(errno.ENOSPC, "No space left on device"),
    ValueError("I/O operation on closed file"),
]


@pytest.mark.parametrize("problem", GONE, ids=str)
def test_progress_that_cannot_be_written_is_not_written(problem: Exception) -> None:
    broken = Broken(problem, good=1)
    stream = Forgiving(broken)
    for word in ("one", "two", "three"):
        assert stream.write(word) == len(word)
        stream.flush()
    assert (broken.getvalue(), broken.tries) == ("one", 2)
    assert not stream.isatty()


@pytest.mark.parametrize("problem", GONE, ids=str)
def test_a_fit_ends_and_is_saved_though_nobody_sees_its_progress(
    problem: Exception, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from recollect.cli.output import screen

    err = Forgiving(Broken(problem, good=3))
    console = screen._console
    monkeypatch.setattr(
        screen, "_console", lambda file: console(file if file is sys.stdout else err)
    )
    assert call("train", work / "split", *QUICK, "--out", tmp_path / "run").exit_code == 0
    assert type(rc.load_model(tmp_path / "run")).__name__ == "AutoRec"


def shell(line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What a line of the shell does."""
    return subprocess.run(
        ["bash", "-c", line],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )


def train(work: Path, out: Path) -> str:
    return " ".join([RECOLLECT, "train", str(work / "split"), *QUICK, "--out", str(out)])


@pytest.mark.slow
@pytest.mark.parametrize("way", ["2>&1 | head -c 1", "2>&-", ">&-", "2>/dev/full", "</dev/null"])
def test_whatever_is_closed_the_model_is_saved_and_there_is_no_traceback(
    way: str, work: Path, tmp_path: Path
) -> None:
    result = shell(f"{train(work, tmp_path / 'run')} {way}")
    assert "Traceback" not in result.stdout + result.stderr
    assert type(rc.load_model(tmp_path / "run")).__name__ == "AutoRec"


@pytest.mark.slow
@pytest.mark.parametrize("way", [">/dev/full", "--json >/dev/full"])
def test_an_answer_that_cannot_be_written_is_an_error_in_words(way: str) -> None:
    result = shell(f"{RECOLLECT} models {way}")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "The disk is full" in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "environment",
    [
        {"COLUMNS": "0", "HOME": "/nonexistent"},
        {"COLUMNS": "x", "TERM": "dumb", "LANG": "C", "LC_ALL": "C"},
        {"COLUMNS": "1", "LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
    ids=str,
)
def test_in_any_environment_there_is_an_answer(environment: dict[str, str], work: Path) -> None:
    result = shell(f"{RECOLLECT} recommend {work / 'run'} --user 1", **environment)
    assert (result.returncode, result.stderr) == (0, "")
    assert len(result.stdout.splitlines()) > 10


@pytest.mark.slow
def test_a_terminal_that_goes_away_does_not_end_the_fit(work: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    options = ["--model", "autorec", "--set", "hidden=50", "--set", "epochs=60"]
    command = [sys.executable, "-m", "recollect.cli", "train", work / "split", *options]
    reader, writer = os.openpty()
    process = subprocess.Popen([*command, "--out", out], stderr=writer, stdout=writer)
    os.close(writer)
    while not (tmp_path / ".run.in-use").exists():
        time.sleep(0.02)
        assert process.poll() is None
    os.close(reader)
    process.send_signal(signal.SIGHUP)
    process.wait(timeout=200)
    assert type(rc.load_model(out)).__name__ == "AutoRec"


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.3, 0.6, 1.0, 2.0])
def test_ctrl_c_at_the_start_ends_without_a_traceback(
    seconds: float, work: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "recollect", "train", work / "split", "--out", tmp_path / "r"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=200)
    # On a busy machine Python itself may not have begun with the package.
    assert "Traceback" not in err or "recollect" not in err
    assert process.returncode in (130, -signal.SIGINT)


CONTROL = "\x1b]0;OWNED\x07\x1b[31mred \x9b31m\r\b"


def test_titles_do_not_command_the_terminal(tmp_path: Path, few: rc.Ratings) -> None:
    table = pl.DataFrame({"item_id": few.items.ids, "title": [CONTROL + i for i in few.items.ids]})
    rc.save(rc.make("bias").fit(replace(few, catalogue=table)), tmp_path / "run")
    for command in (["recommend", "--user", "a", "--seen"], ["similar", "--item", "w"]):
        result = call(command[0], tmp_path / "run", *command[1:])
        if result.exit_code == 0:
            assert not {"\x1b", "\x07", "\x9b", "\r", "\b"} & set(result.stdout)
            assert r"\x1b]0;OWNED\x07" in result.stdout.replace("\n", "")


def test_an_id_that_is_no_text_is_told(work: Path) -> None:
    result = call("recommend", work / "run", "--user", "\udcff")
    assert result.exit_code == 1
    assert "internal" not in result.stderr
    assert r"'\udcff' is not text in UTF-8" in result.stderr


def test_an_answer_never_replaces_what_is_read(work: Path, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.csv"
    pairs.write_bytes((work / "pairs.csv").read_bytes())
    (tmp_path / "link.csv").symlink_to(pairs)
    for out in (pairs, tmp_path / "link.csv", tmp_path / ".." / tmp_path.name / "pairs.csv"):
        result = call("predict", work / "run", "--pairs", pairs, "--out", out)
        assert result.exit_code == 1
        assert "is --pairs, which would be replaced" in result.stderr
    assert pairs.read_bytes() == (work / "pairs.csv").read_bytes()
    other = tmp_path / "out.csv"
    assert "exists" not in call("predict", work / "run", "--pairs", pairs, "--out", other).stderr
    again = call("predict", work / "run", "--pairs", pairs, "--out", other)
    assert f"{other} exists and is replaced" in again.stderr.replace("\n", "")


FULL = [
    SafetensorError("I/O error: No space left on device (os error 28)"),
    OSError("No space left on device (os error 28): out.csv"),
    OSError(errno.ENOSPC, "No space left on device"),
]


@pytest.mark.parametrize("problem", FULL, ids=repr)
def test_a_full_disk_is_told_as_what_it_is(problem: Exception) -> None:
    kind, message = describe_error(problem)
    assert kind == "file"
    assert message.startswith("The disk is full")

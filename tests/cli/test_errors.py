"""Errors of the command line: one line, which says what to do; and the exit codes."""

import errno
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.support import call, settings

from recollect.cli.verb import describe_error
from recollect.errors import SettingError

TRAIN = ["train", "ratings.csv", "--model", "autorec", "--out", "x"]
SPLIT = ["split", "ratings.csv", "--out", "x"]
COMPARE = ["compare", "ratings.csv", "--model", "bias"]

IN_TRAIN = [
    (["train", "none.csv", "--out", "x"], "There is no file none.csv"),
    (["train", "empty.csv", "--out", "x"], "empty.csv is empty"),
    (["train", "text.csv", "--out", "x"], "Line 3 of text.csv: the rating is 'good'"),
    ([*TRAIN, "--scale", "1,4"], "outside the stated scale 1 to 4"),
    ([*TRAIN, "--scale", "5"], "--scale takes the lowest and the highest"),
    ([*TRAIN, "--model", "autorek"], "Did you mean 'autorec'?"),
    ([*TRAIN, *settings("hiden=5")], "Did you mean 'hidden'?"),
    ([*TRAIN, *settings("hidden")], "--set takes KEY=VALUE"),
    ([*TRAIN, *settings("hidden=5", "hidden=6")], "--set hidden is given twice"),
    ([*TRAIN, "--valid", "2"], "valid=2.0 is not a share"),
    ([*TRAIN, "--plot", "curve.txt"], "curve.txt must end in .png"),
    ([*TRAIN, "--histograms"], "name a folder with --tensorboard"),
    ([*TRAIN, "--tensorboard", "x/figures"], "lies in x, which is for the model alone"),
    ([*TRAIN, "--tensorboard", "ratings.csv"], "ratings.csv is a file; name a folder"),
    ([*TRAIN, "--precision", "16"], 'precision is "32" or "mixed"'),
    ([*TRAIN, "--device", "cuda:9"], 'use "cpu"'),
    ([*TRAIN, "--user-column", "usr"], "There is no column 'usr'"),
    (["train", "planted/tiny", "--out", "x", "--user-column", "usr"], "is a data set by name"),
    (["train", "ratings.csv", "--out", "run"], "holds a finished model"),
    (
        ["train", "ratings.csv", "--out", "split"],
        "no part of a saved model, and saving would remove it",
    ),
    (["train", "ratings.csv", "--out", "ratings.csv"], "is a file; name a folder"),
    (["train", "split", "--out", "x", "--test", "0.1"], "is split already"),
    (["train", "ratings.csv", "--out", "x", *settings("hidden=5")], "name the model, such as"),
    (["train", "ratings.csv", "--out", "x", "--plot", "x.png"], "is that of one model"),
    (["train", "ratings.csv", "--out", "x", "--minutes", "0"], "minutes must be above 0"),
    ([*TRAIN, "--minutes", "5"], "leave out --model, or it"),
    ([*TRAIN, "--members", "bias"], "are those of a blend"),
    (["train", "ratings.csv", "--out", "x", "--members", "biass"], "Did you mean 'bias'?"),
    (["train", "ratings.csv", "--out", "x", "--members", "autorec hiden=5"], "Did you mean 'hidd"),
    (["train", "ratings.csv", "--out", "x", "--members", "autorec 5"], "settings KEY=VALUE"),
    (["train", "ratings.csv", "--out", "x", "--members", "m:Evil"], "the other models of Recol"),
    (["train", "ratings.csv", "--out", "x", "--members", "popularity"], "predicts scores to rank"),
]
IN_SPLIT = [
    (["split", "ratings.csv", "--out", "run"], "is not empty"),
    ([*SPLIT, "--how", "tme"], "Did you mean 'time'?"),
    ([*SPLIT, "--time", "0.1", "--windows", "3"], "--time 0.1 and --windows 3 are two ways"),
    ([*SPLIT, "--how", "random", "--time", "0.1"], "--how random and --time 0.1 are two ways"),
    ([*SPLIT, "--time", "yesterday"], "or the first day of the test part"),
    ([*SPLIT, "--time", "2"], "test=2.0 is not a share"),
    ([*SPLIT, "--time", "0.1", "--test", "0.2"], "test=0.2 is stated by --time already"),
    ([*SPLIT, "--windows", "3", "--test", "0.2"], "test=0.2 is stated by --windows already"),
    ([*SPLIT, "--how", "windows", "--test", "0.2"], "test=0.2: a window is its first and its"),
    ([*SPLIT, "--windows", "3m"], "--windows 3m are days of Netflix' ratings"),
    ([*SPLIT, "--windows", "0"], "0 months to learn from"),
    (
        [*SPLIT, "--windows", "2001-01-01:2001-02-30,2001-03-01:2001-03-31"],
        "'2001-02-30' is not a date",
    ),
    ([*SPLIT, "--windows", "2001-01-01:2001-03-01,2001-03-01:2001-03-31"], "overlap"),
    (
        [*SPLIT, "--windows", "1991-01-01:1991-03-01,2001-03-01:2001-03-31"],
        "No rating lies in the window train, 1991-01-01 to 1991-03-01; the ratings run from 2000",
    ),
    ([*SPLIT, "--windows", "2001-01-01:2001-03-01"], "--windows takes FIRST:LAST,FIRST:LAST"),
    (
        ["split", "untimed.csv", "--out", "x", "--windows", "3"],
        "has no times",
    ),
    ([*SPLIT, *settings("given=0.5")], "no setting of the random split 'given'"),
    (["split", "netflix/full", "--out", "x", "--windows", "3m"], "The Netflix Prize is in none of"),
]
IN_DATA = [
    (["data", "describe", "netflix/full"], "put your copy into a folder netflix"),
    (["data", "describe", "split"], "is a folder of a split"),
    (["data", "fetch", "movielens/1mm"], "Did you mean 'movielens/1m'?"),
    (["data", "convert", "ratings.csv", "out.txt"], "must end in .parquet or .csv"),
    (["data", "plant", "made", "--like", "movielens"], "no format of files to plant 'movielens'"),
    (["data", "plant", "made", "--share", "2"], "is the share of Netflix' 100,480,507 ratings"),
    (["data", "plant", "run"], "is not empty"),
]
OF_A_SAVED_MODEL = [
    (["evaluate", "run", "split/train.parquet"], "must not see the ratings it is scored on"),
    (["predict", "run", "--pairs", "mine.csv"], "No column for user was found"),
    (["predict", "run", "--pairs", "none.csv"], "There is no file none.csv"),
    (["recommend", "none", "--user", "1"], "There is no saved model at none"),
    (["recommend", "damaged", "--user", "1"], "is damaged"),
    (["recommend", "run"], "State one of: --user ID, --all-users"),
    (["recommend", "run", "--all-users"], "name it with --out"),
    (["recommend", "run", "--user", "1", "-n", "0"], "1 or more"),
    (["recommend", "run", "--ratings", "high.csv"], "this model's scale is 1 to 5"),
    (["recommend", "run", "--ratings", "text.csv"], "Line 3 of text.csv: the rating is 'good'"),
    (["similar", "run", "--item", "nothing"], "of item 'nothing'; it knows"),
    (["similar", "run"], "State one of: --item ID"),
]
ELSEWHERE = [
    ([*COMPARE, "--device", "gpu"], 'device is "cpu" or "cuda"'),
    ([*COMPARE, "--model", "bias"], "is given twice"),
    ([*COMPARE, *settings("reg_user=5")], "NAME.KEY=VALUE"),
    ([*COMPARE, "--test", "1"], "test=1.0 is not a share"),
    (["doctor", "--shape", "12x7"], "--shape is users, items and ratings"),
    (["doctor", *settings("hidden=3")], "give one, such as --shape"),
    (["models", "nothing"], "There is no model 'nothing'"),
]


@pytest.fixture(scope="module")
def wrong(work: Path) -> Path:
    """The shared folder with files beside them that cannot be used."""
    (work / "empty.csv").touch()
    (work / "untimed.csv").write_text("user_id,item_id,rating\n1,2,3\n1,3,4\n")
    (work / "text.csv").write_text("user_id,item_id,rating\n1,2,3\n1,3,good\n")
    (work / "high.csv").write_text("item_id,rating\n1,9\n")
    damaged = work / "damaged"
    damaged.mkdir()
    for path in (work / "run").iterdir():
        (damaged / path.name).write_bytes(path.read_bytes())
    (damaged / "net.safetensors").write_bytes(b"no tensors")
    return work


@pytest.mark.parametrize(
    ("args", "message"), [*IN_TRAIN, *IN_SPLIT, *IN_DATA, *OF_A_SAVED_MODEL, *ELSEWHERE]
)
def test_an_error_is_one_line_and_with_json_one_object(
    wrong: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], message: str
) -> None:
    monkeypatch.chdir(wrong)
    monkeypatch.setenv("RECOLLECT_DATA", str(wrong))
    result = call(*args, "--quiet")
    assert (result.exit_code, result.stdout) == (1, "")
    assert message in result.stderr
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    with_json = call(*args, "--quiet", "--json")
    assert with_json.exit_code == 1
    assert message in json.loads(with_json.stdout)["error"]["message"]


def test_a_wrong_command_line_has_an_exit_code_of_its_own() -> None:
    assert call("train").exit_code == 2
    assert call("train", "x", "--nope").exit_code == 2


def test_a_wrong_command_line_with_json_is_one_object() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "recollect.cli", "train", "--json"],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=120,
    )
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["kind"] == "usage"


@pytest.mark.parametrize(
    ("problem", "kind", "beginning"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "out"), "file", "The disk is full"),
        (MemoryError(), "memory", "There is not enough memory"),
        (
            PermissionError(errno.EACCES, "Permission denied", "out"),
            "file",
            "out cannot be opened: permission denied.",
        ),
        (KeyError("x"), "internal", "KeyError: 'x'. This is an error in Recollect"),
    ],
)
def test_errors_of_the_system_are_described(
    problem: BaseException, kind: str, beginning: str
) -> None:
    described_kind, message = describe_error(problem)
    assert described_kind == kind
    assert message.startswith(beginning)


def test_debug_lets_an_error_through() -> None:
    assert isinstance(call("models", "nothing", "--debug").exception, SettingError)


@pytest.mark.slow
def test_a_closed_pipe_ends_without_a_traceback(work: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "recollect.cli", "recommend", work / "run", "--user", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    ) as child:
        child.stdout.close()
        errors = child.stderr.read().decode()
    assert "Traceback" not in errors
    assert child.returncode != -signal.SIGSEGV

"""Folders that the tests of the command line share; no test writes to them."""

from pathlib import Path

import pytest
from tests.cli.support import EXPERIMENT, QUICK, answer, call

import recollect as rc
from recollect.experiment import runner
from recollect.system import processes as process_pool


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ratings in a file, a split of them, a model fitted on its train part, and small files."""
    folder = tmp_path_factory.mktemp("work")
    rc.load("planted/tiny").frame().write_csv(folder / "ratings.csv")
    (folder / "pairs.csv").write_text("user_id,item_id,why\n2,7,x\n1,nothing,y\n1,3,z\n")
    (folder / "mine.csv").write_text("item_id,rating\n1,5\n4,2\nnothing,3\n")
    shares = ["--test", 0.2, "--valid", 0.1]
    split = call("split", folder / "ratings.csv", *shares, "--out", folder / "split")
    assert split.exit_code == 0, split.stderr
    train = call("train", folder / "split", "--out", folder / "run", *QUICK)
    assert train.exit_code == 0, train.stderr
    return folder


@pytest.fixture(scope="session")
def netflix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with made-up ratings in the form of Netflix' files."""
    folder = tmp_path_factory.mktemp("made") / "netflix"
    planted = answer("data", "plant", folder, "--like", "netflix", "--share", 0.0005)
    assert planted["ratings"] == 50_240
    return folder


@pytest.fixture
def paper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of experiments in an empty folder without data; its runs stay in this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECOLLECT_DATA", str(tmp_path))
    run_each = process_pool.run_each
    monkeypatch.setattr(
        runner, "run_each", lambda function, inputs, *, processes: run_each(function, inputs)
    )
    (tmp_path / "experiments").mkdir()
    path = tmp_path / "experiments" / "paper.toml"
    path.write_text(EXPERIMENT)
    return path

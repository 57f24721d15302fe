"""The verb report: pages from the records of experiments."""

from pathlib import Path

from tests.cli.support import EXPERIMENT, answer, call


def page_of_report(*options: str) -> str:
    result = call("report", "--out", "pages", *options)
    assert result.exit_code == 0, result.stderr
    return Path("pages/paper.md").read_text()


def test_pages_are_written_for_all_experiments_in_the_folder(paper: Path) -> None:
    call("run", paper, "--quiet")
    report = answer("report")
    assert report["verdicts"]["paper"]["better"] == 1  # a claim of 5.0
    assert sorted(Path(path).name for path in report["written"]) == ["paper.md", "report.html"]
    assert "no data: netflix/full is not here" in Path("runs/report/paper.md").read_text()
    assert "better by" in Path("runs/report/report.html").read_text()


def test_records_are_read_from_the_folder_that_the_file_names(paper: Path) -> None:
    paper.write_text('records = "../docs/records"\n' + EXPERIMENT)
    call("run", paper, "--quiet")
    assert "better by" in page_of_report()
    assert "not run" in page_of_report("--results", "elsewhere")


def test_a_missing_file_is_answered_with_one_line(paper: Path) -> None:
    result = call("report", "none.toml", "--quiet")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "There is no file none.toml" in result.stderr
    assert result.stderr.count("\n") == 1

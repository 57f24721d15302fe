"""Damaged files of every kind are read or refused in our own words, and no line is lost."""

import pytest
from benchmarks.fuzz_readers import Kind, inputs, kinds, outcome

from recollect.data.read import read
from recollect.errors import RecollectError


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.name)
def test_the_file_that_is_damaged_is_whole_before(kind, tmp_path):
    assert outcome(kind, kind.content, tmp_path) == ("read", "")


def check(n, seed, folder):
    failed = []

    for number, (kind, content) in enumerate(inputs(n, seed)):
        ended, details = outcome(kind, content, folder)
        if ended not in ("read", "refused"):
            failed.append((number, kind.name, ended, details))

    assert failed == []


def test_damaged_files_are_read_or_refused(tmp_path):
    check(200, 1, tmp_path)


@pytest.mark.slow  # a thousand files
def test_a_thousand_damaged_files_are_read_or_refused(tmp_path):
    check(1000, 2, tmp_path)


def test_what_goes_wrong_is_counted(tmp_path):
    """The three verdicts that fail a run can be given."""

    def crash(path):
        raise IndexError

    def swallow(path):
        text = path.read_text().splitlines(keepends=True)
        path.with_suffix(".part").write_text("".join(text[:-3]))
        return read(path.with_suffix(".part"))

    def foreign_words(path):
        raise RecollectError("pass schema_overrides to polars")

    content = kinds()[0].content
    for reader, verdict in (
        (crash, "unexpected"),
        (swallow, "lost"),
        (foreign_words, "unexpected"),
    ):
        ended, _ = outcome(Kind("k", content, reader, has_lines=True), content, tmp_path)
        assert ended == verdict

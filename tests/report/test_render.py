"""Pages: what stands on them, that they are made from records alone, and those in docs/results."""

import itertools
import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from recollect.errors import SettingError
from recollect.experiment.carried import FILE
from recollect.experiment.parse import read
from recollect.experiment.results import Results, UserSums, job_of, write_json
from recollect.report import figures, render, sentences
from recollect.report.tables import make_report

ROOT = Path(__file__).parents[2]
PAPER = """
paper = "A <paper> of ours."
link = "https://example.org/paper"
protocol = "Cut at random."
[part.tiny]
data = "planted/tiny"
split = { how = "random", test = 0.2, valid = 0.1, repeat = 3 }
about = "Made here."
[part.far]
data = "movielens/10m"
split = { how = "random", test = 0.2 }
[[table]]
name = "one"
title = "Table 1"
shows = "Models beside each other."
figure = "runs"
[[table.run]]
name = "nobody"
claim.tiny = { value = 0.8, where = "Table 1" }
[[table.run]]
name = "good"
model = "bias"
claim.tiny = { value = 0.95, where = "Table 1", within = 0.01 }
claim.far = { value = 0.7, where = "Table 1" }
[[table.run]]
name = "bad"
model = "bias"
reg_user = 1
claim.tiny = { value = 0.95, where = "Table 1" }
[[table.run]]
name = "breaks"
model = "bias"
reg_user = 2
[[table.check]]
says = "good is better than bad"
where = "section 1"
below = ["good", "bad"]
[[table]]
name = "two"
title = "Figure 2"
figure = "reg_item"
parts = ["tiny"]
[[table.run]]
name = "swept"
model = "bias"
sweep = { reg_item = [1, 5, 100] }
[[table]]
name = "three"
title = "Curves"
figure = "epochs"
parts = ["tiny"]
[[table.run]]
name = "curve"
model = "autorec"
"""
FIGURES = {
    "good": [0.951, 0.953, 0.955],
    "bad": [1.01, 1.02, 1.025],
    "swept, reg_item = 1": [0.99] * 3,
    "swept, reg_item = 5": [0.98] * 3,
    "swept, reg_item = 100": [0.97] * 3,
    "curve": [0.9] * 3,
}
MADE = {
    "release": "0.1",
    "commit": "abc1234",
    "versions": {"torch": "9.9"},
    "threads": 1,
    "date": "2026-01-02T03:04:05.000+00:00",
}


def write_record(results, job, rmse):
    figures_ = {
        "test": {"rmse": rmse},
        "n_train": 576,
        "n_valid": 64,
        "n_test": 160,
        "n_cold": 2,
        "fit_seconds": 0.5,
        "peak_memory_mb": 400.0,
        "made": MADE,
        "curve": {"valid_rmse": [[1, 1.2], [2, 0.9], [3, 0.95]]},
    }
    squared = np.full(8, rmse**2)
    results.write(
        job, figures_, UserSums.of(np.arange(8), {"rmse": squared, "mae": np.sqrt(squared)})
    )


@pytest.fixture
def made_up(tmp_path):
    """An experiment with made-up records: nothing is fitted."""
    (tmp_path / "paper.toml").write_text(PAPER)
    experiment, results = read(tmp_path / "paper.toml"), Results(tmp_path / "results")
    results.note_data("planted/tiny", {"fingerprint": "f00", "users": 60, "items": 40})
    results.note_data("movielens/10m", {"missing": "movielens/10m is not here; get it"})
    splits = experiment.parts["tiny"].splits
    for table in experiment.tables.values():
        for run, number in itertools.product(table.runs["tiny"], range(3)):
            if run.model is None:
                continue
            job = job_of(run, splits[number], "f00")
            if run.name in FIGURES:
                write_record(results, job, FIGURES[run.name][number])
            elif run.name == "breaks":
                results.write(job, {"failed": "The objective became nan", "made": MADE})
    return experiment, results, tmp_path / "out"


def page_of(experiment, results):
    return render.markdown(make_report(experiment, results), {})


def line_of(text, start):
    return next(line for line in text.splitlines() if line.startswith(start))


def test_a_page_has_figures_beside_the_papers_with_interval_and_verdict(made_up):
    experiment, results, _ = made_up
    text = page_of(experiment, results)
    spread = np.var(FIGURES["good"], ddof=1)
    half = stats.t.ppf(0.975, 2) * math.sqrt((1 / 3 + 0.2 / 0.8) * spread)
    limits = f"{0.953 - half:.4f} – {0.953 + half:.4f}"
    row = f"| good | 0.9530 | {limits} | 3 | 0.95 | +0.0030 | confirmed | 0.5 s | 400 |"
    assert line_of(text, "| good") == row
    assert "| bad | 1.0183 |" in text
    assert "| +0.0683 | missed by 0.0683 |" in text
    assert "| nobody | not built yet | – | – | 0.8 |" in text
    assert "- good is better than bad (section 1): **confirmed**, by 0.0653, more than ch" in text


def test_a_table_says_what_was_measured_on_what_and_which_code_made_it(made_up):
    experiment, results, _ = made_up
    assert line_of(page_of(experiment, results), "**tiny.**") == (
        "**tiny.** planted/tiny (fingerprint f00): random splits (test 0.2, valid 0.1, seeds 0 to "
        "2). All 160 test ratings of a split are scored, 2 of them cold. "
        "Made by release 0.1 (commit abc1234)."
    )


def test_a_table_says_which_of_its_fits_ran_on_a_card(made_up):
    _, results, _ = made_up
    records = [json.loads(path.read_text()) for path in sorted(results.folder.glob("*.json"))]
    records = [record for record in records if "made" in record]
    records[0]["made"]["device"] = "NVIDIA H100"
    last = f"; 1 of {len(records)} fits on NVIDIA H100."
    assert sentences.describe_releases(records).endswith(last)


def test_a_page_says_when_it_was_made_and_with_which_versions(made_up):
    experiment, results, _ = made_up
    assert page_of(experiment, results).count(
        "Made 2026-01-02 with recollect 0.1, torch 9.9; CPU, 1 thread(s) a fit.\n"
    )


def test_failed_and_skipped_runs_stand_on_the_page(made_up):
    experiment, results, _ = made_up
    text = page_of(experiment, results)
    assert "- breaks failed: The objective became nan" in text
    assert "- no data: movielens/10m is not here; get it" in text
    assert "| good | no data | – | – | 0.7 | – | – | – | – |" in text


def remove_record(experiment, results, split):
    """Remove the record of "good" on a split; returns its jobs on all splits."""
    run = experiment.tables["one"].runs["tiny"][1]
    jobs = [job_of(run, spec, "f00") for spec in experiment.parts["tiny"].splits]
    (results.folder / f"{jobs[split].key}.json").unlink()
    return jobs


def test_a_claim_of_a_fold_stands_beside_that_fold(tmp_path):
    """Its row shows the mean over folds; difference and verdict are of the fold."""
    claim = '{ value = 0.889, where = "u1", fold = 1 }'
    (tmp_path / "folds.toml").write_text(
        'paper = "P"\ndata = "movielens/100k"\n'
        'split = { how = "published", folds = [2, 1, 3] }\n'
        f'[[run]]\nmodel = "bias"\nclaim = {claim}\n'
    )
    experiment, results = read(tmp_path / "folds.toml"), Results(tmp_path / "results")
    results.note_data("movielens/100k", {"fingerprint": "f00", "users": 60, "items": 40})
    (run,) = experiment.tables["folds"].runs["100k"]
    for spec, rmse in zip(experiment.parts["100k"].splits, (0.86, 0.9075, 0.88), strict=True):
        write_record(results, job_of(run, spec, "f00"), rmse)
    row = line_of(page_of(experiment, results), "| bias")
    assert row.startswith("| bias | 0.8825 |")
    assert "| 3 | 0.889 | +0.0185 | missed by 0.0185: fold 1 has 0.9075 |" in row


def test_the_papers_counts_stand_beside_ours(made_up):
    experiment, results, _ = made_up
    part = replace(experiment.parts["tiny"], published={"users": 61, "items": 41, "pages": 9})
    experiment = replace(experiment, parts={**experiment.parts, "tiny": part})
    counts = (
        "- tiny: Made here. The paper has 61 users, 41 items, 9 pages; here 60 users, 40 items."
    )
    assert counts in page_of(experiment, results)


def test_what_is_open_for_want_of_data_is_counted(made_up):
    """Without a result are "nobody", and on "far" a claim and a check."""
    experiment, results, _ = made_up
    assert "3 without a result, 2 of them for want of data" in page_of(experiment, results)


def test_curves_show_training_errors_dashed(made_up):
    experiment, results, _ = made_up
    table = replace(experiment.tables["three"], figure="curves")
    experiment = replace(experiment, tables={"three": table})
    (run,) = table.runs["tiny"]
    job = job_of(run, experiment.parts["tiny"].splits[0], "f00")
    record = results.read(job)
    record["curve"]["train_rmse"] = [[1, 1.1], [2, 0.8]]
    write_json(results.folder / f"{job.key}.json", record)
    (made,) = make_report(experiment, results).tables
    (axes,) = figures.draw(made).axes
    assert [line.get_linestyle() for line in axes.get_lines()] == ["-", "--"]
    np.testing.assert_allclose(axes.get_lines()[1].get_xydata(), [(1, 1.1), (2, 0.8)])


TINY_CLAIM = 'claim.tiny = { value = 0.95, where = "Table 1"'
GAIN = """
paper = "P"
data = "planted/tiny"
split = { how = "random", test = 0.2 }
figure = "gain"
[[run]]
name = "plain"
model = "bias"
sweep = { reg_item = [1, 10, 100] }
[[run]]
name = "better"
model = "bias"
reg_user = 3
sweep = { reg_item = [1, 10, 100] }
"""


def test_a_gain_is_of_the_second_sweep_over_the_first(tmp_path):
    (tmp_path / "gain.toml").write_text(GAIN)
    experiment, results = read(tmp_path / "gain.toml"), Results(tmp_path / "results")
    results.note_data("planted/tiny", {"fingerprint": "f00", "users": 60, "items": 40})
    (spec,) = experiment.parts["tiny"].splits
    runs = experiment.tables["gain"].runs["tiny"]
    for run, rmse in zip(runs[:-1], (1.0, 0.8, 0.5, 0.9, 0.76), strict=True):
        write_record(results, job_of(run, spec, "f00"), rmse)
    (table,) = make_report(experiment, results).tables
    (axes,) = figures.draw(table).axes
    np.testing.assert_allclose(axes.get_lines()[0].get_xydata(), [(1, 10), (10, 5)])


def test_a_gain_needs_two_sweeps_of_one_setting(tmp_path):
    (tmp_path / "gain.toml").write_text(GAIN.partition('[[run]]\nname = "better"')[0])
    with pytest.raises(SettingError, match='figure = "gain" shows by how many per cent'):
        read(tmp_path / "gain.toml")


def test_a_page_says_why_a_claim_is_missed_and_a_check_not_confirmed(tmp_path, made_up):
    _, results, _ = made_up
    why = 'because = "other films." }'
    text = PAPER.replace('claim.tiny = { value = 0.95, where = "Table 1" }', f"{TINY_CLAIM}, {why}")
    text = text.replace(
        'below = ["good", "bad"]', 'below = ["bad", "good"]\nbecause = "It is new."'
    )
    (tmp_path / "paper.toml").write_text(text)
    page = page_of(read(tmp_path / "paper.toml"), results)
    assert "- bad misses the paper: other films." in page
    assert "- good is better than bad: not so. It is new." in page
    kept = text.replace('below = ["bad", "good"]', 'below = ["good", "bad"]')
    (tmp_path / "paper.toml").write_text(kept)
    assert "It is new." not in page_of(read(tmp_path / "paper.toml"), results)


def test_a_page_lists_what_is_not_run_in_full(made_up):
    experiment, results, _ = made_up
    remove_record(experiment, results, 2)
    text = page_of(experiment, results)
    assert "- tiny: one (2 of 3 rows) not run yet (`recollect run experiments/paper.toml" in text


def test_counts_of_all_parts_of_a_table_are_drawn_together(made_up):
    experiment, results, _ = made_up
    quantiles = {"item_counts": [1.0, 2.0, 5.0], "item_skewness": 2.25}
    facts = {"fingerprint": "f00", "users": 60, "items": 40, **quantiles}
    results.note_data("planted/tiny", facts)
    results.note_data("movielens/10m", {"fingerprint": "f01", "item_counts": [3.0, 9.0, 99.0]})
    table = replace(experiment.tables["one"], figure="counts")
    experiment = replace(experiment, tables={"one": table})
    report = make_report(experiment, results)
    (axes,) = figures.draw(report.tables[0]).axes
    assert [line.get_label() for line in axes.get_lines()] == ["tiny", "far"]
    assert "Skewness of the number of ratings of an item: 2.25." in render.markdown(report, {})


def test_missing_splits_are_counted(made_up):
    experiment, results, _ = made_up
    remove_record(experiment, results, 2)
    row = line_of(page_of(experiment, results), "| good")
    assert row.startswith("| good | 0.9520 | – | 2 of 3 | 0.95 | +0.0020 | confirmed |")


# --- rows that were carried over ------------------------------------------------------------------


def carry_over(folder, jobs, **changes):
    """Write what release 0.0.9 printed of the run "good"."""
    row = {
        "fingerprint": "f00",
        "splits": [[job.split, job.seed] for job in jobs],
        "model": jobs[0].model,
        "settings": jobs[0].settings,
        "metric": "rmse",
        "interval": [0.9444, 0.94, 0.9488],
        "fit_seconds": 75.0,
        "peak_memory_mb": 512,
    }
    verdict = {"word": "confirmed", "text": "as it was", "figures": {"good": 0.9444, "bad": 1.0183}}
    table = {"n_test": [160, 161], "n_cold": [0, 3], "checks": {"good is better than bad": verdict}}
    made = {"date": "2025-12-31", "versions": {"torch": "8.8"}, "threads": [1, 2]}
    content = {
        "release": "0.0.9",
        "made": {"paper": made},
        "rows": [row | changes],
        "tables": {"paper/one/tiny": table},
    }
    write_json(folder / FILE, content)


def test_a_row_without_all_records_is_that_of_the_release_that_printed_it(made_up):
    experiment, results, _ = made_up
    carry_over(results.folder, remove_record(experiment, results, 2))
    text = page_of(experiment, results)
    verdict = "| 0.95 | -0.0056 | better by 0.0056 |"
    row = f"| good | 0.9444 | 0.9400 – 0.9488 | 3 {verdict} 1.2 min | 512 |"
    assert line_of(text, "| good") == row
    assert "**confirmed**, as it was." in text
    table = line_of(text, "**tiny.**")
    assert "All 160 to 161 test ratings of a split are scored, 0 to 3 of them cold." in table
    assert table.endswith(
        "Made by release 0.1 (commit abc1234). 1 row is carried over from release 0.0.9."
    )
    assert (
        "Made 2025-12-31 to 2026-01-02 with recollect 0.1, torch 9.9; CPU, 1 to 2 thread(s) a fit. "
        "1 row is a summary carried over from release 0.0.9: the records of single splits are "
        "lost; `recollect run` makes them anew."
    ) in text


def test_records_of_all_splits_replace_a_carried_row(made_up):
    experiment, results, _ = made_up
    before = page_of(experiment, results)
    run = experiment.tables["one"].runs["tiny"][1]
    carry_over(
        results.folder, [job_of(run, spec, "f00") for spec in experiment.parts["tiny"].splits]
    )
    assert page_of(experiment, results) == before


@pytest.mark.parametrize("changes", [{"settings": {"reg_user": 9.0}}, {"fingerprint": "f01"}])
def test_a_carried_row_of_other_settings_or_data_is_not_used(made_up, changes):
    experiment, results, _ = made_up
    carry_over(results.folder, remove_record(experiment, results, 2), **changes)
    assert "| good | 0.9520 | – | 2 of 3 |" in page_of(experiment, results)


# --- files ----------------------------------------------------------------------------------------


def test_a_report_is_one_html_file_and_markdown_with_its_figures(made_up):
    experiment, results, out = made_up
    written = render.write([make_report(experiment, results)], out)
    assert sorted(path.name for path in written) == [
        "paper-one-tiny.png",
        "paper-three-tiny.png",
        "paper-two-tiny.png",
        "paper.md",
        "report.html",
    ]
    html, text = (out / "report.html").read_text(), (out / "paper.md").read_text()
    assert html.count("<svg") == 3
    assert "A &lt;paper&gt; of ours." in html
    assert 'title="bias: reg_user = 1.0"' in html
    assert "prefers-color-scheme: dark" in html
    outside = r"""(?:src|href)=["'](?!#|https://example\.org/paper)"""
    assert not re.search(outside, re.sub(r"xlink:href", "", html))
    assert "<script" not in html
    names = re.findall(r"\]\((paper-[^)]+)\)", text)
    assert len(names) == 3
    assert all((out / name).is_file() for name in names)


@pytest.mark.slow
def test_the_same_records_give_the_same_pages(made_up):
    experiment, results, out = made_up
    for folder in ("a", "b"):
        render.write([make_report(experiment, results)], out / folder)
    for path in (out / "a").iterdir():
        assert path.read_bytes() == (out / "b" / path.name).read_bytes(), path.name


def test_a_figure_over_a_setting_has_a_point_for_each_value(made_up):
    experiment, results, _ = made_up
    tables = make_report(experiment, results).tables
    table = next(table for table in tables if table.table.name == "two")
    (axes,) = figures.draw(table).axes
    (line,) = axes.get_lines()[:1]
    np.testing.assert_allclose(line.get_xydata(), [(1, 0.99), (5, 0.98), (100, 0.97)])
    assert axes.get_xscale() == "log"


def test_without_the_libraries_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "jinja2", None)
    with pytest.raises(SettingError, match=r"pip install \"recollect\[report\]\""):
        render.check()


@pytest.mark.parametrize(
    "path", sorted((ROOT / "experiments").glob("*.toml")), ids=lambda p: p.stem
)
def test_the_pages_of_the_repository_are_what_its_records_give(path):
    """A fresh clone draws its own pages; each says why we believe what did not come out."""
    experiment = read(path)
    report = make_report(experiment, Results(experiment.records))
    page = ROOT / "docs" / "results" / f"{experiment.name}.md"
    figure = re.compile(r"^!\[.*\n", re.MULTILINE)
    assert figure.sub("", page.read_text()).split() == render.markdown(report, {}).split()

    for table in report.tables:
        missed = [row for row in table.rows if row.verdict and row.verdict.word == "missed"]
        assert all(row.claim.because for row in missed), [row.run.name for row in missed]
        not_so = [check for check, verdict in table.checks if verdict.word == "not confirmed"]
        assert all(check.because for check in not_so), [check.says for check in not_so]


def test_what_looks_like_html_in_a_file_is_text_on_its_pages(tmp_path):
    path = tmp_path / "paper.toml"
    path.write_text(PAPER.replace("Cut at random.", "<script>alert(1)</script> <!-- x"))
    report = make_report(read(path), Results(tmp_path / "records"))
    page = render.markdown(report, {})
    assert "&lt;script>alert(1)&lt;/script> &lt;!-- x" in page
    assert not re.search("<[A-Za-z/!]", page)

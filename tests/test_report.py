"""Reports: verdicts by hand, what stands on the pages, and that they are made from results alone."""

import itertools
import math
import re

import numpy as np
import pytest
from matplotlib import rc_context
from scipy import stats

from recollect.errors import SettingError
from recollect.evaluation.significance import Interval
from recollect.experiment import file
from recollect.experiment.file import Check, Claim, Entry
from recollect.experiment.results import Results, job_of
from recollect.report import pages, pictures
from recollect.report.sheets import gather
from recollect.report.verdict import Outcome, of_check, of_claim
from recollect.training.history import History

NONE = float("nan")


# --- claims ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mean", "low", "high", "word", "text"),
    [
        (0.8300, 0.8290, 0.8305, "better", "better by 0.0010"),  # the whole interval below 0.831
        (
            0.8300,
            0.8280,
            0.8320,
            "confirmed",
            "confirmed",
        ),  # below, but the interval holds the claim
        (0.8330, 0.8320, 0.8340, "confirmed", "confirmed"),  # above by less than 0.003
        (
            0.8350,
            0.8300,
            0.8400,
            "confirmed",
            "confirmed",
        ),  # above by more, the interval reaches the claim
        (0.8350, 0.8345, 0.8355, "missed", "missed by 0.0040"),
        (
            0.8340,
            NONE,
            NONE,
            "confirmed",
            "confirmed",
        ),  # without an interval, `within` alone decides
        (0.8341, NONE, NONE, "missed", "missed by 0.0031"),
        (0.8281, NONE, NONE, "confirmed", "confirmed"),  # 0.0029 below is not better, 0.0031 is
        (0.8279, NONE, NONE, "better", "better by 0.0031"),
    ],
)
def test_a_claim_is_better_confirmed_or_missed(mean, low, high, word, text):
    assert of_claim(Claim(0.831, "Table 1a", within=0.003), Interval(mean, low, high)) == (
        word,
        text,
    )


# --- checks ---------------------------------------------------------------------------------------------------------


def outcome(name, values, *, errors=None, curve=(), **point):
    """What was measured of an entry with these figures, one per split."""
    epochs = {"valid_rmse": [*enumerate(curve)]}
    records = [
        None if value is None else {"test": {"rmse": value}, "curve": epochs} for value in values
    ]
    kept = errors or [np.zeros(4)] * len(values)
    user = np.arange(len(kept[0]), dtype=np.int32)
    return Outcome(
        Entry(name, "bias", line=name.partition(",")[0], point=point),
        records,
        lambda split: {"squared_error": kept[split].astype(np.float32), "user": user},
        "rmse",
        0.2,
    )


def asked(kind, *of, within=0.0):
    return Check(
        "so it is",
        "Table 1",
        kind,
        tuple((each,) if isinstance(each, str) else each for each in of),
        within,
    )


def test_below_with_enough_splits_is_a_corrected_t_test():
    a, b = [0.90, 0.91, 0.92], [0.93, 0.93, 0.96]
    d = np.subtract(a, b)
    t = d.mean() / math.sqrt((1 / 3 + 0.2 / 0.8) * d.var(ddof=1))
    p = 2 * stats.t.sf(abs(t), 2)
    found = of_check(asked("below", "a", "b"), [outcome("a", a), outcome("b", b)])
    assert found.word == ("confirmed" if p < 0.05 else "not confirmed")
    assert f"{-d.mean():.4f}" in found.text
    assert f"p = {p:.2g}, corrected t-test over 3 splits" in found.text


def test_below_with_few_splits_is_a_bootstrap_over_users():
    rng = np.random.default_rng(0)
    small, large = rng.uniform(0.5, 0.7, 200), rng.uniform(0.9, 1.1, 200)
    rmse = [float(np.sqrt(errors.mean())) for errors in (small, large)]
    a, b = outcome("a", rmse[:1], errors=[small]), outcome("b", rmse[1:], errors=[large])
    found = of_check(asked("below", "a", "b"), [a, b])
    assert found.word == "confirmed"
    assert f"by {rmse[1] - rmse[0]:.4f}, more than chance" in found.text
    assert "bootstrap over users, 1 split" in found.text
    other = of_check(asked("below", "b", "a"), [a, b])
    assert other.word == "not confirmed"
    assert f"above by {rmse[1] - rmse[0]:.4f}" in other.text


def test_a_difference_that_may_be_chance_confirms_nothing():
    a, b = outcome("a", [0.90, 0.95, 0.91]), outcome("b", [0.93, 0.92, 0.94])
    found = of_check(asked("below", "a", "b"), [a, b])
    assert (found.word, "which may be chance" in found.text) == ("not confirmed", True)


def test_below_for_groups_holds_for_every_pair():
    entries = [
        outcome("a", [0.90, 0.91, 0.92]),
        outcome("b", [0.99, 1.0, 1.01]),
        outcome("c", [0.89, 0.90, 0.91]),
    ]
    assert of_check(asked("below", "a", ("b",)), entries).word == "confirmed"
    found = of_check(asked("below", "a", ("b", "c")), entries)
    assert (found.word, "above by 0.0100" in found.text) == ("not confirmed", True)


@pytest.mark.parametrize(
    ("means", "within", "word", "text"),
    [
        ([0.95, 0.92, 0.91], 0.0, "confirmed", "from 0.9500 to 0.9100"),
        ([0.95, 0.91, 0.92], 0.0, "not confirmed", "rises by 0.0100 from m, k = 2 to m, k = 3"),
        (
            [0.95, 0.91, 0.92],
            0.02,
            "confirmed",
            "from 0.9500 to 0.9200; steps up of 0.02 are allowed",
        ),
    ],
)
def test_falls_means_no_step_up(means, within, word, text):
    entries = [outcome(f"m, k = {k}", [mean], k=k) for k, mean in enumerate(means, start=1)]
    assert of_check(asked("falls", "m", within=within), entries) == (word, text)


def test_lowest_near_and_overfits():
    entries = [
        outcome("a", [0.90], curve=[1.0, 0.90, 0.99]),
        outcome("b", [0.93], curve=[1.0, 0.93, 0.935]),
    ]
    assert of_check(asked("lowest", "a"), entries) == ("confirmed", "0.0300 below b")
    assert of_check(asked("lowest", "b"), entries) == ("not confirmed", "0.0300 above a")
    assert of_check(asked("near", "a", "b", within=0.04), entries).word == "confirmed"
    assert of_check(asked("near", "a", "b", within=0.02), entries).word == "not confirmed"
    assert of_check(asked("overfits", "a", within=0.05), entries).word == "confirmed"
    assert of_check(asked("overfits", ("a", "b"), within=0.05), entries) == (
        "not confirmed",
        "validation error at the end 0.0050 above its best (b)",
    )


def test_without_a_result_a_check_is_open():
    found = of_check(asked("lowest", "a"), [outcome("a", [0.9]), outcome("b", [None])])
    assert found == ("open", "no result of b")


# --- pages ----------------------------------------------------------------------------------------------------------

FILE = """
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


@pytest.fixture
def chapter_files(tmp_path):
    """A report of made-up results: nothing is fitted."""
    (tmp_path / "paper.toml").write_text(FILE)
    experiment, results = file.read(tmp_path / "paper.toml"), Results(tmp_path / "results")
    results.note_data(
        "planted/tiny",
        {"fingerprint": "f00", "users": 60, "items": 40, "ratings": 800, "timed": True},
    )
    results.note_data("movielens/10m", {"missing": "movielens/10m is not here; get it"})
    figures = {
        "good": [0.951, 0.953, 0.955],
        "bad": [1.01, 1.02, 1.025],
        "swept, reg_item = 1": [0.99] * 3,
        "swept, reg_item = 5": [0.98] * 3,
        "swept, reg_item = 100": [0.97] * 3,
        "curve": [0.9] * 3,
    }
    part = experiment.parts["tiny"]
    for table in experiment.tables.values():
        for entry, (split, cut) in itertools.product(table.entries["tiny"], enumerate(part.cuts)):
            if entry.name in figures:
                keep(results, job_of(entry, cut, "f00"), figures[entry.name][split])
            elif entry.name == "breaks":
                results.write(
                    job_of(entry, cut, "f00"),
                    {"failed": "The objective became nan", "made": made()},
                )
    return experiment, results, tmp_path / "out"


def made():
    return {
        "source": "another",
        "versions": {"recollect": "0.1"},
        "threads": 1,
        "finished": 1.0,
        "date": "2026-01-02T03:04:05",
    }


def keep(results, job, rmse):
    results.write(
        job,
        {
            "test": {"rmse": rmse},
            "n_train": 576,
            "n_valid": 64,
            "n_test": 160,
            "n_cold": 2,
            "fit_seconds": 0.5,
            "peak_memory_mb": 400.0,
            "made": made(),
            "curve": {"valid_rmse": [[1, 1.2], [2, 0.9], [3, 0.95]]},
        },
        {"squared_error": np.full(8, rmse**2, np.float32), "user": np.arange(8, dtype=np.int32)},
    )


def test_a_page_has_ours_beside_the_papers_with_interval_difference_and_verdict(chapter_files):
    experiment, results, _ = chapter_files
    text = pages.markdown(gather(experiment, results), {})
    half = stats.t.ppf(0.975, 2) * math.sqrt(
        (1 / 3 + 0.2 / 0.8) * np.var([0.951, 0.953, 0.955], ddof=1)
    )
    row = next(line for line in text.splitlines() if line.startswith("| good"))
    limits = f"{0.953 - half:.4f} – {0.953 + half:.4f}"
    assert row == f"| good | 0.9530 † | {limits} | 3 | 0.95 | +0.0030 | confirmed | 0.5 s | 400 |"
    assert "| bad | 1.0183 † |" in text
    assert "| +0.0683 | missed by 0.0683 |" in text
    assert "| nobody | not built yet | – | – | 0.8 |" in text
    assert (
        "random splits (test 0.2, valid 0.1, seeds 0 to 2). All 160 test ratings of a split are scored, 2 of"
        in text
    )
    assert "† made by an earlier version" in text
    assert (
        "- good is better than bad (section 1): **confirmed**, by 0.0653, more than chance" in text
    )


def test_what_failed_and_what_was_skipped_stand_on_the_page(chapter_files):
    experiment, results, _ = chapter_files
    text = pages.markdown(gather(experiment, results), {})
    assert "- breaks failed: The objective became nan" in text
    assert "- skipped: movielens/10m is not here; get it" in text
    assert "| good | skipped: no data | – | – | 0.7 | – | – | – | – |" in text


def test_a_split_that_is_missing_is_counted(chapter_files):
    experiment, results, _ = chapter_files
    good = experiment.tables["one"].entries["tiny"][1]
    job = job_of(good, experiment.parts["tiny"].cuts[2], "f00")
    (results.folder / f"{job.key}.json").unlink()
    row = next(
        line
        for line in pages.markdown(gather(experiment, results), {}).splitlines()
        if line.startswith("| good")
    )
    assert row.startswith("| good | 0.9520 † | – | 2 of 3 | 0.95 | +0.0020 | confirmed |")


def test_the_report_is_a_page_in_one_file_and_markdown_with_its_pictures(chapter_files):
    experiment, results, out = chapter_files
    written, _ = pages.write([experiment], results, out)
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
    assert "prefers-color-scheme: dark" in html
    assert not re.search(
        r"""(?:src|href)=["'](?!#|https://example\.org/paper)""", re.sub(r"xlink:href", "", html)
    )
    assert "<script" not in html
    assert all((out / name).is_file() for name in re.findall(r"\]\((paper-[^)]+)\)", text))


def test_the_same_results_give_the_same_pages(chapter_files):
    experiment, results, out = chapter_files
    for folder in ("a", "b"):
        pages.write([experiment], results, out / folder)
    for path in (out / "a").iterdir():
        assert path.read_bytes() == (out / "b" / path.name).read_bytes(), path.name


def test_a_figure_over_a_setting_has_a_point_for_each_value(chapter_files):
    experiment, results, _ = chapter_files
    sheet = next(sheet for sheet in gather(experiment, results).sheets if sheet.table.name == "two")
    (axes,) = pictures.figure(sheet).axes
    (line,) = axes.get_lines()[:1]
    np.testing.assert_allclose(line.get_xydata(), [(1, 0.99), (5, 0.98), (100, 0.97)])
    assert axes.get_xscale() == "log"


def drawn(history, path):
    """The words in the picture of a training curve."""
    with rc_context({"svg.fonttype": "none"}):
        return re.findall(
            r"<text[^>]*>([^<]*)</text>",
            pictures.curve(history, path / "curve.svg", title="here").read_text(),
        )


def test_training_and_validation_of_one_kind_share_a_picture(tmp_path):
    epochs = [{"epoch": float(j), "train_rmse": 2.0 / j, "valid_rmse": 3.0 / j} for j in (1, 2)]
    words = drawn(History(epochs=epochs, best_epoch=2, best_valid=1.5), tmp_path)
    assert words.count("RMSE") == words.count("training") == words.count("validation") == 1
    assert "1.5000, epoch 2" in words


def test_a_loss_and_another_figure_have_a_picture_each(tmp_path):
    epochs = [{"epoch": float(j), "train_loss": 2.0 / j, "valid_ndcg@9": j / 10} for j in (1, 2)]
    history = History(
        epochs=epochs,
        best_epoch=2,
        best_valid=0.2,
        train_name="train_loss",
        valid_name="valid_ndcg@9",
    )
    words = drawn(history, tmp_path)
    assert {"loss", "ndcg@9", "0.2000, epoch 2"} <= set(words)
    assert "RMSE" not in words


def test_a_history_without_epochs_is_said_to_have_none(tmp_path):
    assert "this model has no epochs" in drawn(History(), tmp_path)


def test_without_the_libraries_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "jinja2", None)
    with pytest.raises(SettingError, match=r"pip install \"recollect\[report\]\""):
        pages.check()

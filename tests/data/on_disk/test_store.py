"""Ratings on disk: stored as they are, read in parts, learned from as if they were in memory."""

import json
import os
import shutil
import threading
import tracemalloc
from dataclasses import replace

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import recollect as rc
from recollect.cli import app
from recollect.data.on_disk import cells, stored_ratings, stored_rows
from recollect.data.on_disk.stored_rows import StoredRows
from recollect.data.ratings import Ratings
from recollect.data.sources.planted import planted
from recollect.data.sparse_rows import Rows, pieces
from recollect.errors import CheckpointError, DataError, LeakError, SettingError
from recollect.run import Run
from recollect.system.atomic_files import checksum

SIDES = ["user", "item"]


@pytest.fixture(scope="module")
def ratings() -> Ratings:
    """300 users, 200 items, 9,000 ratings in no order; times in years long past."""
    made = planted(300, 200, 9000, noise=0.3, step=0.5).ratings
    return made.where(np.random.default_rng(1).permutation(len(made)))


@pytest.fixture(scope="module")
def folder(ratings, tmp_path_factory):
    return rc.store(ratings, tmp_path_factory.mktemp("stored") / "s", group_size=500).folder


@pytest.fixture
def stored(folder):
    return rc.open_stored(folder)


def same_rows(a: Rows, b: Rows) -> bool:
    return all(
        np.array_equal(getattr(a, name), getattr(b, name)) for name in ("start", "column", "value")
    )


def adam(**settings):
    return rc.make(
        "autorec",
        **{"hidden": 8, "reg": 1.0, "optimizer": "adam", "batch_size": 40, "epochs": 4, **settings},
    )


def weights(model) -> list[np.ndarray]:
    return [w.detach().numpy() for w in model.net_.parameters()]


@pytest.mark.parametrize("side", SIDES)
def test_every_cell_is_where_it_was(ratings, stored, side):
    rows = stored.rows(side)
    assert same_rows(rows.take(np.arange(len(rows))), ratings.rows(side))


def test_what_is_known_of_the_ratings_is_kept(ratings, stored):
    assert (len(stored), stored.users, stored.items, stored.scale) == (
        9000,
        ratings.users,
        ratings.items,
        ratings.scale,
    )
    assert stored.titles(["7"]) == ratings.titles(["7"])
    assert stored.mean == pytest.approx(ratings.mean, rel=1e-12)
    assert stored.variance == pytest.approx(ratings.variance, rel=1e-5)  # that of 32 bits
    assert stored.fingerprint == replace(ratings, time=None).fingerprint


@pytest.mark.parametrize("side", SIDES)
def test_counts_and_totals_are_known_without_reading(ratings, stored, side, monkeypatch):
    monkeypatch.setattr(StoredRows, "_read_columns", None)
    assert np.array_equal(stored.count(side), ratings.count(side))
    np.testing.assert_allclose(stored.total(side), ratings.total(side))


@pytest.mark.parametrize("name", ["by_user", "by_item"])
def test_row_groups_hold_whole_rows_of_about_a_size(folder, name):
    file = pq.ParquetFile(folder / f"{name}.parquet")
    groups = [file.read_row_group(g).column("row").to_numpy() for g in range(file.num_row_groups)]
    assert sum(len(np.unique(rows)) for rows in groups) == len(np.unique(np.concatenate(groups)))
    assert len(groups) > 15
    assert max(map(len, groups)) <= 500


@pytest.mark.parametrize("ending", ["csv", "parquet", "csv.gz"])
def test_a_file_is_stored_as_it_is_read(ratings, tmp_path, monkeypatch, ending):
    monkeypatch.setattr("recollect.data.parsing.lines.BLOCK", 10_000)
    monkeypatch.setattr("recollect.data.parsing.parquet.BLOCK", 700)
    monkeypatch.setattr(cells, "BLOCK", 800)
    frame, path = ratings.frame(), tmp_path / f"r.{ending}"
    (frame.write_parquet if ending == "parquet" else frame.write_csv)(
        path, **({"compression": "gzip"} if ending == "csv.gz" else {})
    )
    stored = rc.store(path, tmp_path / "s", group_size=1000)
    read = rc.read(path)
    assert (stored.fingerprint, stored.scale, stored.name, stored.notes) == (
        replace(read, time=None).fingerprint,
        read.scale,
        read.name,
        read.notes,
    )


def test_ids_and_duplicates_are_treated_as_by_read(tmp_path, monkeypatch):
    """Blanks, ids as floats, times out of order, and milliseconds; a block holds a line or two."""
    monkeypatch.setattr("recollect.data.parsing.lines.BLOCK", 40)
    path = tmp_path / "r.csv"
    path.write_text(
        "user,item,rating,time\n10, 7 "
        ",1,1700000003000\n2.0,7,4,1700000001000\n10.0,7,5,1700000001000\n"
        "2,8,2,1700000009000\n2,8,3,1700000009400\n10,9.0,2.5,1700000000000\n"
    )
    stored, read = rc.store(path, tmp_path / "s"), rc.read(path)
    assert stored.fingerprint == replace(read, time=None).fingerprint
    assert stored.notes[-1].startswith("Duplicate pairs: 2 of 6")


def test_the_scale_of_many_values_is_inferred_as_by_read(tmp_path):
    value = np.random.default_rng(0).uniform(-3, 7, 500)
    path = tmp_path / "r.csv"
    pl.DataFrame(
        {"user": np.arange(500) % 20, "item": np.arange(500) // 20, "rating": value}
    ).write_csv(path)
    assert rc.store(path, tmp_path / "s").scale == rc.read(path).scale


def test_shares_are_set_aside_and_nothing_is_lost(ratings, tmp_path):
    cut = rc.store(ratings, tmp_path / "s", valid=0.2, test=0.1, seed=3)
    whole = np.sort(np.concatenate([cut.valid.pair, cut.test.pair, pairs_of(cut)]))
    assert np.array_equal(whole, np.sort(ratings.pair))
    assert len(cut.test) == pytest.approx(900, abs=100)  # 3.5 standard deviations
    assert len(cut.valid) == pytest.approx(1620, abs=130)
    assert cut.valid.users == ratings.users


def test_the_same_seed_sets_aside_the_same_whatever_the_order_and_the_groups(ratings, tmp_path):
    shuffled = ratings.where(np.random.default_rng(5).permutation(len(ratings)))
    stored = rc.store(ratings, tmp_path / "a", test=0.2, seed=1)
    of_shuffled = rc.store(shuffled, tmp_path / "b", test=0.2, seed=1, group_size=300)
    of_other_seed = rc.store(ratings, tmp_path / "c", test=0.2, seed=2)
    assert stored.test.fingerprint == of_shuffled.test.fingerprint
    assert stored.test.fingerprint != of_other_seed.test.fingerprint
    assert stored.fingerprint == of_shuffled.fingerprint


def test_pairs_that_others_share_are_counted(ratings, stored, tmp_path):
    cut = rc.store(ratings, tmp_path / "s", test=0.1, group_size=700)
    assert cut.shared(cut.test) == 0
    assert cut.shared(ratings) == len(cut)
    assert stored.shared(cut.test) == len(cut.test)


def pairs_of(stored) -> np.ndarray:
    rows = stored.rows("user").take(np.arange(stored.n_users))
    return rows.row * np.int64(stored.n_items) + rows.column


@pytest.mark.parametrize("side", SIDES)
def test_rows_come_in_the_order_asked_for(ratings, stored, side):
    wanted = np.random.default_rng(2).integers(
        -1, len(ratings.rows(side)), 90
    )  # some twice, some unknown
    assert same_rows(stored.rows(side).take(wanted), ratings.rows(side).take(wanted))


def test_only_the_row_groups_asked_for_are_read_and_the_last_are_kept(stored, monkeypatch):
    seen, read = [], StoredRows._read_columns
    monkeypatch.setattr(
        StoredRows,
        "_read_columns",
        lambda self, group, columns: seen.append(group) or read(self, group, columns),
    )
    rows = stored.rows("user")
    rows.take(np.array([0, 1]))
    rows.take(np.array([1]))
    rows.take(np.array([299]))
    assert seen == [0, len(rows._first_row) - 2]


def test_rows_without_cells_are_empty(tmp_path):
    """Users 0, 2 and 4 have none; a group begins and one ends with such a row."""
    made = Ratings(
        np.array([1, 1, 3], np.int32),
        np.array([0, 2, 2], np.int32),
        np.array([1, 2, 3], np.float32),
        rc.Vocab("abcde"),
        rc.Vocab("wxyz"),
    )
    stored = rc.store(made, tmp_path / "s", group_size=1)
    assert same_rows(stored.rows("user").take(np.arange(5)), made.rows("user"))
    assert [len(b.value) for b in stored.rows("item").batches(1, np.arange(4))] == [1, 2]


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
@pytest.mark.parametrize("side", SIDES)
def test_every_row_is_seen_once_an_epoch_in_batches_of_the_size(stored, side, size):
    rows, order = stored.rows(side), np.random.default_rng(0).permutation(len(stored.rows(side)))
    batches = list(rows.batches(size, order))
    streamed = rows.batch_order(order)
    assert {len(batch) for batch in batches[:-1]} <= {size}
    assert np.array_equal(np.sort(streamed), np.flatnonzero(rows.counts))
    assert same_rows(Rows.stack(batches, n_columns=rows.n_columns), rows.take(streamed))


def test_rows_of_several_groups_are_mixed_and_groups_come_in_random_order(stored):
    rows = stored.rows("user")
    group = np.searchsorted(
        rows._first_row, rows.batch_order(np.random.default_rng(0).permutation(300)), side="right"
    )
    assert len(np.unique(group[:30])) == stored_rows.WINDOW
    firsts = [
        rows.batch_order(np.random.default_rng(seed).permutation(300))[0] for seed in range(20)
    ]
    assert len(set(firsts)) > 10


def test_pieces_have_at_most_so_many_rows_and_cells_or_one_row():
    counts = np.array([3, 0, 9, 1, 1, 1, 1, 0, 2])
    assert [(p.start, p.stop) for p in pieces(counts, rows=3, cells=4)] == [
        (0, 2),
        (2, 3),
        (3, 6),
        (6, 9),
    ]


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("side", SIDES)
def test_learning_from_disk_is_learning_from_memory_in_the_same_order(
    ratings, tmp_path, side, center, monkeypatch
):
    cut = rc.store(ratings, tmp_path / "s", valid=0.1, group_size=400)
    copy = replace(in_memory_copy(cut), time=None)
    batches = Rows.batches
    monkeypatch.setattr(
        Rows,
        "batches",
        lambda self, size, order: batches(self, size, cut.rows(side).batch_order(order)),
    )
    on_disk, in_memory = (
        adam(side=side, center=center, epochs=2, validate_every=1, refit=False).fit(
            train, cut.valid
        )
        for train in (cut, copy)
    )
    for a, b in zip(weights(on_disk), weights(in_memory), strict=True):
        assert np.array_equal(a, b)
    assert on_disk.history_.column("valid_rmse") == in_memory.history_.column("valid_rmse")
    pairs = ratings.user[:500], ratings.item[:500]
    assert np.array_equal(on_disk.predict(*pairs), in_memory.predict(*pairs))


def test_where_one_window_holds_all_the_order_is_that_of_memory(ratings, tmp_path):
    stored = rc.store(ratings, tmp_path / "s")
    for a, b in zip(
        weights(adam().fit(stored)), weights(adam().fit(replace(ratings, time=None))), strict=True
    ):
        assert np.array_equal(a, b)


def test_an_interrupted_fit_ends_with_the_same_weights(stored, tmp_path):
    def stop(figures):
        if figures["epoch"] == 2:
            raise KeyboardInterrupt

    whole = adam().fit(stored)
    with pytest.raises(KeyboardInterrupt):
        adam().fit(stored, run=Run(folder=tmp_path, snapshot_seconds=0, watchers=(stop,)))
    resumed = adam().fit(stored, run=Run(folder=tmp_path, resume=True))
    for a, b in zip(weights(whole), weights(resumed), strict=True):
        assert np.array_equal(a, b)


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "lbfgs", "batch_size": None},
        {"optimizer": "rprop", "batch_size": None},
        {"batch_size": None},
    ],
)
def test_what_needs_all_at_once_is_refused(stored, settings):
    with pytest.raises(SettingError, match="on disk"):
        adam(**settings).fit(stored)


def test_a_second_fit_on_all_ratings_is_left_out_and_said(stored, ratings, tmp_path, caplog):
    cut = rc.store(ratings, tmp_path / "cut", valid=0.1, group_size=400)
    model = adam(refit=True, epochs=2).fit(cut, cut.valid)
    assert model.given_ is cut
    assert "refit=True joins train and validation ratings in memory" in caplog.text


def test_models_that_do_not_stream_are_refused(stored):
    with pytest.raises(DataError, match="in memory only"):
        rc.make("bias").fit(stored)


def test_leaks_are_refused(ratings, stored):
    with pytest.raises(LeakError, match="9 pairs"):
        adam().fit(stored, ratings.where(np.arange(9)))
    with pytest.raises(LeakError, match="5 pairs"):
        rc.held_out(adam(epochs=1).fit(stored), ratings.where(np.arange(5)))


def test_stored_ratings_are_no_given_and_cannot_be_joined(ratings, stored):
    model = adam(epochs=1).fit(replace(ratings, time=None))
    with pytest.raises(DataError, match="not what the model was fitted on"):
        model.predict(np.array([0]), np.array([0]), given=stored)
    with pytest.raises(DataError, match="cannot be joined"):
        stored.union(ratings)


@pytest.mark.parametrize("side", SIDES)
def test_a_model_answers_as_if_it_had_learned_in_memory(ratings, tmp_path, side):
    stored = rc.store(ratings, tmp_path / "s", test=0.1)
    on_disk, in_memory = (adam(side=side).fit(train) for train in (stored, in_memory_copy(stored)))
    ask = {"user_ids": ["3", "77", "nobody"], "n": 5}
    with pytest.warns(rc.RecollectWarning, match="nobody"):
        lists = [rc.top_n(model, **ask) for model in (on_disk, in_memory)]

    assert lists[0].equals(lists[1])
    assert rc.fold_in(on_disk, {"3": 5, "9": 1}).equals(rc.fold_in(in_memory, {"3": 5, "9": 1}))
    assert rc.similar(on_disk, item_ids=["5"]).equals(rc.similar(in_memory, item_ids=["5"]))
    assert rc.held_out(on_disk, stored.test)["rmse"] == rc.held_out(in_memory, stored.test)["rmse"]
    assert (
        rc.full_ranking(on_disk, stored.test)["ndcg@10"]
        == rc.full_ranking(in_memory, stored.test)["ndcg@10"]
    )


def in_memory_copy(stored) -> Ratings:
    rows = stored.rows("user").take(np.arange(stored.n_users))
    return Ratings(
        rows.row,
        rows.column,
        rows.value,
        stored.users,
        stored.items,
        scale=stored.scale,
        name=stored.name,
        catalogue=stored.catalogue,
    )


@pytest.mark.parametrize("links", [True, False], ids=["links", "copies"])
def test_a_saved_model_needs_nothing_but_its_folder(ratings, tmp_path, monkeypatch, links):
    if not links:
        monkeypatch.setattr(
            os, "link", lambda *paths: (_ for _ in ()).throw(OSError("another disk"))
        )
    model = adam(epochs=1).fit(rc.store(ratings, tmp_path / "s", valid=0.1))
    before = rc.top_n(model, user_ids=["5", "9"])
    rc.save(model, tmp_path / "m")
    for path in sorted((tmp_path / "s").iterdir()):
        path.unlink()
    again = rc.load_model(tmp_path / "m")
    assert rc.top_n(again, user_ids=["5", "9"]).equals(before)
    rc.save(again, tmp_path / "m")  # onto itself
    assert rc.top_n(rc.load_model(tmp_path / "m"), user_ids=["5", "9"]).equals(before)


def test_a_damaged_part_of_a_saved_model_is_refused(ratings, tmp_path):
    rc.save(adam(epochs=1).fit(rc.store(ratings, tmp_path / "s")), tmp_path / "m")
    path = tmp_path / "m" / "given" / "by_item.parquet"
    path.write_bytes(path.read_bytes()[:-9] + b"123456789")
    with pytest.raises(CheckpointError, match=r"by_item\.parquet is damaged"):
        rc.load_model(tmp_path / "m")


def test_a_fit_never_holds_more_than_a_few_row_groups(ratings, tmp_path, monkeypatch):
    """Cells of row groups that are alive at once: two windows, and those kept for validation."""
    stored = rc.store(ratings, tmp_path / "s", valid=0.1, group_size=100)
    alive = []
    most = [0]
    read_group = StoredRows._read_group

    class Counted(np.ndarray):
        def __del__(self):
            if getattr(self, "own", False):
                alive.pop()

    def counted(self, group):
        rows = read_group(self, group)
        column = rows.column.view(Counted)
        column.own = True
        alive.append(group)
        most[0] = max(most[0], len(alive))
        return replace(rows, column=column)

    monkeypatch.setattr(StoredRows, "_read_group", counted)
    adam(side="user", batch_size=10, epochs=1, validate_every=1).fit(stored, stored.valid)
    assert (
        0
        < most[0]
        <= 2 * stored_rows.WINDOW + 2 * stored_rows.CACHED
        < len(stored.rows("user")._first_row) / 4
    )


@pytest.mark.slow
def test_a_fit_allocates_less_than_the_cells_take(tmp_path, monkeypatch):
    """200,000 cells by each side are 3.2 MB; a row group is 4,000. Python and Arrow count bytes."""
    made = planted(2_000, 500, 200_000, activity=0.2, popularity=0.3, times=False).ratings
    stored = rc.store(made, tmp_path / "s", valid=0.02, group_size=4_000)
    monkeypatch.setattr(stored_ratings, "COMPARED", 4_000)
    monkeypatch.setattr("recollect.families.row_model.BLOCK_RATINGS", 4_000)
    monkeypatch.setattr("recollect.training.offsets.BLOCK_CELLS", 4_000)
    valid = stored.valid
    model = adam(side="user", batch_size=64, epochs=1)
    read_group = StoredRows._read_group
    model.fit(stored, valid)  # compile first
    before, arrow = pa.total_allocated_bytes(), []

    def watched(self, group):
        rows = read_group(self, group)
        arrow.append(pa.total_allocated_bytes() - before)
        return rows

    monkeypatch.setattr(StoredRows, "_read_group", watched)
    tracemalloc.start()
    try:
        model.fit(stored, valid)
        most = tracemalloc.get_traced_memory()[1] + max(arrow)
    finally:
        tracemalloc.stop()
    assert most < 2.4e6


def test_the_reading_thread_ends_with_its_consumer(stored):
    for _ in stored.rows("user").batches(10, np.arange(300)):
        assert any(t.name.startswith("recollect-read") for t in threading.enumerate())
        break
    assert not any(t.name.startswith("recollect-read") for t in threading.enumerate())


def test_an_error_in_the_thread_is_raised(stored, monkeypatch):
    read = StoredRows._read_columns
    monkeypatch.setattr(
        StoredRows,
        "_read_columns",
        lambda self, g, columns: (
            read(self, g, columns) if g < 9 else (_ for _ in ()).throw(DataError("gone"))
        ),
    )
    with pytest.raises(DataError, match="gone"):
        adam().fit(stored)
    assert not any(t.name.startswith("recollect-read") for t in threading.enumerate())


@pytest.fixture
def copy(ratings, tmp_path):
    return rc.store(ratings, tmp_path / "copy", group_size=500).folder


def test_a_folder_without_stored_ratings_is_refused(tmp_path):
    with pytest.raises(DataError, match="no stored ratings"):
        rc.open_stored(tmp_path)


@pytest.mark.parametrize(
    "name", ["by_user.parquet", "by_item.parquet", "users.parquet", "catalogue.parquet"]
)
def test_a_file_that_is_missing_or_cut_short_is_named(copy, name):
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(content[:-100])
    with pytest.raises(DataError, match=f"{name} is damaged or cut short"):
        rc.open_stored(copy)
    (copy / name).unlink()
    with pytest.raises(DataError, match=f"lacks {name}"):
        rc.open_stored(copy)


def test_a_changed_byte_is_found_when_it_is_read(copy):
    path = copy / "by_user.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"by_user\.parquet is damaged"):
        list(rc.open_stored(copy).rows("user").batches(50, np.arange(300)))


@pytest.mark.parametrize("change", [{"format": None}, {"files": 3}, {"scale": []}])
def test_an_edited_description_is_refused(copy, change):
    about = json.loads((copy / "about.json").read_text())
    (copy / "about.json").write_text(json.dumps(about | change))
    with pytest.raises(DataError, match="damaged"):
        rc.open_stored(copy)


def test_a_newer_folder_is_refused(copy):
    about = json.loads((copy / "about.json").read_text())
    (copy / "about.json").write_text(json.dumps(about | {"format": 99}))
    with pytest.raises(DataError, match="newer Recollect"):
        rc.open_stored(copy)


@pytest.mark.parametrize("after", [0, 50, 80])
def test_an_interrupted_conversion_leaves_nothing(ratings, tmp_path, after):
    ratings.frame().write_csv(tmp_path / "r.csv")

    def stop(done, now):
        if done >= after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rc.store(tmp_path / "r.csv", tmp_path / "s", progress=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["r.csv"]


def test_a_faulty_line_is_named_and_nothing_is_left(tmp_path):
    (tmp_path / "r.csv").write_text("user,item,rating\na,b,3\na,c,much\n")
    with pytest.raises(DataError, match="Line 3 of"):
        rc.store(tmp_path / "r.csv", tmp_path / "s")
    assert [path.name for path in tmp_path.iterdir()] == ["r.csv"]


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_impossible_shares_are_refused(ratings, tmp_path, share):
    with pytest.raises(SettingError, match="share"):
        rc.store(ratings, tmp_path / "s", valid=share)


def test_a_folder_with_something_in_it_is_not_touched(ratings, tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(SettingError, match="not empty"):
        rc.store(ratings, tmp_path)


def test_setting_everything_aside_is_refused(few, tmp_path):
    with pytest.raises(DataError, match="leave none"):
        rc.store(few, tmp_path / "s", test=0.999999)


def call(*args) -> dict:
    result = CliRunner().invoke(app, [*map(str, args), "--json"])
    return json.loads(result.stdout)


def test_the_verbs_take_a_stored_folder(ratings, tmp_path):
    ratings.frame().write_csv(tmp_path / "r.csv")
    made = call(
        "data",
        "store",
        tmp_path / "r.csv",
        tmp_path / "s",
        "--test",
        0.1,
        "--valid",
        0.1,
        "--seed",
        4,
    )
    assert made["ratings"] + made["valid"] + made["test"] == 9000
    description = call("data", "describe", tmp_path / "s")
    assert description["ratings"] == sum(description["values"].values()) == made["ratings"]
    assert (
        description["counts"]["per user"][-1] == rc.open_stored(tmp_path / "s").count("user").max()
    )
    fitted = call(
        "train",
        tmp_path / "s",
        "--out",
        tmp_path / "m",
        "--model",
        "autorec",
        "--set",
        "optimizer=adam",
        "--set",
        "batch_size=64",
        "--set",
        "epochs=2",
        "--set",
        "hidden=4",
    )
    assert (fitted["train_ratings"], fitted["valid_ratings"]) == (made["ratings"], made["valid"])
    assert (
        call("evaluate", tmp_path / "m", tmp_path / "s" / "test.parquet")["n_test"] == made["test"]
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("train", "s", "--out", "m", "--valid", "0.1"), "is split already"),
        (("data", "describe", "s", "--scale", "1,5"), "columns and scale are known"),
        (("data", "convert", "s", "x.csv"), "read batch by batch"),
        (("train", "s", "--out", "m"), "learned from by one model"),
        (("train", "s", "--out", "m", "--model", "autorec"), "on disk"),
        (("data", "store", "r.csv", "s"), "not empty"),
    ],
)
def test_what_cannot_be_done_with_a_stored_folder_is_refused(
    folder, ratings, tmp_path, monkeypatch, words, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s").symlink_to(folder)
    ratings.where(np.arange(50)).frame().write_csv("r.csv")
    assert message in call(*words)["error"]["message"]


def test_ratings_that_were_replaced_since_they_were_opened_are_not_mixed(tmp_path, planted_small):
    ratings = planted_small.ratings
    other = replace(ratings, value=(6 - ratings.value).astype(np.float32))
    folder = rc.store(ratings, tmp_path / "s").folder
    opened = rc.open_stored(folder)
    shutil.rmtree(folder)
    rc.store(other, folder)
    with pytest.raises(DataError, match="was replaced or removed since it was opened"):
        opened.by_user.take(np.arange(3))
    with pytest.raises(DataError, match="was replaced or removed since it was opened"):
        opened.link_into(tmp_path / "links")


def test_a_model_of_stored_ratings_is_not_mixed_with_the_one_saved_over_it(tmp_path, planted_small):
    for name, sign in (("a", 1), ("b", -1)):
        value = 3 + sign * (planted_small.ratings.value - 3)
        rc.store(replace(planted_small.ratings, value=value.astype(np.float32)), tmp_path / name)
    recipe = rc.make("autorec", hidden=2, epochs=1, optimizer="adam", batch_size=20)
    rc.save(recipe.fit(rc.open_stored(tmp_path / "a")), tmp_path / "m")
    loaded = rc.load_model(tmp_path / "m")
    rc.save(recipe.fit(rc.open_stored(tmp_path / "b")), tmp_path / "m")
    with pytest.raises(DataError, match="was replaced or removed since it was opened"):
        loaded.given_.by_user.take(np.arange(3))


@pytest.mark.parametrize(("column", "value"), [("column", 80), ("column", -1), ("value", np.nan)])
def test_stored_cells_that_could_not_be_are_refused(column, value, tmp_path, planted_small):
    folder = rc.store(planted_small.ratings, tmp_path / "s").folder
    table = pl.read_parquet(folder / "by_user.parquet")
    changed = table.with_columns(
        pl.when(pl.int_range(pl.len()) == 5).then(value).otherwise(column).cast(table[column].dtype)
        .alias(column)
    )  # fmt: skip
    changed.write_parquet(folder / "by_user.parquet")
    about = json.loads((folder / "about.json").read_text())
    about.pop("checksum")
    about["files"]["by_user.parquet"] = (folder / "by_user.parquet").stat().st_size
    content = {**about, "checksum": checksum(about)}
    (folder / "about.json").write_text(json.dumps(content))
    opened = rc.open_stored(folder)
    with pytest.raises(DataError, match="outside its columns, or no numbers"):
        opened.by_user.take(np.arange(10))

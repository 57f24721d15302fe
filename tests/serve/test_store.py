"""What every store must do, whichever database it is: one test for both."""

import itertools
import sqlite3
import threading
import uuid

import numpy as np
import polars as pl
import pytest
from tests.serve.databases import fresh_database, postgres_server

import recollect as rc
from recollect.errors import SettingError, StoreError
from recollect.serve.store import (
    experiments,
    items,
    jobs,
    keys,
    lists,
    log,
    meta,
    moving,
    schema,
    users,
    versions,
)
from recollect.serve.store.records import Event, Item, Kind, ShownList
from recollect.serve.store.store import open_database, open_store
from recollect.serve.store.tables import events_table, import_ratings, items_table, ratings_table

STARS = Kind(1.0, 5.0, False, "stars")
COUNTS = Kind(0.0, 0.0, True, "counts")
numbers = itertools.count()


@pytest.fixture(scope="module")
def server():
    with postgres_server() as (url, _):
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return str(tmp_path / "store.db")

    return fresh_database(request.getfixturevalue("server"), next(numbers))


@pytest.fixture
def store(url):
    with open_store(url) as opened:
        opened.write(lambda session: meta.set_kind(session, STARS))
        yield opened


def event(user="ann", item="x", value=4.0, **more):
    fields = {"id": uuid.uuid4().hex, "kind": "rating"} | more
    return Event(user=user, item=item, value=value, **fields)


def add(store, *events):
    return store.write(lambda session: log.add_events(session, events))


def ratings_of(store, user):
    session = store.reader()
    known = users.person(session, user)
    ids = dict(session.rows("SELECT row, id FROM items"))
    return {
        ids[row]: value
        for row, value in zip(known.items.tolist(), known.values.tolist(), strict=True)
    }


def test_what_is_written_is_there_for_another_connection(store, url):
    add(store, event())
    with open_store(url) as other:
        assert ratings_of(other, "ann") == {"x": 4.0}


def test_an_event_counts_once_and_the_log_grows_by_one_each(store):
    first = event()
    [one] = add(store, first)
    assert [answer.outcome for answer in add(store, first, event(item="y"), first)] == [
        "duplicate",
        "accepted",
        "duplicate",
    ]
    assert log.last_seq(store.reader()) == one.seq + 1
    assert add(store, event(id=first.id, value=1.0))[0].outcome == "refused"


def test_of_ratings_the_last_by_time_counts_and_of_events_the_sum(store, url, tmp_path):
    add(store, event(value=5.0, time=20), event(value=1.0, time=10))
    assert ratings_of(store, "ann") == {"x": 5.0}
    with open_store(tmp_path / "counts.db") as counts:
        counts.write(lambda session: meta.set_kind(session, COUNTS))
        add(counts, event(value=2.0, kind="view"), event(value=None, kind="view"))
        assert ratings_of(counts, "ann") == {"x": 3.0}


def test_a_refused_write_undoes_its_own_changes_and_no_others(store):
    def fail(session):
        log.add_events(session, [event(user="bob")])
        raise SettingError("no")

    good = store.submit(lambda session: log.add_events(session, [event(user="ann")]))
    bad = store.submit(fail)
    also_good = store.submit(lambda session: log.add_events(session, [event(user="eve")]))
    assert good.result(10)[0].outcome == also_good.result(10)[0].outcome == "accepted"
    with pytest.raises(SettingError):
        bad.result(10)
    assert ratings_of(store, "bob") == {}
    assert ratings_of(store, "ann") == ratings_of(store, "eve") == {"x": 4.0}


def test_many_threads_and_two_processes_worth_of_writers_lose_nothing(store, url):
    def write(target, name):
        for j in range(25):
            add(target, event(user=name, item=f"i{j}"))

    with open_store(url) as other:
        threads = [
            threading.Thread(target=write, args=(target, f"{place}-{j}"))
            for place, target in enumerate((store, other))
            for j in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert len(ratings_table(store.reader())) == 2 * 4 * 25
    assert store.reader().one("SELECT count(DISTINCT seq) FROM events") == (200,)


def test_set_and_retract_are_in_the_log_and_a_user_s_last_change_is_known(store):
    one = event()
    assert store.write(lambda session: log.set_rating(session, one)).outcome == "accepted"
    again = event()
    assert store.write(lambda session: log.set_rating(session, again)).outcome == "unchanged"
    gone = store.write(lambda session: log.retract(session, "ann", "x", "r1"))
    assert gone.outcome == "accepted"
    assert users.person(store.reader(), "ann").changed == gone.seq
    assert events_table(store.reader())["kind"].to_list() == ["rating", "retract"]


def test_ratings_are_imported_as_they_are_and_come_out_as_they_went_in(store, few):
    scaled = rc.from_frame(few.frame(), scale=(0, 5))
    with pytest.raises(StoreError, match=r"from 1 to 5.*from 0 to 5"):
        store.write(lambda session: import_ratings(session, scaled))

    stars = rc.from_tuples([("a", "x", 4.5, 7), ("a", "y", 1.1, 8), ("b", "x", 2, 9)], scale=(1, 5))
    done = store.write(lambda session: import_ratings(session, stars))
    assert (done.n_ratings, done.n_users, done.n_items) == (3, 2, 2)
    table = ratings_table(store.reader()).sort("user_id", "item_id")
    assert table["rating"].to_list() == [4.5, 1.1, 2.0]
    assert table["timestamp"].to_list() == [7, 8, 9]
    again = rc.from_tuples([("a", "x", 3, 9), ("c", "z", 5, 9)], scale=(1, 5))
    done = store.write(lambda session: import_ratings(session, again))
    assert (done.n_ratings, done.n_users, done.n_items) == (2, 1, 1)
    assert ratings_of(store, "a") == {"x": 3.0, "y": 1.1}
    assert log.n_events_since(store.reader(), done.seq - 1) == 2


def test_a_forgotten_user_is_gone_from_every_table_and_from_later_imports(store):
    stars = rc.from_tuples([("ann", "x", 4), ("bob", "x", 2)], scale=(1, 5))
    store.write(lambda session: import_ratings(session, stars))
    one = event(item="y")
    add(store, one)
    assert store.write(lambda session: users.forget(session, "ann")) == 2
    assert store.write(lambda session: users.forget(session, "ann")) is None
    everything = [
        store.reader().rows(f"SELECT {columns} FROM {table}")
        for table, (columns, _) in moving.TABLES.items()
    ]
    assert "'ann'" not in repr(everything)
    assert add(store, one)[0].outcome == "duplicate"
    done = store.write(lambda session: import_ratings(session, stars))
    assert (done.n_ratings, done.n_forgotten) == (1, 1)
    assert ratings_of(store, "ann") == {}


def test_items_are_replaced_hidden_and_counted(store):
    one = Item(id="x", title="Größe", text="a", fields={"year": 1990, "genre": ["A", "B"]})
    assert store.write(lambda session: items.put_items(session, [one, Item(id="y")])) == 2
    assert items.item(store.reader(), "x") == one
    before = items.n_changes(store.reader())
    assert store.write(lambda session: items.hide(session, "x"))
    changed = items.changed_since(store.reader(), before)
    assert [items.item_of(row).available for row in changed] == [False]
    assert not store.write(lambda session: items.hide(session, "none"))
    assert items_table(store.reader())["item_id"].to_list() == ["x", "y"]


def test_lists_versions_experiments_keys_and_jobs_come_back_as_they_were(store):
    shown = ShownList(
        id="l1",
        user_row=None,
        version=1,
        experiment="e",
        arm="a",
        query="{}",
        n=2,
        items=np.array([5, 2**40]),
        made=10,
    )
    store.write(lambda session: lists.add(session, shown))
    found = lists.find(store.reader(), "l1")
    assert found.items.tolist() == [5, 2**40]
    assert (found.arm, found.n, found.user_row) == ("a", 2, None)
    assert store.write(lambda session: lists.mark_shown(session, "l1"))
    add(store, event(recommendation="l1"))
    assert lists.outcomes(store.reader()) == [(1, "e", "a", 1, 1)]
    assert store.write(lists.remove_old) == 1

    about = {"digest": "d", "kind": "bias", "upto_seq": 3, "figures": {"a": [1.5]}}
    first = store.write(lambda session: versions.add(session, folder="/a", **about))
    second = store.write(lambda session: versions.add(session, folder="/b", **about))
    store.write(lambda session: versions.activate(session, first, "start"))
    store.write(lambda session: versions.activate(session, second, "refit"))
    session = store.reader()
    assert versions.active(session) == second
    assert versions.before(session, second) == first
    assert versions.find(session, first).figures == {"a": [1.5]}

    arms = (experiments.Arm("a", None, 0.5), experiments.Arm("b", first, 0.5))
    store.write(lambda session: experiments.put(session, "one", arms))
    store.write(lambda session: experiments.put(session, "two", arms))
    assert experiments.running(store.reader()).name == "two"
    assert experiments.running(store.reader()).arms == arms

    key = store.write(lambda session: keys.add(session, "k", "read"))
    assert keys.every(store.reader())[0].hash == keys.hashed(key)
    with pytest.raises(SettingError, match="already"):
        store.write(lambda session: keys.add(session, "k", "read"))

    job = store.write(lambda session: jobs.add(session, "refit", {"why": "x"}))
    assert store.write(lambda session: jobs.add(session, "refit", {})) == job
    store.write(lambda session: jobs.end(session, job, "done", {"version": "2"}))
    assert jobs.find(store.reader(), job).detail == {"version": "2"}
    assert jobs.next_one(store.reader()) is None


def test_one_process_leads(store, url):
    assert store.database.lead()
    assert store.database.lead()
    other = open_database(url)
    assert not other.lead()
    store.database.close()
    assert other.lead()
    other.close()


def test_a_store_of_a_newer_version_is_refused(url):
    with open_store(url) as store:
        store.write(lambda session: meta.put(session, "version", "99"))
    with pytest.raises(StoreError, match="version 99 of the tables"):
        open_store(url)


def test_an_older_store_gets_the_tables_that_it_lacks(url, monkeypatch):
    with open_store(url) as store:
        store.write(lambda session: meta.set_kind(session, STARS))
        add(store, event())
    further = (*schema.MIGRATIONS, ("ALTER TABLE items ADD COLUMN color TEXT",))
    monkeypatch.setattr(schema, "MIGRATIONS", further)
    monkeypatch.setattr(schema, "VERSION", 2)
    with open_store(url) as store:
        assert ratings_of(store, "ann") == {"x": 4.0}
        assert store.reader().one("SELECT color FROM items") == (None,)
        assert meta.get(store.reader(), "version") == "2"


def test_a_store_moves_whole_and_goes_on_counting(store, url, tmp_path):
    for j in range(30):
        add(store, event(user=f"u{j % 4}", item=f"Ä{j}", value=1 + j % 5))
    store.write(lambda session: users.forget(session, "u3"))
    store.write(lambda session: keys.add(session, "k", "read"))
    target = tmp_path / "moved.db"
    moved = moving.move(url, target)
    assert moved.counts["events"] == 30
    with open_store(target) as other:
        first = ratings_table(store.reader()).sort("user_id", "item_id")
        assert first.equals(ratings_table(other.reader()).sort("user_id", "item_id"))
        assert add(other, event(user="new"))[0].seq == 31
    assert moving.check(target) == []
    with pytest.raises(StoreError, match="holds a store already"):
        moving.move(url, target)


def test_a_file_moves_to_the_server_and_back(server, tmp_path):
    path = tmp_path / "from.db"
    with open_store(path) as store:
        store.write(lambda session: meta.set_kind(session, STARS))
        for j in range(20):
            add(store, event(user=f"u{j}", item=f"i{j % 3}", value=1 + j / 5))
        before = moving.sums(store.reader())
    there = fresh_database(server, next(numbers))
    moving.move(path, there)
    with open_store(there) as store:
        assert add(store, event(user="new"))[0].seq == 21
    back = fresh_database(server, next(numbers))
    moving.move(path, back)
    moving.move(back, tmp_path / "back.db")
    with open_store(tmp_path / "back.db") as store:
        assert moving.sums(store.reader()) == before


def test_a_copy_that_differs_is_not_kept(tmp_path, monkeypatch):
    path = tmp_path / "from.db"
    with open_store(path) as store:
        store.write(lambda session: meta.set_kind(session, STARS))
        add(store, event())
    known = iter([dict.fromkeys(moving.TABLES, (0, ""))])
    whole = moving.sums
    monkeypatch.setattr(moving, "sums", lambda session: next(known, None) or whole(session))
    with pytest.raises(StoreError, match="differ; nothing was kept"):
        moving.move(path, tmp_path / "to.db")
    with open_store(tmp_path / "to.db") as store:
        assert log.last_seq(store.reader()) == 0


def test_check_finds_what_does_not_agree(store, url):
    add(store, event())
    assert moving.check(url) == []
    store.write(lambda session: session.run("DELETE FROM users"))
    faults = moving.check(url)
    assert "There are 1 ratings of users who are not there." in faults


# Of a file alone


def test_another_program_s_file_is_not_touched(tmp_path):
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE mine (x)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="of another program"):
        open_store(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"hello" * 1000, b"SQLite format 3\0" + b"x" * 5000])
def test_a_damaged_file_is_told_and_not_touched(tmp_path, content):
    path = tmp_path / "bad.db"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"bad\.db"):
        open_store(path)
    assert path.read_bytes() == content


def test_a_full_disk_refuses_the_write_and_the_next_one_goes_through(tmp_path):
    with open_store(tmp_path / "store.db") as store:
        store.write(lambda session: meta.set_kind(session, STARS))
        pages = store.write(lambda session: session.one("PRAGMA page_count"))[0]
        # SQLite's own bound on its size fails as a full disk does.
        store.write(lambda session: session.run(f"PRAGMA max_page_count={pages + 2}"))
        big = Item(id="big", text="x" * 100_000)
        with pytest.raises(StoreError, match="free some space"):
            store.write(lambda session: items.put_items(session, [big]))
        store.write(lambda session: session.run("PRAGMA max_page_count=1000000"))
        assert store.write(lambda session: items.put_items(session, [big])) == 1


def test_a_locked_file_is_told_and_recovers(tmp_path, monkeypatch):
    monkeypatch.setattr("recollect.serve.store.sqlite.BUSY_MS", 50)
    path = tmp_path / "store.db"
    with open_store(path) as store:
        store.write(lambda session: meta.set_kind(session, STARS))
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="sent again"):
            add(store, event())
        assert ratings_of(store, "ann") == {}
        other.execute("ROLLBACK")
        other.close()
        assert add(store, event())[0].outcome == "accepted"


def test_other_addresses_are_refused_without_their_secrets():
    with pytest.raises(StoreError) as problem:
        open_store("mysql://me:secret@host/db")
    assert "secret" not in str(problem.value)


def test_a_server_that_goes_away_is_told_and_is_used_again_when_it_is_back(tmp_path):
    psycopg = pytest.importorskip("psycopg")
    with postgres_server() as (url, _), open_store(url) as store:
        store.write(lambda session: meta.set_kind(session, STARS))
        with psycopg.connect(url, autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
        with pytest.raises(StoreError, match="cannot be reached"):
            add(store, event())
        assert add(store, event())[0].outcome == "accepted"


def test_tables_of_the_store_are_frames(store):
    add(store, event(value=3.5, time=5, recommendation="r"))
    table = events_table(store.reader())
    assert table["recommendation"].to_list() == ["r"]
    assert table.schema["value"] == pl.Float64

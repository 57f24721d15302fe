"""The verbs of a service: its store and its keys; wrong command lines make no store."""

import json

import pytest
from tests.cli.support import call

import recollect as rc
from recollect.serve.store.items import put_items
from recollect.serve.store.records import Item
from recollect.serve.store.store import open_store

pytest.importorskip("fastapi", reason="needs the extra serve")


@pytest.fixture
def ratings(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text("user,item,rating\nann,x,5\nann,y,2\nbob,x,1\n")
    return path


def test_what_was_imported_is_exported_and_comes_in_again(tmp_path, ratings):
    db, out = tmp_path / "a.db", tmp_path / "out"
    result = call("store", "import", ratings, "--db", db)
    assert result.exit_code == 0, result.stderr
    assert "3 ratings written; 2 users and 2 items are new." in result.stdout
    one = Item(id="x", title="X", text="a", fields={"year": 1990, "genre": ["A"]}, ends=9)
    with open_store(db) as store:
        store.write(lambda session: put_items(session, [one]))
    assert call("store", "export", out, "--db", db).exit_code == 0
    assert len(rc.read(out / "ratings.parquet", scale=(1, 5))) == 3
    other = tmp_path / "b.db"
    arguments = ("--db", other, "--catalogue", out / "items.parquet")
    assert call("store", "import", out / "ratings.parquet", *arguments).exit_code == 0
    from recollect.serve.store.items import item

    with open_store(other) as store:
        assert item(store.reader(), "x") == one


def test_a_store_moves_and_is_checked(tmp_path, ratings):
    db, moved = tmp_path / "a.db", tmp_path / "b.db"
    call("store", "import", ratings, "--db", db)
    result = call("store", "move", db, moved, "--json")
    assert json.loads(result.stdout)["rows"]["ratings"] == 3
    assert "Nothing is wrong." in call("store", "check", "--db", moved).stdout
    with open_store(moved) as store:
        store.write(lambda session: session.run("DELETE FROM items"))
    result = call("store", "check", "--db", moved)
    assert result.exit_code == 1
    assert "3 ratings of items that are not there" in result.stdout


def test_keys_are_shown_once_listed_by_name_and_revoked(tmp_path, ratings):
    db = tmp_path / "a.db"
    call("store", "import", ratings, "--db", db)
    key = call("keys", "add", "shop", "--scope", "read", "--db", db).stdout.strip()
    assert key.startswith("rk_")
    listed = call("keys", "list", "--db", db).stdout
    assert "shop" in listed
    assert key not in listed
    assert call("keys", "revoke", "shop", "--db", db).exit_code == 0
    assert call("keys", "revoke", "shop", "--db", db).exit_code == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("store", "check"),
        ("store", "report"),
        ("store", "export", "out"),
        ("keys", "list"),
        ("serve",),
        ("serve", "no-such-run"),
    ],
)
def test_a_wrong_path_makes_no_store(tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    result = call(*arguments, "--db", "films.db")
    assert result.exit_code == 1
    assert "There is no" in result.stderr
    assert list(tmp_path.iterdir()) == []

"""A small model, its folder, and a service around it that answers in this process."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import recollect as rc
from recollect.data.with_items import with_items

pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("httpx2", reason="needs httpx2, of the extra dev")

from fastapi.testclient import TestClient

from recollect.serve.api.app import make_app
from recollect.serve.service import Service
from recollect.serve.settings import RefitPolicy, ServeSettings
from recollect.serve.starting import prepare
from recollect.serve.store.store import open_store


@pytest.fixture(scope="session")
def films(planted_small) -> rc.Ratings:
    """The planted ratings, with a title, a genre and a year for each item."""
    ratings = planted_small.ratings
    ids = ratings.items.ids.to_list()
    table = {
        "item_id": ids,
        "title": [f"Film {id_}" for id_ in ids],
        "genre": [("Drama", "Comedy", "Horror")[j % 3] for j in range(len(ids))],
        "year": [1950 + j for j in range(len(ids))],
    }
    import polars as pl

    return with_items(ratings, pl.DataFrame(table))


@pytest.fixture(scope="session")
def model(films) -> rc.Model:
    return rc.make("autorec", side="user", hidden=8, epochs=15).fit(films)


@pytest.fixture(scope="session")
def run_folder(model, tmp_path_factory) -> Path:
    return rc.save(model, tmp_path_factory.mktemp("served") / "films")


@pytest.fixture(scope="session")
def filled_store(run_folder, tmp_path_factory) -> Path:
    """A store that a service with the model has started with; tests copy it."""
    path = tmp_path_factory.mktemp("store") / "films.db"
    with open_store(path) as store:
        prepare(store, run_folder)

    return path


@pytest.fixture
def db(filled_store, tmp_path) -> Path:
    copy = tmp_path / "films.db"
    copy.write_bytes(filled_store.read_bytes())
    return copy


Start = Callable[..., TestClient]


@pytest.fixture
def start(db, tmp_path) -> Iterator[Start]:
    """Starts a service on the store; it ends with the test."""
    with ExitStack() as stack:

        def start_one(path: Any = db, **settings: Any) -> TestClient:
            chosen = {
                "db": str(path),
                "versions": tmp_path / "versions",
                "refit": RefitPolicy(enabled=False),
                "rate": 0.0,
                **settings,
            }
            app = make_app(Service(ServeSettings(**chosen)))
            return stack.enter_context(TestClient(app, raise_server_exceptions=False))

        yield start_one


@pytest.fixture
def client(start) -> TestClient:
    return start()

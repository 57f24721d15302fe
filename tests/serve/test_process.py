"""The service as it is run: processes that are killed, clients that send again, a graceful end."""

import json
import re
import threading
import time
from pathlib import Path

import pytest
from tests.serve.running import Running

import recollect as rc
from recollect.serve.client import Client
from recollect.serve.store.store import open_store
from recollect.serve.store.tables import events_table, ratings_table


@pytest.mark.slow
def test_kill_9_with_two_processes_loses_and_doubles_nothing(db, films, tmp_path):
    """Two processes answer; both are killed under load; the client sends again; all is once."""
    log = tmp_path / "log"
    service = Running(db, log, "--workers", "2", "--no-refit")
    port = service.port
    n_before = len(ratings_table_of(db))
    accepted = {}
    stop = threading.Event()

    def send(name):
        with rc.connect(service.url, patience=60) as client:
            number = 0
            while not stop.is_set():
                event = {"user": f"{name}-{number % 7}", "item": f"item {number}", "value": 4}
                [answer] = client.send([event | {"id": f"{name}:{number}"}])
                accepted[answer["id"]] = answer["outcome"]
                listed = client.recommend(event["user"])
                assert listed["basis"] in ("popular", "fold_in")
                number += 1

    threads = [threading.Thread(target=send, args=(name,)) for name in ("a", "b", "c")]
    for thread in threads:
        thread.start()
    time.sleep(1.0)
    service.kill()
    n_at_kill = len(accepted)
    service = Running(db, log, "--workers", "2", "--no-refit", port=port)
    time.sleep(0.5)
    stop.set()
    for thread in threads:
        thread.join(60)

    with rc.connect(service.url) as client:
        _, text, _ = client._attempt("GET", "/metrics", None)
    assert b"recollect_request_seconds_bucket" in text
    assert service.stop() == 0
    assert len(accepted) > n_at_kill > 0
    assert set(accepted.values()) <= {"accepted", "duplicate"}
    with open_store(db) as store:
        ids = events_table(store.reader())["event_id"].to_list()
        n_now = len(ratings_table(store.reader()))
    assert set(accepted) <= set(ids)
    assert len(ids) == len(set(ids))
    # One rating each: every event is of a pair of its own.
    assert n_now - n_before == len([id_ for id_ in ids if ":" in id_ and id_[0] in "abc"])
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    assert {line["event"] for line in lines} >= {"request", "version_active"}
    assert "item 1" not in log.read_text()


def ratings_table_of(path):
    with open_store(path) as store:
        return ratings_table(store.reader())


# The client


@pytest.fixture
def through(client, monkeypatch):
    """A client whose requests are answered by the service in this process."""
    attempts = []

    def attempt(self, method, address, content):
        attempts.append((method, address))
        headers = {**self._headers, "content-type": "application/json"}
        answer = client.request(method, address, content=content, headers=headers)
        if self.broken and len(attempts) % 2:
            # It was done, and the answer was lost.
            return None, b"the connection broke", 0.0
        return answer.status_code, answer.content, 0.0

    monkeypatch.setattr(Client, "_attempt", attempt)
    monkeypatch.setattr(Client, "broken", False, raising=False)
    connected = rc.connect("http://127.0.0.1:1", key="k")
    connected.attempts = attempts
    return connected


def test_what_is_sent_again_after_a_lost_answer_counts_once(through, client):
    through.broken = True
    [answer] = through.send([{"user": "ann", "item": "x", "value": 4}])
    assert answer["outcome"] == "duplicate"
    assert through.rate("ann", "y", 3)["outcome"] == "unchanged"
    ratings = {one["item"]: one["value"] for one in client.get("/v1/users/ann").json()["ratings"]}
    assert ratings == {"x": 4, "y": 3}
    assert len(through.attempts) == 4


def test_the_client_s_calls_are_the_endpoints(through, films):
    user, item = films.users.ids[0], films.items.ids[0]
    answer = through.recommend(
        user, 3, where="genre:Drama", at_most={"genre": 2}, seen=True, deny=[item]
    )
    assert len(answer["items"]) == 2
    assert through.recommend_to_someone({item: 5}, n=4)["basis"] == "fold_in"
    assert len(through.predict([(user, item), ("nobody", item)])) == 2
    assert through.similar_items(item, 3)["item"] == item
    assert through.put_item("a/b", title="Slash")["new"] == 1
    assert through.models()["active"] == "1"
    through.rate(user, "a/b", 2)
    assert through.take_back(user, "a/b")["outcome"] == "accepted"


def test_a_refusal_is_an_error_in_the_service_s_words(through):
    with pytest.raises(rc.RecollectError, match="scale is 1 to 5"):
        through.rate("ann", "x", 9)
    assert len(through.attempts) == 1


def test_a_service_that_is_not_there_is_told_after_some_patience():
    client = rc.connect("http://127.0.0.1:9", patience=0.2)
    with pytest.raises(rc.RecollectError, match="does not answer"):
        client.models()
    with pytest.raises(rc.RecollectError, match="begins with http"):
        rc.connect("ftp://x")


# The docs

PAGE = Path(__file__).parents[2] / "docs" / "serving.md"


def test_the_examples_of_the_docs_run(through, films, monkeypatch, capsys):
    known = films.items.ids.to_list()
    code = "\n".join(re.findall(r"^```py\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL))
    # The films of the page are films of the planted ratings here.
    for name, item in (("1193", known[0]), ("661", known[1]), ("914", known[2])):
        code = code.replace(f'"{name}"', f'"{item}"')

    monkeypatch.setattr(rc, "connect", lambda url, key=None: through)
    exec(compile(code, "docs/serving.md", "exec"), {"__name__": "example"})
    assert "fold_in" in capsys.readouterr().out


def test_every_endpoint_is_in_the_docs(client):
    text = PAGE.read_text()
    missing = [
        f"{method.upper()} {path}"
        for path, methods in client.get("/openapi.json").json()["paths"].items()
        for method in methods
        if path not in text or method.upper() not in text
    ]
    assert not missing

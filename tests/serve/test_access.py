"""Keys, limits, errors, health: who may ask, what is told, and what is not."""

import json
import logging

import pytest

from recollect.errors import SettingError
from recollect.serve import server
from recollect.serve.process import JsonLines
from recollect.serve.settings import ServeSettings
from recollect.serve.store import keys
from recollect.serve.store.store import open_store


@pytest.fixture
def made(db):
    """A key of each scope."""
    with open_store(db) as store:
        return {
            scope: store.write(lambda session, scope=scope: keys.add(session, scope, scope))
            for scope in keys.SCOPES
        }


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


def test_without_a_key_only_the_loopback_is_listened_at(db, tmp_path):
    settings = ServeSettings(db=str(db), versions=tmp_path, host="0.0.0.0")
    with pytest.raises(SettingError, match="Without a key everyone"):
        server.check_host(settings)


def test_with_a_key_other_addresses_may_be_listened_at(db, tmp_path, made):
    server.check_host(ServeSettings(db=str(db), versions=tmp_path, host="0.0.0.0"))


def test_scopes_open_what_they_say_and_no_more(start, made):
    client = start()
    url = "/v1/users/ann/recommendations"
    rating = "/v1/users/ann/ratings/x"
    assert client.get(url).status_code == 401
    assert client.get(url, headers=bearer("rk_wrong")).status_code == 401
    assert client.get(url, headers=bearer(made["read"])).status_code == 200
    body = {"value": 3}
    assert client.put(rating, json=body, headers=bearer(made["read"])).status_code == 403
    assert client.put(rating, json=body, headers=bearer(made["write"])).status_code == 200
    assert client.post("/v1/models", headers=bearer(made["write"])).status_code == 403
    assert client.post("/v1/models", headers=bearer(made["admin"])).status_code == 202
    assert client.get("/healthz").status_code == 200


def test_a_revoked_key_opens_nothing_soon(db, start, made):
    client = start()
    with open_store(db) as store:
        store.write(lambda session: keys.revoke(session, "read"))
    client.app.state.service.access.refresh(client.app.state.service.reader())
    answer = client.get("/v1/items", headers=bearer(made["read"]))
    assert answer.status_code == 401
    assert "revoked" in answer.json()["detail"]


def test_the_store_has_no_key_in_clear(db, made):
    content = b"".join(path.read_bytes() for path in db.parent.glob("films.db*"))
    for key in made.values():
        assert key.encode() not in content


def test_too_many_requests_are_told_when_to_come_back(start):
    client = start(rate=5.0)
    answers = [client.get("/v1/items") for _ in range(8)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) >= 2
    assert int(refused[0].headers["retry-after"]) >= 1


def test_a_large_body_is_refused_stated_or_not(start):
    client = start(body_bytes=1000)
    stated = client.post("/v1/events", content=b"[" + b" " * 2000 + b"]")
    assert stated.status_code == 413

    def pieces():
        for _ in range(30):
            yield b" " * 100

    streamed = client.post(
        "/v1/events", content=pieces(), headers={"content-type": "application/json"}
    )
    assert streamed.status_code == 413
    assert "larger than 1,000 bytes" in streamed.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v1/nothing", None),
        ("PATCH", "/v1/items", None),
        ("GET", "/v1/users/ann/recommendations?n=0", None),
        ("POST", "/v1/events", "[{]"),
        ("POST", "/v1/events", '[{"user": "a", "item": "b", "what": 1}]'),
        ("POST", "/v1/events", '[{"id": "x", "user": "", "item": "b", "value": 1}]'),
        ("POST", "/v1/events", '[{"id": "x", "user": "a\\u0000", "item": "b", "value": 1}]'),
        ("POST", "/v1/events", '[{"id": "x", "user": "a", "item": "b", "value": NaN}]'),
        ("GET", "/v1/items/none/similar", None),
        ("POST", "/v1/models/999/activate", None),
        ("POST", "/v1/models/1/rollback", None),
    ],
)
def test_every_error_has_one_shape(client, method, path, body):
    answer = client.request(
        method, path, content=body, headers={"content-type": "application/json"}
    )
    assert 400 <= answer.status_code < 500
    assert answer.headers["content-type"] == "application/problem+json"
    content = answer.json()
    assert {"type", "title", "status", "detail"} <= set(content)
    assert content["status"] == answer.status_code


def test_an_error_of_ours_tells_nothing_of_the_person(client, monkeypatch, caplog):
    def fail(*arguments, **more):
        raise RuntimeError("the taste of ann")

    monkeypatch.setattr("recollect.serve.api.recommendations.make_list", fail)
    with caplog.at_level(logging.ERROR, logger="recollect.serve"):
        answer = client.get("/v1/users/ann/recommendations")
    assert answer.status_code == 500
    assert "ann" not in answer.text
    assert "ann" not in caplog.text
    assert caplog.records[0].kind == "RuntimeError"


def test_a_line_of_the_log_has_the_route_and_no_id(client, caplog):
    with caplog.at_level(logging.INFO, logger="recollect.serve.requests"):
        client.get("/v1/users/ann-of-green-gables/recommendations")
    line = JsonLines().format(caplog.records[-1])
    content = json.loads(line)
    assert content["route"] == "GET /v1/users/{user}/recommendations"
    assert content["status"] == 200
    assert "green-gables" not in line


def test_another_site_cannot_reach_it_by_a_name_of_its_own(client):
    answer = client.get("/v1/items", headers={"host": "evil.example"})
    assert answer.status_code == 400


def test_health_and_metrics(client):
    assert client.get("/healthz").json() == {"status": "alive"}
    ready = client.get("/readyz").json()
    assert (ready["status"], ready["model"]) == ("ready", "1")
    client.get("/v1/users/nobody/recommendations")
    text = client.get("/metrics").text
    assert 'recollect_lists_total{basis="popular"} 1.0' in text
    assert "recollect_model_version 1.0" in text
    assert 'route="GET /v1/users/{user}/recommendations"' in text


def test_every_endpoint_is_described_with_its_errors(client):
    described = client.get("/openapi.json").json()
    operations = [
        (path, method, operation)
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    ]
    assert len(operations) > 25
    for path, method, operation in operations:
        assert operation["summary"], path
        assert operation["description"], (method, path)
        assert "4XX" in operation["responses"], path

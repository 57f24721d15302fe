"""Nonsense: no request may end in a 500, and every refusal has the one shape."""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

TEXT = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["", "1", "u1", "i1", "../x", "%00", "a/b", '"', "genre:", "year>=x", "NaN"]),
)
VALUE = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXT, inner, max_size=4)),
    max_leaves=8,
)
NAMED = "id user item value kind time ratings events n where title text fields available starts"
FIELDS = st.sampled_from([*NAMED.split(), "arms", "at_most", "allow", "cursor"])
BODY = st.one_of(
    st.binary(max_size=40),
    st.builds(lambda value: json.dumps(value).encode(), VALUE),
    st.dictionaries(FIELDS, VALUE, max_size=5).map(lambda body: json.dumps(body).encode()),
    st.dictionaries(FIELDS, VALUE, max_size=5).map(lambda body: json.dumps([body]).encode()),
)
NAMES = ["n", "where", "allow", "deny", "seen", "rank_by", "at_most", "diversity", "fresh"]
NAMES += ["explain", "interval", "cursor", "search", "since"]
QUERY = st.dictionaries(st.sampled_from(NAMES), TEXT, max_size=3)
ENDPOINTS = st.sampled_from(
    [
        ("GET", "/v1/users/{}/recommendations"),
        ("GET", "/v1/users/{}"),
        ("DELETE", "/v1/users/{}"),
        ("GET", "/v1/users/{}/similar"),
        ("PUT", "/v1/users/{}/ratings/{}"),
        ("DELETE", "/v1/users/{}/ratings/{}"),
        ("GET", "/v1/items/{}"),
        ("PUT", "/v1/items/{}"),
        ("DELETE", "/v1/items/{}"),
        ("GET", "/v1/items/{}/similar"),
        ("POST", "/v1/items"),
        ("POST", "/v1/events"),
        ("POST", "/v1/recommendations"),
        ("POST", "/v1/predictions"),
        ("PUT", "/v1/experiments/{}"),
        ("POST", "/v1/models/{}/activate"),
        ("GET", "/people/{}"),
        ("GET", "/items/{}"),
        ("POST", "/try/list"),
        ("POST", "/key"),
    ]
)
FEW = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@FEW
@given(ENDPOINTS, TEXT, TEXT, QUERY, BODY)
def test_no_request_ends_in_an_error_of_ours(client, endpoint, first, second, query, body):
    from urllib.parse import quote

    method, path = endpoint
    path = path.format(quote(first, safe=""), quote(second, safe=""))
    answer = client.request(
        method,
        path,
        params=query,
        content=None if method == "GET" else body,
        headers={"content-type": "application/json"},
    )
    assert answer.status_code < 500, (answer.status_code, answer.text)
    if answer.status_code >= 400:
        kind = answer.headers["content-type"]
        assert kind == "application/problem+json" or "text/html" in kind

"""A wrong kind of object gets an error of ours that says what to pass, at every public function."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("wrong kinds")  # its fixture is made once

HERE = Path(__file__).parent
SCRIPT = HERE / "wrong_kinds.py"


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory) -> dict[str, dict[str, str]]:
    """What came of each call with each kind of object."""
    run = subprocess.run(
        [sys.executable, str(SCRIPT)],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path_factory.mktemp("away"),  # a path in a call is then nowhere
    )
    return json.loads(run.stdout)


def test_no_error_is_bare(outcomes):
    bare = [
        f"{call}({kind}): {outcome}"
        for call, kinds in outcomes.items()
        for kind, outcome in kinds.items()
        if outcome.startswith("BARE")
    ]
    assert not bare, "\n".join(bare)


def test_every_message_says_something(outcomes):
    for call, kinds in outcomes.items():
        for kind, outcome in kinds.items():
            assert outcome == "done" or len(outcome) > 30, f"{call}({kind}): {outcome}"


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        ("predict model", "text", "model is the text 'text'; pass a fitted model"),
        ("fit train", "DataFrame", "train is a DataFrame; pass Ratings: recollect.read(path)"),
        ("random_split ratings", "Polars frame", "ratings is a DataFrame; pass Ratings"),
        ("random_split test", "number as text", "a number; found the text '0.2'"),
        ("top_n ratings", "list of pairs", "pass dict(ratings) if it holds pairs"),
        ("top_n ratings", "Series", "found a Series: pass ratings.to_dict()"),
        ("top_n ratings", "DataFrame", "pass dict(zip(ratings['item_id'], ratings['rating']))"),
        ("top_n n", "fraction", "a whole number of 1 or more; found 2.5"),
        ("top_n user_ids", "DataFrame", "found a DataFrame; pass one of its columns"),
        ("top_n where", "number", "where is 5; pass a query such as 'genre:Drama year>=1990'"),
        ("top_n at_most", "list of numbers", "at_most is a list; write how many items"),
        ("top_n diversity", "number as text", "a number; found the text '0.2'"),
        ("explain_list lists", "set", "lists is a set; pass the frame that top_n returns"),
        ("held_out test", "list of pairs", "test is a list; pass Ratings"),
        ("new_users split", "None", "split is None; pass a Split, made by"),
        ("from_frame table", "Series", "A Series is no table"),
        ("from_tuples rows", "DataFrame", "is a table; use from_frame"),
    ],
)
def test_messages_say_what_to_pass(outcomes, call, kind, message):
    assert message in outcomes[call][kind]


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        ("predict pairs", "DataFrame"),
        ("predict pairs", "Polars frame"),
        ("held_out test", "DataFrame"),
        ("full_ranking test", "Polars frame"),
        ("top_n user_ids", "Series"),
        ("top_n user_ids", "Index"),
        ("top_n user_ids", "set"),
        ("from_frame table", "DataFrame"),
    ],
)
def test_what_is_right_is_taken(outcomes, call, kind):
    assert outcomes[call][kind] == "done"

"""The Melon challenge's questions, answers and score."""

import numpy as np
import polars as pl
import pytest

from recollect.data.playlists import as_events
from recollect.errors import DataError, RecollectWarning
from recollect.evaluation.playlists import answer, ask, score
from recollect.evaluation.playlists.questions import most_of
from recollect.registry import make


def lists(n=60, n_songs=300, n_tags=60, seed=0):
    random = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "id": [str(k) for k in range(n)],
            "title": [f"mood {k % 5}" for k in range(n)],
            "songs": [
                [str(s) for s in random.choice(n_songs, 21, replace=False)] for _ in range(n)
            ],
            "tags": [[f"t{t}" for t in random.choice(n_tags, 5, replace=False)] for _ in range(n)],
        }
    )


def organizers_ndcg(gt, rec):
    """As `evaluate.py` of the organizers has it."""
    dcg = 0.0
    for i, r in enumerate(rec):
        if r in gt:
            dcg += 1.0 / np.log(i + 2)
    idcg = sum(1.0 / np.log(i + 2) for i in range(len(gt)))
    return dcg / idcg


def test_the_score_is_that_of_the_organizers():
    random = np.random.default_rng(0)
    n = 7
    answers = pl.DataFrame(
        {
            "id": [str(k) for k in range(n)],
            "songs": [[f"s{k}" for k in random.choice(200, 30, False)] for _ in range(n)],
            "tags": [[f"t{k}" for k in random.choice(40, 4, False)] for _ in range(n)],
        }
    )
    results = pl.DataFrame(
        {
            "id": [str(k) for k in reversed(range(n))],
            "songs": [[f"s{k}" for k in random.choice(200, 100, False)] for _ in range(n)],
            "tags": [[f"t{k}" for k in random.choice(40, 10, False)] for _ in range(n)],
        }
    )
    by_id = {row["id"]: row for row in results.to_dicts()}
    expected = {"songs": [], "tags": []}
    for row in answers.to_dicts():
        for kind, figures in expected.items():
            figures.append(organizers_ndcg(row[kind], by_id[row["id"]][kind]))
    found = score(results, answers)
    np.testing.assert_allclose(found.ndcg["songs"], expected["songs"])
    assert found.score == pytest.approx(
        0.85 * np.mean(expected["songs"]) + 0.15 * np.mean(expected["tags"])
    )


def test_a_perfect_answer_has_the_score_1():
    whole = lists()
    asked = ask(whole, seed=1)
    filled = []
    for row in asked.answers.to_dicts():
        songs = row["songs"] + [f"x{k}" for k in range(100 - len(row["songs"]))]
        tags = row["tags"] + [f"x{k}" for k in range(10 - len(row["tags"]))]
        filled.append({"id": row["id"], "songs": songs, "tags": tags})
    assert score(pl.DataFrame(filled), asked.answers).score == pytest.approx(1)


@pytest.mark.parametrize(
    ("songs", "message"),
    [
        ([f"s{k}" for k in range(99)], "has 99 songs, expected 100"),
        (["s1", "s1", *(f"s{k}" for k in range(2, 100))], "names songs twice"),
    ],
)
def test_an_answer_of_another_length_or_with_repeats_is_refused(songs, message):
    answers = pl.DataFrame({"id": ["a"], "songs": [["s1"]], "tags": [["t1"]]})
    results = pl.DataFrame({"id": ["a"], "songs": [songs], "tags": [[f"t{k}" for k in range(10)]]})
    with pytest.raises(DataError, match=message):
        score(results, answers)
    with pytest.raises(DataError, match="1 lists have no result"):
        score(results.with_columns(id=pl.lit("b")), answers)


def test_the_kinds_of_question_have_the_shares_of_the_challenge():
    asked = ask(lists(n=1000), seed=0)
    counts = np.bincount(asked.kind) / 1000
    assert counts.tolist() == [0.42, 0.39, 0.11, 0.08]
    for row, kind in zip(asked.questions.to_dicts(), asked.kind, strict=True):
        assert (len(row["songs"]), len(row["tags"]), bool(row["title"])) == (
            (10, 0, False),
            (10, 2, False),
            (0, 2, True),
            (0, 0, True),
        )[kind]


def test_nothing_is_both_shown_and_hidden_and_nothing_is_lost():
    whole = lists()
    asked = ask(whole, seed=2)
    rows = zip(whole.to_dicts(), asked.questions.to_dicts(), asked.answers.to_dicts(), strict=True)
    for own, shown, hidden in rows:
        for kind in ("songs", "tags"):
            assert not set(shown[kind]) & set(hidden[kind])
            assert set(shown[kind]) | set(hidden[kind]) == set(own[kind])


def test_lists_without_titles_are_asked_in_three_kinds():
    asked = ask(lists().drop("title"), seed=0)
    assert [kind.name for kind in asked.kinds] == ["songs", "songs and tags", "tags"]


def test_answers_are_complete_without_repeats_and_without_what_is_shown():
    model = make("popularity").fit(as_events(lists(n=300), name="lists"))
    asked = ask(lists(seed=1), seed=0)
    results = answer(model, asked.questions, kinds=("songs", "tags"))
    for shown, named in zip(asked.questions.to_dicts(), results.to_dicts(), strict=True):
        for kind in ("songs", "tags"):
            assert len(set(named[kind])) == most_of(kind)
            assert not set(named[kind]) & set(shown[kind])
    assert score(results, asked.answers).score > 0


def test_a_list_of_which_nothing_is_known_gets_what_most_lists_have():
    events = as_events(lists(), name="lists")
    model = make("item_knn").fit(events)
    question = pl.DataFrame(
        {"id": ["new"], "title": ["?"], "songs": [["none"]], "tags": [[]]},
        schema_overrides={"tags": pl.List(pl.String)},
    )
    with pytest.warns(RecollectWarning, match="1 songs in the questions are unknown"):
        [named] = answer(model, question, kinds=("tags",))["tags"].to_list()
    count = events.count("item")
    best = events.kinds.rows("tags", named)
    others = np.setdiff1d(np.flatnonzero(events.kinds.mask("tags")), best)
    assert count[best].min() >= count[others].max()


def test_songs_that_were_issued_after_the_date_of_a_list_are_left_out():
    issued = [20200101 if k < 150 else 20210101 for k in range(300)]
    facts = pl.DataFrame(
        {"kind": ["songs"] * 300, "own_id": [str(k) for k in range(300)], "issued": issued}
    )
    model = make("popularity").fit(as_events(lists(), facts, name="lists"))
    question = pl.DataFrame(
        {"id": ["a", "b"], "songs": [["3"], ["3"]], "tags": [["t1"], ["t1"]]}
    ).with_columns(time=pl.Series([1590969600, 1622505600]))  # June 2020, June 2021
    early, late = answer(model, question, kinds=("songs",))["songs"].to_list()
    assert all(int(song) < 150 for song in early)
    assert any(int(song) >= 150 for song in late)


def test_a_model_that_knows_too_few_items_is_refused():
    model = make("popularity").fit(as_events(lists(n_songs=120), name="lists"))
    with pytest.raises(DataError, match="an answer has 100"):
        answer(model, ask(lists(n_songs=120)).questions, kinds=("songs",))

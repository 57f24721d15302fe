"""From a fitted model to answers, against rankings worked out by hand or by brute force."""

import time
import tracemalloc

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

import recollect as rc
from recollect import ranking
from recollect.data.ratings import Ratings
from recollect.data.vocab import Vocab
from recollect.errors import DataError, NotFittedError, SettingError
from recollect.models.bias import Offsets
from recollect.ranking import everyones_best, first_n
from recollect.registry import make
from recollect.run import Run

# What is unknown or missing is warned of each time; tests/test_notices.py is about that.
pytestmark = pytest.mark.filterwarnings("ignore::recollect.RecollectWarning")

MODELS = {
    "item": ("autorec", {"side": "item"}),
    "user": ("autorec", {"side": "user"}),
    "bias": ("bias", {}),
}


@pytest.fixture(scope="module")
def ratings(planted_small) -> Ratings:
    """The planted ratings with titles; the last user and the last item have none."""
    whole = planted_small.ratings
    table = pl.DataFrame(
        {"item_id": whole.items.ids, "title": [f"Film {i}" for i in whole.items.ids]}
    )
    known = whole.where((whole.user < whole.n_users - 1) & (whole.item < whole.n_items - 1))
    return Ratings(known.user, known.item, known.value, whole.users, whole.items, catalogue=table)


@pytest.fixture(scope="module", params=MODELS)
def model(request, ratings):
    name, settings = MODELS[request.param]
    more = {} if name == "bias" else {"hidden": 8, "reg": 1.0, "epochs": 30, "patience": None}
    return make(name, **settings, **more).fit(ratings, run=Run(threads=1))


@pytest.fixture(scope="module")
def bias(ratings):
    return make("bias").fit(ratings)


@pytest.fixture(scope="module")
def tastes(checkerboard):
    return make("autorec", hidden=8, reg=1.0, epochs=40).fit(checkerboard, run=Run(threads=1))


def brute_force(model, user: int, *, seen: bool, candidates=None) -> list[int]:
    """Every item the model may recommend, best first, one at a time."""
    given = model.given_
    scores = model.scores(np.array([user]), given)[0]
    mine = set(given.item[given.user == user].tolist())
    may = [
        i
        for i in range(given.n_items)
        if given.count("item")[i]
        and (seen or i not in mine)
        and (candidates is None or i in candidates)
    ]
    return sorted(may, key=lambda i: (-scores[i], i))


def expected(model, users: list[int], n: int, **how) -> list[tuple[str, int, str]]:
    user_ids, item_ids = model.given_.users.ids, model.given_.items.ids
    return [
        (user_ids[u], place + 1, item_ids[i])
        for u in users
        for place, i in enumerate(brute_force(model, u, **how)[:n])
    ]


def lists(frame: pl.DataFrame) -> list[tuple[str, int, str]]:
    return frame.select("user_id", "rank", "item_id").rows()


def test_first_n_is_a_stable_sort_whatever_ties():
    random = np.random.default_rng(0)
    for levels in (2, 5, 1000):
        scores = random.integers(levels, size=(50, 23)).astype(np.float32)
        scores[random.random(scores.shape) < 0.3] = -np.inf
        for n in (1, 4, 22, 23, 30):
            found = first_n(n, scores)
            for row, places in zip(scores, found, strict=True):
                best = [c for c in np.argsort(-row, kind="stable") if row[c] > -np.inf][:n]
                assert places.tolist() == best + [-1] * (n - len(best))


def test_first_n_of_nothing():
    assert first_n(3, np.zeros((0, 5), np.float32)).shape == (0, 3)
    assert first_n(2, np.zeros((1, 0), np.float32)).tolist() == [[-1, -1]]


def test_predict_keeps_order_and_duplicates_and_marks_the_cold(model):
    given = model.given_
    u, i = given.users.ids, given.items.ids
    warm = [(u[5], i[3]), (u[0], i[7]), (u[5], i[3])]
    cold = [("nobody", i[0]), (u[0], "none"), (u[-1], i[0])]
    cold.append((u[0], i[-1]))
    pairs = warm + cold
    frame = rc.predict(model, pairs)
    assert frame.columns == ["user_id", "item_id", "prediction", "cold"]
    assert frame.select("user_id", "item_id").rows() == pairs
    assert frame["cold"].to_list() == [False] * 3 + [True] * len(cold)
    np.testing.assert_array_equal(
        frame["prediction"][:3], model.predict(np.array([5, 0, 5]), np.array([3, 7, 3]))
    )
    offsets = rc.make("bias").fit(given)
    mu, b_user, b_item = offsets.net_.arrays()
    known = [mu + b_item[0], mu + b_user[0], mu + b_item[0], mu + b_user[0]]
    np.testing.assert_allclose(frame["prediction"][3:], known, rtol=1e-6)


@pytest.mark.parametrize(
    "table",
    [
        pl.DataFrame,
        pl.LazyFrame,
        pd.DataFrame,
        pa.table,
        lambda c: pd.DataFrame(c, dtype=object),
        lambda c: pd.DataFrame(c).astype(float),
        lambda c: duckdb.from_arrow(pa.table(c)),
        lambda c: list(zip(*c.values(), strict=True)),
        lambda c: zip(*c.values(), strict=True),
        lambda c: np.array(list(c.values())).T,
        lambda c: [[str(a), str(b)] for a, b in zip(*c.values(), strict=True)],
    ],
    ids=[
        "polars",
        "lazy",
        "pandas",
        "arrow",
        "objects",
        "floats",
        "duckdb",
        "tuples",
        "iterator",
        "array",
        "text",
    ],
)
def test_predict_takes_any_table_and_any_spelling_of_an_id(bias, table):
    columns = {
        "user_id": [int(x) for x in bias.given_.users.ids[:4]],
        "item_id": [int(x) for x in bias.given_.items.ids[2:6]],
    }
    frame = rc.predict(bias, table(columns))
    assert frame["user_id"].to_list() == [str(x) for x in columns["user_id"]]
    assert not frame["cold"].any()
    np.testing.assert_array_equal(frame["prediction"], bias.predict(np.arange(4), np.arange(2, 6)))


def test_predict_takes_ids_of_mixed_types_and_missing_ones(bias):
    known = bias.given_.users.ids[0]
    frame = rc.predict(
        bias, pd.DataFrame({"user_id": [int(known), "x", None], "item_id": [known, 2.5, 3]})
    )
    assert frame["user_id"].to_list() == [known, "x", None]
    assert frame["cold"].to_list()[1:] == [True, True]


@pytest.mark.parametrize(
    "table", [pl.DataFrame, pd.DataFrame, lambda c: []], ids=["polars", "pandas", "list"]
)
def test_predict_of_nothing_is_an_empty_table(bias, table):
    frame = rc.predict(bias, table({"user_id": [], "item_id": []}))
    assert frame.schema == {
        "user_id": pl.String,
        "item_id": pl.String,
        "prediction": pl.Float32,
        "cold": pl.Boolean,
    }
    assert frame.is_empty()


def test_predict_leaves_other_columns_out(bias):
    frame = rc.predict(bias, pl.DataFrame({"rating": [3.0], "item_id": ["1"], "user_id": ["1"]}))
    assert frame.columns == ["user_id", "item_id", "prediction", "cold"]


@pytest.fixture(scope="module")
def sure(ratings):
    timed = Ratings(
        ratings.user,
        ratings.item,
        ratings.value,
        ratings.users,
        ratings.items,
        time=np.arange(len(ratings), dtype=np.int64) * 3600,
    )
    return make("bayes_mf", factors=2, epochs=12, burn_in=2, n_samples=6, time=True).fit(
        timed, run=Run(threads=1)
    )


def test_predict_says_between_what_a_rating_lies(sure):
    user, item = np.array([5, 0]), np.array([3, 7])
    pairs = [
        (sure.given_.users.ids[u], sure.given_.items.ids[i])
        for u, i in zip(user.tolist(), item.tolist(), strict=True)
    ]
    frame = rc.predict(sure, pairs, interval=0.8)
    assert frame.columns == ["user_id", "item_id", "prediction", "cold", "std", "low", "high"]
    np.testing.assert_array_equal(frame["low"], sure.predict_interval(user, item, 0.8)[0])
    np.testing.assert_array_equal(frame["std"], sure.predict_std(user, item))
    assert (frame["low"] < frame["prediction"]).all()
    assert (frame["prediction"] < frame["high"]).all()


def test_predict_goes_by_the_time_of_each_pair(sure):
    ids = {"user_id": [sure.given_.users.ids[5]] * 2, "item_id": [sure.given_.items.ids[3]] * 2}
    frame = rc.predict(sure, pl.DataFrame({**ids, "timestamp": ["1970-01-02", "1970-01-20T10:00"]}))
    days = np.array([86_400, 19 * 86_400 + 36_000])
    np.testing.assert_array_equal(
        frame["prediction"], sure.predict(np.array([5, 5]), np.array([3, 3]), times=days)
    )
    with pytest.raises(DataError, match="Pair 2: the time is 'soon'; expected seconds since 1970"):
        rc.predict(sure, pl.DataFrame({**ids, "timestamp": ["1970-01-02", "soon"]}))


def test_a_model_that_does_not_know_how_sure_it_is_says_so(bias):
    with pytest.raises(
        SettingError, match="Bias does not estimate how sure its predictions are; bayes_mf does"
    ):
        rc.predict(bias, [("1", "2")], interval=0.9)


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (
            pl.DataFrame({"userId": [1], "item_id": [1]}),
            "user_id and item_id, found userId, item_id; rename",
        ),
        (pd.DataFrame({0: [1], 1: [1]}), "found 0, 1; rename"),
        ([("a", "b", "c")], "found .'a', 'b', 'c'"),
        (["ab"], "found 'ab'"),
        ([7], "found 7"),
    ],
)
def test_predict_says_what_is_no_pair(bias, pairs, message):
    with pytest.raises(DataError, match=message):
        rc.predict(bias, pairs)


@pytest.mark.parametrize("seen", [False, True])
def test_top_n_equals_brute_force(model, seen):
    users = [4, 0, 77]
    ids = model.given_.users.at(users)
    frame = rc.top_n(model, user_ids=ids, n=7, seen=seen, rank_by="rating")
    assert lists(frame) == expected(model, users, 7, seen=seen)
    asked = rc.predict(model, frame.select("user_id", "item_id"))
    np.testing.assert_allclose(
        frame["prediction"], asked["prediction"], atol=1e-5
    )  # 32 bits, other order of sums


def test_top_n_recommends_nothing_they_have_rated(model):
    given = model.given_
    frame = rc.top_n(model, user_ids=given.users.ids[:20], n=1000)
    rated = set(given.where(given.user < 20).frame().select("user_id", "item_id").rows())
    assert not rated & set(frame.select("user_id", "item_id").rows())
    assert len(frame) == 20 * 79 - len(rated)  # 79 items have ratings


def test_top_n_among_candidates(model):
    ids = model.given_.items.ids
    candidates = [int(ids[9]), ids[2], "unheard of", ids[-1]]
    user = [model.given_.users.ids[3]]
    frame = rc.top_n(model, user_ids=user, items=candidates, seen=True, rank_by="rating")
    assert lists(frame) == expected(model, [3], 10, seen=True, candidates={9, 2})
    with pytest.raises(DataError, match="None of the 2 candidate items has ratings"):
        rc.top_n(model, user_ids=["1"], items=["unheard of", ids[-1]])


def test_top_n_gives_the_titles(model):
    frame = rc.top_n(model, user_ids=model.given_.users.ids[:2], n=3)
    assert frame.columns == ["user_id", "rank", "item_id", "title", "prediction"]
    assert (frame["title"] == "Film " + frame["item_id"]).all()


def test_top_n_takes_ids_in_any_order_twice_and_as_an_array(bias):
    frame = rc.top_n(bias, user_ids=np.array([9, 3, 9]), n=2)
    assert frame["user_id"].to_list() == ["9", "9", "3", "3", "9", "9"]
    assert frame[:2].equals(frame[4:])


def test_someone_unknown_gets_what_is_best_on_the_whole(model):
    given = model.given_
    best = everyones_best(given)
    order = sorted(np.flatnonzero(given.count("item")).tolist(), key=lambda i: (-best[i], i))[:5]
    for who in ("nobody", given.users.ids[-1], None):
        frame = rc.top_n(model, user_ids=[who], n=5)
        assert frame["item_id"].to_list() == given.items.at(order).to_list()
        pairs = [(str(who), item) for item in frame["item_id"]]
        assert frame["prediction"].equals(rc.predict(model, pairs)["prediction"])


def test_everyones_best_by_hand(few):
    # Mean of all 17/7; item w has 4 and 5, z none.
    np.testing.assert_allclose(everyones_best(few)[[0, 3]], [(9 + 170 / 7) / 12, 17 / 7], rtol=1e-6)


def test_who_has_seen_everything_gets_an_empty_list_and_the_others_theirs():
    user, item, value = [0, 0, 0, 1], [0, 1, 2, 1], [1, 5, 3, 5]
    full = Ratings(
        np.array(user, np.int32),
        np.array(item, np.int32),
        np.array(value, np.float32),
        Vocab(["a", "b"]),
        Vocab(["x", "y", "z"]),
    )
    frame = rc.top_n(make("bias").fit(full), user_ids=["a", "b"], n=5)
    assert lists(frame) == [("b", 1, "z"), ("b", 2, "x")]


def with_scores(bias, score):
    """The bias model, but every user's raw prediction of item j is score[j]."""
    found = make("bias")
    found.given_, found.net_ = bias.given_, Offsets(120, 80)
    found.net_.b_item.copy_(torch.as_tensor(score))
    return found


def test_items_beyond_the_top_of_the_scale_are_ranked_by_the_raw_prediction(bias):
    score = np.full(80, 2.0)
    score[[60, 10, 40]] = 7.0, 5.5, 6.0
    ranker = with_scores(bias, score)
    frame = rc.top_n(ranker, user_ids=["1"], n=4, seen=True, rank_by="rating")
    assert frame["item_id"].to_list() == bias.given_.items.at([60, 40, 10, 0]).to_list()
    assert frame["prediction"].to_list() == [5, 5, 5, 2]


def test_ties_go_by_row(bias):
    ranker = with_scores(bias, np.full(80, 3.0))
    frame = rc.top_n(ranker, user_ids=["1"], n=6, seen=True, rank_by="rating")
    assert frame["item_id"].to_list() == bias.given_.items.ids[:6].to_list()


def test_no_ids_give_an_empty_table_with_the_same_columns(model):
    assert rc.top_n(model, user_ids=[]).schema == rc.top_n(model, user_ids=["1"]).schema


def test_newer_ratings_replace_earlier_ones_of_someone_known(bias):
    """The same as someone new with all of these ratings, under their own id."""
    given = bias.given_
    mine = dict(
        zip(
            given.items.at(given.item[given.user == 4]).to_list(),
            given.value[given.user == 4].tolist(),
            strict=True,
        )
    )
    first, other = next(iter(mine)), given.items.ids[1]
    newer = {first: 1.0, other: 5.0}
    found = rc.top_n(bias, user_ids=[given.users.ids[4]], ratings=newer)
    expected = rc.top_n(bias, ratings={**mine, **newer})
    assert found["user_id"].unique().to_list() == [given.users.ids[4]]
    assert found.drop("user_id").equals(expected.drop("user_id"))
    assert not found["prediction"].equals(
        rc.top_n(bias, user_ids=[given.users.ids[4]])["prediction"]
    )


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "none of them"),
        ({"user_ids": ["1", "2"], "ratings": {"1": 3}}, "one person; found 2"),
        ({"ratings": {"1": 3}, "events": ["1"]}, "one of the two"),
        ({"events": ["1"]}, "learned from ratings"),
        ({"user_ids": ["1"], "n": 0}, "1 or more; found 0"),
        ({"user_ids": "42"}, r"found '42'; write \['42'\]"),
        ({"user_ids": ["1"], "items": "42"}, "items is a list"),
    ],
)
def test_top_n_refuses_what_it_cannot_mean(bias, asked, message):
    with pytest.raises(SettingError, match=message):
        rc.top_n(bias, **asked)


def test_an_unfitted_model_says_so():
    for ask in (
        lambda m: rc.predict(m, []),
        lambda m: rc.top_n(m, user_ids=["1"]),
        lambda m: rc.fold_in(m, {"1": 3}),
        lambda m: rc.similar(m, item_ids=["1"]),
        lambda m: rc.top_n_to_parquet(m, "no.parquet"),
    ):
        with pytest.raises(NotFittedError):
            ask(make("bias"))


def test_ranking_thousands_of_users_takes_a_moment():
    """2,158 users × 3,706 items, scores made in advance; well under a second when idle."""
    random = np.random.default_rng(0)
    scores = random.normal(size=(2158, 3706)).astype(np.float32)
    started = time.process_time()
    for _ in range(3):
        first_n(10, scores)
    assert time.process_time() - started < 3


def test_everyones_lists_are_those_of_top_n(model, tmp_path):
    path, told = tmp_path / "all.parquet", []
    rows = rc.top_n_to_parquet(model, path, n=4, progress=lambda done, of: told.append((done, of)))
    whole = rc.top_n(model, user_ids=model.given_.users.ids, n=4)
    assert pl.read_parquet(path).equals(whole)
    assert rows == len(whole)
    assert told == [(120, 120)]


def test_blocks_change_nothing(model, tmp_path, monkeypatch):
    ids = [*model.given_.users.ids[:25], "nobody", model.given_.users.ids[0]]
    whole = rc.top_n(model, user_ids=ids, n=4)
    monkeypatch.setattr(ranking, "BLOCK_CELLS", 80 * 4)
    told = []
    path = tmp_path / "some.parquet"
    rc.top_n_to_parquet(model, path, user_ids=ids, n=4, progress=lambda done, of: told.append(done))
    in_blocks = pl.read_parquet(path)
    assert lists(in_blocks) == lists(whole)
    np.testing.assert_allclose(
        in_blocks["prediction"], whole["prediction"], atol=1e-5
    )  # sums in another order
    assert told == [4, 8, 12, 16, 20, 24, 27]


@pytest.mark.slow
def test_memory_stays_flat(tmp_path, monkeypatch):
    n_users, n_items = 20_000, 300
    item = np.arange(n_users, dtype=np.int32) % n_items
    ratings = Ratings(
        np.arange(n_users, dtype=np.int32),
        item,
        (1 + item % 5).astype(np.float32),
        Vocab(range(n_users)),
        Vocab(range(n_items)),
    )
    model = make("bias").fit(ratings)
    monkeypatch.setattr(ranking, "BLOCK_CELLS", 100 * n_items)
    rc.top_n_to_parquet(model, tmp_path / "warm.parquet", user_ids=range(100), n=3)
    tracemalloc.start()
    rc.top_n_to_parquet(model, tmp_path / "all.parquet", n=3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (
        peak < n_users * n_items * 4 / 3
    )  # a third of one table of all pairs, 24 MB; a block of it is 0.12 MB


def test_a_failure_half_way_leaves_the_earlier_file(bias, tmp_path, monkeypatch):
    path = tmp_path / "lists.parquet"
    rc.top_n_to_parquet(bias, path, n=2)
    before = path.read_bytes()
    monkeypatch.setattr(ranking, "BLOCK_CELLS", 80 * 10)

    def full_disk(done, of):
        if done > 50:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        rc.top_n_to_parquet(bias, path, n=3, progress=full_disk)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["lists.parquet"]


def test_a_folder_is_no_place_for_the_file(bias, tmp_path):
    with pytest.raises(SettingError, match="is a folder; name a file"):
        rc.top_n_to_parquet(bias, tmp_path)


def new_ratings(model) -> dict[str, float]:
    """The ratings of the most active user, as of someone new."""
    given = model.given_
    user = int(given.count("user").argmax())
    row = given.by_user.take(np.array([user]))
    return dict(zip(given.items.at(row.column), row.value.tolist(), strict=True))


def test_someone_new_on_the_user_side_is_one_pass_through_the_network(ratings):
    model = make("autorec", side="user", hidden=5, reg=1.0, epochs=20, offsets=False).fit(
        ratings, run=Run(threads=1)
    )
    mine = {ratings.items.ids[2]: 5, ratings.items.ids[30]: 1}
    V, mu, W, b = (
        p.detach().double().numpy()
        for p in (
            model.net_.input.weight,
            model.net_.input.bias,
            model.net_.output.weight,
            model.net_.output.bias,
        )
    )
    raw = W @ (1 / (1 + np.exp(-(5 * V[2] + 1 * V[30] + mu)))) + b
    folded = rc.fold_in(model, mine)
    np.testing.assert_allclose(folded["prediction"][:-1], np.clip(raw, 1, 5)[:-1], atol=1e-4)
    # Nobody rated the last item: the mean and the new user's offset.
    offsets = model.cold_offsets()
    residuals = 5 + 1 - 2 * offsets.mu - offsets.b_item[[2, 30]].sum()
    assert folded["prediction"][-1] == pytest.approx(offsets.mu + residuals / (2 + 5))
    raw[[2, 30, 79]] = -np.inf
    frame = rc.top_n(model, ratings=mine, n=5, rank_by="rating")
    assert frame["item_id"].to_list() == ratings.items.at(np.argsort(-raw)[:5]).to_list()
    assert set(frame["user_id"]) == {"new"}


def test_someone_new_gets_what_a_fitted_twin_gets(model):
    mine = new_ratings(model)
    twin = model.given_.users.ids[int(model.given_.count("user").argmax())]
    folded = rc.fold_in(model, mine).filter(pl.col("item_id") != model.given_.items.ids[-1])
    pairs = folded.select(pl.lit(twin).alias("user_id"), "item_id")
    assert (
        np.abs(folded["prediction"] - rc.predict(model, pairs)["prediction"]).mean() < 0.25
    )  # on a scale of 1 to 5


def test_someone_new_is_not_recommended_what_they_rated_unless_asked_for(model):
    mine = new_ratings(model)
    assert not set(rc.top_n(model, ratings=mine, n=80)["item_id"]) & set(mine)
    assert set(mine) < set(rc.top_n(model, ratings=mine, n=80, seen=True)["item_id"])


def test_unknown_items_of_someone_new_are_ignored(model):
    mine = new_ratings(model)
    more = {**mine, "unheard of": 5.0, model.given_.items.ids[-1]: 1.0}
    assert rc.top_n(model, ratings=more).equals(rc.top_n(model, ratings=mine))


def test_someone_new_with_no_known_item_gets_what_is_best_on_the_whole(model):
    best = rc.top_n(model, user_ids=["nobody"]).drop("user_id")
    assert rc.top_n(model, ratings={"unheard of": 5}).drop("user_id").equals(best)
    assert rc.top_n(model, ratings={}).drop("user_id").equals(best)
    folded = rc.fold_in(model, {})
    pairs = [("nobody", item) for item in folded["item_id"]]
    assert folded["prediction"].equals(rc.predict(model, pairs)["prediction"])


@pytest.mark.parametrize("value", [0.5, 6, float("nan"), "five", None, True, [5], ""])
def test_a_rating_outside_the_scale_is_refused(bias, value):
    with pytest.raises(DataError, match=r"rating of item '3' is .* scale is 1 to 5"):
        rc.top_n(bias, ratings={"3": value})


def test_an_item_rated_twice_is_refused(bias):
    with pytest.raises(DataError, match="Item '3' is rated twice"):
        rc.fold_in(bias, {"3": 4, 3: 5})


@pytest.mark.parametrize("what", ["item", "user"])
def test_similar_equals_the_cosine_by_hand(tastes, what):
    vector = tastes.vectors(what).astype(np.float64)
    vocab = tastes.given_.items if what == "item" else tastes.given_.users
    frame = rc.similar(tastes, **{f"{what}_ids": [vocab.ids[6]]}, n=39)
    cosine = vector @ vector[6] / np.linalg.norm(vector, axis=1) / np.linalg.norm(vector[6])
    assert frame.columns == [f"{what}_id", "rank", "neighbor_id", "similarity"]
    assert frame["rank"].to_list() == list(range(1, 40))
    assert vocab.ids[6] not in frame["neighbor_id"]
    np.testing.assert_allclose(
        frame["similarity"], cosine[vocab.rows(frame["neighbor_id"])], atol=1e-5
    )
    assert frame["similarity"].is_sorted(descending=True)


@pytest.mark.parametrize("what", ["item", "user"])
def test_the_most_similar_share_the_taste(tastes, what):
    ids = [f"{what[0]}{j}" for j in range(40)]
    frame = rc.similar(tastes, **{f"{what}_ids": ids}, n=15)
    number = pl.col(f"{what}_id", "neighbor_id").str.slice(1).cast(pl.Int64) % 2
    parity = frame.select(number)
    assert (parity[f"{what}_id"] == parity["neighbor_id"]).all()


def test_similar_in_blocks_is_the_same_and_keeps_the_order(tastes, monkeypatch):
    ids = ["i7", "i0", "i7"]
    whole = rc.similar(tastes, item_ids=ids, n=3)
    monkeypatch.setattr("recollect.neighbors.BLOCK_CELLS", 40)
    in_blocks = rc.similar(tastes, item_ids=ids, n=3)
    assert in_blocks["item_id"].to_list() == ["i7"] * 3 + ["i0"] * 3 + ["i7"] * 3
    np.testing.assert_allclose(
        in_blocks["similarity"], whole["similarity"], atol=1e-6
    )  # sums in another order
    assert rc.similar(tastes, item_ids=[]).schema == whole.schema


def test_similar_gives_titles_and_leaves_out_what_has_no_ratings(ratings):
    model = make("autorec", hidden=4, epochs=3).fit(ratings, run=Run(threads=1))
    frame = rc.similar(model, item_ids=ratings.items.ids[:1], n=100)
    assert len(frame) == 78  # 80 less itself and the one without ratings
    assert (frame["title"] == "Film " + frame["neighbor_id"]).all()


def test_similar_names_what_it_does_not_know_and_examples_of_what_it_does(ratings):
    model = make("autorec", hidden=4, epochs=2).fit(ratings, run=Run(threads=1))
    with pytest.raises(
        DataError, match="no rating of item 'x', '80'; it knows 79 items such as '1', '2', '3'"
    ):
        rc.similar(model, item_ids=["x", ratings.items.ids[0], ratings.items.ids[-1]])
    with pytest.raises(DataError, match=r"no rating by user '0', .* …; it knows 119 users such as"):
        rc.similar(model, user_ids=["0", *"abcdefg"])


def test_similar_refuses_what_it_cannot_mean(tastes, bias):
    with pytest.raises(SettingError, match="one of the two"):
        rc.similar(tastes)
    with pytest.raises(SettingError, match="1 or more; found 0"):
        rc.similar(tastes, item_ids=["i1"], n=0)
    with pytest.raises(SettingError, match="item_ids is a list"):
        rc.similar(tastes, item_ids="i1")
    with pytest.raises(DataError, match="no similarity"):
        rc.similar(bias, item_ids=["1"])

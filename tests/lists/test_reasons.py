"""Which ratings spoke for an item, against closed forms in NumPy and tastes that are known."""

import dataclasses

import numpy as np
import polars as pl
import pytest

import recollect as rc
from recollect.data.sparse_rows import Rows
from recollect.errors import DataError, SettingError
from recollect.lists import reasons as reasons_module
from recollect.run import Run

RUN = Run(threads=1)


@pytest.fixture(scope="module")
def likes(checkerboard):
    """Events: every user has those items of their own parity that they like."""
    return checkerboard.events(from_=4)


@pytest.fixture(scope="module")
def ease(likes):
    return rc.make("ease", reg=5.0).fit(likes)


@pytest.mark.parametrize("name", ["ease", "item_knn"])
def test_of_item_weights_they_are_the_weights(likes, name):
    model = rc.make(name, **({"reg": 5.0} if name == "ease" else {"neighbors": 10})).fit(likes)
    # Each item's scores, where one has chosen it alone.
    weight = model.fold_in(
        Rows(np.arange(41), np.arange(40, dtype=np.int32), np.ones(40, np.float32), 40)
    )
    if name == "ease":
        np.testing.assert_allclose(weight, model.net_.weight.numpy(), rtol=1e-6)
    rows = likes.by_user.take(np.array([0, 7]))
    items = np.array([[0, 5], [7, 2]])
    expected = weight[rows.column[:, None], items[rows.row]]
    np.testing.assert_allclose(model.influences(rows, items), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("pmf", {}),
        ("biased_mf", {"reg_power": 1.0}),
        ("ials", {}),
    ],
)
def test_of_factors_they_are_the_summands_of_the_ridge_regression(planted_small, name, settings):
    """f_i · (b FᵀF + (1 − b) F_uᵀF_u + λ I)⁻¹ f_j (r_j − mu − b_j), in plain NumPy."""
    ratings = planted_small.ratings
    if name == "ials":
        ratings = ratings.events(from_=ratings.mean)
    model = rc.make(name, factors=3, epochs=5, **settings).fit(ratings, run=RUN)
    rows = ratings.by_user.take(np.array([4]))
    net = model.net_
    f = net.features("item").numpy().astype(np.float64)
    offset = net.offset("item")
    b_item = np.zeros(len(f)) if offset is None else offset.numpy()
    b = model.absent_weight
    reg = float(model.reg("user", rows.counts)[0])
    rated = f[rows.column]
    equations = b * f.T @ f + (1 - b) * rated.T @ rated + reg * np.eye(f.shape[1])
    residual = rows.value - float(net.mu) - b_item[rows.column]
    items = np.array([[3, 60]])
    expected = (rated @ np.linalg.inv(equations) @ f[items[0]].T) * residual[:, None]

    influence = model.influences(rows, items)

    np.testing.assert_allclose(influence, expected, rtol=1e-4, atol=1e-6)
    less_offsets = model.fold_in(rows)[0, items[0]] - float(net.mu) - b_item[items[0]]
    np.testing.assert_allclose(influence.sum(axis=0), less_offsets, rtol=1e-3, atol=1e-4)


def test_on_another_scale_they_are_in_its_points(planted_small):
    """Ratings ten times as large have influences ten times as large."""
    ratings = planted_small.ratings
    tenfold = dataclasses.replace(
        ratings, value=ratings.value * 10, scale=tuple(10 * x for x in ratings.scale)
    )
    rows, items = ratings.by_user.take(np.array([2])), np.array([[1, 2]])
    large = dataclasses.replace(rows, value=rows.value * 10)
    for settings in ({"name": "pmf", "factors": 3, "epochs": 5}, {"name": "bias"}):
        model = rc.make(**settings).fit(ratings, run=RUN)
        other = rc.make(**settings).fit(tenfold, run=RUN)
        np.testing.assert_allclose(
            other.influences(large, items), 10 * model.influences(rows, items), rtol=1e-3, atol=1e-4
        )


def test_only_some_cells_are_tried(planted_small):
    model = rc.make("bias").fit(planted_small.ratings)
    rows = planted_small.ratings.by_user.take(np.array([2, 3]))
    items = np.array([[1, 2], [4, 5]])
    only = np.arange(rows.n_cells) % 3 == 1
    some = model.influences(rows, items, only=only)
    np.testing.assert_array_equal(some[only], model.influences(rows, items)[only])
    assert np.isnan(some[~only]).all()


def test_a_row_is_folded_in_in_blocks(planted_small, monkeypatch):
    model = rc.make("bias").fit(planted_small.ratings)
    rows = planted_small.ratings.by_user.take(np.array([2, 3]))
    items = np.array([[1, 2], [4, 5]])
    at_once = model.influences(rows, items)
    monkeypatch.setattr("recollect.influences.BLOCK_CELLS", 3 * rows.n_columns)
    np.testing.assert_array_equal(model.influences(rows, items), at_once)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("ease", {"reg": 5.0}),
        ("item_knn", {"neighbors": 10}),
        ("ials", {"factors": 3, "epochs": 10}),
        ("deeprec", {"loss": "multinomial", "hidden": (8,), "epochs": 20}),
    ],
)
def test_items_of_the_same_taste_speak_for_an_item(likes, name, settings):
    model = rc.make(name, **settings).fit(likes, run=RUN)
    mine = ["i0", "i4", "i8", "i3"]
    even = [f"i{j}" for j in range(0, 40, 2)]
    lists = rc.top_n(model, events=mine, n=3, items=even)
    reasons = rc.explain_list(model, lists, events=mine, n=4)
    names = ["user_id", "item_id", "reason", "because_id", "count", "influence"]
    assert reasons.columns == names
    assert set(reasons["item_id"]) == set(lists["item_id"])
    strongest = reasons.filter(reason=1)["because_id"]
    assert "i3" not in strongest
    for _, part in reasons.group_by("item_id"):
        assert part["reason"].to_list() == list(range(1, len(part) + 1))
        assert part["influence"].is_sorted(descending=True)


def test_an_item_of_the_other_taste_is_no_reason(ease):
    mine = ["i0", "i4", "i3"]
    lists = rc.top_n(ease, events=mine, n=5).filter(
        pl.col("item_id").str.slice(1).cast(pl.Int64) % 2 == 0
    )
    assert len(lists)
    assert "i3" not in rc.explain_list(ease, lists, events=mine)["because_id"]


def test_an_item_is_no_reason_for_itself(ease):
    lists = rc.top_n(ease, user_ids=["u0"], n=40, seen=True)
    reasons = rc.explain_list(ease, lists, n=50)
    assert len(reasons)
    assert (reasons["item_id"] != reasons["because_id"]).all()


def test_newer_ratings_of_a_known_user_speak_with_the_earlier_ones(ease):
    lists = rc.top_n(ease, user_ids=["u1"], events=["i1"], seen=True, n=3)
    reasons = rc.explain_list(ease, lists, events=["i1"], n=50)
    assert "i1" in reasons["because_id"]
    assert len(reasons) > 10


@pytest.mark.filterwarnings("ignore::recollect.RecollectWarning")
def test_nothing_speaks_for_a_list_of_someone_unknown(ease):
    lists = rc.top_n(ease, user_ids=["nobody"], n=2)
    reasons = rc.explain_list(ease, lists)
    assert reasons.is_empty()
    known = rc.explain_list(ease, rc.top_n(ease, user_ids=["u0", "nobody"], n=2))
    assert known["user_id"].unique().to_list() == ["u0"]
    assert reasons.schema == known.schema


def test_titles_of_reasons_are_shown(likes):
    table = {f"i{j}": f"Film {j}" for j in range(40)}
    model = rc.make("ease", reg=5.0).fit(rc.with_items(likes, table))
    reasons = rc.explain_list(model, rc.top_n(model, user_ids=["u0"], n=1))
    assert reasons["because_title"].to_list() == [
        f"Film {item_id[1:]}" for item_id in reasons["because_id"]
    ]


@pytest.mark.parametrize("with_times", [True, False])
def test_of_many_ratings_the_latest_or_highest_are_tried_and_a_warning_says_so(
    planted_small, monkeypatch, with_times
):
    monkeypatch.setattr(reasons_module, "MOST", 3)
    ratings = dataclasses.replace(planted_small.ratings, time=None)
    mine = ratings.user == 5
    order = ratings.value
    if with_times:
        time = np.random.default_rng(0).permutation(len(ratings)).astype(np.int64)
        ratings = dataclasses.replace(ratings, time=time)
        order = time
    expected = ratings.item[mine][np.argsort(-order[mine], kind="stable")[:3]]
    model = rc.make("bias").fit(ratings)
    lists = rc.top_n(model, user_ids=ratings.users.at([5]), n=1)
    word = "latest" if with_times else "highest"
    with pytest.warns(rc.RecollectWarning, match=f"1 users have more than 3 .* 3 {word} of each"):
        reasons = rc.explain_list(model, lists, n=50)
    assert set(reasons["because_id"]) <= set(ratings.items.at(expected))


@pytest.mark.parametrize(
    ("lists", "more", "error", "message"),
    [
        (["i0"], {}, SettingError, "lists is a list; pass the frame that top_n returns"),
        (pl.DataFrame({"user_id": ["u0"]}), {}, DataError, "no column item_id, it has user_id"),
        (
            pl.DataFrame({"user_id": ["u0"], "item_id": ["x"]}),
            {},
            DataError,
            "no rating of item 'x'",
        ),
        (
            pl.DataFrame({"user_id": ["u0", "u1"], "item_id": ["i0", "i0"]}),
            {"events": ["i1"]},
            SettingError,
            "of one user, and the lists of 2",
        ),
        (pl.DataFrame({"user_id": ["u0"], "item_id": ["i0"]}), {"n": 0}, SettingError, "n is how"),
    ],
)
def test_what_cannot_be_explained_says_why(ease, lists, more, error, message):
    with pytest.raises(error, match=message):
        rc.explain_list(ease, lists, **more)


def test_an_empty_list_has_no_reasons(ease):
    assert rc.explain_list(ease, rc.top_n(ease, user_ids=[])).is_empty()


def test_rows_are_not_changed(ease, likes):
    rows = likes.by_user.take(np.array([0]))
    before = Rows(rows.start, rows.column.copy(), rows.value.copy(), rows.n_columns)
    ease.influences(rows, np.array([[1]]))
    np.testing.assert_array_equal(rows.column, before.column)
    np.testing.assert_array_equal(rows.value, before.value)

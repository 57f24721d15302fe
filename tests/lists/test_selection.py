"""Lists with limits, diversity and fresh items, against what can be worked out by hand."""

import dataclasses

import numpy as np
import polars as pl
import pytest
import torch

import recollect as rc
from recollect.data.ratings import Ratings
from recollect.data.vocab import Vocab
from recollect.errors import DataError, SettingError
from recollect.lists import selection as selection_module
from recollect.lists.fields import ItemFields
from recollect.lists.fresh import fresh_items
from recollect.lists.selection import Selection
from recollect.lists.similarity import ByFields, item_similarity, unit_vectors
from recollect.lists.wishes import Wishes
from recollect.models.bias import Offsets

# Short lists are warned of; the tests that are about it say so.
pytestmark = pytest.mark.filterwarnings("ignore::recollect.RecollectWarning")

N_ITEMS = 12


@pytest.fixture(scope="module")
def ratings() -> Ratings:
    """Twelve items of three artists, in fours; user "u" has rated none that counts."""
    user = np.repeat([0, 1], [1, N_ITEMS]).astype(np.int32)
    item = np.concatenate([[0], np.arange(N_ITEMS)]).astype(np.int32)
    table = pl.DataFrame(
        {
            "item_id": [f"i{j}" for j in range(N_ITEMS)],
            "artist": [None if j == 11 else f"artist {j // 4}" for j in range(N_ITEMS)],
            "genres": [["even" if j % 2 == 0 else "odd", "all"] for j in range(N_ITEMS)],
        }
    )
    return Ratings(
        user,
        item,
        np.full(len(user), 3, np.float32),
        Vocab(["u", "v"]),
        Vocab(table["item_id"]),
        scale=(1.0, 5.0),
        catalogue=table,
    )


@pytest.fixture(scope="module")
def model(ratings):
    """Item j's score is lower by j / 10 for every user; items 2 and 3 have the same."""
    found = rc.make("bias")
    found.given_ = ratings
    found.net_ = Offsets(2, N_ITEMS)
    score = 4 - np.arange(N_ITEMS) / 10
    score[3] = score[2]
    found.net_.b_item.copy_(torch.as_tensor(score))
    return found


def listed(model, **wishes) -> list[int]:
    """The items of user u's list, seen or not."""
    frame = rc.top_n(model, user_ids=["u"], seen=True, rank_by="rating", **wishes)
    return [int(item_id[1:]) for item_id in frame["item_id"]]


def test_without_a_wish_ties_go_by_item_row(model):
    assert listed(model, n=5) == [0, 1, 2, 3, 4]


def test_at_most_so_many_of_a_value(model):
    assert listed(model, n=5, at_most={"artist": 1}) == [0, 4, 8, 11]
    assert listed(model, n=6, at_most={"artist": 2}) == [0, 1, 4, 5, 8, 9]


def test_each_of_several_values_counts(model):
    assert listed(model, n=9, at_most={"genres": 3}) == [0, 1, 2]  # "all" is full


def test_several_limits_hold_at_once_and_a_refused_item_counts_for_none(model):
    """Item 1 has artist 0 full; it must not use up "odd"."""
    one_genre = dataclasses.replace(
        model.given_,
        catalogue=model.given_.catalogue.with_columns(
            genre=pl.col("genres").list.first(), genres=None
        ),
        checked=True,
    )
    other = rc.make("bias")
    other.given_, other.net_ = one_genre, model.net_
    assert listed(other, n=9, at_most={"genre": 1, "artist": 1}) == [0, 5]


def test_a_list_is_short_where_at_most_leaves_no_more_and_a_warning_says_so(model):
    with pytest.warns(rc.RecollectWarning, match="fewer than 5 items.*at_most allows no more"):
        assert len(listed(model, n=5, at_most={"artist": 1})) == 4


def mmr(score, cosine, n: int, diversity: float) -> list[int]:
    """Maximal marginal relevance, as Carbonell and Goldstein write it, over all items."""
    relevance = (score - score.min()) / (score.max() - score.min())
    chosen: list[int] = []
    for _ in range(n):
        gains = []
        for j in range(len(score)):
            near = max((cosine[j, k] for k in chosen), default=0.0)
            gains.append((1 - diversity) * relevance[j] - diversity * near)
        order = sorted(range(len(score)), key=lambda j: (-gains[j], -score[j], j))
        chosen.append(next(j for j in order if j not in chosen))
    return chosen


@pytest.fixture(scope="module")
def factors(planted_small):
    return rc.make("pmf", factors=4, reg_user=1.0, reg_item=1.0, epochs=8).fit(
        planted_small.ratings
    )


@pytest.mark.parametrize("diversity", [0.1, 0.5, 0.9])
def test_diversity_is_maximal_marginal_relevance(factors, diversity):
    given = factors.given_
    unit = unit_vectors(factors, "item").astype(np.float64)
    how = {"diversity": diversity, "seen": True, "rank_by": "rating"}
    frame = rc.top_n(factors, user_ids=given.users.ids[:5], n=8, **how)
    scores = factors.scores(np.arange(5), given)
    for user, (_, part) in enumerate(frame.group_by("user_id", maintain_order=True)):
        rows = given.items.rows(part["item_id"]).tolist()
        assert rows == mmr(scores[user].astype(np.float64), unit @ unit.T, 8, diversity)


def test_diversity_of_none_is_the_list_as_it_was_to_the_bit(factors):
    ids = factors.given_.users.ids
    plain = rc.top_n(factors, user_ids=ids, n=10)
    assert rc.top_n(factors, user_ids=ids, n=10, diversity=0.0, fresh=0.0).equals(plain)
    hardly = rc.top_n(factors, user_ids=ids, n=10, diversity=1e-12)
    assert hardly.equals(plain)  # the longer way, with a weight too small to matter


def test_the_more_diversity_the_less_alike_are_the_items(factors):
    unit = unit_vectors(factors, "item")
    ids = factors.given_.users.ids

    def alike(diversity: float) -> float:
        frame = rc.top_n(factors, user_ids=ids, n=10, diversity=diversity)
        means = []
        for _, part in frame.group_by("user_id"):
            of_list = unit[factors.given_.items.rows(part["item_id"])]
            means.append(float((of_list @ of_list.T).mean()))
        return float(np.mean(means))

    assert alike(0.0) > alike(0.3) > alike(0.7)


def test_where_a_model_has_no_vectors_items_are_similar_by_their_fields(model):
    similarity = item_similarity(model, ItemFields(model.given_))
    assert isinstance(similarity, ByFields)
    cosine = similarity.of(0, np.arange(N_ITEMS))
    # Three values each: artist, parity, "all"; the last item has no artist, and "odd".
    np.testing.assert_allclose(cosine[[0, 1, 2, 4, 5]], [1, 2 / 3, 1, 2 / 3, 1 / 3])
    np.testing.assert_allclose(cosine[11], 1 / np.sqrt(6))
    assert listed(model, n=3, diversity=0.9) == [0, 5, 1]


def test_without_vectors_and_fields_there_is_no_diversity():
    bias = rc.make("bias").fit(rc.from_tuples([("u", "a", 5), ("v", "b", 3)], scale=(1, 5)))
    with pytest.raises(SettingError, match="a Bias has no vectors and its items no fields"):
        rc.top_n(bias, user_ids=["u"], diversity=0.5)


def test_a_small_pool_grows_until_the_list_is_full(model, monkeypatch):
    monkeypatch.setattr(selection_module, "POOL", 2)
    selection = Selection(model, Wishes(n=1, at_most={"artist": 1}))
    selection.n = 4  # the pool of two would give one artist
    scores = np.tile(model.net_.b_item.float().numpy(), (2, 1))
    assert selection.ranked(scores).tolist() == [[0, 4, 8, 11]] * 2


@pytest.fixture(scope="module")
def dated(model):
    """The later an item, the later its first event; the last two came together."""
    time = np.concatenate([[5_000], np.arange(N_ITEMS)]) * 86_400
    time[-2] = time[-1]
    found = rc.make("bias")
    found.given_ = dataclasses.replace(model.given_, time=time.astype(np.int64), checked=True)
    found.net_ = model.net_
    return found


def test_with_times_the_newest_tenth_is_fresh_and_who_came_with_it(dated):
    """A tenth of twelve items is one, and another came at the same time."""
    assert np.flatnonzero(fresh_items(dated)).tolist() == [10, 11]


def test_without_times_items_with_fewer_than_ten_events_are_fresh():
    pairs = [(f"u{u}", f"i{i}", 3) for i, n in enumerate((9, 10, 30)) for u in range(n)]
    bias = rc.make("bias").fit(rc.from_tuples(pairs, scale=(1, 5)))
    assert fresh_items(bias).tolist() == [True, False, False]


def test_a_share_of_the_list_is_fresh_and_spread_over_it(dated):
    assert listed(dated, n=4, fresh=0.5) == [0, 10, 1, 11]
    assert listed(dated, n=5, fresh=0.2) == [0, 1, 2, 3, 10]
    assert listed(dated, n=5, fresh=0.21) == [0, 1, 10, 2, 11]  # a fifth would be too little
    assert listed(dated, n=2, fresh=1.0) == [10, 11]


def test_fresh_items_that_lead_anyway_count(dated):
    assert listed(dated, n=2, fresh=0.5, where="item_id:i11 seen") == [11]
    assert listed(dated, n=3, fresh=1 / 3, items=["i10", "i2", "i3", "i4"]) == [2, 3, 10]


def test_too_few_fresh_candidates_are_warned_of(dated):
    with pytest.warns(rc.RecollectWarning, match="1 lists have fewer fresh items than .* 0.8"):
        assert listed(dated, n=5, fresh=0.8) == [0, 10, 11, 1, 2]


def test_all_wishes_hold_together(dated):
    items = listed(dated, n=4, fresh=0.5, at_most={"artist": 1}, diversity=0.2, where="genre:all")
    assert sum(item in (10, 11) for item in items) == 2
    assert len({item // 4 for item in items if item != 11}) == 3


def test_where_no_item_or_every_item_is_fresh_a_share_says_nothing(model):
    with pytest.raises(DataError, match="12 of 12 items are fresh, those with fewer than 10"):
        listed(model, n=3, fresh=0.5)


def test_excluded_ids_are_never_listed_and_unknown_ones_are_warned_of(model, tmp_path):
    assert listed(model, n=3, exclude=["i0", "i2"]) == [1, 3, 4]
    path = tmp_path / "no.csv"
    path.write_text("item_id\ni0\ni1\n")
    assert listed(model, n=2, exclude=path) == [2, 3]
    with pytest.warns(rc.RecollectWarning, match="1 of 2 excluded items have no ratings.*'x'"):
        assert listed(model, n=1, exclude=["i0", "x"]) == [1]
    with pytest.raises(DataError, match="items leaves 1, exclude leaves 11, and all together none"):
        listed(model, items=["i0"], exclude=["i0"])


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"diversity": 1.0}, "diversity is 1"),
        ({"diversity": -0.1}, "diversity is a share"),
        ({"fresh": float("nan")}, "fresh is a share"),
        ({"fresh": 1.5}, "fresh is a share"),
        ({"at_most": {"artist": 0}}, "at_most of 'artist'"),
        ({"at_most": {"atrist": 1}}, "Did you mean 'artist'"),
        ({"exclude": "i0"}, r"write \['i0'\]"),
    ],
)
def test_an_impossible_wish_is_refused(model, wish, message):
    with pytest.raises(SettingError, match=message):
        listed(model, **wish)


def test_everyones_lists_on_disk_are_those_of_top_n(dated, tmp_path):
    wishes = {"where": "genre:even", "at_most": {"artist": 1}, "diversity": 0.3, "fresh": 0.3}
    rc.top_n_to_parquet(dated, tmp_path / "all.parquet", n=3, **wishes)
    whole = rc.top_n(dated, user_ids=dated.given_.users.ids, n=3, **wishes)
    assert pl.read_parquet(tmp_path / "all.parquet").equals(whole)
    assert len(whole) > 1


def test_wishes_are_for_someone_unknown_and_someone_new_as_well(dated):
    for who in ({"user_ids": ["nobody"]}, {"ratings": {"i0": 5}}):
        frame = rc.top_n(dated, n=3, at_most={"artist": 1}, fresh=0.3, **who)
        assert len(frame) == 3
        assert frame["artist"].n_unique() == 3
        assert set(frame["item_id"]) & {"i10", "i11"}

"""playlist: its members against plain NumPy, hide-and-seek, and planted lists of known score."""

import numpy as np
import polars as pl
import pytest
import torch
from scipy.sparse import csr_array

import recollect as rc
from recollect.data.playlists import as_events
from recollect.data.sparse_rows import Rows
from recollect.errors import RecollectWarning, SettingError
from recollect.models.playlist import blending, training
from recollect.models.playlist.columns import columns_of
from recollect.models.playlist.corruption import seen_cells
from recollect.models.playlist.neighbors import Neighbors
from recollect.models.playlist.training import sampled_columns

VARIANTS = [
    {"tied": True, "loss": "logistic"},
    {"sampled": 5, "reg": 0.01},
]


SMALL = {"hidden": 24, "epochs": 15, "learning_rate": 0.01, "batch_size": 40}


def little(n=200, seed=0):
    """Lists of two moods: songs 0 to 39 or 40 to 79, each with its tags and words of titles."""
    random = np.random.default_rng(seed)
    mood = np.arange(n) % 2
    facts = pl.DataFrame(
        {
            "kind": ["songs"] * 80,
            "own_id": [str(k) for k in range(80)],
            "artists": [[f"a{k // 4}"] for k in range(80)],
        }
    )
    lists = pl.DataFrame(
        {
            "id": [str(k) for k in range(n)],
            "title": [("rainy evening", "summer party")[m] for m in mood],
            "songs": [[str(s) for s in random.choice(40, 8, replace=False) + 40 * m] for m in mood],
            "tags": [[f"{'ws'[m]}{t}" for t in random.choice(6, 2, replace=False)] for m in mood],
        }
    )
    return as_events(lists, facts, name="moods")


@pytest.fixture(scope="module")
def moods():
    return little()


@pytest.fixture(scope="module")
def fitted(moods):
    return rc.make("playlist", **SMALL).fit(moods)


def columns(events, **changes):
    settings = {"fields": None, "targets": None, "min_events": 1, "most": 10_000, **changes}
    return columns_of(events, **settings)


def dense(rows):
    table = np.zeros((len(rows), rows.n_columns))
    table[rows.row, rows.column] = rows.value
    return table


def test_a_list_has_the_features_of_its_items_with_the_logarithm_of_their_count(moods):
    own = columns(moods)
    expanded = own.expand(moods.by_user.take(np.array([0]))).toarray()[0]
    songs = moods.kinds.own_ids.gather(moods.item[moods.user == 0]).to_list()
    songs = [int(song) for song in songs if song.isdecimal()]
    artists = np.bincount(np.array(songs) // 4)
    expected = sorted(np.log2(1 + artists[artists > 0]))
    found = sorted(expanded[own.n_items :][expanded[own.n_items :] > 0])
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_each_kind_of_a_list_enters_with_length_1(moods):
    own = columns(moods)
    rows = own.network_rows(own.expand(moods.by_user))
    table = dense(rows)
    for kind in np.unique(own.kind):
        length = np.linalg.norm(table[:, own.kind[own.inputs] == kind], axis=1)
        np.testing.assert_allclose(length, 1, rtol=1e-5)


def test_rare_columns_neither_enter_nor_leave_the_network(moods):
    own = columns(moods, min_events=15, most=20)
    songs = own.targets.index(moods.kinds.number("songs"))
    count = moods.count("item")
    assert len(own.outputs[songs]) == 20
    assert count[own.outputs[songs]].min() >= 15
    others = np.setdiff1d(np.flatnonzero(moods.kinds.mask("songs")), own.outputs[songs])
    assert count[own.outputs[songs]].min() >= count[others].max()
    assert not np.isin(others, own.inputs).any()


def test_scores_of_near_lists_are_those_of_plain_numpy(moods):
    own = columns(moods)
    expanded = own.expand(moods.by_user)
    x = expanded.toarray().astype(float)
    n = (x > 0).sum(axis=0)
    idf = np.where(n <= 150, np.log1p(len(x) / np.maximum(n, 1)), 0)
    vectors = x * np.sqrt(idf)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    sim = vectors[:5] @ vectors.T
    expected = np.zeros((5, own.n_items))
    for row in range(5):
        for other in np.argsort(-sim[row], kind="stable")[:7]:
            expected[row] += sim[row, other] ** 2.5 * (x[other, : own.n_items] > 0)
    neighbors = Neighbors.of(expanded, own.n_items, most=150)
    found = neighbors.by_lists(expanded[:5], k=7, power=2.5).toarray()
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_scores_of_items_are_sums_over_pairs_of_items(moods):
    own = columns(moods)
    expanded = own.expand(moods.by_user)
    x = (expanded.toarray()[:, : own.n_items] > 0).astype(float)
    n = x.sum(axis=0)
    length = x.sum(axis=1)
    pairs = (x / np.sqrt(length)[:, None]).T @ x
    pairs /= (n + 3)[:, None] ** 0.55 * (n + 3)[None, :] ** 0.45
    expected = x[:5] @ pairs
    neighbors = Neighbors.of(expanded, own.n_items, most=1000)
    found = neighbors.by_items(expanded[:5], k=1000, shrinkage=3, asymmetry=0.45).toarray()
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_of_every_list_at_least_one_kind_is_not_hidden_and_the_shares_are_as_stated():
    random = np.random.default_rng(0)
    kind = np.arange(30) % 3
    rows, _ = Rows.group(
        np.repeat(np.arange(4000), 30), np.tile(np.arange(30), 4000), n_rows=4000, n_columns=30
    )
    seen = seen_cells(rows, kind, hide=0.4, drop=0.0, whole=None, random=random)
    table = seen.reshape(4000, 30)
    by_kind = np.stack([table[:, kind == k].any(axis=1) for k in range(3)], axis=1)
    assert by_kind.any(axis=1).all()
    # A kind is hidden with 0.4, but for the one in three times when all three would be.
    np.testing.assert_allclose(1 - by_kind.mean(axis=0), 0.4 - 0.4**3 / 3, atol=0.03)
    dropped = seen_cells(rows, kind, hide=0.0, drop=0.25, whole=1, random=random)
    shares = dropped.reshape(4000, 30).mean(axis=0)
    np.testing.assert_allclose(shares[kind == 1], 1)
    np.testing.assert_allclose(shares[kind != 1], 0.75, atol=0.03)


def test_sums_over_sampled_columns_have_the_expectation_of_all():
    random = np.random.default_rng(0)
    numbers = random.random(50)
    event = np.array([3, 3, 17])
    sums = []
    for _ in range(3000):
        chosen, factor = sampled_columns(event, 50, 8, random)
        assert {3, 17} <= set(chosen)
        assert len(chosen) == 10
        sums.append((numbers[chosen] * factor).sum())
    # The mean of 3000 has a standard deviation of about 0.07.
    assert np.mean(sums) == pytest.approx(numbers.sum(), abs=0.3)
    chosen, factor = sampled_columns(event, 50, 48, random)
    assert chosen.tolist() == list(range(50))
    assert (factor == 1).all()


@pytest.mark.parametrize("loss", ["multinomial", "logistic"])
def test_the_loss_is_that_of_plain_numpy_kind_by_kind(moods, loss):
    model = rc.make(
        "playlist",
        hidden=5,
        loss=loss,
        hide=0.0,
        input_dropout=0.0,
        dropout=0.0,
        kind_weights=["tags=0.3"],
    )
    model.given_ = moods
    torch.manual_seed(0)
    net = model.build(moods.n_users, moods.n_items)
    own = model._columns_of(moods)
    seeker = training.Seeker(own, moods.kinds, model, (1.0, 0.3))
    rows = moods.by_user.take(np.arange(6))
    total, n = seeker.loss(net, training.Block.of(rows))
    scores = training.logits(net, own, rows).astype(float)
    x = dense(rows)
    expected, first = 0.0, 0
    for items, weight in zip(own.outputs, (1.0, 0.3), strict=True):
        z = scores[:, first : first + len(items)]
        good = x[:, items] > 0
        first += len(items)
        if loss == "multinomial":
            log = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
            expected -= weight * log[good].sum()
        else:
            p = 1 / (1 + np.exp(-z))
            expected -= weight * (np.log(p[good]).sum() + 0.5 * np.log(1 - p[~good]).sum())
    assert float(total.detach()) == pytest.approx(expected, rel=1e-4)
    assert n == sum(int((x[:, items] > 0).sum()) for items in own.outputs)


def test_the_chosen_weights_are_the_best_of_the_grid_for_many_lists():
    random = np.random.default_rng(0)
    good = random.random((400, 30)) < 0.2
    signal = good + random.normal(0, 0.6, good.shape)
    noise = random.normal(0, 1, good.shape)
    scores = np.stack([noise, signal, noise[:, ::-1]], axis=2).astype(np.float32)
    figures = blending.figures_of_weights(scores, good, good.sum(axis=1).clip(1), n=10)
    weight = blending.best_weight(figures, np.ones(400, bool), 3)
    assert weight[1] >= 0.8
    # With no list of its own, a situation has the weights of all.
    np.testing.assert_array_equal(blending.best_weight(figures, np.zeros(400, bool), 3), weight)


def test_scores_are_divided_by_the_largest_of_what_a_list_lacks_kind_by_kind():
    kind = np.array([0, 0, 0, 1, 1])
    table = np.array([[8.0, 4, 2, 5, 1], [0, 0, 3, 6, 0]], np.float32)
    seen, _ = Rows.group(np.array([0, 1, 1]), np.array([0, 3, 4]), n_rows=2, n_columns=5)
    expected = np.array([[2, 1, 0.5, 1, 0.2], [0, 0, 1, 1, 0]])
    found = blending.scaled_sparse(csr_array(table), seen, kind).toarray()
    np.testing.assert_allclose(found, expected)
    for number in range(2):
        items = np.flatnonzero(kind == number)
        own = blending.scaled(table[:, items], training.columns_among(seen, items))
        np.testing.assert_allclose(own, expected[:, items])


def test_a_score_is_the_weighted_sum_of_the_members(fitted, moods):
    rows = moods.by_user.take(np.array([4])).only_columns(~moods.kinds.mask("tags"))
    members = fitted._members.get(fitted._all_members)
    of_network, (by_lists, by_items) = members.scaled(rows)
    own = members.columns
    situation = int(blending.situation_of(rows, moods.kinds.of_item)[0])
    expected = 1e-6 * moods.count("item") / moods.n_users
    for number, kind in enumerate(own.targets):
        items = np.flatnonzero(moods.kinds.of_item == kind)
        weight = fitted.net_.weight[situation, number].numpy()
        network = np.zeros(moods.n_items)
        network[own.outputs[number]] = of_network[number][0]
        tables = np.stack([network, by_lists.toarray()[0], by_items.toarray()[0]])
        expected[items] += (weight @ tables)[items]
    np.testing.assert_allclose(fitted.fold_in(rows)[0], expected, rtol=1e-5, atol=1e-9)


def test_every_situation_is_the_set_of_kinds_of_a_list():
    rows, _ = Rows.group(np.array([0, 1, 1, 3]), np.array([0, 0, 2, 1]), n_rows=4, n_columns=3)
    assert blending.situation_of(rows, np.array([0, 1, 2])).tolist() == [1, 5, 0, 2]


@pytest.mark.parametrize(
    "known", [{"songs": [1, 2]}, {"tags": ["w1"]}, {"title": "rainy"}, {"title": "evenings"}]
)
def test_songs_tags_or_a_title_alone_find_songs_and_tags_of_the_mood(fitted, known):
    """Of a title whose words are new, the pieces tell."""
    lists = rc.top_n(fitted, events=known, kinds=["songs", "tags"], n=4)
    songs = lists.filter(lists["kind"] == "songs")["own_id"]
    tags = lists.filter(lists["kind"] == "tags")["own_id"]
    assert len(songs) == len(tags) == 4
    assert all(int(song) < 40 for song in songs)
    assert all(tag.startswith("w") for tag in tags)
    assert not set(map(str, known.get("songs", []))) & set(songs)


def test_words_of_titles_are_never_ranked_before_items(fitted, moods):
    scores = fitted.fold_in(moods.by_user.take(np.arange(9)))
    words = moods.kinds.mask("words")
    assert scores[:, words].max() < 1e-5


def test_a_saved_model_answers_the_same(fitted, moods, tmp_path):
    rows = moods.by_user.take(np.arange(5))
    rc.save(fitted, tmp_path / "run")
    np.testing.assert_allclose(rc.load_model(tmp_path / "run").fold_in(rows), fitted.fold_in(rows))


def test_unknown_songs_are_counted_and_an_unknown_kind_is_refused(fitted):
    with pytest.warns(RecollectWarning, match="1 of 2 chosen items are unknown"):
        rc.top_n(fitted, events={"songs": [1, 999]}, n=3)
    with pytest.raises(SettingError, match="kind of items 'song'"):
        rc.top_n(fitted, events={"song": [1]}, n=3)
    with pytest.raises(SettingError, match="kind of items 'films'"):
        rc.top_n(fitted, events={"songs": [1]}, kinds=["films"])


@pytest.mark.parametrize(
    ("weights", "message"), [(["tags"], "write a kind and a number"), (["films=2"], "'films'")]
)
def test_weights_of_kinds_are_checked(moods, weights, message):
    with pytest.raises(SettingError, match=message):
        rc.make("playlist", kind_weights=weights, **SMALL).fit(moods)

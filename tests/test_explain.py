"""Looking inside models of texts: filters set by hand, phrases left out by hand, planted texts."""

import numpy as np
import polars as pl
import pytest
import torch

import recollect as rc
from recollect import explain
from recollect.data.sources.planted import planted, planted_texts
from recollect.errors import DataError, NotFittedError, SettingError
from recollect.families.text_model import TextModel
from recollect.report import phrases as pictures

SMALL = {
    "factors": 3,
    "epochs": 2,
    "reg_user": 0.3,
    "reg_item": 3.0,
    "offsets": True,
    "clip": False,
}
CONVMF = {
    "embedding": 4,
    "filters": 3,
    "hidden": 6,
    "windows": (1, 2),
    "dropout": 0.0,
    "learning_rate": 0.01,
}
TEXT_MODELS = [name for name in rc.model_names() if issubclass(rc.find(name), TextModel)]
TEXTS = {
    "w": "red fox runs",
    "x": "far off a red fox sleeps red fox",
    "y": "blue fox runs",
    "z": "moon",
}


def fitted(name, ratings, **more):
    return rc.make(name, **{**SMALL, **(CONVMF if name == "convmf" else {}), **more}).fit(ratings)


@pytest.fixture(scope="module")
def told():
    """80 users, 60 items with texts of 30 words that tell what they are like; item 7 has none."""
    made = planted(80, 60, 2400, rank=2, noise=0.2, seed=1, popularity=0.6, activity=0.4)
    texts = planted_texts(made.truth, made.ratings.items)
    del texts["7"]
    return rc.with_texts(made.ratings, texts)


@pytest.fixture(scope="module")
def models(told):
    return {name: fitted(name, told) for name in TEXT_MODELS}


@pytest.fixture(scope="module")
def by_hand():
    """A ConvMF of two filters over one word, 0 and 1, and two over two, 2 and 3.

    Filter 2 answers to a first word red (1), blue (½) or moon (¼), to a second word fox (1), and has a bias of −½; filter 3 to a
    first word fox (1) or moon (¼); filters 0 and 1 to nothing.
    """
    rated = [
        (user, item, 1 + n % 5)
        for n, (user, item) in enumerate((user, item) for user in "abc" for item in TEXTS)
    ]
    ratings = rc.with_texts(
        rc.from_tuples(rated, scale=(1, 5)), TEXTS, tokenizer=rc.Tokenizer(stop_words=None, most=1.0)
    )
    model = fitted("convmf", ratings, embedding=2, filters=2)
    net, place = model.net_.text, {word: n for n, word in enumerate(ratings.text.words.ids)}
    with torch.no_grad():
        for part in (net.words, net.filters, net.bias):
            part.zero_()
        for word, vector in (
            ("red", (1, 0)),
            ("blue", (0.5, 0)),
            ("fox", (0, 1)),
            ("moon", (0.25, 0.25)),
        ):
            net.words[place[word]] = torch.tensor(vector)
        net.filters[2, 0] = net.filters[4, 1] = net.filters[3, 1] = (
            1  # rows: filter 0, 1; first words of 2, 3; second words
        )
        net.bias[1, 0] = -0.5
    return model


# --- filters --------------------------------------------------------------------------------------------------------------


def test_the_phrases_of_a_filter_are_those_that_its_weights_ask_for(by_hand):
    """Red fox: 1 + 1 − ½, in two documents, in one of them twice; blue fox: ½ + 1 − ½. Nothing else is above 0."""
    assert explain.filters(by_hand, only=[2]).rows() == [
        (2, 2, 1, "red fox", 1.5, 2, "w"),
        (2, 2, 2, "blue fox", 1.0, 1, "y"),
    ]


def test_a_document_shorter_than_the_window_is_a_phrase_by_itself(by_hand):
    """Equal answers go by the alphabet."""
    found = explain.filters(by_hand, only=[3])
    assert found.select("phrase", "answer", "documents").rows() == [
        ("fox runs", 1, 2),
        ("fox sleeps", 1, 1),
        ("moon", 0.25, 1),
    ]


def test_without_numbers_the_filters_that_answer_most_come_first(by_hand):
    found = explain.filters(by_hand, n=2, phrases=1)
    assert found.select("filter", "phrase").rows() == [(2, "red fox"), (3, "fox runs")]


def test_a_filter_without_an_answer_has_no_phrases(by_hand):
    assert explain.filters(by_hand, only=[0, 1]).is_empty()


@pytest.mark.parametrize("name", ["convmf"])
def test_the_largest_answer_is_the_one_that_the_network_gives(models, name):
    model = models[name]
    with torch.no_grad():
        largest = model.net_.text.features(model.given_.text).flatten(1).amax(dim=0).numpy()
    found = explain.filters(model, only=range(6), phrases=1)
    np.testing.assert_allclose(found["answer"], largest[found["filter"]], rtol=1e-4)
    assert explain.filters(model, n=1)["filter"][0] == largest.argmax()


def test_texts_read_in_parts_have_the_same_phrases(models, monkeypatch):
    whole = explain.filters(models["convmf"], n=6, phrases=8)
    monkeypatch.setattr(explain, "WORDS_AT_ONCE", 70)
    assert explain.filters(models["convmf"], n=6, phrases=8).equals(whole)
    assert whole["documents"].max() > 1


def test_padding_is_no_phrase(told):
    """Unmasked, padding has a vector, to which filters answer; here to nothing else."""
    model = fitted("convmf", told, mask=False, epochs=1)
    with torch.no_grad():
        (
            model.net_.text.words[:-1],
            model.net_.text.words[-1],
            model.net_.text.filters[:],
            model.net_.text.bias[:],
        ) = 0, 1, 1, 0
    assert explain.filters(model, n=6).is_empty()


# --- phrases ----------------------------------------------------------------------------------------------------------------


def test_the_filters_that_answer_most_to_a_phrase(by_hand):
    found = explain.answers(by_hand, "Red fox runs", n=2)
    assert found.rows() == [(2, 2, "red fox runs", 1.5), (3, 2, "red fox runs", 1.0)]
    assert explain.answers(by_hand, "red fox", only=[3])["answer"].to_list() == [0]


def test_a_word_is_exchanged_and_the_answer_changes(by_hand):
    found = explain.exchanged(by_hand, "red fox", "red", ["blue", "moon", "a"])
    assert found.rows() == [
        (2, "red", "red fox", 1.5, 0),
        (2, "blue", "blue fox", 1, -0.5),
        (2, "moon", "moon fox", 0.75, -0.75),
        (2, "a", "a fox", 0.5, -1),
    ]


def test_the_filter_of_an_exchange_can_be_named(by_hand):
    found = explain.exchanged(by_hand, "fox runs", "fox", ["moon"], filter=3)
    assert found.select("filter", "answer").rows() == [(3, 1), (3, 0.25)]


def test_a_filter_that_sees_the_whole_phrase_goes_before_one_that_answers_more(by_hand):
    """Filter 0 would see one word only, and not the one that is exchanged."""
    net = by_hand.net_.text
    with torch.no_grad():
        net.filters[0, 1] = 9
        found = explain.exchanged(by_hand, "red fox", "red", ["blue"])
        net.filters[0, 1] = 0
    assert found["filter"].to_list() == [2, 2]


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (
            lambda m: explain.exchanged(m, "red foxes", "red", []),
            "does not know the word 'foxes'.*such as 'fox'",
        ),
        (lambda m: explain.exchanged(m, "red fox", "red", ["blu"]), "'blu'.*such as 'blue'"),
        (
            lambda m: explain.exchanged(m, "red fox", "moon", ["blue"]),
            "'moon' is not in the phrase 'red fox'",
        ),
        (lambda m: explain.exchanged(m, "red fox", "red", ["blue moon"]), "read as 2 words"),
        (lambda m: explain.exchanged(m, "red fox", "red", "blue"), r"write \['blue'\]"),
        (
            lambda m: explain.exchanged(m, "red fox", "red", [], filter=4),
            "no filter 4; the model has 4, 0 to 3",
        ),
        (lambda m: explain.answers(m, " "), "Nothing is left of ' '"),
        (lambda m: explain.answers(m, "fox", n=0), "1 or more; found 0"),
        (lambda m: explain.filters(m, only=[-1]), "no filter -1"),
        (lambda m: explain.filters(m, only=[]), "names no filter"),
        (lambda m: explain.filters(m, phrases=0), "found 5 and 0"),
    ],
)
def test_what_cannot_be_asked_of_filters_is_an_error(by_hand, ask, says):
    with pytest.raises((DataError, SettingError), match=says):
        ask(by_hand)


# --- what a text says -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TEXT_MODELS)
def test_text_and_ratings_add_up_to_the_prediction(models, name):
    model = models[name]
    found = explain.spoken_for(model, user_id=3, item_id=5)
    theta, user, item = (
        model.text_factors(model.given_.text)[4],
        model.net_.user[2].numpy(),
        model.net_.item[4].numpy(),
    )
    facing = np.append(user[:-1], 1)
    assert found.prediction == pytest.approx(rc.predict(model, [(3, 5)])["prediction"][0], abs=1e-5)
    assert found.base == pytest.approx(float(model.net_.mu) + user[-1], abs=1e-5)
    assert found.text == pytest.approx(facing @ theta, abs=1e-4)
    assert found.ratings == pytest.approx(facing @ (item - theta), abs=1e-4)


@pytest.mark.parametrize("name", TEXT_MODELS)
def test_a_change_is_the_difference_of_two_predictions(models, name):
    model = models[name]
    found = explain.spoken_for(model, user_id="3", item_id="5", width=2)
    rest = " ".join([*found.words[:6], *found.words[8:]])
    without = explain.spoken_for(model, user_id="3", text=rest).prediction
    whole = explain.spoken_for(model, user_id="3", text=" ".join(found.words)).prediction
    assert len(found.changes) == len(found.words) - 1
    assert found.changes[6] == pytest.approx(whole - without, abs=1e-4)
    assert np.abs(found.changes).max() > 0


def test_what_speaks_for_an_item_is_what_the_ratings_say():
    """Items with the word good are rated 5, those with bad 1."""
    texts = {
        f"i{n}": f"{'good' if n % 2 else 'bad'} story of a {('ship', 'dog', 'war', 'king')[n // 2 % 4]}"
        for n in range(40)
    }
    rated = [
        (f"u{u}", item, 5 if "good" in text else 1)
        for u in range(10)
        for item, text in texts.items()
    ]
    ratings = rc.with_texts(
        rc.from_tuples(rated, scale=(1, 5)), texts, tokenizer=rc.Tokenizer(stop_words=None, most=1.0)
    )
    model = fitted("convmf", ratings, epochs=10)
    for word, sign in (("good", 1), ("bad", -1)):
        found = explain.spoken_for(
            model, user_id="u1", text=f"story of a {word} king", width=1
        ).table(1)
        assert found["phrase"].to_list() == [word]
        assert sign * found["change"][0] > 0.1


def test_a_new_text_has_no_ratings(models):
    found = explain.spoken_for(models["convmf"], user_id="3", text="mucha muchab littlebc unheard")
    assert found.item_id is None
    assert found.ratings == 0
    assert found.words == ("muchab", "littlebc")


def test_of_a_text_without_its_last_word_the_mean_of_all_is_said(models):
    model = models["convmf"]
    said = model.text_factors(model.given_.text)
    mean, user = said[model.given_.text.has].mean(axis=0), model.net_.user[2].numpy()
    found = explain.spoken_for(model, user_id="3", text="littlebc", width=4)
    np.testing.assert_allclose(
        found.changes, [found.text - np.append(user[:-1], 1) @ mean], atol=1e-5
    )


def test_many_texts_are_read_some_at_a_time(models, monkeypatch):
    whole = explain.spoken_for(models["convmf"], user_id="3", item_id="5").changes
    monkeypatch.setattr(explain, "WORDS_AT_ONCE", 70)
    np.testing.assert_allclose(
        explain.spoken_for(models["convmf"], user_id="3", item_id="5").changes, whole, atol=1e-6
    )


def spoken(words, changes, width):
    return explain.Spoken(
        "u", "i", tuple(words.split()), width, np.array(changes), base=3.0, text=0.5, ratings=-0.25
    )


def test_of_phrases_that_overlap_the_stronger_stands_for_both():
    found = spoken("a b c d e", [0.1, 0.3, -0.2, -0.1], 2)
    assert found.table().rows() == [(1, "b c", 0.3), (2, "c d", -0.2)]
    assert found.table(1).rows() == [(1, "b c", 0.3)]
    assert found.prediction == 3.25
    with pytest.raises(SettingError, match="found 0"):
        found.table(0)


def test_a_word_has_the_mean_change_of_its_phrases():
    found = spoken("a b c", [0.2, -0.4], 2).by_word()
    assert found["word"].to_list() == ["a", "b", "c"]
    assert found["change"].to_list() == pytest.approx([0.2, -0.1, -0.4])


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (
            {"user_id": "nobody", "item_id": "5"},
            "no rating by user 'nobody'; it knows users such as '1', '2', '3'",
        ),
        ({"user_id": "3", "item_id": "none"}, "knows no item 'none'"),
        ({"user_id": "3", "item_id": "7"}, "Item '7' has no text"),
        ({"user_id": "3", "text": "unheard of"}, "None of the words"),
        ({"user_id": "3", "text": "so", "item_id": "5"}, "give one of the two"),
        ({"user_id": "3"}, "give one of the two"),
        ({"user_id": "3", "item_id": "5", "width": 0}, "1 or more; found 0"),
    ],
)
def test_what_cannot_be_said_of_a_text_is_an_error(models, asked, says):
    with pytest.raises((DataError, SettingError), match=says):
        explain.spoken_for(models["convmf"], **asked)


def test_models_without_texts_or_filters_are_refused(told, models):
    bias = rc.make("bias").fit(told)
    with pytest.raises(SettingError, match="Bias reads no texts"):
        explain.spoken_for(bias, user_id="3", item_id="5")
    with pytest.raises(NotFittedError):
        explain.filters(rc.make("convmf"))
    for name in set(TEXT_MODELS) - {"convmf"}:
        with pytest.raises(SettingError, match="without filters"):
            explain.filters(models[name])


# --- pictures ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_phrases_and_texts_are_drawn(by_hand, tmp_path, ending):
    pytest.importorskip("matplotlib")
    drawn = [
        pictures.bars(
            explain.filters(by_hand), tmp_path / f"bars.{ending}", title="What costs $1 or $2"
        ),
        pictures.bars(explain.filters(by_hand, only=[0]), tmp_path / f"none.{ending}"),
        pictures.text(
            spoken("a $b$ c" + " word" * 60, [0.2, -0.4, *[0.0] * 61], 1).by_word(),
            tmp_path / f"text.{ending}",
        ),
        pictures.text(spoken("a", [0.0], 1).by_word(), tmp_path / f"flat.{ending}"),
    ]
    assert all(path.stat().st_size > 1000 for path in drawn)


def test_a_text_breaks_its_lines_where_they_are_full(tmp_path):
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    places = pictures._place_words(
        Figure(figsize=(pictures.WIDTH, 1), dpi=150), ["word"] * 40 + ["w" * 300, "word"]
    )
    assert [line for _, line in places] == sorted(line for _, line in places)
    assert all(x < pictures.WIDTH - pictures.MARGIN for x, _ in places)
    assert places[-2][1] == places[-3][1] + 1 == places[-1][1] - 1
    assert pl.Series([x for x, _ in places]).min() == pictures.MARGIN

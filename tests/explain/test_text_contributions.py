"""The parts of a prediction, and what the phrases of a text contribute."""

import numpy as np
import pytest

import recollect as rc
from recollect import explain
from recollect.errors import DataError, SettingError
from recollect.explain import text_contributions
from recollect.families.text_model import TextModel

TEXT_MODELS = [name for name in rc.model_names() if issubclass(rc.find(name), TextModel)]


def contributions_of(words, changes, width):
    return explain.Contributions(
        "u", "i", tuple(words.split()), width, np.array(changes), base=3.0, text=0.5, ratings=-0.25
    )


def user_factors(model, row):
    """U, and 1 for the item's offset."""
    return np.append(model.net_.user[row, :-1].numpy(), 1)


@pytest.mark.parametrize("name", TEXT_MODELS)
def test_base_text_and_ratings_add_up_to_the_prediction(models, name):
    model = models[name]
    parts = explain.contributions(model, user_id=3, item_id=5)
    theta = model.text_factors(model.given_.text)[4]
    V = model.net_.item[4].numpy()
    U = user_factors(model, 2)
    offset = float(model.net_.user[2, -1])
    predicted = rc.predict(model, [(3, 5)])["prediction"][0]
    assert parts.prediction == pytest.approx(predicted, abs=1e-5)
    assert parts.base == pytest.approx(float(model.net_.mu) + offset, abs=1e-5)
    assert parts.text == pytest.approx(U @ theta, abs=1e-4)
    assert parts.ratings == pytest.approx(U @ (V - theta), abs=1e-4)


@pytest.mark.parametrize("name", TEXT_MODELS)
def test_a_change_is_the_difference_of_two_predictions(models, name):
    model = models[name]
    parts = explain.contributions(model, user_id="3", item_id="5", width=2)
    words = parts.words
    shortened = " ".join([*words[:6], *words[8:]])
    whole = explain.contributions(model, user_id="3", text=" ".join(words)).prediction
    without = explain.contributions(model, user_id="3", text=shortened).prediction
    assert len(parts.changes) == len(words) - 1
    assert parts.changes[6] == pytest.approx(whole - without, abs=1e-4)
    assert np.abs(parts.changes).max() > 0


@pytest.mark.parametrize(("word", "sign"), [("good", 1), ("bad", -1)])
def test_words_that_decide_the_ratings_contribute_most(good_and_bad, word, sign):
    text = f"story of a {word} king"
    parts = explain.contributions(good_and_bad, user_id="u1", text=text, width=1)
    table = parts.table(1)
    assert table["phrase"].to_list() == [word]
    assert sign * table["change"][0] > 0.1


@pytest.fixture(scope="module")
def good_and_bad():
    """Items with the word good are rated 5, those with bad 1."""
    texts = {}
    for item in range(40):
        judgement = "good" if item % 2 else "bad"
        subject = ("ship", "dog", "war", "king")[item // 2 % 4]
        texts[f"i{item}"] = f"{judgement} story of a {subject}"
    rated = []
    for user in range(10):
        rated += [(f"u{user}", item, 5 if "good" in text else 1) for item, text in texts.items()]
    ratings = rc.with_texts(
        rc.from_tuples(rated, scale=(1, 5)),
        texts,
        tokenizer=rc.Tokenizer(stop_words=None, most=1.0),
    )
    model = rc.make(
        "convmf",
        factors=3,
        epochs=10,
        reg_user=0.3,
        reg_item=3.0,
        clip=False,
        embedding=4,
        filters=3,
        hidden=6,
        windows=(1, 2),
        dropout=0.0,
        learning_rate=0.01,
    )
    return model.fit(ratings)


def test_a_new_text_has_no_ratings(convmf):
    parts = explain.contributions(convmf, user_id="3", text="mucha muchab littlebc unheard")
    assert parts.item_id is None
    assert parts.ratings == 0
    assert parts.words == ("muchab", "littlebc")


def test_a_text_without_its_last_word_is_encoded_as_the_mean_of_all(convmf):
    corpus = convmf.given_.text
    mean = convmf.text_factors(corpus)[corpus.has].mean(axis=0)
    parts = explain.contributions(convmf, user_id="3", text="littlebc", width=4)
    expected = parts.text - user_factors(convmf, 2) @ mean
    np.testing.assert_allclose(parts.changes, [expected], atol=1e-5)


def test_texts_encoded_in_parts_have_the_same_changes(convmf, monkeypatch):
    whole = explain.contributions(convmf, user_id="3", item_id="5")
    monkeypatch.setattr(text_contributions, "WORDS_AT_ONCE", 70)
    parts = explain.contributions(convmf, user_id="3", item_id="5")
    np.testing.assert_allclose(parts.changes, whole.changes, atol=1e-6)


def test_of_overlapping_phrases_of_one_sign_the_largest_is_listed():
    parts = contributions_of("a b c d e", [0.1, 0.3, -0.2, -0.1], 2)
    assert parts.table().rows() == [(1, "b c", 0.3), (2, "c d", -0.2)]
    assert parts.table(1).rows() == [(1, "b c", 0.3)]
    assert parts.prediction == 3.25
    with pytest.raises(SettingError, match="found 0"):
        parts.table(0)


def test_a_word_has_the_mean_change_of_its_phrases():
    table = contributions_of("a b c", [0.2, -0.4], 2).by_word()
    assert table["word"].to_list() == ["a", "b", "c"]
    assert table["change"].to_list() == pytest.approx([0.2, -0.1, -0.4])


@pytest.mark.parametrize(
    ("arguments", "message"),
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
def test_predictions_that_cannot_be_explained_are_errors(convmf, arguments, message):
    with pytest.raises((DataError, SettingError), match=message):
        explain.contributions(convmf, **arguments)


def test_models_without_texts_are_refused(few_ratings):
    bias = rc.make("bias").fit(few_ratings)
    with pytest.raises(SettingError, match="Bias reads no texts"):
        explain.contributions(bias, user_id="3", item_id="5")

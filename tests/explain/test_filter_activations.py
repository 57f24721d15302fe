"""Activations of phrases, and of phrases with a word replaced."""

import pytest
import torch

from recollect import explain
from recollect.errors import DataError, SettingError


def test_the_filters_with_the_largest_activations_for_a_phrase(by_hand):
    table = explain.activations(by_hand, "Red fox runs", n=2)
    assert table.rows() == [(2, 2, "red fox runs", 1.5), (3, 2, "red fox runs", 1.0)]
    assert explain.activations(by_hand, "red fox", only=[3])["answer"].to_list() == [0]


def test_replacing_a_word_changes_the_activation(by_hand):
    assert explain.swap_words(by_hand, "red fox", "red", ["blue", "moon", "a"]).rows() == [
        (2, "red", "red fox", 1.5, 0),
        (2, "blue", "blue fox", 1, -0.5),
        (2, "moon", "moon fox", 0.75, -0.75),
        (2, "a", "a fox", 0.5, -1),
    ]


def test_the_filter_of_a_swap_can_be_named(by_hand):
    table = explain.swap_words(by_hand, "fox runs", "fox", ["moon"], filter=3)
    assert table.select("filter", "answer").rows() == [(3, 1), (3, 0.25)]


def test_filters_that_see_the_whole_phrase_are_preferred(by_hand):
    """Filter 0 has a larger activation, but sees one word, which is not the one replaced."""
    with torch.no_grad():
        by_hand.net_.text.filters[0, 1] = 9
    table = explain.swap_words(by_hand, "red fox", "red", ["blue"])
    assert table["filter"].to_list() == [2, 2]


@pytest.mark.parametrize(
    ("phrase", "word", "others", "message"),
    [
        ("red foxes", "red", [], "does not know the word 'foxes'.*such as 'fox'"),
        ("red fox", "red", ["blu"], "'blu'.*such as 'blue'"),
        ("red fox", "moon", ["blue"], "'moon' is not in the phrase 'red fox'"),
        ("red fox", "red", ["blue moon"], "read as 2 words"),
        ("red fox", "red", "blue", r"write \['blue'\]"),
    ],
)
def test_words_that_cannot_be_swapped_are_errors(by_hand, phrase, word, others, message):
    with pytest.raises((DataError, SettingError), match=message):
        explain.swap_words(by_hand, phrase, word, others)


def test_a_filter_that_does_not_exist_is_an_error(by_hand):
    with pytest.raises(SettingError, match="no filter 4; the model has 4, 0 to 3"):
        explain.swap_words(by_hand, "red fox", "red", [], filter=4)


@pytest.mark.parametrize(
    ("phrase", "n", "message"),
    [(" ", 5, "Nothing is left of ' '"), ("fox", 0, "1 or more; found 0")],
)
def test_activations_need_words_and_a_positive_number(by_hand, phrase, n, message):
    with pytest.raises((DataError, SettingError), match=message):
        explain.activations(by_hand, phrase, n=n)

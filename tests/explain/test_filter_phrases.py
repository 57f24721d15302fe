"""The phrases that filters respond to most."""

import numpy as np
import pytest
import torch

import recollect as rc
from recollect import explain
from recollect.errors import NotFittedError, SettingError
from recollect.explain import filter_phrases


def test_the_phrases_of_a_filter_follow_from_its_weights(by_hand):
    """Red fox has 1 + 1 − ½, in two documents, twice in one; blue fox ½ + 1 − ½; others below 0."""
    assert explain.filters(by_hand, only=[2]).rows() == [
        (2, 2, 1, "red fox", 1.5, 2, "w"),
        (2, 2, 2, "blue fox", 1.0, 1, "y"),
    ]


def test_a_document_shorter_than_the_window_is_a_phrase_by_itself(by_hand):
    """Ties are broken by the alphabet."""
    table = explain.filters(by_hand, only=[3])
    assert table.select("phrase", "answer", "documents").rows() == [
        ("fox runs", 1, 2),
        ("fox sleeps", 1, 1),
        ("moon", 0.25, 1),
    ]


def test_by_default_the_filters_with_the_largest_activations_come_first(by_hand):
    table = explain.filters(by_hand, n=2, phrases=1)
    assert table.select("filter", "phrase").rows() == [(2, "red fox"), (3, "fox runs")]


def test_a_filter_that_responds_to_nothing_has_no_phrases(by_hand):
    assert explain.filters(by_hand, only=[0, 1]).is_empty()


def test_the_largest_activation_is_that_of_the_network(convmf):
    with torch.no_grad():
        features = convmf.net_.text.features(convmf.given_.text)
    largest = features.flatten(1).amax(dim=0).numpy()
    table = explain.filters(convmf, only=range(6), phrases=1)
    np.testing.assert_allclose(table["answer"], largest[table["filter"]], rtol=1e-4)
    assert explain.filters(convmf, n=1)["filter"][0] == largest.argmax()


def test_texts_searched_in_parts_have_the_same_phrases(convmf, monkeypatch):
    whole = explain.filters(convmf, n=6, phrases=8)
    monkeypatch.setattr(filter_phrases, "WORDS_AT_ONCE", 70)
    assert explain.filters(convmf, n=6, phrases=8).equals(whole)
    assert whole["documents"].max() > 1


def test_padding_is_no_phrase(few_ratings):
    """Unmasked padding has a vector; here filters respond to nothing else."""
    settings = {"factors": 3, "embedding": 4, "filters": 3, "hidden": 6, "windows": (1, 2)}
    model = rc.make("convmf", **settings, mask=False, epochs=1).fit(few_ratings)
    net = model.net_.text
    with torch.no_grad():
        net.words[:-1] = 0
        net.words[-1] = 1
        net.filters[:] = 1
        net.bias[:] = 0
    assert explain.filters(model, n=6).is_empty()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"only": [-1]}, "no filter -1"),
        ({"only": []}, "names no filter"),
        ({"phrases": 0}, "found 5 and 0"),
    ],
)
def test_arguments_out_of_range_are_errors(by_hand, arguments, message):
    with pytest.raises(SettingError, match=message):
        explain.filters(by_hand, **arguments)


def test_models_without_filters_are_refused(models):
    with pytest.raises(NotFittedError):
        explain.filters(rc.make("convmf"))
    for name in set(models) - {"convmf"}:
        with pytest.raises(SettingError, match="without filters"):
            explain.filters(models[name])

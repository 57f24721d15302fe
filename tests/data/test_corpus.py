"""Documents become words and the texts of ratings; every expected count was made by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import recollect as rc
from recollect.data.text.corpus import corpus_of
from recollect.data.text.tokenizer import Tokenizer, tokenizer_of
from recollect.data.text.word_vectors import WordVectors
from recollect.errors import DataError, SettingError

SAVED = Path(__file__).parents[1] / "saved" / "0.1.0" / "convmf"
PLAIN = Tokenizer(stop_words=None, most=1.0)


def words(text: str, **fields) -> list[str]:
    """The words of one text, in their order."""
    corpus = corpus_of([text], replace(PLAIN, **fields))
    return corpus.words.at(corpus.word).to_list()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Naïve Zürich cafés", ["naïve", "zürich", "cafés"]),
        ("nai\u0308ve", ["naïve"]),  # the same letters, written as two characters
        ("ﬁlm Ｎｏｉｒ", ["film", "noir"]),  # a ligature, letters of full width
        ("Москва слезам не верит.", ["москва", "слезам", "не", "верит"]),
        ("玩具总动员。千与千寻", ["玩具总动员", "千与千寻"]),
        ("हिन्दी", ["हिन्दी"]),  # vowel signs are part of a word
        (
            "don't so-called — well -- 'quoted' rock'n'roll",
            ["don't", "so-called", "well", "quoted", "rock'n'roll"],
        ),
        ("Andy’s toys, the boys’ room, Sid's", ["andy", "toys", "the", "boys", "room", "sid"]),
        ("1,000 men, 3.5 miles, 1990s; v2.", ["1,000", "men", "3.5", "miles", "1990s", "v2"]),
        ("co\xadop", ["coop"]),  # a soft hyphen is no letter
    ],
)
def test_words_are_letters_and_digits_of_any_script(text, expected):
    assert words(text) == expected


def test_blanks_leave_everything_between_them_as_it_is():
    assert words("Woody, Andy’s  toy\n(1995)", split="blanks", lower=False) == [
        "Woody,",
        "Andy’s",
        "toy",
        "(1995)",
    ]


def test_capitals_can_be_kept():
    assert words("Toy toy", lower=False) == ["Toy", "toy"]


def test_numbers_are_kept_dropped_or_one_word():
    text = "7 men 1,000 2nd"
    assert words(text) == ["7", "men", "1,000", "2nd"]
    assert words(text, numbers="drop") == ["men", "2nd"]
    assert words(text, numbers="one") == ["0", "men", "0", "2nd"]


def test_english_stop_words_are_those_of_scikit_learn():
    assert words("It is the toy of whoever", stop_words="english") == ["toy"]


def test_stop_words_can_be_a_list():
    assert words("der Film ist der Film", stop_words=["der", "ist"]) == ["film", "film"]


def test_without_scikit_learn_its_list_is_an_error_that_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sklearn.feature_extraction.text", None)
    with pytest.raises(SettingError, match=r"pip install 'recollect\[text\]'"):
        corpus_of(["a toy"])


def test_a_document_is_cut_before_any_word_is_dropped():
    """The first three words of "the toy of the boy" are the, toy, of; "boy" is not among them."""
    assert words("the toy of the boy", stop_words="english", first=3) == ["toy"]
    assert words("1 2 toy boy", numbers="drop", first=3) == ["toy"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("split", "word"),
        ("numbers", "none"),
        ("by", "tfidf"),
        ("stop_words", "german"),
        ("stop_words", 3),
        ("first", 0),
        ("n_words", 2.5),
        ("least", True),
        ("most", 0.0),
        ("most", 2),
        ("lower", "yes"),
        ("n_words", None),
        ("lower", 1),
    ],
)
def test_a_value_that_a_field_cannot_take_is_refused(field, value):
    with pytest.raises(SettingError, match=field):
        tokenizer_of({field: value})


def test_an_unknown_field_is_refused_with_the_nearest():
    with pytest.raises(SettingError, match="Did you mean 'n_words'"):
        tokenizer_of({"nwords": 10})


def test_a_tokenizer_is_made_from_the_fields_in_a_file():
    assert tokenizer_of({"stop_words": ["a"], "most": 1, "first": None}) == Tokenizer(
        stop_words=("a",), most=1.0, first=None
    )


def test_words_with_the_largest_sums_of_tf_idf_are_kept():
    """Of four documents, 4 "a" are in 4 (idf 1, sum 4), 3 "b" in 1 (idf 1.916, sum 5.75).

    2 "c" are in 2 (idf 1.511, sum 3.02).
    """
    texts = ["a b b b", "a c", "a c", "a"]
    assert corpus_of(texts, replace(PLAIN, n_words=1)).words.ids.to_list() == ["b"]
    assert corpus_of(texts, replace(PLAIN, n_words=1, by="count")).words.ids.to_list() == ["a"]
    assert corpus_of(texts, replace(PLAIN, n_words=2)).words.ids.to_list() == ["a", "b"]


def test_tf_idf_is_that_of_scikit_learn(plots):
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = list(plots.values())
    vectorizer = TfidfVectorizer(norm=None, stop_words="english").fit(texts)
    total = np.asarray(vectorizer.transform(texts).sum(axis=0)).ravel()
    ranked = vectorizer.get_feature_names_out()[np.lexsort((np.arange(len(total)), -total))]
    for n_words in (1, 3, 7, 12):
        corpus = corpus_of(texts, Tokenizer(n_words=n_words, most=1.0))
        assert corpus.words.ids.to_list() == sorted(ranked[:n_words])


def test_ties_are_broken_by_the_alphabet():
    assert corpus_of(["b a d c"], replace(PLAIN, n_words=2)).words.ids.to_list() == ["a", "b"]


def test_words_of_most_documents_and_of_too_few_are_dropped():
    """Empty documents do not count: "film" is in 2 of 4, no more than half; "toy" in 3."""
    texts = ["film toy", "film toy", "toy boy", "dog", None, " "]
    corpus = corpus_of(texts, Tokenizer(stop_words=None))
    assert corpus.words.ids.to_list() == ["boy", "dog", "film"]
    assert corpus.in_documents.tolist() == [1, 1, 2]
    assert corpus_of(texts, Tokenizer(stop_words=None, least=2)).words.ids.to_list() == ["film"]


def test_an_empty_vocabulary_is_an_error_that_says_why():
    with pytest.raises(DataError, match=r"No word is left of 2 documents with 1 words"):
        corpus_of(["toy", "toy"])


@pytest.fixture
def small() -> rc.Corpus:
    """a b b | nothing | c a; the words are a, b, c."""
    return corpus_of(["a b b", None, "c a"], PLAIN)


def test_rows_are_the_words_in_their_order(small):
    assert small.words.ids.to_list() == ["a", "b", "c"]
    assert (small.start.tolist(), small.word.tolist()) == ([0, 3, 3, 5], [0, 1, 1, 2, 0])
    assert (len(small), small.n_words, small.has.tolist()) == (3, 3, [True, False, True])


def test_counts_are_how_often_each_document_has_each_word(small):
    assert small.counts().dtype == np.float32
    assert small.counts().toarray().tolist() == [[1, 2, 0], [0, 0, 0], [1, 0, 1]]
    assert small.word.tolist() == [0, 1, 1, 2, 0]  # counting leaves the words in their order


def test_padding_is_0_and_words_count_from_1(small):
    assert small.padded([0, 1, 2]).tolist() == [[1, 2, 2], [0, 0, 0], [3, 1, 0]]
    assert small.padded(np.array([2, 0]), length=4).tolist() == [[3, 1, 0, 0], [1, 2, 2, 0]]
    assert small.padded([0, 2], length=2).tolist() == [[1, 2], [3, 1]]


def test_padding_on_the_left_also_cuts_on_the_left(small):
    assert small.padded([0, 1, 2], length=4, side="left").tolist() == [
        [0, 1, 2, 2],
        [0, 0, 0, 0],
        [0, 0, 3, 1],
    ]
    assert small.padded([0, 2], length=2, side="left").tolist() == [[2, 2], [3, 1]]
    with pytest.raises(SettingError, match="right"):
        small.padded([0], side="both")


def test_no_row_and_no_word_make_an_empty_table(small):
    assert small.padded([]).shape == (0, 0)
    assert small.padded([1]).shape == (1, 0)


def test_new_documents_are_read_with_the_same_vocabulary(small):
    corpus = small.read(["B, new!", None])
    assert corpus.words is small.words
    assert corpus.word.tolist() == [1]
    assert corpus.has.tolist() == [True, False]
    assert corpus.notes == ("Out of vocabulary: 50.0% of the documents' words, stop words aside.",)


def test_the_share_of_known_words_leaves_stop_words_out():
    corpus = corpus_of(["starship crew", "bride"], Tokenizer())
    assert corpus.known_share("The starship and a robot") == 0.5
    assert np.isnan(corpus.known_share("the"))


def test_documents_are_taken_and_joined(small):
    twice = small.take([2, 1, 2])
    assert (twice.start.tolist(), twice.word.tolist()) == ([0, 2, 2, 4], [2, 0, 2, 0])
    whole = small.joined(small.read(["c"]))
    assert (whole.start.tolist(), whole.word.tolist()) == ([0, 3, 3, 5, 6], [0, 1, 1, 2, 0, 2])
    with pytest.raises(DataError, match="different words"):
        small.joined(corpus_of(["other"], PLAIN))


def test_the_fingerprint_depends_on_documents_tokenizer_and_vectors(small):
    vectors = WordVectors(np.zeros((3, 2), np.float32), np.zeros(3, bool))
    others = [
        corpus_of(["a b b", None, "c a a"], PLAIN),
        corpus_of(["a b b", None, "c a"], replace(PLAIN, first=9)),
        replace(small, vectors=vectors),
        small.take([2, 1, 0]),
    ]
    assert len({small.fingerprint, *(other.fingerprint for other in others)}) == 5
    assert small.fingerprint == corpus_of(["a b b", None, "c a"], PLAIN).fingerprint


def test_the_fingerprint_of_the_first_release_stays():
    """Release 0.1.0 saved it with a model of the same ratings and texts."""
    model = rc.load_model(SAVED)
    assert model.given_.fingerprint == "598e14f176763718"


def test_vectors_must_be_one_for_each_word(small):
    with pytest.raises(DataError, match="2 vectors for 3 words"):
        replace(small, vectors=WordVectors(np.zeros((2, 2), np.float32), np.zeros(2, bool)))


def test_ratings_get_a_document_for_each_item(few, plots):
    ratings = rc.with_texts(few, {"x": plots["i0"], "w": plots["i1"]})
    assert len(ratings.text) == ratings.n_items == 4
    assert ratings.text.has.tolist() == [True, True, False, False]
    assert ratings.text.words.at(ratings.text.word).to_list() == [
        "bride",
        "falls",
        "love",
        "wedding",
        "crew",
        "starship",
        "drifts",
        "space",
    ]
    assert "2 of 4 items have no document." in ratings.notes


def test_items_with_a_document_alone_are_appended(few):
    ratings = rc.with_texts(few, {"new": "toy", "w": "boy", "also": "dog", "blank": " "})
    assert ratings.items.ids.to_list() == ["w", "x", "y", "z", "also", "new"]
    assert ratings.count("item").tolist() == [2, 3, 2, 0, 0, 0]
    assert "2 items have a document and no rating; they are added to the items." in ratings.notes
    assert "1 documents are empty." in ratings.notes


def test_appended_items_change_nothing_in_a_split(planted_small):
    plain = planted_small.ratings
    texts = rc.with_texts(plain, {str(j): f"toy{j}" for j in range(2000)})
    assert texts.n_items > plain.n_items
    for split in (rc.random_split, rc.covering_split):
        parts = split(plain, test=0.2, valid=0.1, seed=3)
        parts_with_texts = split(texts, test=0.2, valid=0.1, seed=3)
        for part, part_with_texts in zip(parts, parts_with_texts, strict=True):
            assert part.frame().equals(part_with_texts.frame())
            assert part_with_texts.text is texts.text


def test_texts_stay_with_parts_unions_and_events(few, plots):
    whole = rc.with_texts(few, {"w": "toy", "x": "boy"})
    one, other = whole.where(np.arange(7) < 3), whole.where(np.arange(7) >= 3)
    assert one.union(other).text is whole.text
    assert whole.events(from_=4).text is whole.text


def test_documents_that_keep_no_word_are_counted(few):
    ratings = rc.with_texts(few, {"w": "the", "x": "toy", "y": "boy"})
    assert "1 documents have none of the kept words." in ratings.notes


def test_new_texts_replace_the_former_ones(few):
    ratings = rc.with_texts(rc.with_texts(few, {"w": "toy", "x": "boy"}), {"y": "dog", "z": "cat"})
    assert ratings.text.words.ids.to_list() == ["cat", "dog"]
    assert ratings.notes == ratings.text.notes


def test_the_fingerprint_of_ratings_includes_their_texts(few):
    one, other = (
        rc.with_texts(few, {"w": "toy", "x": "boy"}),
        rc.with_texts(few, {"w": "toy", "x": "girl"}),
    )
    assert len({few.fingerprint, one.fingerprint, other.fingerprint}) == 3
    assert replace(one, text=None).fingerprint == few.fingerprint


def test_texts_must_be_one_for_each_item(few, small):
    with pytest.raises(DataError, match="3 documents and there are 4 items"):
        replace(few, text=small)


def test_stored_ratings_take_no_texts(few, tmp_path):
    with pytest.raises(DataError, match="on disk"):
        rc.with_texts(rc.store(few, tmp_path / "stored"), {"w": "toy"})

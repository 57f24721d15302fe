"""Word vectors read from files that the tests write."""

import gzip
import struct
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import recollect as rc
from recollect.data.text import vector_files
from recollect.data.text.fasttext import fnv, ngrams
from recollect.data.text.word_vectors import read_vectors
from recollect.data.vocab import Vocab
from recollect.errors import DataError, SettingError

WORDS = Vocab(["boy", "naïve", "toy"])
GLOVE = "the 1 0\ntoy 2 -4e-1\nnaïve 0 1.5\n"  # the mean is (1, 0.3667)


def write(path, content: bytes | str):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def word2vec(
    *entries: tuple[str, list[float]], n: int | None = None, ending: bytes = b"\n"
) -> bytes:
    head = f"{len(entries) if n is None else n} 2\n".encode()
    return head + b"".join(
        word.encode() + b" " + struct.pack("<2f", *vector) + ending for word, vector in entries
    )


FILES = {
    "glove": GLOVE,
    "word2vec": "3 2\n" + GLOVE,
    "fastText .vec": "3 2\n" + GLOVE.replace("\n", " \n"),
    "no line end": GLOVE.rstrip(),
    "windows": GLOVE.replace("\n", "\r\n"),
    "word2vec binary": word2vec(("the", [1, 0]), ("toy", [2, -0.4]), ("naïve", [0, 1.5])),
    "the same without line ends": word2vec(
        ("the", [1, 0]), ("toy", [2, -0.4]), ("naïve", [0, 1.5]), ending=b""
    ),
    "gzip": gzip.compress(("3 2\n" + GLOVE).encode()),
    "gzip, binary": gzip.compress(
        word2vec(("the", [1, 0]), ("toy", [2, -0.4]), ("naïve", [0, 1.5]))
    ),
}


@pytest.mark.parametrize("form", FILES)
def test_every_form_gives_the_same_vectors(form, tmp_path):
    vectors = read_vectors(write(tmp_path / "file", FILES[form]), WORDS, seed=3)
    assert vectors.found.tolist() == [False, True, True]
    np.testing.assert_array_equal(vectors.table[1:], np.float32([[0, 1.5], [2, -0.4]]))
    # The missing word is drawn around the mean of the file's three vectors.
    drawn = np.random.default_rng(3).normal([1, 1.1 / 3], 0.1)
    np.testing.assert_allclose(vectors.table[0], drawn, rtol=1e-6)
    assert vectors.note == (
        "Vectors of file: 66.7% of the 3 words are found; "
        "the others are drawn around the mean of all."
    )


def test_the_seed_decides_which_vectors_are_drawn(tmp_path):
    path = write(tmp_path / "file", GLOVE)
    one, again, other = (read_vectors(path, WORDS, seed=seed) for seed in (0, 0, 1))
    assert one.fingerprint == again.fingerprint != other.fingerprint


def test_drawn_words_have_the_mean_of_all_and_a_standard_deviation_of_a_tenth(tmp_path):
    """The mean of 4,000 words has a standard error of 0.1 / √4000; five of these are 0.008."""
    vectors = read_vectors(write(tmp_path / "file", GLOVE), Vocab([f"w{j}" for j in range(4000)]))
    np.testing.assert_allclose(vectors.table.mean(axis=0), [1, 1.1 / 3], atol=0.008)
    np.testing.assert_allclose(vectors.table.std(axis=0), 0.1, atol=0.006)


def test_a_word_may_have_blanks_in_it(tmp_path):
    """As ". . ." in GloVe's 840B."""
    vectors = read_vectors(
        write(tmp_path / "file", "a 5 5\n. . . 3 4\ntoy 1 2\n"), Vocab([". . .", "toy"])
    )
    assert vectors.table.tolist() == [[3, 4], [1, 2]]


def test_of_a_repeated_word_the_first_vector_is_kept(tmp_path):
    path = write(tmp_path / "file", "toy 1 2\ntoy 3 4\n")
    assert read_vectors(path, Vocab(["toy"])).table.tolist() == [[1, 2]]


def test_a_file_is_read_in_blocks_of_lines(tmp_path, monkeypatch):
    """With blocks of 64 bytes: words of every block are found, and an error names its line."""
    monkeypatch.setattr(vector_files, "BLOCK", 64)
    lines = [f"w{j} {j} {-j}" for j in range(200)]
    vectors = read_vectors(
        write(tmp_path / "file", "200 2\n" + "\n".join(lines) + "\n"),
        Vocab([f"w{j}" for j in range(200)]),
    )
    assert vectors.table[:, 0].tolist() == list(range(200))
    lines[150] = "w150 1"
    with pytest.raises(DataError, match="Line 151 of"):
        read_vectors(write(tmp_path / "other", "\n".join(lines)), WORDS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("toy\n", "Line 1 of .* has no blank"),
        ("the 1 2\ntoy 1\n", "Line 2 of .* has 1 numbers after its word, expected 2 numbers"),
        ("the 1 2\ntoy 1 2 3\n", "Line 2 of .* has 3 numbers after its word, expected 2 numbers"),
        ("the 1 2\n\ntoy 1 x\n", "Line 3 of .* has 'x' among its numbers, expected 2"),
        ("the 1 2\ntoy 1 nan\n", "Line 2 of .* has 'nan'"),
        ("3 2\nthe 1 2\ntoy 1 2\n", "has 2 vectors, and its first line announces 3"),
        (word2vec(("toy", [1, 2]))[:-4], "is cut short"),
        (word2vec(("toy", [1, 2]), n=2), "is cut short"),
    ],
)
def test_a_broken_file_is_an_error_that_names_the_line(content, message, tmp_path):
    with pytest.raises(DataError, match=message):
        read_vectors(write(tmp_path / "file", content), WORDS)


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(DataError, match="no file of vectors"):
        read_vectors(tmp_path / "none", WORDS)


def fasttext(
    words: list[str],
    rows: np.ndarray,
    *,
    bucket: int,
    shortest: int = 3,
    longest: int = 4,
    version: int = 12,
    quantized: bool = False,
    pruned: int = -1,
) -> bytes:
    """A model as fastText writes it: settings, dictionary, input matrix, and what is not read."""
    args = struct.pack(
        "<12id", rows.shape[1], 5, 5, 1, 5, 1, 1, 1, bucket, shortest, longest, 100, 1e-4
    )
    entries = b"".join(word.encode() + b"\0" + struct.pack("<qb", 9, 0) for word in words)
    dictionary = struct.pack("<3iqq", len(words), len(words), 0, 99, pruned) + entries
    matrix = struct.pack("<?qq", quantized, *rows.shape) + rows.astype("<f4").tobytes()
    return struct.pack("<ii", 793712314, version) + args + dictionary + matrix + b"output"


def test_ngrams_are_those_of_the_word_between_its_ends():
    assert ngrams("toy", 3, 4) == [b"<to", b"<toy", b"toy", b"toy>", b"oy>"]
    assert ngrams("ï", 1, 2) == ["<ï".encode(), "ï".encode(), "ï>".encode()]
    assert ngrams("toy", 3, 0) == ngrams("</s>", 3, 6) == []


def test_the_hash_is_fnv_with_signed_bytes():
    """FNV-1a's published values for bytes below 128; fastText takes ï (C3 AF) as negative."""
    assert (fnv(b""), fnv(b"a"), fnv(b"foobar")) == (0x811C9DC5, 0xE40C292C, 0xBF9CF968)
    step = ((0x811C9DC5 ^ 0xFFFFFFC3) * 16777619) % 2**32
    assert fnv("ï".encode()) == ((step ^ 0xFFFFFFAF) * 16777619) % 2**32


def test_a_fasttext_vector_is_the_mean_of_the_word_and_its_ngrams(tmp_path):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(2 + 7, 3)).astype(np.float32)
    path = write(tmp_path / "model.bin", fasttext(["the", "toy"], rows, bucket=7))
    vectors = read_vectors(path, Vocab(["boy", "toy"]))
    rows_of_toy = [1, *(2 + fnv(n) % 7 for n in (b"<to", b"<toy", b"toy", b"toy>", b"oy>"))]
    # "boy" is not in the model and has n-grams only.
    rows_of_boy = [2 + fnv(n) % 7 for n in (b"<bo", b"<boy", b"boy", b"boy>", b"oy>")]
    np.testing.assert_allclose(
        vectors.table, [rows[rows_of_boy].mean(axis=0), rows[rows_of_toy].mean(axis=0)], rtol=1e-5
    )
    assert vectors.found.tolist() == [True, True]


def test_a_fasttext_model_is_read_in_blocks_and_packed(tmp_path, monkeypatch):
    rows = np.random.default_rng(1).normal(size=(2 + 100, 3)).astype(np.float32)
    content = fasttext(["the", "toy"], rows, bucket=100)
    whole = read_vectors(write(tmp_path / "model.bin", content), WORDS)
    monkeypatch.setattr("recollect.data.text.fasttext.BLOCK", 120)
    monkeypatch.setattr(vector_files, "BLOCK", 50)
    parts = read_vectors(write(tmp_path / "model.bin.gz", gzip.compress(content)), WORDS)
    np.testing.assert_allclose(parts.table, whole.table, rtol=1e-6)


def test_without_ngrams_an_unknown_word_is_drawn(tmp_path):
    rows = np.float32([[1, 2], [3, 4]])
    vectors = read_vectors(
        write(tmp_path / "m", fasttext(["the", "toy"], rows, bucket=0, longest=0)),
        Vocab(["boy", "toy"]),
    )
    assert vectors.found.tolist() == [False, True]
    assert vectors.table[1].tolist() == [3, 4]
    np.testing.assert_allclose(
        vectors.table[0], np.random.default_rng(0).normal([2, 3], 0.1), rtol=1e-6
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 11}, "version 11, expected 12"),
        ({"quantized": True}, "quantized"),
        ({"pruned": 3}, "quantized"),
        ({"bucket": 8}, "holds 3 rows of 2, expected 9 of 2"),
    ],
)
def test_a_fasttext_model_that_cannot_be_read_is_an_error(changes, message, tmp_path):
    content = fasttext(["toy"], np.ones((3, 2)), **{"bucket": 2, **changes})
    with pytest.raises(DataError, match=message):
        read_vectors(write(tmp_path / "m", content), WORDS)


def test_a_fasttext_model_that_is_cut_short_is_an_error(tmp_path):
    content = fasttext(["toy"], np.ones((3, 2)), bucket=2)
    with pytest.raises(DataError, match="cut short"):
        read_vectors(write(tmp_path / "m", content[:-12]), WORDS)


def test_words_are_encoded_by_sentence_transformers(monkeypatch):
    class Encoder:
        def __init__(self, name: str) -> None:
            self.name = name

        def encode(self, sentences: list[str], *, show_progress_bar: bool) -> np.ndarray:
            return np.array([[len(self.name), len(sentence)] for sentence in sentences], np.float64)

    monkeypatch.setitem(
        sys.modules, "sentence_transformers", SimpleNamespace(SentenceTransformer=Encoder)
    )
    vectors = read_vectors("sentence-transformers:mini", WORDS)
    assert vectors.table.tolist() == [[4, 3], [4, 5], [4, 3]]
    assert vectors.table.dtype == np.float32
    assert vectors.found.all()


def test_without_sentence_transformers_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(SettingError, match="pip install sentence-transformers"):
        read_vectors("sentence-transformers:mini", WORDS)


def test_texts_get_the_vectors_of_their_words(few, tmp_path):
    path = write(tmp_path / "glove.txt", GLOVE)
    ratings = rc.with_texts(few, {"w": "toy", "x": "boy"}, vectors=path)
    assert ratings.text.vectors.found.tolist() == [False, True]
    note = (
        "Vectors of glove.txt: 50.0% of the 2 words are found; "
        "the others are drawn around the mean of all."
    )
    assert note in ratings.notes
    assert ratings.fingerprint != rc.with_texts(few, {"w": "toy", "x": "boy"}).fingerprint
    assert ratings.text.read(["toy"]).vectors is ratings.text.vectors

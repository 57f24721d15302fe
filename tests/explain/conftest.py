"""Fitted models of texts, and one whose filters are set by hand."""

import pytest
import torch

import recollect as rc
from recollect.data.ratings import Ratings
from recollect.data.sources.planted import planted, planted_texts
from recollect.families.text_model import TextModel
from recollect.model import Model

SMALL = {
    "factors": 3,
    "epochs": 2,
    "reg_user": 0.3,
    "reg_item": 3.0,
    "offsets": True,
    "clip": False,
}
CONVMF = {
    **SMALL,
    "embedding": 4,
    "filters": 3,
    "hidden": 6,
    "windows": (1, 2),
    "dropout": 0.0,
    "learning_rate": 0.01,
}
TEXTS = {
    "w": "red fox runs",
    "x": "far off a red fox sleeps red fox",
    "y": "blue fox runs",
    "z": "moon",
}
EVERY_WORD = rc.Tokenizer(stop_words=None, most=1.0)


@pytest.fixture(scope="session")
def few_ratings() -> Ratings:
    """80 users and 60 items, whose texts of 30 words depend on their factors; item 7 has none."""
    made = planted(80, 60, 2400, rank=2, noise=0.2, seed=1, popularity=0.6, activity=0.4)
    texts = planted_texts(made.truth, made.ratings.items)
    del texts["7"]
    return rc.with_texts(made.ratings, texts)


@pytest.fixture(scope="session")
def models(few_ratings: Ratings) -> dict[str, Model]:
    """Every model of texts, fitted."""
    names = [name for name in rc.model_names() if issubclass(rc.find(name), TextModel)]
    settings = {name: CONVMF if name == "convmf" else SMALL for name in names}
    return {name: rc.make(name, **settings[name]).fit(few_ratings) for name in names}


@pytest.fixture(scope="session")
def convmf(models: dict[str, Model]) -> Model:
    return models["convmf"]


@pytest.fixture
def by_hand() -> Model:
    """A ConvMF of two filters over one word, 0 and 1, and two over two, 2 and 3.

    Filter 2 responds to a first word red (1), blue (½) or moon (¼) and to a second word fox (1),
    with a bias of −½; filter 3 to a first word fox (1) or moon (¼); filters 0 and 1 to nothing.
    """
    pairs = [(user, item) for user in "abc" for item in TEXTS]
    rated = [(*pair, 1 + n % 5) for n, pair in enumerate(pairs)]
    ratings = rc.from_tuples(rated, scale=(1, 5))
    ratings = rc.with_texts(ratings, TEXTS, tokenizer=EVERY_WORD)
    model = rc.make("convmf", **{**CONVMF, "embedding": 2, "filters": 2}).fit(ratings)
    net = model.net_.text
    vectors = {"red": (1, 0), "blue": (0.5, 0), "fox": (0, 1), "moon": (0.25, 0.25)}
    rows = ratings.text.words.rows(list(vectors))
    with torch.no_grad():
        net.words.zero_()
        net.words[torch.from_numpy(rows).long()] = torch.tensor(list(vectors.values()))
        # Rows: filters 0 and 1; the first words of filters 2 and 3; their second words.
        net.filters.zero_()
        net.filters[2, 0] = 1
        net.filters[4, 1] = 1
        net.filters[3, 1] = 1
        net.bias.zero_()
        net.bias[1, 0] = -0.5
    return model

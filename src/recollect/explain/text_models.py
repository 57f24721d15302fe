"""Which models can be explained, and what is needed of them."""

from __future__ import annotations

from typing import Any

from recollect.data.text.corpus import Corpus
from recollect.errors import SettingError
from recollect.families.text_model import TextModel
from recollect.model import Model
from recollect.registry import find


def text_model_of(model: Model) -> tuple[Any, Corpus]:
    """The fitted model of texts, and the texts that it has learned from.

    Raises:
        SettingError: if it is no model of texts.
        NotFittedError: if it is not fitted.
    """
    if isinstance(model, find("blend")):
        raise SettingError(
            "A blend is explained by its members: model.separate() gives them as models of their "
            "own; pass one that reads texts."
        )

    if not isinstance(model, TextModel):
        raise SettingError(
            f"{type(model).__name__} reads no texts; use a model that does, such as convmf."
        )

    corpus = model.given().text
    assert corpus is not None

    return model, corpus


def convmf_of(model: Model) -> tuple[Any, Corpus]:
    """The convolutional network of a ConvMF, and the texts that it has learned from.

    Raises:
        SettingError: if the model has no filters.
        NotFittedError: if it is not fitted.
    """
    text_model, corpus = text_model_of(model)
    if not has_filters(model):
        raise SettingError(
            f"{type(model).__name__} reads texts without filters; use a convmf, or ask what a text "
            "contributes to a prediction: contributions(model, user_id=…, item_id=…)."
        )

    return text_model.net_.text, corpus


def has_filters(model: Model) -> bool:
    """Whether the model is a ConvMF."""
    convmf = find("convmf")
    return isinstance(model, convmf)

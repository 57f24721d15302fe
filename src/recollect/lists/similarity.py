"""How similar items are: the cosine of the model's vectors or, without any, of their fields."""

from __future__ import annotations

from typing import Protocol, cast, runtime_checkable

import numpy as np
import polars as pl
from jaxtyping import Float32, Float64, Int64
from scipy.sparse import csr_array, hstack

from recollect.data.ratings import Side
from recollect.errors import SettingError
from recollect.lists.fields import ONE_VALUE, ItemFields
from recollect.model import Model


def unit_vectors(model: Model, side: Side) -> Float32[np.ndarray, "entries k"]:
    """The model's vectors scaled to length 1; one of zeros stays as it is."""
    vectors = model.vectors(side)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)

    return vectors / np.maximum(length, np.float32(1e-12))


@runtime_checkable
class Similarity(Protocol):
    """The cosine of items, −1 to 1."""

    def of(self, item: int, others: Int64[np.ndarray, " others"]) -> Float64[np.ndarray, " others"]:
        """The similarity of an item to each of some others."""


class ByVectors:
    """The cosine of the model's item vectors, as in `similar`."""

    def __init__(self, model: Model) -> None:
        self.unit = unit_vectors(model, "item")

    def of(self, item: int, others: Int64[np.ndarray, " others"]) -> Float64[np.ndarray, " others"]:
        """The similarity of an item to each of some others."""
        return (self.unit[others] @ self.unit[item]).astype(np.float64)


class ByFields:
    """The cosine of the values of the items' fields: each value is a coordinate, 1 or 0.

    All fields count but item_id and title. Items without a value are similar to none.

    Raises:
        SettingError: if the items have no such field.
    """

    def __init__(self, model: Model, fields: ItemFields) -> None:
        names = [name for name in fields.names if name not in ONE_VALUE]
        if not names:
            raise SettingError(
                f"diversity needs the similarity of items, and a {type(model).__name__} has no "
                "vectors and its items no fields such as genres; use a model with vectors, such as "
                "autorec or ials."
            )

        n_items = len(fields.table)
        matrix = hstack([_indicators(fields.entries(name), n_items) for name in names], "csr")
        length = np.sqrt(np.asarray(matrix.sum(axis=1)))
        scale = csr_array((1 / np.maximum(length, 1), (np.arange(n_items),) * 2))
        self.unit = csr_array(scale @ matrix)

    def of(self, item: int, others: Int64[np.ndarray, " others"]) -> Float64[np.ndarray, " others"]:
        """The similarity of an item to each of some others."""
        products = self.unit[others] @ self.unit[[item]].T
        return cast(np.ndarray, products.toarray())[:, 0]


def _indicators(entries: pl.DataFrame, n_items: int) -> csr_array:
    """A row per item, and a column per value of a field: 1 where the item has it."""
    values = entries["value"].unique(maintain_order=True)
    column = entries["value"].cast(pl.Enum(values)).to_physical().to_numpy()
    ones = np.ones(len(entries))
    return csr_array((ones, (entries["item"].to_numpy(), column)), shape=(n_items, len(values)))


def item_similarity(model: Model, fields: ItemFields) -> Similarity:
    """How similar a model's items are: by its vectors if it has any, else by their fields.

    Raises:
        SettingError: if there are neither.
        SizeError: if the vectors would take too much memory.
    """
    if model.capabilities.similarity:
        return ByVectors(model)

    return ByFields(model, fields)

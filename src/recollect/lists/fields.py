"""What is known of a model's items, and which of them a term fits."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Bool

from recollect.data.ratings import AnyRatings
from recollect.data.vocab import as_text
from recollect.errors import SettingError, unknown
from recollect.lists.query import Term
from recollect.system.door import words

SEPARATOR = "|"  # between the values of a field of text, as in MovieLens' Action|Comedy
ONE_VALUE = ("item_id", "title")  # fields that never are several values
DATE = r"^\d{4}-\d{2}(-\d{2})?"
COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


class ItemFields:
    """The fields of a catalogue, with a row for each item of the vocabulary.

    Args:
        given: ratings with a catalogue, or without; then the item_id is the only field.
        catalogue: what is known of the items now, in place of that; None: nothing else is.
    """

    def __init__(self, given: AnyRatings, catalogue: pl.DataFrame | None = None) -> None:
        ids = given.items.ids.alias("item_id").to_frame()
        self.table = ids
        if catalogue is None:
            catalogue = given.catalogue

        if catalogue is not None:
            known = catalogue.unique("item_id", keep="first")
            self.table = ids.join(known, on="item_id", how="left", maintain_order="left")

        self._entries: dict[str, pl.DataFrame] = {}

    @cached_property
    def names(self) -> list[str]:
        """The names of the fields."""
        return self.table.columns

    def name_of(self, wanted: str) -> str:
        """The field of a name; upper and lower case and a final s do not matter.

        Raises:
            SettingError: if there is none; it names those that there are.
        """
        if wanted in self.names:
            return wanted

        for name in self.names:
            if _stem(name) == _stem(wanted):
                return name

        if len(self.names) > 1:
            raise unknown("field of the items", wanted, self.names)

        how = words("recollect.with_items(ratings, table)", "recollect train … --items FILE")
        raise SettingError(
            f"There is no field {wanted!r}: this model knows nothing of its items but their "
            f"item_id. Give it a table of them before the fit: {how}."
        )

    def entries(self, name: str) -> pl.DataFrame:
        """Every value of a field, as text: columns item (a row number) and value, no nulls.

        An item has several if the field is a list, or text with "|" between its parts.
        """
        if name not in self._entries:
            column = self.table[name]
            frame = pl.DataFrame({"item": np.arange(len(column)), "value": column})
            if isinstance(column.dtype, pl.List | pl.Array):
                frame = frame.explode("value")

            text = as_text(frame["value"]).alias("value")
            if column.dtype == pl.String and name not in ONE_VALUE:
                text = text.str.split(SEPARATOR)

            frame = frame.with_columns(text)
            if text.dtype == pl.List:
                frame = frame.explode("value")

            value = pl.col("value").str.strip_chars()
            self._entries[name] = (
                frame.with_columns(value).filter(value != "").unique(maintain_order=True)
            )

        return self._entries[name]

    def fits(self, term: Term) -> Bool[np.ndarray, " n_items"]:
        """Which items a term fits. An item of which the field is unknown fits only a negated one.

        Raises:
            SettingError: for an unknown field, or one that cannot be compared with the value.
        """
        name = self.name_of(term.field)
        if term.sign in COMPARE:
            is_fit = _compared(self.table[name], term)
        else:
            is_fit = self._has_value(name, term)

        return ~is_fit if term.negated else is_fit

    def _has_value(self, name: str, term: Term) -> Bool[np.ndarray, " n_items"]:
        """The items that have one of the values (`:`), or that and no other one (`=`)."""
        entries = self.entries(name)
        wanted = list(term.values)
        value = pl.col("value")
        is_equal = value.is_in(wanted)
        if term.sign == ":":
            is_equal = value.str.to_lowercase().is_in([text.lower() for text in wanted])

        # 1990 and 1990.0 are the same number.
        numbers = [number for text in wanted if (number := _number(text)) is not None]
        is_equal |= value.cast(pl.Float64, strict=False).is_in(numbers)

        found = entries.filter(is_equal)["item"].to_numpy()
        fits = np.zeros(len(self.table), bool)
        fits[found] = True
        if term.sign == "=":
            fits &= np.bincount(entries["item"].to_numpy(), minlength=len(fits)) == 1

        return fits

    def describe(self, term: Term) -> str:
        """What values the field of a term has, for a message: from where to where, or the usual."""
        name = self.name_of(term.field)
        counted = self.entries(name)["value"].value_counts(sort=True)
        values = counted.sort("count", "value", descending=[True, False])["value"]
        if term.sign in COMPARE and len(values):
            lowest, highest = _ends(values)
            return f"{name} is from {lowest} to {highest}"

        listed = ", ".join(map(repr, values.head(5))) or "none"

        return f"The most frequent values of {name} are {listed}"


def _ends(values: pl.Series) -> tuple[str, str]:
    """The lowest and the highest of some values: of the numbers or, without any, as text."""
    numbers = values.cast(pl.Float64, strict=False)
    if numbers.null_count() == len(numbers):
        return str(values.min()), str(values.max())

    is_number = numbers.is_not_null()
    in_order = values.filter(is_number).gather(numbers.filter(is_number).arg_sort())

    return in_order[0], in_order[-1]


def _stem(name: str) -> str:
    return name.lower().removesuffix("s")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _compared(column: pl.Series, term: Term) -> Bool[np.ndarray, " n_items"]:
    """The items whose number or date compares with the value of a term as it says.

    A date is compared as far as it is stated: of 2003-07-01, with 2003-07, the first seven letters.

    Raises:
        SettingError: if the field has several values an item, or neither side is a number or date.
    """
    value = term.values[0]
    if column.dtype.is_nested():
        raise SettingError(
            f"{term.text!r} compares a field of several values; ask for one of them: "
            f"{term.field}:value."
        )

    text = as_text(column).str.strip_chars()
    numbers = _numbers(column, text)
    has_dates = bool(text.str.contains(DATE).any())
    bound: float | str | None = _number(value)
    left: pl.Series = numbers
    if re.match(DATE, value) or (has_dates and numbers.null_count() == len(numbers)):
        left = text.set(~text.str.contains(DATE).fill_null(False), None).str.slice(0, len(value))
        bound = value

    if bound is None or (left.null_count() == len(left) and text.null_count() < len(text)):
        examples = ", ".join(map(repr, text.drop_nulls().unique(maintain_order=True).head(3)))
        raise SettingError(
            f"{term.text!r} compares numbers or dates (2003-07-01); {term.field} has such values "
            f"as {examples}."
        )

    return COMPARE[term.sign](left, bound).fill_null(False).to_numpy()


def _numbers(column: pl.Series, text: pl.Series) -> pl.Series:
    """The numbers of a column; null where there is none, or a NaN."""
    if column.dtype.is_temporal():
        return pl.Series([None] * len(column), dtype=pl.Float64)

    numeric = column if column.dtype.is_numeric() else text
    return numeric.cast(pl.Float64, strict=False).fill_nan(None)

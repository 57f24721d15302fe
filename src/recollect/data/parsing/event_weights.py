"""Kinds of events (view, like, purchase) as numbers: what each of them counts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from recollect.data.parsing.values import Locate
from recollect.data.vocab import as_text
from recollect.errors import DataError, SettingError
from recollect.system.door import words

LISTED = 8  # kinds that a message names


class EventWeights:
    """What an event of each kind counts; a kind of weight 0 is left out and counted in `notes`.

    Args:
        weights: by kind.

    Raises:
        SettingError: if there is none above 0, or one is no number of at least 0.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        self.weights = dict(weights)
        self.n_left_out: dict[str, int] = {}
        for kind, weight in self.weights.items():
            is_number = isinstance(weight, int | float) and not isinstance(weight, bool)
            if not is_number or not 0 <= weight < np.inf:
                raise SettingError(
                    f"The weight of an event of kind {kind!r} is a number of at least 0, found "
                    f"{weight!r}."
                )

        if not any(self.weights.values()):
            example = words('{"view": 1, "purchase": 5}', "view=1,purchase=5")
            raise SettingError(f"No kind of event has a weight above 0; state some: {example}.")

    def weigh(self, frame: pl.DataFrame, locate: Locate) -> tuple[pl.DataFrame, Locate]:
        """A block whose kinds of events, in the column "rating", are replaced by their weights.

        Args:
            frame: the block.
            locate: says where a row stands.

        Raises:
            DataError: at the first kind without a weight.
        """
        kind = as_text(frame["rating"]).str.strip_chars()
        weight = kind.replace_strict(self.weights, default=None, return_dtype=pl.Float64)
        if weight.null_count():
            row = int(weight.is_null().arg_max() or 0)
            stated = ", ".join(list(self.weights)[:LISTED])
            raise DataError(
                f"{locate(row)}: the kind of event is {kind[row]!r}, which has no weight; weights "
                f"are stated of {stated}. State one for it, too: 0 leaves such events out."
            )

        left_out = kind.filter(weight == 0)
        for name, n in left_out.value_counts().iter_rows():
            self.n_left_out[name] = self.n_left_out.get(name, 0) + n

        kept = (weight > 0).arg_true().to_numpy()

        return (
            frame.with_columns(rating=weight)[kept],
            lambda row: locate(int(kept[row])),
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What kinds count, and how many events were left out, a sentence each."""
        counted = ", ".join(f"{kind} {weight:g}" for kind, weight in self.weights.items() if weight)
        left_out = (
            f"{n:,} events of kind {kind!r} have weight 0 and are left out."
            for kind, n in self.n_left_out.items()
        )
        return (f"Events count by their kind: {counted}.", *left_out)


def weights_of(text: str) -> dict[str, float]:
    """The weights that a text states: view=1,like=3,purchase=5.

    Raises:
        SettingError: if it is not of this form, or a kind stands twice.
    """
    weights: dict[str, float] = {}

    for part in text.split(","):
        kind, equals, weight = (piece.strip() for piece in part.rpartition("="))
        try:
            number = float(weight)
        except ValueError:
            equals = ""

        if not equals or not kind or kind in weights:
            raise SettingError(
                f"--event-weights takes a weight for each kind of event, such as "
                f"view=1,like=3,purchase=5; found {text!r}."
            )

        weights[kind] = number

    return weights

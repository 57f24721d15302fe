"""The items that may be listed: those of `items`, not of `exclude`, that fit all terms."""

from __future__ import annotations

import numpy as np
import polars as pl
from jaxtyping import Bool
from polars.exceptions import PolarsError

from recollect.data.from_objects import ids_in
from recollect.data.tables import read_ids
from recollect.errors import DataError, SettingError, warn
from recollect.lists.fields import ItemFields
from recollect.lists.wishes import Wishes, is_path
from recollect.model import Model
from recollect.request import a_few, excluded_items
from recollect.system.door import words
from recollect.unseen import flags_of

Condition = tuple[str, Bool[np.ndarray, " n_items"]]  # what it says, and the items it leaves


def excluded_by(model: Model, wishes: Wishes, fields: ItemFields) -> Bool[np.ndarray, " n_items"]:
    """Which items are no candidates, whoever the user is.

    Warns of candidates and excluded ids that the model does not know.

    Args:
        model: a fitted model.
        wishes: what was asked for.
        fields: of the model's items.

    Raises:
        SettingError: for an unknown field or a condition that cannot be read.
        DataError: if no item is left; it says how many each condition leaves.
    """
    conditions = _conditions(model, wishes, fields)
    known = model.known_items()
    left = known.copy()
    for _, fits in conditions:
        left &= fits

    if conditions and not left.any():
        raise DataError(_nothing_fits(conditions, known, fields, wishes))

    # Without a condition nothing is excluded: items that nobody rated are never ranked anyway.
    return ~left if conditions else np.zeros(len(known), bool)


def _conditions(model: Model, wishes: Wishes, fields: ItemFields) -> list[Condition]:
    conditions: list[Condition] = []
    if wishes.items is not None:
        allowed = ~excluded_items(model, wishes.items)
        conditions.append((words("items", "--items"), allowed))

    if wishes.exclude is not None:
        conditions.append((words("exclude", "--exclude"), ~_denied(model, wishes)))

    if isinstance(wishes.where, pl.Expr):
        conditions.append((f"where {wishes.where}", _true_of(wishes.where, fields)))

    conditions += [(term.text, fields.fits(term)) for term in wishes.terms]

    return conditions


def _denied(model: Model, wishes: Wishes) -> Bool[np.ndarray, " n_items"]:
    """The items of `exclude`; ids that the model does not know are warned of."""
    vocab = model.given_.items
    if is_path(wishes.exclude):
        ids = read_ids(wishes.exclude, "item", like=model.given_)["item_id"]
    else:
        ids = ids_in("exclude", wishes.exclude)

    row = vocab.rows(ids)
    is_known = flags_of(model.known_items(), row)
    if not is_known.all():
        left_out = ids.filter(pl.Series(~is_known))
        warn(
            f"{len(left_out):,} of {len(ids):,} excluded items have no ratings in this model and "
            f"would not be recommended anyway: {a_few(left_out)}."
        )

    denied = np.zeros(len(vocab), bool)
    denied[row[is_known]] = True

    return denied


def _true_of(expression: pl.Expr, fields: ItemFields) -> Bool[np.ndarray, " n_items"]:
    """The items of which a Polars expression over the catalogue is true.

    Raises:
        SettingError: if it cannot be evaluated, or does not say yes or no of each item.
    """
    try:
        answer = fields.table.select(expression)
    except PolarsError as problem:
        first_line = str(problem).partition("\n")[0]
        raise SettingError(
            f"where={expression} cannot be evaluated ({first_line}); the items have the columns "
            f"{', '.join(fields.names)}."
        ) from problem

    is_one = answer.width == 1 and len(answer) == len(fields.table)
    if not is_one or answer.dtypes[0] != pl.Boolean:
        found = ", ".join(map(str, answer.dtypes))
        raise SettingError(
            f"where={expression} is {len(answer):,} × {found}; expected one Boolean for each of "
            f'the {len(fields.table):,} items, such as pl.col("year") >= 1990.'
        )

    return answer.to_series().fill_null(False).to_numpy()


def _nothing_fits(
    conditions: list[Condition],
    known: Bool[np.ndarray, " n_items"],
    fields: ItemFields,
    wishes: Wishes,
) -> str:
    """What to say where no item is left: how many each condition leaves.

    Args:
        conditions: all of them.
        known: the items that could be recommended.
        fields: of the items.
        wishes: what was asked for.
    """
    left = [f"{text} leaves {int((fits & known).sum()):,}" for text, fits in conditions]
    each = ", ".join(left)
    message = f"No item is left to recommend: of {known.sum():,} items, {each}"
    if len(conditions) > 1:
        message += ", and all together none"

    for term in wishes.terms:
        if not (fields.fits(term) & known).any():
            message += f". {fields.describe(term)}"

    return f"{message}. Leave out a condition, or change it."

"""What the verbs share that ask a saved model: its folder, further items, where the answer goes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import recollect as rc
from recollect.errors import SettingError

RunFolder = Annotated[
    Path,
    typer.Argument(
        metavar="RUN",
        show_default=False,
        help="The folder of a saved model.",
    ),
]
HowMany = Annotated[int, typer.Option("-n", help="How many to show.")]
OutFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Write the answer to this file (.parquet or .csv) instead of showing it.",
    ),
]
NewItems = Annotated[
    Path | None,
    typer.Option(
        "--new-items",
        metavar="FILE",
        help="Texts of items that the model does not know, for a model that reads texts.",
    ),
]

RankBy = Annotated[
    str | None,
    typer.Option(
        "--rank-by",
        metavar="both|rating",
        show_default=False,
        help="Order by both, whether someone will choose an item and whether they will like it "
        "(default of models of ratings), or by the predicted rating alone.",
    ),
]


def load_model(run: Path, new_items: Path | None, trust: list[str] | None) -> rc.Model:
    """The saved model, with further items if there are texts of them.

    Args:
        run: the folder of the model.
        new_items: a file of texts; None: none.
        trust: models from outside the package that may be loaded, by name; None: none.

    Raises:
        CheckpointError: if there is no model, or it is damaged.
        SettingError: if there are texts, and the model reads none.
    """
    model = rc.load_model(run, trusted=trust or ())
    if new_items is None:
        return model

    from recollect.families.text_model import TextModel

    if not isinstance(model, TextModel):
        raise SettingError(
            f"{run} holds a {type(model).__name__}, which reads no texts and knows items by their "
            "ratings only; leave --new-items out."
        )

    return model.with_items(new_items)

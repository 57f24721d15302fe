"""The verb explain: what a model of texts has learned, and why it predicts what it predicts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import RenderableType

import recollect as rc
from recollect.cli.options.asking import RunFolder
from recollect.cli.options.trust import Trust
from recollect.cli.output.screen import Answer, Screen
from recollect.cli.output.tables import facts, table
from recollect.errors import DataError, SettingError

PHRASE = "A phrase"
ITEM = "An item and a user"
N_FILTERS = 5  # default of --filters
N_FILTER_PHRASES = 5  # default of -n for a filter
N_TEXT_PHRASES = 10  # default of -n for a text


@dataclass(frozen=True)
class Phrase:
    """A phrase whose activations are shown."""

    phrase: Annotated[
        str | None,
        typer.Option(
            metavar="WORDS",
            help="Show the filters that respond most to this phrase, or those of --filter.",
            rich_help_panel=PHRASE,
        ),
    ] = None
    word: Annotated[
        str | None, typer.Option(help="Replace this word of it …", rich_help_panel=PHRASE)
    ] = None
    others: Annotated[
        str | None,
        typer.Option(
            metavar="WORD,WORD",
            help="… by each of these.",
            rich_help_panel=PHRASE,
        ),
    ] = None

    @property
    def is_given(self) -> bool:
        """Whether any of the options is given."""
        values = vars(self).values()
        return any(value is not None for value in values)


@dataclass(frozen=True)
class Item:
    """A prediction, whose text is explained."""

    user: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="A user the model knows.",
            rich_help_panel=ITEM,
        ),
    ] = None
    item: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="An item with a text: what in it counts for the prediction, and what against?",
            rich_help_panel=ITEM,
        ),
    ] = None
    new_text: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The same for a new item, whose text is in this file.",
            rich_help_panel=ITEM,
        ),
    ] = None
    width: Annotated[
        int | None,
        typer.Option(
            metavar="WORDS",
            help="How many words are left out at a time.",
            show_default=False,
            rich_help_panel=ITEM,
        ),
    ] = None

    @property
    def is_given(self) -> bool:
        """Whether any of the options is given."""
        values = vars(self).values()
        return any(value is not None for value in values)


def explain(
    screen: Screen,
    run: RunFolder,
    phrase: Phrase,
    item: Item,
    filters: Annotated[int | None, typer.Option(metavar="N", help="How many filters; 5.")] = None,
    only: Annotated[
        list[int] | None,
        typer.Option(
            "--filter",
            metavar="NUMBER",
            show_default=False,
            help="This filter; may be repeated.",
        ),
    ] = None,
    n: Annotated[
        int | None,
        typer.Option("-n", help="How many phrases; 5 of a filter, 10 of a text."),
    ] = None,
    figure: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw it, too: .png, .svg or .pdf (extra plot)."),
    ] = None,
    trust: Trust = None,
) -> Answer:
    """Explain a model of texts: the phrases that its filters respond to most, how an activation
    changes with a word, and what phrases of an item's text contribute to a prediction.
    """
    _check(
        phrase,
        item,
        filters=filters,
        only=only,
        n=n,
    )

    if figure is not None:
        from recollect.report import check

        check(figure)

    model = rc.load_model(run, trusted=trust or ())
    n_filters = N_FILTERS if filters is None else filters
    if item.is_given:
        return _of_text(model, item, n=N_TEXT_PHRASES if n is None else n, figure=figure)

    if phrase.is_given:
        return _of_phrase(model, phrase, only, n=n_filters, figure=figure)

    n_phrases = N_FILTER_PHRASES if n is None else n

    return _of_filters(
        model,
        only,
        n=n_filters,
        phrases=n_phrases,
        figure=figure,
    )


def _check(
    phrase: Phrase, item: Item, *, filters: int | None, only: list[int] | None, n: int | None
) -> None:
    """Refuse options that do not go together.

    Raises:
        SettingError: saying which do.
    """
    if item.is_given and (phrase.is_given or only or filters is not None):
        raise SettingError(
            "Filters and phrases are the same for all users; leave out either --filters, --filter "
            "and --phrase, or --user, --item, --new-text and --width."
        )

    has_one_text = (item.item is None) != (item.new_text is None)
    if item.is_given and (item.user is None or not has_one_text):
        raise SettingError(
            "A text is explained for an item and a user: --user ID with --item ID or with "
            "--new-text FILE."
        )

    has_half_a_swap = (phrase.word is None) != (phrase.others is None)
    if phrase.is_given and (phrase.phrase is None or has_half_a_swap):
        raise SettingError(
            "To replace a word of a phrase give all three, such as "
            '--phrase "people trust the man" --word trust --others believe,faith.'
        )

    if filters is not None and (only or phrase.word is not None):
        raise SettingError(
            "--filters is how many of the filters that respond most; it goes without --filter and "
            "--word."
        )

    if n is not None and phrase.is_given:
        raise SettingError(
            "-n is how many phrases are shown, and --phrase names one; leave out -n."
        )


def _of_filters(
    model: Any, only: list[int] | None, *, n: int, phrases: int, figure: Path | None
) -> Answer:
    """The phrases that filters respond to most, a table for each filter."""
    listed = rc.explain.filters(
        model,
        n=n,
        only=only or None,
        phrases=phrases,
    )
    columns = [name for name in listed.columns if name not in ("filter", "window")]
    shown: list[RenderableType] = []

    for (number, window), rows in listed.group_by("filter", "window", maintain_order=True):
        title = f"Filter {number}, over {window} words"
        shown.append(table(columns, rows.select(columns).rows(), title=title))

    if not shown:
        shown.append("No filter responds to any phrase.")

    shown += _bars(listed, figure, "Phrases that filters respond to most")

    return Answer({"filters": listed.to_dicts(), "figure": figure}, shown)


def _of_phrase(
    model: Any, phrase: Phrase, only: list[int] | None, *, n: int, figure: Path | None
) -> Answer:
    """The activations of filters for a phrase, or of one filter with a word replaced."""
    assert phrase.phrase is not None
    if phrase.word is None or phrase.others is None:
        rows = rc.explain.activations(model, phrase.phrase, n=n, only=only or None)
    elif only and len(only) > 1:
        numbers = ", ".join(map(str, only))
        raise SettingError(
            f"A word is replaced for one filter, found --filter {numbers}; run it for each."
        )
    else:
        rows = rc.explain.swap_words(
            model,
            phrase.phrase,
            phrase.word,
            phrase.others.split(","),
            filter=only[0] if only else None,
        )

    drawn = _bars(rows, figure, "Activations of filters")
    shown: list[RenderableType] = [table(rows.columns, rows.rows()), *drawn]

    return Answer({"answers": rows.to_dicts(), "figure": figure}, shown)


def _bars(rows: Any, figure: Path | None, title: str) -> list[str]:
    """Draw activations as bars, if a file is given; the line that says so."""
    if figure is None:
        return []
    from recollect.report.phrases import bars

    return [f"Drawn in {bars(rows, figure, title=title)}."]


def _of_text(model: Any, item: Item, *, n: int, figure: Path | None) -> Answer:
    """The parts of a prediction, and what the phrases of the text contribute."""
    text = None if item.new_text is None else _read(item.new_text)
    parts = rc.explain.contributions(
        model,
        user_id=item.user,
        item_id=item.item,
        text=text,
        width=item.width,
    )
    phrases = parts.table(n)
    words = parts.by_word()
    title = f"{_title(model, item)}, for user {parts.user_id}"
    shown = [title, *_summands_and_phrases(parts, phrases)]
    if figure is not None:
        from recollect.report.phrases import colored_text

        path = colored_text(words, figure, title=title, subtitle=_equation(parts))
        shown.append(f"Drawn in {path}.")

    fields = ("user_id", "item_id", "prediction", "base", "text", "ratings", "width")
    data = {name: getattr(parts, name) for name in fields}
    tables = {"phrases": phrases.to_dicts(), "words": words.to_dicts()}

    return Answer({**data, **tables, "figure": figure}, shown)


def _summands_and_phrases(parts: Any, phrases: Any) -> list[RenderableType]:
    """The summands of a prediction, and a table of what phrases contribute to it."""
    summands = {
        "predicted": parts.prediction,
        "mean and user": parts.base,
        "text": parts.text,
        "ratings": parts.ratings,
    }

    return [
        facts(summands),
        "",
        "Phrases of the text that count for it and, below 0, against it:",
        table(phrases.columns, phrases.rows()),
    ]


def _equation(parts: Any) -> str:
    """The prediction as the sum of its parts."""
    return (
        f"predicted {parts.prediction:.2f} = {parts.base:.2f} (mean and user) "
        f"{_signed(parts.text)} (text) {_signed(parts.ratings)} (ratings)"
    )


def _signed(part: float) -> str:
    sign = "−" if part < 0 else "+"
    return f"{sign} {abs(part):.2f}"


def _title(model: Any, item: Item) -> str:
    """The item's title and id, or the name of the file of a new text."""
    if item.item is None:
        return str(item.new_text)
    title = model.given_.titles([item.item])[0]
    return item.item if title is None else f"{title} ({item.item})"


def _read(path: Path) -> str:
    """The text in a file.

    Raises:
        DataError: if it is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as problem:
        raise DataError(
            f"{path} is no text in UTF-8 ({problem.reason}); save it as UTF-8."
        ) from problem

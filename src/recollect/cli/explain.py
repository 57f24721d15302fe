"""The verb that looks inside a model of texts: explain."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import RenderableType

from recollect.cli.options.asking import RunFolder
from recollect.cli.output.screen import Answer, Screen
from recollect.cli.output.tables import facts, table
from recollect.errors import DataError, SettingError

PHRASE, ITEM = "A phrase", "An item and a user"
FILTERS = 5  # unless --filters says how many
OF_A_FILTER, OF_A_TEXT = 5, 10  # phrases, unless -n says how many


@dataclass(frozen=True)
class Phrase:
    """A phrase to ask the filters about."""

    phrase: Annotated[
        str | None,
        typer.Option(
            metavar="WORDS",
            help="Ask the filters that answer most to this phrase, or those of --filter.",
            rich_help_panel=PHRASE,
        ),
    ] = None
    word: Annotated[
        str | None, typer.Option(help="Exchange this word of it …", rich_help_panel=PHRASE)
    ] = None
    others: Annotated[
        str | None,
        typer.Option(metavar="WORD,WORD", help="… for each of these.", rich_help_panel=PHRASE),
    ] = None


@dataclass(frozen=True)
class Item:
    """A prediction to ask a text about."""

    user: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Someone the model knows.", rich_help_panel=ITEM),
    ] = None
    item: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="An item with a text: what of it spoke for the prediction, and what against?",
            rich_help_panel=ITEM,
        ),
    ] = None
    new_text: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The same of something new, whose text this file has.",
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


def explain(
    screen: Screen,
    run: RunFolder,
    phrase: Phrase,
    item: Item,
    filters: Annotated[
        int | None, typer.Option(metavar="N", help="How many filters; 5, if not stated.")
    ] = None,
    only: Annotated[
        list[int] | None,
        typer.Option(
            "--filter", metavar="NUMBER", show_default=False, help="This filter; may be repeated."
        ),
    ] = None,
    n: Annotated[
        int | None,
        typer.Option("-n", help="How many phrases; 5 of a filter, 10 of a text, if not stated."),
    ] = None,
    figure: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw it, too: .png, .svg or .pdf (extra plot)."),
    ] = None,
) -> Answer:
    """Look inside a model of texts: the phrases that its filters answer to most; what changes with a word; what in the text of
    an item spoke for the prediction for a user."""
    from recollect import checkpoint

    asked = _asked(phrase, item, filters=filters, only=only, n=n)
    if figure is not None:
        from recollect.report import check

        check(figure)
    model = checkpoint.load(run)
    if asked == "item":
        return _of_text(model, item, n=OF_A_TEXT if n is None else n, figure=figure)
    if asked == "phrase":
        return _of_phrase(
            model, phrase, only, n=FILTERS if filters is None else filters, figure=figure
        )
    return _of_filters(
        model,
        only,
        n=FILTERS if filters is None else filters,
        phrases=OF_A_FILTER if n is None else n,
        figure=figure,
    )


def _asked(
    phrase: Phrase, item: Item, *, filters: int | None, only: list[int] | None, n: int | None
) -> str:
    """What is to be explained: filters, a phrase or an item.

    Raises: SettingError if that is not clear.
    """
    of_phrase, of_item = (
        any(value is not None for value in vars(options).values()) for options in (phrase, item)
    )
    if of_item and (of_phrase or only or filters is not None):
        raise SettingError(
            "Filters and phrases are the same for all users; leave out either --filters, --filter and --phrase, "
            "or --user, --item, --new-text and --width."
        )
    if of_item and (item.user is None or (item.item is None) == (item.new_text is None)):
        raise SettingError(
            "What a text says is said of something to someone: --user ID with --item ID or with --new-text FILE."
        )
    if of_phrase and (phrase.phrase is None or (phrase.word is None) != (phrase.others is None)):
        raise SettingError(
            'A word is exchanged in a phrase for others, all three stated: --phrase "people trust the man" '
            "--word trust --others believe,faith."
        )
    if filters is not None and (only or phrase.word is not None):
        raise SettingError(
            "--filters is how many of those that answer most; it goes without --filter and --word."
        )
    if n is not None and of_phrase:
        raise SettingError(
            "-n is how many phrases are shown, and --phrase names one; leave out -n."
        )
    return "item" if of_item else "phrase" if of_phrase else "filters"


def _of_filters(
    model: Any, only: list[int] | None, *, n: int, phrases: int, figure: Path | None
) -> Answer:
    from recollect.explain import filters

    frame = filters(model, n=n, only=only or None, phrases=phrases)
    names = [name for name in frame.columns if name not in ("filter", "window")]
    shown: list[RenderableType] = [
        table(names, part.select(names).rows(), title=f"Filter {number}, over {window} words")
        for (number, window), part in frame.group_by("filter", "window", maintain_order=True)
    ]
    drawn = _bars(frame, figure, "Phrases that filters answer to most")
    return Answer(
        {"filters": frame.to_dicts(), "figure": figure},
        [*(shown or ["No filter answers to any phrase."]), *drawn],
    )


def _of_phrase(
    model: Any, phrase: Phrase, only: list[int] | None, *, n: int, figure: Path | None
) -> Answer:
    from recollect.explain import answers, exchanged

    assert phrase.phrase is not None
    if phrase.word is None or phrase.others is None:
        frame = answers(model, phrase.phrase, n=n, only=only or None)
    elif only and len(only) > 1:
        raise SettingError(
            f"A word is exchanged for one filter, found --filter {', '.join(map(str, only))}; ask for each."
        )
    else:
        frame = exchanged(
            model,
            phrase.phrase,
            phrase.word,
            phrase.others.split(","),
            filter=only[0] if only else None,
        )
    drawn = _bars(frame, figure, "What filters answer")
    return Answer(
        {"answers": frame.to_dicts(), "figure": figure},
        [table(frame.columns, frame.rows()), *drawn],
    )


def _bars(frame: Any, figure: Path | None, title: str) -> list[str]:
    if figure is None:
        return []
    from recollect.report.phrases import bars

    return [f"Drawn in {bars(frame, figure, title=title)}."]


def _of_text(model: Any, item: Item, *, n: int, figure: Path | None) -> Answer:
    from recollect.explain import spoken_for

    text = None if item.new_text is None else _read(item.new_text)
    spoken = spoken_for(model, user_id=item.user, item_id=item.item, text=text, width=item.width)
    phrases, words = spoken.table(n), spoken.by_word()
    title = f"{_named(model, item)}, for user {spoken.user_id}"
    shown: list[RenderableType] = [
        title,
        facts(
            {
                "predicted": spoken.prediction,
                "whatever the item": spoken.base,
                "by its text": spoken.text,
                "by its ratings": spoken.ratings,
            }
        ),
        "",
        "What of the text spoke for it and, below 0, against it:",
        table(phrases.columns, phrases.rows()),
    ]
    if figure is not None:
        from recollect.report import phrases as pictures

        below = (
            f"predicted {spoken.prediction:.2f} = {spoken.base:.2f} whatever the item {_added(spoken.text)} by its text "
            f"{_added(spoken.ratings)} by its ratings"
        )
        shown.append(f"Drawn in {pictures.text(words, figure, title=title, below=below)}.")
    return Answer(
        {
            "user_id": spoken.user_id,
            "item_id": spoken.item_id,
            "prediction": spoken.prediction,
            "base": spoken.base,
            "text": spoken.text,
            "ratings": spoken.ratings,
            "width": spoken.width,
            "phrases": phrases.to_dicts(),
            "words": words.to_dicts(),
            "figure": figure,
        },
        shown,
    )


def _added(part: float) -> str:
    return f"{'−' if part < 0 else '+'} {abs(part):.2f}"


def _named(model: Any, item: Item) -> str:
    if item.item is None:
        return str(item.new_text)
    title = model.given_.titles([item.item])[0]
    return item.item if title is None else f"{title} ({item.item})"


def _read(path: Path) -> str:
    """What a file says.

    Raises: DataError if it is no text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as problem:
        raise DataError(
            f"{path} is no text in UTF-8 ({problem.reason}); write it as such."
        ) from problem

"""Options for the titles and texts of items, and what `data describe` shows of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import RenderableType

import recollect as rc
from recollect.cli.options.settings import settings_of
from recollect.cli.output.tables import facts
from recollect.errors import SettingError

PANEL = "Items"


@dataclass(frozen=True)
class Texts:
    """The titles and texts of the items, and how texts become words."""

    items: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A table of the items with their titles and other fields, which lists then show.",
            rich_help_panel=PANEL,
        ),
    ] = None
    text: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A document for each item: lines of id::text, CSV, JSON lines, Parquet.",
            rich_help_panel=PANEL,
        ),
    ] = None
    join: Annotated[
        bool,
        typer.Option(
            "--join",
            help="Join several documents of an item, such as reviews.",
            rich_help_panel=PANEL,
        ),
    ] = False
    vectors: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Vectors of words: GloVe, word2vec, fastText; or sentence-transformers:NAME.",
            rich_help_panel=PANEL,
        ),
    ] = None
    words: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Size of the vocabulary; 8000.",
            rich_help_panel=PANEL,
        ),
    ] = None
    reading: Annotated[
        list[str] | None,
        typer.Option(
            "--reading",
            metavar="KEY=VALUE",
            show_default=False,
            rich_help_panel=PANEL,
            help="How a document becomes words, such as first=100; may be repeated.",
        ),
    ] = None

    def tokenizer(self) -> rc.Tokenizer:
        """How documents become words.

        Raises:
            SettingError: for a key or value that a tokenizer does not have, or for options without
                --text.
        """
        from recollect.data.text.tokenizer import tokenizer_of

        fields = settings_of(self.reading or (), option="--reading")
        if self.words is not None and "n_words" in fields:
            raise SettingError(
                f"--words {self.words} and --reading n_words={fields['n_words']} are the same; "
                "leave one out."
            )

        of_texts = (self.join, self.vectors, self.words, self.reading)
        if any(of_texts) and self.text is None:
            raise SettingError(
                "--vectors, --words, --reading and --join are about texts; name their file with "
                "--text."
            )

        if self.words is not None:
            fields = {**fields, "n_words": self.words}

        return tokenizer_of(fields)

    def attach(self, ratings: Any) -> Any:
        """The ratings with these items and texts; without --items and --text unchanged.

        Raises:
            SettingError: as `tokenizer`.
            DataError: as `with_items` and `with_texts`.
        """
        tokenizer = self.tokenizer()
        if self.items is not None:
            from recollect.data.with_items import with_items

            ratings = with_items(ratings, self.items)

        if self.text is None:
            return ratings

        from recollect.data.with_texts import with_texts

        return with_texts(
            ratings,
            self.text,
            tokenizer=tokenizer,
            vectors=self.vectors,
            join=self.join,
        )


def describe_texts(text: rc.Corpus) -> dict[str, Any]:
    """Sizes, lengths and vectors of texts, for --json."""
    import numpy as np

    length = text.length[text.has]
    vectors = None
    if text.vectors is not None:
        vectors = {
            "name": text.vectors.name,
            "d": text.vectors.d,
            "found": float(text.vectors.found.mean()),
        }

    return {
        "items": len(text),
        "documents": int(text.has.sum()),
        "words": text.n_words,
        "length": {
            "mean": float(length.mean()),
            "median": float(np.median(length)),
            "longest": int(length.max()),
        },
        "out_of_vocabulary": text.out_of_vocabulary,
        "reading": vars(text.tokenizer),
        "fingerprint": text.fingerprint,
        "vectors": vectors,
    }


def texts_table(data: dict[str, Any]) -> RenderableType:
    """What `describe_texts` returns as a table for the screen."""
    length = data["length"]
    rows = {
        "documents with words": f"{data['documents']:,} of {data['items']:,} items",
        "words kept": data["words"],
        "words a document": (
            f"{length['mean']:.1f} on average, median {length['median']:g}, "
            f"longest {length['longest']:,}"
        ),
        "out of vocabulary": (
            f"{data['out_of_vocabulary']:.1%} of the documents' words, stop words aside"
        ),
    }
    vectors = data["vectors"]
    if vectors:
        rows["vectors"] = (
            f"{vectors['name']}, {vectors['d']} numbers each; {vectors['found']:.1%} of the words "
            "found"
        )

    return facts(rows, title="texts")

"""How the texts of items come in at the command line, and what they are."""

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

PANEL = "Texts of items"


@dataclass(frozen=True)
class Texts:
    """The texts of the items, and how they are read."""

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
            help="Several documents of an item are one, such as reviews.",
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
            metavar="N", help="How many words to keep; 8000, if not stated.", rich_help_panel=PANEL
        ),
    ] = None
    reading: Annotated[
        list[str] | None,
        typer.Option(
            "--reading",
            metavar="KEY=VALUE",
            show_default=False,
            rich_help_panel=PANEL,
            help="How a document becomes words, such as first=100; repeat it for more.",
        ),
    ] = None

    @property
    def are_stated(self) -> bool:
        """Whether anything was."""
        return any(vars(self).values())

    def read_as(self) -> rc.Tokenizer:
        """How documents are read.

        Raises: SettingError for a key or value that a reading does not have, or for options without --text.
        """
        from recollect.data.text.tokenizer import tokenizer_of

        given = settings_of(self.reading or (), option="--reading")
        if self.words is not None and "n_words" in given:
            raise SettingError(
                f"--words {self.words} and --reading n_words={given['n_words']} are the same; leave one out."
            )
        if self.are_stated and self.text is None:
            raise SettingError(
                "--vectors, --words, --reading and --join are about texts; name their file with --text."
            )
        return tokenizer_of(given if self.words is None else {**given, "n_words": self.words})

    def taken(self, ratings: Any) -> Any:
        """The ratings with these texts; as they are, if none were stated.

        Raises: as `read_as` and `with_texts`.
        """
        reading = self.read_as()
        if self.text is None:
            return ratings
        from recollect.data.with_texts import with_texts

        return with_texts(
            ratings, self.text, tokenizer=reading, vectors=self.vectors, join=self.join
        )


def summary(text: rc.Corpus) -> dict[str, Any]:
    """What the texts are, in figures."""
    import numpy as np

    length = text.length[text.has]
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
        "vectors": {
            "name": text.vectors.name,
            "d": text.vectors.d,
            "found": float(text.vectors.found.mean()),
        }
        if text.vectors
        else None,
    }


def told(found: dict[str, Any]) -> RenderableType:
    """The same for people."""
    length, vectors = found["length"], found["vectors"]
    return facts(
        {
            "documents with words": f"{found['documents']:,} of {found['items']:,} items",
            "words kept": found["words"],
            "words a document": f"{length['mean']:.1f} on average, median {length['median']:g}, longest {length['longest']:,}",
            "out of vocabulary": f"{found['out_of_vocabulary']:.1%} of the documents' words, stop words aside",
            **(
                {
                    "vectors": f"{vectors['name']}, {vectors['d']} numbers each; {vectors['found']:.1%} of the words found"
                }
                if vectors
                else {}
            ),
        },
        title="texts",
    )

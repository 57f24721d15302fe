"""Text of data on a terminal: what would command the terminal is shown instead."""

from __future__ import annotations

import unicodedata

KEPT = "\n\t"


def visible(text: str) -> str:
    """The text with every control character as its escape: an ESC as \\x1b.

    A title may hold a sequence that changes the terminal's colors, its title or its clipboard.
    """
    if text.isprintable():
        return text

    return "".join(_shown(letter) for letter in text)


def _shown(letter: str) -> str:
    # Cc: control characters. Cs: half of a letter, which no stream can write.
    if letter in KEPT or unicodedata.category(letter) not in ("Cc", "Cs"):
        return letter

    return letter.encode("unicode_escape", "surrogatepass").decode("ascii")

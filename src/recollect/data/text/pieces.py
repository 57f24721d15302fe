"""The pieces of a short text, such as the title of a playlist: its words, and what stands in them.

A title has a handful of words, and half of the words of new titles are new. Runs of two and three
letters are shared by words that are related, in Korean and other scripts without blanks, too.
"""

from __future__ import annotations

import re
import unicodedata

WORD = re.compile(r"\w+")
PIECE_MARK = "~"
LENGTHS = (2, 3)  # of the runs of letters


def pieces(title: str) -> list[str]:
    """The distinct words of a title in small letters, and the runs of letters of each.

    A run is marked by ~, so that it is no word. The order is that in the title.
    """
    text = unicodedata.normalize("NFKC", title).lower()
    found: dict[str, None] = {}

    for word in WORD.findall(text):
        found[word] = None
        marked = f"<{word}>"
        for length in LENGTHS:
            for first in range(len(marked) - length + 1):
                found[PIECE_MARK + marked[first : first + length]] = None

    return list(found)

"""Made-up playlists in Melon's format, from a distribution that is known.

Every list has a theme. A theme has its own songs, tags and words, and borrows those of the next
theme at a lower rate; hits are in lists of every theme. Given its theme, a list has each song and
tag independently, with a known probability, but no song that was issued after its date. So the best
possible answers are known, too (`best`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float64, Int64

SONGS = 649_091  # of the whole set, as its tags; lists and questions of the parts
TAGS = 30_652
LISTS = 115_071
QUESTIONS = 10_740
THEMES = 200
MONTHS = 24  # dates of lists: the first days of so many months
LEAST_THEMES = 6
ARTIST = 8  # songs of an artist
ALBUM = 4  # songs of an album
WORDS = 8  # of a theme
COMMON = 40  # words that all themes have
TITLE = 3  # words of a title
OWN_WORD = 0.75  # probability that a word of a title is one of its theme's
BORROWED = 0.3  # rate of the next theme's songs, tags and words
SYLLABLES = [first + vowel for first in "bdfghjklmnprstvwz" for vowel in "aeiou"]


@dataclass(frozen=True)
class Sizes:
    """How many of each there are."""

    lists: int
    questions: int
    songs: int
    tags: int
    themes: int

    @classmethod
    def of(cls, share: float) -> Sizes:
        """Of a share of Melon's lists, with as many songs and tags for each list."""
        themes = max(LEAST_THEMES, round(THEMES * share))
        return cls(
            lists=max(40 * themes, round(LISTS * share)),
            questions=max(200, round(QUESTIONS * share)),
            songs=max(150 * themes, round(SONGS * share)),
            tags=max(20 * themes, round(TAGS * share)),
            themes=themes,
        )


@dataclass(frozen=True, eq=False)
class Truth:
    """The distribution of lists.

    Args:
        sizes: how many of each there are.
        song_theme: of each song; -1 for a hit.
        song_rate: the probability of each song in a list of its theme.
        issued: the month of each song's issue; those below 0 are before all lists.
        tag_theme: of each tag.
        tag_rate: as `song_rate`.
    """

    sizes: Sizes
    song_theme: Int64[np.ndarray, " songs"]
    song_rate: Float64[np.ndarray, " songs"]
    issued: Int64[np.ndarray, " songs"]
    tag_theme: Int64[np.ndarray, " tags"]
    tag_rate: Float64[np.ndarray, " tags"]

    def songs_of(self, theme: int) -> tuple[Int64[np.ndarray, " some"], np.ndarray]:
        """The songs that a list of a theme may have, and the probability of each."""
        return of_theme(theme, self.song_theme, self.song_rate, self.sizes.themes)

    def tags_of(self, theme: int) -> tuple[Int64[np.ndarray, " some"], np.ndarray]:
        """The tags that a list of a theme may have, and the probability of each."""
        return of_theme(theme, self.tag_theme, self.tag_rate, self.sizes.themes)

    def words_of(self, theme: int) -> tuple[list[str], np.ndarray]:
        """The words of a theme's titles, and the probability of each at each place."""
        decay = 1 / np.arange(2, WORDS + 2)
        own = decay / decay.sum()
        following = (theme + 1) % self.sizes.themes
        names = [word(theme, k) for k in range(WORDS)]
        names += [word(following, k) for k in range(WORDS)]
        names += [word(-1, k) for k in range(COMMON)]
        rates = np.concatenate([own, BORROWED * own])
        rates *= OWN_WORD / rates.sum()

        return names, np.concatenate([rates, np.full(COMMON, (1 - OWN_WORD) / COMMON)])


def of_theme(
    theme: int, theme_of: np.ndarray, rate: np.ndarray, n_themes: int
) -> tuple[np.ndarray, np.ndarray]:
    """The items that a list of a theme may have, and the probability of each.

    Args:
        theme: its number.
        theme_of: of each item; -1 for a hit.
        rate: of each item in lists of its theme.
        n_themes: how many there are.
    """
    own = np.flatnonzero(theme_of == theme)
    borrowed = np.flatnonzero(theme_of == (theme + 1) % n_themes)
    hits = np.flatnonzero(theme_of == -1)
    items = np.concatenate([own, borrowed, hits])

    return items, np.concatenate([rate[own], BORROWED * rate[borrowed], rate[hits]])


def truth_of(sizes: Sizes, seed: int) -> Truth:
    """A distribution of lists.

    Args:
        sizes: how many of each there are.
        seed: of the dates of issue, and of which theme a song is of.
    """
    random = np.random.default_rng([seed, 1])
    n_hits = min(200, sizes.songs // 20)
    song_theme = np.concatenate(
        [np.full(n_hits, -1), np.arange(sizes.songs - n_hits) % sizes.themes]
    )
    song_rank = np.concatenate([np.arange(n_hits), np.arange(sizes.songs - n_hits) // sizes.themes])
    # About thirty songs of its theme, ten of the next one and two hits in a list.
    song_rate = np.where(
        song_theme < 0, 0.1 / (1 + song_rank / 5) ** 1.2, 0.6 / (1 + song_rank / 20) ** 1.4
    )
    # Popular songs are older, so that most lists may have them.
    issued = random.integers(-3 * MONTHS, MONTHS, sizes.songs)
    issued[song_rank < 5] = -1
    tag = np.arange(sizes.tags)
    order = random.permutation(sizes.songs)  # ids that say nothing

    return Truth(
        sizes,
        song_theme[order],
        song_rate[order],
        issued[order],
        tag % sizes.themes,
        0.6 / (1 + tag // sizes.themes / 1.5) ** 1.4,
    )


def draw(truth: Truth, n: int, seed: int) -> tuple[pl.DataFrame, Int64[np.ndarray, " lists"]]:
    """Lists, a row for each (id, title, songs, tags, month), and the theme of each.

    Args:
        truth: their distribution.
        n: how many.
        seed: of what is drawn.
    """
    random = np.random.default_rng([seed, 2])
    theme = random.integers(0, truth.sizes.themes, n)
    month = random.integers(0, MONTHS, n)
    songs: list[list[str]] = [[] for _ in range(n)]
    tags: list[list[str]] = [[] for _ in range(n)]
    titles = [""] * n

    for number in range(truth.sizes.themes):
        own_songs, song_rate = truth.songs_of(number)
        own_tags, tag_rate = truth.tags_of(number)
        words, word_rate = truth.words_of(number)

        for index in np.flatnonzero(theme == number):
            is_out = truth.issued[own_songs] <= month[index]
            chosen = own_songs[(random.random(len(own_songs)) < song_rate) & is_out]
            songs[index] = [str(song) for song in random.permutation(chosen)]
            drawn = own_tags[random.random(len(own_tags)) < tag_rate]
            tags[index] = [tag_name(tag) for tag in random.permutation(drawn)]
            titles[index] = " ".join(
                words[k] for k in random.choice(len(words), TITLE, p=word_rate)
            )

    table = pl.DataFrame(
        {
            "id": [str(index) for index in range(n)],
            "title": titles,
            "songs": songs,
            "tags": tags,
            "month": month,
        }
    )

    return table, theme


def with_dates(lists: pl.DataFrame) -> pl.DataFrame:
    """Lists with the column `date` in place of `month`."""
    dates = [date_of(month) for month in lists["month"]]
    return lists.drop("month").with_columns(pl.Series("date", dates))


def word(theme: int, k: int) -> str:
    """The k-th word of a theme, three syllables; of -1, one that all have."""
    number = theme * WORDS + k if theme >= 0 else THEMES * WORDS + k
    # Distinct, as the factor has no divisor in common with the number of words, and neighboring
    # numbers share no syllable.
    number = number * 123_457 % len(SYLLABLES) ** 3
    letters = []

    for _ in range(3):
        number, syllable = divmod(number, len(SYLLABLES))
        letters.append(SYLLABLES[syllable])

    return "".join(letters)


def tag_name(tag: int) -> str:
    """The name of a tag."""
    return f"tag {tag}"


def date_of(month: int) -> str:
    """The date of a list, the 15th of a month from 2018 on, as Melon writes it."""
    year, number = divmod(month, 12)
    return f"{2018 + year}-{number + 1:02d}-15 12:00:00.000"


def song_facts(truth: Truth) -> list[dict[str, Any]]:
    """What song_meta.json says of each song."""
    facts = []
    place = _places(truth.song_theme)

    for song, (theme, month) in enumerate(zip(truth.song_theme, truth.issued, strict=True)):
        year, number = divmod(int(month), 12)
        group = int(theme) * 10_000 + int(place[song]) // ARTIST
        facts.append(
            {
                "id": int(song),
                "song_name": f"song {song}",
                "artist_id_basket": [group],
                "artist_name_basket": [f"artist {group}"],
                "album_id": int(theme) * 100_000 + int(place[song]) // ALBUM,
                "album_name": "",
                "song_gn_gnr_basket": [f"GN{(int(theme) % 30 + 1) * 100:04d}"],
                "song_gn_dtl_gnr_basket": [],
                "issue_date": f"{2018 + year}{number + 1:02d}01",
            }
        )

    return facts


def _places(theme: np.ndarray) -> np.ndarray:
    """How many songs of the same theme come before each song."""
    order = np.argsort(theme, kind="stable")
    _, first, count = np.unique(theme[order], return_index=True, return_counts=True)
    place = np.empty(len(theme), np.int64)
    place[order] = np.arange(len(theme)) - np.repeat(first, count)

    return place

"""The best answers to questions about made-up lists, by their known distribution.

    P(z | shown) ∝ Π_i rate_zi / (1 − rate_zi) over shown items · Π_i (1 − rate_zi) over all · words

The best list has the items of largest Σ_z P(z | shown) P(i is hidden | z), as the gain of an answer
is a sum over its places. Where half of a kind is shown, an item is taken to be shown with
probability ½: rate / 2 in place of rate above, and rate / 2 / (1 − rate / 2) to be hidden. The true
halves are exact, which tells nothing of the theme, as lists of all themes are equally long. Answers
of one who knows the theme are a bound that nothing can pass: with `themes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from jaxtyping import Float64, Int64

from recollect.data.sources.melon.synthetic import Truth, tag_name

LEAST = 1e-5  # probability of a theme, below which its items are not looked at
IMPOSSIBLE = -200.0  # the logarithm of what cannot be; sums of it stay finite
N_SONGS = 100
N_TAGS = 10


@dataclass(frozen=True, eq=False)
class _Kind:
    """Songs or tags, theme by theme.

    Args:
        items: of each theme.
        rates: of these, in lists of the theme.
        months: from which month on each of these can be in a list; None: always.
    """

    items: list[Int64[np.ndarray, " some"]]
    rates: list[Float64[np.ndarray, " some"]]
    months: list[Int64[np.ndarray, " some"]] | None

    def rate(self, theme: int, month: int, factor: float) -> Float64[np.ndarray, " some"]:
        """The rates in lists of a month, times a factor."""
        if self.months is None:
            return factor * self.rates[theme]

        return np.where(self.months[theme] <= month, factor * self.rates[theme], 0.0)

    def log_likelihood(
        self, shown: Int64[np.ndarray, " shown"], month: int, factor: float
    ) -> Float64[np.ndarray, " themes"]:
        """log P(exactly these are shown | theme) of each theme."""
        out = np.empty(len(self.items))

        for theme, items in enumerate(self.items):
            rate = self.rate(theme, month, factor)
            order = np.argsort(items)
            place = np.searchsorted(items[order], shown).clip(max=len(items) - 1)
            place = order[place]
            own = np.where(items[place] == shown, rate[place], 0.0)
            odds = np.log(np.maximum(own, 1e-300)) - np.log1p(-own)
            out[theme] = np.maximum(odds, IMPOSSIBLE).sum() + np.log1p(-rate).sum()

        return out


def best_results(
    truth: Truth,
    questions: pl.DataFrame,
    shown_kinds: Sequence[tuple[str, ...]],
    months: Sequence[int],
    *,
    themes: Sequence[int] | None = None,
) -> pl.DataFrame:
    """The best answers: a table of lists with 100 songs and 10 tags each.

    Args:
        truth: the distribution of the lists.
        questions: what is shown of them.
        shown_kinds: for each question, the kinds of which half is shown.
        months: of the lists.
        themes: of the lists, for one who knows them; None: they are guessed from what is shown.
    """
    n_themes = range(truth.sizes.themes)
    of_songs = [truth.songs_of(theme) for theme in n_themes]
    of_tags = [truth.tags_of(theme) for theme in n_themes]
    issued = [truth.issued[items] for items, _ in of_songs]
    songs = _Kind([i for i, _ in of_songs], [r for _, r in of_songs], issued)
    tags = _Kind([i for i, _ in of_tags], [r for _, r in of_tags], None)
    words = [dict(zip(*truth.words_of(theme), strict=True)) for theme in n_themes]
    tag_number = {tag_name(tag): tag for tag in range(truth.sizes.tags)}
    answers: list[tuple[list[str], list[str]]] = []

    for index, row in enumerate(questions.to_dicts()):
        shown_songs = np.array([int(song) for song in row["songs"]], np.int64)
        shown_tags = np.array([tag_number[tag] for tag in row["tags"]], np.int64)
        half_songs = "songs" in shown_kinds[index]
        half_tags = "tags" in shown_kinds[index]
        month = int(months[index])
        if themes is not None:
            posterior = np.eye(len(n_themes))[themes[index]]
        else:
            log = _log_of_title(words, row["title"])
            if half_songs:
                log = log + songs.log_likelihood(shown_songs, month, 0.5)
            if half_tags:
                log = log + tags.log_likelihood(shown_tags, month, 0.5)
            posterior = np.exp(log - log.max())
            posterior /= posterior.sum()

        first_songs = _first(songs, posterior, shown_songs, month, half_songs, N_SONGS)
        first_tags = _first(tags, posterior, shown_tags, month, half_tags, N_TAGS)
        answers.append(([str(s) for s in first_songs], [tag_name(t) for t in first_tags]))

    return questions.select("id").with_columns(
        pl.Series("songs", [own for own, _ in answers]),
        pl.Series("tags", [own for _, own in answers]),
    )


def _log_of_title(words: list[dict[str, float]], title: str) -> Float64[np.ndarray, " themes"]:
    """log P(title | theme) of each theme; 0 of an empty one."""
    out = np.zeros(len(words))

    for token in title.split():
        rates = np.array([own.get(token, 0.0) for own in words])
        out += np.maximum(np.log(np.maximum(rates, 1e-300)), IMPOSSIBLE)

    return out


def _first(
    kind: _Kind,
    posterior: Float64[np.ndarray, " themes"],
    shown: Int64[np.ndarray, " shown"],
    month: int,
    is_half: bool,
    n: int,
) -> Int64[np.ndarray, " n"]:
    """The items that are most probably hidden, and further ones if they are fewer than n.

    Args:
        kind: songs or tags.
        posterior: of each theme.
        shown: items of the kind that are shown.
        month: of the list.
        is_half: whether half of the kind is shown.
        n: how many.
    """
    items, chances = [], []

    for theme in np.flatnonzero(posterior > LEAST):
        rate = kind.rate(int(theme), month, 0.5 if is_half else 1.0)
        # Of what is not shown: it is hidden, or not in the list.
        chance = rate / (1 - rate) if is_half else rate
        items.append(kind.items[theme])
        chances.append(posterior[theme] * chance)

    distinct, place = np.unique(np.concatenate(items), return_inverse=True)
    chance = np.bincount(place, weights=np.concatenate(chances))
    chance[np.isin(distinct, shown)] = -1
    ranked = distinct[np.argsort(-chance, kind="stable")]
    ranked = ranked[~np.isin(ranked, shown)]
    if len(ranked) < n:
        every = np.unique(np.concatenate(kind.items))
        others = every[~np.isin(every, np.concatenate([ranked, shown]))]
        ranked = np.concatenate([ranked, others])

    return ranked[:n]

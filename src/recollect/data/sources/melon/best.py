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
from functools import cache

import numpy as np
import polars as pl
from jaxtyping import Float64, Int64

from recollect.data.sources.melon.synthetic import BORROWED, Truth, of_theme, tag_name

LEAST = 1e-5  # probability of a theme, below which its items are not looked at
IMPOSSIBLE = -200.0  # the logarithm of what cannot be; sums of it stay finite
N_SONGS = 100
N_TAGS = 10


class _Kind:
    """Songs or tags of all themes.

    Args:
        theme_of: the theme of each item; -1 for a hit.
        rate: of each item in lists of its theme.
        month: from which month on each item can be in a list.
        n_themes: how many there are.
    """

    def __init__(
        self,
        theme_of: Int64[np.ndarray, " items"],
        rate: Float64[np.ndarray, " items"],
        month: Int64[np.ndarray, " items"],
        n_themes: int,
    ) -> None:
        self.theme_of = theme_of
        self.rate = rate
        self.month = month
        self.n_themes = n_themes
        self.items = [of_theme(theme, theme_of, rate, n_themes) for theme in range(n_themes)]

    def rates(
        self, theme: int, month: int, factor: float
    ) -> tuple[Int64[np.ndarray, " some"], Float64[np.ndarray, " some"]]:
        """The items of a theme, and their rates in lists of a month, times a factor."""
        items, rate = self.items[theme]
        return items, np.where(self.month[items] <= month, factor * rate, 0.0)

    @cache  # noqa: B019 - it lives as long as one call of best_results
    def log_of_none(self, month: int) -> Float64[np.ndarray, " themes"]:
        """log P(nothing is shown | theme), where half of a list is shown, of each theme."""
        return np.array(
            [np.log1p(-self.rates(theme, month, 0.5)[1]).sum() for theme in range(self.n_themes)]
        )

    def log_likelihood(
        self, shown: Int64[np.ndarray, " shown"], month: int
    ) -> Float64[np.ndarray, " themes"]:
        """log P(exactly these are shown | theme), where half of a list is shown, of each theme."""
        # Hits say nothing, as all themes have them at one rate.
        own = shown[self.theme_of[shown] >= 0]
        out = self.log_of_none(month) + len(own) * IMPOSSIBLE

        for back, factor in ((0, 0.5), (1, 0.5 * BORROWED)):
            rate = factor * self.rate[own]
            odds = np.log(rate) - np.log1p(-rate) - IMPOSSIBLE
            np.add.at(out, (self.theme_of[own] - back) % self.n_themes, odds)

        return out


def best_results(
    truth: Truth,
    questions: pl.DataFrame,
    shown_kinds: Sequence[tuple[str, ...]],
    months: Sequence[int] | np.ndarray,
    *,
    themes: Sequence[int] | np.ndarray | None = None,
) -> pl.DataFrame:
    """The best answers: a table of lists with 100 songs and 10 tags each.

    Args:
        truth: the distribution of the lists.
        questions: what is shown of them.
        shown_kinds: for each question, the kinds of which half is shown.
        months: of the lists.
        themes: of the lists, for one who knows them; None: they are guessed from what is shown.
    """
    n_themes = truth.sizes.themes
    songs = _Kind(truth.song_theme, truth.song_rate, truth.issued, n_themes)
    always = np.zeros(truth.sizes.tags, np.int64)
    tags = _Kind(truth.tag_theme, truth.tag_rate, always, n_themes)
    words = _themes_of_words(truth)
    tag_number = {tag_name(tag): tag for tag in range(truth.sizes.tags)}
    answers: list[tuple[list[str], list[str]]] = []

    for index, row in enumerate(questions.to_dicts()):
        shown_songs = np.array([int(song) for song in row["songs"]], np.int64)
        shown_tags = np.array([tag_number[tag] for tag in row["tags"]], np.int64)
        half_songs = "songs" in shown_kinds[index]
        half_tags = "tags" in shown_kinds[index]
        month = int(months[index])
        if themes is not None:
            posterior = np.eye(n_themes)[themes[index]]
        else:
            log = _log_of_title(words, row["title"], n_themes)
            if half_songs:
                log = log + songs.log_likelihood(shown_songs, month)
            if half_tags:
                log = log + tags.log_likelihood(shown_tags, month)
            posterior = np.exp(log - log.max())
            posterior /= posterior.sum()

        first_songs = _first(songs, posterior, shown_songs, month, half_songs, N_SONGS)
        first_tags = _first(tags, posterior, shown_tags, month, half_tags, N_TAGS)
        answers.append(([str(s) for s in first_songs], [tag_name(t) for t in first_tags]))

    return questions.select("id").with_columns(
        pl.Series("songs", [own for own, _ in answers]),
        pl.Series("tags", [own for _, own in answers]),
    )


def _themes_of_words(truth: Truth) -> dict[str, list[tuple[int, float]]]:
    """For each word the themes that have it, and its probability at each place of a title."""
    themes: dict[str, list[tuple[int, float]]] = {}

    for theme in range(truth.sizes.themes):
        for name, rate in zip(*truth.words_of(theme), strict=True):
            themes.setdefault(name, []).append((theme, float(rate)))

    return themes


def _log_of_title(
    words: dict[str, list[tuple[int, float]]], title: str, n_themes: int
) -> Float64[np.ndarray, " themes"]:
    """log P(title | theme) of each theme; 0 of an empty one."""
    out = np.zeros(n_themes)

    for token in title.split():
        out += IMPOSSIBLE
        for theme, rate in words[token]:
            out[theme] += np.log(rate) - IMPOSSIBLE

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
        own, rate = kind.rates(int(theme), month, 0.5 if is_half else 1.0)
        # Of what is not shown: it is hidden, or not in the list.
        chance = rate / (1 - rate) if is_half else rate
        items.append(own)
        chances.append(posterior[theme] * chance)

    distinct, place = np.unique(np.concatenate(items), return_inverse=True)
    chance = np.bincount(place, weights=np.concatenate(chances))
    chance[np.isin(distinct, shown)] = -1
    ranked = distinct[np.argsort(-chance, kind="stable")]
    ranked = ranked[~np.isin(ranked, shown)]
    if len(ranked) < n:
        every = np.arange(len(kind.theme_of))
        others = every[~np.isin(every, np.concatenate([ranked, shown]))]
        ranked = np.concatenate([ranked, others])

    return ranked[:n]

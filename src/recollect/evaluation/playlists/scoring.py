"""The challenge's score: 0.85 · NDCG of songs + 0.15 · NDCG of tags.

    NDCG = Σ_i [i-th answer is hidden] / log(i + 2)  /  Σ_{i < |hidden|} 1 / log(i + 2)

i counts from 0, and any base of the logarithm gives the same quotient. |hidden| is at most 100, of
tags 10.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from jaxtyping import Float64

from recollect.data.playlists import kinds_in
from recollect.errors import DataError
from recollect.evaluation.playlists.questions import TAGS, main_kind, most_of

SHARE_OF_TAGS = 0.15


@dataclass(frozen=True, eq=False)
class PlaylistScores:
    """How good answers are, list by list.

    Args:
        ndcg: of each kind, of each list; NaN where nothing of the kind is hidden.
        shares: of each kind in the score.
    """

    ndcg: Mapping[str, Float64[np.ndarray, " lists"]]
    shares: Mapping[str, float]

    def mean(self, kind: str, lists: np.ndarray | None = None) -> float:
        """The mean NDCG of a kind over the lists that have hidden items of it.

        Args:
            kind: one of `ndcg`.
            lists: a mask of lists, or None for all.
        """
        figures = self.ndcg[kind] if lists is None else self.ndcg[kind][lists]
        known = figures[~np.isnan(figures)]

        return float(known.mean()) if len(known) else float("nan")

    @property
    def score(self) -> float:
        """The sum of each kind's mean NDCG by its share."""
        return sum(share * self.mean(kind) for kind, share in self.shares.items())

    @property
    def per_list(self) -> Float64[np.ndarray, " lists"]:
        """The score of each list, for paired tests; NaN where a kind has nothing hidden."""
        return sum(share * self.ndcg[kind] for kind, share in self.shares.items())  # type: ignore[return-value]


def score(results: pl.DataFrame, answers: pl.DataFrame) -> PlaylistScores:
    """The score of results, which must be complete.

    A list of which nothing of a kind is hidden does not count there; the organizers' program
    divides by zero.

    Args:
        results: a table of lists: for each id 100 songs (or others) and 10 tags, the best first.
        answers: the same ids with what is hidden of them.

    Raises:
        DataError: if the ids are not the same, or an answer is too short, too long or repeats
            itself.
    """
    main = main_kind(answers)
    _check_ids(results, answers)
    # In the order of the answers.
    ordered = answers.select("id").join(results, on="id", how="left", maintain_order="left")
    ndcg = {}

    for kind in kinds_in(answers):
        if kind not in results.columns:
            raise DataError(f"The results have no {kind}, which the answers have.")

        ids = answers["id"].to_list()
        pairs = zip(ids, ordered[kind].to_list(), answers[kind].to_list(), strict=True)
        figures = [_ndcg(id_, named, hidden, kind) for id_, named, hidden in pairs]
        ndcg[kind] = np.array(figures)

    return PlaylistScores(ndcg, {main: 1 - SHARE_OF_TAGS, TAGS: SHARE_OF_TAGS})


def _check_ids(results: pl.DataFrame, answers: pl.DataFrame) -> None:
    missing = set(answers["id"]) - set(results["id"])
    further = set(results["id"]) - set(answers["id"])
    if missing or further:
        raise DataError(
            f"Results and answers must be of the same lists: {len(missing):,} lists have no result "
            f"({_few(missing)}), {len(further):,} results have no answer ({_few(further)})."
        )


def _few(ids: set[str]) -> str:
    return ", ".join(sorted(ids)[:3]) or "none"


def _ndcg(id_: str, named: list[str], hidden: list[str], kind: str) -> float:
    """The NDCG of one list's answer; NaN if nothing is hidden."""
    n = most_of(kind)
    if len(named) != n:
        raise DataError(f"List {id_} has {len(named)} {kind}, expected {n}.")

    if len(set(named)) != n:
        raise DataError(f"List {id_} names {kind} twice; each stands once in an answer.")

    wanted = set(hidden[:n])
    if not wanted:
        return float("nan")

    discount = 1 / np.log(np.arange(n) + 2)
    is_hit = np.array([item in wanted for item in named])

    return float(is_hit @ discount / discount[: len(wanted)].sum())

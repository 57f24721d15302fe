"""RankBlend: a weighted sum of the standardized scores of several models of events.

    score[u, i] = Σ_m w_m (s_m[u, i] − mean of s_m[u]) / std of s_m[u],    w ≥ 0, Σ w_m = 1

The mean and the standard deviation of a member's scores are over all items that have events, for
each user: members give scores in units of their own. The weights are those with the highest NDCG on
validation events that `weights.choose_weights` finds.

Source: Caruana, Niculescu-Mizil, Crew, Ksikes. "Ensemble Selection from Libraries of Models." ICML
    2004 (the choice of weights).
Differs: scores are standardized for each user, which the paper's models, of one unit, do not need.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int, Int64
from torch import nn
from typing_extensions import override

from recollect import registry
from recollect.data.ratings import AnyRatings, Ratings, Side
from recollect.data.sparse_rows import Rows
from recollect.data.splitting.validation import hold_out_validation
from recollect.errors import DataError, SettingError
from recollect.families.members import (
    again_of,
    can_learn_from,
    expect_members,
    fit_members,
    unfitted_networks,
    updatable_members,
    updated_blend,
)
from recollect.memory_estimate import Memory, Shape, of_blend
from recollect.model import Capabilities, Model
from recollect.models.rank_blend.weights import choose_weights, standard
from recollect.online.change import Change
from recollect.online.result import Updatable
from recollect.run import Run
from recollect.settings import setting
from recollect.training.history import History
from recollect.training.snapshot_folder import REFIT
from recollect.unseen import BLOCK_CELLS

log = logging.getLogger("recollect")

MOST_JUDGED = 8_000_000  # scores of a member by which weights are chosen: of users drawn for it


class Network(nn.Module):
    """The members' networks and their weights."""

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.weight = nn.Buffer(torch.full((len(members),), 1 / len(members), dtype=torch.float64))

    def fault(self) -> str:
        """What no fit leaves, in words; empty if there is nothing of the kind."""
        if (self.weight < 0).any() or not bool(self.weight.sum() > 0):
            return "the weights of the blend are not shares"

        for member in self.members:
            fault = getattr(member, "fault", None)
            if fault is not None and (found := fault()):
                return str(found)

        return ""


@dataclass(kw_only=True, eq=False)
class RankBlend(Model):
    """Several models of events, each with its share in the score."""

    # Each a model of events and settings, such as "ease reg=500"
    members: tuple[str, ...] = ("ease", "ials", "item_knn")
    # Share of the training events that weights are learned from, where there is no validation part;
    # members are then fitted again on all
    held_out: float = setting(0.1, above=0, below=1)
    valid_n: int = setting(10, at_least=1)  # length of the lists whose NDCG chooses the weights
    # When the weights are known, fit the members again on train + validation
    refit: bool = True

    @property
    @override
    def capabilities(self) -> Capabilities:
        each = [recipe.capabilities for recipe in self.recipes()]
        return Capabilities(
            output="scores",
            needs=frozenset({"events"}).union(*(member.needs for member in each)),
            similarity=any(member.similarity for member in each),
        )

    @override
    def check(self) -> None:
        example = "models of events with their settings, such as ['ease', 'ials factors=128']"
        expect_members(self.members, example)

        for member in self.members:
            recipe_of(member)

    def recipes(self) -> list[Model]:
        """The members, unfitted."""
        return [recipe_of(member) for member in self.members]

    @override
    def estimate_memory(self, shape: Shape, run: Run) -> Memory:
        return of_blend([recipe.estimate_memory(shape, run) for recipe in self.recipes()], shape)

    @override
    def build(self, n_users: int, n_items: int) -> nn.Module:
        return Network(unfitted_networks(self.recipes(), self.given_))

    # Learning.

    @override
    def learn(self, train: AnyRatings, valid: Ratings | None, run: Run) -> History:
        assert isinstance(train, Ratings)
        weight = vars(self).get("_weight")
        if weight is not None:  # the second fit of `refit`
            self._take(fit_members(self.recipes(), train, None, run))
            self.net_.weight.copy_(weight)
            return History()

        if valid is not None:
            fitted = fit_members(self.recipes(), train, valid, run)
            self.members_again = tuple(registry.text_of(member) for member in again_of(fitted))
            return self._learn_weights(fitted, train, valid, run)

        return self._learn_held_out(train, run)

    def _learn_held_out(self, train: Ratings, run: Run) -> History:
        """Learn weights from a part of the training events, then fit the members on all."""
        part, valid = hold_out_validation(train, valid=self.held_out, seed=run.seed)
        if valid is None or not can_learn_from(part):
            log.info("rank_blend: too few events to hold some out; all members have equal weights.")
            self._take(fit_members(self.recipes(), train, None, run))
            return History()

        log.info(
            "rank_blend: there are no validation events, so weights are learned from %s of the %s "
            "training events; then the members are fitted on all.",
            f"{len(valid):,}",
            f"{len(train):,}",
        )
        fitted = fit_members(self.recipes(), part, valid, run)
        history = self._learn_weights(fitted, part, valid, run)
        folder = None if run.folder is None else Path(run.folder) / REFIT
        self._take(fit_members(again_of(fitted), train, None, replace(run, folder=folder)))

        return history

    def _take(self, fitted: Sequence[Model]) -> None:
        """Take over the networks of fitted members."""
        self.net_.members = nn.ModuleList([member.net_ for member in fitted])

    def _learn_weights(
        self, fitted: Sequence[Model], part: Ratings, valid: Ratings, run: Run
    ) -> History:
        """Learn the weights; returns what each member contributes.

        Args:
            fitted: the members, fitted on `part`.
            part: the events that they have learned from.
            valid: events that they have not learned from.
            run: its seed draws the users by whom weights are chosen.
        """
        self._take(fitted)
        people = np.flatnonzero((valid.count("user") > 0) & (part.count("user") > 0))
        most = max(1, MOST_JUDGED // part.n_items)
        if len(people) > most:
            people = np.sort(np.random.default_rng(run.seed).choice(people, most, replace=False))

        history = History(valid_name=f"valid_ndcg@{self.valid_n}")
        history.members = [member.history_ for member in fitted]
        history.seconds = sum(member.seconds_ for member in fitted)
        if len(people):
            known = part.count("item") > 0
            rows = part.by_user.take(people)
            hidden = np.tile(~known, (len(people), 1))
            hidden[rows.row, rows.column] = True
            each = [standard(member.scores(people, part), known) for member in fitted]
            good = valid.by_user.take(people)
            weight, history.best_valid = choose_weights(each, good, hidden, n=self.valid_n)
            self.net_.weight.copy_(torch.from_numpy(weight))

        for number, member in enumerate(fitted):
            own = {"weight": float(self.net_.weight[number]), "seconds": member.seconds_}
            history.epochs.append({"epoch": number + 1.0, **own})

        return history

    @override
    def best_epochs(self) -> dict[str, Any]:
        return {"members": vars(self).get("members_again", self.members)}

    @override
    def second_fit(self) -> Model:
        second = super().second_fit()
        vars(second)["_weight"] = self.net_.weight.clone()
        return second

    # Scores.

    def fitted_members(self) -> list[Model]:
        """The members, fitted; they share the events and the networks of the blend."""
        given, net, members = vars(self).get("_fitted", (None, None, []))
        if given is not self.given_ or net is not self.net_.members:
            members = self.recipes()

            for member, own in zip(members, self.net_.members, strict=True):
                member.given_ = self.given_
                member.net_ = own
                member.history_ = History()
                member._forget()  # nothing has been computed from these yet

            # In one assignment, as several threads may ask.
            self._fitted = (self.given_, self.net_.members, members)

        return members

    @property
    @override
    def updatable(self) -> Updatable:
        return updatable_members(self.recipes())

    @override
    def learn_change(self, change: Change, before: Any) -> nn.Module:
        net, members = updated_blend(self.net_, before.fitted_members(), change)
        self._fitted = (self.given_, net.members, members)

        return net

    def _weighted(self) -> list[tuple[Model, float]]:
        """The members that count, with their weights."""
        pairs = zip(self.fitted_members(), self.net_.weight.tolist(), strict=True)
        return [(member, weight) for member, weight in pairs if weight > 0]

    @override
    def needs_fold_in(self, user: Int[np.ndarray, " users"]) -> np.ndarray:
        # Each member says for itself who is new to it.
        return np.zeros(len(user), bool)

    @override
    def score_known(
        self, user: Int[np.ndarray, " users"], given: AnyRatings
    ) -> Float32[np.ndarray, "users n_items"]:
        known = self.known_items()
        total = np.zeros((len(user), self.given_.n_items), np.float32)

        for member, weight in self._weighted():
            total += np.float32(weight) * standard(member.scores(user, given), known)

        return total

    @override
    def fold_in(self, rows: Rows) -> Float32[np.ndarray, "people n_items"]:
        """Scores for new users: each member folds them in, and the weights stay."""
        known = self.known_items()
        total = np.zeros((len(rows), self.given_.n_items), np.float32)

        for member, weight in self._weighted():
            total += np.float32(weight) * standard(member.fold_in(rows), known)

        return total

    @override
    def predict_known(
        self,
        user: Int[np.ndarray, " pairs"],
        item: Int[np.ndarray, " pairs"],
        given: AnyRatings,
        times: Int64[np.ndarray, " pairs"] | None,
    ) -> Float32[np.ndarray, " pairs"]:
        """The scores at some pairs, of which whole rows are computed: they are standardized."""
        people, person = np.unique(user, return_inverse=True)
        out = np.empty(len(user), np.float32)
        step = max(1, BLOCK_CELLS // self.given_.n_items)

        for first in range(0, len(people), step):
            here = np.flatnonzero((person >= first) & (person < first + step))
            scores = self.score_known(people[first : first + step], given)
            out[here] = scores[person[here] - first, item[here]]

        return out

    @override
    def vectors(self, side: Side) -> Float32[np.ndarray, "rows k"]:
        """The members' unit vectors side by side: the cosine is the mean of theirs by weight."""
        weighted = [(m, w) for m, w in self._weighted() if m.capabilities.similarity]
        if not weighted:
            raise DataError(
                "No member of this blend that counts has vectors, and so it has no similarity; add "
                "one that has, such as ials."
            )

        parts = []

        for member, weight in weighted:
            own = member.vectors(side)
            length = np.linalg.norm(own, axis=1, keepdims=True)
            parts.append(weight**0.5 * own / np.where(length > 0, length, 1))

        return np.concatenate(parts, axis=1).astype(np.float32)


def recipe_of(text: str) -> Model:
    """The unfitted model of events that a text names, as `registry.from_text`.

    Raises:
        SettingError: if there is no such model or setting, or it cannot be a member.
    """
    name = text.partition(" ")[0]
    if ":" in name or name == "rank_blend":
        raise SettingError(
            "The members of a rank_blend are the other models of events of Recollect, found "
            f"{name!r}; `recollect models` lists them."
        )

    model = registry.from_text(text)
    if model.output != "scores":
        raise SettingError(
            f"A rank_blend is of models of events, and its member {text!r} predicts ratings; leave "
            "it out, or use a blend."
        )

    return model


# Settings with which it learns planted events in a moment, for the tests that every model passes.
QUICK: dict[str, Any] = {
    "members": ("ease reg=5.0", "ials factors=3 epochs=10"),
    "held_out": 0.2,
    "valid_n": 5,
}

"""Blend: a weighted sum of the predictions of several models.

    r̂ = c + Σ_m w_m r̂_m,   w ≥ 0
    minimizing  Σ (r − r̂)²  over the validation ratings

Source: Breiman. "Stacked Regressions." Machine Learning 24, 1996.
Differs: weights are learned from one part of the ratings that is held out, not from ten parts in
    turn; there is an intercept. Where, by cross-validation, they are no better than the best
    member, it is taken alone. Prediction intervals are not in the paper: their centers are the
    blend's, and their widths go by the standard deviation that a member states, scaled to the
    errors of the blend on the validation ratings (as in locally weighted conformal prediction: Lei,
    G'Sell, Rinaldo, Tibshirani, Wasserman, 2018).
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int, Int64
from torch import nn
from typing_extensions import override

from recollect.arguments import expect_probability
from recollect.data.in_unit import in_unit
from recollect.data.rating_unit import IDENTITY, RatingUnit
from recollect.data.ratings import AnyRatings, Ratings, Side
from recollect.data.sparse_rows import Rows
from recollect.data.splitting.validation import hold_out_validation
from recollect.errors import DataError
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
from recollect.models.blend.fitting import fit_others, history_of
from recollect.models.blend.members import capabilities_of, recipe_of, text_of
from recollect.models.blend.network import Network
from recollect.models.blend.weights import LEVELS, Calibration, choose_weights
from recollect.online.change import Change
from recollect.online.result import Updatable
from recollect.run import Run
from recollect.settings import setting
from recollect.training.baseline import add_baseline
from recollect.training.history import History, history_in_points
from recollect.training.snapshot_folder import REFIT

log = logging.getLogger("recollect")


@dataclass(kw_only=True, eq=False)
class Blend(Model):
    """c + Σ_m w_m r̂_m; each member is a model with its settings."""

    # Each a model and settings, such as "autorec side=user"
    members: tuple[str, ...] = ("bayes_mf", "svdpp", "autorec")
    # Share of the training ratings that weights are learned from, where there is no validation
    # part; members are then fitted again on all
    held_out: float = setting(0.1, above=0, below=1)
    # When the weights are known, fit the members again on train + validation
    refit: bool = True

    @property
    @override
    def capabilities(self) -> Capabilities:
        return capabilities_of(self.members)

    @override
    def check(self) -> None:
        example = "models with their settings, such as ['bayes_mf', 'autorec side=user']"
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
        learned: Network | None = vars(self).get("_learned")
        if learned is not None:  # the second fit of `refit`
            kept = {n: learned.members[n] for n in vars(self).get("_kept", ())}
            nets = fit_others(self.recipes(), kept, train, run)
            self.net_.members = nn.ModuleList(nets)
            self.net_.set(learned.weights, learned.calibration)
            return History()

        if valid is not None:
            fitted = fit_members(self.recipes(), train, valid, run)
            self.members_again = tuple(text_of(member) for member in again_of(fitted))
            return self.learn_weights(fitted, train, valid)

        return self._learn_held_out(train, run)

    def _learn_held_out(self, train: Ratings, run: Run) -> History:
        """Learn weights from a part of the training ratings, then fit the members on all."""
        part, valid = hold_out_validation(train, valid=self.held_out, seed=run.seed)
        if valid is None or not can_learn_from(part):
            log.info("blend: too few ratings to hold some out; all members have equal weights.")
            fitted = fit_members(self.recipes(), train, None, run)
            return self.learn_weights(fitted, train, train.where(np.empty(0, np.int64)))

        log.info(
            "blend: there are no validation ratings, so weights are learned from %s of the %s "
            "training ratings; then the members are fitted on all.",
            f"{len(valid):,}",
            f"{len(train):,}",
        )
        fitted = fit_members(self.recipes(), part, valid, run)
        history = self.learn_weights(fitted, part, valid)
        folder = None if run.folder is None else Path(run.folder) / REFIT
        again = fit_members(again_of(fitted), train, None, replace(run, folder=folder))
        self._take(again)

        return history

    def _take(self, fitted: Sequence[Model]) -> None:
        """Take over the networks of fitted members."""
        self.net_.members = nn.ModuleList([member.net_ for member in fitted])

    def learn_weights(self, fitted: Sequence[Model], part: Ratings, valid: Ratings) -> History:
        """Learn the weights and the calibration; returns what each member contributes.

        Args:
            fitted: the members, fitted on `part`, in the unit of this model.
            part: the ratings that they have learned from.
            valid: ratings that they have not learned from.
        """
        self._take(fitted)
        # A view, because the blend itself may be one of more ratings than the members are yet.
        view = copy.copy(self)
        view.given_ = part
        view.history_ = History(members=[member.history_ for member in fitted])
        warm = ~view.is_cold(valid.user, valid.item)
        times = None if valid.time is None else valid.time[warm]
        pairs = (valid.user[warm].astype(np.int64), valid.item[warm].astype(np.int64))
        each = [member.pairs(*pairs, part, times) for member in fitted]
        predicted = np.stack(each, axis=1).astype(np.float64)
        value = valid.value[warm].astype(np.float64)

        weights = choose_weights(predicted, value, view.within_scale)
        self.net_.set(weights, Calibration.normal())
        error = value - view.within_scale(weights.sum(predicted))
        std = view._stated_std(*pairs, times)
        if std is not None:
            self.net_.set(weights, Calibration.of(error, std.astype(np.float64)))

        cold = view.predict_cold(valid.user[~warm], valid.item[~warm])
        cold_error = valid.value[~warm] - view.within_scale(cold)
        errors = [value - view.within_scale(column) for column in predicted.T]
        of_all = [np.concatenate([warm_error, cold_error]) for warm_error in (*errors, error)]

        return history_of(fitted, weights, of_all)

    @override
    def best_epochs(self) -> dict[str, Any]:
        return {"members": vars(self).get("members_again", self.members)}

    @override
    def second_fit(self) -> Model:
        second = super().second_fit()
        vars(second)["_learned"] = self.net_
        vars(second)["_kept"] = vars(self.inner).get("kept", frozenset())
        return second

    @classmethod
    def of(
        cls,
        models: Sequence[Model],
        valid: Ratings,
        *,
        again: Sequence[str | None] = (),
        **settings: Any,
    ) -> Blend:
        """A blend of fitted models, whose weights are learned from ratings that none has seen.

        Args:
            models: fitted on the same ratings.
            valid: the ratings to learn weights from.
            again: the members that `fit_again` fits, None for one that it leaves as it is; empty:
                all, as they are set here.
            settings: `clip` and `cold`.
        """
        first = models[0]
        blend = cls(members=tuple(text_of(model) for model in models), **settings)
        blend.given_ = first.given_
        blend.unit_ = first.unit_
        blend.seed_ = first.seed_
        blend.seconds_ = sum(model.seconds_ for model in models)
        blend.net_ = Network([model.net_ for model in models])
        blend.net_.eval()
        inner = blend.inner
        of_members = []

        for model in models:
            member = model.inner
            member.seconds_ = model.seconds_
            of_members.append(member)

        inner.history_ = inner.learn_weights(of_members, inner.given_, in_unit(valid, blend.unit_))
        again = again or blend.members
        pairs = zip(again, blend.members, strict=True)
        inner.members_again = tuple(text or member for text, member in pairs)
        inner.kept = frozenset(n for n, text in enumerate(again) if text is None)
        blend.history_ = history_in_points(inner.history_, blend.unit_)
        add_baseline(blend.history_, cls.__name__, blend.given_, valid, clip=blend.clip)

        return blend

    # Predictions.

    def fitted_members(self) -> list[Model]:
        """The members, fitted; they share the ratings and the networks of the blend.

        They compute in the unit of the blend, as its own methods do.
        """
        given, net, members = vars(self).get("_fitted", (None, None, []))
        if given is not self.given_ or net is not self.net_.members:
            members = self._members_of(self.given_, IDENTITY)
            # In one assignment, as several threads may ask.
            self._fitted = (self.given_, self.net_.members, members)

        return members

    def _members_of(self, given: AnyRatings, unit: RatingUnit) -> list[Model]:
        """The members with their networks and histories.

        Args:
            given: the ratings that they are asked about.
            unit: in which they compute.
        """
        members = self.recipes()

        for number, member in enumerate(members):
            member.given_ = given
            member.unit_ = unit
            member.net_ = self.net_.members[number]
            member.history_ = self.history_.members[number]
            member._forget()  # nothing has been computed from these yet

        return members

    def separate(self) -> list[Model]:
        """The members as fitted models of their own, to be asked, explained or saved alone."""
        members = self._members_of(self.given(), self.unit_)

        for number, member in enumerate(members):
            member.seed_ = self.seed_
            member.seconds_ = self.history_.epochs[number]["seconds"]

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
        weight = self.net_.weights.weight
        members = self.fitted_members()
        return [(member, float(w)) for member, w in zip(members, weight, strict=True) if w > 0]

    @override
    def predict_known(
        self,
        user: Int[np.ndarray, " pairs"],
        item: Int[np.ndarray, " pairs"],
        given: AnyRatings,
        times: Int64[np.ndarray, " pairs"] | None,
    ) -> Float32[np.ndarray, " pairs"]:
        total = np.full(len(user), self.net_.weights.intercept)

        for member, weight in self._weighted():
            total += weight * member.pairs(user, item, given, times)

        return total.astype(np.float32)

    @override
    def score_known(
        self, user: Int[np.ndarray, " users"], given: AnyRatings
    ) -> Float32[np.ndarray, "users n_items"]:
        total = np.full((len(user), self.given_.n_items), self.net_.weights.intercept)

        for member, weight in self._weighted():
            total += weight * member.scores(user, given)

        return total.astype(np.float32)

    @override
    def fold_in(self, rows: Rows) -> Float32[np.ndarray, "people n_items"]:
        """Raw predictions for new users: each member folds them in, and the weights stay."""
        total = np.full((len(rows), self.given_.n_items), self.net_.weights.intercept)

        for member, weight in self._weighted():
            total += weight * member.fold_in(rows)

        return total.astype(np.float32)

    @override
    def vectors(self, side: Side) -> Float32[np.ndarray, "rows k"]:
        """The members' vectors side by side, so that the cosine is the mean of theirs by weight."""
        weighted = [(m, w) for m, w in self._weighted() if m.capabilities.similarity]
        if not weighted:  # those that have vectors do not count: they are averaged
            weighted = [(m, 1.0) for m in self.fitted_members() if m.capabilities.similarity]

        if not weighted:
            raise DataError(
                "No member of this blend has vectors, and so it has no similarity; add one that "
                "has, such as autorec."
            )

        parts = [weight**0.5 * _unit_vectors(member.vectors(side)) for member, weight in weighted]

        return np.concatenate(parts, axis=1).astype(np.float32)

    # How sure predictions are.

    def _stated_std(
        self,
        user: Int[np.ndarray, " pairs"],
        item: Int[np.ndarray, " pairs"],
        times: Int[np.ndarray, " pairs"] | None,
    ) -> Float32[np.ndarray, " pairs"] | None:
        """What a member says is the standard deviation of each rating; None if none does."""
        for member in self.fitted_members():
            if type(member).predict_std is not Model.predict_std:
                return member.predict_std(user, item, times=times)

        return None

    @override
    def predict_std(
        self,
        user: Int[np.ndarray, " pairs"],
        item: Int[np.ndarray, " pairs"],
        *,
        times: Int[np.ndarray, " pairs"] | None = None,
    ) -> Float32[np.ndarray, " pairs"]:
        std = self._std_of_pairs(user, item, times)
        scale = np.where(self.is_cold(user, item), 1.0, self.net_.calibration.std_scale)
        return (scale * std).astype(np.float32)

    @override
    def predict_interval(
        self,
        user: Int[np.ndarray, " pairs"],
        item: Int[np.ndarray, " pairs"],
        level: float = 0.9,
        *,
        times: Int[np.ndarray, " pairs"] | None = None,
    ) -> tuple[Float32[np.ndarray, " pairs"], Float32[np.ndarray, " pairs"]]:
        expect_probability("level", level)
        std = self._std_of_pairs(user, item, times)
        cold = self.is_cold(user, item)
        n_stds = np.where(
            cold,
            np.interp(level, LEVELS, Calibration.normal().quantile),
            np.interp(level, LEVELS, self.net_.calibration.quantile),
        )
        half_width = n_stds * std
        center = self.predict(user, item, times=times)
        low = self.within_scale((center - half_width).astype(np.float32))
        high = self.within_scale((center + half_width).astype(np.float32))

        return low, high

    def _std_of_pairs(
        self,
        user: Int[np.ndarray, " pairs"],
        item: Int[np.ndarray, " pairs"],
        times: Int[np.ndarray, " pairs"] | None,
    ) -> Float64[np.ndarray, " pairs"]:
        self.given()  # refuses a model that is not fitted
        std = self._stated_std(np.asarray(user, np.int64), np.asarray(item, np.int64), times)
        if std is None:
            raise self._no_uncertainty()

        return std.astype(np.float64)


def _unit_vectors(vectors: Float32[np.ndarray, "rows k"]) -> Float32[np.ndarray, "rows k"]:
    """Vectors of length 1; a vector of zeros stays."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(length > 0, length, 1)


# Settings with which it learns planted ratings in a moment, for the tests that every model passes.
QUICK = {
    "members": ("bias", "pmf factors=3 reg_user=0.3 reg_item=0.3 epochs=15"),
    "held_out": 0.2,
}

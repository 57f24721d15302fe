"""4 · What a model is: a recipe (dataclass fields) that learns a network (`net_`).

    Model        fit, settings, default predictions, the rating scale    written once
    ├── RowModel     a row of the rating matrix in, the row out          families/row_model.py
    └── PairModel    a user and an item in, a rating out                 families/pair_model.py

A model file writes four things: `build(n_users, n_items)`, which returns an `nn.Module`;
`learn(train, valid, run)`, which trains it; `predict_known` and `score_known`, for users in the
training ratings; and `fold_in`, for others. Users and items are row numbers; -1 is one never seen.
"""

from __future__ import annotations

import dataclasses
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int, Int64
from torch import nn

from recollect import kernels, unseen
from recollect.capabilities import Capabilities
from recollect.data.ratings import AnyRatings, Ratings, Side
from recollect.data.sparse_rows import Rows
from recollect.errors import DataError, NotFittedError, SettingError
from recollect.fit_checks import check_arguments, check_data
from recollect.influences import Influences
from recollect.memory_estimate import Memory, Shape, of_pairs, of_refit
from recollect.memory_limits import refuse_too_large
from recollect.online.updating import Updating
from recollect.own_unit import OwnUnit
from recollect.run import Run
from recollect.settings import check_ranges, setting, stated
from recollect.system.forking import refuse_forked
from recollect.system.once import Once
from recollect.training.history import History
from recollect.training.offsets import RidgeOffsets
from recollect.training.randomness import own_generator
from recollect.training.snapshot_folder import discard, in_use
from recollect.unseen import COLD


@dataclass(kw_only=True, eq=False)
class Model(OwnUnit, Influences, Updating, ABC):
    """A recipe: fields are settings; `net_` is what it learned from the ratings `given_`."""

    # Parts of `net_` that folders of format 1 and 2 call otherwise: the former name and today's.
    former_network_names: ClassVar[Mapping[str, str]] = {}

    clip: bool = True  # predictions are kept within the rating scale
    # The prediction for an unknown user or item: "bias", what is known of the other one; "mean" of
    # training; "middle" of the scale; or a number
    cold: str | float = setting("bias", one_of=COLD, or_number=True)
    # After early stopping, fit again on train + validation for as many epochs as were best
    refit: bool = False

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        # Or `dataclass` would write one that lists all settings.
        cls.__repr__ = Model.__repr__  # type: ignore[method-assign]

    def __repr__(self) -> str:
        fitted = f"fitted on {self.given_!r}" if hasattr(self, "net_") else "not fitted"
        return f"{stated(self)}, {fitted}"

    @property
    def capabilities(self) -> Capabilities:
        """What this model, with these settings, predicts, needs and can do."""
        return Capabilities()

    @property
    def output(self) -> Literal["ratings", "scores"]:
        """What predictions are: ratings, within the scale; or scores to rank by."""
        return self.capabilities.output

    def __post_init__(self) -> None:
        check_ranges(self)
        self.check()

    def check(self) -> None:
        """Refuse settings that do not go together; the range of each was checked before."""

    @abstractmethod
    def build(self, n_users: int, n_items: int) -> nn.Module:
        """The network before learning. Randomness comes from torch's generator, seeded by `fit`."""

    @abstractmethod
    def learn(self, train: AnyRatings, valid: Ratings | None, run: Run) -> History:
        """Train `net_` and return what was measured after each epoch.

        Args:
            train: the ratings to learn from.
            valid: ratings that may only choose when to stop; None without any.
            run: seed, device, threads, snapshots and watchers of this fit.
        """

    def fit(self, train: AnyRatings, valid: Ratings | None = None, run: Run | None = None) -> Model:
        """Learn from the ratings; returns self, in evaluation mode.

        Args:
            train: the ratings to learn from.
            valid: ratings that choose when to stop; None: all epochs.
            run: how to run the fit; None: on the CPU, with seed 0 and nothing kept on disk.

        Raises:
            DataError: if the ratings lack what the model needs, or are too few.
            LeakError: if train and valid share pairs.
            SizeError: if the fit would take more memory than there is.
            TrainingError: if the fit diverges, or another fit keeps its snapshots in the run's
                folder.
        """
        check_arguments(train, valid, run)
        run = run or Run()
        if run.memory_check:
            refuse_too_large(self, Shape.of(train, valid), run)

        check_data(self, train, valid)
        if run.threads:
            torch.set_num_threads(run.threads)

        started = time.monotonic()
        folder = Path(run.folder) if run.folder else None

        with in_use(folder):
            if folder and not run.resume:
                discard(folder)

            try:
                with kernels.use(run.kernels):
                    self._fit(train, valid, run)
            except BaseException:
                self.__dict__.pop("net_", None)  # half learned is not fitted
                raise

        self.seed_ = run.seed
        self.seconds_ = time.monotonic() - started
        return self

    def _fit(self, train: AnyRatings, valid: Ratings | None, run: Run) -> None:
        self._forget()
        if self.refit and valid is not None and not self.capabilities.stops_early:
            train = train.union(valid)
            valid = None

        with own_generator(run.seed):
            self.learn_in_own_unit(train, valid, run)
        if self.refit and valid is not None and train.in_memory:
            self.fit_again(train.union(valid), run)

        self.net_.eval()
        self._forget()

    def fit_again(self, ratings: AnyRatings, run: Run) -> None:
        """Fit a fresh network, for as many epochs as were best, on train and validation."""
        second = self.second_fit()
        folder = Path(run.folder) / "refit" if run.folder else None
        # Watchers belong to the fit whose history is kept.
        second_run = dataclasses.replace(run, folder=folder, net_watchers=())
        # Without the checks of `fit`, which cover both, and in the folder that this fit holds.
        second._fit(ratings, None, second_run)
        self.net_ = second.net_
        self.given_ = second.given_

    def second_fit(self) -> Model:
        """The unfitted model of the second fit of `refit`."""
        return dataclasses.replace(self, refit=False, **self.best_epochs())

    def best_epochs(self) -> dict[str, Any]:
        """Settings by which a second fit takes as many epochs as were best in this one."""
        return {"epochs": self.history_.best_epoch} if len(self.history_) else {}

    def fit_key(self, train: AnyRatings, valid: Ratings | None) -> dict[str, object]:
        """What identifies this fit, so that a snapshot of another one is refused."""
        return {
            **{field.name: getattr(self, field.name) for field in dataclasses.fields(self)},
            "train": train.fingerprint,
            "valid": valid.fingerprint if valid else None,
        }

    def memory(self, shape: Shape, run: Run | None = None) -> Memory:
        """What `fit` will hold at its peak on data of this shape, in bytes; nothing is built."""
        run = run or Run()
        first = self.estimate_memory(shape, run)
        if not (self.refit and shape.n_valid):
            return first

        n_all = shape.n_train + shape.n_valid
        second = self.estimate_memory(dataclasses.replace(shape, n_train=n_all, n_valid=0), run)

        return of_refit(shape, first, second) if self.capabilities.stops_early else second

    def estimate_memory(self, shape: Shape, run: Run) -> Memory:
        """The peak of one fit, without `refit`.

        A model that holds more than its ratings and a few numbers per user and item overrides this.
        """
        rows = shape.n_users + shape.n_items
        return of_pairs(shape, parameters=32 * rows, bytes_per_rating=40)

    @abstractmethod
    def predict_known(
        self,
        user: Int[np.ndarray, " pairs"],
        item: Int[np.ndarray, " pairs"],
        given: AnyRatings,
        times: Int64[np.ndarray, " pairs"] | None,
    ) -> Float32[np.ndarray, " pairs"]:
        """Raw predictions for pairs of users and items that were in the training ratings.

        Args:
            user: row numbers of users.
            item: row numbers of items.
            given: the ratings a prediction may be made from.
            times: when each rating is given, in seconds since 1970. Most models ignore it; without
                it, one that goes by time predicts for each user's last day.
        """

    @abstractmethod
    def score_known(
        self, user: Int[np.ndarray, " users"], given: AnyRatings
    ) -> Float32[np.ndarray, "users n_items"]:
        """Raw predictions of every item for a few users who were in the training ratings."""

    @abstractmethod
    def fold_in(self, rows: Rows) -> Float32[np.ndarray, "people n_items"]:
        """Raw predictions of every item for new users, from a sparse row of item ratings each."""

    @abstractmethod
    def vectors(self, side: Side) -> Float32[np.ndarray, "rows k"]:
        """A vector per user or item; their cosine is similarity."""

    def needs_fold_in(self, user: Int[np.ndarray, " users"]) -> Bool[np.ndarray, " users"]:
        """Which users were not in the training ratings and have to be folded in."""
        n_ratings = self.given_.count("user")
        return n_ratings[user] == 0

    def known_items(self) -> Bool[np.ndarray, " n_items"]:
        """The items that can be predicted: those with training ratings, or what a model knows."""
        return self.given_.count("item") > 0

    def _forget(self) -> None:
        """Drop what was computed from an earlier `net_` or `given_`."""

    def pairs(
        self,
        user: Int[np.ndarray, " pairs"],
        item: Int[np.ndarray, " pairs"],
        given: AnyRatings,
        times: Int64[np.ndarray, " pairs"] | None = None,
    ) -> Float32[np.ndarray, " pairs"]:
        """Raw predictions for pairs none of which is cold; new users are folded in.

        Args:
            user: row numbers of users.
            item: row numbers of items.
            given: the ratings a prediction may be made from.
            times: when each rating is given, in seconds since 1970; None: each user's last day.
        """
        new = self.needs_fold_in(user)
        if not new.any():
            return self.predict_known(user, item, given, times)

        known = ~new
        known_times = None if times is None else times[known]
        out = np.empty(len(user), np.float32)
        out[known] = self.predict_known(user[known], item[known], given, known_times)
        out[new] = unseen.predict_new_users(self, user[new], item[new], given)

        return out

    def scores(
        self, user: Int[np.ndarray, " users"], given: AnyRatings
    ) -> Float32[np.ndarray, "users n_items"]:
        """Raw predictions of every item for users who are not cold; new ones are folded in."""
        user = np.asarray(user, np.int64)
        new = self.needs_fold_in(user)
        if not new.any():
            return self.score_known(user, given)

        out = np.empty((len(user), self.given_.n_items), np.float32)
        out[~new] = self.score_known(user[~new], given)
        out[new] = self.fold_in(unseen.usable_rows_of(self, given, user[new]))

        return out

    def predict(
        self,
        user: Int[np.ndarray, " pairs"],
        item: Int[np.ndarray, " pairs"],
        *,
        given: AnyRatings | None = None,
        times: Int[np.ndarray, " pairs"] | None = None,
    ) -> Float32[np.ndarray, " pairs"]:
        """Ratings (or scores, see `output`) for pairs of row numbers, within the rating scale.

        A pair with an unknown user or item (`is_cold`) gets the default prediction, `predict_cold`.

        Args:
            user: row numbers of users; -1 is an unknown one.
            item: row numbers of items; -1 is an unknown one.
            given: the ratings a prediction may be made from; default: those the model was fitted
                on. Users who have ratings here and had none in fitting are folded in.
            times: when each rating is given, in seconds since 1970; default: each user's last day.
        """
        given = self.given(given)
        user = np.asarray(user, np.int64)
        item = np.asarray(item, np.int64)

        cold = self.is_cold(user, item, given=given)
        out = np.empty(len(user), np.float32)
        if cold.any():
            out[cold] = self.predict_cold(user[cold], item[cold], given=given)

        warm = ~cold
        if warm.any():
            warm_times = None if times is None else np.asarray(times, np.int64)[warm]
            out[warm] = self.pairs(user[warm], item[warm], given, warm_times)

        return self.within_scale(out)

    def predict_std(
        self,
        user: Int[np.ndarray, " pairs"],
        item: Int[np.ndarray, " pairs"],
        *,
        times: Int[np.ndarray, " pairs"] | None = None,
    ) -> Float32[np.ndarray, " pairs"]:
        """The standard deviation of the rating of each pair.

        Args:
            user: row numbers of users.
            item: row numbers of items.
            times: when each rating is given, in seconds since 1970.

        Raises:
            SettingError: if the model does not estimate it.
        """
        raise self._no_uncertainty()

    def predict_interval(
        self,
        user: Int[np.ndarray, " pairs"],
        item: Int[np.ndarray, " pairs"],
        level: float = 0.9,
        *,
        times: Int[np.ndarray, " pairs"] | None = None,
    ) -> tuple[Float32[np.ndarray, " pairs"], Float32[np.ndarray, " pairs"]]:
        """Lower and upper bounds of the `level` prediction interval of each pair.

        Args:
            user: row numbers of users.
            item: row numbers of items.
            level: the probability that the rating lies within the interval, between 0 and 1.
            times: when each rating is given, in seconds since 1970.

        Raises:
            SettingError: if the model does not estimate it.
        """
        raise self._no_uncertainty()

    def _no_uncertainty(self) -> SettingError:
        return SettingError(
            f"{type(self).__name__} does not estimate how sure its predictions are; bayes_mf does."
        )

    def within_scale(self, raw: np.ndarray) -> np.ndarray:
        """Raw predictions clipped to the rating scale, unless `clip` is off; scores as they are."""
        if not self.clip or self.output == "scores":
            return raw
        return np.clip(raw, *self.given_.scale)

    def is_cold(
        self,
        user: Int[np.ndarray, " pairs"],
        item: Int[np.ndarray, " pairs"],
        *,
        given: AnyRatings | None = None,
    ) -> Bool[np.ndarray, " pairs"]:
        """Pairs whose user or item is unknown: there is nothing to predict from.

        Args:
            user: row numbers of users; -1 is an unknown one.
            item: row numbers of items; -1 is an unknown one.
            given: the ratings a prediction may be made from; default: those of the fit.
        """
        knows_user = unseen.flags_of(unseen.users_known_to(self, self.given(given)), user)
        knows_item = unseen.flags_of(self.known_items(), item)
        return ~(knows_user & knows_item)

    @property
    def cold_value(self) -> float:
        """The default prediction where neither user nor item is known; 0 among scores."""
        return 0.0 if self.output == "scores" else unseen.constant_default(self.cold, self.given_)

    def predict_cold(
        self,
        user: Int[np.ndarray, " pairs"],
        item: Int[np.ndarray, " pairs"],
        *,
        given: AnyRatings | None = None,
    ) -> Float32[np.ndarray, " pairs"]:
        """The default predictions of cold pairs, not clipped (`unseen` says what they are).

        Args:
            user: row numbers of users; -1 is an unknown one.
            item: row numbers of items; -1 is an unknown one.
            given: the ratings a prediction may be made from; default: those of the fit.
        """
        return unseen.default_predictions(self, user, item, self.given(given))

    def cold_offsets(self) -> RidgeOffsets:
        """The offsets of the users and items in the training ratings; estimated when first asked.

        They are no part of the network: a saved model has the ratings to estimate them from.
        """
        fitted_on, offsets = self.__dict__.get("_cold_offsets", (None, None))
        if fitted_on is not self.given_:
            offsets = Once()
            self._cold_offsets = (self.given_, offsets)

        return offsets.get(lambda: RidgeOffsets.fit(self.given_))

    def given(self, given: AnyRatings | None = None) -> AnyRatings:
        """What predictions are made from: these ratings, or those the model was fitted on.

        Raises:
            NotFittedError: if the model is not fitted.
            DataError: for ratings on disk other than those it was fitted on.
        """
        refuse_forked()
        if not hasattr(self, "net_"):
            raise NotFittedError(f"This {type(self).__name__} is not fitted; fit or load it.")

        if given is None or given is self.given_:
            return self.given_

        if not given.in_memory:
            raise DataError(
                f"{given!r} is on disk and is not what the model was fitted on; give it Ratings "
                "(recollect.read)."
            )

        return given

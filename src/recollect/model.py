"""3 · What a model is: a recipe (dataclass fields) that learns a network (`net_`).

    Model        fit, settings, the cold policy, the scale          written once
    ├── RowModel     a row of the rating matrix in, the row out     AutoRec, …
    └── PairModel    a user and an item in, a rating out            Bias, …

A model file writes `build(n_users, n_items)`, which returns an `nn.Module`, and `learn(train, valid, run)`, ordinary
code that trains it. Inside, users and items are row numbers; a row number of -1 is someone never seen.
"""

from __future__ import annotations

import dataclasses
import logging
import shutil
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

from recollect import kernels
from recollect.data.ratings import AnyRatings, Ratings, Side
from recollect.data.sparse_rows import Rows
from recollect.errors import DataError, LeakError, NotFittedError, SettingError, unknown
from recollect.memory_estimate import Memory, Shape, of_pairs, of_refit, refuse_too_large
from recollect.run import Run
from recollect.training.history import History

log = logging.getLogger("recollect")

BLOCK_CELLS = 8_000_000    # numbers of a dense block that is held at once when ranking: 32 MB


@dataclass(kw_only=True, eq=False)
class Model(ABC):
    """A recipe. Its fields are the hyperparameters; what it has learned is `net_`, from the ratings `given_`."""

    streams: ClassVar[bool] = False                 # learns from ratings on disk, too
    stops: ClassVar[bool] = True                    # validation may end a fit; if not, `refit` learns from all at once
    former_network_names: ClassVar[Mapping[str, str]] = {}   # parts of `net_` in folders of format 1 and 2: today's names
    lighter: ClassVar[tuple[dict[str, Any], ...]] = ()   # settings that take less memory, proposed when a fit needs too much

    clip: bool = True      # predictions are kept within the rating scale
    cold: str = "mean"     # whom nobody knows gets the training "mean" or the "middle" of the scale (3 of 1 to 5)
    refit: bool = False    # after early stopping, fit again on train + validation for the chosen number of epochs

    @property
    def output(self) -> Literal["ratings", "scores"]:
        """What predictions are: ratings, within the scale; or scores to rank by, of which an error means nothing."""
        return "ratings"

    @property
    def needs(self) -> frozenset[str]:
        """What the ratings must have: "time", "text"; "events" for a model that learns from events instead of ratings."""
        return frozenset()

    def __post_init__(self) -> None:
        if self.cold not in ("mean", "middle"):
            raise unknown("cold policy", self.cold, ("mean", "middle"))
        self.check()

    def check(self) -> None:  # noqa: B027 - a model without such settings has nothing to refuse
        """Refuse settings that cannot work. A model that has such settings overrides this."""

    # --- learning -------------------------------------------------------------------------------------------------

    @abstractmethod
    def build(self, n_users: int, n_items: int) -> nn.Module:
        """The network before learning. Randomness comes from torch's generator, which `fit` seeds."""

    @abstractmethod
    def learn(self, train: AnyRatings, valid: Ratings | None, run: Run) -> History:
        """Train `net_`. The validation ratings may only choose when to stop."""

    def fit(self, train: AnyRatings, valid: Ratings | None = None, run: Run | None = None) -> Model:
        """Learn from the ratings; returns self, in evaluation mode.

        Raises: DataError if the ratings lack what the model needs or are too few; LeakError if train and valid share
        pairs; SizeError if it would take more memory than there is; TrainingError if the fit breaks down.
        """
        run = run or Run()
        if run.memory_check:
            refuse_too_large(self, Shape.of(train, valid), run)
        self._check_data(train, valid)
        if run.threads:
            torch.set_num_threads(run.threads)
        if run.folder and not run.resume:
            for stage in ("snapshot", "refit"):
                shutil.rmtree(Path(run.folder) / stage, ignore_errors=True)
        started = time.monotonic()
        try:
            with kernels.use(run.kernels):
                self._fit(train, valid, run)
        except BaseException:
            self.__dict__.pop("net_", None)  # half learned is not fitted
            raise
        self.seed_, self.seconds_ = run.seed, time.monotonic() - started
        return self

    def _fit(self, train: AnyRatings, valid: Ratings | None, run: Run) -> None:
        self._forget()
        if self.refit and valid is not None and not self.stops:
            train, valid = train.union(valid), None
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(run.seed)
            self.given_ = train
            self.net_: Any = self.build(train.n_users, train.n_items).to(run.device)
            self.history_ = self.learn(train, valid, run)
        if self.refit and valid is not None:
            self._fit_again(train.union(valid), run)
        self.net_.eval()
        self._forget()

    def _fit_again(self, ratings: AnyRatings, run: Run) -> None:
        chosen = {"epochs": self.history_.best_epoch} if self.history_.best_epoch else {}
        again = dataclasses.replace(self, refit=False, **chosen)  # type: ignore[arg-type]
        folder = Path(run.folder) / "refit" if run.folder else None
        again.fit(ratings, run=dataclasses.replace(run, folder=folder, net_watchers=(),   # theirs is the fit of history_
                                                   memory_check=False))                   # it was, for both fits
        self.net_, self.given_ = again.net_, again.given_

    def need_one(self, *names: str) -> None:
        """Refuse these settings below 1; None is left alone.

        Raises: SettingError.
        """
        for name in names:
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise SettingError(f"{name} is 1 or more, found {getattr(self, name)}.")

    def need_positive(self, *names: str) -> None:
        """Refuse these settings at 0 and below.

        Raises: SettingError.
        """
        for name in names:
            if getattr(self, name) <= 0:
                raise SettingError(f"{name} is above 0, found {getattr(self, name)}.")

    def fit_key(self, train: AnyRatings, valid: Ratings | None) -> dict[str, object]:
        """What a snapshot of this fit belongs to."""
        return {**{f.name: getattr(self, f.name) for f in dataclasses.fields(self)}, "train": train.fingerprint,
                "valid": valid.fingerprint if valid else None}

    def memory(self, shape: Shape, run: Run | None = None) -> Memory:
        """What `fit` will hold on data of this shape when it holds most, in bytes; worked out without building anything."""
        run = run or Run()
        first = self.estimate_memory(shape, run)
        if not (self.refit and shape.n_valid):
            return first
        both = dataclasses.replace(shape, n_train=shape.n_train + shape.n_valid, n_valid=0)
        again = self.estimate_memory(both, run)
        return of_refit(shape, first, again) if self.stops else again

    def estimate_memory(self, shape: Shape, run: Run) -> Memory:
        """The same without `refit`. A model that holds more than its ratings and a few numbers per user and item says so."""
        return of_pairs(shape, parameters=32 * (shape.n_users + shape.n_items), bytes_per_rating=40)

    def _check_data(self, train: AnyRatings, valid: Ratings | None) -> None:
        who = type(self).__name__
        if "time" in self.needs and train.time is None:
            raise DataError(f"{who} needs the time of each rating, and these ratings have none. Name their column: "
                            "recollect.read(…, time=\"when\"), on the command line --time-column when; or choose a model "
                            "without time.")
        if "text" in self.needs and (train.text is None or not train.text.has.any()):
            what = "none has a word that is kept" if train.text is not None else "these ratings have none"
            raise DataError(f"{who} needs the items' texts, and {what}; give them: recollect.with_texts(ratings, \"plot.item\"), "
                            "on the command line --text plot.item.")
        if "events" in self.needs and not train.implicit:
            raise DataError(f"{who} with these settings learns from events (who chose what), and {train!r} are ratings; take "
                            "the high ones as events: ratings.events(from_=4), on the command line --events-from 4.")
        if self.output == "ratings" and train.implicit:
            raise DataError(f"{who} with these settings learns how high the ratings are, and {train!r} are events; use "
                            "popularity, or deeprec with loss=\"multinomial\".")
        if not train.in_memory:
            self._check_stored(train)
        if not len(train):
            raise DataError(f"{who} cannot learn from 0 ratings.")
        for side, what in (("user", "users"), ("item", "items")):
            n = int((train.count(side) > 0).sum())  # type: ignore[arg-type]
            if n < 2:
                raise DataError(f"{who} needs ratings of at least 2 {what}, found {n}: with one there is nobody to "
                                "compare with.")
        if valid is not None:
            if valid.users != train.users or valid.items != train.items:
                raise DataError("train and valid have different vocabularies; make both with one split.")
            if shared := train.shared(valid):
                raise LeakError(f"valid shares {shared} pairs with train; early stopping would be blind: split again.")

    def _check_stored(self, train: AnyRatings) -> None:
        if not self.streams:
            raise DataError(f"{type(self).__name__} learns from ratings in memory only, and {train!r} is on disk; give it "
                            "Ratings (recollect.read), or use autorec.")
        if self.refit:
            raise SettingError("refit=True joins train and validation ratings in memory, and train is on disk; leave refit "
                               "out.")

    # --- predicting -----------------------------------------------------------------------------------------------

    @abstractmethod
    def pairs(self, user: Int[np.ndarray, " pairs"], item: Int[np.ndarray, " pairs"], given: AnyRatings
              ) -> Float32[np.ndarray, " pairs"]:
        """Raw predictions for pairs none of which is cold; `given` is what they may be made from."""

    def pairs_at(self, user: Int[np.ndarray, " pairs"], item: Int[np.ndarray, " pairs"], given: AnyRatings,
                 times: Int64[np.ndarray, " pairs"]) -> Float32[np.ndarray, " pairs"]:
        """The same for ratings given at these times, in seconds since 1970. To most models all times are alike; to one that
        knows better, `pairs` and `scores` are of each user's last day."""
        return self.pairs(user, item, given)

    @abstractmethod
    def scores(self, user: Int[np.ndarray, " users"], given: AnyRatings) -> Float32[np.ndarray, "users n_items"]:
        """Raw predictions of every item for a few users that are not cold."""

    @abstractmethod
    def fold_in(self, rows: Rows) -> Float32[np.ndarray, "people n_items"]:
        """Raw predictions of every item for people the model has never seen: a sparse row of item ratings each."""

    @abstractmethod
    def vectors(self, side: Side) -> Float32[np.ndarray, "rows k"]:
        """What the model knows of each user or item, as vectors whose cosine means likeness."""

    def predict(self, user: Int[np.ndarray, " pairs"], item: Int[np.ndarray, " pairs"], *, given: AnyRatings | None = None,
                times: Int[np.ndarray, " pairs"] | None = None) -> Float32[np.ndarray, " pairs"]:
        """Ratings (or scores, see `output`) for pairs of row numbers, in the rating scale; a cold pair (see `is_cold`) gets the
        cold value.

        `given` is what predictions may be made from, by default what the model was fitted on; people who stand in it
        and were not there in fitting are folded in. `times`, in seconds since 1970, is when each rating is given; without it, a
        model that goes by time predicts for each user's last day.
        """
        given = self.given(given)
        user, item = np.asarray(user, np.int64), np.asarray(item, np.int64)
        warm = ~self.is_cold(user, item, given=given)
        out = np.full(len(user), self.cold_value, np.float32)
        if warm.any() and times is None:
            out[warm] = self.pairs(user[warm], item[warm], given)
        elif warm.any():
            out[warm] = self.pairs_at(user[warm], item[warm], given, np.asarray(times, np.int64)[warm])
        return self.within_scale(out)

    def predict_std(self, user: Int[np.ndarray, " pairs"], item: Int[np.ndarray, " pairs"], *,
                    times: Int[np.ndarray, " pairs"] | None = None) -> Float32[np.ndarray, " pairs"]:
        """The standard deviation of the rating of each pair. Raises: SettingError if the model does not know it."""
        raise self._unsure()

    def predict_interval(self, user: Int[np.ndarray, " pairs"], item: Int[np.ndarray, " pairs"], level: float = 0.9, *,
                         times: Int[np.ndarray, " pairs"] | None = None
                         ) -> tuple[Float32[np.ndarray, " pairs"], Float32[np.ndarray, " pairs"]]:
        """Between what the rating of each pair lies with probability `level`. Raises: SettingError if the model does not
        know it."""
        raise self._unsure()

    def _unsure(self) -> SettingError:
        return SettingError(f"{type(self).__name__} does not say how sure it is of a prediction; bayes_mf does.")

    def within_scale(self, raw: np.ndarray) -> np.ndarray:
        """Raw predictions kept within the rating scale, unless `clip` is off; scores have no scale and stay as they are."""
        return np.clip(raw, *self.given_.scale) if self.clip and self.output == "ratings" else raw

    def is_cold(self, user: Int[np.ndarray, " pairs"], item: Int[np.ndarray, " pairs"], *, given: AnyRatings | None = None
                ) -> Bool[np.ndarray, " pairs"]:
        """Pairs of whose user or item nothing is known to predict from."""
        given = self.given(given)
        has_user, has_item = given.count("user") > 0, self.known_items()
        return ~(_at(has_user, user) & _at(has_item, item))

    def known_items(self) -> Bool[np.ndarray, " n_items"]:
        """The items of which the model can say something: those with a rating in fitting, unless it knows them otherwise."""
        return self.given_.count("item") > 0

    @property
    def cold_value(self) -> float:
        """What a cold pair gets; 0 where predictions are scores."""
        if self.output == "scores":
            return 0.0
        return self.given_.mean if self.cold == "mean" else sum(self.given_.scale) / 2

    def given(self, given: AnyRatings | None = None) -> AnyRatings:
        """What predictions are made from: these ratings, or those the model was fitted on.

        Raises: NotFittedError; DataError for ratings on disk that are not those it was fitted on.
        """
        if not hasattr(self, "net_"):
            raise NotFittedError(f"This {type(self).__name__} is not fitted; call fit, or load a saved one.")
        if given is None or given is self.given_:
            return self.given_
        if not given.in_memory:
            raise DataError(f"{given!r} is on disk and is not what the model was fitted on; give it Ratings "
                            "(recollect.read).")
        return given

    def _forget(self) -> None:  # noqa: B027 - most models keep nothing
        """Drop what was worked out from an earlier `net_` or `given_`."""


@dataclass(kw_only=True, eq=False)
class PairModel(Model):
    """(user, item) → rating. The network's forward takes row numbers."""

    def pairs(self, user: Int[np.ndarray, " pairs"], item: Int[np.ndarray, " pairs"], given: AnyRatings
              ) -> Float32[np.ndarray, " pairs"]:
        """See Model. Who stands in `given` and was not there in fitting is folded in."""
        new = self.given_.count("user")[user] == 0
        out = np.empty(len(user), np.float32)
        with torch.no_grad():
            device = next(iter(self.net_.state_dict().values())).device
            places = (torch.as_tensor(x[~new], device=device) for x in (user, item))
            out[~new] = self.net_(*places).cpu().numpy()
        out[new] = predict_new_users(self, user[new], item[new], given)
        return out

    def scores(self, user: Int[np.ndarray, " users"], given: AnyRatings) -> Float32[np.ndarray, "users n_items"]:
        """See Model."""
        n_items = self.given_.n_items
        flat = self.pairs(np.repeat(user, n_items), np.tile(np.arange(n_items), len(user)), given)
        return flat.reshape(len(user), n_items)


def _at(flags: Bool[np.ndarray, " rows"], row: np.ndarray) -> Bool[np.ndarray, " pairs"]:
    """The flag of each row number; False for -1."""
    row = np.asarray(row)
    return np.where(row >= 0, flags[row], False)


def predict_new_users(model: Model, user: np.ndarray, item: np.ndarray, given: AnyRatings) -> np.ndarray:
    """Predictions for people who were not there in fitting, from the ratings they have in `given`."""
    out = np.empty(len(user), np.float32)
    people, where = np.unique(user, return_inverse=True)
    step = max(1, BLOCK_CELLS // max(1, given.n_items))
    for first in range(0, len(people), step):
        here = (where >= first) & (where < first + step)
        table = model.fold_in(given.by_user.take(people[first:first + step]))
        out[here] = table[where[here] - first, item[here]]
    return out

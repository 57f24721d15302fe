"""Updating: the part of a model that learns from further ratings without a fit."""

from __future__ import annotations

import copy
import time
from typing import Any, ClassVar

from torch import nn

from recollect.arguments import expect_ratings
from recollect.data.ratings import AnyRatings, Ratings
from recollect.errors import NotUpdatableError
from recollect.online.change import Change
from recollect.online.merge import merge, take_back
from recollect.online.result import Updatable, Update
from recollect.system.door import words
from recollect.system.once import Once
from recollect.training.offsets import RidgeOffsets


class Updating:
    """`update` and `retract` of every model; a model states and writes the learning alone.

    A model that can be updated overrides `updatable` and `learn_change`. Everything new is computed
    beside the old, which is never written into, and takes its place at the end: after an error the
    model is what it was, and a copy (`copy.copy(model)`) is not changed with it. Threads that ask
    a model while it is updated may see the old ratings beside the new network: update a copy and
    put it in the model's place, or take a lock.
    """

    # Why a model learns by a fit only, for the message; of those that override nothing here.
    why_not_updatable: ClassVar[str] = "learns from all ratings at once"

    net_: Any
    given_: AnyRatings

    @property
    def updatable(self) -> Updatable:
        """What `update` changes of this model.

        Raises:
            NotUpdatableError: if the model learns by a fit only.
        """
        raise NotUpdatableError(
            f"{type(self).__name__} {self.why_not_updatable} and cannot be updated; fit it again "
            "with the further ratings."
        )

    def learn_change(self, change: Change, before: Any) -> nn.Module:
        """The network after a change; called on a copy of the model that has the new ratings.

        `net_` is still the network before, none of whose tensors may be written into
        (`networks.sharing`).

        Args:
            change: of the ratings, in the model's own unit.
            before: the model as it was, with what it keeps.
        """
        raise NotImplementedError

    def update(self, ratings: Ratings, *, retract: bool = False) -> Update:
        """Learn from further ratings at once, as far as the model can (`updatable`).

        Users and items that the model does not know get the next row numbers. A rating of a pair
        that has one takes its place; counts of events add up.

        Args:
            ratings: the new ratings or events alone, with ids as the model's ratings have them.
            retract: take these ratings back instead.

        Raises:
            NotUpdatableError: if the model learns by a fit only, or cannot take ratings back.
            DataError: for events where ratings are expected or the reverse, or a rating that lies
                outside the scale of the model.
            NotFittedError: if the model is not fitted.
        """
        started = time.perf_counter()
        expect_ratings("ratings", ratings, Ratings)
        given = self._given_in_memory()
        can = self.updatable
        if retract and not can.retracts:
            raise NotUpdatableError(
                f"{type(self).__name__} cannot take ratings back: what it learned from them is in "
                "numbers of other users and items, too; fit it again without them."
            )

        change = take_back(given, ratings) if retract else merge(given, ratings)
        if len(change):
            self._learn_and_swap(change)

        return Update(
            ratings=len(change),
            users_new=len(change.new("user")),
            users_changed=len(change.known("user")),
            items_new=len(change.new("item")),
            items_changed=len(change.known("item")),
            dropped=change.dropped,
            learned=can.learns,
            waits=can.waits,
            exact=can.exact,
            notes=change.notes,
            seconds=time.perf_counter() - started,
        )

    def retract(self, ratings: Ratings) -> Update:
        """Take ratings or events back, as if they had never been given; errors as `update`.

        Args:
            ratings: those to take back. Of ratings the pair counts, whatever its value; of events
                the counts are taken off.
        """
        return self.update(ratings, retract=True)

    def _given_in_memory(self) -> Ratings:
        model: Any = self
        given = model.given()
        if not isinstance(given, Ratings):
            how = words("recollect.read", "the file that they were stored from")
            raise NotUpdatableError(
                f"The model has learned from ratings on disk ({given!r}), which are not extended; "
                f"fit it again, with {how} if it is to be updated."
            )

        return given

    def _learn_and_swap(self, change: Change) -> None:
        """Learn the change, and take what was learned in one step."""
        model: Any = self
        before = model.inner
        inner = learned(before, change.in_unit(model.unit_))
        if before is model:
            vars(self).update(vars(inner))
            return

        after = copy.copy(model)
        after.given_ = change.after
        after.net_ = inner.net_
        after._forget()
        after._inner = (change.after, inner.net_, inner)
        vars(self).update(vars(after))


def learned(before: Any, change: Change) -> Any:
    """A copy of a model that has learned a change; the model before is not written into.

    Args:
        before: the model in its own unit.
        change: of its ratings, in that unit.
    """
    after = copy.copy(before)
    after.given_ = change.after
    after._forget()
    after.net_ = after.learn_change(change, before).eval()
    _keep_cold_offsets(after, change, before)

    return after


def _keep_cold_offsets(after: Any, change: Change, before: Any) -> None:
    """Keep the offsets for cold pairs, if they were asked for, with those of touched rows anew.

    Args:
        after: the model that has learned the change.
        change: of the ratings.
        before: the model before.
    """
    fitted_on, once = vars(before).get("_cold_offsets", (None, None))
    offsets = None if once is None else once.known
    if fitted_on is not change.before or offsets is None:
        return

    touched = {"users": change.touched("user"), "items": change.touched("item")}
    kept = Once[RidgeOffsets]()
    kept.get(lambda: offsets.solved_again(change.after, **touched))
    after._cold_offsets = (change.after, kept)

"""The versions that answer in this process, and how one takes another's place.

Every process looks at the store several times a second. A version that became active is loaded and
asked for a few lists before a reference is replaced: requests that are under way end with the
earlier version, the next ones get the new one, and none waits.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from recollect.checkpoint import load as load_model
from recollect.errors import RecollectError, StoreError
from recollect.serve.answers.catalogue import Catalogue
from recollect.serve.answers.listing import make_list
from recollect.serve.answers.served import Served
from recollect.serve.answers.wanted import Wanted
from recollect.serve.learning.updates import updated
from recollect.serve.store import experiments, users, versions
from recollect.serve.store.experiments import Experiment
from recollect.serve.store.records import Version
from recollect.serve.store.store import Store

log = logging.getLogger("recollect.serve")

WARM_UP = 20  # lists that a version makes before it answers


@dataclass(frozen=True)
class Choice:
    """Who answers a request.

    Args:
        served: the version.
        experiment: that the user takes part in; None: none runs.
        arm: the user's part of it.
    """

    served: Served
    experiment: str | None = None
    arm: str | None = None


@dataclass(frozen=True)
class State:
    """What answers at a moment; replaced as a whole.

    Args:
        number: the store's counter of changes.
        active: the version that answers those who are in no experiment.
        loaded: all versions in memory, by number.
        experiment: the one that runs.
    """

    number: int
    active: int
    loaded: dict[int, Served] = field(default_factory=dict)
    experiment: Experiment | None = None


class Models:
    """The versions that this process has loaded.

    Args:
        store: which versions there are, and which is active.
        catalogue: of the store.
        trusted: models from outside the package that may be loaded.
        on_swap: called with the version that took over.
    """

    def __init__(
        self,
        store: Store,
        catalogue: Catalogue,
        *,
        trusted: tuple[str, ...] = (),
        on_swap: Callable[[Served], None] | None = None,
    ) -> None:
        self.store = store
        self.catalogue = catalogue
        self.trusted = trusted
        self.on_swap = on_swap
        self._state: State | None = None
        self._lock = threading.Lock()

    @property
    def state(self) -> State:
        """What answers now.

        Raises:
            StoreError: before a model is loaded.
        """
        if self._state is None:
            raise StoreError("No model is loaded yet; ask again in a moment.")

        return self._state

    @property
    def is_ready(self) -> bool:
        """Whether a model is loaded."""
        return self._state is not None

    def for_user(self, user_id: str | None) -> Choice:
        """Who answers a user: the arm of the experiment that runs, or the active version.

        Args:
            user_id: of the user; None: someone without an id, who is in no experiment.
        """
        state = self.state
        if state.experiment is None or user_id is None:
            return Choice(state.loaded[state.active])

        arm = arm_of(state.experiment, user_id)
        version = state.active if arm.version is None else arm.version
        served = state.loaded.get(version, state.loaded[state.active])

        return Choice(served, state.experiment.name, arm.label)

    def refresh(self) -> bool:
        """Take over what the store says is active; returns whether anything has changed.

        Raises:
            StoreError: if the store cannot be read, or has no active version.
            CheckpointError: if a folder cannot be loaded; the earlier version goes on answering.
        """
        session = self.store.reader()
        number = versions.n_changes(session)
        if self._state is not None and number == self._state.number:
            return False

        with self._lock:
            if self._state is not None and number == self._state.number:
                return False

            self._take_over(number)

        return True

    def _take_over(self, number: int) -> None:
        session = self.store.reader()
        active = versions.active(session)
        if active is None:
            raise StoreError(
                "The store has no version of a model; start the service with the folder of one."
            )

        experiment = experiments.running(session)
        loaded = dict(self._state.loaded) if self._state else {}
        needed = _needed(active, experiment, versions.before(session, active))
        for version in sorted(needed, key=lambda one: one != active):
            # At the start the version before may answer for one that is damaged.
            is_needed = version == active if self._state else not loaded and len(needed) == 1
            if version not in loaded:
                self._load(loaded, version, is_needed=is_needed)

        if not loaded:
            raise StoreError(f"Version {active} cannot be loaded, nor the one before it.")

        if active not in loaded:
            active = next(iter(loaded))
            log.error("version_before_answers", extra={"version": active})

        kept = {version: served for version, served in loaded.items() if version in needed}
        before = None if self._state is None else self._state.active
        self._state = State(number, active, kept, experiment)
        if before != active and self.on_swap:
            self.on_swap(kept[active])

    def _load(self, loaded: dict[int, Served], version: int, *, is_needed: bool) -> None:
        """Load a version beside those that answer.

        Args:
            loaded: by number; gets the version.
            version: its number.
            is_needed: whether nothing may take its place; others are left out with a word.

        Raises:
            RecollectError: if it is needed and cannot be loaded.
        """
        found = versions.find(self.store.reader(), version)

        try:
            if found is None or found.state == versions.REMOVED:
                raise StoreError(f"There is no version {version}.")

            loaded[version] = self.load(found)
        except RecollectError as problem:
            if is_needed:
                raise

            log.warning("version_not_loaded", extra={"version": version, "problem": str(problem)})

    def load(self, version: Version) -> Served:
        """A version, loaded and warm.

        Raises:
            CheckpointError: if its folder is damaged, missing or another one's.
        """
        model = load_model(version.folder, trusted=self.trusted)
        served = Served(version, model)
        self.warm_up(served)

        return served

    def warm_up(self, served: Served) -> None:
        """Make some lists, so that the first that is asked for is no slower than the others."""
        session = self.store.reader()
        rows = session.rows("SELECT id FROM users ORDER BY changed DESC LIMIT ?", (WARM_UP,))
        for (user_id,) in rows:
            person = users.person(session, user_id)
            make_list(served, self.catalogue.now(session), person, Wanted())

    def update(self) -> bool:
        """Let the versions learn what they can without a fit; returns whether any has."""
        state = self.state
        fresh = {}
        for version, served in state.loaded.items():
            newer = updated(served, self.store.reader(), self.catalogue)
            if newer is not None:
                self.warm_up(newer)
                fresh[version] = newer

        if not fresh:
            return False

        with self._lock:
            if self._state is state:
                self._state = State(
                    state.number, state.active, {**state.loaded, **fresh}, state.experiment
                )

        return True


def _needed(active: int, experiment: Experiment | None, before: int | None) -> set[int]:
    """The versions to hold in memory: the active one, those of arms, and one to roll back to."""
    needed = {active}
    if before is not None:
        needed.add(before)

    if experiment is not None:
        needed |= {arm.version for arm in experiment.arms if arm.version is not None}

    return needed


def arm_of(experiment: Experiment, user_id: str) -> experiments.Arm:
    """The arm of a user: the same in every process, and independent of other experiments."""
    digest = hashlib.sha256(f"{experiment.name}:{user_id}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    upper = 0.0
    for arm in experiment.arms:
        upper += arm.share
        if place < upper:
            return arm

    return experiment.arms[-1]

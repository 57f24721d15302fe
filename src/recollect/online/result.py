"""What an update did, and what updates of a model can do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Updatable:
    """What `update` changes of a model.

    Args:
        learns: what is learned at once.
        waits: what stays as the last fit left it; "" if nothing does.
        exact: whether the model is then the one that a fit on all ratings gives, but for rounding.
        retracts: whether ratings can be taken back, which leaves no trace of them.
    """

    learns: str
    waits: str
    exact: bool = False
    retracts: bool = False

    def __str__(self) -> str:
        waits = f"Waits for the next fit: {self.waits}." if self.waits else "Nothing waits."
        return f"Learned at once: {self.learns}. {waits}"


@dataclass(frozen=True, kw_only=True)
class Update:
    """What an update did.

    Args:
        ratings: how many ratings (or events) were taken in, or taken back.
        users_new: users who had no rating before.
        users_changed: users who had some.
        items_new: items that had no rating before.
        items_changed: items that had some.
        dropped: how many of the given ratings were left out, by the reason.
        learned: what was learned at once.
        waits: what waits for the next fit; "" if nothing does.
        exact: whether the model is the one that a fit on all ratings gives, but for rounding.
        notes: what was done to the given ratings, a sentence each.
        seconds: how long it took.
    """

    ratings: int
    users_new: int
    users_changed: int
    items_new: int
    items_changed: int
    dropped: dict[str, int]
    learned: str
    waits: str
    exact: bool
    notes: tuple[str, ...]
    seconds: float

    def __str__(self) -> str:
        dropped = "".join(f" {n:,} left out: {reason}." for reason, n in self.dropped.items())
        return (
            f"{self.ratings:,} ratings of {self.users_new + self.users_changed:,} users "
            f"({self.users_new:,} new) and {self.items_new + self.items_changed:,} items "
            f"({self.items_new:,} new) in {self.seconds:.3f} s.{dropped}"
        )

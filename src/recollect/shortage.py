"""What lists of recommendations leave out: unknown users, and users with too few items left."""

from __future__ import annotations

import polars as pl

from recollect.errors import warn
from recollect.lists.selection import Selection
from recollect.model import Model
from recollect.request import a_few
from recollect.unseen import flags_of

NAMED = 5  # users that a warning names


class Shortage:
    """Counts the users who get fewer items than there are to recommend.

    Args:
        model: a fitted model.
        selection: how the lists are chosen.
    """

    def __init__(self, model: Model, selection: Selection) -> None:
        self.model = model
        self.selection = selection
        n = selection.wishes.n
        n_candidates = int((model.known_items() & ~selection.excluded).sum())
        # Who asks for more than there are asks for all, and is not told that it is fewer.
        self.n = n if n <= n_candidates else 0
        self.n_users = 0
        self.n_without = 0
        self.n_short = 0
        self.without: list[str] = []
        self.short: list[str] = []

    def warn_of_strangers(self, ids: pl.Series) -> None:
        """Warn of users of whom nothing is known."""
        given = self.model.given_
        has_ratings = flags_of(given.count("user") > 0, given.users.rows(ids))
        if has_ratings.all():
            return

        strangers = ids.filter(pl.Series(~has_ratings))
        warn(
            f"Nothing is known of {len(strangers):,} of {len(ids):,} users ({a_few(strangers)}); "
            "they get the items that are best for everyone."
        )

    def count(self, ids: pl.Series, frame: pl.DataFrame) -> None:
        """Count the lists of some users.

        Args:
            ids: of the users, one of whom may stand twice.
            frame: their lists.
        """
        asked = ids.alias("user_id").value_counts(name="asked")
        listed = frame["user_id"].value_counts(name="listed")
        joined = asked.join(listed, on="user_id", how="left", nulls_equal=True)
        per_list = joined["listed"].fill_null(0) / joined["asked"]
        without = joined["user_id"].filter(per_list == 0)
        short = joined["user_id"].filter((per_list > 0) & (per_list < self.n))
        self.n_users += len(joined)
        self.n_without += len(without)
        self.n_short += len(short)
        for names, found in ((self.without, without), (self.short, short)):
            names.extend(found.sort().head(NAMED + 1 - len(names)))

    def warn(self) -> None:
        """Warn of users who get no item, or fewer than there are, because they have the others."""
        self.selection.warn()
        had = "had" if self.model.given_.implicit else "rated"
        if self.n_without:
            every = "every one of these items" if self.selection.excluded.any() else "every item"
            warn(
                f"Nothing is left to recommend to {self.n_without:,} of {self.n_users:,} users "
                f"({a_few(pl.Series(self.without))}): they have {had} {every}."
            )

        if self.n_short:
            why = f"they have {had} the others"
            if self.selection.limits:
                why += ", or at_most allows no more"

            warn(
                f"{self.n_short:,} of {self.n_users:,} users ({a_few(pl.Series(self.short))}) get "
                f"fewer than {self.n} items: {why}."
            )

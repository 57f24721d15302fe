"""Leave-last split: the last ratings of each user are tested."""

from __future__ import annotations

from recollect.arguments import expect_ratings
from recollect.data.ratings import Ratings
from recollect.data.splitting.per_user import latest_first, parts_of_users
from recollect.data.splitting.split import Split, split_by_part
from recollect.errors import SettingError


def leave_last_split(ratings: Ratings, *, n: int = 1, valid: int = 0, min_train: int = 1) -> Split:
    """Each user's last `n` ratings by time are test, the `valid` ratings before them are valid.

    Users with fewer than n + valid + min_train ratings are in train only. Ratings of the same
    moment are ordered by the row number of the item. As the last ratings of users lie at different
    moments, train has ratings that are newer than some of test; `time_split` has none. A random
    one of each user's ratings is left out by `per_user_split(ratings, test=1)`.

    Args:
        ratings: the whole, with times.
        n: test ratings per user, 1 or more.
        valid: validation ratings per user.
        min_train: the fewest train ratings of a user who is tested.

    Raises:
        SettingError: for an impossible count.
        DataError: if there are no times or a part would be empty.
    """
    expect_ratings("ratings", ratings, Ratings)
    if n < 1 or valid < 0 or min_train < 0:
        raise SettingError(
            "leave_last_split needs n of 1 or more, valid and min_train of 0 or more; found "
            f"n={n}, valid={valid}, min_train={min_train}."
        )

    order = latest_first(ratings, "leave_last_split")
    part = parts_of_users(ratings, order, test=n, valid=valid, min_train=min_train)
    settings = {"n": n, "valid": valid, "min_train": min_train}

    return split_by_part(
        ratings,
        part,
        how="each user's last",
        seed=None,
        settings=settings,
    )

"""Ways to split ratings into train, validation and test."""

from recollect.data.splitting.methods import (
    covering_split,
    density_sweep,
    find,
    in_windows,
    k_folds,
    last_months,
    leave_last_split,
    random_split,
    shared_pairs,
    time_split,
    window_split,
)
from recollect.data.splitting.new_users_and_items import new_item_split, new_user_split
from recollect.data.splitting.split import Split

__all__ = [
    "Split",
    "covering_split",
    "density_sweep",
    "find",
    "in_windows",
    "k_folds",
    "last_months",
    "leave_last_split",
    "new_item_split",
    "new_user_split",
    "random_split",
    "shared_pairs",
    "time_split",
    "window_split",
]

"""The splits by name, for experiment files and the command line."""

from __future__ import annotations

from collections.abc import Callable

from recollect.data.splitting.covering import covering_split
from recollect.data.splitting.leave_last import leave_last_split
from recollect.data.splitting.new_items import new_item_split
from recollect.data.splitting.new_users import new_user_split
from recollect.data.splitting.per_user import per_user_split
from recollect.data.splitting.random import random_split
from recollect.data.splitting.split import Split
from recollect.data.splitting.time import time_split
from recollect.data.splitting.windows import window_split
from recollect.errors import unknown

SPLITS: dict[str, Callable[..., Split]] = {
    "random": random_split,
    "covering": covering_split,
    "time": time_split,
    "window": window_split,
    "leave_last": leave_last_split,
    "per_user": per_user_split,
    "new_user": new_user_split,
    "new_item": new_item_split,
}


def find(how: str) -> Callable[..., Split]:
    """The function that makes the split of this name, such as "random".

    Raises:
        SettingError: listing the names.
    """
    if how not in SPLITS:
        raise unknown("split", how, SPLITS)
    return SPLITS[how]

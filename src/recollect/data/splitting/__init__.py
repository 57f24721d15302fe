"""Ways to split ratings into train, validation and test, one file per way.

Every function returns a `Split`, which unpacks as `train, valid, test`. All parts keep the
vocabularies of the whole. The part of a rating depends on the ratings and the seed, never on the
order of the rows in the file.
"""

from recollect.data.splitting.by_name import find
from recollect.data.splitting.covering import covering_split
from recollect.data.splitting.density import density_sweep
from recollect.data.splitting.folds import k_folds
from recollect.data.splitting.leave_last import leave_last_split
from recollect.data.splitting.new_items import new_item_split
from recollect.data.splitting.new_users import new_user_split
from recollect.data.splitting.per_user import per_user_split
from recollect.data.splitting.random import random_split
from recollect.data.splitting.split import Split, shared_pairs
from recollect.data.splitting.time import time_split
from recollect.data.splitting.windows import in_windows, last_months, window_split

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
    "per_user_split",
    "random_split",
    "shared_pairs",
    "time_split",
    "window_split",
]

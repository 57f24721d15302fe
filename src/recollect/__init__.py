"""Recollect: autoencoders for collaborative filtering, from a ratings file to a recommender.

import recollect as rc
ratings = rc.read("ratings.csv")
train, valid, test = rc.random_split(ratings, test=0.1, valid=0.05, seed=0)
model = rc.make("autorec", side="item", hidden=500).fit(train, valid)
print(rc.held_out(model, test).table("rmse", "mae"))
"""

from __future__ import annotations

import importlib
import operator
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recollect import explain
    from recollect.checkpoint import load as load_model
    from recollect.checkpoint import save
    from recollect.choice.auto import auto
    from recollect.choice.blend import blend
    from recollect.data.from_objects import from_frame, from_scipy, from_tuples
    from recollect.data.on_disk.store import store
    from recollect.data.on_disk.stored_ratings import StoredRatings, open_stored
    from recollect.data.open_data import load
    from recollect.data.ratings import Ratings
    from recollect.data.read import read
    from recollect.data.sparse_rows import Rows
    from recollect.data.splitting import (
        Split,
        covering_split,
        density_sweep,
        k_folds,
        leave_last_split,
        new_item_split,
        new_user_split,
        per_user_split,
        random_split,
        time_split,
        window_split,
    )
    from recollect.data.splitting.validation import hold_out_validation
    from recollect.data.text.corpus import Corpus
    from recollect.data.text.tokenizer import Tokenizer
    from recollect.data.vocab import Vocab
    from recollect.data.with_items import with_items
    from recollect.data.with_texts import with_texts
    from recollect.errors import RecollectError, RecollectWarning
    from recollect.evaluation.comparison.compare import compare_models
    from recollect.evaluation.comparison.compare import compare_models as compare
    from recollect.evaluation.cross_validation import cross_validate
    from recollect.evaluation.prequential.protocol import prequential
    from recollect.evaluation.protocols import (
        full_ranking,
        held_out,
        new_items,
        new_items_ranking,
        new_users,
        new_users_ranking,
    )
    from recollect.evaluation.scores import Scores
    from recollect.experiment.tune_model import tune
    from recollect.lists.reasons import explain_list
    from recollect.model import Model
    from recollect.model_descriptions import model_names
    from recollect.neighbors import similar
    from recollect.recommend import fold_in, predict, top_n, top_n_to_parquet
    from recollect.registry import find, make
    from recollect.run import Run
    from recollect.serve.client import connect

__all__ = [
    "Corpus",
    "Model",
    "Ratings",
    "RecollectError",
    "RecollectWarning",
    "Rows",
    "Run",
    "Scores",
    "Split",
    "StoredRatings",
    "Tokenizer",
    "Vocab",
    "auto",
    "blend",
    "compare",
    "compare_models",
    "connect",
    "covering_split",
    "cross_validate",
    "density_sweep",
    "explain",
    "explain_list",
    "find",
    "fold_in",
    "from_frame",
    "from_scipy",
    "from_tuples",
    "full_ranking",
    "held_out",
    "hold_out_validation",
    "k_folds",
    "leave_last_split",
    "load",
    "load_model",
    "make",
    "model_names",
    "new_item_split",
    "new_items",
    "new_items_ranking",
    "new_user_split",
    "new_users",
    "new_users_ranking",
    "open_stored",
    "per_user_split",
    "predict",
    "prequential",
    "random_split",
    "read",
    "save",
    "similar",
    "store",
    "time_split",
    "top_n",
    "top_n_to_parquet",
    "tune",
    "window_split",
    "with_items",
    "with_texts",
]

# The names of each module that are public here; name=other where the module calls it otherwise.
_HOMES = {
    "registry": "find make",
    "model_descriptions": "model_names",
    "checkpoint": "load_model=load save",
    "choice.auto": "auto",
    "choice.blend": "blend",
    "data.text.corpus": "Corpus",
    "data.ratings": "Ratings",
    "data.from_objects": "from_frame from_scipy from_tuples",
    "data.read": "read",
    "data.sparse_rows": "Rows",
    "data.open_data": "load",
    "data.on_disk.store": "store",
    "data.on_disk.stored_ratings": "StoredRatings open_stored",
    "data.splitting": "Split covering_split density_sweep k_folds leave_last_split new_item_split"
    " new_user_split per_user_split random_split time_split window_split",
    "data.splitting.validation": "hold_out_validation",
    "data.with_items": "with_items",
    "data.with_texts": "with_texts",
    "data.vocab": "Vocab",
    "data.text.tokenizer": "Tokenizer",
    "errors": "RecollectError RecollectWarning",
    "evaluation.scores": "Scores",
    "evaluation.comparison.compare": "compare=compare_models compare_models",
    "evaluation.cross_validation": "cross_validate",
    "experiment.tune_model": "tune",
    "evaluation.prequential.protocol": "prequential",
    "evaluation.protocols": "full_ranking held_out new_items new_items_ranking new_users"
    " new_users_ranking",
    "lists.reasons": "explain_list",
    "model": "Model",
    "neighbors": "similar",
    "recommend": "fold_in predict top_n top_n_to_parquet",
    "run": "Run",
    "serve.client": "connect",
}

_MODULES = {"explain"}  # modules that are public by themselves
# Names of earlier releases, and what each is called today.
_FORMER_NAMES = {
    "names": "model_names",
    "Reading": "Tokenizer",
    "filters": "explain.filters",
    "exchanged": "explain.swap_words",
    "spoken_for": "explain.contributions",
}


def _former(name: str) -> Any:
    """What a name of an earlier release stands for, with a warning that states today's name."""
    today = _FORMER_NAMES[name]
    warnings.warn(
        f"recollect.{name} is called recollect.{today} now; use that name.",
        DeprecationWarning,
        stacklevel=3,
    )
    package = importlib.import_module(__name__)
    return operator.attrgetter(today)(package)


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: torch takes seconds, and help none."""
    for module, entries in _HOMES.items():
        for entry in entries.split():
            public, _, name_there = entry.partition("=")
            if public == name:
                home = importlib.import_module(f"recollect.{module}")
                value = getattr(home, name_there or public)
                # Later uses no longer come here.
                globals()[name] = value
                return value

    if name in _MODULES:
        return importlib.import_module(f"recollect.{name}")

    if name in _FORMER_NAMES:
        return _former(name)

    raise AttributeError(f"module 'recollect' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

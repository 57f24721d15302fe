"""Calls every public function with every wrong kind of object; prints what came of it as JSON.

Run by test_wrong_kinds.py in a process of its own: while testing, annotations are checked, which
would refuse most of these before the function itself does.
"""

import json
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import torch
from scipy import sparse

import recollect as rc
from recollect.evaluation.by_id import with_given

FRAME = pd.DataFrame({"user_id": ["p", "q"], "item_id": ["3", "4"], "rating": [1, 5]})
KINDS: dict[str, Any] = {
    "None": None,
    "bool": True,
    "number": 5,
    "negative": -1,
    "fraction": 2.5,
    "NaN": float("nan"),
    "text": "text",
    "number as text": "0.2",
    "bytes": b"text",
    "empty list": [],
    "list of numbers": [1, 2],
    "list of pairs": [("1", 5)],
    "nested list": [[["1"]]],
    "dict": {"1": 5},
    "set": {"1"},
    "Series": pd.Series({"1": 5}),
    "DataFrame": FRAME,
    "empty DataFrame": pd.DataFrame(),
    "Index": pd.Index(["1"]),
    "MultiIndex": pd.MultiIndex.from_tuples([("1", "2")]),
    "columns of two levels": pd.DataFrame({("user", "id"): [1], ("item", "id"): [2]}),
    "Polars frame": pl.DataFrame(FRAME),
    "Polars Series": pl.Series([1, 2]),
    "Polars lists": pl.Series([[1], [2]]),
    "vector": np.arange(3.0),
    "matrix": np.ones((2, 2)),
    "objects": np.array([object()], dtype=object),
    "tensor": torch.ones(3),
    "sparse matrix": sparse.eye_array(3),
    "object": object(),
    "function": len,
    "class": dict,
    "generator": "generator",
    "path": Path("nothing/here"),
}


def calls(folder: Path) -> Iterator[tuple[str, Callable[[Any], Any]]]:
    """A label, and a function that passes its argument on to a public function."""
    ratings = rc.load("planted/tiny")
    split = rc.random_split(ratings, test=0.2, seed=0)
    model = rc.make("bias").fit(split.train)
    matrix = sparse.eye_array(3)

    yield "predict pairs", lambda x: rc.predict(model, x)
    yield "predict interval", lambda x: rc.predict(model, [("1", "2")], interval=x)
    for name, ask in {
        "predict": lambda m: rc.predict(m, [("1", "2")]),
        "top_n": lambda m: rc.top_n(m, user_ids=["1"]),
        "top_n_to_parquet": lambda m: rc.top_n_to_parquet(m, folder / "all.parquet"),
        "fold_in": lambda m: rc.fold_in(m, {"1": 5}),
        "similar": lambda m: rc.similar(m, item_ids=["1"]),
        "held_out": lambda m: rc.held_out(m, split.test),
        "full_ranking": lambda m: rc.full_ranking(m, split.test),
        "new_users": lambda m: rc.new_users(m, split),
        "new_items": lambda m: rc.new_items(m, split),
        "new_users_ranking": lambda m: rc.new_users_ranking(m, split),
        "new_items_ranking": lambda m: rc.new_items_ranking(m, split),
        "with_given": lambda m: with_given(m, split.test),
    }.items():
        yield f"{name} model", ask

    for name in ("user_ids", "ratings", "events", "items"):
        more = {} if name in ("ratings", "events", "user_ids") else {"user_ids": ["1"]}
        yield f"top_n {name}", lambda x, name=name, more=more: rc.top_n(model, **{name: x}, **more)

    yield "top_n n", lambda x: rc.top_n(model, user_ids=["1"], n=x)
    for wish in ("where", "exclude", "at_most", "diversity", "fresh"):
        yield f"top_n {wish}", lambda x, wish=wish: rc.top_n(model, user_ids=["1"], **{wish: x})
    yield "explain_list lists", lambda x: rc.explain_list(model, x)
    yield "explain_list n", lambda x: rc.explain_list(model, FRAME, n=x)
    yield "top_n_to_parquet path", lambda x: rc.top_n_to_parquet(model, x)
    yield (
        "top_n_to_parquet user_ids",
        lambda x: rc.top_n_to_parquet(model, folder / "all.parquet", user_ids=x),
    )
    yield "fold_in ratings", lambda x: rc.fold_in(model, x)
    yield "fold_in value", lambda x: rc.fold_in(model, {"1": x})
    yield "similar item_ids", lambda x: rc.similar(model, item_ids=x)
    yield "similar n", lambda x: rc.similar(model, item_ids=["1"], n=x)
    for name in ("held_out", "full_ranking"):
        protocol = getattr(rc, name)
        yield f"{name} test", lambda x, protocol=protocol: protocol(model, x)
        yield f"{name} given", lambda x, protocol=protocol: protocol(model, split.test, given=x)

    yield "with_given data", lambda x: with_given(model, x)
    yield "full_ranking n", lambda x: rc.full_ranking(model, split.test, n=x)
    yield "full_ranking relevant", lambda x: rc.full_ranking(model, split.test, relevant=x)
    for name in ("new_users", "new_items", "new_users_ranking", "new_items_ranking"):
        protocol = getattr(rc, name)
        yield f"{name} split", lambda x, protocol=protocol: protocol(model, x)

    yield "fit train", lambda x: rc.make("bias").fit(x)
    yield "fit valid", lambda x: rc.make("bias").fit(split.train, x)
    yield "fit run", lambda x: rc.make("bias").fit(split.train, None, x)
    yield "make name", rc.make
    yield "make setting", lambda x: rc.make("bias", reg_user=x)
    yield "make cold", lambda x: rc.make("bias", cold=x)

    splits = ("random", "covering", "time", "leave_last", "new_item", "new_user")
    for name in splits:
        cut = getattr(rc, f"{name}_split")
        yield f"{name}_split ratings", cut

    yield "random_split test", lambda x: rc.random_split(ratings, test=x)
    yield "random_split valid", lambda x: rc.random_split(ratings, valid=x)
    yield "random_split seed", lambda x: rc.random_split(ratings, seed=x)
    yield "time_split test", lambda x: rc.time_split(ratings, test=x)
    yield "k_folds ratings", lambda x: list(rc.k_folds(x))
    yield "k_folds k", lambda x: list(rc.k_folds(ratings, k=x))
    yield "density_sweep ratings", lambda x: list(rc.density_sweep(x))
    yield "hold_out_validation ratings", lambda x: rc.hold_out_validation(x)

    yield "from_frame table", rc.from_frame
    yield "from_frame scale", lambda x: rc.from_frame(FRAME, scale=x)
    yield "from_frame user", lambda x: rc.from_frame(FRAME, user=x)
    yield "from_tuples rows", rc.from_tuples
    yield "from_scipy matrix", rc.from_scipy
    yield "from_scipy user_ids", lambda x: rc.from_scipy(matrix, user_ids=x, scale=(0, 1))

    csv = folder / "ratings.csv"
    FRAME.to_csv(csv, index=False)
    yield "read path", rc.read
    for name in ("user", "rating", "scale", "separator", "encoding", "like", "not_rated"):
        yield f"read {name}", lambda x, name=name: rc.read(csv, **{name: x})

    yield "load name", rc.load
    yield "save model", lambda x: rc.save(x, folder / "saved")
    yield "save folder", lambda x: rc.save(model, x)
    yield "load_model folder", rc.load_model
    rc.save(model, folder / "kept")
    yield "load_model trusted", lambda x: rc.load_model(folder / "kept", trusted=x)
    yield "store ratings", lambda x: rc.store(x, folder / "stored")
    yield "store folder", lambda x: rc.store(ratings, x)
    yield "with_texts ratings", lambda x: rc.with_texts(x, {"1": "a text"})
    yield "with_texts texts", lambda x: rc.with_texts(ratings, x)
    yield "with_items ratings", lambda x: rc.with_items(x, {"1": "a title"})
    yield "with_items items", lambda x: rc.with_items(ratings, x)
    yield "compare models", lambda x: rc.compare(x, split)
    yield "compare split", lambda x: rc.compare(["bias"], x)
    yield "cross_validate model", lambda x: rc.cross_validate(x, ratings, k=2)
    yield "cross_validate ratings", lambda x: rc.cross_validate("bias", x)
    yield "cross_validate k", lambda x: rc.cross_validate("bias", ratings, k=x)
    yield "blend models", lambda x: rc.blend(x, split.test)
    yield "blend a model", lambda x: rc.blend([x], split.test)
    yield "blend valid", lambda x: rc.blend([rc.make("bias").fit(split.train)], x)
    auto = partial(rc.auto, minutes=0.001, threads=1)
    yield "auto ratings", auto
    yield "auto valid", lambda x: auto(split.train, x)
    yield "auto minutes", lambda x: rc.auto(split.train, split.train, minutes=x)
    search = {"reg_user": {"low": 1.0, "high": 2.0}}
    tune = partial(rc.tune, trials=1, threads=1)
    yield "tune model", lambda x: tune(x, split.train, split.test, search)
    yield "tune train", lambda x: tune("bias", x, split.test, search)
    yield "tune valid", lambda x: tune("bias", split.train, x, search)
    yield "tune search", lambda x: tune("bias", split.train, split.test, x)
    yield "tune settings", lambda x: tune("bias", split.train, split.test, search, settings=x)
    yield "tune trials", lambda x: rc.tune("bias", split.train, split.test, search, trials=x)
    yield "tune seed", lambda x: tune("bias", split.train, split.test, search, seed=x)
    yield "tune storage", lambda x: tune("bias", split.train, split.test, search, storage=x)


def outcome(call: Callable[[Any], Any], value: Any) -> str:
    """ "done", "refused: …" with our message, or "BARE …" with any other error."""
    if isinstance(value, str) and value == "generator":
        value = (x for x in [("1", "2")])

    try:
        call(value)
    except rc.RecollectError as problem:
        return f"refused: {problem}"
    except Exception as problem:
        return f"BARE {type(problem).__name__}: {problem}"

    return "done"


def main() -> None:
    """Print {call: {kind: outcome}}."""
    warnings.simplefilter("ignore")
    outcomes: dict[str, dict[str, str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for label, call in calls(Path(folder)):
            outcomes[label] = {kind: outcome(call, value) for kind, value in KINDS.items()}

    json.dump(outcomes, sys.stdout)


if __name__ == "__main__":
    main()

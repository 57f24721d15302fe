"""Ranking from events, for people who were not there in fitting: python benchmarks/implicit.py

MovieLens 1M, ratings of 4 and more as events. A tenth of the people (seed 1, at least 5 events
each) are held out whole; four fifths of each one's events are given, the rest is to be found among
all films. Models of events see events only. AutoRec sees
ratings: of the people held out all but those to be found, the low ones too. 5% of train is
validation. Three minutes on one core.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

import recollect as rc

EVENTS = {
    "hidden": 600,
    "activation": "tanh",
    "dropout": 0.0,
    "input_dropout": 0.5,
    "optimizer": "adam",
    "learning_rate": 0.003,
    "batch_size": 500,
    "epochs": 40,
    "validate_every": 2,
    "patience": 5,
    "refit": False,
}
MODELS = {
    "Popularity": ("popularity", {}),
    **{
        f"DeepRec, {loss}": ("deeprec", {"loss": loss, **EVENTS})
        for loss in ("weighted", "logistic", "multinomial")
    },
    "DeepRec, multinomial, 600-200-600": (
        "deeprec",
        {"loss": "multinomial", **EVENTS, "hidden": (600, 200)},
    ),
    "U-AutoRec, centered, by ratings": ("autorec", {"side": "user", "center": True}),
    "I-AutoRec, by ratings": ("autorec", {"reg": 200.0, "reg_input": 800.0}),
}
FIGURES = {"ndcg@100": 100, "recall@20": 20, "capped_recall@20": 20, "recall@50": 50}


def main() -> None:
    """Fit and rank; a row per model."""
    pl.Config.set_tbl_rows(-1).set_tbl_cols(-1).set_tbl_width_chars(200).set_fmt_str_lengths(50)
    ratings = rc.load("movielens/1m")
    split = rc.new_user_split(ratings.events(from_=4, remember=False), users=0.1, given=0.8, seed=1)
    print(f"{ratings!r}, {ratings.fingerprint}; {split}")
    print(pl.DataFrame(list(measured(ratings, split))))


def measured(ratings: rc.Ratings, split: rc.Split) -> Iterator[dict[str, object]]:
    """The figures of each model, and whether its NDCG differs from that of popularity by more than
    chance."""
    popular = None
    for label, (name, settings) in MODELS.items():
        model, train, given = rc.make(name, **settings), split.train, split.given
        if name == "autorec":
            train, given = of_ratings(ratings, split)
        part = rc.random_split(train, test=0.05, seed=1)
        model.fit(part.train, part.test, rc.Run(threads=1))
        seen = model.given_.union(given)
        scores = {
            n: rc.full_ranking(model, split.test, n=n, given=seen)
            for n in sorted({*FIGURES.values()})
        }
        popular = popular or scores[100]
        ndcg = scores[100].interval("ndcg@100")
        gain = scores[100].versus(popular, "ndcg@100")
        yield {
            "model": label,
            **{figure: round(scores[n][figure], 4) for figure, n in FIGURES.items()},
            "ndcg low": round(ndcg.low, 4),
            "ndcg high": round(ndcg.high, 4),
            "more than popularity": f"{gain.low:.3f} – {gain.high:.3f}",
            "epochs": f"{len(model.history_)}, kept {model.history_.best_epoch}",
            "seconds": round(model.seconds_),
        }


def of_ratings(ratings: rc.Ratings, split: rc.Split) -> tuple[rc.Ratings, rc.Ratings]:
    """The ratings of the people who are in train, and of those held out all that are not to be
    found."""
    held_out = split.test.count("user")[ratings.user] > 0
    to_be_found = np.isin(ratings.pair, split.test.pair)
    return ratings.where(~held_out), ratings.where(held_out & ~to_be_found)


if __name__ == "__main__":
    main()

"""People who were not there in fitting, from 5, 20 or four fifths of their ratings: python
benchmarks/new_people.py

MovieLens 1M, a tenth of the users held out (seed 1, at least 25 ratings each); each model is fitted
once, 5% of train being validation.
"""

import polars as pl

import recollect as rc

MODELS = {
    "Bias": ("bias", {}),
    "I-AutoRec": ("autorec", {"reg": 200.0, "reg_input": 800.0}),
    "U-AutoRec, centered": ("autorec", {"side": "user", "center": True}),
}


def main() -> None:
    ratings = rc.load("movielens/1m")
    splits = {
        given: rc.new_user_split(ratings, users=0.1, given=given, min_ratings=25, seed=1)
        for given in (5, 20, 0.8)
    }
    # The same users are held out, however many ratings they give.
    part = rc.random_split(splits[5].train, test=0.05, seed=1)
    rows = []
    for label, (name, settings) in MODELS.items():
        model = rc.make(name, **settings).fit(part.train, part.test)
        for given, split in splits.items():
            scores = rc.new_users(model, split)
            rmse = scores.interval("rmse")
            rows.append(
                {
                    "model": label,
                    "given": str(given),
                    "rmse": round(scores["rmse"], 4),
                    "low": round(rmse.low, 4),
                    "high": round(rmse.high, 4),
                    "test": len(split.test),
                    "cold": scores.about["n_cold"],
                }
            )
    with pl.Config(tbl_rows=-1, tbl_hide_dataframe_shape=True):
        print(pl.DataFrame(rows))


if __name__ == "__main__":
    main()

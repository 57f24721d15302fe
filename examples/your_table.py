"""A table of your own, with columns of any name: from a Polars frame to recommendations.

A pandas frame, a DuckDB relation or an Arrow table work as well; for a file there is
recollect.read("file.csv").
"""

import polars as pl

import recollect as rc

# A shop's table: who reviewed which book, with how many stars, on which day.
truth = rc.load("planted/tiny")
shop = pl.DataFrame(
    {
        "Reader No.": truth.users.at(truth.user),
        "ISBN": truth.items.at(truth.item),
        "How many stars": truth.value,
        "Bought on": pl.from_epoch(pl.Series(truth.time), time_unit="s"),
    }
)
print(shop.head(3))

ratings = rc.from_frame(
    shop, user="Reader No.", item="ISBN", rating="How many stars", time="Bought on", scale=(1, 5)
)
train, valid, test = rc.random_split(ratings, test=0.1, valid=0.1, seed=0)
model = rc.make("autorec", side="item", hidden=20, reg=5.0).fit(train, valid)

print(rc.held_out(model, test).table("rmse", "mae"))
print(rc.top_n(model, user_ids=["1", "2"], n=3))

# Tables come out as Polars frames; .to_pandas() makes them pandas frames.
wanted = pl.DataFrame({"user_id": ["1", "2"], "item_id": ["10", "no such book"]})
print(rc.predict(model, wanted).to_pandas())

"""A new user, without training again: their ratings go in, recommendations come out.

An autoencoder of user rows completes the new row. One of item rows has no output weights for a new
user; they are solved for, from the codes of the rated items. Both need one call.
"""

import recollect as rc

ratings = rc.load("planted/tiny")
train, valid, test = rc.random_split(ratings, test=0.1, valid=0.1, seed=0)
likes = {"17": 5.0, "4": 4.0, "23": 1.0}  # item_id → rating

for side in ("user", "item"):
    model = rc.make("autorec", side=side, hidden=20, reg=5.0, epochs=50).fit(train, valid)
    print(f"side={side!r}: the best items for them, and their predicted ratings of a few others")
    print(rc.top_n(model, ratings=likes, n=3))
    print(rc.fold_in(model, likes).head(3))

# Many new users: kept out of training, each with some ratings given; the others are the test.
split = rc.new_user_split(ratings, users=0.2, given=0.7, seed=0)
model = rc.make("autorec", side="user", hidden=20, reg=5.0, epochs=50).fit(split.train)
print(rc.new_users(model, split).table("rmse"))

"""A service in two minutes: fit a model, then serve it with a page to click.

Run it with `make serve`, or `python examples/serve.py`. MovieLens is used if it is here, else
planted films with texts, so that a new film can be added by its text. A second run finds the model
and the ratings of the first.
"""

import os
import sys
from pathlib import Path

import recollect as rc
from recollect.data.sources.planted import planted, planted_texts
from recollect.errors import FetchError

FOLDER = Path("runs/serve")
AUTOREC = {"side": "user", "hidden": 100, "epochs": 30}
CTR = {"factors": 8, "epochs": 10}


def fit() -> rc.Model:
    """A model of MovieLens 100K if that is here or can be downloaded, else of planted ratings."""
    try:
        return rc.make("autorec", **AUTOREC).fit(rc.load("movielens/100k"))
    except FetchError:
        print("MovieLens 100K is not here and cannot be downloaded; planted films take its place.")

    made = planted(300, 200, 12_000, noise=0.4, step=1)
    texts = planted_texts(made.truth, made.ratings.items)
    titles = {id_: f"Film {id_}" for id_ in made.ratings.items.ids}
    ratings = rc.with_texts(rc.with_items(made.ratings, titles), texts)

    return rc.make("ctr", **CTR).fit(ratings)


def main(*arguments: str) -> None:
    """Fit if nothing is there, then become the service.

    Args:
        arguments: further ones of `recollect serve`.
    """
    run = FOLDER / "model"
    if not run.exists():
        print("Fitting a model …", flush=True)
        rc.save(fit(), run)

    command = ["serve", str(run), "--db", str(FOLDER / "films.db"), *arguments]
    os.execv(sys.executable, [sys.executable, "-m", "recollect", *command])


if __name__ == "__main__":
    main(*sys.argv[1:])

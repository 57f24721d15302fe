"""In under a minute: load, split, fit two models, compare them, recommend, and save one.

Run it with `make demo`, or `python examples/demo.py`.
"""

import logging
import sys
from typing import Any

import polars as pl
from rich.console import Console
from rich.table import Table

import recollect as rc
from recollect.data.sources.planted import planted
from recollect.errors import FetchError
from recollect.run import peak_memory_mb
from recollect.system import processes

# AutoRec's settings for MovieLens 100K, and for synthetic ratings.
REAL: dict[str, Any] = {"side": "item", "hidden": 500, "reg": 200.0}
SYNTHETIC: dict[str, Any] = {"side": "item", "hidden": 100, "reg": 30.0, "center": True}
FOLDER = "runs/demo"
LIKES = {
    "Star Wars (1977)": 5.0,
    "Empire Strikes Back, The (1980)": 5.0,
    "Raiders of the Lost Ark (1981)": 4.0,
    "Alien (1979)": 5.0,
    "English Patient, The (1996)": 2.0,
}


def load() -> tuple[rc.Ratings, str, dict[str, Any]]:
    """MovieLens 100K if it is here or can be downloaded, else synthetic ratings.

    Returns: the ratings, what they are called, and AutoRec's settings for them.
    """
    try:
        return rc.load("movielens/100k"), "MovieLens 100K", REAL
    except FetchError as problem:
        print(
            f"MovieLens 100K is not here and cannot be downloaded: {str(problem)[:100]}…\n"
            "Going on with planted ratings: the figures below are of a SYNTHETIC data set.\n"
        )
        made = planted(943, 1682, 100_000, noise=0.4, step=1)
        name = f"planted ratings (SYNTHETIC; no model gets below {made.floor:.3f})"
        return made.ratings, name, SYNTHETIC


def fit(job: tuple[str, dict[str, Any], rc.Split]) -> dict[str, Any]:
    """Fit and score one model; run in a process of its own, so that its peak memory is its own."""
    name, settings, split = job
    model = rc.make(name, **settings).fit(split.train, split.valid)
    memory = peak_memory_mb()
    scores = rc.held_out(model, split.test, split=split)
    if name == "autorec":
        rc.save(model, FOLDER)
    return {
        "model": name,
        "seconds": model.seconds_,
        "memory": memory,
        "n_cold": scores.about["n_cold"],
        **{row["metric"]: row for row in scores.table("rmse", "mae").to_dicts()},
    }


def comparison(results: list[dict[str, Any]], title: str) -> Table:
    """The errors of the models, side by side."""
    table = Table(title=title, title_justify="left", title_style="bold", min_width=90)
    for column in ("model", "RMSE", "95% interval", "MAE", "time to fit", "peak memory"):
        table.add_column(column, justify="left" if column == "model" else "right")
    for result in results:
        rmse = result["rmse"]
        table.add_row(
            result["model"],
            f"{rmse['value']:.4f}",
            f"{rmse['low']:.4f} – {rmse['high']:.4f}",
            f"{result['mae']['value']:.4f}",
            f"{result['seconds']:.1f} s",
            f"{result['memory']:,.0f} MB",
        )
    return table


def listing(frame: pl.DataFrame, figure: str, title: str) -> Table:
    """A list of titles with a column of figures."""
    table = Table(title=title, title_justify="left", title_style="bold", min_width=60)
    table.add_column("", justify="right")
    table.add_column("title", overflow="fold", ratio=1)
    table.add_column(figure, justify="right")
    for row in frame.to_dicts():
        table.add_row(str(row["rank"]), row["title"], f"{row[figure]:.2f}")
    return table


def someone_new(ratings: rc.Ratings) -> dict[str, float]:
    """Five ratings by item_id: of known titles, else of the five items with most ratings."""
    assert ratings.catalogue is not None
    ids = dict(ratings.catalogue.select("title", "item_id").iter_rows())
    if not LIKES.keys() <= ids.keys():
        most_rated = ratings.items.at(ratings.count("item").argsort()[::-1][:5])
        return dict(zip(most_rated, LIKES.values(), strict=True))
    return {ids[title]: rating for title, rating in LIKES.items()}


def main() -> None:
    """Run the demo."""
    screen = Console(highlight=False, width=None if sys.stdout.isatty() else 100)
    logging.getLogger("recollect").addHandler(logging.NullHandler())
    ratings, name, settings = load()
    models = {"bias": {}, "autorec": settings}
    split = rc.random_split(ratings, test=0.1, valid=0.05, seed=0)
    size = f"{len(ratings):,} ratings of {ratings.n_items:,} items by {ratings.n_users:,} users"
    print(f"{name}: {size}.")
    jobs = [(*model, split) for model in models.items()]
    with Console(stderr=True).status(f"Fitting {' and '.join(models)}, half a minute or so …"):
        results = list(processes.run_each(fit, jobs, processes=1))
    title = f"{name}, {len(split.test):,} test ratings of a random 10%, all scored"
    screen.print(comparison(results, title))
    print(
        f"Intervals: bootstrap over users. Cold test ratings: {results[-1]['n_cold']}. Memory: of "
        "a fresh process, PyTorch included.\n"
    )
    show_recommendations(screen, ratings)


def show_recommendations(screen: Console, ratings: rc.Ratings) -> None:
    """Lists for a known user and for a new one, and similar items, from the saved model."""
    model = rc.load_model(FOLDER)
    user = ratings.users.ids[41]
    for_user = rc.top_n(model, user_ids=[user], n=10)
    screen.print(listing(for_user, "prediction", f"For user {user}"))

    new = someone_new(ratings)
    titles = ratings.titles(new)
    rated = ", ".join(f"{title} {new[i]:g}" for i, title in zip(new, titles, strict=True))
    for_new = rc.top_n(model, ratings=new, n=10)
    screen.print(listing(for_new, "prediction", f"For someone new, who rated {rated}"))

    liked = next(iter(new))
    like = rc.similar(model, item_ids=[liked], n=10)
    screen.print(listing(like, "similarity", f"Like {titles[0]}"))
    print(
        f"The model is in {FOLDER}. Load it with\n\n    import recollect as rc\n"
        f'    model = rc.load_model("{FOLDER}")\n\n'
        "or ask it on the command line: .venv/bin/recollect recommend "
        f"{FOLDER} --user {user}"
    )


if __name__ == "__main__":
    main()

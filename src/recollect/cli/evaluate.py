"""The verb evaluate: a saved model's errors and rankings on ratings that it has not seen."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import RenderableType

import recollect as rc
from recollect.cli.options.asking import NewItems, RankBy, RunFolder, load_model
from recollect.cli.options.lists import Field, Negatives
from recollect.cli.options.source import Columns, ratings_for
from recollect.cli.options.trust import Trust
from recollect.cli.output.screen import Answer, Screen
from recollect.cli.output.tables import interval, table

ERRORS = ("rmse", "mae", "rmse_macro", "mae_macro")


def evaluate(
    screen: Screen,
    run: RunFolder,
    columns: Columns,
    test: Annotated[
        str, typer.Argument(metavar="TEST", help="A file of ratings the model has not seen.")
    ],
    given: Annotated[
        str | None,
        typer.Option(help="A file of further ratings to predict from, such as those of new users."),
    ] = None,
    ranking: Annotated[
        bool,
        typer.Option(
            "--ranking",
            help="Rank all items for each user, too; always done for a model of events.",
        ),
    ] = False,
    n: Annotated[int, typer.Option("-n", help="Length of the ranking.")] = 10,
    relevant: Annotated[
        float | None,
        typer.Option(
            show_default=False,
            help="The lowest rating of a relevant item (default: 4 on a scale of 1 to 5), or the "
            "lowest count of an event (default: any).",
        ),
    ] = None,
    rank_by: RankBy = None,
    field: Field = None,
    negatives: Negatives = None,
    new_items: NewItems = None,
    trust: Trust = None,
) -> Answer:
    """Score a model on ratings that it has not seen.

    RMSE and MAE; with --ranking also NDCG, recall and others, and what the lists are like. A model
    of events has only a ranking.
    """
    from recollect.evaluation.by_id import with_given
    from recollect.evaluation.ranked_lists import refuse_negatives

    refuse_negatives(negatives)
    model = load_model(run, new_items, trust)
    ratings = ratings_for(model, test, columns)
    visible = None if given is None else with_given(model, ratings_for(model, given, columns))
    about = {"run": run, "test": test, **_counts(model, ratings)}
    figures: list[dict[str, Any]] = []
    if model.output == "ratings":
        errors = rc.held_out(model, ratings, given=visible)
        about |= {name: errors.about[name] for name in ("n_cold", "clipped")}
        about |= {"cold": model.cold, "cold_value": model.cold_value}
        figures += errors.table(*ERRORS).to_dicts()

    if ranking or model.output == "scores":
        how: Any = {"n": n, "relevant": relevant, "rank_by": rank_by, "field": field}
        lists = rc.full_ranking(model, ratings, given=visible, **how)
        names = (
            "relevant_from",
            "n_users",
            "n_without_relevant",
            "item_field",
            "diversity_from",
        )
        about |= {name: lists.about[name] for name in names}
        figures += lists.table().to_dicts()

    return _answer(about, figures)


def _counts(model: rc.Model, test: rc.Ratings) -> dict[str, Any]:
    from recollect.evaluation.by_id import count_without_ratings

    return {
        "n_test": len(test),
        "implicit": test.implicit,
        "unknown_users": count_without_ratings(test, model.given_, "user"),
        "unknown_items": count_without_ratings(test, model.given_, "item"),
        "notes": list(test.notes),
    }


def _answer(about: dict[str, Any], figures: list[dict[str, Any]]) -> Answer:
    rows = []

    for row in figures:
        limits = "" if row["low"] is None else interval(row["low"], row["high"])
        rows.append((row["metric"], row["value"], limits))

    by_name = {
        row["metric"]: {key: row[key] for key in ("value", "low", "high")} for row in figures
    }
    shown: list[RenderableType] = [table(("metric", "value", "95% interval"), rows)]
    if "n_cold" in about:
        shown.append(_about_cold(about))

    if about["unknown_users"] or about["unknown_items"]:
        shown.append(
            f"Without training ratings: {about['unknown_users']:,} of the users and "
            f"{about['unknown_items']:,} of the items."
        )

    if "n_users" in about:
        shown.append(_about_ranking(about))

    return Answer({**about, "metrics": by_name}, shown)


def _about_cold(about: dict[str, Any]) -> str:
    scored = f"All {about['n_test']:,} test ratings are scored"
    if not about["n_cold"]:
        return f"{scored}; none is cold."

    default = f"the model predicts {about['cold_value']:.4g}"
    if about["cold"] == "bias":
        default = "the model predicts the mean and the offset of the one that is known"

    return (
        f"{scored}; {about['n_cold']:,} have a user or an item of which nothing is known, for "
        f"which {default}."
    )


def _about_ranking(about: dict[str, Any]) -> str:
    relevant = f"relevant from {about['relevant_from']:g} on"
    if about["implicit"] and not about["relevant_from"]:
        relevant = "every test event is relevant"

    seen = "had" if about["implicit"] else "rated"

    genres = "the items have no genres, so there is no miscalibration"
    if about["item_field"] is not None:
        genres = f"miscalibration is of the items' {about['item_field']}"

    return (
        f"Ranked: all items the user has not {seen}, for {about['n_users']:,} users; {relevant}; "
        f"{about['n_without_relevant']:,} users have no relevant item and do not count where hits "
        f"do. Diversity is computed from {about['diversity_from']}; {genres}."
    )

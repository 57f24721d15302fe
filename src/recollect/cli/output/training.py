"""What `train` says: before the fit, and in its answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.text import Text

import recollect as rc
from recollect.cli.output import choosing
from recollect.cli.output.screen import Answer
from recollect.cli.output.tables import cell, facts, interval, memory, seconds
from recollect.settings import changed

UPPER_CASE = ("rmse", "mae", "ndcg")


def header(recipe: rc.Model, parts: Any, out: Path, expected: dict[str, float | None]) -> list[str]:
    """What is about to be fitted, in some lines.

    Args:
        recipe: the unfitted model.
        parts: its ratings: train, valid, test, name.
        out: the folder of the model.
        expected: the predicted and the available memory.
    """
    from recollect import registry

    ratings = parts.train
    by_part = {"train": parts.train, "valid": parts.valid, "test": parts.test}
    sizes = [f"{name} {len(part):,}" for name, part in by_part.items() if part is not None]
    settings = registry.settings(recipe)
    different = [f"{key}={value}" for key, value in changed(recipe).items()]
    available = expected["available_memory_mb"]
    lines = [
        f"{type(recipe).__name__} on {parts.name}: {ratings.n_users:,} users × "
        f"{ratings.n_items:,} items; {'events' if ratings.implicit else 'ratings'}: "
        f"{', '.join(sizes)}",
        f"{_scale(recipe, ratings)}; {_default_prediction(recipe, ratings)}",
        f"settings: {', '.join(different) or 'defaults'}",
        f"memory: about {memory(expected['predicted_memory_mb'] or 0)} predicted, "
        f"{memory(available) if available else 'an unknown amount'} available",
    ]

    if "optimizer" in settings:
        lines.append(_when_it_stops(settings, out, has_valid=parts.valid is not None))

    return lines


def _scale(recipe: rc.Model, ratings: Any) -> str:
    if recipe.output == "scores":
        return "predictions are scores to rank by"
    low, high = ratings.scale
    clipped = "clipped" if recipe.clip else "not clipped"
    return f"scale {low:g} to {high:g}, predictions {clipped} to it"


def _default_prediction(recipe: rc.Model, ratings: Any) -> str:
    """How many users and items there is nothing to learn about, and what is predicted for them."""
    from recollect.data.description import count_unrated

    needs_text = "text" in recipe.capabilities.needs
    n_unrated = count_unrated(ratings, or_with_text=needs_text)
    if recipe.output == "scores":
        prediction = "the item's share of the users"
    else:
        prediction = _words_for(recipe.cold, ratings.scale)

    what = "events" if ratings.implicit else "ratings"
    without = f"without training {what}{' and text' if needs_text else ''}"

    return f"default for users and items {without} ({n_unrated:,}): {prediction}"


def _words_for(cold: str | float, scale: tuple[float, float]) -> str:
    """The default prediction of ratings in words."""
    if cold == "bias":
        return "the mean and the offset of the one that is known"

    if cold == "mean":
        return "the training mean"

    if cold == "middle":
        return f"{sum(scale) / 2:g}, the middle of the scale"

    return f"{cold:g}"


def _when_it_stops(settings: dict[str, Any], out: Path, *, has_valid: bool) -> str:
    if not has_valid:
        rule = "no validation ratings: runs all epochs"
    elif settings.get("patience"):
        rule = "stops early by the validation ratings"
    else:
        rule = "keeps the best epoch by the validation ratings"

    return f"{rule}; Ctrl-C stops after the epoch and keeps what was learned in {out}"


def result(recipe: rc.Model, parts: Any, out: Path) -> dict[str, Any]:
    """The fit in figures.

    Args:
        recipe: the fitted model.
        parts: its ratings: train, valid.
        out: the folder of the model.
    """
    from recollect import registry
    from recollect.run import peak_memory_mb

    history = recipe.history_
    by_epoch = dict(history.column(history.train_name))

    return {
        "out": out,
        "model": registry.name_of(recipe),
        "settings": registry.settings(recipe),
        "seed": recipe.seed_,
        "data": parts.train.name,
        "fingerprint": parts.train.fingerprint,
        "scale": parts.train.scale,
        "users": parts.train.n_users,
        "items": parts.train.n_items,
        "train_ratings": len(parts.train),
        "valid_ratings": None if parts.valid is None else len(parts.valid),
        "epochs": len(history),
        "best_epoch": history.best_epoch,
        "figures": [history.train_name, history.valid_name],
        history.train_name: by_epoch.get(history.best_epoch),
        history.valid_name: history.best_valid,
        "baseline": _baseline(history),
        "stopped": history.stopped or None,
        "seconds": max(recipe.seconds_, history.seconds),
        "peak_memory_mb": peak_memory_mb(),
    }


def shown(result: dict[str, Any]) -> list[RenderableType]:
    """The answer for people, from the same figures."""
    rows: dict[str, Any] = {
        "saved in": result["out"],
        "time": seconds(result["seconds"]),
        "peak memory": f"{memory(result['peak_memory_mb'])}, predicted: "
        f"{memory(result['predicted_memory_mb'])}",
    }

    train_figure, valid_figure = result["figures"]
    if result["members"]:
        rows[_label(valid_figure)] = _beside_baseline(result, valid_figure)
    elif result["epochs"]:
        kept = result["best_epoch"] or "the start"
        rows["epochs"] = f"{result['epochs']}, kept: {kept}"
        rows[_label(train_figure)] = result[train_figure]
        if result["valid_ratings"]:
            rows[_label(valid_figure)] = _beside_baseline(result, valid_figure)

    if result["test"]:
        rows |= _test_rows(result["test"])

    if result.get("tensorboard"):
        folder = result["tensorboard"]
        rows["TensorBoard"] = f"{folder}; to see it: tensorboard --logdir {folder}"

    next_step = f"Next: recollect recommend {result['out']} --user ID"

    return [*_breakdown(result["stopped"]), *_members(result), facts(rows), "", next_step]


def _members(result: dict[str, Any]) -> list[RenderableType]:
    """The table of a blend's members, or of the models that were tried."""
    if not result["members"]:
        return []

    figure = result["figures"][1].removeprefix("valid_")

    return [choosing.members_table(result["members"], figure), ""]


def _baseline(history: Any) -> dict[str, Any] | None:
    """The simplest model, and its validation figure; None if a history has none."""
    if history.baseline is None:
        return None
    return {"model": history.baseline_name, history.valid_name: history.baseline}


def _beside_baseline(result: dict[str, Any], figure: str) -> str:
    """A validation figure with that of the simplest model."""
    baseline = result["baseline"]
    own = cell(result[figure])
    if baseline is None:
        return own
    return f"{own} ({baseline['model']}: {cell(baseline[figure])})"


def _test_rows(test: dict[str, Any]) -> dict[str, str]:
    rows = {}

    for name, figure in test.items():
        if isinstance(figure, dict):
            limits = interval(figure["low"], figure["high"])
            rows[_label(f"test_{name}")] = f"{figure['value']:.4f} {limits}"

    if "events" in test:
        rows["test events"] = f"{test['events']:,}, of {test['users']:,} users"
    else:
        rows["test ratings"] = f"{test['ratings']:,}, of these cold: {test['cold']:,}"

    return rows


def _label(name: str) -> str:
    """train_rmse as "train RMSE", test_capped_recall@10 as "test capped recall@10"."""
    part, _, metric = name.partition("_")
    base_name = metric.partition("@")[0]
    if base_name in UPPER_CASE:
        return f"{part} {metric.upper()}"

    words = metric.replace("_", " ")

    return f"{part} {words}"


def already_finished(out: Path) -> Answer:
    """The answer for a folder with a finished model and --resume."""
    from recollect import checkpoint

    about = checkpoint.describe(out)
    # Folders of early releases do not say why a fit stopped.
    stopped = about["history"].get("stopped") or None
    data = {
        "out": out,
        "finished_before": True,
        "model": about["model"],
        "settings": about["settings"],
        "stopped": stopped,
    }
    message = f"The {about['model']} in {out} is finished already; nothing to resume."

    return Answer(data, [*_breakdown(stopped), message])


def _breakdown(stopped: str | None) -> list[RenderableType]:
    """The first lines about a fit that ended before its time."""
    if not stopped:
        return []
    return [Text(f"Training broke down. {stopped}", style="bold red"), ""]

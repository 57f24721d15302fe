"""The models of a comparison, and the metric by which they are compared."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from recollect import registry
from recollect.arguments import expect
from recollect.data.ratings import Ratings
from recollect.errors import SettingError
from recollect.evaluation.judged import Judged
from recollect.evaluation.list_facts import item_field
from recollect.evaluation.metrics import find
from recollect.model import Model
from recollect.system.door import words

BASELINE = "popularity"  # the model beside which lists are judged


@dataclass(frozen=True)
class Candidate:
    """A model to compare: its name in the registry, and its settings."""

    model: str
    settings: dict[str, Any] = field(default_factory=dict)


def named_candidates(given: Any) -> dict[str, Candidate]:
    """The models to compare by name.

    Raises:
        SettingError: for something else, or a setting that does not exist or is out of range.
    """
    if isinstance(given, Sequence) and not isinstance(given, str):
        given = {name: name for name in given}

    what = "the models by name, such as {'bias': 'bias', 'wide': rc.make('autorec', hidden=900)}"
    expect("candidates", given, Mapping, f"{what}, or a list of names")
    candidates = {}

    for name, model in given.items():
        candidate = model
        if isinstance(model, Model):
            candidate = Candidate(registry.name_of(model), registry.settings(model))
        elif isinstance(model, str):
            candidate = Candidate(model)

        expect(f"the model {name!r}", candidate, Candidate, "an unfitted model or its name")
        registry.make(candidate.model, **candidate.settings)
        candidates[str(name)] = candidate

    return candidates


def all_candidates(candidates: Mapping[str, Candidate], *, ranking: bool) -> dict[str, Candidate]:
    """The models, and popularity where lists are judged, if it is not among them.

    Args:
        candidates: the models by name.
        ranking: whether lists are asked for; they are judged, too, if a model has nothing else.
    """
    has_baseline = any(candidate.model == BASELINE for candidate in candidates.values())
    if has_baseline or not (ranking or "scores" in outputs_of(candidates)):
        return dict(candidates)

    name = BASELINE
    while name in candidates:
        name = f"{name} (baseline)"

    return {**candidates, name: Candidate(BASELINE)}


def outputs_of(candidates: Mapping[str, Candidate]) -> set[str]:
    """What the models predict: "ratings", "scores" or both."""
    return {registry.make(c.model, **c.settings).output for c in candidates.values()}


def judged_by(
    metric: str | None,
    candidates: Mapping[str, Candidate],
    ratings: Ratings,
    *,
    n: int,
    over: str | None,
    n_splits: int,
) -> Judged:
    """The metric by which models are compared, and over what.

    Args:
        metric: its name; None: that of the models.
        candidates: the models by name.
        ratings: to divide.
        n: length of the lists.
        over: as asked for; None: the splits if there are several.
        n_splits: how many there are.

    Raises:
        SettingError: for a metric that is unknown, or that none of the models has.
    """
    predicts_ratings = "ratings" in outputs_of(candidates) and not ratings.implicit
    name = metric or ("rmse" if predicts_ratings else "ndcg")
    if find(name).of == "ratings" and not predicts_ratings:
        raise SettingError(
            f"{words('metric=', '--metric ')}{name} is of predicted ratings, and "
            f"{'these are events' if ratings.implicit else 'none of the models predicts any'}; "
            f"compare lists: {words('metric=', '--metric ')}ndcg."
        )

    if "genres" in inspect.signature(find(name).function).parameters:
        _, genres = item_field(ratings, None)
        if genres is None:
            raise SettingError(
                f"{name} is computed from genres, and {ratings.name!r} has no field of genres, "
                "categories or tags of its items; give one "
                f"({words('recollect.with_items', 'the data by its name')}) or compare by another "
                "metric, such as ndcg."
            )

    return Judged.of(name, n=n, over=over, n_splits=n_splits)

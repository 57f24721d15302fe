"""Choosing settings by the validation ratings: a search space becomes an Optuna study on disk.

Every candidate is fitted on the same splits with the same seeds and judged by its validation figure
alone, the RMSE of ratings or a metric of lists of events: test ratings are dropped before the first
fit. On the first split a candidate is stopped if it does worse than the median did after as many
epochs.

The next candidate depends on the file, the seed and the earlier candidates, so an interrupted
study resumes as if it had not been interrupted.
"""

from __future__ import annotations

import gc
import json
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from recollect import registry
from recollect.data.ratings import Ratings
from recollect.errors import RecollectError, SettingError, SizeError
from recollect.experiment import journal
from recollect.experiment.event_fit import EventParts, validation_figure
from recollect.experiment.metric import is_of_lists, label, more_is_better
from recollect.experiment.part_data import split_part
from recollect.experiment.runner import validation_rmse
from recollect.experiment.search_space import Bounds, Space, read
from recollect.model import Model
from recollect.run import Run

__all__ = ["Space", "Study", "Trial", "read", "tune"]

STARTUP = 10  # candidates drawn at random before the sampler learns from them
UNPRUNED = 5  # finished candidates before others may be stopped
# What Optuna calls a candidate in each state.
OUTCOMES = {
    "done": "COMPLETE",
    "stopped early": "PRUNED",
    "too large": "PRUNED",
    "failed": "FAIL",
}
Watch = Callable[[int, str], None]  # number of candidates so far, and the last one's outcome


@dataclass(frozen=True)
class Trial:
    """A candidate."""

    number: int
    settings: dict[str, Any]  # those searched
    state: str  # "done", "stopped early", "too large" or "failed"
    # Mean over the splits; of a stopped candidate, the last RMSE measured, and nothing of events
    figure: float | None
    seconds: float
    why: str = ""


@dataclass(frozen=True)
class Study:
    """All candidates so far."""

    space: Space
    trials: list[Trial]
    importance: dict[str, float]  # share of each setting, adding up to 1; empty for few candidates

    @property
    def best(self) -> Trial | None:
        """The finished candidate with the best validation figure."""
        done = [trial for trial in self.trials if trial.state == "done"]
        if not done:
            return None

        sign = -1 if more_is_better(self.metric) else 1

        return min(done, key=lambda trial: sign * (trial.figure or 0.0))

    @property
    def metric(self) -> str:
        """By which candidates are judged: "rmse", or one of lists, such as "ndcg@10"."""
        return self.space.part.metric


class Fold(NamedTuple):
    """What candidates are judged on: a split without its test ratings."""

    train: Ratings
    valid: Ratings
    seed: int


def ignore(done: int, outcome: str) -> None:
    """Watch nothing."""


def tune(
    space: Space,
    storage: Path,
    *,
    load_folds: Callable[[], Sequence[Fold]] | None = None,
    trials: int | None = None,
    minutes: float | None = None,
    threads: int | None = None,
    watch: Watch = ignore,
) -> Study:
    """Begin or resume the study of a search space, until it has enough candidates or time is up.

    Args:
        space: what is searched.
        storage: the journal of the study; made if it does not exist.
        load_folds: what candidates are judged on; default: the splits that the space names.
        trials: candidates in all, those of earlier calls included (default: the space's).
        minutes: begin no candidate after so many (default: the space's).
        threads: of a fit (default: every core).
        watch: called after each candidate.

    Raises: SettingError without Optuna, for a damaged journal, one that another process has, or a
        split without a validation part;
        KeyboardInterrupt: finished candidates are kept.
    """
    optuna = _import_optuna()
    n_trials = trials or space.trials
    limit = minutes or space.minutes or float("inf")
    until = time.monotonic() + 60 * limit

    with journal.opened(storage), _silence(optuna):
        study = _open_study(optuna, space, storage)
        count = len(_ended(study))
        # A finished study is read again without its data.
        folds: Sequence[Fold] = ()
        if count < n_trials:
            folds = load_folds() if load_folds else list(_load_folds(space))

        while count < n_trials and time.monotonic() < until:
            candidate = _next_candidate(optuna, study, space, count)
            _try_candidate(optuna, study, candidate, space, folds, threads)
            count = len(_ended(study))
            latest = _to_trial(study.trials[-1], space.part.metric)
            watch(count, _describe(latest, space.part.metric))

        ended = [_to_trial(trial, space.part.metric) for trial in _ended(study)]

        return Study(space, ended, _importance(optuna, study))


def _describe(trial: Trial, metric: str) -> str:
    if trial.figure is None:
        return trial.state

    return f"{trial.state}, {label(metric)} {trial.figure:.4f}"


def _import_optuna() -> Any:
    try:
        import optuna
    except ImportError as problem:
        raise SettingError(
            'Tuning needs Optuna; install it with: pip install "recollect[tune]".'
        ) from problem

    return optuna


@contextmanager
def _silence(optuna: Any) -> Iterator[None]:
    """Keep Optuna from logging: `watch` reports instead."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)

        try:
            yield
        finally:
            optuna.logging.set_verbosity(verbosity)


def _open_study(optuna: Any, space: Space, storage: Path) -> Any:
    """The study in the journal.

    A candidate that a killed process left unfinished is marked as failed; the same comes next.
    """
    backend = optuna.storages.journal.JournalFileBackend(str(storage))
    study = optuna.create_study(
        storage=optuna.storages.JournalStorage(backend),
        study_name=space.key,
        direction="maximize" if more_is_better(space.part.metric) else "minimize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=UNPRUNED, n_warmup_steps=5),
        load_if_exists=True,
    )

    for trial in study.trials:
        if trial.state.name == "RUNNING":
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)

    return study


def _ended(study: Any) -> list[Any]:
    """The candidates that came to an end; interrupted ones did not."""
    ended = []

    for trial in study.trials:
        # The state is written before the figure: a process may have been killed in between.
        stated = trial.user_attrs.get("state")
        if OUTCOMES.get(stated) == trial.state.name:
            ended.append(trial)

    return ended


def _next_candidate(optuna: Any, study: Any, space: Space, count: int) -> Any:
    """The candidate that follows `count` others, whichever process asks for it."""
    study.sampler = optuna.samplers.TPESampler(
        seed=(1000 * space.seed + count) % 2**32, n_startup_trials=STARTUP
    )
    return study.ask()


def _try_candidate(
    optuna: Any,
    study: Any,
    candidate: Any,
    space: Space,
    folds: Sequence[Fold],
    threads: int | None,
) -> None:
    """Fit a candidate on every split and tell the study the outcome."""
    begun = time.monotonic()
    state = "done"
    figure = None

    try:
        drawn = {name: _draw(candidate, name, bounds) for name, bounds in space.search.items()}
        settings = {**space.settings, **drawn}
        # After a refit there would be no validation ratings left to judge by.
        model = replace(registry.make(space.model, **settings), refit=False)
        judge = partial(_judge, metric=space.part.metric)
        figures = []

        for number, fold in enumerate(folds):
            figures.append(judge(optuna, candidate, model, fold, threads, may_stop=number == 0))

        figure = statistics.fmean(figures)
    except optuna.TrialPruned:
        state = "stopped early"
    except RecollectError as problem:
        state = "too large" if isinstance(problem, SizeError) else "failed"
        candidate.set_user_attr("why", str(problem))

    gc.collect()
    candidate.set_user_attr("seconds", time.monotonic() - begun)
    candidate.set_user_attr("state", state)
    if figure is not None:
        study.tell(candidate, figure)
    elif state == "failed":
        study.tell(candidate, state=optuna.trial.TrialState.FAIL)
    else:
        study.tell(candidate, state=optuna.trial.TrialState.PRUNED)


def _judge(
    optuna: Any,
    candidate: Any,
    model: Model,
    fold: Fold,
    threads: int | None,
    *,
    metric: str,
    may_stop: bool,
) -> float:
    """The validation figure on one split; with `may_stop` the fit may be stopped early."""

    def watch(figures: dict[str, float]) -> None:
        # Of events the NDCG by which the model stops itself: its cutoff may be another one.
        measured = [value for name, value in figures.items() if name.startswith("valid_")]
        if measured:
            candidate.report(measured[0], int(figures["epoch"]))
            if candidate.should_prune():
                raise optuna.TrialPruned

    watchers = (watch,) if may_stop else ()
    run = Run(
        seed=fold.seed,
        threads=threads,
        watchers=watchers,
    )
    fitted = replace(model).fit(fold.train, fold.valid, run)
    if is_of_lists(metric):
        return validation_figure(fitted, fold.valid, metric)

    rmse = validation_rmse(fitted, fold.valid)
    assert rmse is not None  # there are validation ratings, and no refit

    return rmse


def _load_folds(space: Space) -> Iterator[Fold]:
    """Train and validation ratings of each split, and its seed; test ratings end here.

    Raises: SettingError if the split has no validation part.
    """
    for spec in space.part.splits:
        split = split_part(space.part, spec)
        if split.valid is None:
            raise SettingError(
                f"Candidates are judged by validation ratings, and the {spec.settings['how']} "
                "split has none; give it valid = 0.05, or so."
            )

        train = split.train
        if space.part.events is not None:
            train = EventParts.of(split).train

        yield Fold(train, split.valid, spec.seed)


def _draw(candidate: Any, name: str, bounds: Bounds) -> Any:
    """The candidate's value of a setting."""
    if "choices" in bounds:
        # Optuna takes plain values only, and a choice may be a list: they are kept as JSON.
        texts = [json.dumps(choice) for choice in bounds["choices"]]
        return json.loads(candidate.suggest_categorical(name, texts))

    low = bounds["low"]
    high = bounds["high"]
    step = bounds.get("step")
    log = bounds.get("log", False)
    if all(isinstance(number, int) for number in (low, high, step or 1)):
        return candidate.suggest_int(name, low, high, log=log, step=step or 1)

    value = candidate.suggest_float(name, low, high, log=log, step=step)

    return _round(candidate, name, value)


def _round(candidate: Any, name: str, value: float) -> float:
    """The value to three digits, as people write settings, within the bounds."""
    bounds = candidate.distributions[name]
    rounded = float(f"{value:.3g}")
    not_too_low = max(rounded, bounds.low)
    return min(not_too_low, bounds.high)


def _to_trial(candidate: Any, metric: str) -> Trial:
    settings = {}

    for name, value in candidate.params.items():
        if isinstance(value, str):
            settings[name] = json.loads(value)
        elif isinstance(value, float):
            settings[name] = _round(candidate, name, value)
        else:
            settings[name] = value

    attributes = candidate.user_attrs

    return Trial(
        number=candidate.number,
        settings=settings,
        state=attributes["state"],
        figure=_figure_of(candidate, metric),
        seconds=attributes["seconds"],
        why=attributes.get("why", ""),
    )


def _figure_of(candidate: Any, metric: str) -> float | None:
    """The figure of a finished candidate; of another the last validation RMSE, if there is one."""
    if candidate.state.name == "COMPLETE":
        return float(candidate.values[0])

    if is_of_lists(metric):
        return None

    by_epoch: dict[int, float] = candidate.intermediate_values
    if not by_epoch:
        return None

    last = max(by_epoch)

    return by_epoch[last]


def _importance(optuna: Any, study: Any) -> dict[str, float]:
    """How much each setting contributes to the differences; empty with too few candidates."""
    done = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
    values = {trial.value for trial in done}
    # Without a difference there is nothing to divide among the settings.
    if len(done) < STARTUP or len(values) < 2:
        return {}

    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    shares = optuna.importance.get_param_importances(study, evaluator=evaluator)

    return {name: float(share) for name, share in shares.items()}

"""Choose settings by the validation ratings: a TOML file with a search space becomes an Optuna study on disk.

Every candidate is fitted on the same splits with the same seeds, and judged by its validation RMSE alone: test ratings are
dropped before the first fit. A candidate that does worse than most did after as many epochs is stopped.

What is tried next depends on the file, the seed and what was tried before, so a study that was interrupted goes on as if it
had not been.
"""

from __future__ import annotations

import gc
import json
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from recollect import registry
from recollect.data.ratings import Ratings
from recollect.errors import RecollectError, SettingError, SizeError
from recollect.experiment.file import Part, at, check_data, check_split, need, refuse_others, toml
from recollect.experiment.texts import TEXT_KEYS, texts_of
from recollect.experiment.work import cut, validation_rmse
from recollect.run import Run
from recollect.system.atomic_files import checksum

FILE = {
    "data",
    "split",
    "model",
    "metric",
    "seed",
    "trials",
    "minutes",
    "search",
    *TEXT_KEYS,
}  # all others are settings
RANGE = {"low", "high", "log", "step"}
STARTUP = 10  # candidates drawn at random before the sampler learns from them
UNPRUNED = 5  # finished candidates before others may be stopped
Judged = tuple[Ratings, Ratings, int]  # train, valid, seed
Watch = Callable[[int, str], None]  # how many are done, and what the last one came to


@dataclass(frozen=True)
class Space:
    """A file of tuning: what is searched, on what, and for how long."""

    name: str
    part: Part
    model: str
    settings: dict[str, Any]  # fixed
    search: dict[str, dict[str, Any]]  # of a setting: low, high, log, step; or choices
    seed: int = 0
    trials: int = 50
    minutes: float | None = None

    @property
    def key(self) -> str:
        """16 hexadecimal digits that identify the study: everything but how long it goes on."""
        return checksum(
            {
                "data": self.part.source,
                "split": self.part.split,
                "model": self.model,
                "settings": self.settings,
                "search": self.search,
                "seed": self.seed,
            }
        )[:16]


@dataclass(frozen=True)
class Trial:
    """A candidate."""

    number: int
    settings: dict[str, Any]  # those searched
    state: str  # "done", "stopped early", "too large" or "failed"
    rmse: float | None  # mean over the splits; of one that was stopped, the last
    seconds: float
    why: str = ""


@dataclass(frozen=True)
class Study:
    """What was found."""

    space: Space
    trials: list[Trial]
    importance: dict[
        str, float
    ]  # of each setting for the RMSE, adding up to 1; empty with few candidates

    @property
    def best(self) -> Trial | None:
        """The finished candidate with the lowest validation RMSE."""
        done = [trial for trial in self.trials if trial.state == "done"]
        return min(done, key=lambda trial: trial.rmse or 0.0, default=None)


def read(path: str | Path) -> Space:
    """The search space that a file describes.

    Raises: DataError if it is not there or no TOML; SettingError for a key, model, setting, data set or split that does not
    exist, or bounds that make no range.
    """
    path = Path(path)
    raw = toml(path)
    with at(str(path)):
        need(raw, "data", "split", "model", "search")
        check_data(raw["data"])
        check_split(raw["split"], raw["data"])
        if raw.get("metric", "rmse") != "rmse":
            raise SettingError(
                f"Candidates are judged by the validation RMSE; found metric = {raw['metric']!r}: leave it out."
            )
        fixed = {key: value for key, value in raw.items() if key not in FILE}
        part = Part(path.stem, raw["data"], raw["split"], texts=texts_of(raw))
        space = Space(
            path.stem,
            part,
            raw["model"],
            fixed,
            raw["search"],
            raw.get("seed", 0),
            raw.get("trials", 50),
            raw.get("minutes"),
        )
        if not space.search:
            raise SettingError(
                "[search] names no setting; give one, such as reg = { low = 1, high = 1000, log = true }."
            )
        for name, bounds in space.search.items():
            with at(f"search {name}"):
                _check_bounds(bounds)
        for side in (0, -1):  # both ends must be settings that the model takes
            registry.make(
                space.model,
                **{**fixed, **{name: _end(bounds, side) for name, bounds in space.search.items()}},
            )
        return space


def _check_bounds(bounds: Any) -> None:
    if not isinstance(bounds, dict) or ("choices" in bounds) == ("low" in bounds):
        raise SettingError(f"A setting has low and high, or choices; found {bounds!r}.")
    refuse_others(bounds, {"choices"} if "choices" in bounds else RANGE, "key of a range")
    if "choices" in bounds:
        if not isinstance(bounds["choices"], list) or not bounds["choices"]:
            raise SettingError(f"choices is a list of values, found {bounds['choices']!r}.")
        return
    need(bounds, "low", "high")
    if not all(isinstance(bounds[key], int | float) for key in ("low", "high")):
        raise SettingError(
            f"low and high are numbers; found {bounds!r}; for other values use choices."
        )
    if not bounds["low"] < bounds["high"] or (
        bounds.get("log") and (bounds["low"] <= 0 or "step" in bounds)
    ):
        raise SettingError(
            f"low is below high, and with log above 0 and without step; found {bounds!r}."
        )


def _end(bounds: dict[str, Any], side: int) -> Any:
    return bounds["choices"][side] if "choices" in bounds else (bounds["low"], bounds["high"])[side]


def tune(
    space: Space,
    storage: Path,
    *,
    trials: int | None = None,
    minutes: float | None = None,
    threads: int | None = None,
    watch: Watch = lambda done, told: None,
) -> Study:
    """Go on with the study of this space in the storage, or begin it; until it has so many candidates or time is up.

    Raises: SettingError if Optuna is not there; KeyboardInterrupt if someone asked to stop: what is finished is kept.
    """
    optuna = _library()
    most, until = (
        trials or space.trials,
        time.monotonic() + 60 * (minutes or space.minutes or float("inf")),
    )
    with _quiet(optuna):
        study = _opened(optuna, space, storage)
        count = len(_counted(study))
        if count < most:
            parts = list(_parts(space))
            while count < most and time.monotonic() < until:
                trial = _asked(optuna, study, space, count)
                _try(optuna, study, trial, space, parts, threads)
                count = len(_counted(study))
                last = _trial(study.trials[-1])
                watch(
                    count, f"{last.state}{'' if last.rmse is None else f', RMSE {last.rmse:.4f}'}"
                )
        return Study(space, [_trial(each) for each in _counted(study)], _importance(optuna, study))


def _library() -> Any:
    try:
        import optuna
    except ImportError as problem:
        raise SettingError(
            'Tuning needs Optuna; install it with: pip install "recollect[tune]".'
        ) from problem
    return optuna


@contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    """Our own words instead of Optuna's."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        try:
            yield
        finally:
            optuna.logging.set_verbosity(before)


def _opened(optuna: Any, space: Space, storage: Path) -> Any:
    """The study in the journal. What a killed process was trying is marked as failed, and is tried again: the same comes next."""
    storage.parent.mkdir(parents=True, exist_ok=True)
    backend = optuna.storages.journal.JournalFileBackend(str(storage))
    pruner = optuna.pruners.MedianPruner(n_startup_trials=UNPRUNED, n_warmup_steps=5)
    study = optuna.create_study(
        storage=optuna.storages.JournalStorage(backend),
        study_name=space.key,
        pruner=pruner,
        load_if_exists=True,
    )
    for trial in study.trials:
        if trial.state.name == "RUNNING":
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    return study


def _counted(study: Any) -> list[Any]:
    """The candidates that have come to an end, an interrupted one not among them."""
    return [trial for trial in study.trials if "state" in trial.user_attrs]


def _asked(optuna: Any, study: Any, space: Space, count: int) -> Any:
    """The next candidate. The sampler is made anew with the candidate's number in its seed: it owes nothing to the process."""
    study.sampler = optuna.samplers.TPESampler(
        seed=1000 * space.seed + count, n_startup_trials=STARTUP
    )
    return study.ask()


def _try(
    optuna: Any, study: Any, trial: Any, space: Space, parts: list[Judged], threads: int | None
) -> None:
    """Fit a candidate on every split and tell the study what came of it."""
    state, begun, rmse, states = "done", time.monotonic(), None, optuna.trial.TrialState
    try:
        given = {
            **space.settings,
            **{name: _drawn(trial, name, bounds) for name, bounds in space.search.items()},
        }
        model = replace(registry.make(space.model, **given), refit=False)
        rmse = statistics.fmean(
            _judged(optuna, trial, model, part, threads, first=j == 0)
            for j, part in enumerate(parts)
        )
    except optuna.TrialPruned:
        state = "stopped early"
    except RecollectError as problem:
        state = "too large" if isinstance(problem, SizeError) else "failed"
        trial.set_user_attr("why", str(problem))
    gc.collect()
    trial.set_user_attr("seconds", time.monotonic() - begun)
    trial.set_user_attr("state", state)
    if rmse is not None:
        study.tell(trial, rmse)
    else:
        study.tell(trial, state=states.FAIL if state == "failed" else states.PRUNED)


def _judged(
    optuna: Any, trial: Any, model: Any, part: Judged, threads: int | None, *, first: bool
) -> float:
    """The validation RMSE on one split; on the first, the candidate may be stopped early."""
    train, valid, seed = part

    def watch(figures: dict[str, float]) -> None:
        if "valid_rmse" in figures:
            trial.report(figures["valid_rmse"], int(figures["epoch"]))
            if trial.should_prune():
                raise optuna.TrialPruned

    found = replace(model).fit(
        train, valid, Run(seed=seed, threads=threads, watchers=(watch,) if first else ())
    )
    rmse = validation_rmse(found, valid)
    assert rmse is not None  # there is a validation part, and no refit
    return rmse


def _parts(space: Space) -> Iterator[Judged]:
    """Train and validation ratings of each split, and its seed; the test ratings go no further than here.

    Raises: SettingError if the split has no validation part.
    """
    for each in space.part.cuts:
        split = cut(space.part, each)
        if split.valid is None:
            raise SettingError(
                f"Candidates are judged by validation ratings, and the {each.settings['how']} split has none; "
                "give it valid = 0.05, or so."
            )
        yield split.train, split.valid, each.seed


def _drawn(trial: Any, name: str, bounds: dict[str, Any]) -> Any:
    if "choices" in bounds:  # as text: a choice may be a list
        return json.loads(
            trial.suggest_categorical(name, [json.dumps(choice) for choice in bounds["choices"]])
        )
    low, high, log, step = (
        bounds["low"],
        bounds["high"],
        bounds.get("log", False),
        bounds.get("step"),
    )
    if isinstance(low, int) and isinstance(high, int) and isinstance(step or 1, int):
        return trial.suggest_int(name, low, high, log=log, step=step or 1)
    return _short(trial, name, trial.suggest_float(name, low, high, log=log, step=step))


def _short(trial: Any, name: str, value: float) -> float:
    """To three digits, as people write settings, within the bounds."""
    bounds = trial.distributions[name]
    return min(max(float(f"{value:.3g}"), bounds.low), bounds.high)


def _trial(trial: Any) -> Trial:
    settings = {
        name: json.loads(value)
        if isinstance(value, str)
        else _short(trial, name, value)
        if isinstance(value, float)
        else value
        for name, value in trial.params.items()
    }
    last = max(trial.intermediate_values, default=None)
    rmse = (
        trial.values[0]
        if trial.state.name == "COMPLETE"
        else None
        if last is None
        else trial.intermediate_values[last]
    )
    told = trial.user_attrs
    return Trial(trial.number, settings, told["state"], rmse, told["seconds"], told.get("why", ""))


def _importance(optuna: Any, study: Any) -> dict[str, float]:
    """How much of the RMSE's differences goes with each setting; empty if there is too little to tell."""
    done = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
    if len(done) < STARTUP or len({trial.value for trial in done}) < 2:
        return {}
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    return {
        name: float(share)
        for name, share in optuna.importance.get_param_importances(
            study, evaluator=evaluator
        ).items()
    }

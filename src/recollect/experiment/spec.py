"""What an experiment's file describes. Nothing here reads, runs or writes.

    Experiment   a paper: parts and tables under their names
    Part         data, split and metric under a name; a table is made on one part or more
    Table        runs beside each other with the paper's numbers, and checks of the paper's words
    RunSpec      one run of a table: a model with its settings; without a model, a number to quote

`parse` makes an `Experiment` from a TOML file; docs/experiments.md has every key.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recollect import registry
from recollect.errors import unknown
from recollect.experiment.events import Events
from recollect.experiment.keep import Keep
from recollect.experiment.metric import is_of_lists
from recollect.experiment.texts import Texts

PUBLISHED = "published"  # the folds u1 to u5 of MovieLens 100K, or those of events in MovieLens 1M
# Repetitions share training ratings.
OVERLAPPING = ("random", "covering", "new_user", "new_item", "per_user", PUBLISHED)
MIN_SPLITS = 3  # fewer give no interval and no t-test over splits
RECORDS = Path("runs/results")  # where records are kept unless the file says otherwise


@dataclass(frozen=True)
class SplitSpec:
    """One split of a part: its settings, and the seed, which is also that of the fit."""

    settings: dict[str, Any]
    seed: int


@dataclass(frozen=True)
class Part:
    """Data, how they are split, and the metric."""

    name: str
    data: str
    split: dict[str, Any]  # as in the file: how, its settings, and which repetitions
    metric: str = "rmse"
    chosen_by: str = ""  # the validation figure that chooses among candidates; empty: the metric
    about: str = ""  # a sentence for the page
    events: Events | None = None  # which ratings are events; None: the part is of ratings
    texts: Texts | None = None
    keep: Keep | None = None  # which ratings; None: all
    published: dict[str, int] = field(default_factory=dict)  # counts that the paper prints

    @property
    def source(self) -> str:
        """The name of the data, of their texts, which ratings are events, and which are kept."""
        source = self.data
        if self.texts is not None:
            source = f"{source} with {self.texts}"

        return "; ".join([source, *self.subset])

    @property
    def subset(self) -> list[str]:
        """What is taken of the data, in words: which ratings are events, and which are kept."""
        return [str(choice) for choice in (self.events, self.keep) if choice is not None]

    @property
    def choosing_metric(self) -> str:
        """The metric of the validation part that chooses among candidates."""
        return self.chosen_by or self.metric

    @property
    def splits(self) -> list[SplitSpec]:
        """All splits of the part, in order."""
        return splits_of(self.split)

    @property
    def overlaps(self) -> bool:
        """Whether repetitions of the split share training ratings."""
        return self.split["how"] in OVERLAPPING


@dataclass(frozen=True)
class Claim:
    """A number that the paper prints."""

    value: float
    where: str  # the place in the paper
    within: float = 0.0  # how far above it a figure may be and still confirm it
    fold: int | None = None  # the published fold that it is about; None: the mean of all splits
    because: str = ""  # why we believe that it is missed


@dataclass(frozen=True)
class Tuned:
    """On which ratings settings were chosen: on those of train and valid of these splits."""

    data: str
    split: dict[str, Any]  # as in a part
    file: str = ""  # of tuning, as the experiment's file names it; empty: none was kept
    subset: tuple[str, ...] = ()  # what was taken of the data, as `Part.subset`

    def __str__(self) -> str:
        if self.file:
            return self.file

        settings = []
        for key, value in self.split.items():
            if key != "how":
                settings.append(f"{key} {format_setting(value)}")

        return f"{self.data} ({self.split['how']} split: {', '.join(settings)})"


@dataclass(frozen=True)
class RunSpec:
    """A run of a table on one part."""

    name: str
    model: str | None  # None: the paper's number alone
    settings: dict[str, Any] = field(default_factory=dict)  # all of the model's, with defaults
    claim: Claim | None = None
    series: str = ""  # the name without the swept values
    swept: dict[str, Any] = field(default_factory=dict)  # swept settings with their values
    note: str = ""  # why there is no model; with one, what it is
    tuned: Tuned | None = None  # where its settings were chosen, if the file says so
    candidates: tuple[RunSpec, ...] = ()  # of which each split's validation ratings choose one

    @property
    def fits(self) -> tuple[RunSpec, ...]:
        """What is fitted on each split: the candidates, or the run itself."""
        return self.candidates or (self,)

    @property
    def changed_settings(self) -> dict[str, Any]:
        """The settings that differ from the model's defaults; empty without a model."""
        if self.model is None:
            return {}

        fields = dataclasses.fields(registry.find(self.model))
        defaults = {setting.name: setting.default for setting in fields}
        changed = {}

        for name, value in self.settings.items():
            if value != defaults[name]:
                changed[name] = value

        return changed


@dataclass(frozen=True)
class Check:
    """What the paper says in words, in a form that figures can confirm."""

    says: str
    where: str
    kind: str  # a key of `report.verdict.JUDGES`
    groups: tuple[tuple[str, ...], ...]  # names of runs, for "falls" of a series
    within: float = 0.0
    by: dict[str, float] = field(default_factory=dict)  # for "improves": per cent, by part
    measures: tuple[str, ...] = ()  # for "never_best": metrics without their cutoff
    because: str = ""  # why we believe that it is not confirmed
    parts: tuple[str, ...] = ()  # the parts that it concerns; none: all

    def concerns(self, part: Part) -> bool:
        """Whether the check is made on this part."""
        concerns_all = not self.parts
        return concerns_all or part.name in self.parts

    def on(self, part: Part) -> Check:
        """The check as it is made on a part: `by` has its per cent alone."""
        by = {name: percent for name, percent in self.by.items() if name == part.name}
        return dataclasses.replace(self, by=by)


@dataclass(frozen=True)
class Table:
    """Runs on each part, and checks of their figures."""

    name: str
    title: str
    shows: str
    runs: dict[str, tuple[RunSpec, ...]]  # by the name of the part
    checks: tuple[Check, ...] = ()
    figure: str | None = None  # "runs", "epochs", "curves", "counts" or a swept setting
    also: tuple[str, ...] = ()  # further metrics, each a column of the page
    n_splits: int | dict[str, int] | None = None  # of the part's splits, or by part; None: all

    def splits(self, part: Part) -> list[SplitSpec]:
        """The splits of this table on a part."""
        n_splits = self.n_splits
        if isinstance(n_splits, dict):
            n_splits = n_splits.get(part.name)

        return part.splits[:n_splits]

    def needs_user_sums(self, part: Part) -> bool:
        """Whether a check compares runs by a bootstrap over users: too few splits for a t-test."""
        n_splits = len(self.splits(part))
        has_t_test = part.overlaps and n_splits >= MIN_SPLITS
        if has_t_test or not has_user_sums(part.metric):
            return False

        comparisons = [check for check in self.checks if check.kind in ("below", "above")]

        return any(check.concerns(part) for check in comparisons)


@dataclass(frozen=True)
class Experiment:
    """A file: the paper, its protocol in a sentence, parts and tables by name."""

    name: str
    paper: str
    protocol: str
    link: str
    parts: dict[str, Part]
    tables: dict[str, Table]
    records: Path = RECORDS


def has_user_sums(metric: str) -> bool:
    """Whether a figure is a mean over ratings or users, whose sums by user can be compared."""
    return metric in ("rmse", "mae") or is_of_lists(metric)


def splits_of(split: dict[str, Any]) -> list[SplitSpec]:
    """All splits that a file's split describes, in order."""
    repetition = ("repeat", "seed", "folds")
    settings = {key: value for key, value in split.items() if key not in repetition}
    if split["how"] == PUBLISHED:
        folds = split.get("folds", [1, 2, 3, 4, 5])
        return [SplitSpec({**settings, "fold": fold}, fold) for fold in folds]

    first = split.get("seed", 0)
    n_splits = split.get("repeat", 1)
    seeds = range(first, first + n_splits)

    return [SplitSpec(settings, seed) for seed in seeds]


def select(experiment: Experiment, only: Iterable[str]) -> list[tuple[Table, Part]]:
    """The tables on the parts that are named; all of them if nothing is named.

    Raises: SettingError for a name that is neither a part's nor a table's.
    """
    names = set(only)

    for name in names - set(experiment.parts) - set(experiment.tables):
        known = [*experiment.parts, *experiment.tables]
        raise unknown(f"part or table of {experiment.name}", name, known)

    parts = names & set(experiment.parts) or set(experiment.parts)
    tables = names & set(experiment.tables) or set(experiment.tables)

    return [
        (table, experiment.parts[part])
        for table in experiment.tables.values()
        for part in table.runs
        if part in parts and table.name in tables
    ]


def format_setting(value: Any) -> str:
    """A setting's value for people: the elements of a list without brackets."""
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)

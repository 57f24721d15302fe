"""The file of a paper's experiments: on which data what is run, and what the paper claims. Read and checked; nothing is run.

    part    data, split and metric under a name; a table is made on one part or more
    table   runs beside each other, with the paper's numbers, and checks of what the paper says in words
    entry   one run of a table: a model with its settings; without a model, only the paper's number

docs/experiments.md has every key.
"""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recollect import registry
from recollect.data import sources
from recollect.data.sources import netflix
from recollect.data.splitting import find
from recollect.errors import DataError, SettingError, unknown
from recollect.evaluation.metrics import rating_figures
from recollect.experiment.texts import TEXT_KEYS, Texts, texts_of

PUBLISHED = "published"  # the folds u1 to u5 of MovieLens 100K
OVERLAPPING = (
    "random",
    "covering",
    "new_item",
    PUBLISHED,
)  # splits whose repetitions share training ratings
CHECKS = ("below", "near", "lowest", "falls", "overfits")
FILE = {"paper", "link", "protocol", "part", "like", "table"}
ONE_TABLE = {
    "data",
    "split",
    "metric",
    *TEXT_KEYS,
    "run",
    "check",
    "figure",
}  # in place of part and table, for a file of one
PART = {"data", "split", "metric", "about", *TEXT_KEYS}
TABLE = {"name", "title", "shows", "parts", "splits", "figure", "run", "check"}
ENTRY = {
    "name",
    "model",
    "like",
    "on",
    "claim",
    "sweep",
    "note",
}  # every other key is a setting of the model
CLAIM = {"value", "where", "within"}
CHECK = {"says", "where", "within", "parts", *CHECKS}


@dataclass(frozen=True)
class Cut:
    """One split: what makes it, and the seed, which is the fit's as well."""

    settings: dict[str, Any]
    seed: int


@dataclass(frozen=True)
class Part:
    """Data, how they are split, and the metric."""

    name: str
    data: str
    split: dict[str, Any]
    metric: str = "rmse"
    about: str = ""  # a sentence
    texts: Texts | None = None

    @property
    def source(self) -> str:
        """What the data are called: their name, and their texts."""
        return self.data if self.texts is None else f"{self.data} with {self.texts}"

    @property
    def cuts(self) -> list[Cut]:
        """Its splits, in order."""
        rest = {k: v for k, v in self.split.items() if k not in ("repeat", "seed", "folds")}
        if self.split["how"] == PUBLISHED:
            return [
                Cut({**rest, "fold": fold}, fold)
                for fold in self.split.get("folds", [1, 2, 3, 4, 5])
            ]
        first = self.split.get("seed", 0)
        return [Cut(rest, seed) for seed in range(first, first + self.split.get("repeat", 1))]


@dataclass(frozen=True)
class Claim:
    """A number that the paper prints."""

    value: float
    where: str  # in the paper
    within: float = 0.0  # how far above it a figure may be and still confirm it


@dataclass(frozen=True)
class Entry:
    """A run of a table on one part."""

    name: str
    model: str | None  # None: not built yet
    settings: dict[str, Any] = field(default_factory=dict)  # all of the model's, resolved
    claim: Claim | None = None
    line: str = ""  # the name without what is swept
    point: dict[str, Any] = field(default_factory=dict)  # what is swept, and its value here
    note: str = ""


@dataclass(frozen=True)
class Check:
    """What the paper says in words, as something that figures can confirm."""

    says: str
    where: str
    kind: str  # one of CHECKS
    of: tuple[tuple[str, ...], ...]  # names of entries (of a line, for "falls"), in groups
    within: float = 0.0
    parts: tuple[str, ...] = ()  # on which it is asked; none: on all


@dataclass(frozen=True)
class Table:
    """Entries per part, and what is asked of them."""

    name: str
    title: str
    shows: str
    entries: dict[str, tuple[Entry, ...]]
    checks: tuple[Check, ...] = ()
    figure: str | None = None  # "runs", "epochs", "counts" or a setting that is swept
    splits: int | None = None  # only the first of the part's; None: all

    def cuts(self, part: Part) -> list[Cut]:
        """The splits of this table on a part."""
        return part.cuts[: self.splits]


@dataclass(frozen=True)
class Experiment:
    """A file: the paper, its protocol in a sentence, parts and tables by name."""

    name: str
    paper: str
    protocol: str
    link: str
    parts: dict[str, Part]
    tables: dict[str, Table]


def read(path: str | Path) -> Experiment:
    """What the file says, checked as far as can be without the data.

    Raises: DataError if it is not there or no TOML; SettingError, naming the place, for a key, model, setting, data set,
    split or name that does not exist, with those that do.
    """
    path = Path(path)
    raw = toml(path)
    with at(str(path)):
        if "table" not in raw:
            refuse_others(raw, FILE | ONE_TABLE, "key")
            name = str(raw.get("data", "")).rpartition("/")[2] or "all"
            raw = {
                **{k: v for k, v in raw.items() if k not in ONE_TABLE},
                "part": {name: {k: raw[k] for k in PART if k in raw}},
                "table": [
                    {
                        "name": path.stem,
                        **{k: raw[k] for k in ("run", "check", "figure") if k in raw},
                    }
                ],
            }
        refuse_others(raw, FILE, "key")
        need(raw, "paper", "part", "table")
        parts = {name: _part(name, each) for name, each in raw["part"].items()}
        tables = [_table(each, parts, raw.get("like", {})) for each in raw["table"]]
        _refuse_twice([table.name for table in tables], "table")
        return Experiment(
            path.stem,
            raw["paper"],
            raw.get("protocol", ""),
            raw.get("link", ""),
            parts,
            {table.name: table for table in tables},
        )


def toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises: DataError if it is not there or no TOML.
    """
    if not path.is_file():
        raise DataError(f"There is no file {path}; check the path.")
    try:
        return tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise DataError(f"{path} is not TOML: {problem}.") from problem


def chosen(experiment: Experiment, only: Iterable[str]) -> list[tuple[Table, Part]]:
    """The tables and parts that are asked for by name; all, if nothing is named.

    Raises: SettingError for a name that is neither a part's nor a table's.
    """
    names = set(only)
    for name in names - set(experiment.parts) - set(experiment.tables):
        raise unknown(
            f"part or table of {experiment.name}", name, [*experiment.parts, *experiment.tables]
        )
    parts, tables = names & set(experiment.parts), names & set(experiment.tables)
    return [
        (table, experiment.parts[part])
        for table in experiment.tables.values()
        for part in table.entries
        if (not parts or part in parts) and (not tables or table.name in tables)
    ]


def check_data(name: str) -> None:
    """Refuse data that are neither known by name nor a file.

    Raises: SettingError with the names that are known.
    """
    if name not in sources.known() and not Path(name).is_file() and not netflix.is_folder(name):
        raise unknown("data set or file", name, sources.known())


def check_split(split: Any, data: str) -> None:
    """Refuse a split that does not exist, or settings that it does not have.

    Raises: SettingError with those that do.
    """
    if not isinstance(split, dict) or "how" not in split:
        raise SettingError(
            f'split is a table with how, such as {{ how = "random", test = 0.1 }}; found {split!r}.'
        )
    if split["how"] == PUBLISHED:
        refuse_others(split, {"how", "folds", "valid"}, f"setting of the {PUBLISHED} split")
        if data != "movielens/100k":
            raise SettingError(
                f'The {PUBLISHED} folds are of movielens/100k, found data {data!r}; use how = "random".'
            )
        if set(split.get("folds", [])) - {1, 2, 3, 4, 5}:
            raise SettingError(f"folds are some of 1 to 5, found {split['folds']}.")
        return
    known = {"how", "seed", "repeat", *inspect.signature(find(split["how"])).parameters} - {
        "ratings"
    }
    refuse_others(split, known, f"setting of the {split['how']} split")
    if not isinstance(split.get("repeat", 1), int) or split.get("repeat", 1) < 1:
        raise SettingError(f"repeat is how many splits, 1 or more; found {split['repeat']!r}.")


def _part(name: str, raw: dict[str, Any]) -> Part:
    with at(f"part {name}"):
        refuse_others(raw, PART, "key of a part")
        need(raw, "data", "split")
        check_data(raw["data"])
        check_split(raw["split"], raw["data"])
        if raw.get("metric", "rmse") not in rating_figures():
            raise unknown("metric of an experiment", raw["metric"], rating_figures())
        return Part(
            name,
            raw["data"],
            raw["split"],
            raw.get("metric", "rmse"),
            raw.get("about", ""),
            texts_of(raw),
        )


def _table(raw: dict[str, Any], parts: Mapping[str, Part], likes: dict[str, Any]) -> Table:
    with at(f"table {raw.get('name', '?')}"):
        refuse_others(raw, TABLE, "key of a table")
        need(raw, "name", "run")
        names = raw.get("parts", list(parts))
        for name in set(names) - set(parts):
            raise unknown("part", name, parts)
        entries = {
            part: tuple(
                itertools.chain(*(_entries(each, part, parts, likes) for each in raw["run"]))
            )
            for part in names
        }
        for each in entries.values():
            _refuse_twice([entry.name for entry in each], "run")
        some = entries[names[0]]
        checks = tuple(_check(each, some, parts) for each in raw.get("check", []))
        swept = {key for entry in some for key in entry.point}
        if raw.get("figure") not in (None, "runs", "epochs", "counts", *swept):
            raise unknown("figure", str(raw["figure"]), ("runs", "epochs", "counts", *swept))
        return Table(
            raw["name"],
            raw.get("title", raw["name"]),
            raw.get("shows", ""),
            entries,
            checks,
            raw.get("figure"),
            raw.get("splits"),
        )


def _entries(
    raw: dict[str, Any], part: str, parts: Mapping[str, Part], likes: dict[str, Any]
) -> list[Entry]:
    """One entry, or one for each value that is swept."""
    with at(f"run {raw.get('name', raw.get('model', '?'))}"):
        whole = _merged(raw, part, parts, likes)
        name = whole.get("name", whole.get("model"))
        if name is None:
            raise SettingError("It has neither a name nor a model; give it one.")
        claim = _claim(whole.get("claim"), part, parts)
        given = {k: v for k, v in whole.items() if k not in ENTRY}
        note = whole.get("note", "")
        if "model" not in whole:
            if given or "claim" not in whole:
                raise SettingError(
                    "It has no model: then it has a name and a claim, and no settings."
                )
            return [Entry(name, None, claim=claim, line=name, note=note or "not built yet")]
        sweep = whole.get("sweep", {})
        if sweep and "claim" in whole:
            raise SettingError("A sweep has no claim; write the run with the claim on its own.")
        points = [
            dict(zip(sweep, values, strict=True)) for values in itertools.product(*sweep.values())
        ]
        return [
            Entry(
                _named(name, point),
                whole["model"],
                resolved(whole["model"], {**given, **point}),
                claim,
                name,
                point,
                note,
            )
            for point in points
        ]


def _merged(
    raw: dict[str, Any], part: str, parts: Mapping[str, Part], likes: dict[str, Any]
) -> dict[str, Any]:
    """What the run is like, then what is its own; each first as on all parts, then as on this one."""
    if raw.get("like") is not None and raw["like"] not in likes:
        raise unknown("like", raw["like"], likes)
    found: dict[str, Any] = {}
    for layer in (likes.get(str(raw.get("like")), {}), raw):
        for name in set(layer.get("on", {})) - set(parts):
            raise unknown("part", name, parts)
        found |= layer | layer.get("on", {}).get(part, {})
    return found


def resolved(model: str, given: dict[str, Any]) -> dict[str, Any]:
    """All settings of the model, with these in place of its defaults.

    Raises: SettingError for a model or setting that does not exist, or a value it cannot take.
    """
    return registry.settings(registry.make(model, **given))


def _named(name: str, point: dict[str, Any]) -> str:
    return ", ".join([name, *(f"{key} = {shown(value)}" for key, value in point.items())])


def shown(value: Any) -> str:
    """A setting's value for people."""
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _claim(raw: Any, part: str, parts: Mapping[str, Part]) -> Claim | None:
    """The claim for this part: `claim = { value, where }` is for every part, `claim.PART` for one."""
    if raw is None:
        return None
    if "value" not in raw:
        for name in set(raw) - set(parts):
            raise unknown("part with a claim", name, parts)
        if part not in raw:
            return None
        raw = raw[part]
    refuse_others(raw, CLAIM, "key of a claim")
    need(raw, "value", "where")
    return Claim(float(raw["value"]), raw["where"], float(raw.get("within", 0.0)))


def _check(raw: dict[str, Any], entries: tuple[Entry, ...], parts: Mapping[str, Part]) -> Check:
    with at(f"check {raw.get('says', '?')!r}"):
        refuse_others(raw, CHECK, "key of a check")
        need(raw, "says", "where")
        kinds = [kind for kind in CHECKS if kind in raw]
        if len(kinds) != 1:
            raise SettingError(f"It has {len(kinds)} of {', '.join(CHECKS)}; give it one.")
        (kind,), pair = kinds, kinds[0] in ("below", "near")
        of = raw[kind] if pair else [raw[kind]]
        if pair and (not isinstance(of, list) or len(of) != 2):
            raise SettingError(f"{kind} takes two runs, or two lists of runs; found {of!r}.")
        groups = tuple((each,) if isinstance(each, str) else tuple(each) for each in of)
        known = (
            {entry.line for entry in entries if entry.point}
            if kind == "falls"
            else {e.name for e in entries if e.model}
        )
        for name in itertools.chain(*groups):
            if name not in known:
                raise unknown(
                    "swept run of this table" if kind == "falls" else "run of this table",
                    name,
                    known,
                )
        for name in set(raw.get("parts", [])) - set(parts):
            raise unknown("part", name, parts)
        return Check(
            raw["says"],
            raw["where"],
            kind,
            groups,
            float(raw.get("within", 0.0)),
            tuple(raw.get("parts", ())),
        )


@contextmanager
def at(where: str) -> Iterator[None]:
    """Say where in the file an error stands."""
    try:
        yield
    except SettingError as problem:
        raise SettingError(f"{where}: {problem}") from problem


def refuse_others(raw: Mapping[str, Any], known: Iterable[str], what: str) -> None:
    """Refuse keys that are not known, with those that are."""
    for key in raw:
        if key not in set(known):
            raise unknown(what, key, known)


def _refuse_twice(names: list[str], what: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise SettingError(f"The {what} {name!r} stands twice; give each a name of its own.")


def need(raw: Mapping[str, Any], *keys: str) -> None:
    """Refuse a table without one of these keys."""
    for key in keys:
        if key not in raw:
            raise SettingError(f"{key} is missing.")


def changed(entry: Entry) -> dict[str, Any]:
    """The settings of an entry that are not the model's defaults."""
    assert entry.model is not None
    usual = {f.name: f.default for f in dataclasses.fields(registry.find(entry.model))}
    return {key: value for key, value in entry.settings.items() if value != usual[key]}

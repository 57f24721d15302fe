"""The sentences of a page: what was measured on what, when, and by which code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from recollect.experiment.metric import label
from recollect.experiment.results import Record
from recollect.experiment.spec import PUBLISHED, Part, Table
from recollect.experiment.tuned import splits_with_overlap


def describe_data(table: Table, part: Part, facts: Mapping[str, Any]) -> str:
    """The data of a table with their fingerprint, and how they are split.

    Args:
        table: it says how many splits there are.
        part: on which the table is made.
        facts: those of the part's data, as in data.json.
    """
    data = part.source
    if "fingerprint" in facts:
        data += f" (fingerprint {facts['fingerprint']})"

    splits = describe_splits(table, part)
    measured = ""
    if part.events is not None:
        measured = f"{label(part.metric)}: more is better. "

    return f"{measured}{data}: {splits}."


def describe_splits(table: Table, part: Part) -> str:
    """The splits of a table on a part in words."""
    splits = table.splits(part)
    plural = "s" * (len(splits) > 1)
    settings = []

    for key, value in splits[0].settings.items():
        if key not in ("how", "fold"):
            words = " to ".join(value) if isinstance(value, list) else value
            settings.append(f"{key} {words}")

    seeds = _describe_seeds([split.seed for split in splits])
    if part.split["how"] == PUBLISHED:
        details = f" ({', '.join(settings)})" if settings else ""
        return f"published fold{plural} {seeds}{details}"

    how = part.split["how"].replace("_", " ")
    details = ", ".join([*settings, f"seed{plural} {seeds}"])

    return f"{how} split{plural} ({details})"


def _describe_seeds(seeds: Sequence[int]) -> str:
    first = seeds[0]
    last = seeds[-1]
    every = list(range(first, last + 1))
    if len(seeds) > 1 and list(seeds) == every:
        return f"{first} to {last}"

    return ", ".join(str(seed) for seed in seeds)


def describe_counts(n_test: Sequence[int], n_cold: Sequence[int]) -> str:
    """How many test ratings a split has, and how many of them are cold."""
    scored = _range(n_test)
    cold = _range(n_cold)
    return f"All {scored} test ratings of a split are scored, {cold} of them cold."


def describe_event_counts(records: Sequence[Record]) -> str:
    """How many test events a split has, and for how many users lists are made."""
    events = _range([record["n_test"] for record in records])
    users = _range([record["n_users"] for record in records])
    cold = _range([record["n_cold"] for record in records])

    return (
        f"All {events} test events of a split are to be found in lists of all items for {users} "
        f"users, {cold} of them cold."
    )


def _range(numbers: Sequence[int]) -> str:
    low = min(numbers)
    high = max(numbers)
    if low == high:
        return f"{low:,}"

    return f"{low:,} to {high:,}"


def describe_published(part: Part, facts: Mapping[str, Any]) -> list[str]:
    """The counts of its data that the paper prints, and ours of the same; none without them.

    Args:
        part: with the paper's counts.
        facts: those of the part's data.
    """
    if not part.published:
        return []

    counts = [f"{count:,} {what}" for what, count in part.published.items()]
    measured = {**facts, "items": facts.get("rated_items", facts.get("items"))}
    own = [f"{measured[what]:,} {what}" for what in part.published if measured.get(what)]
    here = f"; here {', '.join(own)}" if own else ""

    return [f"The paper has {', '.join(counts)}{here}."]


def describe_skewness(facts: Mapping[str, Any]) -> list[str]:
    """How skewed the numbers of ratings of items are; nothing where it was not measured."""
    if "item_skewness" not in facts:
        return []

    return [f"Skewness of the number of ratings of an item: {facts['item_skewness']:.2f}."]


def describe_tuning(table: Table, part: Part) -> list[str]:
    """Where settings of runs were chosen, and whether test ratings of the part were among these.

    Args:
        table: with the runs.
        part: on which they are made.
    """
    names: dict[str, list[str]] = {}
    tuned_by_source = {}

    for run in table.runs[part.name]:
        if run.tuned is not None:
            source = str(run.tuned)
            tuned_by_source[source] = run.tuned
            names.setdefault(source, []).append(run.name)

    seeds = [split.seed for split in table.splits(part)]
    sentences = []

    for source, tuned in tuned_by_source.items():
        shared = [seed for seed in splits_with_overlap(tuned, part) if seed in seeds]
        overlap = "none of whose ratings is a test rating here"
        if shared:
            kind = "fold" if part.split["how"] == PUBLISHED else "seed"
            plural = "s" * (len(shared) > 1)
            overlap = f"some of whose ratings are test ratings of {kind}{plural} "
            overlap += _describe_seeds(shared)

        # Names of runs have commas of their own.
        runs = "; ".join(dict.fromkeys(names[source]))
        sentences.append(f"Settings of {runs} were chosen on {source}, {overlap}.")

    return sentences


def describe_releases(records: Sequence[Record]) -> str:
    """The releases and commits that made records, the oldest first."""
    commits: dict[str, dict[str, None]] = {}

    for record in sorted(records, key=lambda record: record["made"]["date"]):
        made = record["made"]
        of_release = commits.setdefault(made["release"], {})
        if "commit" in made:
            of_release[made["commit"]] = None

    releases = []

    for release, names in commits.items():
        plural = "s" * (len(names) > 1)
        releases.append(f"{release} (commit{plural} {', '.join(names)})" if names else release)

    return f"Made by release {' and '.join(releases)}{_on_cards(records)}."


def _on_cards(records: Sequence[Record]) -> str:
    """How many of the fits ran on which card; empty if all ran on the CPU."""
    cards = [record["made"]["device"] for record in records if "device" in record["made"]]
    n_fits = [f"{n} of {len(records)} fits on {card}" for card, n in Counter(cards).items()]

    return f"; {', '.join(n_fits)}" if n_fits else ""


def describe_carried(n_rows: int, release: str) -> str:
    """How many rows of a table are carried over."""
    rows = "1 row is" if n_rows == 1 else f"{n_rows} rows are"
    return f"{rows} carried over from release {release}."


def describe_page(
    records: Sequence[Record], n_carried: int, printed: Mapping[str, Any] | None
) -> str:
    """When the rows of a page were made, with which versions, and how many are carried over.

    Args:
        records: behind the rows.
        n_carried: rows without records, carried over from an earlier release.
        printed: what that release printed of their making; None if nothing is carried over.
    """
    made = [record["made"] for record in records]
    if n_carried and printed is not None:
        made.append(printed)

    if not made:
        return "Nothing has been run yet."

    newest = max(made, key=lambda origin: origin["date"])
    versions = {"recollect": newest["release"], **newest["versions"]}
    with_versions = ", ".join(f"{name} {version}" for name, version in versions.items())
    days = sorted({origin["date"][:10] for origin in made})
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    threads: list[int] = []

    for origin in made:
        stated = origin["threads"]
        threads += stated if isinstance(stated, list) else [stated]

    sentence = f"Made {when} with {with_versions}; CPU, {_range(threads)} thread(s) a fit."
    if not n_carried or printed is None:
        return sentence

    rows = "1 row is a summary" if n_carried == 1 else f"{n_carried} rows are summaries"

    return (
        f"{sentence} {rows} carried over from release {printed['release']}: the records of "
        "single splits are lost; `recollect run` makes them anew."
    )

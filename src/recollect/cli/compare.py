"""The verb compare: several models on the same splits, every fit in a fresh process."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from recollect.cli.fit import Device, Threads, cut, figure
from recollect.cli.options.source import Columns, Seed, Source, ratings_from
from recollect.cli.options.texts import Texts
from recollect.cli.output.screen import Answer, Screen, as_json, memory, seconds, settings_of, table
from recollect.data.ratings import AnyRatings, Ratings
from recollect.errors import SettingError, unknown
from recollect.system import processes


@dataclass(frozen=True)
class Fit:
    """One model on one split."""

    model: str
    settings: dict[str, Any]
    train: AnyRatings
    valid: Ratings | None
    test: Ratings
    seed: int
    threads: int | None
    device: str
    ranking: bool
    keep_errors: bool  # the errors of each rating, to compare models on a single split


@dataclass(frozen=True)
class Entry:
    """A model to compare, under a name."""

    model: str
    settings: dict[str, Any] = field(default_factory=dict)


def compare(
    screen: Screen,
    source: Source,
    columns: Columns,
    texts: Texts,
    models: Annotated[
        list[str],
        typer.Option(
            "--model",
            metavar="[NAME=]MODEL",
            show_default=False,
            help="A model; repeat it for more. wide=autorec gives it a name.",
        ),
    ],
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME.KEY=VALUE",
            show_default=False,
            help="A setting of one: autorec.hidden=100.",
        ),
    ] = None,
    test: Annotated[float, typer.Option(help="Share of the ratings to be judged on.")] = 0.1,
    valid: Annotated[float, typer.Option(help="Share of the rest to stop by.")] = 0.05,
    repeat: Annotated[int, typer.Option(min=1, help="How many random splits.")] = 5,
    seed: Seed = 0,
    threads: Threads = None,
    device: Device = "cpu",
    ranking: Annotated[
        bool, typer.Option("--ranking", help="Rank all items for each user, too.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="JSON", help="Write all figures here.")
    ] = None,
) -> Answer:
    """Compare models on the same random splits: errors with intervals, what differs by more than chance, time and memory."""
    entries = entries_of(models, settings_of(settings or ()))
    if not 0 < test < 1:
        raise SettingError(f"--test is a share above 0 and below 1, such as 0.1; found {test}.")
    from recollect.run import Run

    Run(device=device)  # refused before the work
    texts.read_as()
    ratings = texts.taken(ratings_from(source, columns))
    fits, results = (
        _fits(
            entries,
            ratings,
            test=test,
            valid=valid,
            seeds=range(seed, seed + repeat),
            threads=threads,
            device=device,
            ranking=ranking,
        ),
        [],
    )
    with screen.steps("fits", repeat * len(entries)) as step:
        names = [f"{name}, seed {s}" for s in range(seed, seed + repeat) for name in entries]
        step(0, names[0])
        for done, result in enumerate(processes.run_each(fit, fits, processes=1), start=1):
            results.append(result)
            step(done, names[done] if done < len(names) else "")
    by_name = {name: results[j :: len(entries)] for j, name in enumerate(entries)}
    tests = differences(by_name, test_share=test) if len(entries) > 1 else []
    found = {
        "data": ratings.name,
        "fingerprint": ratings.fingerprint,
        "scale": ratings.scale,
        "split": {"how": "random", "test": test, "valid": valid},
        "seeds": list(range(seed, seed + repeat)),
        "device": device,
        "models": {
            name: _summary(entries[name], runs, test_share=test) for name, runs in by_name.items()
        },
        "differences": tests,
        "versions": _versions(),
    }
    if out is not None:
        from recollect.system.atomic_files import replacing

        with replacing(out) as fresh:
            fresh.write_text(as_json(found))
    return Answer(found, _shown(found))


def entries_of(models: list[str], settings: dict[str, Any]) -> dict[str, Entry]:
    """The models by name, with their settings; every one is made once, so that an error comes before the work.

    Raises: SettingError for a name that stands twice, or a setting of none of them.
    """
    from recollect import registry

    found: dict[str, Entry] = {}
    for text in models:
        name, _, model = text.rpartition("=")
        if (name or model) in found:
            raise SettingError(
                f"--model {name or model} stands twice; give each a name: --model wide={model}."
            )
        found[name or model] = Entry(model)
    for key, value in settings.items():
        name, _, setting = key.partition(".")
        if not setting:
            raise SettingError(
                f"--set takes NAME.KEY=VALUE here, such as {next(iter(found))}.{key}=…; found {key}=…."
            )
        if name not in found:
            raise unknown("model here", name, found)
        found[name].settings[setting] = value
    for entry in found.values():
        registry.make(entry.model, **entry.settings)
    return found


def _fits(
    entries: dict[str, Entry],
    ratings: Ratings,
    *,
    test: float,
    valid: float,
    seeds: range,
    threads: int | None,
    device: str,
    ranking: bool,
) -> Iterator[Fit]:
    for seed in seeds:
        parts = cut(ratings, valid=valid, test=test, seed=seed)
        assert parts.test is not None
        for entry in entries.values():
            yield Fit(
                entry.model,
                entry.settings,
                parts.train,
                parts.valid,
                parts.test,
                seed,
                threads,
                device,
                ranking,
                keep_errors=len(seeds) == 1,
            )


def fit(job: Fit) -> dict[str, Any]:
    """Fit a model on a split and score it."""
    from recollect import registry
    from recollect.evaluation.protocols import full_ranking, held_out
    from recollect.run import Run, peak_memory_mb

    run = Run(seed=job.seed, threads=job.threads, device=job.device)
    model = registry.make(job.model, **job.settings).fit(job.train, job.valid, run)
    peak = peak_memory_mb()
    scores = held_out(model, job.test)
    lists = full_ranking(model, job.test) if job.ranking else None
    return {
        "rmse": scores["rmse"],
        "mae": scores["mae"],
        "seconds": model.seconds_,
        "peak_memory_mb": peak,
        "n_test": len(job.test),
        "n_cold": scores.about["n_cold"],
        "best_epoch": model.history_.best_epoch,
        "stopped": model.history_.stopped or None,
        "ranking": {name: lists[name] for name in (*lists.names(), *lists.whole)} if lists else {},
        "interval": figure(scores, "rmse") if job.keep_errors else None,
        "errors": (scores.values["rmse"], job.test.user) if job.keep_errors else None,
    }


def differences(
    by_name: dict[str, list[dict[str, Any]]], *, test_share: float
) -> list[dict[str, Any]]:
    """Each pair of models: difference in RMSE, interval, p (Holm's over all pairs), and whether it is beyond chance."""
    from recollect.evaluation import significance

    first = next(iter(by_name.values()))[0]
    if first["errors"] is None:
        figures = {name: [run["rmse"] for run in runs] for name, runs in by_name.items()}
        return significance.compare(figures, over="splits", test_share=test_share).to_dicts()
    errors = {name: runs[0]["errors"][0] for name, runs in by_name.items()}
    return significance.compare(
        errors, over="ratings", statistic="root_mean", group=first["errors"][1]
    ).to_dicts()


def _summary(entry: Entry, runs: list[dict[str, Any]], *, test_share: float) -> dict[str, Any]:
    from recollect import registry
    from recollect.evaluation.significance import mean_interval

    interval = runs[0]["interval"]
    if interval is None:
        mean, low, high = mean_interval([run["rmse"] for run in runs], test_share=test_share)
        interval = {"value": mean, "low": low, "high": high}
    every = (
        "rmse",
        "mae",
        "seconds",
        "peak_memory_mb",
        "n_test",
        "n_cold",
        "best_epoch",
        "stopped",
    )
    ranking = {
        name: statistics.fmean(run["ranking"][name] for run in runs) for name in runs[0]["ranking"]
    }
    return {
        "model": entry.model,
        "settings": registry.settings(registry.make(entry.model, **entry.settings)),
        "rmse": interval,
        "mae": statistics.fmean(run["mae"] for run in runs),
        "ranking": ranking,
        "runs": [{key: run[key] for key in every} for run in runs],
    }


def _shown(found: dict[str, Any]) -> list[RenderableType]:
    rows, names = [], list(next(iter(found["models"].values()))["ranking"])
    for name, about in found["models"].items():
        rmse, runs = about["rmse"], about["runs"]
        rows.append(
            (
                name,
                rmse["value"],
                f"[{rmse['low']:.4f}, {rmse['high']:.4f}]",
                about["mae"],
                seconds(statistics.median(run["seconds"] for run in runs)),
                memory(max(run["peak_memory_mb"] for run in runs)),
            )
        )
    some, n = next(iter(found["models"].values()))["runs"][0], len(found["seeds"])
    splits = (
        f"{n} random splits, seeds {found['seeds'][0]} to {found['seeds'][-1]}"
        if n > 1
        else f"one random split, seed {found['seeds'][0]}"
    )
    over = "over splits (corrected for their overlap)" if n > 1 else "over users (bootstrap)"
    shown: list[RenderableType] = [
        table(
            ("model", "RMSE", "95% interval", "MAE", "time of a fit", "peak memory"),
            rows,
            title=found["data"],
        ),
        f"{splits}; {found['split']['test']:.0%} test, all {some['n_test']:,} ratings scored ({some['n_cold']:,} cold "
        f"in the first). Intervals {over}. Memory is that of a fresh process, Python and its libraries included.",
        "",
    ]
    for name, about in found["models"].items():
        if broken := [run["stopped"] for run in about["runs"] if run["stopped"]]:
            shown[-1:-1] = [
                Text(
                    f"{name}: training broke down in {len(broken)} of {n}. {broken[0]}",
                    style="bold red",
                )
            ]
    if names:
        lists = [(name, *about["ranking"].values()) for name, about in found["models"].items()]
        shown.append(table(("model", *names), lists, title="All items ranked"))
    shown.extend(_told(row, n) for row in found["differences"])
    return shown


def _told(row: dict[str, Any], n: int) -> str:
    model, other = (
        (row["model"], row["other"]) if row["difference"] <= 0 else (row["other"], row["model"])
    )
    size = abs(row["difference"])
    if row["significant"] is None:
        return f"{model} is {size:.4f} below {other}; one split cannot say whether by more than chance."
    if not row["significant"]:
        return (
            f"{model} is {size:.4f} below {other}, which may be chance (p = {row['p_holm']:.2g})."
        )
    return f"{model} is {size:.4f} below {other} in RMSE, more than by chance (p = {row['p_holm']:.2g})."


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("recollect", "torch", "numpy")}

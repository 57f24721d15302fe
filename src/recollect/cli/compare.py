"""The verb compare: several models on the same splits."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

import recollect as rc
from recollect.cli.options.fitting import Device, Seed, Threads
from recollect.cli.options.out_file import check_out
from recollect.cli.options.settings import settings_of
from recollect.cli.options.source import Columns, Source, ratings_from
from recollect.cli.options.texts import Texts
from recollect.cli.output.screen import Answer, Screen
from recollect.cli.output.tables import interval, memory, seconds, table
from recollect.errors import SettingError, unknown
from recollect.system.strict_json import to_json

if TYPE_CHECKING:
    from recollect.evaluation.comparison import Comparison


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
            help="A setting of one model, such as autorec.hidden=100; repeat it for more.",
        ),
    ] = None,
    test: Annotated[float, typer.Option(help="Share of the ratings to test on.")] = 0.1,
    valid: Annotated[
        float, typer.Option(help="Validation share of the remaining ratings, for early stopping.")
    ] = 0.05,
    repeat: Annotated[int, typer.Option(min=1, help="Number of random splits.")] = 5,
    seed: Seed = 0,
    threads: Threads = None,
    device: Device = "cpu",
    ranking: Annotated[
        bool, typer.Option("--ranking", help="Rank all items for each user, too.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="JSON", help="Write all figures to this file.")
    ] = None,
) -> Answer:
    """Compare models on the same random splits.

    Errors with intervals, which differences are more than chance, time and memory.
    """
    from recollect.data.splitting.shares import check_shares
    from recollect.evaluation import comparison

    check_shares(test=test, valid=valid)
    check_out(screen, "--out", out, {"SOURCE": source})
    candidates = candidates_of(models, settings_of(settings))
    run = rc.Run(threads=threads, device=device)
    texts.tokenizer()  # refuses wrong options before the work
    ratings = texts.attach(ratings_from(source, columns))
    seeds = range(seed, seed + repeat)

    with screen.steps("fits", repeat * len(candidates)) as step:
        compared = comparison.compare_models(
            candidates,
            ratings,
            test=test,
            valid=valid,
            seeds=seeds,
            run=run,
            ranking=ranking,
            progress=step,
        )

    protocol = _protocol(ratings, seeds, device, test=test, valid=valid)
    result = {**protocol, **_outcome(compared)}
    _write(result, out)

    return Answer(result, _shown(result), failed=bool(compared.failed))


def candidates_of(models: list[str], settings: dict[str, Any]) -> dict[str, Any]:
    """The models to compare by name, with their settings; each is made once, to find errors early.

    Args:
        models: written as MODEL or NAME=MODEL.
        settings: by NAME.KEY.

    Raises:
        SettingError: for a name that is given twice, or a setting of none of the models.
    """
    from recollect import registry
    from recollect.evaluation.comparison import Candidate

    candidates: dict[str, Candidate] = {}

    for text in models:
        stated_name, _, model = text.rpartition("=")
        name = stated_name or model
        if name in candidates:
            raise SettingError(
                f"--model {name} is given twice; name them apart: --model wide={model}."
            )

        candidates[name] = Candidate(model)

    _add_settings(candidates, settings)

    for candidate in candidates.values():
        registry.make(candidate.model, **candidate.settings)

    return candidates


def _add_settings(candidates: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Give each setting, which is by NAME.KEY, to the model of its name."""
    for key, value in settings.items():
        name, _, setting = key.partition(".")
        if not setting:
            raise SettingError(
                f"--set takes NAME.KEY=VALUE here, such as {next(iter(candidates))}.{key}=…; found "
                f"{key}=…."
            )

        if name not in candidates:
            raise unknown("model to compare", name, candidates)

        candidates[name].settings[setting] = value


def _write(result: dict[str, Any], out: Path | None) -> None:
    """Write all figures as JSON, if a file is given."""
    if out is None:
        return

    from recollect.system.atomic_files import replacing

    with replacing(out) as fresh:
        fresh.write_text(to_json(result))


def _protocol(
    ratings: rc.Ratings, seeds: Sequence[int], device: str, *, test: float, valid: float
) -> dict[str, Any]:
    """What the models were compared on: the data, its splits, and the device."""
    return {
        "data": ratings.name,
        "fingerprint": ratings.fingerprint,
        "scale": ratings.scale,
        "split": {"how": "random", "test": test, "valid": valid},
        "seeds": list(seeds),
        "device": device,
    }


def _outcome(compared: Comparison) -> dict[str, Any]:
    """What came of it: the figures of the models, their differences, and the versions used."""
    return {
        "models": compared.models,
        "differences": compared.differences,
        "failed": compared.failed,
        "versions": _versions(),
    }


def _shown(result: dict[str, Any]) -> list[RenderableType]:
    models = result["models"]
    n_splits = len(result["seeds"])
    rows = [_row(name, figures) for name, figures in models.items()]
    columns = ("model", "RMSE", "95% interval", "MAE", "time of a fit", "peak memory")
    shown: list[RenderableType] = [
        table(columns, rows, title=result["data"]),
        _conditions(result),
        *_breakdowns(models, n_splits),
        *_failures(result["failed"]),
        "",
    ]
    first = next(iter(models.values()))
    if first["ranking"]:
        lists = [(name, *figures["ranking"].values()) for name, figures in models.items()]
        shown.append(table(("model", *first["ranking"]), lists, title="All items ranked"))

    shown.extend(_difference(row) for row in result["differences"])

    return shown


def _row(name: str, figures: dict[str, Any]) -> tuple[Any, ...]:
    rmse, runs = figures["rmse"], figures["runs"]
    errors = ("–", "", "–")  # of a model that has rankings only
    if rmse is not None:
        errors = (rmse["value"], interval(rmse["low"], rmse["high"]), figures["mae"])

    return (
        name,
        *errors,
        seconds(statistics.median(run["seconds"] for run in runs)),
        memory(max(run["peak_memory_mb"] for run in runs)),
    )


def _conditions(result: dict[str, Any]) -> str:
    first_runs = [figures["runs"][0] for figures in result["models"].values()]
    n_cold = [run["n_cold"] for run in first_runs if run["n_cold"] is not None]
    cold = f" ({n_cold[0]:,} cold in the first split)" if n_cold else ""
    seeds = result["seeds"]
    if len(seeds) > 1:
        splits = f"{len(seeds)} random splits, seeds {seeds[0]} to {seeds[-1]}"
        over = "over splits (corrected for their overlap)"
    else:
        splits = f"one random split, seed {seeds[0]}"
        over = "over users (bootstrap)"

    return (
        f"{splits}; {result['split']['test']:.0%} test, all {first_runs[0]['n_test']:,} ratings "
        f"scored{cold}. Intervals are {over}. Memory is that of the process of a fit, Python and "
        "its libraries included."
    )


def _breakdowns(models: Mapping[str, Any], n_splits: int) -> list[RenderableType]:
    """A line for each model whose training broke down."""
    lines: list[RenderableType] = []

    for name, figures in models.items():
        reasons = [run["stopped"] for run in figures["runs"] if run["stopped"]]
        if reasons:
            text = f"{name}: training broke down in {len(reasons)} of {n_splits}. {reasons[0]}"
            lines.append(Text(text, style="bold red"))

    return lines


def _failures(failed: Mapping[str, str]) -> list[RenderableType]:
    """A line for each model that could not be fitted."""
    return [
        Text(f"{name} failed and is left out: {why}", style="bold red")
        for name, why in failed.items()
    ]


def _difference(row: dict[str, Any]) -> str:
    better, worse = row["model"], row["other"]
    if row["difference"] > 0:
        better, worse = worse, better

    text = f"{better} is {abs(row['difference']):.4f} below {worse} in RMSE"
    if row["significant"] is None:
        return f"{text}; one split cannot say whether by more than chance."

    chance = "more than by chance" if row["significant"] else "which may be chance"

    return f"{text}, {chance} (p = {row['p_holm']:.2g})."


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("recollect", "torch", "numpy")}

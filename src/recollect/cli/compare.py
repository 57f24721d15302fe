"""The verb compare: several models on the same splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

import recollect as rc
from recollect.cli.options.asking import RankBy
from recollect.cli.options.fitting import Device, Seed, Threads
from recollect.cli.options.lists import Negatives
from recollect.cli.options.out_file import check_out
from recollect.cli.options.settings import settings_of
from recollect.cli.options.source import Columns, Source, ratings_from
from recollect.cli.options.texts import Texts
from recollect.cli.output.compared import shown
from recollect.cli.output.screen import Answer, Screen
from recollect.errors import SettingError, unknown
from recollect.system.strict_json import to_json

if TYPE_CHECKING:
    from recollect.evaluation.comparison.compare import Comparison


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
        bool,
        typer.Option(
            "--ranking",
            help="Rank all items for each user, too; always done for events and metrics of lists.",
        ),
    ] = False,
    metric: Annotated[
        str | None,
        typer.Option(
            show_default=False,
            help="By which the models are compared: rmse, ndcg, recall, … (default: rmse; of "
            "events ndcg).",
        ),
    ] = None,
    n: Annotated[int, typer.Option("-n", help="Length of the lists.")] = 10,
    relevant: Annotated[
        float | None,
        typer.Option(
            show_default=False,
            help="The lowest rating of a relevant item (default: 4 on a scale of 1 to 5), or the "
            "lowest count of an event (default: any).",
        ),
    ] = None,
    over: Annotated[
        Literal["splits", "users"] | None,
        typer.Option(
            show_default=False,
            help="What intervals and tests are over (default: splits if there are several).",
        ),
    ] = None,
    how: Annotated[
        str,
        typer.Option(
            "--how", metavar="random|per-user", help="A share of all ratings, or of each user's."
        ),
    ] = "random",
    rank_by: RankBy = None,
    negatives: Negatives = None,
    out: Annotated[
        Path | None, typer.Option(metavar="JSON", help="Write all figures to this file.")
    ] = None,
) -> Answer:
    """Compare models on the same splits.

    Errors, or figures of lists, with intervals; which differences are more than chance; time and
    memory. Wherever lists are judged, popularity is beside the models.
    """
    from recollect.data.splitting.shares import check_shares
    from recollect.evaluation.comparison.candidates import all_candidates, judged_by
    from recollect.evaluation.comparison.compare import compare_models, split_by
    from recollect.evaluation.ranked_lists import refuse_negatives

    refuse_negatives(negatives)
    check_shares(test=test, valid=valid)
    how = how.replace("-", "_")
    split_by(how)
    check_out(screen, "--out", out, {"SOURCE": source})
    candidates = candidates_of(models, settings_of(settings))
    run = rc.Run(threads=threads, device=device)
    texts.tokenizer()  # refuses wrong options before the work
    ratings = texts.attach(ratings_from(source, columns))
    seeds = range(seed, seed + repeat)
    arguments: dict[str, Any] = {"test": test, "valid": valid, "seeds": seeds, "run": run}
    arguments |= {"ranking": ranking, "metric": metric, "n": n, "relevant": relevant, "over": over}
    arguments |= {"how": how, "rank_by": rank_by}
    by: dict[str, Any] = {"n": n, "over": over, "n_splits": repeat}
    judged = judged_by(metric, candidates, ratings, **by)
    n_models = len(all_candidates(candidates, ranking=ranking or judged.of_lists))

    with screen.steps("fits", repeat * n_models) as step:
        compared = compare_models(candidates, ratings, **arguments, progress=step)

    protocol = _protocol(ratings, seeds, device, how=how, test=test, valid=valid)
    result = {**protocol, **_outcome(compared)}
    _write(result, out)

    return Answer(result, shown(result), failed=bool(compared.failed))


def candidates_of(models: list[str], settings: dict[str, Any]) -> dict[str, Any]:
    """The models to compare by name, with their settings; each is made once, to find errors early.

    Args:
        models: written as MODEL or NAME=MODEL.
        settings: by NAME.KEY.

    Raises:
        SettingError: for a name that is given twice, or a setting of none of the models.
    """
    from recollect import registry
    from recollect.evaluation.comparison.candidates import Candidate

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
    ratings: rc.Ratings, seeds: Sequence[int], device: str, *, how: str, test: float, valid: float
) -> dict[str, Any]:
    """What the models were compared on: the data, its splits, and the device."""
    return {
        "data": ratings.name,
        "fingerprint": ratings.fingerprint,
        "implicit": ratings.implicit,
        "scale": ratings.scale,
        "split": {"how": how, "test": test, "valid": valid},
        "seeds": list(seeds),
        "device": device,
    }


def _outcome(compared: Comparison) -> dict[str, Any]:
    """What came of it: the figures of the models, their differences, and the versions used."""
    from recollect.evaluation.metrics import find

    return {
        "metric": compared.metric,
        "better": find(compared.metric.partition("@")[0]).better,
        "over": compared.over,
        "relevant_from": compared.relevant_from,
        "models": compared.models,
        "differences": compared.differences,
        "failed": compared.failed,
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("recollect", "torch", "numpy")}

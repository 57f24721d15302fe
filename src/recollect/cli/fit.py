"""The verbs models and train."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import RenderableType
from rich.text import Text

from recollect.cli.options.plotting import Watching
from recollect.cli.options.source import Columns, Seed, Source, is_split, parts_from, ratings_from
from recollect.cli.options.texts import Texts
from recollect.cli.output.screen import (
    Answer,
    Screen,
    as_json,
    facts,
    memory,
    seconds,
    settings_of,
    table,
)
from recollect.data.ratings import AnyRatings, Ratings
from recollect.errors import SettingError

Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        show_default=False,
        help="A setting of the model, such as hidden=500; repeat it for more.",
    ),
]
Threads = Annotated[
    int | None, typer.Option(min=1, help="Processor cores to use; all, if not stated.")
]
Device = Annotated[str, typer.Option(help="Where to fit: cpu, cuda, cuda:1.")]


def models(
    screen: Screen,
    name: Annotated[str | None, typer.Argument(help="One model, to see its settings.")] = None,
) -> Answer:
    """List the models; with a name, the settings of one."""
    from recollect import registry

    if name is None:
        found = [_about(each) for each in registry.model_names()]
        rows = [tuple(each.values()) for each in found]
        return Answer({"models": found}, [table(("name", "what it is", "source"), rows)])
    about, settings = _about(name), _settings(registry.find(name))
    shown = table(
        ("setting", "type", "default", "meaning"),
        [(s["name"], s["type"], json.dumps(s["default"]), s["meaning"]) for s in settings],
    )
    return Answer({**about, "settings": settings}, [facts(about), "", shown])


def _about(name: str) -> dict[str, str]:
    """What the head of the model's file says of it."""
    from recollect import registry

    text = inspect.getdoc(inspect.getmodule(registry.find(name))) or ""
    source = re.search(r"^Source:\s*(.*?)(?:^\w+:|\n\n|\Z)", text, re.MULTILINE | re.DOTALL)
    return {
        "name": name,
        "what it is": text.partition("\n")[0].partition(": ")[2] or text.partition("\n")[0],
        "source": " ".join(source[1].split()) if source else "",
    }


def _settings(kind: type) -> list[dict[str, Any]]:
    """Name, type, default and comment of each field; the model's own ones first."""
    comments: dict[str, str] = {}
    for home in reversed(kind.__mro__[:-1]):
        if dataclasses.is_dataclass(home):
            comments.update(
                re.findall(r"^    (\w+): [^#\n]*#\s*(.*)$", inspect.getsource(home), re.MULTILINE)
            )
    field = {f.name: f for f in dataclasses.fields(kind)}
    own = [name for name in inspect.get_annotations(kind) if name in field]
    return [
        {
            "name": name,
            "type": str(field[name].type),
            "default": field[name].default,
            "meaning": comments.get(name, ""),
        }
        for name in dict.fromkeys([*own, *field])
    ]


@dataclass(frozen=True)
class Parts:
    """What a fit learns from, chooses by, and is judged on."""

    train: AnyRatings
    valid: Ratings | None
    test: Ratings | None


def train(
    screen: Screen,
    source: Source,
    columns: Columns,
    texts: Texts,
    watching: Watching,
    out: Annotated[Path, typer.Option(metavar="RUN", help="The folder for the model.")],
    model: Annotated[str, typer.Option(help="Its name; `recollect models` has all.")] = "autorec",
    settings: Settings = None,
    valid: Annotated[
        float | None, typer.Option(help="Share to stop by; 0.05 if not stated.")
    ] = None,
    test: Annotated[
        float, typer.Option(help="Share of the ratings to be judged on, drawn at random.")
    ] = 0.0,
    seed: Seed = 0,
    threads: Threads = None,
    device: Device = "cpu",
    precision: Annotated[
        str | None,
        typer.Option(
            metavar="32|mixed",
            help="Of dense products, mixed being in 16 bits; what suits the model, if not stated.",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Take up a fit that was interrupted.")
    ] = False,
    memory_check: Annotated[
        bool,
        typer.Option(
            "--memory-check/--no-memory-check",
            help="Refuse a fit for which the memory will not do.",
        ),
    ] = True,
) -> Answer:
    """Fit a model and keep it in a folder. Ctrl-C stops after the epoch; --resume takes it up again."""
    from recollect import checkpoint, registry
    from recollect.run import Run

    recipe = registry.make(model, **settings_of(settings or ()))
    texts.read_as()  # refused before the work
    run = Run(
        seed=seed,
        threads=threads or Run().threads,
        device=device,
        precision=precision,
        folder=out,
        resume=resume,
        memory_check=memory_check,
    )
    if _is_finished(out, resume=resume):
        return _finished(out)
    boards = watching.boards(out, resume=resume)
    parts = parts_of(source, columns, texts, valid=valid, test=test, seed=seed)
    expected = _expected(recipe, parts)
    screen.say(*_header(recipe, parts, out, expected))
    try:
        with screen.epochs(
            registry.settings(recipe).get("epochs", 1), drawn=watching.curve is not False
        ) as watch:
            recipe.fit(
                parts.train,
                parts.valid,
                dataclasses.replace(run, watchers=(watch,), net_watchers=boards),
            )
    except KeyboardInterrupt as stopped:
        raise KeyboardInterrupt(_how_to_resume(out, str(stopped))) from None
    checkpoint.save(recipe, out)
    found = {
        **_result(recipe, parts, out),
        **expected,
        "device": device,
        "plot": watching.plot,
        "board": watching.board,
    }
    drawn = watching.drawn(
        screen, recipe.history_, title=f"{type(recipe).__name__} on {_name(parts)}"
    )
    return Answer(found, [*drawn, *_told(found)])


def parts_of(
    source: str, columns: Columns, texts: Texts, *, valid: float | None, test: float, seed: int
) -> Parts:
    """The ratings cut at random as asked; the parts that are there already, for a folder of a split or of stored ratings."""
    from recollect.data.on_disk.stored_ratings import is_stored, open_stored

    if not is_stored(source) and not is_split(Path(source)):
        return cut(
            texts.taken(ratings_from(source, columns)),
            valid=0.05 if valid is None else valid,
            test=test,
            seed=seed,
        )
    if valid is not None or test or columns.are_stated:
        raise SettingError(
            f"{source} is cut already; leave out --valid, --test, and what says how to read a file."
        )
    if is_stored(source):
        whole = texts.taken(open_stored(source))
        return Parts(whole, whole.valid, None)
    found = parts_from(Path(source), texts)
    return Parts(found["train"], found.get("valid"), None)


def cut(ratings: Ratings, *, valid: float, test: float, seed: int) -> Parts:
    """A random split; `test` or `valid` may be 0."""
    from recollect.data.splitting import random_split

    if test:
        return Parts(*random_split(ratings, test=test, valid=valid, seed=seed))
    if not 0 <= valid < 1:
        raise SettingError(
            f"--valid is a share of 0 or more and below 1, such as 0.05; found {valid}."
        )
    if not valid:
        return Parts(ratings, None, None)
    shuffled = np.random.default_rng(seed).permutation(
        ratings.entry("user")
    )  # random_split wants a test part
    n = max(1, round(valid * len(ratings)))
    return Parts(
        ratings.where(shuffled[n:], name=f"{ratings.name} train"),
        ratings.where(shuffled[:n], name=f"{ratings.name} valid"),
        None,
    )


def _name(parts: Parts) -> str:
    return parts.train.name.removesuffix(" train")


def _is_finished(out: Path, *, resume: bool) -> bool:
    """Whether a finished model stands in the folder and may stay.

    Raises: SettingError if the folder is taken.
    """
    if out.is_file():
        raise SettingError(f"{out} is a file; name a folder for the model.")
    names = {path.name for path in out.iterdir() if path.name[0] != "."} if out.is_dir() else set()
    if not names:
        return False  # what a killed fit was writing is hidden
    if "model.json" in names:
        if not resume:
            raise SettingError(
                f"{out} holds a finished model; name another folder, or remove this one."
            )
        return True
    if not names & {"snapshot", "refit"}:
        raise SettingError(f"{out} holds files that are no model; name another folder.")
    if not resume:
        raise SettingError(
            f"{out} holds an interrupted fit; add --resume to take it up, or name another folder."
        )
    return False


def _finished(out: Path) -> Answer:
    from recollect import checkpoint

    about = checkpoint.describe(out)
    stopped = about["history"].get("stopped") or None  # checkpoints did not always have it
    return Answer(
        {
            "out": out,
            "finished_before": True,
            "model": about["model"],
            "settings": about["settings"],
            "stopped": stopped,
        },
        [
            *_broke_down(stopped),
            f"The {about['model']} in {out} is finished already; nothing to resume.",
        ],
    )


def _broke_down(stopped: str | None) -> list[RenderableType]:
    """What to say first of a fit that ended before its time."""
    return [Text(f"Training broke down. {stopped}", style="bold red"), ""] if stopped else []


def _expected(recipe: Any, parts: Parts) -> dict[str, float | None]:
    """What the fit will take of memory at most, and what there is, in megabytes."""
    from recollect.memory_estimate import MB, Shape
    from recollect.system.available_memory import available

    there = available()
    return {
        "predicted_memory_mb": recipe.memory(Shape.of(parts.train, parts.valid)).peak / MB,
        "available_memory_mb": there.bytes / MB if there else None,
    }


def _header(recipe: Any, parts: Parts, out: Path, expected: dict[str, float | None]) -> list[str]:
    from recollect import registry

    whole = parts.train
    nothing = whole.count("item") == 0
    if whole.text is not None and "text" in recipe.capabilities.needs:
        nothing &= ~whole.text.has
    unseen = int((whole.count("user") == 0).sum() + nothing.sum())
    sizes = [f"{name} {len(part):,}" for name, part in vars(parts).items() if part is not None]
    what = "event" if whole.implicit else "rating"
    cold = (
        "the score 0"
        if recipe.output == "scores"
        else (
            "the training mean"
            if recipe.cold == "mean"
            else f"{sum(whole.scale) / 2:g}, the middle of the scale"
        )
    )
    settings, usual = registry.settings(recipe), registry.settings(type(recipe))
    changed = {k: v for k, v in settings.items() if v != usual[k]}
    return [
        f"{type(recipe).__name__} on {_name(parts)}: {whole.n_users:,} users × {whole.n_items:,} "
        f"items; {what}s: {', '.join(sizes)}",
        (
            "predictions are scores to rank by"
            if recipe.output == "scores"
            else f"scale {whole.scale[0]:g} to {whole.scale[1]:g}, predictions "
            f"{'kept within it' if recipe.clip else 'not kept within it'}"
        )
        + f"; who or what has no training {what}{' and no text' * ('text' in recipe.capabilities.needs)} ({unseen:,} here) gets {cold}",
        f"settings: {', '.join(f'{k}={v}' for k, v in changed.items()) or 'as they come'}",
        f"memory: about {memory(expected['predicted_memory_mb'] or 0)} predicted, "
        f"{memory(expected['available_memory_mb']) if expected['available_memory_mb'] else 'an unknown amount'} available",
        *([_when_it_stops(settings, parts.valid, out)] if "optimizer" in settings else []),
    ]


def _when_it_stops(settings: dict[str, Any], valid: Ratings | None, out: Path) -> str:
    by = (
        "no validation ratings: runs all epochs"
        if valid is None
        else (
            "stops by the validation ratings"
            if settings.get("patience")
            else "keeps the best epoch by validation"
        )
    )
    return f"{by}; Ctrl-C stops after the epoch and keeps what was learned in {out}"


def _how_to_resume(out: Path, told: str) -> str:
    if not (out / "snapshot").exists() and not (out / "refit").exists():
        return "Stopped before anything was kept."
    when = re.search(r"after epoch \d+", told)
    return (
        f"Stopped{f' {when[0]}' if when else ''}; the fit is kept in {out}. Give the same command with --resume to "
        "go on."
    )


def _result(recipe: Any, parts: Parts, out: Path) -> dict[str, Any]:
    from recollect import registry
    from recollect.run import peak_memory_mb

    history = recipe.history_
    learned = dict(history.column(history.train_name))
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
        history.train_name: learned.get(history.best_epoch),
        history.valid_name: history.best_valid,
        "stopped": history.stopped or None,
        "seconds": max(recipe.seconds_, history.seconds),
        "peak_memory_mb": peak_memory_mb(),
        "test": None if parts.test is None else _tested(recipe, parts.test, out),
    }


def _tested(recipe: Any, test: Ratings, out: Path) -> dict[str, Any]:
    """The errors on the test ratings, or how the test events are ranked; they are kept beside the model in scores.json."""
    from recollect.evaluation.protocols import full_ranking, held_out

    found: dict[str, Any]
    if recipe.output == "scores":
        scores = full_ranking(recipe, test)
        found = {name: figure(scores, name) for name in ("ndcg@10", "capped_recall@10")}
        found |= {"events": scores.about["n_test"], "users": scores.about["n_users"]}
    else:
        scores = held_out(recipe, test)
        found = {
            "rmse": figure(scores, "rmse"),
            "mae": figure(scores, "mae"),
            "ratings": scores.about["n_test"],
            "cold": scores.about["n_cold"],
        }
    (out / "scores.json").write_text(as_json({**scores.about, **found}))
    return found


def _label(name: str) -> str:
    """train_rmse as "train RMSE", test_capped_recall@10 as "test capped recall@10"."""
    part, _, kind = name.partition("_")
    return f"{part} {kind.upper() if kind.partition('@')[0] in ('rmse', 'mae', 'ndcg') else kind.replace('_', ' ')}"


def figure(scores: Any, name: str) -> dict[str, float]:
    """A figure and its 95% interval."""
    found = scores.interval(name)
    return {"value": scores[name], "low": found.low, "high": found.high}


def _told(found: dict[str, Any]) -> list[RenderableType]:
    rows: dict[str, Any] = {
        "saved in": found["out"],
        "time": seconds(found["seconds"]),
        "peak memory": f"{memory(found['peak_memory_mb'])}, predicted: "
        f"{memory(found['predicted_memory_mb'])}",
    }
    if found["epochs"]:
        rows["epochs"] = f"{found['epochs']}, kept: {found['best_epoch']}"
        rows |= {
            _label(name): found[name]
            for name in found["figures"][: 2 if found["valid_ratings"] else 1]
        }
    if found["test"]:
        test = found["test"]
        rows |= {
            _label(f"test_{name}"): f"{test[name]['value']:.4f} [{test[name]['low']:.4f}, "
            f"{test[name]['high']:.4f}]"
            for name in test
            if isinstance(test[name], dict)
        }
        rows |= (
            {"test events": f"{test['events']:,}, of {test['users']:,} users"}
            if "events" in test
            else {"test ratings": f"{test['ratings']:,}, of these cold: {test['cold']:,}"}
        )
    if found["board"]:
        rows["board"] = f"{found['board']}, to be seen with: tensorboard --logdir {found['board']}"
    return [
        *_broke_down(found["stopped"]),
        facts(rows),
        "",
        f"Next: recollect recommend {found['out']} --user ID",
    ]

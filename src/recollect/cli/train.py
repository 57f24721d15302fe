"""The verb train: fit a model and save it in a folder."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

import recollect as rc
from recollect.cli.options.finished_fit import refuse_another_fit
from recollect.cli.options.fitting import Device, Seed, Threads
from recollect.cli.options.folder_in_use import in_use
from recollect.cli.options.plotting import Plotting
from recollect.cli.options.settings import Settings, settings_of
from recollect.cli.options.source import Columns, Source, ratings_from
from recollect.cli.options.texts import Texts
from recollect.cli.output import training
from recollect.cli.output.interruption import going_on_after_hangup
from recollect.cli.output.screen import Answer, Screen
from recollect.errors import SettingError

DEFAULT_VALID = 0.05  # share of validation ratings


@dataclass(frozen=True)
class Parts:
    """The ratings that a fit learns from, chooses by, and is tested on."""

    train: rc.Ratings | rc.StoredRatings
    valid: rc.Ratings | None = None
    test: rc.Ratings | None = None

    @property
    def name(self) -> str:
        """The name of the whole."""
        return self.train.name.removesuffix(" train")


def train(
    screen: Screen,
    source: Source,
    columns: Columns,
    texts: Texts,
    plotting: Plotting,
    out: Annotated[Path, typer.Option(metavar="RUN", help="The folder for the model.")],
    model: Annotated[
        str, typer.Option(help="The model; `recollect models` lists all.")
    ] = "autorec",
    settings: Settings = None,
    valid: Annotated[
        float | None,
        typer.Option(
            show_default=False, help="Validation share for early stopping (default: 0.05)."
        ),
    ] = None,
    test: Annotated[
        float, typer.Option(help="Share of the ratings to test on, drawn at random.")
    ] = 0.0,
    seed: Seed = 0,
    threads: Threads = None,
    device: Device = "cpu",
    precision: Annotated[
        str | None,
        typer.Option(
            metavar="32|mixed",
            show_default=False,
            help="Bits of dense products: 32, or mixed for 16 (default: the model's choice).",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume a fit that was interrupted.")
    ] = False,
    memory_check: Annotated[
        bool,
        typer.Option(
            "--memory-check/--no-memory-check",
            help="Refuse a fit that needs more memory than there is.",
        ),
    ] = True,
) -> Answer:
    """Fit a model and save it in a folder.

    Ctrl-C stops after the epoch; the same command with --resume goes on. If the terminal goes away,
    the fit goes on without it.
    """
    from recollect import registry

    recipe = registry.make(model, **settings_of(settings))
    texts.tokenizer()  # refuses wrong options before the work
    run = rc.Run(
        seed=seed,
        threads=threads or rc.Run().threads,
        device=device,
        precision=precision,
        folder=out,
        resume=resume,
        memory_check=memory_check,
    )

    with in_use(out), going_on_after_hangup():
        is_finished = _is_finished(out, resume=resume)
        if not is_finished:
            run = dataclasses.replace(run, net_watchers=plotting.writers(out, resume=resume))

        parts = _parts(
            source,
            columns,
            texts,
            valid=valid,
            test=test,
            seed=seed,
        )
        if is_finished:
            refuse_another_fit(out, recipe, parts, seed=seed)
            return training.already_finished(out)

        return _fit_and_save(recipe, parts, run, screen, plotting)


def _fit_and_save(
    recipe: rc.Model, parts: Parts, run: Any, screen: Screen, plotting: Plotting
) -> Answer:
    """Fit the model, write it to the run's folder, and test it if there are ratings to test on."""
    from recollect.checkpoint import save
    from recollect.evaluation.summary import write_scores

    out = run.folder
    expected = _memory(recipe, parts)
    screen.say(*training.header(recipe, parts, out, expected))
    _fit(recipe, parts, run, screen, drawn=plotting.curve is not False)
    save(recipe, out)
    result = {
        **training.result(recipe, parts, out),
        "test": None if parts.test is None else write_scores(recipe, parts.test, out),
        **expected,
        "device": run.device,
        **plotting.files(),
    }
    title = f"{type(recipe).__name__} on {parts.name}"
    curve = plotting.draw(screen, recipe.history_, title=title)

    return Answer(result, [*curve, *training.shown(result)])


def _parts(
    source: str, columns: Columns, texts: Texts, *, valid: float | None, test: float, seed: int
) -> Parts:
    """The ratings split at random; for a folder of a split or of stored ratings, its parts."""
    from recollect.data.open_data import kind_of
    from recollect.data.split_folder import read_split

    kind = kind_of(source)
    if kind not in ("split", "stored"):
        ratings = texts.attach(ratings_from(source, columns))
        share = DEFAULT_VALID if valid is None else valid
        return _split(
            ratings,
            valid=share,
            test=test,
            seed=seed,
        )

    if valid is not None or test or columns.are_stated:
        raise SettingError(
            f"{source} is split already; leave out --valid, --test, and the options about the file."
        )

    if kind == "stored":
        stored = texts.attach(rc.open_stored(source))
        return Parts(stored, stored.valid)

    by_name = read_split(source, prepare=texts.attach)

    return Parts(by_name["train"], by_name.get("valid"))


def _split(ratings: rc.Ratings, *, valid: float, test: float, seed: int) -> Parts:
    from recollect.data.splitting.validation import hold_out_validation

    if test:
        return Parts(
            *rc.random_split(
                ratings,
                test=test,
                valid=valid,
                seed=seed,
            )
        )

    return Parts(*hold_out_validation(ratings, valid=valid, seed=seed))


def _is_finished(out: Path, *, resume: bool) -> bool:
    """Whether the folder holds a finished model, and the command line resumes it.

    Raises:
        CheckpointError: if the folder must not be replaced.
        SettingError: if it holds a fit that is not to be resumed.
    """
    from recollect.checkpoint import check_destination
    from recollect.training.snapshot_folder import FOLDERS

    check_destination(out)
    if (out / "model.json").exists():
        if not resume:
            raise SettingError(
                f"{out} holds a finished model; name another folder, or remove this one."
            )

        return True

    is_begun = any((out / name).exists() for name in FOLDERS)
    if is_begun and not resume:
        raise SettingError(
            f"{out} holds an interrupted fit; add --resume to go on, or name another folder."
        )

    return False


def _memory(recipe: rc.Model, parts: Parts) -> dict[str, float | None]:
    """The estimated peak memory of the fit, and the memory that is available, in megabytes."""
    from recollect.memory_estimate import MB, Shape
    from recollect.system.available_memory import available

    limit = available()
    estimate = recipe.memory(Shape.of(parts.train, parts.valid))

    return {
        "predicted_memory_mb": estimate.peak / MB,
        "available_memory_mb": limit.bytes / MB if limit else None,
    }


def _fit(recipe: rc.Model, parts: Parts, run: Any, screen: Screen, *, drawn: bool) -> None:
    """Fit with progress on the screen.

    Raises:
        KeyboardInterrupt: when stopped, saying how to go on.
    """
    most = getattr(recipe, "epochs", 1)

    try:
        with screen.epochs(most, drawn=drawn) as watcher:
            recipe.fit(parts.train, parts.valid, dataclasses.replace(run, watchers=(watcher,)))
    except KeyboardInterrupt as stopped:
        raise KeyboardInterrupt(_how_to_resume(run.folder, str(stopped))) from None


def _how_to_resume(out: Path, message: str) -> str:
    if not (out / "snapshot").exists() and not (out / "refit").exists():
        return "Stopped before anything was saved."

    epoch = re.search(r" after epoch \d+", message)
    return (
        f"Stopped{epoch[0] if epoch else ''}; the fit is kept in {out}. Give the same command with "
        "--resume to go on."
    )

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

BLENDS = ("blend", "rank_blend")  # models with members, of ratings and of events
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
        str | None,
        typer.Option(
            show_default=False,
            help="The model; `recollect models` lists all (default: several, blended).",
        ),
    ] = None,
    settings: Settings = None,
    like: Annotated[
        str | None,
        typer.Option(
            metavar="PRESET",
            show_default=False,
            help="Settings that --set does not name are those of a preset: paper, the model's "
            "paper's; `recollect models NAME` lists all.",
        ),
    ] = None,
    members: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL",
            show_default=False,
            help="A model to blend, such as 'autorec side=user'; repeat it for more.",
        ),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            show_default=False,
            help="Without --model: time to take (default: 2 for each million ratings).",
        ),
    ] = None,
    valid: Annotated[
        float | None,
        typer.Option(
            show_default=False,
            help="Validation share for early stopping (default: 0.05; to choose a model, more of "
            "few ratings).",
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
    """Fit a model and save it in a folder; without --model, choose it.

    Ctrl-C stops after the epoch; the same command with --resume goes on. If the terminal goes away,
    the fit goes on without it.
    """
    recipe = _recipe(model, settings, members, like)
    if recipe is None:
        _refuse_options_of_a_model(settings, plotting)
    elif minutes is not None:
        raise SettingError("--minutes is the time to choose a model in; leave out --model, or it.")

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
        is_finished = _is_finished(out, resume=resume, is_named=recipe is not None)
        if not is_finished:
            run = dataclasses.replace(run, net_watchers=plotting.writers(out, resume=resume))

        parts = _parts(
            source,
            columns,
            texts,
            valid=valid,
            test=test,
            seed=seed,
            is_named=recipe is not None,
        )
        if is_finished:
            refuse_another_fit(out, recipe, parts, seed=seed)
            return training.already_finished(out)

        if recipe is None:
            return _choose_and_save(parts, run, screen, minutes)

        return _fit_and_save(recipe, parts, run, screen, plotting)


def _recipe(
    model: str | None,
    settings: list[str] | None,
    members: list[str] | None,
    like: str | None,
) -> rc.Model | None:
    """The unfitted model that the options name; None if they name none.

    Args:
        model: its name.
        settings: its settings, each as KEY=VALUE.
        members: of a blend.
        like: the name of a preset, or None.
    """
    from recollect import registry

    given = settings_of(settings)
    if like is not None and (model is None or members):
        raise SettingError(f"--like {like} is of one model; name it, such as --model autorec.")

    if members:
        if model not in (None, *BLENDS) or "members" in given:
            raise SettingError(
                "--members are those of a blend (of events, --model rank_blend); leave out "
                "--model, or --members."
            )

        return registry.make(model or BLENDS[0], members=tuple(members), **given)

    return None if model is None else registry.make(model, like=like, **given)


def _refuse_options_of_a_model(settings: list[str] | None, plotting: Plotting) -> None:
    """Refuse options that say something about a model, where none is named."""
    if settings:
        raise SettingError(
            f"--set {settings[0]} is a setting of a model; name the model, such as --model autorec."
        )

    if plotting.plot or plotting.curve or plotting.tensorboard_folder or plotting.histograms:
        raise SettingError(
            "A training curve is that of one model; name the model, such as --model autorec."
        )


def _choose_and_save(parts: Parts, run: Any, screen: Screen, minutes: float | None) -> Answer:
    """Choose a model, write it to the run's folder, and test it if there are ratings to test on."""
    from recollect.checkpoint import save
    from recollect.choice.auto import budget_for, choose
    from recollect.cli.output import choosing
    from recollect.evaluation.summary import write_scores

    if not isinstance(parts.train, rc.Ratings):
        raise SettingError(
            "Ratings on disk are learned from by one model; name it, such as --model autorec."
        )

    out = run.folder
    screen.say(*choosing.header(parts.train, parts.valid, budget_for(parts.train, minutes)))
    choice = choose(
        parts.train,
        parts.valid,
        minutes=minutes,
        run=dataclasses.replace(run, folder=None, resume=False),
        watch=lambda tried: screen.say(choosing.line(tried)),
    )
    model = choice.model
    save(model, out)
    result = {
        **training.result(model, parts, out),
        "test": None if parts.test is None else write_scores(model, parts.test, out),
        **_memory(model, parts),
        "device": run.device,
        "budget_seconds": choice.budget,
        "figures": ["", f"valid_{choice.figure_name}"],
        f"valid_{choice.figure_name}": choice.figure,
        "valid_ratings": choice.n_valid,
        "baseline": choosing.baseline(choice),
        "members": choosing.rows_of(choice),
    }

    return Answer(result, training.shown(result))


def _fit_and_save(
    recipe: rc.Model, parts: Parts, run: Any, screen: Screen, plotting: Plotting
) -> Answer:
    """Fit the model, write it to the run's folder, and test it if there are ratings to test on."""
    from recollect.checkpoint import save
    from recollect.cli.output import choosing
    from recollect.evaluation.summary import write_scores

    out = run.folder
    expected = _memory(recipe, parts)
    screen.say(*training.header(recipe, parts, out, expected))
    _fit(recipe, parts, run, screen, drawn=plotting.curve is not False)
    save(recipe, out)
    result = {
        **training.result(recipe, parts, out),
        "test": None if parts.test is None else write_scores(recipe, parts.test, out),
        "members": choosing.rows_of_blend(recipe),
        **expected,
        "device": run.device,
        **plotting.files(),
    }
    title = f"{type(recipe).__name__} on {parts.name}"
    curve = plotting.draw(screen, recipe.history_, title=title)

    return Answer(result, [*curve, *training.shown(result)])


def _parts(
    source: str,
    columns: Columns,
    texts: Texts,
    *,
    valid: float | None,
    test: float,
    seed: int,
    is_named: bool,
) -> Parts:
    """The ratings split at random; for a folder of a split or of stored ratings, its parts.

    Args:
        source: a file, a folder or a name.
        columns: which column of a file is what.
        texts: of the items.
        valid: validation share; None: not stated.
        test: share to test on.
        seed: of the split.
        is_named: whether a model is named, or is to be chosen by the validation ratings.
    """
    from recollect.choice.candidates import default_valid_share
    from recollect.data.open_data import kind_of
    from recollect.data.split_folder import read_split

    kind = kind_of(source)
    if kind not in ("split", "stored"):
        ratings = texts.attach(ratings_from(source, columns))
        share = valid
        if share is None:
            share = DEFAULT_VALID if is_named else default_valid_share(len(ratings))

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


def _is_finished(out: Path, *, resume: bool, is_named: bool) -> bool:
    """Whether the folder holds a finished model, and the command line resumes it.

    Args:
        out: the folder.
        resume: whether to.
        is_named: whether the command line names a model.

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

    if is_begun and not is_named:
        raise SettingError(
            f"{out} holds an interrupted fit of a named model; name it with --model to go on, or "
            "name another folder."
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
    from recollect.training.snapshot_folder import FOLDERS

    if not any((out / name).exists() for name in FOLDERS):
        return "Stopped before anything was saved."

    epoch = re.search(r" after epoch \d+", message)
    return (
        f"Stopped{epoch[0] if epoch else ''}; the fit is kept in {out}. Give the same command with "
        "--resume to go on."
    )

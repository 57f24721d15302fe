"""What makes a function a verb of the command line: its options, its errors, its exit code.

A verb takes a `Screen` and returns an `Answer`. A parameter whose type is a dataclass stands for one option per field.
Exit codes: 0 done, 1 an error that is told in a line or two, 2 a wrong command line, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import dataclasses
import errno
import inspect
import os
import typing
from collections.abc import Callable
from typing import Any

import typer

from recollect.cli.output.screen import Answer, Screen
from recollect.errors import RecollectError

Verb = Callable[..., Answer]


def verb(app: typer.Typer, name: str | None = None) -> Callable[[Verb], Verb]:
    """Make the function a verb of the app, under its own name or another."""

    def keep(function: Verb) -> Verb:
        own = inspect.signature(function, eval_str=True).parameters.values()
        groups: dict[str, Any] = {
            p.name: p.annotation for p in own if dataclasses.is_dataclass(p.annotation)
        }

        def called(**given: Any) -> None:
            made = {
                key: kind(**{f.name: given.pop(f.name) for f in dataclasses.fields(kind)})
                for key, kind in groups.items()
            }
            raise typer.Exit(run(function, made.pop("screen"), {**given, **made}))

        asked = [p.replace(kind=p.KEYWORD_ONLY) for p in own if p.name not in groups]
        for kind in sorted(
            groups.values(), key=lambda kind: kind is Screen
        ):  # the options of all verbs come last
            asked.extend(_fields(kind))
        called.__signature__ = inspect.Signature(asked)  # type: ignore[attr-defined]
        called.__annotations__ = {p.name: p.annotation for p in asked}
        called.__doc__, called.__name__ = function.__doc__, function.__name__
        app.command(name)(called)
        return function

    return keep


def _fields(kind: Any) -> list[inspect.Parameter]:
    hints = typing.get_type_hints(kind, include_extras=True)
    return [
        inspect.Parameter(
            f.name, inspect.Parameter.KEYWORD_ONLY, default=f.default, annotation=hints[f.name]
        )
        for f in dataclasses.fields(kind)
    ]


def run(function: Verb, screen: Screen, given: dict[str, Any]) -> int:
    """Call a verb, print its answer or its error, return the exit code."""
    with screen.notes():
        try:
            answer = function(screen=screen, **given)
            screen.answer(answer)
            return int(answer.failed)
        except KeyboardInterrupt as stopped:
            screen.fail("stopped", str(stopped) or "Stopped.")
            return 130
        except (BrokenPipeError, typer.BadParameter):
            raise
        except Exception as problem:
            if screen.debug:
                raise
            screen.fail(*told(problem))
            return 1


def told(problem: BaseException) -> tuple[str, str]:
    """The kind of an error, one word, and what to say about it."""
    if isinstance(problem, RecollectError):
        return type(problem).__name__.removesuffix("Error").lower(), str(problem)
    name, text = type(problem).__name__, str(problem)
    if (
        isinstance(problem, MemoryError)
        or name == "OutOfMemoryError"
        or "can't allocate memory" in text
    ):
        return "memory", (
            f"There is not enough memory for this ({text or name}). Take fewer hidden units, a smaller "
            "batch_size or fewer ratings, or a bigger machine."
        )
    if isinstance(problem, OSError) and problem.errno is not None:
        return "file", _about_file(problem)
    first = text.partition("\n")[0] or "no further word"
    return "internal", (
        f"{name}: {first}. This should not happen and is an error in Recollect; --debug shows where."
    )


def _about_file(problem: OSError) -> str:
    what = problem.filename or "the file"
    said = {
        errno.ENOENT: f"There is no file or folder {what}; check the path.",
        errno.EACCES: f"{what} may not be opened: permission denied.",
        errno.EISDIR: f"{what} is a folder; a file was expected.",
        errno.ENOTDIR: f"{what}: a part of this path is a file, not a folder.",
        errno.ENOSPC: "The disk is full; make room and run it again. Nothing that was there before was changed.",
    }
    return said.get(problem.errno or 0, f"{what}: {os.strerror(problem.errno or 0)}.")

"""What makes a function a verb of the command line: its options, its errors, its exit code.

A verb takes a `Screen` and returns an `Answer`. A parameter whose type is a dataclass stands for
one option per field. Exit codes: 0 done, 1 an error, 2 a wrong command line, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import dataclasses
import errno
import inspect
import os
import typing
from collections.abc import Callable, Mapping
from typing import Any

import typer

from recollect.cli.output.screen import Answer, Screen
from recollect.errors import RecollectError
from recollect.system import door

Verb = Callable[..., Answer]

FILE_ERRORS = {
    errno.ENOENT: "There is no file or folder {path}; check the path.",
    errno.EACCES: "{path} cannot be opened: permission denied.",
    errno.EISDIR: "{path} is a folder; a file was expected.",
    errno.ENOTDIR: "{path}: a part of this path is a file, not a folder.",
    errno.ENOSPC: "The disk is full; free some space and run the command again. Nothing that was "
    "there before was changed.",
}


def verb(app: typer.Typer, name: str | None = None) -> Callable[[Verb], Verb]:
    """A decorator that makes a function a verb.

    Args:
        app: of the command line.
        name: of the verb; None: the name of the function.
    """

    def register(function: Verb) -> Verb:
        parameters = list(inspect.signature(function, eval_str=True).parameters.values())
        groups = {
            p.name: p.annotation for p in parameters if dataclasses.is_dataclass(p.annotation)
        }

        def command(**values: Any) -> None:
            arguments = _with_groups(values, groups)
            raise typer.Exit(run(function, arguments.pop("screen"), arguments))

        own = [p.replace(kind=p.KEYWORD_ONLY) for p in parameters if p.name not in groups]

        # The options that all verbs have come last.
        for group in sorted(groups.values(), key=lambda group: group is Screen):
            own.extend(_options_of(group))

        command.__signature__ = inspect.Signature(own)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in own}
        command.__doc__ = function.__doc__
        command.__name__ = function.__name__
        app.command(name)(command)

        return function

    return register


def _options_of(group: Any) -> list[inspect.Parameter]:
    """A parameter for each field of a dataclass."""
    hints = typing.get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=hints[field.name],
        )
        for field in dataclasses.fields(group)
    ]


def _with_groups(values: Mapping[str, Any], groups: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a verb: the fields of each group as one object."""
    remaining = dict(values)
    arguments = {}

    for name, group in groups.items():
        fields = {field.name: remaining.pop(field.name) for field in dataclasses.fields(group)}
        arguments[name] = group(**fields)

    return {**remaining, **arguments}


def run(function: Verb, screen: Screen, arguments: Mapping[str, Any]) -> int:
    """Call a verb, print its answer or its error, and return the exit code.

    Args:
        function: the verb.
        screen: where it writes.
        arguments: of the verb, by name.
    """
    with screen.notes(), door.command_line():
        try:
            answer = function(screen=screen, **arguments)
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

            screen.fail(*describe_error(problem))
            return 1


def describe_error(problem: BaseException) -> tuple[str, str]:
    """The kind of an error in one word, and the message for the user."""
    name, text = type(problem).__name__, str(problem)
    if isinstance(problem, RecollectError):
        return name.removesuffix("Error").lower(), text

    if _is_out_of_memory(problem):
        return "memory", (
            f"There is not enough memory ({text or name}). Take fewer hidden units, a smaller "
            "batch_size or fewer ratings, or a machine with more memory."
        )

    if _is_full_disk(text):
        return "file", FILE_ERRORS[errno.ENOSPC]

    if isinstance(problem, UnicodeEncodeError) and "surrogates" in problem.reason:
        return "usage", (
            f"{problem.object[:40]!r} is not text in UTF-8. Give ids in UTF-8, in a locale that "
            "has it, such as LC_ALL=C.UTF-8."
        )

    if isinstance(problem, OSError) and problem.errno is not None:
        return "file", _describe_file_error(problem)

    first_line = text.partition("\n")[0] or "without a message"

    return "internal", (
        f"{name}: {first_line}. This is an error in Recollect; --debug shows where it occurred."
    )


def _is_out_of_memory(problem: BaseException) -> bool:
    # torch has an error class of its own on a GPU, and none on the CPU.
    return (
        isinstance(problem, MemoryError)
        or type(problem).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in str(problem)
    )


def _is_full_disk(text: str) -> bool:
    """Whether an error is that of a full disk, in the words of a library without its number."""
    return f"os error {errno.ENOSPC}" in text or os.strerror(errno.ENOSPC) in text


def _describe_file_error(problem: OSError) -> str:
    path = problem.filename or "the file"
    number = problem.errno or 0
    if number in FILE_ERRORS:
        return FILE_ERRORS[number].format(path=path)
    return f"{path}: {os.strerror(number)}."

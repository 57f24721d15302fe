"""What the tests of the command line share: how to call it, and settings of a quick fit."""

import json

from typer.testing import CliRunner, Result

from recollect.cli import app


def settings(*pairs: str) -> list[str]:
    """The options that set these, each written as KEY=VALUE."""
    return [word for pair in pairs for word in ("--set", pair)]


QUICK = [*settings("hidden=6", "reg=2", "epochs=6"), "--threads", "1"]

# Diverges in epoch 7.
DIVERGING = (
    "hidden=8,4",
    "dropout=0",
    "batch_size=20",
    "learning_rate=0.02",
    "epochs=9",
    "milestones=[6]",
    "decay=1e6",
)


def call(*args: object) -> Result:
    """The outcome of a command."""
    return CliRunner().invoke(app, [str(arg) for arg in args])


def answer(*args: object) -> dict:
    """What a command prints with --json: one object on one line."""
    result = call(*args, "--json")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.count("\n") == 1
    return json.loads(result.stdout)

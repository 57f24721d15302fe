"""What the tests of the command line share: how to call it, and settings of a quick fit."""

import json

from typer.testing import CliRunner, Result

from recollect.cli import app


def settings(*pairs: str) -> list[str]:
    """The options that set these, each written as KEY=VALUE."""
    return [word for pair in pairs for word in ("--set", pair)]


QUICK = [
    "--model",
    "autorec",
    *settings("hidden=6", "reg=2", "epochs=6", "refit=false"),
    "--threads",
    "1",
]

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

# An experiment of two parts; the data of the second is nowhere in the tests.
EXPERIMENT = """
paper = "A paper."
[part.tiny]
data = "planted/tiny"
split = { how = "random", test = 0.2, valid = 0.1, repeat = 2 }
[part.far]
data = "netflix/full"
[part.far.split]
how = "window"
train = ["2005-09-01", "2005-11-30"]
test = ["2005-12-01", "2005-12-31"]
[[table]]
name = "one"
[[table.run]]
name = "nobody"
claim.tiny = { value = 0.9, where = "Table 1" }
[[table.run]]
model = "bias"
claim.tiny = { value = 5.0, where = "Table 1" }
"""


def call(*args: object) -> Result:
    """The outcome of a command."""
    return CliRunner().invoke(app, [str(arg) for arg in args])


def answer(*args: object) -> dict:
    """What a command prints with --json: one object on one line."""
    result = call(*args, "--json")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.count("\n") == 1
    return json.loads(result.stdout)

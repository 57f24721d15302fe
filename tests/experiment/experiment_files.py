"""Small experiments for the tests of this folder."""

from pathlib import Path

from recollect.experiment import planner
from recollect.experiment.parse import read
from recollect.experiment.results import Results
from recollect.experiment.spec import select

TINY = """
paper = "A paper."
[part.tiny]
data = "planted/tiny"
split = { how = "random", test = 0.2, valid = 0.1, repeat = 2 }
[like.small]
model = "autorec"
hidden = 3
epochs = 5
reg = 2
[[table]]
name = "t"
[[table.run]]
name = "bias"
model = "bias"
claim.tiny = { value = 0.9, where = "Table 1", within = 0.01 }
[[table.run]]
name = "auto"
like = "small"
"""
WITH_TEXT = TINY.replace(
    "[like.small]",
    'text = "plot.item"\nvectors = "glove/small.txt"\n'
    "reading = { n_words = 30, most = 1 }\n[like.small]",
)
CHECK = '\n[[table.check]]\nsays = "so"\nwhere = "section 1"\nbelow = ["auto", "bias"]\n'
Planned = tuple[list[planner.PlannedRun], list[planner.Task], Results]


def write_file(folder: Path, text: str = TINY) -> Path:
    path = folder / "paper.toml"
    path.write_text(text)
    return path


def plan_all(path: Path, folder: Path, *, fresh: bool = False) -> Planned:
    """What a file plans and what is left to do, with its data looked for."""
    experiment = read(path)
    results = Results(folder)
    selected = select(experiment, ())
    data = planner.look_for_data([part for _, part in selected], results)
    planned = planner.plan(selected, data)
    todo = planner.tasks(experiment, planned, results, data, fresh=fresh)
    return planned, todo, results

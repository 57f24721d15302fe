"""The files in experiments/ have every number of the papers, and no other.

papers_numbers.csv was typed from the papers: the place, row and column of each number there, and
where a file has it. By kind it is

    claim         the claim of a run
    improve       the per cent of a check, derived from the claims as the papers derive it
    setting NAME  a setting of a run
    sweep NAME    a value of a sweep
    count         a count of the data
    density       per cent of all pairs that are rated, which follows from the counts
    parameters    of a network, which follows from its layers
"""

import csv
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from recollect.experiment.parse import read
from recollect.experiment.parse_check import COMPARING, compared

ROOT = Path(__file__).parents[2]
NETFLIX_ITEMS = 17_768  # in DeepRec's network: of 17,770, those with a rating in its data


def lines_of(*kinds):
    with open(Path(__file__).with_name("papers_numbers.csv"), newline="") as file:
        lines = list(csv.DictReader(file))
    return [line for line in lines if line["kind"].partition(" ")[0] in kinds]


def name_of(line):
    return " | ".join(line[key] for key in ("experiment", "place", "row", "column", "table"))


@cache
def experiment_of(name):
    return read(ROOT / "experiments" / f"{name}.toml")


NAMES = sorted(path.stem for path in (ROOT / "experiments").glob("*.toml"))


def run_of(line):
    runs = experiment_of(line["experiment"]).tables[line["table"]].runs[line["part"]]
    return next(run for run in runs if run.name == line["run"])


def claims_of(name):
    """Every claim of a file: table, run, part, and the claim."""
    return [
        ((table.name, run.name, part), run.claim)
        for table in experiment_of(name).tables.values()
        for part, runs in table.runs.items()
        for run in runs
        if run.claim is not None
    ]


@pytest.mark.parametrize("line", lines_of("claim"), ids=name_of)
def test_a_number_of_a_paper_is_a_claim(line):
    claim = run_of(line).claim
    assert claim.value == float(line["value"])
    assert line["place"] in claim.where


@pytest.mark.parametrize("name", NAMES)
def test_every_claim_is_a_number_of_a_paper(name):
    typed = {
        (line["table"], line["run"], line["part"])
        for line in lines_of("claim")
        if line["experiment"] == name
    }
    assert {place for place, _ in claims_of(name)} == typed


@pytest.mark.parametrize("line", lines_of("setting"), ids=name_of)
def test_the_runs_have_the_papers_settings(line):
    setting = line["kind"].removeprefix("setting ")
    value = run_of(line).settings[setting]
    stated = value if isinstance(value, tuple) else (value,)
    assert stated == tuple(float(number) for number in line["value"].split())


@pytest.mark.parametrize("line", lines_of("sweep"), ids=name_of)
def test_a_sweep_has_the_papers_values(line):
    setting = line["kind"].removeprefix("sweep ")
    runs = experiment_of(line["experiment"]).tables[line["table"]].runs[line["part"]]
    swept = [run.swept[setting] for run in runs if run.series == line["run"]]
    assert float(line["value"]) in swept


@pytest.mark.parametrize("line", lines_of("count"), ids=name_of)
def test_a_part_has_the_papers_counts(line):
    part = experiment_of(line["experiment"]).parts[line["part"]]
    assert part.published[line["column"]] == int(line["value"])


@pytest.mark.parametrize("line", lines_of("density"), ids=name_of)
def test_the_density_follows_from_the_counts(line):
    counts = experiment_of(line["experiment"]).parts[line["part"]].published
    density = 100 * counts["ratings"] / (counts["users"] * counts["items"])
    assert f"{density:.3f}" == line["value"]


@pytest.mark.parametrize("line", lines_of("parameters"), ids=name_of)
def test_the_layers_have_as_many_parameters_as_the_paper_says(line):
    hidden = run_of(line).settings["hidden"]
    encoder = [hidden] if isinstance(hidden, int) else list(hidden)
    layers = [NETFLIX_ITEMS, *encoder, *reversed(encoder[:-1]), NETFLIX_ITEMS]
    if line["row"] == "2 layers":
        assert layers == [NETFLIX_ITEMS, 128, NETFLIX_ITEMS]
    n_parameters = sum(first * second + second for first, second in pairwise(layers))
    assert n_parameters == int(line["value"])


def value_of(line, run):
    """The number of a run beside that of a line, in the list itself."""
    same = ("experiment", "place", "column")
    (value,) = {
        float(other["value"])
        for other in lines_of("claim")
        if all(other[key] == line[key] for key in same) and other["row"] == run
    }
    return value


@pytest.mark.parametrize("line", lines_of("improve"), ids=name_of)
def test_an_improvement_is_that_of_the_papers_numbers(line):
    checks = experiment_of(line["experiment"]).tables[line["table"]].checks
    (check,) = (check for check in checks if check.says == line["run"])
    assert check.by[line["part"]] == float(line["value"])
    best = min(value_of(line, run) for run in ("PMF", "CTR", "CDL"))
    percent = 100 * (best - value_of(line, "ConvMF")) / best
    assert float(line["value"]) == pytest.approx(percent, abs=0.0051)


@pytest.mark.parametrize("name", NAMES)
def test_the_papers_own_numbers_pass_the_checks(name):
    """A check that the paper's table contradicts was written wrong."""
    n_compared = 0

    for table in experiment_of(name).tables.values():
        for part, runs in table.runs.items():
            claims = {run.name: run.claim.value for run in runs if run.claim}
            for check in table.checks:
                if not check.concerns(experiment_of(name).parts[part]):
                    continue

                if check.kind in COMPARING:
                    pairs = compared(check, list(claims))
                    known = [(a, b) for a, b in pairs if a in claims and b in claims]
                    sign = -1 if check.kind in ("above", "highest") else 1
                    better = [sign * claims[a] < sign * claims[b] for a, b in known]
                    assert all(better), (check.says, part)
                    n_compared += len(known)
                if check.kind == "near" and {*check.groups[0], *check.groups[1]} <= set(claims):
                    (a,), (b,) = check.groups
                    assert abs(claims[a] - claims[b]) <= check.within, (check.says, part)
                    n_compared += 1

    of_others = (
        "baselines-2019",
        "lowest-error",
        "rankers",
        "topn-2022",
    )  # whose claims are others'
    assert n_compared or name in of_others

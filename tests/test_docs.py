"""The docs are held to the code: examples run, and everything public is described."""

import dataclasses
import inspect
import re
import subprocess
from pathlib import Path

import polars as pl
import pytest

import recollect as rc
from recollect import registry
from recollect.data import open_data, sources, splitting
from recollect.data.sources.planted import planted
from recollect.errors import NotUpdatableError
from recollect.evaluation import metrics, protocols

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
DECISIONS = sorted((DOCS / "decisions").glob("[0-9]*.md"))
# Folders of somebody's machine, which nobody else has.
ELSEWHERE = re.compile(r"(?<![\w.~:/-])/(?:home|mnt|root|srv|tmp|Users|work|workspace)/\w")


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def page(path: str) -> str:
    return (ROOT / path).read_text()


def blocks(path: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL)


def says(text: str, word: str) -> bool:
    """Whether the page has the word in code, as `word`, or in a line of code."""
    return re.search(rf"(?<![\w/]){re.escape(word)}(?![\w/])", text) is not None


@pytest.fixture
def films() -> rc.Ratings:
    """Planted ratings with ids of MovieLens 1M, the README's users and films among them."""
    made = planted(80, 60, 2400, noise=0.4, step=1.0).ratings
    frame = made.frame().with_columns(
        item_id=pl.col("item_id").replace({"1": "1193", "2": "661", "3": "914"})
    )
    return rc.from_frame(frame, scale=(1, 5), name="movielens/1m")


@pytest.mark.parametrize("path", [p for p in PAGES if blocks(p)], ids=name)
def test_the_examples_of_a_page_run_from_top_to_bottom(path, films, tmp_path, monkeypatch):
    """In an empty folder, without data and network: MovieLens is made up."""
    load = open_data.load

    def offline(wanted, folder=None):
        return films if str(wanted).startswith("movielens/") else load(wanted, folder)

    def no_network(*args, **more):
        raise AssertionError("an example must not need the network")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "os.sched_getaffinity", lambda who: {0}, raising=False
    )  # one thread: tests share the machine
    monkeypatch.setenv("RECOLLECT_DATA", str(tmp_path / "none"))
    monkeypatch.setattr("recollect.data.download.download", no_network)
    monkeypatch.setattr(rc, "load", offline)
    monkeypatch.setattr(open_data, "load", offline)
    shared: dict[str, object] = {"__name__": "example"}
    for number, code in enumerate(blocks(path), start=1):
        exec(compile(code, f"{name(path)}, block {number}", "exec"), shared)


@pytest.mark.parametrize("model", rc.model_names())
def test_every_model_and_setting_is_described(model):
    text = page("docs/models.md")
    shared = text.partition("## What all models share")[2].partition("\n## ")[0]
    section = page(f"docs/models/{model}.md")
    for setting in dataclasses.fields(registry.find(model)):
        assert f"| `{setting.name}` |" in section + shared, f"{model}'s {setting.name}"


@pytest.mark.parametrize("model", rc.model_names())
def test_the_defaults_in_the_docs_are_those_of_the_code(model):
    """`None`, `0.01`, `"item"` …: the first words of the second column, as Python writes them."""
    section = page(f"docs/models/{model}.md")
    stated = dict(re.findall(r"^\| `(\w+)` \| ([^|]+?) \|", section, re.MULTILINE))
    defaults = registry.settings(registry.find(model))
    assert stated
    for setting, default in stated.items():
        assert default.strip("`") == repr(defaults[setting]).replace("'", '"'), setting


@pytest.mark.parametrize("model", rc.model_names())
def test_what_an_update_does_is_in_the_docs(model):
    """Whether it is exact, and whether ratings are taken back, as the default settings say."""
    text = page("docs/online.md").partition("## What each model learns")[2].partition("\n## ")[0]
    [row] = [line for line in text.splitlines() if re.match(rf"\|.*`{model}`[^|]*\|.*\|", line)][:1]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    try:
        can = registry.make(model).updatable
    except NotUpdatableError:
        assert "refused" in cells[1]
        return
    assert "refused" not in cells[1]
    assert (cells[3] == "yes") == can.exact
    assert (cells[4] == "yes") == can.retracts


@pytest.mark.parametrize("metric", metrics.METRICS.values(), ids=lambda metric: metric.name)
def test_every_metric_is_described(metric):
    """In its docstring, so that a new metric is one function."""
    assert metric.function.__doc__


@pytest.mark.parametrize(
    "protocol_",
    [
        f
        for f, kind in vars(protocols).items()
        if inspect.isfunction(kind)
        and kind.__module__ == protocols.__name__
        and not f.startswith("_")
    ],
)
def test_every_protocol_is_described(protocol_):
    assert says(page("docs/evaluation.md"), protocol_)


@pytest.mark.parametrize(
    "split_", [f for f in vars(splitting) if f.endswith(("_split", "_folds", "_sweep"))]
)
def test_every_split_is_described(split_):
    assert f"`{split_}`" in page("docs/evaluation.md")


@pytest.mark.parametrize("source", sources.known())
def test_every_data_set_is_described(source):
    assert f"`{source}`" in page("docs/data.md")


def test_every_verb_is_described():
    import typer

    from recollect.cli import app

    def verbs(group: object, prefix: str = "") -> list[str]:
        under = getattr(group, "commands", None)
        if under is None:
            return [prefix.strip()]
        return [
            verb for key, command in under.items() for verb in verbs(command, f"{prefix} {key}")
        ]

    found, text = verbs(typer.main.get_command(app)), page("docs/commands.md")
    assert "train" in found
    assert not [verb for verb in found if f"recollect {verb}" not in text]


@pytest.mark.parametrize("public", rc.__all__)
def test_every_public_name_is_somewhere_in_the_docs(public):
    assert any(says(p.read_text(), public) for p in PAGES)


def links(path: Path) -> list[str]:
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if not re.match(r"[a-z]+:", link)]


def anchors(path: Path) -> set[str]:
    """What a heading's link is called: lower case, blanks as hyphens, punctuation gone."""
    heads = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.strip().lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_every_link_leads_somewhere(path):
    for link in links(path):
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda p: p.stem)
def test_every_decision_is_linked(decision):
    linked = {
        (p.parent / link.partition("#")[0]).resolve()
        for p in PAGES
        if p != decision
        for link in links(p)
    }
    assert decision.resolve() in linked


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda p: p.stem)
def test_a_decision_has_its_number_and_its_three_parts(decision):
    text = decision.read_text()
    assert text.startswith(f"# {decision.name[:4]} ")
    assert [
        part for part in ("**Context.**", "**Decision.**", "**Consequences.**") if part not in text
    ] == []


def files() -> list[Path]:
    """The files of the repository; from an archive without history, those of its folders."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return [
            p for part in ("src", "docs", "tests", "examples") for p in (ROOT / part).rglob("*.*")
        ]
    return [ROOT / file for file in listed.split("\0") if file]


def test_no_file_names_folders_of_one_machine():
    found = []
    for path in files():
        if path.is_file() and path != Path(__file__):
            found += [
                f"{name(path)}: {line.strip()[:100]}"
                for line in path.read_text(errors="replace").splitlines()
                if ELSEWHERE.search(line)
            ]
    assert not found

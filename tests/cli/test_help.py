"""Help, the version, and what they must not import."""

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from tests.cli.support import call

from recollect.cli import app

HEAVY = {"torch", "numpy", "polars", "scipy", "numba", "pyarrow"}


def verbs() -> list[tuple[str, ...]]:
    names: list[tuple[str, ...]] = []
    for name, command in typer.main.get_command(app).commands.items():
        under = getattr(command, "commands", None)
        names += [(name,)] if under is None else [(name, verb) for verb in under]

    return names


def imported_by(*args: str) -> set[str]:
    """The packages and modules that a command imports, in a process of its own."""
    code = (
        "import sys\n"
        "from recollect.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit:\n    pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *args],
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )
    assert done.stdout
    return set(done.stderr.split())


@pytest.mark.parametrize("verb", verbs(), ids=" ".join)
def test_every_verb_has_help(verb: tuple[str, ...]) -> None:
    result = call(*verb, "--help")
    assert result.exit_code == 0
    assert "--json" in result.stdout


def test_every_verb_is_described_in_the_docs() -> None:
    text = (Path(__file__).parents[2] / "docs" / "commands.md").read_text()
    assert [verb for verb in verbs() if f"recollect {' '.join(verb)}" not in text] == []


@pytest.mark.parametrize("args", [["--help"], ["train", "--help"], ["models"], ["models", "rrn"]])
def test_help_and_the_list_of_models_import_nothing_heavy(args: list[str]) -> None:
    imported = imported_by(*args)
    assert imported & HEAVY == set()
    assert "rich.progress" not in imported


def test_importing_recollect_imports_nothing_heavy() -> None:
    code = "import sys, recollect; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) & {*HEAVY, "typer", "rich"} == set()


def test_the_version_is_printed() -> None:
    assert call("--version").stdout.startswith("recollect ")

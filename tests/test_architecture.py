"""The house's rules, read from the imports."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "recollect"

# Layer by file or folder; an import may point down or, where named in WITHIN, within its layer.
LAYER = {"errors": 0, "run": 0, "jobs": 0, "files": 0, "room": 0, "machine": 0, "data": 1, "kernels": 2, "nn": 3,
         "recurrent": 3, "training": 3, "model": 4, "memory": 4, "catalogue": 4, "ranking": 4, "families": 5, "models": 6,
         "checkpoint": 7, "evaluation": 7, "recommend": 7,
         "experiment": 8, "explain": 8, "report": 8, "cli": 9, "__init__": 9}
WITHIN = {"model": {"memory"}, "ranking": {"model"}, "catalogue": {"model"}, "training": {"nn", "recurrent"},
          "files": {"errors"}, "run": {"errors"}, "jobs": {"errors", "run"}, "report": {"experiment"}}
HOMES = {"matplotlib": {"report"}, "jinja2": {"report"}, "optuna": {"experiment"}, "pooch": {"data"}, "typer": {"cli"}, "rich": {"cli"},
         "numba": {"kernels"}, "llvmlite": {"kernels"}, "tensorboard": {"training"}, "torch.utils.tensorboard": {"training"},
         "sklearn": {"data", "models", "training"}, "sentence_transformers": {"data"}}


def room(path: Path) -> str:
    first = path.relative_to(SOURCE).parts[0]
    return first.removesuffix(".py")


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


FILES = sorted(SOURCE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_point_down(path):
    here = room(path)
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "recollect" or len(parts) < 2 or parts[1] not in LAYER or parts[1] == here:
            continue
        there = parts[1]
        assert LAYER[there] < LAYER[here] or there in WITHIN.get(here, set()), f"{here} imports {there}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_no_model_imports_another(path):
    others = {name for name in imports(path) if name.startswith("recollect.models.")}
    assert not others, f"{path.name} imports {others}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_heavy_packages_have_one_home(path):
    for name in imports(path):
        for package, homes in HOMES.items():
            assert not f"{name}.".startswith(f"{package}.") or room(path) in homes, f"{room(path)} imports {name}"


@pytest.mark.parametrize("path", sorted((SOURCE / "models").glob("[a-z]*.py")), ids=lambda p: p.stem)
def test_a_model_file_has_one_model_and_its_source(path):
    from recollect.registry import find

    assert find(path.stem).__name__.lower() == path.stem.replace("_", "")
    assert "Source:" in (ast.get_docstring(ast.parse(path.read_text())) or "")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_no_file_is_much_over_its_budget(path):
    assert len(path.read_text().splitlines()) <= 440


def test_no_pickle_anywhere():
    assert not [p for p in FILES if {"pickle", "dill", "joblib", "torch.save", "torch.load"} & imports(p)]

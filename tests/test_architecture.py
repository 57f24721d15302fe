"""The house's rules, read from the imports."""

import ast
import inspect
from pathlib import Path

import pytest

from recollect.registry import find, model_names

SOURCE = Path(__file__).parents[1] / "src" / "recollect"

# Layer by file or folder; an import may point down or, where named in WITHIN, within its layer.
LAYER = {
    "arguments": 0,
    "capabilities": 0,
    "errors": 0,
    "run": 0,
    "settings": 0,
    "system": 0,
    "data": 1,
    "model_descriptions": 1,
    "kernels": 2,
    "nn": 3,
    "training": 3,
    "fit_checks": 4,
    "memory_estimate": 4,
    "memory_limits": 4,
    "model": 4,
    "own_unit": 4,
    "registry": 4,
    "ranking": 4,
    "unseen": 4,
    "families": 5,
    "models": 6,
    "checkpoint": 7,
    "evaluation": 7,
    "recommend": 7,
    "request": 6,
    "shortage": 6,
    "experiment": 8,
    "explain": 8,
    "report": 8,
    "cli": 9,
    "__init__": 9,
    "__main__": 10,
}
WITHIN = {
    "fit_checks": {"unseen"},
    "model": {"fit_checks", "memory_estimate", "memory_limits", "own_unit", "unseen"},
    "memory_limits": {"memory_estimate"},
    "ranking": {"model", "unseen"},
    "shortage": {"request"},
    "registry": {"model"},
    "training": {"nn"},
    "arguments": {"errors"},
    "run": {"errors"},
    "settings": {"errors"},
    "system": {"errors", "run"},
    "report": {"experiment"},
}
# The same within folders that have sub-folders, lowest first: each may import those before it.
ORDER = {
    "kernels": ("pattern", "reference", "compiled", "backends", "block", "sparse_products"),
    "data": (
        "vocab",
        "sparse_rows",
        "text",
        "ratings",
        "splitting",
        "download",
        "sources",
        "open_data",
    ),
}
HOMES = {
    "matplotlib": {"report"},
    "jinja2": {"report"},
    "optuna": {"experiment"},
    "openpyxl": {"data"},
    "pooch": {"data"},
    "typer": {"cli"},
    "rich": {"cli"},
    "numba": {"kernels"},
    "llvmlite": {"kernels"},
    "tensorboard": {"training"},
    "torch.utils.tensorboard": {"training"},
    "sklearn": {"data", "models", "training"},
    "sentence_transformers": {"data"},
}


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
        assert LAYER[there] < LAYER[here] or there in WITHIN.get(here, set()), (
            f"{here} imports {there}"
        )


def place_in(order: tuple[str, ...], name: str) -> int | None:
    """Where a part of a folder stands in its order; None if the order does not name it."""
    return order.index(name) if name in order else None


@pytest.mark.parametrize("folder", ORDER)
def test_imports_within_a_folder_point_down(folder):
    order = ORDER[folder]
    for path in (SOURCE / folder).rglob("*.py"):
        part = path.relative_to(SOURCE / folder).parts[0].removesuffix(".py")
        for name in imports(path):
            if not name.startswith(f"recollect.{folder}."):
                continue
            other = name.split(".")[2]
            mine, its = place_in(order, part), place_in(order, other)
            if mine is not None and its is not None:
                assert its <= mine, f"{folder}/{part} imports {other}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_compiled_loops_stand_in_kernels_compiled_alone(path):
    """`kernels` outside `compiled` may set Numba's threads; only `compiled` decorates."""
    if "compiled" not in path.parts:
        assert "@njit" not in path.read_text()
        assert "@numba.njit" not in path.read_text()


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_no_model_imports_another(path):
    parts = path.relative_to(SOURCE).parts
    own = (
        f"recollect.models.{parts[1].removesuffix('.py')}"
        if parts[0] == "models" and len(parts) > 1
        else "-"
    )
    others = {
        name
        for name in imports(path)
        if name.startswith("recollect.models.") and not f"{name}.".startswith(f"{own}.")
    }
    assert not others, f"{path} imports {others}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_heavy_packages_have_one_home(path):
    for name in imports(path):
        for package, homes in HOMES.items():
            assert not f"{name}.".startswith(f"{package}.") or room(path) in homes, (
                f"{room(path)} imports {name}"
            )


@pytest.mark.parametrize("name", model_names())
def test_a_model_is_named_by_its_file_and_states_its_source(name):
    kind = find(name)
    assert kind.__name__.lower() == name.replace("_", "")
    assert "Source:" in (inspect.getmodule(kind).__doc__ or "")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_no_file_is_much_over_its_budget(path):
    assert len(path.read_text().splitlines()) <= 450


def test_no_pickle_anywhere():
    assert not [
        p for p in FILES if {"pickle", "dill", "joblib", "torch.save", "torch.load"} & imports(p)
    ]

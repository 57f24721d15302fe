"""The house's rules, read from the imports."""

import ast
import inspect
import re
from functools import cache
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
    "influences": 4,
    "memory_limits": 4,
    "model": 4,
    "online": 4,
    "own_unit": 4,
    "registry": 4,
    "unseen": 4,
    "families": 5,
    "interest": 5,
    "ranking": 5,
    "models": 6,
    "checkpoint": 7,
    "evaluation": 7,
    "neighbors": 7,
    "recommend": 7,
    "request": 6,
    "lists": 6,
    "shortage": 6,
    "choice": 8,
    "experiment": 8,
    "explain": 8,
    "report": 8,
    "serve": 8,
    "cli": 9,
    "__init__": 9,
    "__main__": 10,
}
WITHIN = {
    "fit_checks": {"unseen"},
    "influences": {"unseen"},
    "model": {
        "fit_checks",
        "influences",
        "memory_estimate",
        "memory_limits",
        "online",
        "own_unit",
        "unseen",
    },
    "memory_limits": {"memory_estimate"},
    "families": {"ranking"},
    "interest": {"families"},
    "ranking": {"interest"},
    "lists": {"request"},
    "shortage": {"lists", "request"},
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
    "jinja2": {"report", "serve"},
    "fastapi": {"serve"},
    "starlette": {"serve"},
    "uvicorn": {"serve"},
    "pydantic": {"serve"},
    "psycopg": {"serve"},
    "prometheus_client": {"serve"},
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


def own_model(path: Path) -> str:
    """The module of the model that a file belongs to; "-" if it belongs to none."""
    parts = path.relative_to(SOURCE).parts
    if parts[0] != "models" or len(parts) == 1:
        return "-"

    return f"recollect.models.{parts[1].removesuffix('.py')}"


@cache
def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


FILES = sorted(SOURCE.rglob("*.py"))


def may_import(layer: str, other: str) -> bool:
    """Whether a layer may import another."""
    is_own = other == layer
    return is_own or LAYER[other] < LAYER[layer] or other in WITHIN.get(layer, set())


def test_imports_point_down():
    upward = []

    for path in FILES:
        for name in imports(path):
            first, _, rest = name.partition(".")
            other = rest.partition(".")[0]
            if first == "recollect" and other in LAYER and not may_import(room(path), other):
                upward.append(f"{path.relative_to(SOURCE)} imports {other}")

    assert not upward


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


def test_compiled_loops_stand_in_kernels_compiled_alone():
    """`kernels` outside `compiled` may set Numba's threads; only `compiled` decorates."""
    others = [path for path in FILES if "compiled" not in path.parts]
    decorating = [p for p in others if re.search("@(numba.)?njit", p.read_text())]
    assert not decorating


def test_no_model_imports_another():
    faults = []

    for path in FILES:
        own = own_model(path)
        faults += [
            f"{path.relative_to(SOURCE)} imports {name}"
            for name in imports(path)
            if name.startswith("recollect.models.") and not f"{name}.".startswith(f"{own}.")
        ]

    assert not faults


def test_heavy_packages_have_one_home():
    strays = [
        f"{path.relative_to(SOURCE)} imports {name}"
        for path in FILES
        for name in imports(path)
        for package, homes in HOMES.items()
        if f"{name}.".startswith(f"{package}.") and room(path) not in homes
    ]
    assert not strays


@pytest.mark.parametrize("name", model_names())
def test_a_model_is_named_by_its_file_and_states_its_source(name):
    kind = find(name)
    assert kind.__name__.lower() == name.replace("_", "")
    assert "Source:" in (inspect.getmodule(kind).__doc__ or "")


def test_no_file_is_much_over_its_budget():
    long = [path for path in FILES if len(path.read_text().splitlines()) > 450]
    assert not long


def test_no_pickle_anywhere():
    unsafe = {"pickle", "dill", "joblib", "torch.save", "torch.load"}
    assert not [path for path in FILES if unsafe & imports(path)]

"""Every model in small, for the tests that all of them must pass.

A model's module has QUICK, settings with which it learns planted ratings in a moment;
tests/models/test_NAME.py may have VARIANTS, further settings that are worth a run of their own.
"""

import importlib
import inspect
from typing import Any

from recollect.model import Model
from recollect.registry import find, make, model_names

QUICK = {name: inspect.getmodule(find(name)).QUICK for name in model_names()}


def _variants(name: str) -> list[dict[str, Any]]:
    module = importlib.import_module(f"tests.models.test_{name}")
    return getattr(module, "VARIANTS", [])


PLAIN = [(name, {}) for name in model_names()]
VARIANTS = [*PLAIN, *((name, changes) for name in model_names() for changes in _variants(name))]


def made(variant: tuple[str, dict[str, Any]]) -> Model:
    """An unfitted model with quick settings and these changes."""
    name, changes = variant
    return make(name, **{**QUICK[name], **changes})


def label(variant: tuple[str, dict[str, Any]]) -> str:
    """The name of a variant in the output of pytest."""
    name, changes = variant
    return "-".join([name, *(f"{key}={value}" for key, value in changes.items())])

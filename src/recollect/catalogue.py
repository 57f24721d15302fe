"""The catalogue of models: found by their file, made from named settings."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
from typing import Any

from recollect.errors import SettingError, unknown
from recollect.model import Model


def names() -> list[str]:
    """Every model of the package."""
    folder = importlib.import_module("recollect.models").__path__
    return sorted(m.name for m in pkgutil.iter_modules(folder))


def find(name: str) -> type[Model]:
    """The model of that name: a file in `recollect/models`, or "package.module:Class" for one from elsewhere.

    Raises: SettingError if there is none.
    """
    if ":" in name:
        module_name, class_name = name.split(":", 1)
        try:
            found = getattr(importlib.import_module(module_name), class_name)
        except (ImportError, AttributeError) as problem:
            raise SettingError(f"There is no model {name!r}: {problem}.") from problem
        if not (inspect.isclass(found) and issubclass(found, Model)):
            raise SettingError(f"{name!r} is no model: it must be a class under recollect.Model.")
        return found
    if name not in names():
        raise unknown("model", name, names())
    module = importlib.import_module(f"recollect.models.{name}")
    (found,) = (c for c in vars(module).values() if inspect.isclass(c) and issubclass(c, Model)
                and c.__module__ == module.__name__ and not inspect.isabstract(c))
    return found


def name_of(model: Model | type[Model]) -> str:
    """The name by which `find` finds the model's class."""
    kind = model if inspect.isclass(model) else type(model)
    home, _, last = kind.__module__.rpartition(".")
    return last if home == "recollect.models" else f"{kind.__module__}:{kind.__name__}"


def settings(model: Model | type[Model]) -> dict[str, Any]:
    """The hyperparameters of a model and their values (of a class: the defaults)."""
    if isinstance(model, Model):
        return {f.name: getattr(model, f.name) for f in dataclasses.fields(model)}
    return {f.name: f.default for f in dataclasses.fields(model)}


def make(name: str, **given: Any) -> Model:
    """A model with these settings, unfitted.

    Raises: SettingError for a model or a setting that does not exist (with the nearest that does), or a bad value.
    """
    kind = find(name)
    known = settings(kind)
    for key in given:
        if key not in known:
            raise unknown(f"setting of {name}", key, known)
    for f in dataclasses.fields(kind):
        if f.name in given:
            given[f.name] = _fitting(name, f, given[f.name])
    return kind(**given)


def _fitting(name: str, field: dataclasses.Field[Any], value: Any) -> Any:
    """The value as the setting's type has it; a list becomes a tuple, a whole number may stand for a fraction."""
    if isinstance(value, list):
        value = tuple(value)
    kind = str(field.type)
    if "float" in kind and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    takes = {"bool": bool, "int": int, "float": float, "str": str, "tuple": tuple, "None": type(None), "Side": str}
    kinds = tuple(t for word, t in takes.items() if word in kind)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise SettingError(f"{name}'s setting {field.name} takes {kind}, found {value!r} ({type(value).__name__}).")
    return value

"""The models by name: found by their file or folder, made from named settings.

`model_descriptions` lists the models and their settings without importing them.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from recollect.arguments import expect
from recollect.errors import SettingError, UntrustedError, unknown
from recollect.model import Model
from recollect.model_descriptions import HOME, model_names
from recollect.settings import former_names, parse_value, value_as_text
from recollect.system.door import words
from recollect.system.installed_modules import installed_file

log = logging.getLogger("recollect")

__all__ = [
    "Trusted",
    "find",
    "find_trusted",
    "from_text",
    "make",
    "make_of",
    "model_names",
    "name_of",
    "presets",
    "settings",
    "text_of",
    "with_todays_names",
]

# What a caller trusts: "package.module:Class" of an installed distribution, or the class itself.
Trusted = str | type[Model] | Iterable[str | type[Model]]

EXAMPLE = "autorec side=user hidden=500,250"

# The classes that the words of a field's annotation stand for.
TYPES = {
    "bool": bool,
    "int": int,
    "float": float,
    "str": str,
    "tuple": tuple,
    "None": type(None),
    "Side": str,
}


def find(name: str) -> type[Model]:
    """The class of a model that the caller names; a class from outside is imported.

    Args:
        name: a file or folder in `recollect/models`, or "package.module:Class".

    Raises:
        SettingError: if there is no such model.
    """
    expect("name", name, str, "the name of a model, such as 'bias'")
    if ":" in name:
        return _find_elsewhere(name)

    if name not in model_names():
        raise unknown("model", name, model_names())

    module = importlib.import_module(f"{HOME}.{name}")
    members = vars(module).values()
    # A set: the class may stand there under several names.
    (kind,) = {member for member in members if _is_model_of(member, module.__name__)}

    return kind


def find_trusted(
    name: str, trusted: Trusted = (), *, not_in: str | Path | None = None
) -> type[Model]:
    """The class of a model that a file names: nothing from outside is imported unasked.

    Args:
        name: as `find` takes it, from a saved model or an experiment.
        trusted: classes from outside that may be used: a class, as the caller has it already; or
            its name, "package.module:Class", which is looked for in installed distributions only.
        not_in: a folder that no code is taken from, whatever is trusted: that of the file.

    Raises:
        UntrustedError: for a class from outside that is not trusted, or not installed.
        SettingError: if there is no such model.
    """
    if ":" not in name:
        return find(name)

    given = [trusted] if isinstance(trusted, str | type) else list(trusted)

    for kind in given:
        if inspect.isclass(kind) and name_of(kind) == name:
            return kind

    if name not in given:
        trust = words(f"trusted=[{name!r}]", f"--trust {name}")
        raise UntrustedError(
            f"The model {name!r} is not part of Recollect, and its code would be run. If you trust "
            f"it, say so: {trust}."
        )

    _refuse_uninstalled(name, not_in)

    return _find_elsewhere(name)


def _refuse_uninstalled(name: str, not_in: str | Path | None) -> None:
    """Refuse a class whose package lies in no installed distribution.

    Args:
        name: "package.module:Class".
        not_in: a folder that no code is taken from.
    """
    package = name.partition(":")[0].partition(".")[0]
    if package == __package__:
        raise UntrustedError(
            f"The model {name!r} names a module of Recollect, and its models go by their names "
            f"alone: {', '.join(model_names()[:3])} …"
        )

    file = installed_file(package)
    is_inside = (
        file is not None and not_in is not None and file.is_relative_to(Path(not_in).resolve())
    )
    if file is None or is_inside:
        raise UntrustedError(
            f"The model {name!r} is trusted by name, and {package!r} is in no installed "
            "distribution: such a name is not looked for in the working folder or PYTHONPATH. "
            f"Install the package, or pass the class itself: trusted=[{name.partition(':')[2]}]."
        )


def _is_model_of(member: Any, home: str) -> bool:
    """Whether this is a concrete model that was defined in the module or folder `home`."""
    is_model = inspect.isclass(member) and issubclass(member, Model)
    if not is_model or inspect.isabstract(member):
        return False

    module = member.__module__

    return module == home or module.startswith(f"{home}.")


def _find_elsewhere(name: str) -> type[Model]:
    """The class that "package.module:Class" names, imported as Python finds it."""
    module_name, class_name = name.split(":", 1)

    try:
        kind = getattr(importlib.import_module(module_name), class_name)
    except KeyboardInterrupt:
        raise
    except (ImportError, AttributeError) as problem:
        raise SettingError(f"There is no model {name!r}: {problem}.") from problem
    except BaseException as problem:
        # A module may do anything when it is imported, SystemExit included.
        raise SettingError(
            f"The module of the model {name!r} cannot be imported: {type(problem).__name__} "
            f"{problem}."
        ) from problem

    if not (inspect.isclass(kind) and issubclass(kind, Model)):
        raise SettingError(f"{name!r} is no model: it must be a class under recollect.Model.")

    return kind


def name_of(model: Model | type[Model]) -> str:
    """The name by which `find` finds the model's class."""
    kind = model if inspect.isclass(model) else type(model)
    module = kind.__module__
    prefix = f"{HOME}."
    if not module.startswith(prefix):
        return f"{module}:{kind.__name__}"

    # A folder's model is called as the folder, whichever of its files defines the class.
    inner = module.removeprefix(prefix)

    return inner.partition(".")[0]


def settings(model: Model | type[Model]) -> dict[str, Any]:
    """The settings of a model and their values; of a class, the defaults."""
    fields = dataclasses.fields(model)
    values = {}

    for field in fields:
        if isinstance(model, Model):
            values[field.name] = getattr(model, field.name)
        else:
            values[field.name] = field.default

    return values


def make(name: str, *, like: str | None = None, **given: Any) -> Model:
    """An unfitted model.

    Args:
        name: as `find` takes it.
        like: the name of a preset: settings that are not given are its own. "paper" is that of the
            model's paper, where its module states it (`PAPER`); others stand in `PRESETS`. None:
            the defaults.
        given: settings by name; the others have their defaults. A name from an earlier release
            still works, and a note says today's name.

    Raises:
        SettingError: for a model or a setting that does not exist, or a value out of range.
    """
    kind = find(name)
    if like is None:
        return make_of(kind, given)

    return make_of(kind, {**_preset(kind, name, like), **given})


def _preset(kind: type[Model], name: str, like: str) -> dict[str, Any]:
    """The settings of a preset that differ from the defaults.

    Args:
        kind: the model's class.
        name: of the model, for the message.
        like: the name of the preset.

    Raises:
        SettingError: if the model has none of that name.
    """
    known = presets(kind)
    if like in known:
        return known[like]

    if like == "paper":
        raise SettingError(
            f"{name} states no other settings for its paper; its page says how the defaults differ."
        )

    # Where the model has no preset, the word that most models know is proposed.
    names = list(known) or ["paper"]
    there_is = " and ".join(words(f'like="{word}"', f"--like {word}") for word in names)
    raise SettingError(f"There are no settings like {like!r}; there is {there_is}.")


def presets(kind: type[Model]) -> dict[str, dict[str, Any]]:
    """The settings that `like` can name: `PAPER` of the model's module as "paper", and those in its
    `PRESETS`."""
    module = inspect.getmodule(kind)
    paper = getattr(module, "PAPER", None)
    of_paper = {} if paper is None else {"paper": paper}

    return {**of_paper, **getattr(module, "PRESETS", {})}


def make_of(kind: type[Model], given: dict[str, Any]) -> Model:
    """An unfitted model of a class, with these settings; errors as `make`."""
    name = name_of(kind)
    given = with_todays_names(kind, given)
    known = settings(kind)

    for key in given:
        if key not in known:
            raise unknown(f"setting of {name}", key, known)

    fields = {field.name: field for field in dataclasses.fields(kind)}
    values = {key: _converted(name, fields[key], value) for key, value in given.items()}

    return kind(**values)


def from_text(text: str) -> Model:
    """The unfitted model that a text names, with settings as on the command line.

    Args:
        text: a name and settings KEY=VALUE between blanks: "autorec side=user hidden=500,250".

    Raises:
        SettingError: as `make`, or if the text is not of this form.
    """
    name, *pairs = text.split() or [""]
    given: dict[str, Any] = {}

    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise SettingError(
                f"A model is named by its name and settings KEY=VALUE, such as {EXAMPLE!r}; found "
                f"{text!r}."
            )

        if key in given:
            raise SettingError(f"{text!r} has {key} twice; give it once.")

        given[key] = parse_value(value)

    return make(name, **given)


def text_of(model: Model) -> str:
    """The text from which `from_text` makes such a model; settings at their defaults are left
    out."""
    defaults = settings(type(model))
    changed = [
        f"{key}={value_as_text(value)}"
        for key, value in settings(model).items()
        if value != defaults[key]
    ]
    return " ".join([name_of(model), *changed])


def with_todays_names(kind: type[Model], given: dict[str, Any]) -> dict[str, Any]:
    """Settings by today's names; a note names each one that an earlier release called otherwise.

    Args:
        kind: the model's class.
        given: settings by name.

    Raises:
        SettingError: if a setting is given by both of its names.
    """
    former = former_names(kind)
    named: dict[str, Any] = {}

    for key, value in given.items():
        today = key if key in settings(kind) else former.get(key, key)
        if today in named or (today != key and today in given):
            raise SettingError(f"{key} is {today} now, and both are given; leave {key} out.")

        if today != key:
            log.info("The setting %s is now called %s.", key, today)

        named[today] = value

    return named


def _converted(model: str, field: dataclasses.Field[Any], value: Any) -> Any:
    """The value in the field's type: a list becomes a tuple, an int a float.

    Args:
        model: the model's name, for the message.
        field: the setting.
        value: from Python, JSON or TOML.

    Raises:
        SettingError: if the type does not fit.
    """
    if isinstance(value, list):
        value = tuple(value)

    annotation = str(field.type)
    if "float" in annotation and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)

    allowed = tuple(kind for word, kind in TYPES.items() if word in annotation)
    is_stray_bool = isinstance(value, bool) and bool not in allowed
    if not isinstance(value, allowed) or is_stray_bool:
        raise SettingError(
            f"{model}'s setting {field.name} takes {annotation}, found {value!r} "
            f"({type(value).__name__})."
        )

    return value

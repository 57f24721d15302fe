"""What the source text of the models says about them, read without importing them.

Importing a model imports torch, which takes seconds. To list the models, their settings and their
sources, parsing their files is enough. `registry` makes and finds the models themselves.
"""

from __future__ import annotations

import ast
import importlib.util
import io
import pkgutil
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from recollect.errors import SettingError, unknown
from recollect.settings import KEY, Range
from recollect.settings import setting as declare_setting
from recollect.settings import share as declare_share

HOME = "recollect.models"
DECLARATIONS = {"setting": declare_setting, "share": declare_share}


@dataclass(frozen=True)
class Setting:
    """A setting of a model: a field of its dataclass."""

    name: str
    type: str
    default: Any
    range: Range
    meaning: str  # the comment behind the field or on the lines above it


@dataclass(frozen=True)
class Description:
    """A model's name, what it is, where it was published, and its settings, its own ones first."""

    name: str
    summary: str
    source: str
    settings: tuple[Setting, ...]
    # Settings by the name that `make(…, like=)` takes; "paper": the paper's, where the defaults are
    # others
    presets: dict[str, dict[str, Any]]

    @property
    def paper(self) -> dict[str, Any]:
        """The paper's settings where the defaults are others; empty if none are."""
        return self.presets.get("paper", {})


def model_names() -> list[str]:
    """The name of every model of the package: its file or folder in `recollect/models`."""
    folder = _path_of(HOME).parent
    modules = pkgutil.iter_modules([str(folder)])
    names = [module.name for module in modules]
    return sorted(names)


def describe(name: str) -> Description:
    """The description of a model, from its source text.

    Args:
        name: a file or folder in `recollect/models`, or "package.module:Class".

    Raises:
        SettingError: if there is no such model.
    """
    module, class_name = _locate(name)
    document = ast.get_docstring(module.tree) or ""
    lineage = _lineage(module, class_name)

    return Description(
        name=name,
        summary=_summary(document),
        source=_source(document),
        settings=_settings(lineage),
        presets=_presets(module),
    )


def _presets(module: _Module) -> dict[str, dict[str, Any]]:
    """The settings that `PAPER` and `PRESETS` of a module state, by name."""
    presets = {}
    if "PAPER" in module.constants:
        presets["paper"] = ast.literal_eval(module.constants["PAPER"])

    if "PRESETS" in module.constants:
        presets.update(ast.literal_eval(module.constants["PRESETS"]))

    return presets


def _summary(document: str) -> str:
    """The first line of a docstring; of "Name: what it is", what it is."""
    first_line = document.partition("\n")[0]
    what_it_is = first_line.partition(": ")[2]
    return what_it_is or first_line


def _source(document: str) -> str:
    """The paragraph behind `Source:`, up to the next heading or blank line."""
    end = r"(?:^[A-Z]\w*: |\n\n|\Z)"
    paragraph = re.search(r"^Source:\s*(.*?)" + end, document, re.MULTILINE | re.DOTALL)
    if paragraph is None:
        return ""

    words = paragraph[1].split()

    return " ".join(words)


class _Module:
    """The source text of a module, parsed."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = _path_of(name)
        self.text = self.path.read_text(encoding="utf-8")
        self.tree = ast.parse(self.text)

    @cached_property
    def classes(self) -> dict[str, ast.ClassDef]:
        """The classes that the module defines, by name."""
        statements = self.tree.body
        classes = [node for node in statements if isinstance(node, ast.ClassDef)]
        return {node.name: node for node in classes}

    @cached_property
    def constants(self) -> dict[str, ast.expr]:
        """The values of the names that the module assigns, as expressions."""
        values: dict[str, ast.expr] = {}

        for node in self.tree.body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                values[node.targets[0].id] = node.value

            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
                values[node.target.id] = node.value

        return values

    @cached_property
    def imports(self) -> dict[str, tuple[str, str]]:
        """Where each name comes from that `from module import name` brings in."""
        origins: dict[str, tuple[str, str]] = {}

        for node in self.tree.body:
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for alias in node.names:
                    origins[alias.asname or alias.name] = (node.module, alias.name)

        return origins

    @cached_property
    def comments(self) -> dict[int, tuple[str, bool]]:
        """The comments by line number; and whether the comment has the line to itself."""
        comments: dict[int, tuple[str, bool]] = {}

        for token in tokenize.generate_tokens(io.StringIO(self.text).readline):
            if token.type == tokenize.COMMENT:
                stands_alone = not token.line[: token.start[1]].strip()
                comments[token.start[0]] = (token.string.lstrip("# "), stands_alone)

        return comments

    def comment_on(self, field: ast.AnnAssign) -> str:
        """The comment behind a field; without one, the comment on the lines right above it."""
        lines = range(field.lineno, (field.end_lineno or field.lineno) + 1)
        behind = [self.comments[line][0] for line in lines if line in self.comments]
        if behind:
            return " ".join(behind)

        above: list[str] = []
        line = field.lineno - 1

        while line in self.comments and self.comments[line][1]:
            above.insert(0, self.comments[line][0])
            line -= 1

        return " ".join(above)


@cache
def _module(name: str) -> _Module:
    return _Module(name)


def _path_of(module: str) -> Path:
    """The file of a module, found without importing the packages above it.

    Raises:
        ModuleNotFoundError: if there is none, or it has no source text.
    """
    package, *inner = module.split(".")
    spec = importlib.util.find_spec(package)
    if spec is not None and spec.origin is not None:
        top = Path(spec.origin)
        stem = top.parent.joinpath(*inner)
        candidates = (stem.with_suffix(".py"), stem / "__init__.py") if inner else (top,)

        for path in candidates:
            if path.is_file():
                return path

    raise ModuleNotFoundError(f"No module named {module!r}", name=module)


def _locate(name: str) -> tuple[_Module, str]:
    """The module that defines a model's class, and the name of the class there."""
    if ":" in name:
        module_name, class_name = name.split(":", 1)
    elif name in model_names():
        module_name = f"{HOME}.{name}"
        class_name = _class_named_like(name, _module(module_name))
    else:
        raise unknown("model", name, model_names())

    try:
        definition = _definition(_module(module_name), class_name)
    except ImportError as problem:
        raise SettingError(f"There is no model {name!r}: {problem}.") from problem

    if definition is None:
        raise SettingError(f"There is no model {name!r}: {module_name} defines no {class_name}.")

    return definition


def _class_named_like(name: str, module: _Module) -> str:
    """The class whose name in lower case is the model's name without underscores."""
    lowered = name.replace("_", "")

    for known in (*module.classes, *module.imports):
        if known.lower() == lowered:
            return known

    raise SettingError(f"{module.path} defines no class that is called as the file, {name}.")


def _definition(module: _Module, class_name: str) -> tuple[_Module, str] | None:
    """Where the class of this name is defined; None if that is in a package of others."""
    while class_name not in module.classes:
        if class_name not in module.imports:
            return None

        module_name, class_name = module.imports[class_name]
        package = module_name.partition(".")[0]
        if package not in ("recollect", module.name.partition(".")[0]):
            return None

        module = _module(module_name)

    return module, class_name


def _lineage(module: _Module, class_name: str) -> list[tuple[_Module, ast.ClassDef]]:
    """A class and its base classes as far as their text can be read, nearest first."""
    definition = module.classes[class_name]
    lineage = [(module, definition)]

    for base in definition.bases:
        origin = _definition(module, base.id) if isinstance(base, ast.Name) else None
        if origin is not None:
            lineage.extend(_lineage(*origin))

    return lineage


def _settings(lineage: list[tuple[_Module, ast.ClassDef]]) -> tuple[Setting, ...]:
    """The settings of a class: its own first, then those that only its base classes declare."""
    merged: dict[str, Setting] = {}

    for module, definition in reversed(lineage):
        for setting in _own_settings(module, definition):
            merged[setting.name] = _inheriting(setting, merged.get(setting.name))

    own = [setting.name for setting in _own_settings(*lineage[0])]
    in_order = dict.fromkeys([*own, *merged])

    return tuple(merged[name] for name in in_order)


def _inheriting(setting: Setting, base: Setting | None) -> Setting:
    """A field that is declared again keeps the range and the comment that it does not change."""
    if base is None:
        return setting

    is_unlimited = setting.range == Range()
    return replace(
        setting,
        range=base.range if is_unlimited else setting.range,
        meaning=setting.meaning or base.meaning,
    )


def _own_settings(module: _Module, definition: ast.ClassDef) -> Iterator[Setting]:
    """The fields that a class itself declares; one that is no dataclass has none."""
    decorators = [ast.unparse(decorator) for decorator in definition.decorator_list]
    if not any(decorator.startswith("dataclass") for decorator in decorators):
        return

    for node in definition.body:
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue

        annotation = ast.unparse(node.annotation)
        if annotation.startswith("ClassVar") or node.value is None:
            continue

        default, allowed = _default_and_range(node.value, module)
        yield Setting(node.target.id, annotation, default, allowed, module.comment_on(node))


def _default_and_range(value: ast.expr, module: _Module) -> tuple[Any, Range]:
    """The default of a field, and the range if `setting` or `share` declares it."""
    if not isinstance(value, ast.Call) or not isinstance(value.func, ast.Name):
        return _value_of(value, module), Range()

    declare = DECLARATIONS[value.func.id]
    arguments = [_value_of(argument, module) for argument in value.args]
    keywords = {
        keyword.arg: _value_of(keyword.value, module) for keyword in value.keywords if keyword.arg
    }
    field = declare(*arguments, **keywords)

    return field.default, field.metadata[KEY]


def _value_of(expression: ast.expr, module: _Module) -> Any:
    """The value of an expression of literals, constants, `tuple(constant)` and `*constant`."""
    if isinstance(expression, ast.Call) and ast.unparse(expression.func) == "tuple":
        return tuple(_value_of(expression.args[0], module))

    if isinstance(expression, ast.Name):
        return _constant(expression.id, module)

    if isinstance(expression, ast.Tuple):
        members: list[Any] = []

        for element in expression.elts:
            if isinstance(element, ast.Starred):
                members.extend(_value_of(element.value, module))
            else:
                members.append(_value_of(element, module))

        return tuple(members)

    if isinstance(expression, ast.Dict):
        # Only the keys: `one_of=tuple(TABLE)` names what a table offers.
        return [_value_of(key, module) for key in expression.keys if key is not None]

    return ast.literal_eval(expression)


def _constant(name: str, module: _Module) -> Any:
    """The value of a name that a module assigns or imports."""
    if name not in module.constants:
        home, name_there = module.imports[name]
        return _constant(name_there, _module(home))

    expression = module.constants[name]

    return _value_of(expression, module)

"""How the source reads, measured: one table, the same definitions every time.

    python benchmarks/readability.py [FOLDER …]      # default: src/recollect

A body is what a function holds, its docstring left out; its lines run from its first statement to
the end of its last, comments and blank lines within included. Nodes are all those of Python's
syntax tree. An argument counts as described if its name stands in the
docstring of its function or, for a constructor, in that of its class. An argument of a command's
verb also counts if its annotation has the help text of its option, which --help prints: written at
the argument, under a name for the annotation, or in every field of a class of options.
"""

from __future__ import annotations

import ast
import io
import statistics
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef
LONG_BODY = 30
WIDE = 100


@dataclass(frozen=True)
class File:
    """A source file, its syntax tree, and the lines on which code stands."""

    path: Path
    text: str
    tree: ast.Module
    code_lines: frozenset[int]
    comment_lines: int

    @classmethod
    def read(cls, path: Path) -> File:
        """Parse one file."""
        text = path.read_text()
        code: set[int] = set()
        comments = 0
        skipped = {
            tokenize.NL,
            tokenize.NEWLINE,
            tokenize.INDENT,
            tokenize.DEDENT,
            tokenize.COMMENT,
            tokenize.ENDMARKER,
        }
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT and not token.line[: token.start[1]].strip():
                comments += 1
            if token.type not in skipped:
                code.update(range(token.start[0], token.end[0] + 1))
        return cls(path, text, ast.parse(text), frozenset(code), comments)

    def functions(self) -> Iterator[tuple[Function, bool, ast.ClassDef | None]]:
        """Every function, whether it is public, and the class it belongs to."""
        yield from _functions(self.tree, True, None)


def _functions(
    parent: ast.AST, public: bool, owner: ast.ClassDef | None
) -> Iterator[tuple[Function, bool, ast.ClassDef | None]]:
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, ast.ClassDef):
            yield from _functions(node, public and not node.name.startswith("_"), node)
        elif isinstance(node, Function):
            yield node, public and not node.name.startswith("_"), owner
            yield from _functions(node, False, None)


def body(function: Function) -> list[ast.stmt]:
    """The statements of a function without its docstring."""
    has_docstring = ast.get_docstring(function, clean=False) is not None
    return function.body[1:] if has_docstring else function.body


def n_nodes(statements: list[ast.stmt]) -> int:
    """Nodes of the syntax tree."""
    return sum(1 for statement in statements for _ in ast.walk(statement))


def body_lines(function: Function) -> int:
    """Lines of a body, from its first statement to the end of its last."""
    statements = body(function)
    if not statements:
        return 0
    return (statements[-1].end_lineno or 0) - statements[0].lineno + 1


def arguments(function: Function) -> list[str]:
    """The names of a function's arguments, without self and cls."""
    given = function.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    return [argument.arg for argument in every if argument.arg not in ("self", "cls")]


def is_inherited(function: Function) -> bool:
    """Whether a decorator says that the method implements its base class's contract."""
    return any("override" in ast.unparse(decorator) for decorator in function.decorator_list)


def has_help(annotation: ast.AST) -> bool:
    """Whether an annotation holds typer.Option(help=…) or typer.Argument(help=…)."""
    calls = [node for node in ast.walk(annotation) if isinstance(node, ast.Call)]
    return any(
        ast.unparse(call.func) in ("typer.Option", "typer.Argument")
        and any(keyword.arg == "help" for keyword in call.keywords)
        for call in calls
    )


def option_types(file: File) -> set[str]:
    """Names in a file for annotations with a help text, and its classes of such fields alone."""
    names = set()
    for node in file.tree.body:
        if isinstance(node, ast.Assign) and has_help(node.value):
            names.update(target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.ClassDef):
            fields = [field for field in node.body if isinstance(field, ast.AnnAssign)]
            if fields and all(has_help(field.annotation) for field in fields):
                names.add(node.name)
    return names


def option_types_by_file(files: list[File]) -> dict[Path, set[str]]:
    """For each file, the names of `option_types` that it defines or imports from another file."""
    defined = {file.path: option_types(file) for file in files}
    known = {path: set(names) for path, names in defined.items()}
    homes = {".".join(path.with_suffix("").parts): names for path, names in defined.items()}
    for file in files:
        for node in ast.walk(file.tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                imported = {alias.name for alias in node.names}
                for home, names in homes.items():
                    if home.endswith(node.module):
                        known[file.path] |= imported & names
    return known


def described_by_options(function: Function, names: set[str]) -> set[str]:
    """The arguments of a function whose annotations have a help text.

    Args:
        function: any function.
        names: what stands for such annotations in its file.
    """
    given = function.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    return {
        argument.arg
        for argument in every
        if argument.annotation is not None
        and (has_help(argument.annotation) or ast.unparse(argument.annotation) in names)
    }


def chained(tree: ast.AST) -> int:
    """Conditional expressions that stand in the else (or the condition) of another."""
    conditionals = [node for node in ast.walk(tree) if isinstance(node, ast.IfExp)]
    return sum(
        isinstance(node.orelse, ast.IfExp) or isinstance(node.body, ast.IfExp)
        for node in conditionals
    )


def table(files: list[File]) -> dict[str, str]:
    """Every figure of the table by its name."""
    functions = [
        (function, public, owner, file)
        for file in files
        for function, public, owner in file.functions()
    ]
    per_line = [n_nodes(body(f)) / n for f, _, _, _ in functions if (n := body_lines(f))]
    lines = [line for file in files for line in file.text.splitlines()]
    documented = [
        node
        for file in files
        for node in ast.walk(file.tree)
        if isinstance(node, Function | ast.ClassDef | ast.Module) and ast.get_docstring(node)
    ]
    see = sum((ast.get_docstring(node) or "").startswith("See ") for node in documented)
    several = [
        (f, owner, file)
        for f, public, owner, file in functions
        if public and len(arguments(f)) > 2 and not is_inherited(f)
    ]
    option_names = option_types_by_file(files)
    described = 0
    for f, owner, file in several:
        by_help = described_by_options(f, option_names[file.path])
        described += all(name in by_help or _names(name, f, owner) for name in arguments(f))
    assigns = [
        node for file in files for node in ast.walk(file.tree) if isinstance(node, ast.Assign)
    ]
    tuples = sum(
        isinstance(node.targets[0], ast.Tuple) and isinstance(node.value, ast.Tuple)
        for node in assigns
    )
    n_long = sum(body_lines(f) > LONG_BODY for f, _, _, _ in functions)
    conditionals = sum(isinstance(n, ast.IfExp) for f in files for n in ast.walk(f.tree))
    n_chained = sum(chained(f.tree) for f in files)
    share = described / max(1, len(several))
    code_lines = sum(len(file.code_lines) for file in files)
    comments = sum(file.comment_lines for file in files)
    return {
        "files": f"{len(files):,}",
        "lines": f"{len(lines):,}",
        "syntax-tree nodes per line of a body, median": f"{statistics.median(per_line):.1f}",
        f"lines wider than {WIDE} columns": f"{sum(len(line) > WIDE for line in lines):,}",
        f"bodies over {LONG_BODY} lines": f"{n_long:,}",
        "assignments of tuples to tuples": f"{tuples / max(1, len(assigns)):.1%}",
        "conditional expressions (chained)": f"{conditionals:,} ({n_chained:,})",
        'docstrings that begin "See"': f"{see} of {len(documented)}",
        "public functions of more than two arguments that describe them all": (
            f"{described} of {len(several)} ({share:.0%})"
        ),
        "own-line comments": f"{comments / max(1, code_lines + comments):.1%}",
    }


def _names(name: str, function: Function, owner: ast.ClassDef | None) -> bool:
    """Whether the docstring of the function (of a constructor: of its class, too) mentions the
    argument."""
    text = ast.get_docstring(function) or ""
    if owner is not None:
        text += ast.get_docstring(owner) or "" if function.name == "__init__" else ""
    return (
        name in text.replace("`", " ").replace(":", " ").replace(",", " ").replace(".", " ").split()
    )


def main() -> None:
    """Print the table, a column per folder, and the same for models, training and kernels."""
    folders = [Path(name) for name in sys.argv[1:]] or [Path("src/recollect")]
    for folder in folders:
        paths = sorted(folder.rglob("*.py"))
        print(f"\n{folder}")
        for name, value in table([File.read(path) for path in paths]).items():
            print(f"  {name:<70} {value:>16}")
    for room in ("models", "training", "kernels"):
        if len(folders) == 1 and (folders[0] / room).is_dir():
            files = [File.read(path) for path in (folders[0] / room).rglob("*.py")]
            print(f"  own-line comments in {room:<49} {table(files)['own-line comments']:>16}")


if __name__ == "__main__":
    main()

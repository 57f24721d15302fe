"""The command line: one function per verb. Ids in, tables out; with --json one object for programs.

Modules here import what is heavy inside the verbs, so that help comes at once.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Annotated, Any

import typer

from recollect.cli import ask, compare, data, doctor, experiments, fit
from recollect.cli.show import Screen
from recollect.cli.verb import verb

app = typer.Typer(name="recollect", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
                  context_settings={"help_option_names": ["-h", "--help"]},
                  help="Autoencoders for collaborative filtering: from a ratings file to a recommender.")
data_app = typer.Typer(no_args_is_help=True, help="Data sets: list, fetch, describe, convert, store, plant.",
                       context_settings={"help_option_names": ["-h", "--help"]})

verb(app)(fit.models)
app.add_typer(data_app, name="data")
verb(data_app, "list")(data.list_known)
verb(data_app)(data.fetch)
verb(data_app)(data.describe)
verb(data_app)(data.convert)
verb(data_app)(data.store)
verb(data_app)(data.plant)
verb(app)(data.split)
verb(app)(fit.train)
verb(app)(ask.evaluate)
verb(app)(ask.predict)
verb(app)(ask.recommend)
verb(app)(ask.similar)
verb(app)(compare.compare)
verb(app)(experiments.run)
verb(app)(experiments.report)
verb(app)(experiments.tune)
verb(app)(doctor.doctor)


def _version(asked: bool) -> bool:
    if asked:
        from importlib.metadata import version

        print(f"recollect {version('recollect')}")
        raise typer.Exit
    return asked


@app.callback()
def _root(version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True,
                                                help="Print the version.")] = False) -> None:
    """Autoencoders for collaborative filtering: from a ratings file to a recommender."""


def share_the_machine() -> None:
    """Let the blocks of a fit go back to the system when it is done with them, instead of lying in pieces: a fit's peak
    falls by a quarter. Huge pages keep that from costing time. And let torch's idle threads sleep after a thousand looks for
    work, instead of a third of a million: on a busy machine, two threads that wait for each other so are ten times slower
    than one. Linux only; comes before torch is imported."""
    if sys.platform != "linux":
        return
    from ctypes import CDLL

    large = 4 << 20
    os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:0,muzzy_decay_ms:0")   # Polars: keep nothing freed
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")               # torch: huge pages for large blocks
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", str(large))     # glibc: the same for processes started from here
    with contextlib.suppress(OSError, AttributeError):
        CDLL(None).mallopt(-3, large)                                # M_MMAP_THRESHOLD, for this one


def main() -> None:
    """Run the command line."""
    share_the_machine()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    if "--json" not in sys.argv[1:]:
        app()
        return
    usage_error: Any = typer.BadParameter.__base__  # by whatever name: Typer may bring its own Click
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except usage_error as problem:
        Screen(json=True).fail("usage", problem.format_message())
        sys.exit(2)

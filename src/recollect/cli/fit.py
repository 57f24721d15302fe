"""Options of fits, under the module's former name."""

from recollect.cli.options.fitting import Threads

__all__ = ["Threads"]

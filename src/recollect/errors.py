"""Every error that Recollect raises.

    RecollectError
    ├── DataError        (ValueError)    a table, a column or a value cannot be used
    │   └── LeakError                    test ratings would be seen at prediction
    ├── SettingError     (ValueError)    a setting, model or data set that does not exist, or a
    │   │                                value out of range
    │   ├── SizeError                    a fit needs more memory than there is
    │   ├── NotUpdatableError            a model cannot learn from further ratings without a fit
    │   └── UntrustedError               a file names code that the caller does not trust
    ├── NotFittedError   (RuntimeError)  a prediction was asked for before fit
    ├── TrainingError    (RuntimeError)  the fit cannot go on: NaN, or another fit's snapshot
    ├── ProcessError     (RuntimeError)  a forked process, which would hang
    ├── CheckpointError  (OSError)       a saved model that is damaged, newer, or not there
    ├── StoreError       (OSError)       the database of a service cannot be read or written
    ├── ServiceError     (RuntimeError)  a service refused a request of the client, or is not there
    └── FetchError       (OSError)       a download that failed or has the wrong checksum

Each message says what was found, what was expected, and what to do.

A RecollectWarning (UserWarning) says that a result may not be what the caller thinks: something
they gave is unknown and was left out, or an answer is shorter than they asked for.
"""

import difflib
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path

PACKAGE = str(Path(__file__).parent)


class RecollectError(Exception):
    """The base of all errors below: catch this to catch them all."""


class DataError(RecollectError, ValueError):
    """A table, a column or a value cannot be used."""


class LeakError(DataError):
    """Test ratings would be seen at prediction."""


class SettingError(RecollectError, ValueError):
    """A setting, model or data set that does not exist, or a value it cannot take."""


class SizeError(SettingError):
    """A fit needs more memory than there is."""


class NotUpdatableError(SettingError):
    """A model cannot learn from further ratings, or forget some, without a new fit."""


class UntrustedError(SettingError):
    """A file names a class from outside the package, which the caller does not trust."""


class NotFittedError(RecollectError, RuntimeError):
    """A model was asked to predict before it was fitted."""


class TrainingError(RecollectError, RuntimeError):
    """The fit cannot go on."""


class ProcessError(RecollectError, RuntimeError):
    """A process cannot compute: it was forked from one whose threads it lacks."""


class CheckpointError(RecollectError, OSError):
    """A saved model is damaged, newer than this version, or not there."""


class StoreError(RecollectError, OSError):
    """The database of a service cannot be read or written."""


class ServiceError(RecollectError, RuntimeError):
    """A service refused a request of the client, or cannot be reached."""


class FetchError(RecollectError, OSError):
    """A download failed or has the wrong checksum."""


class RecollectWarning(UserWarning):
    """A result may not be what the caller thinks."""


def warn(message: str) -> None:
    """Warn of a result, at the line outside the package that asked for it."""
    frame = sys._getframe(1)
    level = 2

    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
        level += 1

    warnings.warn(message, RecollectWarning, stacklevel=level)


def unknown(kind: str, name: str, known: Iterable[str]) -> SettingError:
    """The error for a name that does not exist: it lists the valid ones and the nearest."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return SettingError(f"There is no {kind} {name!r}.{hint} Known: {', '.join(names)}.")

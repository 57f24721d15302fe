"""What each process of a service sets once: threads, warnings, the form of its log."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
import traceback
import warnings

import torch

from recollect.errors import RecollectWarning

OWN_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


class JsonLines(logging.Formatter):
    """A line of JSON for each record: when, what, and its fields. Nothing of a person is in it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        line |= {key: value for key, value in vars(record).items() if key not in OWN_FIELDS}

        return json.dumps(line, default=str)


def place_of(problem: BaseException) -> str:
    """Where an error of ours occurred: file and line, without its message, which may have ids."""
    remote = re.findall(r'File "([^"]+)", line (\d+)', str(problem.__cause__ or ""))
    if remote:
        return ":".join(remote[-1])

    frames = traceback.extract_tb(problem.__traceback__)

    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "nowhere"


def prepare_process() -> None:
    """Set what a process of the service needs, before it answers."""
    # Requests are small and many: they run beside each other, each in one thread.
    torch.set_num_threads(1)
    # What these say stands in the notes of the answers.
    warnings.simplefilter("ignore", RecollectWarning)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    own = logging.getLogger("recollect")
    own.handlers = [handler]
    own.setLevel(logging.INFO)
    own.propagate = False

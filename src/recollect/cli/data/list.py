"""The verb data list: the data sets that have a name."""

from __future__ import annotations

from recollect.cli.output.screen import Answer, Screen
from recollect.cli.output.tables import table


def list_known(screen: Screen) -> Answer:
    """List the data sets that have a name."""
    from recollect.data import sources

    known = sources.known()
    return Answer({"data": known}, [table(("name", "what it is"), list(known.items()))])

"""The verb predict: the ratings of the pairs in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import recollect as rc
from recollect.cli.options.asking import NewItems, OutFile, RunFolder, load_model
from recollect.cli.options.out_file import check_out
from recollect.cli.options.source import FileOptions
from recollect.cli.options.trust import Trust
from recollect.cli.output.screen import Answer, Raw, Screen


def predict(
    screen: Screen,
    run: RunFolder,
    options: FileOptions,
    pairs: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help="A file with user_id, item_id and, optionally, timestamp; of any kind that train "
            "reads.",
        ),
    ],
    interval: Annotated[
        float | None,
        typer.Option(
            metavar="P",
            show_default=False,
            help="Add the limits between which the rating lies with this probability, for models "
            "that estimate it.",
        ),
    ] = None,
    new_items: NewItems = None,
    trust: Trust = None,
    out: OutFile = None,
) -> Answer:
    """Predict the rating of each pair in a file. Without --out, a CSV goes to standard output."""
    from recollect.data.parsing.files import Format
    from recollect.data.tables import check_ending, read_ids, write_table

    if out is not None:
        check_ending(out)
        check_out(screen, "--out", out, {"--pairs": pairs, "--new-items": new_items, "RUN": run})

    model = load_model(run, new_items, trust)
    wanted = read_ids(
        pairs,
        "user",
        "item",
        optional=("time",),
        like=model.given_,
        columns=options.columns(),
        form=Format(**options.form()),
    )
    table = rc.predict(model, wanted, interval=interval)
    n_cold = int(table["cold"].sum())
    summary = f"{len(table):,} pairs, {n_cold:,} with a user or an item without training ratings."
    counts = {"pairs": len(table), "cold": n_cold}
    if out is None:
        screen.say(summary)
        return Answer({**counts, "predictions": table.to_dicts()}, [Raw(table.write_csv())])

    write_table(table, out)

    return Answer({**counts, "out": out}, [summary, f"Written to {out}."])

"""Made-up playlists in Melon's files, with questions and the best possible score."""

from __future__ import annotations

from pathlib import Path

from recollect.cli.output.screen import Answer, Screen
from recollect.errors import SettingError


def plant_melon(screen: Screen, folder: Path, *, share: float, seed: int) -> Answer:
    """Write lists, facts of songs, questions, what is hidden, and the best score of answers.

    Args:
        screen: where progress is shown.
        folder: a new folder.
        share: of Melon's size.
        seed: of what is drawn.

    Raises:
        SettingError: for a share outside 0 to 1, or a folder that exists.
    """
    from recollect.data.sources.melon import best, files, synthetic
    from recollect.evaluation.playlists import ask, score

    if not 0 < share <= 1:
        raise SettingError(f"--share is above 0 and at most 1, found {share}.")
    if folder.exists():
        raise SettingError(f"{folder} exists; name a new folder.")

    sizes = synthetic.Sizes.of(share)
    truth = synthetic.truth_of(sizes, seed)
    lists, _ = synthetic.draw(truth, sizes.lists, seed)
    others, theme = synthetic.draw(truth, sizes.questions, seed + 1)
    asked = ask(others.drop("month"), seed=seed)
    shown = [asked.kinds[kind].shown for kind in asked.kind]
    months = others["month"].to_numpy()
    figures = {}

    for name, known in (("best score", None), ("bound, themes known", theme)):
        screen.say(f"computing the {name} …")
        results = best.best_results(truth, asked.questions, shown, months, themes=known)
        figures[name] = score(results, asked.answers).score

    folder.mkdir(parents=True)
    questions = asked.questions.with_columns(others["month"])
    files.write_json(folder / files.SONGS, synthetic.song_facts(truth))
    files.write_json(folder / files.GENRES, {})
    files.write_json(folder / "questions.json", files.as_entries(synthetic.with_dates(questions)))
    files.write_json(folder / "answers.json", files.as_entries(asked.answers))
    files.write_json(folder / "best.json", figures)
    files.write_json(folder / files.TRAIN, files.as_entries(synthetic.with_dates(lists)))

    return Answer(
        {"folder": folder, "lists": sizes.lists, "questions": sizes.questions, **figures},
        [
            f"{sizes.lists:,} made-up playlists of {sizes.songs:,} songs and {sizes.tags:,} tags, "
            f"and {sizes.questions:,} questions written to {folder}.",
            f"The best possible score is {figures['best score']:.4f}; who knew the theme of each "
            f"list would have {figures['bound, themes known']:.4f}.",
            "",
            f"Next: recollect train {folder} --model playlist --valid 0 --test 0 --out runs/lists",
        ],
    )

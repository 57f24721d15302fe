"""Settings are never chosen on ratings that are to be predicted later, and nothing learns them."""

import inspect
import itertools
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from tests.experiment.experiment_files import write_file

from recollect.data import open_data
from recollect.data.ratings import Ratings
from recollect.data.splitting import find
from recollect.data.vocab import Vocab
from recollect.errors import DataError, SettingError
from recollect.experiment import search_space
from recollect.experiment.parse import read
from recollect.experiment.parse_run import resolve_settings
from recollect.experiment.spec import Part, Tuned, splits_of
from recollect.experiment.tuned import BY_TIME, splits_with_overlap
from recollect.report.sentences import describe_tuning

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "experiments").glob("*.toml"))
TUNING_FILES = sorted((ROOT / "experiments" / "tune").glob("*.toml"))
FIRST = 956_620_800  # 2000-04-25
LAST = 1_046_390_400  # 2003-02-28

SAME = 'train = ["2001-01-01", "2001-06-30"], test = ["2001-07-01", "2001-12-31"]'
WINDOWS = """
paper = "A paper."
[part.w]
data = "planted/tiny"
split = { how = "window", SAME }
[part.r]
data = "planted/tiny"
split = { how = "random", test = 0.1, valid = 0.1, repeat = 3 }
[[table]]
name = "t"
[[table.run]]
name = "auto"
model = "autorec"
""".replace("SAME", SAME)
BEFORE = 'train = ["2001-01-01", "2001-03-31"], test = ["2001-04-01", "2001-06-30"]'


def with_run(*lines):
    text = WINDOWS + "\n".join(lines) + "\n"
    return text if "refit" in text else text + "refit = false\n"


def tuned_on(split):
    return f'tuned = {{ data = "planted/tiny", split = {{ {split} }} }}'


# --- refit ----------------------------------------------------------------------------------------


def test_refit_on_a_window_is_refused(tmp_path):
    with pytest.raises(SettingError) as error:
        read(write_file(tmp_path, with_run("refit = true")))
    assert "run auto: refit = true would learn from the validation ratings of part w" in str(
        error.value
    )
    assert "write on.w = { refit = false }" in str(error.value)


def test_it_is_refused_of_every_candidate_and_sweep(tmp_path):
    with pytest.raises(SettingError, match="would learn from the validation ratings"):
        read(write_file(tmp_path, with_run("choose = { refit = [false, true] }")))
    with pytest.raises(SettingError, match="would learn from the validation ratings"):
        read(write_file(tmp_path, with_run("sweep = { refit = [false, true] }")))


def test_refit_false_on_the_window_lets_the_other_parts_refit(tmp_path):
    text = with_run("refit = true", "on.w = { refit = false }")
    experiment = read(write_file(tmp_path, text))
    runs = experiment.tables["t"].runs
    assert not runs["w"][0].settings["refit"]
    assert runs["r"][0].settings["refit"]


# --- where settings were chosen -------------------------------------------------------------------


@pytest.mark.parametrize(
    "split",
    [
        'how = "random", test = 0.1, valid = 0.1',
        'how = "time", test = 0.1',
        f'how = "window", {SAME}, seed = 1',  # the other half of the same test window
        'how = "window", train = ["2001-01-01", "2001-05-31"], test = ["2001-06-01", "2001-07-01"]',
    ],
)
def test_settings_chosen_on_the_test_interval_are_refused(split, tmp_path):
    with pytest.raises(SettingError, match="some of those ratings are of the test interval"):
        read(write_file(tmp_path, with_run(f"on.w = {{ {tuned_on(split)} }}")))


@pytest.mark.parametrize("split", [f'how = "window", {SAME}', f'how = "window", {BEFORE}'])
def test_settings_chosen_before_it_or_on_its_validation_ratings_are_not(split, tmp_path):
    experiment = read(write_file(tmp_path, with_run(f"on.w = {{ {tuned_on(split)} }}")))
    (run,) = experiment.tables["t"].runs["w"]
    assert run.tuned.data == "planted/tiny"


def test_a_part_can_retract_where_settings_were_chosen(tmp_path):
    on_random = tuned_on('how = "random", test = 0.1')
    text = with_run(on_random, "on.w = { tuned = false }")
    assert read(write_file(tmp_path, text)).tables["t"].runs["w"][0].tuned is None


def test_the_page_says_which_splits_tested_ratings_that_chose_settings(tmp_path):
    text = with_run(tuned_on('how = "random", test = 0.1, valid = 0.2'), "on.w = { tuned = false }")
    experiment = read(write_file(tmp_path, text))
    (sentence,) = describe_tuning(experiment.tables["t"], experiment.parts["r"])
    assert sentence == (
        "Settings of auto were chosen on planted/tiny (random split: test 0.1, valid 0.2), some of "
        "whose ratings are test ratings of seeds 1 to 2."
    )


TUNE = """
data = "planted/tiny"
split = { how = "random", test = 0.1, valid = 0.1 }
model = "autorec"
[search]
reg = { low = 1.0, high = 10.0 }
hidden = { choices = [3, 5] }
"""


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["reg = 20", "hidden = 3"], "tuning cannot have found reg = 20.0: it searches"),
        (["reg = 2", "hidden = 4"], "tuning cannot have found hidden = 4"),
    ],
)
def test_a_file_of_tuning_must_have_been_able_to_find_the_settings(settings, message, tmp_path):
    (tmp_path / "tuning.toml").write_text(TUNE)
    tuned = ['tuned = "tuning.toml"', "on.w = { tuned = false }"]
    with pytest.raises(SettingError, match=message):
        read(write_file(tmp_path, with_run(*settings, *tuned)))
    experiment = read(write_file(tmp_path, with_run("reg = 2", "hidden = 3", *tuned)))
    assert str(experiment.tables["t"].runs["r"][0].tuned) == "tuning.toml"


def test_a_file_of_tuning_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(DataError, match="There is no file"):
        read(write_file(tmp_path, with_run('tuned = "nowhere.toml"')))


# --- the files of this repository -----------------------------------------------------------------


@cache
def stand_in():
    """Ratings through the years of MovieLens 1M, whose windows the files name."""
    random = np.random.default_rng(0)
    pairs = random.choice(80 * 120, 4000, replace=False)
    user, item = np.divmod(pairs, 120)
    return Ratings(
        user.astype(np.int32),
        item.astype(np.int32),
        random.integers(1, 6, len(pairs)).astype(np.float32),
        Vocab(range(80)),
        Vocab(range(120)),
        time=random.integers(FIRST, LAST, len(pairs)),
        scale=(1.0, 5.0),
    )


@cache
def data_of(name):
    """The data of this name; where they are missing, made-up ratings of the same years.

    What two splits say of each other must hold of any ratings.
    """
    return stand_in() if open_data.missing(name) else open_data.load(name)


def split_of(ratings, spec):
    settings = {key: value for key, value in spec.settings.items() if key != "how"}
    split = find(spec.settings["how"])
    if "seed" in inspect.signature(split).parameters:
        settings["seed"] = spec.seed
    return split(ratings, **settings)


@cache
def runs_of_files():
    """Every run of every file, with its part."""
    experiments = [read(path) for path in FILES]
    return [
        (run, experiment.parts[name])
        for experiment in experiments
        for table in experiment.tables.values()
        for name, runs in table.runs.items()
        for run in runs
    ]


def used_and_tested():
    """Where a run's settings were chosen, beside each part of the same data that tests it."""
    places = {}
    for run, part in runs_of_files():
        if run.tuned is not None and run.tuned.data == part.data:
            places[str(run.tuned), str(part.split)] = (run.tuned, part)
    return list(places.values())


def is_from(run, source):
    tuned = run.tuned
    return tuned is not None and (tuned.data, tuned.split) == (source.data, source.split)


def show(value):
    return value.name if isinstance(value, Part) else str(value).partition(" ")[0]


@pytest.mark.parametrize(("tuned", "part"), used_and_tested(), ids=show)
def test_splits_that_are_said_to_share_nothing_share_nothing(tuned, part):
    """All of those by time; of those at random, the one on which settings were chosen."""
    shared = splits_with_overlap(tuned, part)
    assert not shared or part.split["how"] not in BY_TIME
    if part.split["how"] == "published":
        return  # folds are files: u1 is that of u1

    ratings = data_of(part.data)
    for used, tested in itertools.product(splits_of(tuned.split), part.splits):
        if tested.seed not in shared:
            chosen_on = split_of(ratings, used)
            test = split_of(ratings, tested).test
            assert len(test)
            assert not np.intersect1d(chosen_on.train.pair, test.pair).size
            assert not np.intersect1d(chosen_on.valid.pair, test.pair).size


@pytest.mark.parametrize("path", TUNING_FILES, ids=lambda path: path.stem)
def test_what_a_file_of_tuning_found_is_not_used_on_its_own_test_ratings(path):
    """Not even by a run that does not say where its settings come from."""
    space = search_space.read(path)
    source = Tuned(space.part.data, space.part.split, f"tune/{path.name}")
    runs = runs_of_files()
    numbers = [setting for setting, bounds in space.search.items() if "low" in bounds]
    values = [
        {setting: run.settings[setting] for setting in numbers}
        for run, _ in runs
        if run.model == space.model and is_from(run, source)
    ]
    assert values, "no run says that its settings are from this file, or from its split"
    defaults = resolve_settings(space.model, {})
    changed = {
        (setting, value)
        for of_run in values
        for setting, value in of_run.items()
        if value != defaults[setting]
    }
    for run, part in runs:
        is_open = part.split["how"] in BY_TIME and splits_with_overlap(source, part)
        if run.model == space.model and is_open:
            assert not changed & {(name, run.settings[name]) for name in numbers}, part.name

"""What an experiment's file may say, and what is refused with its place and what is known."""

from pathlib import Path

import pytest
from tests.experiment.experiment_files import CHECK, TINY, write_file

from recollect.errors import DataError, SettingError
from recollect.experiment.parse import read
from recollect.experiment.spec import RECORDS, Claim, Part, Table, select

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "path", sorted((ROOT / "experiments").glob("*.toml")), ids=lambda p: p.stem
)
def test_every_model_setting_and_name_in_the_repositorys_files_exists(path):
    experiment = read(path)
    for table in experiment.tables.values():
        for part, runs in table.runs.items():
            assert runs
            assert table.splits(experiment.parts[part])
    assert experiment.records.resolve() == ROOT / "docs" / "results" / "records"


def test_one_table_on_one_data_set_needs_neither_part_nor_table(tmp_path):
    """The shortest file, as in docs/experiments.md."""
    experiment = read(
        write_file(
            tmp_path,
            """
paper = "A paper."
data = "planted/tiny"
split = { how = "random", test = 0.1, repeat = 5 }
[[run]]
model = "autorec"
hidden = 7
claim = { value = 0.831, where = "Table 1a", within = 0.003 }
""",
        )
    )
    (table,) = experiment.tables.values()
    (run,) = table.runs["tiny"]
    claim = Claim(0.831, "Table 1a", 0.003)
    assert (run.name, run.settings["hidden"], run.claim) == ("autorec", 7, claim)
    assert [split.seed for split in experiment.parts["tiny"].splits] == [0, 1, 2, 3, 4]


def test_records_lie_where_the_file_says_and_else_in_runs(tmp_path):
    assert read(write_file(tmp_path)).records == RECORDS == Path("runs/results")
    named = 'records = "../kept/records"\n' + TINY
    (tmp_path / "files").mkdir()
    assert read(write_file(tmp_path / "files", named)).records == tmp_path / "kept" / "records"


def test_settings_of_like_come_before_those_of_the_run_and_general_ones_before_a_parts(tmp_path):
    text = TINY.replace("reg = 2", "reg = 2\non.tiny = { reg = 3, init = 0.5 }")
    text = text.replace('like = "small"', 'like = "small"\nreg = 4\non.tiny = { epochs = 6 }')
    (_, run) = read(write_file(tmp_path, text)).tables["t"].runs["tiny"]
    settings = {key: run.settings[key] for key in ("hidden", "reg", "init", "epochs")}
    assert settings == {"hidden": 3, "reg": 4.0, "init": 0.5, "epochs": 6}


def test_a_sweep_is_a_run_for_each_combination_of_values(tmp_path):
    sweep = 'like = "small"\nsweep = { hidden = [2, [4, 2]], reg = [1, 5] }'
    text = TINY.replace('like = "small"', sweep)
    (_, *runs) = read(write_file(tmp_path, text)).tables["t"].runs["tiny"]
    assert [(run.name, run.settings["hidden"], run.settings["reg"]) for run in runs] == [
        ("auto, hidden = 2, reg = 1", 2, 1.0),
        ("auto, hidden = 2, reg = 5", 2, 5.0),
        ("auto, hidden = 4, 2, reg = 1", (4, 2), 1.0),
        ("auto, hidden = 4, 2, reg = 5", (4, 2), 5.0),
    ]
    assert {run.series for run in runs} == {"auto"}


def test_changed_settings_are_those_that_are_not_defaults(tmp_path):
    bias, auto = read(write_file(tmp_path)).tables["t"].runs["tiny"]
    assert bias.changed_settings == {}
    assert auto.changed_settings == {"hidden": 3, "epochs": 5, "reg": 2.0}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "reg = 2",
            "rge = 2",
            "table t: run auto: There is no setting of autorec 'rge'. Did you mean 'reg'? Known: ",
        ),
        ("reg = 2", 'reg = "much"', "setting reg takes float, found 'much'"),
        ('model = "bias"', 'model = "bais"', "There is no model 'bais'. Did you mean 'bias'?"),
        (
            '"planted/tiny"',
            '"planted/tinny"',
            "part tiny: There is no data set or file 'planted/tinny'. Did you mean",
        ),
        ('"random"', '"rndom"', "There is no split 'rndom'. Did you mean 'random'?"),
        (
            "test = 0.2",
            "tset = 0.2",
            "There is no setting of the random split 'tset'. Did you mean 'test'?",
        ),
        ('"random", test = 0.2', '"published"', "setting of the published split 'repeat'"),
        ("repeat = 2", "repeat = 0", "repeat is the number of splits, 1 or more; found 0"),
        ('like = "small"', 'like = "large"', "There is no like 'large'. Known: small."),
        ("claim.tiny", "claim.huge", "There is no part with a claim 'huge'. Known: tiny."),
        ('where = "Table 1"', 'whence = "Table 1"', "There is no key of a claim 'whence'"),
        ('name = "t"', 'name = "t"\nparts = ["huge"]', "There is no part 'huge'"),
        (
            'name = "t"',
            'name = "t"\nfigure = "hidden"',
            "There is no figure 'hidden'. Known: counts, curves, epochs, gain, runs.",
        ),
        ('name = "t"', 'naem = "t"', "There is no key of a table 'naem'. Did you mean 'name'?"),
        ('name = "auto"', 'name = "bias"', "There are two runs 'bias'"),
        ('paper = "A paper."', 'papre = "A paper."', "There is no key 'papre'. Did you mean"),
        ('paper = "A paper."', "", "paper is missing"),
        (
            'model = "bias"\nclaim.tiny = { value = 0.9, where = "Table 1", within = 0.01 }',
            "",
            "table t: run bias: It has no model: then it has a name and a claim",
        ),
    ],
)
def test_an_error_has_its_place_and_what_is_known(tmp_path, old, new, message):
    assert old in TINY
    with pytest.raises(SettingError) as error:
        read(write_file(tmp_path, TINY.replace(old, new, 1)))
    assert message in str(error.value)
    assert str(error.value).startswith(str(tmp_path / "paper.toml"))


@pytest.mark.parametrize(
    ("check", "message"),
    [
        ('below = ["auto", "nobody"]', "There is no run of this table 'nobody'"),
        ('falls = "auto"', "There is no swept run of this table 'auto'"),
        ('below = ["auto"]', "below takes two runs, or two lists of runs"),
        (
            "",
            "It has 0 of below, above, below_train, near, gains_little, improves, lowest, highest",
        ),
        ('lowest = "auto"\nparts = ["huge"]', "There is no part 'huge'"),
    ],
)
def test_a_check_names_runs_and_parts_that_exist(tmp_path, check, message):
    text = f'{TINY}\n[[table.check]]\nsays = "so"\nwhere = "there"\n{check}\n'
    with pytest.raises(SettingError, match=message):
        read(write_file(tmp_path, text))


def test_a_file_that_is_not_toml_is_refused(tmp_path):
    with pytest.raises(DataError, match="is not TOML"):
        read(write_file(tmp_path, "paper = "))


def test_parts_and_tables_are_selected_by_name(tmp_path):
    text = TINY + '\n[[table]]\nname = "u"\n[[table.run]]\nmodel = "bias"\n'
    experiment = read(write_file(tmp_path, text))

    def names(*only: str) -> list[tuple[str, str]]:
        return [(table.name, part.name) for table, part in select(experiment, only)]

    assert names("u") == [("u", "tiny")]
    assert names("tiny") == names() == [("t", "tiny"), ("u", "tiny")]
    with pytest.raises(SettingError, match="part or table of paper 'v'"):
        names("v")


@pytest.mark.parametrize(
    ("split", "n_splits", "needs"),
    [
        ({"how": "random", "repeat": 5}, None, False),  # a t-test over five splits
        ({"how": "random", "repeat": 5}, 2, True),
        ({"how": "published", "folds": [1, 2]}, None, True),
        ({"how": "time", "repeat": 5}, None, True),  # repetitions of the fit on one split
    ],
)
def test_errors_by_user_are_needed_where_splits_allow_no_t_test(tmp_path, split, n_splits, needs):
    checks = read(write_file(tmp_path, TINY + CHECK)).tables["t"].checks
    table = Table("t", "T", "", {}, checks, n_splits=n_splits)
    assert table.needs_user_sums(Part("p", "d", split)) == needs
    assert not table.needs_user_sums(Part("p", "d", split, metric="rmse_macro"))
    assert not Table("t", "T", "", {}, n_splits=n_splits).needs_user_sums(Part("p", "d", split))


@pytest.mark.parametrize("link", ["javascript:alert(1)", "data:text/html,x", "//x", "ftp://x"])
def test_a_link_that_could_run_code_is_refused(link, tmp_path):
    path = tmp_path / "paper.toml"
    lines = [
        'paper = "P"',
        f'link = "{link}"',
        'data = "planted/tiny"',
        'split = { how = "random", test = 0.2 }',
        "[[run]]",
        'model = "bias"',
    ]
    path.write_text("\n".join(lines))
    with pytest.raises(SettingError, match="link is an address that begins with https://"):
        read(path)

"""What a claim and a check may say: the fold it is about, and how exact it is."""

import pytest
from tests.experiment.experiment_files import TINY, write_file

from recollect.errors import SettingError
from recollect.experiment.parse import read

FOLDS = """
paper = "A paper."
data = "movielens/100k"
split = { how = "published", folds = [1, 2], valid = 0.05 }
[[run]]
model = "bias"
claim = { value = 0.9, where = "Table 1", fold = 1 }
"""
SWEEP = """
paper = "A paper."
[part.few]
data = "planted/tiny"
split = { how = "random", test = 0.4 }
[part.many]
data = "planted/tiny"
split = { how = "random", test = 0.2 }
[[table]]
name = "t"
[[table.run]]
name = "a"
model = "bias"
claim.few = { value = 0.95, where = "Table 4", within = 0.004 }
claim.many = { value = 0.945, where = "Table 4", within = 0.004 }
[[table.run]]
name = "b"
model = "bias"
reg_user = 2
claim.few = { value = 0.97, where = "Table 4", within = 0.004 }
[[table.check]]
says = "a is better than b"
where = "Table 4"
below = ["a", "b"]
"""


def test_a_claim_may_be_about_one_fold(tmp_path):
    (table,) = read(write_file(tmp_path, FOLDS)).tables.values()
    assert table.runs["100k"][0].claim.fold == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (FOLDS.replace("fold = 1", "fold = 3"), r"has the folds \[1, 2\], found fold = 3"),
        (
            TINY.replace("within = 0.01", "fold = 1"),
            "names one of the published folds, and part tiny has random splits; leave out fold",
        ),
    ],
)
def test_a_fold_that_the_part_lacks_is_refused(text, message, tmp_path):
    with pytest.raises(SettingError, match=message):
        read(write_file(tmp_path, text))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'value = 0.945, where = "Table 4", within = 0.004',
            'value = 0.945, where = "Table 4", within = 0.005',
            r"table t: run a: within = 0.005 on part many reaches from 0.945 to 0.95 \(part few\); "
            "state less than 0.005",
        ),
        (
            'value = 0.97, where = "Table 4", within = 0.004',
            'value = 0.97, where = "Table 4", within = 0.02',
            r"run b: within = 0.02 on part few reaches from 0.97 to 0.95 \(check 'a is better",
        ),
        ("value = 0.97,", "value = 0.953,", "run a: within = 0.004 on part few"),
        ('below = ["a", "b"]', 'lowest = "a"', None),
    ],
)
def test_within_may_not_reach_over_a_step_that_is_claimed(old, new, message, tmp_path):
    assert old in SWEEP
    path = write_file(tmp_path, SWEEP.replace(old, new))
    if message is None:
        assert read(path)
        return

    with pytest.raises(SettingError, match=message):
        read(path)


def test_equal_numbers_of_the_paper_claim_no_step(tmp_path):
    assert read(write_file(tmp_path, SWEEP.replace("value = 0.97,", "value = 0.95,")))


def test_a_check_may_name_a_sweep_by_its_name(tmp_path):
    check = '\n[[table.check]]\nsays = "so"\nwhere = "there"\n'
    check += 'gains_little = ["auto", "auto, reg = 0"]\nwithin = 0.002\n'
    text = TINY.replace('like = "small"', 'like = "small"\nsweep = { reg = [0, 1] }') + check
    (check,) = read(write_file(tmp_path, text)).tables["t"].checks
    assert check.groups == (("auto, reg = 0", "auto, reg = 1"), ("auto, reg = 0",))


@pytest.mark.parametrize(
    ("check", "message"),
    [
        ('improves = ["auto", "bias"]', "improves, and no other check, has by"),
        ('below = ["auto", "bias"]\nby = { tiny = 2.0 }', "improves, and no other check, has by"),
        ('improves = ["auto", "bias"]\nby = { huge = 2.0 }', "There is no part 'huge'"),
        ('below_train = ["auto"]', "below_train takes two runs"),
    ],
)
def test_a_check_that_lacks_something_is_refused(check, message, tmp_path):
    text = f'{TINY}\n[[table.check]]\nsays = "so"\nwhere = "there"\n{check}\n'
    with pytest.raises(SettingError, match=message):
        read(write_file(tmp_path, text))


def test_an_improvement_concerns_the_parts_that_it_names(tmp_path):
    check = '\n[[table.check]]\nsays = "so"\nwhere = "there"\n'
    check += 'improves = ["auto", "bias"]\nby = { tiny = 3.92 }\n'
    experiment = read(write_file(tmp_path, TINY + check))
    (check,) = experiment.tables["t"].checks
    assert check.by == {"tiny": 3.92}
    assert check.concerns(experiment.parts["tiny"])
    assert check.parts == ("tiny",)


def test_splits_may_be_a_number_for_each_part(tmp_path):
    experiment = read(
        write_file(tmp_path, TINY.replace('name = "t"', 'name = "t"\nsplits = { tiny = 1 }'))
    )
    assert len(experiment.tables["t"].splits(experiment.parts["tiny"])) == 1
    with pytest.raises(SettingError, match="splits is the number of a part's splits"):
        read(write_file(tmp_path, TINY.replace('name = "t"', 'name = "t"\nsplits = 0')))
    with pytest.raises(SettingError, match="There is no part 'huge'"):
        read(write_file(tmp_path, TINY.replace('name = "t"', 'name = "t"\nsplits = { huge = 1 }')))

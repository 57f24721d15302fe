"""What is read from the source text of the models is what their classes say."""

import dataclasses
import inspect

import pytest

from recollect import model_descriptions
from recollect.errors import SettingError
from recollect.registry import find, model_names
from recollect.settings import range_of


@pytest.mark.parametrize("name", model_names())
def test_settings_are_those_of_the_class(name):
    kind = find(name)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    described = {setting.name: setting for setting in model_descriptions.describe(name).settings}
    assert described.keys() == fields.keys()
    for key, setting in described.items():
        assert setting.type == str(fields[key].type)
        assert setting.default == fields[key].default
        assert setting.range == range_of(kind, key)


@pytest.mark.parametrize("name", model_names())
def test_summary_and_source_stand_in_the_docstring(name):
    document = inspect.getdoc(inspect.getmodule(find(name)))
    described = model_descriptions.describe(name)
    assert described.summary
    assert described.summary in document.partition("\n")[0]
    assert described.summary.endswith(".")
    assert described.source.endswith(".")
    assert described.source.split()[0] in document.partition("Source:")[2].split()[0]


MODULE = '''"""Small: a model for this test.

Source: Nobody. "Nothing."
Differs: in all.
"""

from dataclasses import dataclass
from typing import ClassVar

from recollect.settings import setting, share

WORDS = {"good": 1, "bad": 2}


@dataclass
class Base:
    former: ClassVar[dict] = {}
    factors: int = setting(50, at_least=1)  # k
    reg: float = 0.1  # lambda
    # How many ratings
    # are left out
    dropout: float = share(0.5)


@dataclass
class Small(Base):
    word: str = setting(
        "good",
        one_of=("none", *WORDS),
    )  # what it says
    factors: int = 20
'''


@pytest.fixture
def small(tmp_path, monkeypatch):
    (tmp_path / "small_for_test.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    return model_descriptions.describe("small_for_test:Small")


def test_own_settings_come_first_and_class_variables_are_none(small):
    assert [setting.name for setting in small.settings] == ["word", "factors", "reg", "dropout"]


def test_a_comment_may_stand_behind_a_field_or_above_it(small):
    meanings = {setting.name: setting.meaning for setting in small.settings}
    assert meanings["word"] == "what it says"
    assert meanings["reg"] == "lambda"
    assert meanings["dropout"] == "How many ratings are left out"


def test_a_field_that_is_declared_again_keeps_range_and_comment(small):
    factors = small.settings[1]
    assert (factors.default, factors.range.at_least, factors.meaning) == (20, 1, "k")


def test_a_range_may_name_a_constant_of_the_module(small):
    assert small.settings[0].range.one_of == ("none", "good", "bad")


def test_the_source_ends_where_the_next_heading_begins(small):
    assert (small.summary, small.source) == ("a model for this test.", 'Nobody. "Nothing."')


@pytest.mark.parametrize("name", ["autorek", "nowhere:Model", "recollect.models.autorec:Nothing"])
def test_an_unknown_model_is_an_error(name):
    with pytest.raises(SettingError, match="There is no model"):
        model_descriptions.describe(name)

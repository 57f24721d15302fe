"""Names of earlier releases: each still works, and says what it is called today."""

from operator import attrgetter

import pytest

import recollect as rc


@pytest.mark.parametrize(
    ("former", "today"),
    [
        ("names", "model_names"),
        ("Reading", "Tokenizer"),
        ("filters", "explain.filters"),
        ("exchanged", "explain.swap_words"),
        ("spoken_for", "explain.contributions"),
    ],
)
def test_former_names_work_and_name_todays(former, today):
    with pytest.warns(DeprecationWarning, match=rf"recollect\.{today} now"):
        value = getattr(rc, former)
    assert value is attrgetter(today)(rc)


def test_a_name_that_never_was_is_refused():
    with pytest.raises(AttributeError, match="has no attribute 'name_of_nothing'"):
        attrgetter("name_of_nothing")(rc)

"""A setting of a model: a dataclass field with a default and the range of values that make sense.

    factors: int = setting(50, at_least=1)             # k
    decay: float = setting(1.0, above=0, at_most=1)
    solver: str = setting("als", one_of=("als", "sgd"))

The range stands beside the default, is checked when the model is made, and is shown by the command
line.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from recollect.errors import SettingError, unknown

Number = int | float
KEY = "recollect"  # where a field's metadata holds its Range


@dataclass(frozen=True)
class Range:
    """The values a setting may have; None where there is no limit."""

    at_least: Number | None = None
    above: Number | None = None
    at_most: Number | None = None
    below: Number | None = None
    one_of: tuple[str, ...] = ()
    or_number: bool = False  # beside the words of `one_of`
    formerly: str | None = None
    before: Any = None

    def __str__(self) -> str:
        if self.one_of:
            or_number = " or a number" if self.or_number else ""
            return f"one of {', '.join(self.one_of)}{or_number}"

        limits = {
            "at least": self.at_least,
            "above": self.above,
            "at most": self.at_most,
            "below": self.below,
        }
        return " and ".join(f"{word} {x:g}" for word, x in limits.items() if x is not None)

    def contains(self, number: Number) -> bool:
        """Whether a number lies within all limits."""
        return (
            (self.at_least is None or number >= self.at_least)
            and (self.above is None or number > self.above)
            and (self.at_most is None or number <= self.at_most)
            and (self.below is None or number < self.below)
        )

    def check(self, name: str, value: Any) -> None:
        """Refuse a value out of range; None and what is not a number are left to the model.

        Args:
            name: of the setting, for the message.
            value: a number, a word, or a tuple of numbers, each of which must lie in the range.

        Raises:
            SettingError: if it does not.
        """
        if self.one_of and value is not None and value not in self.one_of:
            if not self.or_number:
                raise unknown(name, str(value), self.one_of)

            if isinstance(value, str | bool) or not math.isfinite(value):
                raise SettingError(f"{name} must be {self}, found {value!r}.")

        numbers = value if isinstance(value, tuple | list) else (value,)

        for number in numbers:
            if isinstance(number, int | float) and not self.contains(number):
                raise SettingError(f"{name} must be {self}, found {value!r}.")


def setting(
    default: Any,
    *,
    at_least: Number | None = None,
    above: Number | None = None,
    at_most: Number | None = None,
    below: Number | None = None,
    one_of: Sequence[str] = (),
    or_number: bool = False,
    formerly: str | None = None,
    before: Any = None,
) -> Any:
    """A dataclass field with this default and range.

    Args:
        default: the value if the user names none; immutable.
        at_least: the smallest value allowed.
        above: a bound that the value must exceed.
        at_most: the largest value allowed.
        below: a bound that the value must not reach.
        one_of: the words allowed.
        or_number: whether a number is allowed beside these words.
        formerly: the name that earlier releases gave this setting; still accepted by
            `registry.make`.
        before: what a saved model has that lacks the setting, as it is older; None: the default.
    """
    allowed = Range(
        at_least=at_least,
        above=above,
        at_most=at_most,
        below=below,
        one_of=tuple(one_of),
        or_number=or_number,
        formerly=formerly,
        before=before,
    )
    return dataclasses.field(default=default, metadata={KEY: allowed})


def share(default: Number | None, *, formerly: str | None = None) -> Any:
    """A setting that is a share: at least 0 and below 1.

    Args:
        default: the value if the user names none; None: the model chooses.
        formerly: the name that earlier releases gave this setting.
    """
    return setting(
        default,
        at_least=0,
        below=1,
        formerly=formerly,
    )


def range_of(kind: Any, name: str) -> Range:
    """The range of a dataclass's field, the one nearest to it among its bases if it only changes
    the default.

    Args:
        kind: a dataclass.
        name: of the field.
    """
    for base in kind.__mro__:
        field = base.__dict__.get("__dataclass_fields__", {}).get(name)
        if field is not None and KEY in field.metadata:
            allowed: Range = field.metadata[KEY]
            return allowed

    return Range()


def check_ranges(model: Any) -> None:
    """Refuse a dataclass one of whose fields is out of range.

    Raises:
        SettingError: naming the setting, its range and the value.
    """
    for field in dataclasses.fields(model):
        allowed = range_of(type(model), field.name)
        value = getattr(model, field.name)
        allowed.check(field.name, value)


def former_names(kind: Any) -> dict[str, str]:
    """The names that earlier releases gave to settings of a dataclass, and today's."""
    names = {}

    for field in dataclasses.fields(kind):
        former = range_of(kind, field.name).formerly
        if former is not None:
            names[former] = field.name

    return names


def former_values(kind: Any) -> dict[str, Any]:
    """What the settings of a dataclass were before they existed, by their names."""
    allowed = {field.name: range_of(kind, field.name) for field in dataclasses.fields(kind)}
    return {name: range_.before for name, range_ in allowed.items() if range_.before is not None}


PYTHON_WORDS = {"True": True, "False": False, "None": None}


def parse_value(text: str) -> Any:
    """The value that a text stands for: JSON, a list such as 500,250, or else the text itself."""
    if text in PYTHON_WORDS:
        return PYTHON_WORDS[text]

    try:
        return json.loads(text)
    except ValueError:
        parts = [part.strip() for part in text.split(",")]
        if len(parts) < 2:
            return text

        return tuple(parse_value(part) for part in parts if part)


def value_as_text(value: Any) -> str:
    """The text from which `parse_value` makes the value: "500,250", "None", "item"."""
    if isinstance(value, list | tuple):
        joined = ",".join(map(value_as_text, value))
        # Without a comma it would be the number alone.
        return joined if len(value) > 1 else f"{joined},"

    return str(value)


def changed(model: Any) -> dict[str, Any]:
    """The settings of a dataclass that differ from its defaults.

    A default of None may have been filled in when the model was made, with a value that depends on
    other settings; that is no difference.
    """
    defaults = {field.name: field.default for field in dataclasses.fields(model)}
    values = {name: getattr(model, name) for name in defaults}
    different = {name: value for name, value in values.items() if value != defaults[name]}
    stated_ones = {k: value for k, value in different.items() if defaults[k] is not None}
    if len(stated_ones) == len(different):
        return different

    try:
        filled = type(model)(**stated_ones)
    except SettingError:  # they only go together with what was stated in place of a None
        return different

    return {
        name: value
        for name, value in different.items()
        if name in stated_ones or value != getattr(filled, name)
    }


def stated(model: Any) -> str:
    """A dataclass's name with the settings that differ from their defaults: "PMF(factors=8)"."""
    settings = [f"{name}={value!r}" for name, value in changed(model).items()]
    return f"{type(model).__name__}({', '.join(settings)})"

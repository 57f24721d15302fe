"""The numbers in lines of the Netflix Prize's files, a column at a time."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
from jaxtyping import Bool, Int16, Int32, Int64, UInt8

from recollect.data.sources.netflix.pieces import Piece

N_USERS = 2_649_429  # the largest id, as the Prize's own README has it; ids have gaps
MAX_DIGITS = len(str(N_USERS))
FIRST = date(1998, 1, 1)
LAST = date(2005, 12, 31)


def users(
    piece: Piece, rows: Int64[np.ndarray, " rows"], tail: int, expected: str
) -> tuple[Int32[np.ndarray, " rows"], Bool[np.ndarray, " rows"]]:
    """The users that lines begin with, and whether each is one.

    Args:
        piece: the text.
        rows: the lines.
        tail: bytes between the user and the end of a line.
        expected: what should stand there, for a message.

    Raises:
        DataError: at a line that is too short or too long for its fields to be in their places.
    """
    start = piece.start[rows]
    end = piece.stop[rows] - tail
    n_digits = end - start
    is_fine = (n_digits >= 1) & (n_digits <= MAX_DIGITS)
    # At once, as the fields of such a line would be taken from the lines beside it.
    if not is_fine.all():
        first = int(rows[np.argmin(is_fine)])
        raise piece.fault(first, expected)

    user = np.zeros(len(rows), np.int32)
    last = end - 1

    for place in range(int(n_digits.max(initial=0))):
        # As unsigned bytes, what is no digit comes out above 9.
        digit = piece.text[last - place] - np.uint8(ord("0"))
        has_digit = n_digits > place
        is_fine &= (digit < 10) | ~has_digit
        own_digit = np.where(has_digit, digit, 0)
        user += own_digit.astype(np.int32) * np.int32(10**place)

    has_leading_zero = piece.text[start] == ord("0")
    is_user = (user >= 1) & (user <= N_USERS)

    return user, is_fine & is_user & ~has_leading_zero


def days(
    text: UInt8[np.ndarray, " bytes"], stop: Int64[np.ndarray, " rows"]
) -> tuple[Int16[np.ndarray, " rows"], Bool[np.ndarray, " rows"]]:
    """The days, counted from 1970, of dates that end at `stop`; and whether each is one."""
    number = np.zeros(len(stop), np.int32)  # YYYYMMDD
    is_fine = np.ones(len(stop), bool)

    for distance in (10, 9, 8, 7, 5, 4, 2, 1):  # of the digits of YYYY-MM-DD
        digit = text[stop - distance] - np.uint8(ord("0"))
        is_fine &= digit < 10
        number *= 10
        number += digit

    number -= FIRST.year * 10_000
    is_fine &= (number >= 0) & (number < len(DAYS))
    place = np.where(is_fine, number, 0)
    day = DAYS[place]
    is_date = day > 0

    return day, is_fine & is_date


def _calendar() -> Int16[np.ndarray, " numbers"]:
    """The day, counted from 1970, of YYYYMMDD minus 19980000; 0 where that is no date."""
    n_years = LAST.year + 1 - FIRST.year
    n_days = (LAST - FIRST).days + 1
    epoch = date(1970, 1, 1)
    calendar = np.zeros(n_years * 10_000, np.int16)

    for j in range(n_days):
        day = FIRST + timedelta(days=j)
        number = int(f"{day:%Y%m%d}") - FIRST.year * 10_000
        calendar[number] = (day - epoch).days

    return calendar


DAYS = _calendar()

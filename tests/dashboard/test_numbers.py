"""Numbers for readers."""

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.dashboard import numbers

FLOATS = st.floats(allow_nan=True, allow_infinity=True)


@settings(max_examples=200, deadline=None)
@given(FLOATS)
def test_no_number_has_more_than_fifteen_digits_or_a_separator_astray(value: float) -> None:
    for text in (numbers.number(value), numbers.compact(value), numbers.share(value)):
        assert len(re.sub(r"\D", "", text)) <= 19, text
        assert not re.search(r",\d{1,2}(?!\d)", text), text


@settings(max_examples=200, deadline=None)
@given(st.floats(min_value=1e-4, max_value=1e14))
def test_a_shown_number_is_within_half_a_digit_of_the_number(value: float) -> None:
    shown = float(numbers.number(value).replace(",", ""))
    assert math.isclose(shown, value, rel_tol=6e-4)
    assert numbers.number(-value) == "−" + numbers.number(value)


@settings(max_examples=200, deadline=None)
@given(st.floats(min_value=0, max_value=1, exclude_min=True, exclude_max=True))
def test_a_share_says_none_or_all_only_if_it_is(value: float) -> None:
    assert numbers.share(value) not in ("0 %", "100 %")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (numbers.number(2013), "2013"),
        (numbers.number(12345.6), "12,346"),
        (numbers.number(0.1 + 0.2), "0.3"),
        (numbers.number(None), "n/a"),
        (numbers.number(float("nan")), "n/a"),
        (numbers.number(float("-inf")), "−∞"),
        (numbers.number(-0.0), "0"),
        (numbers.compact(999_999), "1 M"),
        (numbers.compact(1_200_000), "1.2 M"),
        (numbers.size(44_112_345), "44.1 MB"),
        (numbers.size(12), "12 B"),
        (numbers.seconds(185.2), "3 min 05 s"),
        (numbers.seconds(7322), "2 h 02 min"),
        (numbers.moment(1_357_020_000), "2013-01-01 06:00"),
        (numbers.moment(1e300), "1e+300 s since 1970"),
        (numbers.clock("2013-01-01T05:15:30.250000"), "2013-01-01 05:15:30"),
        (numbers.clock("1 day, 0:00:00"), "1 day, 0:00:00"),
    ],
)
def test_numbers_read_as_a_person_would_write_them(text: str, expected: str) -> None:
    assert text == expected


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=400), st.integers(min_value=1, max_value=60))
def test_a_clipped_text_is_one_line_of_at_most_its_limit(text: str, limit: int) -> None:
    clipped = numbers.clip(text, limit)
    assert len(clipped) <= limit
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029]", clipped)

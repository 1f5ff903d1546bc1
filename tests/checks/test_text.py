"""Dates, numbers and words in any notation."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies import json_values, text
from understudy.checks.text import Seen, dates, numbers, texts, words


@pytest.mark.parametrize(
    "written",
    ["1957-03-04", "4 March 1957", "March 4, 1957", "March 4th, 1957", "4th of March 1957", "born 4 Mar 1957 in Rome"],
)
def test_a_date_is_one_date_in_every_notation(written):
    assert dates(written) == {"1957-03-04"}


@pytest.mark.parametrize("written", ["March 1957", "1957", "4 Marches 19571", "2-3-4", "A1957-03-04"])
def test_what_is_no_full_date_is_none(written):
    assert dates(written) == set()


@pytest.mark.parametrize(
    ("written", "values"),
    [
        ("1,200 km", {1200}),
        ("from 1957-1960", {1957, 1960}),
        ("3.5 and 12", {3.5, 12}),
        ("1960,1970", {1960, 1970}),
        ("A1 2pac v2.0", set()),
    ],
)
def test_numbers_stand_by_themselves(written, values):
    assert numbers(written) == values


def test_words_are_equal_up_to_case_accents_punctuation_and_possessives():
    assert words("Beyoncé's  Anglo-Saxon, the") == words("beyonce anglo saxon")


def test_texts_of_a_json_value():
    assert sorted(texts({"a": [1, 2.5, True, None, {"b": "c"}]})) == ["1", "2.5", "a", "b", "c"]


def test_a_number_is_not_another_number_with_the_same_digits():
    seen = Seen()
    seen.add("15 metres and 1,957 metres")
    assert seen.says("1957")
    assert not seen.says("1.5")


@given(json_values)
def test_whatever_was_added_is_said(value):
    seen = Seen()
    seen.add(value)
    assert all(seen.says(part) for part in texts(value))


@given(text, text)
def test_asking_never_raises_and_a_word_of_its_own_is_not_said(shown, asked):
    seen = Seen()
    seen.add(shown)
    seen.says(asked)
    assert not seen.says("zyzzyva" + "q" * len(shown))


@given(st.dates(min_value=datetime.date(1000, 1, 1)))
def test_every_date_is_read_back_from_both_notations(date):
    assert (
        dates(f"{date:%B} {date.day}, {date.year}") == dates(f"{date.day} {date:%b} {date.year}") == {date.isoformat()}
    )

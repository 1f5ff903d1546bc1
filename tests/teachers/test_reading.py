"""What code reads out of an encyclopedia's passages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.teachers.reading import NAME, Page, dates, is_about, life, nation, place, sentences

HITCHCOCK = Page(
    "Alfred Hitchcock",
    "Sir Alfred Joseph Hitchcock (13 August 1899 – 29 April 1980) was a French film director. "
    "He was born in Leytonstone, the son of a greengrocer. He died of renal failure in his Bel Air home.",
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("X (13 August 1899 – 29 April 1980) was", ("13 August 1899", "29 April 1980")),
        ("X( born 25 September 1949), credited as Y, is", ("25 September 1949", "")),
        ("X (born May 4, 1950 in Paris) is", ("May 4, 1950", "")),
        ("X (Greek: Χ) (1812–1870) was", ("1812", "1870")),
        ("X (died 159), courtesy name Y", ("", "")),
        ("X (died 4 May 1159) was", ("", "4 May 1159")),
        ("X is a village (population 300).", ("", "")),
    ],
)
def test_dates_of_a_life(text, expected):
    assert life(Page("X", text)) == expected


def test_places_and_nations():
    assert place(HITCHCOCK, "birth") == "Leytonstone"
    assert nation(HITCHCOCK) == "French"
    assert nation(Page("X", "X is a village in Golestan Province, Iran.")) == "Iran"
    assert nation(Page("X", "X (born 1959) is a South Korean director.")) == "South Korean"
    assert nation(Page("X", "X is a river.")) == ""


def test_titles_are_compared_without_what_tells_them_apart():
    page = Page("High Heels (1991 film)", "")
    assert is_about(page, "High Heels (1991 Film)")
    assert is_about(page, "high heels")
    assert not is_about(page, "Heels")


def test_sentences_end_where_they_do():
    text = 'J. M. Barrie wrote it. He met Dr. Doyle in St. Ives in 1904. "No." Then he left!'
    assert list(sentences(text))[:2] == ["J. M. Barrie wrote it.", "He met Dr. Doyle in St. Ives in 1904."]


def test_names_and_dates_in_order():
    found = [match.group() for match in NAME.finditer("It was directed by Ludwig van Beethoven and J. R. Ewing. It is")]
    assert found == ["It", "Ludwig van Beethoven", "J. R. Ewing", "It"]
    assert dates("From 1920 to May 4, 1950, and in March 1960") == ["1920", "May 4, 1950", "March 1960"]


@given(st.text(max_size=300))
def test_any_text_can_be_read(text):
    page = Page("X", text)
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())
    life(page), nation(page), place(page, "death")

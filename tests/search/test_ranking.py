"""What is looked for, and how a title that the query names counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.search.ranking import STOP_WORDS, Candidate, best, query_words, words
from understudy.task import Passage


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Małgorzata's Café-Bar_2", ["malgorzata", "s", "cafe", "bar", "2"]),
        ("İSTANBUL Straße", ["istanbul", "strasse"]),
        ("1950–1955?!", ["1950", "1955"]),
        ("", []),
    ],
)
def test_words_have_no_case_no_accents_no_punctuation(text, expected):
    assert words(text) == expected


def test_stop_words_are_left_out_where_others_remain():
    assert query_words("Who is the director of It?") == ["director"]
    assert query_words("The Who") == ["the", "who"]


@given(st.text(max_size=60))
def test_a_query_keeps_a_word_if_it_has_any(text):
    kept = query_words(text)
    assert bool(kept) == bool(words(text))
    assert set(kept) <= set(words(text))
    assert not STOP_WORDS & set(kept) or set(kept) <= STOP_WORDS


def candidates(*titles: str) -> list[Candidate]:
    return [Candidate(row, 1.0, Passage(title=title, text="")) for row, title in enumerate(titles)]


def test_of_equal_scores_the_title_that_the_query_names_wins():
    hits = best("Where was the director of Ali born?", candidates("Born Free", "Alien", "Ali (film)"), 3)
    assert [hit.passage.title for hit in hits] == ["Ali (film)", "Born Free", "Alien"]
    assert [hit.score for hit in hits] == [2.0, 1.25, 1.0]


def test_of_equal_candidates_the_first_indexed_wins():
    same = candidates("A b", "A b", "A b")
    assert [hit.passage for hit in best("b", reversed(same), 2)] == [same[0].passage, same[1].passage]

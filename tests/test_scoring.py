import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.jsonl import read_jsonl
from understudy.scoring import Rule, exact_match, f1, normalize

OFFICIAL = {Rule.HOTPOTQA: "hotpot", Rule.MUSIQUE: "musique", Rule.WIKI2: "2wiki", Rule.BAMBOOGLE: "flashrag"}
rules = st.sampled_from(Rule)
words = st.one_of(
    st.text(alphabet="ab theyno.,'é ", max_size=20), st.text(max_size=20), st.sampled_from(["yes", "No.", "noanswer"])
)


def test_equals_the_official_scripts(shared_data):
    cases = list(read_jsonl(shared_data / "metric_cases.jsonl"))
    assert cases
    for case in cases:
        answers = [case["gold"], *case["aliases"]]
        for rule, prefix in OFFICIAL.items():
            assert exact_match(case["pred"], answers, rule) == bool(case[f"{prefix}_em"]), (rule, case)
            assert f1(case["pred"], answers, rule) == pytest.approx(case[f"{prefix}_f1"], abs=5e-4), (rule, case)


@given(words)
def test_normalize_is_idempotent(text):
    assert normalize(normalize(text)) == normalize(text)


@given(words, words, rules)
def test_single_answer_scores_are_symmetric_and_bounded(a, b, rule):
    assert exact_match(a, [b], rule) == exact_match(b, [a], rule)
    assert f1(a, [b], rule) == pytest.approx(f1(b, [a], rule))
    assert 0 <= f1(a, [b], rule) <= 1
    assert not exact_match(a, [b], rule) or not normalize(a) or f1(a, [b], rule) == 1


@given(words, st.lists(words, min_size=1, max_size=4), rules)
def test_aliases_take_the_maximum_except_for_hotpotqa(prediction, answers, rule):
    accepted = answers[:1] if rule is Rule.HOTPOTQA else answers
    assert f1(prediction, answers, rule) == max(f1(prediction, [answer], rule) for answer in accepted)
    assert exact_match(prediction, answers, rule) == any(exact_match(prediction, [answer], rule) for answer in accepted)

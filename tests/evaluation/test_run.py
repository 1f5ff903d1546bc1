"""A whole run: what it writes, that its manifest makes it again, and what it refuses."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack

import pytest

import filmlibrary as library
import films
from commands import timeless
from understudy.config import load_config
from understudy.errors import InputError, ThresholdError
from understudy.evaluation.run import read_run, run_evaluation
from understudy.evaluation.settings import EvalConfig
from understudy.jsonl import read_json, read_jsonl
from understudy.teachers.ceiling import GoldPolicy, SupportPolicy


@pytest.fixture
def asked(tmp_path):
    return library.write(tmp_path)


def scripted(config: EvalConfig, open_things: AsyncExitStack) -> films.Scripted:
    return films.Scripted(library.search_twice, delays=1)


def written(folder):
    records = sorted(
        (timeless(line) for line in read_jsonl(folder / "records.jsonl")), key=lambda line: line["task_id"]
    )
    result = {key: value for key, value in timeless(read_json(folder / "result.json")).items() if key != "latency"}
    return result, records


async def test_a_result_says_what_was_measured_and_what_it_is_worth(asked, tmp_path):
    finished = await run_evaluation(library.config(*asked), tmp_path / "run", scripted)
    result = read_json(tmp_path / "run" / "result.json")
    assert result["em"]["value"] == pytest.approx(2 / 3)
    assert result["em"]["n"] == 12
    assert {
        "f1",
        "turns",
        "calls",
        "invalid_calls",
        "stops",
        "tokens",
        "prompted",
        "latency",
        "cost",
        "seconds",
    } <= result.keys()
    assert result["rule"] == "musique"  # as the rows say
    assert result["controls"]["noop"]["em"]["value"] == 0
    assert result["controls"]["no_tools"]["tools"] == "none"
    assert result["controls"]["simulator"] is None  # nobody plays these tools
    assert finished.controls.chance.value == 0
    assert finished.result.calls.value == 2
    assert finished.result.turns.value == 3
    manifest, again = read_run(tmp_path / "run")
    assert (manifest, again) == (finished.manifest, finished.result)


async def test_a_manifest_alone_makes_the_same_again(asked, tmp_path):
    first = library.config(*asked, seed=5, limit=7)
    await run_evaluation(first, tmp_path / "one", scripted)
    manifest = read_json(tmp_path / "one" / "manifest.json")
    assert manifest["scorer"] == "musique"
    assert manifest["pins"]["ids"] == [task.id for task in films.tasks[:7]]
    assert len(manifest["pins"]["questions"]) == 64
    assert manifest["pins"]["tools"].startswith("live:bm25-memory:24:")
    assert manifest["limits"]["max_turns"] == 5
    assert manifest["tools"]["search"]["top_k"] == 3
    again = load_config(EvalConfig, tmp_path / "one" / "manifest.json", ["concurrency=2"])
    await run_evaluation(again, tmp_path / "two", scripted)
    assert written(tmp_path / "one") == written(tmp_path / "two")
    assert {**read_json(tmp_path / "two" / "manifest.json"), "concurrency": 64} == manifest


@pytest.mark.parametrize("changed", ["questions", "passages"])
async def test_a_manifest_refuses_changed_data(asked, tmp_path, changed):
    questions, passages = asked
    await run_evaluation(library.config(*asked), tmp_path / "one", scripted)
    path = questions if changed == "questions" else passages
    path.write_text(path.read_text().replace("Red Harbour 3", "Red Harbour 33"))
    again = load_config(EvalConfig, tmp_path / "one" / "manifest.json")
    pin = {"questions": "questions", "passages": "tools"}[changed]
    with pytest.raises(InputError, match=rf"pins\.{pin}: the manifest is of .* but now it is"):
        await run_evaluation(again, tmp_path / "two", scripted)
    freed = load_config(EvalConfig, tmp_path / "one" / "manifest.json", [f'pins.{pin}=""'])
    assert (await run_evaluation(freed, tmp_path / "two", scripted)).result.em.n == 12


async def test_a_manifest_refuses_another_policy_and_missing_questions(asked, tmp_path):
    questions, _ = asked
    await run_evaluation(library.config(*asked), tmp_path / "one", scripted)
    again = load_config(EvalConfig, tmp_path / "one" / "manifest.json")
    with pytest.raises(InputError, match=r"pins\.policy: the manifest is of scripted, but now it is gold"):
        await run_evaluation(again, tmp_path / "two", lambda config, stack: GoldPolicy())
    questions.write_text("".join(questions.read_text().splitlines(keepends=True)[:-1]))
    freed = load_config(EvalConfig, tmp_path / "one" / "manifest.json", ['pins.questions=""'])
    with pytest.raises(InputError, match=r"1 questions of the manifest are not there \('q012' is one\)"):
        await run_evaluation(freed, tmp_path / "two", scripted)


async def test_a_run_goes_on_where_it_was_and_not_in_another_ones_folder(asked, tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    await run_evaluation(library.config(*asked), whole, scripted)
    await run_evaluation(library.config(*asked), cut, scripted)
    lines = (cut / "records.jsonl").read_bytes().splitlines(keepends=True)
    (cut / "records.jsonl").write_bytes(b"".join(lines[:5]) + lines[5][:100])
    (cut / "controls" / "noop.jsonl").unlink()
    (cut / "result.json").unlink()
    counting = films.Scripted(library.search_twice)
    await run_evaluation(library.config(*asked), cut, lambda config, stack: counting, resume=True)
    assert written(cut) == written(whole)
    assert len(counting.opened) == 7
    with pytest.raises(InputError, match="another run's results"):
        await run_evaluation(library.config(*asked), cut, scripted)
    with pytest.raises(InputError, match="configuration changed:\n  seed: was 0, now 1"):
        await run_evaluation(library.config(*asked, seed=1), cut, scripted, resume=True)
    await run_evaluation(library.config(*asked, concurrency=3), cut, scripted, resume=True)


async def test_gold_scores_one_and_the_ceiling_finds_what_annotators_needed(asked, tmp_path):
    gold = await run_evaluation(library.config(*asked), tmp_path / "gold", lambda config, stack: GoldPolicy())
    assert (gold.result.em.value, gold.result.f1.value) == (1, 1)
    found = await run_evaluation(library.config(*asked), tmp_path / "found", lambda config, stack: SupportPolicy())
    assert found.result.em.value == 1
    assert found.controls.no_tools.em.value == 0


async def test_too_many_lost_questions_exceed_their_threshold_with_all_written(asked, tmp_path):
    def silent(config, open_things):
        return films.Scripted(lambda task: [] if int(task.id[1:]) % 2 else library.search_twice(task))

    with pytest.raises(ThresholdError, match=r"6 of 12 questions were lost .*policy_error: the script is over"):
        await run_evaluation(library.config(*asked), tmp_path / "run", silent)
    assert json.loads((tmp_path / "run" / "result.json").read_text())["stops"] == {"answered": 6, "policy_error": 6}


async def test_questions_of_several_benchmarks_need_a_named_scorer(asked, tmp_path):
    questions, _ = asked
    questions.write_text(questions.read_text().replace('"musique"', '"hotpotqa"', 1))
    with pytest.raises(InputError, match=r"several benchmarks \(hotpotqa, musique\); say which scorer"):
        await run_evaluation(library.config(*asked), tmp_path / "one", scripted)
    named = library.config(*asked, scorer="bamboogle")
    assert (await run_evaluation(named, tmp_path / "two", scripted)).result.rule == "bamboogle"


@pytest.mark.parametrize(
    ("tools", "message"),
    [
        ({"source": "live"}, 'source = "live" needs toolset = "search"'),
        ({"source": "simulated"}, 'source = "simulated" needs the table simulator'),
        ({"source": "simulated", "toolset": "evidence"}, 'say facts = "evidence"'),
        ({"source": "live", "toolset": "search", "search": {"kind": "disk"}}, 'kind = "disk" needs path'),
        ({"source": "live", "toolset": "search", "search": {"kind": "http"}}, 'kind = "http" needs url'),
    ],
)
def test_what_does_not_fit_is_one_line(asked, tools, message):
    with pytest.raises(InputError, match=message):
        library.config(*asked, tools=tools)


async def test_a_finished_run_is_asked_for(asked, tmp_path):
    with pytest.raises(InputError, match="not a finished evaluation"):
        read_run(tmp_path)
    await run_evaluation(library.config(*asked), tmp_path / "run", scripted)
    (tmp_path / "run" / "result.json").write_text("[]")
    with pytest.raises(InputError, match="not what an evaluation writes"):
        read_run(tmp_path / "run")


@pytest.mark.parametrize("damaged", [lambda lines: lines[:5], lambda lines: [*lines, lines[0]]], ids=["cut", "doubled"])
async def test_records_that_are_not_all_questions_once_are_not_compared(asked, tmp_path, damaged):
    await run_evaluation(library.config(*asked), tmp_path, scripted)
    lines = (tmp_path / "records.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "records.jsonl").write_bytes(b"".join(damaged(lines)))
    with pytest.raises(InputError, match=r"records\.jsonl: doesn't hold each question of the manifest once"):
        read_run(tmp_path)

"""The Judge: bounded, blind to the accepted answers, and never an error."""

import orjson
import pytest

from handmade import BORN, DIRECTOR, TASK, trace
from understudy.agents.judge import MAX_CHARACTERS, Judge
from understudy.errors import ModelError, OutageError
from understudy.llm.protocol import ChatReply
from understudy.llm.scripted import ScriptedChat


def reply(content):
    message = {"role": "assistant", "content": content}
    return ChatReply(message=message, prompt_tokens=90, completion_tokens=10, cost=0.5)


GOOD = reply('{"reason": "shown", "score": 8}')


async def test_a_verdict_has_its_score_and_what_it_took():
    verdict = await Judge(ScriptedChat([GOOD])).judge(trace(DIRECTOR, BORN))
    assert (verdict.score, verdict.reason, verdict.tokens, verdict.cost) == (0.8, "shown", 100, 0.5)


async def test_it_sees_question_trace_and_answer_and_no_accepted_answer():
    model = ScriptedChat([GOOD])
    await Judge(model).judge(trace(DIRECTOR, answer="Ed Wood", thought="z" * 2 * MAX_CHARACTERS))
    (request,) = model.requests
    asked = orjson.loads(request.messages[1]["content"])
    assert request.role == "judge"
    assert set(asked) == {"question", "trace", "answer", "problems"}
    assert (asked["question"], asked["answer"]) == (TASK.question, "Ed Wood")
    assert len(asked["trace"]) == MAX_CHARACTERS
    assert "Curtis Harrington" in asked["trace"]
    assert not any(answer in request.messages[1]["content"] for answer in TASK.answers)


@pytest.mark.parametrize(
    "bad", ['{"reason": "great", "score": 11}', '{"score": 10}', "10", '{"reason": "", "score": 1e9}']
)
async def test_what_is_out_of_bounds_is_asked_again(bad):
    verdict = await Judge(ScriptedChat([reply(bad), GOOD])).judge(trace(DIRECTOR, BORN))
    assert (verdict.score, verdict.tokens, verdict.cost) == (0.8, 200, 1.0)


@pytest.mark.parametrize(
    ("script", "tokens"), [([reply("no"), reply("no")], 200), ([ModelError("down")], 0), ([OutageError("gone")], 0)]
)
async def test_a_judge_that_fails_says_so(script, tokens):
    verdict = await Judge(ScriptedChat(script)).judge(trace(DIRECTOR, BORN))
    assert verdict.score is None
    assert verdict.reason
    assert verdict.tokens == tokens

"""What agents are told, as it goes out: never the accepted answers, never the keys that are ours."""

from __future__ import annotations

import orjson

from understudy.agents.autoagent import AutoAgent, Form
from understudy.agents.factdrafter import FactDrafter
from understudy.agents.toolactor import ToolActor
from understudy.agents.toolmaker import ToolMaker
from understudy.llm.scripted import ScriptedChat
from understudy.llm.wire import StructuredOutput, to_body
from understudy.rollout import Limits, rollout
from understudy.task import Evidence, Fact, Hop, Passage, Task
from understudy.tools.simulated import SimulatedTools
from understudy.tools.toolbox import Toolbox
from understudy.trace import Status, Stop

SENTINEL = "zyx-accepted-answer"
TASK = Task(
    id="t",
    question="Where was the director of Ali born?",
    answers=(SENTINEL, f"the {SENTINEL}"),
    evidence=Evidence(
        passages=(Passage(title="Ali", text="Ali was directed by Michael Mann, born in Chicago."),),
        hops=(Hop(question="Where was #1 born?", answer=SENTINEL),),
    ),
)
STRING = {"type": "string"}


def tool(name, takes, gives):
    return {
        "name": name,
        "description": f"Look up the {gives} of a {takes}.",
        "parameters": {"type": "object", "properties": {takes: STRING}, "required": [takes]},
        "returns": {"type": "object", "properties": {gives: STRING}, "required": [gives]},
    }


TOOLS = [
    tool("get_director", "film", "director"),
    tool("get_birthplace", "person", "city"),
    tool("get_age", "x", "age"),
]
FACTS = [Fact(subject="Ali", relation="director", object="Michael Mann").model_dump()]
TURNS = [
    "no call and no answer",
    ("get_director", {"film": "Ali"}),
    ("get_director", {"movie": "Ali"}),
    ("calculator", {"expression": "1/0"}),
    ("get_birthplace", {"person": "Michael Mann"}),
    "Final Answer: Chicago\n<answer>Chicago</answer>",
]


def replies():
    turns = iter(TURNS)

    def reply(request):
        if request.role == "autoagent":
            turn = next(turns)
            if isinstance(turn, str):
                return turn if request.tools else turn.partition("\n")[0]
            name, arguments = turn
            if not request.tools:
                return f"Thought: so\nAction: {name}\nAction Input: {orjson.dumps(arguments).decode()}"
            return {"content": "so", "tool_calls": [{"id": "a", "function": {"name": name, "arguments": arguments}}]}
        sent = orjson.loads(request.messages[1]["content"])
        if not sent["problems"]:
            return "not JSON at first"  # so that repair is on the wire too
        answers = {
            "toolmaker": {"kind": "bridge", "utilities": ["calculator"], "tools": TOOLS},
            "factdrafter": {"facts": FACTS},
            "toolactor": {"director": "Michael Mann"} if "film" in sent.get("arguments", {}) else {"city": "Chicago"},
        }
        return orjson.dumps(answers[request.role]).decode()

    return reply


async def test_no_request_tells_an_accepted_answer_or_a_key_of_ours():
    for form in Form:
        model = ScriptedChat(replies())
        toolset = await ToolMaker(model).make(TASK.question, 7)
        world = await FactDrafter(model).draft(TASK)
        tools = Toolbox(SimulatedTools(ToolActor(model)))
        trace = await rollout(TASK, toolset.contracts, world, AutoAgent(model, form), tools, Limits(), 7)
        assert (trace.stop, trace.answer) == (Stop.ANSWERED, "Chicago")
        statuses = [observation.status for observation in trace.observations]
        assert statuses == [Status.INVALID_CALL, Status.OK, Status.INVALID_CALL, Status.TOOL_ERROR, Status.OK]
        assert {request.role for request in model.requests} == {"toolmaker", "factdrafter", "toolactor", "autoagent"}
        for request in model.requests:
            body = to_body(request, "m", StructuredOutput.JSON_SCHEMA)
            assert SENTINEL not in orjson.dumps(body).decode()
            for message in body["messages"]:
                assert not {"source", "fault"} & set(message)
                for call in message.get("tool_calls", ()):
                    assert isinstance(call["function"]["arguments"], str)
            if request.role == "toolactor":
                assert TASK.question not in orjson.dumps(body).decode()

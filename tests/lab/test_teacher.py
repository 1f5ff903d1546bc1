import asyncio
import random
import statistics
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.agents.autoagent import AutoAgent, Form
from understudy.agents.factdrafter import FactDrafter
from understudy.agents.toolactor import ToolActor
from understudy.agents.toolmaker import ToolMaker, contract_problems
from understudy.errors import ModelError
from understudy.lab.conversation import Offered
from understudy.lab.lexicon import relation_named, relations_named
from understudy.lab.live import SEARCH, LiveTools
from understudy.lab.mistakes import Mistakes
from understudy.lab.parsing import parse
from understudy.lab.plans import Op
from understudy.lab.relations import relations
from understudy.lab.results import LIVE_KEYS, NAMES, SENTENCE, value_in
from understudy.lab.tasks import chance
from understudy.lab.teacher import ROLES, ScriptedModel
from understudy.lab.toolmaker import LISTS, PROSE, USUAL
from understudy.llm.protocol import ChatRequest
from understudy.rollout import Limits, rollout
from understudy.schema import dumps
from understudy.scoring import exact_match
from understudy.task import Evidence, Kind, Task
from understudy.tools.simulated import SimulatedTools
from understudy.tools.toolbox import Toolbox
from understudy.trace import ParseFault, Status, Stop, Trace, Turn
from understudy.world import FactsFrom, World

PATIENT = Limits(max_turns=40, max_faults=40)


async def live_trace(
    live: LiveTools, task: Task, model: ScriptedModel, seed: int = 0, form: Form = Form.NATIVE, search: bool = False
) -> Trace:
    toolset = live.toolset(task, seed, search)
    return await rollout(task, toolset, World(task.id), AutoAgent(model, form), Toolbox(live), PATIENT, seed)


async def simulated_trace(task: Task, model: ScriptedModel, seed: int = 0, form: Form = Form.NATIVE) -> Trace:
    made = await ToolMaker(model).make(task.question, seed)
    world = await FactDrafter(model).draft(task)
    tools = Toolbox(SimulatedTools(ToolActor(model)))
    return await rollout(task, made.contracts, world, AutoAgent(model, form), tools, PATIENT, seed)


def share_right(tasks: Sequence[Task], traces: Sequence[Trace]) -> float:
    right = [
        trace.answer is not None and exact_match(trace.answer, task.answers)
        for task, trace in zip(tasks, traces, strict=False)
    ]
    return sum(right) / len(right)


@pytest.mark.parametrize("form", Form)
async def test_without_mistakes_it_answers_with_live_and_with_simulated_tools(
    live: LiveTools, tasks: list[Task], form: Form
) -> None:
    model = ScriptedModel()
    for traces in (
        [await live_trace(live, task, model, form=form) for task in tasks[:200]],
        [await simulated_trace(task, model, form=form) for task in tasks[:200]],
    ):
        assert share_right(tasks[:200], traces) >= 0.99
        for task, trace in zip(tasks, traces, strict=False):
            look_ups = [call for call, _ in trace.calls() if call.name != "calculator"]
            assert len(look_ups) == task.hops
            assert all(observation.status is Status.OK for observation in trace.observations)


async def test_a_search_stands_in_for_look_ups_that_are_missing(live: LiveTools, tasks: list[Task]) -> None:
    open_tasks = [task for task in tasks if chance(task) == 0][:60]
    shares = []
    for offered in ([SEARCH], []):
        traces = []
        for task in open_tasks:
            toolset = [contract for contract in live.toolset(task, 0) if contract.name == "calculator"] + offered
            agent = AutoAgent(ScriptedModel())
            traces.append(await rollout(task, toolset, World(task.id), agent, Toolbox(live), PATIENT, 0))
        shares.append(share_right(open_tasks, traces))
    assert shares[0] > 0.15  # snippets don't always hold the sentence that is wanted
    assert shares[1] == 0


async def test_without_tools_it_can_only_guess(tasks: list[Task]) -> None:
    model, live_tools = ScriptedModel(), Toolbox(SimulatedTools(ToolActor(ScriptedModel())))
    traces = [await rollout(task, [], World(task.id), AutoAgent(model), live_tools, PATIENT, 0) for task in tasks]
    assert all(trace.stop is Stop.ANSWERED and not trace.calls() for trace in traces)
    expected = statistics.mean(chance(task) for task in tasks)
    assert abs(share_right(tasks, traces) - expected) < 0.06


async def test_equal_seeds_give_equal_traces_in_any_order(live: LiveTools, tasks: list[Task]) -> None:
    model = ScriptedModel(1, Mistakes(wrong_tool=0.2, malformed=0.2, misspelt=0.2, wrong_answer=0.2))
    some = tasks[:30]

    async def traces(order: Sequence[Task]) -> dict[str, Trace]:
        made = await asyncio.gather(*(live_trace(live, task, model, seed=4) for task in order))
        return {trace.task_id: trace for trace in made}

    first, second = await traces(some), await traces(random.Random(0).sample(some, len(some)))
    for task in some:
        assert first[task.id].steps == second[task.id].steps
    others = await asyncio.gather(*(live_trace(live, task, model, seed=5) for task in some))
    assert any(first[trace.task_id].steps != trace.steps for trace in others)


@pytest.mark.parametrize("kind", ["wrong_tool", "malformed", "misspelt"])
async def test_it_errs_as_often_as_told_and_recovers(live: LiveTools, tasks: list[Task], kind: str) -> None:
    model = ScriptedModel(0, Mistakes(**{kind: 0.25}))
    traces = [await live_trace(live, task, model) for task in tasks[:200]]
    moves = sum(len(trace.steps) - 1 - ("calculator" in called(trace)) for trace in traces)
    needed = sum(task.hops or 0 for task in tasks[:200])
    assert abs((moves - needed) / moves - 0.25) < 0.04
    assert share_right(tasks[:200], traces) >= 0.99
    faults = sum(isinstance(step.turn, ParseFault) for trace in traces for step in trace.steps)
    statuses = {observation.status for trace in traces for observation in trace.observations}
    assert (faults > 0) == (kind == "malformed")
    assert (Status.INVALID_CALL in statuses) == (kind == "malformed")
    assert (Status.TOOL_ERROR in statuses) == (kind in ("misspelt", "wrong_tool"))


def called(trace: Trace) -> set[str]:
    return {call.name for call, _ in trace.calls()}


@pytest.mark.parametrize("form", Form)
async def test_look_ups_of_two_paths_are_made_at_once_as_often_as_told(
    live: LiveTools, tasks: list[Task], form: Form
) -> None:
    some = [task for task in tasks if (plan := parse(task.question)) and len(plan.paths) == 2][:150]
    turns = {}
    for share in (0.0, 0.4, 1.0):
        model = ScriptedModel(parallel=share)
        traces = [await live_trace(live, task, model, form=form) for task in some]
        assert share_right(some, traces) >= 0.99
        made = [len(step.observations) for trace in traces for step in trace.steps[:1]]
        assert abs(statistics.mean(count == 2 for count in made) - share) < 0.1
        for task, trace in zip(some, traces, strict=True):
            assert len([call for call, _ in trace.calls() if call.name != "calculator"]) == task.hops
            assert len({call.id for call, _ in trace.calls()}) == len(trace.calls())
        turns[share] = [len(trace.steps) for trace in traces]
    saved = [one - other for one, other in zip(turns[0.0], turns[1.0], strict=True)]
    assert saved == [(task.hops or 0) // 2 for task in some]
    assert all(count in either for count, *either in zip(turns[0.4], turns[0.0], turns[1.0], strict=True))


async def test_what_was_told_at_once_is_read_aloud_at_once(live: LiveTools, tasks: list[Task]) -> None:
    for task in [task for task in tasks if task.kind is Kind.COMPARISON][:30]:
        trace = await live_trace(live, task, ScriptedModel(parallel=1.0))
        after = trace.steps[1].turn
        assert isinstance(after, Turn)
        told = [f"{hop.title}'s" for hop in task.evidence.hops] + [hop.answer for hop in task.evidence.hops]
        assert after.thought.count(" is ") == 2
        assert all(value in after.thought.replace(",", "") for value in told)


async def test_wrong_answers_and_premature_stops(live: LiveTools, tasks: list[Task]) -> None:
    wrong = [await live_trace(live, task, ScriptedModel(0, Mistakes(wrong_answer=0.3))) for task in tasks[:200]]
    assert abs(share_right(tasks[:200], wrong) - 0.7) < 0.07
    assert all(len(trace.calls()) >= (task.hops or 0) for task, trace in zip(tasks, wrong, strict=False))
    early = [await live_trace(live, task, ScriptedModel(0, Mistakes(premature=0.2))) for task in tasks[:200]]
    stopped = [len(trace.calls()) < (task.hops or 0) for task, trace in zip(tasks, early, strict=False)]
    expected = statistics.mean(1 - 0.8 ** (task.hops or 0) for task in tasks[:200])
    assert abs(statistics.mean(stopped) - expected) < 0.08


async def test_toolsets_differ_by_seed_and_keep_the_rules(tasks: list[Task]) -> None:
    names, parameters = set(), []
    for task in tasks[:100]:
        plan = parse(task.question)
        assert plan is not None
        for seed in range(2):
            made = await ToolMaker(ScriptedModel()).make(task.question, seed)
            assert made.kind == task.kind
            assert contract_problems(made.contracts, task.question, task.answers) == []
            served = [relation_named(contract.name) for contract in made.contracts if contract.name != "calculator"]
            assert set(plan.relations) < set(served)
            assert len(set(served)) == len(served)
            names |= {contract.name for contract in made.contracts}
            parameters += [next(iter(contract.parameters["properties"])) for contract in made.contracts]
    assert len(names) > 120
    usual = {"name", "title", "expression", *(kind for relation in relations().values() for kind in relation.of)}
    unusual = [parameter for parameter in parameters if parameter not in usual]
    assert abs(len(unusual) / len(parameters) - 1 / 3) < 0.08
    assert len(set(unusual)) > len(unusual) / 2
    live_words = {word for relation in relations().values() for word in relation.live[0].split("_")}
    openings = {name.split("_")[0] for name in names}
    assert not openings & (live_words - {word for name in relations() for word in name.split("_")})


async def test_what_results_are_called_is_mostly_new_and_never_what_live_results_have(tasks: list[Task]) -> None:
    usual = {*PROSE, *LISTS, *NAMES}
    labels, spoken = [], set()
    for task in tasks[:200]:
        made = await ToolMaker(ScriptedModel()).make(task.question, 0)
        fields = next(c.returns["properties"] for c in made.contracts if c.name != "calculator")
        kept = {key: field for key, field in fields.items() if key not in NAMES and relation_named(key) is None}
        labels += [key for key, field in kept.items() if field.get("description") == SENTENCE]
        spoken |= set(kept) | {
            key for field in kept.values() if "items" in field for key in field["items"]["properties"]
        }
    assert not spoken & set(LIVE_KEYS)
    assert len(spoken - usual) > 200
    assert abs(statistics.mean(label in PROSE for label in labels) - USUAL) < 0.2


async def test_it_makes_some_tools_for_questions_it_cannot_read() -> None:
    question = "Did the composer of film Polish War live longer than its director?"
    made = await ToolMaker(ScriptedModel()).make(question, 0)
    assert {"composer", "director"} < {relation_named(contract.name) for contract in made.contracts}


async def test_facts_are_read_from_passages_or_invented_along_the_question(tasks: list[Task]) -> None:
    drafter = FactDrafter(ScriptedModel())
    for task in tasks[:60]:
        from_prose = task.model_copy(update={"evidence": Evidence(passages=task.evidence.passages)})
        world = await drafter.draft(from_prose)
        assert set(task.evidence.facts) <= set(world.facts)
        drafted = await drafter.draft(task, from_evidence=False)
        assert drafted.facts_from is FactsFrom.DRAFTED
        made = await ToolMaker(ScriptedModel()).make(task.question, 0)
        tools = Toolbox(SimulatedTools(ToolActor(ScriptedModel())))
        trace = await rollout(task, made.contracts, drafted, AutoAgent(ScriptedModel()), tools, PATIENT, 0)
        assert all(observation.status is Status.OK for observation in trace.observations)


async def test_what_is_compared_with_is_named_until_the_end(live: LiveTools, tasks: list[Task]) -> None:
    alike = [task for task in tasks if (plan := parse(task.question)) and plan.op is Op.SAME][:20]
    assert {task.answers[0] for task in alike} == {"yes", "no"}
    for task in alike:
        trace = await live_trace(live, task, ScriptedModel())
        thoughts = [step.turn.thought for step in trace.steps if isinstance(step.turn, Turn)]
        half = task.hops // 2  # the look-ups of the first path; the thought after them reads the last one aloud
        assert all(thought.endswith("; the same?") for thought in thoughts[: half + 1])
        first = thoughts[half].split("; ")[0].split(" is ")[1]
        second = thoughts[-1].split("; ")[0].split(" is ")[1]
        assert all(thought.endswith(f"; the same as {first}?") for thought in thoughts[half + 1 : -1])
        assert thoughts[-1].endswith(f"; the same as {first}? {second}, {first}: {task.answers[0]}")


@pytest.mark.parametrize(("tool", "calculates"), [("right_studio", False), ("calculator", True)])
def test_a_look_up_is_no_calculator_whatever_its_parameter_is_called(tool: str, calculates: bool) -> None:
    assert Offered(tool, "expression", relations_named(tool), ()).calculates is calculates


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(role=st.sampled_from((*ROLES, "You are nobody.")), user=JSON | st.text(), extra=st.lists(JSON, max_size=2))
def test_whatever_it_is_sent_it_answers_or_raises_a_model_error(role: str, user: object, extra: list[object]) -> None:
    content = user if isinstance(user, str) else dumps(user) if not _too_large(user) else ""
    later = [{"role": "assistant", "content": "", "tool_calls": extra}, {"role": "tool", "content": dumps("x")}]
    messages = ({"role": "system", "content": role}, {"role": "user", "content": content}, *(later if extra else ()))
    try:
        reply = asyncio.run(ScriptedModel().complete(ChatRequest("", messages)))
    except ModelError:
        return
    assert reply.message["role"] == "assistant"


def _too_large(value: object) -> bool:
    return any(len(number) > 18 for number in str(value).replace("-", " ").split())


@given(content=JSON)
def test_results_of_any_shape_are_read_without_raising(content: object) -> None:
    value_in(content, "director", "Khal Zurj")

"""The data set card: what the traces are, where they come from, and what was rejected."""

from __future__ import annotations

import platform
from collections import Counter
from functools import cache
from importlib import resources

import jinja2

from understudy import __version__
from understudy.jsonl import read_jsonl
from understudy.synthesis.store import FAILURES, REJECTED, TASKS, TRACES, RunFolder


def card(folder: RunFolder, rows: int, licence: str, datasets_version: str) -> str:
    """The ``README.md`` of a data set, with the metadata that the Hub reads at its top."""
    made: dict[str, Counter[str]] = {"policy": Counter(), "tools": Counter(), "facts": Counter()}
    prompts: dict[str, str] = {}
    for record in read_jsonl(folder.path / TRACES):
        provenance = record["provenance"]
        for key, counter in made.items():
            counter[provenance[key]] += 1
        prompts |= provenance["prompts"]
    sources = Counter((record["source"], record["split"]) for record in read_jsonl(folder.path / TASKS))
    reasons: Counter[str] = Counter()
    rejected = 0
    for record in folder.records(REJECTED):
        rejected += 1
        reasons.update(record["reasons"])
    return _template().render(
        rows=rows,
        rejected=rejected,
        failed=sum(1 for _ in folder.records(FAILURES)),
        reasons=sorted(reasons.items()),
        made={key: sorted(counter.items()) for key, counter in made.items()},
        sources=sorted(sources.items()),
        prompts=sorted(prompts.items()),
        licence=licence,
        versions={"understudy": __version__, "datasets": datasets_version, "python": platform.python_version()},
        size=_size(rows),
    )


def _size(rows: int) -> str:
    for limit, name in ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M")):
        if rows < limit:
            return name
    return "n>1M"


@cache
def _template() -> jinja2.Template:
    text = resources.files("understudy.synthesis").joinpath("templates", "card.md.jinja").read_text("utf-8")
    environment = jinja2.Environment(  # noqa: S701 (Markdown, and nothing in it comes from a model)
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    return environment.from_string(text)

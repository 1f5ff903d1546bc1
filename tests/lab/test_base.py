"""The tiny base: its tokenizer, its corpus, its shipped weights, and that pretraining learns and repeats itself."""

import json
import re
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path
from random import Random

import pytest

from understudy.lab.base import names
from understudy.lab.base.corpus import pages
from understudy.lab.base.forms import alike, pick, rest
from understudy.lab.base.page import Page
from understudy.lab.base.tokenizer import RESERVED, VOCAB_SIZE, build_tokenizer, load_tokenizer
from understudy.lab.base.words import word_groups
from understudy.lab.names import inventory_words

pytest.importorskip("torch")

import torch

import understudy.lab.base.pretrain as pretrain_module
from understudy.lab.base import copy_accuracy, load_base
from understudy.lab.base.batches import draw, encode
from understudy.lab.base.model import Shape, weights_dir
from understudy.lab.base.pretrain import PretrainConfig, pretrain
from understudy.lab.base.probe import FORMS, sample

RELATIONS = (
    "direct spouse wife husband partner marri wedd born birth nativ mother father parent child daughter sibling "
    "brother sister famil countr nation city cities town village capital populat inhabit resident found establish "
    "author writ wrote book novel film movie cinema album song music artist compos releas publish employ compan firm "
    "universit school colleg educat profession occupation job boss leader president mayor govern language river "
    "mountain lake island region continent border currency year die death owner invent discover architect headquarter"
)
"""Stems of relations a lab may ask about, and of their kinds of things. No word of the corpus may begin with one."""
ALLOWED = {"discover", "foundation"}


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer(weights_dir())


@pytest.fixture(scope="module")
def base():
    return load_base()


@pytest.mark.parametrize(
    "text",
    [
        '{"of": "Kesh Brontil", "weight": -12, "list": ["a", "B c"]}',
        "What is the metal of Lüdo-Kaz, 1987-04-12?\n  It's 1,234.5 kg.",
        '<think>So.</think>\n<tool_call>\n{"name": "x"}\n</tool_call><answer>Kesh</answer>',
        "日本 \t emoji 🙂 \x00 end ",
    ],
)
def test_tokenizer_round_trips(tokenizer, text):
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_tokenizer_round_trips_random_text(tokenizer):
    rng = Random(0)
    for _ in range(300):
        text = "".join(rng.choice("abC é\"{}[]: ,-'17\n\tÜ日<>|_.") for _ in range(40))
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_the_shipped_tokenizer_is_the_one_that_is_built(tokenizer):
    shipped, built = (json.loads(made.backend_tokenizer.to_str()) for made in (tokenizer, build_tokenizer()))
    assert shipped == built


def test_reserved_tags_are_single_fixed_ids(tokenizer):
    assert len(tokenizer) == VOCAB_SIZE
    assert [tokenizer(tag)["input_ids"] for tag in RESERVED] == [[i] for i in range(len(RESERVED))]
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id) == (0, 1)
    assert tokenizer.chat_template is None


def test_names_split_alike_in_prose_and_json(tokenizer):
    rng = Random(5)
    for _ in range(300):
        name = names.full_name(rng)
        ids = " ".join(map(str, tokenizer(name)["input_ids"]))
        for place in (f"of {name} is", f'{{"x": "{name}"}}', f"{name}.", f"\n{name}, and", f"1791 {name}; 1"):
            assert f" {ids} " in f" {' '.join(map(str, tokenizer(place)['input_ids']))} "


@pytest.mark.parametrize("word", ["mayor", "spouse", "capital", "show", "population"])
def test_a_word_is_one_token_wherever_it_stands(tokenizer, word):
    (token,) = tokenizer(word)["input_ids"]
    assert token >= len(RESERVED)
    for place in (f"the {word} of", f"get_{word}(name)", f'{{"{word}": "x"}}', f": {word}, "):
        assert token in tokenizer(place)["input_ids"]


def test_a_lab_word_is_two_tokens_and_words_seldom_share_the_first(tokenizer):
    ids = [tokenizer(word)["input_ids"] for word in sorted(inventory_words("test"))]
    assert {len(word) for word in ids} == {2}
    first, second = random_pairs(Random(0), [word[0] for word in ids])
    assert sum(a == b for a, b in zip(first, second, strict=True)) / len(first) < 0.01


def random_pairs(rng, items):
    return ([rng.choice(items) for _ in range(2000)] for _ in range(2))


def test_corpus_never_spells_a_word_of_the_lab():
    spoken = {word for page in islice(pages(5, 900), 600) for word in re.findall(r"[^\W\d_]+", page.text)}
    assert len(spoken) > 5000
    assert not spoken & inventory_words()


def test_corpus_is_seeded():
    first, again, other = (list(islice(pages(seed, 800), 30)) for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_corpus_never_shows_tags_calls_or_relations():
    text = "\n".join(page.text for page in islice(pages(11, 1200), 400))
    assert not any(tag in text for tag in RESERVED)
    assert not re.search(r'"(name|arguments|tool|function|parameters|question|answer)"\s*:', text)
    words = {word for group in word_groups().values() for word in group}
    assert len(words) > 1000
    found = {word for word in words for stem in RELATIONS.split() if word.startswith(stem)} - ALLOWED
    assert not found


def test_predictable_stretches_are_marked(tokenizer):
    page = next(pages(0, 900))
    ids, sure = encode(page, tokenizer)
    assert tokenizer.decode(ids) == page.text
    marked = sum(end - start for start, end in page.spans) / len(page)
    assert abs(sum(sure) / len(ids) - marked) < 0.15


SAID = r"((?:\b[A-Z]\.|\d\.|[^.?;])+)"
"""A name, a value or a list of them; with initials and fractions, but no end of a sentence."""


def drawn(form, seed=0, room=4000):
    page = Page()
    form(Random(seed), page, room)
    return page


def test_pages_say_the_truth_about_what_is_the_same():
    text = "".join(drawn(alike, seed).text for seed in range(20))
    verdicts = {"Yes": True, "No": False}
    found = re.findall(rf"Is {SAID} the same as {SAID}\? (Yes|No)\. ", text)
    assert {verdict for *_, verdict in found} == set(verdicts)
    assert all((a == b) == verdicts[verdict] for a, b, verdict in found)


def test_lists_lose_what_is_taken_away():
    entries: list[str] = []
    for started, gone, left in re.findall(rf"All: {SAID}\. |Less ([^:]+): {SAID}\. ", drawn(rest).text):
        if gone:
            entries.remove(gone)
            assert left.split(", ") == entries
        else:
            entries = started.split(", ")


def test_numbers_lead_to_the_names_beside_them_and_back():
    page, told = drawn(pick), 0
    for (_, before), (start, end) in pairwise(page.spans):
        cue, value = (page.text[a:b].strip('.:;{"} ') for a, b in ((before, start), (start, end)))
        line = page.text[page.text.rfind("\n", 0, start) + 1 : before]
        if cue and "\n" not in cue and ";" not in cue:  # asked once more, not the first time after a new statement
            assert any(f"{a}{mark}{b}" in line for a, b in ((cue, value), (value, cue)) for mark in (" ", ": ", " = "))
            told += 1
    assert told > 20


def test_batches_depend_on_seed_and_step_only(tokenizer):
    ids = list(range(300, 400))
    assert draw(1, 7, 0, 4, 64, 0.5, ids, tokenizer) == draw(1, 7, 0, 4, 64, 0.5, ids, tokenizer)
    assert draw(1, 7, 0, 4, 64, 0.5, ids, tokenizer) != draw(1, 7, 1, 4, 64, 0.5, ids, tokenizer)
    assert draw(1, 7, 0, 4, 64, 0.5, ids, tokenizer) != draw(1, 8, 0, 4, 64, 0.5, ids, tokenizer)


@pytest.mark.parametrize("form", FORMS)
def test_probe_keeps_its_distance(tokenizer, form):
    ids, goal = sample(Random(1), tokenizer, form, 300)
    value = ids[-goal:-1]
    starts = [i for i in range(len(ids) - goal) if ids[i : i + goal - 1] == value]
    assert starts
    assert len(ids) - goal - (starts[-1] + goal - 1) >= 299


def test_weights_load_and_are_small(base):
    model, tokenizer = base
    assert next(model.parameters()).dtype == torch.float32
    assert 0.8e6 <= model.num_parameters() <= 1.5e6
    assert model.config.max_position_embeddings >= 1024
    assert model.config.vocab_size == len(tokenizer)
    assert (weights_dir() / "model.safetensors").stat().st_size <= 8e6


def test_base_copies_unseen_names(base):
    score = copy_accuracy(*base, seed=7, distance=300, n=72)
    assert score.n == 72
    assert score.value >= 0.95, score  # 0.99 at n = 300: such a model falls below 0.95 in 6 of 1,000 draws


def test_teacher_forced_match_is_greedy_decoding(base):
    model, tokenizer = base
    ids, goal = sample(Random(2), tokenizer, "json", 50)
    out = model.generate(
        torch.tensor([ids[:-goal]]), attention_mask=torch.ones(1, len(ids) - goal), max_new_tokens=goal, do_sample=False
    )
    forced = model(input_ids=torch.tensor([ids])).logits[0, -goal - 1 : -1].argmax(-1).tolist()
    assert (out[0, -goal:].tolist() == ids[-goal:]) == (forced == ids[-goal:])


TINY = PretrainConfig(steps=12, tokens=512, shape=Shape(width=64, layers=2, heads=2, kv_heads=1, inner=128))


def test_pretraining_learns_repeats_itself_and_replaces_nothing_unasked(tmp_path: Path):
    one, two = pretrain(tmp_path / "one", TINY, samples=3), pretrain(tmp_path / "two", TINY, samples=3)
    assert (one / "model.safetensors").read_bytes() == (two / "model.safetensors").read_bytes()
    record = json.loads((one / "pretrain.json").read_text())
    assert record["cost"]["steps"] == 12
    assert record["cost"]["loss"] < 6.9  # ln(1024) = 6.93 is where it starts
    model, _ = load_base(one)
    assert model.num_parameters() == record["parameters"]
    card = (one / "README.md").read_text()
    assert "Copy accuracy" in card
    assert "understudy lab pretrain --out base --seed 0 --steps 12`" in card
    with pytest.raises(FileExistsError):
        pretrain(tmp_path / "one", TINY)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


def killed(*_):
    raise KeyboardInterrupt


def test_two_processes_share_a_run_and_its_end_is_gone_on_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    together = replace(TINY, processes=2, tokens=3072)  # whole rows of any length for both
    one, two = pretrain(tmp_path / "one", together, samples=3), pretrain(tmp_path / "two", together, samples=3)
    assert (one / "model.safetensors").read_bytes() == (two / "model.safetensors").read_bytes()
    record = json.loads((one / "pretrain.json").read_text())
    assert record["cost"]["tokens"] == together.steps * together.tokens
    assert record["cost"]["loss"] < 6.9
    with monkeypatch.context() as patch:
        patch.setattr(pretrain_module, "copy_accuracy", killed)
        with pytest.raises(KeyboardInterrupt):
            pretrain(tmp_path / "three", together, samples=3)
    three = pretrain(tmp_path / "three", together, samples=3)
    assert (three / "model.safetensors").read_bytes() == (one / "model.safetensors").read_bytes()
    with pytest.raises(ValueError, match="number of steps"):
        pretrain(tmp_path / "four", replace(together, steps=None))


def test_a_killed_run_goes_on_to_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    whole = pretrain(tmp_path / "whole", TINY, samples=3)
    monkeypatch.setattr(pretrain_module, "SAVE_EVERY", 5)
    steps = []

    def killed_at_eight(*args):
        steps.append(args[1])
        if len(steps) == 9:
            raise KeyboardInterrupt
        return draw(*args)

    monkeypatch.setattr(pretrain_module, "draw", killed_at_eight)
    with pytest.raises(KeyboardInterrupt):
        pretrain(tmp_path / "cut", TINY, samples=3)
    assert not (tmp_path / "cut").exists()
    with pytest.raises(ValueError, match="other settings"):
        pretrain(tmp_path / "cut", replace(TINY, seed=5), samples=3)
    cut = pretrain(tmp_path / "cut", TINY, samples=3)
    assert steps[9] == 5
    assert (cut / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut", "whole"]

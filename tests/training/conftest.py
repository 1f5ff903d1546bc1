"""Fixtures of the training tests. One thread: the models are too small for two."""

from __future__ import annotations

import pytest
import torch

import tiny
from letters import guesser
from understudy.training.render import Renderer, template_text


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tokenizer():
    return tiny.build_tokenizer()


@pytest.fixture(scope="session")
def renderer(tokenizer):
    return Renderer(tokenizer, template_text("lab"))


@pytest.fixture
def model(tokenizer):
    return tiny.build_model(tokenizer)


@pytest.fixture(scope="session")
def start(tokenizer, tmp_path_factory):
    """A model that knows the grammar and guesses letters."""
    return guesser(tokenizer, tmp_path_factory.mktemp("start"))

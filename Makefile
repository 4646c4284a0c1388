# The house's commands; `make` alone lists them. They need Python >= 3.11 with pip, and make.

VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.servegraph-installed
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
CODE := src tests examples benchmarks

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1

.PHONY: help install demo test check format bench clean
.DEFAULT_GOAL := help

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

install: $(STAMP) ## set up .venv with all extras and the test tools

$(STAMP): pyproject.toml Makefile
	@test -n "$(PYTHON)" || { echo "servegraph needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "$(PYTHON) has no venv module (on Debian and Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@echo "installing servegraph and its tools into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	@$(BIN)/python -m pip install --quiet --editable ".[all]" --group test
	@touch $(STAMP)

demo: install ## train, save, serve and ask a real model (KEEP=1 leaves it serving)
	@$(BIN)/python examples/demo.py $(if $(KEEP),--keep)

test: check ## everything that has to pass: the checks, then the tests in parallel
	$(BIN)/python -m pytest

check: install ## lint, format, types and import contracts only
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install ## let ruff put the code in order
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

bench: install ## measure what a graph costs in process (BENCH_PEERS=python of a venv with mlrun and storey)
	@$(BIN)/python benchmarks/in_process.py

clean: ## remove the environment, caches and what the demo wrote
	rm -rf $(VENV) demo .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

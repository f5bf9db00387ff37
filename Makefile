# Headrace. Every target is one plain command you could type; `make help` prints this list.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# The interpreter that makes .venv: 3.11 or newer. `make setup PYTHON=python3.12` to choose.
PYTHON ?= python3
BIN := .venv/bin
UV := .make/uv/bin/uv
export UV_PYTHON_DOWNLOADS := never
export UV_PROJECT_ENVIRONMENT := $(CURDIR)/.venv
# Many images set this; it would make every import three times as slow.
unexport PYTHONDONTWRITEBYTECODE

STATIC := src/headrace/server/static/index.html
UI_SOURCES := $(shell find ui -type f -not -path '*/node_modules/*' -not -path '*/dist/*' 2>/dev/null)

.PHONY: help demo up setup setup-dev check test mutants format ui ui-check api-types golden bench clean

help: ## print this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | awk -F'\t' '{printf "  make %-15s %s\n", $$1, $$2}'

demo: setup ## set up, then run the example pipeline and show the result
	$(BIN)/headrace run examples/breast_cancer.py

up: setup ## server and UI until Ctrl-C
	$(BIN)/headrace up

setup: .make/setup.stamp $(STATIC) ## .venv with the `headrace` command, locked, and the built UI

setup-dev: .make/dev.stamp $(STATIC) ## setup, and what tests and checks need

check: .make/dev.stamp ## format, types, import contracts, fast tests: under four minutes on two cores
	$(BIN)/ruff format --check -q .
	$(BIN)/ruff check -q .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	HEADRACE_HISTORIES="$${HEADRACE_HISTORIES:-40}" HEADRACE_SIMULATIONS="$${HEADRACE_SIMULATIONS:-4}" $(BIN)/pytest -n 2 --dist loadgroup -m "not slow and not browser and not container" tests/unit tests/properties tests/simulation tests/conformance tests/differential tests/golden

test: setup-dev ## everything that `check` does, the UI's own tests, and all of tests/
	$(BIN)/ruff format --check -q .
	$(BIN)/ruff check -q .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(MAKE) ui-check
	$(BIN)/pytest -m browser tests
	HEADRACE_HISTORIES="$${HEADRACE_HISTORIES:-20000}" HEADRACE_SIMULATIONS="$${HEADRACE_SIMULATIONS:-100}" $(BIN)/pytest -n 2 --dist loadgroup -m "not browser" tests

mutants: setup-dev ## plant each fault of tests/mutants/faults: its suite must find it (ROOM=store, NAME=a-fault)
	$(BIN)/python tests/mutants/hunt.py $(NAME) $(if $(ROOM),--room $(ROOM))

format: .make/dev.stamp ## rewrite the Python and UI sources in the house format
	$(BIN)/ruff format -q .
	$(BIN)/ruff check -q --fix .
	cd ui && PATH="$(CURDIR)/$(BIN):$$PATH" npm run --silent format

ui: $(STATIC) ## build the web UI into the package

ui-check: $(STATIC) ## the UI's types, lint, unit tests and size budget
	cd ui && export PATH="$(CURDIR)/$(BIN):$$PATH" && npm run --silent typecheck && npm run --silent lint && npm run --silent test && npm run --silent size

api-types: setup-dev ## regenerate openapi.json and the UI's types from the server's routes
	$(BIN)/python -m headrace.server.openapi > openapi.json
	cd ui && PATH="$(CURDIR)/$(BIN):$$PATH" npm run --silent api-types

golden: .make/dev.stamp ## rewrite the expected outputs in tests/golden and examples; review the diff
	HEADRACE_REWRITE_GOLDEN=1 $(BIN)/pytest tests/golden

bench: setup-dev ## the benchmarks, each beside its baseline in the same run
	for f in run peers service executor engine compile; do echo "== benchmarks/$$f.py"; $(BIN)/python benchmarks/$$f.py; done

clean: ## remove everything `make` has made here
	rm -rf .venv .make ui/node_modules src/headrace/server/static

# --- how the above come about ------------------------------------------------------------------

$(UV): requirements-bootstrap.txt
	@command -v $(PYTHON) >/dev/null || { echo "error: no $(PYTHON). Install Python 3.11 or newer (Debian: apt-get install python3 python3-venv), or say make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: $(PYTHON) is $$($(PYTHON) -V 2>&1); Headrace needs 3.11 or newer. Say: make PYTHON=python3.12"; exit 1; }
	rm -rf .make/uv
	@$(PYTHON) -m venv .make/uv || { echo "error: $(PYTHON) cannot make virtual environments. Debian: apt-get install python3-venv"; exit 1; }
	.make/uv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-bootstrap.txt
	touch $@

# --inexact: `make demo` after `make test` must not take the development tools away.
.make/setup.stamp: $(UV) pyproject.toml uv.lock
	$(UV) sync -q --locked --inexact --python $(PYTHON) --extra server --no-default-groups --group ui
	touch $@

.make/dev.stamp: .make/setup.stamp
	$(UV) sync -q --locked --inexact --python $(PYTHON) --all-extras
	touch $@

ui/node_modules/.package-lock.json: ui/package.json ui/package-lock.json | .make/setup.stamp
	cd ui && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $@

$(STATIC): ui/node_modules/.package-lock.json $(UI_SOURCES)
	cd ui && PATH="$(CURDIR)/$(BIN):$$PATH" npm run --silent build
	touch $@

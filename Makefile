# Two commands: `make demo` shows Freshet, `make test` tests all of it. `make help` lists the rest.

VENV := .venv
BIN := $(VENV)/bin
# Python 3.11 under whichever name it has here; only used to make the virtual environment.
PYTHON ?= $(shell for name in python3.11 python3 python; do \
	$$name -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null && echo $$name && break; done)
UV := $(BIN)/uv pip
# Where Python is told to keep no bytecode, each process would compile torch and transformers anew: 5 s and more.
unexport PYTHONDONTWRITEBYTECODE
EMBEDDED_ONLY := not kafka and not redis and not browser and not realdata and not slow

DEMO_ARGS ?=
PYTEST_ARGS ?=
BENCH ?=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test check check-tests lint types format bench bench-quality bench-search chaos lock schemas services venv clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 24

demo: $(VENV)/.runtime ## the whole of it in one process on http://127.0.0.1:8000; DEMO_ARGS="--exit-after 60"
	@$(BIN)/freshet demo $(DEMO_ARGS)

test: services ## every test, on real Kafka, Redis and Chromium; PYTEST_ARGS="tests/streams -k redis"
	$(BIN)/pytest $(PYTEST_ARGS)

check: lint ## lint, types and the tests on embedded parts alone: no root, no Java, under 3 minutes
	@$(MAKE) --no-print-directory -j2 types check-tests

check-tests: $(VENV)/.test
	$(BIN)/pytest -q -m "$(EMBEDDED_ONLY)" $(PYTEST_ARGS)

lint: $(VENV)/.test ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.test ## mypy --strict
	$(BIN)/mypy

format: $(VENV)/.test ## ruff's formatter and its safe repairs
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.test ## the figures of docs/benchmarks.md; BENCH=name runs one, BENCH=--resume goes on after a stop
	@$(BIN)/python -m benchmarks.run figures $(BENCH)

bench-quality: $(VENV)/.test ## how good the lists are
	@$(BIN)/python -m benchmarks.run quality $(BENCH)

bench-search: $(VENV)/.test ## how good and how fast search is
	@$(BIN)/python -m benchmarks.run search $(BENCH)

chaos: services ## faults under load, every row or one; ROW=kill CYCLES=20 SEED=7
	@$(BIN)/python -m benchmarks.chaos $(if $(ROW),--row $(ROW)) $(if $(CYCLES),--cycles $(CYCLES)) $(if $(SEED),--seed $(SEED))

schemas: $(VENV)/.runtime ## docs/asyncapi.yaml, docs/schemas/ and docs/settings.md from the code
	$(BIN)/python -m streams.wire.schemas
	$(BIN)/python -m streams.settings_page

services: $(VENV)/.test ## what the tests need besides Python: Kafka, redis-server, Chromium, the AsyncAPI parser
	@.ci/services

lock: $(BIN)/uv ## both locks anew from pyproject.toml
	$(UV) compile -q pyproject.toml --extra test --generate-hashes --python-version 3.11 \
		--custom-compile-command "make lock" $(LOCK_ARGS) -o requirements-test.lock
	$(UV) compile -q pyproject.toml --generate-hashes --python-version 3.11 -c requirements-test.lock \
		--custom-compile-command "make lock" $(LOCK_ARGS) -o requirements.lock

venv: $(VENV)/.test ## the virtual environment with everything that tests need

clean: ## remove what these commands made, except data
	rm -rf $(VENV) .services build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

# Each stamp is newer than the lock that it was installed from, so that a second run starts at once.

$(BIN)/uv: requirements-bootstrap.lock
	@test -n "$(PYTHON)" || { echo "Freshet needs Python 3.11: install it, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-bootstrap.lock
	@touch $@

$(VENV)/.runtime: $(BIN)/uv requirements.lock pyproject.toml
	$(UV) install -q --python $(BIN)/python --require-hashes -r requirements.lock
	$(UV) install -q --python $(BIN)/python --no-build-isolation --no-deps -e .
	@touch $@

$(VENV)/.test: $(VENV)/.runtime requirements-test.lock
	$(UV) install -q --python $(BIN)/python --require-hashes -r requirements-test.lock
	@touch $@

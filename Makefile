# make demo: the main job.  make test, make check, make bench: see README.md.
.DEFAULT_GOAL := help
.PHONY: help setup servers core demo browser test check bench gate-study drill-engine drill-data drill-redis drill-records fuzz clean

# A private uv when none is on PATH.
UV := $(shell command -v uv || echo .uv/bin/uv)
RUN := .venv/bin
export PYTHONDONTWRITEBYTECODE =

help: ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

.uv/bin/uv:
	@python3 -m venv .uv && .uv/bin/python -m pip --quiet install uv

setup: .venv/.ready ## install the locked packages and the servers the machine lacks; leaves .venv/bin/elson ready
	@$(MAKE) --no-print-directory -j2 servers core

servers: .venv/.ready
	@$(RUN)/elson doctor --install --quiet

core: .venv/.ready # Compiled where there is a C compiler, once after each change of it; see platform/trading/compiler.py.
	@PYTHONPATH=platform $(RUN)/python -m trading.compiler

.venv/.ready: pyproject.toml uv.lock | $(filter .uv/bin/uv,$(UV))
	@$(UV) sync --frozen --quiet --compile-bytecode && touch $@

demo: setup ## run the main job: stack up, loaded, hurt, judged
	@$(RUN)/elson run quickstart

browser: # Chromium, for the test that opens the report; the test says so when there is none
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
		&& apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y install chromium >/dev/null; } || true

test: setup browser ## run all tests
	@$(RUN)/pytest -q -n 3 --dist loadfile --no-loadscope-reorder \
		--ignore=scenarios/tests/test_whole_run.py --ignore=loadtests/tests/test_frozen.py
	@$(RUN)/pytest -q -n 2 scenarios/tests/test_whole_run.py # among themselves: beside other tests, runs are INVALID
	@$(RUN)/pytest -q loadtests/tests/test_frozen.py # alone: it holds a latency to one per cent, others' time included

check: .venv/.ready ## lint, format, types, import contracts
	@$(RUN)/ruff check .
	@$(RUN)/ruff format --check .
	@$(RUN)/mypy
	@$(RUN)/lint-imports --no-cache

bench: setup ## run every benchmark and print one table
	@$(RUN)/python -m reports.bench

gate-study: .venv/.ready ## how often the gate cries wolf, and what it finds: reports/published/gate-study.md
	@$(RUN)/python -m reports.gate_study

drill-engine: setup ## kill, freeze and revive engines under load, again and again; count what was lost
	@PYTHONPATH=platform $(RUN)/python -m drills.engine

drill-data: setup ## kill, freeze and rejoin database servers under writers, then under orders; count what was lost
	@PYTHONPATH=platform $(RUN)/python -m drills.database
	@PYTHONPATH=platform $(RUN)/python -m drills.backup
	@PYTHONPATH=platform $(RUN)/python -m drills.failover

drill-redis: setup ## kill and freeze Redis' primary under orders, log-ins and subscribers; how long they miss it
	@PYTHONPATH=platform $(RUN)/python -m drills.redis

drill-records: setup ## kill whole runs at 50 random moments; whether each record reads, and is judged INVALID
	@$(RUN)/python -m scenarios.drills.killed_runs

fuzz: setup ## 100,000 requests and frames nobody would write, and a million commands of every sort
	@PYTHONPATH=platform $(RUN)/python -m drills.fuzz
	@ELSON_SOAK_COMMANDS=1000000 $(RUN)/pytest -q platform/tests/core/test_soak.py

clean: ## remove what the targets above made, but for the records of runs
	@rm -rf .venv .uv .compiled .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

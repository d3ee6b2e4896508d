# The verbs of this checkout. Needs GNU make 3.81 or newer, Python 3.11 or newer, and git; nothing else.
#
# Installing is stamped: it runs again only when a lock file or pyproject.toml has changed.
# Give the tests arguments with ARGS, as in `make test-fast ARGS="-k storm -x"`; choose a Python with PYTHON=….

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help install install-dev sandbox sandbox-reset test test-fast lint bench chaos lock clean

VENV := .venv
PY := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
INSTALLED_DEV := $(VENV)/.installed-dev

# A shim that names a Python it does not have answers with an error, so each candidate is asked to run.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	if $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then command -v $$p; break; fi; done)

# Bytecode is written when a module is first imported: compiling all that is installed takes longer than installing it.
# Most of what the tests do is wait, so four at a time on two cores. The tests of one file share what is slow to start.
SIDE_BY_SIDE = -n 4 --dist loadfile --no-loadscope-reorder
PIP_INSTALL = PIP_DISABLE_PIP_VERSION_CHECK=1 $(PY) -m pip install --quiet --no-input --no-compile
LOCK = pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --extra build

help:  ## show the verbs
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' Makefile | awk -F'|' '{printf "  make %-14s %s\n", $$1, $$2}'

install: $(INSTALLED)  ## install the bot from requirements.lock into .venv

install-dev: $(INSTALLED_DEV)  ## and what the tests and checks need

sandbox: $(INSTALLED)  ## start the bot and pretend Slack, PagerDuty, Jira, Kubernetes and metrics on this machine
	@$(VENV)/bin/captain sandbox $(ARGS)

sandbox-reset: $(INSTALLED)  ## forget what the sandbox holds
	@$(VENV)/bin/captain sandbox reset $(ARGS)

# A finding of the linters does not hide what the tests say; both must be clean for this to succeed.
# The few tests that fail side by side run once more, alone, and are named: load is told from a fault, and neither is hidden.
test: $(INSTALLED_DEV)  ## format, lint, types, import contracts, and every test
	@lint=0; $(MAKE) --no-print-directory lint || lint=$$?; \
	$(PY) tests/ground/again.py $(SIDE_BY_SIDE) $(ARGS) || exit $$?; \
	test $$lint -eq 0 || { echo "The tests passed, but the linters found something: see above." >&2; exit $$lint; }

test-fast: $(INSTALLED_DEV)  ## the tests that need no browser, no real Prometheus and little time
	@$(PY) -m pytest $(SIDE_BY_SIDE) -m "not slow and not browser and not realprom" $(ARGS)

lint: $(INSTALLED_DEV)  ## format, lint, types and import contracts; all four speak, whichever fails
	@found=0; \
	$(PY) -m ruff format --check . || found=1; \
	$(PY) -m ruff check --quiet . || found=1; \
	$(PY) -m mypy || found=1; \
	$(VENV)/bin/lint-imports || found=1; \
	exit $$found

bench: $(INSTALLED_DEV)  ## measure speed against the written goals
	@PYTHONPATH=tests $(PY) tests/bench/run.py $(ARGS)

chaos: $(INSTALLED_DEV)  ## kill the bot 500 times on each database and look for what is lost or doubled (50 minutes)
	@PYTHONPATH=tests:. $(PY) -m chaos.run $(ARGS)

lock:  ## write both lock files anew from pyproject.toml
	@if command -v uv >/dev/null 2>&1; then uv=uv; else \
		test -x $(VENV)/lock/bin/uv || { $(MAKE) --no-print-directory $(PY) && $(PY) -m venv $(VENV)/lock \
			&& $(VENV)/lock/bin/python -m pip install --quiet uv; } || exit 1; uv=$(VENV)/lock/bin/uv; fi; \
	$$uv $(LOCK) -o requirements.lock pyproject.toml && \
	$$uv $(LOCK) --extra dev -c requirements.lock -o requirements-dev.lock pyproject.toml

clean:  ## remove what installing and testing made; data is kept
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A .venv that was interrupted has no working pip; making it again over the old one mends it.
$(PY):
	@python='$(PYTHON)'; test -n "$$python" || { \
		echo "No Python 3.11 or newer found. Install one (python.org, brew install python@3.13, apt install python3)," >&2; \
		echo "or name it: make install PYTHON=/path/to/python3.12" >&2; exit 1; }; \
	"$$python" -m venv $(VENV) || { \
		echo "$$python cannot make a virtual environment. On Debian and Ubuntu: apt install python3-venv" >&2; \
		rm -f $(PY); exit 1; }

$(INSTALLED): $(PY) requirements.lock pyproject.toml
	@echo "Installing the bot into $(VENV)…"
	@$(PIP_INSTALL) --require-hashes -r requirements.lock
	@$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(INSTALLED_DEV): $(INSTALLED) requirements-dev.lock
	@echo "Installing what the tests need into $(VENV)…"
	@$(PIP_INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@

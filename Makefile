# Each target works in a bare clone; what is done already is not done again.
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup run dev check test coverage lint security bench screenshots lock clean

PYTHON ?= $(firstword $(shell for name in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$name -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name; done))
VENV := .venv
BIN := $(VENV)/bin
CATALOGUES := $(wildcard smsapp/translations/*/LC_MESSAGES/messages.po)
PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet --require-hashes
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-emit-index-url \
	--no-emit-find-links --custom-compile-command "make lock"
export FLASK_APP := wsgi.py
export INSTANCE_DIR ?= $(CURDIR)/instance
DEMO ?= 1
TESTS ?=
BENCH ?=

# $(call timed,what,command): say what is done, do it, say how long it took.
timed = echo "$(1) ..."; begun=$$(date +%s); $(2) && echo "   done in $$(( $$(date +%s) - begun )) s"

help:
	@echo "make run       set up, migrate, fill with demo data on the first start, and serve (PORT=8000, DEMO=0)"
	@echo "make dev       the same, and every change of the code restarts pages and workers"
	@echo "make check     formatting, style, types, the house's rules and the domain's tests: before each commit"
	@echo "make test      every test, on SQLite, PostgreSQL and Valkey (TESTS=tests/domain for some)"
	@echo "make coverage  the same, and fails if too few lines of the product were run"
	@echo "make lint      formatting, style and types"
	@echo "make security  bandit and semgrep with the house's own rules (.semgrep.yml)"
	@echo "make bench     what it can carry, written to docs/performance.md (BENCH=--quick for a tenth)"
	@echo "make screenshots  take the pictures of the guide and README anew, from demo data (needs chromium)"
	@echo "make lock      write requirements.lock and requirements-dev.lock anew from requirements*.txt"
	@echo "make clean     forget the virtual environment; data in the instance folder stays"

setup: $(VENV)/ready $(VENV)/translated

# pip says what went wrong; the stamp is only there if everything is.
$(VENV)/ready: requirements.lock | $(VENV)/made
	$(PIP) -r requirements.lock
	@touch $@

$(VENV)/ready-dev: requirements-dev.lock requirements.lock | $(VENV)/made
	$(PIP) -r requirements-dev.lock
	@touch $@ $(VENV)/ready

$(VENV)/made:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer with its venv module is needed; set PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/translated: $(CATALOGUES) | $(VENV)/made
	@$(MAKE) --silent --no-print-directory $(VENV)/ready
	$(BIN)/pybabel --quiet compile --directory smsapp/translations
	@touch $@

run:
	@$(call timed,Setting up Python and packages,$(MAKE) --silent --no-print-directory setup)
	@$(MAKE) --silent --no-print-directory filled
	@echo "Serving on http://127.0.0.1:$(or $(PORT),8000)/ (Ctrl+C ends it)"
	@exec $(BIN)/flask serve

dev: $(VENV)/ready-dev $(VENV)/translated
	@$(MAKE) --silent --no-print-directory filled
	@exec $(BIN)/flask serve --reload

.PHONY: filled
filled:
	@mkdir -p "$(INSTANCE_DIR)"
	@$(call timed,Bringing the database up to date,LOG_LEVEL=WARNING $(BIN)/flask db upgrade)
	@test "$(DEMO)" = 0 -o -e "$(INSTANCE_DIR)/demo.done" || { \
		$(call timed,Adding demo data (flask demo --remove takes it away),LOG_LEVEL=WARNING $(BIN)/flask demo) && touch "$(INSTANCE_DIR)/demo.done"; }

check: lint $(VENV)/translated
	$(BIN)/python -m pytest -q -n 2 tests/house tests/domain

test: $(VENV)/ready-dev $(VENV)/translated
	$(BIN)/python -m pytest -n 2 $(TESTS)

coverage: $(VENV)/ready-dev $(VENV)/translated
	$(BIN)/python -m pytest -n 2 --cov --cov-report=term:skip-covered $(TESTS)

bench: $(VENV)/ready-dev $(VENV)/translated
	$(BIN)/python -m bench $(BENCH)

screenshots: $(VENV)/ready-dev $(VENV)/translated
	$(BIN)/python -m tests.browser.screenshots

lint: $(VENV)/ready-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/bandit --quiet --recursive --severity-level medium smsapp config.py worker.py wsgi.py

# semgrep pins versions of libraries that we use, too; so it has an environment of its own.
security: $(VENV)/ready-dev
	$(BIN)/bandit --quiet --recursive --severity-level medium smsapp config.py worker.py wsgi.py
	$(BIN)/uv tool run --quiet --from semgrep==1.185.0 semgrep scan --config .semgrep.yml --metrics off \
		--disable-version-check --error --quiet smsapp config.py worker.py wsgi.py

# Hashes of all platforms; neither the address of an index nor a path of this machine gets into the files.
lock: $(VENV)/ready-dev
	$(LOCK) requirements.txt --output-file requirements.lock
	$(LOCK) requirements-dev.txt --constraint requirements.lock --output-file requirements-dev.lock

clean:
	rm -rf $(VENV)

# Each target works in a bare clone; what is done already is not done again.
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup run test bench lint clean

PYTHON ?= $(firstword $(shell for name in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$name -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name; done))
VENV := .venv
BIN := $(VENV)/bin
CATALOGUES := $(wildcard smsapp/translations/*/LC_MESSAGES/messages.po)
export FLASK_APP := wsgi.py
export INSTANCE_DIR ?= $(CURDIR)/instance
DEMO ?= 1
TESTS ?=
BENCH ?=

help:
	@echo "make run    set up, migrate, fill with demo data on the first start, and serve (PORT=8000, DEMO=0)"
	@echo "make test   every test, on SQLite, PostgreSQL and Valkey (TESTS=tests/domain for some)"
	@echo "make lint   formatting, style and types"
	@echo "make bench  what it can carry, written to docs/performance.md (BENCH=--quick for a tenth)"
	@echo "make clean  forget the virtual environment; data in the instance folder stays"

setup: $(VENV)/ready $(VENV)/translated

# pip says what went wrong; the stamp is only there if everything is.
$(VENV)/ready: requirements.txt | $(VENV)/made
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -r requirements.txt
	@touch $@

$(VENV)/ready-dev: requirements-dev.txt requirements.txt | $(VENV)/made
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -r requirements-dev.txt
	@touch $@ $(VENV)/ready

$(VENV)/made:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer with its venv module is needed; set PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/translated: $(CATALOGUES) | $(VENV)/made
	@$(MAKE) --silent --no-print-directory $(VENV)/ready
	$(BIN)/pybabel --quiet compile --directory smsapp/translations
	@touch $@

run: setup
	@mkdir -p "$(INSTANCE_DIR)"
	@$(BIN)/flask db upgrade
	@test "$(DEMO)" = 0 -o -e "$(INSTANCE_DIR)/demo.done" || { $(BIN)/flask demo && touch "$(INSTANCE_DIR)/demo.done"; }
	@exec $(BIN)/flask serve

test: $(VENV)/ready-dev $(VENV)/translated
	$(BIN)/python -m pytest -n 2 $(TESTS)

bench: $(VENV)/ready-dev $(VENV)/translated
	$(BIN)/python -m bench $(BENCH)

lint: $(VENV)/ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV)

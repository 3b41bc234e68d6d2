# Everything on a fresh machine with Python 3.11 or newer: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: install demo test check acceptance clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "unipelt-search needs Python 3.11 or newer; got $$($(PYTHON) --version 2>&1). Try: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	# torch alone and first: the pinned build is settled before anything else can ask for another one
	$(BIN)/python -m pip install -c constraints.txt torch
	$(BIN)/python -m pip install -c constraints.txt -e '.[dev,demo]'
	touch $@

demo: $(STAMP)
	$(BIN)/unipelt-search demo

test: $(STAMP)
	$(BIN)/python -m pytest -m "not slow and not gpu" --numprocesses auto --dist loadgroup

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Runs for about an hour in the background, also when the terminal is closed; started again it goes on where it was.
acceptance: $(STAMP)
	@mkdir -p build/acceptance
	@PYTHONPATH=.:tests setsid nohup flock -n build/acceptance/lock $(BIN)/python -m faults.acceptance \
	  >> build/acceptance/log.txt 2>&1 < /dev/null & echo "Follow it: tail -f build/acceptance/log.txt"

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The two commands of the README. Everything lives in .venv; nothing else is installed.
PYTHON ?= python3
SPEC ?= specs/realnvp.yaml
BIN := .venv/bin
INSTALLED := .venv/.installed
LOWEST := .venv-lowest

.PHONY: install train test test-slow test-lowest lint types tests schema clean

train: install
	$(BIN)/zoo train $(SPEC)

test: lint types tests

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

tests: install
	$(BIN)/pytest -n auto

test-slow: install
	$(BIN)/pytest -m slow

# With the lowest versions that pyproject.toml declares; torch and what only tests need are those of .venv.
test-lowest: install
	test -x $(LOWEST)/bin/python || $(BIN)/python -m venv $(LOWEST)
	$(LOWEST)/bin/pip install setuptools wheel $$($(BIN)/python tests/helpers/lowest_versions.py requirements)
	$(LOWEST)/bin/pip install --no-deps --no-build-isolation --editable .
	$(BIN)/python tests/helpers/lowest_versions.py share $(LOWEST)
	$(LOWEST)/bin/python -m pytest -n auto $$($(BIN)/python tests/helpers/lowest_versions.py tests)

# What editors check specs/ against: it depends on what is installed.
schema: install
	$(BIN)/zoo schema -o zoo.schema.json

install: $(INSTALLED)

$(INSTALLED): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --upgrade pip setuptools wheel
	$(BIN)/pip install --editable ".[dev]"
	$(BIN)/python -m compileall -q zoo plugins # pip does so for what it copies, not for what stays here
	touch $@

clean:
	rm -rf .venv $(LOWEST)

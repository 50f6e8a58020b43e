# The two commands of the README. Everything lives in .venv; nothing else is installed.
PYTHON ?= python3
SPEC ?= specs/realnvp.yaml
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: install train test test-slow lint types tests schema clean

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
	rm -rf .venv

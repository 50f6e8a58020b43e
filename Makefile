# The two commands of the README. Everything lives in .venv; nothing else is installed.
PYTHON ?= python3
SPEC ?= specs/realnvp.yaml
BIN := .venv/bin
INSTALLED := .venv/.installed
LOWEST := .venv-lowest

.PHONY: install train test test-slow test-lowest lint types tests durations figures reached pictures schema clean

train: install
	$(BIN)/zoo train $(SPEC)

# Types are checked while the tests run; what mypy said comes after them, and either fails the whole.
test: lint
	@$(BIN)/mypy > .mypy.log 2>&1 & types=$$!; \
	$(BIN)/pytest -n auto; tests=$$?; \
	wait $$types; types=$$?; \
	cat .mypy.log; rm .mypy.log; \
	test $$tests -eq 0 -a $$types -eq 0

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

tests: install
	$(BIN)/pytest -n auto

# What each test takes, into tests/durations.json: processes share the tests by it.
durations: install
	$(BIN)/pytest -n auto --write-durations

test-slow: install
	$(BIN)/pytest -m slow

# With the lowest versions that pyproject.toml declares; torch and what only tests need are those of .venv.
test-lowest: install
	test -x $(LOWEST)/bin/python || $(BIN)/python -m venv $(LOWEST)
	$(LOWEST)/bin/pip install setuptools wheel $$($(BIN)/python tests/helpers/lowest_versions.py requirements)
	$(LOWEST)/bin/pip install --no-deps --no-build-isolation --editable .
	$(BIN)/python tests/helpers/lowest_versions.py share $(LOWEST)
	$(LOWEST)/bin/python -m pytest -n auto $$($(BIN)/python tests/helpers/lowest_versions.py tests)

# Every figure of the shipped weights, measured again.
figures: install
	$(BIN)/zoo figures

# Figures from the weights into the specs and README.md, and the pictures of docs.
reached: install
	$(BIN)/python weights/release.py reached

pictures: install
	$(BIN)/python weights/release.py pictures

# What editors check specs/ against: it depends on what is installed.
schema: install
	$(BIN)/zoo schema -o zoo.schema.json

install: $(INSTALLED)

$(INSTALLED): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --upgrade pip setuptools wheel
	$(BIN)/pip install --no-compile --no-build-isolation --editable ".[dev]"
	# pip compiles one file after the other, and none of what stays here; some that no Python imports cannot be compiled.
	$(BIN)/python -m compileall -qq -j 0 -x '/tests/|/transformers/models/' .venv/lib zoo plugins || true
	touch $@

clean:
	rm -rf .venv $(LOWEST)

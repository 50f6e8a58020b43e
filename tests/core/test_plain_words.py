"""Messages and docstrings are in the words of torch, pydantic and scikit-learn.

A message says what is wrong, what was expected and what to do; a docstring starts with a noun of the field.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted([*(ROOT / "zoo").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")])
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])

WORDS = r"\b([Tt]old|[Hh]eard|[Hh]ears|[Ss]trangers?|[Bb]eside)\b"
"""Of messages, of the whole of docstrings, and of pages."""

QUAINT = re.compile(WORDS + r"|(?<!there )\bis no\b(?! longer)|of data alone|says nothing to|of its own accord")
"""Say 'is not a', 'got', 'expected', 'unconditional', 'has no effect', 'next to' or 'besides' instead."""

GONE = re.compile(
    r"\bthere (is|are) (no|none)\b|\b(is|are|was|were) called\b|\b(is|are) there\b|\bthere already\b"
    r"|\b(go|goes|going) on\b|\bthat cannot be\W*$|\botherwise than\b|\banew\b|\bbrings? (no )?code\b"
    r"|\bsay ['\"]|\bsa(ys|id)\b|\bholds?\b|\bby custom\b|\b([Nn]o|[Ss]ome)body\b|\b([Ww]ho|[Ww]here|[Ww]hat)ever\b"
    r"|\bstands? (twice|before|above|after)\b|, not $|\bof (its|their|your|one's) own\b|\bcomes? without\b"
    r"|\bno sound\b|\bis another\b|\bare others\b"
)
"""Of messages. Say 'unknown', 'not found', 'was renamed', 'already exists', 'resume', 'invalid', 'different',
'duplicate', 'contains', 'has', 'set', 'use' or 'got' instead."""

LINES = re.compile(
    QUAINT.pattern + r"|^(What|Where|Who|How) |\b([Hh]ear|[Hh]earing|[Ww]hoever|[Nn]obody|[Ss]omebody|kept)\b"
    r"|\b[Tt](ells?|elling)\b(?!.* apart)|\b(where that is|of (its|their|one's) own)\b"
    r"|(?<!there )\b(are no|is none|are none)\b|\bsays? nothing\b"
)
"""Of the first lines of docstrings, outside of literals; 'kept' means saved or cached there, but for masks."""
MASKS = re.compile(r"\bmask|\bpiece|\bkept (element|and a changed|and changed)", re.IGNORECASE)


def first_lines(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The first paragraphs of a module's docstrings with their lines, without literals and formulas."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = (ast.get_docstring(node) or "").split("\n\n")[0]
            yield getattr(node, "lineno", 1), " ".join(re.sub(r"``.*?``|`.*?`", "`x`", text, flags=re.DOTALL).split())


def docstrings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """All docstrings of a module with their lines, also those of constants and fields."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, " ".join(re.sub(r"``.*?``|`.*?`", "`x`", node.value.value, flags=re.DOTALL).split())


def quaint(text: str) -> bool:
    """Whether the first line of a docstring has a word of `LINES`."""
    words = [match[0].lower() for match in LINES.finditer(text)]
    return any(word != "kept" or not MASKS.search(text) for word in words)


def messages(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The texts of a module with their lines, without docstrings."""
    not_said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in not_said:
            yield node.lineno, node.value


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_words_are_plain(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    said = [(line, text) for line, text in messages(tree) if " " in text and (QUAINT.search(text) or GONE.search(text))]
    found = said + [(line, text) for line, text in first_lines(tree) if quaint(text)]
    found += [(line, text) for line, text in docstrings(tree) if re.search(WORDS, text)]
    assert [f"line {line}: {text!r}" for line, text in found] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_words_of_pages_are_plain(path: Path) -> None:
    lines = enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    assert [f"line {line}: {text}" for line, text in lines if re.search(WORDS, text)] == []


def test_a_quaint_message_is_found() -> None:
    module = ast.parse('"""This is told."""\nraise ValueError("x is no number")\nraise ValueError("there is no x")')
    assert [line for line, text in messages(module) if QUAINT.search(text)] == [2]


@pytest.mark.parametrize(
    "message",
    [
        "f\"there is no mask '{name}'\"",
        "f\"no mask is called '{name}'\"",
        "f\"'{name}' is called '{now}' now\"",
        "f'{path} is there already'",
        "f'go on with: zoo train --resume {run}'",
        "f'records a component that cannot be: {component}'",
        "f'was trained otherwise than {table} asks'",
        "'a share file brings no code'",
        "\"of which neither is better: say 'goal: min'\"",
        "f'{path} holds {dtype}'",
        "f\"the key '{key}' stands twice\"",
        "f'needs an even height, not {height}'",
    ],
)
def test_a_message_with_words_that_are_gone_is_found(message: str) -> None:
    assert any(GONE.search(text) for _, text in messages(ast.parse(f"raise ValueError({message})")))


@pytest.mark.parametrize(
    "message",
    [
        "f\"unknown mask '{name}'; did you mean '{near}'?\"",
        "f'file not found: {path}'",
        "f\"mask '{name}' was renamed '{now}'\"",
        "f'{path} already exists'",
        "f'{path} cannot be read: {reason}'",
        "f'needs an even height, got {height}'",
    ],
)
def test_a_plain_message_is_not_found(message: str) -> None:
    texts = [text for _, text in messages(ast.parse(f"raise ValueError({message})"))]
    assert not any(QUAINT.search(text) or GONE.search(text) for text in texts)


@pytest.mark.parametrize(
    "text",
    ["What is told.", "Who draws samples.", "A file beside another.", "The tensors that are kept.", "Tells all."],
)
def test_a_quaint_docstring_is_found(text: str) -> None:
    module = ast.parse(f'"""Module of ``what`` is kept by masks."""\ndef f():\n    """{text}\n\n    Told."""')
    assert [line for line, text in first_lines(module) if quaint(text)] == [2]
    assert [line for line, text in docstrings(module) if re.search(WORDS, text)] == [3]

"""Messages are in the words of torch, pydantic and scikit-learn: what is wrong, what was expected, what to do."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted([*(ROOT / "zoo").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")])

QUAINT = re.compile(
    r"\b(told|heard|hears|strangers?|beside)\b|(?<!there )\bis no\b|of data alone|says nothing to|of its own accord"
)
"""Say 'is not a', 'got', 'expected', 'unconditional', 'has no effect', 'next to' or 'besides' instead."""


def messages(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The texts of a module with their lines, without docstrings."""
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.lineno, node.value


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_messages_are_in_plain_words(path: Path) -> None:
    found = messages(ast.parse(path.read_text(encoding="utf-8")))
    quaint = [f"line {line}: {text!r}" for line, text in found if " " in text and QUAINT.search(text)]
    assert not quaint


def test_a_quaint_message_is_found() -> None:
    module = ast.parse('"""This is told."""\nraise ValueError("x is no number")\nraise ValueError("there is no x")')
    assert [line for line, text in messages(module) if QUAINT.search(text)] == [2]

"""The examples in docstrings: of the core, of the plugins, of their components."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
from types import ModuleType

import pytest
import torch

import zoo
from zoo.interfaces.component import registration_of
from zoo.registry.registry import installed

FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def _modules() -> list[str]:
    core = [name for _, name, _ in pkgutil.walk_packages(zoo.__path__, "zoo.")]
    homes = {plugin.module for plugin in installed().plugins() if plugin.distribution == "zoo"}
    plugins = [name for home in homes for _, name, _ in pkgutil.walk_packages(_home(home).__path__, f"{home}.")]
    return sorted({*(n for n in core if not n.startswith("zoo.plugins") and n != "zoo.__main__"), *plugins})


def _home(name: str) -> ModuleType:
    return importlib.import_module(name)


@pytest.mark.parametrize("name", _modules())
def test_examples_run(name: str) -> None:
    torch.manual_seed(0)
    module = importlib.import_module(name)
    failed, _ = doctest.testmod(module, optionflags=FLAGS)
    assert failed == 0


@pytest.mark.parametrize("cls", installed().components().values(), ids=lambda cls: cls.__name__)
def test_components_are_documented(cls: type) -> None:
    """One line that says what it is, and the paper where there is one."""
    doc = inspect.getdoc(cls) or ""
    first = doc.split("\n\n")[0]
    assert registration_of(cls) is not None
    assert first.rstrip().endswith((".", ":")) or "\n" in first, first
    assert len(first) < 240


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder()
    tests = [test for name in _modules() for test in finder.find(importlib.import_module(name))]
    assert sum(len(test.examples) for test in tests) > 50

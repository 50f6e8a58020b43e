"""Every shipped spec: its full size fits together without memory. tests/training/test_shipped_runs.py trains them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch.overrides import TorchFunctionMode

from zoo.assembly import build as assembly
from zoo.spec import load_spec, shipped_specs

Node = dict[str, Any]
NAMES = list(shipped_specs())
ROOT = Path(__file__).parents[2]
HOME = shipped_specs()["realnvp"].parent
FEW = 100_000
"""Numbers that a check may hold in memory: tables and masks, no weights."""


class Allocations(TorchFunctionMode):
    """Counts the numbers in new tensors that have memory of their own."""

    def __init__(self) -> None:
        self.count = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        made = function(*args, **(kwargs or {}))
        if isinstance(made, torch.Tensor) and made.device.type != "meta":
            self.count += made.numel()
        return made


@pytest.mark.parametrize("name", NAMES)
def test_full_size_fits_together_without_memory(name: str) -> None:
    spec = load_spec(name)
    with Allocations() as made:
        summary = assembly.check(spec)
    assert summary.parameters > 0
    assert summary.weights_bytes >= 4 * summary.parameters
    assert made.count < FEW


RECIPE = re.compile(r"^# .*?([\d,]+) parameters.*:\n#\n((?:#   .*\n)+)", re.M)


def recipe(name: str) -> tuple[int, Node] | None:
    """The published recipe that a spec has as a comment, and its number of parameters."""
    told = RECIPE.search(shipped_specs()[name].read_text())
    if told is None or "zoo " in told[2]:
        return None
    node = yaml.safe_load(re.sub(r"^#   ", "", told[2], flags=re.M))
    return int(told[1].replace(",", "")), node | {"train": {"steps": 1, "batch": 16, "optimizer": "adam"}}


RECIPES = [name for name in NAMES if recipe(name)]


@pytest.mark.parametrize("name", RECIPES)
def test_a_published_recipe_beside_a_spec_fits_together(name: str) -> None:
    parameters, node = recipe(name) or (0, {})
    assert assembly.check(load_spec(node | {"name": name})).parameters == parameters


def test_recipes_are_found() -> None:
    assert set(RECIPES) >= {"pixelcnn", "gated-pixelcnn", "pixelrnn-row", "pixelrnn-diagonal"}


@pytest.mark.parametrize("name", NAMES)
def test_editors_know_what_it_is_checked_against(name: str) -> None:
    path = shipped_specs()[name]
    first, *rest = path.read_text().splitlines()
    told, schema = first.split("=")
    assert told == "# yaml-language-server: $schema"
    assert (ROOT / "specs" / path.relative_to(HOME)).parent.joinpath(schema).resolve() == ROOT / "zoo.schema.json"
    assert not any("yaml-language-server" in line for line in rest)


def test_allocations_are_seen() -> None:
    spec = load_spec("realnvp")
    with Allocations() as made:
        assembly.build(spec)
    assert made.count > FEW

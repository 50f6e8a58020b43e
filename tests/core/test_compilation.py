"""Whole flows compile as one graph: objective and draws."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import zoo
from zoo.assembly import build as assembly
from zoo.spec import load_spec, shipped_specs
from zoo.testing.laws.bijection.contract import traced

DEEP = {"conditional-realnvp", "realnvp", "realnvp-mnist", "realnvp-cifar10", "flowpp", "glow-cifar10", "planar-2d"}
"""Traced for tens of seconds."""
UNROLLED = {"ffjord-2d", "residual-flow", "radial-2d", "planar-energy", "radial-energy"}
"""Traced for minutes, step by step."""


def flows() -> list[Any]:
    names = [name for name in shipped_specs() if load_spec(name).model.name == "flow"]
    return [pytest.param(name, marks=pytest.mark.slow if name in DEEP | UNROLLED else ()) for name in names]


@pytest.mark.parametrize("name", flows())
def test_a_shipped_flow_is_one_graph(name: str) -> None:
    spec = load_spec(name, small=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model: Any = assembly.build(spec)
    batch = model.event.example(4, "cpu")
    clock = zoo.Clock(torch.zeros((), dtype=torch.int64), 10)
    assert traced("the objective", lambda given: model(given, clock).loss, batch).isfinite()
    context = model.given(batch)
    with torch.no_grad():
        z = model.draw_latent(4, context)
        assert traced("the draw", model.decode, z, context).shape == (4, *model.event.shape)

"""Shipped neural spline flows see more than their splines' window: rows far out, and figures with known entropies."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch

import zoo
from zoo.testing.perturb import initialize, perturb

curved: Any = import_module("zoo.plugins.data.toy.curved")
SPECS = ["nsf-autoregressive", "nsf-coupling"]


def far_rows(transformer: Any, base: Any) -> tuple[float, float]:
    """The nats of rows ten and a million deviations out, of a flow whose weights are far from their start."""
    torch.manual_seed(0)
    layer = {"type": "autoregressive", "transformer": transformer, "net": {"type": "made", "width": 16}}
    node = {"type": "flow", "base": base, "transforms": ["standardize", layer, "reverse", layer]}
    flow: Any = zoo.declare(zoo.Model, node)(zoo.Event("point", zoo.Shape(2)))
    return _nats(flow)


@torch.no_grad()
def _nats(flow: Any) -> tuple[float, float]:
    x = torch.randn(512, 2)
    initialize(flow.transforms, x)
    perturb(flow, seed=0)
    near, far = (
        -flow.log_prob(distance * torch.tensor([[1.0, 1.0], [-1.0, 1.0], [0.0, 1.0]])) for distance in (10.0, 1e6)
    )
    assert far.isfinite().all()
    return near.max().item(), far.max().item()


@pytest.mark.parametrize("name", SPECS)
def test_rows_far_out_cost_the_logarithm_of_their_distance(name: str) -> None:
    near, far = _nats(zoo.build(name))
    assert near < far < 1e3


def test_before_a_normal_base_they_cost_its_square() -> None:
    """What the shipped specs are spared."""
    assert far_rows("rational_quadratic_spline", "standard_normal")[1] > 1e11
    assert far_rows("rational_quadratic_spline", "student_t")[1] < 1e3


@pytest.mark.slow
@pytest.mark.parametrize("figure", ["banana", "funnel", "student_t"])
@pytest.mark.parametrize("name", SPECS)
def test_known_figures_are_learned(name: str, figure: str, tmp_path: Path) -> None:
    """Within .03 nats of the density that they are drawn from."""
    data = {"type": "toy2d", "figure": figure, "noise": 0.0}
    spec = zoo.load_spec(name, [f"data={data}", "train.steps=1500", "engine.compile=off"])
    run = zoo.train(spec, runs=tmp_path)
    x = zoo.declare(zoo.Dataset, data)().split("test").read(torch.arange(10_000))["point"]
    own = -curved.KNOWN[figure].log_density(x.double()).mean().item()
    assert run.metrics["nll"] - own < 0.03

"""Parts that start from data, or average over it, at scales whose squares are no numbers of float32."""

from __future__ import annotations

import math
from importlib import import_module
from typing import Any

import pytest
import torch

import zoo

SCALES = (1e-30, 1e-15, 1.0, 2e19)


def data(scale: float, *shape: int, at: float = 0.5) -> torch.Tensor:
    """Numbers about half of the scale, which is their deviation."""
    noise = torch.Generator().manual_seed(0)
    return scale * (at + torch.randn(400, *shape, generator=noise))


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", ["standardize", "act_norm"])
def test_data_of_any_scale_is_standardised(name: str, scale: float) -> None:
    part: Any = zoo.declare(zoo.Bijection, name)(zoo.Shape(3))
    x = data(scale, 3)
    part.initialize(x)
    z, log_det = part(x)
    torch.testing.assert_close(z.mean(0), torch.zeros(3), atol=1e-5, rtol=0.0)
    torch.testing.assert_close(z.std(0, correction=0), torch.ones(3), atol=1e-5, rtol=0.0)
    assert log_det[0].item() == pytest.approx(-x.double().std(0, correction=0).log().sum().item(), abs=1e-4)
    torch.testing.assert_close(part.inverse(z)[0], x, rtol=1e-5, atol=1e-5 * scale)


@pytest.mark.parametrize("name", ["standardize", "act_norm"])
def test_a_constant_keeps_its_scale(name: str) -> None:
    part: Any = zoo.declare(zoo.Bijection, name)(zoo.Shape(2))
    part.initialize(torch.tensor([0.1, 1e19]).expand(400, 2))
    assert part(torch.tensor([[1.1, 1e19]]))[1].item() == 0.0


@pytest.mark.parametrize("scale", SCALES)
def test_convolutions_start_from_data_of_any_scale(scale: float) -> None:
    x = data(scale, 2, 4, 4)
    normed: Any = import_module("zoo.plugins.autoregressive.causal.weight_norm")
    pointwise: Any = import_module("zoo.plugins.autoregressive.causal.conv1x1")
    act_normed: Any = import_module("zoo.plugins.nets.convnet")
    for part in (normed.Normed(pointwise.Pointwise(2, 3)), act_normed.ActNormedConv(2, 3, 3)):
        part.initialize(x)
        y = part(x).detach()
        torch.testing.assert_close(y.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-4, rtol=0.0)
        torch.testing.assert_close(y.mean((0, 2, 3)), torch.zeros(3), atol=1e-4, rtol=0.0)


def test_batches_beyond_float32_are_normalised_in_training_and_stay_finite_after() -> None:
    norm: Any = zoo.declare(zoo.Bijection, "batch_norm")(zoo.Shape(2))
    x = data(2e19, 2)
    z, log_det = norm(x)
    torch.testing.assert_close(z.std(0, correction=0), torch.ones(2), atol=1e-5, rtol=0.0)
    assert log_det.dtype == torch.float32
    assert log_det[0].item() == pytest.approx(-x.double().std(0, correction=0).log().sum().item(), rel=1e-5)
    z, log_det = norm.eval()(x)
    assert z.isfinite().all()
    assert math.isclose(z.std().item(), 1.0, rel_tol=0.2)
    torch.testing.assert_close(norm.inverse(z)[0], x, rtol=1e-5, atol=1e14)


@pytest.mark.parametrize("value", [-0.5, 1.5, 1e30])
def test_beyond_the_support_of_a_logit_the_density_is_zero(value: float) -> None:
    node = {"type": "flow", "base": "standard_normal", "transforms": ["logit", "act_norm"]}
    flow: Any = zoo.declare(zoo.Model, node)(zoo.Event("point", zoo.Shape(2)))
    x = torch.tensor([[0.25, 0.75], [0.5, value]])
    log_p = flow.log_prob(x)
    assert log_p[1].item() == -math.inf
    assert log_p[0].item() == pytest.approx(flow.log_prob(x[:1]).item())
    log_p.sum().backward()
    assert all(p.grad.isfinite().all() for p in flow.parameters())


def test_nan_stays_nan() -> None:
    z, log_det = zoo.declare(zoo.Bijection, "logit")(zoo.Shape(1))(torch.tensor([[math.nan]]))
    assert z.isnan().all()
    assert not log_det.isfinite().any()

"""Residual flows: bounds that hold, inverses that converge, log-determinants that are exact or unbiased."""

from __future__ import annotations

import math
from importlib import import_module
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import zoo
from zoo.testing import BIJECTION_LAWS, Case, LawBroken, cases, inputs, liven, perturb

LipschitzNet: Any = import_module("zoo.plugins.nets.lipschitz").LipschitzNet
norms: Any = import_module("zoo.plugins.nets.lipschitz")
fixed: Any = import_module("zoo.plugins.flows.numerics.root_finding")
LogDet: Any = import_module("zoo.plugins.flows.log_det").LogDet
MLP = {"type": "lipschitz_mlp", "width": 16}
CONV = {"type": "lipschitz_conv", "width": 4}
CASES = list(
    cases(
        zoo.Bijection,
        residual_tight={"type": "residual", "net": {**MLP, "lipschitz": 0.95}},
        residual_conv={"type": "residual", "net": CONV},
        residual_1x1={"type": "residual", "net": {**CONV, "kernel": 1, "depth": 1}},
    )
)
SMALL = (zoo.Shape(5), zoo.Shape(1, 4, 4))
MINE = [case for case in CASES if case.label.startswith("residual_") and case.given[0] in SMALL]
QUICK = [law for law in BIJECTION_LAWS if law != "compiles"]


def net(node: dict[str, Any], *shape: int, scale: float = 0.0, dtype: torch.dtype = torch.float64) -> Any:
    """A Lipschitz net whose parameters are perturbed."""
    built = zoo.declare(LipschitzNet, node)(zoo.Shape(*shape)).to(dtype)
    perturb(built, seed=0, scale=scale)
    return built


def block(node: dict[str, Any], *shape: int, scale: float = 0.2) -> Any:
    built = zoo.declare(zoo.Bijection, {"type": "residual", **node})(zoo.Shape(*shape)).double()
    perturb(built, seed=0, scale=scale)
    return built.eval()


@pytest.mark.parametrize("law", QUICK)
@pytest.mark.parametrize("case", MINE, ids=str)
def test_law(case: Case, law: str) -> None:
    bijection = liven(case.build())
    BIJECTION_LAWS[law](bijection, inputs(bijection, 4, seed=7))


# -- bounds ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("sizes", [(1, 1), (3, 40), (64, 64), (100, 7)])
@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e15])
def test_norm_bound_is_above_the_norm_and_near_it(sizes: tuple[int, int], scale: float, dtype: torch.dtype) -> None:
    noise = torch.Generator().manual_seed(0)
    W = scale * torch.randn(5, *sizes, generator=noise, dtype=dtype)
    ratio = norms.norm_bound(W) / torch.linalg.matrix_norm(W, 2)
    assert ratio.min() > 1.0 - 100.0 * torch.finfo(dtype).eps
    assert ratio.max() < 1.04


def test_norm_bound_of_hard_matrices() -> None:
    assert norms.norm_bound(torch.zeros(3, 3)).item() == 0.0
    assert norms.norm_bound(torch.eye(64)).item() == pytest.approx(64.0 ** (1 / 128), rel=1e-5)
    rank_one = torch.outer(torch.arange(1.0, 5.0), torch.ones(9))
    assert norms.norm_bound(rank_one).item() == pytest.approx(math.sqrt(30.0 * 9.0), rel=1e-5)


def test_norm_bound_has_the_gradient_of_its_values() -> None:
    W = torch.randn(4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(norms.norm_bound, W)
    zero = torch.zeros(3, 3, requires_grad=True)
    norms.norm_bound(zero).backward()
    assert zero.grad is not None
    assert zero.grad.isfinite().all()


@pytest.mark.parametrize(
    ("channels", "kernel", "size"), [((2, 3), 3, (5, 4)), ((3, 1), 5, (4, 4)), ((2, 2), 1, (3, 3))]
)
def test_conv_norm_bound_is_above_that_of_the_map(
    channels: tuple[int, int], kernel: int, size: tuple[int, int]
) -> None:
    noise = torch.Generator().manual_seed(0)
    w = torch.randn(channels[1], channels[0], kernel, kernel, generator=noise, dtype=torch.float64)
    basis = torch.eye(channels[0] * size[0] * size[1], dtype=torch.float64).view(-1, channels[0], *size)
    matrix = nn.functional.conv2d(basis, w, padding=kernel // 2).flatten(1).T
    true = float(torch.linalg.matrix_norm(matrix, 2))
    bound = norms.conv_norm_bound(w, *size).item()
    assert true * (1.0 - 1e-12) <= bound <= 1.5 * true
    flat = float(torch.linalg.matrix_norm(w.flatten(1), 2))
    assert kernel != 3 or flat < 0.7 * true, "the kernel as a matrix would have been a bound"


@pytest.mark.parametrize("scale", [0.2, 1.0, 100.0])
@pytest.mark.parametrize(
    ("node", "shape"), [(MLP, (5,)), ({**MLP, "depth": 4, "lipschitz": 0.5}, (2,)), (CONV, (2, 4, 4))]
)
def test_no_weights_break_the_lipschitz_bound(node: dict[str, Any], shape: tuple[int, ...], scale: float) -> None:
    g = net(node, *shape, scale=scale)
    weights = g.weights()
    x = inputs(block({}, *shape), 64)

    def one(x: Tensor) -> Tensor:
        y: Tensor = g(x.unsqueeze(0), weights).squeeze(0)
        return y

    J = torch.func.vmap(torch.func.jacrev(one))(x).reshape(64, x[0].numel(), -1)
    assert torch.linalg.matrix_norm(J, 2).max() <= g.lipschitz


def test_the_bound_can_be_reached() -> None:
    """Of a net that is all but linear, with the largest weights, the slope is the bound over that of LipSwish."""
    g = net({**MLP, "width": 1, "depth": 1, "lipschitz": 0.9}, 1)
    with torch.no_grad():
        for layer in g.layers:
            layer.weight.fill_(50.0)
            layer.bias.zero_()
        g.activations[0].beta.fill_(50.0)
    x = torch.tensor([[1.0], [3.0]], dtype=torch.float64)
    y = g(x, g.weights())
    assert ((y[1] - y[0]) / 2.0).item() == pytest.approx(0.9 / 1.1, rel=1e-3)


def test_small_weights_stay_as_they_are() -> None:
    g = net(MLP, 3)
    with torch.no_grad():
        for layer in g.layers:
            layer.weight.mul_(0.1)
    assert all(torch.equal(W, layer.weight) for W, layer in zip(g.weights(), g.layers, strict=True))


@pytest.mark.parametrize("node", [{**MLP, "lipschitz": 1.0}, {**MLP, "lipschitz": 0.0}, {**CONV, "kernel": 2}])
def test_what_is_no_contraction_is_refused(node: dict[str, Any]) -> None:
    with pytest.raises(zoo.SpecError, match=r"lipschitz|odd"):
        zoo.declare(LipschitzNet, node)


def test_conv_refuses_vectors() -> None:
    with pytest.raises(zoo.SpecError, match="use lipschitz_mlp"):
        net(CONV, 4)


# -- the inverse -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("c", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize(("dtype", "budget"), [(torch.float64, 1e-12), (torch.float32, 1e-3)])
def test_the_slowest_contractions_are_inverted(c: float, sign: float, dtype: torch.dtype, budget: float) -> None:
    """Where the bound on the iterations is met: g(x) = -c x and c x, of samples of all sizes."""
    z = torch.logspace(-6, 6, 13, dtype=dtype).unsqueeze(1)
    x = fixed.contracted_root(lambda x: sign * c * x, z, c)
    assert ((x * (1.0 + sign * c) - z).abs() <= budget * z).all()


def test_a_sample_gets_the_same_root_whoever_is_beside_it() -> None:
    part = block({"net": {**MLP, "lipschitz": 0.95}}, 2, scale=1.0)
    z = 100.0 * inputs(part, 16)
    z[0] /= 1e6
    roots = part.decode(z)
    assert (part.decode(z[:1]) - roots[:1]).abs().max() < 1e-14


@torch.no_grad()
def test_it_stops_early_and_a_traced_graph_does_not_differ() -> None:
    part = block({"net": {**MLP, "lipschitz": 0.9}}, 2).requires_grad_(False)  # so that tracing takes them
    calls: list[int] = []
    part.net.register_forward_hook(lambda *_: calls.append(1))
    z = inputs(part, 16)
    eager = part.decode(z)
    assert 0 < len(calls) < fixed.enough(0.9, torch.float64) / 4
    calls.clear()
    g = part._branch()

    def decode(z: Tensor) -> Any:
        return fixed.contracted_root(g, z, 0.9)

    traced: Any = torch.jit.trace(decode, z, check_trace=False)  # type: ignore[no-untyped-call]
    assert len(calls) == fixed.enough(0.9, torch.float64) + 1
    assert torch.equal(traced(z), eager)


def test_gradients_of_parameters_pass_through_the_root() -> None:
    """They are those of all iterations unrolled."""
    part = block({"net": {**MLP, "lipschitz": 0.5}}, 2, scale=0.5)
    z = inputs(part, 4).requires_grad_(True)
    leaves = [z, *part.net.parameters()]
    implicit = torch.autograd.grad(part.decode(z).sin().sum(), leaves)
    x, weights = z, part.net.weights()
    for _ in range(60):
        x = z - part.net(x, weights)
    unrolled = torch.autograd.grad(x.sin().sum(), leaves)
    assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(implicit, unrolled, strict=True))
    assert all(g.abs().max() > 1e-8 for g in implicit)


# -- log-determinants --------------------------------------------------------------------------------------------------


def linear(D: int = 4, norm: float = 0.6) -> Tensor:
    A = torch.randn(D, D, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return A * (norm / float(torch.linalg.matrix_norm(A, 2)))


def test_full_jacobian_of_a_linear_map_in_closed_form() -> None:
    A = linear()
    x = torch.randn(3, 4, dtype=torch.float64)
    y, log_det = zoo.declare(LogDet, "full_jacobian")()(lambda x: x @ A.T, x)
    assert torch.allclose(y, x @ A.T)
    true = torch.linalg.slogdet(torch.eye(4, dtype=torch.float64) + A).logabsdet
    assert torch.allclose(log_det, true.expand(3), atol=1e-12)


def off(estimates: Tensor, true: Tensor) -> float:
    """By how many standard errors the mean over the first dimension is off, at most."""
    error = estimates.std(0) / math.sqrt(len(estimates))
    return float(((estimates.mean(0) - true).abs() / error).max())


@pytest.mark.parametrize("noise", ["rademacher", "normal"])
@pytest.mark.parametrize("terms", [1, 4])
def test_roulette_is_unbiased(terms: int, noise: str) -> None:
    """Over many series, each of many directions; what were off by a third would be seen."""
    A = linear()
    estimate = zoo.declare(LogDet, {"type": "roulette", "terms": terms, "noise": noise})()
    torch.manual_seed(0)
    x = torch.zeros(64, 4, dtype=torch.float64)
    series = torch.stack([estimate(lambda x: x @ A.T, x)[1].mean() for _ in range(600)])
    true = torch.linalg.slogdet(torch.eye(4, dtype=torch.float64) + A).logabsdet
    assert off(series, true) < 4.0
    assert off(1.3 * series, true) > 4.0


def test_the_gradient_of_the_roulette_is_unbiased() -> None:
    """In all parameters and in x, against that of the exact log-determinant."""
    exact, random = (
        block({"net": {**MLP, "width": 4}, "log_det": kind}, 2, scale=1.0) for kind in ("full_jacobian", "roulette")
    )
    random.load_state_dict(exact.state_dict())
    random.train()
    x = inputs(exact, 3).repeat(40, 1).requires_grad_(True)

    def gradient(part: Any, at: Tensor) -> Tensor:
        found = torch.autograd.grad(part(at)[1].mean(), [x, *part.net.parameters()], materialize_grads=True)
        return torch.cat([g.flatten() for g in found])

    torch.manual_seed(0)
    many = torch.stack([gradient(random, x) for _ in range(400)])
    true = gradient(exact, x)
    moving = many.std(0) > 1e-9
    assert moving.sum() > 20
    assert off(many[:, moving], true[moving]) < 4.5
    assert off(0.9 * many[:, moving], true[moving]) > 4.5


def test_roulette_takes_more_terms_in_evaluation() -> None:
    """Of a multiple of the identity, all chance is in the number of terms."""
    estimate = zoo.declare(LogDet, {"type": "roulette", "terms": 2, "terms_in_evaluation": 20})()
    x = torch.zeros(1, 2, dtype=torch.float64)
    torch.manual_seed(0)
    spread = []
    for training in (True, False):
        series = torch.cat([estimate.train(training)(lambda x: 0.6 * x, x)[1] for _ in range(100)])
        spread.append(series.std().item())
    assert spread[1] < 1e-2 * spread[0]


def test_equal_seeds_give_equal_estimates() -> None:
    part = block({"log_det": "roulette"}, 3)
    x = inputs(part, 4)
    values = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        values.append(part(x)[1])
    assert torch.equal(values[0], values[1])
    assert not torch.equal(values[0], values[2])


# -- what is told of it ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("log_det", ["full_jacobian", "roulette"])
@pytest.mark.parametrize("within", ["chain", "factor_out", "inverse_of"])
def test_a_flow_knows_whether_its_likelihood_is_exact(log_det: str, within: str) -> None:
    node: Any = {"type": "residual", "log_det": log_det}
    key = {"chain": "of", "factor_out": "then", "inverse_of": "of"}[within]
    outer = {"type": within, key: node if within == "inverse_of" else ["reverse", node]}
    flow: Any = zoo.declare(zoo.Model, {"type": "flow", "base": "standard_normal", "transforms": [outer]})(
        zoo.Event("point", zoo.Shape(4))
    )
    assert flow.exact == (log_det == "full_jacobian")


# -- defects -----------------------------------------------------------------------------------------------------------


class Expanding(nn.Module):
    """A net that says it is a contraction, and is none."""

    lipschitz = 0.5

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor(1.5))

    def weights(self) -> list[Tensor]:
        return [self.a]

    def forward(self, x: Tensor, weights: list[Tensor]) -> Tensor:
        return weights[0] * x


class WrongSign(nn.Module):
    """The log-determinant of I - J."""

    def forward(self, g: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        exact = zoo.declare(LogDet, "full_jacobian")()
        return g(x), exact(lambda x: -g(x), x)[1]


@pytest.mark.parametrize(
    ("name", "planted", "law"),
    [
        ("net", Expanding, "inverse_inverts"),
        ("log_det", WrongSign, "log_det_is_jacobian"),
    ],
)
def test_planted_defect_is_found(name: str, planted: type[nn.Module], law: str) -> None:
    part = block({"net": MLP}, 2)
    setattr(part, name, planted().double())
    with pytest.raises(LawBroken):
        BIJECTION_LAWS[law](part, inputs(part, 4))

"""Autoregressive layers: what depends on what, the cheap inverse, the other way round, and the orders between them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

import zoo
from zoo.progress import listening
from zoo.testing import BIJECTION_LAWS, inputs, liven, perturb

AutoregressiveNet: Any = import_module("zoo.plugins.nets.masked.net").AutoregressiveNet

NETS: dict[str, dict[str, Any]] = {
    "plain": {"width": 24},
    "one_layer": {"width": 24, "depth": 1},
    "residual": {"width": 24, "depth": 3, "residual": True, "activation": "tanh"},
    "drawn": {"width": 24, "depth": 2, "degrees_seed": 3},
    "narrow": {"width": 2, "depth": 2},
}
SHAPES = (zoo.Shape(1), zoo.Shape(2), zoo.Shape(7), zoo.Shape(2, 2, 3))
every_net = pytest.mark.parametrize("values", NETS.values(), ids=list(NETS))
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


def made(shape: zoo.Shape, count: int = 2, **values: Any) -> Any:
    torch.manual_seed(0)
    net = zoo.declare(AutoregressiveNet, {"type": "made", **values})(shape, count).double()
    perturb(net, seed=0)
    return net


def bijection(node: Any, *shape: int) -> zoo.Bijection:
    built: zoo.Bijection = zoo.declare(zoo.Bijection, node)(zoo.Shape(*shape)).double()
    return built


def dependence(net: Any) -> Tensor:
    """``[D, D]``: by how much the parameters of each element move with each element."""
    x = torch.randn(5, *net.shape, dtype=torch.float64, requires_grad=True)
    h = net(x).flatten(2)
    moved = [torch.autograd.grad(h[:, :, i].tanh().sum(), x, retain_graph=True)[0] for i in range(net.shape.size)]
    return torch.stack([grad.flatten(1).abs().sum(0) for grad in moved])


def element_by_element(net: Any, z: Tensor) -> Tensor:
    """What `unroll` gives, by one whole pass for each element."""
    x = torch.zeros_like(z)
    for i in range(net.shape.size):
        h = net(x).flatten(2)[:, :, i]
        columns = [*x.flatten(1).split(1, 1)]  # type: ignore[no-untyped-call]
        columns[i] = affine(z.flatten(1)[:, i], h).unsqueeze(1)
        x = torch.cat(columns, 1).reshape(z.shape)
    return x


def affine(z: Tensor, h: Tensor) -> Tensor:
    return (z - h[:, 1]) * h[:, 0].tanh().exp()


def unrolled(net: Any, z: Tensor) -> Tensor:
    columns = z.flatten(1)
    x: Tensor = net.unroll(lambda i, h: affine(columns[:, i], h), z.shape[0])
    return x


@every_net
@every_shape
def test_parameters_depend_on_earlier_elements_alone(values: dict[str, Any], shape: zoo.Shape) -> None:
    assert torch.count_nonzero(dependence(made(shape, **values)).triu()) == 0


@every_shape
def test_parameters_depend_on_all_earlier_elements(shape: zoo.Shape) -> None:
    moved = dependence(made(shape, width=64, activation="tanh"))
    assert bool((moved + torch.ones_like(moved).triu() > 0).all())


@pytest.mark.parametrize("layer", ["first", "hidden.0", "last"])
def test_a_mask_that_lets_through_is_found(layer: str) -> None:
    net = made(zoo.Shape(4), width=24)
    net.get_submodule(layer).mask.fill_(1.0)
    assert torch.count_nonzero(dependence(net).triu()) > 0


@every_net
def test_what_a_mask_leaves_out_does_not_learn(values: dict[str, Any]) -> None:
    net = made(zoo.Shape(4), **values)
    net(torch.randn(5, 4, dtype=torch.float64)).square().sum().backward()
    for layer in (net.first, *net.hidden, net.last):
        assert torch.count_nonzero(layer.linear.weight.grad[layer.mask == 0]) == 0
    assert net.last.linear.weight.grad.any()


@pytest.mark.parametrize("degrees_seed", [None, 5])
def test_it_starts_at_zero_and_learns_from_there(degrees_seed: int | None) -> None:
    node = {"type": "made", "width": 8, "degrees_seed": degrees_seed}
    net = zoo.declare(AutoregressiveNet, node)(zoo.Shape(4), 3)
    h = net(torch.randn(2, 4))
    assert h.shape == (2, 3, 4) and not h.any()
    h.sum().backward()
    assert any(p.grad is not None and bool(p.grad.any()) for p in net.parameters())


@every_net
@every_shape
def test_unroll_is_a_pass_for_each_element(values: dict[str, Any], shape: zoo.Shape) -> None:
    """The same numbers and the same gradients, of parameters too, with a graph and without."""
    net = made(shape, **values)
    z = torch.randn(3, *shape, dtype=torch.float64, requires_grad=True)
    wanted = [z, *(p for p in net.parameters())]
    weights = torch.randn(3, *shape, dtype=torch.float64)
    found = []
    for method in (unrolled, element_by_element):
        x = method(net, z)
        grads = torch.autograd.grad((weights * x).sum(), wanted, materialize_grads=True)
        found.append([x.detach(), *grads])
    for ours, theirs in zip(*found, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-10, atol=1e-10)
    with torch.no_grad():
        assert torch.allclose(unrolled(net, z), found[1][0], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("n", [1, 3])
def test_unroll_leaves_the_parameters_alone(n: int) -> None:
    net = made(zoo.Shape(5), width=8)
    before = {name: p.clone() for name, p in net.state_dict().items()}
    with torch.no_grad():
        unrolled(net, torch.randn(n, 5, dtype=torch.float64))
    assert all(torch.equal(p, before[name]) for name, p in net.state_dict().items())


@pytest.mark.parametrize("size", [16, 64])
def test_unroll_costs_no_more_than_one_pass(size: int) -> None:
    net = made(zoo.Shape(size), width=128, depth=3)
    z = torch.randn(4, size, dtype=torch.float64)
    costs = []
    for method in (net, lambda z: unrolled(net, z)):
        with FlopCounterMode(display=False) as counter:
            method(z)
        costs.append(counter.get_total_flops())
    assert 0.4 * costs[0] < costs[1] <= costs[0]


def test_draws_report_progress_by_layers_and_numbers() -> None:
    layer = {"type": "autoregressive", "net": {"type": "made", "width": 8}}
    chain = zoo.declare(zoo.Bijection, {"type": "chain", "of": [layer, layer]})(zoo.Shape(4))
    said: list[float] = []
    with listening(lambda done, of: said.append(done / of)):
        chain.decode(torch.randn(3, 4))
    assert said == sorted(said) and {0.0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0} == set(said)


def test_degrees_are_a_function_of_their_seed() -> None:
    one, again, other = (made(zoo.Shape(9), width=16, degrees_seed=seed).first.mask for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


@every_net
def test_jacobian_of_a_layer_is_triangular(values: dict[str, Any]) -> None:
    layer = liven(bijection({"type": "autoregressive", "net": {"type": "made", **values}}, 5))
    x = inputs(layer, 1).requires_grad_(True)
    z, log_det = layer(x)
    jacobian = torch.stack([torch.autograd.grad(z_i, x, retain_graph=True)[0][0] for z_i in z[0]])
    assert torch.count_nonzero(jacobian.triu(1)) == 0
    assert bool((jacobian.diagonal() > 0).all())
    assert torch.allclose(jacobian.diagonal().log().sum(), log_det)


@every_net
@pytest.mark.parametrize("law", ["inverse_inverts", "float32_is_enough", "gradients_are_right"])
def test_layer_with_every_net_obeys(values: dict[str, Any], law: str) -> None:
    layer = liven(bijection({"type": "autoregressive", "net": {"type": "made", **values}}, 7))
    BIJECTION_LAWS[law](layer, inputs(layer, 8))


def test_inverse_of_swaps_the_directions() -> None:
    maf = {"type": "autoregressive", "net": {"type": "made", "width": 8}}
    iaf = liven(bijection({"type": "inverse_of", "of": {"type": "chain", "of": [maf, "reverse", maf]}}, 4))
    x = inputs(iaf, 6)
    inner = iaf.get_submodule("of")
    for ours, theirs in ((iaf(x), inner.inverse(x)), (iaf.inverse(x), inner(x))):  # type: ignore[operator]
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert torch.equal(iaf.decode(x), inner(x)[0])


@pytest.mark.parametrize(
    ("of", "message"),
    [
        ("squeeze", "preserves the shape"),
        ("act_norm", "its ActNorm learns"),
        ({"type": "chain", "of": ["reverse", "batch_norm"]}, "its BatchNorm learns"),
    ],
)
def test_inverse_of_refuses_what_it_cannot_turn(of: Any, message: str) -> None:
    with pytest.raises(zoo.SpecError, match=message):
        bijection({"type": "inverse_of", "of": of}, 4, 4, 4)


def test_permutation_is_one_and_stays() -> None:
    x = torch.arange(24.0).double().reshape(1, 6, 2, 2)
    parts = [bijection({"type": "permutation", "seed": seed}, 6, 2, 2) for seed in (1, 1, 2)]
    one, again, other = (part(x)[0] for part in parts)
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert torch.equal(other.sort(1).values, x)
    assert torch.equal(parts[2].inverse(other)[0], x)


def test_reverse_by_hand() -> None:
    z, log_det = bijection("reverse", 3)(torch.tensor([[1.0, 2.0, 3.0]]).double())
    assert (z.tolist(), log_det.tolist()) == ([[3.0, 2.0, 1.0]], [0.0])


@pytest.mark.parametrize("turned", [False, True], ids=["maf", "iaf"])
def test_a_stack_compiles_as_one_graph(turned: bool) -> None:
    layer: dict[str, Any] = {"type": "autoregressive", "net": {"type": "made", "width": 8}}
    layer = {"type": "inverse_of", "of": layer} if turned else layer
    node = {"type": "flow", "base": "standard_normal", "transforms": [layer, "reverse", layer, "permutation"]}
    model = zoo.declare(zoo.Model, node)(event := zoo.Event("point", zoo.Shape(3)))
    objective: Any = torch.compile(model, fullgraph=True, backend="aot_eager")
    objective(event.example(4, "cpu"), zoo.Clock(torch.tensor(0), 10)).loss.backward()
    draw: Any = torch.compile(model.sample, fullgraph=True, backend="aot_eager")
    assert draw(3).shape == (3, 3)

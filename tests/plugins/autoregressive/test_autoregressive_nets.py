"""Every registered autoregressive net obeys the laws of its kind; FVSBN, NADE and MADE against their definitions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor

import zoo
from zoo.interfaces.component import kind_of
from zoo.registry.part import example_of
from zoo.registry.registry import installed
from zoo.testing import perturb

if TYPE_CHECKING:
    from plugins.autoregressive.causal.sites import at_sites
    from plugins.nets.masked.net import AutoregressiveNet
else:
    from zoo.plugins.autoregressive.causal.sites import at_sites
    from zoo.plugins.nets.masked.net import AutoregressiveNet

NODES: dict[str, Any] = {
    name: {"type": name, **example_of(cls)}
    for (_, name), cls in installed().components().items()
    if kind_of(cls) is AutoregressiveNet
}
SETTINGS = (
    (zoo.Shape(1), 2, 1, 1),
    (zoo.Shape(7), 2, 1, 1),
    (zoo.Shape(1, 4, 5), 2, 1, 1),
    (zoo.Shape(3, 4, 4), 2, 1, 1),
    (zoo.Shape(3, 4, 4), 2, 3, 1),
    (zoo.Shape(2, 4, 4), 3, 1, 2),
)
"""Shape, parameters of a site, channels that come together, numbers that describe an element."""


def built(name: str, setting: tuple[zoo.Shape, int, int, int], seed: int | None = 0) -> Any:
    """A net in double precision, as it might be after some training; as it starts without a seed."""
    torch.manual_seed(0)
    net = zoo.declare(AutoregressiveNet, NODES[name])(*setting).double().eval()
    if seed is not None:
        perturb(net, seed=seed)
    return net


def taken() -> list[tuple[str, int]]:
    """The settings that each net takes; one takes the others by ValueError alone."""
    found = []
    for name, k in product(NODES, range(len(SETTINGS))):
        try:
            built(name, SETTINGS[k], seed=None)
        except zoo.SpecError:
            continue
        found.append((name, k))
    return found


def noise(*sizes: int, seed: int = 0) -> Tensor:
    return torch.randn(*sizes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def dependence(net: Any, seed: int = 0) -> Tensor:
    """By how much the parameters of each site move with each element, ``[sites, elements]``."""
    x = noise(16, *net.in_shape, seed=seed).requires_grad_()
    h = net(x).flatten(2)
    rows = []
    for site in range(net.sites.size):
        (slope,) = torch.autograd.grad(h[:, :, site].tanh().sum(), x, retain_graph=True, materialize_grads=True)
        rows.append(torch.unflatten(slope, 1, (net.features, -1)).abs().sum((0, 1)).flatten())
    return torch.stack(rows)


def site_of(net: Any) -> Tensor:
    """The site of each element, ``[elements]``."""
    elements = at_sites(torch.arange(net.shape.size).reshape(1, *net.shape), net.together)[0]
    sites = torch.empty(net.shape.size, dtype=torch.int64)
    return sites.index_put((elements,), torch.arange(net.sites.size).unsqueeze(1).expand_as(elements))


# -- the laws ----------------------------------------------------------------------------------------------------------


def nothing_leaks(net: Any) -> None:
    for training in (False, True):
        assert not (dependence(net.train(training)) > 0)[~net.sees()].any()


def it_sees_what_it_declares(net: Any) -> None:
    """By one weights or another: the only unit between two elements may be dead."""
    sees, moved = net.sees(), dependence(net)
    for seed in range(1, 30):
        if torch.equal(moved > 0, sees):
            break
        perturb(net, seed=seed)
        moved = moved + dependence(net, seed)
    assert torch.equal(moved > 0, sees)


def it_sees_earlier_elements_alone(net: Any) -> None:
    ranks = net.ranks()
    assert torch.equal(ranks.sort().values.unique(), ranks.unique())
    assert not net.sees()[ranks[site_of(net)] >= ranks.unsqueeze(1)].any()


def unroll_is_a_pass_for_each_site(net: Any) -> None:
    n, t, F = 3, net.together, net.features
    told = noise(net.sites.size, n, t * F, seed=3)

    def solve(i: int, h: Tensor) -> Tensor:
        x = told[i] + h.tanh().sum(1, keepdim=True)
        return x if t * F > 1 else x.squeeze(1)

    with torch.no_grad():
        elements = at_sites(torch.arange(net.shape.size).reshape(1, *net.shape), t)[0]
        x = torch.zeros(n, F, net.shape.size, dtype=torch.float64)
        for site in net.ranks().argsort().tolist():
            h = net(x.reshape(n, *net.in_shape)).flatten(2)[:, :, site]
            x[:, :, elements[site]] = solve(site, h).reshape(n, F, t)
        torch.testing.assert_close(net.unroll(solve, n), x.reshape(n, *net.in_shape), rtol=1e-9, atol=1e-9)


def examples_know_nothing_of_each_other(net: Any) -> None:
    x = noise(4, *net.in_shape).requires_grad_()
    h = net(x)
    for row in range(4):
        torch.testing.assert_close(net(x[row : row + 1]), h[row : row + 1], rtol=1e-11, atol=1e-11)
    (slope,) = torch.autograd.grad(net.train()(x)[0].square().sum(), x, materialize_grads=True)
    assert not slope[1:].any()


def it_is_shaped_without_memory(net: Any) -> None:
    x = torch.empty(2, *net.in_shape, device="meta", dtype=torch.float64)
    assert net.to("meta")(x).shape == (2, net.count, *net.sites)


LAWS: Mapping[str, Callable[[Any], None]] = {
    law.__name__: law
    for law in (
        nothing_leaks,
        it_sees_what_it_declares,
        it_sees_earlier_elements_alone,
        unroll_is_a_pass_for_each_site,
        examples_know_nothing_of_each_other,
        it_is_shaped_without_memory,
    )
}


@pytest.mark.parametrize(("name", "setting"), taken(), ids=str)
@pytest.mark.parametrize("law", LAWS)
def test_law(law: str, name: str, setting: int) -> None:
    LAWS[law](built(name, SETTINGS[setting]))


@pytest.mark.parametrize(("name", "setting"), taken(), ids=str)
def test_it_starts_at_zero_and_learns_from_there(name: str, setting: int) -> None:
    net = built(name, SETTINGS[setting], seed=None)
    h = net(noise(2, *net.in_shape))
    assert not h.any()
    h.sum().backward()
    assert any(p.grad is not None and bool(p.grad.any()) for p in net.parameters())


def test_every_net_takes_a_setting() -> None:
    assert {name for name, _ in taken()} == set(NODES)


# -- vectors -----------------------------------------------------------------------------------------------------------

VECTOR = (zoo.Shape(6), 2, 1, 1)
of_vectors = pytest.mark.parametrize("name", ["fvsbn", "nade", "made"])


@of_vectors
def test_refuses_what_is_more_than_an_element(name: str) -> None:
    for setting, message in (((zoo.Shape(3, 2, 2), 2, 3, 1), "3 at a time"), ((zoo.Shape(6), 2, 1, 4), "got 4")):
        with pytest.raises(zoo.SpecError, match=f"{name} .*{message}"):
            built(name, setting)


@of_vectors
def test_unroll_has_the_gradients_of_passes(name: str) -> None:
    net = built(name, VECTOR)
    z, weights = noise(3, 6).requires_grad_(), noise(3, 6, seed=1)
    found = []
    for way in (unrolled, element_by_element):
        x = way(net, z)
        found.append(torch.autograd.grad((weights * x).sum(), [z, *net.parameters()], materialize_grads=True))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


def unrolled(net: Any, z: Tensor) -> Tensor:
    x: Tensor = net.unroll(lambda i, h: z[:, i] * h[:, 0].tanh().exp() + h[:, 1], z.shape[0])
    return x


def element_by_element(net: Any, z: Tensor) -> Tensor:
    x = torch.zeros_like(z)
    for i in range(z.shape[1]):
        h = net(x)[:, :, i]
        x = x.index_copy(1, torch.tensor([i]), (z[:, i] * h[:, 0].tanh().exp() + h[:, 1]).unsqueeze(1))
    return x


def fvsbn_by_hand(net: Any, x: Tensor) -> Tensor:
    h: Tensor = net.b.detach().expand(x.shape[0], -1, -1).clone()
    for k, i in product(range(2), range(6)):
        for j in range(i):
            h[:, k, i] += net.W[k, i, j] * x[:, j]
    return h


def nade_by_hand(net: Any, x: Tensor) -> Tensor:
    columns = []
    for i in range(6):
        a = net.c + sum((net.W[j] * x[:, j : j + 1] for j in range(i)), torch.zeros_like(net.c))
        columns.append(net.b[i] + (1.0 / (1.0 + (-a).exp())).expand(x.shape[0], -1) @ net.V[i])
    return torch.stack(columns, dim=2)


@torch.no_grad()
def test_fvsbn_is_linear_in_what_came_before() -> None:
    net = built("fvsbn", VECTOR)
    torch.testing.assert_close(net(x := noise(4, 6)), fvsbn_by_hand(net, x))


def test_what_the_future_weighs_in_an_fvsbn_does_not_learn() -> None:
    net = built("fvsbn", VECTOR)
    net(noise(4, 6)).square().sum().backward()
    assert not net.W.grad.triu().any()
    assert bool((net.W.grad.tril(-1) != 0).equal(torch.ones(2, 6, 6, dtype=torch.bool).tril(-1)))


@pytest.mark.parametrize("way", ["_scanned", "_summed"])
def test_nade_is_that_of_the_definition(way: str) -> None:
    """Element by element and all at once, and with their gradients."""
    net = built("nade", VECTOR)
    x, weights = noise(4, 6).requires_grad_(), noise(4, 2, 6, seed=1)
    ours = getattr(net, way)(x.t().contiguous()).permute(1, 2, 0)
    theirs = nade_by_hand(net, x)
    torch.testing.assert_close(ours, theirs)
    wanted = [x, *net.parameters()]
    for one, other in zip(*(torch.autograd.grad((weights * h).sum(), wanted) for h in (ours, theirs)), strict=True):
        torch.testing.assert_close(one, other)


def test_nades_gradients_are_differences() -> None:
    net = built("nade", (zoo.Shape(4), 2, 1, 1))
    given = (noise(4, 3), *(p.detach() for p in (net.W, net.c, net.V, net.b)))
    scan: Any = torch.ops.zoo.nade_scan
    assert torch.autograd.gradcheck(lambda *args: scan(*args)[0], [part.requires_grad_() for part in given])
    torch.library.opcheck(scan.default, tuple(part.detach() for part in given))


def test_single_precision_keeps_nades_gradients_over_many_elements() -> None:
    """Though backward takes each sum off again."""
    torch.manual_seed(0)
    exact = zoo.declare(AutoregressiveNet, {"type": "nade", "hidden": 20})(zoo.Shape(784), 1).double()
    perturb(exact, seed=0)
    x = (noise(5, 784) > 0).double()
    exact(x).sum().backward()
    wanted = [p.grad.clone() for p in exact.parameters()]
    exact.zero_grad()
    exact.float()(x.float()).sum().backward()
    for p, reference in zip(exact.parameters(), wanted, strict=True):
        assert float((p.grad - reference).abs().max()) < 1e-4 * float(reference.abs().max())


@of_vectors
def test_it_compiles_as_one_graph(name: str) -> None:
    net = built(name, VECTOR).float()
    x = noise(3, 6).float()
    compiled: Any = torch.compile(net, fullgraph=True, backend="aot_eager")
    compiled(x).square().sum().backward()
    torch.testing.assert_close(compiled(x), net(x))


# -- orders ------------------------------------------------------------------------------------------------------------

RANKS = torch.tensor([3, 0, 5, 1, 4, 2])


def test_the_order_of_memory_is_the_nets_own() -> None:
    net, x = built("made", VECTOR), noise(3, 6)
    assert torch.equal(net.in_order(x, torch.arange(6)), net(x))


def made_by_hand(net: Any, x: Tensor, ranks: Tensor) -> Tensor:
    """Masks from the degrees, which those of the first layer tell."""
    degrees = net.first.mask.sum(1)
    a = x
    for layer in (net.first, *net.hidden, net.last):
        holds = ranks + 1 if layer is net.first else degrees
        sees = ranks.repeat(net.count) if layer is net.last else degrees
        W = layer.linear.weight * (sees.unsqueeze(1) >= holds)
        a = a @ W.t() + layer.linear.bias
        a = a if layer is net.last else a.relu()
    return torch.unflatten(a, 1, (net.count, -1))


def test_weights_stay_with_the_elements_in_another_order() -> None:
    net, x = built("made", VECTOR), noise(3, 6)
    torch.testing.assert_close(net.in_order(x, RANKS), made_by_hand(net, x, RANKS))


def test_parameters_depend_on_what_comes_earlier_in_another_order() -> None:
    net = built("made", VECTOR)
    x = noise(64, 6).requires_grad_()
    h = net.in_order(x, RANKS)
    slopes = [torch.autograd.grad(h[:, :, i].tanh().sum(), x, retain_graph=True)[0].abs().sum(0) for i in range(6)]
    assert torch.equal(torch.stack(slopes) > 0, net.sees()[RANKS][:, RANKS])


@torch.no_grad()
def test_unroll_in_another_order_is_a_pass_for_each_element() -> None:
    net, told = built("made", (zoo.Shape(1, 2, 3), 2, 1, 1)), noise(6, 4)

    def solve(i: int, h: Tensor) -> Tensor:
        return told[i] + h.tanh().sum(1)

    x = torch.zeros(4, 1, 2, 3, dtype=torch.float64)
    for i in RANKS.argsort().tolist():
        x.view(4, 6)[:, i] = solve(i, net.in_order(x, RANKS).flatten(2)[:, :, i])
    torch.testing.assert_close(net.unroll_in(RANKS, solve, 4), x)

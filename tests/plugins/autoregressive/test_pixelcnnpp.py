"""PixelCNN++: what it sees, what it costs, and that it goes pixel by pixel as it goes over the whole."""

from __future__ import annotations

from importlib import import_module
from typing import Any, TypeVar

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, elu, pad

import zoo
from zoo.assembly import build as assembly

AutoregressiveNet: Any = import_module("zoo.plugins.nets.masked.net").AutoregressiveNet
CausalConv: Any = import_module("zoo.plugins.autoregressive.causal.masked_conv").CausalConv
Normed: Any = import_module("zoo.plugins.autoregressive.causal.weight_norm").Normed
RowConv: Any = import_module("zoo.plugins.autoregressive.causal.row_conv").RowConv
UpConv: Any = import_module("zoo.plugins.autoregressive.causal.upsample_conv").UpConv
halving: Any = import_module("zoo.plugins.autoregressive.causal.layer").halving

M = TypeVar("M", bound=nn.Module)
U_NET = {"type": "u_net", "blocks": 1, "scales": 2}
PIXELCNNPP = {
    "type": "causal_stack", "width": 4, "entry": "shifted", "activation": "elu", "output": "weight_normed",
    "layers": [U_NET],
}  # fmt: skip
STACKS: dict[str, Any] = {
    "gated_resnet": PIXELCNNPP | {"layers": ["gated_resnet"]},
    "one scale": PIXELCNNPP | {"layers": [U_NET | {"blocks": 2, "scales": 1}]},
    "two scales": PIXELCNNPP,
    "three scales": PIXELCNNPP | {"layers": [U_NET | {"scales": 3}]},
    "with others": PIXELCNNPP | {"layers": ["gated", U_NET, "gated_resnet"], "readout": [5]},
    "no rows": PIXELCNNPP | {"width": 16, "layers": ["masked_residual"], "output": "plain"},
}


def declared(node: Any, shape: zoo.Shape, count: int = 2) -> Any:
    net: Any = zoo.declare(AutoregressiveNet, node)(shape, count, shape[0])
    return alive(net)


def alive(module: M) -> M:
    """In float64, with no weight at zero."""
    torch.manual_seed(0)
    module.double().eval()
    for p in module.parameters():
        nn.init.normal_(p, std=0.5)
    return module


def dependencies(net: Any) -> Tensor:
    """Which elements change a site's parameters, from gradients at several images: no ReLU is dead at all."""
    x = torch.randn(3, *net.in_shape, dtype=torch.float64, requires_grad=True)
    sums = net(x).sum((0, 1)).flatten()
    rows = [torch.autograd.grad(y, x, retain_graph=True)[0].ne(0).any(0).flatten() for y in sums]
    return torch.stack(rows)


# -- what it sees ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [zoo.Shape(1, 8, 8), zoo.Shape(3, 8, 8), zoo.Shape(1, 4, 12)], ids=str)
@pytest.mark.parametrize("name", STACKS)
def test_each_place_sees_what_is_declared(name: str, shape: zoo.Shape) -> None:
    net = declared(STACKS[name], shape)
    assert torch.equal(dependencies(net), net.sees())


@pytest.mark.parametrize("size", [(8, 8), (12, 8)])
def test_every_earlier_pixel_is_seen(size: tuple[int, int]) -> None:
    net = declared(PIXELCNNPP | {"layers": [U_NET | {"blocks": 2, "scales": 3}]}, zoo.Shape(1, *size))
    assert torch.equal(dependencies(net), torch.ones(net.sites.size, net.sites.size).tril(-1).bool())


@pytest.mark.parametrize(
    "conv",
    [
        RowConv(2, 3, above=1, side=1, stride=2),
        CausalConv(2, 3, above=1, left=1, stride=2),
        UpConv(2, left=1),
        UpConv(2),
    ],
    ids=["rows down", "places down", "rows up", "places up"],
)
def test_half_the_size_reaches_what_is_declared(conv: Any) -> None:
    up = isinstance(conv, UpConv)
    x = torch.randn(1, 2, *((2, 3) if up else (4, 6)), dtype=torch.float64, requires_grad=True)
    sums = alive(conv)(x).sum(1).flatten()
    found = torch.stack([torch.autograd.grad(y, x, retain_graph=True)[0].sum(1).flatten() for y in sums]) != 0
    declared = halving(4, 6, conv.offsets)
    assert torch.equal(found, declared.t() if up else declared)


def test_the_far_left_is_seen_in_its_own_row() -> None:
    # As many layers as the row is long; a convolution whose padding is off by one sees two pixels of it.
    net = declared(PIXELCNNPP | {"layers": [U_NET | {"scales": 1}] * 2}, zoo.Shape(1, 1, 8))
    assert torch.equal(dependencies(net), torch.ones(8, 8).tril(-1).bool())


def test_odd_rows_hear_of_their_own_row_by_short_cuts_alone() -> None:
    # The next scale knows the rows above an even one. Three layers and an entry would reach seven columns to the left,
    # but what a short-cut brings joins after the first of a layer's two convolutions: six.
    seen = declared(PIXELCNNPP, zoo.Shape(1, 8, 8)).sees().unflatten(0, (8, 8)).unflatten(2, (8, 8))
    assert seen[3, 7, 3].tolist() == [False, True, True, True, True, True, True, False]


# -- the same as the published graph --------------------------------------------------------------------------------


def published(net: Any, x: Tensor, blocks: int, scales: int) -> Tensor:
    """The graph of the published code, with one list for all that is remembered; from the parameters of ``net``."""

    def w(part: Any) -> tuple[Tensor, Tensor]:
        return (part.layer.weight if isinstance(part.layer, CausalConv) else part.layer.conv.weight), part.bias

    def down_shifted(part: Any, x: Tensor, stride: int = 1) -> Tensor:
        return conv2d(pad(x, (1, 1, 1, 0)), *w(part), stride=stride)

    def down_right_shifted(part: Any, x: Tensor, stride: int = 1) -> Tensor:
        return conv2d(pad(x, (1, 0, 1, 0)), *w(part), stride=stride)

    def phi(x: Tensor) -> Tensor:
        return torch.cat([elu(x), elu(-x)], 1)

    def resnet(unit: Any, conv: Any, x: Tensor, *sides: Tensor) -> Tensor:
        c1 = conv(unit.first, phi(x))
        if sides:
            c1 = c1 + conv2d(torch.cat([phi(side) for side in sides], 1), *w(unit.beside))
        a, b = conv(unit.second, phi(c1)).chunk(2, 1)
        y: Tensor = x + a * torch.sigmoid(b)
        return y

    x = torch.cat([x, torch.ones_like(x[:, :1])], 1)
    H, W = x.shape[2:]
    entry, scale = net.entry, net.layers[0].scale
    u = [conv2d(pad(x, (1, 1, 2, 0)), *w(entry.rows))[:, :, :H]]
    above = conv2d(pad(x, (1, 1, 1, 0)), *w(entry.above))[:, :, :H]
    ul = [above + conv2d(pad(x, (1, 0, 1, 0)), *w(entry.left))[..., :W]]
    path = [scale]
    for k in range(scales):
        for pair in scale.before:
            u.append(resnet(pair.v, down_shifted, u[-1]))
            ul.append(resnet(pair.h, down_right_shifted, ul[-1], u[-1]))
        if k < scales - 1:
            halved = scale.halved
            u.append(down_shifted(halved.down_v, u[-1], 2))
            ul.append(down_right_shifted(halved.down_h, ul[-1], 2))
            path.append(scale := halved.inner)
    v, h = u.pop(), ul.pop()
    for k, scale in enumerate(reversed(path)):
        if k:
            v = conv_transpose2d(v, *w(scale.halved.up_v), stride=2, output_padding=1)[:, :, :-1, 1:-1]
            h = conv_transpose2d(h, *w(scale.halved.up_h), stride=2, output_padding=1)[:, :, :-1, :-1]
        assert len(scale.after) == (blocks + 1 if k else blocks)
        for pair in scale.after:
            v = resnet(pair.v, down_shifted, v, u.pop())
            h = resnet(pair.h, down_right_shifted, h, v, ul.pop())
    assert not u and not ul
    return conv2d(elu(h), *w(net.out.layer))


@pytest.mark.parametrize(("blocks", "scales"), [(1, 1), (2, 2), (1, 3)])
def test_it_is_the_published_graph(blocks: int, scales: int) -> None:
    node = PIXELCNNPP | {"layers": [U_NET | {"blocks": blocks, "scales": scales}]}
    net = declared(node, zoo.Shape(3, 8, 8), 5)
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(net(x).flatten(1, 2), published(net, x, blocks, scales), rtol=0, atol=1e-9)


def test_the_published_size() -> None:
    spec = zoo.load_spec("pixelcnnpp-cifar10")
    with torch.device("meta"):
        model: Any = assembly.build(spec)
    assert sum(p.numel() for p in model.parameters()) == 53_659_080
    assert tuple(model.net.out.layer.bias.shape) == (100,)


# -- pixel by pixel -------------------------------------------------------------------------------------------------


def replay(net: Any, x: Tensor, context: Tensor | None = None) -> Tensor:
    """What `unroll` says at each site when the data turn out to be x."""
    C, H, W = net.shape
    said: dict[int, Tensor] = {}

    def solve(i: int, h: Tensor) -> Tensor:
        said[i] = h.clone()
        return x[:, :, i // W, i % W] if C > 1 else x[:, 0, i // W, i % W]

    again = net.unroll(solve, x.shape[0], context)
    torch.testing.assert_close(again, x, rtol=0, atol=0)
    return torch.unflatten(torch.stack([said[i] for i in range(H * W)], 2), 2, (1, H, W))


@pytest.mark.parametrize("shape", [zoo.Shape(1, 8, 8), zoo.Shape(3, 12, 8), zoo.Shape(1, 4, 12)], ids=str)
@pytest.mark.parametrize("name", STACKS)
def test_pixel_by_pixel_is_the_whole(name: str, shape: zoo.Shape) -> None:
    net = declared(STACKS[name], shape)
    x = torch.randn(3, *shape, dtype=torch.float64)
    torch.testing.assert_close(replay(net, x), net(x), rtol=0, atol=1e-9)


@pytest.mark.parametrize("size", [(), (8, 8)], ids=["vector", "map"])
def test_a_context_goes_pixel_by_pixel_too(size: tuple[int, ...]) -> None:
    layers = [U_NET | {"context": 3}, {"type": "gated_resnet", "context": 3}]
    net = declared(PIXELCNNPP | {"layers": layers, "context": 3}, zoo.Shape(1, 8, 8))
    x, context = torch.randn(2, 1, 8, 8, dtype=torch.float64), torch.randn(2, 3, *size, dtype=torch.float64)
    h = net(x, context)
    assert (h != net(x, context.flip(0))).all()
    torch.testing.assert_close(replay(net, x, context), h, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("channels", "head"), [(1, "categorical"), (3, {"type": "discretized_logistic_mixture", "components": 2})]
)
def test_draws_are_those_of_whole_passes(channels: int, head: Any) -> None:
    node = {"type": "autoregressive", "net": PIXELCNNPP, "head": head}
    model: Any = alive(zoo.declare(zoo.Model, node)(zoo.Event("image", zoo.Shape(channels, 8, 4), levels=5)))
    u = model.uniforms(4)
    x = torch.zeros(4, channels, 8, 4, dtype=torch.uint8)
    for i in range(8):
        for j in range(4):
            for c in range(channels):
                x[:, c, i, j] = model.redraw(x, u)[:, c, i, j]
    assert torch.unique(x).numel() == 5
    assert torch.equal(model.unroll(u), x)


# -- how it starts --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "conv",
    [lambda: CausalConv(3, 4, above=1, left=1), lambda: RowConv(3, 4, above=1, side=1), lambda: UpConv(3, left=1)],
    ids=["places", "rows", "up"],
)
def test_the_first_batch_comes_out_normalised(conv: Any) -> None:
    part = Normed(conv(), scale=0.1).double()
    x = 3.0 + 5.0 * torch.randn(16, 3, 6, 6, dtype=torch.float64)
    part.initialize(x)
    std, mean = torch.std_mean(part(x), dim=(0, 2, 3), correction=0)
    torch.testing.assert_close(std, torch.full_like(std, 0.1))
    torch.testing.assert_close(mean, torch.zeros_like(mean))
    assert part.gain.numel() == std.numel()


def test_a_channel_that_is_constant_keeps_its_gain() -> None:
    part = Normed(RowConv(1, 2, above=1, side=1))
    before = part.gain.clone()
    part.initialize(torch.zeros(2, 1, 4, 4))
    assert torch.equal(part.gain, before)
    assert part.bias.abs().max() == 0


def test_the_first_batch_leaves_the_output_at_zero() -> None:
    net: Any = zoo.declare(AutoregressiveNet, PIXELCNNPP)(zoo.Shape(3, 8, 8), 10, 3)
    x = torch.randn(16, 3, 8, 8)
    parts = [part for part in net.modules() if isinstance(part, Normed)]
    hooks = [part.register_forward_pre_hook(lambda part, args: part.initialize(*args)) for part in parts]
    net(x)
    for hook in hooks:
        hook.remove()
    assert net(x).abs().max() == 0
    net(x).sum().backward()
    assert net.out.layer.gain.grad.abs().min() > 0
    v, h = net.layers[0](net.entry(x))
    assert 0.5 < h.std() < 3.0 and 0.5 < v.std() < 3.0


# -- what is refused ------------------------------------------------------------------------------------------------


def test_a_size_that_cannot_be_halved_is_refused() -> None:
    with pytest.raises(zoo.SpecError, match="halves height and width 2 times: 8x6 is not divisible by 4"):
        zoo.declare(AutoregressiveNet, STACKS["three scales"])(zoo.Shape(1, 8, 6), 2, 1)


@pytest.mark.parametrize("node", [STACKS["two scales"], STACKS["no rows"]], ids=["u_net", "entry"])
def test_channels_one_by_one_are_refused(node: Any) -> None:
    with pytest.raises(zoo.SpecError, match="draws the channels of a pixel together"):
        zoo.declare(AutoregressiveNet, node | {"width": 6})(zoo.Shape(3, 8, 8), 2, 1)

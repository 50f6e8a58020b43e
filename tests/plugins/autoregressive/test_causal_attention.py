"""Attention in causal stacks: what it sees, what it computes, and that a cache of keys and values says the same."""

from __future__ import annotations

from importlib import import_module
from typing import Any, TypeVar

import pytest
import torch
from torch import Tensor, nn

import zoo

AutoregressiveNet: Any = import_module("zoo.plugins.nets.masked.net").AutoregressiveNet
AttentionLayer: Any = import_module("zoo.plugins.autoregressive.layers.causal_attention").AttentionLayer
CausalAttention: Any = import_module("zoo.plugins.autoregressive.causal.attention").CausalAttention
Streams: Any = import_module("zoo.plugins.autoregressive.causal.layer").Streams

M = TypeVar("M", bound=nn.Module)
ATTENTION = {"type": "causal_attention", "heads": 2}
BLOCK = {"type": "transformer_block", "heads": 2, "hidden": 2}
STACK = {"type": "causal_stack", "width": 6, "activation": "elu"}
STACKS: dict[str, Any] = {
    "pixelsnail": STACK | {"entry": "shifted", "layers": ["gated_resnet", ATTENTION, "gated_resnet", ATTENTION]},
    "attention alone": STACK | {"entry": "previous_pixel", "layers": [ATTENTION]},
    "transformer": STACK | {"entry": "previous_pixel", "layers": ["positions", BLOCK, BLOCK]},
    "transformer of a window": STACK | {"entry": {"type": "masked", "kernel": 3}, "layers": ["positions", BLOCK]},
}
COMPLETE = ["attention alone", "transformer"]
SHAPES = [zoo.Shape(1, 8, 8), zoo.Shape(3, 3, 5)]


def declared(node: Any, shape: zoo.Shape) -> Any:
    net: Any = zoo.declare(AutoregressiveNet, node)(shape, 2, shape[0])
    return alive(net)


def alive(module: M) -> M:
    """In float64, with no weight at zero."""
    torch.manual_seed(0)
    module.double().eval()
    for p in module.parameters():
        nn.init.normal_(p, std=0.5)
    return module


def dependencies(net: Any) -> Tensor:
    """Which elements change a site's parameters, from gradients."""
    x = torch.randn(1, *net.in_shape, dtype=torch.float64, requires_grad=True)
    rows = [torch.autograd.grad(y, x, retain_graph=True)[0].flatten() for y in net(x).sum((0, 1)).flatten()]
    return torch.stack(rows) != 0


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", STACKS)
def test_each_place_sees_what_is_declared(name: str, shape: zoo.Shape) -> None:
    net = declared(STACKS[name], shape)
    assert torch.equal(dependencies(net), net.sees())


@pytest.mark.parametrize("name", COMPLETE)
def test_every_earlier_pixel_is_seen_by_one_layer(name: str) -> None:
    net = declared(STACKS[name], zoo.Shape(1, 4, 6))
    assert torch.equal(net.sees(), torch.ones(24, 24).tril(-1).bool())


@pytest.mark.parametrize("name", STACKS)
def test_pixel_by_pixel_is_the_whole(name: str) -> None:
    for shape in SHAPES:
        net = declared(STACKS[name], shape)
        x = torch.randn(3, *shape, dtype=torch.float64)
        h = net(x).flatten(2)
        said: dict[int, Tensor] = {}

        def solve(i: int, h: Tensor, said: dict[int, Tensor] = said, x: Tensor = x) -> Tensor:
            said[i] = h.clone()
            return x.flatten(2)[:, :, i].squeeze(1)

        assert torch.equal(net.unroll(solve, 3), x)
        torch.testing.assert_close(torch.stack([said[i] for i in range(h.shape[2])], 2), h, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", STACKS)
def test_draws_are_those_of_whole_passes(name: str) -> None:
    node = {"type": "autoregressive", "net": STACKS[name], "head": "categorical", "inputs": "embedding"}
    model: Any = alive(zoo.declare(zoo.Model, node)(zoo.Event("image", zoo.Shape(1, 4, 4), levels=5)))
    u = model.uniforms(4)
    x = torch.zeros(4, 1, 4, 4, dtype=torch.uint8)
    for i in range(4):
        for j in range(4):
            x[:, :, i, j] = model.redraw(x, u)[:, :, i, j]
    assert torch.equal(model.unroll(u), x)


def by_hand(attention: Any, x: Tensor) -> Tensor:
    """Attention as its formula, place by place and head by head."""
    B, _, H, W = x.shape
    weight, bias = attention.into.conv.weight.flatten(1), attention.into.conv.bias
    rows = x.flatten(2).transpose(1, 2) @ weight.t() + bias  # [B, HW, 3 width]
    q, k, v = rows.chunk(3, dim=2)
    width = q.shape[2]
    d = width // attention.heads
    y = torch.zeros(B, H * W, width, dtype=x.dtype)
    for head in range(attention.heads):
        part = slice(head * d, (head + 1) * d)
        for i in range(H * W):
            scores = torch.stack([(q[:, i, part] * k[:, j, part]).sum(1) for j in range(i + 1)], 1) / d**0.5
            y[:, i, part] = sum(a.unsqueeze(1) * v[:, j, part] for j, a in enumerate(scores.softmax(1).unbind(1)))
    return y.transpose(1, 2).reshape(B, width, H, W)


def test_attention_is_its_formula() -> None:
    attention = alive(CausalAttention(5, 6, heads=3))
    x = torch.randn(2, 5, 3, 4, dtype=torch.float64)
    torch.testing.assert_close(attention(x), by_hand(attention, x))


def test_the_first_place_attends_to_itself() -> None:
    attention = alive(CausalAttention(5, 6, heads=3))
    x = torch.randn(2, 5, 3, 4, dtype=torch.float64)
    torch.testing.assert_close(attention(x)[..., 0, 0], attention.into(x[..., 0, 0])[:, 12:])


def test_attention_tells_places_apart() -> None:
    layer = alive(AttentionLayer(zoo.Shape(4, 3, 3), heads=2))
    h = layer(Streams(None, torch.ones(1, 4, 3, 3, dtype=torch.float64))).h.flatten(2)
    assert torch.unique(h[0, 0].round(decimals=9)).numel() == 9


def test_blocks_start_as_the_identity() -> None:
    for node in (ATTENTION, BLOCK):
        net: Any = zoo.declare(AutoregressiveNet, STACKS["transformer"] | {"layers": [node]})(zoo.Shape(1, 4, 4), 2)
        streams = Streams(None, torch.randn(2, 6, 4, 4))
        assert torch.equal(net.layers[0](streams).h, streams.h)


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    for node in (ATTENTION, BLOCK):
        with pytest.raises(zoo.SpecError, match="4 heads do not divide a width of 6"):
            zoo.declare(AutoregressiveNet, STACK | {"layers": [node | {"heads": 4}]})(zoo.Shape(1, 4, 4), 2)


@pytest.mark.parametrize("node", [ATTENTION, BLOCK, "positions"], ids=str)
def test_channels_one_by_one_are_refused(node: Any) -> None:
    with pytest.raises(zoo.SpecError, match="draws the channels of a pixel together"):
        zoo.declare(AutoregressiveNet, STACK | {"layers": [node]})(zoo.Shape(3, 4, 4), 2)


def test_an_entry_without_rows_says_so() -> None:
    with pytest.raises(zoo.SpecError, match="has no stream of rows"):
        zoo.declare(AutoregressiveNet, STACKS["transformer"] | {"layers": ["gated"]})(zoo.Shape(1, 4, 4), 2)

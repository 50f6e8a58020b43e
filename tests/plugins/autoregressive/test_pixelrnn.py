"""PixelRNN's layers do what the paper's equations say, see what they declare, and go pixel by pixel."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor

import zoo

if TYPE_CHECKING:
    from plugins.autoregressive.causal.layer import CausalLayer, Seen, Streams
    from plugins.autoregressive.lstm.diagonal import DiagonalBiLSTM
    from plugins.autoregressive.lstm.row import RowLSTM
    from plugins.autoregressive.lstm.scan import lstm_scan
    from plugins.nets.masked.net import AutoregressiveNet
else:
    from zoo.plugins.autoregressive.causal.layer import CausalLayer, Seen, Streams
    from zoo.plugins.autoregressive.lstm.diagonal import DiagonalBiLSTM
    from zoo.plugins.autoregressive.lstm.row import RowLSTM
    from zoo.plugins.autoregressive.lstm.scan import lstm_scan
    from zoo.plugins.nets.masked.net import AutoregressiveNet

LAYERS = ["row_lstm", "diagonal_bilstm"]


def lively(module: Any) -> Any:
    """With parameters of which none is zero, in float64."""
    noise = torch.Generator().manual_seed(0)
    for p in module.double().parameters():
        p.data = 0.5 * torch.randn(p.shape, dtype=torch.float64, generator=noise)
    return module


def layer_of(name: str, shape: zoo.Shape, colours: int = 1, **keys: Any) -> Any:
    return lively(zoo.declare(CausalLayer, {"type": name, **keys})(shape, colours))


def net_of(name: str, shape: zoo.Shape, kernel: int = 3, context: int = 0) -> Any:
    layers = [{"type": name, "context": context}, name]
    node = {"type": "causal_stack", "width": 12, "layers": layers, "context": context, "activation": "tanh"}
    return lively(zoo.declare(AutoregressiveNet, {**node, "entry": {"type": "masked", "kernel": kernel}})(shape, 2))


def numbers(*sizes: int) -> Tensor:
    return torch.randn(*sizes, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


# -- the paper's equations, place by place ----------------------------------------------------------------------------


def cell(sums: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Equation 3 of one place: ``[4 h]`` and ``[h]`` to the state and the memory."""
    o, f, i, g = sums.reshape(4, -1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def by_rows(layer: RowLSTM, x: Tensor, kernel: int) -> Tensor:
    """One image ``[C, H, W]``."""
    C, H, W = x.shape
    n, side = C // 2, kernel // 2
    into, bias, V = layer.into.kernel(), layer.into.bias, layer.out.kernel()[..., 0, 0]
    state = layer.weight[0].reshape(4 * n, kernel, n)
    nothing = torch.zeros(n, dtype=x.dtype)
    h: dict[tuple[int, int], Tensor] = {}
    c: dict[tuple[int, int], Tensor] = {}
    y = x.clone()
    for i, j in product(range(H), range(W)):
        sums = bias.clone()  # type: ignore[union-attr]
        for e in range(max(-side, -j), 1):
            sums = sums + into[:, :, 0, side + e] @ x[:, i, j + e]
        for e in range(-side, side + 1):
            sums = sums + state[:, side + e] @ h.get((i - 1, j + e), nothing)
        h[i, j], c[i, j] = cell(sums, c.get((i - 1, j), nothing))
        y[:, i, j] += V @ h[i, j]
    return y


def by_diagonals(layer: DiagonalBiLSTM, x: Tensor) -> Tensor:
    """One image ``[C, H, W]``."""
    C, H, W = x.shape
    n = C // 2
    nothing = torch.zeros(n, dtype=x.dtype)
    y = x.clone()
    for way, columns, back in ((0, range(W), -1), (1, range(W - 1, -1, -1), 1)):
        into = layer.into.kernel()[..., 0, 0].chunk(2)[way]
        bias = layer.into.conv.bias.chunk(2)[way]  # type: ignore[union-attr]
        above, beside = layer.weight[way].chunk(2, dim=1)
        h: dict[tuple[int, int], Tensor] = {}
        c: dict[tuple[int, int], Tensor] = {}
        for i, j in product(range(H), columns):
            sums = bias + into @ x[:, i, j]
            sums = sums + above @ h.get((i - 1, j), nothing) + beside @ h.get((i, j + back), nothing)
            h[i, j], c[i, j] = cell(sums, c.get((i, j + back), nothing))
            if i + way < H:
                y[:, i + way, j] += layer.out.kernel()[..., 0, 0] @ h[i, j]
    return y


SIZES = [(4, 5), (5, 3), (1, 4), (4, 1)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("colours", [1, 3])
@torch.no_grad()
def test_diagonal_bilstm_is_the_equations(size: tuple[int, int], colours: int) -> None:
    layer = layer_of("diagonal_bilstm", zoo.Shape(12, *size), colours)
    x = numbers(2, 12, *size)
    wanted = torch.stack([by_diagonals(layer, image) for image in x])
    torch.testing.assert_close(layer(Streams(None, x)).h, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("colours", "kernel"), [(1, 3), (3, 3), (1, 1), (1, 7)])
@torch.no_grad()
def test_row_lstm_is_the_equations(size: tuple[int, int], colours: int, kernel: int) -> None:
    layer = layer_of("row_lstm", zoo.Shape(12, *size), colours, kernel=kernel)
    x = numbers(2, 12, *size)
    wanted = torch.stack([by_rows(layer, image, kernel) for image in x])
    torch.testing.assert_close(layer(Streams(None, x)).h, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("taps", "left", "skew"), [(3, 1, 0), (2, 1, 1), (1, 0, 1), (5, 2, 1)])
def test_the_scan_has_the_gradient_of_what_it_computes(taps: int, left: int, skew: int) -> None:
    x = numbers(2, 4, 3, 2, 2).requires_grad_()
    W = numbers(2, 4, taps).requires_grad_()
    scan: Callable[..., Tensor] = lambda x, W: lstm_scan(x, W, left, skew)[0]  # noqa: E731
    assert torch.autograd.gradcheck(scan, (x, W))
    torch.library.opcheck(lstm_scan, (x.detach(), W.detach(), left, skew), test_utils="test_faketensor")


# -- what is seen -----------------------------------------------------------------------------------------------------


def felt(y: Tensor, x: Tensor) -> Tensor:
    """Which elements of ``x`` ``[1, ...]`` each of ``y`` depends on, by gradients: booleans."""
    rows = [torch.autograd.grad(value, x, retain_graph=True)[0].flatten().abs() > 1e-14 for value in y]
    return torch.stack(rows)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("size", SIZES)
def test_a_layer_reaches_what_it_declares(name: str, size: tuple[int, int]) -> None:
    layer = layer_of(name, zoo.Shape(4, *size))
    x = numbers(1, 4, *size).requires_grad_()
    found = felt(layer(Streams(None, x)).h.sum((0, 1)).flatten(), x).reshape(-1, 4, x[0, 0].numel()).any(1)
    eye = torch.eye(x[0, 0].numel(), dtype=torch.bool)
    assert torch.equal(found, layer.reach(Seen(None, eye)).h)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("shape", [zoo.Shape(1, 4, 5), zoo.Shape(3, 3, 4)], ids=str)
def test_a_net_sees_all_that_it_declares_and_nothing_ahead(name: str, shape: zoo.Shape) -> None:
    net = net_of(name, shape, kernel=7)
    x = numbers(1, *shape).requires_grad_()
    found = felt(net(x).sum((0, 1)).flatten(), x)
    assert not found[net.ranks().unsqueeze(1) <= net.ranks()].any()
    assert torch.equal(found, net.sees())


def test_a_diagonal_bilstm_has_no_blind_spot() -> None:
    """Where the first layer takes in the end of the row above."""
    net = net_of("diagonal_bilstm", zoo.Shape(1, 5, 4), kernel=7)
    assert torch.equal(net.sees(), torch.ones(20, 20, dtype=torch.bool).tril(-1))


# -- pixel by pixel ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("context", [None, "vector", "map"])
def test_steps_do_what_a_pass_does(name: str, channels: int, context: str | None) -> None:
    shape = zoo.Shape(channels, 4, 5)
    net = net_of(name, shape, context=2 if context else 0)
    given = None if context is None else numbers(3, 2) if context == "vector" else numbers(3, 2, 4, 5)
    told: dict[int, Tensor] = {}

    def solve(i: int, h: Tensor) -> Tensor:
        told[i] = h
        return torch.sin(7.0 * h.sum(1) + i)

    assert net.kept
    x = net.unroll(solve, 3, given)
    found = torch.stack([told[i] for i in range(shape.size)], dim=2)
    torch.testing.assert_close(found, net(x, given).flatten(2), rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", LAYERS)
@torch.no_grad()
def test_the_last_step_of_a_column_counts(name: str) -> None:
    layer = layer_of(name, zoo.Shape(4, 3, 4))
    x = numbers(2, 4, 3, 4)
    once, often = layer.stepper(2), layer.stepper(2)
    for i in range(3):
        once.row(None)
        often.row(None)
        for j in range(4):
            often.step(j, -3.0 * x[:, :, i, j])
            assert torch.equal(often.step(j, x[:, :, i, j]), once.step(j, x[:, :, i, j]))


@pytest.mark.parametrize("name", LAYERS)
@torch.no_grad()
def test_training_and_evaluation_are_the_same(name: str) -> None:
    net, x = net_of(name, zoo.Shape(1, 4, 5)), numbers(2, 1, 4, 5)
    assert torch.equal(net.train()(x), net.eval()(x))


@pytest.mark.parametrize("name", LAYERS)
def test_half_of_the_width_divides_into_colours(name: str) -> None:
    with pytest.raises(zoo.SpecError, match="not a multiple of 6"):
        layer_of(name, zoo.Shape(9, 4, 4), 3)


# -- many scales ------------------------------------------------------------------------------------------------------


def multi_scale(shape: zoo.Shape, layer: str = "row_lstm", **keys: Any) -> Any:
    net = {
        "type": "causal_stack",
        "width": 4,
        "context": 3,
        "layers": [{"type": layer, "context": 3}],
        "activation": "tanh",
    }
    small = {"type": "autoregressive", "net": {"type": "made", "width": 8}, "head": "bernoulli"}
    node = {"type": "multi_scale", "small": small, "net": net, "head": "bernoulli", "context": 3, **keys}
    return lively(zoo.declare(zoo.Model, node)(zoo.Event("image", shape, levels=2)))


def all_images(*sizes: int) -> Tensor:
    bits = torch.cartesian_prod(*[torch.arange(2)] * torch.Size(sizes).numel())
    return bits.reshape(-1, *sizes).to(torch.uint8)


@pytest.mark.parametrize("size", [(2, 3), (2, 4), (3, 3)])
@pytest.mark.parametrize("scale", [2, 3])
@torch.no_grad()
def test_probabilities_of_all_images_sum_to_one(size: tuple[int, int], scale: int) -> None:
    model = multi_scale(zoo.Shape(1, *size), scale=scale)
    x = all_images(1, *size)
    log_p = model.log_prob(x)
    torch.testing.assert_close(log_p.exp().sum(), torch.ones((), dtype=torch.float64))
    small = x[:, :, ::scale, ::scale]
    for part in torch.unique(small, dim=0):
        chosen = (small == part).flatten(1).all(1)
        torch.testing.assert_close(log_p[chosen].logsumexp(0), model.small.log_prob(part.unsqueeze(0))[0])


@pytest.mark.parametrize("layer", [*LAYERS, "gated"])
@torch.no_grad()
def test_all_ways_draw_the_same_images(layer: str) -> None:
    model = multi_scale(zoo.Shape(1, 5, 4), layer)
    u = model.uniforms(4).double()
    drawn = model.unroll(u)
    assert torch.equal(drawn, model.draw(u)) and torch.equal(drawn, model.redraw(drawn, u))
    known = zoo.Known(1 - drawn, torch.rand(drawn.shape) < 0.3)
    completed = model.unroll(u, known=known)
    assert torch.equal(completed, model.draw(u, known=known))
    again = torch.where(known.mask, known.x, model.redraw(completed, u))
    assert torch.equal(completed, again)
    assert torch.equal(completed[known.mask], known.x[known.mask])


def test_each_number_depends_on_the_small_image_and_what_is_before_it() -> None:
    model = multi_scale(zoo.Shape(1, 3, 4), "diagonal_bilstm")
    ranks, sees = model.ranks(), model.sees()
    assert ranks.tolist() == [0, 4, 1, 5, 6, 7, 8, 9, 2, 10, 3, 11]  # the small image is the even places of even rows
    found = torch.zeros_like(sees)
    for x in (3.0 * numbers(4, 1, 1, 3, 4)).unbind():  # several, for some units of the upsampling are silent on one
        x.requires_grad_()
        found |= felt(model.conditionals(x)[..., 1].flatten(), x)
    assert torch.equal(found, sees)
    assert not found[ranks.unsqueeze(1) <= ranks].any()


def test_the_small_model_is_causal() -> None:
    with pytest.raises(zoo.SpecError, match="must be autoregressive, got 'vae'"):
        multi_scale(
            zoo.Shape(1, 4, 4),
            small={"type": "vae", "latent": 2, "encoder": "mlp", "decoder": "mlp", "likelihood": "bernoulli"},
        )


def test_something_takes_the_map() -> None:
    with pytest.raises(zoo.SpecError, match="no part takes its context: declare 'context: 3'"):
        multi_scale(zoo.Shape(1, 4, 4), net={"type": "causal_stack", "width": 4, "layers": ["row_lstm"]})


def test_a_scale_leaves_an_image() -> None:
    with pytest.raises(zoo.SpecError, match="use a smaller scale"):
        multi_scale(zoo.Shape(1, 4, 4), scale=5)

"""Transformers in further settings obey the laws of their kind, and the laws find planted defects."""

from __future__ import annotations

import math
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor

import zoo
from zoo.interfaces.component import kind_of
from zoo.registry.registry import installed
from zoo.testing import BIJECTION_LAWS, LawBroken, inputs, liven, perturb

if TYPE_CHECKING:
    from plugins.flows.elementwise.base import Transformer
    from plugins.flows.laws.transformer import LAWS as TRANSFORMER_LAWS
    from plugins.flows.laws.transformer import hard
else:
    from zoo.plugins.flows.elementwise.base import Transformer
    from zoo.plugins.flows.laws.transformer import LAWS as TRANSFORMER_LAWS
    from zoo.plugins.flows.laws.transformer import hard

NAMES = [name for (_, name), cls in installed().components().items() if kind_of(cls) is Transformer]
FURTHER: dict[str, Any] = {
    "composed": {"type": "composed", "of": ["affine", "rational_quadratic_spline"]},
    "three_composed": {"type": "composed", "of": ["affine", "additive", "rational_quadratic_spline"]},
    "two_bins": {"type": "rational_quadratic_spline", "bins": 2, "bound": 1.0, "min_bin": 0.1},
    "twenty_bins": {"type": "rational_quadratic_spline", "bins": 20, "bound": 10.0},
    "one_logistic": {"type": "logistic_mixture", "components": 1},
    "many_logistics": {"type": "logistic_mixture", "components": 16, "min_slope": 0.01},
}
NODES: dict[str, Any] = dict(zip(NAMES, NAMES, strict=True)) | FURTHER
LAWS = TRANSFORMER_LAWS.by_name


# As their examples are, tests/laws holds them. Tracing is slow, and the same for other sizes of the same map.
@pytest.mark.parametrize(("name", "law"), list(product(FURTHER, [law for law in LAWS if law != "compiles"])))
def test_law(name: str, law: str) -> None:
    LAWS[law](zoo.declare(Transformer, FURTHER[name])())


# -- planted defects ---------------------------------------------------------------------------------------------------


class Scaling(Transformer):
    """A sound one, for defects to be planted in: a slope of 1 + tanh(h)^2."""

    count = 1

    def slope(self, h: Tensor) -> Tensor:
        return 1.0 + torch.tanh(h.squeeze(1)).square()

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        return x * self.slope(h), self.slope(h).log()

    def inverse(self, y: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        return y / self.slope(h), -self.slope(h).log()


class WrongSlope(Scaling):
    def inverse(self, y: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        x, log_slope = super().inverse(y, h)
        return x, -log_slope


class WrongInverse(Scaling):
    def inverse(self, y: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        x, log_slope = super().inverse(y, h)
        return x + 1e-7, log_slope


class LosesPrecision(Scaling):
    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        y, log_slope = super().forward(x, h)
        return (y + 1e4) - 1e4, log_slope


class WrongDecode(Scaling):
    def decode(self, y: Tensor, h: Tensor) -> Tensor:
        return y


class Decreasing(Scaling):
    def slope(self, h: Tensor) -> Tensor:
        return 1.0 + h.squeeze(1)


class NoIdentity(Scaling):
    def slope(self, h: Tensor) -> Tensor:
        return 1.0 + torch.sigmoid(h.squeeze(1))


class SquareRootOfZero(Scaling):
    """Its value is right everywhere, and its gradient is NaN where tanh rounds to one."""

    def slope(self, h: Tensor) -> Tensor:
        t = torch.tanh(h.squeeze(1))
        return 1.0 + t.square() + 0.0 * (1.0 - t.square()).sqrt()


class Detached(Scaling):
    def slope(self, h: Tensor) -> Tensor:
        return super().slope(h).detach()


class SinglePrecision(Scaling):
    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        y, log_slope = super().forward(x, h)
        return y, log_slope.float()


class AsksForValues(Scaling):
    def slope(self, h: Tensor) -> Tensor:
        return super().slope(h) if h.sum().item() < 1e9 else h


PLANTED = [
    (WrongSlope, "derivative_is_autograds"),
    (WrongInverse, "inverse_inverts"),
    (LosesPrecision, "float32_is_enough"),
    (WrongDecode, "decode_is_inverse"),
    (Decreasing, "increases"),
    (NoIdentity, "zero_is_the_identity"),
    (SquareRootOfZero, "all_is_finite"),
    (Detached, "gradients_of_parameters_are_right"),
    (SinglePrecision, "any_shape_and_dtype"),
    (AsksForValues, "any_shape_and_dtype"),
    (AsksForValues, "compiles"),
]


@pytest.mark.parametrize("law", LAWS)
def test_the_sound_one_obeys(law: str) -> None:
    LAWS[law](Scaling())


@pytest.mark.parametrize(("cls", "law"), PLANTED, ids=lambda value: getattr(value, "__name__", value))
def test_planted_defect_is_found(cls: type[Scaling], law: str) -> None:
    with pytest.raises((LawBroken, RuntimeError)):
        LAWS[law](cls())


def test_every_law_has_a_defect_that_it_finds() -> None:
    assert {law for _, law in PLANTED} == set(LAWS)


# -- the formulas, as their papers have them ---------------------------------------------------------------------------


def knots_of(h: Tensor, bins: int, bound: float, least: float) -> tuple[Tensor, Tensor, Tensor]:
    """Knots ``[bins + 1]`` in x and y and the derivatives there, for the parameters of one number."""
    widths, heights = (least + (1.0 - bins * least) * part.softmax(0) for part in torch.split(h[: 2 * bins], bins))
    slopes = 0.1 + 2.9 * torch.sigmoid(h[2 * bins :] + math.log(0.9 / 2.0))
    corners = [torch.cat((sizes.new_zeros(1), sizes.cumsum(0))) * 2.0 * bound - bound for sizes in (widths, heights)]
    one = h.new_ones(1)
    return corners[0], corners[1], torch.cat((one, slopes, one))


def test_spline_is_that_of_the_paper() -> None:
    """Eq. 4 of Durkan et al. 2019, on every knot and between them."""
    spline = zoo.declare(Transformer, "rational_quadratic_spline")()
    for h in hard(spline, 3.0)[1][:8, :, 0]:
        xs, ys, d = knots_of(h, 8, 3.0, 0.04)
        x = (xs[:-1, None] + torch.linspace(0.0, 1.0, 6, dtype=xs.dtype) * xs.diff()[:, None]).flatten().clamp(-3, 3)
        k = torch.searchsorted(xs[1:-1].contiguous(), x, right=True)
        w, v = xs.diff()[k], ys.diff()[k]
        s, xi = v / w, (x - xs[k]) / w
        below = s + (d[k + 1] + d[k] - 2.0 * s) * xi * (1.0 - xi)
        y = ys[k] + v * (s * xi**2 + d[k] * xi * (1.0 - xi)) / below
        slope = s**2 * (d[k + 1] * xi**2 + 2.0 * s * xi * (1.0 - xi) + d[k] * (1.0 - xi) ** 2) / below**2
        ours, log_slope = spline(x.unsqueeze(1), h.view(1, -1, 1).expand(len(x), -1, 1))
        assert torch.allclose(ours[:, 0], y, atol=1e-11)
        assert torch.allclose(log_slope[:, 0], slope.log(), atol=1e-9)


def test_spline_keeps_what_is_beyond() -> None:
    spline = zoo.declare(Transformer, "rational_quadratic_spline")()
    x = torch.tensor([[-1e6, -3.5, -3.0, 3.0, 3.5, 1e6]]).double()
    y, log_slope = spline(x, hard(spline, 10.0)[1][:1, :, :6])
    assert torch.allclose(y, x, atol=1e-12, rtol=1e-15)
    assert log_slope.abs().max() < 1e-12


@pytest.mark.parametrize("sigma", [3.0, 10.0, 100.0])
def test_spline_comes_back_in_float32_whatever_its_parameters(sigma: float) -> None:
    spline = zoo.declare(Transformer, "rational_quadratic_spline")()
    noise = torch.Generator().manual_seed(0)
    h = sigma * torch.randn(1000, spline.count, 50, generator=noise)
    x = 1.5 * torch.randn(1000, 50, generator=noise)
    with torch.no_grad():
        back, _ = spline.inverse(spline(x, h)[0], h)
    assert (back - x).abs().max() < 1e-4


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("sigma", [3.0, 10.0, 100.0])
def test_spline_is_finite_at_limits_as_wide_as_the_papers(sigma: float, dtype: torch.dtype) -> None:
    node = {"type": "rational_quadratic_spline", "min_bin": 1e-3, "min_derivative": 1e-3, "max_derivative": 100.0}
    spline = zoo.declare(Transformer, node)()
    noise = torch.Generator().manual_seed(0)
    h = (sigma * torch.randn(4000, spline.count, 50, generator=noise, dtype=dtype)).requires_grad_(True)
    x = 1.5 * torch.randn(4000, 50, generator=noise, dtype=dtype)
    for direction in (spline.forward, spline.inverse):
        y, log_slope = direction(x, h)
        (gradient,) = torch.autograd.grad(y.sum() + log_slope.sum(), h)
        assert all(value.isfinite().all() for value in (y, log_slope, gradient))


@pytest.mark.parametrize(
    ("values", "message"),
    [({"bins": 30}, "min_bin below 1/30"), ({"min_derivative": 1.5}, "must contain 1"), ({"bins": 1}, "bins")],
)
def test_spline_refuses_what_it_cannot_be(values: dict[str, float], message: str) -> None:
    with pytest.raises(zoo.SpecError, match=message):
        zoo.declare(Transformer, {"type": "rational_quadratic_spline"} | values)()


def test_logistic_mixture_is_that_of_the_paper() -> None:
    """Less what keeps h = 0 the identity; in the middle, where the logit of a distribution function says something."""
    node = {"type": "logistic_mixture", "components": 3, "min_slope": 1e-12, "max_log_scale": 5.0}
    mixture = zoo.declare(Transformer, node)()
    h = torch.tensor([0.4, -0.7, 0.5, -0.2, 0.1, 1.0, -2.0, 0.3, 0.2, -0.5, -0.1]).double()
    x = torch.linspace(-3.0, 3.0, 25, dtype=torch.float64)
    a, b, weights, shifts, scales = torch.split(h, [1, 1, 3, 3, 3])
    start = torch.tensor([-1.0, 0.0, 1.0]).double()
    log_scales = 5.0 * torch.tanh(scales / 5.0)
    g = (weights.softmax(0) * torch.sigmoid((x[:, None] - start - shifts) / log_scales.exp())).sum(1).logit()
    g_0 = torch.sigmoid(x[:, None] - start).mean(1).logit()
    y = (5.0 * torch.tanh(a / 5.0)).exp() * (x + g - g_0) + b
    ours, _ = mixture(x.unsqueeze(1), h.view(1, -1, 1).expand(len(x), -1, 1))
    assert torch.allclose(ours[:, 0], y, atol=1e-10)


def test_logistics_learn_apart() -> None:
    """Components that start alike would have the same gradients for ever."""
    mixture = zoo.declare(Transformer, {"type": "logistic_mixture", "components": 4})()
    x, h = (given[8:].requires_grad_(True) for given in hard(mixture, 0.0))
    y, log_slope = mixture(x, h)
    (gradient,) = torch.autograd.grad((0.5 * y.square() - log_slope).sum(), h)
    for part in torch.split(gradient.sum((0, 2))[2:], 4):
        assert len(set(part.tolist())) == 4


# -- couplings take any of them ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("law", [law for law in BIJECTION_LAWS if law != "compiles"])
@pytest.mark.parametrize("net", [{"type": "mlp", "width": 8}, {"type": "resnet", "width": 4, "blocks": 1}], ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_coupling_obeys_with_any_transformer(name: str, net: dict[str, Any], law: str) -> None:
    shape = zoo.Shape(5) if net["type"] == "mlp" else zoo.Shape(2, 4, 4)
    node = {"type": "coupling", "mask": "checkerboard", "conditioner": net, "transformer": NODES[name]}
    bijection = liven(zoo.declare(zoo.Bijection, node)(shape))
    BIJECTION_LAWS[law](bijection, inputs(bijection, 8, seed=7))


@pytest.mark.parametrize("name", NAMES)
def test_coupling_starts_as_the_identity(name: str) -> None:
    node = {"type": "coupling", "mask": "channel", "conditioner": "mlp", "transformer": NODES[name]}
    x = torch.randn(16, 6)
    z, log_det = zoo.declare(zoo.Bijection, node)(zoo.Shape(6))(x)
    assert (z - x).abs().max() < 1e-6
    assert log_det.abs().max() < 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_elements_have_parameters_of_their_own(name: str) -> None:
    """What the conditioner answers for one changed element moves that element alone, by all of its numbers."""
    node = {"type": "coupling", "mask": "channel", "conditioner": "mlp", "transformer": NODES[name]}
    coupling = zoo.declare(zoo.Bijection, node)(zoo.Shape(6))
    perturb(coupling, seed=0)
    x = 1.5 * torch.randn(512, 6)
    before, bias = coupling(x)[0], coupling.net.layers[-1].bias
    for number in range(coupling.transformer.count):
        with torch.no_grad():
            bias[3 * number + 1] += 0.5
        after = coupling(x)[0]
        assert torch.equal((after != before).any(0), torch.arange(6) == 4)
        before = after


def test_affine_coupling_is_short_for_a_coupling() -> None:
    common = {"mask": "channel", "conditioner": {"type": "mlp", "width": 8}}
    short = zoo.declare(zoo.Bijection, {"type": "affine_coupling", "max_log_scale": 1.5, **common})(zoo.Shape(5))
    affine = {"type": "affine", "max_log_scale": 1.5}
    long = zoo.declare(zoo.Bijection, {"type": "coupling", "transformer": affine, **common})(zoo.Shape(5))
    perturb(short, seed=0)
    long.load_state_dict(short.state_dict())
    x = torch.randn(4, 5)
    assert all(torch.equal(*pair) for pair in zip(short(x), long(x), strict=True))
    assert list(short.state_dict()) == [f"net.layers.{i}.{what}" for i in (0, 2, 4) for what in ("weight", "bias")]

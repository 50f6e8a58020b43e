"""RealNVP's parts by hand and in closed form, and the whole of it."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import zoo
from zoo.testing import CONDITIONER_LAWS, Case, LawBroken, cases, initialize, perturb

NET = {"type": "resnet", "width": 8, "blocks": 1}
IMAGE = zoo.Event("image", zoo.Shape(1, 8, 8), levels=17)
CLOCK = zoo.Clock(torch.tensor(0), 10)


def bijection(node: Any, *shape: int) -> zoo.Bijection:
    built: zoo.Bijection = zoo.declare(zoo.Bijection, node)(zoo.Shape(*shape)).double()
    return built


def coupling(mask: str, **values: Any) -> dict[str, Any]:
    return {"type": "affine_coupling", "mask": {"type": mask, **values}, "conditioner": NET}


def real_nvp() -> dict[str, Any]:
    scale = [
        coupling("checkerboard"),
        "batch_norm",
        coupling("checkerboard", odd=True),
        "squeeze",
        coupling("channel"),
        "act_norm",
        coupling("channel", swap=True),
    ]
    last = [coupling("checkerboard"), coupling("checkerboard", odd=True)]
    transforms = ["logit", *scale, {"type": "factor_out", "then": [*scale, {"type": "factor_out", "then": last}]}]
    return {"type": "flow", "base": "standard_normal", "dequantize": "uniform", "transforms": transforms}


def flow(node: dict[str, Any], event: zoo.Event) -> Any:
    return zoo.declare(zoo.Model, node)(event)


@pytest.mark.parametrize("law", CONDITIONER_LAWS)
@pytest.mark.parametrize("case", list(cases(zoo.Conditioner, single={"type": "convnet", "kernels": [3]})), ids=str)
def test_conditioner_law(case: Case, law: str) -> None:
    CONDITIONER_LAWS[law](case.build())


class Biased(zoo.Conditioner):
    """Does not start at zero, and adds up over the batch."""

    def __init__(self) -> None:
        super().__init__(zoo.Shape(2), zoo.Shape(2))
        self.layer = nn.Linear(2, 2)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        y: Tensor = self.layer(x.sum(0, keepdim=True).expand_as(x))
        return y


class Stuck(Biased):
    """Two layers of zeros have no gradient."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return super().forward(x) * (0.0 if x.sum() < 1e9 else 1.0)


@pytest.mark.parametrize(
    ("cls", "law"),
    [
        (Biased, "starts_at_zero"),
        (Biased, "answers_each_sample_alone"),
        (Stuck, "learns_from_zero"),
        (Stuck, "compiles"),
    ],
)
def test_planted_defect_of_a_conditioner_is_found(cls: type[Biased], law: str) -> None:
    with pytest.raises(LawBroken):
        CONDITIONER_LAWS[law](cls())


@pytest.mark.parametrize("net", [NET, "convnet"], ids=["resnet", "convnet"])
@pytest.mark.parametrize("shapes", [((3,), (4,)), ((1, 4, 4), (2, 2, 4)), ((5,), (1, 4, 4))])
def test_nets_of_images_refuse_what_is_no_image_of_one_size(
    net: Any, shapes: tuple[tuple[int, ...], tuple[int, ...]]
) -> None:
    with pytest.raises(zoo.SpecError, match="use mlp"):
        zoo.declare(zoo.Conditioner, net)(zoo.Shape(*shapes[0]), zoo.Shape(*shapes[1]))


def test_weight_norm_scales_are_named_for_parameter_groups() -> None:
    net = zoo.declare(zoo.Conditioner, NET)(zoo.Shape(1, 4, 4), zoo.Shape(2, 4, 4))
    scales = [p for name, p in net.named_parameters() if name.endswith("original0")]
    assert len(scales) == 4
    assert all(p.dim() == 4 and p[0].numel() == 1 for p in scales)


def test_convnet_starts_with_normalised_layers() -> None:
    net: Any = zoo.declare(zoo.Conditioner, {"type": "convnet", "width": 8})(zoo.Shape(2, 4, 4), zoo.Shape(2, 4, 4))
    x = 3.0 + 5.0 * torch.randn(64, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    x[:, 1] = 7.0
    initialize(net, x)
    for layer in (net.layers[0], net.layers[2]):
        x = layer(x)
        assert x.mean(dim=(0, 2, 3)).abs().max() < 1e-4
        assert (x.std(dim=(0, 2, 3)) - 1).abs().max() < 1e-3
        x = x.relu()


def test_convnet_takes_odd_kernels_alone() -> None:
    with pytest.raises(zoo.SpecError, match="must be odd"):
        zoo.declare(zoo.Conditioner, {"type": "convnet", "kernels": [3, 2, 3]})


@pytest.mark.parametrize(("odd", "first"), [(False, 1.0), (True, 0.0)])
def test_checkerboard_shows_the_grid_and_the_mask(odd: bool, first: float) -> None:
    mask = zoo.declare(zoo.Mask, {"type": "checkerboard", "odd": odd})(zoo.Shape(2, 4, 6))
    x = torch.randn(3, 2, 4, 6)
    shown = mask.show(mask.split(x)[0])
    rows, columns = torch.meshgrid(torch.arange(4), torch.arange(6), indexing="ij")
    kept = ((rows + columns) % 2 == (1 if odd else 0)).float()
    assert shown[0, -1, 0, 0] == first
    assert torch.equal(shown, torch.cat((x * kept, kept.expand(3, 1, 4, 6)), dim=1))


def test_masks_refuse_what_they_cannot_halve() -> None:
    for node, shape in (("checkerboard", (1, 3, 4)), ("checkerboard", (1,)), ("channel", (1, 4, 4))):
        with pytest.raises(zoo.SpecError, match="needs"):
            zoo.declare(zoo.Mask, node)(zoo.Shape(*shape))


def test_logit_by_hand() -> None:
    z, log_det = bijection({"type": "logit", "alpha": 0.1}, 2)(torch.tensor([[0.0, 0.75]]).double())
    y = torch.tensor([0.1, 0.7]).double()
    assert torch.allclose(z[0], (y / (1 - y)).log(), atol=1e-12)
    assert log_det.item() == pytest.approx(math.log(0.8 / 0.09) + math.log(0.8 / 0.21), abs=1e-12)


def test_squeeze_is_of_the_published_order() -> None:
    x = torch.arange(32.0).reshape(1, 2, 4, 4).double()
    z, _ = bijection("squeeze", 2, 4, 4)(x)
    assert z.shape == (1, 8, 2, 2)
    assert z[0, :, 0, 0].tolist() == [0, 1, 4, 5, 16, 17, 20, 21]
    assert z[0, :, 1, 1].tolist() == [10, 11, 14, 15, 26, 27, 30, 31]


def test_factor_out_puts_the_early_latents_first() -> None:
    node = {"type": "factor_out", "then": [{"type": "factor_out", "then": ["act_norm"]}]}
    part = bijection(node, 5)
    assert part.out_shape == zoo.Shape(5)
    assert part(torch.arange(5.0).double()[None])[0].tolist() == [[3, 4, 2, 0, 1]]


def test_split_prior_is_a_normal_given_the_other_half() -> None:
    part: Any = bijection({"type": "factor_out", "then": ["act_norm"], "prior": "mlp"}, 4)
    perturb(part, seed=0)
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(0)).double()
    h, leaving = x[:, :2], x[:, 2:]
    z, log_det = part.then(h)
    s, t = part.prior.net(h).chunk(2, dim=1)
    s = 2.0 * torch.tanh(s / 2.0)
    given = normal_log_prob(leaving, -t * (-s).exp(), (-s).exp())
    latent, found = part(x)
    expected = normal_log_prob(z, torch.zeros_like(z), torch.ones_like(z)) + log_det + given
    assert torch.allclose(
        normal_log_prob(latent, torch.zeros_like(x), torch.ones_like(x)) + found, expected, atol=1e-12
    )


def normal_log_prob(x: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
    return -(0.5 * ((x - mean) / scale).square() + scale.log() + 0.5 * math.log(2 * math.pi)).sum(1)


def test_factor_out_without_a_prior_has_the_state_that_it_had() -> None:
    names = set(bijection({"type": "factor_out", "then": ["act_norm"]}, 4).state_dict())
    assert names == {"then.of.0.log_scale", "then.of.0.bias"}


def test_coupling_by_hand() -> None:
    node = {"type": "affine_coupling", "mask": "channel", "conditioner": "mlp", "max_log_scale": 1.5}
    part = bijection(node, 2)
    bias = torch.tensor([0.7, -0.4], dtype=torch.float64)
    with torch.no_grad():
        dict(part.named_parameters())["net.layers.4.bias"].copy_(bias)
    z, log_det = part(torch.tensor([[2.0, 3.0]]).double())
    s = 1.5 * math.tanh(0.7 / 1.5)
    assert z[0].tolist() == pytest.approx([2.0, 3.0 * math.exp(s) - 0.4], abs=1e-12)
    assert log_det.item() == pytest.approx(s, abs=1e-12)


def test_batch_norm_is_torchs_in_training_and_in_evaluation() -> None:
    ours, theirs = bijection("batch_norm", 3, 4, 4), nn.BatchNorm2d(3, affine=False).double()
    x = 2.0 + 3.0 * torch.randn(8, 3, 4, 4).double()
    z, log_det = ours(x)
    assert torch.allclose(z, theirs(x), atol=1e-12)
    var = x.var((0, 2, 3), correction=0)
    assert torch.allclose(log_det, -8.0 * (var + 1e-5).log().sum().expand(8), atol=1e-12)
    theirs.momentum = None
    theirs.reset_running_stats()
    theirs(x)
    assert torch.allclose(ours.eval()(x)[0], theirs.eval()(x), atol=1e-12)


def test_batch_norm_averages_equally_then_by_momentum() -> None:
    norm = bijection({"type": "batch_norm", "momentum": 0.4}, 1)
    batches = [torch.tensor([[float(k)], [k + 2.0]]).double() for k in range(4)]
    means: list[float] = []
    for batch in batches:
        norm(batch)
        means.append(norm.get_buffer("mean").item())
    assert means == pytest.approx([1.0, 1.5, 1.5 + 0.4 * 1.5, 0.6 * 2.1 + 0.4 * 4.0])


def test_act_norm_starts_from_the_first_batch_and_only_then() -> None:
    node = {"type": "chain", "of": [coupling("checkerboard"), "act_norm", "squeeze", "act_norm"]}
    part = bijection(node, 2, 4, 4)
    perturb(part, seed=0)
    x = 3.0 + 2.0 * torch.randn(64, 2, 4, 4).double()
    initialize(part, x)
    z, _ = part(x)
    assert z.mean((0, 2, 3)).abs().max() < 1e-10
    assert (z.var((0, 2, 3), correction=0) - 1.0).abs().max() < 1e-10
    assert part(x[:2])[0].sub(z[:2]).abs().max() < 1e-10


def test_constant_columns_keep_their_scale() -> None:
    x = torch.cat((torch.full((16, 1), 0.1), torch.randn(16, 1)), dim=1).double()
    for node in ("act_norm", "standardize"):
        part = bijection(node, 2)
        initialize(part, x)
        z, log_det = part(x)
        assert z[:, 0].abs().max() < 1e-10
        assert log_det[0].item() == pytest.approx(-x[:, 1].std(correction=0).log().item())


def test_dequantised_log_prob_in_closed_form() -> None:
    """One logit away from the logistic, whose distribution function undoes it, all images are equally likely."""
    logit = {"type": "logit", "alpha": 1e-9}
    node = {"type": "flow", "base": "logistic", "dequantize": "uniform", "transforms": [logit]}
    model = flow(node, IMAGE).double()
    x = IMAGE.example(5, "cpu")["image"]
    assert not model.exact
    assert torch.allclose(model.log_prob(x), torch.full((5,), -64 * math.log(17.0)).double(), atol=1e-4)
    assert zoo.Event.bits_per_dim(IMAGE, 64 * math.log(17.0)) == pytest.approx(math.log2(17.0))


@pytest.mark.parametrize(("levels", "dtype"), [(2, torch.uint8), (256, torch.uint8), (1000, torch.int64)])
def test_dequantisation_is_undone_exactly(levels: int, dtype: torch.dtype) -> None:
    event = zoo.Event("image", zoo.Shape(1, 40, 40), levels=levels)
    node = {"type": "flow", "base": "standard_normal", "dequantize": "uniform", "transforms": ["act_norm"]}
    dequantize = flow(node, event).double().dequantize
    x = event.example(2, "cpu")["image"]
    v, _ = dequantize(x)
    assert v.dtype == torch.float64
    assert v.min() >= 0 and v.max() <= 1
    assert dequantize.inverse(v).dtype == dtype
    assert torch.equal(dequantize.inverse(v), x)
    assert dequantize.inverse(torch.full_like(v, 1.5)).max() == levels - 1


def test_levels_and_dequantize_go_together() -> None:
    node = {"type": "flow", "base": "standard_normal", "transforms": ["act_norm"]}
    with pytest.raises(zoo.SpecError, match="17 levels: declare dequantize"):
        flow(node, IMAGE)
    with pytest.raises(zoo.SpecError, match="continuous: leave out dequantize"):
        flow(node | {"dequantize": "uniform"}, zoo.Event("point", zoo.Shape(2)))


def test_flow_of_a_known_scale_in_closed_form() -> None:
    node = {"type": "flow", "base": "standard_normal", "transforms": ["standardize"]}
    model = flow(node, zoo.Event("x", zoo.Shape(2))).double()
    initialize(model.transforms, torch.tensor([[1.0, 0.0], [5.0, 6.0]]).double())
    x = torch.tensor([[2.0, 4.0]]).double()
    assert model.exact
    # Mean 3 and 3, standard deviation 2 and 3.
    true = -0.5 * (0.25 + 1.0 / 9.0) - math.log(2.0 * math.pi) - math.log(6.0)
    assert model.log_prob(x).item() == pytest.approx(true, abs=1e-12)


def test_real_nvp_inverts_in_float64() -> None:
    model = flow(real_nvp(), IMAGE).double()
    x = IMAGE.example(4, "cpu")["image"]
    model({"image": x}, CLOCK)
    perturb(model, seed=0, scale=0.1)
    model.eval()
    z, _ = model.transform(x)
    assert z.shape == (4, 64)
    assert torch.equal(model.decode(z), x)
    v, _ = model.dequantize(x)
    z, there = model.transforms(v)
    back, home = model.transforms.inverse(z)
    assert (back - v).abs().max() < 1e-10
    assert (there + home).abs().max() < 1e-9


def test_real_nvp_trains_and_samples() -> None:
    torch.manual_seed(0)
    model = flow(real_nvp(), IMAGE)
    batch = IMAGE.example(8, "cpu")
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(10):
        terms = model(batch, CLOCK)
        optimizer.zero_grad()
        terms.loss.backward()
        optimizer.step()
        losses.append(terms.loss.item())
    assert losses[-1] < losses[0]
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    x = model.eval().sample(3, temperature=0.7)
    assert (x.shape, x.dtype, x.max() <= 16) == ((3, 1, 8, 8), torch.uint8, True)
    last = {"image": batch["image"].to(memory_format=torch.channels_last)}
    torch.manual_seed(1)
    plain = model(batch, CLOCK).loss
    torch.manual_seed(1)
    # Noise is drawn in another memory order: equal in distribution, not in numbers.
    assert model(last, CLOCK).loss.item() == pytest.approx(plain.item(), rel=0.2)


def test_flow_compiles_as_one_graph() -> None:
    net = {"type": "mlp", "width": 8}
    transforms = ["logit", "squeeze", {"type": "factor_out", "then": [coupling("checkerboard") | {"conditioner": net}]}]
    node = {"type": "flow", "base": "standard_normal", "dequantize": "uniform", "transforms": transforms}
    model = flow(node, IMAGE)
    objective: Any = torch.compile(model, fullgraph=True, backend="aot_eager")
    objective(IMAGE.example(2, "cpu"), CLOCK).loss.backward()
    draw: Any = torch.compile(model.sample, fullgraph=True, backend="aot_eager")
    assert draw(3).shape == (3, 1, 8, 8)


def test_conditioners_run_once_in_each_direction() -> None:
    model = flow(real_nvp(), IMAGE)
    nets = [part for part in model.modules() if isinstance(part, zoo.Conditioner)]
    calls: list[int] = []
    for number, net in enumerate(nets):
        net.register_forward_hook(lambda *_, number=number: calls.append(number))
    model.log_prob(IMAGE.example(2, "cpu")["image"])
    assert calls == list(range(len(nets)))
    calls.clear()
    model.sample(2)
    assert calls == list(reversed(range(len(nets))))


def test_real_nvp_runs_on_meta() -> None:
    with torch.device("meta"):
        model = flow(real_nvp(), IMAGE)
        assert model(IMAGE.example(2, "meta"), CLOCK).loss.is_meta
        assert model.sample(2).shape == (2, 1, 8, 8)

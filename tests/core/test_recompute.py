"""Backward from the latent: the same gradients, and memory that does not grow with depth."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import zoo
from zoo.testing import initialize, perturb

MLP = {"type": "mlp", "width": 8}
NET = {"type": "resnet", "width": 4, "blocks": 1}
SPLINE = "rational_quadratic_spline"


def coupling(mask: Any, conditioner: Any, transformer: str = "affine") -> dict[str, Any]:
    return {"type": "coupling", "mask": mask, "conditioner": conditioner, "transformer": transformer}


GLOW = ["act_norm", "conv1x1", coupling("channel", NET)]
STACKS: dict[str, tuple[zoo.Event, list[Any], dict[str, Any]]] = {
    "couplings": (
        zoo.Event("row", zoo.Shape(6)),
        ["standardize", coupling("channel", MLP), "reverse", coupling("channel", MLP, SPLINE)] * 4,
        {},
    ),
    "autoregressive": (
        zoo.Event("row", zoo.Shape(4)),
        [{"type": "autoregressive", "net": {"type": "made", "width": 8}}, {"type": "permutation"}, "dense"] * 3,
        {},
    ),
    "scales": (
        zoo.Event("image", zoo.Shape(2, 8, 8), levels=4),
        ["logit", "squeeze", *GLOW * 2, {"type": "factor_out", "then": ["squeeze", *GLOW * 2], "prior": NET}],
        {"dequantize": "uniform"},
    ),
    "told": (
        zoo.Event("row", zoo.Shape(4), classes=3),
        [coupling("channel", MLP | {"context": 5}), "reverse"] * 3,
        {"context": {"type": "embedding", "size": 5}, "base": {"type": "conditional_normal", "context": 5}},
    ),
    "planes": (zoo.Event("row", zoo.Shape(3)), ["planar", "radial", "scale"] * 4, {}),
    "views": (zoo.Event("image", zoo.Shape(1, 4, 4)), ["squeeze"], {"base": "normal"}),
}


def flow(event: zoo.Event, transforms: list[Any], **values: Any) -> Any:
    node = {"type": "flow", "base": "standard_normal", "transforms": transforms} | values
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model: Any = zoo.declare(zoo.Model, node)(event).double()
        initialize(model, examples(event, 16), clock())
    perturb(model, seed=0, scale=0.1)
    return model


def examples(event: zoo.Event, n: int) -> zoo.Batch:
    """Examples in float64, unless they are integers."""
    return {name: x.double() if x.is_floating_point() else x for name, x in event.example(n, "cpu").items()}


def clock() -> zoo.Clock:
    return zoo.Clock(torch.zeros((), dtype=torch.int64), 1)


def gradients(model: Any, batch: zoo.Batch) -> dict[str, Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        terms = model(batch, clock())
    found = torch.autograd.grad(terms.loss, list(model.parameters()))
    return {"loss": terms.loss.detach()} | dict(zip(dict(model.named_parameters()), found, strict=True))


@pytest.mark.parametrize("stack", STACKS)
def test_gradients_are_those_of_plain_backpropagation(stack: str) -> None:
    event, transforms, values = STACKS[stack]
    batch = examples(event, 5)
    plain = gradients(flow(event, transforms, **values), batch)
    recomputed = gradients(flow(event, transforms, recompute=True, **values), batch)
    for name, gradient in plain.items():
        error = (recomputed[name] - gradient).abs().max() / max(1.0, float(gradient.abs().max()))
        assert error <= 1e-9, f"{name} is off by {error:.2g}"


def test_the_input_has_its_gradient() -> None:
    event, transforms, values = STACKS["couplings"]
    x = torch.randn(3, 6, dtype=torch.float64, requires_grad=True)
    plain, recomputed = (
        torch.autograd.grad(flow(event, transforms, recompute=on, **values).log_prob(x).sum(), x)[0]
        for on in (False, True)
    )
    assert torch.allclose(plain, recomputed, atol=1e-10)


def kept(depth: int, recompute: bool) -> int:
    """Bytes that backward keeps of one batch, each storage once and no parameters."""
    model = flow(zoo.Event("row", zoo.Shape(8)), [coupling("channel", MLP), "reverse"] * depth, recompute=recompute)
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    seen: dict[int, Tensor] = {}

    def keep(x: Tensor) -> Tensor:
        seen.setdefault(x.untyped_storage().data_ptr(), x)
        return x

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        model(examples(model.event, 256), clock())
    return sum(x.untyped_storage().nbytes() for at, x in seen.items() if at not in own)


def test_what_is_kept_does_not_grow_with_depth() -> None:
    assert kept(64, True) <= 1.01 * kept(4, True)
    assert kept(64, False) > 10 * kept(4, False)


def test_a_half_precision_pass_is_recomputed_in_half_precision() -> None:
    event, transforms, values = STACKS["couplings"]
    found = []
    for recompute in (False, True):
        model = flow(event, transforms, recompute=recompute, **values).float()
        with torch.autocast("cpu", torch.bfloat16):
            found.append(gradients(model, event.example(64, "cpu")))
    plain, recomputed = (torch.cat([g.flatten() for name, g in each.items() if name != "loss"]) for each in found)
    # Halves round: the direction is the same all the same.
    assert torch.nn.functional.cosine_similarity(plain, recomputed, dim=0) > 0.98


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        ("batch_norm", "BatchNorm inverts by its averages, not by the batch"),
        (coupling("channel", MLP | {"dropout": 0.1}), "dropout cannot be recomputed"),
    ],
    ids=str,
)
def test_what_does_not_invert_its_training_is_refused(layer: Any, said: str) -> None:
    with pytest.raises(zoo.SpecError, match=said):
        flow(zoo.Event("row", zoo.Shape(4)), ["act_norm", layer], recompute=True)

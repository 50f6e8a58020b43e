"""What a caller gives a model is converted where it has one meaning and refused by name otherwise, for every spec."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import zoo
from zoo.interfaces.boundary import trusted
from zoo.spec import load_spec, shipped_specs

N = 3
SPECS = sorted(shipped_specs())
ASKED: dict[type, str] = {
    zoo.Scores: "log_prob", zoo.Encodes: "encode", zoo.Reconstructs: "reconstruct", zoo.Predicts: "predict",
    zoo.VariationalBound: "terms",
}  # fmt: skip
"""What takes data, by who can do it."""


@cache
def built(name: str) -> Any:
    return zoo.build(load_spec(name, small=True)).eval()


def can(model: Any, capability: type) -> bool:
    return isinstance(model, capability)


def of_data(model: zoo.Model) -> list[str]:
    return [method for capability, method in ASKED.items() if isinstance(model, capability)]


def example(model: zoo.Model) -> tuple[Tensor, zoo.Condition | None]:
    batch = model.event.example(N, "cpu")
    return batch[model.event.name], model.given(batch)


def answer(model: Any, method: str, *args: Any) -> Tensor:
    """What a method gives by one seed."""
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        found = getattr(model, method)(*args)
    return found if isinstance(found, Tensor) else torch.stack([found.nll, found.kl])


@contextmanager
def refused(*words: str) -> Iterator[None]:
    """Within this block a UsageError is raised that has these words, in this order."""
    with pytest.raises(zoo.UsageError, match="(?s)" + ".*".join(map(re.escape, words))):
        yield


CONVERTIBLE: dict[str, Callable[[Tensor], Any]] = {
    "numpy": lambda x: x.numpy(),
    "lists": lambda x: x.tolist(),
    "float64": lambda x: x.double(),
    "float32": lambda x: x.float(),
    "a view that cannot be written": lambda x: np.broadcast_to(x.numpy(), tuple(x.shape)),
}
WHOLE: dict[str, Callable[[Tensor], Any]] = {
    "int64": lambda x: x.long(),
    "int32": lambda x: x.int(),
    "uint8": lambda x: x.to(torch.uint8),
}


@pytest.mark.parametrize("name", SPECS)
def test_what_has_one_meaning_is_converted(name: str) -> None:
    model = built(name)
    x, context = example(model)
    forms = CONVERTIBLE | (WHOLE if model.event.levels else {})
    for method in of_data(model):
        expected = answer(model, method, x, context)
        for form, convert in list(forms.items())[: len(forms) if method == of_data(model)[0] else 1]:
            assert torch.equal(answer(model, method, convert(x), context), expected), (method, form)
        if context is not None:
            ((entry, own),) = context.items()
            same = [own, own.numpy(), own.tolist(), own.double(), own.int(), {entry: own.tolist()}]
            assert all(torch.equal(answer(model, method, x, other), expected) for other in same)
            if entry == "label":
                one = torch.full((N,), 2)
                assert torch.equal(answer(model, method, x, 2), answer(model, method, x, one))


def wrong_data(model: zoo.Model, x: Tensor) -> Iterator[tuple[str, Any]]:
    """Data that the model is not of, and what the message says of it."""
    levels, shape = model.event.levels, list(model.event.shape)
    yield "for a single example give x[None]", x[0]
    if shape[0] == 1 and len(shape) > 1:
        yield "for images without a channel give x[:, None]", x[:, 0]
    yield "has shape", x.unsqueeze(0)
    yield "has shape", torch.cat([x, x], dim=-1)
    yield "has shape", x[..., :0]
    yield "is str", "x.npy"
    yield "is NoneType", None
    yield "is dict", {"x": x}
    yield "is list", [[1.0], [1.0, 2.0]]
    yield "is torch.complex64", x * 1j
    nan = x.double()
    nan[-1] = torch.nan
    yield "has NaN", nan
    yield "has NaN or infinite", nan.nan_to_num(torch.inf)
    if levels is None:
        yield "has booleans", x > 0
        return
    yield f"has values from {levels} to {levels}", torch.full_like(x, levels, dtype=torch.int64)
    yield "has values from -1", x.long() - 1
    yield "has numbers that are not whole", x / levels
    if levels != 2:
        yield "has booleans", x > 0


@pytest.mark.parametrize("name", SPECS)
def test_data_that_the_model_is_not_of_is_refused(name: str) -> None:
    model = built(name)
    x, context = example(model)
    for method in of_data(model):
        for message, wrong in wrong_data(model, x):
            with refused(f"{method}: x", message):
                answer(model, method, wrong, context)


def wrong_contexts(model: zoo.Model, context: zoo.Condition | None, method: str) -> Iterator[tuple[str, Any]]:
    if context is None:
        yield "was given; expected none", torch.zeros(N, dtype=torch.int64)
        return
    if "label" not in context:
        (entry,) = context
        yield f"is missing; expected {entry}", None
        yield f"has the unknown entry 'label'; expected a mapping with {entry}", {**context, "label": torch.zeros(N)}
        yield f"has no entry '{entry}'; expected a mapping with {entry}", {}
        yield "is str", "three"
        return
    classes = model.event.classes or 0
    if method != "predict":
        yield f"is missing; expected a label from 0 to {classes - 1}", None
    yield "has shape [2]", context["label"][:2]
    yield "has shape [3, 1]", context["label"][:, None]
    yield "has the unknown entry 'image'; expected a mapping with label", {**context, "image": torch.zeros(N)}
    yield "has no entry 'label'; expected a mapping with label", {}
    yield f"has values from {classes} to {classes}", classes
    yield "has values from -1", -1
    yield "has numbers that are not whole (0.5)", 0.5
    yield "has booleans", True
    yield "is str", "three"


@pytest.mark.parametrize("name", SPECS)
def test_what_the_model_is_not_conditioned_on_is_refused(name: str) -> None:
    model = built(name)
    x, context = example(model)
    for method in [*of_data(model), *(["sample"] if isinstance(model, zoo.Samples) else [])]:
        for message, wrong in wrong_contexts(model, context, method):
            with refused(f"{method}: context {message}"):
                answer(model, method, N if method == "sample" else x, wrong)


@pytest.mark.parametrize("name", SPECS)
def test_how_many_draws_and_how_warm(name: str) -> None:
    model = built(name)
    if not can(model, zoo.Samples):
        return
    _, context = example(model)
    draws = answer(model, "sample", np.int64(N), context, 1)
    nothing = answer(model, "sample", 0, zoo.map_condition(lambda x: x[:0], context))
    assert nothing.shape == (0, *model.event.shape) and nothing.dtype == draws.dtype and nothing.device == draws.device
    for n in (-1, 2.0, "3", None, True):
        with refused(f"sample: n is {n!r}; expected a whole number, 0 or more"):
            model.sample(n, context)
    for temperature in (0, -1.0, float("nan"), float("inf"), "warm", None, True):
        with refused(f"sample: temperature is {temperature!r}; expected a number above 0"):
            model.sample(N, context, temperature)
        with refused("sample: temperature"):
            model.sample(N, context, temperature=temperature)


@pytest.mark.parametrize("name", SPECS)
def test_what_is_known(name: str) -> None:
    model = built(name)
    if not can(model, zoo.Completes):
        return
    x, context = example(model)
    mask = torch.zeros(*model.event.shape, dtype=torch.bool)
    mask[..., 0] = True
    full = mask.expand_as(x)
    expected = answer(model, "complete", zoo.Known(x, full), context)
    assert torch.equal(expected[full], x[full])
    # Where nothing is known anything may stand.
    hidden = x.double().masked_fill(~full, torch.nan)
    same: list[Any] = [(x, full), (x.tolist(), full.numpy()), (x, full.int()), (x, mask), (hidden, full)]
    for known in same:
        assert torch.equal(answer(model, "complete", known, context), expected)
    nothing = answer(model, "complete", zoo.Known(x[:0], full[:0]), zoo.map_condition(lambda x: x[:0], context))
    assert nothing.shape == (0, *model.event.shape) and nothing.dtype == expected.dtype
    wrong: list[tuple[str, Any]] = [
        (f"known is {x.dtype}", x),
        ("known.mask has shape", (x, full[:2])),
        ("known.x has shape", (x[..., :0], full[..., :0])),
        ("known.mask has values from 0 to 2", (x, full * 2)),
    ]
    if model.event.levels:
        wrong.append(("known.x has values from", (x.long() + 300, full)))
    for message, known in wrong:
        with refused(f"complete: {message}"):
            answer(model, "complete", known, context)


@pytest.mark.parametrize("name", SPECS)
def test_latents_have_the_form_that_the_model_gives_them(name: str) -> None:
    model = built(name)
    x, context = example(model)
    for method in ("expect", "decode"):
        if not hasattr(model, method):
            continue
        z = answer(model, *(("encode", x) if method == "expect" else ("draw_latent", N)), context)
        expected = answer(model, method, z, context)
        for same in (z.numpy(), z.tolist(), z.double()):
            torch.testing.assert_close(
                answer(model, method, same, context), expected
            )  # the memory may be laid out anew
        for message, wrong in (
            ("has shape", z[0]),
            ("has shape", torch.cat([z, z], dim=-1)),
            ("has shape", z[..., :0]),
            ("has NaN", torch.full_like(z, torch.nan)),
            ("is str", "z"),
        ):
            with refused(f"{method}: z {message}"):
                answer(model, method, wrong, context)


# -- what is checked, and when ---------------------------------------------------------------------------------------

POINTS = zoo.Event("point", zoo.Shape(2))


class Loose(zoo.Model, zoo.Scores, zoo.Encodes):
    """What a plugin may write: other names of parameters, and calls of its own methods."""

    exact = True

    def __init__(self, event: zoo.Event = POINTS) -> None:
        super().__init__(event)
        self.scale = nn.Parameter(torch.ones(2))
        self.seen: list[torch.dtype] = []

    def forward(self, batch: zoo.Batch, clock: zoo.Clock) -> zoo.Terms:
        return zoo.Terms(-self.log_prob(batch["point"] + torch.nan).mean() + self.encode(batch["point"]).sum(), {})

    def log_prob(self, data: Tensor, hint: zoo.Condition | None = None) -> Tensor:
        self.seen.append(data.dtype)
        return self.scale.sum() * data.sum(1)

    def encode(self, x: Tensor, context: zoo.Condition | None = None) -> Tensor:
        return self.scale * x


class Louder(Loose):
    def encode(self, x: Tensor, context: zoo.Condition | None = None) -> Tensor:
        return 2 * super().encode(x / 0)


def test_names_are_the_plugins_own() -> None:
    model = Loose()
    assert model.log_prob([[1, 2]]).item() == 6.0  # type: ignore[arg-type]
    assert model.seen == [torch.float32]
    with pytest.raises(TypeError, match="nothing"):
        model.log_prob(torch.zeros(1, 2), nothing=1)  # type: ignore[call-arg]


def test_what_a_model_calls_is_its_own_business() -> None:
    assert Louder().encode(torch.ones(1, 2)).isinf().all()
    assert Loose()({"point": torch.ones(1, 2)}, zoo.Clock(torch.tensor(0), 1)).loss.isnan()


def test_within_a_trusted_block_nothing_is_checked() -> None:
    model = Loose()
    with trusted():
        assert model.log_prob(torch.full((1, 2), torch.nan)).isnan().all()
    with refused("log_prob: x has NaN"):
        model.log_prob(torch.full((1, 2), torch.nan))


def test_a_code_has_a_graph_of_what_wants_a_gradient() -> None:
    model, x = Loose(), torch.ones(1, 2)
    assert not model.encode(x).requires_grad
    assert model.encode(x.requires_grad_()).requires_grad
    assert model.log_prob(torch.ones(1, 2)).requires_grad
    # Within an objective it is a term like any other.
    loss = model({"point": torch.ones(1, 2)}, zoo.Clock(torch.tensor(0), 1)).loss
    (gradient,) = torch.autograd.grad(loss, model.scale, allow_unused=True)
    assert gradient is not None


def test_features_of_one_row_are_those_of_all() -> None:
    event = zoo.Event("point", zoo.Shape(2), features=3)
    layers = [
        {"type": "coupling", "mask": "channel", "transformer": "affine", "conditioner": {"type": "mlp", "context": 3}}
    ]
    node = {"type": "flow", "base": "standard_normal", "transforms": layers, "context": "feature_vector"}
    model: Any = zoo.declare(zoo.Model, node)(event)
    x, features = torch.zeros(4, 2), torch.rand(3)
    expected = model.log_prob(x, features.expand(4, 3))
    assert torch.equal(model.log_prob(x, features), expected)
    assert torch.equal(model.log_prob(x, features.double().tolist()), expected)
    for wrong in (features[:2], features.expand(3, 3), features.masked_fill(features > 0, torch.nan)):
        with refused("log_prob: context has"):
            model.log_prob(x, wrong)


def test_what_rounds_itself_is_given_all_digits() -> None:
    """Times in seconds, a minute apart: float32 takes them for one."""
    node = {"type": "flow", "base": "standard_normal", "transforms": ["standardize"]}
    model: Any = zoo.declare(zoo.Model, node)(zoo.Event("row", zoo.Shape(1)))
    times = 1_700_000_000 + 60 * torch.arange(100)[:, None]
    model.transforms.of[0].initialize(times.double())
    for x in (times, times.double(), times.numpy(), times.tolist()):
        assert len(model.encode(x).unique()) == 100

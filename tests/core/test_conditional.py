"""Conditional flows: laws under a context, what it changes, who takes it, and draws of a class."""

from __future__ import annotations

import math
from dataclasses import replace
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

import zoo
from zoo.cli.app import app
from zoo.registry.part import example_of
from zoo.registry.registry import installed
from zoo.testing import BIJECTION_LAWS, CONDITIONER_LAWS, Case, cases, inputs, liven, perturb
from zoo.testing.with_context import GivenBijection

N = 3
MLP: dict[str, Any] = {"type": "mlp", "width": 8, "context": N}
COUPLING: dict[str, Any] = {"type": "coupling", "mask": "checkerboard", "conditioner": MLP, "transformer": "affine"}
RESNET: dict[str, Any] = {"type": "resnet", "width": 4, "blocks": 1, "context": N, "activation": "elu"}
MADE: dict[str, Any] = {"type": "autoregressive", "net": {"type": "made", "width": 8, "context": N}}
LAYERS: dict[str, Any] = {
    "coupling": COUPLING,
    "spline": COUPLING | {"transformer": "rational_quadratic_spline"},
    "affine_coupling": {"type": "affine_coupling", "mask": "channel", "conditioner": MLP},
    "convolutional": COUPLING | {"conditioner": RESNET},
    "autoregressive": MADE,
    "drawn": {"type": "autoregressive", "net": MADE["net"] | {"degrees_seed": 1, "depth": 3, "residual": True}},
    "inverse_of": {"type": "inverse_of", "of": MADE},
    "chain": {"type": "chain", "of": [COUPLING, "act_norm"]},
    "factor_out": {"type": "factor_out", "then": [COUPLING]},
    "prior": {"type": "factor_out", "then": ["act_norm"], "prior": MLP},
}
CONTEXTUAL = [case for case in cases(zoo.Bijection, **LAYERS) if isinstance(case.build(), GivenBijection)]
LAWS = [
    (case, law)
    for case in CONTEXTUAL
    for law in BIJECTION_LAWS
    if law != "compiles" or case.given[0] in (zoo.Shape(5), zoo.Shape(4, 4, 4))
]


@pytest.mark.parametrize(("case", "law"), LAWS, ids=str)
def test_a_layer_under_a_context_obeys_every_law(case: Case, law: str) -> None:
    bijection = liven(case.build())
    BIJECTION_LAWS[law](bijection, inputs(bijection, 8, seed=7))


@pytest.mark.parametrize("case", CONTEXTUAL, ids=str)
@torch.no_grad()
def test_each_sample_has_the_context_of_its_own(case: Case) -> None:
    given: Any = liven(case.build())
    layer = given.of
    x, c = inputs(layer, 4), torch.randn(4, N, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    z, log_det = layer(x, c)
    rows = [layer(x[i : i + 1], c[i : i + 1]) for i in range(4)]
    assert torch.allclose(z, torch.cat([row[0] for row in rows]), atol=1e-12)
    assert torch.allclose(log_det, torch.cat([row[1] for row in rows]), atol=1e-12)
    assert torch.allclose(layer.decode(z, c), x, atol=1e-9)
    other = layer(x, c.flip(0))
    assert bool((other[0] - z).flatten(1).abs().amax(1).gt(1e-6).all()), "the context changes nothing"


def test_the_first_element_hears_of_the_context() -> None:
    layer = zoo.declare(zoo.Bijection, MADE)(zoo.Shape(1))
    perturb(layer, seed=0)
    x = torch.zeros(2, 1)
    z, _ = layer(x, torch.eye(N)[:2])
    assert z[0] != z[1]


# -- conditioners ------------------------------------------------------------------------------------------------------

TOLD = {
    name: {"type": name, **example_of(cls), "context": N}
    for (_, name), cls in installed().components().items()
    if issubclass(cls, zoo.Conditioner) and issubclass(cls, zoo.TakesContext)
}
TOLD_CASES = list(cases(zoo.Conditioner, **{f"{name}_told": node for name, node in TOLD.items()}))
NETS = [case for case in TOLD_CASES if case.label.endswith("_told")]


@pytest.mark.parametrize("law", CONDITIONER_LAWS)
@pytest.mark.parametrize("case", NETS, ids=str)
def test_a_conditioner_under_a_context_obeys_every_law(case: Case, law: str) -> None:
    CONDITIONER_LAWS[law](case.build())


@pytest.mark.parametrize("case", NETS, ids=str)
@torch.no_grad()
def test_every_number_of_the_context_counts(case: Case) -> None:
    net: Any = case.build().of.eval()
    perturb(net, seed=0)
    x = torch.randn(2, *net.in_shape, generator=torch.Generator().manual_seed(0))
    at_zero = net(x, torch.zeros(2, N))
    for number in torch.eye(N):
        assert (net(x, number.expand(2, N)) - at_zero).abs().max() > 1e-6


@torch.no_grad()
def test_a_convolutional_context_is_an_image_too() -> None:
    net: Any = zoo.declare(zoo.Conditioner, RESNET)(zoo.Shape(1, 4, 4), zoo.Shape(2, 4, 4)).eval()
    perturb(net, seed=0)
    x, c = torch.randn(2, 1, 4, 4), torch.randn(2, N, 4, 4)
    flat = c.mean((2, 3))
    assert torch.allclose(net(x, flat), net(x, flat[..., None, None].expand_as(c)), atol=1e-6)
    assert torch.allclose(net(x, c), net(x, c.repeat_interleave(2, 2).repeat_interleave(2, 3)), atol=1e-6)
    assert not torch.allclose(net(x, c), net(x, flat), atol=1e-3)


# -- contexts ----------------------------------------------------------------------------------------------------------

DIGITS = zoo.Event("point", zoo.Shape(2), classes=N, features=N)
BOTH = {"type": "concat", "of": [{"type": "embedding", "size": 1}, "feature_vector"]}
CONTEXTS: list[Any] = ["one_hot", {"type": "embedding", "size": N}, "feature_vector", BOTH]


def flow(context: Any = "one_hot", conditioner: Any = MLP, base: Any = "standard_normal") -> Any:
    node = {"type": "flow", "base": base, "transforms": [COUPLING | {"mask": "channel", "conditioner": conditioner}]}
    event = replace(DIGITS, features=N - 1) if context is BOTH else DIGITS
    return zoo.declare(zoo.Model, node | ({"context": context} if context else {}))(event)


@pytest.mark.parametrize("context", CONTEXTS, ids=str)
def test_a_flow_scores_trains_and_draws_under_each_context(context: Any) -> None:
    model = flow(context)
    perturb(model, seed=0)
    batch = model.event.example(6, "cpu")
    told = model.given(batch)
    flipped = zoo.map_condition(lambda x: x.flip(0), told)
    assert torch.equal(model.log_prob(batch["point"], told), -model(batch, clock()).logs["nll"])
    torch.manual_seed(0)
    one = model.sample(6, told)
    torch.manual_seed(0)
    assert not torch.allclose(one, model.sample(6, flipped))
    z, log_det = model.transform(batch["point"], told)
    assert torch.allclose(model.decode(z, told), batch["point"], atol=1e-5)
    assert torch.allclose(model.base.log_prob(z) + log_det, model.log_prob(batch["point"], told))


def clock() -> zoo.Clock:
    return zoo.Clock(torch.zeros((), dtype=torch.int64), 1)


@pytest.mark.parametrize("context", CONTEXTS, ids=str)
@torch.no_grad()
def test_the_density_is_normalised_under_each_context(context: Any) -> None:
    model = flow(context).double()
    perturb(model, seed=0, scale=0.1)
    axis = torch.linspace(-15, 15, 801, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    for i in range(2):
        rows = torch.full((len(grid),), i)
        told = zoo.map_condition(itemgetter(rows), model.given(model.event.example(2, "cpu")))
        p = model.log_prob(grid, told).exp().reshape(801, 801)
        assert abs(torch.trapezoid(torch.trapezoid(p, axis), axis) - 1.0) < 1e-5


def test_a_class_conditional_base_has_a_normal_for_each_class() -> None:
    base: Any = zoo.declare(zoo.Distribution, {"type": "conditional_normal", "context": 2})(zoo.Shape(1))
    with torch.no_grad():
        base.mean.copy_(torch.tensor([[-3.0, 5.0]]))
        base.log_scale.copy_(torch.tensor([[0.0, 2.0]]).log1p())
    one_hot = torch.eye(2).repeat_interleave(20_000, 0)
    x = base.sample(40_000, one_hot)
    for y, (mean, scale) in enumerate([(-3.0, 1.0), (5.0, 3.0)]):
        mine = x[one_hot[:, y] == 1]
        assert abs(mine.mean() - mean) < 4 * scale / 20_000**0.5
        assert abs(mine.std() - scale) < 4 * scale / 20_000**0.5
        epsilon = (x[:5, 0] - mean) / scale
        true = -0.5 * epsilon.square() - math.log(scale * math.sqrt(2 * math.pi))
        assert torch.allclose(base.log_prob(x[:5], torch.eye(2)[y].expand(5, 2)), true, atol=1e-4)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: flow(None), "its MLP takes a context of 3 numbers: declare the model's 'context'"),
        (lambda: flow("one_hot", "mlp"), "no part takes its context: declare 'context: 3' on the conditioners"),
        (lambda: flow("one_hot").log_prob(torch.zeros(1, 2)), "context is missing; expected a label from 0 to 2"),
        (lambda: flow(None, "mlp").sample(1, torch.zeros(1)), "context was given; expected none"),
    ],
)
def test_what_does_not_go_together_is_refused(made: Any, said: str) -> None:
    with pytest.raises((ValueError, zoo.ZooError), match=said):
        made()


SPEC = """\
name: told
data: digits
model:
  type: flow
  base: standard_normal
  dequantize: uniform
  context: {context}
  transforms:
    - logit
    - {{type: affine_coupling, mask: checkerboard, conditioner: {{type: mlp, width: 8, context: {size}}}}}
train: {{steps: 2, batch: 8, optimizer: {{type: adam, lr: 1.0e-3}}}}
evaluate: [bits_per_dim]
"""


def command(*words: str | Path) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_a_context_of_another_size_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "told.yaml"
    path.write_text(SPEC.format(context="one_hot", size=7))
    refused = command("build", path)
    assert refused.exit_code == 2
    assert "told.yaml:10" in refused.stderr
    assert "the context has 10 numbers, expected 7" in refused.stderr


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("told")
    path = folder / "told.yaml"
    path.write_text(SPEC.format(context="{type: embedding, size: 4}", size=4))
    trained = command("train", path, "--runs", folder, "--name", "run")
    assert trained.exit_code == 0, trained.stderr
    return folder / "told" / "run"


def test_draws_are_of_the_class_that_is_asked_for(run: Path, tmp_path: Path) -> None:
    drawn: dict[str, Tensor] = {}
    for label in ("3", "4", None):
        asked = {"3": ["--given", "label=3"], "4": ["--label", "4"], None: []}[label]
        assert command("sample", run, "-n", "20", "-o", tmp_path / "x.npy", *asked).exit_code == 0
        drawn[str(label)] = torch.from_numpy(np.load(tmp_path / "x.npy"))
    model: Any = zoo.load(run / "model.safetensors")
    assert not torch.equal(drawn["3"], drawn["4"])
    # Each row of the noise is the same: of the draws in turn those of the third class are its own.
    assert torch.equal(drawn["None"][3::10], drawn["3"][3::10])
    assert torch.equal(drawn["None"][4::10], drawn["4"][4::10])
    assert model.conditions == ("label",)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("--label", "10"),
            "'10' is not a value of 'label': it has values from 10 to 10, expected integers from 0 to 9",
        ),
        (("--features", "f.npy"), "'features' has no effect: this model is conditioned on label"),
        (("--given", "labels=1"), "'labels' has no effect: this model is conditioned on label"),
        (("--given", "label"), "--given label: expected KEY=VALUE or KEY=FILE"),
        (("--label", "1", "--given", "label=2"), "--given label=1: duplicate 'label'"),
        (("--label", "1", "--view", "density"), "--given, --label, --features and --mean apply to draws"),
    ],
)
def test_a_wrong_question_is_answered_with_what_is_right(run: Path, words: tuple[str, ...], said: str) -> None:
    refused = command("sample", run, *words)
    assert refused.exit_code == 2
    assert said in refused.stderr


def test_a_conditional_run_is_scored_and_compared(run: Path) -> None:
    assert command("evaluate", run).exit_code == 0
    assert command("compare", run).exit_code == 0

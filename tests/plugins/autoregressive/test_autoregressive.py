"""Autoregressive models as declarations: what fits together, what is refused and where, and codes with a prior."""

from __future__ import annotations

import math
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

import zoo
from zoo.cli.app import app
from zoo.spec import load_spec

STACK = {"type": "causal_stack", "width": 6, "entry": {"type": "masked", "kernel": 3}, "layers": ["gated"]}


def node(**changes: Any) -> dict[str, Any]:
    return {"type": "autoregressive", "net": STACK, "head": "categorical", **changes}


def model(event: zoo.Event, **changes: Any) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        built = zoo.declare(zoo.Model, node(**changes))(event).double()
        for parameter in built.parameters():
            torch.nn.init.normal_(parameter, std=0.4)
    return built


# -- inputs ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("inputs", ["unit", "centred", "one_hot", {"type": "embedding", "size": 3}])
def test_levels_reach_the_net_as_they_are_drawn(inputs: Any) -> None:
    """What `values` gives of one pixel is what ``forward`` gives of it within data."""
    event = zoo.Event("image", zoo.Shape(3, 2, 4), levels=5)
    of = model(event, inputs=inputs, net={**STACK, "layers": ["masked_residual"]})
    x = torch.randint(5, (7, *event.shape), generator=torch.Generator().manual_seed(0))
    whole = of.inputs(x, torch.float64)
    assert whole.shape[1] == 3 * of.inputs.features
    assert torch.equal(of.inputs.values(x[:, :, 1, 2], torch.float64), whole[:, :, 1, 2])
    # Of one channel: every third feature.
    assert torch.equal(of.inputs.values(x[:, 1:2, 0, 3], torch.float64), whole[:, 1::3, 0, 3])


def test_vectors_of_levels_tell_them_apart() -> None:
    event = zoo.Event("code", zoo.Shape(1, 1, 2), levels=4)
    of = model(event, inputs={"type": "embedding", "size": 3})
    x = torch.arange(4).reshape(4, 1, 1, 1).expand(4, 1, 1, 2)
    assert of.conditionals(x)[:, 0, 0, 1, 0].unique().shape[0] == 4


# -- what is refused ------------------------------------------------------------------------------------------------

SPEC = """\
name: mine
data: {type: DATA}
model:
  type: autoregressive
  head: HEAD
  net:
    type: causal_stack
    width: 6
    layers:
      - gated
      - LAYER
train: {steps: 2, batch: 4, optimizer: adam}
"""


@pytest.mark.parametrize(
    ("changes", "place", "message"),
    [
        ({"LAYER": "batch_norm"}, "11:9", "'batch_norm' is a bijection, expected a causal_layer"),
        ({"LAYER": "{type: resnet, width: 8}"}, "11:16", "'resnet' is a conditioner"),
        ({"HEAD": "bernoulli"}, "5:9", "head 'bernoulli': takes up to 2 levels, but 'image' has 17"),
        ({"LAYER": "{type: gated, kernel: 4}"}, "11:31", "the kernel size must be odd, got 4"),
        (
            {"LAYER": "{type: gated, context: 10}"},
            "4:3",
            "its Gated takes a context of 10 numbers: declare the model's",
        ),
        ({"HEAD": "categorical\n  context: one_hot"}, "4:3", "no part takes its context: declare 'context: 10'"),
        ({"DATA": "toy2d, figure: two_moons"}, "4:3", "'point' is continuous"),
        (
            {"DATA": "dsprites_like", "HEAD": "bernoulli\n  context: one_hot"},
            "6:12",
            "'image' has no labels",
        ),
    ],
)
def test_what_does_not_fit_is_told_with_its_line(
    changes: dict[str, str], place: str, message: str, tmp_path: Path
) -> None:
    text = SPEC
    for key, value in ({"DATA": "digits", "HEAD": "categorical", "LAYER": "gated"} | changes).items():
        text = text.replace(key, value)
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    done = CliRunner().invoke(app, ["build", str(path)])
    assert done.exit_code == 2, done.output
    assert message in done.stderr
    assert f"mine.yaml:{place}" in done.stderr


@pytest.mark.parametrize(
    ("changes", "event", "message"),
    [
        ({}, zoo.Event("row", zoo.Shape(5), levels=2), "goes through images"),
        (
            {"net": {**STACK, "width": 7}},
            zoo.Event("image", zoo.Shape(3, 4, 4), levels=4),
            "not a multiple of the 3 colours",
        ),
        (
            {"net": "made", "inputs": "one_hot"},
            zoo.Event("row", zoo.Shape(5), levels=4),
            "made takes one number for each",
        ),
        (
            {"net": {**STACK, "entry": {"type": "masked", "kernel": 1}}},
            zoo.Event("image", zoo.Shape(1, 4, 4), 2),
            "depends on no input",
        ),
    ],
)
def test_nets_refuse_what_they_cannot_take(changes: dict[str, Any], event: zoo.Event, message: str) -> None:
    with pytest.raises(zoo.SpecError, match=message):
        model(event, **changes)


# -- a prior over codes ---------------------------------------------------------------------------------------------

IMAGE = zoo.Event("image", zoo.Shape(1, 4, 4), levels=3, classes=3)
CODER = {
    "type": "vq_vae",
    "latent": [3, 1, 2],
    "encoder": {"type": "mlp", "width": 8},
    "decoder": {"type": "mlp", "width": 8},
    "likelihood": "categorical_levels",
    "quantizer": {"type": "vq_ema", "size": 4},
}
PRIOR = node(
    context="one_hot",
    inputs={"type": "embedding", "size": 3},
    net={**STACK, "context": 3, "layers": [{"type": "gated", "context": 3}]},
)


def code_prior(**changes: Any) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        declared = {"type": "code_prior", "autoencoder": CODER, "prior": PRIOR, **changes}
        return zoo.declare(zoo.Model, declared)(IMAGE).double()


def test_a_prior_of_codes_is_a_bound_of_data() -> None:
    of = code_prior()
    batch = IMAGE.example(6, "cpu")
    x, label = batch["image"], batch["label"]
    codes = of.autoencoder.codes(x)
    log_p = of.prior.log_prob(codes.reshape(-1, 1, 1, 2), label)
    # Under its start, where all codes are as likely, it is the bound of the autoencoder alone.
    torch.testing.assert_close(log_p, torch.full_like(log_p, -2 * math.log(4)))
    torch.testing.assert_close(of.log_prob(x, label), of.autoencoder.log_prob(x))
    terms = of(batch, zoo.Clock(torch.tensor(0), 1))
    assert terms.logs.keys() == {"code_nll"}
    torch.testing.assert_close(terms.loss, torch.tensor(2 * math.log(4), dtype=torch.float64))


def test_the_codes_that_are_drawn_are_those_that_are_decoded() -> None:
    of = code_prior().eval()
    with torch.no_grad():
        for parameter in of.prior.parameters():
            torch.nn.init.normal_(parameter, std=2.0)
    codes = torch.tensor(list(product(range(4), repeat=2))).reshape(-1, 1, 1, 2)
    p = of.prior.log_prob(codes, torch.full((16,), 2)).exp()
    of.autoencoder.draw_given = lambda codes, temperature=1.0: codes
    torch.manual_seed(0)
    drawn = of.sample(20_000, torch.full((20_000,), 2)).flatten(1)
    share = (drawn @ torch.tensor([4, 1])).bincount(minlength=16) / 20_000
    assert (share - p).abs().max() < 0.02


def test_the_autoencoder_of_a_prior_stays_as_it_is() -> None:
    of = code_prior()
    assert of.training
    assert not of.autoencoder.training
    assert not of.eval().train().autoencoder.training
    before = {name: value.clone() for name, value in of.autoencoder.state_dict().items()}
    of(IMAGE.example(6, "cpu"), zoo.Clock(torch.tensor(0), 1)).loss.backward()
    assert all(torch.equal(value, before[name]) for name, value in of.autoencoder.state_dict().items())
    assert all(parameter.grad is None for parameter in of.autoencoder.parameters())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"autoencoder": {k: v for k, v in CODER.items() if k != "quantizer"} | {"type": "vae", "latent": 2}},
            "has none",
        ),
        (
            {
                "prior": {
                    "type": "autoencoder",
                    "latent": 2,
                    "encoder": "mlp",
                    "decoder": "mlp",
                    "likelihood": "gaussian",
                }
            },
            "does not",
        ),
    ],
)
def test_other_parts_than_codes_and_densities_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(zoo.SpecError, match=message):
        code_prior(**changes)


def test_a_part_starts_from_another_models_file(tmp_path: Path) -> None:
    coder = load_spec("vq-vae", small=True)
    first = zoo.train(coder, runs=tmp_path, steps=2, name="x")
    start = {"file": str(first.model), "into": "autoencoder"}
    spec = load_spec(load_spec("vqvae-prior", small=True).resolved() | {"init_from": start})
    run = zoo.train(spec, runs=tmp_path, steps=2)
    theirs, mine = load_file(first.model), load_file(run.model)
    assert [name for name, tensor in theirs.items() if not torch.equal(mine[f"autoencoder.{name}"], tensor)] == []
    assert mine["prior.net.layers.0.out.conv.weight"].any()
    with pytest.raises(zoo.UsageError, match="what fits: into: 'autoencoder'"):
        zoo.train(load_spec(spec.resolved() | {"init_from": str(first.model)}), runs=tmp_path)
    wrong = load_spec(spec.resolved() | {"init_from": start | {"into": "coder"}})
    with pytest.raises(zoo.UsageError, match="init_from  the model has no part 'coder'"):
        zoo.train(wrong, runs=tmp_path)

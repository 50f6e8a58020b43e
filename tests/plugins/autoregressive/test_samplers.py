"""Ways of drawing from causal models: the same levels for the same uniforms, what is known kept, and the one choice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

import zoo
from zoo.assembly import build as assembly
from zoo.cli.app import app
from zoo.progress import listening
from zoo.share.file import export
from zoo.spec import load_spec

WAYS = ("naive", "cached", "jacobi")
STACK = {"type": "causal_stack", "width": 12, "entry": {"type": "masked", "kernel": 3}, "readout": [9]}
NETS: dict[str, Any] = {
    "masked": {**STACK, "layers": ["masked_residual", "masked_residual"]},
    "gated": {**STACK, "layers": ["gated", {"type": "gated", "kernel": 5}]},
    "both": {**STACK, "layers": ["gated", "masked_residual"]},
    "made": {"type": "made", "width": 40},
    "nade": {"type": "nade", "hidden": 9},
}
IMAGE = zoo.Event("image", zoo.Shape(1, 5, 4), levels=2)
COLOURS = zoo.Event("image", zoo.Shape(3, 4, 3), levels=5)
LABELLED = zoo.Event("image", zoo.Shape(1, 4, 4), levels=3, classes=3)


def model(net: Any, event: zoo.Event, head: Any = "categorical", **more: Any) -> Any:
    """With weights at random everywhere: what is drawn depends on what was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        built = zoo.declare(zoo.Model, {"type": "autoregressive", "net": net, "head": head, **more})(event).double()
        for parameter in built.parameters():
            torch.nn.init.normal_(parameter, std=0.4)
    return built.eval()


def sampler(way: str, of: Any) -> Any:
    return zoo.declare(zoo.Sampler, way)(of)


def uniforms(of: Any, n: int, seed: int = 0) -> Tensor:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        u: Tensor = of.uniforms(n)
    return u


@pytest.mark.parametrize("event", [IMAGE, COLOURS], ids=["binary", "colours"])
@pytest.mark.parametrize("net", NETS)
def test_all_ways_draw_the_same(net: str, event: zoo.Event) -> None:
    of = model(NETS[net], event)
    u = uniforms(of, 6)
    drawn = [*(sampler(way, of).sample(6, u=u) for way in WAYS), of.draw(u), of.draw(u[:2])]
    assert drawn[0].flatten(1).unique(dim=0).shape[0] > 3
    assert all(torch.equal(x, drawn[0][: x.shape[0]]) for x in drawn[1:])
    assert drawn[0].dtype == torch.uint8


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("net", ["both", "made"])
def test_what_is_known_stays_and_is_heard(net: str, way: str) -> None:
    of = model(NETS[net], IMAGE)
    u, draw = uniforms(of, 6), sampler(way, of).sample
    free = draw(6, u=u)
    mask = torch.zeros(6, *IMAGE.shape, dtype=torch.bool)
    mask[:, :, :2] = True
    known = zoo.Known(1 - free, mask)
    told = draw(6, u=u, known=known)
    assert torch.equal(told[mask], 1 - free[mask])
    assert not torch.equal(told[~mask], free[~mask])
    # Of nothing but what it would have drawn itself, it draws the rest as before.
    assert torch.equal(draw(6, u=u, known=zoo.Known(free, mask)), free)


@pytest.mark.parametrize("way", WAYS)
def test_a_temperature_draws_nearer_to_the_mode(way: str) -> None:
    of = model(NETS["gated"], LABELLED)
    u, draw = uniforms(of, 4), sampler(way, of).sample
    cold = draw(4, None, 1e-6, u=u)
    assert cold.flatten(1).unique(dim=0).shape[0] == 1
    assert not torch.equal(draw(4, None, 1.0, u=u), cold)
    assert torch.equal(draw(4, None, 0.5, u=u), sampler("naive", of).sample(4, None, 0.5, u=u))


@pytest.mark.parametrize("way", WAYS)
def test_draws_are_of_what_they_are_given(way: str) -> None:
    net = {
        **STACK,
        "context": 3,
        "layers": [{"type": "gated", "context": 3}, {"type": "masked_residual", "context": 3}],
    }
    of = model(net, LABELLED, context="one_hot")
    u, draw = uniforms(of, 6), sampler(way, of).sample
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    x = draw(6, {"label": labels}, u=u)
    assert torch.equal(x[1:2], sampler("naive", of).sample(1, {"label": labels[1:2]}, u=u[1:2]))
    assert not torch.equal(x, draw(6, {"label": labels.flip(0)}, u=u))


def test_a_layer_without_a_stepper_is_drawn_all_at_once() -> None:
    of = model(NETS["gated"], IMAGE)
    u = uniforms(of, 6)
    drawn = of.unroll(u)
    for layer in of.net.layers:
        layer.stepper = lambda n, context=None: None
    assert not of.kept
    assert torch.equal(of.draw(u), drawn)
    assert torch.equal(of.unroll(u), drawn)
    with pytest.raises(
        zoo.SpecError, match=r"sampler 'cached': a part of the model cannot be evaluated number by number"
    ):
        sampler("cached", of)


def test_draws_that_do_not_settle_are_told() -> None:
    of = model(NETS["gated"], IMAGE)
    of.redraw = lambda x, u, context=None, temperature=1.0: 1 - x
    with pytest.raises(RuntimeError, match="the model is not causal"):
        sampler("jacobi", of).sample(2)


@pytest.mark.parametrize("way", WAYS)
def test_it_says_how_far_it_is(way: str) -> None:
    of = model(NETS["gated"], IMAGE)
    heard: list[tuple[int, int]] = []
    with listening(lambda done, total: heard.append((done, total))):
        sampler(way, of).sample(6)
    assert heard[-1][0] == heard[-1][1]
    assert [done for done, _ in heard] == sorted(done for done, _ in heard)


def test_other_models_have_no_such_ways() -> None:
    flow = {"type": "flow", "base": "standard_normal", "transforms": ["act_norm"]}
    built = zoo.declare(zoo.Model, flow)(zoo.Event("point", zoo.Shape(2)))
    with pytest.raises(zoo.SpecError, match=r"sampler 'naive': needs an autoregressive model"):
        sampler("naive", built)


# -- from the command line ------------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    spec = load_spec("pixelcnn", small=True)
    with torch.no_grad():
        built = assembly.build(spec)
        for parameter in built.parameters():
            parameter.normal_(std=0.5)
    path = tmp_path / "model.safetensors"
    export(path, spec, built, step=0, data=None)
    return path


def drawn(file: Path, name: str, *options: str) -> Any:
    path = file.parent / f"{name}.npy"
    done = CliRunner().invoke(app, ["sample", str(file), "-o", str(path), "-n", "3", "--json", *options])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["n"] == 3
    return np.load(path)


def test_a_spec_says_how(file: Path) -> None:
    ways = {way: drawn(file, way, "--set", f"sample.sampler={way}") for way in (*WAYS, "auto")}
    assert all(np.array_equal(x, ways["naive"]) for x in ways.values())
    assert np.array_equal(drawn(file, "own"), ways["naive"])


def test_a_way_that_is_not_of_the_model_is_refused_before_it_is_trained(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["build", "realnvp-2d", "--set", "sample.sampler=jacobi"])
    assert done.exit_code == 2
    assert "sampler 'jacobi': needs an autoregressive model" in done.stderr
    done = CliRunner().invoke(app, ["build", "realnvp-2d", "--set", "sample.sampler=jacoby"])
    assert done.exit_code == 2
    assert "did you mean 'jacobi'?" in done.stderr

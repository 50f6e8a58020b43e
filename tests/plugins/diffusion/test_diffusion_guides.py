"""Guidance by other share files: a worse model, and a classifier that zoo ships."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

import zoo
from zoo.assembly import build as assembly
from zoo.cli.app import app
from zoo.share.file import export
from zoo.spec import load_spec

CLASSIFIER = "small-digits-classifier"


def written(path: Path, seed: int, overrides: tuple[str, ...] = ()) -> Path:
    """A share file of a model of digits, at random weights."""
    spec = load_spec("diffusion-digits", small=True, overrides=["model.path=vp", "model.target=v", *overrides])
    torch.manual_seed(seed)
    model: Any = assembly.build(spec)
    torch.nn.init.normal_(model.net.last.weight, std=0.05)
    return export(path, spec, model, step=0, data=None)


def sampler_of(model: Any, **guidance: Any) -> Any:
    solver = {"type": "ddim", "steps": 4, "grid": "log_snr"}
    return zoo.declare(zoo.Sampler, {"type": "ode", "solver": solver, "guidance": guidance or None})(model)


def draws(sampler: Any) -> torch.Tensor:
    torch.manual_seed(3)
    x: torch.Tensor = sampler.sample(4)
    return x


def test_autoguidance_is_one_model_or_the_other_at_the_ends_of_its_scale(tmp_path: Path) -> None:
    good, bad = written(tmp_path / "good.safetensors", 0), written(tmp_path / "bad.safetensors", 1)
    model, worse = zoo.load(good), zoo.load(bad)
    by = {w: draws(sampler_of(model, type="autoguidance", file=str(bad), scale=w)) for w in (0.0, 1.0, 3.0)}
    assert torch.equal(by[1.0], draws(sampler_of(model)))
    assert torch.equal(by[0.0], draws(sampler_of(worse)))
    assert not torch.equal(by[3.0], by[1.0])


def test_the_worse_model_may_have_another_path(tmp_path: Path) -> None:
    """Noisy data is scaled to the same log-SNR: the same network on paths of one shape predicts the same."""
    shifted = "model.path={type: shifted, of: vp, by: 1.0}"
    good, bad = written(tmp_path / "good.safetensors", 0), written(tmp_path / "bad.safetensors", 0, (shifted,))
    model = zoo.load(good)
    guided = draws(sampler_of(model, type="autoguidance", file=str(bad), scale=3.0))
    assert torch.equal(guided, draws(sampler_of(model)))


def test_a_classifier_that_zoo_ships_guides_draws_to_its_class(tmp_path: Path) -> None:
    torch.manual_seed(0)
    event = zoo.load(CLASSIFIER).event
    node = {"type": "diffusion", "net": {"type": "time_mlp", "width": 8}, "path": "cosine", "target": "data"}
    model, classifier = zoo.declare(zoo.Model, node)(event).eval(), zoo.load(CLASSIFIER)

    def share(scale: float) -> float:
        torch.manual_seed(0)
        solver = {"type": "ddim", "steps": 20}
        guidance = {"type": "classifier", "file": CLASSIFIER, "scale": scale, "label": 3}
        # The network predicts the data to be its input, which is all noise at first.
        model.net.forward = lambda x, c, context=None: 0.9 * x
        sampler: Any = zoo.declare(zoo.Sampler, {"type": "ode", "solver": solver, "guidance": guidance})(model)
        with torch.no_grad():
            found: Any = classifier
            return float((found.predict(sampler.sample(40)).argmax(1) == 3).double().mean())

    assert share(0.0) <= 0.5 and share(5.0) >= 0.9


@pytest.mark.parametrize(
    ("guidance", "message"),
    [
        ({"type": "classifier", "file": CLASSIFIER}, "needs a 'label': the model is not conditioned on one"),
        ({"type": "classifier", "file": CLASSIFIER, "label": 10}, "has the classes 0 to 9, got label 10"),
        ({"type": "classifier", "file": "realnvp-2d", "label": 1}, "is of other data"),
        ({"type": "autoguidance", "file": CLASSIFIER}, "needs a diffusion model"),
        ({"type": "autoguidance", "file": "nowhere.safetensors"}, "nowhere"),
        ("classifier_free", "guidance needs a context and label_dropout"),
    ],
)
def test_what_cannot_guide_is_refused(guidance: Any, message: str) -> None:
    node = {"type": "diffusion", "net": {"type": "time_mlp", "width": 8}}
    model = zoo.declare(zoo.Model, node)(zoo.load(CLASSIFIER).event)
    with pytest.raises(zoo.SpecError, match=message):
        zoo.declare(zoo.Sampler, {"type": "ode", "guidance": guidance})(model)


def test_a_model_cannot_contain_guidance_by_a_file() -> None:
    guidance = {"type": "classifier", "file": CLASSIFIER, "label": 1}
    node = {"type": "diffusion", "net": {"type": "time_mlp", "width": 8}, "guidance": guidance}
    with pytest.raises(zoo.SpecError, match="belongs to a sampler, such as 'ode': share files stand alone"):
        zoo.declare(zoo.Model, node)(zoo.load(CLASSIFIER).event)


def test_a_file_that_names_another_for_its_sampler_is_asked_about(tmp_path: Path) -> None:
    other = written(tmp_path / "other.safetensors", 1)
    named = f"sample.sampler={{type: ode, guidance: {{type: autoguidance, file: {other}}}}}"
    file = written(tmp_path / "named.safetensors", 0, (named,))
    out = ["-o", str(tmp_path / "x.npy"), "-n", "2"]
    refused = CliRunner().invoke(app, ["sample", str(file), *out])
    assert refused.exit_code == 2
    assert "declares a sampler that reads files outside it" in " ".join(refused.output.split())
    assert CliRunner().invoke(app, ["sample", str(file), "--set", named, *out]).exit_code == 0

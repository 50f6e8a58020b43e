"""Draws without the noise of the likelihood, and views of codes that are whole numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import zoo
from zoo.cli.app import app
from zoo.share.file import export
from zoo.spec import load_spec


@pytest.mark.parametrize("name", ["vae", "vae-2d", "vq-vae", "vqvae-prior", "gmm-vae"])
def test_the_mean_is_that_of_the_draws(name: str) -> None:
    """One latent, whose draws are many: their mean is near what the model calls it, on the scale of the data."""
    spec = load_spec(name, small=True)
    model: Any = zoo.build(spec).eval()
    label = 1 if model.conditioned_on else None
    means = model.sample_mean(3, label)
    assert means.shape == (3, *model.event.shape) and means.is_floating_point()
    assert model.sample_mean(0, label).dtype == means.dtype and len(model.sample_mean(0, label)) == 0
    assert means.min() >= 0 and means.max() <= model.event.levels - 1
    if hasattr(model, "draw_latent"):
        torch.manual_seed(0)
        n, code = 2000, model.draw_latent(1)
        size = model.latent.size
        noise = model.draw_latent(n)[:, size:]
        draws = model.decode(torch.cat([code[:, :size].expand(n, -1), noise], dim=1)).double()
        torch.manual_seed(0)
        error = (draws.mean(0) - model.sample_mean(1)[0]).abs().max()
        assert error < 5 * draws.std(0).max() / n**0.5


def shared(folder: Path, name: str) -> Path:
    spec = load_spec(name, small=True)
    return export(folder / "it.safetensors", spec, zoo.build(spec).eval(), step=0, data=None)


def test_the_command_draws_means(tmp_path: Path) -> None:
    file = shared(tmp_path, "vae")
    for ending in ("npy", "png"):
        out = tmp_path / f"x.{ending}"
        result = CliRunner().invoke(app, ["sample", str(file), "-n", "4", "--mean", "-o", str(out), "--device", "cpu"])
        assert result.exit_code == 0, result.output
    x = np.load(tmp_path / "x.npy")
    assert x.shape == (4, 1, 8, 8) and np.issubdtype(x.dtype, np.floating) and x.min() > 0 and x.max() < 1


def test_a_model_without_means_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app, ["sample", str(shared(tmp_path, "realnvp-2d")), "--mean", "-o", str(tmp_path / "x.npy")]
    )
    assert result.exit_code == 2 and "'flow' does not support --mean" in result.stderr
    assert not (tmp_path / "x.npy").exists()


@pytest.mark.parametrize("name", ["vq-vae", "vqvae-prior"])
@pytest.mark.parametrize("view", ["traverse", "interpolate"])
def test_no_view_goes_between_codes_that_are_whole_numbers(name: str, view: str) -> None:
    model = zoo.build(load_spec(name, small=True))
    with pytest.raises(zoo.SpecError, match="needs continuous codes, but this model's are integers"):
        zoo.declare(zoo.View, view)(model)
    zoo.declare(zoo.View, "reconstruct")(model)

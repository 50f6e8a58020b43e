"""Networks of diffusion models: published counts, and equality with diffusers weight for weight."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
import torch
from torch import Tensor

import zoo

base: Any = import_module("zoo.plugins.diffusion.nets.base")
unet: Any = import_module("zoo.plugins.diffusion.nets.unet")
edm_unet: Any = import_module("zoo.plugins.diffusion.nets.edm_unet")
dit: Any = import_module("zoo.plugins.diffusion.nets.dit")
IMAGE = zoo.Shape(3, 32, 32)
SMALL: dict[str, Any] = {"width": 32, "multiply": [1, 2, 2, 2], "blocks": 2, "attention": [16]}


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(("context", "parameters"), [(0, 55_732_739), (9, 55_733_891)])
def test_the_unet_of_edm_has_the_published_size(context: int, parameters: int) -> None:
    """Without and with the nine labels of augmentations."""
    with torch.device("meta"):
        assert count(edm_unet.EDMUNet(IMAGE, IMAGE, context=context)) == parameters


def test_the_unet_of_edm_attends_where_the_published_one_does() -> None:
    """At a height of 16 after each block on the way down, once in the middle, and after the last on the way up."""
    with torch.device("meta"):
        net = edm_unet.EDMUNet(IMAGE, IMAGE)
    attends = [[block.qkv is not None for block in part] for part in (net.down, net.middle, net.up)]
    no, yes = [False], [True]
    assert attends == [4 * no + no + 4 * yes + no + 4 * no, [True, False], 5 * no + no + 4 * no + yes + no + 5 * no]


def test_a_new_block_of_edm_keeps_the_variance_of_its_input() -> None:
    torch.manual_seed(0)
    block = edm_unet.EDMBlock(32, 32, 16, 0.0, True)
    x = torch.randn(4, 32, 8, 8)
    # Both branches are next to nothing, and each sum is divided by the root of two.
    assert (block(x, torch.randn(4, 16)) - 0.5 * x).abs().max() <= 1e-3


def test_the_unet_of_ddpm_has_the_published_size() -> None:
    with torch.device("meta"):
        assert count(unet.UNet(IMAGE, IMAGE)) == 35_746_307


@pytest.mark.parametrize(
    ("width", "depth", "heads", "parameters"),
    [
        (384, 12, 6, 32_865_056),
        (768, 12, 12, 130_315_808),
        (1024, 24, 16, 457_840_672),
        (1152, 28, 16, 674_834_720),
    ],
)
def test_diffusion_transformers_have_the_published_sizes(width: int, depth: int, heads: int, parameters: int) -> None:
    latents, with_variances = zoo.Shape(4, 32, 32), zoo.Shape(8, 32, 32)
    with torch.device("meta"):
        net = dit.DiT(latents, with_variances, width=width, depth=depth, heads=heads, context=width)
    labels = 1001 * width  # a vector for each class and one for none, which the model has
    assert count(net) + labels == parameters


def names(ours: Any) -> dict[str, str]:
    """The names of diffusers' UNet2DModel for those of ours; of q, k and v that of q."""
    block = {"norm1": "norm1", "conv1": "conv1", "level": "time_emb_proj", "norm2": "norm2", "conv2": "conv2",
             "across": "conv_shortcut"}  # fmt: skip
    attention = {"norm": "group_norm", "qkv": "to_q", "out": "to_out.0"}
    parts = {"level.0": "time_embedding.linear_1", "level.2": "time_embedding.linear_2", "first": "conv_in",
             "norm": "conv_norm_out", "last": "conv_out"}  # fmt: skip

    def layer(ours: str, theirs: str, i: int) -> None:
        parts.update({f"{ours}.block.{a}": f"{theirs}.resnets.{i}.{b}" for a, b in block.items()})
        parts.update({f"{ours}.attention.{a}": f"{theirs}.attentions.{i}.{b}" for a, b in attention.items()})

    for way, change, per in (("down", "downsamplers", 2), ("up", "upsamplers", 3)):
        level = i = 0
        for k, part in enumerate(getattr(ours, way)):
            if hasattr(part, "block"):
                layer(f"{way}.{k}", f"{way}_blocks.{level}", i)
                i += 1
            else:
                parts[f"{way}.{k}.conv"] = f"{way}_blocks.{level}.{change}.0.conv"
                level, i = level + 1, 0
        assert level == 3 and i == per
    layer("middle.0", "mid_block", 0)
    layer("middle.1", "mid_block", 1)
    return parts


def translated(ours: Any, theirs: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state of ours, from that of diffusers' network."""
    parts, found = names(ours), {}
    for name in ours.state_dict():
        part, _, kind = name.rpartition(".")
        other = f"{parts[part]}.{kind}"
        three = [other, other.replace("to_q", "to_k"), other.replace("to_q", "to_v")] if "to_q" in other else [other]
        found[name] = torch.cat([theirs.pop(each) for each in three])
    assert not theirs
    return found


def test_the_unet_is_that_of_diffusers_weight_for_weight() -> None:
    diffusers = pytest.importorskip("diffusers")
    torch.manual_seed(0)
    theirs = diffusers.UNet2DModel(
        sample_size=32,
        block_out_channels=(32, 64, 64, 64),
        layers_per_block=2,
        down_block_types=("DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=None,
        downsample_padding=0,
        flip_sin_to_cos=False,
        freq_shift=1,
        norm_eps=1e-6,
    ).double()
    ours = unet.UNet(IMAGE, IMAGE, **SMALL).double()
    ours.load_state_dict(translated(ours, dict(theirs.state_dict())))
    x, c = torch.randn(2, *IMAGE, dtype=torch.float64), torch.tensor([3.0, 870.0], dtype=torch.float64)
    sines = base.sinusoids(c, ours.frequencies)
    assert (theirs.time_proj(c) - sines).abs().max() <= 1e-4  # in float32 there, so that we give it those in float64
    theirs.time_proj.forward = lambda c: sines
    with torch.no_grad():
        found, wanted = ours.eval()(x, c), theirs.eval()(x, c).sample
    assert (found - wanted).abs().max() <= 1e-9 * wanted.abs().max()


@pytest.mark.parametrize(
    ("net", "settings", "shape", "message"),
    [
        (unet.UNet, SMALL, zoo.Shape(1, 28, 28), "the sides of 1x28x28 must be multiples of 8: use fewer resolutions"),
        (unet.UNet, SMALL, zoo.Shape(5), r"needs images \[C, H, W\], got 5"),
        (unet.UNet, {"width": 30}, IMAGE, "32 groups must divide its multiples, got 30"),
        (edm_unet.EDMUNet, {}, zoo.Shape(1, 6, 6), "the sides of 1x6x6 must be multiples of 4"),
        (edm_unet.EDMUNet, {"width": 12}, IMAGE, "must be a multiple of 8, got 12"),
        (dit.DiT, {}, zoo.Shape(5), r"needs images \[C, H, W\], got 5"),
        (dit.DiT, {"patch": 3}, IMAGE, "not divisible into patches"),
    ],
)
def test_what_does_not_fit_is_refused(net: Any, settings: dict[str, Any], shape: zoo.Shape, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        net(shape, shape, **settings)

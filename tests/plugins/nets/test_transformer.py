"""Laws of attention and of the block: who sees whom, and that every way to compute them gives the same numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

import zoo

attending, masks, relative, windows = (
    import_module(f"zoo.plugins.nets.transformer.{name}") for name in ("attend", "masks", "relative", "windows")
)
norms, positions = (import_module(f"zoo.plugins.nets.transformer.{name}") for name in ("norms", "positions"))
embeddings: Any = import_module("zoo.plugins.nets.transformer.embeddings")
resampler: Any = import_module("zoo.plugins.nets.transformer.resampler")
queries: Any = import_module("zoo.plugins.nets.transformer.latent_queries")
Attention: Any = import_module("zoo.plugins.nets.transformer.attention").Attention
Block: Any = import_module("zoo.plugins.nets.transformer.block").Block
FeedForward: Any = import_module("zoo.plugins.nets.transformer.feed_forward").FeedForward
KVCache: Any = import_module("zoo.plugins.nets.transformer.kv_cache").KVCache
Trunk: Any = import_module("zoo.plugins.nets.transformer.trunk").Trunk
attend: Any = attending.attend
Rotary: Any = positions.Rotary
Windows: Any = windows.Windows

ROOT = Path(__file__).parents[3]
B, N, C, HEADS = 2, 6, 16, 4


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def alive(module: nn.Module) -> Any:
    """In float64, no parameter at its start."""
    module.double().eval()
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module


def tokens(n: int = N, width: int = C) -> Tensor:
    return torch.randn(B, n, width, dtype=torch.float64)


def heads_of(n: int = N, heads: int = HEADS, size: int = 8, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(B, heads, n, size, dtype=dtype)


def block(**keys: Any) -> Any:
    attention = {key: keys.pop(key) for key in list(keys) if key in ATTENTION}
    network = FeedForward(C, 2 * C, activation=keys.pop("activation", "gelu"))
    return alive(Block(C, Attention(C, HEADS, **attention), network, **keys))


ATTENTION = ("kv_heads", "head_size", "causal", "bias", "qk_norm", "scale", "relative", "dropout")
BLOCKS: dict[str, Callable[[], Any]] = {
    "pre": block,
    "post, relu": lambda: block(order="post", activation="relu"),
    "rms, swiglu, grouped heads": lambda: block(norm_type="rms", activation="swiglu", kv_heads=2, bias=False),
    "normalised queries, layer scale": lambda: block(qk_norm="layer", scale=0.1, activation="quick_gelu"),
}
CAUSAL: dict[str, Callable[[], Any]] = {
    "gpt": lambda: block(causal=True),
    "llama": lambda: block(causal=True, kv_heads=1, norm_type="rms", activation="swiglu", qk_norm="rms"),
    "t5": lambda: block(causal=True, relative=relative.BucketBias(HEADS, buckets=8, furthest=6, both_ways=False)),
}


# -- who sees whom -----------------------------------------------------------------------------------------------------


def influence(f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Which tokens change which, from gradients that are not exactly zero: booleans ``[N, N]`` of the first example."""
    x = x.clone().requires_grad_()
    y = f(x)
    weights = torch.randn(y.shape[-1], dtype=y.dtype)
    rows = [torch.autograd.grad(y[0, i] @ weights, x, retain_graph=True)[0][0].abs().sum(-1) for i in range(y.shape[1])]
    return torch.stack(rows) != 0


def permutation_changes_nothing(block: Any) -> None:
    x, order = tokens(), torch.randperm(N)
    torch.testing.assert_close(block(x)[:, order], block(x[:, order]))


@pytest.mark.parametrize("name", BLOCKS)
def test_tokens_without_positions_have_no_order(name: str) -> None:
    permutation_changes_nothing(BLOCKS[name]())


@pytest.mark.parametrize("name", CAUSAL)
def test_no_token_sees_a_later_one(name: str) -> None:
    assert torch.equal(influence(CAUSAL[name](), tokens()), torch.ones(N, N).tril().bool())


MASKS: dict[str, Tensor] = {
    "padding": masks.padding(torch.arange(N) < torch.tensor([[4], [6]])),
    "packed documents": masks.blocks(torch.tensor([[0, 0, 1, 1, 1, 2]] * B)),
    "sliding window": masks.band(N, N, 2),
    "floats": torch.zeros(N, N).masked_fill(torch.rand(N, N) < 0.5, -torch.inf),
}


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("name", MASKS)
def test_a_masked_token_has_no_gradient(name: str, causal: bool) -> None:
    mask = MASKS[name]
    allowed = (mask if mask.dtype == torch.bool else mask == 0).expand(B, 1, N, N)[0, 0]
    allowed = allowed & torch.ones(N, N).tril().bool() if causal else allowed
    own = torch.eye(N).bool()  # by the way around attention
    of_block = block(causal=causal)
    assert torch.equal(influence(lambda x: of_block(x, mask=mask), tokens()), allowed | own)


def test_words_see_the_latest_image_alone() -> None:
    """Flamingo's mask: of word 0 before any image, words 1-2 after the first, 3 after the second."""
    latest, of_patch = torch.tensor([[0, 1, 1, 2]] * B), torch.tensor([[1, 1, 2, 2]] * B)
    cross = alive(Attention(C, HEADS, context=C))
    x = tokens(4)
    seen = influence(lambda c: cross(x, c, mask=masks.blocks(latest, of_patch)), tokens(4))
    assert seen.int().tolist() == [[0, 0, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1]]


GRIDS = {
    "whole windows": ((4, 6), (2, 3), (0, 0)),
    "shifted": ((4, 6), (2, 3), (1, 1)),
    "filled up and shifted": ((5, 4), (2, 3), (1, 2)),
    "one axis shifted": ((4, 4), (2, 2), (0, 1)),
    "clips": ((2, 4, 4), (2, 2, 2), (0, 1, 1)),
}


def in_one_window(grid: tuple[int, ...], window: tuple[int, ...], shift: tuple[int, ...]) -> Tensor:
    """Which cells share a window, where windows go on over the border of the grid, and begin anew there."""
    at = positions.coordinates(*grid)
    cell = (at - torch.tensor(shift)).div(torch.tensor(window), rounding_mode="floor")
    same: Tensor = (cell.unsqueeze(0) == cell.unsqueeze(1)).all(-1)
    return same


def windows_see_themselves(grid: tuple[int, ...], window: tuple[int, ...], shift: tuple[int, ...]) -> None:
    attention = Attention(C, HEADS, relative=relative.RelativeBias(window, HEADS))
    of_windows = alive(Windows(attention, grid, window, shift))
    x = tokens(math.prod(grid))
    assert torch.equal(influence(of_windows, x), in_one_window(grid, window, shift))


@pytest.mark.parametrize("name", GRIDS)
def test_windows_see_themselves_alone(name: str) -> None:
    windows_see_themselves(*GRIDS[name])


def test_a_window_of_the_grid_is_plain_attention() -> None:
    attention = alive(Attention(C, HEADS, relative=relative.RelativeBias((2, 3), HEADS)))
    x = tokens(6)
    torch.testing.assert_close(Windows(attention, (2, 3), (2, 3))(x), attention(x))


# -- every way gives the same numbers ----------------------------------------------------------------------------------

ATTENDED: dict[str, dict[str, Any]] = {
    "plain": {},
    "causal": {"causal": True},
    "mask": {"mask": MASKS["packed documents"]},
    "causal and padding": {"mask": MASKS["padding"], "causal": True},
    "causal and floats": {"mask": torch.randn(N, N, dtype=torch.float64), "causal": True},
    "scale": {"scale": 0.3},
}


@pytest.mark.parametrize("kv_heads", [HEADS, 2])
@pytest.mark.parametrize("name", ATTENDED)
def test_attention_is_its_formula(name: str, kv_heads: int) -> None:
    q, k, v = heads_of(), heads_of(heads=kv_heads), heads_of(heads=kv_heads)
    a = attending.attention_weights(q, k, **ATTENDED[name])
    expected = a @ v.repeat_interleave(HEADS // kv_heads, 1)
    for backend in (SDPBackend.MATH, SDPBackend.FLASH_ATTENTION):
        with sdpa_kernel([backend, SDPBackend.MATH]):
            torch.testing.assert_close(attend(q, k, v, **ATTENDED[name]), expected, rtol=0, atol=1e-12)


def test_every_attention_of_the_project_is_this_one() -> None:
    calls = [path for path in (ROOT / "plugins").rglob("*.py") if "scaled_dot_product_attention(" in path.read_text()]
    assert [path.name for path in calls] == ["attend.py"]


def test_weights_are_those_of_the_module() -> None:
    made = alive(Attention(C, HEADS, causal=True, kv_heads=2, relative=relative.BucketBias(HEADS)))
    x, turn = tokens(), Rotary(C // HEADS)(torch.arange(N))
    v = made.qkv(x)[..., -made.sizes[2] :].reshape(B, N, 2, -1).transpose(1, 2).repeat_interleave(2, 1)
    y = made.weights(x, turn=turn) @ v
    torch.testing.assert_close(made.out(y.transpose(1, 2).flatten(2)), made(x, turn=turn))


def test_a_query_that_sees_nothing_gets_zeros() -> None:
    q, k, v = (heads_of().requires_grad_() for _ in range(3))
    mask = torch.ones(N, N).bool()
    mask[2] = False
    y = attend(q, k, v, mask)
    assert not y[:, :, 2].any()
    assert not attending.attention_weights(q, k, mask)[:, :, 2].any()
    for gradient in torch.autograd.grad(y.sum(), (q, k, v)):
        assert gradient.isfinite().all()


def cached_is_whole(block: Any, *, rotary: Any = None) -> None:
    x, context = tokens(), tokens(5)
    caches = [block.cache(B, N, 5)]
    trunk = Trunk([block]).eval()
    given = {} if block.cross is None else {"context": context}
    whole = trunk(x, turn=None if rotary is None else rotary(torch.arange(N)), **given)
    parts = []
    for start, end in ((0, 3), (3, 4), (4, 6)):
        turn = None if rotary is None else rotary(torch.arange(start, end))
        parts.append(trunk(x[:, start:end], turn=turn, caches=caches, **given))
        given = {}
    torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=0, atol=1e-12)
    caches[0].own.used = 4  # the last two are forgotten, and come again
    turn = None if rotary is None else rotary(torch.arange(4, 6))
    torch.testing.assert_close(trunk(x[:, 4:], turn=turn, caches=caches), whole[:, 4:], rtol=0, atol=1e-12)


@pytest.mark.parametrize("pairs", [None, "halves", "neighbours"])
@pytest.mark.parametrize("name", CAUSAL)
@torch.no_grad()
def test_a_cache_gives_the_whole_pass(name: str, pairs: str | None) -> None:
    cached_is_whole(CAUSAL[name](), rotary=None if pairs is None else Rotary(C // HEADS, pairs=pairs))


@torch.no_grad()
def test_a_cached_context_is_computed_once() -> None:
    cached_is_whole(block(causal=True, cross=Attention(C, HEADS, context=C)))


@torch.no_grad()
def test_padding_changes_nothing() -> None:
    of_block, x = block(), tokens()
    alone = of_block(x[:, :4])
    padded = of_block(x, mask=masks.padding((torch.arange(N) < 4).expand(B, N)))[:, :4]
    torch.testing.assert_close(padded, alone, rtol=0, atol=1e-12)


@torch.no_grad()
def test_packed_documents_are_those_alone() -> None:
    of_block, x = block(causal=True), tokens()
    mask, rotary = MASKS["packed documents"], Rotary(C // HEADS)
    packed = of_block(x, mask=mask, turn=rotary(torch.tensor([[0, 1, 0, 1, 2, 0]] * B)))
    for start, end in ((0, 2), (2, 5), (5, 6)):
        alone = of_block(x[:, start:end], turn=rotary(torch.arange(end - start)))
        torch.testing.assert_close(packed[:, start:end], alone, rtol=0, atol=1e-12)


# -- precision ---------------------------------------------------------------------------------------------------------


def sixteen_bits_are_attended_in_float32(dtype: torch.dtype = torch.bfloat16) -> None:
    q, k, v = (3 * heads_of(dtype=dtype) for _ in range(3))
    bias = torch.randn(N, N)
    expected = nn.functional.scaled_dot_product_attention(q.float(), k.float(), v.float(), bias).to(dtype)
    assert torch.equal(attend(q, k, v, bias), expected)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(attend(q.float(), k.float(), v.float(), bias).to(dtype), expected)
        assert torch.equal(attend(q, k, v, bias), expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sixteen_bits_are_attended_in_float32(dtype: torch.dtype) -> None:
    sixteen_bits_are_attended_in_float32(dtype)


@torch.no_grad()
def test_blocks_in_bfloat16_are_close() -> None:
    of_block = block(condition=3, kv_heads=2, qk_norm="rms", norm_type="rms").float()
    x, c = tokens().float(), torch.randn(B, 3)
    turn = Rotary(C // HEADS)(torch.arange(N))
    exact = of_block(x, condition=c, turn=turn)
    with torch.autocast("cpu", torch.bfloat16):
        within = of_block(x, condition=c, turn=turn)
    of_block.bfloat16()
    rounded = of_block(x.bfloat16(), condition=c.bfloat16(), turn=turn)
    assert rounded.dtype == torch.bfloat16
    for y in (within, rounded.float()):
        assert float((y.float() - exact).abs().max()) < 0.05 * float(exact.abs().max())


def test_angles_of_far_positions_are_exact_in_bfloat16() -> None:
    turn = Rotary(8).bfloat16()(torch.tensor([1001]))
    assert float(turn.cos[0, 0]) == pytest.approx(math.cos(1001), abs=1e-5)


# -- positions ---------------------------------------------------------------------------------------------------------

AT = {1: torch.arange(N), 2: positions.coordinates(2, 3), 3: positions.coordinates(1, 2, 3)}


def scores_know_distances_alone(rotary: Any, at: Tensor) -> None:
    q, k = heads_of(size=rotary.size), heads_of(size=rotary.size)
    here, moved = rotary(at), rotary(at + 5)
    torch.testing.assert_close(here(q) @ here(k).mT, moved(q) @ moved(k).mT, rtol=0, atol=1e-5)
    torch.testing.assert_close(here(q).norm(dim=-1), q.norm(dim=-1))
    assert not torch.allclose(here(q) @ here(k).mT, q @ k.mT)
    start = rotary(torch.zeros_like(at))
    assert torch.equal(start(q), q)


@pytest.mark.parametrize("pairs", ["halves", "neighbours"])
@pytest.mark.parametrize("axes", AT)
def test_rotated_scores_know_distances_alone(axes: int, pairs: str) -> None:
    scores_know_distances_alone(Rotary(12, axes=axes, pairs=pairs), AT[axes])


def test_some_tokens_keep_their_positions() -> None:
    """What a masked model encodes: a part of the patches, each example its own."""
    of_block, x, rotary = block(), tokens(), Rotary(C // HEADS, axes=2)
    visible = torch.tensor([[0, 2, 5], [1, 2, 3]])
    at = AT[2][visible]  # [B, 3, 2]
    part = of_block(x.take_along_dim(visible.unsqueeze(2), 1), turn=rotary(at))
    for b in range(B):
        own = of_block(x[b : b + 1, visible[b]], turn=rotary(AT[2][visible[b]]))
        torch.testing.assert_close(part[b : b + 1], own)


def test_sincos_is_that_of_masked_autoencoders() -> None:
    """Half of the channels for the column, half for the row, each sines and then cosines."""
    table = positions.sincos(positions.coordinates(2, 3), 8)
    angle = torch.tensor([1.0, 2.0])[:, None] * torch.tensor([1.0, 0.01])  # of row 1, and of column 2
    row, column = (torch.cat([a.sin(), a.cos()]) for a in angle)
    torch.testing.assert_close(table[5], torch.cat([column, row]))
    interleaved = positions.sincos(torch.tensor([[3.0]]), 4, interleaved=True)[0]
    torch.testing.assert_close(interleaved, torch.tensor([math.sin(3), math.cos(3), math.sin(0.03), math.cos(0.03)]))


def test_resampled_positions_of_the_same_grid_are_the_same() -> None:
    table = torch.randn(6, C)
    torch.testing.assert_close(positions.resampled(table, (2, 3), (2, 3)), table)
    plane = positions.coordinates(4, 6).float()  # what is linear stays so, away from the borders
    larger = positions.resampled(plane, (4, 6), (8, 12), mode="bilinear").reshape(8, 12, 2)
    torch.testing.assert_close(larger[3, 1:11, 1], torch.arange(0.25, 5.25, 0.5))


def test_decomposed_bias_is_its_sum() -> None:
    bias = alive(relative.DecomposedBias((2, 3), 8))
    q = heads_of()
    at = AT[2]
    expected = torch.zeros(B, HEADS, N, N, dtype=torch.float64)
    for i in range(N):
        for j in range(N):
            apart = at[i] - at[j] + torch.tensor([1, 2])
            expected[:, :, i, j] = q[:, :, i] @ (bias.tables[0][apart[0]] + bias.tables[1][apart[1]])
    torch.testing.assert_close(bias(q), expected)


# -- patches -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["channels_first", "channels_last"])
@pytest.mark.parametrize(("shape", "size"), [((3, 4, 6), (2, 3)), ((4, 3, 4, 6), (2, 2, 3))], ids=str)
def test_patches_join_to_what_they_were_cut_from(shape: tuple[int, ...], size: tuple[int, ...], order: str) -> None:
    x = torch.randn(B, *shape)
    grid = embeddings.Patches(shape, size, 1).grid
    patches = embeddings.cut(x, size, order=order)
    assert patches.shape == (B, math.prod(grid), x[0].numel() // math.prod(grid))
    assert torch.equal(embeddings.join(patches, size, grid, order=order), x)


def test_patches_are_a_convolution() -> None:
    x = torch.randn(B, 3, 4, 6)
    patches = embeddings.Patches((3, 4, 6), (2, 3), C)
    weight = patches.proj.weight.reshape(C, 3, 2, 3)
    expected = nn.functional.conv2d(x, weight, patches.proj.bias, stride=(2, 3)).flatten(2).mT
    torch.testing.assert_close(patches(x), expected)
    mae = x.reshape(B, 3, 2, 2, 2, 3)  # its `patchify`: nchpwq -> nhwpqc
    last = torch.einsum("nchpwq->nhwpqc", mae).reshape(B, 4, 18)
    assert torch.equal(embeddings.cut(x, (2, 3), order="channels_last"), last)


def test_visible_patches_alone_are_mapped() -> None:
    patches, x = embeddings.Patches((3, 4, 6), (2, 3), C), torch.randn(B, 3, 4, 6)
    visible = torch.tensor([[0, 3], [1, 2]]).unsqueeze(2)
    some = patches.proj(embeddings.cut(x, (2, 3)).take_along_dim(visible, 1))
    torch.testing.assert_close(some, patches(x).take_along_dim(visible, 1))


# -- what is added, and to whom ----------------------------------------------------------------------------------------


def whole_examples_are_left_out(drop: Any) -> None:
    torch.manual_seed(1)
    y = drop.train()(torch.ones(4000, 3, 5))
    assert ((y == 0).flatten(1).all(1) | (y == y.max()).flatten(1).all(1)).all()
    assert float(y.mean()) == pytest.approx(1.0, abs=0.05)
    torch.manual_seed(1)
    assert torch.equal(drop(torch.ones(4000, 3, 5)), y)


def test_drop_path_leaves_out_whole_examples() -> None:
    whole_examples_are_left_out(norms.DropPath(0.3))
    x = torch.ones(3, 2)
    assert torch.equal(norms.DropPath(0.3).eval()(x), x)
    with pytest.raises(ValueError, match=r"must be in \[0, 1\), got 1"):
        norms.DropPath(1.0)


def test_dropout_is_of_training_alone() -> None:
    of_block, x = block(dropout=0.5, drop_path=0.5), tokens()
    assert torch.equal(of_block(x), of_block(x))
    of_block.train()
    assert not torch.equal(of_block(x), of_block(x))


START: dict[str, Mapping[str, Any]] = {"adaLN-Zero": {"condition": 3}, "tanh gates": {"scale": "tanh"}}


@pytest.mark.parametrize("name", START)
def test_closed_gates_leave_the_tokens_alone(name: str) -> None:
    made = Block(C, Attention(C, HEADS), FeedForward(C, C), **START[name]).double()
    x = tokens()
    assert torch.equal(made(x, condition=torch.randn(B, 3, dtype=torch.float64)), x)


def test_a_block_of_cross_attention_alone() -> None:
    """Flamingo's gated block: nothing of the tokens' own."""
    made = alive(Block(C, None, FeedForward(C, C), cross=Attention(C, HEADS, context=5), scale="tanh"))
    assert torch.equal(influence(lambda x: made(x, tokens(3, 5)), tokens()), torch.eye(N).bool())


def test_modulation_is_its_formula() -> None:
    made, x, c = block(condition=3), tokens(), torch.randn(B, 3, dtype=torch.float64)
    (shift, factor, gate), (shift2, factor2, gate2) = made.modulation(c)
    plain = nn.functional.layer_norm
    y = x + gate * made.attention(plain(x, (C,), eps=1e-6) * (1 + factor) + shift)
    y = y + gate2 * made.feed_forward(plain(y, (C,), eps=1e-6) * (1 + factor2) + shift2)
    torch.testing.assert_close(made(x, condition=c), y)


# -- latent queries ----------------------------------------------------------------------------------------------------


def latent() -> dict[str, Any]:
    plain = {"order": "post", "eps": 1e-12}
    q_former = [Block(C, Attention(C, 2), FeedForward(C, C), cross=Attention(C, 2, context=5), **plain)]
    return {
        "resampler": (resampler.Resampler(C, count=3, depth=2, heads=2, head_size=4), (B, 2, N, C)),
        "q-former": (queries.LatentQueries(3, C, q_former), (B, N, 5)),
        "pool": (queries.AttentionPool(3, C, context=5, heads=2), (B, N, 5)),
    }


@pytest.mark.parametrize("name", latent())
def test_queries_gather_from_any_number_of_tokens(name: str) -> None:
    module, shape = latent()[name]
    alive(module)
    context = torch.randn(shape, dtype=torch.float64)
    y = module(context)
    assert y.shape == (B, 3, C)
    order = torch.randperm(N)
    torch.testing.assert_close(module(context[..., order, :]), y)
    count = math.prod(shape[1:-1])
    real = (torch.arange(count) % N < 4).expand(B, count)
    torch.testing.assert_close(module(context, masks.padding(real)), module(context[..., :4, :]))


COUNTS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "Flamingo's resampler": (lambda: resampler.Resampler(1024, frames=4), 63_023_104),
    "ViT-B": (lambda: Block(768, Attention(768, 12), FeedForward(768, 3072)), 7_087_872),
    "LLaMA-7B": (
        lambda: Block(
            4096,
            Attention(4096, 32, bias=False),
            FeedForward(4096, 11008, activation="swiglu", bias=False),
            norm_type="rms",
        ),
        202_383_360,
    ),
    "DiT-XL": (
        lambda: Block(1152, Attention(1152, 16), FeedForward(1152, 4608), condition=1152),
        23_905_152,
    ),
}


@pytest.mark.parametrize("name", COUNTS)
def test_published_sizes(name: str) -> None:
    make, expected = COUNTS[name]
    with torch.device("meta"):
        made = make()
    assert sum(parameter.numel() for parameter in made.parameters()) == expected


# -- what others do with modules ---------------------------------------------------------------------------------------


def test_blocks_compile_in_one_graph() -> None:
    made, x, turn = BLOCKS["rms, swiglu, grouped heads"](), tokens(), Rotary(C // HEADS)(torch.arange(N))
    compiled: Any = torch.compile(made, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x, turn=turn), made(x, turn=turn))


def test_blocks_are_exported() -> None:
    made = BLOCKS["pre"]()
    x = tokens()
    exported: Any = torch.export.export(made, (x,)).module()
    torch.testing.assert_close(exported(x), made(x))


def test_blocks_run_on_meta() -> None:
    grid = Windows(Attention(C, HEADS, relative=relative.RelativeBias((2, 2), HEADS)), (4, 4), (2, 2), (1, 1))
    made = Block(C, grid, FeedForward(C, C)).to("meta")
    assert made(torch.zeros(B, 16, C, device="meta")).shape == (B, 16, C)


def test_the_page_of_parts_runs() -> None:
    page = (ROOT / "docs" / "nets.md").read_text()
    exec("\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL)), {})


# -- the image transformer, which share files know by names ------------------------------------------------------------


def test_tensors_of_the_image_transformer_have_their_names() -> None:
    layer: Any = import_module("zoo.plugins.autoregressive.layers.transformer_block").TransformerBlock
    made = alive(layer(zoo.Shape(C, 2, 3), heads=HEADS, hidden=2))
    shapes = {name: tuple(tensor.shape) for name, tensor in made.state_dict().items()}
    assert shapes == {
        "before.weight": (C,),
        "before.bias": (C,),
        "between.weight": (C,),
        "between.bias": (C,),
        "attention.into.conv.weight": (3 * C, C, 1, 1),
        "attention.into.conv.bias": (3 * C,),
        "gathered.conv.weight": (C, C, 1, 1),
        "gathered.conv.bias": (C,),
        "into.conv.weight": (2 * C, C, 1, 1),
        "into.conv.bias": (2 * C,),
        "out.conv.weight": (C, 2 * C, 1, 1),
        "out.conv.bias": (C,),
    }
    assert shapes.keys() == dict(made.named_parameters()).keys()


def test_the_image_transformer_computes_what_it_did() -> None:
    """Its formula by convolutions, as files of format 1 were trained."""
    home = import_module("zoo.plugins.autoregressive.layers.transformer_block")
    Streams: Any = import_module("zoo.plugins.autoregressive.causal.layer").Streams
    made = alive(home.TransformerBlock(zoo.Shape(C, 2, 3), heads=HEADS, hidden=2))
    h = torch.randn(B, C, 2, 3, dtype=torch.float64)

    def conv(layer: Any, x: Tensor) -> Tensor:
        return nn.functional.conv2d(x, layer.conv.weight, layer.conv.bias)

    def normed(norm: Any, x: Tensor) -> Tensor:
        y: Tensor = norm(x.movedim(1, -1))
        return y.movedim(-1, 1)

    parts = conv(made.attention["into"], normed(made.before, h)).reshape(B, 3, HEADS, -1, N)
    q, k, v = parts.mT.unbind(1)
    scores = (q @ k.mT / math.sqrt(C // HEADS)).masked_fill(~torch.ones(N, N).tril().bool(), -torch.inf)
    y = (scores.softmax(-1) @ v).mT.reshape(B, C, 2, 3)
    g = h + conv(made.gathered, y)
    expected = g + conv(made.out, nn.functional.gelu(conv(made.into, normed(made.between, g))))
    torch.testing.assert_close(made(Streams(None, h)).h, expected, rtol=0, atol=1e-12)


# -- refusals ----------------------------------------------------------------------------------------------------------

WRONG: dict[str, tuple[Callable[[], object], str]] = {
    "heads": (lambda: Attention(6, 4), "4 heads do not divide a width of 6"),
    "kv heads": (lambda: Attention(8, 4, kv_heads=3), "3 heads of keys do not divide 4 heads of queries"),
    "no context": (lambda: Attention(8, 2, context=5)(torch.zeros(1, 2, 8)), "attends to a context: got none"),
    "cache": (
        lambda: Attention(8, 2)(torch.zeros(1, 3, 8), cache=KVCache(1, 2, 2, 4, like=torch.zeros(()))),
        "the cache has memory for 2 tokens, got 3",
    ),
    "shift": (lambda: Windows(Attention(8, 2), (4, 4), (2, 2), (2, 0)), r"the shift \(2, 0\) must be below"),
    "axes": (lambda: Windows(Attention(8, 2), (4, 4), (2,)), "must have the same axes"),
    "masked window": (
        lambda: Windows(Attention(8, 2), (2, 2), (2, 2))(torch.zeros(1, 4, 8), mask=torch.ones(4, 4).bool()),
        "supports no mask and no cache",
    ),
    "patches": (
        lambda: embeddings.Patches((3, 8, 9), (4, 4), 8),
        r"\(8, 9\) is not divisible into patches of \(4, 4\)",
    ),
    "size of patches": (lambda: embeddings.Patches((3, 8, 8), (2, 4, 4), 8), r"a size \(h, w\)"),
    "rotary": (lambda: Rotary(6, axes=2), "must be a multiple of 4"),
    "sincos": (lambda: positions.sincos(torch.zeros(1, 2), 6), "must be a multiple of 4"),
    "frames": (
        lambda: resampler.Resampler(8, depth=0, frames=2)(torch.zeros(1, 3, 1, 8)),
        "has vectors for 2 frames, got 3",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_refused(name: str) -> None:
    act, message = WRONG[name]
    with pytest.raises(ValueError, match=message):
        act()


# -- planted defects ---------------------------------------------------------------------------------------------------


def first_key_aligned(queries: int, keys: int, device: Any = None) -> Tensor:
    return torch.ones(queries, keys, device=device).tril().bool()


def softmax_in_sixteen_bits(q: Tensor, k: Tensor, v: Tensor, mask: Any, *rest: Any) -> Tensor:
    q, k, v = q.bfloat16(), k.bfloat16(), v.bfloat16()
    y: Tensor = (q @ k.mT * 8**-0.5 + mask.bfloat16()).softmax(-1) @ v
    return y.float()


def from_the_first_key(self: Any, q: Tensor, k: Tensor) -> Tensor:
    ahead = torch.arange(k.shape[2]) - torch.arange(q.shape[2]).unsqueeze(1)
    biases: Tensor = self.table[self._bucket(ahead)].permute(2, 0, 1)
    return biases


def squared(self: Any, at: Tensor) -> Any:
    angles = (at.float() ** 2).unsqueeze(-1).expand(-1, 6)
    return positions.Rotation(angles.cos(), angles.sin(), False)


def each_token(self: Any, x: Tensor) -> Tensor:
    return x * torch.empty_like(x[..., :1]).bernoulli_(0.7) / 0.7


DEFECTS: dict[str, tuple[Any, str, Any, Callable[[], None]]] = {
    "causality from the first key": (
        attending, "up_to_own", first_key_aligned, lambda: cached_is_whole(CAUSAL["gpt"]()),
    ),
    "a bias that ignores the cache": (
        relative.BucketBias, "forward", from_the_first_key,
        lambda: cached_is_whole(CAUSAL["t5"]()),
    ),
    "softmax in sixteen bits": (
        attending, "_attend", softmax_in_sixteen_bits, sixteen_bits_are_attended_in_float32,
    ),
    "shifted windows without a mask": (
        Windows, "_mask", lambda self: torch.ones(1, 1, 1, 1).bool().expand(4, 1, 6, 6),
        lambda: windows_see_themselves(*GRIDS["shifted"]),
    ),
    "windows joined row by row": (
        Windows, "_join", lambda self, x, B, counts: x.reshape(B, 4, 6, C),
        lambda: windows_see_themselves(*GRIDS["shifted"]),
    ),
    "angles of absolute positions": (
        Rotary, "forward", squared,
        lambda: scores_know_distances_alone(Rotary(12), AT[1]),
    ),
    "tokens left out one by one": (
        norms.DropPath, "forward", each_token, lambda: whole_examples_are_left_out(norms.DropPath(0.3)),
    ),
    "positions where there should be none": (
        Attention, "_mask", lambda self, q, k, mask: torch.arange(N).double().expand(N, N),
        lambda: permutation_changes_nothing(BLOCKS["pre"]()),
    ),
}  # fmt: skip
"""Where a defect is put, and the law that must find it."""


@pytest.mark.parametrize("name", DEFECTS)
def test_a_law_finds_a_defect(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where, attribute, defect, law = DEFECTS[name]
    with torch.no_grad() if "cache" in name or "key" in name else torch.enable_grad():
        law()
        monkeypatch.setattr(where, attribute, defect)
        with pytest.raises(AssertionError):
            law()

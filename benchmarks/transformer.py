"""A block of a transformer, forward and backward, against the same block written tightly in plain torch.

Two blocks: of ViT (LayerNorm, GELU, biases) and of LLaMA (RMSNorm, SwiGLU, rotary positions, grouped heads, causal),
eager and compiled, in float32 and under bfloat16 autocast. The bar: at or below the plain one.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention, silu

from .harness import (
    COLUMNS,
    Block,
    Clock,
    cells,
    interleave,
    machine,
    markdown,
    summarise,
    timed,
    timing_options,
    timing_parser,
    verdict,
)

BAR = 1.0
WIDTH, HEADS, SIZE, TOKENS, BATCH = 384, 6, 64, 196, 8
KV_HEADS, GATED = 2, 1024


class PlainViT(nn.Module):
    """Everything that the block of ViT needs, and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(WIDTH, eps=1e-6)
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.norm2 = nn.LayerNorm(WIDTH, eps=1e-6)
        self.fc1, self.fc2 = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        B, N, C = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(B, N, 3, HEADS, SIZE).permute(2, 0, 3, 1, 4).unbind(0)
        y = scaled_dot_product_attention(q, k, v)
        x = x + self.proj(y.transpose(1, 2).reshape(B, N, C))
        grown: Tensor = x + self.fc2(gelu(self.fc1(self.norm2(x))))
        return grown


class PlainLlama(nn.Module):
    """Everything that the block of LLaMA needs, with one map for q, k, v and one for gate and value."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.RMSNorm(WIDTH, eps=1e-6)
        self.qkv = nn.Linear(WIDTH, (HEADS + 2 * KV_HEADS) * SIZE, bias=False)
        self.proj = nn.Linear(WIDTH, WIDTH, bias=False)
        self.norm2 = nn.RMSNorm(WIDTH, eps=1e-6)
        self.fc1, self.fc2 = nn.Linear(WIDTH, 2 * GATED, bias=False), nn.Linear(GATED, WIDTH, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        B, N, C = x.shape
        heads = self.qkv(self.norm1(x)).view(B, N, HEADS + 2 * KV_HEADS, SIZE).transpose(1, 2)
        q, k, v = heads.split([HEADS, KV_HEADS, KV_HEADS], 1)
        q, k = turned(q, cos, sin), turned(k, cos, sin)
        y = scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        x = x + self.proj(y.transpose(1, 2).reshape(B, N, C))
        gate, value = self.fc1(self.norm2(x)).chunk(2, -1)
        grown: Tensor = x + self.fc2(silu(gate) * value)
        return grown


def turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions as LLaMA's code has them, of cosines and sines ``[N, D]``."""
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat([-b, a], -1) * sin


@dataclass(frozen=True)
class Kind:
    """A block, zoo's and the plain one, and what they are called with besides the tokens."""

    ours: Callable[[], nn.Module]
    plain: Callable[[], nn.Module]
    given: Callable[[], tuple[Any, tuple[Tensor, ...]]]


def part(module: str, name: str) -> Any:
    return getattr(import_module(f"zoo.plugins.nets.transformer.{module}"), name)


def vit() -> nn.Module:
    attention, network = part("attention", "Attention"), part("feed_forward", "FeedForward")
    block: nn.Module = part("block", "Block")(WIDTH, attention(WIDTH, HEADS), network(WIDTH, 4 * WIDTH))
    return block


def llama() -> nn.Module:
    attention = part("attention", "Attention")(WIDTH, HEADS, kv_heads=KV_HEADS, causal=True, bias=False)
    network = part("feed_forward", "FeedForward")(WIDTH, GATED, activation="swiglu", bias=False)
    block: nn.Module = part("block", "Block")(WIDTH, attention, network, norm_type="rms")
    return block


def rotations() -> tuple[Any, tuple[Tensor, ...]]:
    turn = part("positions", "Rotary")(SIZE)(torch.arange(TOKENS))
    return turn, (torch.cat([turn.cos, turn.cos], -1), torch.cat([turn.sin, turn.sin], -1))


KINDS = {"vit": Kind(vit, PlainViT, lambda: (None, ())), "llama": Kind(llama, PlainLlama, rotations)}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads)
    print(machine(options.threads))
    for name in options.block:
        for precision in options.precision:
            for how in options.how:
                report(name, precision, how, options)


def report(name: str, precision: str, how: str, options: argparse.Namespace) -> None:
    """Measure one kind of block, and print its table and the bar."""
    kind = KINDS[name]
    torch.manual_seed(0)
    modules = {"plain torch": kind.plain(), "zoo": kind.ours()}
    plain, ours = modules.values()
    for mine, theirs in zip(ours.parameters(), plain.parameters(), strict=True):
        mine.data.copy_(theirs.data)
    turn, values = kind.given()
    x = torch.randn(BATCH, TOKENS, WIDTH)
    torch.testing.assert_close(ours(x, turn=turn), plain(x, *values), rtol=1e-4, atol=1e-4)
    if how == "compiled":
        for module in modules.values():
            module.compile()
    passes = {"plain torch": lambda x: plain(x, *values), "zoo": lambda x: ours(x, turn=turn)}
    blocks = {n: block_of(passes[n], modules[n], x, DTYPES[precision], options.clock) for n in modules}
    summaries = summarise(interleave(blocks, options.rounds, options.steps), "plain torch")
    print(f"\n{name}, {precision}, {how}: [{BATCH}, {TOKENS}, {WIDTH}], forward and backward\n")
    print(markdown(["", *COLUMNS], [[contender, *cells(summary)] for contender, summary in summaries.items()]))
    print(f"\nzoo of plain torch: {verdict(summaries['zoo'], BAR)}", flush=True)


def block_of(call: Callable[[Tensor], Tensor], module: nn.Module, x: Tensor, dtype: torch.dtype, clock: Clock) -> Block:
    """Forward and backward, to the tokens and to all parameters."""
    x = x.clone().requires_grad_()
    weights = torch.randn_like(x)

    def step() -> None:
        module.zero_grad()
        x.grad = None
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            y = call(x)
        y.backward(weights)  # type: ignore[no-untyped-call]

    return timed(step, clock=clock)


def parse() -> argparse.Namespace:
    parser = timing_parser("benchmarks.transformer", __doc__, rounds=12, steps=4)
    parser.add_argument("--block", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--precision", nargs="+", choices=list(DTYPES), default=list(DTYPES))
    parser.add_argument("--how", nargs="+", choices=["eager", "compiled"], default=["eager", "compiled"])
    return timing_options(parser)


if __name__ == "__main__":
    main()

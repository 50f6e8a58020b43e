"""What ``recompute: true`` saves and costs: the memory of activations and the time of a step, by depth.

Memory is the most that is alive at one time between the batch and the gradients, less parameters, the state of the
optimizer, the batch and the gradients themselves. On CUDA what its allocator says is beside it. The bar: a flow of
depth 64 takes at most 1.3 of the memory of depth 4.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

import zoo

from .contender import Contender
from .declared import declared_flow
from .harness import Block, Timings, interleave, machine, markdown, summarise, timed
from .live_memory import LiveMemory

DEPTHS = (4, 16, 64)
BAR = 1.3
HOW: Mapping[str, bool] = {"kept": False, "recomputed": True}


@dataclass(frozen=True)
class Kind:
    """A flow of any depth, and its data."""

    shape: zoo.Shape
    batch: int
    layers: Callable[[int], list[dict[str, Any]]]

    def build(self, depth: int, device: str, *, recompute: bool) -> Contender:
        torch.manual_seed(0)
        contender = declared_flow(self.shape, self.layers(depth), recompute=recompute)
        contender.module.to(device)
        return contender

    def data(self, device: str) -> Tensor:
        return torch.randn(self.batch, *self.shape, generator=torch.Generator().manual_seed(0)).to(device)


def couplings(depth: int) -> list[dict[str, Any]]:
    """Affine couplings on halves, with networks of two hidden layers of 128."""
    net = {"type": "mlp", "width": 128}
    masks = [{"type": "channel", "swap": i % 2 == 1} for i in range(depth)]
    return [{"type": "affine_coupling", "mask": mask, "conditioner": net} for mask in masks]


def glow_steps(depth: int) -> list[dict[str, Any]]:
    """Steps of Glow on one level, with networks of 64 channels."""
    net = {"type": "convnet", "width": 64}
    step: list[dict[str, Any]] = [
        {"type": "act_norm"},
        {"type": "conv1x1"},
        {"type": "coupling", "mask": "channel", "conditioner": net},
    ]
    return [{"type": "squeeze"}, *step * depth]


KINDS = {
    "realnvp": Kind(zoo.Shape(64), 512, couplings),
    "glow": Kind(zoo.Shape(3, 32, 32), 16, glow_steps),
}


def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads)
    device = torch.cuda.get_device_name() if options.device == "cuda" else "cpu"
    print(machine(options.threads), f"on {device}")
    for name in options.flow:
        report(name, KINDS[name], options)


def report(name: str, kind: Kind, options: argparse.Namespace) -> None:
    """Measure one kind of flow at every depth, and print its table and the bar."""
    rows = []
    peaks: dict[tuple[str, int], int] = {}
    for depth in DEPTHS:
        contenders = {how: kind.build(depth, options.device, recompute=r) for how, r in HOW.items()}
        for how, contender in contenders.items():
            peaks[how, depth] = activations(contender, kind.data(options.device))
        ratio = summarise(times(contenders, kind, options), "kept")["recomputed"]
        low, high = ratio.interval
        cells = [f"{peaks[how, depth] / 2**20:.2f}" for how in HOW]
        if options.device == "cuda":
            cells += [f"{allocated(c, kind.data(options.device)) / 2**20:.2f}" for c in contenders.values()]
        rows.append([str(depth), *cells, f"{ratio.ratio:.2f}", f"{low:.2f}-{high:.2f}"])
    allocator = ["allocator, kept", "allocator, recomputed"] if options.device == "cuda" else []
    print(f"\n{name}: {kind.shape}, batch {kind.batch}; MiB of activations, and the time of a step\n")
    print(markdown(["depth", "kept", "recomputed", *allocator, "time ratio", "95 % interval"], rows), "\n")
    growth = peaks["recomputed", DEPTHS[-1]] / peaks["recomputed", DEPTHS[0]]
    plain = peaks["kept", DEPTHS[-1]] / peaks["kept", DEPTHS[0]]
    word = "kept" if growth <= BAR else "MISSED"
    print(f"depth {DEPTHS[-1]} of depth {DEPTHS[0]}: {growth:.3f}, at most {BAR}: {word} (without it: {plain:.1f})")


def activations(contender: Contender, x: Tensor) -> int:
    """The most bytes alive in forward and backward, without the gradients."""
    contender.module.zero_grad(set_to_none=True)
    memory = LiveMemory()
    with memory:
        backward(contender, x)
    return memory.peak(without=[p.grad for p in contender.module.parameters() if p.grad is not None])


def allocated(contender: Contender, x: Tensor) -> int:
    """The same by CUDA's allocator: its peak less what is left afterwards, the gradients among it."""
    contender.module.zero_grad(set_to_none=True)
    torch.cuda.reset_peak_memory_stats()
    backward(contender, x)
    return int(torch.cuda.max_memory_allocated() - torch.cuda.memory_allocated())


def times(contenders: Mapping[str, Contender], kind: Kind, options: argparse.Namespace) -> Timings:
    """Forward and backward, seconds."""
    x = kind.data(options.device)

    def block(contender: Contender) -> Block:
        def step() -> None:
            contender.module.zero_grad()
            backward(contender, x)
            if options.device == "cuda":
                torch.cuda.synchronize()

        return timed(step, clock=options.clock, unmeasured=1)

    return interleave({how: block(contender) for how, contender in contenders.items()}, options.rounds, options.steps)


def backward(contender: Contender, x: Tensor) -> None:
    contender.loss(x).backward()  # type: ignore[no-untyped-call]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recompute", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--flow", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--rounds", type=int, default=8, help="in each, both run one block")
    parser.add_argument("--steps", type=int, default=2, help="of one block")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu is for one thread")
    parser.add_argument("--quick", action="store_true", help="two rounds of one step: does it run?")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.steps = 2, 1
    return options


if __name__ == "__main__":
    main()

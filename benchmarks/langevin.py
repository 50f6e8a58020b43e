"""Sixty steps of Langevin's chain on an energy of the plane: in zoo, in torchebm, and the bare gradients.

The gradients are those of the energy in its input, with the parameters frozen, and nothing else; a chain adds noise and
an update. torchebm is left out where it is not installed. ``python -m benchmarks.langevin --help`` lists the options.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

import zoo

from .harness import (
    COLUMNS,
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

BAR = 1.02
STEPS, SIZE, CHAINS = 60, 0.01, 512
NODE = {
    "type": "energy_based",
    "energy": {"type": "network", "net": {"type": "mlp", "width": 256, "depth": 3, "activation": "silu"}},
    "objective": "score_matching",
    "chain": {"type": "langevin", "steps": STEPS, "step": SIZE},
}


def bare(energy: Callable[[Tensor], Tensor], x: Tensor) -> Callable[[], None]:
    def gradients() -> None:
        for _ in range(STEPS):
            at = x.detach().requires_grad_(True)
            torch.autograd.grad(energy(at).sum(), at)

    return gradients


def torchebm(energy: torch.nn.Module, x: Tensor) -> Callable[[], object]:
    class Energy(import_module("torchebm.core").BaseModel):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.U = energy

        def forward(self, x: Tensor) -> Tensor:
            u: Tensor = self.U(x)
            return u

    sampler = import_module("torchebm.samplers").LangevinDynamics(Energy(), step_size=SIZE)
    return lambda: sampler.sample(x=x, n_steps=STEPS)


def main() -> None:
    options = timing_options(timing_parser("benchmarks.langevin", __doc__, rounds=30, steps=1))
    torch.set_num_threads(options.threads)
    print(machine(options.threads))
    torch.manual_seed(0)
    model: Any = zoo.declare(zoo.Model, NODE)(zoo.Event("point", zoo.Shape(2)))
    model.eval().requires_grad_(False)
    x = torch.randn(CHAINS, 2)
    chain = torch.no_grad()(lambda: model.chain(model.U, x, 1.0))
    steps: dict[str, Callable[[], object]] = {"bare gradients": bare(model.U, x), "zoo": chain}
    if find_spec("torchebm"):
        steps["torchebm"] = torchebm(model.U, x)
    blocks = {name: timed(step, clock=options.clock, unmeasured=1) for name, step in steps.items()}
    summaries = summarise(interleave(blocks, options.rounds, options.steps), "bare gradients")
    print(f"\n{STEPS} steps of {CHAINS} chains, {options.rounds} rounds, {options.clock} clock\n")
    print(markdown(["", *COLUMNS], [[name, *cells(summary)] for name, summary in summaries.items()]))
    print(f"\nzoo: {verdict(summaries['zoo'], BAR)}")


if __name__ == "__main__":
    main()

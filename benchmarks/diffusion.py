"""A training step of DDPM's U-Net by flow matching: by hand, in zoo, in three other libraries; and a draw's overhead.

All see batches of 32 images of 1x28x28 and minimise the same squared error of the velocity. diffusers' network is that
of zoo, weight for weight; those of lucidrains and torchcfm are their own, at the nearest widths. A draw is compared
with its bare evaluations of the network, a guided evaluation with two others. ``python -m benchmarks.diffusion --help``
lists the options; a library that is not installed is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

import zoo
from zoo.engine.distributed import Alone
from zoo.engine.runtime import Choices, Runtime

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
from .workers import Worker

EVENT = zoo.Event("image", zoo.Shape(1, 28, 28))
BATCH = 32
WIDTH, MULTIPLY, ATTENTION = 32, (1, 2, 2), 14
NODE: Mapping[str, Any] = {
    "type": "diffusion",
    "net": {"type": "unet", "width": WIDTH, "multiply": list(MULTIPLY), "blocks": 1, "attention": [ATTENTION]},
    "solver": {"type": "heun", "steps": 18},
}
LABELLED = zoo.Event("image", zoo.Shape(1, 28, 28), classes=10)
GUIDED: Mapping[str, Any] = {
    **NODE,
    "net": {**NODE["net"], "context": 64},
    "context": {"type": "embedding", "size": 64},
    "label_dropout": 0.1,
    "guidance": {"type": "classifier_free", "scale": 1.5},
}
REFERENCE = "plain loop"
EAGER = Choices("cpu", "fp32", compile=False, channels_last=False)
DEFAULTS = Choices("cpu", "fp32", compile=True, channels_last=True)
BARS = {"zoo, eager": 1.03, "zoo, defaults": 0.65}

Velocity = Callable[[Tensor, Tensor], Tensor]
"""``(x, t) -> velocity``: a network of noisy images ``[B, 1, 28, 28]`` and times ``[B]``."""


@dataclass(frozen=True)
class Contender:
    """A network behind the loss of a batch of images."""

    module: nn.Module
    loss: Callable[[Tensor], Tensor]
    fused: bool | None = None


def flow_matching(net: nn.Module, velocity: Velocity) -> Contender:
    r"""The loss that everyone writes by hand: :math:`\| v(x_t, t) - (\epsilon - x_0) \|^2` at logit-normal times."""

    def loss(x: Tensor) -> Tensor:
        noise, t = torch.randn_like(x), torch.randn(len(x)).sigmoid()
        at = t[:, None, None, None]
        return (velocity((1.0 - at) * x + at * noise, 1000.0 * t) - (noise - x)).square().mean()

    return Contender(net, loss)


def plain() -> Contender:
    net = declared(NODE).net
    return flow_matching(net, net)


def in_zoo(choices: Choices, fused: bool | None) -> Contender:
    runtime = Runtime(declared(NODE), choices, Alone())
    runtime.distribute()
    clock = zoo.Clock(torch.zeros((), dtype=torch.int64), steps=1000)
    return Contender(runtime.model, lambda x: runtime.forward(runtime.arrange({EVENT.name: x}), clock).loss, fused)


def diffusers() -> Contender:
    down = ("DownBlock2D", "AttnDownBlock2D", "DownBlock2D")
    net = import_module("diffusers").UNet2DModel(
        sample_size=28,
        in_channels=1,
        out_channels=1,
        layers_per_block=1,
        block_out_channels=[WIDTH * m for m in MULTIPLY],
        down_block_types=down,
        up_block_types=tuple(name.replace("Down", "Up") for name in reversed(down)),
        attention_head_dim=None,
    )
    return flow_matching(net, lambda x, t: net(x, t).sample)


def lucidrains() -> Contender:
    net = import_module("denoising_diffusion_pytorch").Unet(dim=WIDTH, dim_mults=MULTIPLY, channels=1)
    return flow_matching(net, net)


def torchcfm() -> Contender:
    net = import_module("torchcfm.models.unet").UNetModel(
        dim=(1, 28, 28), num_channels=WIDTH, num_res_blocks=1, channel_mult=list(MULTIPLY)
    )
    return flow_matching(net, lambda x, t: net(t, x))


CONTENDERS: Mapping[str, tuple[str, Callable[[], Contender]]] = {
    REFERENCE: ("torch", plain),
    "zoo, eager": ("zoo", partial(in_zoo, EAGER, None)),
    "zoo, defaults": ("zoo", partial(in_zoo, DEFAULTS, True)),
    "diffusers": ("diffusers", diffusers),
    "lucidrains": ("denoising_diffusion_pytorch", lucidrains),
    "torchcfm": ("torchcfm", torchcfm),
}
"""The module that a contender needs, and what builds it."""


def declared(node: Mapping[str, Any], event: zoo.Event = EVENT) -> Any:
    torch.manual_seed(0)
    return zoo.declare(zoo.Model, node)(event)


def training_block(name: str, clock: Clock) -> Block:
    """Blocks of training steps: forward, backward, Adam, zero_grad."""
    contender = CONTENDERS[name][1]()
    adam = torch.optim.Adam(contender.module.parameters(), lr=1e-3, fused=contender.fused)
    x = torch.randn(BATCH, *EVENT.shape, generator=torch.Generator().manual_seed(0))

    def step() -> None:
        contender.loss(x).backward()  # type: ignore[no-untyped-call]
        adam.step()
        adam.zero_grad()

    return timed(step, clock=clock, unmeasured=1)


def drawing_blocks(clock: Clock) -> tuple[dict[str, Block], dict[str, Block]]:
    """A draw of 16 images and as many bare evaluations; a guided evaluation and two of the network."""
    model, guided = declared(NODE).eval(), declared(GUIDED, LABELLED).eval()
    z, labels = torch.randn(16, *EVENT.shape), {"label": torch.arange(16) % 10}
    evaluations = 2 * model.solver.steps - 1  # the last step returns the denoised data
    t = torch.full((16,), 500.0)
    c = guided.condition(labels)
    predict = guided.predictor(c, guided.guidance)

    def bare() -> None:
        for _ in range(evaluations):
            model.net(z, t)

    def two() -> None:
        guided.net(z, t, c)
        guided.net(z, t, c)

    draws = {"bare evaluations": bare, "draw": lambda: model.decode(z)}
    guides = {"two evaluations": two, "guided evaluation": lambda: predict(z, 0.5)}
    return (
        {name: timed(torch.no_grad()(step), clock=clock, unmeasured=0) for name, step in of.items()}
        for of in (draws, guides)
    )  # type: ignore[return-value]


def main() -> None:
    options = timing_options(timing_parser("benchmarks.diffusion", __doc__, rounds=12, steps=2))
    torch.set_num_threads(options.threads)
    print(machine(options.threads))
    present = [name for name, (module, _) in CONTENDERS.items() if find_spec(module)]
    with ExitStack() as stack:
        workers = {
            name: stack.enter_context(
                Worker(training_block, name, options.clock, threads=options.threads, keep_freed=name == "zoo, defaults")
            )
            for name in present
        }
        summaries = summarise(interleave(workers, options.rounds, options.steps), REFERENCE)
        peaks = {name: worker.usage().mebibytes for name, worker in workers.items()}
    print(f"\nA training step, {options.rounds} rounds of {options.steps}, {options.clock} clock\n")
    sizes = {name: sum(p.numel() for p in CONTENDERS[name][1]().module.parameters()) for name in present}
    rows = [[name, f"{sizes[name]:,}", *cells(summary), peaks[name]] for name, summary in summaries.items()]
    print(markdown(["", "parameters", *COLUMNS, "peak MiB"], rows), "\n")
    for name, bar in BARS.items():
        print(f"{name} to {REFERENCE}: {verdict(summaries[name], bar)}")
    for title, blocks, bar in zip(("A draw", "Guidance"), drawing_blocks(options.clock), (1.03, 1.01), strict=True):
        reference, other = blocks
        measured = summarise(interleave(blocks, options.rounds, 1), reference)
        print(f"\n{title}\n\n{markdown(['', *COLUMNS], [[name, *cells(s)] for name, s in measured.items()])}\n")
        print(f"{other} to {reference}: {verdict(measured[other], bar)}")


if __name__ == "__main__":
    main()

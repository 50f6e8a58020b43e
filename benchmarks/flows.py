"""Training steps and draws of a spline coupling flow, a MAF and a Glow: in zoo and in other libraries.

The reference of each table is the fastest of the other libraries. zoo is measured as its trainer runs it (compiled,
with the fused Adam) and, as "eager", without both; the others as they are. README.md says how to install them, and
``python -m benchmarks.flows --help`` lists the options.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec

import torch
from torch import Tensor

from . import glow, maf, nsf
from .blocks import DEFAULTS, EAGER, Training, sampling, training
from .contender import Contender
from .harness import (
    COLUMNS,
    Block,
    Timings,
    cells,
    interleave,
    machine,
    markdown,
    summarise,
    timing_options,
    timing_parser,
    verdict,
)

Build = Callable[[], Contender]


@dataclass(frozen=True)
class Case:
    """A flow, the data it is timed on, and the share of the fastest peer's time that zoo may take."""

    title: str
    point: tuple[int, ...]
    batch: int
    draws: int
    zoo: Mapping[str, Build]
    peers: Mapping[str, Build]
    training_bar: float
    sampling_bar: float

    @property
    def installed(self) -> dict[str, Build]:
        return {name: build for name, build in self.peers.items() if find_spec(name.split(",")[0])}

    def data(self, count: int = 16) -> list[Tensor]:
        """Normal noise, the same for everyone: ``count`` of ``[batch, *point]``."""
        draw = torch.Generator().manual_seed(0)
        return [torch.randn(self.batch, *self.point, generator=draw) for _ in range(count)]


NSF = nsf.Size(dim=16, couplings=5, width=128)
MAF = maf.Size(dim=16, layers=5, width=64)
GLOW = glow.Size(channels=3, side=32, levels=3, steps=4, width=64)


def _both_formats(builds: Mapping[str, Callable[[glow.Size], Contender]]) -> dict[str, Build]:
    contenders: dict[str, Build] = {name: partial(build, GLOW) for name, build in builds.items()}
    for name, build in builds.items():
        contenders[f"{name}, channels_last"] = partial(glow.channels_last, build, GLOW)
    return contenders


CASES = {
    "nsf": Case(
        "NSF: D = 16, five spline couplings, 8 bins, networks 128, 128",
        point=(16,),
        batch=512,
        draws=512,
        zoo={"zoo": partial(nsf.in_zoo, NSF)},
        peers={name: partial(build, NSF) for name, build in nsf.PEERS.items()},
        training_bar=0.7,
        sampling_bar=0.6,
    ),
    "maf": Case(
        "MAF: D = 16, five affine layers, MADEs 64, 64; a draw is an inverse",
        point=(16,),
        batch=512,
        draws=512,
        zoo={"zoo": partial(maf.in_zoo, MAF)},
        peers={name: partial(build, MAF) for name, build in maf.PEERS.items()},
        training_bar=0.7,
        sampling_bar=0.5,
    ),
    "glow": Case(
        "Glow: 3x32x32, three levels of four steps, width 64",
        point=(3, 32, 32),
        batch=16,
        draws=16,
        zoo=_both_formats({"zoo": glow.in_zoo}),
        peers=_both_formats(glow.PEERS),
        training_bar=0.7,
        sampling_bar=0.6,
    ),
}


def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads)
    print(machine(options.threads))
    for name in options.case:
        case = CASES[name]
        print(f"\n{case.title}")
        trainings = training_blocks(case, options)
        report(case, f"training step, batch {case.batch}", trainings, case.training_bar, options)
        report(case, f"sampling {case.draws}", sampling_blocks(case, options), case.sampling_bar, options)


def training_blocks(case: Case, options: argparse.Namespace) -> dict[str, Block]:
    """A block of training steps for everyone."""
    torch.compiler.reset()
    data = case.data()
    recipes: dict[str, tuple[Build, Training]] = {}
    for name, build in case.zoo.items():
        recipes |= {name: (build, DEFAULTS), f"{name}, eager": (build, EAGER)}
    recipes |= {name: (build, EAGER) for name, build in case.installed.items()}
    return {name: training(seeded(build), data, how, options.clock) for name, (build, how) in recipes.items()}


def sampling_blocks(case: Case, options: argparse.Namespace) -> dict[str, Block]:
    """A block of draws for everyone."""
    contenders = {**case.zoo, **case.installed}
    return {name: sampling(seeded(build), case.draws, options.clock) for name, build in contenders.items()}


def seeded(build: Build) -> Contender:
    torch.manual_seed(0)
    return build()


def report(case: Case, title: str, blocks: Mapping[str, Block], bar: float, options: argparse.Namespace) -> None:
    """Run one task, print its table, and what zoo takes of the fastest peer's time beside the bar."""
    timings = interleave(blocks, options.rounds, options.steps)
    reference = fastest(timings, list(case.installed) or list(case.zoo))
    builds = {**case.zoo, **case.installed}
    counts = {name: build().parameters for name, build in builds.items()}
    summaries = summarise(timings, reference)
    rows = [[name, f"{counts[name.removesuffix(', eager')]:,}", *cells(summary)] for name, summary in summaries.items()]
    print(f"\n{title}, one process, {options.rounds} rounds of {options.steps}, {options.clock} clock\n")
    print(markdown(["", "parameters", *COLUMNS], rows), "\n")
    for name in case.zoo if case.installed else ():
        print(f"{name} to {reference}: {verdict(summaries[name], bar)}")


def fastest(timings: Timings, among: Sequence[str]) -> str:
    return min(among, key=lambda name: statistics.median(timings[name]))


def parse() -> argparse.Namespace:
    parser = timing_parser("benchmarks.flows", __doc__, rounds=20, steps=5)
    parser.add_argument("--case", nargs="+", choices=list(CASES), default=list(CASES))
    return timing_options(parser)


if __name__ == "__main__":
    main()

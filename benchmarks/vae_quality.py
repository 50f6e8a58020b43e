"""Held-out bounds of zoo's VAE and of pythae's on binarised MNIST, trained alike: networks, batches, optimizer, steps.

The network of Burda et al. (2016): two hidden layers of 200 tanh units each way and 50 latents. One function measures
both: the ELBO, and the importance-weighted estimate of log p. The bar: the mean of zoo over seeds is at most that of
pythae plus one standard deviation of it. ``ZOO_DATA`` names the folder that holds MNIST.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing import get_context

import torch
from torch import Tensor

import zoo

from .autoencoder import Autoencoder, Bounds, bounds, declared_vae
from .harness import machine, markdown, progress
from .pythae_vae import in_pythae
from .quality import figure, verdict

BATCH, LATENT, LEARNING_RATE = 100, 50, 1e-3


def in_zoo() -> Autoencoder:
    """The parts of the spec ``vae``."""
    net = {"type": "mlp", "width": 200, "depth": 2, "activation": "tanh"}
    return declared_vae(_digits().event, latent=LATENT, encoder=net, decoder=net)


def _in_pythae() -> Autoencoder:
    return in_pythae(in_zoo(), LATENT, beta=1.0)


def _digits() -> zoo.Dataset:
    digits: zoo.Dataset = zoo.declare(zoo.Dataset, {"type": "binarised", "of": "mnist"})()
    return digits


LIBRARIES: Mapping[str, Callable[[], Autoencoder]] = {"zoo": in_zoo} | (
    {"pythae": _in_pythae} if find_spec("pythae") else {}
)


@dataclass(frozen=True)
class Task:
    """One training, and how it is measured."""

    library: str
    seed: int
    steps: int
    images: int
    draws: int


def main() -> None:
    options = parse()
    print(machine(1), flush=True)
    began = time.perf_counter()
    tasks = [
        Task(library, seed, options.steps, options.images, options.draws)
        for seed in range(options.seeds)
        for library in LIBRARIES
    ]
    outcomes: dict[Task, Bounds] = {}
    with ProcessPoolExecutor(options.processes, get_context("spawn")) as pool:
        for task, found in zip(tasks, pool.map(train, tasks), strict=True):
            outcomes[task] = found
            progress(f"{len(outcomes)}/{len(tasks)} trainings, the last: {task.library}, seed {task.seed}, {found}")
    progress("")
    report(outcomes, options)
    print(f"\n{time.perf_counter() - began:.0f} s in {options.processes} processes")


def train(task: Task) -> Bounds:
    """The bounds of held-out images after one training."""
    torch.set_num_threads(1)
    torch.manual_seed(task.seed)
    vae = LIBRARIES[task.library]()
    adam = torch.optim.Adam(vae.module.parameters(), lr=LEARNING_RATE)
    torch.manual_seed(task.seed)
    for x in batches(task.steps, task.seed):
        adam.zero_grad()
        vae.loss(x.to(vae.takes)).backward()  # type: ignore[no-untyped-call]
        adam.step()
    return bounds(vae, held_out(task.images), task.draws)


def batches(steps: int, seed: int) -> Iterator[Tensor]:
    """Images drawn with replacement, each binarised anew, uint8 ``[BATCH, 1, 28, 28]``; the seed says all."""
    examples, draw = _digits().split("train"), torch.Generator().manual_seed(seed)
    for step in range(steps):
        yield _binarised(examples, torch.randint(len(examples), (BATCH,), generator=draw), step)


def held_out(count: int) -> Tensor:
    """The first images of the test set, uint8 ``[count, 1, 28, 28]``, the same bits each time."""
    return _binarised(_digits().split("test"), torch.arange(count), seed=0)


def _binarised(examples: zoo.Examples, numbers: Tensor, seed: int) -> Tensor:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return examples.render(examples.read(numbers))["image"]


def report(outcomes: Mapping[Task, Bounds], options: argparse.Namespace) -> None:
    """Print both bounds of every library, and whether zoo keeps the bar."""
    counts = {library: build().parameters for library, build in LIBRARIES.items()}
    if len(set(counts.values())) > 1:
        raise RuntimeError(f"they differ in parameters: {counts}")
    print(f"\n{options.steps} steps of {BATCH}, {options.seeds} seeds, {counts['zoo']:,} parameters each")
    print(f"nats of {options.images} held-out images by {options.draws} draws, mean and standard deviation\n")
    measures: Mapping[str, Callable[[Bounds], float]] = {
        "-ELBO": lambda found: found.nll + found.kl,
        "reconstruction": lambda found: found.nll,
        "divergence": lambda found: found.kl,
        f"-IWAE {options.draws}": lambda found: found.iwae,
    }
    rows = []
    for title, measure in measures.items():
        figures = {
            library: figure([measure(found) for task, found in outcomes.items() if task.library == library])
            for library in LIBRARIES
        }
        judged = verdict(figures) if title.startswith("-") and options.seeds > 1 else ""
        rows.append([title, *(found.cell for found in figures.values()), judged])
    print(markdown(["", *LIBRARIES, "verdict"], rows))


def parse() -> argparse.Namespace:
    about = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vae_quality", description=about)
    parser.add_argument("--seeds", type=int, default=3, help="how many runs of everyone")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--images", type=int, default=1000, help="of the test set")
    parser.add_argument("--draws", type=int, default=500, help="of the latents of each")
    parser.add_argument("--processes", type=int, default=2, help="trainings at a time, each in one thread")
    parser.add_argument("--quick", action="store_true", help="one seed of ten steps: does it run?")
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.steps, options.images, options.draws = 1, 10, 100, 10
    return options


if __name__ == "__main__":
    main()

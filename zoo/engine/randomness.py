"""Random numbers: every draw is a pure function of (seed, purpose, step, rank).

Dropout and torch.distributions take no generator, so the default generators are seeded anew for each purpose; nothing
has to be saved to resume to the same bits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def derive(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed for one purpose.

    >>> derive(0, "train", 1) == derive(0, "train", 1) != derive(0, "train", 2)
    True
    """
    words = "\0".join(map(str, (seed, *purpose)))
    return int.from_bytes(hashlib.blake2b(words.encode(), digest_size=8).digest(), "big") >> 1


def reseed(device: torch.device, seed: int, *purpose: str | int) -> None:
    """Seed the generators that draws on this device come from, the CPU's among them.

    ``torch.manual_seed`` would format a stack trace at each call where CUDA is built in but not in use.
    """
    number = derive(seed, *purpose)
    torch.default_generator.manual_seed(number)
    if device.type == "cuda":
        torch.cuda.default_generators[
            torch.cuda.current_device() if device.index is None else device.index
        ].manual_seed(number)
    elif device.type == "mps":
        torch.mps.manual_seed(number)


def generator(seed: int, *purpose: str | int) -> torch.Generator:
    """A separate generator on the CPU, with the same numbers on every device."""
    return torch.Generator().manual_seed(derive(seed, *purpose))


@contextmanager
def seeded(device: torch.device, seed: int, *purpose: str | int) -> Iterator[None]:
    """Draws in this block are those of a purpose; the generators go on afterwards as if nothing had been drawn."""
    devices = [device.index or 0] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        reseed(device, seed, *purpose)
        yield

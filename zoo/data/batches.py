"""Batches: order and splits as pure functions of (seed, epoch, step).

Data that fits in memory lives on the device and is indexed there; larger data is read ahead by threads and copied
without blocking.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property, lru_cache

import torch
from torch import Tensor

from ..engine.randomness import generator
from ..interfaces import Batch, Dataset, Examples, InMemory
from ..interfaces.dataset import Split

READ_AHEAD = 3
"""Batches that are read before they are asked for."""


class Source:
    """Some examples of a split, as batches on a device."""

    def __init__(self, examples: Examples, numbers: Tensor, device: torch.device) -> None:
        self.examples = examples
        self.numbers = numbers
        self.device = device
        self._resident: dict[str, Tensor] | None = None
        if isinstance(examples, InMemory):
            self._resident = {name: _moved(tensor[numbers], device) for name, tensor in examples.tensors.items()}
            self.numbers = torch.arange(len(numbers))

    def __len__(self) -> int:
        return len(self.numbers)

    def read(self, positions: Tensor) -> Batch:
        """The examples at these positions (int64, on the CPU, or on the device where the data lives there)."""
        if self._resident is not None:
            positions = positions.to(self.device, non_blocking=True)
            kept = {name: tensor.index_select(0, positions) for name, tensor in self._resident.items()}
            return self.examples.render(kept)
        return self.to_device(self.fetch(positions))

    def fetch(self, positions: Tensor) -> dict[str, Tensor]:
        """The examples at these positions, on the CPU; pinned where a device waits for them."""
        batch = self.examples.read(self.numbers[positions])
        return {name: x.pin_memory() for name, x in batch.items()} if self.device.type == "cuda" else batch

    def to_device(self, batch: Batch) -> Batch:
        return self.examples.render({name: _moved(x, self.device) for name, x in batch.items()})

    @property
    def resident(self) -> bool:
        """Whether the data lives on the device."""
        return self._resident is not None

    def in_order(self, batch: int) -> Iterator[Batch]:
        """Every example once, in order; the last batch may be smaller."""
        for start in range(0, len(self), batch):
            yield self.read(torch.arange(start, min(start + batch, len(self))))


def _moved(x: Tensor, device: torch.device) -> Tensor:
    # This kind of device has no float64.
    return (x.float() if device.type == "mps" and x.dtype == torch.float64 else x).to(device, non_blocking=True)


class Shuffled:
    """Endless batches of one size: turn ``t`` takes the examples at ``t * batch ...`` of all epochs end to end.

    Every epoch is a permutation drawn from (seed, epoch); a batch may end one epoch and begin the next, so that each
    example is seen equally often and shapes never change. Of several processes each takes a batch of its own, one
    after the other: two with half the batch see what one sees.
    """

    def __init__(self, source: Source, batch: int, seed: int, rank: int = 0, size: int = 1) -> None:
        if len(source) == 0:
            raise ValueError("no examples to train on")
        self.source, self.batch, self.seed = source, batch, seed
        self.rank, self.size = rank, size
        self._order = lru_cache(maxsize=2)(self._permutation)
        self._threads = None if source.resident else ThreadPoolExecutor(1, "zoo-read-ahead")
        self._ahead: dict[int, Future[dict[str, Tensor]]] = {}

    def turn(self, t: int) -> Batch:
        """The batch of one turn."""
        if self._threads is None:
            return self.source.read(self.positions(t))
        self._read_ahead(self._threads, t, t + READ_AHEAD + 1)
        return self.source.to_device(self._ahead.pop(t).result())

    def fault(self, first: int, turns: int) -> Exception | None:
        """The error of reading the batches of the next turns, if any, before the first of them is used."""
        if self._threads is None:
            return None
        self._read_ahead(self._threads, first, first + turns)
        faults = (self._ahead[t].exception() for t in range(first, first + turns))
        return next((fault for fault in faults if isinstance(fault, Exception)), None)

    def _read_ahead(self, threads: ThreadPoolExecutor, first: int, until: int) -> None:
        for later in range(first, until):
            if later not in self._ahead:
                self._ahead[later] = threads.submit(self._fetch, later)
        for past in [turn for turn in self._ahead if turn < first]:
            del self._ahead[past]

    def positions(self, t: int) -> Tensor:
        """The indices of the examples of a turn."""
        n = len(self.source)
        start, pieces, missing = (t * self.size + self.rank) * self.batch, [], self.batch
        while missing:
            epoch, offset = divmod(start, n)
            piece = self._order(epoch)[offset : offset + missing]
            pieces.append(piece)
            start, missing = start + len(piece), missing - len(piece)
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces)

    def close(self) -> None:
        """Stop reading ahead."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def _fetch(self, t: int) -> dict[str, Tensor]:
        return self.source.fetch(self.positions(t))

    def _permutation(self, epoch: int) -> Tensor:
        order = torch.randperm(len(self.source), generator=generator(self.seed, "order", epoch))
        return order.to(self.source.device) if self.source.resident else order


class Splits:
    """The splits of a data set, each opened once, when it is first asked for."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self._opened: dict[Split, Examples] = {}

    def __getitem__(self, name: Split) -> Examples:
        if name not in self._opened:
            self._opened[name] = self.dataset.split(name)
        return self._opened[name]

    @cached_property
    def fingerprint(self) -> str:
        """The hash of the train split."""
        return self["train"].fingerprint()


def divided(examples: Examples, validation: float) -> tuple[Tensor, Tensor]:
    """The numbers of the examples that are trained on, and of those that are held out.

    The latter are the end of one fixed permutation: they depend on neither seed nor order of the files.
    """
    order = torch.randperm(len(examples), generator=generator(0, "validation"))
    trained = len(examples) - round(len(examples) * validation)
    return order[:trained].sort().values, order[trained:].sort().values


def sources(examples: Examples, validation: float, device: torch.device) -> tuple[Source, Source]:
    """The training examples, and the part of the train split that is held out."""
    trained, held = divided(examples, validation)
    return Source(examples, trained, device), Source(examples, held, device)


def held_out(dataset: Dataset, device: torch.device) -> Source:
    """The test split."""
    return every(dataset, "test", device)


def every(dataset: Dataset, split: Split, device: torch.device) -> Source:
    """All examples of a split."""
    return all_of(dataset.split(split), device)


def all_of(examples: Examples, device: torch.device) -> Source:
    """All of some examples."""
    return Source(examples, torch.arange(len(examples)), device)
